"""``why``: whether someone is allowed to do something, and what's blocking it, without trying."""

from __future__ import annotations

from bot.core import blocks
from bot.core.access.audit import AuditEntry, Deed, of_refusal
from bot.core.access.policy import Refused, Verb
from bot.core.commands.catalog import WhyCommand
from bot.core.commands.targets import Ambiguous
from bot.core.models import Integration
from bot.core.requests import Request
from bot.core.runs.limits import Held, Limits
from bot.handlers.feature import Feature, Handlers, Services
from bot.handlers.permits import Act, known_type


class Explanations(Feature):
    """Explains permissions in one workspace."""

    def __init__(self, services: Services, *, limits: Limits) -> None:
        super().__init__(services)
        self._limits = limits

    @property
    def handlers(self) -> Handlers:
        """Return the handlers of this module."""
        return {WhyCommand: self.explain}

    async def explain(self, request: Request, command: WhyCommand) -> None:
        """Say whether a person is allowed to do something, and what's blocking it."""
        verb, target = command.verb, command.target
        about, name, met = None, None, None
        decided = await self._access.decide(request.origin, verb)
        is_final = isinstance(decided, Refused) and not self._access.depends_on_type(verb)
        if target and not (is_final and not await self._access.allows(request.origin, Verb.LOOK)):
            known = (await self._knowledge.recalled()).integrations
            found = await self._permits.find(request, Act(Deed.LOOK, typed=target), known, verb)
            if isinstance(found, Ambiguous):
                message = blocks.not_found_message(
                    target, found.matches, nicknames=await self._naming.current(), command=self._command
                )
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
        """Record that someone asked about an integration that they aren't allowed to look at."""
        if not target:
            return None
        looks = await self._access.decide(request.origin, Verb.LOOK, known_type(about) if about else None)
        if not isinstance(looks, Refused):
            return None
        about = about or await self._permits.named(target)
        return of_refusal(request.origin, Deed.LOOK, looks.rule, self._clock(), about)
