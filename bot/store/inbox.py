"""Requests by the ID of their delivery: each counts once, and waits here until it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Integer, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from bot.core.access.audit import AuditEntry
from bot.core.errors import ClaimLost
from bot.core.requests import Request
from bot.store import audit, codec
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.due import next_at, read_next
from bot.store.locks import chosen
from bot.store.tables import inbox
from bot.store.together import Together
from bot.store.transactions import retried

REQUESTS_TOGETHER: Final = 200
"""Requests of one transaction: as many as Slack may deliver while another is written."""


@dataclass(frozen=True, slots=True)
class RequestClaim:
    """A request that this process alone may answer until the lease ends."""

    request: Request
    attempts: int


def _claim() -> ReturningUpdate[Any]:
    now = bindparam("now", type_=inbox.c.due_at.type)
    due = (
        select(inbox.c.id)
        .where(inbox.c.due_at <= now, or_(inbox.c.lease_until.is_(None), inbox.c.lease_until <= now))
        .order_by(inbox.c.due_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True, key_share=True)
    )
    return (
        update(inbox)
        .where(chosen(inbox, due))
        .values(lease_owner=bindparam("owner"), lease_until=bindparam("until"), attempts=inbox.c.attempts + 1)
        .returning(inbox.c.id, inbox.c.data, inbox.c.attempts)
    )


_CLAIM: Final = _claim()
_NEXT: Final = next_at(inbox)
"""Built once: that takes longer than running it."""

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
    data = codec.dump(kept.remembered) if kept else None
    finished = await connection.execute(_FINISH, {"request_id": request_id, "kept": data})
    if finished.rowcount != 1:
        raise ClaimLost(f"request {request_id} was answered already")


async def add_all(database: Database, requests: Sequence[Request]) -> list[bool]:
    """Save requests that wait for an answer, in one transaction; tell for each whether it is new."""
    rows = [
        {
            "id": request.id,
            "team_id": request.origin.team_id,
            "data": codec.dump(request),
            "received_at": request.received_at,
            "due_at": request.received_at,
            "attempts": 0,
        }
        for request in requests
    ]
    return await database.insert_urgently(inbox, rows, Work.REQUESTS)


class Inbox:
    """Requests that wait for an answer. Each method is one transaction.

    Args:
        database: where they are.
        owner: this process's name in its leases.
        lease_s: how long a claim lasts, in seconds.
    """

    def __init__(self, database: Database, owner: str, lease_s: float) -> None:
        self._database = database
        self._owner = owner
        self._lease_s = lease_s
        self._intake = Together(partial(add_all, database), most=REQUESTS_TOGETHER)

    async def add(self, request: Request) -> bool:
        """Save a request to be answered; False when it was delivered before."""
        return await self._intake.save(request)

    @retried
    async def claim(self, now: datetime, limit: int) -> list[RequestClaim]:
        """Take requests that wait for an answer."""
        until = now + timedelta(seconds=self._lease_s)
        async with self._database.begin() as connection:
            wanted = {"owner": self._owner, "now": now, "until": until, "limit": limit}
            rows = (await connection.execute(_CLAIM, wanted)).all()
        return codec.read_claimed(rows, lambda row: RequestClaim(codec.load(Request, row.data), row.attempts))

    @retried
    async def finish(self, request_id: str, *, entry: AuditEntry | None = None, kept: Request | None = None) -> None:
        """Note that a request is answered. Its id stays, so that a late redelivery is recognised.

        Raises:
            ClaimLost: another replica answered it; the same holds for all that answers a request.
        """
        async with self._database.begin() as connection:
            await audit.add(connection, entry)
            await finish(connection, request_id, kept=kept)

    async def load_asked(self, request_id: str) -> Request | None:
        """Read who asked for something, and where; None when that isn't kept."""
        query = select(inbox.c.data).where(inbox.c.id == request_id)
        async with self._database.read() as connection:
            data = await connection.scalar(query)
        return codec.load(Request, data).remembered if data else None

    @retried
    async def retry(self, request_id: str, due_at: datetime) -> None:
        """Give a request back, to be answered later."""
        async with self._database.begin() as connection:
            await connection.execute(
                update(inbox)
                .where(inbox.c.id == request_id, inbox.c.due_at.is_not(None))
                .values(due_at=due_at, lease_until=None, attempts=0)
            )

    @retried
    async def renew(self, request_id: str, now: datetime) -> None:
        """Keep a request that takes long; one that another process took over stays with that one."""
        async with self._database.begin() as connection:
            await connection.execute(
                update(inbox)
                .where(inbox.c.id == request_id, inbox.c.lease_owner == self._owner)
                .where(inbox.c.lease_until.is_not(None))
                .values(lease_until=now + timedelta(seconds=self._lease_s))
            )

    async def next_at(self) -> datetime | None:
        """Tell when the next request can be claimed."""
        return await read_next(self._database, _NEXT)
