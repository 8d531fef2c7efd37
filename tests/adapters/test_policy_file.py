"""The policy file: valid files become a policy, and mistakes are named with line and column."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.access.policy import Kind, Policy, Rule, Verb
from bot.core.errors import SettingsError
from bot.settings.policy_file import MAX_BYTES, load_policy
from bot.settings.policy_text import parse_policy

EXAMPLE = Path("manifests/policy.example.yaml")


def problems(text):
    """Return what's wrong with a text."""
    with pytest.raises(SettingsError) as caught:
        parse_policy(text)
    return caught.value.problems


def test_the_example_is_valid_and_uses_every_key():
    policy = load_policy(EXAMPLE)
    assert len(policy.rules) == 4
    text = EXAMPLE.read_text()
    assert all(f"{word}" in text for word in ("users", "groups", "who", "channels", "types", "ask", *Verb, *Kind))


def test_without_a_file_only_the_built_in_rules_apply():
    """The same holds for an empty file."""
    assert load_policy(None) == parse_policy("") == parse_policy("# nothing\n") == Policy()


def test_every_key_of_a_rule_is_read():
    """A single value needs no list."""
    text = """
ask: U9
rules:
  - name: one
    allow: sync
    users: [U1, W2]
    groups: S1
    who: [members, guests]
    channels: [C1, G1]
    types: stripe
    ask: [S2]
"""
    assert parse_policy(text) == Policy(
        (
            Rule(
                "one",
                True,
                frozenset({Verb.SYNC}),
                frozenset({"U1", "W2"}),
                frozenset({"S1"}),
                frozenset({Kind.MEMBERS, Kind.GUESTS}),
                frozenset({"C1", "G1"}),
                frozenset({"stripe"}),
                ("S2",),
            ),
        ),
        ("U9",),
    )


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("rules:\n  - name: a\n    alow: [sync]\n", "3:5", "did you mean “allow”?"),
        ("rules:\n  - name: a\n    allow: [look, sinc]\n", "3:19", "“sinc” isn't one of"),
        (
            "rules:\n  - name: a\n    allow: sync\n    users: ['@ana']\n",
            "4:13",
            "isn't the Slack ID of a person",
        ),
        ("rules:\n  - allow: sync\n", "2:5", "“name” is missing"),
        ("rules:\n  - name: a\n", "2:5", "either allow or refuse"),
        ("rules:\n  - name: a\n    allow: sync\n    refuse: look\n", "2:5", "either allow or refuse"),
        ("rules:\n  - name: a\n    allow: sync\n    types: strpe\n", "4:12", "did you mean “stripe”?"),
        (
            "rules:\n  - name: a\n    allow: sync\n    types: [Warehouse, stripe, ware-house]\n",
            "4:12",
            "“Warehouse” and “ware-house” are the same type; name it once",
        ),
        (
            "rules:\n  - name: a\n    allow: sync\n    types: [stripe, stripe]\n",
            "4:12",
            "“stripe” and “stripe” are the same type",
        ),
        ("rules:\n  - name: a\n    allow: sync\n    types: '?!'\n", "4:12", "“?!” isn't a type; types look like"),
        ("rules:\n  - name: a\n    allow: sync\n    types: '--'\n", "4:12", "“--” isn't a type; types look like"),
        ("rules:\n  - name: a\n    allow: sync\n    users: []\n", "4:12", "at least 1"),
        ("rules:\n  - {name: a, allow: sync}\n  - {name: a, refuse: sync}\n", "1:1", "two rules are called “a”"),
        ("rules:\n  - name: a\n    name: b\n", "3:5", "“name” appears twice"),
        ("rules: 3\n", "1:8", "must be a list"),
        ("- a\n", "1:1", "must be"),
        ("rules:\n\t- a\n", "2:1", "cannot start any token"),
        ("rules: [\n", "2:1", "expected"),
        ("rules: &a [*a]\n", "1:8", "anchors"),
        ("roles: []\n", "1:1", "did you mean “rules”?"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_column(text, place, said):
    """They point at the word to change, and the sentence says how."""
    [problem] = problems(text)
    assert problem.startswith(f"policy.yaml:{place}: ")
    assert said in problem


@pytest.mark.parametrize(
    "name", ["data-warehouse", "App.Store", "Warehouse", "google_ads_v2", "Stripe EU", "Überweisung"]
)
def test_any_type_can_be_named(name):
    """Types can have capitals, hyphens, dots and spaces, as FloKit or people write them."""
    policy = parse_policy(f"rules:\n  - name: a\n    refuse: sync\n    types: {name}\n")
    assert policy.rules[0].types == frozenset({name})


def test_several_problems_are_named_at_once():
    """Each has its own sentence."""
    found = problems("rules:\n  - name: a\n    allow: sinc\n  - name: b\n    allow: sync\n    groups: x\n")
    assert [problem.split(" ")[0] for problem in found] == ["policy.yaml:3:12:", "policy.yaml:6:13:"]


def test_a_missing_a_huge_and_a_binary_file_are_named(tmp_path):
    for path, data, said in (
        ("missing", None, "can.t be read"),
        ("huge", b"#" * (MAX_BYTES + 1), "is it the right file?"),
        ("binary", b"\xff\xfe", "isn.t UTF-8"),
    ):
        file = tmp_path / path
        if data is not None:
            file.write_bytes(data)
        with pytest.raises(SettingsError, match=said):
            load_policy(file)


YAML_LIKE = st.text(alphabet="rulesnameallowsync:-[]{}&*!|>#'\"\\ \n\t0.~?,%@`", max_size=80) | st.text(max_size=40)


@given(YAML_LIKE)
def test_any_text_is_a_policy_or_a_list_of_problems(text):
    with contextlib.suppress(SettingsError):
        assert isinstance(parse_policy(text), Policy)


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 3000, "- " * 5000, "a: !!python/object:os.system x", "\x00"])
def test_hostile_texts_are_only_wrong(text):
    """Endless nesting, foreign tags and control characters."""
    assert problems(text)


@pytest.mark.parametrize("text", ['{"\\n"}', '"a\\nb\\e[31m": 1', 'rules: [{"x\\ny": 1}]'])
def test_line_breaks_in_the_file_cannot_break_an_error_message(text):
    with pytest.raises(SettingsError) as refused:
        parse_policy(text)
    assert refused.value.problems
    assert all(problem.isprintable() for problem in refused.value.problems)
