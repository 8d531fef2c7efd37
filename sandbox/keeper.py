"""Keeps the bot's process running: restarts it after a short pause whenever it exits, or at once if asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

RESTART_PAUSE_S: Final = 1.0


class Process(Protocol):
    """The process to keep running, such as a ``child.BotProcess``."""

    @property
    def pid(self) -> int | None:
        """The process ID, while it's running."""

    async def start(self) -> None:
        """Start it."""

    async def wait(self) -> int:
        """Wait until it exits."""

    async def kill(self) -> None:
        """Kill it."""

    async def stop(self) -> int:
        """Ask it to stop, and wait until it has."""


class BotKeeper:
    """Starts a process, waits until it exits, and starts it again.

    Args:
        restart_pause_s: the pause before a restart, long enough for people to notice.
    """

    def __init__(self, process: Process, restart_pause_s: float = RESTART_PAUSE_S) -> None:
        self._process = process
        self._restart_pause_s = restart_pause_s
        self._listeners: list[Callable[[], None]] = []
        self._at_once = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process ID; None while the bot is down."""
        return self._process.pid

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever the process starts or exits."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Keep it running until cancelled; a running process isn't stopped."""
        await self._start()
        while True:
            await self._process.wait()
            self._tell()
            await asyncio.sleep(0 if self._at_once else self._restart_pause_s)
            self._at_once = False
            self.restarts += 1
            await self._start()

    async def kill(self) -> bool:
        """Kill the process, like a crash; False if it isn't running."""
        if self.pid is None:
            return False
        await self._process.kill()
        return True

    async def restart(self) -> None:
        """Stop the process in good order; it starts again at once."""
        self._at_once = True
        await self._process.stop()

    async def _start(self) -> None:
        await self._process.start()
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()
