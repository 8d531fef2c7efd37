"""Draws App Homes, when people open them and when something in them changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.policy import Refused, Verb
from bot.core.errors import FlokitError, SlackError, SlackRateLimited
from bot.core.models import Person
from bot.core.requests import Origin
from bot.flokit import SHARED_WITHIN_S, Priority
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge, Known
from bot.lookups.nicknames import Naming
from bot.observability.context import Context
from bot.slack.client import SlackClient
from bot.slack.homes import publish_refusal
from bot.store.held import Quiet
from bot.store.homes import Homes
from bot.store.incidents import Incidents
from bot.store.person_settings import PersonSettingsRows
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim, Timers

log = structlog.get_logger(__name__)

FRESH_FOR: Final = timedelta(seconds=5)
"""A person who opened it this recently gets current data."""

KNOWN_FOR_S: Final = 60.0
"""Otherwise a list can be this old, because newer changes are shown as incidents."""

AGAIN_S: Final = 10.0


class HomeDrawer:
    """The App Homes of one workspace; ``edits_policy`` is whether to offer that to a person."""

    def __init__(
        self,
        homes: Homes,
        subscriptions: Subscriptions,
        incidents: Incidents,
        quiet: Quiet,
        settings: PersonSettingsRows,
        store: Store,
        timers: Timers,
        knowledge: Knowledge,
        naming: Naming,
        slack: SlackClient,
        access: Access,
        context: Context,
        *,
        edits_policy: Callable[[Origin], Awaitable[bool]],
    ) -> None:
        self._homes = homes
        self._subscriptions = subscriptions
        self._incidents = incidents
        self._quiet = quiet
        self._settings = settings
        self._store = store
        self._timers = timers
        self._knowledge = knowledge
        self._naming = naming
        self._slack = slack
        self._access = access
        self._edits_policy = edits_policy
        self._clock = context.clock
        self._command = context.command

    async def draw(self, claim: TimerClaim) -> None:
        """Redraw a person's App Home, if they may be looking at it."""
        now, user_id = self._clock(), claim.subject
        opened_at = await self._homes.opened_at(user_id, now)
        again_at = None
        if opened_at:
            try:
                origin = Origin(claim.team_id, Person(user_id), "")
                looks, edits_policy = await self._access.decide(origin, Verb.LOOK), await self._edits_policy(origin)
                if isinstance(looks, Refused):  # permissions can change while it's open
                    await publish_refusal(self._slack, user_id, looks, edits_policy=edits_policy)
                elif not self._knowledge.is_connected:
                    view = blocks.connect_home(self._knowledge.why_not_connected, edits_policy=edits_policy)
                    await self._slack.publish_home(user_id, view)
                else:
                    home = await self._home(user_id, claim.team_id, now, fresh=now - opened_at < FRESH_FOR)
                    view = blocks.home_view(home, now, command=self._command, edits_policy=edits_policy)
                    await self._slack.publish_home(user_id, view)
            except SlackRateLimited as error:
                again_at = now + timedelta(seconds=error.retry_after_s)
            except SlackError as error:
                log.warning("home_not_drawn", user_id=user_id, code=error.code, error=str(error))
                again_at = now + timedelta(seconds=AGAIN_S) if error.retryable else None
        await self._timers.finish(claim, again_at)

    async def _home(self, user_id: str, team_id: str, now: datetime, *, fresh: bool) -> blocks.Home:
        known = await self._known(now, fresh=fresh)
        standing = await self._incidents.standing(known.as_of)
        subscriptions = [one for one in await self._subscriptions.all() if one.created_by.id == user_id]
        channels, held = {one.channel_id for one in subscriptions}, await self._quiet.held()
        return blocks.Home(
            integrations=tuple(standing.changed.get(one.id, one) for one in known.integrations),
            as_of=known.as_of,
            stale_reason=known.stale_reason,
            runs=tuple(await self._store.runs.active(team_id)),
            incidents=standing.incidents,
            snoozed=tuple(await self._incidents.snoozed_by(user_id)),
            nicknames=await self._naming.current(),
            viewer=user_id,
            subscriptions=tuple(subscriptions),
            settings=await self._settings.load(user_id),
            maintenances=tuple(await self._quiet.windows(now)),
            held=tuple((one.channel_id, one.count, one.until) for one in held if one.channel_id in channels),
        )

    async def _known(self, now: datetime, *, fresh: bool) -> Known:
        try:
            if fresh:
                return await self._knowledge.look(max_age_s=SHARED_WITHIN_S)
            return await self._knowledge.last(KNOWN_FOR_S) or await self._knowledge.look(priority=Priority.BACKGROUND)
        except FlokitError as error:
            return Known((), now, str(error))
