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
from bot.core.audit import Deed
from bot.core.commands import (
    Action,
    Ambiguous,
    AuditCommand,
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
    filter_integrations,
    parse_command,
    parse_mention,
    resolve,
)
from bot.core.errors import FlokitDenied, FlokitError, FlokitMissing
from bot.core.models import Integration
from bot.core.panels import Panel, PanelKind
from bot.core.requests import RequestKind
from bot.flokit import SHARED_WITHIN_S
from bot.knowledge import Known
from bot.store.ids import new_id
from bot.store.outbox import answer_address
from bot.store.store import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from bot.alerts import Alerts
    from bot.core.models import Message, Patience
    from bot.core.requests import Request
    from bot.home import HomeDrawer
    from bot.knowledge import Knowledge
    from bot.records import Records
    from bot.store.store import Store

log = structlog.get_logger(__name__)

REQUEST_LIVES: Final = timedelta(minutes=25)
"""An older request is not acted on any more: its response_url is about to end, and the world has moved."""

TOO_LATE: Final = "I was away when you asked for this, and it is too old to act on now: nothing was started. Ask again."


_DEEDS: Final = {Action.RESYNC: Deed.RESYNC, Action.TRY_AGAIN: Deed.TRY_AGAIN}

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
        *,
        patience: Patience,
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

    async def receive(self, request: Request) -> str:
        """Save what was asked, before Slack is answered; a start is done at once, the rest soon.

        Returns:
            A sentence for the person when there is nothing to do; "" otherwise.

        Raises:
            StoreUnavailable: nothing was saved, and nothing was started.
            StoreInDoubt: it may have been saved, and then it will be done.
        """
        press = request.press
        if press and press.action in (Action.RESYNC, Action.TRY_AGAIN):
            await self._start_pressed(request, press)
        elif press and press.action is Action.KEEP_WATCHING:
            return _NOTHING_TO_WATCH.get(await self._store.keep_watching(request, press.run_id, self._clock()), "")
        else:
            await self._store.add_request(request)
        return ""

    async def answer(self, request: Request) -> None:
        """Do what a saved request asks for, and save the answer."""
        if request.kind is RequestKind.CHANNEL:  # as true later as it was then
            await self._alerts.follow_channel(request)
            return
        if request.kind is RequestKind.HOME:
            await self._homes.open(request)
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

    async def _answer_text(self, request: Request) -> None:
        command = (
            parse_mention(request.text, self._bot_user_id)
            if request.kind is RequestKind.MENTION
            else parse_command(request.text)
        )
        match command:
            case StatusCommand(query=query):
                await self._show_status(request, query)
            case ShowCommand(target=target):
                await self._show(request, target)
            case SyncCommand(target=target):
                await self._sync(request, target)
            case SubscribeCommand(words="") if request.kind is RequestKind.COMMAND:
                await self._alerts.offer(request, await self._knowledge.last_names(self._clock()))
            case SubscribeCommand(words=words):
                await self._alerts.subscribe(request, words, (await self._knowledge.look()).integrations)
            case UnsubscribeCommand(words=words):
                await self._alerts.unsubscribe(request, words, (await self._knowledge.look()).integrations)
            case SubscriptionsCommand():
                await self._alerts.show(request, await self._knowledge.names())
            case HistoryCommand(target=target):
                await self._records.show_history(request, target)
            case AuditCommand(words=words):
                await self._records.show_audit(request, words)
            case HelpCommand():
                await self._note(request, blocks.help_message(command, command=self._command))

    async def _answer_press(self, request: Request, press: Press) -> None:
        match press.action:
            case Action.DETAILS:
                await self._add_detail(request, press.integration_id)
            case Action.REFRESH | Action.PREVIOUS_PAGE | Action.NEXT_PAGE:
                await self._redraw(request, press)
            case Action.REFRESH_HOME:
                await self._homes.open(request)
            case Action.SNOOZE | Action.END_SNOOZE:
                await self._alerts.snooze(request, press)
            case Action.UNSUBSCRIBE:
                await self._alerts.press_unsubscribe(request, press, await self._knowledge.names())
            case _:
                log.error("press_not_answered", action=press.action)
                await self._store.finish_request(request.id)

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
        known = await self._knowledge.look()
        match resolve(target, known.integrations):
            case Found(integration=integration):
                await self._add_detail(request, integration.id)
            case Ambiguous(matches=matches):
                await self._add_panel(request, _panel(PanelKind.CHOOSE_DETAIL, known, matches, query=target))
            case NotFound(nearest=nearest):
                await self._note(request, blocks.not_found_message(target, nearest, command=self._command))

    async def _add_detail(self, request: Request, integration_id: str) -> None:
        try:
            known = await self._knowledge.look_at(integration_id)
        except FlokitMissing:
            await self._note(request, blocks.not_found_message(integration_id, (), command=self._command))
            return
        await self._add_panel(request, _panel(PanelKind.DETAIL, known, known.integrations))

    async def _redraw(self, request: Request, press: Press) -> None:
        panel = await self._store.load_panel(press.panel_id)
        if panel is None:
            sentence = f"I no longer know this message: type {self._command} status for a fresh one."
            await self._note(request, blocks.plain_message(sentence))
            return
        if panel.kind is PanelKind.AUDIT:
            panel = await self._records.turn(panel, press.page, request.origin.person.id)
        elif press.action is Action.REFRESH:
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
                await self._add_panel(request, _panel(PanelKind.CHOOSE_SYNC, known, matches, query=target))
            case NotFound(nearest=nearest):
                await self._note(request, blocks.not_found_message(target, nearest, command=self._command))

    async def _start_typed(self, request: Request, known: Known, integration: Integration) -> None:
        """Start or join a sync in the thread it was asked in, or under a message of its own."""
        root = None if request.origin.thread_ts else _panel(PanelKind.SYNC, known, (integration,))
        await self._start(request, integration, root=root)

    async def _start_pressed(self, request: Request, press: Press) -> None:
        """Start or join a sync in the thread of the message that was clicked.

        A message that only its reader sees has no thread: that follow-up gets a message of its own, sent directly.
        """
        known = await self._known_to(press)
        integration = next(
            (one for one in known.integrations if one.id == press.integration_id), Integration(press.integration_id)
        )
        if request.origin.ephemeral:
            await self._start(request, integration, root=_panel(PanelKind.SYNC, known, (integration,)))
        else:
            await self._start(request, integration, panel_id=press.panel_id or None)

    async def _known_to(self, press: Press) -> Known:
        """What the pressed message knew; FloKit is not asked before the ack."""
        panel = await self._store.load_panel(press.panel_id) if press.panel_id else None
        if panel:
            return Known(panel.integrations, panel.as_of)
        run = await self._store.load_run(press.run_id) if press.run_id else None
        if run and run.last_seen and run.last_seen_at:
            return Known((run.last_seen,), run.last_seen_at)
        return Known((), self._clock())

    async def _start(
        self, request: Request, integration: Integration, *, panel_id: str | None = None, root: Panel | None = None
    ) -> None:
        opened = await self._store.start_sync(
            request,
            integration,
            self._clock(),
            patience=self._patience,
            action=_DEEDS[request.press.action] if request.press else Deed.SYNC,
            panel_id=panel_id,
            root=root,
        )
        if opened:
            log.info(
                "sync_joined" if opened.joined else "sync_requested",
                run_id=opened.run.id,
                integration_id=integration.id,
                user_id=request.origin.person.id,
                channel_id=request.origin.channel_id,
            )

    # Answers

    async def _add_panel(self, request: Request, panel: Panel) -> None:
        await self._store.add_panel(request, panel, answer_address(request), self._clock())

    async def _note(self, request: Request, message: Message) -> None:
        """Answer only the person who asked, where Slack lets us; in a thread or a direct message, there."""
        address = answer_address(request, private=True)
        await self._store.add_note(request, message, address, self._clock())


def _panel(kind: PanelKind, known: Known, shown: Sequence[Integration], *, query: str = "") -> Panel:
    return Panel(new_id("pnl"), kind, tuple(shown), known.as_of, query=query, stale_reason=known.stale_reason)
