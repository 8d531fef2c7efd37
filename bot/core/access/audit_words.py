"""Parses what follows ``audit`` and ``history``: an integration, a person and a time span, in any order.

It never raises. A bare name stays text until it's looked up among integrations, types and people.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from bot.core.models import Person
from bot.core.span_words import find_span
from bot.core.typed import WRAPPING, plain

_ESCAPED_PERSON: Final = re.compile(r"<@([A-Z0-9]{2,30})(?:\|[^<>|]*)?>")
_PERSON_ID: Final = re.compile(r"@?([UW][A-Z0-9]{7,29})")

ME: Final = "me"

_ME_WORDS: Final = frozenset({"me", "myself", "mine", "i"})

# fmt: off
_AROUND: Final = frozenset(
    (
        "by", "of", "for", "from", "on", "about", "in", "the", "and", "with", "at", "to", "all", "any", "everything",
        "everyone", "everybody", "anyone", "entries", "what", "who", "did", "do", "was", "happened", "changes", "log",
        "syncs", "sync", "integration", "integrations", "time", "ever",
    )
)
# fmt: on
"""Filler words."""

NEAREST: Final = 3


@dataclass(frozen=True, slots=True)
class AuditWish:
    """What part of the past to show; all set conditions must hold.

    ``person_name`` is the text after an @ (untrusted), or `ME` for the person who asks. ``name`` is the name of an
    integration, a type or a person (untrusted). ``in_days`` is set if the span depends on the person's time zone.
    ``unclear`` is an error message about the time.
    """

    person_id: str = ""
    person_name: str = ""
    name: str = ""
    since: datetime | None = None
    until: datetime | None = None
    in_days: bool = False
    unclear: str = ""


def parse_audit(words: str, now: datetime, zone: tzinfo = UTC) -> AuditWish:
    """Parse the text after ``audit`` or ``history``.

    With ``should_escape`` in its manifest, Slack writes a person as ``<@U123|name>``; without, ``@name`` stays
    as typed: https://docs.slack.dev/interactivity/implementing-slash-commands
    """
    text = plain(words)
    person_id = ""
    if escaped := _ESCAPED_PERSON.search(text):
        person_id = escaped[1]
        text = f"{text[: escaped.start()]} {text[escaped.end() :]}"
    span, rest = find_span(text.split(), now, zone)
    wish = AuditWish(person_id=person_id)
    if span:
        wish = replace(wish, since=span.since, until=span.until, in_days=span.in_days, unclear=span.unclear)
    return _with_names(wish, _trimmed(rest))


def _with_names(wish: AuditWish, words: list[str]) -> AuditWish:
    at = next((place for place, word in enumerate(words) if _begins_person(word)), None)
    if at is not None and not wish.person_id:
        person = " ".join(words[at:]).strip(WRAPPING)
        words = _trimmed(words[:at])
        if found := _PERSON_ID.fullmatch(person):
            wish = replace(wish, person_id=found[1])
        else:
            wish = replace(wish, person_name=person.removeprefix("@").strip())
    keys = [word.casefold().strip(WRAPPING) for word in words]
    if not wish.person_id and not wish.person_name and keys and (keys[0] in _ME_WORDS or keys[-1] in _ME_WORDS):
        words = words[1:] if keys[0] in _ME_WORDS else words[:-1]
        wish = replace(wish, person_name=ME)
    return replace(wish, name=" ".join(_trimmed(words)).strip(WRAPPING))


def _begins_person(word: str) -> bool:
    bare = word.strip(WRAPPING)
    return (bare.startswith("@") and bare != "@") or bool(_PERSON_ID.fullmatch(bare))


def _trimmed(words: list[str]) -> list[str]:
    begin, end = 0, len(words)
    while begin < end and words[begin].casefold().strip(WRAPPING) in _AROUND:
        begin += 1
    while begin < end and words[end - 1].casefold().strip(WRAPPING) in _AROUND:
        end -= 1
    return words[begin:end]


def people_meant(name: str, people: Iterable[Person]) -> tuple[Person, ...]:
    """Find people by their full name, else by a part of it such as the first name.

    Accents can be omitted; names that match with the accents as typed come first.
    """
    known = list(people)
    for key in (_key, _unaccented):
        wanted = key(name)
        whole = [person for person in known if wanted and key(person.name) == wanted]
        parts = [person for person in known if wanted and wanted in re.split(r"[\s._-]+", key(person.name))]
        if whole or parts:
            return tuple({person.id: person for person in whole or parts}.values())
    return ()


def nearest_people(name: str, people: Iterable[Person]) -> tuple[Person, ...]:
    """Find the people whose names resemble a name; at most `NEAREST`."""
    by_key = {_unaccented(person.name): person for person in people if person.name}
    near = difflib.get_close_matches(_unaccented(name)[:60], by_key, n=NEAREST)
    return tuple(by_key[key] for key in near)


def _key(name: str) -> str:
    return " ".join(plain(name).casefold().split())


_BASE_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "\u0131": "i", "æ": "ae", "œ": "oe"})
"""Letters that Unicode doesn't decompose."""


def _unaccented(name: str) -> str:
    apart = unicodedata.normalize("NFD", _key(name).translate(_BASE_LETTERS))
    return "".join(char for char in apart if not unicodedata.combining(char))
