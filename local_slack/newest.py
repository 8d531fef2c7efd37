"""A list that keeps only its newest items, so that a local Slack can run for days."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class Newest(list[T]):
    """A list whose ``append`` drops the oldest items beyond ``most``; None keeps everything.

    A list instead of a ``deque(maxlen=…)``, so that tests can slice it.
    """

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._most = most

    def append(self, item: T) -> None:
        """Add an item, and drop the oldest one beyond the limit."""
        super().append(item)
        if self._most is not None and len(self) > self._most:
            del self[: len(self) - self._most]
