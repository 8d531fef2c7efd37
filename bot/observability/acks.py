"""Acks come first: other work begins when no request is being acked, nor about to come in a burst."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final

BURST_S: Final = 0.02
"""Requests that follow an ack this closely are a burst, and more of them are likely."""

QUIET_S: Final = 0.01
"""For so long after an ack of a burst, the next request is waited for. Nobody notices this pause."""

LONGEST_WAIT_S: Final = 0.5
"""How long each piece of work waits in a storm of requests that doesn't end: much less than a lease."""


class Acks:
    """Knows when requests wait for their ack in this process, and lets other work begin in between.

    What waited begins piece by piece: if it all began at once, the next ack would wait for all of it.
    """

    def __init__(self) -> None:
        self._being_acked = 0
        self._none_is = asyncio.Event()
        self._none_is.set()
        self._acked_at = 0.0
        self._is_burst = False
        self._turn = asyncio.Lock()
        self._waiting = 0

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Let other work wait until the end of the block."""
        self._being_acked += 1
        self._none_is.clear()
        self._is_burst = time.monotonic() - self._acked_at < BURST_S
        try:
            yield
        finally:
            self._being_acked -= 1
            self._acked_at = time.monotonic()
            if not self._being_acked:
                self._none_is.set()

    async def let_pass(self) -> None:
        """Wait until no request is being acked, and a burst has ended, but not for long."""
        if not self._waiting and not self._being_acked and self._burst_lasts_s <= 0:
            return
        until = asyncio.get_running_loop().time() + LONGEST_WAIT_S
        self._waiting += 1
        try:
            async with self._turn:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._until_quiet()
        finally:
            self._waiting -= 1

    async def _until_quiet(self) -> None:
        await self._none_is.wait()
        while (rest_s := self._burst_lasts_s) > 0:
            await asyncio.sleep(rest_s)
            await self._none_is.wait()

    @property
    def _burst_lasts_s(self) -> float:
        return self._acked_at + QUIET_S - time.monotonic() if self._is_burst else 0.0
