"""Permissions: a table of the built-in rules, and properties of every policy."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.access.policy import (
    Allowed,
    Kind,
    Needs,
    Policy,
    Refused,
    Rule,
    Subject,
    Verb,
    decide_access,
    decide_audit,
    explain,
    needs,
)

M, G, S = Kind.MEMBERS, Kind.GUESTS, Kind.STRANGERS
LOOK, SYNC, SUBSCRIBE, ADMINISTER = Verb
SYNCS = frozenset({SYNC})

some = lambda values: st.frozensets(st.sampled_from(values), max_size=2)  # noqa: E731
RULES = st.builds(
    Rule,
    name=st.text(min_size=1, max_size=5),
    allows=st.booleans(),
    verbs=st.frozensets(st.sampled_from(Verb), min_size=1),
    users=some(["U1", "U2"]),
    groups=some(["S1", "S2"]),
    kinds=st.none() | st.frozensets(st.sampled_from(Kind), min_size=1),
    channels=some(["C1", "C2"]),
    types=some(["stripe", "adjust"]),
    ask=st.just(()),
)
POLICIES = st.builds(Policy, rules=st.lists(RULES, max_size=5).map(tuple))
SUBJECTS = st.builds(
    Subject,
    user_id=st.sampled_from(["U1", "U2", "U3"]),
    channel_id=st.sampled_from(["C1", "C2", "C3", ""]),
    kind=st.sampled_from(Kind) | st.none(),
    groups=st.dictionaries(st.sampled_from(["S1", "S2"]), st.sampled_from([True, False, None])),
)
VERBS = st.sampled_from(Verb)
TYPES = st.sampled_from(["stripe", "adjust", "warehouse", None])


def may(policy, verb=SYNC, kind=M, user="U1", channel="C1", groups=None, type_="stripe"):
    """Decide whether someone is allowed to do something."""
    return isinstance(decide_access(policy, Subject(user, channel, kind, groups or {}), verb, type_), Allowed)


@pytest.mark.parametrize(
    ("verb", "who"),
    [(LOOK, {M, G, S}), (SYNC, {M}), (SUBSCRIBE, {M}), (ADMINISTER, set())],
)
def test_without_a_policy(verb, who):
    """Everyone can look, members can sync and subscribe, no one can administer."""
    assert {kind for kind in Kind if may(Policy(), verb, kind)} == who


@pytest.mark.parametrize(
    ("rule", "asked", "fits"),
    [
        (Rule("r", True, SYNCS, users=frozenset({"U1"})), {"kind": G}, True),
        (Rule("r", True, SYNCS, users=frozenset({"U2"})), {"kind": G}, False),
        (Rule("r", True, SYNCS, groups=frozenset({"S1"})), {"kind": G, "groups": {"S1": True}}, False),
        (Rule("r", True, SYNCS, kinds=frozenset({G})), {"kind": G}, True),
        (Rule("r", True, SYNCS, kinds=frozenset({G})), {"kind": S}, False),
        (Rule("r", True, SYNCS, kinds=frozenset({G}), groups=frozenset({"S1"})), {"kind": G}, False),
        (Rule("r", True, SYNCS, kinds=frozenset({G}), channels=frozenset({"C2"})), {"kind": G}, False),
        (Rule("r", True, SYNCS, kinds=frozenset({G}), types=frozenset({"adjust"})), {"kind": G}, False),
        (
            Rule("r", True, SYNCS, kinds=frozenset({G}), types=frozenset({"adjust"})),
            {"kind": G, "type_": "adjust"},
            True,
        ),
        (Rule("r", True, SYNCS, kinds=frozenset({G}), types=frozenset({"adjust"})), {"kind": G, "type_": None}, False),
        (Rule("r", False, SYNCS), {}, False),
        (Rule("r", False, SYNCS, users=frozenset({"U2"})), {}, True),
        (Rule("r", False, SYNCS, groups=frozenset({"S1"})), {"groups": {"S1": False}}, True),
        (Rule("r", False, SYNCS, groups=frozenset({"S1"})), {"groups": {"S1": None}}, False),
        (Rule("r", False, SYNCS, types=frozenset({"adjust"})), {}, True),
        (Rule("r", False, SYNCS, types=frozenset({"adjust"})), {"type_": None}, False),
        *(
            (Rule("r", False, SYNCS, types=frozenset({named})), {"type_": type_}, False)
            for named, type_ in (
                ("warehouse", "Warehouse"),
                ("data-warehouse", "DATA_WAREHOUSE"),
                ("App.Store", "app store"),
                ("app_store", "\uff21\uff50\uff50Store"),
            )
        ),
        (Rule("r", False, SYNCS, types=frozenset({"warehouse"})), {"type_": "data-warehouse"}, True),
        (Rule("r", False, SYNCS, types=frozenset({"--"})), {"type_": "__"}, True),
        (Rule("r", False, frozenset({LOOK})), {}, True),
    ],
)
def test_each_condition_of_a_rule(rule, asked, fits):
    """It decides as the example file says."""
    assert may(Policy((rule,)), **asked) is fits


def test_the_first_rule_that_matches_decides():
    """If two rules contradict each other, the first one is named."""
    yes, no = Rule("yes", True, SYNCS), Rule("no", False, SYNCS, ask=("U9",))
    me = Subject("U1", "C1", M)
    assert decide_access(Policy((yes, no)), me, SYNC) == Allowed("yes")
    assert decide_access(Policy((no, yes), ("U8",)), me, SYNC) == Refused("no", "You can't sync here.", ("U9",))


def test_only_needed_facts_are_looked_up():
    """Looking needs none, a sync the role, a rule about a group that group, unless it names the person."""
    stranger_to_us = Subject("U1", "C1")
    assert needs(Policy(), stranger_to_us, LOOK) is None
    assert needs(Policy(), stranger_to_us, SYNC) == Needs(kind=True)
    of_group = Policy((Rule("g", True, SYNCS, groups=frozenset({"S1"}), users=frozenset({"U2"})),))
    assert needs(of_group, Subject("U1", "C1", M), SYNC) == Needs(groups=frozenset({"S1"}))
    assert needs(of_group, Subject("U2", "C1"), SYNC) is None
    assert needs(of_group, Subject("U1", "C1", M, {"S1": None}), SYNC) is None


def test_members_can_read_the_audit_unless_there_are_administrators():
    assert [isinstance(decide_audit(Policy(), Subject("U1", "C1", kind)), Allowed) for kind in Kind] == [
        True,
        False,
        False,
    ]
    policy = Policy((Rule("boss", True, frozenset({ADMINISTER}), users=frozenset({"U1"})),))
    assert isinstance(decide_audit(policy, Subject("U1", "C1", M)), Allowed)
    assert isinstance(decide_audit(policy, Subject("U2", "C1", M)), Refused)


@given(POLICIES, SUBJECTS, VERBS, TYPES)
def test_every_question_gets_an_answer(policy, subject, verb, type_):
    """Whatever the rules and unknown facts, it names an existing rule, and lookups end."""
    assert decide_access(policy, subject, verb, type_).rule
    known = subject
    for _ in range(5):
        lacking = needs(policy, known, verb, type_)
        if lacking is None:
            return
        assert not (lacking.kind and known.kind)
        assert not lacking.groups & known.groups.keys()
        groups = {**known.groups, **dict.fromkeys(lacking.groups, False)}
        known = Subject(known.user_id, known.channel_id, M if lacking.kind else known.kind, groups)
    raise AssertionError("the lookups never end")


@given(POLICIES, SUBJECTS, VERBS, TYPES)
def test_unknown_facts_allow_nothing(policy, subject, verb, type_):
    """Someone who is allowed with an unknown fact is allowed whatever it turns out to be."""
    if not isinstance(decide_access(policy, subject, verb, type_), Allowed):
        return
    unknown = [group for group in ("S1", "S2") if subject.groups.get(group) is None]
    for kind, type_found, *members in product(
        [subject.kind] if subject.kind else Kind,
        [type_] if type_ else ["stripe", "adjust", "other"],
        *([True, False] for _ in unknown),
    ):
        found = Subject(
            subject.user_id, subject.channel_id, kind, {**subject.groups, **dict(zip(unknown, members, strict=True))}
        )
        assert isinstance(decide_access(policy, found, verb, type_found), Allowed)


@given(POLICIES, SUBJECTS, VERBS, TYPES)
def test_a_decision_without_unknown_facts_is_final(policy, subject, verb, type_):
    """Learning the role or a group later gives the same answer."""
    if type_ is None or None in subject.groups.values() or needs(policy, subject, verb, type_):
        return
    decided = decide_access(policy, subject, verb, type_)
    for kind, first, second in product([subject.kind] if subject.kind else Kind, [True, False], [True, False]):
        groups = {"S1": first, "S2": second, **subject.groups}
        later = Subject(subject.user_id, subject.channel_id, kind, groups)
        assert decide_access(policy, later, verb, type_) == decided


@given(POLICIES)
def test_every_policy_can_be_explained(policy):
    """There's a line for each rule, and for what applies otherwise."""
    assert len(explain(policy)) == len(policy.rules) + 7
