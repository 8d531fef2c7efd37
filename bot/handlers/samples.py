"""A sample incident, for people who want to see what a channel will get."""

from __future__ import annotations

import structlog

from bot.core.access.audit import Deed, of_origin
from bot.core.commands.catalog import TestCommand
from bot.core.incidents.sample import PREFIX, sample_panel
from bot.core.requests import Request
from bot.handlers.feature import Feature, Handlers
from bot.handlers.permits import Act
from bot.store.ids import new_id

log = structlog.get_logger(__name__)


class Samples(Feature):
    """The samples of one workspace."""

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {TestCommand: self.test}

    async def test(self, request: Request, _: TestCommand) -> None:
        """Post a sample incident where it was asked for."""
        permitted = await self._permits.check(request, Act(Deed.TEST))
        now = self._clock()
        panel = sample_panel(new_id(PREFIX.removesuffix("_")), request.origin.team_id, now)
        await self._answers.show(permitted, panel, entry=of_origin(permitted.origin, Deed.TEST, now))
        log.info("sample_posted", channel_id=request.origin.channel_id)
