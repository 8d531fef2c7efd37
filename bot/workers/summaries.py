"""Tells channels what was held while it was quiet there: once among all replicas, in one message."""

from __future__ import annotations

import structlog

from bot.core import blocks
from bot.lookups.nicknames import Naming
from bot.observability.context import Context
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim

log = structlog.get_logger(__name__)


class Summaries:
    """What the channels of one workspace are told when it's no longer quiet there."""

    def __init__(self, subscriptions: Subscriptions, naming: Naming, context: Context) -> None:
        self._subscriptions = subscriptions
        self._naming = naming
        self._clock = context.clock

    async def send(self, claim: TimerClaim) -> None:
        """Tell a channel what was held, unless it's still quiet there; then it's tried again later."""
        now, nicknames = self._clock(), await self._naming.current()
        count = await self._subscriptions.tell_held(
            claim, lambda held: blocks.summary_message(held, now, nicknames), now
        )
        if count:
            log.info("summary_sent", channel_id=claim.subject, count=count)
