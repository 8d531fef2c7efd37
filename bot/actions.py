"""What people can do: ask for the status or the detail, start or join a sync, keep watching, ask for help.

A command, a mention and a button that mean the same end in the same method. Nothing here is sent: answers are
saved, and the sender shows them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from bot.core import blocks
from bot.core.audit import Deed, of_refusal
from bot.core.blocks.names import name_of
from bot.core.commands import (
    Action,
    Ambiguous,
    AuditCommand,
    DoctorCommand,
    Found,
    HelpCommand,
    HistoryCommand,
    NotFound,
    Press,
    ShowCommand,
    StatusCommand,
    SubscribeCommand,
    SubscriptionsCommand,
    SyncCommand,
    UnsubscribeCommand,
    WhyCommand,
    filter_integrations,
    is_usable_id,
    parse_command,
    parse_mention,
    resolve,
)
from bot.core.errors import FlokitDenied, FlokitError, FlokitMissing
from bot.core.limits import NO_LIMITS, Held
from bot.core.models import Integration
from bot.core.panels import Panel, PanelKind
from bot.core.policy import Allowed, Refused, Verb
from bot.core.requests import RequestKind
from bot.flokit import SHARED_WITHIN_S
from bot.knowledge import Known
from bot.store.ids import new_id
from bot.store.outbox import answer_address, private_address
from bot.store.store import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import TypeAlias

    from bot.access import Access
    from bot.alerts import Alerts
    from bot.core.blocks.names import Name
    from bot.core.limits import Limits
    from bot.core.models import Message, Patience
    from bot.core.requests import Origin, Request
    from bot.home import HomeDrawer
    from bot.knowledge import Knowledge
    from bot.records import Records
    from bot.store.outbox import Address
    from bot.store.store import Store

    _Answer: TypeAlias = tuple[Message, Address]

log = structlog.get_logger(__name__)

REQUEST_LIVES: Final = timedelta(minutes=25)
"""An older request is not acted on any more: its response_url is about to end, and the world has moved."""

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
"""Between two tries to look up who asks, while Slack cannot be asked."""

TOO_LATE: Final = "I was away when you asked for this, and it is too old to act on now: nothing was started. Ask again."


_DEEDS: Final = {
    Action.RESYNC: Deed.RESYNC,
    Action.TRY_AGAIN: Deed.TRY_AGAIN,
    Action.SYNC_ANYWAY: Deed.SYNC_ANYWAY,
}

_NOTHING_TO_WATCH: Final = {
    Kept.ENDED: "This sync has its outcome already: there is nothing left to watch.",
    Kept.NEWER: "A newer sync of this integration is being followed: its outcome comes in its own thread.",
    Kept.UNKNOWN: "I no longer know this sync: ask for the status to see how things stand now.",
}


class Actions:
    """What people can do, for one workspace."""

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        alerts: Alerts,
        homes: HomeDrawer,
        records: Records,
        access: Access,
        *,
        patience: Patience,
        limits: Limits = NO_LIMITS,
        clock: Callable[[], datetime],
        command: str = "/flokit",
        bot_user_id: str = "",
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._patience = patience
        self._clock = clock
        self._command = command
        self._bot_user_id = bot_user_id
        self._alerts = alerts
        self._homes = homes
        self._records = records
        self._access = access
        self._limits = limits

    async def receive(self, request: Request) -> str:
        """Save what was asked, before Slack is answered; it is done as soon as that is done.

        Returns:
            A sentence for the person when there is nothing to do; "" otherwise.

        Raises:
            StoreUnavailable: nothing was saved, and nothing was started.
            StoreInDoubt: it may have been saved, and then it will be done.
        """
        await self._store.add_request(request)
        return ""

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
            await self._note(request, blocks.plain_message(TOO_LATE))
            return
        try:
            if request.press:
                await self._answer_press(request, request.press)
            else:
                await self._answer_text(request)
        except FlokitDenied as error:
            await self._note(request, blocks.access_lost_message(str(error)))
        except FlokitError as error:
            await self._note(request, blocks.flokit_away_message(str(error)))

    async def apologise(self, request: Request, error_id: str) -> None:
        """Answer a request that an unexpected error ended; the id is in the log."""
        if request.kind in (RequestKind.CHANNEL, RequestKind.HOME):  # nobody waits for an answer
            await self._store.finish_request(request.id)
            return
        sentence = f"Something went wrong on my side, and it is logged under {error_id}. Nothing was started."
        await self._note(request, blocks.plain_message(sentence))

    async def preview(self, view: dict[str, Any]) -> None:
        """Show in the form before a person what its choices would have told."""
        await self._alerts.preview(view)

    async def postpone(self, request: Request, after_s: float | None = None) -> None:
        """Answer a request later: who asks could not be looked up, and nobody is let in for that reason."""
        waited_s = (self._clock() - request.received_at).total_seconds()
        pause_s = max(after_s or 0.0, min(max(waited_s, FIRST_PAUSE_S), LONGEST_PAUSE_S))
        await self._store.retry_request(request.id, self._clock() + timedelta(seconds=pause_s))

    async def _answer_text(self, request: Request) -> None:
        command = (
            parse_mention(request.text, self._bot_user_id)
            if request.kind is RequestKind.MENTION
            else parse_command(request.text)
        )
        match command:
            case SyncCommand(target=target):
                await self._sync(request, target)
            case HistoryCommand(target=target):
                if permitted := await self._permit(request, Verb.LOOK, Deed.LOOK):
                    await self._records.show_history(permitted, target)
            case AuditCommand(words=words):
                if permitted := await self._permit_audit(request):
                    await self._records.show_audit(permitted, words)
            case DoctorCommand(blocks=blocks_too):
                if permitted := await self._permit(request, Verb.LOOK, Deed.LOOK):
                    await self._records.show_doctor(permitted, blocks_too=blocks_too)
            case WhyCommand(verb=verb, target=target):
                await self._explain(request, verb, target)
            case SubscribeCommand() | UnsubscribeCommand():
                await self._subscribe(request, command)
            case HelpCommand():
                await self._note(request, blocks.help_message(command, command=self._command))
            case _:
                await self._look(request, command)
                await self._access.prepare(request.origin)

    async def _look(self, request: Request, command: StatusCommand | ShowCommand | SubscriptionsCommand) -> None:
        if isinstance(command, ShowCommand):
            await self._show(request, command.target)
            return
        permitted = await self._permit(request, Verb.LOOK, Deed.LOOK)
        if permitted and isinstance(command, StatusCommand):
            await self._show_status(permitted, command.query)
        elif permitted:
            await self._alerts.show(permitted, await self._knowledge.names())

    async def _subscribe(self, request: Request, command: SubscribeCommand | UnsubscribeCommand) -> None:
        if command == SubscribeCommand() and request.kind is RequestKind.COMMAND:
            if permitted := await self._permit(request, Verb.SUBSCRIBE, Deed.SUBSCRIBE, type_matters=False):
                await self._alerts.offer(permitted, await self._knowledge.last_names(self._clock()))
            return
        known = (await self._knowledge.look()).integrations
        ends = isinstance(command, UnsubscribeCommand)
        type_ = self._alerts.type_meant(command.words, known, ending=ends)
        deed = Deed.UNSUBSCRIBE if ends else Deed.SUBSCRIBE
        permitted = await self._permit(request, Verb.SUBSCRIBE, deed, type_=type_)
        if permitted and ends:
            await self._alerts.unsubscribe(permitted, command.words, known)
        elif permitted:
            await self._alerts.subscribe(permitted, command.words, known)

    async def _answer_press(self, request: Request, press: Press) -> None:
        match press.action:
            case Action.RESYNC | Action.TRY_AGAIN | Action.SYNC_ANYWAY:
                await self._answer_start(request, press)
            case Action.KEEP_WATCHING:
                await self._answer_keep_watching(request, press)
            case Action.DETAILS:
                await self._add_detail(request, await self._to_judge(press.integration_id))
            case Action.REFRESH | Action.PREVIOUS_PAGE | Action.NEXT_PAGE:
                await self._redraw(request, press)
            case Action.REFRESH_HOME:
                await self._open_home(request)
            case Action.SNOOZE | Action.END_SNOOZE:
                about = _only_one(await self._store.load_panel(press.panel_id))
                deed = Deed.SNOOZE if press.action is Action.SNOOZE else Deed.END_SNOOZE
                if permitted := await self._permit(request, Verb.SUBSCRIBE, deed, about):
                    await self._alerts.snooze(permitted, press)
            case Action.UNSUBSCRIBE:
                known = await self._knowledge.names()
                type_ = await self._alerts.type_subscribed(press.subscription_id, known)
                if permitted := await self._permit(request, Verb.SUBSCRIBE, Deed.UNSUBSCRIBE, type_=type_):
                    await self._alerts.press_unsubscribe(permitted, press, known)

    # Who may

    async def _permit(
        self,
        request: Request,
        verb: Verb,
        deed: Deed,
        about: Integration | None = None,
        *,
        type_: str | None = None,
        type_matters: bool = True,
    ) -> Request | None:
        """Return the request with the rule that lets it through; None: it is refused, and answered so."""
        type_ = _type_of(about) if about else type_
        decided = await self._access.decide(request.origin, verb, type_)
        if isinstance(decided, Allowed):
            return _let_through(request, decided)
        if not type_matters and self._access.depends_on_type(verb):  # what is chosen in the form decides
            return request
        await self._refuse(request, decided, deed, about)
        return None

    async def _permit_audit(self, request: Request) -> Request | None:
        """Do as ``_permit`` does, for reading the audit."""
        decided = await self._access.decide_audit(request.origin)
        if isinstance(decided, Allowed):
            return _let_through(request, decided)
        await self._refuse(request, decided, Deed.AUDIT, None)
        return None

    async def _refuse(self, request: Request, refused: Refused, deed: Deed, about: Integration | None) -> None:
        log.info("refused", user_id=request.origin.person.id, action=deed, rule=refused.rule)
        message = blocks.refused_message(refused, await self._name(about) if about else None)
        entry = of_refusal(request.origin, deed, refused.rule, self._clock(), about)
        await self._store.add_note(request, message, private_address(request), self._clock(), entry=entry)

    async def _open_home(self, request: Request) -> None:
        decided = await self._access.decide(request.origin, Verb.LOOK)
        if isinstance(decided, Allowed):
            await self._homes.open(request)
            await self._access.prepare(request.origin)
            return
        await self._homes.refuse(request, blocks.refused_home(decided))
        await self._store.finish_request(request.id)

    async def _explain(self, request: Request, verb: Verb, target: str) -> None:
        """Say whether a person may do something, and what is in the way."""
        about, name, met = None, None, None
        if target:
            found = resolve(target, (await self._knowledge.look()).integrations)
            if not isinstance(found, Found):
                nearest = found.matches if isinstance(found, Ambiguous) else found.nearest
                await self._note(request, blocks.not_found_message(target, nearest, command=self._command))
                return
            about, name = found.integration, await self._name(found.integration)
            if verb is Verb.SYNC:
                met = await self._store.would_hold(request.origin, about.id, self._limits, self._clock())
        decided = await self._access.decide(request.origin, verb, _type_of(about) if about else None)
        held = met if isinstance(met, Held) else None
        message = blocks.why_message(decided, verb, name, held, is_running=bool(met and not held))
        await self._store.add_note(request, message, private_address(request), self._clock())

    async def _name(self, integration: Integration) -> Name:
        """Name it by what was known last: a start must not wait for FloKit."""
        return name_of(integration, await self._knowledge.last_names(self._clock()))

    async def _to_judge(self, integration_id: str) -> Integration:
        """Find an integration as it was known last, where its type can decide who may look at it."""
        if self._access.depends_on_type(Verb.LOOK):
            return await self._last_known(integration_id)
        return Integration(integration_id)

    async def _last_known(self, integration_id: str) -> Integration:
        """Find an integration as it was known last."""
        known = await self._knowledge.last_names(self._clock())
        return next((one for one in known if one.id == integration_id), Integration(integration_id))

    # Status and detail

    async def _show_status(self, request: Request, query: str) -> None:
        known = await self._knowledge.look()
        matching = filter_integrations(query, known.integrations, self._clock())
        if query and not matching:
            message = blocks.nothing_matches_message(query, known.integrations, self._clock(), command=self._command)
            await self._note(request, message)
            return
        await self._add_panel(request, _panel(PanelKind.STATUS, known, matching, query=query))

    async def _show(self, request: Request, target: str) -> None:
        """Show one integration; which one is meant is looked up first, since its type may decide."""
        known = await self._knowledge.look()
        match resolve(target, known.integrations):
            case Found(integration=integration):
                await self._add_detail(request, integration)
            case Ambiguous(matches=matches) if await self._permit(request, Verb.LOOK, Deed.LOOK, matches[0]):
                await self._add_panel(request, _panel(PanelKind.CHOOSE_DETAIL, known, matches, query=target))
            case NotFound(nearest=nearest):
                await self._note(request, blocks.not_found_message(target, nearest, command=self._command))

    async def _add_detail(self, request: Request, integration: Integration) -> None:
        permitted = await self._permit(request, Verb.LOOK, Deed.LOOK, integration)
        if permitted is None:
            return
        try:
            known = await self._knowledge.look_at(integration.id)
        except FlokitMissing:
            await self._note(request, blocks.not_found_message(integration.id, (), command=self._command))
            return
        await self._add_panel(request, _panel(PanelKind.DETAIL, known, known.integrations))

    async def _redraw(self, request: Request, press: Press) -> None:
        panel = await self._store.load_panel(press.panel_id)
        if panel is None:
            sentence = f"I no longer know this message: type {self._command} status for a fresh one."
            await self._note(request, blocks.plain_message(sentence))
            return
        if panel.kind is PanelKind.AUDIT:
            if await self._permit_audit(request) is None:
                return
            panel = await self._records.turn(panel, press.page, request.origin.person.id)
            await self._store.redraw_panel(request, panel, self._clock())
            return
        if await self._permit(request, Verb.LOOK, Deed.LOOK, _only_one(panel)) is None:
            return
        if press.action is Action.REFRESH:
            panel = await self._refreshed(panel)
        else:
            panel = replace(panel, page=press.page)
        await self._store.redraw_panel(request, panel, self._clock())

    async def _refreshed(self, panel: Panel) -> Panel:
        """Look anew at what a panel shows. When FloKit cannot be asked, the panel says so and keeps what it knew."""
        try:
            if panel.kind is PanelKind.STATUS:
                known = await self._knowledge.look(max_age_s=SHARED_WITHIN_S)
                shown = filter_integrations(panel.query, known.integrations, self._clock())
            else:
                known = await self._look_again(panel)
                shown = known.integrations
        except FlokitError as error:
            return replace(panel, stale_reason=str(error))
        return replace(panel, integrations=shown, as_of=known.as_of, stale_reason=known.stale_reason)

    async def _look_again(self, panel: Panel) -> Known:
        if len(panel.integrations) != 1:
            known = await self._knowledge.look(max_age_s=SHARED_WITHIN_S)
            ids = {integration.id for integration in panel.integrations}
            return replace(known, integrations=tuple(one for one in known.integrations if one.id in ids))
        try:
            return await self._knowledge.look_at(panel.integrations[0].id)
        except FlokitMissing:
            return Known((), self._clock())

    # Syncs

    async def _sync(self, request: Request, target: str) -> None:
        known = await self._knowledge.look()
        match resolve(target, known.integrations):
            case Found(integration=integration):
                await self._start_typed(request, known, integration)
            case Ambiguous(matches=matches):
                if permitted := await self._permit(request, Verb.SYNC, Deed.SYNC, matches[0]):
                    await self._add_panel(permitted, _panel(PanelKind.CHOOSE_SYNC, known, matches, query=target))
            case NotFound(nearest=nearest):
                await self._note(request, blocks.not_found_message(target, nearest, command=self._command))

    async def _start_typed(self, request: Request, known: Known, integration: Integration) -> None:
        """Start or join a sync in the thread it was asked in, or under a message of its own."""
        permitted = await self._permit(request, Verb.SYNC, Deed.SYNC, integration)
        if permitted:
            root = None if request.origin.thread_ts else _panel(PanelKind.SYNC, known, (integration,))
            refuse = await self._limit_refusal(permitted, integration)
            await self._start(permitted, integration, root=root, refuse=refuse)

    async def _answer_start(self, request: Request, press: Press) -> None:
        """Start or join a sync from the inbox, or say why not."""
        known, integration = await self._meant(press)
        if _type_of(integration) is None:
            integration = await self._last_known(press.integration_id)
        override = press.action is Action.SYNC_ANYWAY
        if override:
            request = replace(request, origin=_first_asked_at(request.origin, press.choice))
        permitted = await self._permit(request, Verb.SYNC, _DEEDS[press.action], integration)
        if permitted and override:
            permitted = await self._permit(request, Verb.ADMINISTER, Deed.SYNC_ANYWAY, integration)
        if permitted:
            refuse = await self._limit_refusal(permitted, integration)
            await self._start_pressed(permitted, press, known, integration, refuse=refuse, override=override)

    async def _limit_refusal(self, request: Request, integration: Integration) -> Callable[[Held], _Answer]:
        """Make what says that a start is held back; whoever may override that gets a button for it."""
        origin, anyway = request.origin, None
        decided = await self._access.decide(origin, Verb.ADMINISTER, _type_of(integration))
        if isinstance(decided, Allowed) and is_usable_id(integration.id):
            anyway = Press(
                Action.SYNC_ANYWAY,
                integration_id=integration.id,
                panel_id=request.press.panel_id if request.press else "",
                run_id=request.press.run_id if request.press else "",
                choice=_place_of(origin),
            )
        name = await self._name(integration)
        return lambda held: (blocks.held_message(held, name, anyway), private_address(request))

    async def _start_pressed(
        self,
        request: Request,
        press: Press,
        known: Known,
        integration: Integration,
        *,
        refuse: Callable[[Held], _Answer],
        override: bool = False,
    ) -> None:
        """Start or join a sync in the thread of the message that was clicked.

        A message that only its reader sees has no thread: that follow-up gets a message of its own, sent directly.
        """
        origin, root = request.origin, None
        if origin.ephemeral or not (origin.thread_ts or origin.message_ts):
            root = _panel(PanelKind.SYNC, known, (integration,))
        await self._start(
            request,
            integration,
            panel_id=None if root else press.panel_id or None,
            root=root,
            refuse=refuse,
            override=override,
        )

    async def _answer_keep_watching(self, request: Request, press: Press) -> None:
        run = await self._store.load_run(press.run_id)
        about = run and Integration(run.integration_id, run.integration_type)
        permitted = await self._permit(request, Verb.SYNC, Deed.KEEP_WATCHING, about or None)
        if permitted is None:
            return
        kept = await self._store.keep_watching(permitted, press.run_id, self._clock())
        if sentence := _NOTHING_TO_WATCH.get(kept):
            await self._note(request, blocks.plain_message(sentence))

    async def _meant(self, press: Press) -> tuple[Known, Integration]:
        """Find the integration of a press in what its message knew; FloKit is not asked before the ack."""
        known = await self._known_to(press)
        found = (one for one in known.integrations if one.id == press.integration_id)
        return known, next(found, Integration(press.integration_id))

    async def _known_to(self, press: Press) -> Known:
        """What the pressed message knew: the run reads the rest by itself."""
        panel = await self._store.load_panel(press.panel_id) if press.panel_id else None
        if panel:
            return Known(panel.integrations, panel.as_of)
        run = await self._store.load_run(press.run_id) if press.run_id else None
        if run and run.last_seen and run.last_seen_at:
            return Known((run.last_seen,), run.last_seen_at)
        return Known((), self._clock())

    async def _start(
        self,
        request: Request,
        integration: Integration,
        *,
        panel_id: str | None = None,
        root: Panel | None = None,
        refuse: Callable[[Held], _Answer],
        override: bool = False,
    ) -> None:
        started = await self._store.start_sync(
            request,
            integration,
            self._clock(),
            patience=self._patience,
            action=_DEEDS[request.press.action] if request.press else Deed.SYNC,
            panel_id=panel_id,
            root=root,
            limits=self._limits,
            override=override,
            refuse=refuse,
        )
        about = {
            "integration_id": integration.id,
            "user_id": request.origin.person.id,
            "channel_id": request.origin.channel_id,
        }
        if isinstance(started, Held):
            log.info("sync_held", by=started.by, until=started.until.isoformat(), **about)
        else:
            log.info("sync_joined" if started.joined else "sync_requested", run_id=started.run.id, **about)

    # Answers

    async def _add_panel(self, request: Request, panel: Panel) -> None:
        await self._store.add_panel(request, panel, answer_address(request), self._clock())

    async def _note(self, request: Request, message: Message) -> None:
        """Answer only the person who asked, where Slack lets us; in a thread or a direct message, there."""
        address = answer_address(request, private=True)
        await self._store.add_note(request, message, address, self._clock())


def _panel(kind: PanelKind, known: Known, shown: Sequence[Integration], *, query: str = "") -> Panel:
    return Panel(new_id("pnl"), kind, tuple(shown), known.as_of, query=query, stale_reason=known.stale_reason)


def _let_through(request: Request, decided: Allowed) -> Request:
    return replace(request, origin=replace(request.origin, rule=decided.rule))


def _type_of(integration: Integration) -> str | None:
    return None if integration.type == Integration("").type else integration.type


def _only_one(panel: Panel | None) -> Integration | None:
    """Return the integration that a message is about, when it is about one."""
    return panel.integrations[0] if panel and len(panel.integrations) == 1 else None


def _place_of(origin: Origin) -> str:
    """Write down where something was asked, for a button in an answer that stands elsewhere."""
    if origin.ephemeral:
        return ""
    root_ts = origin.thread_ts or origin.message_ts
    return f"{origin.channel_id}:{root_ts}" if root_ts else origin.channel_id


def _first_asked_at(origin: Origin, place: str) -> Origin:
    """Read what ``_place_of`` wrote; "" is a place that only its reader sees."""
    if not place:
        return replace(origin, ephemeral=True)
    channel_id, _, root_ts = place.partition(":")
    return replace(origin, channel_id=channel_id, thread_ts=root_ts or None, message_ts=None, ephemeral=False)
