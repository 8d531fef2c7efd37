"""Counts the events of integrations after their successful syncs, to notice those that bring too few."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.core.errors import FlokitError, FlokitMissing
from bot.core.models import Integration, Status
from bot.core.volumes.volume import reading_of
from bot.flokit import FlokitClient, Priority
from bot.lookups.nicknames import Naming
from bot.observability.context import Context
from bot.store.incidents import SeenTogether
from bot.store.volumes import Counted, Volumes

log = structlog.get_logger(__name__)

COUNT_EVERY: Final = 30
"""An integration is counted again after this many checks at the earliest, however often it syncs."""

AT_ONCE: Final = 10
"""How many integrations are counted in one check, because each costs a request to FloKit."""

JUST_AFTER: Final = timedelta(microseconds=1)
"""The reading itself was evaluated already, without what it counts."""


class Counting:
    """Counts the events of one workspace's integrations.

    Only the list is read in every check, and it has no counts. So those that synced since they were last counted are
    fetched one by one, a few in each check.

    Args:
        volumes: what was counted.
        naming: what people expect.
        context: the workspace.
        every_s: seconds between two checks.
    """

    def __init__(self, volumes: Volumes, naming: Naming, context: Context, *, every_s: float) -> None:
        self._volumes = volumes
        self._naming = naming
        self._clock = context.clock
        self._every = timedelta(seconds=COUNT_EVERY * every_s)
        self._asked_at: dict[str, datetime] = {}
        """When each was last fetched: one whose page shows no counts is never stored."""

    async def know_what_is_expected(self) -> None:
        """Read what people expect, before anything is compared with it."""
        await self._naming.current()

    async def count(self, flokit: FlokitClient, listed: Sequence[Integration]) -> list[SeenTogether]:
        """Count the events of some of the integrations that synced, and return what that showed.

        Raises:
            StoreUnavailable: the database is away.
        """
        counted = await self._volumes.counted()
        self._asked_at = {one.id: self._asked_at[one.id] for one in listed if one.id in self._asked_at}
        due = [one for one in listed if self._is_due(one, counted.get(one.id))]
        seen = []
        for one in sorted(due, key=lambda one: _counted_at(counted.get(one.id)))[:AT_ONCE]:
            self._asked_at[one.id] = self._clock()
            try:
                detail = await flokit.fetch_integration(one.id, priority=Priority.BACKGROUND)
            except FlokitError as error:
                log.info("events_not_counted", integration_id=one.id, error=str(error))
                if isinstance(error, FlokitMissing):
                    continue
                break
            if reading := reading_of(detail.integration, detail.as_of):
                expectation = self._naming.last_known.of(one.id).expected
                volume = await self._volumes.add(one.id, reading, expectation)
                at = detail.as_of + JUST_AFTER
                seen.append(SeenTogether((detail.integration,), at, whole=False, shortfalls={one.id: volume.shortfall}))
        return seen

    def _is_due(self, listed: Integration, counted: Counted | None) -> bool:
        if listed.status != Status.CONNECTED or listed.last_synced_at is None:
            return False
        now, asked_at = self._clock(), self._asked_at.get(listed.id)
        if asked_at is not None and timedelta() <= now - asked_at < self._every:
            return False
        return counted is None or (listed.last_synced_at > counted.synced_at and now - counted.read_at >= self._every)


def _counted_at(counted: Counted | None) -> float:
    return counted.read_at.timestamp() if counted else 0.0
