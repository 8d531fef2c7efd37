"""Keeps the bot's process running: whenever it ends, it is started again after a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

RESTART_PAUSE_S: Final = 1.0


class Process(Protocol):
    """What is kept running; ``child.BotProcess`` is one."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""

    async def start(self) -> None:
        """Start it."""

    async def wait(self) -> int:
        """Wait for its end."""

    async def kill(self) -> None:
        """End it at once."""


class BotKeeper:
    """Starts a process, waits for its end, and begins again.

    Args:
        restart_pause_s: how long it stays away, so that people can see that it is.
    """

    def __init__(self, process: Process, restart_pause_s: float = RESTART_PAUSE_S) -> None:
        self._process = process
        self._restart_pause_s = restart_pause_s
        self._listeners: list[Callable[[], None]] = []
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process id; None while the bot is away."""
        return self._process.pid

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever the process starts or ends."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Keep it running until cancelled; the process itself is left as it is."""
        await self._start()
        while True:
            await self._process.wait()
            self._tell()
            await asyncio.sleep(self._restart_pause_s)
            self.restarts += 1
            await self._start()

    async def kill(self) -> bool:
        """End the process as a crash would; False when it does not run."""
        if self.pid is None:
            return False
        await self._process.kill()
        return True

    async def _start(self) -> None:
        await self._process.start()
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()
