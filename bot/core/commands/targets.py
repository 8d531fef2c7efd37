"""Which integration, or which type of integration, a person means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bot.core.advice import KNOWN_TYPES, display_name
from bot.core.commands.presses import ID_CHARS
from bot.core.models import Integration
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.subscriptions.subscriptions import ALL
from bot.core.typed import name_key, readings

NEAREST: Final = 3
WORDS_COMPARED: Final = 5
ENDING_CHARS: Final = 3
"""The shortest end of an ID that counts as one."""


@dataclass(frozen=True, slots=True)
class All:
    """All integrations are meant."""


@dataclass(frozen=True, slots=True)
class OfType:
    """A type is meant. If there's no integration of it, it's a documented type."""

    type_: str
    integrations: tuple[Integration, ...]


@dataclass(frozen=True, slots=True)
class One:
    """Exactly one integration is meant, by its ID or the end of its ID."""

    integration: Integration


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several integrations match equally well, so the person must choose."""

    matches: tuple[Integration, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """There's no match; ``nearest`` are at most `NEAREST` integrations with a similar name."""

    text: str
    nearest: tuple[Integration, ...]


Target: TypeAlias = All | OfType | One | Ambiguous | NotFound


def resolve_target(
    text: str,
    known: Sequence[Integration],
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    types: Iterable[str] = KNOWN_TYPES,
) -> Target:
    """Find what a person means: everything, else by ID, else by its name, else by type, else by the end of an ID.

    Customers may have several integrations of one type (iOS and Android apps are separate), so the caller decides what
    a type means. ``types`` match even if there's no integration of them. A name that turned out to be a type's, too,
    since FloKit has that, is ambiguous.
    """
    return match_target(text, known, nicknames, types=types) or not_found(text, known, nicknames)


def match_target(
    text: str, known: Sequence[Integration], nicknames: Nicknames, *, types: Iterable[str]
) -> All | OfType | One | Ambiguous | None:
    """Return the same, but None if there's no match: finding similar names takes much longer."""
    names = readings(text)
    if names[0].casefold() == ALL:
        return All()
    for wanted in names:
        for same_id in (
            [one for one in known if one.id == wanted],
            [one for one in known if one.id.casefold() == wanted.casefold()],
        ):
            if same_id:
                return _one_or_several(same_id)
        called = nicknames.called(wanted)
        named = [one for one in known if called and one.id == called]
        if type_ := _type_called(wanted, (*types, *(one.type for one in known))):
            others = [one for one in of_type(wanted, known) if one not in named]
            return _one_or_several([*named, *others]) if named else OfType(type_, tuple(others))
        if named:
            return One(named[0])
        if with_ending := _with_ending(wanted, known):
            return _one_or_several(with_ending)
    return None


def not_found(text: str, known: Sequence[Integration], nicknames: Nicknames = NO_NICKNAMES) -> NotFound:
    """Return a NotFound with the closest matches."""
    return NotFound(text, nearest_integrations(readings(text)[-1], known, nicknames))


def _one_or_several(matches: Sequence[Integration]) -> One | Ambiguous:
    return One(matches[0]) if len(matches) == 1 else Ambiguous(tuple(matches))


KNOWN_TYPE_KEYS: Final = frozenset(name_key(name) for type_ in KNOWN_TYPES for name in (type_, display_name(type_)))


def _type_keys(type_: str) -> tuple[str, str]:
    return name_key(type_), name_key(display_name(type_))


def _type_called(name: str, types: Iterable[str]) -> str:
    key = name_key(name)
    return next((type_ for type_ in types if key and key in _type_keys(type_)), "")


def of_type(name: str, known: Iterable[Integration]) -> list[Integration]:
    """Return the integrations of a type, by any name that people use for it."""
    key = name_key(name)
    return [one for one in known if key and key in _type_keys(one.type)]


def _with_ending(ending: str, known: Iterable[Integration]) -> list[Integration]:
    if len(ending) < ENDING_CHARS:
        return []
    return [one for one in known if one.id.casefold().endswith(ending.casefold())]


def nearest_types(text: str) -> tuple[str, ...]:
    """Return at most `NEAREST` documented types similar to a text."""
    by_key = {name_key(name): type_ for type_ in KNOWN_TYPES for name in (type_, display_name(type_))}
    near = difflib.get_close_matches(name_key(text)[:ID_CHARS], by_key, n=NEAREST)
    return tuple(dict.fromkeys(by_key[key] for key in near))


def nearest_integrations(
    text: str, integrations: Iterable[Integration], nicknames: Nicknames = NO_NICKNAMES
) -> tuple[Integration, ...]:
    """Return at most `NEAREST` integrations with names similar to a text, or else to one of its words."""
    by_key: dict[str, list[Integration]] = {}
    for one in integrations:
        for key in {*_type_keys(one.type), name_key(one.id), name_key(nicknames.of(one.id).name)} - {""}:
            by_key.setdefault(key[:ID_CHARS], []).append(one)
    for wanted in (text, *text.split()[:WORDS_COMPARED]):
        keys = difflib.get_close_matches(name_key(wanted)[:ID_CHARS], by_key, n=NEAREST)
        if keys:
            return tuple(dict.fromkeys(one for key in keys for one in by_key[key]))[:NEAREST]
    return ()


def target_id(target: Target) -> str:
    """Return what a target is stored as: `ALL`, a type, or an ID; "" if it's none of them."""
    match target:
        case All():
            return ALL
        case OfType(type_=type_):
            return type_
        case One(integration=integration):
            return integration.id
        case Ambiguous() | NotFound():
            return ""
