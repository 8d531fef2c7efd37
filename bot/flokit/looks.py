"""Looks that several callers share, so that FloKit is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from cachetools import TTLCache

from bot.core.errors import FlokitAway, FlokitBudgetSpent

_T = TypeVar("_T")


class SharedLooks(Generic[_T]):
    """Looks that several callers share: those in flight, and those that finished a moment ago.

    A look that failed is never kept. A caller that is cancelled leaves the look to the others.
    """

    def __init__(self, *, kept_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._finished: TTLCache[str, tuple[float, _T]] = TTLCache(maxsize=1024, ttl=kept_s, timer=clock)
        self._in_flight: dict[str, tuple[float, asyncio.Task[_T]]] = {}
        self._tasks: set[asyncio.Task[_T]] = set()

    async def look(self, path: str, start: Callable[[], Coroutine[Any, Any, _T]], *, max_age_s: float) -> _T:
        """Return what a look brings; ``start`` begins one when there is none to share.

        Args:
            path: what is looked at.
            start: called only when a new look is needed.
            max_age_s: share a look, finished or not, only when it began less than this ago.
        """
        oldest = self._clock() - max_age_s
        for _ in range(2):
            if (kept := self._finished.get(path)) is not None and kept[0] > oldest:
                return kept[1]
            if (under_way := self._in_flight.get(path)) is None or under_way[0] <= oldest:
                break
            try:
                return await asyncio.shield(under_way[1])
            except (FlokitBudgetSpent, FlokitAway):
                continue  # whoever began it may ask less often than we may
        return await asyncio.shield(self._begin(path, start()))

    def forget(self, path: str) -> None:
        """What was seen is old news: keep it no longer, nor what a look in flight is about to bring."""
        self._finished.pop(path, None)
        self._in_flight.pop(path, None)

    async def aclose(self) -> None:
        """Cancel all looks in flight and wait until they are gone."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, path: str, look: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(look)
        self._tasks.add(task)
        self._in_flight[path] = self._clock(), task
        task.add_done_callback(partial(self._end, path))
        return task

    def _end(self, path: str, task: asyncio.Task[_T]) -> None:
        self._tasks.discard(task)
        # Asking for the exception also tells asyncio that it was seen, should every caller have been cancelled.
        failed = task.cancelled() or task.exception() is not None
        began_at, newest = self._in_flight.get(path, (0.0, None))
        if newest is not task:
            return
        del self._in_flight[path]
        if not failed:
            self._finished[path] = (began_at, task.result())
