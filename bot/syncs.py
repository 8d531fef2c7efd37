"""What people can do about syncs: start or join one, in spite of a limit if they may, and keep watching."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from bot.core import blocks
from bot.core.audit import Deed
from bot.core.commands import Action, Ambiguous, Found, NotFound, Press, is_usable_id, resolve
from bot.core.limits import Held
from bot.core.models import Integration
from bot.core.panels import PanelKind
from bot.core.policy import Verb
from bot.knowledge import Known, panel_of
from bot.permits import known_type
from bot.store.outbox import private_address
from bot.store.store import Kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import TypeAlias

    from bot.answers import Answers
    from bot.core.limits import Limits
    from bot.core.models import Message, Patience
    from bot.core.panels import Panel
    from bot.core.requests import Origin, Request
    from bot.knowledge import Knowledge
    from bot.permits import Permits
    from bot.store.outbox import Address
    from bot.store.store import Store

    _Answer: TypeAlias = tuple[Message, Address]

log = structlog.get_logger(__name__)

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


class Syncs:
    """What people can do about the syncs of one workspace."""

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        permits: Permits,
        answers: Answers,
        *,
        patience: Patience,
        limits: Limits,
        clock: Callable[[], datetime],
        command: str,
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._permits = permits
        self._answers = answers
        self._patience = patience
        self._limits = limits
        self._clock = clock
        self._command = command

    async def ask(self, request: Request, target: str) -> None:
        """Start or join the sync of what was typed; where that is several, offer a button each."""
        known = await self._knowledge.look()
        match resolve(target, known.integrations):
            case Found(integration=integration):
                await self._start_typed(request, known, integration)
            case Ambiguous(matches=matches):
                if permitted := await self._permits.ask(request, Verb.SYNC, Deed.SYNC, matches[0]):
                    choice = panel_of(PanelKind.CHOOSE_SYNC, known, matches, query=target)
                    await self._answers.show(permitted, choice)
            case NotFound(nearest=nearest):
                await self._answers.note(request, blocks.not_found_message(target, nearest, command=self._command))

    async def press(self, request: Request, press: Press) -> None:
        """Start or join a sync in the thread of the message that was clicked.

        A message that only its reader sees has no thread: that follow-up gets a message of its own, sent directly.
        """
        known, integration = await self._meant(press)
        override = press.action is Action.SYNC_ANYWAY
        if override:
            request = replace(request, origin=_first_asked_at(request.origin, press.choice))
        permitted = await self._permits.ask(request, Verb.SYNC, _DEEDS[press.action], integration)
        if permitted and override:
            permitted = await self._permits.ask(request, Verb.ADMINISTER, Deed.SYNC_ANYWAY, integration)
        if permitted is None:
            return
        origin, root = permitted.origin, None
        if origin.ephemeral or not (origin.thread_ts or origin.message_ts):
            root = panel_of(PanelKind.SYNC, known, (integration,))
        panel_id = None if root else press.panel_id or None
        await self._start(permitted, integration, panel_id=panel_id, root=root, override=override)

    async def keep_watching(self, request: Request, press: Press) -> None:
        """Go on looking at the normal pace after a sync that could not be confirmed."""
        run = await self._store.load_run(press.run_id)
        about = Integration(run.integration_id, run.integration_type) if run else None
        permitted = await self._permits.ask(request, Verb.SYNC, Deed.KEEP_WATCHING, about)
        if permitted is None:
            return
        kept = await self._store.keep_watching(permitted, press.run_id, self._clock())
        if sentence := _NOTHING_TO_WATCH.get(kept):
            await self._answers.note(request, blocks.plain_message(sentence))

    async def _start_typed(self, request: Request, known: Known, integration: Integration) -> None:
        """Start or join a sync in the thread it was asked in, or under a message of its own."""
        permitted = await self._permits.ask(request, Verb.SYNC, Deed.SYNC, integration)
        if permitted:
            root = None if request.origin.thread_ts else panel_of(PanelKind.SYNC, known, (integration,))
            await self._start(permitted, integration, root=root)

    async def _meant(self, press: Press) -> tuple[Known, Integration]:
        """Find the integration of a press in what its message knew: a start must not wait for FloKit."""
        known = await self._known_to(press)
        found = next((one for one in known.integrations if one.id == press.integration_id), None)
        if found and known_type(found):
            return known, found
        return known, await self._knowledge.last_of(press.integration_id, self._clock())

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
            refuse=await self._limit_refusal(request, integration),
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

    async def _limit_refusal(self, request: Request, integration: Integration) -> Callable[[Held], _Answer]:
        """Make what says that a start is held back; whoever may override that gets a button for it."""
        anyway = None
        if is_usable_id(integration.id) and await self._permits.may_administer(request, integration):
            anyway = Press(
                Action.SYNC_ANYWAY,
                integration_id=integration.id,
                panel_id=request.press.panel_id if request.press else "",
                run_id=request.press.run_id if request.press else "",
                choice=_place_of(request.origin),
            )
        name = await self._knowledge.last_name(integration, self._clock())
        return lambda held: (blocks.held_message(held, name, anyway), private_address(request))


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
