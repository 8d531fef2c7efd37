"""Waiting for a state instead of for a time: the predicate is evaluated again after every change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NotYet(TimeoutError):
    """The predicate didn't become true in time."""


class Changes:
    """Notifies all waiters of changes."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def note(self) -> None:
        """Wake all waiters."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait_for(self, predicate: Callable[[], T], timeout_s: float, explain: Callable[[], str]) -> T:
        """Return the predicate's first truthy value.

        Raises:
            NotYet: it stayed falsy; the message is from ``explain``.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            upcoming = self._next
            value = predicate()
            if value:
                return value
            if asyncio.get_running_loop().time() >= deadline:
                raise NotYet(f"not within {timeout_s} s: {explain()}")
            await _wait_until(upcoming, deadline)


async def _wait_until(event: asyncio.Event, deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await event.wait()
    except TimeoutError:
        return
