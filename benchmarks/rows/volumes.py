"""How often "connected, but empty" is a false alarm, and how soon it's noticed, for sources with several rhythms."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from benchmarks.options import Options
from benchmarks.report import Row
from bot.core.volumes.volume import Reading, Volume, add_reading, after_shortfall, judge

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""

LEARNED: Final = timedelta(days=28)
MONTH: Final = timedelta(days=30)
READ_EVERY: Final = timedelta(minutes=30)

QUICK_MONTHS: Final = 6
FULL_MONTHS: Final = 60
QUICK_OUTAGES: Final = 4
FULL_OUTAGES: Final = 60
WAITED_FOR: Final = timedelta(days=21)

HOLIDAYS: Final = frozenset({(1, 1), (4, 3), (4, 6), (5, 1), (5, 25), (7, 3), (9, 7), (11, 26), (12, 25), (12, 26)})

FALSE_ALARMS_GOAL: Final = 0.1
"""False alarms per month and source, at most."""


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of source: events per hour at a time, and when FloKit syncs it.

    ``lag`` is how long an event takes until the source can deliver it; ``in_batches``: once a day, for the day before.
    """

    name: str
    rate: Callable[[datetime], float]
    sync_every: timedelta = timedelta(hours=1)
    in_batches: bool = False


def _by_day(hour: float) -> float:
    return max(0.0, 1 + 0.8 * math.sin((hour - 9) * math.pi / 12))


def _is_off(at: datetime) -> bool:
    return at.weekday() >= 5 or (at.month, at.day) in HOLIDAYS


def _office(at: datetime) -> float:
    return 0.0 if _is_off(at) or not 8 <= at.hour < 18 else 40.0


def _weekend(at: datetime) -> float:
    return 60.0 if at.weekday() >= 5 else 12.0


SOURCES: Final = (
    Source("busy app, day and night", lambda at: 200 * _by_day(at.hour)),
    Source("app that sleeps at night", lambda at: 0.0 if at.hour < 7 else 30.0),
    Source("office hours, no weekends, holidays", _office),
    Source("mostly at weekends", _weekend),
    Source("warehouse, queried every 6 h", lambda at: 20 * _by_day(at.hour), timedelta(hours=6)),
    Source("app store, once a day, working days", lambda _: 15.0, timedelta(hours=6), in_batches=True),
    Source("small shop, 12 orders a day", lambda at: 0.5 * _by_day(at.hour)),
    Source("hardly used, 1 event a day", lambda _: 1 / 24),
)


def readings(source: Source, days: float, chance: random.Random, ends: datetime | None = None) -> Iterator[Reading]:
    """Return what the bot reads of a source, which delivers nothing from ``ends`` on although its syncs succeed."""
    total, waiting, at, synced_at = 1_000_000, 0, START, START
    recent: list[tuple[datetime, int]] = []
    sync_at = START + source.sync_every
    until = START + timedelta(days=days)
    while at < until:
        at += READ_EVERY
        if ends is None or at < ends:
            hours = READ_EVERY / timedelta(hours=1)
            waiting += _poisson(source.rate(at) * hours * chance.lognormvariate(0, 0.2), chance)
        if at < sync_at:
            continue
        sync_at, synced_at = at + source.sync_every * chance.uniform(0.95, 1.1), at
        if not source.in_batches or (at.hour >= 12 and not _is_off(at) and not _delivered(recent, at)):
            total, recent = total + waiting, [*recent[-200:], (at, waiting)]
            waiting = 0
        last_24h = sum(count for came_at, count in recent if at - came_at < timedelta(days=1))
        yield Reading(at, synced_at, total, last_24h)


def _delivered(recent: list[tuple[datetime, int]], at: datetime) -> bool:
    return bool(recent) and recent[-1][0].date() == at.date()


def _poisson(mean: float, chance: random.Random) -> int:
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


def judged(source: Source, days: float, seed: int, ends: datetime | None = None) -> Iterator[tuple[Reading, bool]]:
    """Return each reading, and whether it was judged as too few events."""
    volume: Volume | None = None
    for reading in readings(source, days, random.Random(seed), ends):
        before, volume = volume, judge(add_reading(volume, reading))
        volume = after_shortfall(before, volume)
        yield reading, volume.shortfall is not None


def false_alarms(source: Source, months: int, seed: int = 1) -> int:
    """Return how many alarms there were while nothing was wrong."""
    was_low, alarms = False, 0
    for _, is_low in judged(source, LEARNED.days + months * MONTH.days, seed):
        alarms += is_low and not was_low
        was_low = is_low
    return alarms


def hours_to_detect(source: Source, outages: int) -> list[float]:
    """Return how long each outage lasted until it was noticed; infinite if it wasn't within three weeks."""
    found = []
    for number in range(outages):
        ends = START + LEARNED + timedelta(days=14) + timedelta(hours=7 * number)
        days = (ends + WAITED_FOR - START) / timedelta(days=1)
        noticed = (
            reading.at for reading, is_low in judged(source, days, 100 + number, ends) if is_low and reading.at >= ends
        )
        at = next(noticed, None)
        found.append((at - ends) / timedelta(hours=1) if at else math.inf)
    return found


async def measure(options: Options) -> list[Row]:
    """Judge each kind of source for months, and in outages that begin at all hours of the week."""
    months = FULL_MONTHS if options.full else QUICK_MONTHS
    outages = FULL_OUTAGES if options.full else QUICK_OUTAGES
    return [_row(source, months, outages) for source in SOURCES]


def _row(source: Source, months: int, outages: int) -> Row:
    alarms = false_alarms(source, months) / months
    hours = sorted(hours_to_detect(source, outages))
    middle, slowest = median(hours), hours[-1]
    return Row(
        f"connected, but empty: false alarms per month, and hours until an outage is noticed; {source.name}",
        f"{alarms:.2f}; {_hours(middle)} (at most {_hours(slowest)})",
        goal=f"at most {FALSE_ALARMS_GOAL} false alarms",
        is_met=alarms <= FALSE_ALARMS_GOAL,
        values={"false_alarms_per_month": alarms, "hours": [one if math.isfinite(one) else None for one in hours]},
    )


def _hours(hours: float) -> str:
    return f"{hours:.0f} h" if math.isfinite(hours) else "never"
