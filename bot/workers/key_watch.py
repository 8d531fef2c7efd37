"""Notices that FloKit refuses a workspace's key for good, so that whoever connected it can be notified."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.core.errors import FlokitDenied, StoreUnavailable
from bot.observability.context import Context
from bot.store.timers import TimerKind, Timers

log = structlog.get_logger(__name__)

CONFIRM_AFTER: Final = timedelta(seconds=30)
"""How much later FloKit must still refuse the key: a proxy, or FloKit itself, may do so for a moment."""

AGAIN_AFTER: Final = timedelta(seconds=5)
"""When to check again if FloKit couldn't be asked at that time."""


class KeyWatch:
    """Watches what FloKit answers to one workspace's key.

    After the first refusal it schedules a check, because nothing else may ask FloKit for days. What's in memory here is
    lost in a restart, and then the next refusal is the first again.

    Args:
        tell: notes that the key is refused; it's called again after a restart, and by other replicas.
        timers: schedules the check.
        context: the workspace.
    """

    def __init__(self, tell: Callable[[FlokitDenied], Awaitable[None]], timers: Timers, context: Context) -> None:
        self._tell = tell
        self._timers = timers
        self._team_id = context.team_id
        self._clock = context.clock
        self._refused_at: datetime | None = None
        self._is_told = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def confirm_at(self) -> datetime | None:
        """When to check again, because FloKit refused the key a moment ago; None if there's no need."""
        if self._refused_at is None or self._is_told:
            return None
        return max(self._refused_at + CONFIRM_AFTER, self._clock() + AGAIN_AFTER)

    def note(self, denied: FlokitDenied | None) -> None:
        """Note an answer: None if FloKit accepted the key."""
        now = self._clock()
        if denied is None:
            self._refused_at = None
        elif self._refused_at is None:
            self._refused_at = now
            self._start(self._timers.put(TimerKind.WATCH, self._team_id, self._team_id, now + CONFIRM_AFTER))
        elif now - self._refused_at >= CONFIRM_AFTER and not self._is_told:
            self._is_told = True
            self._start(self._tell(denied))

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._do(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, work: Awaitable[None]) -> None:
        try:
            await work
        except StoreUnavailable as error:
            log.warning("store_unavailable", worker="key_watch", error=str(error))
            self._refused_at, self._is_told = None, False  # the next refusal begins again
