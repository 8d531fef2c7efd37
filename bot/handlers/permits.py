"""Whether a request is let through. A refusal is answered, and audited, here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_refusal
from bot.core.access.policy import Refused, Verb, Verdict
from bot.core.blocks.names import Name
from bot.core.commands.targets import Ambiguous, NotFound, One
from bot.core.errors import SlackError
from bot.core.models import Integration
from bot.core.requests import Origin, Request
from bot.core.sight import Sight, all_of
from bot.handlers.answers import Answers
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge

log = structlog.get_logger(__name__)

_VERBS: Final = {
    Deed.LOOK: (Verb.LOOK,),
    Deed.AUDIT: (Verb.ADMINISTER,),
    Deed.SYNC: (Verb.SYNC,),
    Deed.RESYNC: (Verb.SYNC,),
    Deed.TRY_AGAIN: (Verb.SYNC,),
    Deed.SYNC_ANYWAY: (Verb.SYNC, Verb.ADMINISTER),
    Deed.KEEP_WATCHING: (Verb.SYNC,),
    Deed.SUBSCRIBE: (Verb.SUBSCRIBE,),
    Deed.UNSUBSCRIBE: (Verb.SUBSCRIBE,),
    Deed.SNOOZE: (Verb.SUBSCRIBE,),
    Deed.END_SNOOZE: (Verb.SUBSCRIBE,),
}
"""What a person must be allowed for each deed."""


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody wants to do.

    ``about`` is the integration that they want to do it to. Where that's a type, it's ``type_`` instead; where it isn't
    known yet, ``typed`` is what they called it, which is looked up only for the audit. It must be allowed where it was
    asked, and in ``channels``: those of what it is about.
    """

    deed: Deed
    about: Integration | None = None
    type_: str | None = None
    typed: str = ""
    channels: tuple[str, ...] = ()


class Permits:
    """Who is let through in one workspace, when they ask."""

    def __init__(
        self, access: Access, knowledge: Knowledge, answers: Answers, *, clock: Callable[[], datetime], command: str
    ) -> None:
        self._access = access
        self._knowledge = knowledge
        self._answers = answers
        self._clock = clock
        self._command = command

    async def check(self, request: Request, act: Act) -> Request | None:
        """Return the request with the rule that lets it through; None: it is refused, and answered so.

        Raises:
            SlackError: what must be known of the person cannot be asked now; ``retryable``.
        """
        permitted = request
        for verb in _VERBS[act.deed]:
            for origin in _everywhere(request.origin, act.channels):
                decided = await self._decide(origin, verb, act)
                if isinstance(decided, Refused):
                    await self._refuse(request, origin, decided, verb, act)
                    return None
                permitted = replace(request, origin=replace(request.origin, rule=decided.rule))
        return permitted

    async def check_early(self, request: Request, act: Act) -> bool:
        """Do as ``check`` does, before it's known what it is about; True, too, if the type can make a difference."""
        if any(self._access.depends_on_type(verb) for verb in _VERBS[act.deed]):
            return True
        return await self.check(request, act) is not None

    async def _decide(self, origin: Origin, verb: Verb, act: Act) -> Verdict:
        if act.deed is Deed.AUDIT:
            return await self._access.decide_audit(origin)
        return await self._access.decide(origin, verb, known_type(act.about) if act.about else act.type_)

    async def may_administer(self, request: Request, integration: Integration) -> bool:
        """Tell whether a refusal may be overridden by whom it is told; not while Slack can't say who that is."""
        try:
            return await self._access.allows(request.origin, Verb.ADMINISTER, known_type(integration))
        except SlackError as error:
            log.info("override_not_offered", code=error.code)
            return False

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
        self, request: Request, act: Act, known: tuple[Integration, ...], verb: Verb | None = None
    ) -> One | Ambiguous | None:
        """Find what a person means by what they typed; None: there is no such thing, and they are answered so.

        ``verb`` is what they may do to what they name, where that isn't what the act needs.
        """
        sight = await self.sight(request.origin, known, verb or _VERBS[act.deed][0])
        found = sight.find(act.typed)
        if not isinstance(found, NotFound):
            return found
        await self.not_found(request, act, sight, known)
        return None

    async def not_found(self, request: Request, act: Act, sight: Sight, known: tuple[Integration, ...]) -> None:
        """Say that nothing is called that; where something is kept from the person, that is a refusal."""
        found = sight.find(act.typed)
        nearest = found.nearest if isinstance(found, NotFound) else ()
        message = blocks.not_found_message(act.typed, nearest, command=self._command, is_partial=not sight.is_whole)
        if sight.is_whole:
            await self._answers.note(request, message)
            return
        hidden = all_of(known).find(act.typed)
        refused = await self._access.decide(request.origin, Verb.LOOK)
        about = hidden.integration if isinstance(hidden, One) else None
        entry = of_refusal(request.origin, act.deed, refused.rule, self._clock(), about)
        await self._answers.tell_alone(request, message, entry=entry)

    async def named(self, typed: str) -> Integration | None:
        """Find what a refused person meant, for the audit: they don't learn whether there is such a thing."""
        if not typed:
            return None
        found = all_of(await self._knowledge.last_names(self._clock())).find(typed)
        return found.integration if isinstance(found, One) else None

    async def name_for(self, origin: Origin, about: Integration | None) -> Name | None:
        """Name an integration to somebody who may look at it."""
        if about is None or not await self._access.allows(origin, Verb.LOOK, known_type(about)):
            return None
        return await self._knowledge.last_name(about, self._clock())

    async def _refuse(self, request: Request, origin: Origin, refused: Refused, verb: Verb, act: Act) -> None:
        """Answer that something is refused; ``origin`` has the channel in which it is."""
        log.info("refused", user_id=origin.person.id, action=act.deed, rule=refused.rule)
        about = act.about or await self.named(act.typed)
        entry = of_refusal(origin, act.deed, refused.rule, self._clock(), about)
        name = await self.name_for(request.origin, about)
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
