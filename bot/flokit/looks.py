"""Requests that several callers share, so that FloKit is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from cachetools import TTLCache

from bot.core.errors import FlokitAway, FlokitBudgetSpent
from bot.observability.context import now_utc

_T = TypeVar("_T")

_Start: TypeAlias = tuple[float, datetime]
"""When a request began: by the process's clock, in seconds, and by the calendar."""


class SharedLooks(Generic[_T]):
    """Shares results: of requests in flight, and of those that finished a moment ago.

    A failure is never kept. If a caller is cancelled, the request goes on for the others.
    """

    def __init__(self, *, kept_s: float, clock: Callable[[], float], now: Callable[[], datetime] = now_utc) -> None:
        self._clock = clock
        self._now = now
        self._finished: TTLCache[str, tuple[_Start, _T]] = TTLCache(maxsize=1024, ttl=kept_s, timer=clock)
        self._in_flight: dict[str, tuple[_Start, asyncio.Task[_T]]] = {}
        self._tasks: set[asyncio.Task[_T]] = set()

    async def look(self, path: str, start: Callable[[], Coroutine[Any, Any, _T]], *, max_age_s: float) -> _T:
        """Return a shared result, or that of a new request.

        Args:
            path: what is asked for; requests with the same path are shared.
            start: called only if a new request is needed.
            max_age_s: share only a request that began less than this ago, finished or not.
        """
        for _ in range(2):
            if (kept := self._finished.get(path)) is not None and self._age_s(kept[0]) < max_age_s:
                return kept[1]
            if (under_way := self._in_flight.get(path)) is None or self._age_s(under_way[0]) >= max_age_s:
                break
            try:
                return await asyncio.shield(under_way[1])
            except (FlokitBudgetSpent, FlokitAway):
                continue  # the caller that started it may have had a lower priority
        return await asyncio.shield(self._begin(path, start()))

    def forget(self, path: str) -> None:
        """Forget a result, and don't keep that of a request in flight."""
        self._finished.pop(path, None)
        self._in_flight.pop(path, None)

    async def aclose(self) -> None:
        """Cancel all requests in flight and wait until they have ended."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _age_s(self, start: _Start) -> float:
        """Return the longer of both ages: the process's clock may stop while the machine sleeps."""
        began_at, began_on = start
        return max(self._clock() - began_at, (self._now() - began_on).total_seconds())

    def _begin(self, path: str, look: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(look)
        self._tasks.add(task)
        self._in_flight[path] = (self._clock(), self._now()), task
        task.add_done_callback(partial(self._end, path))
        return task

    def _end(self, path: str, task: asyncio.Task[_T]) -> None:
        self._tasks.discard(task)
        # Reading the exception keeps asyncio from warning if every caller was cancelled.
        failed = task.cancelled() or task.exception() is not None
        start, newest = self._in_flight.get(path, (None, None))
        if start is None or newest is not task:
            return
        del self._in_flight[path]
        if not failed:
            self._finished[path] = (start, task.result())
