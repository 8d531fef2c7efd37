"""Snooze, and End snooze, on an incident's message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bot.core import blocks
from bot.core.access.audit import Deed
from bot.core.commands.presses import Action, Press
from bot.core.incidents.reactions import Snooze
from bot.core.requests import Request
from bot.handlers import Handlers
from bot.handlers.answers import Answers
from bot.handlers.permits import Act, Permits
from bot.lookups.people import People
from bot.store.incidents import Incidents
from bot.store.store import Store

TOMORROW_AT: Final = time(9)
_HOURS: Final = {"1h": 1, "4h": 4}


class Snoozes:
    """The snoozes of one workspace."""

    def __init__(
        self,
        store: Store,
        incidents: Incidents,
        permits: Permits,
        answers: Answers,
        people: People,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._incidents = incidents
        self._permits = permits
        self._answers = answers
        self._people = people
        self._clock = clock

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        return {Action.SNOOZE: self.press, Action.END_SNOOZE: self.press}

    async def press(self, request: Request, press: Press) -> None:
        """Begin or end the snooze of an incident in the channel of its message."""
        begins = press.action is Action.SNOOZE
        panel = await self._store.panels.load(press.panel_id)
        channel_id = await self._incidents.channel_of(press.panel_id)
        act = Act(
            Deed.SNOOZE if begins else Deed.END_SNOOZE,
            about=panel.only if panel else None,
            channels=(channel_id,),
        )
        permitted = await self._permits.check(request, act)
        if permitted is None:
            return
        person = request.origin.person
        snooze = Snooze(person, await self._until(press.choice, person.id)) if begins else None
        origin = permitted.origin
        there = replace(permitted, origin=replace(origin, channel_id=channel_id or origin.channel_id))
        if not await self._incidents.snooze(there, press.panel_id, snooze, self._clock()):
            await self._answers.note(request, blocks.plain_message("This incident is already resolved."))

    async def _until(self, choice: str, user_id: str) -> datetime | None:
        """Return when a chosen snooze ends; None: with the incident."""
        now = self._clock()
        if choice in _HOURS:
            return now + timedelta(hours=_HOURS[choice])
        if choice != "tomorrow":
            return None
        zone = ZoneInfo(await self._people.zone_of(user_id))
        tomorrow = now.astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, TOMORROW_AT, tzinfo=zone).astimezone(UTC)
