"""The link of an incident's ticket: a button opens a form for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import structlog

from bot.core import blocks
from bot.core.access.audit import AuditEntry, Deed, of_origin, of_refusal
from bot.core.access.policy import Refused, Verb
from bot.core.blocks.names import short_name
from bot.core.commands.presses import Action, Press, fits_in_a_button
from bot.core.errors import SlackError
from bot.core.incidents.incidents import Incident
from bot.core.requests import Request
from bot.core.ticket_form import EXPIRED, LINK, FilledTicket, write_metadata
from bot.handlers.connecting import DECIDED_WITHIN_S, NOT_OPENED, SLOW_SLACK
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act, known_type
from bot.slack.client import SlackClient
from bot.store.incidents import IncidentChange, Incidents

log = structlog.get_logger(__name__)

OVER = "This incident is already resolved."


class Tickets(Feature):
    """The tickets of the incidents of one workspace."""

    def __init__(self, services: Services, incidents: Incidents, slack: SlackClient) -> None:
        super().__init__(services)
        self._incidents = incidents
        self._slack = slack

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {Action.TICKET_LINK: self.press}

    async def press(self, request: Request, press: Press) -> None:
        """Open the form for an incident."""
        incident, channels = await self._incidents.find(press.incident_id, press.panel_id)
        about = incident.integration if incident else None
        permitted = await self._permits.check(request, Act(Deed.TICKET, about=about, channels=channels))
        if incident is None or not incident.is_open:
            await self._answers.note(request, blocks.plain_message(OVER))
            return
        name = short_name(incident.integration.id, incident.integration.type, await self._naming.current())
        if not fits_in_a_button(request.id):
            await self._answers.note(request, blocks.plain_message(NOT_OPENED))
            return
        metadata = write_metadata(incident.id, request.id, press.panel_id)
        try:
            await self._slack.open_view(request.id, blocks.ticket_form(incident, name.plain, metadata))
        except SlackError as error:
            log.info("form_not_opened", code=error.code)
            await self._answers.note(permitted, blocks.plain_message(NOT_OPENED))
            return
        await self._answers.none(permitted, is_kept=True)

    async def save(self, request: Request, filled: FilledTicket) -> Mapping[str, str]:
        """Save the link that a form has; return what's wrong, by field.

        Raises:
            StoreUnavailable: nothing was saved, or that isn't known.
        """
        asked = await self._store.inbox.load_asked(request.origin.team_id, filled.asked_id)
        if asked is None or asked.origin.person.id != request.origin.person.id:
            return {LINK: EXPIRED}
        incident, channels = await self._incidents.find(filled.incident_id, filled.panel_id)
        if incident is None or not incident.is_open:
            return {LINK: f"{OVER} Nothing was saved."}
        origin = replace(asked.origin, is_elsewhere=request.origin.is_elsewhere)
        everywhere = [*(one for one in channels if one != origin.channel_id), origin.channel_id]
        for channel_id in everywhere:
            here = replace(origin, channel_id=channel_id)
            try:
                async with asyncio.timeout(DECIDED_WITHIN_S):
                    verdict = await self._access.decide(here, Verb.SUBSCRIBE, known_type(incident.integration))
            except (SlackError, TimeoutError):
                return {LINK: SLOW_SLACK}
            if isinstance(verdict, Refused):
                entry = of_refusal(here, Deed.TICKET, verdict.rule, self._clock(), incident.integration)
                refuse = partial(_refused, entry)
                await self._incidents.change(request, incident.id, refuse, self._clock(), is_saved=False)
                return {LINK: f"{verdict.sentence} Nothing was saved."}
            origin = replace(here, rule=verdict.rule)
        decide = partial(self._decide, replace(request, origin=origin), filled.link)
        if not await self._incidents.change(request, incident.id, decide, self._clock(), is_saved=False):
            return {LINK: f"{OVER} Nothing was saved."}
        return {}

    def _decide(self, request: Request, link: str, incident: Incident) -> IncidentChange:
        if incident.ticket == link:
            return IncidentChange(None)
        was = f", was {incident.ticket}" if incident.ticket else ""
        entry = replace(
            of_origin(request.origin, Deed.TICKET, self._clock(), result=f"{link or 'no ticket'}{was}"),
            integration_id=incident.integration.id,
            integration_type=incident.integration.type,
        )
        return IncidentChange(replace(incident, ticket=link), entry=entry)


def _refused(entry: AuditEntry, _: Incident) -> IncidentChange:
    return IncidentChange(None, entry=entry)
