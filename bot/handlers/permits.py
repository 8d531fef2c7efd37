"""Whether a request is allowed. A refusal is answered and audited here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from bot.core import blocks
from bot.core.access.audit import Deed, of_refusal
from bot.core.access.policy import Allowed, Refused, Verb, Verdict
from bot.core.blocks.names import Name
from bot.core.commands.targets import Ambiguous, NotFound, One
from bot.core.errors import SlackError
from bot.core.models import Integration
from bot.core.requests import Origin, Request
from bot.core.sight import Sight, all_of
from bot.handlers.answers import Answers
from bot.lookups.access import Access
from bot.lookups.integrations import Knowledge
from bot.lookups.nicknames import Naming
from bot.observability.context import Context

log = structlog.get_logger(__name__)

_VERBS: Final = {
    Deed.LOOK: (Verb.LOOK,),
    Deed.AUDIT: (Verb.ADMINISTER,),
    Deed.SYNC: (Verb.SYNC,),
    Deed.RESYNC: (Verb.SYNC,),
    Deed.TRY_AGAIN: (Verb.SYNC,),
    Deed.SYNC_ANYWAY: (Verb.SYNC, Verb.ADMINISTER),
    Deed.SYNC_SEVERAL: (Verb.SYNC,),
    Deed.KEEP_WATCHING: (Verb.SYNC,),
    Deed.SUBSCRIBE: (Verb.SUBSCRIBE,),
    Deed.UNSUBSCRIBE: (Verb.SUBSCRIBE,),
    Deed.RESTORE: (Verb.SUBSCRIBE,),
    Deed.SETTINGS: (Verb.LOOK,),
    Deed.TEST: (Verb.SUBSCRIBE,),
    Deed.MAINTENANCE: (Verb.SUBSCRIBE,),
    Deed.END_MAINTENANCE: (Verb.SUBSCRIBE,),
    Deed.SNOOZE: (Verb.SUBSCRIBE,),
    Deed.END_SNOOZE: (Verb.SUBSCRIBE,),
    Deed.ON_IT: (Verb.SUBSCRIBE,),
    Deed.HAND_OVER: (Verb.SUBSCRIBE,),
    Deed.LET_GO: (Verb.SUBSCRIBE,),
    Deed.TICKET: (Verb.SUBSCRIBE,),
    Deed.NAME: (Verb.SUBSCRIBE,),
    Deed.EXPECT: (Verb.SUBSCRIBE,),
}
"""The verbs that a person must be allowed for each deed."""


class Answered(Exception):
    """The request is refused, or names nothing that exists, and the person has an answer: do nothing more."""


@dataclass(frozen=True, slots=True)
class Act:
    """What someone wants to do.

    ``about`` is the integration that they want to do it to. If that's a type, it's in ``type_`` instead. If it isn't
    known yet, ``typed`` is what they called it, which is looked up only for the audit. It must be allowed where it was
    asked, and in ``channels``, the channels of what it's about.
    """

    deed: Deed
    about: Integration | None = None
    type_: str | None = None
    typed: str = ""
    channels: tuple[str, ...] = ()


class Permits:
    """Permissions in one workspace, checked when someone asks."""

    def __init__(
        self, access: Access, knowledge: Knowledge, naming: Naming, answers: Answers, context: Context
    ) -> None:
        self._access = access
        self._knowledge = knowledge
        self._naming = naming
        self._answers = answers
        self._clock = context.clock
        self._command = context.command

    async def check(self, request: Request, act: Act) -> Request:
        """Return the request with the rule that allows it.

        Raises:
            Answered: it's refused.
            SlackError: the facts about the person can't be looked up now; ``retryable``.
        """
        permitted = request
        for verb in _VERBS[act.deed]:
            for origin in _everywhere(request.origin, act.channels):
                decided = await self._decide(origin, verb, act)
                if isinstance(decided, Refused):
                    await self._refuse(request, origin, decided, verb, act)
                    raise Answered
                permitted = replace(request, origin=replace(request.origin, rule=decided.rule))
        return permitted

    async def check_early(self, request: Request, act: Act) -> None:
        """Like ``check``, before it's known what the request is about, unless its type can make a difference."""
        if not any(self._access.depends_on_type(verb) for verb in _VERBS[act.deed]):
            await self.check(request, act)

    async def verdict(self, request: Request, act: Act) -> Verdict:
        """Return the decision without answering: the rule that allows it, or the first that refuses it."""
        verdict: Verdict = Allowed("")
        for verb in _VERBS[act.deed]:
            for origin in _everywhere(request.origin, act.channels):
                verdict = await self._decide(origin, verb, act)
                if isinstance(verdict, Refused):
                    return verdict
        return verdict

    async def _decide(self, origin: Origin, verb: Verb, act: Act) -> Verdict:
        if act.deed is Deed.AUDIT:
            return await self._access.decide_audit(origin)
        return await self._access.decide(origin, verb, known_type(act.about) if act.about else act.type_)

    async def may_administer(self, request: Request, integration: Integration) -> bool:
        """Return whether the person can override a limit; False if Slack can't say who they are."""
        try:
            return await self._access.allows(request.origin, Verb.ADMINISTER, known_type(integration))
        except SlackError as error:
            log.info("override_not_offered", code=error.code)
            return False

    # What a person may name

    async def sight(self, origin: Origin, known: tuple[Integration, ...], verb: Verb = Verb.LOOK) -> Sight:
        """Return what a person can look at, and what they can name in a request for something else.

        Raises:
            SlackError: the facts about the person can't be looked up now; ``retryable``.
        """
        nicknames = await self._naming.current()
        if await self._access.allows(origin, Verb.LOOK):
            return all_of(known, nicknames)
        types = dict.fromkeys(known_type(one) for one in known)
        seen_types = {one for one in types if await self._access.allows(origin, Verb.LOOK, one)}
        usable_types = {one for one in types if one in seen_types or await self._access.allows(origin, verb, one)}
        return Sight(
            tuple(one for one in known if known_type(one) in seen_types),
            tuple(one for one in known if known_type(one) in usable_types),
            is_whole=False,
            nicknames=nicknames,
        )

    async def find(
        self, request: Request, act: Act, known: tuple[Integration, ...], verb: Verb | None = None
    ) -> One | Ambiguous:
        """Find the integration that a person typed.

        ``verb`` is what they must be allowed to do with what they name, if that isn't what the act needs.

        Raises:
            Answered: there is no such integration.
        """
        sight = await self.sight(request.origin, known, verb or _VERBS[act.deed][0])
        found = sight.find(act.typed)
        if not isinstance(found, NotFound):
            return found
        await self.not_found(request, act, sight, known)
        raise Answered

    async def not_found(self, request: Request, act: Act, sight: Sight, known: tuple[Integration, ...]) -> None:
        """Answer that nothing has that name; if something is hidden from the person, that's a refusal."""
        found = sight.find(act.typed)
        nearest = found.nearest if isinstance(found, NotFound) else ()
        message = blocks.not_found_message(
            act.typed, nearest, nicknames=sight.nicknames, command=self._command, is_partial=not sight.is_whole
        )
        if sight.is_whole:
            await self._answers.note(request, message)
            return
        hidden = all_of(known, sight.nicknames).find(act.typed)
        refused = await self._access.decide(request.origin, Verb.LOOK)
        about = hidden.integration if isinstance(hidden, One) else None
        entry = of_refusal(request.origin, act.deed, refused.rule, self._clock(), about)
        await self._answers.tell_alone(request, message, entry=entry)

    async def named(self, typed: str) -> Integration | None:
        """Find what a refused person typed, for the audit log; they don't learn whether it exists."""
        if not typed:
            return None
        found = all_of(await self._knowledge.last_names(), await self._naming.current()).find(typed)
        return found.integration if isinstance(found, One) else None

    async def name_for(self, origin: Origin, about: Integration | None) -> Name | None:
        """Return an integration's name for someone who is allowed to look at it."""
        if about is None or not await self._access.allows(origin, Verb.LOOK, known_type(about)):
            return None
        return await self._knowledge.last_name(about)

    async def _refuse(self, request: Request, origin: Origin, refused: Refused, verb: Verb, act: Act) -> None:
        """Answer that something is refused; ``origin`` has the channel in which it is."""
        log.info("refused", user_id=origin.person.id, action=act.deed, rule=refused.rule)
        about = act.about or await self.named(act.typed)
        entry = of_refusal(origin, act.deed, refused.rule, self._clock(), about)
        name = await self.name_for(request.origin, about)
        if about and name is None:  # as if it didn't exist: a rule about its type would reveal the type
            in_general = await self._access.decide(origin, verb)
            refused = in_general if isinstance(in_general, Refused) else refused
        await self._answers.tell_alone(request, blocks.refused_message(refused, name), entry=entry)


def known_type(integration: Integration) -> str | None:
    """Return the type of an integration; None if only its ID is known."""
    return None if integration.type == Integration("").type else integration.type


def _everywhere(origin: Origin, channels: Iterable[str]) -> list[Origin]:
    """Return an origin for each channel whose rules count; the one where it was asked comes last."""
    others = sorted({one for one in channels if one and one != origin.channel_id})
    return [*(replace(origin, channel_id=one) for one in others), origin]
