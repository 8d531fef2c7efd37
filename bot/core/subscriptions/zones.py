"""Time zones by the names that people type: "Europe/Berlin", "new york", "utc".

The names are those of the machine, or of the package tzdata where it has none; they are read once. No name is ever
looked up as the path that it resembles.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

ZONE_CHARS: Final = 60
"""As much of a wrong name as is compared and shown; the longest right one has 32 characters."""

NEAREST: Final = 3

NOT_FOR_PEOPLE: Final = frozenset({"Factory", "localtime"})
"""Names that mean nothing, or another zone on each machine."""

FIXED: Final = "Etc/"
"""Beginning of the names of fixed offsets; the sign of "Etc/GMT+2" is the opposite of what people mean by it."""


@dataclass(frozen=True, slots=True)
class UnknownZone:
    """What was typed names no zone, or several; ``sentence`` is for the person and holds what they typed."""

    sentence: str


def parse_zone(text: str) -> str | UnknownZone:
    """Find the one zone that a person means: see `zones_called`."""
    zones = zones_called(text)
    if len(zones) == 1:
        return zones[0]
    shown = " ".join(text[:ZONE_CHARS].split())
    if zones:
        return UnknownZone(f"“{shown}” matches several time zones: {', '.join(zones)}.")
    return UnknownZone(f"“{shown}” isn't a time zone I know. {_hint(_key(text[:ZONE_CHARS]))}")


def zones_called(text: str) -> tuple[str, ...]:
    """List the zones of that name, in any case: exactly one, or all whose last part, which is a city, it is."""
    key = _key(text[:ZONE_CHARS])
    name = _names().get(key)
    return (name,) if name else _cities().get(key, ())


def zone_info(name: str) -> ZoneInfo:
    """Return the zone of a stored name.

    Raises:
        ValueError: There is no such zone.
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
    """Map the last parts of the names to all names that end so."""
    cities: dict[str, tuple[str, ...]] = {}
    for name in _names().values():
        if "/" in name and not name.startswith(FIXED):
            key = _key(name.rpartition("/")[2])
            cities[key] = (*cities.get(key, ()), name)
    return cities
