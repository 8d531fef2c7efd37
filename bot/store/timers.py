"""Scheduled work, claimed by row: it happens once among all replicas, and again after a crash.

A timer exists as long as something is due. A claim moves its ``due_at`` ahead by the lease. If someone schedules it
again in the meantime, it's due again when the current work is done or its lease expires: nothing is forgotten, and
nothing is done by two processes at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, case, literal, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningUpdate

from bot.core.errors import ClaimLost
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.due import NOW, claimable, claiming, next_at, of_others, read_next
from bot.store.locks import chosen, in_order
from bot.store.statements import constant
from bot.store.tables import UtcTime, timers
from bot.store.transactions import Transaction, retried


class TimerKind(StrEnum):
    """What to do; ``subject`` says for what or whom."""

    WATCH = "watch"
    """Look at all integrations of a workspace; the subject is the workspace."""
    SNOOZE = "snooze"
    """End the snooze of an alert."""
    ON_IT = "on_it"
    """Ask whoever is on an incident whether they still are; without an answer, no one is. The subject is the
    incident."""
    DIGEST = "digest"
    """Send the digest of a subscription."""
    HELD = "held"
    """Tell a channel what was held while it was quiet; the subject is the channel."""
    HOME = "home"
    """Draw a person's App Home."""
    RAISE = "raise"
    """Show a channel that subscribed more of what is wrong already."""
    MOVE = "move"
    """Move what was written under a channel's old id after the channel got a new one; the subject is both ids, and how
    often more."""


@dataclass(frozen=True, slots=True)
class TimerClaim:
    """A timer that only this process can act on until ``held_until``. ``due_at`` is when it was due."""

    id: str
    kind: TimerKind
    team_id: str
    subject: str
    held_until: datetime
    version: int


LATE_HOLDER: Final = timedelta(minutes=1)
"""A lease that expired longer ago belongs to another process by now: workers poll every two seconds."""


_SLACKS: Final = frozenset({TimerKind.HELD, TimerKind.HOME, TimerKind.MOVE, TimerKind.RAISE})
"""Their subjects are IDs of Slack's, which another workspace may have, too; the others' are workspaces or our IDs."""


def timer_id(kind: TimerKind, team_id: str, subject: str) -> str:
    """Name the row of a timer."""
    return f"{kind}:{team_id}:{subject}" if kind in _SLACKS else f"{kind}:{subject}"


def new_version() -> int:
    """Return a first version that no deleted timer with the same ID had, so that old claims don't match."""
    return secrets.randbelow(2**30)


def _earliest() -> ColumnElement[datetime]:
    due, just_before, late = (bindparam(name, type_=UtcTime) for name in ("due", "just_before", "late_since"))
    just_ended = and_(timers.c.due_at == timers.c.lease_until, timers.c.due_at >= late)
    return case(
        (or_(timers.c.due_at.is_(None), timers.c.due_at > due), due),
        (just_ended, just_before),
        else_=timers.c.due_at,
    )


EARLIEST: Final = _earliest()
"""When an existing timer is due after it's put again. The parameters are those of ``times_of``.

A late holder may still finish one whose lease has just ended, and must see that it was put: it is due at another
time than the end of that lease.
"""


def times_of(due_at: datetime) -> dict[str, datetime]:
    """Return the parameters of ``EARLIEST``."""
    return {"due": due_at, "just_before": due_at - timedelta(microseconds=1), "late_since": due_at - LATE_HOLDER}


_PUT: Final = constant(
    insert(timers)
    .values(
        id=bindparam("row_id"),
        team_id=bindparam("team"),
        kind=bindparam("of_kind"),
        subject=bindparam("about"),
        due_at=bindparam("due", type_=UtcTime),
        owner=None,
        version=bindparam("first_version"),
    )
    .on_conflict_do_update(index_elements=["id"], set_={"due_at": EARLIEST})
)


async def put(connection: Transaction, kind: TimerKind, team_id: str, subject: str, due_at: datetime) -> None:
    """Schedule something, or move it forward if it's scheduled for later.

    Put or drop several timers in the order of their IDs, which begin with their kinds.
    """
    about = {"row_id": timer_id(kind, team_id, subject), "team": team_id, "of_kind": kind, "about": subject}
    await connection.execute(_PUT, about | {"first_version": new_version()} | times_of(due_at))
    connection.ring(Work.TIMERS, due_at)


async def drop(connection: Transaction, kind: TimerKind, team_id: str, subject: str) -> None:
    """Delete a timer; a process that is acting on it writes nothing more."""
    await connection.execute(timers.delete().where(timers.c.id == timer_id(kind, team_id, subject)))


async def finish(connection: Transaction, claim: TimerClaim, next_due_at: datetime | None) -> None:
    """Note that the work of a claim is done, and when it is due again; what was asked for meanwhile stays due.

    Raises:
        ClaimLost: another replica took it over.
    """
    untouched, held = timers.c.due_at == claim.held_until, timers.c.version == claim.version
    if next_due_at is None:
        done = await connection.execute(timers.delete().where(timers.c.id == claim.id, held, untouched))
        if done.rowcount == 1:
            return
    finished = await connection.execute(
        update(timers)
        .where(timers.c.id == claim.id, held)
        .values(
            owner=None,
            lease_until=None,
            due_at=case((untouched, literal(next_due_at, timers.c.due_at.type)), else_=timers.c.due_at),
        )
    )
    connection.ring(Work.TIMERS)
    if finished.rowcount != 1:
        raise ClaimLost(f"timer {claim.id} was taken over")


_NEXT: Final = constant(next_at(timers))


def _claim(*which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(timers)
        .where(chosen(timers, claimable(timers, timers.c.due_at <= NOW, *which)))
        .values(
            owner=bindparam("by"),
            due_at=bindparam("until"),
            lease_until=bindparam("until"),
            version=timers.c.version + 1,
        )
        .returning(timers)
    )


_CLAIM: Final = constant(_claim())
_CLAIM_OF_OTHERS: Final = constant(_claim(of_others(timers)))


class Timers:
    """The timers of all workspaces. ``owner`` names this process."""

    def __init__(self, database: Database, *, owner: str, lease_s: float) -> None:
        self._database = database
        self._owner = owner
        self._lease_s = lease_s

    @retried
    async def claim(self, now: datetime, limit: int, full: Collection[str] = ()) -> list[TimerClaim]:
        """Take timers that are due, in one statement, of all workspaces but those in ``full``."""
        wanted = {"by": self._owner, "now": now, "until": now + timedelta(seconds=self._lease_s), "most": limit}
        async with self._database.begin(is_light=True) as connection:
            claimed = (await connection.execute(*claiming(_CLAIM, _CLAIM_OF_OTHERS, wanted, full))).all()
        return [
            TimerClaim(row.id, TimerKind(row.kind), row.team_id, row.subject, row.due_at, row.version)
            for row in claimed
        ]

    @retried
    async def put(self, kind: TimerKind, team_id: str, subject: str, due_at: datetime) -> None:
        """Schedule something, or move it forward if it's scheduled for later."""
        async with self._database.begin() as connection:
            await put(connection, kind, team_id, subject, due_at)

    @retried
    async def finish(self, claim: TimerClaim, next_due_at: datetime | None) -> None:
        """Record that the work of a claim is done; see the function of the same name."""
        async with self._database.begin() as connection:
            await finish(connection, claim, next_due_at)

    async def next_at(self) -> datetime | None:
        """Return when the next timer can be claimed; a claimed one, at the earliest when its claim expires."""
        return await read_next(self._database, _NEXT)

    @retried
    async def release(self, now: datetime) -> None:
        """Give back all that this process holds, so that another goes on at once.

        Work still in hand loses its claim: it would count as done and be due again, and a digest would come twice.
        """
        async with self._database.begin() as connection:
            await connection.execute(
                update(timers)
                .where(in_order(timers, timers.c.owner == self._owner, timers.c.due_at.is_not(None)))
                .values(owner=None, due_at=now, lease_until=None, version=timers.c.version + 1)
            )
