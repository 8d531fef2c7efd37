"""Simulates how late an outcome is known, using the bot's own decisions and a virtual clock."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.core.models import Integration, Patience, Person, Seen, Status, SyncRun, TriggerAccepted
from bot.core.runs.durations import learn
from bot.core.runs.outcome import attempt, decide

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
BEFORE: Final = START - timedelta(days=1)
HISTORY: Final = 15
"""The number of successful syncs that the store learns from."""

TYPES: Final[dict[str, tuple[float, float]]] = {
    "stripe": (35.0, 0.35),
    "revenuecat": (60.0, 0.30),
    "adapty": (45.0, 0.40),
    "adjust": (90.0, 0.35),
    "appsflyer": (150.0, 0.40),
    "google_play": (240.0, 0.30),
    "app_store_connect": (300.0, 0.25),
    "warehouse": (420.0, 0.50),
}
"""Median in seconds, and the spread of its logarithm. Both are assumptions, because FloKit documents neither."""

INTEGRATIONS_OF_TYPE: Final = 3
BETWEEN_INTEGRATIONS: Final = 0.2
"""The spread between integrations of a type."""

FAMILY: Final = "lognormal"
"""The family that the goal is about. The planner's constants were chosen on its seeds 1 to 3."""


def _draw_lognormal(rng: random.Random, median_s: float, spread: float, _at: float) -> float:
    return median_s * math.exp(rng.gauss(0, spread))


def _draw_bimodal(rng: random.Random, median_s: float, spread: float, _at: float) -> float:
    """Three syncs of five have little to fetch; the others fetch everything."""
    return median_s * (0.3 if rng.random() < 0.6 else 1.6) * math.exp(rng.gauss(0, spread / 2))


def _draw_heavy_tail(rng: random.Random, median_s: float, spread: float, _at: float) -> float:
    """One sync of eight takes longer by a Pareto-distributed factor with an exponent of 1, which has no mean."""
    slower = min(20.0, rng.paretovariate(1.0)) if rng.random() < 1 / 8 else 1.0
    return median_s * slower * math.exp(rng.gauss(0, spread))


def _draw_drifting(rng: random.Random, median_s: float, spread: float, at: float) -> float:
    """From half the median to twice the median, over the trace."""
    return median_s * 4 ** (at - 0.5) * math.exp(rng.gauss(0, spread))


FAMILIES: Final[dict[str, Callable[[random.Random, float, float, float], float]]] = {
    FAMILY: _draw_lognormal,
    "bimodal": _draw_bimodal,
    "heavy tail": _draw_heavy_tail,
    "drifting median": _draw_drifting,
}
"""Draws a duration. Arguments: a source of randomness, the integration's median in seconds, its type's spread, and the
share of the trace that has passed."""


@dataclass(frozen=True, slots=True)
class Sync:
    """One sync of a trace."""

    integration_id: str
    type: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Watched:
    """The result of following one sync."""

    looks: int
    delay_s: float


def make_trace(seed: int, many: int, family: str = FAMILY) -> list[Sync]:
    """Return random syncs of integrations of all types."""
    draw = FAMILIES[family]
    rng = random.Random(seed)
    medians = {
        (type_, number): median_s * math.exp(rng.gauss(0, BETWEEN_INTEGRATIONS))
        for type_, (median_s, _) in TYPES.items()
        for number in range(INTEGRATIONS_OF_TYPE)
    }
    trace = []
    for place in range(many):
        type_, number = rng.choice(list(medians))
        duration_s = draw(rng, medians[type_, number], TYPES[type_][1], place / many)
        trace.append(Sync(f"{type_}-{number}", type_, duration_s))
    return trace


def watch_all(trace: Iterable[Sync], *, patience: Patience | None = None) -> list[Watched]:
    """Follow the syncs one after another as the bot does, learning as the store does."""
    own: dict[str, list[float]] = {}
    of_type: dict[str, list[float]] = {}
    watched = []
    for number, sync in enumerate(trace):
        own_s = own.setdefault(sync.integration_id, [])
        type_s = of_type.setdefault(sync.type, [])
        expected = learn(own_s[-HISTORY:], type_s[-HISTORY:])
        run = SyncRun(
            f"run_{number}",
            "T1",
            sync.integration_id,
            sync.type,
            START,
            Person("U1"),
            patience or Patience(),
            expected=expected,
        )
        looks, told_s = _watch(run, sync)
        own_s.append(told_s)
        type_s.append(told_s)
        watched.append(Watched(looks, told_s - sync.duration_s))
    return watched


def _watch(run: SyncRun, sync: Sync) -> tuple[int, float]:
    """Check until the outcome is known. The baseline isn't counted, because every scheme reads it."""
    before = Integration(sync.integration_id, sync.type, Status.CONNECTED, BEFORE)
    syncing = Integration(sync.integration_id, sync.type, Status.SYNCING, BEFORE)
    ended_at = START + timedelta(seconds=sync.duration_s)
    after = Integration(sync.integration_id, sync.type, Status.CONNECTED, ended_at)
    run = attempt(decide(run, Seen(before), START).run, START)
    decision = decide(run, TriggerAccepted("sync_1"), START)
    looks = 0
    while decision.next_look_at and decision.run.outcome is None:
        now = decision.next_look_at
        looks += 1
        decision = decide(decision.run, Seen(after if now >= ended_at else syncing), now)
    assert decision.run.ended_at is not None
    return looks, (decision.run.ended_at - START).total_seconds()


def poll_all(trace: Iterable[Sync], look_after_s: Callable[[int], float]) -> list[Watched]:
    """Follow by a fixed scheme: ``look_after_s`` returns the pause before each check, counted from 0."""
    watched = []
    for sync in trace:
        looks, now_s = 0, 0.0
        while True:
            now_s += look_after_s(looks)
            looks += 1
            if now_s >= sync.duration_s:
                break
        watched.append(Watched(looks, now_s - sync.duration_s))
    return watched


def mean_looks(watched: Sequence[Watched]) -> float:
    """Return the number of checks per sync."""
    return sum(one.looks for one in watched) / len(watched)


def at_equal_calls(
    trace: Sequence[Sync], scheme: Callable[[float], Callable[[int], float]], looks: float
) -> list[Watched]:
    """Follow by the scheme, with the parameter (in seconds) that makes it use as many checks, found by bisection."""
    low, high = 0.05, 600.0
    for _ in range(40):
        middle = math.sqrt(low * high)
        if mean_looks(poll_all(trace, scheme(middle))) > looks:
            low = middle
        else:
            high = middle
    return poll_all(trace, scheme(low))  # slightly more checks than the bot, never fewer
