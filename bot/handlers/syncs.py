"""What people can do about syncs: start or join one, in spite of a limit if they may, and keep watching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_refusal
from bot.core.commands.catalog import SyncCommand
from bot.core.commands.presses import Action, Press, fits_in_a_button
from bot.core.commands.targets import One
from bot.core.models import Integration, Patience
from bot.core.panels import Panel, PanelKind
from bot.core.requests import Origin, Request
from bot.core.runs.limits import Held, Limits
from bot.handlers import Handlers
from bot.handlers.answers import Answers
from bot.handlers.permits import Act, Permits, known_type
from bot.lookups.integrations import Knowledge, Known, panel_of
from bot.store.runs import Kept
from bot.store.store import Store

log = structlog.get_logger(__name__)

_DEEDS: Final = {
    Action.RESYNC: Deed.RESYNC,
    Action.TRY_AGAIN: Deed.TRY_AGAIN,
    Action.SYNC_ANYWAY: Deed.SYNC_ANYWAY,
}

_NOTHING_TO_WATCH: Final = {
    Kept.ENDED: "This sync has already finished.",
    Kept.NEWER: "A newer sync is running; its outcome will be posted in its own thread.",
    Kept.UNKNOWN: "I no longer have this sync on record. Run the status command for the current state.",
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

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        return {
            SyncCommand: self.sync,
            **dict.fromkeys(_DEEDS, self.press),
            Action.KEEP_WATCHING: self.keep_watching,
        }

    async def sync(self, request: Request, command: SyncCommand) -> None:
        """Start or join the sync of what was typed; where that is several, offer a button each."""
        act = Act(Deed.SYNC, typed=command.target)
        if not await self._permits.check_early(request, act):
            return
        known = await self._knowledge.look()
        found = await self._permits.find(request, act, known.integrations)
        if found is None:
            return
        about = found.integration if isinstance(found, One) else found.matches[0]
        permitted = await self._permits.check(request, Act(Deed.SYNC, about))
        if permitted is None:
            return
        if isinstance(found, One):
            root = None if request.origin.thread_ts else panel_of(PanelKind.SYNC, known, (about,))
            await self._start(permitted, about, root=root)
        else:
            choice = panel_of(PanelKind.CHOOSE_SYNC, known, found.matches, query=command.target)
            await self._answers.show(permitted, choice)

    async def press(self, request: Request, press: Press) -> None:
        """Start or join a sync in the thread of the message that was clicked.

        A message that only its reader sees has no thread: that follow-up gets a message of its own, sent directly.
        """
        known, integration = await self._meant(press)
        override = press.action is Action.SYNC_ANYWAY
        place = await self._first_asked_at(request, press.choice) if override else request.origin
        act = Act(_DEEDS[press.action], integration, channels=(place.channel_id,))
        permitted = await self._permits.check(request, act)
        if permitted is None:
            return
        permitted = replace(permitted, origin=replace(place, rule=permitted.origin.rule))
        origin, root = permitted.origin, None
        if origin.ephemeral or not (origin.thread_ts or origin.message_ts):
            root = panel_of(PanelKind.SYNC, known, (integration,))
        panel_id = None if root else await self._panel_there(press.panel_id, origin)
        await self._start(permitted, integration, panel_id=panel_id, root=root, override=override)

    async def _first_asked_at(self, request: Request, asked_id: str) -> Origin:
        """Return where the sync was asked for that a limit held back, as it was saved then.

        A button's value names only that request. What isn't known, or was somebody else's, is no place: then the
        follow-up goes to the person directly.
        """
        asked = await self._store.inbox.load_asked(asked_id) if asked_id else None
        if asked is None or asked.origin.person.id != request.origin.person.id:
            return replace(request.origin, ephemeral=True)
        return replace(asked.origin, response_url=request.origin.response_url)

    async def _panel_there(self, panel_id: str, origin: Origin) -> str | None:
        """Return the panel whose row a run is to override, if its message is where the press was."""
        home = await self._store.panels.home_of(panel_id) if panel_id else None
        return panel_id if home and home.channel_id == origin.channel_id else None

    async def keep_watching(self, request: Request, press: Press) -> None:
        """Go on looking at the normal pace after a sync that could not be confirmed."""
        run = await self._store.runs.load(press.run_id)
        about = Integration(run.integration_id, run.integration_type) if run else None
        channels = await self._store.runs.channels_of(press.run_id)
        if request.origin.channel_id in channels:  # it is told there, so that channel alone has a say
            channels = ()
        permitted = await self._permits.check(request, Act(Deed.KEEP_WATCHING, about, channels=channels))
        if permitted is None:
            return
        kept = await self._store.runs.keep_watching(permitted, press.run_id, self._clock())
        if sentence := _NOTHING_TO_WATCH.get(kept):
            await self._answers.note(request, blocks.plain_message(sentence))

    async def _meant(self, press: Press) -> tuple[Known, Integration]:
        """Find the integration of a press in what its message knew: a start must not wait for FloKit."""
        known = await self._known_to(press)
        found = next((one for one in known.integrations if one.id == press.integration_id), None)
        if found and known_type(found):
            return known, found
        return known, await self._knowledge.last_of(press.integration_id, self._clock())

    async def _known_to(self, press: Press) -> Known:
        """What the pressed message knew: the run reads the rest by itself."""
        panel = await self._store.panels.load(press.panel_id) if press.panel_id else None
        if panel:
            return Known(panel.integrations, panel.as_of)
        run = await self._store.runs.load(press.run_id) if press.run_id else None
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
        deed = _DEEDS[request.press.action] if request.press else Deed.SYNC
        started = await self._store.runs.start_sync(
            request,
            integration,
            self._clock(),
            patience=self._patience,
            action=deed,
            panel_id=panel_id,
            root=root,
            limits=self._limits,
            override=override,
        )
        about = {
            "integration_id": integration.id,
            "user_id": request.origin.person.id,
            "channel_id": request.origin.channel_id,
        }
        if isinstance(started, Held):
            await self._hold_back(request, integration, started, deed)
            log.info("sync_held", by=started.by, until=started.until.isoformat(), **about)
        else:
            log.info("sync_joined" if started.joined else "sync_requested", run_id=started.run.id, **about)

    async def _hold_back(self, request: Request, integration: Integration, held: Held, deed: Deed) -> None:
        """Say that a limit holds a start back; to somebody who may override that, with a button for it."""
        anyway = None
        usable = fits_in_a_button(integration.id) and fits_in_a_button(request.id)
        if usable and await self._permits.may_administer(request, integration):
            anyway = Press(
                Action.SYNC_ANYWAY,
                integration_id=integration.id,
                panel_id=request.press.panel_id if request.press else "",
                run_id=request.press.run_id if request.press else "",
                choice=request.id,
            )
        name = await self._knowledge.last_name(integration, self._clock())
        entry = of_refusal(request.origin, deed, held.by, self._clock(), integration)
        message = blocks.held_message(held, name, anyway)
        await self._answers.tell_alone(request, message, entry=entry, is_kept=anyway is not None)
