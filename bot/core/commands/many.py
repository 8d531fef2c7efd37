"""Which integrations a person means who names several of them, or describes them: "everything that is failing"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.commands.filters import FILTER_WORDS, filter_integrations
from bot.core.commands.targets import Ambiguous, One
from bot.core.models import Integration
from bot.core.sight import Sight
from bot.core.typed import WRAPPING, plain, readings

_AROUND: Final = f"{WRAPPING}()"

UNKNOWN_SHOWN: Final = 5
NAMES_TRIED: Final = 120
"""How many texts are looked up as names: enough for any real list, and for a hostile one hardly a second."""

SHORTEST_PLURAL: Final = 4
LONGEST_NAME: Final = 6
"""The most words that are tried as one name."""

_ALL: Final = frozenset({"all", "everything", "every", "each", "whatever", "any", "anything", "both", "everyone"})
# fmt: off
_FILLERS: Final = frozenset(
    (
        "that", "which", "who", "is", "are", "the", "one", "ones", "those", "these", "this", "them", "still",
        "currently", "right", "now", "again", "of", "my", "our", "in", "has", "have", "been", "integration",
        "integrations", "source", "sources", "connector", "connectors", "only", "just", "please", "for", "me", "us",
        "at", "once", "together", "sync", "syncs", "type", "types", "with", "an", "a", "state", "status", "went", "got",
        "thing", "things",
    )
)
_SYNONYMS: Final = {
    **dict.fromkeys(
        ("failed", "fail", "fails", "failure", "failures", "broken", "erroring", "errored", "errors", "red", "down",
         "unhealthy", "troubled"),
        "failing",
    ),
    **dict.fromkeys(("outdated", "old", "late", "behind", "overdue"), "stale"),
    **dict.fromkeys(("healthy", "green", "working"), "connected"),
    **dict.fromkeys(("running",), "syncing"),
}
# fmt: on
_EXCEPT: Final = re.compile(r"[\s,]+(?:except(?:\s+for)?|but(?:\s+not)?|excluding|without|besides)\s+", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"[,;\n]|\bas well as\b", re.IGNORECASE)
_AND: Final = re.compile(r"(\s*(?:[&+]|\band\b|\bplus\b)\s*)", re.IGNORECASE)
"""These also occur in names, such as "Search and Social"."""


@dataclass(frozen=True, slots=True)
class Many:
    """The integrations that are meant, in the order in which they were named, and what named nothing."""

    integrations: tuple[Integration, ...]
    unknown: tuple[str, ...] = ()


def read_many(text: str, sight: Sight, now: datetime) -> Many | None:
    """Read a text that means several integrations; None if it names one, a type to choose from, or nothing.

    Names count if the person may use them in a request; descriptions, such as ``failing``, only select among the
    integrations that they may view.
    """
    if sight.match(text):
        return None
    # A name may contain a separator, such as "and".
    usable = {one.id for one in sight.usable}
    typed = sight.nicknames.replace_in(
        plain(text), lambda one: one.integration_id if one.integration_id in usable else one.name
    )
    wanted, *excluded = _EXCEPT.split(f" {typed.strip(WRAPPING)}")
    reader = _Reader(sight, now)
    found, unknown = reader.read(wanted, is_all=not excluded)
    for part in excluded:
        without, also_unknown = reader.read(part)
        unknown += also_unknown
        gone = {one.id for one in without}
        found = [one for one in found if one.id not in gone]
    if not found and (unknown or not excluded) and not reader.described:
        return None
    return Many(tuple(found), tuple(dict.fromkeys(unknown))[:UNKNOWN_SHOWN])


class _Reader:
    def __init__(self, sight: Sight, now: datetime) -> None:
        self._sight = sight
        self._now = now
        self._names: dict[str, Sequence[Integration]] = {}
        self.described = False
        """Whether a description, such as ``failing``, was read."""

    def read(self, text: str, *, is_all: bool = False) -> tuple[list[Integration], list[str]]:
        """Return what the parts of a text mean, without duplicates, and the parts that mean nothing.

        If ``is_all`` was typed and is one word, it may also be part of FloKit's data, as in ``status``.
        """
        pieces = [part for piece in _BETWEEN.split(text) for part in self._parts(piece)]
        parts = [part for part in (piece.strip(_AROUND) for piece in pieces) if part]
        found: dict[str, Integration] = {}
        unknown: list[str] = []
        for part in parts:
            matches = self._read_part(part, alone=is_all and len(parts) == 1)
            if isinstance(matches, str):
                unknown.append(matches)
            else:
                found |= {one.id: one for one in matches}
        return list(found.values()), unknown

    def _parts(self, piece: str) -> list[str]:
        """Split a text at each "and" that isn't part of a name."""
        halves = _AND.split(piece)  # a part, an "and", a part, …
        parts = []
        while halves:
            ends = range(min(len(halves), 2 * LONGEST_NAME - 1), 1, -2)
            end = next((end for end in ends if end % 2 and self._named("".join(halves[:end]).strip(_AROUND))), 1)
            parts.append("".join(halves[:end]))
            halves = halves[end + 1 :]
        return parts

    def _read_part(self, part: str, *, alone: bool) -> Sequence[Integration] | str:
        """Return what one part means, or what of it means nothing."""
        if named := self._named(part):
            return named
        words = [word for word in (word.strip(_AROUND) for word in part.split()) if word]
        wanted = [_SYNONYMS.get(word.casefold(), word) for word in words if word.casefold() not in {*_FILLERS, *_ALL}]
        states = [word.casefold() for word in wanted if word.casefold() in FILTER_WORDS]
        rest = [word for word in wanted if word.casefold() not in FILTER_WORDS]
        if states or (not rest and any(word.casefold() in _ALL for word in words)):
            return self._described(states, rest)
        if several := self._named_in_a_row(rest):
            return several
        if (
            alone
            and len(wanted) == 1
            and (matching := filter_integrations(part, self._sight.seen, self._now, self._sight.nicknames))
        ):
            return matching
        return part

    def _described(self, states: Sequence[str], rest: Sequence[str]) -> Sequence[Integration] | str:
        """Return the integrations in these states or, without any, all; ``rest`` names some of them."""
        among: Iterable[Integration] = self._sight.seen
        if rest:
            named = self._named(" ".join(rest)) or self._named_in_a_row(rest)
            if not named:
                return " ".join(rest)
            among = [one for one in named if self._sight.sees(one)]
        self.described = True
        in_state = {
            one.id for one in filter_integrations(" ".join(states), self._sight.seen, self._now, self._sight.nicknames)
        }
        return [one for one in among if one.id in in_state]

    def _named(self, text: str) -> Sequence[Integration]:
        """Return the integration that a text names, or all of the type that it names."""
        if text not in self._names:
            if len(self._names) >= NAMES_TRIED:
                return ()
            self._names[text] = self._look_up(text)
        return self._names[text]

    def _look_up(self, text: str) -> Sequence[Integration]:
        plural = [text.removesuffix("s")] if text.endswith("s") and len(text) > SHORTEST_PLURAL else []
        for reading in dict.fromkeys((*readings(text)[:1], *plural)):
            match self._sight.match(reading):
                case One(integration=one):
                    return (one,)
                case Ambiguous(matches=matches):
                    return matches
        return ()

    def _named_in_a_row(self, words: Sequence[str]) -> Sequence[Integration]:
        """Return what words mean that are names one after the other, each as long as possible; nothing if any isn't."""
        found: list[Integration] = []
        begin = 0
        while begin < len(words):
            ends = range(min(len(words), begin + LONGEST_NAME), begin, -1)
            named = _first(ends, lambda end: self._named(" ".join(words[begin:end])))  # noqa: B023 - called at once
            if named is None:
                return ()
            begin, matches = named
            found += matches
        return found


def _first(
    ends: Iterable[int], find: Callable[[int], Sequence[Integration]]
) -> tuple[int, Sequence[Integration]] | None:
    return next(((end, found) for end in ends if (found := find(end))), None)
