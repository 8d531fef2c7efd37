"""The budget of FloKit requests that all replicas share: a hundred rows, each of which is a slot.

A slot is taken by one statement, so that two replicas never take the same one. A restart forgets nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import and_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from bot.core.budget import BUSY_S, MAX_PAUSE_S, PER_MINUTE, Priority, refusal, slots_of
from bot.store.database import Database
from bot.store.locks import once
from bot.store.statements import constant
from bot.store.tables import budget
from bot.store.transactions import retried

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

_CONTENDED_S = 0.05
"""Every free slot was just being taken by others: it'll soon be known whether one is left."""


_USABLE: Final = and_(budget.c.team_id == bindparam("team"), budget.c.slot < bindparam("slots"))
_FREE: Final = (
    select(budget.c.slot)
    .where(_USABLE, budget.c.free_at <= bindparam("now"))
    .order_by(budget.c.slot.desc())
    .limit(1)
    .with_for_update(skip_locked=True)
)
_TAKE: Final = constant(
    update(budget)
    .where(budget.c.team_id == bindparam("team"), budget.c.slot == once(_FREE).scalar_subquery())
    .values(free_at=bindparam("until"), held=False)
    .returning(budget.c.slot)
)
_RENEW: Final = constant(
    update(budget)
    .where(budget.c.team_id == bindparam("team"), budget.c.slot == bindparam("taken"))
    .where(budget.c.free_at < bindparam("until"))
    .values(free_at=bindparam("until"))
)
_EARLIEST: Final = constant(select(budget.c.free_at, budget.c.held).where(_USABLE).order_by(budget.c.free_at).limit(1))


class SharedBudget:
    """See ``bot.flokit.budget.Budget``; each method also raises StoreUnavailable if the database is unavailable."""

    def __init__(
        self, database: Database, team_id: str, *, clock: Callable[[], datetime], per_minute: int = PER_MINUTE
    ) -> None:
        self._database = database
        self._team_id = team_id
        self._clock = clock
        self._per_minute = per_minute
        self._is_laid_out = False

    @retried
    async def take(self, priority: Priority) -> int:
        """Note one request, which goes out now."""
        now = self._clock()
        about = {"team": self._team_id, "slots": slots_of(priority, self._per_minute)}
        await self._lay_out()
        async with self._database.begin(is_light=True) as connection:
            until = now + timedelta(seconds=BUSY_S)
            slot: int | None = await connection.scalar(_TAKE, about | {"now": now, "until": until})
            if slot is not None:
                return slot
            earliest = (await connection.execute(_EARLIEST, about)).one()
        wait_s = (earliest.free_at - now).total_seconds()
        raise refusal(self._per_minute, max(wait_s, _CONTENDED_S), held=earliest.held)

    @retried
    async def renew(self, slot: int) -> None:
        """Keep a slot taken for a minute from now."""
        until = self._clock() + timedelta(seconds=BUSY_S)
        async with self._database.begin(is_light=True) as connection:
            await connection.execute(_RENEW, {"team": self._team_id, "taken": slot, "until": until})

    @retried
    async def hold(self, seconds: float) -> None:
        """Let no replica send requests for this long, because FloKit asked for a pause."""
        until = self._clock() + timedelta(seconds=min(seconds, MAX_PAUSE_S))
        await self._lay_out()
        held = select(budget.c.slot).where(budget.c.team_id == self._team_id, budget.c.free_at < until)
        slots = held.order_by(budget.c.slot).with_for_update(key_share=True)
        async with self._database.begin() as connection:
            await connection.execute(
                update(budget)
                .where(budget.c.team_id == self._team_id, budget.c.slot.in_(once(slots)))
                .values(free_at=until, held=True)
            )

    async def left(self) -> int:
        """Count the free slots."""
        free = select(func.count()).where(budget.c.team_id == self._team_id, budget.c.free_at <= self._clock())
        await self._lay_out()
        async with self._database.read() as connection:
            return await connection.scalar(free) or 0

    @retried
    async def _lay_out(self) -> None:
        """Create the slots, once for all replicas."""
        if self._is_laid_out:
            return
        mine = select(func.count()).where(budget.c.team_id == self._team_id)
        async with self._database.begin() as connection:
            if (await connection.scalar(mine) or 0) < self._per_minute:
                slots = [
                    {"team_id": self._team_id, "slot": slot, "free_at": _LONG_AGO, "held": False}
                    for slot in range(self._per_minute)
                ]
                # Row by row: a statement with a parameter for each value takes longer to build than these to run.
                await connection.execute(insert(budget).on_conflict_do_nothing(), slots)
        self._is_laid_out = True
