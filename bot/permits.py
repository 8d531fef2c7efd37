"""Whether a request is let through. A refusal is answered, and audited, here; so is the question why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from bot.core import blocks
from bot.core.audit import Deed, of_refusal
from bot.core.commands import Ambiguous, Found, resolve
from bot.core.limits import Held
from bot.core.models import Integration
from bot.core.policy import Allowed, Refused, Verb

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.access import Access
    from bot.answers import Answers
    from bot.core.limits import Limits
    from bot.core.requests import Request
    from bot.knowledge import Knowledge
    from bot.store.store import Store

log = structlog.get_logger(__name__)


class Permits:
    """Who is let through in one workspace, when they ask."""

    def __init__(
        self,
        access: Access,
        store: Store,
        knowledge: Knowledge,
        answers: Answers,
        *,
        limits: Limits,
        clock: Callable[[], datetime],
        command: str,
    ) -> None:
        self._access = access
        self._store = store
        self._knowledge = knowledge
        self._answers = answers
        self._limits = limits
        self._clock = clock
        self._command = command

    async def ask(
        self,
        request: Request,
        verb: Verb,
        deed: Deed,
        about: Integration | None = None,
        *,
        type_: str | None = None,
        type_matters: bool = True,
    ) -> Request | None:
        """Return the request with the rule that lets it through; None: it is refused, and answered so.

        Raises:
            SlackError: what must be known of the person cannot be asked now; ``retryable``.
        """
        type_ = known_type(about) if about else type_
        decided = await self._access.decide(request.origin, verb, type_)
        if isinstance(decided, Allowed):
            return _let_through(request, decided)
        if not type_matters and self._access.depends_on_type(verb):  # what is chosen in the form decides
            return request
        await self._refuse(request, decided, deed, about)
        return None

    async def ask_to_audit(self, request: Request) -> Request | None:
        """Do as ``ask`` does, for reading the audit."""
        decided = await self._access.decide_audit(request.origin)
        if isinstance(decided, Allowed):
            return _let_through(request, decided)
        await self._refuse(request, decided, Deed.AUDIT, None)
        return None

    async def may_administer(self, request: Request, integration: Integration) -> bool:
        """Tell whether a refusal may be overridden by whom it is told."""
        return isinstance(await self._access.decide(request.origin, Verb.ADMINISTER, known_type(integration)), Allowed)

    def depends_on_type(self, verb: Verb) -> bool:
        """Tell whether the type of an integration can make a difference."""
        return self._access.depends_on_type(verb)

    async def explain(self, request: Request, verb: Verb, target: str) -> None:
        """Say whether a person may do something, and what is in the way."""
        about, name, met = None, None, None
        if target:
            found = resolve(target, (await self._knowledge.look()).integrations)
            if not isinstance(found, Found):
                nearest = found.matches if isinstance(found, Ambiguous) else found.nearest
                await self._answers.note(request, blocks.not_found_message(target, nearest, command=self._command))
                return
            about, name = found.integration, await self._knowledge.last_name(found.integration, self._clock())
            if verb is Verb.SYNC:
                met = await self._store.would_hold(request.origin, about.id, self._limits, self._clock())
        decided = await self._access.decide(request.origin, verb, known_type(about) if about else None)
        held = met if isinstance(met, Held) else None
        message = blocks.why_message(decided, verb, name, held, is_running=bool(met and not held))
        await self._answers.tell_alone(request, message)

    async def _refuse(self, request: Request, refused: Refused, deed: Deed, about: Integration | None) -> None:
        log.info("refused", user_id=request.origin.person.id, action=deed, rule=refused.rule)
        name = await self._knowledge.last_name(about, self._clock()) if about else None
        entry = of_refusal(request.origin, deed, refused.rule, self._clock(), about)
        await self._answers.tell_alone(request, blocks.refused_message(refused, name), entry=entry)


def known_type(integration: Integration) -> str | None:
    """Return the type of an integration; None where it is known by its id alone."""
    return None if integration.type == Integration("").type else integration.type


def _let_through(request: Request, decided: Allowed) -> Request:
    return replace(request, origin=replace(request.origin, rule=decided.rule))
