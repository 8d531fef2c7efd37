"""Text for Slack: clipping, escaping, durations and times."""

from __future__ import annotations

import html
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.blocks.text import (
    clean,
    clip,
    code,
    counted,
    date,
    duration,
    escape,
    iso_utc,
    listed,
    mention,
    one_line,
    person_name,
    utc,
    weight,
)
from bot.core.models import Person

NOON = datetime(2024, 3, 15, 13, 0, 59, tzinfo=UTC)


@given(st.text(), st.integers(1, 50))
def test_a_clipped_text_never_exceeds_its_limit(text, limit):
    """In code points, and its escaped JSON in three times as many characters."""
    clipped = clip(clean(text), limit)
    assert len(clipped) <= limit
    assert len(json.dumps(escape(clipped))) - 2 <= 3 * max(limit, 2)


@given(st.text(st.sampled_from("ab&<>é🦊"), max_size=60), st.integers(1, 50))
def test_clipping_never_cuts_an_entity(text, limit):
    """What's escaped after clipping decodes to the beginning of the text."""
    shown = html.unescape(escape(clip(text, limit)))
    assert shown == text or text.startswith(shown.removesuffix("…"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_weight_is_never_less_than_any_size_that_slack_counts(text):
    """Code points, UTF-8 bytes, and the JSON of the escaped text."""
    escaped = escape(text)
    assert weight(text) >= max(len(escaped.encode()), len(json.dumps(escaped)) - 2)


@pytest.mark.parametrize(
    ("text", "shown"), [("short", "short"), ("exactly ten", "exactly t…"), ("&&&&&&&&&&", "&&&&…"), ("", "")]
)
def test_a_clipped_text_says_so(text, shown):
    """It ends in an ellipsis; text that's expensive to escape is cut earlier."""
    assert clip(text, 10) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\0b\x1b[31m", "ab[31m"),
        ("line\r\nbreak", "line\nbreak"),
        ("\ud800lone", "lone"),
        ("\u202eevil\u2066", "evil"),
        ("  padded  ", "padded"),
    ],
)
def test_what_cannot_be_shown_is_removed(text, shown):
    """Control characters, unpaired surrogates and direction marks; line breaks stay."""
    assert clean(text) == shown


def test_one_line_has_no_breaks():
    """Any white space becomes one space."""
    assert one_line(" a\n\n b\tc\u2028d ") == "a b c d"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("int_1", "`int_1`"), ("a`b", "`a'b`"), ("<@U1>", "`&lt;@U1&gt;`"), ("", "`?`"), ("\n", "`?`")],
)
def test_inline_code_cannot_be_escaped_from(text, shown):
    """It has neither a backtick nor anything that Slack parses, and is never empty."""
    assert code(text, 40) == shown


@pytest.mark.parametrize(
    ("person", "mentioned", "named"),
    [
        (Person("U123", "ana"), "<@U123>", "ana"),
        (Person("U123"), "<@U123>", "<@U123>"),
        (Person("U1> <!channel", "ana"), "ana", "ana"),
        (Person("", ""), "someone", "someone"),
        (Person("U1", "<!here> *x*"), "<@U1>", "&lt;!here&gt; x"),
        (Person("U1", "_ana_b_"), "<@U1>", "ana_b"),
    ],
)
def test_a_person_is_mentioned_or_named(person, mentioned, named):
    """Only a valid Slack ID is mentioned; a name has no markup."""
    assert (mention(person), person_name(person)) == (mentioned, named)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (8, "8 s"),
        (59.6, "1 min"),
        (80, "1 min 20 s"),
        (3600, "1 h"),
        (7800, "2 h 10 min"),
        (3605, "1 h"),
        (100_000, "1 d 3 h"),
    ],
)
def test_a_duration_is_shown_in_its_two_largest_units(seconds, words):
    """Units that are zero are left out."""
    assert duration(seconds) == words


def test_a_time_is_shown_in_the_readers_zone():
    """It's Slack's date token with UTC as its fallback."""
    assert date(NOON) == "<!date^1710507659^{date_short_pretty} at {time}|2024-03-15 13:00 UTC>"


def test_a_time_before_1970_is_plain_text():
    """Slack's token can't represent it."""
    assert date(datetime(1969, 12, 31, 23, 59, tzinfo=UTC)) == "1969-12-31 23:59 UTC"


def test_other_zones_become_utc():
    """For people and for machines."""
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert (utc(there), iso_utc(there)) == ("2024-03-15 13:00 UTC", "2024-03-15T13:00:59Z")


@pytest.mark.parametrize(
    ("names", "sentence"), [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")]
)
def test_a_long_list_is_counted(names, sentence):
    """Beyond the limit of a list, only the number is shown."""
    assert listed(names, str, most=2) == sentence


@pytest.mark.parametrize(("count", "words"), [(0, "0 events"), (1, "1 event"), (1204, "1,204 events")])
def test_counts_have_a_singular_and_separators(count, words):
    assert counted(count, "event") == words
