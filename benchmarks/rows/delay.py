"""How late an outcome is known for the same number of looks: the bot's decisions against two ways of polling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.arithmetic import Spread, paired_ratio, percentile
from benchmarks.delays import at_equal_calls, make_trace, mean_looks, watch_all
from benchmarks.report import Row
from bot.core.outcome import BACKOFF

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.options import Options

SYNCS: Final = 1000
GOAL: Final = 0.5
GUARD: Final = 0.65


def fixed(pause_s: float) -> Callable[[int], float]:
    """Look every so often."""
    return lambda _looks: pause_s


def exponential(pause_s: float) -> Callable[[int], float]:
    """Wait half as long again each time."""
    return lambda looks: pause_s * BACKOFF**looks


async def measure(options: Options) -> list[Row]:
    """Play the same traces to all three."""
    return [_row(options.rounds(4))]


async def guard(_options: Options) -> list[Row]:
    """Play two of them."""
    return [_row(2)]


def _row(seeds: int) -> Row:
    looks: list[float] = []
    late: dict[str, list[float]] = {"bot": [], "fixed": [], "exponential": []}
    for seed in range(seeds):
        trace = make_trace(seed, SYNCS)
        ours = watch_all(trace)
        looks.append(mean_looks(ours))
        theirs = {"fixed": fixed, "exponential": exponential}
        late["bot"].append(percentile([one.delay_s for one in ours], 0.5))
        for name, scheme in theirs.items():
            watched = at_equal_calls(trace, scheme, looks[-1])
            late[name].append(percentile([one.delay_s for one in watched], 0.5))
    of_fixed, of_exponential = (paired_ratio(late["bot"], late[name]) for name in ("fixed", "exponential"))
    worst = max(of_fixed.median, of_exponential.median)
    shown = ", ".join(f"{name} {Spread.of(values).shown('s')}" for name, values in late.items())
    return Row(
        f"median delay from a sync's end to its outcome, {SYNCS} syncs, {seeds} seeds, equal calls",
        f"{shown}; {Spread.of(looks).shown()} looks a sync; {of_fixed.shown(digits=2)} of fixed, "
        f"{of_exponential.shown(digits=2)} of exponential",
        goal="≤ 0.5 of both",
        is_met=worst <= GOAL,
        guarded=worst <= GUARD,
        values={"looks": looks, "median_delay_s": late, "of_fixed": of_fixed.median},
    )
