"""The form in which a workspace edits its policy: what it shows, and what is read from it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import blocks
from bot.core.access.policy import Kind, Policy, Problem, Rule, Verb
from bot.core.access.policy_form import (
    EXAMPLE,
    MOST_PARTS,
    PART_CHARS,
    Draft,
    PolicyVersion,
    place_problems,
    read_form,
    split_policy,
    write_metadata,
)
from bot.core.forms.form import WrongForm
from bot.core.models import Person
from bot.settings.policy_file import read_policy
from local_slack.validation import check_view

AT = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
VERSION = PolicyVersion(4, "rules: []", Person("UANA", "ana"), AT)
NAMES = st.text(max_size=100)


def values(*texts):
    """Return the state of the form's fields."""
    return {
        f"policy_{number}": {f"policy_{number}": {"type": "plain_text_input", "value": text}}
        for number, text in enumerate(texts)
    }


def fields(view):
    """Return the texts that a form shows in its fields."""
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    return [block["element"].get("initial_value", "") for block in inputs]


def versions(count, text="rules: []"):
    """Return this many versions, the newest first."""
    return [replace(VERSION, number=number, text=text) for number in range(count, 0, -1)]


# --- what it shows ---------------------------------------------------------------------------------------------


@given(NAMES, st.sampled_from([0, 1, 2, 20]), st.integers(0, PART_CHARS * MOST_PARTS))
def test_slack_accepts_the_form(name, count, length):
    """With any name, up to twenty versions, and the longest policy."""
    text = "\n".join("x" * 99 for _ in range(length // 100))
    shown = [replace(one, text=text, saved_by=Person("UANA", name)) for one in versions(count)]
    for earlier in (None, *shown[1:2]):
        view = check_view(json.loads(json.dumps(blocks.policy_form(shown, earlier))))
        assert len(view["title"]["text"]) <= 24


def test_without_a_policy_the_form_shows_an_example_that_changes_nothing():
    [text, more] = fields(blocks.policy_form([]))
    assert more == ""
    assert read_policy(text) == Policy()
    assert text == EXAMPLE.rstrip()


def test_the_example_is_a_policy_once_it_is_uncommented():
    """As the example itself says: without its first lines of text."""
    lines = EXAMPLE.splitlines()
    begin = lines.index("# ask: [U024BE7LH]            # who a refusal tells people to ask")
    policy = read_policy("\n".join(line.removeprefix("# ") for line in lines[begin:]))
    assert isinstance(policy, Policy)
    assert [rule.allows for rule in policy.rules] == [True, False]
    assert policy.names_administrators


def test_the_current_version_is_shown_with_room_for_more():
    view = blocks.policy_form(versions(3))
    assert fields(view) == ["rules: []", ""]
    assert json.loads(view["private_metadata"]) == {"version": 3, "again": 0}
    [menu] = [block for block in view["blocks"] if block["type"] == "actions"]
    assert [option["text"]["text"] for option in menu["elements"][0]["options"]] == [
        "Version 2, 2026-11-26 14:30 UTC, ana",
        "Version 1, 2026-11-26 14:30 UTC, ana",
    ]


def test_an_earlier_version_is_shown_to_be_saved_on_top_of_the_current_one():
    shown = versions(3)
    view = blocks.policy_form(shown, replace(shown[2], text="ask: [U1]"))
    assert fields(view) == ["ask: [U1]", ""]
    assert json.loads(view["private_metadata"]) == {"version": 3, "again": 1}
    assert view["submit"]["text"] == "Save again"
    assert not [block for block in view["blocks"] if block["type"] == "actions"]


# --- long policies ---------------------------------------------------------------------------------------------


LINES = st.lists(st.text(alphabet="ab:\N{GRINNING FACE}", max_size=PART_CHARS // 2), max_size=12)


@given(LINES)
def test_cutting_and_joining_loses_nothing(lines):
    """Each part fits in a field, also with characters that count twice."""
    text = "\n".join(lines)
    parts = split_policy(text)
    assert "\n".join(parts) == text
    assert all(len(part.encode("utf-16-le")) // 2 <= PART_CHARS for part in parts)


@given(st.lists(st.text(alphabet="a\n", max_size=PART_CHARS), min_size=1, max_size=MOST_PARTS))
def test_what_was_typed_fits_in_the_form_again(typed):
    """Text that filled five fields is split into five fields again."""
    draft = read_form(values(*typed), write_metadata(1))
    assert len(split_policy(draft.text)) <= MOST_PARTS


def test_the_longest_policy_has_five_fields():
    text = "\n".join(["x" * PART_CHARS] * MOST_PARTS)
    assert fields(blocks.policy_form(versions(1, text))) == ["x" * PART_CHARS] * MOST_PARTS


# --- what is read ----------------------------------------------------------------------------------------------


def test_a_form_is_read():
    """Its fields are joined line by line; line ends, no-break spaces and empty fields at the end don't matter."""
    draft = read_form(values("rules:\r\n-\u00a0name: a\n\n", None, "  allow: sync  ", "", ""), write_metadata(4, 2))
    assert draft == Draft(("rules:\n- name: a", "", "  allow: sync"), 4, 2)
    assert draft.text == "rules:\n- name: a\n\n  allow: sync"


@pytest.mark.parametrize("metadata", ["", None, "{}", "[]", '{"version": -1}', '{"version": true}', '{"version": 1e9}'])
def test_a_form_of_another_version_saves_nothing(metadata):
    wrong = read_form(values("rules: []"), metadata)
    assert "different version of the bot" in wrong.errors["policy_0"]


def test_a_form_without_its_first_field_saves_nothing():
    """An empty policy is one that someone emptied."""
    assert isinstance(read_form({}, write_metadata(1)), WrongForm)
    assert read_form(values(""), write_metadata(1)) == Draft((), 1)


def test_a_field_that_is_too_long_is_named():
    wrong = read_form(values("", "\N{GRINNING FACE}" * (PART_CHARS // 2 + 1)), write_metadata(0))
    assert list(wrong.errors) == ["policy_1"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["policy_0", "policy_1", "value", "version"]), inner)
    ),
)


@given(JSON, st.text() | JSON | JSON.map(json.dumps))
def test_anything_is_read(found, metadata):
    assert isinstance(read_form(found, metadata), Draft | WrongForm)


# --- mistakes --------------------------------------------------------------------------------------------------


def test_a_mistake_is_shown_below_its_field_with_its_line_there():
    """The first rule is in the first field, the second one in the third."""
    draft = read_form(
        values("rules:\n- name: a\n  alow: sync", "# nothing", "- name: b\n  allow: sinc"), write_metadata(0)
    )
    found = place_problems(draft, read_policy(draft.text))
    assert list(found) == ["policy_0", "policy_2"]
    assert "Line 3, column 3: “alow” isn't a recognized key; did you mean “allow”?" in found["policy_0"]
    assert found["policy_2"].startswith("Line 2, column 10: “sinc” isn't one of")


def test_a_mistake_at_the_end_is_in_the_last_field():
    """There, YAML's own position is behind the last line."""
    draft = Draft(("a: [", ""), 0)
    assert place_problems(draft, [Problem("no end.", 9, 1)]) == {"policy_1": "Line 1, column 1: no end."}
    assert place_problems(Draft((), 0), [Problem("nothing.", 1, 1)]) == {"policy_0": "Line 1, column 1: nothing."}


def test_only_a_few_mistakes_are_shown():
    found = place_problems(Draft(("a",) * 9, 0), [Problem(f"no {number}.") for number in range(5)])
    assert found == {"policy_0": "no 0. no 1. no 2. And 2 more."}


def test_the_confirmation_says_what_the_policy_means():
    policy = Policy((Rule("Only Ana", False, frozenset({Verb.SYNC}), kinds=frozenset({Kind.GUESTS})),))
    message = blocks.policy_saved_message(5, 3, policy, command="/flokit")
    assert "version 3 again, now as version 5" in message.text
    assert "1. Only Ana: guests can't sync" in json.dumps(message.blocks)
