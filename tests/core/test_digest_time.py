"""When digests are due, also on days on which the clocks change."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.subscriptions.digest_time import DAILY, LATE_AT_MOST, WEEKDAYS, WEEKEND, describe, missed, next_digest_at
from bot.core.subscriptions.subscriptions import DigestTime


def utc(text: str) -> datetime:
    """Parse a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


BERLIN = DigestTime(time(9), WEEKDAYS, "Europe/Berlin")


@pytest.mark.parametrize(
    ("digest", "after", "due"),
    [
        (BERLIN, "2024-03-14 07:59", "2024-03-14 08:00"),
        (BERLIN, "2024-03-14 08:00", "2024-03-15 08:00"),
        (BERLIN, "2024-03-15 08:00:01", "2024-03-18 08:00"),
        (DigestTime(time(9), frozenset({4}), "Europe/Berlin"), "2024-03-15 08:00", "2024-03-22 08:00"),
        (DigestTime(time(9), DAILY, "Europe/Berlin"), "2024-03-30 09:00", "2024-03-31 07:00"),
        (DigestTime(time(9), DAILY, "Asia/Kolkata"), "2024-03-15 00:00", "2024-03-15 03:30"),
        # Friday evening in New York is Saturday in UTC.
        (DigestTime(time(21), WEEKDAYS, "America/New_York"), "2024-03-16 00:00", "2024-03-16 01:00"),
        (DigestTime(time(21), WEEKDAYS, "America/New_York"), "2024-03-16 01:00", "2024-03-19 01:00"),
    ],
)
def test_a_digest_is_due_at_its_local_time(digest, after, due):
    """The next one is strictly later, on a day that matches."""
    assert next_digest_at(digest, utc(after)) == utc(due)


@pytest.mark.parametrize(
    ("at", "zone", "after", "due"),
    [
        # 02:00 → 03:00 and back: 02:30 becomes 03:30.
        (time(2, 30), "Europe/Berlin", "2024-03-30 12:00", "2024-03-31 01:30"),
        (time(2, 30), "Europe/Berlin", "2024-03-31 01:30", "2024-04-01 00:30"),
        (time(2, 30), "America/New_York", "2024-03-09 12:00", "2024-03-10 07:30"),
        # Half an hour, 02:00 → 02:30: 02:15 becomes 02:45.
        (time(2, 15), "Australia/Lord_Howe", "2024-10-05 12:00", "2024-10-05 15:45"),
        (time(2, 15), "Australia/Lord_Howe", "2024-10-05 15:45", "2024-10-06 15:15"),
        # The last hour of Saturday is left out: 23:30 becomes 00:30 on Sunday, and Sunday has its own.
        (time(23, 30), "America/Nuuk", "2024-03-31 01:00", "2024-03-31 01:30"),
        (time(23, 30), "America/Nuuk", "2024-03-31 01:30", "2024-04-01 00:30"),
        # Friday the 30th was left out as a whole: its digest and Saturday's are the same.
        (time(9), "Pacific/Apia", "2011-12-29 19:00", "2011-12-30 19:00"),
        (time(9), "Pacific/Apia", "2011-12-30 19:00", "2011-12-31 19:00"),
    ],
)
def test_a_time_that_does_not_exist_is_moved_forward(at, zone, after, due):
    """A local time that the clocks skip is moved forward by the jump, on that day only."""
    assert next_digest_at(DigestTime(at, DAILY, zone), utc(after)) == utc(due)


@pytest.mark.parametrize(
    ("at", "zone", "after", "due", "following"),
    [
        (time(2, 30), "Europe/Berlin", "2024-10-26 12:00", "2024-10-27 00:30", "2024-10-28 01:30"),
        (time(1, 30), "America/New_York", "2024-11-02 12:00", "2024-11-03 05:30", "2024-11-04 06:30"),
        (time(1, 45), "Australia/Lord_Howe", "2024-04-06 00:00", "2024-04-06 14:45", "2024-04-07 15:15"),
    ],
)
def test_a_time_that_exists_twice_counts_once(at, zone, after, due, following):
    """The first time."""
    digest = DigestTime(at, DAILY, zone)
    assert next_digest_at(digest, utc(after)) == utc(due)
    assert next_digest_at(digest, utc(due)) == utc(following)


zones = st.sampled_from(
    [
        "Africa/Casablanca",
        "America/New_York",
        "America/Nuuk",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Europe/Berlin",
        "Europe/Dublin",
        "Pacific/Chatham",
        "UTC",
    ]
)
digests = st.builds(DigestTime, st.times(), st.frozensets(st.integers(0, 6), min_size=1), zones)


def own_day(due_at: datetime, digest: DigestTime) -> date:
    """Return the local day of a digest: the day before, if it was moved past midnight."""
    local = due_at.astimezone(ZoneInfo(digest.zone))
    return local.date() if local.time() >= digest.at else local.date() - timedelta(days=1)


@settings(max_examples=25, deadline=None)
@given(digests, st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_each_matching_day_has_one_digest(digest, start):
    """Over two years, times are strictly increasing, and each local day that matches has exactly one."""
    due = [next_digest_at(digest, start)]
    while due[-1] < start + timedelta(days=730):
        due.append(next_digest_at(digest, due[-1]))
    days = Counter(own_day(at, digest) for at in due)
    span = (max(days) - min(days)).days + 1
    wanted = {min(days) + timedelta(days=offset) for offset in range(span)}
    assert due == sorted(set(due))
    assert all(at.tzinfo is UTC for at in due)
    assert days == Counter(day for day in wanted if day.weekday() in digest.weekdays)


@given(digests, st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_next_digest_is_the_same_whenever_it_is_computed(digest, after):
    """Replicas and restarts agree."""
    due = next_digest_at(digest, after)
    assert due > after
    assert next_digest_at(digest, after + (due - after) / 2) == due
    assert next_digest_at(digest, due - timedelta(microseconds=1)) == due


def test_a_digest_without_days_is_refused():
    """It raises instead of searching forever."""
    with pytest.raises(ValueError, match="needs days"):
        next_digest_at(DigestTime(time(9), frozenset(), "UTC"), utc("2024-03-15"))


def test_an_unknown_time_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        next_digest_at(DigestTime(time(9), DAILY, "Europe/Nowhere"), utc("2024-03-15"))


@pytest.mark.parametrize(
    ("late", "is_missed"),
    [(timedelta(), False), (LATE_AT_MOST - timedelta(seconds=1), False), (LATE_AT_MOST, True)],
)
def test_a_digest_is_missed_after_an_hour(late, is_missed):
    """Less than an hour late, it's still sent."""
    due = utc("2024-03-15 08:00")
    assert missed(due, due + late) is is_missed


@pytest.mark.parametrize(
    ("digest", "words"),
    [
        (BERLIN, "weekdays at 09:00 (Europe/Berlin)"),
        (DigestTime(time(21, 5), DAILY, "UTC"), "daily at 21:05 (UTC)"),
        (DigestTime(time(9), WEEKEND, "UTC"), "weekends at 09:00 (UTC)"),
        (DigestTime(time(9), frozenset({4, 0, 2}), ""), "Mon, Wed, Fri at 09:00 (time zone not known yet)"),
    ],
)
def test_a_digest_is_described_in_words(digest, words):
    """A digest's time is written in plain words, its days in order."""
    assert describe(digest) == words
