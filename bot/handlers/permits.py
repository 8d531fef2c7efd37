"""Whether a request is let through. A refusal is answered, and audited, here; so is the question why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

import structlog

from bot.core import blocks
from bot.core.access.audit import AuditEntry, Deed, of_refusal
from bot.core.access.policy import Allowed, Refused, Verb
from bot.core.blocks.names import Name
from bot.core.commands.targets import Ambiguous, NotFound, One
from bot.core.errors import SlackError
from bot.core.models import Integration
from bot.core.requests import Origin, Request
from bot.core.runs.limits import Held, Limits
from bot.core.sight import Sight, all_of
from bot.handlers.answers import Answers
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge
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
        channels: Iterable[str] = (),
        target: str = "",
    ) -> Request | None:
        """Return the request with the rule that lets it through; None: it is refused, and answered so.

        It must be allowed where it was asked and in the ``channels`` of what it is about. ``target`` is what was typed,
        which is looked up for the audit alone.

        Raises:
            SlackError: what must be known of the person cannot be asked now; ``retryable``.
        """
        type_ = known_type(about) if about else type_
        permitted = request
        for origin in _everywhere(request.origin, channels):
            decided = await self._access.decide(origin, verb, type_)
            if isinstance(decided, Allowed):
                permitted = _let_through(request, decided)
            elif type_matters or not self._access.depends_on_type(verb):  # else, what is chosen in the form decides
                await self._refuse(request, origin, decided, verb, deed, about or await self._named(target))
                return None
        return permitted

    async def ask_to_audit(self, request: Request) -> Request | None:
        """Do as ``ask`` does, for reading the audit."""
        decided = await self._access.decide_audit(request.origin)
        if isinstance(decided, Allowed):
            return _let_through(request, decided)
        await self._refuse(request, request.origin, decided, Verb.ADMINISTER, Deed.AUDIT, None)
        return None

    async def may_administer(self, request: Request, integration: Integration) -> bool:
        """Tell whether a refusal may be overridden by whom it is told; not while Slack can't say who that is."""
        try:
            return await self._access.allows(request.origin, Verb.ADMINISTER, known_type(integration))
        except SlackError as error:
            log.info("override_not_offered", code=error.code)
            return False

    def depends_on_type(self, verb: Verb) -> bool:
        """Tell whether the type of an integration can make a difference."""
        return self._access.depends_on_type(verb)

    async def refuse_home(self, request: Request, refused: Refused) -> None:
        """Note that an App Home was refused, which shows the reason itself."""
        log.info("refused", user_id=request.origin.person.id, action=Deed.LOOK, rule=refused.rule)
        entry = of_refusal(request.origin, Deed.LOOK, refused.rule, self._clock(), None)
        await self._answers.none(request, entry=entry)

    # What a person may name

    async def sight(self, origin: Origin, known: tuple[Integration, ...], verb: Verb = Verb.LOOK) -> Sight:
        """Return what a person may look at, and what they may name in a request for something else.

        Raises:
            SlackError: what must be known of the person cannot be asked now; ``retryable``.
        """
        if await self._access.allows(origin, Verb.LOOK):
            return all_of(known)
        types = dict.fromkeys(known_type(one) for one in known)
        seen_types = {one for one in types if await self._access.allows(origin, Verb.LOOK, one)}
        usable_types = {one for one in types if one in seen_types or await self._access.allows(origin, verb, one)}
        return Sight(
            tuple(one for one in known if known_type(one) in seen_types),
            tuple(one for one in known if known_type(one) in usable_types),
            is_whole=False,
        )

    async def find(
        self, request: Request, verb: Verb, deed: Deed, target: str, known: tuple[Integration, ...]
    ) -> One | Ambiguous | None:
        """Find what a person means among what they may name; None: there is no such thing, and they are answered so."""
        sight = await self.sight(request.origin, known, verb)
        found = sight.find(target)
        if not isinstance(found, NotFound):
            return found
        await self.not_found(request, deed, target, sight, known)
        return None

    async def not_found(
        self, request: Request, deed: Deed, target: str, sight: Sight, known: tuple[Integration, ...]
    ) -> None:
        """Say that nothing is called that; where something is kept from the person, that is a refusal."""
        found = sight.find(target)
        nearest = found.nearest if isinstance(found, NotFound) else ()
        message = blocks.not_found_message(target, nearest, command=self._command, is_partial=not sight.is_whole)
        if sight.is_whole:
            await self._answers.note(request, message)
            return
        hidden = all_of(known).find(target)
        refused = await self._access.decide(request.origin, Verb.LOOK)
        about = hidden.integration if isinstance(hidden, One) else None
        entry = of_refusal(request.origin, deed, refused.rule, self._clock(), about)
        await self._answers.tell_alone(request, message, entry=entry)

    async def explain(self, request: Request, verb: Verb, target: str) -> None:
        """Say whether a person may do something, and what is in the way."""
        about, name, met = None, None, None
        decided = await self._access.decide(request.origin, verb)
        is_final = isinstance(decided, Refused) and not self.depends_on_type(verb)
        if target and not (is_final and not await self._access.allows(request.origin, Verb.LOOK)):
            known = (await self._knowledge.recalled()).integrations
            found = await self.find(request, verb, Deed.LOOK, target, known)
            if found is None:
                return
            if isinstance(found, Ambiguous):
                message = blocks.not_found_message(target, found.matches, command=self._command)
                await self._answers.note(request, message)
                return
            about = found.integration
            decided = await self._access.decide(request.origin, verb, known_type(about))
            name = await self._name_for(request.origin, about)
            if verb is Verb.SYNC:
                met = await self._store.would_hold(request.origin, about.id, self._limits, self._clock())
        held = met if isinstance(met, Held) else None
        message = blocks.why_message(decided, verb, name, held, is_running=bool(met and not held))
        await self._answers.tell_alone(request, message, entry=await self._look_refused(request, target, about))

    async def _look_refused(self, request: Request, target: str, about: Integration | None) -> AuditEntry | None:
        """Note that somebody asked about an integration that they may not look at."""
        if not target:
            return None
        looks = await self._access.decide(request.origin, Verb.LOOK, known_type(about) if about else None)
        if isinstance(looks, Allowed):
            return None
        return of_refusal(request.origin, Deed.LOOK, looks.rule, self._clock(), about or await self._named(target))

    async def _named(self, target: str) -> Integration | None:
        """Find what a refused person meant, for the audit: they don't learn whether there is such a thing."""
        if not target:
            return None
        found = all_of(await self._knowledge.last_names(self._clock())).find(target)
        return found.integration if isinstance(found, One) else None

    async def _name_for(self, origin: Origin, about: Integration | None) -> Name | None:
        """Name an integration to somebody who may look at it."""
        if about is None or not await self._access.allows(origin, Verb.LOOK, known_type(about)):
            return None
        return await self._knowledge.last_name(about, self._clock())

    async def _refuse(
        self, request: Request, origin: Origin, refused: Refused, verb: Verb, deed: Deed, about: Integration | None
    ) -> None:
        """Answer that something is refused; ``origin`` has the channel in which it is."""
        log.info("refused", user_id=origin.person.id, action=deed, rule=refused.rule)
        entry = of_refusal(origin, deed, refused.rule, self._clock(), about)
        name = await self._name_for(request.origin, about)
        if about and name is None:  # as if it didn't exist: a rule about its type would give the type away
            in_general = await self._access.decide(origin, verb)
            refused = in_general if isinstance(in_general, Refused) else refused
        await self._answers.tell_alone(request, blocks.refused_message(refused, name), entry=entry)


def known_type(integration: Integration) -> str | None:
    """Return the type of an integration; None where it is known by its id alone."""
    return None if integration.type == Integration("").type else integration.type


def _everywhere(origin: Origin, channels: Iterable[str]) -> list[Origin]:
    """Return an origin in each channel that has a say, the one in which it was asked last."""
    others = sorted({one for one in channels if one and one != origin.channel_id})
    return [*(replace(origin, channel_id=one) for one in others), origin]


def _let_through(request: Request, decided: Allowed) -> Request:
    return replace(request, origin=replace(request.origin, rule=decided.rule))
