"""What very many follow-ups would need: simulated on a virtual clock, multiplied by measured unit costs."""

from __future__ import annotations

import asyncio
import math
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Final

from benchmarks import units
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.simulation import NAIVE_S, Load, Tally, middle_s, simulate
from benchmarks.units import Units
from bot.core.budget import PER_MINUTE

QUICK: Final = Load(workspaces=1_000, seconds=20.0)
FULL: Final = Load(workspaces=50_000, seconds=20.0)
SHARD: Final = 250
"""The number of workspaces that one process simulates at a time."""

QUICK_MEASURED: Final = (12, 10)
FULL_MEASURED: Final = (40, 40)
"""The number of follow-ups, and of rounds of checks."""

COUNTED: Final = ("clicks", "batches", "looks", "calls", "postponed", "naive_calls")

BUSY: Final = 0.5
"""The planned load of each replica (which uses one core) and of each of PostgreSQL's cores."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The resources that the counts and the unit costs add up to; writes and log bytes are per second."""

    writes: float
    log_bytes: float
    replicas: int
    database_cores: int
    kept_bytes: float
    """The size of as many finished follow-ups as are running."""


def needs_of(tally: Tally, load: Load, each: Units) -> Needs:
    """Return the counts multiplied by the unit costs."""
    spent = (each.life * tally.clicks + each.batch * tally.batches + each.look * tally.looks) * (1 / load.seconds)
    return Needs(
        writes=spent.writes,
        log_bytes=spent.log_bytes,
        replicas=math.ceil(spent.cpu_s / BUSY),
        database_cores=math.ceil(spent.database_cpu_s / BUSY),
        kept_bytes=each.kept_bytes * load.follow_ups,
    )


async def measure(options: Options) -> list[Row]:
    """Measure unit costs, simulate many follow-ups, and multiply."""
    each = await units.measure(*(FULL_MEASURED if options.full else QUICK_MEASURED))
    load = FULL if options.full else QUICK
    began_at = time.monotonic()
    tally = await play(load)
    took_s = time.monotonic() - began_at
    return [_units_row(each), _played_row(load, tally, took_s), _needs_row(load, tally, each)]


async def play(load: Load) -> Tally:
    """Simulate the load on all cores, one shard of workspaces after another."""
    loop = asyncio.get_running_loop()
    shards = [range(first, min(first + SHARD, load.workspaces)) for first in range(0, load.workspaces, SHARD)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        tallies = await asyncio.gather(*(loop.run_in_executor(processes, simulate, load, shard) for shard in shards))
    return sum(tallies, Tally())


def _units_row(each: Units) -> Row:
    return Row(
        "cost of a follow-up on PostgreSQL, from click to posted outcome; of another check of a workspace; "
        "of each run in that check",
        f"{each.life.shown}; {each.batch.shown}; {each.look.shown}; {each.kept_bytes / 1000:.1f} kB stay stored",
        values=asdict(each),
    )


def _played_row(load: Load, tally: Tally, took_s: float) -> Row:
    per_minute = 60 / load.seconds / load.workspaces
    late_s, naive_late_s = middle_s(tally.late), middle_s(tally.naive_late)
    return Row(
        f"simulated: {load.follow_ups:,} running follow-ups in {load.workspaces:,} workspaces"
        f"{'' if load == FULL else f' (FULL=1: {FULL.follow_ups:,} in {FULL.workspaces:,})'}, FloKit calls per minute "
        f"and workspace, and median delay, compared with polling every {NAIVE_S:.0f} s",
        f"{tally.calls * per_minute:.0f} against {tally.naive_calls * per_minute:.0f} (FloKit allows {PER_MINUTE}), "
        f"{late_s:.1f} s against {naive_late_s:.1f} s; {tally.calls / load.seconds:,.0f} calls, "
        f"{tally.looks / load.seconds:,.0f} runs checked, {tally.clicks / load.seconds:,.0f} clicks per second; "
        f"{tally.postponed / max(1, tally.looks):.0%} of checks waited for the budget; "
        f"{load.seconds:.0f} s of virtual time took {took_s:.0f} s",
        values={
            **{name: getattr(tally, name) for name in COUNTED},
            "outcomes": dict(tally.outcomes),
            "seconds": load.seconds,
            "took_s": took_s,
        },
    )


def _needs_row(load: Load, tally: Tally, each: Units) -> Row:
    needs = needs_of(tally, load, each)
    return Row(
        f"needed for {load.follow_ups:,} running follow-ups, and {tally.clicks / load.seconds:,.0f} clicks per second "
        f"that replace those that end, with every core {BUSY:.0%} busy",
        f"{needs.replicas:,} replicas with one core each; PostgreSQL with {needs.database_cores:,} cores, "
        f"{needs.writes:,.0f} writes and {needs.log_bytes / 1e6:,.1f} MB of WAL per second, and "
        f"{needs.kept_bytes / 1e9:,.2f} GB for as many finished follow-ups",
        values=asdict(needs),
    )
