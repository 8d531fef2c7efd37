"""Sends the digests of subscriptions: each once among all replicas, and none that is too late."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from bot.core import blocks
from bot.core.errors import FlokitError
from bot.core.models import Message
from bot.core.subscriptions.digest_time import digest_wake_at, last_digest_at, missed
from bot.core.subscriptions.digests import Digest
from bot.core.subscriptions.subscriptions import DigestTime, Subscription
from bot.flokit import Priority
from bot.lookups.integrations import Knowledge, Known
from bot.lookups.nicknames import Naming
from bot.lookups.people import People
from bot.observability.context import Context
from bot.store.incidents import Incidents
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim, Timers

log = structlog.get_logger(__name__)


class Digests:
    """The digests of one workspace."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        incidents: Incidents,
        store: Store,
        timers: Timers,
        knowledge: Knowledge,
        naming: Naming,
        people: People,
        context: Context,
    ) -> None:
        self._subscriptions = subscriptions
        self._incidents = incidents
        self._store = store
        self._timers = timers
        self._knowledge = knowledge
        self._naming = naming
        self._people = people
        self._clock = context.clock
        self._command = context.command

    async def send(self, claim: TimerClaim) -> None:
        """Send a due digest, unless it's too late, and schedule the next one."""
        subscription = await self._subscriptions.load(claim.subject)
        digest = subscription.digest if subscription and not subscription.paused else None
        if subscription is None or digest is None:
            await self._timers.finish(claim, None)
            return
        now = self._clock()
        if not digest.zone and (zone := await self._people.find_zone(subscription.created_by.id)):
            digest = replace(digest, zone=zone)
            subscription = replace(subscription, digest=digest)
            log.info("digest_zone_learned", subscription_id=subscription.id, zone=zone)
        message = None
        if self._is_due(subscription, digest, now):
            message = await self._compose(subscription, now)
            subscription = replace(subscription, digested_at=now)
        next_at = digest_wake_at(digest, now)
        await self._subscriptions.add_digest(claim, subscription, message, next_at, now)
        log.info("digest_sent" if message else "digest_skipped", subscription_id=subscription.id, next_at=str(next_at))

    def _is_due(self, subscription: Subscription, digest: DigestTime, now: datetime) -> bool:
        due_at = last_digest_at(digest, now)
        if due_at is None or due_at <= (subscription.digested_at or subscription.created_at):
            return False
        return not missed(due_at, now)

    async def _compose(self, subscription: Subscription, now: datetime) -> Message:
        since = subscription.digested_at or subscription.created_at
        known = await self._known(now)
        digest = Digest(
            subscription=subscription,
            integrations=known.integrations,
            as_of=known.as_of,
            since=since,
            incidents=tuple(await self._incidents.since(since)),
            runs=tuple(await self._store.runs.ended_since(subscription.team_id, since)),
            stale_reason=known.stale_reason,
            nicknames=await self._naming.current(),
        )
        return blocks.digest_message(digest, now, command=self._command)

    async def _known(self, now: datetime) -> Known:
        try:
            return await self._knowledge.look(priority=Priority.BACKGROUND)
        except FlokitError as error:
            return Known((), now, str(error))
