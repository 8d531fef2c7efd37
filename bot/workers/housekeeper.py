"""Housekeeping of each process: heartbeat, releasing work of frozen processes, deleting old data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.core.errors import StoreUnavailable
from bot.store.replicas import ALIVE_S, Replicas
from bot.store.retention import Retention

log = structlog.get_logger(__name__)

TURN_S: Final = 1.0
BEAT_EVERY: Final = timedelta(seconds=10)
PURGE_EVERY: Final = timedelta(hours=1)
FORGET_EVERY: Final = timedelta(minutes=1)


class Housekeeper:
    """Runs in the background beside the workers.

    Args:
        replicas: the living processes.
        retention: deletes old data.
        keep: how long finished data is kept.
        clock: the time now, aware.
        connections: returns the number of the app's sockets from Slack's last hello; None over HTTP.
    """

    def __init__(
        self,
        replicas: Replicas,
        retention: Retention,
        *,
        keep: timedelta,
        clock: Callable[[], datetime],
        connections: Callable[[], int | None],
    ) -> None:
        self._replicas = replicas
        self._retention = retention
        self._keep = keep
        self._clock = clock
        self._connections = connections
        self._warned_of = 0
        self._shared_since: datetime | None = None
        self._warned_of_sharing = False
        self._beat_at = self._purge_at = self._forget_at = clock()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.turn()
            except StoreUnavailable as error:
                log.warning("store_unavailable", worker="housekeeper", error=str(error))
            await asyncio.sleep(TURN_S)

    async def turn(self) -> None:
        """Release the work of frozen processes; occasionally do the rest."""
        if ended := await self._replicas.end_stalled():
            log.warning("stalled_sessions_ended", sessions=ended)
        if self._clock() >= self._beat_at:
            self._beat_at = self._clock() + BEAT_EVERY
            await self.beat()

    async def beat(self) -> None:
        """Do what is due now."""
        alive = await self._replicas.note(self._clock())
        self._compare(alive)
        if self._replicas.is_for_one:
            self._look_for_others(alive)
        if self._clock() >= self._forget_at:
            await self._retention.forget_response_urls(self._clock())
            self._forget_at = self._clock() + FORGET_EVERY
        if self._clock() >= self._purge_at:
            await self._purge()
            self._purge_at = self._clock() + PURGE_EVERY

    def _compare(self, alive: int) -> None:
        """Warn, once per number, if there are more sockets than replicas, because some clicks then go elsewhere."""
        open_sockets = self._connections() or 0
        if open_sockets > alive and open_sockets != self._warned_of:
            log.warning("unexpected_socket_count", connections=open_sockets, replicas=alive)
        self._warned_of = open_sockets if open_sockets > alive else 0

    def _look_for_others(self, alive: int) -> None:
        """Warn once if another process uses the same file; a killed one seems to for ``ALIVE_S``."""
        if alive < 2:
            self._shared_since, self._warned_of_sharing = None, False
            return
        now = self._clock()
        self._shared_since = self._shared_since or now
        if now - self._shared_since > timedelta(seconds=ALIVE_S) and not self._warned_of_sharing:
            log.warning("file_shared", replicas=alive)
            self._warned_of_sharing = True

    async def _purge(self) -> None:
        before, deleted = self._clock() - self._keep, 0
        while batch := await self._retention.purge(before):
            deleted += batch
        if deleted:
            log.info("purged", rows=deleted)
