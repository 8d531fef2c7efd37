"""What people ask for, led to whoever does it.

A command, a mention and a button that mean the same end in the same method. Nothing here is sent: answers are saved,
and the sender shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from bot.core import blocks
from bot.core.access.audit import Deed
from bot.core.access.policy import Allowed, Verb
from bot.core.commands.catalog import (
    AuditCommand,
    Command,
    DoctorCommand,
    HelpCommand,
    HistoryCommand,
    ShowCommand,
    StatusCommand,
    SubscribeCommand,
    SubscriptionsCommand,
    SyncCommand,
    UnsubscribeCommand,
    WhyCommand,
)
from bot.core.commands.presses import Action, Press
from bot.core.commands.text import parse_command, parse_mention
from bot.core.errors import FlokitDenied, FlokitError
from bot.core.models import Integration
from bot.core.requests import Origin, Request, RequestKind
from bot.handlers.answers import Answers
from bot.handlers.permits import Permits
from bot.handlers.records import Records
from bot.handlers.status import Looks
from bot.handlers.subscriptions import Alerts
from bot.handlers.syncs import Syncs
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge
from bot.slack.client import SlackClient
from bot.slack.homes import publish_refusal
from bot.store.homes import Homes
from bot.store.store import Store

REQUEST_LIVES: Final = timedelta(minutes=25)
"""An older request is not acted on any more: its response_url is about to end, and the world has moved."""

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
"""Between two tries to look up who asks, while Slack cannot be asked."""

FORM_EXPIRED: Final = "This form has expired, so nothing was changed. Run {} subscribe in the channel again."
TOO_LATE: Final = (
    "I was offline when you sent this, and it's too old to act on now. Nothing was started; please try again."
)


class Actions:
    """What people can do, for one workspace."""

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        *,
        access: Access,
        permits: Permits,
        answers: Answers,
        looks: Looks,
        syncs: Syncs,
        alerts: Alerts,
        homes: Homes,
        slack: SlackClient,
        records: Records,
        clock: Callable[[], datetime],
        command: str,
        bot_user_id: str,
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._access = access
        self._permits = permits
        self._answers = answers
        self._looks = looks
        self._syncs = syncs
        self._alerts = alerts
        self._homes = homes
        self._slack = slack
        self._records = records
        self._clock = clock
        self._command = command
        self._bot_user_id = bot_user_id

    async def answer(self, request: Request) -> None:
        """Do what a saved request asks for, and save the answer.

        Raises:
            SlackError: who asks cannot be looked up now; ``retryable``. Nothing was done.
        """
        if request.kind is RequestKind.CHANNEL:  # as true later as it was then
            await self._alerts.follow_channel(request)
            return
        if request.kind is RequestKind.HOME:
            await self._open_home(request)
            return
        if self._clock() - request.received_at > REQUEST_LIVES:
            await self._answers.note(request, blocks.plain_message(TOO_LATE))
            return
        if request.kind is RequestKind.FORM:
            asked = await self._asked(request.origin, request.asked_id)
            if asked is None or asked.origin.channel_id != request.origin.channel_id:
                elsewhere = replace(request, origin=replace(request.origin, channel_id=""))
                await self._answers.note(elsewhere, blocks.plain_message(FORM_EXPIRED.format(self._command)))
                return
        try:
            if request.press:
                await self._answer_press(request, request.press)
            else:
                await self._answer_text(request)
        except FlokitDenied as error:
            await self._answers.note(request, blocks.access_lost_message(error.sentence, error.vendor_words))
        except FlokitError as error:
            await self._answers.note(request, blocks.flokit_away_message(error.sentence, error.vendor_words))

    async def apologise(self, request: Request, error_id: str) -> None:
        """Answer a request that an unexpected error ended; the id is in the log."""
        if request.kind in (RequestKind.CHANNEL, RequestKind.HOME):  # nobody waits for an answer
            await self._answers.none(request)
            return
        sentence = f"Something went wrong on my end (error ID {error_id}). Nothing was started."
        await self._answers.note(request, blocks.plain_message(sentence))

    async def preview(self, origin: Origin, asked_id: str, view: dict[str, Any]) -> None:
        """Show in the form before a person what its choices would have told, of what they may look at.

        Raises:
            SlackError: who they are, or the form, cannot be looked up now.
        """
        asked = await self._asked(origin, asked_id)
        if asked:
            known = await self._knowledge.last_names(self._clock())
            await self._alerts.preview(view, await self._permits.sight(asked.origin, known))

    async def _asked(self, origin: Origin, asked_id: str) -> Request | None:
        """Find the command that opened a form: what the form itself says of it could have been made up."""
        asked = await self._store.load_asked(asked_id) if asked_id else None
        return asked if asked and asked.origin.person.id == origin.person.id else None

    async def postpone(self, request: Request, after_s: float | None = None) -> None:
        """Answer a request later: who asks could not be looked up, and nobody is let in for that reason."""
        waited_s = (self._clock() - request.received_at).total_seconds()
        pause_s = max(after_s or 0.0, min(max(waited_s, FIRST_PAUSE_S), LONGEST_PAUSE_S))
        await self._store.retry_request(request.id, self._clock() + timedelta(seconds=pause_s))

    def _read(self, request: Request) -> Command:
        if request.kind is RequestKind.MENTION:
            return parse_mention(request.text, self._bot_user_id, command=self._command)
        is_typed = request.kind is not RequestKind.FORM
        return parse_command(request.text, command=self._command, bot_user_id=self._bot_user_id, is_typed=is_typed)

    async def _answer_text(self, request: Request) -> None:
        command = self._read(request)
        match command:
            case StatusCommand(query=query):
                await self._looks.show_status(request, query)
                await self._access.prepare(request.origin)
            case ShowCommand(target=target):
                await self._looks.show(request, target)
                await self._access.prepare(request.origin)
            case SyncCommand(target=target):
                await self._syncs.ask(request, target)
            case SubscribeCommand() | UnsubscribeCommand():
                await self._subscribe(request, command)
            case SubscriptionsCommand():
                if permitted := await self._permits.ask(request, Verb.LOOK, Deed.LOOK):
                    await self._alerts.show(permitted, await self._knowledge.names())
            case HistoryCommand(words=words):
                if permitted := await self._permits.ask(request, Verb.LOOK, Deed.LOOK):
                    await self._records.show_history(permitted, words)
            case AuditCommand(words=words):
                if permitted := await self._permits.ask_to_audit(request):
                    await self._records.show_audit(permitted, words)
            case DoctorCommand(blocks=blocks_too):
                if permitted := await self._permits.ask(request, Verb.LOOK, Deed.LOOK):
                    await self._records.show_doctor(permitted, blocks_too=blocks_too)
            case WhyCommand(verb=verb, target=target):
                await self._permits.explain(request, verb, target)
            case HelpCommand():
                await self._answers.note(request, blocks.help_message(command, command=self._command))

    async def _answer_press(self, request: Request, press: Press) -> None:
        match press.action:
            case Action.RESYNC | Action.TRY_AGAIN | Action.SYNC_ANYWAY:
                await self._syncs.press(request, press)
            case Action.KEEP_WATCHING:
                await self._syncs.keep_watching(request, press)
            case Action.DETAILS:
                await self._looks.press_details(request, press)
            case Action.REFRESH | Action.PREVIOUS_PAGE | Action.NEXT_PAGE:
                await self._looks.redraw(request, press)
            case Action.REFRESH_HOME:
                await self._open_home(request)
            case Action.SNOOZE | Action.END_SNOOZE:
                await self._snooze(request, press)
            case Action.UNSUBSCRIBE:
                await self._unsubscribe(request, press)

    async def _subscribe(self, request: Request, command: SubscribeCommand | UnsubscribeCommand) -> None:
        if command == SubscribeCommand() and request.kind is RequestKind.COMMAND:
            permitted = await self._permits.ask(request, Verb.SUBSCRIBE, Deed.SUBSCRIBE, type_matters=False)
            if permitted:
                known = await self._knowledge.last_names(self._clock())
                await self._alerts.offer(permitted, await self._permits.sight(request.origin, known))
            return
        ends = isinstance(command, UnsubscribeCommand)
        deed = Deed.UNSUBSCRIBE if ends else Deed.SUBSCRIBE
        by_type = self._permits.depends_on_type(Verb.SUBSCRIBE)
        if not by_type and not await self._permits.ask(request, Verb.SUBSCRIBE, deed):
            return
        known, trouble = await self._last_known()
        sight = await self._permits.sight(request.origin, known, Verb.SUBSCRIBE)
        unknown = await self._alerts.unknown_target(request, command.words, sight, ending=ends)
        if unknown and trouble and not ends:
            raise trouble
        type_ = self._alerts.type_meant(command.words, sight, ending=ends)
        permitted = await self._permits.ask(request, Verb.SUBSCRIBE, deed, type_=type_)
        if permitted and unknown and not sight.is_whole:
            await self._permits.not_found(permitted, deed, unknown, sight, known)
        elif permitted and ends:
            await self._alerts.unsubscribe(permitted, command.words, sight)
        elif permitted:
            await self._alerts.subscribe(permitted, command.words, sight)

    async def _last_known(self) -> tuple[tuple[Integration, ...], FlokitError | None]:
        """Return the integrations as they were known last; what keeps FloKit from being asked when none are."""
        try:
            return (await self._knowledge.recalled()).integrations, None
        except FlokitError as error:
            return (), error

    async def _snooze(self, request: Request, press: Press) -> None:
        panel = await self._store.load_panel(press.panel_id)
        channel_id = await self._alerts.channel_of_incident(press.panel_id)
        deed = Deed.SNOOZE if press.action is Action.SNOOZE else Deed.END_SNOOZE
        about = panel.only if panel else None
        if permitted := await self._permits.ask(request, Verb.SUBSCRIBE, deed, about, channels=(channel_id,)):
            await self._alerts.snooze(permitted, press, channel_id)

    async def _unsubscribe(self, request: Request, press: Press) -> None:
        known = await self._knowledge.names()
        type_, channel_id = await self._alerts.subscribed(press.subscription_id, known)
        permitted = await self._permits.ask(
            request, Verb.SUBSCRIBE, Deed.UNSUBSCRIBE, type_=type_, channels=(channel_id,)
        )
        if permitted:
            sight = await self._permits.sight(request.origin, known)
            await self._alerts.press_unsubscribe(permitted, press, sight)

    async def _open_home(self, request: Request) -> None:
        decided = await self._access.decide(request.origin, Verb.LOOK)
        if isinstance(decided, Allowed):
            await self._homes.open(request, self._clock())
            await self._access.prepare(request.origin)
            return
        await publish_refusal(self._slack, request.origin.person.id, decided)
        await self._permits.refuse_home(request, decided)
