"""The link of an incident's ticket: a button opens a form for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bot.core import blocks
from bot.core.access.audit import AuditEntry, Deed, of_origin, of_refusal
from bot.core.access.policy import Refused, Verb
from bot.core.blocks.names import short_name
from bot.core.commands.presses import Action, Press
from bot.core.forms.form import EXPIRED, CheckedForm, OpenedFor
from bot.core.forms.ticket import FORM, LINK, FilledTicket
from bot.core.incidents.incidents import Incident
from bot.core.requests import Request
from bot.handlers.feature import Feature, Handlers, SaveForm, Services
from bot.handlers.forms import SLOW_SLACK, in_time
from bot.handlers.permits import Act, known_type
from bot.store.incidents import IncidentChange, Incidents

OVER = "This incident is already resolved."


class Tickets(Feature):
    """The tickets of the incidents of one workspace."""

    def __init__(self, services: Services, incidents: Incidents) -> None:
        super().__init__(services)
        self._incidents = incidents

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {Action.TICKET_LINK: self.press}

    @property
    def forms(self) -> Mapping[CheckedForm, SaveForm]:
        """What saves the form."""
        return {FORM: self.save}

    async def press(self, request: Request, press: Press) -> None:
        """Open the form for an incident."""
        incident, channels = await self._incidents.find(press.incident_id, press.panel_id)
        about = incident.integration if incident else None
        permitted = await self._permits.check(request, Act(Deed.TICKET, about=about, channels=channels))
        if incident is None or not incident.is_open:
            await self._answers.note(request, blocks.plain_message(OVER))
            return
        name = short_name(incident.integration.id, incident.integration.type, await self._naming.current())
        metadata = OpenedFor(incident.id, request.id, press.panel_id).as_metadata()
        await self._forms.open(permitted, blocks.ticket_form(incident, name.plain, metadata), is_kept=True)

    async def save(self, request: Request, filled: FilledTicket) -> Mapping[str, str]:
        """Save the link that a form has; return what's wrong, by field."""
        opened_for = filled.opened_for
        asked = await self._store.inbox.load_asked(request.origin.team_id, opened_for.asked_id)
        if asked is None or asked.origin.person.id != request.origin.person.id:
            return {LINK: EXPIRED}
        incident, channels = await self._incidents.find(opened_for.subject_id, opened_for.panel_id)
        if incident is None or not incident.is_open:
            return {LINK: f"{OVER} Nothing was saved."}
        origin = replace(asked.origin, is_elsewhere=request.origin.is_elsewhere)
        everywhere = [*(one for one in channels if one != origin.channel_id), origin.channel_id]
        for channel_id in everywhere:
            here = replace(origin, channel_id=channel_id)
            verdict = await in_time(self._access.decide(here, Verb.SUBSCRIBE, known_type(incident.integration)))
            if verdict is None:
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
