"""Who may do what: a policy is a list of rules, and the first that fits decides. Nothing here asks who a person is.

What is not known never lets anybody in: then a rule that allows does not fit, and a rule that refuses does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from bot.core.typed import name_key


class Verb(StrEnum):
    """What a rule is about."""

    LOOK = "look"
    """Status, details, history, the App Home."""
    SYNC = "sync"
    """Start or join a sync, try again, keep watching."""
    SUBSCRIBE = "subscribe"
    """Subscribe and unsubscribe a channel, snooze an incident."""
    ADMINISTER = "administer"
    """See the audit, and sync in spite of a cooldown or a quota."""


class Kind(StrEnum):
    """What a person is in this workspace."""

    MEMBERS = "members"
    GUESTS = "guests"
    STRANGERS = "strangers"
    """People of other workspaces, here through Slack Connect."""


EVERYBODY: Final = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a policy. An empty condition fits everything; ``users`` and ``groups`` together say whom it is about.

    ``kinds`` None: a refusal is for everybody, and a permission for members and the people whom it names in ``users``.
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
    """Whom to ask when it refuses: ids of users and groups; () is whom the policy names."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in their order; the built-in ones come after them."""

    rules: tuple[Rule, ...] = ()
    ask: tuple[str, ...] = ()

    @property
    def names_administrators(self) -> bool:
        """Whether anybody can administer at all."""
        return any(rule.allows and Verb.ADMINISTER in rule.verbs for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Subject:
    """A person where they act, as far as they are known.

    ``kind`` None: not known yet, or, with a sentence in ``no_kind``, Slack won't say. ``groups`` holds what is known
    of their groups; None: Slack won't say, and ``no_group`` says why. ``is_elsewhere``: the request came from another
    workspace, and nothing shows that this person has anything to do with ours.
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
    """A rule lets it happen."""

    rule: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A rule does not; ``ask`` are the ids of users and groups who could change that."""

    rule: str
    sentence: str
    ask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be known of a person to decide: their kind, or whether they are in these groups."""

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
"""What holds where no rule of the policy fits; the last two fit everybody who is left."""

UNIDENTIFIED: Final = "people I can't identify can only look"
"""The built-in rules for somebody whom Slack won't describe: they could be a guest, or of another workspace."""

ELSEWHERE: Final = "requests from other workspaces aren't answered"
"""Comes before all rules: nobody wrote those with another company's workspace in mind."""

DEEDS: Final = {
    Verb.LOOK: "look",
    Verb.SYNC: "sync",
    Verb.SUBSCRIBE: "subscribe, unsubscribe or snooze",
    Verb.ADMINISTER: "administer",
}


def decide_access(policy: Policy, subject: Subject, verb: Verb, integration_type: str | None = None) -> Verdict:
    """Decide whether a person may do something. What `needs` still names counts as not known.

    Args:
        policy: the rules.
        subject: who, and where.
        verb: what.
        integration_type: on which type of integration; None: on several, or on one whose type is not known.
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
    """Say what a rule depends on that Slack won't say."""
    if _fits_kind(rule, subject) is None:
        return subject.no_kind
    return subject.no_group if _fits_people(rule, subject) is None else ""


def needs(policy: Policy, subject: Subject, verb: Verb, integration_type: str | None = None) -> Needs | None:
    """Name what must be learnt next to decide; None: all that can be learnt and matters is known."""
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
    """Tell whether the type of an integration can make a difference."""
    return any(rule.types and verb in rule.verbs for rule in policy.rules)


def decide_audit(policy: Policy, subject: Subject) -> Verdict:
    """Decide who may read the audit: administrators; while a policy names none, members who may look at everything."""
    if policy.names_administrators:
        return decide_access(policy, subject, Verb.ADMINISTER)
    looks = decide_access(policy, subject, Verb.LOOK)
    if isinstance(looks, Refused):  # the audit names integrations
        return looks
    if subject.kind is Kind.MEMBERS:
        return Allowed("members can read the audit while no rule names administrators")
    return Refused(
        "only members can read the audit", f"You may not read the audit. {subject.no_kind}".rstrip(), policy.ask
    )


def needs_for_audit(policy: Policy, subject: Subject) -> Needs | None:
    """Name what must be learnt next to decide who may read the audit, as ``needs`` does."""
    if policy.names_administrators:
        return needs(policy, subject, Verb.ADMINISTER)
    if lacking := needs(policy, subject, Verb.LOOK):
        return lacking
    return Needs(kind=True) if subject.kind is None and not subject.no_kind else None


def _lacking(rule: Rule, subject: Subject) -> Needs | None:
    """Name what a rule depends on, is not known of the person, and was not asked for yet."""
    kind = _fits_kind(rule, subject) is None and not subject.no_kind
    groups = rule.groups - subject.groups.keys() if _fits_people(rule, subject) is None else frozenset()
    return Needs(kind, groups) if kind or groups else None


def _fits(rule: Rule, subject: Subject, verb: Verb, integration_type: str | None) -> bool | None:
    """Tell whether a rule fits; None: that depends on what is not known."""
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


# --- in words --------------------------------------------------------------------------------------------------

_KINDS: Final = {Kind.MEMBERS: "members", Kind.GUESTS: "guests", Kind.STRANGERS: "people from other workspaces"}


def explain(policy: Policy) -> list[str]:
    """Say in words who may do what: a line for each rule, in the order in which they are tried."""
    lines = [f"{number}. {_sentence(rule)}" for number, rule in enumerate(policy.rules, 1)]
    lines += [f"otherwise: {rule.name}" for rule in BUILT_IN]
    lines.append(f"otherwise: {UNIDENTIFIED}")
    whom = ", ".join(policy.ask) or "nobody in particular"
    return [*lines, f"anyone refused is pointed to: {whom}"]


def _sentence(rule: Rule) -> str:
    may = "may" if rule.allows else "may not"
    deeds = _listed(DEEDS[verb] for verb in Verb if verb in rule.verbs)
    where = f" in {_listed(sorted(rule.channels))}" if rule.channels else ""
    what = f", for {_listed(sorted(rule.types))} only" if rule.types else ""
    return f"{rule.name}: {_people(rule)} {may} {deeds}{where}{what}"


def _people(rule: Rule) -> str:
    named = [*sorted(rule.users), *(f"the group {group}" for group in sorted(rule.groups))]
    if rule.kinds is None and (named or not rule.allows):
        return _listed(named) or "everybody"
    kinds = rule.kinds if rule.kinds is not None else frozenset({Kind.MEMBERS})
    said = "everybody" if kinds == EVERYBODY else _listed(_KINDS[kind] for kind in Kind if kind in kinds)
    return f"{_listed(named)}, as far as they are {said}," if named else said


def _listed(items: Iterable[str]) -> str:
    *first, last = [*items] or [""]
    return f"{', '.join(first)} and {last}" if first else last
