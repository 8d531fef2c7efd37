"""The budget that a client asks before each request. Replicas share one: ``bot/store/budget.py``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bot.core.budget import BUSY_S, MAX_PAUSE_S, PER_MINUTE, Priority, refusal, slots_of


class Budget(Protocol):
    """Limits the requests to one FloKit workspace within any 60 seconds."""

    async def take(self, priority: Priority) -> None:
        """Take a slot for one request, which goes out now.

        Raises:
            FlokitRateLimited: FloKit asked for a pause; ``retry_after_s`` says when it ends.
            FlokitBudgetSpent: this priority may not ask now; ``retry_after_s`` says when it may.
        """

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

    async def take(self, priority: Priority) -> None:
        """Take a slot; see ``Budget``."""
        now = self._clock()
        mine = self._slots[: slots_of(priority, len(self._slots))]
        free = [slot for slot in mine if slot.free_at <= now]
        if not free:
            earliest = min(mine, key=lambda slot: slot.free_at)
            raise refusal(len(self._slots), earliest.free_at - now, held=earliest.held)
        free[-1].free_at, free[-1].held = now + BUSY_S, False

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
