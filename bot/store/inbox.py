"""Requests by the id of their delivery: each counts once. Functions here work inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import ClaimLost
from bot.core.requests import Request
from bot.store import codec
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.tables import inbox


async def add_all(database: Database, requests: Sequence[Request]) -> list[bool]:
    """Save requests that wait for an answer, in one transaction; tell for each whether it is new."""
    rows = [
        {
            "id": request.id,
            "team_id": request.origin.team_id,
            "data": codec.dump_request(request),
            "received_at": request.received_at,
            "due_at": request.received_at,
            "attempts": 0,
        }
        for request in requests
    ]
    return await database.insert_urgently(inbox, rows, Work.REQUESTS)


_FINISH: Final = (
    update(inbox)
    .where(inbox.c.id == bindparam("request_id"), inbox.c.due_at.is_not(None))
    .values(due_at=None, data=bindparam("kept"), lease_until=None)
)


async def finish(connection: AsyncConnection, request_id: str, *, kept: Request | None = None) -> None:
    """Note that a request is answered. Its id stays, so that a late redelivery is recognised.

    ``kept`` is what is still needed of it: who asked, and where, for a form or a button in its answer. One that is not
    there at all was answered, too, so long ago that the retention deleted it.

    Raises:
        ClaimLost: another replica answered it.
    """
    data = codec.dump_request(kept.remembered) if kept else None
    finished = await connection.execute(_FINISH, {"request_id": request_id, "kept": data})
    if finished.rowcount != 1:
        raise ClaimLost(f"request {request_id} was answered already")
