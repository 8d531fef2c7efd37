"""Decides whether an integration brings far fewer events than it used to, although its syncs succeed.

FloKit counts the events of an integration, but doesn't say whether a count is as it should be. So each integration is
compared with its own past: events are counted in cells of three hours, and the last four weeks are kept.

Many sources are quiet at night, at weekends, or for days, such as app stores. So the longest quiet time of the past is
what counts: if every stretch of L hours brought at least ``FEWEST`` events, ``STRETCH`` times L hours with at most
``FAR_FEWER`` of the least that any such stretch brought is a shortfall. The shortest such L decides: 3 hours for a
busy source, half a day for one that sleeps at night, several days for one that rests at weekends. While there's too
little past, nothing is decided, unless people said what to expect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final

from bot.core.models import Integration, Usual
from bot.core.volumes.expectations import Expectation

CELL: Final = timedelta(hours=3)
KEPT_CELLS: Final = 28 * 8
"""Four weeks."""

KNOWN_CELLS: Final = 14 * 8
"""How much past it takes to decide anything: two weekends."""

STRETCH: Final = 2.0
"""A shortfall lasts this many times longer than any quiet time before: a weekend with a holiday is no shortfall."""

FEWEST: Final = 10
"""A stretch with fewer events may bring none by chance."""

FAR_FEWER: Final = 0.1
BACK: Final = 0.3
"""A shortfall ends when a stretch brings this share of what it brought at least before."""

SYNCS: Final = 3
"""A shortfall takes several successful syncs that brought next to nothing."""

LONGEST: Final = 10 * 8
"""The longest quiet time that is usual, in cells: a source that brings less than that has no rhythm to judge it by."""

UNKNOWN: Final = -1
"""Stands for a cell of which nothing is known, or that is no measure of what's usual."""

USUAL_CELLS: Final = (1, 2, 4, 8, 24)
USUAL_FROM: Final = 20
"""How many stretches of the past it takes to say what's usual."""

_LOW, _HIGH = 0.1, 0.9
_DAY: Final = timedelta(days=1)
MOST_EVENTS: Final = 10**15
"""FloKit's counts are clipped to this, because they may be anything."""


@dataclass(frozen=True, slots=True)
class Reading:
    """FloKit's counts after a successful sync. ``at`` is when FloKit was asked."""

    at: datetime
    synced_at: datetime
    total: int | None
    last_24h: int | None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Far fewer events than usual, or than people expect.

    Stored in a `Volume`, in ``sightings`` and in ``incidents``::

        {"since": "2026-11-26T14:30:00Z", "got": 2, "within_s": 86400.0, "least": 1150, "cells": 8}
    """

    since: datetime
    """When it began, at the latest."""
    got: int
    """The events since then, or in the last 24 hours if people said what to expect."""
    within_s: float
    """How long that is."""
    least: int
    """The least that any stretch of ``cells`` brought before, or the number that people expect in a day."""
    cells: int = 0
    """0: people said what to expect."""


@dataclass(frozen=True, slots=True)
class Volume:
    """How many events an integration brought.

    Stored in ``volumes``::

        {"read_at": "2026-11-26T14:30:00Z", "synced_at": "2026-11-26T14:25:00Z", "total": 1200, "last_24h": 10,
         "first": 165400, "cells": [12, 0, 7], "syncs": ["2026-11-26T08:25:00Z", "2026-11-26T14:25:00Z"]}
    """

    read_at: datetime
    synced_at: datetime
    total: int | None = None
    last_24h: int | None = None
    first: int = 0
    """The number of the first cell, counted from 1970."""
    cells: tuple[int, ...] = ()
    """The events of each cell; the last one isn't over yet."""
    syncs: tuple[datetime, ...] = ()
    """When the last successful syncs were seen."""
    shortfall: Shortfall | None = None
    below: int = 0
    """How many readings in a row were below what people expect."""


def reading_of(integration: Integration, at: datetime) -> Reading | None:
    """Return the counts of an integration's own page; None if it shows none, or no successful sync."""
    stats, synced_at = integration.stats, integration.last_synced_at
    if synced_at is None or stats is None or (stats.events_total is None and stats.events_last_24h is None):
        return None
    return Reading(at, synced_at, _count(stats.events_total), _count(stats.events_last_24h))


def _count(number: int | None) -> int | None:
    return None if number is None else max(0, min(number, MOST_EVENTS))


def add_reading(volume: Volume | None, reading: Reading) -> Volume:
    """Add a reading. One that is older than the newest changes nothing."""
    if volume is None:
        return Volume(
            reading.at, reading.synced_at, reading.total, reading.last_24h, _cell(reading.at), (UNKNOWN,), (reading.at,)
        )
    if reading.at <= volume.read_at:
        return volume
    is_new = reading.synced_at != volume.synced_at
    cells = _spread(volume, _added(volume, reading), reading.at)
    first = _cell(reading.at) + 1 - len(cells)
    left_out = max(0, len(cells) - KEPT_CELLS)
    return replace(
        volume,
        read_at=reading.at,
        synced_at=reading.synced_at,
        total=reading.total,
        last_24h=reading.last_24h,
        first=first + left_out,
        cells=cells[left_out:],
        syncs=(*volume.syncs, reading.at)[-SYNCS:] if is_new else volume.syncs,
    )


def _cell(at: datetime) -> int:
    return int(at.timestamp() // CELL.total_seconds())


def _begins(cell: int) -> datetime:
    return datetime.fromtimestamp(cell * CELL.total_seconds(), UTC)


def _added(volume: Volume, reading: Reading) -> int | None:
    """Return how many events came since the reading before; None if that isn't known."""
    if volume.total is not None and reading.total is not None:
        return reading.total - volume.total if reading.total >= volume.total else None
    if reading.last_24h is None:
        return None
    return round(reading.last_24h * min(1.0, (reading.at - volume.read_at) / _DAY))


def _spread(volume: Volume, added: int | None, at: datetime) -> tuple[int, ...]:
    """Add events to the cells since the reading before, evenly, because it isn't known when they came."""
    begin, last, now = volume.read_at, _cell(volume.read_at), _cell(at)
    cells = list(volume.cells)
    if now - last > KEPT_CELLS:
        return (UNKNOWN,) * KEPT_CELLS
    whole, given = (at - begin) / timedelta(seconds=1), 0
    for cell in range(last, now + 1):
        if cell > last:
            cells.append(UNKNOWN if added is None else 0)
        if added is None:
            cells[-1] = UNKNOWN
            continue
        until = min(at, _begins(cell + 1))
        share = round(added * min(1.0, (until - begin).total_seconds() / whole)) if cell < now else added
        cells[-1] = cells[-1] if cells[-1] == UNKNOWN else cells[-1] + share - given
        given = share
    return tuple(cells)


def judge(volume: Volume, expectation: Expectation | None = None) -> Volume:
    """Decide after a reading whether there's a shortfall. What people expect counts instead of its past."""
    per_day = expectation.per_day if expectation else None
    if per_day is not None:
        return _judge_expected(volume, per_day)
    past = _without_shortfall(volume)
    shortfall = volume.shortfall if volume.shortfall and volume.shortfall.cells else None
    if shortfall:
        shortfall = _going_on(volume, shortfall)
    return replace(volume, shortfall=shortfall or _find(volume, past), below=0)


def _judge_expected(volume: Volume, per_day: int) -> Volume:
    got = _of_last_day(volume)
    if got is None or got >= per_day:
        return replace(volume, shortfall=None, below=0)
    below = min(volume.below + 1, SYNCS)
    before = volume.shortfall if volume.shortfall and not volume.shortfall.cells else None
    if before is None and below < min(SYNCS, 2):
        return replace(volume, shortfall=None, below=below)
    since = before.since if before else volume.read_at - _DAY
    return replace(volume, shortfall=Shortfall(since, got, _DAY.total_seconds(), per_day), below=below)


def _of_last_day(volume: Volume) -> int | None:
    """Return FloKit's own count or, without one, that of the cells; None if it isn't known yet."""
    if volume.last_24h is not None:
        return volume.last_24h
    day = volume.cells[-(8 + 1) :]
    return sum(day) if len(day) == 8 + 1 and UNKNOWN not in day else None


def _without_shortfall(volume: Volume) -> tuple[int, ...]:
    """Return the cells, without those of shortfalls: they're no measure of what's usual."""
    shortfall = volume.shortfall
    if shortfall is None or not shortfall.cells:
        return volume.cells
    kept = max(0, _cell(shortfall.since) - volume.first)
    return volume.cells[:kept]


def _find(volume: Volume, past: Sequence[int]) -> Shortfall | None:
    """Find the shortest time that brought far fewer events than any shorter stretch did before."""
    cells = volume.cells
    if len(volume.syncs) < SYNCS:
        return None
    stretches = _Stretches(past)
    mean, got, counted = stretches.mean, 0, 0
    for length in range(1, LONGEST + 1):
        window = math.ceil(length * STRETCH) + 1  # the last cell isn't over yet
        newest = cells[len(cells) - window : len(cells) - counted]
        if window > len(cells) or UNKNOWN in newest:
            return None
        got, counted = got + sum(newest), window
        since = _begins(volume.first + len(cells) - window)
        most = mean * length  # the least isn't more than the mean
        if most < FEWEST or got > FAR_FEWER * most or volume.syncs[0] < since + CELL:
            continue
        least = stretches.least(length, min(len(past), len(cells) - window))
        if least is None:
            return None
        if least >= FEWEST and got <= least * FAR_FEWER:
            return Shortfall(since, got, (volume.read_at - since).total_seconds(), least, length)
    return None


class _Stretches:
    """The events of stretches of some cells, without those of which something isn't known."""

    def __init__(self, cells: Sequence[int]) -> None:
        self._totals = (0, *accumulate(max(0, one) for one in cells))
        self._gaps = (0, *accumulate(one == UNKNOWN for one in cells))

    @property
    def mean(self) -> float:
        """The mean of a cell."""
        known = len(self._gaps) - 1 - self._gaps[-1]
        return self._totals[-1] / known if known else 0.0

    def of(self, length: int, end: int) -> list[int]:
        """Return the events of each stretch of this length within the first cells, up to ``end``."""
        totals, gaps = self._totals, self._gaps
        return [totals[at] - totals[at - length] for at in range(length, end + 1) if gaps[at] == gaps[at - length]]

    def least(self, length: int, end: int) -> int | None:
        """Return the least that such a stretch brought; None if too little is known."""
        if end - self._gaps[end] < max(KNOWN_CELLS, length * 3):
            return None
        return min(self.of(length, end), default=None)


def _going_on(volume: Volume, shortfall: Shortfall) -> Shortfall | None:
    """Return a shortfall as it is now; None if events come again."""
    newest = [max(0, one) for one in volume.cells[-shortfall.cells :]]
    if sum(newest) >= max(1, shortfall.least * BACK):
        return None
    since = max(0, _cell(shortfall.since) - volume.first)
    got = sum(max(0, one) for one in volume.cells[since:])
    return replace(shortfall, got=got, within_s=(volume.read_at - shortfall.since).total_seconds())


def after_shortfall(before: Volume | None, after: Volume) -> Volume:
    """Forget the cells of a shortfall that is over, because they're no measure of what's usual."""
    shortfall = before.shortfall if before else None
    if shortfall is None or not shortfall.cells or after.shortfall is not None:
        return after
    begin = max(0, _cell(shortfall.since) - after.first)
    return replace(after, cells=(*after.cells[:begin], *(UNKNOWN for _ in after.cells[begin:])))


def usual_of(volume: Volume) -> tuple[Usual, ...]:
    """Return how many events are usual in some stretches of time; none while too little is known."""
    past = _without_shortfall(volume)[:-1]
    stretches, found = _Stretches(past), []
    for length in USUAL_CELLS:
        sums = sorted(stretches.of(length, len(past)))
        if len(sums) >= max(USUAL_FROM, 2 * length):
            low, high = (sums[round(share * (len(sums) - 1))] for share in (_LOW, _HIGH))
            found.append(Usual(length * CELL.total_seconds(), low, high))
    return tuple(found)


def usual_within(usual: Sequence[Usual], within_s: float) -> tuple[int, int] | None:
    """Return how many events are usual within a time, in round numbers; None if that isn't known."""
    if not usual or within_s <= 0:
        return None
    near = min(usual, key=lambda one: abs(math.log(one.within_s / within_s)))
    scale = within_s / near.within_s
    return _rounded(near.low * scale), _rounded(near.high * scale)


def _rounded(number: float) -> int:
    """Round to two digits: 1,234 is 1,200."""
    if number < 100:
        return round(number)
    digits = len(str(round(number))) - 2
    return int(round(number, -digits))
