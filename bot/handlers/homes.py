"""The App Home, when somebody opens it or presses Refresh in it. The worker in `bot.workers.homes` draws it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from bot.core.access.audit import Deed, of_refusal
from bot.core.access.policy import Refused, Verb
from bot.core.commands.presses import Action
from bot.core.requests import Request, RequestKind
from bot.handlers import Handlers
from bot.handlers.answers import Answers
from bot.lookups.access import Access
from bot.slack.client import SlackClient
from bot.slack.homes import publish_refusal
from bot.store.homes import Homes

log = structlog.get_logger(__name__)


class OpenedHomes:
    """The App Homes that people open in one workspace."""

    def __init__(
        self, homes: Homes, access: Access, answers: Answers, slack: SlackClient, *, clock: Callable[[], datetime]
    ) -> None:
        self._homes = homes
        self._access = access
        self._answers = answers
        self._slack = slack
        self._clock = clock

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        return {RequestKind.HOME: self.open, Action.REFRESH_HOME: self.open}

    async def open(self, request: Request, _: object) -> None:
        """Have the App Home of a person drawn; a refusal is shown in it."""
        decided = await self._access.decide(request.origin, Verb.LOOK)
        if isinstance(decided, Refused):
            await publish_refusal(self._slack, request.origin.person.id, decided)
            log.info("refused", user_id=request.origin.person.id, action=Deed.LOOK, rule=decided.rule)
            entry = of_refusal(request.origin, Deed.LOOK, decided.rule, self._clock(), None)
            await self._answers.none(request, entry=entry)
            return
        await self._homes.open(request, self._clock())
        await self._access.prepare(request.origin)
