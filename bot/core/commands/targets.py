"""Which integration, or which type of integration, a person means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bot.core.advice import KNOWN_TYPES, display_name
from bot.core.commands.presses import ID_CHARS
from bot.core.models import Integration
from bot.core.typed import name_key, readings


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one integration is meant."""

    integration: Integration


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several integrations are meant equally: the person must choose."""

    matches: tuple[Integration, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """No integration is meant; ``nearest`` are the ones with a similar name, at most `NEAREST`."""

    target: str
    nearest: tuple[Integration, ...]


NEAREST: Final = 3
WORDS_COMPARED: Final = 5
ENDING_CHARS: Final = 3
"""The shortest ending of an id that is taken for one."""

Resolution: TypeAlias = Found | Ambiguous | NotFound


def resolve(target: str, integrations: Sequence[Integration]) -> Resolution:
    """Find the one integration that a person means: by id, else by type or its name, else by the ending of an id.

    Customers have several integrations of one type (iOS and Android apps are separate), so a type is never guessed.
    """
    names = readings(target)
    for wanted in names:
        for matches in (
            [one for one in integrations if one.id == wanted],
            [one for one in integrations if one.id.casefold() == wanted.casefold()],
            of_type(wanted, integrations),
            _with_ending(wanted, integrations),
        ):
            if matches:
                return Found(matches[0]) if len(matches) == 1 else Ambiguous(tuple(matches))
    return NotFound(target, nearest_integrations(names[-1], integrations))


KNOWN_TYPE_KEYS: Final = frozenset(name_key(name) for type_ in KNOWN_TYPES for name in (type_, display_name(type_)))


def _type_keys(integration: Integration) -> tuple[str, str]:
    return name_key(integration.type), name_key(display_name(integration.type))


def of_type(name: str, integrations: Iterable[Integration]) -> list[Integration]:
    """Find the integrations of a type, by what people may call it."""
    key = name_key(name)
    return [one for one in integrations if key and key in _type_keys(one)]


def _with_ending(ending: str, integrations: Iterable[Integration]) -> list[Integration]:
    if len(ending) < ENDING_CHARS:
        return []
    return [one for one in integrations if one.id.casefold().endswith(ending.casefold())]


@dataclass(frozen=True, slots=True)
class Group:
    """All integrations that a name means; ``type_`` is set when it is their type."""

    integration_ids: tuple[str, ...] = ()
    type_: str = ""


def resolve_group(target: str, integrations: Sequence[Integration]) -> Group | NotFound:
    """Find all integrations that a person means: those of a type, of which there may be none now, or else one."""
    for key in map(name_key, readings(target)):
        for type_ in dict.fromkeys((*KNOWN_TYPES, *(one.type for one in integrations))):
            if key and key in (name_key(type_), name_key(display_name(type_))):
                return Group(tuple(one.id for one in integrations if one.type == type_), type_)
    match resolve(target, integrations):
        case Found(integration=integration):
            return Group((integration.id,))
        case Ambiguous(matches=matches):
            return Group(tuple(one.id for one in matches))
        case NotFound() as not_found:
            return not_found


def nearest_types(text: str) -> tuple[str, ...]:
    """Name the documented types that a text resembles; at most `NEAREST`."""
    by_key = {name_key(name): type_ for type_ in KNOWN_TYPES for name in (type_, display_name(type_))}
    near = difflib.get_close_matches(name_key(text)[:ID_CHARS], by_key, n=NEAREST)
    return tuple(dict.fromkeys(by_key[key] for key in near))


def nearest_integrations(text: str, integrations: Iterable[Integration]) -> tuple[Integration, ...]:
    """Find the integrations whose names resemble a text, or else one of its words; at most `NEAREST`."""
    by_key: dict[str, list[Integration]] = {}
    for one in integrations:
        for key in {*_type_keys(one), name_key(one.id)}:
            by_key.setdefault(key[:ID_CHARS], []).append(one)
    for wanted in (text, *text.split()[:WORDS_COMPARED]):
        keys = difflib.get_close_matches(name_key(wanted)[:ID_CHARS], by_key, n=NEAREST)
        if keys:
            return tuple(dict.fromkeys(one for key in keys for one in by_key[key]))[:NEAREST]
    return ()
