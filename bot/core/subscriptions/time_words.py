"""Times of day and days of the week as people type them: "09:00", "at 9am", "mon-fri", "every day".

Each function parses the beginning of a list of lowercase words and returns how many it consumed; it never raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Final

from bot.core.subscriptions.digest_time import DAILY, DAY_NAMES, WEEKDAYS, WEEKEND


@dataclass(frozen=True, slots=True)
class TimeRead:
    """A parsed time of day; ``at`` is None if it's invalid, such as 25:00."""

    at: time | None
    words: int


@dataclass(frozen=True, slots=True)
class DaysRead:
    """Parsed days of the week; 0 is Monday."""

    weekdays: frozenset[int]
    words: int


MONDAY: Final = frozenset({0})

_NAMED_TIMES: Final = {"noon": time(12), "midday": time(12), "midnight": time(0)}

_CLOCK: Final = re.compile(r"(\d{1,2})(?:[:.](\d\d)|h(\d\d)?)?(am|pm|a\.m|p\.m)?")
_LIKE_A_CLOCK: Final = re.compile(r"\d+[:.]\d.*|\d+(am|pm)")
_HALVES: Final = {"am": 0, "a.m": 0, "pm": 12, "p.m": 12}
_OCLOCK: Final = frozenset({"o'clock", "oclock", "uhr"})

_DAYS: Final[Mapping[str, frozenset[int]]] = {
    **{name: frozenset({day}) for day, short in enumerate(DAY_NAMES) for name in (short.lower(), f"{short.lower()}s")},
    **dict.fromkeys(("monday", "mondays"), frozenset({0})),
    **dict.fromkeys(("tues", "tuesday", "tuesdays"), frozenset({1})),
    **dict.fromkeys(("weds", "wednesday", "wednesdays"), frozenset({2})),
    **dict.fromkeys(("thur", "thurs", "thursday", "thursdays"), frozenset({3})),
    **dict.fromkeys(("friday", "fridays"), frozenset({4})),
    **dict.fromkeys(("saturday", "saturdays"), frozenset({5})),
    **dict.fromkeys(("sunday", "sundays"), frozenset({6})),
}

_SETS: Final[Mapping[str, frozenset[int]]] = {
    **dict.fromkeys(("daily", "everyday"), DAILY),
    **dict.fromkeys(("weekday", "weekdays", "workday", "workdays"), WEEKDAYS),
    **dict.fromkeys(("weekend", "weekends"), WEEKEND),
    "weekly": MONDAY,
}

_KINDS_OF_DAYS: Final = frozenset({"business", "working", "work", "week"})
_EVERY: Final = frozenset({"every", "each"})
_ANY_DAY: Final = frozenset({"day", "days", "morning", "mornings"})
_UP_TO: Final = frozenset({"-", "to", "through", "thru", "till", "until"})

DAY_WORDS: Final = (*_DAYS, *_SETS)
"""Single words for sets of days."""


def read_time(words: Sequence[str], *, expected: bool) -> TimeRead | None:
    """Parse a time of day; a bare number counts only if a time is ``expected`` or if "am" or the like follows."""
    if words[0] in _NAMED_TIMES:
        return TimeRead(_NAMED_TIMES[words[0]], 1)
    if expected and re.fullmatch(r"\d{4}", words[0], re.ASCII):
        return TimeRead(_time(words[0][:2], words[0][2:], None), 1)
    clock = re.fullmatch(_CLOCK, words[0]) if words[0].isascii() else None
    if clock is None:
        return TimeRead(None, 1) if _LIKE_A_CLOCK.fullmatch(words[0]) else None
    hour, minute, short_minute, half = clock.groups()
    following = words[1] if len(words) > 1 and not half else ""
    is_two = following in _HALVES or following in _OCLOCK
    if words[0] == hour and not (is_two or expected):
        return None
    at = _time(hour, minute or short_minute, half or following)
    return TimeRead(at, 2 if is_two else 1)


def _time(hour: str, minute: str | None, half: str | None) -> time | None:
    hours = int(hour)
    if half in _HALVES and hours <= 12:
        hours = hours % 12 + _HALVES[half]
    try:
        return time(hours, int(minute or 0))
    except ValueError:
        return None


def read_days(words: Sequence[str]) -> DaysRead | None:
    """Parse days of the week: one, several with dashes or slashes, or a word for a set of them."""
    first, rest = words[0], words[1:]
    if first in _EVERY and rest:
        if rest[0] in _ANY_DAY:
            return DaysRead(DAILY, 2)
        days = read_days(rest)
        return DaysRead(days.weekdays, days.words + 1) if days else None
    if first in _KINDS_OF_DAYS and rest and rest[0] in ("day", "days"):
        return DaysRead(WEEKDAYS, 2)
    if first in _SETS:
        return DaysRead(_SETS[first], 1)
    if first in _DAYS and len(rest) > 1 and rest[0] in _UP_TO and rest[1] in _DAYS:
        return DaysRead(_span(first, rest[1]), 3)
    days_of_word = _days_of_word(first)
    return DaysRead(days_of_word, 1) if days_of_word else None


def _days_of_word(word: str) -> frozenset[int]:
    days: set[int] = set()
    for part in re.split(r"[/+&]", word):
        begin, dash, end = part.partition("-")
        if begin not in _DAYS or (dash and end not in _DAYS):
            return frozenset()
        days |= _span(begin, end or begin)
    return frozenset(days)


def _span(begin: str, end: str) -> frozenset[int]:
    """Return the days from one to the other, wrapping around the week if needed."""
    (first,), (last,) = _DAYS[begin], _DAYS[end]
    return frozenset((first + offset) % 7 for offset in range((last - first) % 7 + 1))


def weekday_of(word: str) -> int | None:
    """Return the day of the week for a word (0 is Monday), or None."""
    days = _DAYS.get(word)
    return min(days) if days else None
