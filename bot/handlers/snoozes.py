"""Snooze, and End snooze, on an incident's message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bot.core import blocks
from bot.core.access.audit import Deed
from bot.core.commands.presses import Action, Press
from bot.core.incidents.reactions import Snooze
from bot.core.requests import Request
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act
from bot.store.incidents import Incidents

TOMORROW_AT: Final = time(9)
_HOURS: Final = {"1h": 1, "4h": 4}


class Snoozes(Feature):
    """The snoozes of one workspace."""

    def __init__(self, services: Services, incidents: Incidents) -> None:
        super().__init__(services)
        self._incidents = incidents

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {Action.SNOOZE: self.press, Action.END_SNOOZE: self.press}

    async def press(self, request: Request, press: Press) -> None:
        """Begin or end the snooze of an incident in the channel of its message."""
        begins = press.action is Action.SNOOZE
        panel = await self._store.panels.load(request.origin.team_id, press.panel_id)
        channel_id = await self._incidents.channel_of(press.panel_id)
        act = Act(
            Deed.SNOOZE if begins else Deed.END_SNOOZE,
            about=panel.only if panel else None,
            channels=(channel_id,),
        )
        permitted = await self._permits.check(request, act)
        person = request.origin.person
        snooze = Snooze(person, await self._until(press.choice, person.id)) if begins else None
        origin = permitted.origin
        there = replace(permitted, origin=replace(origin, channel_id=channel_id or origin.channel_id))
        if not await self._incidents.snooze(there, press.panel_id, snooze, self._clock()):
            await self._answers.note(request, blocks.plain_message("This incident is already resolved."))

    async def _until(self, choice: str, user_id: str) -> datetime | None:
        """Return when the chosen snooze ends; None: when the incident does."""
        now = self._clock()
        if choice in _HOURS:
            return now + timedelta(hours=_HOURS[choice])
        if choice != "tomorrow":
            return None
        zone = ZoneInfo(await self._people.zone_of(user_id))
        tomorrow = now.astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, TOMORROW_AT, tzinfo=zone).astimezone(UTC)
