"""The budget of requests to FloKit that all replicas share: a hundred rows, each of them a slot.

A slot is taken by one statement, so that two replicas never take the same one. A restart forgets nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from bot.core.budget import BUSY_S, MAX_PAUSE_S, PER_MINUTE, Priority, refusal, slots_of
from bot.store.database import Database
from bot.store.locks import once
from bot.store.tables import budget
from bot.store.transactions import retried

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

_CONTENDED_S = 0.05
"""Every slot that is free was just being taken by others: soon it is known whether one is left."""


class SharedBudget:
    """See ``bot.flokit.budget.Budget``; each method also raises StoreUnavailable when the database is away."""

    def __init__(
        self, database: Database, team_id: str, *, clock: Callable[[], datetime], per_minute: int = PER_MINUTE
    ) -> None:
        self._database = database
        self._team_id = team_id
        self._clock = clock
        self._per_minute = per_minute
        self._is_laid_out = False

    @retried
    async def take(self, priority: Priority) -> None:
        """Note one request, which goes out now."""
        now = self._clock()
        usable = (budget.c.team_id == self._team_id, budget.c.slot < slots_of(priority, self._per_minute))
        free = (
            select(budget.c.slot)
            .where(*usable, budget.c.free_at <= now)
            .order_by(budget.c.slot.desc())
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        await self._lay_out()
        async with self._database.begin() as connection:
            taken = await connection.execute(
                update(budget)
                .where(budget.c.team_id == self._team_id, budget.c.slot == once(free).scalar_subquery())
                .values(free_at=now + timedelta(seconds=BUSY_S), held=False)
            )
            if taken.rowcount == 1:
                return
            earliest = (
                await connection.execute(
                    select(budget.c.free_at, budget.c.held).where(*usable).order_by(budget.c.free_at).limit(1)
                )
            ).one()
        wait_s = (earliest.free_at - now).total_seconds()
        raise refusal(self._per_minute, max(wait_s, _CONTENDED_S), held=earliest.held)

    @retried
    async def hold(self, seconds: float) -> None:
        """Let no replica ask for this long: FloKit said so."""
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
        """Make the slots, once for all replicas and for ever."""
        if self._is_laid_out:
            return
        mine = select(func.count()).where(budget.c.team_id == self._team_id)
        async with self._database.begin() as connection:
            if (await connection.scalar(mine) or 0) < self._per_minute:
                slots = [
                    {"team_id": self._team_id, "slot": slot, "free_at": _LONG_AGO, "held": False}
                    for slot in range(self._per_minute)
                ]
                # Row by row: a statement with a place for each value takes longer to build than all of these to run.
                await connection.execute(self._database.insert(budget).on_conflict_do_nothing(), slots)
        self._is_laid_out = True
