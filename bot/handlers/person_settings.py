"""A person's own settings, changed in a form that App Home opens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_origin
from bot.core.access.policy import Refused, Verb
from bot.core.commands.presses import Action, Press
from bot.core.errors import SlackError
from bot.core.person_settings import ZONE, PersonSettings, describe_settings
from bot.core.requests import Request
from bot.handlers.connecting import DECIDED_WITHIN_S, NOT_OPENED, SLOW_SLACK
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act
from bot.slack.client import SlackClient
from bot.store.person_settings import PersonSettingsRows

log = structlog.get_logger(__name__)


class OwnSettings(Feature):
    """The settings of the people of one workspace."""

    def __init__(self, services: Services, rows: PersonSettingsRows, slack: SlackClient) -> None:
        super().__init__(services)
        self._rows = rows
        self._slack = slack

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {Action.EDIT_SETTINGS: self.press}

    async def press(self, request: Request, _: Press) -> None:
        """Open the form."""
        permitted = await self._permits.check(request, Act(Deed.SETTINGS))
        view = blocks.settings_form(await self._rows.load(request.origin.person.id))
        try:
            await self._slack.open_view(request.id, view)
        except SlackError as error:
            log.info("form_not_opened", code=error.code)
            await self._answers.note(permitted, blocks.plain_message(NOT_OPENED))
            return
        await self._answers.none(permitted)

    async def save(self, request: Request, settings: PersonSettings) -> Mapping[str, str]:
        """Save what a person chose for themselves; return what's wrong, by field.

        Raises:
            StoreUnavailable: nothing was saved, or that isn't known.
        """
        origin, now = request.origin, self._clock()
        try:
            async with asyncio.timeout(DECIDED_WITHIN_S):
                verdict = await self._access.decide(origin, Verb.LOOK)
        except (SlackError, TimeoutError):
            return {ZONE: SLOW_SLACK}
        if isinstance(verdict, Refused):
            return {ZONE: f"{verdict.sentence} Nothing was saved."}
        origin = replace(origin, rule=verdict.rule)
        entry = of_origin(origin, Deed.SETTINGS, now, result=describe_settings(settings))
        await self._rows.save(origin.person.id, settings, entry, now)
        log.info("settings_changed", user_id=origin.person.id)
        return {}
