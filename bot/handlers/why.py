"""``why``: whether somebody may do something, and what is in the way, without trying."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.core import blocks
from bot.core.access.audit import AuditEntry, Deed, of_refusal
from bot.core.access.policy import Refused, Verb
from bot.core.commands.catalog import WhyCommand
from bot.core.commands.targets import Ambiguous
from bot.core.models import Integration
from bot.core.requests import Request
from bot.core.runs.limits import Held, Limits
from bot.handlers import Handlers
from bot.handlers.answers import Answers
from bot.handlers.permits import Act, Permits, known_type
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge
from bot.store.store import Store


class Explanations:
    """Explains to people in one workspace what they may do."""

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        access: Access,
        permits: Permits,
        answers: Answers,
        *,
        limits: Limits,
        clock: Callable[[], datetime],
        command: str,
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._access = access
        self._permits = permits
        self._answers = answers
        self._limits = limits
        self._clock = clock
        self._command = command

    @property
    def handlers(self) -> Handlers:
        """What is handled here."""
        return {WhyCommand: self.explain}

    async def explain(self, request: Request, command: WhyCommand) -> None:
        """Say whether a person may do something, and what is in the way."""
        verb, target = command.verb, command.target
        about, name, met = None, None, None
        decided = await self._access.decide(request.origin, verb)
        is_final = isinstance(decided, Refused) and not self._access.depends_on_type(verb)
        if target and not (is_final and not await self._access.allows(request.origin, Verb.LOOK)):
            known = (await self._knowledge.recalled()).integrations
            found = await self._permits.find(request, Act(Deed.LOOK, typed=target), known, verb)
            if found is None:
                return
            if isinstance(found, Ambiguous):
                message = blocks.not_found_message(target, found.matches, command=self._command)
                await self._answers.note(request, message)
                return
            about = found.integration
            decided = await self._access.decide(request.origin, verb, known_type(about))
            name = await self._permits.name_for(request.origin, about)
            if verb is Verb.SYNC:
                met = await self._store.runs.would_hold(request.origin, about.id, self._limits, self._clock())
        held = met if isinstance(met, Held) else None
        message = blocks.why_message(decided, verb, name, held, is_running=bool(met and not held))
        await self._answers.tell_alone(request, message, entry=await self._look_refused(request, target, about))

    async def _look_refused(self, request: Request, target: str, about: Integration | None) -> AuditEntry | None:
        """Note that somebody asked about an integration that they may not look at."""
        if not target:
            return None
        looks = await self._access.decide(request.origin, Verb.LOOK, known_type(about) if about else None)
        if not isinstance(looks, Refused):
            return None
        about = about or await self._permits.named(target)
        return of_refusal(request.origin, Deed.LOOK, looks.rule, self._clock(), about)
