"""What happens to subscriptions when a channel is closed, opened again, or gets another ID."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import AuditFilter
from bot.core.requests import ChannelNews, Request, RequestKind
from bot.core.subscriptions.digest_time import digest_wake_at
from bot.core.subscriptions.subscriptions import PauseReason, Subscription
from bot.core.subscriptions.text import describe_target
from bot.handlers.feature import Feature, Handlers, Services
from bot.store.audit import Audit
from bot.store.person_settings import PersonSettingsRows
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim

log = structlog.get_logger(__name__)

LOOKED_THROUGH: Final = 500
"""How many of the newest entries of the audit log are searched for people who used the bot in a channel."""

ASKED_ABOUT: Final = 20
"""How many people are looked up in Slack, at most, to find one who still has an account."""

_PAUSES: Final[dict[str, PauseReason]] = {ChannelNews.ARCHIVED: PauseReason.ARCHIVED}


class Channels(Feature):
    """The channels of one workspace that have subscriptions."""

    def __init__(
        self, services: Services, subscriptions: Subscriptions, audit: Audit, settings: PersonSettingsRows
    ) -> None:
        super().__init__(services)
        self._subscriptions = subscriptions
        self._audit = audit
        self._settings = settings

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {RequestKind.CHANNEL: self.follow}

    async def follow(self, request: Request, _: object) -> None:
        """Handle a channel that was opened, closed or moved."""
        channel_id = request.origin.channel_id
        news, _space, new_id = request.text.partition(" ")
        if news == ChannelNews.MOVED:
            await self._subscriptions.move(request, channel_id, new_id, self._clock())  # its sweep continues from there
            return
        if news == ChannelNews.OPEN:
            await self.resume(channel_id)
        else:
            await self.pause(channel_id, _PAUSES.get(news, PauseReason.REMOVED))
        await self._answers.none(request)

    async def _follow_move(self, old_id: str, new_id: str) -> None:
        """Move to a channel's current ID; refusals under the old one may have paused its subscriptions."""
        log.info("channel_moved", old_channel_id=old_id, channel_id=new_id)
        there = await self._subscriptions.of_channel(new_id)
        if any(one.paused is PauseReason.REMOVED for one in there):
            await self.resume(new_id)

    async def sweep_move(self, claim: TimerClaim) -> None:
        """Also move what was written under a channel's old ID in the meantime, and resume what's there."""
        new_id = await self._subscriptions.sweep(claim, self._clock())
        await self._follow_move(claim.subject.partition(":")[0], new_id)
        await self._subscriptions.end_sweep(claim)

    async def follow_refused(self, channel_id: str) -> bool:
        """Move what's due in a channel whose ID Slack refuses to its new ID, if that's known."""
        new_id = await self._subscriptions.sweep_now(channel_id, self._clock())
        if new_id:
            await self._follow_move(channel_id, new_id)
        return bool(new_id)

    async def pause(self, channel_id: str, reason: PauseReason) -> None:
        """Pause the subscriptions of a channel that the bot can't post in, and notify the people concerned."""
        nicknames = await self._naming.current()
        there = [one for one in await self._subscriptions.of_channel(channel_id) if one.paused is None]
        whom = await self._whom(channel_id, there)
        paused = await self._subscriptions.pause(
            channel_id,
            reason,
            lambda one: blocks.paused_message(
                one,
                describe_target(one.target, (), nicknames),
                command=self._command,
                is_theirs=whom.get(one.created_by.id, one.created_by.id) == one.created_by.id,
            ),
            self._clock(),
            whom=whom,
        )
        if paused:
            log.warning("subscriptions_paused", channel_id=channel_id, reason=reason, count=paused)

    async def _whom(self, channel_id: str, there: Iterable[Subscription]) -> dict[str, str]:
        """Map the people who created subscriptions to whom to notify about them: "" if there's nobody.

        That's themselves, unless their account was deactivated or they chose not to be: then someone who subscribed
        this channel, too, someone the policy names, or someone who used the bot in this channel.
        """
        makers = dict.fromkeys(one.created_by.id for one in there)
        unwilling = await self._settings.only_syncs(makers)
        present = {maker for maker in makers if maker not in unwilling and await self._people.is_there(maker)}
        if len(present) == len(makers):
            return {maker: maker for maker in makers}
        instead = next((maker for maker in makers if maker in present), "") or await self._somebody(channel_id, makers)
        if not instead:
            log.warning("nobody_to_notify", channel_id=channel_id)
        return {maker: maker if maker in present else instead for maker in makers}

    async def _somebody(self, channel_id: str, gone: Iterable[str]) -> str:
        named = [one for one in self._access.policy.ask if not one.startswith("S")]
        recent = await self._audit.page(AuditFilter(), number=0, size=LOOKED_THROUGH)
        active = [entry.person.id for entry in recent.entries if entry.channel_id == channel_id and entry.person.id]
        candidates = [one for one in dict.fromkeys((*named, *active)) if one not in set(gone)]
        unwilling = await self._settings.only_syncs(candidates)
        candidates = [one for one in candidates if one not in unwilling]
        for candidate in candidates[:ASKED_ABOUT]:
            if await self._people.is_there(candidate):
                return candidate
        return ""

    async def resume(self, channel_id: str) -> None:
        """Resume the subscriptions of a channel that the bot can post in again."""
        now, nicknames = self._clock(), await self._naming.current()
        resumed = await self._subscriptions.resume(
            channel_id,
            lambda them: blocks.resumed_message([describe_target(one.target, (), nicknames) for one in them]),
            lambda one: digest_wake_at(one.digest, now) if one.digest else None,
            now,
        )
        if resumed:
            log.info("subscriptions_resumed", channel_id=channel_id, count=resumed)
