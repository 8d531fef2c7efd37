"""Wakes the loops of this process; other replicas find work by looking."""

from __future__ import annotations

import asyncio
from enum import StrEnum


class Work(StrEnum):
    """What there can be more of: a loop of each process waits for each."""

    REQUESTS = "requests"
    RUNS = "runs"
    MESSAGES = "messages"
    TIMERS = "timers"


class Bell:
    """Wakes a loop in this process when the store has work for it; other replicas find it by looking."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def is_rung(self) -> bool:
        """Tell whether somebody rang since the last wait."""
        return self._event.is_set()

    def ring(self) -> None:
        """Wake whoever waits, or the next who will."""
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when the bell rings, or after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()
