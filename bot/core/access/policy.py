"""Permissions: a policy is a list of rules, and the first match decides. Facts about people come from the caller.

Unknown facts never grant access: an allowing rule that depends on them doesn't match, a refusing one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from bot.core.typed import name_key


class Verb(StrEnum):
    """What a rule allows or refuses."""

    LOOK = "look"
    """Status, details, history, the App Home."""
    SYNC = "sync"
    """Start, join or retry a sync, and keep watching it."""
    SUBSCRIBE = "subscribe"
    """Subscribe and unsubscribe a channel, snooze or take an incident, name an integration: what others see."""
    ADMINISTER = "administer"
    """See the audit, and override cooldowns and quotas."""


class Kind(StrEnum):
    """A person's role in this workspace."""

    MEMBERS = "members"
    GUESTS = "guests"
    STRANGERS = "strangers"
    """People from other workspaces, through Slack Connect."""


EVERYBODY: Final = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a policy. An empty condition matches everything; ``users`` and ``groups`` are one condition.

    If ``kinds`` is None, a refusal applies to everyone, and a permission to members and the people in ``users``.
    """

    name: str
    allows: bool
    verbs: frozenset[Verb]
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    kinds: frozenset[Kind] | None = None
    channels: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    ask: tuple[str, ...] = ()
    """Whom to ask if it refuses: IDs of users and groups; () means the policy's default."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in order, followed by the built-in ones."""

    rules: tuple[Rule, ...] = ()
    ask: tuple[str, ...] = ()
    ticket: str = ""
    """The template of the address at which a ticket is opened: see `bot.core.incidents.tickets`."""

    @property
    def names_administrators(self) -> bool:
        """Whether any rule allows anyone to administer."""
        return any(rule.allows and Verb.ADMINISTER in rule.verbs for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in the text of a policy. ``line`` and ``column`` count from 1; 0 means that the place isn't known."""

    sentence: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known about a person and where they act.

    ``kind`` is None if it isn't known yet or, if ``no_kind`` has a reason, Slack doesn't provide it. ``groups`` has
    the known memberships; it's None if Slack doesn't provide them, for the reason in ``no_group``. ``is_elsewhere`` is
    set if the request came from another workspace and nothing links the person to ours.
    """

    user_id: str
    channel_id: str = ""
    kind: Kind | None = None
    groups: Mapping[str, bool | None] = field(default_factory=lambda: MappingProxyType({}))
    no_kind: str = ""
    no_group: str = ""
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """A rule allows it."""

    rule: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A rule refuses it; ``ask`` are the IDs of users and groups who could change that."""

    rule: str
    sentence: str
    ask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """A missing fact about a person: their kind, or whether they're in these groups."""

    kind: bool = False
    groups: frozenset[str] = frozenset()


Verdict: TypeAlias = Allowed | Refused

BUILT_IN: Final = (
    Rule("everyone can look", True, frozenset({Verb.LOOK}), kinds=EVERYBODY),
    Rule(
        "guests can only look",
        False,
        frozenset({Verb.SYNC, Verb.SUBSCRIBE}),
        kinds=frozenset({Kind.GUESTS}),
    ),
    Rule(
        "people from other workspaces can only look",
        False,
        frozenset({Verb.SYNC, Verb.SUBSCRIBE}),
        kinds=frozenset({Kind.STRANGERS}),
    ),
    Rule("members can sync and subscribe", True, frozenset({Verb.SYNC, Verb.SUBSCRIBE})),
    Rule("only people named by a rule can administer", False, frozenset({Verb.ADMINISTER})),
)
"""Used if no rule of the policy matches; the last two match everyone."""

UNIDENTIFIED: Final = "people I can't identify can only look"
"""The built-in rules for people of unknown kind, who could be guests or from another workspace."""

ELSEWHERE: Final = "requests from other workspaces aren't answered"
"""Precedes all rules, which weren't written for another company's workspace."""

DEEDS: Final = {
    Verb.LOOK: "look",
    Verb.SYNC: "sync",
    Verb.SUBSCRIBE: "subscribe, unsubscribe, snooze or take incidents, or name integrations",
    Verb.ADMINISTER: "administer",
}


def decide_access(policy: Policy, subject: Subject, verb: Verb, integration_type: str | None = None) -> Verdict:
    """Decide whether a person may do something. Facts that `needs` still returns count as unknown.

    Args:
        policy: the rules.
        subject: who, and where.
        verb: what.
        integration_type: on which type of integration; None: on several, or on one of unknown type.
    """
    sentence = f"You can't {DEEDS[verb]} here."
    if subject.is_elsewhere:
        return Refused(ELSEWHERE, f"{sentence} {subject.no_kind}".rstrip(), policy.ask)
    for rule in (*policy.rules, *BUILT_IN):
        fits = _fits(rule, subject, verb, integration_type)
        if fits and rule.allows:
            return Allowed(rule.name)
        if fits is not False and not rule.allows:
            unsaid = _unsaid(rule, subject) if fits is None else ""
            name = UNIDENTIFIED if unsaid and rule in BUILT_IN else rule.name
            return Refused(name, f"{sentence} {unsaid}".rstrip(), rule.ask or policy.ask)
    raise AssertionError("the built-in rules apply to everyone")


def _unsaid(rule: Rule, subject: Subject) -> str:
    """Return why a fact that the rule depends on is unavailable."""
    if _fits_kind(rule, subject) is None:
        return subject.no_kind
    return subject.no_group if _fits_people(rule, subject) is None else ""


def needs(policy: Policy, subject: Subject, verb: Verb, integration_type: str | None = None) -> Needs | None:
    """Return the next fact needed to decide; None if every fact that matters and is available is known."""
    if subject.is_elsewhere:
        return Needs(kind=True) if subject.kind is None and not subject.no_kind else None
    for rule in (*policy.rules, *BUILT_IN):
        fits = _fits(rule, subject, verb, integration_type)
        if fits:
            return None
        if fits is None and (lacking := _lacking(rule, subject)):
            return lacking
        if fits is None and not rule.allows:
            return None
    return None


def needs_type(policy: Policy, verb: Verb) -> bool:
    """Whether the type of an integration can make a difference."""
    return any(rule.types and verb in rule.verbs for rule in policy.rules)


def decide_audit(policy: Policy, subject: Subject) -> Verdict:
    """Decide who may read the audit: administrators or, if the policy has none, members who may view everything."""
    if policy.names_administrators:
        return decide_access(policy, subject, Verb.ADMINISTER)
    looks = decide_access(policy, subject, Verb.LOOK)
    if isinstance(looks, Refused):  # the audit names integrations
        return looks
    if subject.kind is Kind.MEMBERS:
        return Allowed("members can read the audit log while no rule names administrators")
    return Refused(
        "only members can read the audit log", f"You can't read the audit log. {subject.no_kind}".rstrip(), policy.ask
    )


def needs_for_audit(policy: Policy, subject: Subject) -> Needs | None:
    """Return the next fact needed to decide about the audit, like ``needs``."""
    if policy.names_administrators:
        return needs(policy, subject, Verb.ADMINISTER)
    if lacking := needs(policy, subject, Verb.LOOK):
        return lacking
    return Needs(kind=True) if subject.kind is None and not subject.no_kind else None


def _lacking(rule: Rule, subject: Subject) -> Needs | None:
    """Return a fact that a rule depends on and that wasn't looked up yet."""
    kind = _fits_kind(rule, subject) is None and not subject.no_kind
    groups = rule.groups - subject.groups.keys() if _fits_people(rule, subject) is None else frozenset()
    return Needs(kind, groups) if kind or groups else None


def _fits(rule: Rule, subject: Subject, verb: Verb, integration_type: str | None) -> bool | None:
    """Whether a rule matches; None if that depends on unknown facts."""
    conditions = (
        verb in rule.verbs,
        not rule.channels or subject.channel_id in rule.channels,
        _fits_type(rule, integration_type),
        _fits_people(rule, subject),
        _fits_kind(rule, subject),
    )
    if False in conditions:
        return False
    return None if None in conditions else True


def _fits_type(rule: Rule, integration_type: str | None) -> bool | None:
    if not rule.types:
        return True
    if integration_type is None:
        return None
    return name_key(integration_type) in {name_key(one) for one in rule.types}


def _fits_people(rule: Rule, subject: Subject) -> bool | None:
    if subject.user_id in rule.users or not (rule.users or rule.groups):
        return True
    known = [subject.groups.get(group) for group in rule.groups]
    if True in known:
        return True
    return None if None in known else False


def _fits_kind(rule: Rule, subject: Subject) -> bool | None:
    if rule.kinds is None and (not rule.allows or subject.user_id in rule.users):
        return True
    kinds = rule.kinds if rule.kinds is not None else frozenset({Kind.MEMBERS})
    if kinds == EVERYBODY:
        return True
    return None if subject.kind is None else subject.kind in kinds


_KINDS: Final = {Kind.MEMBERS: "members", Kind.GUESTS: "guests", Kind.STRANGERS: "people from other workspaces"}

_EVERYONE: Final = "everyone"


def explain(policy: Policy) -> list[str]:
    """Describe who can do what: one line per rule, in order."""
    lines = [f"{number}. {_sentence(rule)}" for number, rule in enumerate(policy.rules, 1)]
    lines += [f"otherwise: {rule.name}" for rule in BUILT_IN]
    lines.append(f"otherwise: {UNIDENTIFIED}")
    whom = ", ".join(policy.ask) or "no one in particular"
    tickets = [f"incidents have a button that opens a ticket: {policy.ticket}"] if policy.ticket else []
    return [*lines, f"anyone refused is told to ask: {whom}", *tickets]


def _sentence(rule: Rule) -> str:
    people = _people(rule)
    can = f"{people} can" if rule.allows else f"{people} can't" if people != _EVERYONE else "no one can"
    deeds = _listed(DEEDS[verb] for verb in Verb if verb in rule.verbs)
    where = f" in {_listed(sorted(rule.channels))}" if rule.channels else ""
    what = f", for {_listed(sorted(rule.types))} only" if rule.types else ""
    return f"{rule.name}: {can} {deeds}{where}{what}"


def _people(rule: Rule) -> str:
    named = [*sorted(rule.users), *(f"the group {group}" for group in sorted(rule.groups))]
    if rule.kinds is None and (named or not rule.allows):
        return _listed(named) or _EVERYONE
    kinds = rule.kinds if rule.kinds is not None else frozenset({Kind.MEMBERS})
    said = _EVERYONE if kinds == EVERYBODY else _listed(_KINDS[kind] for kind in Kind if kind in kinds)
    return f"{_listed(named)}, if they're {said}," if named else said


def _listed(items: Iterable[str]) -> str:
    *first, last = [*items] or [""]
    return f"{', '.join(first)} and {last}" if first else last
