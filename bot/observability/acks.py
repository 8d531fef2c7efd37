"""Acks come first: background work begins only when no request is being acked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

LONGEST_WAIT_S: Final = 0.05
"""In a storm of requests, work goes on all the same."""


class Acks:
    """Counts the requests that wait for their ack in this process."""

    def __init__(self) -> None:
        self._waiting = 0
        self._none_waits = asyncio.Event()

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Let other work wait until the end of the block."""
        self._waiting += 1
        self._none_waits.clear()
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._none_waits.set()

    async def let_pass(self) -> None:
        """Wait until no request is being acked, but not for long."""
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_WAIT_S):
                    await self._none_waits.wait()
