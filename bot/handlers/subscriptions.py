"""What people can do about alerts: subscribe a channel, end that, see it, snooze; and what becomes of a closed channel.

Nothing here is sent: answers are saved, and the sender shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog

from bot.core import blocks
from bot.core.commands.catalog import HelpCommand
from bot.core.commands.presses import Action, Press
from bot.core.commands.targets import (
    All,
    Ambiguous,
    NotFound,
    OfType,
    One,
    nearest_types,
    not_found,
    resolve_target,
)
from bot.core.errors import SlackError
from bot.core.incidents.incidents import Incident
from bot.core.incidents.reactions import Snooze
from bot.core.models import Integration, Message
from bot.core.requests import ChannelNews, Request
from bot.core.sight import Sight
from bot.core.subscriptions.digest_time import digest_wake_at
from bot.core.subscriptions.form import LOOKED_BACK, would_have_told, write_metadata
from bot.core.subscriptions.subscriptions import ALL, PauseReason, Subscription, type_of
from bot.core.subscriptions.text import describe_target
from bot.core.subscriptions.words import Ending, Unclear, Wish, parse_subscribe, parse_unsubscribe
from bot.handlers.answers import Answers
from bot.lookups.people import People
from bot.slack.client import SlackClient
from bot.store.ids import new_id
from bot.store.incidents import Incidents
from bot.store.outbox import answer_address
from bot.store.subscriptions import Subscriptions
from bot.store.timers import TimerClaim

log = structlog.get_logger(__name__)

TOMORROW_AT: Final = time(9)
_PAUSES: Final[dict[str, PauseReason]] = {ChannelNews.ARCHIVED: PauseReason.ARCHIVED}
_HOURS: Final = {"1h": 1, "4h": 4}


class Alerts:
    """What people can do about the alerts of one workspace."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        incidents: Incidents,
        answers: Answers,
        people: People,
        slack: SlackClient,
        *,
        clock: Callable[[], datetime],
        command: str,
    ) -> None:
        self._subscriptions = subscriptions
        self._incidents = incidents
        self._answers = answers
        self._people = people
        self._slack = slack
        self._clock = clock
        self._command = command

    # Subscriptions

    async def subscribe(self, request: Request, text: str, sight: Sight) -> None:
        """Subscribe the channel that a request came from to what its text says."""
        wish = parse_subscribe(text, command=self._command)
        if isinstance(wish, Unclear):
            await self._answers.note(request, blocks.plain_message(wish.sentence))
            return
        target = self._target(wish.target_text, sight)
        if not isinstance(target, str):
            await self._answers.note(request, target)
            return
        await self.add(request, target, wish, sight)

    async def offer(self, request: Request, sight: Sight) -> None:
        """Open the form; a command that is answered too late for that gets the words that can be typed."""
        now, origin = self._clock(), request.origin
        told = would_have_told(None, await self._incidents_in(sight, now), now)
        zone = await self._people.find_zone(origin.person.id) or "your time zone"
        view = blocks.subscribe_form(write_metadata(origin.channel_id, request.id), zone, sight.seen, told, now)
        try:
            await self._slack.open_view(request.id, view)
        except SlackError as error:
            log.info("form_not_opened", code=error.code, error=str(error))
            await self._answers.note(request, blocks.help_message(HelpCommand(), command=self._command))
            return
        await self._answers.none(request, is_kept=True)

    async def _incidents_in(self, sight: Sight, now: datetime) -> list[Incident]:
        """Read the incidents of the last days, of those integrations that a person may look at."""
        incidents = await self._incidents.since(now - LOOKED_BACK)
        return [one for one in incidents if sight.sees(one.integration)]

    async def preview(self, view: dict[str, Any], sight: Sight) -> None:
        """Show in a form what its choices would have told.

        Raises:
            SlackError: it cannot be shown; the person may have closed the form.
            StoreUnavailable: it is not known.
        """
        now = self._clock()
        told = would_have_told(view.get("values"), await self._incidents_in(sight, now), now)
        await self._slack.update_view(
            str(view["id"]), blocks.with_preview(view, told, now), str(view.get("hash") or "")
        )

    async def add(self, request: Request, target: str, wish: Wish, sight: Sight) -> None:
        """Subscribe the channel that a request came from."""
        origin, now = request.origin, self._clock()
        digest = wish.digest
        if digest and not digest.zone:
            digest = replace(digest, zone=await self._people.find_zone(origin.person.id))
        subscription = Subscription(
            id=new_id("sub"),
            team_id=origin.team_id,
            channel_id=origin.channel_id,
            created_by=origin.person,
            created_at=now,
            target=target,
            news=wish.news,
            digest=digest,
            style=wish.style,
            mention=wish.mention,
        )
        message = blocks.subscribed_message(subscription, describe_target(target, sight.seen), command=self._command)
        digest_at = digest_wake_at(digest, now) if digest else None
        await self._subscriptions.add(request, subscription, message, answer_address(request), digest_at, now)
        log.info("subscribed", subscription_id=subscription.id, channel_id=origin.channel_id, target=target)

    async def unsubscribe(self, request: Request, text: str, sight: Sight) -> None:
        """End what a text says of the channel's subscriptions; all of them when there is only one."""
        ending = parse_unsubscribe(text, command=self._command)
        if isinstance(ending, Unclear):
            await self._answers.note(request, blocks.plain_message(ending.sentence))
            return
        there = await self._subscriptions.of_channel(request.origin.channel_id)
        meant = self._meant(ending, there, sight)
        if not isinstance(meant, list):
            await self._answers.note(request, meant)
            return
        await self._end(request, meant, sight.seen, digest_only=ending.digest_only)

    async def press_unsubscribe(self, request: Request, press: Press, sight: Sight) -> None:
        """End the one subscription whose button was pressed."""
        meant = await self._subscriptions.load(press.subscription_id)
        if meant:
            await self._end(request, [meant], sight.seen, digest_only=False)
        else:
            await self._answers.note(request, blocks.plain_message("This subscription was already removed."))

    async def _end(
        self, request: Request, meant: list[Subscription], known: Sequence[Integration], *, digest_only: bool
    ) -> None:
        names = [describe_target(one.target, known) for one in meant]
        message = blocks.unsubscribed_message(request.origin.person, names, digest_only=digest_only)
        kept = [replace(one, digest=None) for one in meant if digest_only and one.news]
        # In the channel that it is about, wherever the button was: everybody there should know.
        address = replace(answer_address(request), channel_id=meant[0].channel_id)
        if not request.origin.channel_id:
            address = replace(address, user_id=None)
        await self._subscriptions.remove(request, meant, kept, message, address, self._clock())
        log.info("unsubscribed", channel_id=request.origin.channel_id, count=len(meant))

    def _meant(self, ending: Ending, there: Sequence[Subscription], sight: Sight) -> list[Subscription] | Message:
        target = self._ended_target(ending.target_text, there, sight)
        if not isinstance(target, str):
            return target
        if ending.digest_only:
            there = [one for one in there if one.digest]
        if not there:
            thing = "digest" if ending.digest_only else "subscription"
            return blocks.plain_message(f"This channel has no {thing} to remove.")
        named = ", ".join(describe_target(one.target, sight.seen) for one in there)
        names = named if sight.is_whole else str(len(there))
        if not target:
            if len(there) == 1:
                return list(there)
            return blocks.plain_message(
                f"This channel has several subscriptions: {names}. Which one should I remove? "
                f"Or run {self._command} unsubscribe all."
            )
        if target == ALL:
            return list(there)
        meant = [one for one in there if one.target == target]
        return meant or blocks.plain_message(
            f"This channel has no subscription to {describe_target(target, sight.seen)}. It has: {names}."
        )

    def _ended_target(self, text: str, there: Sequence[Subscription], sight: Sight) -> str | Message:
        """Find what no longer is to be posted; "" when nothing was named. What FloKit no longer has counts, too."""
        if not text:
            return ""
        subscribed = next((one.target for one in there if one.target.casefold() == text.casefold()), None)
        return subscribed or self._target(text, sight)

    async def show(self, request: Request, known: Sequence[Integration]) -> None:
        """Show the subscriptions of the channel that a request came from."""
        there = await self._subscriptions.of_channel(request.origin.channel_id)
        rows = [(one, describe_target(one.target, known)) for one in there]
        await self._answers.note(request, blocks.subscriptions_message(rows, self._clock(), command=self._command))

    def _target(self, text: str, sight: Sight) -> str | Message:
        """Find what a person means by a target: everything, a type, or one integration."""
        match resolve_target(text, sight.usable):
            case All():
                return ALL
            case OfType(type_=type_):
                return type_
            case One(integration=integration):
                return integration.id
            case Ambiguous(matches=matches):
                near = tuple(one for one in matches if sight.sees(one))
            case NotFound():
                near = not_found(text, sight.seen).nearest
        types = () if near else nearest_types(text)
        return blocks.not_found_message(text, near, types, command=self._command, is_partial=not sight.is_whole)

    # What a rule of the policy may ask for

    def type_meant(self, words: str, sight: Sight, *, ending: bool = False) -> str | None:
        """Tell which type of integration is to be subscribed, or no more; None: several, or not one that is known."""
        read = parse_unsubscribe if ending else parse_subscribe
        meant = read(words, command=self._command)
        if isinstance(meant, Unclear) or not meant.target_text:
            return None
        target = self._target(meant.target_text, sight)
        return type_of(target, sight.usable) if isinstance(target, str) else None

    async def unknown_target(self, request: Request, words: str, sight: Sight, *, ending: bool = False) -> str:
        """Return what somebody typed as a target that can't be found; "" when it can, or nothing was understood."""
        read = parse_unsubscribe if ending else parse_subscribe
        meant = read(words, command=self._command)
        if isinstance(meant, Unclear) or not meant.target_text:
            return ""
        if isinstance(self._target(meant.target_text, sight), str):
            return ""
        there = await self._subscriptions.of_channel(request.origin.channel_id) if ending else []
        wanted = meant.target_text.casefold()
        return "" if any(one.target.casefold() == wanted for one in there) else meant.target_text

    async def subscribed(self, subscription_id: str, known: Sequence[Integration]) -> tuple[str | None, str]:
        """Tell which type a subscription is for (None: several, or not one that is known), and for which channel."""
        subscription = await self._subscriptions.load(subscription_id)
        return (type_of(subscription.target, known), subscription.channel_id) if subscription else (None, "")

    async def channel_of_incident(self, alert_id: str) -> str:
        """Tell in which channel an incident's message is; "" when there is no such message."""
        return await self._incidents.channel_of(alert_id)

    async def raise_more(self, claim: TimerClaim) -> None:
        """Show a channel that subscribed more of what is wrong already."""
        await self._subscriptions.raise_more(claim, self._clock())

    # Closed channels

    async def follow_channel(self, request: Request) -> None:
        """Do what follows from a channel being opened or closed."""
        channel_id = request.origin.channel_id
        news, _, new_id = request.text.partition(" ")
        if news == ChannelNews.MOVED:
            await self._follow_move(
                channel_id, await self._subscriptions.move(request, channel_id, new_id, self._clock())
            )
            return
        if request.text == ChannelNews.OPEN:
            await self.resume(channel_id)
        else:
            await self.pause(channel_id, _PAUSES.get(request.text, PauseReason.REMOVED))
        await self._answers.none(request)

    async def _follow_move(self, old_id: str, new_id: str) -> None:
        """Go on where a channel is now; refusals under its old id may have paused it."""
        log.info("channel_moved", old_channel_id=old_id, channel_id=new_id)
        there = await self._subscriptions.of_channel(new_id)
        if any(one.paused is PauseReason.REMOVED for one in there):
            await self.resume(new_id)

    async def sweep_move(self, claim: TimerClaim) -> None:
        """Let what was written under a channel's old id meanwhile follow, too."""
        new_id = await self._subscriptions.sweep(claim, self._clock())
        await self._follow_move(claim.subject.partition(":")[0], new_id)

    async def follow_refused(self, channel_id: str) -> bool:
        """Follow a channel whose id Slack refuses, if a new one was heard of; what is due there moves along."""
        new_id = await self._subscriptions.sweep_now(channel_id, self._clock())
        if new_id:
            await self._follow_move(channel_id, new_id)
        return bool(new_id)

    async def pause(self, channel_id: str, reason: PauseReason) -> None:
        """Let the subscriptions of a channel that is closed to us rest, and tell those who made them."""
        paused = await self._subscriptions.pause(
            channel_id,
            reason,
            lambda one: blocks.paused_message(one, describe_target(one.target, ()), command=self._command),
            self._clock(),
        )
        if paused:
            log.warning("subscriptions_paused", channel_id=channel_id, reason=reason, count=paused)

    async def resume(self, channel_id: str) -> None:
        """Wake the subscriptions of a channel up that is open to us again."""
        now = self._clock()
        resumed = await self._subscriptions.resume(
            channel_id,
            lambda them: blocks.resumed_message([describe_target(one.target, ()) for one in them]),
            lambda one: digest_wake_at(one.digest, now) if one.digest else None,
            now,
        )
        if resumed:
            log.info("subscriptions_resumed", channel_id=channel_id, count=resumed)

    # Snoozing

    async def snooze(self, request: Request, press: Press, channel_id: str) -> None:
        """Begin or end the snooze of an incident in the channel of its message."""
        snooze = None
        if press.action is Action.SNOOZE:
            snooze = Snooze(request.origin.person, await self._until(press.choice, request.origin.person.id))
        there = replace(request, origin=replace(request.origin, channel_id=channel_id or request.origin.channel_id))
        if not await self._incidents.snooze(there, press.panel_id, snooze, self._clock()):
            await self._answers.note(request, blocks.plain_message("This incident is already resolved."))

    async def _until(self, choice: str, user_id: str) -> datetime | None:
        """Return when a chosen snooze ends; None: with the incident."""
        now = self._clock()
        if choice in _HOURS:
            return now + timedelta(hours=_HOURS[choice])
        if choice != "tomorrow":
            return None
        zone = ZoneInfo(await self._people.zone_of(user_id))
        tomorrow = now.astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, TOMORROW_AT, tzinfo=zone).astimezone(UTC)

    async def end_snooze(self, claim: TimerClaim) -> None:
        """End a snooze whose time has come."""
        await self._incidents.end_snooze(claim, self._clock())
