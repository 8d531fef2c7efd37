"""Subscribe a channel, by command or by form; unsubscribe it; and list its subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed
from bot.core.access.policy import Verb
from bot.core.commands.catalog import HelpCommand, SubscribeCommand, SubscriptionsCommand, UnsubscribeCommand
from bot.core.commands.presses import Action, Press
from bot.core.commands.targets import (
    Ambiguous,
    NotFound,
    Target,
    nearest_types,
    resolve_target,
    target_id,
)
from bot.core.errors import FlokitError
from bot.core.incidents.incidents import Incident
from bot.core.models import Integration, Message
from bot.core.nicknames import Nickname
from bot.core.panels import Panel, PanelKind
from bot.core.requests import Origin, Request, RequestKind
from bot.core.sight import Sight
from bot.core.subscriptions.digest_time import digest_wake_at
from bot.core.subscriptions.form import LOOKED_BACK, wish_of, would_have_told, write_metadata
from bot.core.subscriptions.removal import Removal
from bot.core.subscriptions.subscriptions import ALL, Subscription, type_of
from bot.core.subscriptions.text import describe_target
from bot.core.subscriptions.words import Ending, Unclear, Wish, parse_subscribe, parse_unsubscribe
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act
from bot.slack.client import SlackClient
from bot.store.ids import new_id
from bot.store.incidents import Incidents
from bot.store.outbox_rows import answer_address
from bot.store.subscriptions import Subscriptions

log = structlog.get_logger(__name__)

FORM_EXPIRED: Final = "This form has expired, so nothing was changed. Run {} subscribe in the channel again."


class Subscribing(Feature):
    """The subscription commands and buttons of one workspace."""

    def __init__(
        self, services: Services, subscriptions: Subscriptions, incidents: Incidents, slack: SlackClient
    ) -> None:
        super().__init__(services)
        self._subscriptions = subscriptions
        self._incidents = incidents
        self._slack = slack

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {
            SubscribeCommand: self.subscribe,
            RequestKind.FORM: self.submit,
            UnsubscribeCommand: self.unsubscribe,
            Action.UNSUBSCRIBE: self.press_unsubscribe,
            Action.UNDO: self.undo,
            SubscriptionsCommand: self.show,
        }

    async def show(self, request: Request, _: SubscriptionsCommand) -> None:
        """List the subscriptions of the channel that a request came from."""
        permitted = await self._permits.check(request, Act(Deed.LOOK))
        known, nicknames = await self._knowledge.names(), await self._naming.current()
        there = await self._subscriptions.of_channel(request.origin.channel_id)
        rows = [(one, describe_target(one.target, known, nicknames)) for one in there]
        await self._answers.note(permitted, blocks.subscriptions_message(rows, self._clock(), command=self._command))

    # Subscribing

    async def subscribe(self, request: Request, command: SubscribeCommand) -> None:
        """Subscribe the channel that a request came from; without arguments, open the form."""
        if not command.words and request.kind is RequestKind.COMMAND:
            await self._open_form(request)
        else:
            words = (await self._naming.current()).replace_in(command.words, _quoted)
            await self._subscribe(request, parse_subscribe(words, command=self._command))

    async def submit(self, request: Request, _: object) -> None:
        """Subscribe the channel in which a form was opened to what was chosen in it."""
        asked = await self._asked(request.origin, request.asked_id)
        if asked is None or asked.origin.channel_id != request.origin.channel_id:
            elsewhere = replace(request, origin=replace(request.origin, channel_id=""))
            await self._answers.note(elsewhere, blocks.plain_message(FORM_EXPIRED.format(self._command)))
            return
        await self._subscribe(request, wish_of(request, command=self._command))

    async def preview(self, origin: Origin, asked_id: str, view: dict[str, Any]) -> None:
        """Update the preview in a form: what its choices would have posted that the person can look at.

        Raises:
            SlackError: the person or the form can't be looked up now; they may have closed it.
            StoreUnavailable: the database is unavailable.
        """
        asked = await self._asked(origin, asked_id)
        if asked is None:
            return
        now = self._clock()
        sight = await self._permits.sight(asked.origin, await self._knowledge.last_names())
        told = would_have_told(view.get("values"), await self._incidents_in(sight, now), now)
        await self._slack.update_view(
            str(view["id"]), blocks.with_preview(view, told, now, sight.nicknames), str(view.get("hash") or "")
        )

    async def _asked(self, origin: Origin, asked_id: str) -> Request | None:
        """Find the command that opened a form: what the form itself says about it could be made up."""
        asked = await self._store.inbox.load_asked(origin.team_id, asked_id) if asked_id else None
        return asked if asked and asked.origin.person.id == origin.person.id else None

    async def _open_form(self, request: Request) -> None:
        """Open the form; if it's too late for that, answer with the command to type."""
        await self._permits.check_early(request, Act(Deed.SUBSCRIBE))
        now, origin = self._clock(), request.origin
        sight = await self._permits.sight(origin, await self._knowledge.last_names())
        told = would_have_told(None, await self._incidents_in(sight, now), now)
        zone = await self._people.find_zone(origin.person.id) or "your time zone"
        view = blocks.subscribe_form(
            write_metadata(origin.channel_id, request.id), zone, sight.seen, told, now, sight.nicknames
        )
        how_to_type_it = blocks.help_message(HelpCommand(), command=self._command)
        await self._forms.open(request, view, is_kept=True, otherwise=how_to_type_it)

    async def _incidents_in(self, sight: Sight, now: datetime) -> list[Incident]:
        """Return the incidents of the last days, of the integrations that a person can look at."""
        incidents = await self._incidents.since(now - LOOKED_BACK)
        return [one for one in incidents if sight.sees(one.integration)]

    async def _subscribe(self, request: Request, wish: Wish | Unclear) -> None:
        await self._permits.check_early(request, Act(Deed.SUBSCRIBE))
        known, trouble = await self._last_known()
        sight = await self._permits.sight(request.origin, known, Verb.SUBSCRIBE)
        typed = "" if isinstance(wish, Unclear) else wish.target_text
        target = resolve_target(typed, sight.usable, sight.nicknames)
        if typed and trouble and isinstance(target, Ambiguous | NotFound):
            raise trouble
        act = Act(Deed.SUBSCRIBE, type_=_type_of(target, sight), typed=typed)
        permitted = await self._permits.check(request, replace(act, typed=""))
        if isinstance(wish, Unclear):
            await self._answers.note(request, blocks.plain_message(wish.sentence))
        elif isinstance(target, Ambiguous | NotFound):
            await self._not_found(permitted, act, target, sight, known)
        else:
            await self._add(permitted, target_id(target), wish, sight)

    async def _add(self, request: Request, target: str, wish: Wish, sight: Sight) -> None:
        origin, now = request.origin, self._clock()
        digest = wish.digest
        if digest and not digest.zone:
            digest = replace(digest, zone=await self._people.find_zone(origin.person.id))
        hours = wish.hours
        if hours and not hours.zone:
            hours = replace(hours, zone=await self._people.zone_of(origin.person.id))
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
            hours=hours,
            always=wish.always,
            escalate=wish.escalate,
        )
        message = blocks.subscribed_message(
            subscription, describe_target(target, sight.seen, sight.seen_nicknames), command=self._command
        )
        digest_at = digest_wake_at(digest, now) if digest else None
        await self._subscriptions.add(request, subscription, message, answer_address(request), digest_at, now)
        log.info("subscribed", subscription_id=subscription.id, channel_id=origin.channel_id, target=target)

    # Unsubscribing

    async def unsubscribe(self, request: Request, command: UnsubscribeCommand) -> None:
        """Remove the subscriptions that a text names; without a name, the only one."""
        await self._permits.check_early(request, Act(Deed.UNSUBSCRIBE))
        words = (await self._naming.current()).replace_in(command.words, _quoted)
        ending = parse_unsubscribe(words, command=self._command)
        known, _trouble = await self._last_known()
        sight = await self._permits.sight(request.origin, known, Verb.SUBSCRIBE)
        typed = "" if isinstance(ending, Unclear) else ending.target_text
        target = resolve_target(typed, sight.usable, sight.nicknames)
        act = Act(Deed.UNSUBSCRIBE, type_=_type_of(target, sight), typed=typed)
        permitted = await self._permits.check(request, replace(act, typed=""))
        if isinstance(ending, Unclear):
            await self._answers.note(request, blocks.plain_message(ending.sentence))
            return
        there = await self._subscriptions.of_channel(request.origin.channel_id)
        # Integrations that are gone from FloKit can still have subscriptions.
        names = {typed.casefold(), sight.nicknames.called(typed).casefold()} - {""}
        subscribed = next((one.target for one in there if one.target.casefold() in names), "")
        if typed and not subscribed and isinstance(target, Ambiguous | NotFound):
            await self._not_found(permitted, act, target, sight, known)
            return
        meant = self._meant(subscribed or target_id(target), ending, there, sight)
        if isinstance(meant, Message):
            await self._answers.note(permitted, meant)
        else:
            await self._end(permitted, meant, sight, digest_only=ending.digest_only)

    async def press_unsubscribe(self, request: Request, press: Press) -> None:
        """Remove the subscription whose button was pressed."""
        known = await self._knowledge.names()
        subscription = await self._subscriptions.load(press.subscription_id)
        act = Act(Deed.UNSUBSCRIBE)
        if subscription:
            act = replace(act, type_=type_of(subscription.target, known), channels=(subscription.channel_id,))
        permitted = await self._permits.check(request, act)
        if subscription is None:
            await self._answers.note(permitted, blocks.plain_message("This subscription was already removed."))
            return
        sight = await self._permits.sight(request.origin, known)
        await self._end(permitted, [subscription], sight, digest_only=False)

    def _meant(
        self, target: str, ending: Ending, there: Sequence[Subscription], sight: Sight
    ) -> list[Subscription] | Message:
        """Choose the subscriptions to remove; ``target`` is "" if none was named."""
        if ending.digest_only:
            there = [one for one in there if one.digest]
        if not there:
            thing = "digest" if ending.digest_only else "subscription"
            return blocks.plain_message(f"This channel has no {thing} to remove.")
        named = ", ".join(describe_target(one.target, sight.seen, sight.seen_nicknames) for one in there)
        names = named if sight.is_whole else str(len(there))
        if not target and len(there) > 1:
            return blocks.plain_message(
                f"This channel has several subscriptions: {names}. Which one should I remove? "
                f"Or run {self._command} unsubscribe all."
            )
        if target in ("", ALL):
            return list(there)
        wanted = describe_target(target, sight.seen, sight.seen_nicknames)
        return [one for one in there if one.target == target] or blocks.plain_message(
            f"This channel has no subscription to {wanted}. It has: {names}."
        )

    async def _end(self, request: Request, meant: list[Subscription], sight: Sight, *, digest_only: bool) -> None:
        names = tuple(describe_target(one.target, sight.seen, sight.seen_nicknames) for one in meant)
        now, person = self._clock(), request.origin.person
        removal = Removal(person, now, tuple(meant), names, digest_only=digest_only)
        panel = Panel(new_id("pnl"), PanelKind.UNSUBSCRIBED, (), now, removal=removal)
        kept = [replace(one, digest=None) for one in meant if digest_only and one.news]
        # In the subscribed channel, wherever the button was: everyone there should know.
        address = replace(answer_address(request), channel_id=meant[0].channel_id, ephemeral=False)
        if not request.origin.channel_id:
            address = replace(address, user_id=None)
        await self._subscriptions.remove(request, meant, kept, panel, address, now)
        log.info("unsubscribed", channel_id=request.origin.channel_id, count=len(meant))

    async def undo(self, request: Request, press: Press) -> None:
        """Restore the subscriptions that were removed, as they were."""
        panel = await self._store.panels.load(request.origin.team_id, press.panel_id)
        removed = panel.removal.subscriptions if panel and panel.removal else ()
        known, _trouble = await self._last_known()
        acts = [Act(Deed.RESTORE, type_=type_of(one.target, known), channels=(one.channel_id,)) for one in removed]
        for act in acts or [Act(Deed.RESTORE)]:
            permitted = await self._permits.check(request, act)
        sight, person = await self._permits.sight(request.origin, known), request.origin.person
        address = answer_address(permitted)
        if removed:
            address = replace(address, channel_id=removed[0].channel_id, ephemeral=False)
        problem = await self._subscriptions.undo(
            permitted,
            press.panel_id,
            lambda restored: blocks.restored_message(
                person, [describe_target(one.target, sight.seen, sight.seen_nicknames) for one in restored]
            ),
            address,
            self._clock(),
        )
        if problem:
            await self._answers.note(permitted, blocks.plain_message(problem))
            return
        log.info("unsubscribe_undone", channel_id=request.origin.channel_id)

    # Both

    async def _last_known(self) -> tuple[tuple[Integration, ...], FlokitError | None]:
        """Return the last known integrations; if there are none, return why FloKit couldn't be asked."""
        try:
            return (await self._knowledge.recalled()).integrations, None
        except FlokitError as error:
            return (), error

    async def _not_found(
        self,
        request: Request,
        act: Act,
        target: Ambiguous | NotFound,
        sight: Sight,
        known: tuple[Integration, ...],
    ) -> None:
        """Answer that nothing has that name, with the closest matches."""
        if not sight.is_whole:
            await self._permits.not_found(request, act, sight, known)
            return
        near = target.matches if isinstance(target, Ambiguous) else target.nearest
        types = () if near else nearest_types(act.typed)
        await self._answers.note(
            request, blocks.not_found_message(act.typed, near, types, nicknames=sight.nicknames, command=self._command)
        )


def _quoted(nickname: Nickname) -> str:
    """Write a name so that all of it is read as a name."""
    return f'"{nickname.name}"'


def _type_of(target: Target, sight: Sight) -> str | None:
    """Return the type that a target is about; None if there are several, or it isn't known."""
    stored = target_id(target)
    return type_of(stored, sight.usable) if stored else None
