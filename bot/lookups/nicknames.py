"""The names that people gave to integrations, from a copy in memory that is read again when it's old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from bot.core.errors import StoreUnavailable
from bot.core.nicknames import NO_NICKNAMES, Nicknames

KNOWN_FOR: Final = timedelta(seconds=30)
"""How old the copy can be: another replica's change is shown after this time, at the latest.

One read in this time serves all messages of the workspace.
"""


class Naming:
    """What people added to the integrations of one workspace, as it reads to this process."""

    def __init__(self, read: Callable[[], Awaitable[Nicknames]], clock: Callable[[], datetime]) -> None:
        self._read = read
        self._clock = clock
        self._copy: Nicknames | None = None
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()

    async def current(self) -> Nicknames:
        """Return them; while the database is away, as they were last known."""
        async with self._reading:
            now = self._clock()
            if self._copy is None or self._read_at is None or not timedelta() <= now - self._read_at < KNOWN_FOR:
                self._read_at = now
                try:
                    self._copy = await self._read()
                except StoreUnavailable:
                    self._read_at = None
            return self._copy or NO_NICKNAMES

    @property
    def last_known(self) -> Nicknames:
        """What was read last, however long ago."""
        return self._copy or NO_NICKNAMES

    def changed(self) -> None:
        """Have them read again, because this process changed one."""
        self._read_at = None
