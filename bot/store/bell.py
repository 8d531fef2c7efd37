"""Wakes the loops of this process when there's new work; other replicas find it by polling."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class Work(StrEnum):
    """The kinds of work; in each process, one loop waits for each."""

    REQUESTS = "requests"
    RUNS = "runs"
    MESSAGES = "messages"
    TIMERS = "timers"


@dataclass(frozen=True, slots=True)
class Lease:
    """Which process can do a piece of work, and until when."""

    owner: str
    until: datetime


class Hands(Protocol):
    """A loop that takes a piece of work that was just written, without a query."""

    def reserve(self, now: datetime, team_id: str) -> Lease | None:
        """Reserve a slot for one piece; None if all are taken, or if other work of the workspace may wait for them."""

    def release(self, team_id: str) -> None:
        """Release a slot."""

    def accept(self, piece: Any) -> None:
        """Start a piece whose lease this process holds."""


class Bell:
    """Wakes a loop when the store has work for it, now or at a known time."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._is_rung = False
        self._times: list[datetime] = []
        self.hands: Hands | None = None
        """The loop, while it runs."""

    @property
    def is_rung(self) -> bool:
        """Whether there's work since the last wait."""
        return self._is_rung

    def ring(self, at: datetime | None = None) -> None:
        """Wake the loop, now or at a time; a loop that isn't waiting yet won't wait."""
        if at is None:
            self._is_rung = True
        else:
            heapq.heappush(self._times, at)
        self._event.set()

    async def wait(self, longest_s: float, clock: Callable[[], datetime]) -> bool:
        """Return True when it's rung or a time has come, or False after ``longest_s``."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + longest_s
        while not self._has_come(clock()):
            wait_s = ends_at - loop.time()
            if wait_s <= 0:
                return False
            if self._times:
                wait_s = min(wait_s, (self._times[0] - clock()).total_seconds())
            self._event.clear()
            try:
                async with asyncio.timeout(max(wait_s, 0.001)):
                    await self._event.wait()
            except TimeoutError:
                pass
        self._is_rung = False
        return True

    def _has_come(self, now: datetime) -> bool:
        while self._times and self._times[0] <= now:
            heapq.heappop(self._times)
            self._is_rung = True
        return self._is_rung
