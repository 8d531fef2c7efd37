"""Whether the person of a request may do something: the policy, and what is known of them or can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bot.core.errors import SlackError
from bot.core.policy import Kind, Policy, Subject, Verb, decide_access, decide_audit, needs, needs_type

if TYPE_CHECKING:
    from bot.core.policy import Access as Decided
    from bot.core.policy import Needs
    from bot.core.requests import Origin
    from bot.people import People

log = structlog.get_logger(__name__)


class Access:
    """Who may do what in one workspace."""

    def __init__(self, policy: Policy, people: People) -> None:
        self.policy = policy
        self._people = people

    async def decide(self, origin: Origin, verb: Verb, integration_type: str | None = None) -> Decided:
        """Decide; what must be known for it is asked.

        Raises:
            SlackError: that cannot be asked now; ``retryable``.
        """
        while lacking := needs(self.policy, self._subject(origin), verb, integration_type):
            await self._learn(origin, lacking)
        return decide_access(self.policy, self._subject(origin), verb, integration_type)

    async def decide_audit(self, origin: Origin) -> Decided:
        """Decide whether the audit may be read.

        Raises:
            SlackError: what must be known for it cannot be asked now; ``retryable``.
        """
        verb = Verb.ADMINISTER if self.policy.names_administrators else Verb.SYNC
        while lacking := needs(self.policy, self._subject(origin), verb):
            await self._learn(origin, lacking)
        if self._subject(origin).kind is None:
            await self._people.learn_kind(origin.person.id)
        return decide_audit(self.policy, self._subject(origin))

    def depends_on_type(self, verb: Verb) -> bool:
        """Tell whether the type of an integration can make a difference."""
        return needs_type(self.policy, verb)

    async def prepare(self, origin: Origin) -> None:
        """Learn what a sync will need: who looks at integrations may press a button next."""
        try:
            await self.decide(origin, Verb.SYNC)
        except SlackError as error:
            log.info("person_not_prepared", user_id=origin.person.id, code=error.code)

    def _subject(self, origin: Origin) -> Subject:
        user_id = origin.person.id
        groups = {group for rule in self.policy.rules for group in rule.groups}
        return Subject(
            user_id,
            origin.channel_id,
            Kind.STRANGERS if origin.is_stranger else self._people.known_kind(user_id),
            self._people.known_groups(user_id, groups),
        )

    async def _learn(self, origin: Origin, lacking: Needs) -> None:
        if lacking.kind:
            await self._people.learn_kind(origin.person.id)
        for group in sorted(lacking.groups):
            await self._people.learn_group(group)
