"""Parses what follows ``maintenance``: "warehouse until 06:00", "stripe for 3h", "all 22:00-06:00", "end stripe".

Nothing here raises or knows which integrations exist: the target stays text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from bot.core.characters import cut
from bot.core.subscriptions.time_words import read_time, weekday_of
from bot.core.typed import WRAPPING, plain

LONGEST: Final = timedelta(days=14)
MORNING: Final = time(9)
"""When a day begins that is named without a time, as in "until Monday"."""

TEXT_CHARS: Final = 300
SHOWN_CHARS: Final = 60

EXAMPLE: Final = "maintenance warehouse until 06:00"


@dataclass(frozen=True, slots=True)
class MaintenanceWish:
    """What was asked for: begin a window, end some (``ends``), or list them (neither a target nor an end).

    ``target_text`` is untrusted. ``problem`` says what's wrong.
    """

    target_text: str = ""
    begins_at: datetime | None = None
    until: datetime | None = None
    ends: bool = False
    problem: str = ""


_END: Final = frozenset(
    {"end", "stop", "finish", "finished", "done", "over", "cancel", "ended", "close", "off", "remove"}
)
_LIST: Final = frozenset({"list", "show", "windows", "status", "all windows"})
_FILLERS: Final = frozenset(
    ("the", "is", "are", "in", "under", "maintenance", "window", "windows", "of", "on", "please", "now", "a", "an", ",")
)
_UNTIL: Final = frozenset({"until", "till", "til", "to", "through", "by", "-", "and"})
_FROM: Final = frozenset({"from", "between", "starting", "beginning", "since"})
_FOR: Final = frozenset({"for", "during", "in", "next"})
_BEFORE_TIME: Final = frozenset({"at", "on", "around", "the", "this", "next"})
_UNITS: Final = {
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "week", "weeks"), timedelta(days=7)),
}
_NUMBERS: Final = {
    **dict.fromkeys(("a", "an", "one", "1"), 1.0),
    **{word: float(number) for number, word in enumerate(("two", "three", "four", "five", "six"), 2)},
    "half": 0.5,
}
_AMOUNT: Final = re.compile(r"([0-9]{1,4}(?:[.,][0-9])?)([a-z]+)?(?:([0-9]{1,2})m?(?:in)?)?")
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_RANGE: Final = re.compile(r"([0-9][0-9:.]*(?:am|pm)?)[-\u2013\u2014]([0-9][0-9:.]*(?:am|pm)?)")
_DAYS: Final = {"today": 0, "tonight": 0, "tomorrow": 1}


def parse_maintenance(words: str, now: datetime, zone: tzinfo = UTC) -> MaintenanceWish:
    """Parse a text; times of day are in the person's ``zone``."""
    if len(words) > TEXT_CHARS:
        return MaintenanceWish(problem="That's too long for a maintenance window.")
    keys, named = _tokens(words)
    if not keys or (len(keys) == 1 and keys[0] in _LIST):
        return MaintenanceWish()
    if keys[0] in _END or keys[-1] in _END:
        rest = named[1:] if keys[0] in _END else named[:-1]
        return MaintenanceWish(_target(rest), ends=True)
    return _Reader(now, zone).read(keys, named)


def _tokens(words: str) -> tuple[list[str], list[str]]:
    """Return the words in lowercase, and as they are for names; quoted ones are names as a whole."""
    keys, named = [], []
    for quoted, bare in re.findall(r'"([^"]*)"|([^\s,;"]+)', plain(words)):
        word = quoted.strip() or bare.strip(WRAPPING + "()[]!?")
        if bare and (pair := _RANGE.fullmatch(word.casefold())):
            keys += [pair[1], "-", pair[2]]
            named += [pair[1], "-", pair[2]]
        elif word:
            keys.append(f'"{word}"' if quoted else word.casefold())
            named.append(word)
    return keys, named


def _target(words: Sequence[str]) -> str:
    return " ".join(word for word in words if word.casefold() not in _FILLERS)


@dataclass(frozen=True, slots=True)
class _Point:
    """A local time: a day if one was named, and a time of day if one was."""

    day: date | None = None
    weekday: int | None = None
    at: time | None = None


class _Reader:
    def __init__(self, now: datetime, zone: tzinfo) -> None:
        self._now = now
        self._zone = zone
        self._today = now.astimezone(zone).date()

    def read(self, keys: Sequence[str], named: Sequence[str]) -> MaintenanceWish:
        """Collect the times; other words are the name of what is maintained."""
        begin: _Point | None = None
        end: _Point | None = None
        lasts: timedelta | None = None
        target: list[str] = []
        position = 0
        while position < len(keys):
            key, rest = keys[position], keys[position + 1 :]
            length, count = _length(keys[position:])
            if length is not None:
                lasts = (lasts or timedelta()) + length
            elif (key in _UNTIL or key in _FROM) and (found := self._point(rest))[1]:
                point, count = found[0], found[1] + 1
                if key in _UNTIL:
                    end = point
                else:
                    begin = point
            elif (found := self._point(keys[position:], expected=False))[1]:
                begin, count = found
            else:
                target.append(named[position])
                count = 1
            position += count
        return self._wish(_target(target), begin, end, lasts)

    def _wish(self, target: str, begin: _Point | None, end: _Point | None, lasts: timedelta | None) -> MaintenanceWish:
        begins_at = self._next(begin, self._now - timedelta(minutes=1)) if begin else self._now
        if begins_at is None:
            return MaintenanceWish(target, problem="That isn't a time I can read.")
        begins_at = max(begins_at, self._now)
        until = begins_at + lasts if lasts else self._next(end, begins_at) if end else None
        wish = MaintenanceWish(target, begins_at, until)
        if until is None:
            return replace(wish, problem="Until when? Say for 3h, or until 06:00.")
        if not target:
            return replace(wish, problem="Which integration? Name one, a type, or all.")
        if until <= begins_at:
            return replace(wish, problem="That's over already.")
        if until - self._now > LONGEST:
            return replace(wish, problem=f"That's too long: up to {LONGEST.days} days.")
        return wish

    def _next(self, point: _Point, after: datetime) -> datetime | None:
        """Return the first moment after another that a point means; None if it's on a day that's over."""
        at = MORNING if point.at is None else point.at
        if point.day:
            return self._instant(point.day, at)
        first = after.astimezone(self._zone).date()
        for days in range(9):
            day = first + timedelta(days=days)
            if point.weekday is not None and day.weekday() != point.weekday:
                continue
            if (moment := self._instant(day, at)) > after:
                return moment
        return None

    def _point(self, keys: Sequence[str], *, expected: bool = True) -> tuple[_Point, int]:
        """Parse a day, a time of day, or both; return 0 words if there's neither."""
        point, position = _Point(), 0
        while position < len(keys):
            skipped = next((n for n, key in enumerate(keys[position:]) if key not in _BEFORE_TIME), 0)
            rest = keys[position + skipped :]
            day = self._day(rest[0]) if rest else None
            read = read_time(rest, expected=expected or bool(skipped) or position > 0) if rest else None
            if day and point.day is None and point.weekday is None:
                point = replace(point, day=day.day, weekday=day.weekday)
                position += skipped + 1
            elif read and read.at is not None and point.at is None:
                point = replace(point, at=read.at)
                position += skipped + read.words
            else:
                break
        return point, position

    def _day(self, key: str) -> _Point | None:
        if key in _DAYS:
            return _Point(day=self._today + timedelta(days=_DAYS[key]))
        if (weekday := weekday_of(key)) is not None and len(key) > 2:
            return _Point(weekday=weekday)
        if (found := _DATE.fullmatch(key)) and abs(int(found[1]) - self._today.year) <= 1:
            try:
                return _Point(day=date(int(found[1]), int(found[2]), int(found[3])))
            except ValueError:
                return None
        return None

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, tzinfo=self._zone).astimezone(UTC)


def _length(keys: Sequence[str]) -> tuple[timedelta | None, int]:
    """Parse "for 3h", "90 min", "half an hour", "1h30"; return None and 0 words if it's no length."""
    skipped = next((n for n, key in enumerate(keys) if key not in _FOR), 0)
    rest = keys[skipped:]
    if not rest:
        return None, 0
    found = _AMOUNT.fullmatch(rest[0])
    if found and found[2]:
        unit = _UNITS.get(found[2])
        if unit is None:
            return None, 0
        more = timedelta(minutes=int(found[3])) if found[3] and found[2].startswith("h") else timedelta()
        return float(found[1].replace(",", ".")) * unit + more, skipped + 1
    number = float(found[1].replace(",", ".")) if found else _NUMBERS.get(rest[0])
    if number is None:
        return None, 0
    place = 1 + (rest[1:2] in (["a"], ["an"]))
    unit = _UNITS.get(rest[place]) if len(rest) > place and len(rest[place]) > 1 else None
    return (number * unit, skipped + place + 1) if unit else (None, 0)


def unclear(problem: str, command: str, typed: str = "") -> str:
    """Return the answer to a text that isn't clear."""
    about = f" I read “{cut(typed, SHOWN_CHARS)}” as its name." if typed else ""
    return f"{problem}{about} Nothing was changed. Example: {command} {EXAMPLE}"
