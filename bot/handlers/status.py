"""What people can look at: all integrations, one in detail, and messages that can be updated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bot.core import blocks
from bot.core.access.audit import Deed
from bot.core.access.policy import Verb
from bot.core.commands.catalog import ShowCommand, StatusCommand
from bot.core.commands.filters import filter_integrations
from bot.core.commands.presses import Action, Press
from bot.core.commands.targets import One
from bot.core.errors import FlokitError, FlokitMissing
from bot.core.models import Integration
from bot.core.panels import Panel, PanelKind, gone_stale, refreshed
from bot.core.requests import Origin, Request
from bot.flokit import SHARED_WITHIN_S
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act
from bot.handlers.records import Records
from bot.lookups.integrations import Known, panel_of
from bot.store.panels import PanelHome


class Looks(Feature):
    """The status commands and buttons of one workspace."""

    def __init__(self, services: Services, records: Records) -> None:
        super().__init__(services)
        self._records = records

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {
            StatusCommand: self.show_status,
            ShowCommand: self.show,
            Action.DETAILS: self.press_details,
            Action.REFRESH: self.redraw,
            Action.PREVIOUS_PAGE: self.redraw,
            Action.NEXT_PAGE: self.redraw,
        }

    async def show_status(self, request: Request, command: StatusCommand) -> None:
        """Show the integrations that match a filter, failing first."""
        permitted, query = await self._permits.check(request, Act(Deed.LOOK)), command.query
        known = await self._knowledge.look()
        nicknames = await self._naming.current()
        matching = filter_integrations(query, known.integrations, self._clock(), nicknames)
        if query and not matching:
            message = blocks.nothing_matches_message(
                query, known.integrations, self._clock(), nicknames=nicknames, command=self._command
            )
            await self._answers.note(permitted, message)
        else:
            await self._answers.show(permitted, panel_of(PanelKind.STATUS, known, matching, query=query))
        await self._access.prepare(request.origin)

    async def show(self, request: Request, command: ShowCommand) -> None:
        """Show one integration; if permissions depend on types, it's found among those that the person can look at."""
        act = Act(Deed.LOOK, typed=command.target)
        await self._permits.check_early(request, act)
        known = await self._knowledge.look()
        found = await self._permits.find(request, act, known.integrations)
        if isinstance(found, One):
            await self._show_detail(request, found.integration)
        else:
            panel = panel_of(PanelKind.CHOOSE_DETAIL, known, found.matches, query=act.typed)
            await self._answers.show(request, panel)
        await self._access.prepare(request.origin)

    async def press_details(self, request: Request, press: Press) -> None:
        """Show one integration in the thread of the message that was clicked."""
        about = Integration(press.integration_id)
        if self._access.depends_on_type(Verb.LOOK):
            about = await self._knowledge.last_of(press.integration_id)
        await self._show_detail(request, about)

    async def _show_detail(self, request: Request, integration: Integration) -> None:
        permitted = await self._permits.check(request, Act(Deed.LOOK, integration))
        try:
            known = await self._knowledge.look_at(integration.id)
        except FlokitMissing:
            await self._answers.note(permitted, blocks.not_found_message(integration.id, (), command=self._command))
            return
        await self._answers.show(permitted, panel_of(PanelKind.DETAIL, known, known.integrations))

    async def redraw(self, request: Request, press: Press) -> None:
        """Update the message that was clicked: with fresh data, or another page."""
        panel = await self._store.panels.load(request.origin.team_id, press.panel_id)
        home = await self._store.panels.home_of(request.origin.team_id, press.panel_id)
        if panel and panel.kind is PanelKind.AUDIT:
            act = Act(Deed.AUDIT)
        else:
            act = Act(Deed.LOOK, panel.only if panel else None, channels=(home.channel_id,) if home else ())
        permitted = await self._permits.check(request, act)
        if panel is None or home is None or not _may_redraw(home, request.origin):
            sentence = f"This message has expired. Run {self._command} status for a new one."
            await self._answers.note(request, blocks.plain_message(sentence))
            return
        change = await self._change(panel, press, request.origin.person.id)
        await self._store.panels.redraw(permitted, panel.id, change, self._clock())

    async def _change(self, panel: Panel, press: Press, reader_id: str) -> Callable[[Panel], Panel]:
        """Return what a press changes in a message; everything else stays, because others may change it meanwhile."""
        if panel.kind is PanelKind.AUDIT:
            turned = await self._records.turn(panel, press.page, reader_id)
            if not turned.entries:
                turned = await self._records.turn(panel, 0, reader_id)
            page = {"page": turned.page, "entries": turned.entries, "links": turned.links, "has_more": turned.has_more}
            return lambda current: replace(current, **page)  # type: ignore[arg-type]
        if press.action is Action.REFRESH:
            return await self._refresh(panel)
        return lambda current: replace(current, page=press.page)

    async def _refresh(self, panel: Panel) -> Callable[[Panel], Panel]:
        """Fetch what a message shows again. If FloKit is unreachable, it says so and keeps the old data."""
        try:
            if panel.kind is PanelKind.STATUS:
                known = await self._knowledge.look(max_age_s=SHARED_WITHIN_S)
                nicknames = await self._naming.current()
                shown = filter_integrations(panel.query, known.integrations, self._clock(), nicknames)
            else:
                known = await self._look_again(panel)
                shown = known.integrations
        except FlokitError as error:
            reason = str(error)
            return lambda current: gone_stale(current, reason, panel.as_of)
        if known.stale_reason:
            newest = max(known.as_of, panel.as_of)
            return lambda current: gone_stale(refreshed(current, shown, known.as_of), known.stale_reason, newest)
        return lambda current: refreshed(current, shown, known.as_of)

    async def _look_again(self, panel: Panel) -> Known:
        if len(panel.integrations) != 1:
            known = await self._knowledge.look(max_age_s=SHARED_WITHIN_S)
            ids = {integration.id for integration in panel.integrations}
            return replace(known, integrations=tuple(one for one in known.integrations if one.id in ids))
        try:
            return await self._knowledge.look_at(panel.integrations[0].id)
        except FlokitMissing:
            return Known((), self._clock())


def _may_redraw(home: PanelHome, origin: Origin) -> bool:
    """Return whether a press can be from this message: only the person who sees a private message can press in it."""
    if home.reader_id:
        return home.reader_id == origin.person.id
    return not home.channel_id.startswith("D") or home.channel_id == origin.channel_id
