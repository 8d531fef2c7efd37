"""App Home, when someone opens it or presses Refresh in it. The worker in `bot.workers.homes` renders it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from bot.core.access.audit import Deed, of_refusal
from bot.core.access.policy import Refused, Verb
from bot.core.commands.presses import Action
from bot.core.requests import Origin, Request, RequestKind
from bot.handlers.feature import Feature, Handlers, Services
from bot.slack.client import SlackClient
from bot.slack.homes import publish_refusal
from bot.store.homes import Homes

log = structlog.get_logger(__name__)


class OpenedHomes(Feature):
    """The App Homes that people open in one workspace; ``edits_policy`` is whether to offer that to a person."""

    def __init__(
        self,
        services: Services,
        homes: Homes,
        slack: SlackClient,
        *,
        edits_policy: Callable[[Origin], Awaitable[bool]],
    ) -> None:
        super().__init__(services)
        self._homes = homes
        self._slack = slack
        self._edits_policy = edits_policy

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {RequestKind.HOME: self.open, Action.REFRESH_HOME: self.open}

    async def open(self, request: Request, _: object) -> None:
        """Have a person's App Home rendered; a refusal is shown in it."""
        decided = await self._access.decide(request.origin, Verb.LOOK)
        if isinstance(decided, Refused):
            edits_policy = await self._edits_policy(request.origin)
            await publish_refusal(self._slack, request.origin.person.id, decided, edits_policy=edits_policy)
            log.info("refused", user_id=request.origin.person.id, action=Deed.LOOK, rule=decided.rule)
            entry = of_refusal(request.origin, Deed.LOOK, decided.rule, self._clock(), None)
            await self._answers.none(request, entry=entry)
            return
        await self._homes.open(request, self._clock())
        await self._access.prepare(request.origin)
