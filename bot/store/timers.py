"""Scheduled work, claimed by row: it happens once among all replicas, and after a crash somebody does it again.

A timer is there for as long as something is due. Its ``due_at`` is moved ahead by the lease when it is claimed. Who
asks for it meanwhile moves it back, and it is then due again when the work in hand is done, or its lease is over:
nothing that was asked for is forgotten, and nothing is done by two at once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, and_, case, literal, or_, select, update

from bot.core.errors import ClaimLost
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.due import next_at, read_next
from bot.store.locks import chosen, in_order
from bot.store.tables import timers
from bot.store.transactions import Transaction, retried


class TimerKind(StrEnum):
    """What is to be done; ``subject`` says for what or whom."""

    WATCH = "watch"
    """Look at all integrations of a workspace; the subject is the workspace."""
    SNOOZE = "snooze"
    """End the snooze of an alert."""
    DIGEST = "digest"
    """Send the digest of a subscription."""
    HOME = "home"
    """Draw a person's App Home."""
    RAISE = "raise"
    """Show a channel that subscribed more of what is wrong already."""
    MOVE = "move"
    """Move what was written under a channel's old id after the channel got a new one; the subject is both ids, and how
    often more."""


@dataclass(frozen=True, slots=True)
class TimerClaim:
    """A timer that this process alone may act on until ``held_until``. ``due_at`` is what it was due at."""

    kind: TimerKind
    team_id: str
    subject: str
    held_until: datetime
    version: int

    @property
    def id(self) -> str:
        """The timer's row."""
        return timer_id(self.kind, self.subject)


LATE_HOLDER: Final = timedelta(minutes=1)
"""A lease that ended longer ago is somebody else's by now: workers look every two seconds."""


def timer_id(kind: TimerKind, subject: str) -> str:
    """Name the row of a timer."""
    return f"{kind}:{subject}"


def new_version() -> int:
    """Begin a timer's versions somewhere: who held one of the same id that is gone must not pass for its holder."""
    return secrets.randbelow(2**30)


def earliest(due_at: datetime) -> ColumnElement[datetime]:
    """When a timer that is there already is due, when it is put again.

    A late holder may still finish one whose lease has just ended, and must see that it was put: it is due at another
    time than the end of that lease.
    """
    just_ended = and_(timers.c.due_at == timers.c.lease_until, timers.c.due_at >= due_at - LATE_HOLDER)
    return case(
        (or_(timers.c.due_at.is_(None), timers.c.due_at > due_at), literal(due_at, timers.c.due_at.type)),
        (just_ended, literal(due_at - timedelta(microseconds=1), timers.c.due_at.type)),
        else_=timers.c.due_at,
    )


async def put(
    connection: Transaction, database: Database, kind: TimerKind, team_id: str, subject: str, due_at: datetime
) -> None:
    """Have something done at a time, or earlier when it is due earlier.

    Who puts or drops several does it in the order of their ids, which begin with their kinds.
    """
    await connection.execute(
        database.insert(timers)
        .values(
            id=timer_id(kind, subject),
            team_id=team_id,
            kind=kind,
            subject=subject,
            due_at=due_at,
            owner=None,
            version=new_version(),
        )
        .on_conflict_do_update(index_elements=["id"], set_={"due_at": earliest(due_at)})
    )
    connection.ring(Work.TIMERS)


async def drop(connection: Transaction, kind: TimerKind, subject: str) -> None:
    """Forget a timer; whoever acts on it just now writes nothing more."""
    await connection.execute(timers.delete().where(timers.c.id == timer_id(kind, subject)))


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


_NEXT: Final = next_at(timers)


class Timers:
    """The timers of all workspaces. ``owner`` names this process."""

    def __init__(self, database: Database, *, owner: str, lease_s: float) -> None:
        self._database = database
        self._owner = owner
        self._lease_s = lease_s

    @retried
    async def claim(self, now: datetime, limit: int) -> list[TimerClaim]:
        """Take timers that are due, in one statement."""
        held_until = now + timedelta(seconds=self._lease_s)
        due = (
            select(timers.c.id)
            .where(timers.c.due_at <= now, or_(timers.c.lease_until.is_(None), timers.c.lease_until <= now))
            .order_by(timers.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True, key_share=True)
        )
        async with self._database.begin() as connection:
            rows = await connection.execute(
                update(timers)
                .where(chosen(timers, due))
                .values(owner=self._owner, due_at=held_until, lease_until=held_until, version=timers.c.version + 1)
                .returning(timers)
            )
            claimed = rows.all()
        return [TimerClaim(TimerKind(row.kind), row.team_id, row.subject, row.due_at, row.version) for row in claimed]

    @retried
    async def put(self, kind: TimerKind, team_id: str, subject: str, due_at: datetime) -> None:
        """Have something done at a time, or earlier when it is due earlier."""
        async with self._database.begin() as connection:
            await put(connection, self._database, kind, team_id, subject, due_at)

    @retried
    async def finish(self, claim: TimerClaim, next_due_at: datetime | None) -> None:
        """Note that the work of a claim is done; see the function of the same name."""
        async with self._database.begin() as connection:
            await finish(connection, claim, next_due_at)

    async def next_at(self) -> datetime | None:
        """Tell when the next timer can be claimed: what somebody holds is due when that ends, at the earliest."""
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
