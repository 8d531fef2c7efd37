"""Parses what follows ``expect``: an integration, how often it syncs, and how many events it brings in a day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.core.typed import WRAPPING, plain
from bot.core.volumes.expectations import (
    LONGEST_EVERY_S,
    MOST_PER_DAY,
    NOTHING,
    SHORTEST_EVERY_S,
    Expectation,
)

_DIGITS: Final = r"[0-9][0-9_,.' ]{0,20}|[0-9]{1,20}"
_HOUR_S: Final = 3600
_DAY_S: Final = 24 * _HOUR_S
_UNITS: Final = {
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), _HOUR_S),
    **dict.fromkeys(("d", "day", "days"), _DAY_S),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 7 * _DAY_S),
}
_WORDS: Final = {"hourly": _HOUR_S, "daily": _DAY_S, "nightly": _DAY_S, "weekly": 7 * _DAY_S}
_NUMBERS: Final = {
    **{word: n for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight"), 1)},
    "ten": 10,
    "twelve": 12,
    "a": 1,
    "an": 1,
    "other": 2,
    "half": 0.5,
}
_NUMBER_WORDS: Final = "|".join(_NUMBERS)
_UNIT: Final = "|".join(sorted(_UNITS, key=len, reverse=True))

_EVERY: Final = re.compile(
    rf"""
    (?:\b(?:to\ )?(?:sync(?:s|ed|ing)?|runs?|updates?|refresh(?:es|ed)?)\s+)?(?:\bat\s+least\s+)?
    (?:
        \b(?:every|each|per|once\s+(?:an?|per|every))\s+
        (?:(?P<number>[0-9]{{1,6}}(?:\.[0-9]{{1,3}})?|{_NUMBER_WORDS})\s*(?:an?\s+)?)?(?P<unit>{_UNIT})\b
        | \b(?P<word>{"|".join(_WORDS)})\b
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PER: Final = {
    **dict.fromkeys(("hour", "hr", "h"), 24.0),
    **dict.fromkeys(("day", "d", "24h", "24 h", "24 hours"), 1.0),
    **dict.fromkeys(("week", "w"), 1 / 7),
    **dict.fromkeys(("month", "mo"), 1 / 30),
}
_PERS: Final = "|".join(sorted(_PER, key=len, reverse=True))
_EVENTS: Final = re.compile(
    rf"""
    (?:\b(?:at\s+least|min(?:imum)?|about|around|roughly|approx(?:imately)?|over|more\s+than|>=?|~)\s*)?
    (?P<number>\b(?:no|zero)\b|(?<![\w.]){_DIGITS})\s*(?P<thousands>k\b|m\b|thousand|million)?\s*
    (?:new\s+)?
    (?:
        \b(?:events?|rows?|records?|orders?|transactions?)\b
        (?:\s*(?:/|\b(?:a|an|per|each|every|in\s+a|in|within)\b)\s*(?P<per>{_PERS})\b
           | \s+\b(?P<word>daily|hourly|weekly|monthly)\b)?
        | (?:/|\b(?:a|an|per|each)\b)\s*(?P<bare>{_PERS})\b
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PER_WORDS: Final = {"daily": "day", "hourly": "hour", "weekly": "week", "monthly": "month"}
_THOUSANDS: Final = {"k": 10**3, "thousand": 10**3, "m": 10**6, "million": 10**6}
_NONE_AT_END: Final = re.compile(
    r"[\s,:=]+(?:to\s+be\s+)?(?:nothing|none|anything|whatever|off|default|reset|clear|forget|as\s+usual|as\s+before)"
    r"(?:\s+(?:any\s?more|any\s+longer|else|special|again))?$",
    re.IGNORECASE,
)
_NONE_FIRST: Final = re.compile(r"(?:nothing|forget|clear|reset)\s+(?:about|for|from|of|on)?\s*", re.IGNORECASE)
# fmt: off
_FILLERS: Final = frozenset(
    {"and", "with", "to", "bring", "brings", "have", "has", "sync", "syncs", "from", "for", "of", "at", "least", "that",
     "should", "will", "the", "run", "runs", "deliver", "delivers", "send", "sends", "get", "gets", "is", "be", "=",
     ":", "&", "+", "set", "show", "of:", "about", "what", "do", "you", "i", "we", "it", "its", "in", "a"}
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Expecting:
    """What follows ``expect``: the integration (untrusted), and what people say about it.

    ``expected`` is None if they only ask; parts that it leaves out stay. ``clears``: nothing is expected from now on.
    ``problem`` is an error message.
    """

    target: str
    expected: Expectation | None = None
    clears: bool = False
    problem: str = ""


def parse_expecting(words: str) -> Expecting:
    """Parse what follows ``expect``. Nothing here raises."""
    text = plain(words).strip(WRAPPING)
    if found := _NONE_AT_END.search(text):
        return Expecting(_target(text[: found.start()]), clears=True)
    if (found := _NONE_FIRST.match(text)) and text[found.end() :]:
        return Expecting(_target(text[found.end() :]), clears=True)
    events = list(_EVENTS.finditer(text))
    without = _cut(text, events)
    every = list(_EVERY.finditer(without))
    target = _target(_cut(without, every))
    if len(events) > 1 or len(every) > 1:
        return Expecting(target, problem="I found two numbers for the same thing.")
    if not (events or every):
        return Expecting(target)
    per_day = _per_day(events[0]) if events else None
    every_s = _every_s(every[0]) if every else None
    problem = _problem(every_s, per_day)
    return Expecting(target, NOTHING if problem else Expectation(every_s, per_day), problem=problem)


def forgotten_expectation(words: str) -> str:
    """Return the integration in "what to expect of stripe" or "the expectation of stripe"; else ""."""
    found = re.match(
        r"(?:what\s+(?:i|we|you|to)\s+expect(?:ed)?|(?:the\s+|any\s+)?expect(?:ations?|ed)?)\s+(?:of|for|from|about)\s+(.+)",
        plain(words),
        re.IGNORECASE,
    )
    return found[1] if found else ""


def _cut(text: str, found: list[re.Match[str]]) -> str:
    for one in reversed(found):
        text = f"{text[: one.start()]} , {text[one.end() :]}"
    return text


def _target(text: str) -> str:
    words = [word for word in text.replace(",", " ").replace(";", " ").split() if word.strip(WRAPPING)]
    while words and words[-1].casefold().strip(WRAPPING) in _FILLERS:
        words = words[:-1]
    while words and words[0].casefold() in _FILLERS:
        words = words[1:]
    return " ".join(words).strip(WRAPPING)


def _every_s(found: re.Match[str]) -> int:
    if word := found["word"]:
        return _WORDS[word.casefold()]
    number = (found["number"] or "1").casefold()
    count = _NUMBERS[number] if number in _NUMBERS else float(number)
    return round(count * _UNITS[found["unit"].casefold()])


def _per_day(found: re.Match[str]) -> int:
    word = found["number"].casefold()
    digits = re.sub(r"[^0-9]", "", word) or "0"
    count = int(digits) * _THOUSANDS.get((found["thousands"] or "").casefold(), 1)
    per = found["per"] or found["bare"] or _PER_WORDS.get((found["word"] or "").casefold(), "day")
    per_day = count * _PER[" ".join(per.casefold().split())]
    return max(1, round(per_day)) if count else 0


def _problem(every_s: int | None, per_day: int | None) -> str:
    if every_s is not None and not SHORTEST_EVERY_S <= every_s <= LONGEST_EVERY_S:
        return "I can expect a sync every 10 minutes at the most often, and every 31 days at the least."
    if per_day is not None and per_day > MOST_PER_DAY:
        return f"I can expect up to {MOST_PER_DAY:,} events a day."
    return ""
