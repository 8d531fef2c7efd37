"""Time spans as people type them, in the reader's own days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.span_words import LONGEST, find_span, parse_span

NOW = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
"""A Thursday; 15:30 in Berlin."""
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("7d", timedelta(days=7)),
        ("24 h", timedelta(hours=24)),
        ("30D", timedelta(days=30)),
        ("2w", timedelta(weeks=2)),
        ("7 days", timedelta(days=7)),
        ("seven days", timedelta(days=7)),
        ("last week", timedelta(days=7)),
        ("Past week", timedelta(days=7)),
        ("last month", timedelta(days=30)),
        ("last year", timedelta(days=365)),
        ("past 3 hours", timedelta(hours=3)),
        ("in the last 2 weeks", timedelta(weeks=2)),
        ("over the past month", timedelta(days=30)),
        ("a week", timedelta(weeks=1)),
        ("an hour", timedelta(hours=1)),
        ("a couple of days", timedelta(days=2)),
        ("since 3 hours ago", timedelta(hours=3)),
        ("3 days ago", timedelta(days=3)),
        ("90 min", timedelta(minutes=90)),
        ("since last week", timedelta(days=7)),
        ("99999999999w", LONGEST),
        ("1" * 5000 + "y", LONGEST),
    ],
)
def test_an_amount_reaches_back_from_now(text, ago):
    """A number of hours, days or weeks, or "last week", is that much time up to now."""
    span = parse_span(text, NOW, BERLIN)
    assert (NOW - span.since, span.until, span.in_days, span.unclear) == (ago, None, False, "")


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("today", "2026-11-26 00:00", "2026-11-27 00:00"),
        ("yesterday", "2026-11-25 00:00", "2026-11-26 00:00"),
        ("this week", "2026-11-23 00:00", None),
        ("this month", "2026-11-01 00:00", None),
        ("this year", "2026-01-01 00:00", None),
        ("since Monday", "2026-11-23 00:00", None),
        ("since thursday", "2026-11-26 00:00", None),
        ("since last thursday", "2026-11-19 00:00", None),
        ("since yesterday", "2026-11-25 00:00", None),
        ("since yesterday at 9", "2026-11-25 09:00", None),
        ("since 9am", "2026-11-26 09:00", None),
        ("since 9pm", "2026-11-25 21:00", None),
        ("since 2026-11-01", "2026-11-01 00:00", None),
        ("since 2026/11/1 09:30", "2026-11-01 09:30", None),
        ("since Nov 1", "2026-11-01 00:00", None),
        ("since dec 24", "2025-12-24 00:00", None),
        ("1st of November, 2025", "2025-11-01 00:00", "2025-11-02 00:00"),
        ("1.11.2026", "2026-11-01 00:00", "2026-11-02 00:00"),
        ("on Friday", "2026-11-20 00:00", "2026-11-21 00:00"),
        ("from 2026-11-01 to 2026-11-07", "2026-11-01 00:00", "2026-11-08 00:00"),
        ("between Monday and Wednesday", "2026-11-23 00:00", "2026-11-26 00:00"),
        ("since Monday until yesterday", "2026-11-23 00:00", "2026-11-26 00:00"),
        ("before monday", None, "2026-11-23 00:00"),
    ],
)
def test_days_begin_at_the_readers_midnight(text, since, until):
    """So do weeks and dates."""

    def local(at):
        return at and f"{at.astimezone(BERLIN):%Y-%m-%d %H:%M}"

    span = parse_span(text, NOW, BERLIN)
    assert (local(span.since), local(span.until), span.in_days, span.unclear) == (since, until, True, "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("since foo", "I don't recognize the time “since foo”. Write a date as 2026-11-01."),
        ("11/01/2026", "I don't recognize the time “11/01/2026”. Write a date as 2026-11-01."),
        ("2026-13-45", "I don't recognize the time “2026-13-45”. Write a date as 2026-11-01."),
        ("since 2099-01-01", "That time is in the future."),
        ("today 7d", "I found two time ranges; use only one."),
        ("since today until 2026-11-01", "That time range ends before it begins."),
        ("since 0001-01-01", "I don't recognize the time “0001-01-01”. Write a date as 2026-11-01."),
    ],
)
def test_a_time_that_cannot_be_shown_says_why(text, sentence):
    """A text that's meant as a time, but isn't one, is answered with what's wrong."""
    assert parse_span(text, NOW, ZoneInfo("Asia/Tokyo")).unclear == sentence


def day(number, hour=0, minute=0):
    """Return a time in November in Berlin."""
    return datetime(2026, 11, number, hour, minute, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("from monday to friday", day(23), day(28)),
        ("monday to friday", day(23), day(28)),
        ("tuesday to thursday", day(24), day(27)),
        ("friday to monday", day(20), day(24)),
        ("monday-wednesday", day(23), day(26)),
        ("mon - wed", day(23), day(26)),
        ("2026-11-01 - 2026-11-05", day(1), day(6)),
        ("2026-11-01..2026-11-05", day(1), day(6)),
        ("Nov 1 through Nov 5", day(1), day(6)),
        ("from 9am to 5pm", day(26, 9), day(26, 17)),
        ("from yesterday 22:00 to 9:00", day(25, 22), day(26, 9)),
        ("from monday 9:00 to 17:00", day(23, 9), day(23, 17)),
        ("the day before yesterday", day(24), day(25)),
        ("yesterday afternoon", day(25), day(26)),
        ("since monday morning", day(23), None),
        ("since 3 pm yesterday", day(25, 15), None),
        ("since 9am on monday", day(23, 9), None),
    ],
)
def test_a_range_is_read_from_its_beginning_to_its_end(text, since, until):
    """Two ends make one span, however they're joined; a weekday or time at its end comes after its start."""
    span = parse_span(text, NOW, BERLIN)
    assert (span.since, span.until, span.unclear) == (since, until, "")


@pytest.mark.parametrize(("text", "same"), [("last-week", "last week"), ("last_month", "last month"), ("-7d", "7d")])
def test_words_joined_by_a_dash_are_split(text, same):
    """A dash instead of a space changes nothing."""
    assert parse_span(text, NOW, BERLIN) == parse_span(same, NOW, BERLIN) is not None


@pytest.mark.parametrize(
    "text",
    [
        "stripe",
        "from ana",
        "stripe-prod",
        "a-b",
        "mon-stripe",
        "1-2",
        "last",
        "since",
        "may",
        "1",
        "sun",
        "mo",
        "a",
        "int_7d",
    ],
)
def test_words_that_are_not_times_are_left(text):
    """Names and single words, except weekdays."""
    span, rest = find_span(text.split(), NOW, BERLIN)
    assert (span is None and rest == text.split()) or text == "sun"


def test_a_time_span_may_be_anywhere():
    """The remaining words keep their order."""
    span, rest = find_span(["stripe", "since", "monday", "by", "@ana"], NOW, BERLIN)
    assert span.since == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert rest == ["stripe", "by", "@ana"]


FRAGMENTS = (
    "since until from to between and last past this the a an 7 7d 30 days week month monday sun nov 1st 2026-11-01 "
    "31.2.2026 9999-12-31 0001-01-01 9am at 25:00 noon yesterday today now ago of - 2026 99999999999999y couple"
)


@given(
    st.lists(st.sampled_from(FRAGMENTS.split()) | st.text(max_size=6), max_size=12),
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Apia", "America/St_Johns"]),
)
def test_any_words_get_an_answer(words, now, zone):
    """Any words are a span that isn't empty, a sentence, or left as they are."""
    span, rest = find_span(words, now, ZoneInfo(zone))
    assert len(rest) <= len(words)
    assert span is None or span.unclear or not (span.since and span.until) or span.since < span.until
