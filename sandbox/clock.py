"""The sandbox's clock: the real time plus an offset stored in a file.

All processes of a sandbox read the same file and move together. The clock never goes back.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


def until_morning(now: datetime) -> timedelta:
    """Return the time until tomorrow 08:59 UTC, a minute before many digests."""
    morning = (now + timedelta(days=1)).replace(hour=8, minute=59, second=0, microsecond=0)
    return morning - now


class WorldClock:
    """The time in one sandbox.

    Args:
        path: the file with the offset in seconds; without it, real time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version = (0, 0)
        self._moved_s = 0.0

    @property
    def moved_s(self) -> float:
        """How far the clock is ahead of real time; each read checks the file's date."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return self._moved_s
        version = stat.st_mtime_ns, stat.st_ino
        if version != self._version:
            self._moved_s = max(self._moved_s, float(self.path.read_text()))
            self._version = version
        return self._moved_s

    def now(self) -> datetime:
        """Read the clock."""
        return datetime.now(UTC) + timedelta(seconds=self.moved_s)

    def time(self) -> float:
        """Read the clock, in Unix seconds."""
        return time.time() + self.moved_s

    def move(self, by: timedelta) -> None:
        """Move the clock ahead, for all processes.

        Raises:
            ValueError: the step is negative; stored times would be in the future.
        """
        if by < timedelta(0):
            raise ValueError("the clock only moves forward")
        written = self.path.with_name(f"{self.path.name}.new")
        written.write_text(repr(self.moved_s + by.total_seconds()))
        written.replace(self.path)  # atomic: a concurrent reader gets the old or the new one
