"""Looks at FloKit in the background, and weighs every look that anybody makes. It tells nobody: the outbox does.

What was seen, and hints, wait in memory only until the database took them: should they be lost, the next look brings
what they were about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from bot.core.errors import FlokitError, StoreUnavailable
from bot.core.incidents.incidents import Verdict
from bot.core.models import Integration
from bot.flokit import FlokitClient, Priority
from bot.store.bell import Bell
from bot.store.incidents import Incidents, SeenTogether
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim, TimerKind, Timers

log = structlog.get_logger(__name__)

HINTS_EVERY: Final = timedelta(seconds=1)
"""However many hints come, and to however many replicas, a workspace is looked at once in this time."""

SAME_AGAIN_AFTER: Final = timedelta(seconds=30)
"""A look that shows what the one before showed is weighed again only after this time: time itself changes things."""

WAITING: Final = 100
AWAY_S: Final = 1.0
IDLE_S: Final = 60.0


class Watcher:
    """Watches one workspace.

    Args:
        incidents: what weighs and remembers.
        subscriptions: whether anybody wants to know.
        timers: where the next look stands.
        team_id: the workspace.
        every_s: seconds between two looks.
        clock: the time now, aware.
    """

    def __init__(
        self,
        incidents: Incidents,
        subscriptions: Subscriptions,
        timers: Timers,
        *,
        team_id: str,
        every_s: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._incidents = incidents
        self._subscriptions = subscriptions
        self._timers = timers
        self._team_id = team_id
        self._every_s = every_s
        self._clock = clock
        self._rang = Bell()
        self._weighing = asyncio.Lock()
        self._seen: list[SeenTogether] = []
        self._hinted = False
        self._weighed: dict[str, tuple[Integration, datetime]] = {}

    def note(self, integrations: tuple[Integration, ...], at: datetime, whole: bool) -> None:
        """Take what a look brought, whoever asked for it; it is weighed soon."""
        seen = SeenTogether(integrations, at, whole)
        if self._is_old_news(seen):
            return
        self._seen = [*self._seen, seen][-WAITING:]
        self._rang.ring()

    def hint(self) -> None:
        """Somebody says that something happened: look soon."""
        self._hinted = True
        self._rang.ring()

    async def run(self) -> None:
        """Weigh what is seen, and follow hints, until cancelled."""
        while True:
            await self._rang.wait(IDLE_S)
            try:
                await self._follow_hint()
                await self._weigh()
            except StoreUnavailable as error:
                log.warning("store_unavailable", worker="watcher", error=str(error))
                await asyncio.sleep(AWAY_S)
                self._rang.ring()

    async def look(self, flokit: FlokitClient, claim: TimerClaim) -> None:
        """Look at everything, as a timer asked for, and note when to look again: while anybody wants to know."""
        try:
            await flokit.fetch_integrations(priority=Priority.BACKGROUND, max_age_s=0)
        except FlokitError as error:  # says nothing about the integrations: nothing to tell
            log.info("background_check_failed", error=str(error))
        again_at = await self._weigh()
        wanted = any(one.paused is None for one in await self._subscriptions.all())
        next_at = self._clock() + timedelta(seconds=self._every_s)
        await self._timers.finish(claim, min(next_at, again_at or next_at) if wanted else None)

    async def _follow_hint(self) -> None:
        if not self._hinted:
            return
        self._hinted = False  # first: a hint that comes while this one is saved must not be taken for it
        try:
            await self._timers.put(TimerKind.WATCH, self._team_id, self._team_id, self._next_beat())
        except StoreUnavailable:
            self._hinted = True
            raise

    def _next_beat(self) -> datetime:
        """Return the end of this second: replicas that hear of the same storm ask for one look."""
        every_s = HINTS_EVERY.total_seconds()
        return datetime.fromtimestamp((self._clock().timestamp() // every_s + 1) * every_s, UTC)

    async def _weigh(self) -> datetime | None:
        """Weigh all that was seen, in order; returns when somebody should look again to be sure."""
        again_at: list[datetime] = []
        async with self._weighing:
            while self._seen:
                seen = self._seen[0]
                verdicts = await self._incidents.observe(seen, self._clock())
                self._seen = self._seen[1:] if self._seen[0] is seen else self._seen
                self._remember(seen, verdicts)
                again_at += [verdict.look_again_at for verdict in verdicts if verdict.look_again_at]
        return min(again_at, default=None)

    def _remember(self, seen: SeenTogether, verdicts: list[Verdict]) -> None:
        """Keep what needs no second look, so that the same is not weighed all the time."""
        if seen.whole:
            self._weighed.clear()
        unsure = set()
        for verdict in verdicts:
            if verdict.look_again_at:
                unsure.add(verdict.watched.integration_id)
            if verdict.change and verdict.incident:
                log.info("incident_told", change=verdict.change, incident_id=verdict.incident.id)
        self._weighed.update({one.id: (one, seen.at) for one in seen.integrations if one.id not in unsure})

    def _is_old_news(self, seen: SeenTogether) -> bool:
        """Tell whether it shows just what was weighed a moment ago."""
        if seen.whole and len(seen.integrations) != len(self._weighed):
            return False
        return all(self._knows(one, seen.at) for one in seen.integrations)

    def _knows(self, integration: Integration, at: datetime) -> bool:
        known = self._weighed.get(integration.id)
        return known is not None and known[0] == integration and at - known[1] < SAME_AGAIN_AFTER
