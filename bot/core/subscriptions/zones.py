"""Time zones as people type them: "Europe/Berlin", "new york", "utc".

The names come from the machine or, if it has none, from the package tzdata; they're read once. A typed name is never
used as a file path.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

ZONE_CHARS: Final = 60
"""How much of an unknown name is compared and shown; the longest real one has 32 characters."""

NEAREST: Final = 3

NOT_FOR_PEOPLE: Final = frozenset({"Factory", "localtime"})
"""Names with no meaning, or a different one on each machine."""

FIXED: Final = "Etc/"
"""The prefix of fixed offsets, where the sign of "Etc/GMT+2" is the opposite of what people expect."""


def zones_called(text: str) -> tuple[str, ...]:
    """Return the zone with this name, case-insensitively, or else all zones whose last part (a city) is this name."""
    key = _key(text[:ZONE_CHARS])
    name = _names().get(key)
    return (name,) if name else _cities().get(key, ())


def unclear_zone(text: str) -> str:
    """Say that a text matches several zones, or none and which come closest; it quotes what was typed."""
    zones, shown = zones_called(text), " ".join(text[:ZONE_CHARS].split())
    if zones:
        return f"“{shown}” matches several time zones: {', '.join(zones)}."
    return f"“{shown}” isn't a time zone I know. {_hint(_key(text[:ZONE_CHARS]))}"


def zone_info(name: str) -> ZoneInfo:
    """Return the zone of a stored name.

    Raises:
        ValueError: It doesn't exist.
    """
    if name not in _names().values():
        raise ValueError(f"no time zone is called {name[:ZONE_CHARS]!r}")
    return ZoneInfo(name)


def _hint(key: str) -> str:
    places = {**_cities(), **{_key(name): (name,) for names in _cities().values() for name in names}}
    found = [places[near][0] for near in difflib.get_close_matches(key, places, n=NEAREST)]
    if not found:
        return "Use a region and a city, for example Europe/Berlin."
    return f"Closest matches: {', '.join(dict.fromkeys(found))}."


def _key(name: str) -> str:
    return "_".join(name.casefold().replace("_", " ").split())


@cache
def _names() -> Mapping[str, str]:
    return {_key(name): name for name in sorted(available_timezones() - NOT_FOR_PEOPLE)}


@cache
def _cities() -> Mapping[str, tuple[str, ...]]:
    """Map the last parts of names to the full names."""
    cities: dict[str, tuple[str, ...]] = {}
    for name in _names().values():
        if "/" in name and not name.startswith(FIXED):
            key = _key(name.rpartition("/")[2])
            cities[key] = (*cities.get(key, ()), name)
    return cities
