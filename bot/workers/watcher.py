"""Checks FloKit in the background, and evaluates every reading. Notifications go through the outbox.

Readings and hints are in memory until the database has them; if they're lost, the next check finds the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from bot.core.errors import FlokitError, StoreUnavailable
from bot.core.incidents.incidents import Verdict
from bot.core.models import Integration
from bot.core.subscriptions.subscriptions import Subscription
from bot.flokit import FlokitClient, Priority
from bot.observability.context import Context
from bot.store.incidents import Incidents, SeenTogether
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim, TimerKind, Timers
from bot.workers.counting import Counting

log = structlog.get_logger(__name__)

HINTS_EVERY: Final = timedelta(seconds=1)
"""However many hints arrive at however many replicas, a workspace is checked once within this time."""

SAME_AGAIN_AFTER: Final = timedelta(seconds=30)
"""A reading without changes is evaluated again only after this time, because time alone can make it stale."""

WAITING: Final = 100
AWAY_S: Final = 1.0


async def _never(_: list[Subscription]) -> datetime | None:
    return None


class Watcher:
    """Watches one workspace.

    Args:
        incidents: evaluates and stores readings.
        subscriptions: whether anyone is subscribed.
        timers: schedules the next check.
        counting: counts the events of what synced.
        context: the workspace.
        every_s: seconds between two checks.
    """

    def __init__(
        self,
        incidents: Incidents,
        subscriptions: Subscriptions,
        timers: Timers,
        counting: Counting,
        context: Context,
        *,
        every_s: float,
    ) -> None:
        self._incidents = incidents
        self._subscriptions = subscriptions
        self._timers = timers
        self._counting = counting
        self._team_id = context.team_id
        self._every_s = every_s
        self._clock = context.clock
        self._spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] | None = None
        self._working: asyncio.Task[None] | None = None
        self._weighing = asyncio.Lock()
        self._seen: list[SeenTogether] = []
        self._hinted = False
        self._weighed: dict[str, tuple[Integration, datetime]] = {}
        self._whole_at: datetime | None = None
        """When a list was last compared with everything that the database knows."""

    def note(self, integrations: tuple[Integration, ...], at: datetime, whole: bool) -> None:
        """Queue a reading, for whatever reason it was made, for evaluation."""
        whole = whole and self._needs_whole({one.id for one in integrations}, at)
        if not whole:
            integrations = tuple(one for one in integrations if not self._knows(one, at))
        if not (integrations or whole):
            return
        seen = SeenTogether(integrations, at, whole)
        self._seen = [*self._seen, seen][-WAITING:]
        self._wake()

    def hint(self) -> None:
        """Check soon, because something may have happened."""
        self._hinted = True
        self._wake()

    def start(self, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        """Evaluate readings and follow hints from now on, each time in a new task: idle workspaces have none."""
        self._spawn = spawn
        self._wake()

    async def stop(self) -> None:
        """Stop doing so."""
        self._spawn = None
        if self._working:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    def _wake(self) -> None:
        if self._spawn and self._working is None and (self._hinted or self._seen):
            self._working = self._spawn(self._work())

    async def _work(self) -> None:
        """Work until nothing is left."""
        try:
            while self._hinted or self._seen:
                try:
                    await self._follow_hint()
                    await self._weigh()
                except StoreUnavailable as error:
                    log.warning("store_unavailable", worker="watcher", error=str(error))
                    await asyncio.sleep(AWAY_S)
        finally:
            self._working = None

    async def look(
        self,
        flokit: FlokitClient,
        claim: TimerClaim,
        *,
        confirm_at: Callable[[], datetime | None] = lambda: None,
        escalate: Callable[[list[Subscription]], Awaitable[datetime | None]] = _never,
    ) -> None:
        """Check all integrations, and schedule the next check while anyone is subscribed.

        ``confirm_at`` returns when another check is needed in any case, which the claimed timer can't be asked for.
        ``escalate`` escalates what no one is on, and returns when the next one is due.
        """
        await self._counting.know_what_is_expected()
        listed: tuple[Integration, ...] = ()
        try:
            listed = (await flokit.fetch_integrations(priority=Priority.BACKGROUND, max_age_s=0)).integrations
        except FlokitError as error:  # says nothing about the integrations
            log.info("background_check_failed", error=str(error))
        again_at = await self._weigh()
        subscriptions = await self._subscriptions.all()
        wanted = any(one.paused is None for one in subscriptions)
        if wanted and listed:
            counted = await self._counting.count(flokit, listed)
            self._seen = [*self._seen, *counted]  # others were queued or evaluated meanwhile
            again_at = min(filter(None, (again_at, await self._weigh())), default=None)
        escalates_at = await escalate(subscriptions) if wanted else None
        next_at = self._clock() + timedelta(seconds=self._every_s)
        soonest = min(next_at, again_at or next_at, escalates_at or next_at) if wanted else None
        await self._timers.finish(claim, min(filter(None, (soonest, confirm_at())), default=None))

    async def _follow_hint(self) -> None:
        if not self._hinted:
            return
        self._hinted = False  # first, so that a hint that arrives while this one is saved isn't lost
        try:
            await self._timers.put(TimerKind.WATCH, self._team_id, self._team_id, self._next_beat())
        except StoreUnavailable:
            self._hinted = True
            raise

    def _next_beat(self) -> datetime:
        """Return the end of this second, so that replicas that get the same hints schedule one check."""
        every_s = HINTS_EVERY.total_seconds()
        return datetime.fromtimestamp((self._clock().timestamp() // every_s + 1) * every_s, UTC)

    async def _weigh(self) -> datetime | None:
        """Evaluate all readings in order; return when to check again for confirmation."""
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
        """Keep readings that need no second check, so that the same isn't evaluated all the time."""
        if seen.whole:
            self._weighed.clear()
            self._whole_at = seen.at
        unsure = set()
        for verdict in verdicts:
            if verdict.look_again_at:
                unsure.add(verdict.watched.integration_id)
            if verdict.change and verdict.incident:
                log.info("incident_told", change=verdict.change, incident_id=verdict.incident.id)
        self._weighed.update({one.id: (one, seen.at) for one in seen.integrations if one.id not in unsure})

    def _needs_whole(self, ids: set[str], at: datetime) -> bool:
        """Whether an integration may be missing from a list: one that another replica knew is in no memory of ours."""
        is_recent = self._whole_at is not None and at - self._whole_at < SAME_AGAIN_AFTER
        return not is_recent or ids != set(self._weighed)

    def _knows(self, integration: Integration, at: datetime) -> bool:
        """Whether it's the same as evaluated a moment ago."""
        known = self._weighed.get(integration.id)
        return known is not None and known[0] == integration and at - known[1] < SAME_AGAIN_AFTER
