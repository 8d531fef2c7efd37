"""Open incidents, and who is on each: I'm on it, Take over, Let go and Hand over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from bot.core import blocks
from bot.core.access.audit import Deed, of_origin
from bot.core.access.policy import Refused, Verb
from bot.core.commands.catalog import IncidentsCommand
from bot.core.commands.filters import filter_integrations
from bot.core.commands.presses import Action, Press
from bot.core.incidents.incidents import Incident, turned
from bot.core.incidents.taking import OnIt, Refusal, Step, Turn, take_turn
from bot.core.models import Person
from bot.core.nicknames import Nicknames
from bot.core.requests import Request
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act, known_type
from bot.store.incidents import IncidentChange, Incidents
from bot.store.outbox_rows import Address, answer_address

_STEPS: Final = {Action.ON_IT: Step.TAKE, Action.LET_GO: Step.LET_GO, Action.HAND_OVER: Step.HAND_OVER}
_DEEDS: Final = {Step.TAKE: Deed.ON_IT, Step.LET_GO: Deed.LET_GO, Step.HAND_OVER: Deed.HAND_OVER}

RUNS_READ: Final = 20
"""How many of the newest syncs of an integration are counted as tried."""

OVER: Final = "This incident is already resolved."
NO_PERSON: Final = "Pick a person to hand over to."


class Taking(Feature):
    """Who is on the incidents of one workspace."""

    def __init__(self, services: Services, incidents: Incidents) -> None:
        super().__init__(services)
        self._incidents = incidents
        self._bot_user_id = services.context.bot_user_id

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {
            IncidentsCommand: self.show,
            Action.ON_IT: self.press,
            Action.LET_GO: self.press,
            Action.HAND_OVER: self.press,
        }

    async def show(self, request: Request, command: IncidentsCommand) -> None:
        """List the open incidents that a person may view."""
        permitted, now = await self._permits.check(request, Act(Deed.LOOK)), self._clock()
        standing = await self._incidents.standing(now)
        about = tuple(one.integration for one in standing.incidents)
        sight = await self._permits.sight(permitted.origin, about)
        matching = filter_integrations(command.query, sight.seen, now, sight.nicknames)
        ids = {one.id for one in matching}
        wanted = [one for one in standing.incidents if one.integration.id in ids]
        tried = [await self._tried(one) for one in wanted[: blocks.SHOWN]]
        hidden = len(wanted) - len(tried)
        message = blocks.incidents_message(
            tried, now, sight.nicknames, query=command.query, hidden=hidden, command=self._command
        )
        await self._answers.note(permitted, message)

    async def _tried(self, incident: Incident) -> blocks.Tried:
        """Find the syncs that were started here while an incident was open."""
        id_ = incident.integration.id
        runs = await self._store.runs.past(incident.team_id, (id_,), "", limit=RUNS_READ)
        return blocks.Tried(incident, tuple(one for one in runs if one.requested_at >= incident.opened_at))

    async def press(self, request: Request, press: Press) -> None:
        """Change who is on an incident, and tell everyone concerned."""
        step = _STEPS[press.action]
        incident, channels = await self._incidents.find(press.incident_id, press.panel_id)
        about = incident.integration if incident else None
        permitted = await self._permits.check(request, Act(_DEEDS[step], about=about, channels=channels))
        if incident is None or not incident.is_open:
            await self._answers.note(request, blocks.plain_message(OVER))
            return
        to = Person(press.person_id) if step is Step.HAND_OVER else None
        if to and (why := await self._why_not(permitted, to, incident, channels)):
            await self._answers.note(request, blocks.cannot_ask_message(to, why))
            return
        turn = Turn(step, request.origin.person, press.page, to)
        decide = partial(self._decide, permitted, turn, press.panel_id, channels, await self._naming.current())
        if not await self._incidents.change(permitted, incident.id, decide, self._clock()):
            await self._answers.note(request, blocks.plain_message(OVER))

    async def _why_not(self, request: Request, to: Person, incident: Incident, channels: tuple[str, ...]) -> str:
        """Say why a person can't be asked; "" if they can: they must be allowed to say that they're on it."""
        if not to.id:
            return NO_PERSON
        if to.id == self._bot_user_id:
            return "I'm a bot, and can't fix it."
        for channel_id in channels or (request.origin.channel_id,):
            theirs = replace(request.origin, person=to, channel_id=channel_id, is_elsewhere=False)
            if isinstance(await self._access.decide(theirs, Verb.SUBSCRIBE, known_type(incident.integration)), Refused):
                return "they aren't allowed to take incidents here."
        return ""

    def _decide(
        self,
        request: Request,
        turn: Turn,
        panel_id: str,
        channels: tuple[str, ...],
        nicknames: Nicknames,
        incident: Incident,
    ) -> IncidentChange:
        """Decide what a click changes, and who is told what."""
        now, before = self._clock(), incident.on_it
        on_it = take_turn(before, incident.turns, turn, now)
        answer = answer_address(request, private=True)
        if isinstance(on_it, Refusal):
            message = blocks.refused_turn_message(incident, on_it, panel_id, nicknames)
            return IncidentChange(None, [(answer, message)])
        on_it = replace(on_it, panel_id=panel_id) if on_it else None
        changed = turned(incident, on_it, now)
        origin = request.origin
        asks_at = self._incidents.attention.due_at(on_it) if on_it else None
        messages = [(answer, blocks.turn_message(changed, turn, before, nicknames, asks_at=asks_at))]
        for person in _concerned(before, turn):
            told = blocks.concerned_message(changed, turn, before, person, nicknames) if before else None
            messages += [(Address(origin.team_id, user_id=person.id), told)] if told else []
        if on_it and on_it.asked_by:
            asked = blocks.asked_message(changed, on_it.asked_by, panel_id, _first(channels), nicknames)
            messages.append((Address(origin.team_id, user_id=on_it.person.id), asked))
        there = replace(origin, channel_id=origin.channel_id or _first(channels))
        entry = replace(
            of_origin(there, _DEEDS[turn.step], now, result=_result(before, on_it)),
            integration_id=incident.integration.id,
            integration_type=incident.integration.type,
        )
        return IncidentChange(changed, messages, entry)


def _concerned(before: OnIt | None, turn: Turn) -> Iterator[Person]:
    """Return who is told besides the one who clicked: who was on it or was asked, and who asked them."""
    knowing = {turn.by.id, turn.to.id if turn.to else ""}
    for person in (before.person, before.asked_by) if before else ():
        if person and person.id not in knowing:
            knowing.add(person.id)
            yield person


def _first(channels: tuple[str, ...]) -> str:
    return channels[0] if len(channels) == 1 else ""


def _result(before: OnIt | None, after: OnIt | None) -> str:
    """Describe a change for the audit log."""
    if before and after and before.since == after.since:
        return "still"
    was = f"it was {_called(before.person)}" if before and not before.is_asked else ""
    if before and before.is_asked:
        was = f"{_called(before.person)} was asked"
    asked = f"asked {_called(after.person)}" if after and after.is_asked else ""
    return "; ".join(part for part in (asked, was) if part)


def _called(person: Person) -> str:
    return person.name or person.id
