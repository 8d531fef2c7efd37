"""A person's own settings, changed in a form that App Home opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_origin
from bot.core.access.policy import Refused, Verb
from bot.core.commands.presses import Action, Press
from bot.core.forms.form import CheckedForm
from bot.core.person_settings import FORM, ZONE, PersonSettings, describe_settings
from bot.core.requests import Request
from bot.handlers.feature import Feature, Handlers, SaveForm, Services
from bot.handlers.forms import SLOW_SLACK, in_time
from bot.handlers.permits import Act
from bot.store.person_settings import PersonSettingsRows

log = structlog.get_logger(__name__)


class OwnSettings(Feature):
    """The settings of the people of one workspace."""

    def __init__(self, services: Services, rows: PersonSettingsRows) -> None:
        super().__init__(services)
        self._rows = rows

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {Action.EDIT_SETTINGS: self.press}

    @property
    def forms(self) -> Mapping[CheckedForm, SaveForm]:
        """What saves the form."""
        return {FORM: self.save}

    async def press(self, request: Request, _: Press) -> None:
        """Open the form."""
        permitted = await self._permits.check(request, Act(Deed.SETTINGS))
        await self._forms.open(permitted, blocks.settings_form(await self._rows.load(request.origin.person.id)))

    async def save(self, request: Request, settings: PersonSettings) -> Mapping[str, str]:
        """Save what a person chose for themselves; return what's wrong, by field."""
        origin, now = request.origin, self._clock()
        verdict = await in_time(self._access.decide(origin, Verb.LOOK))
        if verdict is None:
            return {ZONE: SLOW_SLACK}
        if isinstance(verdict, Refused):
            return {ZONE: f"{verdict.sentence} Nothing was saved."}
        origin = replace(origin, rule=verdict.rule)
        entry = of_origin(origin, Deed.SETTINGS, now, result=describe_settings(settings))
        await self._rows.save(origin.person.id, settings, entry, now)
        log.info("settings_changed", user_id=origin.person.id)
        return {}
