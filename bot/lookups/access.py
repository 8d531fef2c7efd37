"""Decides whether a request's person may do something, by the policy and facts from Slack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from bot.core.access.policy import (
    Allowed,
    Needs,
    Policy,
    Subject,
    Verb,
    Verdict,
    decide_access,
    decide_audit,
    needs,
    needs_for_audit,
    needs_type,
)
from bot.core.errors import SlackError
from bot.core.requests import Origin
from bot.lookups.people import Group, People, Standing

log = structlog.get_logger(__name__)


class Access:
    """Permissions in one workspace."""

    def __init__(self, policy: Policy, people: People) -> None:
        self.policy = policy
        self._people = people
        self._groups = sorted({group for rule in policy.rules for group in rule.groups})

    async def decide(self, origin: Origin, verb: Verb, integration_type: str | None = None) -> Verdict:
        """Decide, and look up the facts that this needs.

        Raises:
            SlackError: they can't be looked up now; ``retryable``.
        """
        subject = await self._known(origin, lambda one: needs(self.policy, one, verb, integration_type))
        return decide_access(self.policy, subject, verb, integration_type)

    async def decide_audit(self, origin: Origin) -> Verdict:
        """Decide whether the audit may be read.

        Raises:
            SlackError: the facts can't be looked up now; ``retryable``.
        """
        return decide_audit(self.policy, await self._known(origin, lambda one: needs_for_audit(self.policy, one)))

    async def allows(self, origin: Origin, verb: Verb, integration_type: str | None = None) -> bool:
        """Whether something is allowed; raises like ``decide``."""
        return isinstance(await self.decide(origin, verb, integration_type), Allowed)

    def depends_on_type(self, verb: Verb) -> bool:
        """Whether the type of an integration can make a difference."""
        return needs_type(self.policy, verb)

    async def prepare(self, origin: Origin) -> None:
        """Look up the facts that a sync will need, because someone who views integrations may click next."""
        try:
            await self.decide(origin, Verb.SYNC)
        except SlackError as error:
            log.info("person_not_prepared", user_id=origin.person.id, code=error.code)

    async def _known(self, origin: Origin, needed: Callable[[Subject], Needs | None]) -> Subject:
        """Look up the needed facts about a person. They stay the same within a decision, even if the cache expires."""
        subject = self._subject(origin)
        while lacking := needed(subject):
            subject = await self._learn(origin, subject, lacking)
        return subject

    def _subject(self, origin: Origin) -> Subject:
        groups = self._people.known_groups(self._groups)
        subject = Subject(origin.person.id, origin.channel_id, is_elsewhere=origin.is_elsewhere)
        standing = self._people.known_standing(origin.person.id)
        return _with_groups(_with_standing(subject, standing) if standing else subject, groups)

    async def _learn(self, origin: Origin, subject: Subject, lacking: Needs) -> Subject:
        if lacking.kind:
            subject = _with_standing(subject, await self._people.learn_standing(origin.person.id))
        learned: dict[str, Group] = {}
        for group_id in sorted(lacking.groups):
            learned[group_id] = await self._people.learn_group(group_id)
            if learned[group_id].holds(origin.person.id):  # one is enough
                break
        return _with_groups(subject, learned)


def _with_standing(subject: Subject, standing: Standing) -> Subject:
    return replace(
        subject,
        kind=standing.kind,
        no_kind=standing.unknown,
        is_elsewhere=subject.is_elsewhere and not standing.is_near,
    )


def _with_groups(subject: Subject, groups: dict[str, Group]) -> Subject:
    held = {group_id: group.holds(subject.user_id) for group_id, group in groups.items()}
    why = next((group.unknown for group in groups.values() if group.unknown), "")
    return replace(subject, groups={**subject.groups, **held}, no_group=subject.no_group or why)
