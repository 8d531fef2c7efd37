"""Start or join a sync, override a limit, and keep watching."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_refusal
from bot.core.access.policy import Verb
from bot.core.commands.catalog import SyncCommand
from bot.core.commands.many import read_many
from bot.core.commands.presses import Action, Press, fits_in_a_button
from bot.core.commands.targets import One
from bot.core.models import Integration, Patience
from bot.core.panels import Panel, PanelKind
from bot.core.requests import Origin, Request
from bot.core.runs.limits import Held, Limits
from bot.handlers.bulks import Bulks
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act, known_type
from bot.lookups.integrations import Known, panel_of
from bot.store.runs import Kept, StartSync

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


class Syncs(Feature):
    """The sync commands and buttons of one workspace."""

    def __init__(self, services: Services, bulks: Bulks, *, patience: Patience, limits: Limits) -> None:
        super().__init__(services)
        self._bulks = bulks
        self._patience = patience
        self._limits = limits

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {
            SyncCommand: self.sync,
            **dict.fromkeys(_DEEDS, self.press),
            Action.KEEP_WATCHING: self.keep_watching,
        }

    async def sync(self, request: Request, command: SyncCommand) -> None:
        """Start or join the sync that was typed.

        If several are meant, show a preview of them; if one is meant and several match, offer a button for each.
        """
        act = Act(Deed.SYNC, typed=command.target)
        await self._permits.check_early(request, act)
        known = await self._knowledge.look()
        sight = await self._permits.sight(request.origin, known.integrations, Verb.SYNC)
        many = read_many(command.target, sight, self._clock())
        if many and many.integrations:
            await self._bulks.preview(request, many, known, len(sight.seen), query=command.target)
            return
        if many:
            message = blocks.nothing_matches_message(
                command.target, sight.seen, self._clock(), nicknames=sight.nicknames, command=self._command
            )
            await self._answers.note(request, message)
            return
        found = await self._permits.find(request, act, known.integrations)
        about = found.integration if isinstance(found, One) else found.matches[0]
        permitted = await self._permits.check(request, Act(Deed.SYNC, about))
        if isinstance(found, One):
            root = None if request.origin.thread_ts else panel_of(PanelKind.SYNC, known, (about,))
            await self._start(permitted, about, root=root)
        else:
            choice = panel_of(PanelKind.CHOOSE_SYNC, known, found.matches, query=command.target)
            await self._answers.show(permitted, choice)

    async def press(self, request: Request, press: Press) -> None:
        """Start or join a sync in the thread of the message that was clicked.

        A message that only one person sees has no thread, so that follow-up gets its own message in their DMs.
        """
        known, integration = await self._meant(request.origin.team_id, press)
        override = press.action is Action.SYNC_ANYWAY
        place = await self._first_asked_at(request, press.choice) if override else request.origin
        act = Act(_DEEDS[press.action], integration, channels=(place.channel_id,))
        permitted = await self._permits.check(request, act)
        permitted = replace(permitted, origin=replace(place, rule=permitted.origin.rule))
        origin, root = permitted.origin, None
        if origin.ephemeral or not (origin.thread_ts or origin.message_ts):
            root = panel_of(PanelKind.SYNC, known, (integration,))
        panel_id = None if root else await self._panel_there(press.panel_id, origin)
        await self._start(permitted, integration, panel_id=panel_id, root=root, override=override)

    async def _first_asked_at(self, request: Request, asked_id: str) -> Origin:
        """Return where the sync that a limit blocked was asked for, as saved then.

        A button's value has only the ID of that request. If it isn't stored, or was someone else's, the follow-up is
        sent to the person as a DM.
        """
        asked = await self._store.inbox.load_asked(request.origin.team_id, asked_id) if asked_id else None
        if asked is None or asked.origin.person.id != request.origin.person.id:
            return replace(request.origin, ephemeral=True)
        return replace(asked.origin, response_url=request.origin.response_url)

    async def _panel_there(self, panel_id: str, origin: Origin) -> str | None:
        """Return the panel whose row a run overrides, if the press was on its message."""
        home = await self._store.panels.home_of(origin.team_id, panel_id) if panel_id else None
        return panel_id if home and home.channel_id == origin.channel_id else None

    async def keep_watching(self, request: Request, press: Press) -> None:
        """Resume checking at the normal pace after a sync couldn't be confirmed."""
        team_id = request.origin.team_id
        run = await self._store.runs.load(team_id, press.run_id)
        about = Integration(run.integration_id, run.integration_type) if run else None
        channels = await self._store.runs.channels_of(team_id, press.run_id)
        if request.origin.channel_id in channels:  # it is told there, so that channel alone has a say
            channels = ()
        permitted = await self._permits.check(request, Act(Deed.KEEP_WATCHING, about, channels=channels))
        kept = await self._store.runs.keep_watching(permitted, press.run_id, self._clock())
        if sentence := _NOTHING_TO_WATCH.get(kept):
            await self._answers.note(request, blocks.plain_message(sentence))

    async def _meant(self, team_id: str, press: Press) -> tuple[Known, Integration]:
        """Find the integration of a press among what its message knew: a start must not wait for FloKit."""
        known = await self._known_to(team_id, press)
        found = next((one for one in known.integrations if one.id == press.integration_id), None)
        if found and known_type(found):
            return known, found
        return known, await self._knowledge.last_of(press.integration_id)

    async def _known_to(self, team_id: str, press: Press) -> Known:
        """Return what the pressed message knew; the run fetches the rest."""
        panel = await self._store.panels.load(team_id, press.panel_id) if press.panel_id else None
        if panel:
            return Known(panel.integrations, panel.as_of)
        run = await self._store.runs.load(team_id, press.run_id) if press.run_id else None
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
        wanted = StartSync(
            request, integration, deed, self._patience, self._limits, override=override, panel_id=panel_id, root=root
        )
        started = await self._store.runs.start_sync(wanted, self._clock())
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
        """Say that a limit blocks a sync, with a button for people who can override it."""
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
        name = await self._knowledge.last_name(integration)
        entry = of_refusal(request.origin, deed, held.by, self._clock(), integration)
        message = blocks.held_message(held, name, anyway)
        await self._answers.tell_alone(request, message, entry=entry, is_kept=anyway is not None)
