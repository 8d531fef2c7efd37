"""Unrest: integrations fail and recover at random for a while. At the end, everything it broke is repaired."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

from sandbox.local_flokit.local import LocalFlokit
from sandbox.local_flokit.sources import STRIPE_ERROR

SEED: Final = 5
PAUSE_S: Final = (4.0, 14.0)
"""Between two changes: some failures last long enough to be posted, some don't."""

MOST_BROKEN: Final = 3
ERRORS: Final = (
    STRIPE_ERROR,
    "The API key was revoked",
    "The upstream API answered 503 four times",
    "The access token has expired",
)


class Unrest:
    """Breaks connected integrations, and repairs those it broke.

    Args:
        seed: the same seed breaks the same integrations.
        pause_s: the shortest and the longest time between two changes.
    """

    def __init__(self, flokit: LocalFlokit, *, seed: int = SEED, pause_s: tuple[float, float] = PAUSE_S) -> None:
        self._flokit = flokit
        self._random = random.Random(seed)  # noqa: S311 - it is to be repeatable
        self._pause_s = pause_s
        self._broken: list[str] = []
        self._raging: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether it's running."""
        return self._raging is not None and not self._raging.done()

    def begin(self, for_s: float, on_end: Callable[[], None]) -> None:
        """Run for ``for_s`` seconds; ``on_end`` is called when everything is repaired."""
        self._raging = asyncio.create_task(self._rage(for_s))
        self._raging.add_done_callback(lambda _task: on_end())

    async def end(self) -> None:
        """Stop now and repair what it broke."""
        if self._raging is not None:
            self._raging.cancel()
            await asyncio.gather(self._raging, return_exceptions=True)

    async def _rage(self, for_s: float) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(for_s):
                    while True:
                        self.change()
                        await asyncio.sleep(self._random.uniform(*self._pause_s))
        finally:
            for integration_id in self._still_broken():
                self._flokit.repair(integration_id)

    def change(self) -> None:
        """Break another integration, or repair one."""
        self._broken = self._still_broken()
        whole = [source.id for source in self._flokit.sources() if source.status == "connected"]
        breaks = len(self._broken) < MOST_BROKEN and (not self._broken or self._random.random() < 0.5)
        if breaks and whole:
            self._broken.append(self._random.choice(whole))
            self._flokit.set(self._broken[-1], status="error", error_message=self._random.choice(ERRORS))
        elif self._broken:
            self._flokit.repair(self._broken.pop(self._random.randrange(len(self._broken))))

    def _still_broken(self) -> list[str]:
        """Return what it broke, except for integrations since repaired, syncing or removed."""
        failing = {source.id for source in self._flokit.sources() if source.status == "error"}
        return [integration_id for integration_id in self._broken if integration_id in failing]
