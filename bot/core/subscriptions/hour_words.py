"""Hours as people type them: "hours 08:00-18:00 weekdays", "between 9am and 5pm", "quiet at night", "office hours".

`read_hours` parses the beginning of a list of lowercase words, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from typing import Final

from bot.core.subscriptions.digest_time import DAILY, WEEKDAYS, WEEKEND
from bot.core.subscriptions.subscriptions import Hours
from bot.core.subscriptions.time_words import read_days, read_time


@dataclass(frozen=True, slots=True)
class HoursRead:
    """Parsed hours, without their zone; None if they're invalid, such as 25:00-26:00."""

    hours: Hours | None
    words: int


_MARKERS: Final = frozenset({"hours", "hour", "during", "between", "from", "only", "within"})
_QUIET: Final = frozenset({"quiet", "silent", "mute", "muted", "dnd", "silence", "except", "outside"})
_WITHOUT: Final = frozenset({"no", "not", "without", "never"})
_SAID: Final = frozenset(
    (
        *("alert", "alerts", "news", "notification", "notifications", "message", "messages", "post", "posts"),
        *("anything", "me"),
    )
)
_OFFICE: Final = frozenset({"office", "business", "working", "work"})
_TO: Final = frozenset({"-", "to", "until", "till", "til", "and", "through"})
_AROUND: Final = frozenset(
    ("at", "on", "the", "is", "are", "hours", "hour", "time", "times", "between", "from", "during")
)
_NIGHT: Final = frozenset({"night", "nights", "overnight"})
_DASH: Final = re.compile("[\u2010-\u2015]")
_PAIR: Final = re.compile(r"([0-9][0-9:.h]*(?:am|pm)?)-([0-9][0-9:.h]*(?:am|pm)?)")

NIGHT: Final = Hours(time(22), time(7), DAILY, "", is_quiet=True)
OFFICE: Final = Hours(time(9), time(18), WEEKDAYS, "")
MIDNIGHT: Final = time()


def read_hours(words: Sequence[str]) -> HoursRead | None:
    """Parse hours at the beginning of some words."""
    keys = [_DASH.sub("-", word) for word in words]
    office = int(keys[0] in ("during", "within", "in", "only"))
    if keys[office : office + 1] and keys[office] in _OFFICE and keys[office + 1 : office + 2] == ["hours"]:
        return _with_days(OFFICE, keys, office + 2, is_quiet=False)
    is_quiet, position = False, 0
    if keys[0] in _WITHOUT or keys[0] in _QUIET:
        is_quiet, position = True, 1
        position += _leading(keys[1:], _SAID)
        said = position
        position += _leading(keys[position:], _AROUND)
        if keys[position : position + 1] and keys[position] in _NIGHT:
            return _with_days(NIGHT, keys, position + 1, is_quiet=True)
        if keys[0] not in _QUIET and position == said:
            return None
        if position < len(keys) and (days := read_days(keys[position:])):
            return _quiet_days(days.weekdays, keys, position + days.words)
        read = _range(keys, position, is_marked=True)
        if read is None:
            return HoursRead(None, position) if keys[0] in ("quiet", "dnd") else None
        return _finish(read, keys, is_quiet=True)
    before = read_days(keys)
    position = before.words if before else 0
    marked = _leading(keys[position:], _MARKERS | ({"at", "the"} if position else frozenset()))
    read = _range(keys, position + marked, is_marked=bool(marked)) if position + marked < len(keys) else None
    if read:
        return _finish(read, keys, is_quiet=is_quiet, weekdays=before.weekdays if before else None)
    if marked and not before and "hours" in keys[:marked]:
        days = read_days(keys[marked:]) if keys[marked:] else None
        if days:
            return HoursRead(Hours(MIDNIGHT, MIDNIGHT, days.weekdays, ""), marked + days.words)
        return HoursRead(None, min(len(keys), marked + 1))
    return None


def _quiet_days(weekdays: frozenset[int], keys: Sequence[str], position: int) -> HoursRead:
    """Parse "not on weekends", and "quiet on weekends 22:00-07:00"."""
    read = _range(keys, position, is_marked=True) if position < len(keys) else None
    if read:
        return _finish(read, keys, is_quiet=True, weekdays=weekdays)
    if weekdays == WEEKEND:
        return HoursRead(Hours(MIDNIGHT, MIDNIGHT, WEEKDAYS, ""), position)
    return HoursRead(Hours(MIDNIGHT, MIDNIGHT, weekdays, "", is_quiet=True), position)


def _finish(
    read: tuple[time | None, time | None, int],
    keys: Sequence[str],
    *,
    is_quiet: bool,
    weekdays: frozenset[int] | None = None,
) -> HoursRead:
    begins, ends, position = read
    if begins is None or ends is None:
        return HoursRead(None, position)
    return _with_days(Hours(begins, ends, weekdays or DAILY, ""), keys, position, is_quiet=is_quiet)


def _with_days(hours: Hours, keys: Sequence[str], position: int, *, is_quiet: bool) -> HoursRead:
    after = position + _leading(keys[position:], frozenset({"on", "only", "local", "time"}))
    days = read_days(keys[after:]) if after < len(keys) else None
    weekdays = hours.weekdays
    if days:
        weekdays, position = days.weekdays, after + days.words
    return HoursRead(Hours(hours.begins, hours.ends, weekdays, "", is_quiet=is_quiet), position)


def _range(keys: Sequence[str], position: int, *, is_marked: bool) -> tuple[time | None, time | None, int] | None:
    """Parse "08:00-18:00", or two times with a word between them; return both, and the position after them.

    Plain numbers count only if they are marked as hours; in "9-5", the end is in the afternoon.
    """
    rest = keys[position:]
    if not rest:
        return None
    if pair := _PAIR.fullmatch(rest[0]):
        begin, end, count = [pair[1]], [pair[2], *rest[1:2]], 1
    else:
        first = read_time(rest, expected=is_marked)
        following = rest[first.words : first.words + 1] if first else []
        if first is None or not following or following[0] not in (_TO if is_marked else _TO - {"and"}):
            return None
        begin, end, count = list(rest[: first.words]), list(rest[first.words + 1 :]), first.words + 1
        if not end:
            return None
    if not is_marked and not any(re.search(r"[:.]|am|pm", one) for one in (begin[0], end[0])):
        return None
    begins, last = _clock(begin), _clock(end)
    if last is None:
        return None
    if pair:
        last = last[0], 0 if last[1] == 1 else last[1] - 1
    at, ends = begins[0] if begins else None, last[0]
    is_plain = begin[0].isdecimal() and end[0].isdecimal() and last[1] <= 1
    if at and ends and is_plain and ends <= at and at.hour <= 12 and ends != MIDNIGHT:
        ends = ends.replace(hour=ends.hour + 12) if ends.hour < 12 else ends
    if at and begin[0].isdecimal() and at.hour < 12 and ends and ends.hour >= 12 and _is_pm(end) and at > ends:
        at = at.replace(hour=at.hour + 12)
    return at, ends, position + count + last[1]


def _is_pm(keys: Sequence[str]) -> bool:
    return keys[0].endswith("pm") or keys[1:2] == ["pm"]


def _clock(keys: Sequence[str]) -> tuple[time | None, int] | None:
    """Parse a time of day that is expected here; 24:00 is midnight."""
    if keys[0] in ("24:00", "24", "24.00", "2400"):
        return MIDNIGHT, 1
    read = read_time(keys, expected=True)
    return (read.at, read.words) if read else None


def _leading(keys: Sequence[str], words: frozenset[str]) -> int:
    return next((place for place, key in enumerate(keys) if key not in words), len(keys))
