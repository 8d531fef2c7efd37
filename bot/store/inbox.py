"""Requests by the ID of their delivery: each counts once, and waits here until it's answered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningUpdate

from bot.core.access.audit import AuditEntry
from bot.core.errors import ClaimLost
from bot.core.requests import Request
from bot.store import audit, codec
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.due import NOW, claimable, claiming, next_at, of_others, read_next
from bot.store.locks import chosen
from bot.store.statements import constant
from bot.store.tables import inbox
from bot.store.together import Together
from bot.store.transactions import Transaction, retried

REQUESTS_TOGETHER: Final = 200
"""How many requests one transaction saves: as many as Slack can deliver during another one."""


@dataclass(frozen=True, slots=True)
class RequestClaim:
    """A request that only this process can answer until the lease expires."""

    request: Request
    attempts: int


def _claim(*which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(inbox)
        .where(chosen(inbox, claimable(inbox, inbox.c.due_at <= NOW, *which)))
        .values(lease_owner=bindparam("owner"), lease_until=bindparam("until"), attempts=inbox.c.attempts + 1)
        .returning(inbox.c.id, inbox.c.data, inbox.c.attempts)
    )


_CLAIM: Final = constant(_claim())
_CLAIM_OF_OTHERS: Final = constant(_claim(of_others(inbox)))
_ADD: Final = constant(insert(inbox).on_conflict_do_nothing())
_NEXT: Final = constant(next_at(inbox))
"""Built once, because building it takes longer than running it."""

_FINISH: Final = constant(
    update(inbox)
    .where(inbox.c.id == bindparam("request_id"), inbox.c.due_at.is_not(None))
    .values(due_at=None, data=bindparam("kept"), lease_until=None)
)


async def finish(connection: Transaction, request_id: str, *, kept: Request | None = None) -> None:
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


@retried
async def add_all(database: Database, requests: Sequence[Request]) -> list[bool]:
    """Save requests that wait for an answer, in one transaction; return for each whether it's new."""
    are_new = []
    async with database.begin(urgent=True) as connection:
        for request in requests:
            lease = connection.hold(Work.REQUESTS, request.received_at, request.origin.team_id)
            row = {
                "id": request.id,
                "team_id": request.origin.team_id,
                "data": codec.dump(request),
                "received_at": request.received_at,
                "due_at": request.received_at,
                "attempts": 1 if lease else 0,
                "lease_owner": lease and lease.owner,
                "lease_until": lease and lease.until,
            }
            is_new = (await connection.execute(_ADD, row)).rowcount == 1
            are_new.append(is_new)
            if is_new and lease:
                connection.hand(Work.REQUESTS, RequestClaim(request, 1))
            elif is_new:
                connection.ring(Work.REQUESTS)
    if any(are_new):
        database.note_saved()
    return are_new


class Inbox:
    """Requests that wait for an answer. Each method is one transaction.

    Args:
        database: the database.
        owner: this process's name in its leases.
        lease_s: how long a claim lasts, in seconds.
    """

    def __init__(self, database: Database, owner: str, lease_s: float) -> None:
        self._database = database
        self._owner = owner
        self._lease_s = lease_s
        self._intake = Together(partial(add_all, database), most=REQUESTS_TOGETHER)

    async def add(self, request: Request) -> bool:
        """Save a request to be answered; return False if it was delivered before."""
        return await self._intake.save(request)

    @retried
    async def claim(self, now: datetime, limit: int, full: Collection[str] = ()) -> list[RequestClaim]:
        """Take requests that wait for an answer, of all workspaces but those in ``full``."""
        until = now + timedelta(seconds=self._lease_s)
        async with self._database.begin(is_light=True) as connection:
            wanted = {"owner": self._owner, "now": now, "until": until, "most": limit}
            rows = (await connection.execute(*claiming(_CLAIM, _CLAIM_OF_OTHERS, wanted, full))).all()
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

    async def load_asked(self, team_id: str, request_id: str) -> Request | None:
        """Return who asked for something, and where; None if that isn't stored."""
        query = select(inbox.c.data).where(inbox.c.id == request_id, inbox.c.team_id == team_id)
        async with self._database.read() as connection:
            data = await connection.scalar(query)
        return codec.load(Request, data).remembered if data else None

    @retried
    async def retry(self, request_id: str, due_at: datetime) -> None:
        """Release a request, to be answered later; one that another process took over stays with that process."""
        async with self._database.begin() as connection:
            await connection.execute(
                update(inbox)
                .where(inbox.c.id == request_id, inbox.c.due_at.is_not(None), inbox.c.lease_owner == self._owner)
                .values(due_at=due_at, lease_until=None, attempts=0)
            )
            connection.ring(Work.REQUESTS, due_at)

    @retried
    async def renew(self, request_id: str, now: datetime) -> None:
        """Renew the lease of a long request; one that another process took over stays with that process.

        Earlier claims don't count anymore: what ended them wasn't this request, or it would have ended this one, too.
        """
        async with self._database.begin() as connection:
            await connection.execute(
                update(inbox)
                .where(inbox.c.id == request_id, inbox.c.lease_owner == self._owner)
                .where(inbox.c.lease_until.is_not(None))
                .values(lease_until=now + timedelta(seconds=self._lease_s), attempts=1)
            )

    async def next_at(self) -> datetime | None:
        """Return when the next request can be claimed."""
        return await read_next(self._database, _NEXT)
