"""The budget that a client asks before each request. Replicas share one: ``bot/store/budget.py``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from bot.core.budget import BUSY_S, MAX_PAUSE_S, PER_MINUTE, Priority, refusal, slots_of
from bot.core.errors import StoreUnavailable

FRESH_S: Final = BUSY_S - 60
"""How old a slot may be when FloKit gets the request."""

ATTEMPTS: Final = 3
"""How often a slot is taken again because taking it took that long."""


class Budget(Protocol):
    """Limits the requests to one FloKit workspace within any 60 seconds."""

    async def take(self, priority: Priority) -> int:
        """Take a slot for one request, which goes out now; returns its number.

        Raises:
            FlokitRateLimited: FloKit asked for a pause; ``retry_after_s`` says when it ends.
            FlokitBudgetSpent: this priority may not ask now; ``retry_after_s`` says when it may.
        """

    async def renew(self, slot: int) -> None:
        """Keep a slot taken for a minute from now, because its request may have gone out as late as that."""

    async def hold(self, seconds: float) -> None:
        """Stop all requests for this long (at most 300 s), because FloKit asked for it."""

    async def left(self) -> int:
        """Return how many requests clicks could make now."""


@dataclass(slots=True)
class _Slot:
    free_at: float = float("-inf")
    held: bool = False


class LocalBudget:
    """A budget for this process alone: for ``flokit-bot check``, and for tests."""

    def __init__(self, per_minute: int = PER_MINUTE, *, clock: Callable[[], float] = time.monotonic) -> None:
        if per_minute < 1:
            raise ValueError("a budget needs at least one request a minute")
        self._clock = clock
        self._slots = [_Slot() for _ in range(per_minute)]

    async def take(self, priority: Priority) -> int:
        """Take a slot; see ``Budget``."""
        now = self._clock()
        mine = self._slots[: slots_of(priority, len(self._slots))]
        free = [number for number, slot in enumerate(mine) if slot.free_at <= now]
        if not free:
            earliest = min(mine, key=lambda slot: slot.free_at)
            raise refusal(len(self._slots), earliest.free_at - now, held=earliest.held)
        mine[free[-1]].free_at, mine[free[-1]].held = now + BUSY_S, False
        return free[-1]

    async def renew(self, slot: int) -> None:
        """Keep a slot taken; see ``Budget``."""
        self._slots[slot].free_at = max(self._slots[slot].free_at, self._clock() + BUSY_S)

    async def hold(self, seconds: float) -> None:
        """Stop all requests; see ``Budget``."""
        until = self._clock() + min(seconds, MAX_PAUSE_S)
        for slot in self._slots:
            if slot.free_at < until:
                slot.free_at, slot.held = until, True

    async def left(self) -> int:
        """Count the free slots."""
        now = self._clock()
        return sum(slot.free_at <= now for slot in self._slots)


class Place:
    """The place of one request in the budget: a slot that's taken until a minute after FloKit got the request.

    FloKit counts a request when it arrives, and the budget when its slot is taken. A process that stands still in
    between, or a slow connection, would make one request too many within a minute. So a slot that aged is taken again
    right before the request is sent, and one whose request took long is renewed at its end. It ages by either clock:
    slots are freed by the time of day, which goes on while a machine is suspended, and monotonic seconds don't.

    Args:
        budget: where the slot is taken.
        priority: whose request it is.
        clock: monotonic seconds.
        now: the time by which slots are freed.
    """

    def __init__(
        self, budget: Budget, priority: Priority, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._budget = budget
        self._priority = priority
        self._clock = clock
        self._now = now
        self._slot = -1
        self._fresh_until = 0.0, datetime.min.replace(tzinfo=UTC)

    async def take(self) -> None:
        """Take a slot, and another if a frozen process or a slow database let the first one age.

        Raises:
            FlokitRateLimited, FlokitBudgetSpent: as ``Budget.take``.
        """
        for _ in range(ATTEMPTS):
            fresh_until = self._clock() + FRESH_S, self._now() + timedelta(seconds=FRESH_S)
            self._slot = await self._budget.take(self._priority)
            self._fresh_until = fresh_until
            if self._is_fresh():
                return

    async def keep_fresh(self) -> None:
        """Take another slot if ours has aged: call it right before the request is sent. Raises what ``take`` raises."""
        if not self._is_fresh():
            await self.take()

    async def leave(self) -> None:
        """Renew the slot if its request took long, because it's unknown when in that time FloKit received it."""
        if not self._is_fresh():
            with contextlib.suppress(StoreUnavailable):  # FloKit's reply counts, whether or not this can be saved
                await self._budget.renew(self._slot)

    def _is_fresh(self) -> bool:
        by_clock, by_time = self._fresh_until
        return self._clock() < by_clock and self._now() < by_time
