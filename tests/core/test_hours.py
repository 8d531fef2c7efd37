"""Hours as people type them, and when they begin, across clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.subscriptions.hours import describe_hours, never_opens, opens_at
from bot.core.subscriptions.subscriptions import Hours, News
from bot.core.subscriptions.words import Unclear, Wish, parse_subscribe

WEEKDAYS, DAILY, WEEKEND = frozenset(range(5)), frozenset(range(7)), frozenset({5, 6})
OFFICE = Hours(time(8), time(18), WEEKDAYS, "Europe/Berlin")
NIGHT = Hours(time(22), time(7), DAILY, "Europe/Berlin", is_quiet=True)


def utc(text: str) -> datetime:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "described"),
    [
        ("hours 08:00-18:00 weekdays", "hours weekdays 08:00-18:00"),
        ("hours 8-18 mon-fri", "hours weekdays 08:00-18:00"),
        ("hours 08:00 - 18:00 on weekdays", "hours weekdays 08:00-18:00"),
        ("hours 9-5", "hours daily 09:00-17:00"),
        ("hours 9 to 5 pm", "hours daily 09:00-17:00"),
        ("between 8am and 6pm", "hours daily 08:00-18:00"),
        ("from 9 to 17 weekdays", "hours weekdays 09:00-17:00"),
        ("08:00-18:00", "hours daily 08:00-18:00"),
        ("weekdays 08:00-18:00", "hours weekdays 08:00-18:00"),
        ("only 9am-5pm mon, ", "hours Mon 09:00-17:00"),
        ("during office hours", "hours weekdays 09:00-18:00"),
        ("business hours", "hours weekdays 09:00-18:00"),
        ("hours weekdays", "hours weekdays 00:00-24:00"),
        ("hours 00:00-24:00 weekends", "hours weekends 00:00-24:00"),
        ("hours 08:00\u201318:00 weekdays", "hours weekdays 08:00-18:00"),
        ("hours 22:00-06:00", "hours daily 22:00-06:00"),
        ("quiet 22:00-07:00", "quiet daily 22:00-07:00"),
        ("quiet hours 22:00 to 07:00", "quiet daily 22:00-07:00"),
        ("no alerts between 22:00 and 07:00", "quiet daily 22:00-07:00"),
        ("not at night", "quiet daily 22:00-07:00"),
        ("not on weekends", "hours weekdays 00:00-24:00"),
        ("quiet weekends", "hours weekdays 00:00-24:00"),
    ],
)
def test_hours_are_understood(words, described):
    """However they are typed, and wherever in the text."""
    for text in (f"stripe {words}", f"{words} stripe" if not words.endswith(", ") else f"stripe {words}"):
        wish = parse_subscribe(text)
        assert isinstance(wish, Wish), wish
        assert wish.hours
        assert describe_hours(wish.hours) == f"{described} (UTC)"
        assert (wish.target_text, wish.digest, wish.news) == ("stripe", None, frozenset(News))


@pytest.mark.parametrize(
    ("words", "news", "always"),
    [
        ("hours 8-18 failing always", News, {News.FAILING}),
        ("failing always, hours 8am-6pm", News, {News.FAILING}),
        ("hours 8-18 always failing and disconnected", News, {News.FAILING, News.DISCONNECTED}),
        ("hours 8-18 failing at any time", News, {News.FAILING}),
        ("failing always, recovered hours 8-18", {News.FAILING, News.RECOVERED}, {News.FAILING}),
        ("failing always", {News.FAILING}, {News.FAILING}),
        ("stripe failing hours 8-18 weekdays failing always", {News.FAILING}, {News.FAILING}),
    ],
)
def test_some_news_break_through(words, news, always):
    """If nothing else is named, the rest is posted within the hours."""
    wish = parse_subscribe(words)
    assert isinstance(wish, Wish)
    assert (wish.news, wish.always) == (frozenset(news), frozenset(always))


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("hours 25:00-18:00", "I don't recognize “hours 25:00-18:00”"),
        ("hours", "try hours 08:00-18:00 weekdays"),
        ("hours 8-18 hours 9-17", "Choose one time span"),
        ("quiet 00:00-24:00", "never post anything"),
        ("always", "What should I always post?"),
    ],
)
def test_unclear_hours_are_explained(words, part):
    answer = parse_subscribe(words)
    assert isinstance(answer, Unclear)
    assert part in answer.sentence


def test_a_digest_has_times_of_its_own():
    wish = parse_subscribe("all hours 08:00-18:00 weekdays digest 09:30 daily zone Europe/Berlin")
    assert isinstance(wish, Wish)
    assert wish.hours == OFFICE
    assert wish.digest
    assert (wish.digest.at, wish.digest.weekdays, wish.digest.zone) == (time(9, 30), DAILY, "Europe/Berlin")


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        (OFFICE, "2026-11-25T12:00", "2026-11-25T12:00"),
        (OFFICE, "2026-11-25T17:00", "2026-11-26T07:00"),
        (OFFICE, "2026-11-27T17:00", "2026-11-30T07:00"),
        # Clocks go back on 2026-10-25, so the morning after the weekend is an hour later in UTC.
        (OFFICE, "2026-10-23T17:00", "2026-10-26T07:00"),
        (OFFICE, "2026-10-22T17:00", "2026-10-23T06:00"),
        # Clocks go forward on 2026-03-29 at 02:00.
        (NIGHT, "2026-03-28T22:30", "2026-03-29T05:00"),
        (Hours(time(2, 30), time(9), DAILY, "Europe/Berlin"), "2026-03-29T00:45", "2026-03-29T01:30"),
        (Hours(time(2, 30), time(9), DAILY, "Europe/Berlin"), "2026-10-24T23:00", "2026-10-25T00:30"),
        (NIGHT, "2026-11-25T12:00", "2026-11-25T12:00"),
        (Hours(time(), time(), WEEKEND, "UTC", is_quiet=True), "2026-11-27T23:59", "2026-11-27T23:59"),
        (Hours(time(), time(), WEEKEND, "UTC", is_quiet=True), "2026-11-28T00:00", "2026-11-30T00:00"),
        (Hours(time(22), time(6), frozenset({4}), "UTC"), "2026-11-28T05:59", "2026-11-28T05:59"),
        (Hours(time(22), time(6), frozenset({4}), "UTC"), "2026-11-28T06:00", "2026-12-04T22:00"),
    ],
)
def test_it_is_known_when_notifications_are_welcome_again(hours, now, opens):
    assert opens_at(hours, utc(now)) == utc(opens)


@given(
    st.builds(
        Hours,
        st.times(),
        st.times(),
        st.frozensets(st.integers(0, 6), min_size=1),
        st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        st.booleans(),
    ).filter(lambda hours: not never_opens(hours)),
    st.integers(0, 20 * 365 * 24 * 3600).map(lambda s: datetime(2011, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
)
def test_hours_always_begin_again_within_days(hours, now):
    """And then notifications are welcome."""
    opens = opens_at(hours, now)
    assert now <= opens <= now + timedelta(days=9)
    assert opens_at(hours, opens) == opens
