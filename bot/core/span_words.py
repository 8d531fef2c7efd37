"""Time spans as people type them: "7d", "last week", "since Monday", "2026-11-01", "the past 3 hours".

Days begin and end in the reader's time zone. "Last week" and "last month" are the 7 and the 30 days up to now, as "7d"
is; "yesterday", "Monday" and a date are that day alone; "this week" begins on Monday.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from bot.core.subscriptions.time_words import read_time, weekday_of

MOST_UNITS: Final = 9999
"""The most units in a span, because dates can't go back much further than 9,999 weeks."""

LONGEST: Final = timedelta(weeks=MOST_UNITS)


@dataclass(frozen=True, slots=True)
class Span:
    """A time span from ``since`` (inclusive) to ``until`` (exclusive); None: open on that side.

    ``in_days`` is set if it depends on the reader's time zone. ``unclear`` is an error message if the words are a time
    that can't be shown.
    """

    since: datetime | None = None
    until: datetime | None = None
    in_days: bool = False
    unclear: str = ""


_UNITS: Final = {
    **dict.fromkeys(("min", "mins", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), timedelta(weeks=1)),
    **dict.fromkeys(("mo", "month", "months"), timedelta(days=30)),
    **dict.fromkeys(("quarter", "quarters"), timedelta(days=91)),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), timedelta(days=365)),
    **dict.fromkeys(("fortnight", "fortnights"), timedelta(days=14)),
}
_NUMBERS: Final = {
    **dict.fromkeys(("a", "an", "one"), 1),
    **dict.fromkeys(("two", "couple"), 2),
    **dict.fromkeys(("three", "few"), 3),
    **{
        word: n
        for n, word in enumerate(("four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 4)
    },
}
_MONTHS: Final = {
    name[:length]: number
    for number, name in enumerate(
        (
            *("january", "february", "march", "april", "may", "june", "july"),
            *("august", "september", "october", "november", "december"),
        ),
        1,
    )
    for length in (3, 4, len(name))
}
_BEFORE: Final = frozenset({"in", "for", "within", "during", "over", "of", "from", "on", "the", "at"})
_PAST: Final = frozenset({"last", "past", "previous", "recent"})
_SINCE: Final = frozenset({"since", "after", "from", "starting"})
_UNTIL: Final = frozenset({"until", "till", "til", "through", "to", "before", "-"})

_PARTS: Final = frozenset({"morning", "afternoon", "evening", "night"})
"""Parts of a day count as the whole day."""

_JOINED: Final = re.compile(r"(last|past|this)[-_]([a-z]+)")
_NEGATIVE: Final = re.compile(r"-([0-9]{1,6}[a-z]+)")
_AMOUNT: Final = re.compile(r"([0-9]{1,6000})([a-z]+)?")
_DATE: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})")
_DAY_FIRST: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_LIKE_A_DATE: Final = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}")
_DAY_OF_MONTH: Final = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?")
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}")
_AROUND: Final = ",.;!?()[]\"'`"

SPAN_EXAMPLES: Final = "7d, today, last week, since Monday, 2026-11-01"


def parse_span(text: str, now: datetime, zone: tzinfo = UTC) -> Span | None:
    """Parse a text that is a span as a whole; None for anything else."""
    span, rest = find_span(text.split(), now, zone)
    return None if rest else span


def find_span(words: Sequence[str], now: datetime, zone: tzinfo = UTC) -> tuple[Span | None, list[str]]:
    """Find the span among words, and return it with the remaining words."""
    reader = _Reader(now, zone)
    words = [piece for word in words for piece in reader.pieces(word)]
    keys = [_key(word) for word in words]
    found: Span | None = None
    rest: list[str] = []
    position = 0
    while position < len(keys):
        span, count = reader.read(keys[position : position + WORDS_OF_ONE])
        if span is None:
            rest.append(words[position])
            position += 1
            continue
        found = _both(found, span)
        position += count
    return _sensible(found, now), rest


WORDS_OF_ONE: Final = 12
"""More words than in the longest span, such as "from the 1st of november 2026 9:00 until yesterday"."""


def _key(word: str) -> str:
    return word.casefold().strip(_AROUND)


def _both(first: Span | None, second: Span) -> Span:
    """Combine "since Monday" and "until Wednesday"; two of a kind are an error."""
    if first is None or first.unclear:
        return first or second
    if second.unclear:
        return second
    if first.since is None or second.since is None:
        return Span(first.since or second.since, first.until or second.until, first.in_days or second.in_days)
    return Span(unclear="I found two time ranges; use only one.")


def _sensible(span: Span | None, now: datetime) -> Span | None:
    if span is None or span.unclear:
        return span
    if span.since and span.since > now:
        return Span(unclear="That time is in the future.")
    if span.since and span.until and span.since >= span.until:
        return Span(unclear="That time range ends before it begins.")
    return span


@dataclass(frozen=True, slots=True)
class _Reader:
    """Each method parses the beginning of some words and returns how many it consumed; 0: no match."""

    now: datetime
    zone: tzinfo

    def pieces(self, word: str) -> list[str]:
        """Split what is written as one word: "mon-wed", "2026-11-01..2026-11-05", "last-week", "-7d"."""
        key = _key(word)
        if self._whole([key])[0]:
            return [word]
        if joined := _JOINED.fullmatch(key):
            return [joined[1], joined[2]]
        if negative := _NEGATIVE.fullmatch(key):
            return [negative[1]]
        for mark in ("..", "-"):
            begin, found, end = key.partition(mark)
            if found and begin and end and self._whole([begin])[0] and self._whole([end])[0]:
                return [begin, "-", end]
        return [word]

    def read(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        skipped = _leading(keys, _BEFORE - _SINCE)
        span, count = self._read(keys[skipped:])
        return (span, skipped + count) if count else (None, 0)

    def _read(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        if not keys:
            return None, 0
        if keys[0] in _SINCE or keys[0] == "between":
            return self._bounded(keys)
        if keys[0] in _UNTIL and keys[0] != "-":
            end, count = self._point(keys[1:], is_end=keys[0] != "before")
            return (Span(until=end.since, in_days=end.in_days), count + 1) if end else (None, 0)
        whole, count = self._whole(keys)
        if whole and count < len(keys) and keys[count] in _UNTIL and self._point(keys[count + 1 :])[0]:
            bounded, more = self._bounded(["from", *keys])
            return bounded, more - 1
        return whole, count

    def _bounded(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        begin, count = self._point(keys[1:])
        if begin is None:
            is_name = keys[0] == "from"  # "from ana"
            shown = " ".join(keys[:2])[:60]
            return (None, 0) if is_name or len(keys) < 2 else (_unreadable(shown), min(2, len(keys)))
        if begin.unclear:
            return begin, count + 1
        count += 1
        if count < len(keys) and keys[count] in (*_UNTIL, "and"):
            end, more = self._point(keys[count + 1 :], is_end=keys[count] != "before")
            if end:
                end = self._after(begin, end, keys[count + 1 : count + 1 + more])
                return (
                    Span(begin.since, end.since, begin.in_days or end.in_days, end.unclear),
                    count + 1 + more,
                )
        return begin, count

    def _after(self, begin: Span, end: Span, keys: Sequence[str]) -> Span:
        """Resolve a weekday, or a bare time of day after another, as the first one after the beginning."""
        if not (begin.since and end.since):
            return end
        day = begin.since.astimezone(self.zone)
        at, count = _clock(keys)
        if at is not None and count == len(keys) and day.time() != time():
            return replace(end, since=self._instant(day.date() + timedelta(days=at <= day.time()), at))
        if end.since <= begin.since and any(weekday_of(key) is not None for key in keys):
            ends = end.since.astimezone(self.zone)
            return replace(end, since=self._instant(ends.date() + timedelta(days=7), ends.time()))
        return end

    def _point(self, keys: Sequence[str], *, is_end: bool = False) -> tuple[Span | None, int]:
        """Parse a point in time, as the ``since`` of a span: the beginning or the end of a day or an amount."""
        skipped = _leading(keys, _BEFORE)
        rest = keys[skipped:]
        if not rest:
            return None, 0
        if rest[0] == "now":
            return Span(self.now), skipped + 1
        read, count = self._whole(rest)
        if read is None:
            read, count = self._moment(rest)
            return (read, skipped + count) if read else (None, 0)
        if read.in_days and not read.unclear:
            at, more = _clock(rest[count:])
            if at is not None and read.since:
                day = read.since.astimezone(self.zone).date()
                return Span(self._instant(day, at), in_days=True), skipped + count + more
        if is_end and read.until:
            read = replace(read, since=read.until)
        return replace(read, until=None), skipped + count

    def _moment(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        """Parse a time of day that comes first: "9am", which is the last one, "3 pm yesterday", "9:00 on Monday"."""
        at, count = _clock(keys)
        if at is None:
            return None, 0
        on = count + (keys[count : count + 1] == ["on"])
        named, more = self._day(keys[on:]) if on < len(keys) else (None, 0)
        if named and named.since:
            day = named.since.astimezone(self.zone).date()
            return Span(self._instant(day, at), in_days=True), on + more
        moment = self._instant(self._today, at)
        if moment > self.now:
            moment = self._instant(self._today - timedelta(days=1), at)
        return Span(moment, in_days=True), count

    def _whole(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        for read in (self._amount, self._day, self._calendar, self._date):
            span, count = read(keys)
            if span:
                return span, count
        return None, 0

    def _amount(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        """Parse "7d", "3 hours", "past week", "last 2 days", "a week ago"."""
        begin = 1 if keys[0] in _PAST else 0
        is_past = begin == 1
        if begin < len(keys) and keys[begin] in ("a", "an") and keys[begin + 1 : begin + 2] in (["couple"], ["few"]):
            begin += 1
        if begin >= len(keys):
            return None, 0
        found = _AMOUNT.fullmatch(keys[begin])
        unit_at = begin + 1
        if found and found[2]:
            number, unit, count = found[1], _UNITS.get(found[2]), begin + 1
        elif found or keys[begin] in _NUMBERS:
            number = found[1] if found else str(_NUMBERS[keys[begin]])
            unit_at += keys[unit_at : unit_at + 1] == ["of"]
            unit, count = _UNITS.get(keys[unit_at]) if unit_at < len(keys) else None, unit_at + 1
        elif is_past and keys[begin] in _UNITS and len(keys[begin]) > 2:
            number, unit, count = "1", _UNITS[keys[begin]], begin + 1
        else:
            return None, 0
        if unit is None:
            return None, 0
        count += keys[count : count + 1] == ["ago"]
        units = int(number) if len(number) <= len(str(MOST_UNITS)) else MOST_UNITS
        return Span(self.now - min(units * unit, LONGEST)), count

    def _day(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        """Parse "today", "yesterday", "Monday", "last Monday"."""
        today = self._today
        named = {"today": 0, "tonight": 0, "yesterday": 1, "yesterday's": 1, "today's": 0}
        if tuple(keys[:3]) == ("day", "before", "yesterday"):
            return self._of_day(today - timedelta(days=2)), 3
        if keys[0] in named:
            return self._of_day(today - timedelta(days=named[keys[0]])), 1 + (len(keys) > 1 and keys[1] in _PARTS)
        begin = 1 if keys[0] in _PAST or keys[0] == "this" else 0
        if begin and keys[1:2] and keys[1] in _PARTS:
            return self._of_day(today - timedelta(days=keys[0] != "this")), 2
        weekday = weekday_of(keys[begin]) if begin < len(keys) and len(keys[begin]) > 2 else None
        if weekday is None:
            return None, 0
        days = (today.weekday() - weekday) % 7
        if not days and keys[0] in _PAST:
            days = 7
        count = begin + 1
        return self._of_day(today - timedelta(days=days)), count + (count < len(keys) and keys[count] in _PARTS)

    def _calendar(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        """Parse "this week", "this month", "this year", "this hour"."""
        if keys[0] not in ("this", "current") or len(keys) < 2:
            return None, 0
        today = self._today
        begins = {
            "day": today,
            "week": today - timedelta(days=today.weekday()),
            "month": today.replace(day=1),
            "quarter": today.replace(month=today.month - (today.month - 1) % 3, day=1),
            "year": today.replace(month=1, day=1),
        }
        if keys[1] == "hour":
            return Span(self.now.replace(minute=0, second=0, microsecond=0)), 2
        if keys[1] not in begins:
            return None, 0
        return Span(self._instant(begins[keys[1]]), in_days=True), 2

    def _date(self, keys: Sequence[str]) -> tuple[Span | None, int]:
        """Parse "2026-11-01", "1.11.2026", "Nov 1", "1st of November 2026"."""
        if found := _DATE.fullmatch(keys[0]):
            return self._of_date(found[1], found[2], found[3], keys[0]), 1
        if found := _DAY_FIRST.fullmatch(keys[0]):
            return self._of_date(found[3], found[2], found[1], keys[0]), 1
        if _LIKE_A_DATE.fullmatch(keys[0]):
            return _unreadable(keys[0][:60]), 1
        parts = [(place, key) for place, key in enumerate(keys[:4]) if key != "of"][:3]
        if len(parts) < 2:
            return None, 0
        (_, first), (last, second) = parts[0], parts[1]
        month, day = (first, second) if first in _MONTHS else (second, first)
        found = _DAY_OF_MONTH.fullmatch(day)
        if month not in _MONTHS or not found:
            return None, 0
        if len(parts) > 2 and _YEAR.fullmatch(parts[2][1]):
            return self._of_date(parts[2][1], str(_MONTHS[month]), found[1], f"{first} {second}"), parts[2][0] + 1
        today = self._today
        is_later = (_MONTHS[month], int(found[1])) > (today.month, today.day)
        year = str(today.year - is_later)
        return self._of_date(year, str(_MONTHS[month]), found[1], f"{first} {second}"), last + 1

    @property
    def _today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def _of_date(self, year: str, month: str, day: str, typed: str) -> Span:
        try:
            return self._of_day(date(int(year), int(month), int(day)))
        except (ValueError, OverflowError):
            return _unreadable(typed)

    def _of_day(self, day: date) -> Span:
        return Span(self._instant(day), self._instant(day + timedelta(days=1)), True)

    def _instant(self, day: date, at: time = time()) -> datetime:
        return datetime.combine(day, at, tzinfo=self.zone).astimezone(UTC)


def _leading(keys: Sequence[str], words: frozenset[str]) -> int:
    """Count the words at the beginning that are among these."""
    return next((place for place, key in enumerate(keys) if key not in words), len(keys))


def _clock(keys: Sequence[str]) -> tuple[time | None, int]:
    """Parse a time of day, optionally after "at"; a bare number counts only then."""
    skipped = int(bool(keys) and keys[0] == "at")
    if len(keys) <= skipped:
        return None, 0
    read = read_time(keys[skipped:], expected=bool(skipped))
    return (read.at, skipped + read.words) if read and read.at is not None else (None, 0)


def _unreadable(typed: str) -> Span:
    return Span(unclear=f"I don't recognize the time “{typed}”. Write a date as 2026-11-01.")
