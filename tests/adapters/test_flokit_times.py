"""FloKit's times: those that can be parsed without guessing, those that can't, and "never"."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.flokit.times import TEXT_CHARS, read_time, shape_of

ONE = datetime(2024, 3, 15, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2024-03-15T13:00:00Z",
        "2024-03-15t13:00:00z",
        "  2024-03-15T13:00:00Z\n",
        "2024-03-15 13:00:00",
        "2024-03-15 13:00:00Z",
        "2024-03-15T13:00Z",
        "2024-03-15T12:59:60Z",
        "2024-03-15T13:00:00.000Z",
        "2024-03-15T13:00:00.000000000Z",
        "2024-03-15T13:00:00,000Z",
        "2024-03-15T13:00:00+0000",
        "2024-03-15 13:00:00+00",
        "2024-03-15T15:30:00+02:30",
        "2024-03-15T08:00:00-0500",
        "2024-03-15T08:00:00\u221205:00",
        "2024-03-15 13:00:00 UTC",
        "2024-03-15 13:00:00 +0000 UTC",
        "2024-03-15T13:00:00Z[UTC]",
        "20240315T130000Z",
        1710507600,
        1710507600.0,
        1710507600000,
        1710507600000000,
        1710507600000000000,
        "1710507600",
        "1710507600000",
        "1710507600.0",
        "Fri, 15 Mar 2024 13:00:00 GMT",
        "Fri, 15 Mar 2024 14:00:00 +0100",
        "Fri, 15 Mar 2024 12:59:60 GMT",
        "15 Mar 2024 13:00:00 GMT",
        "Friday, 15-Mar-24 13:00:00 GMT",
        "Fri Mar 15 13:00:00 2024",
    ],
)
def test_every_unambiguous_form_is_parsed(value: object) -> None:
    """They all mean the same instant."""
    assert (read_time(value).at, read_time(value).unreadable) == (ONE, "")


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2024-03-15T13:00:00.25Z", ONE + timedelta(seconds=0.25)),
        ("2024-03-15T13:00:00.123456789Z", ONE + timedelta(microseconds=123_456)),
        ("2024-03-15T13:00:00,5+00", ONE + timedelta(seconds=0.5)),
        (1710507600500, ONE + timedelta(seconds=0.5)),
        ("2024-12-31T23:59:60Z", datetime(2025, 1, 1, tzinfo=UTC)),
        ("2024-03-15T24:00:00Z", datetime(2024, 3, 16, tzinfo=UTC)),
    ],
)
def test_parts_of_a_second_and_the_ends_of_days(value: object, at: datetime) -> None:
    """Fractions are kept to the microsecond, and a leap second is the next minute."""
    assert read_time(value).at == at


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "  ", 0, "0", 0.0, -62135596800),
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", "1970-01-01T00:00:00Z", "0000-00-00 00:00:00"),
    ],
)
def test_zero_times_mean_never(value: object) -> None:
    """An empty value, and the zero times of Go, Unix and MySQL, mean that it has never synced."""
    assert (read_time(value).at, read_time(value).unreadable) == (None, "")


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("9999-99-99", "9999-99-99"),
        ("2024-02-30T00:00:00Z", "9999-99-99a99:99:99a"),
        ("9999-12-31T23:59:59-10:00", "9999-99-99a99:99:99-99:99"),
        ("2024-03-15T13:00:00+25:00", "9999-99-99a99:99:99+99:99"),
        ("2024-03-15T13:00:61Z", "9999-99-99a99:99:99a"),
        ("2024-03-15T13:00:00 PST", "9999-99-99a99:99:99 aaa"),
        ("yesterday", "aaaaaaaaa"),
        ("03/15/2024 1:00 PM", "99/99/9999 9:99 aa"),
        ("20240315130000", "99999999999999"),
        ("\x00\ud800", "??"),
        ("x" * 5000, "a" * 39 + "…"),
        (-5, "-9"),
        (171050760000000000000, "9" * 21),
        (10**400, "a aaaa aaaaaa"),
        (float("nan"), "aaa"),
        (True, "aaaa aa aaaaa"),
        ({"$date": 1}, "{…}"),
        ([1], "[…]"),
    ],
)
def test_an_unreadable_time_is_kept_with_its_shape(value: object, shape: str) -> None:
    """It doesn't mean "never": its beginning is kept, and its shape can be logged."""
    read = read_time(value)
    assert read.at is None
    assert read.unreadable
    assert shape_of(read.unreadable) == shape


@pytest.mark.parametrize(
    ("value", "within_s"),
    [
        ("2024-03-15", 86_400),
        ("20240315", 86_400),
        ("2024-W11-5", 86_400),
        ("2024-03-15T13Z", 3600),
        ("2024-03-15T13:00Z", 60),
        ("2024-03-15 13:00+02:00", 60),
        ("20240315T1300Z", 60),
        ("2024-03-15T13:00:00Z", 0),
        ("2024-03-15T13:00:00.5Z", 0),
        ("20240315T130000Z", 0),
        ("1710507600", 0),
        (1710507600, 0),
        ("Fri, 15 Mar 2024 13:00:00 GMT", 0),
    ],
)
def test_a_time_without_seconds_has_a_length(value: object, within_s: int) -> None:
    """A day, an hour or a minute is parsed as its beginning, with its length."""
    assert read_time(value).at is not None
    assert read_time(value).within_s == within_s


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
DATED = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-12)))).map(str)
NUMBERED = st.from_regex(r"[0-9]{1,5}[-/ T]?[0-9]{1,12}[:.][0-9]{1,30}[zZ+ -]?[0-9]{0,6}", fullmatch=True)


@given(JSON | DATED | NUMBERED)
def test_any_value_is_a_time_or_never_or_unreadable(value: object) -> None:
    """Any JSON value becomes an aware UTC time in a plausible year, "never", or a short text."""
    read = read_time(value)
    assert read.at is None or (read.at.tzinfo is UTC and 1971 <= read.at.year <= 2199 and not read.unreadable)
    assert len(read.unreadable) <= TEXT_CHARS
    json.dumps(read.unreadable).encode()
    read.unreadable.encode()
