"""``python -m benchmarks``: measure, print the table, write ``benchmarks/results.json``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.options import Options
from benchmarks.report import MISSED, Row, heading, machine, table, write
from benchmarks.rows import (
    acks,
    clicks,
    delay,
    followups,
    life,
    replicas,
    scale,
    simulation,
    sizes,
    startup,
    throughput,
    volumes,
    workspaces,
)
from benchmarks.table import RESULTS

QUICK_MINUTES: Final = 4.0

ROWS: Final[dict[str, Callable[[Options], Awaitable[list[Row]]]]] = {
    "acks": acks.measure,
    "clicks": clicks.measure,
    "throughput": throughput.measure,
    "life": life.measure,
    "followups": followups.measure,
    "delay": delay.measure,
    "startup": startup.measure,
    "scale": scale.measure,
    "replicas": replicas.measure,
    "workspaces": workspaces.measure,
    "simulation": simulation.measure,
    "volumes": volumes.measure,
    "sizes": sizes.measure,
}
ONLY_WHEN_NAMED: Final = frozenset({"sizes"})
"""Left out by default, because it needs the package index."""
TOGETHER: Final = frozenset({"followups", "delay", "simulation"})
"""These mostly wait, or count without a clock. They run at the same time, after the others."""
GUARDS: Final[tuple[Callable[[Options], Awaitable[list[Row]]], ...]] = (
    acks.guard,
    throughput.guard,
    life.guard,
    delay.guard,
    startup.guard,
)
"""What CI checks, with generous margins; run with ``--rows guard``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rows that were asked for. Return 1 if a guarded ratio is broken, else 0."""
    given = _parser().parse_args(arguments)
    options = Options(scale=5.0 if given.full else given.minutes / QUICK_MINUTES, full=given.full)
    names = [name for name in given.rows.split(",") if name] or [name for name in ROWS if name not in ONLY_WHEN_NAMED]
    about = machine() | {"took_s": {}}
    began_at = time.monotonic()
    rows = asyncio.run(_measure(names, options, about["took_s"]))
    about["all_took_s"] = round(time.monotonic() - began_at, 1)
    print(f"{heading(about)}\n\n{table(rows)}")
    missed, broken = [row for row in rows if row.verdict == MISSED], [row for row in rows if row.guarded is False]
    print(f"\n{len(rows)} rows, {len(missed)} goals missed, {len(broken)} guards broken")
    if given.output:
        write(given.output, rows, about)
    for row in broken:
        print(f"BROKEN: {row.what}: {row.measured}")
    return int(bool(broken))


async def _measure(names: Sequence[str], options: Options, took_s: dict[str, float]) -> list[Row]:
    found: dict[str, list[Row]] = {}

    async def measure(name: str) -> None:
        began_at = time.monotonic()
        found[name] = []
        for row in GUARDS if name == "guard" else (ROWS[name],):
            found[name] += await row(options)
        took_s[name] = round(time.monotonic() - began_at, 1)
        print(f"{name}: {took_s[name]:.0f} s", file=sys.stderr, flush=True)

    for name in names:
        if name not in TOGETHER:
            await measure(name)
    await asyncio.gather(*(measure(name) for name in names if name in TOGETHER))
    return [row for name in names for row in found[name]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rows",
        default="",
        help=f"some of {', '.join(ROWS)}, or guard; all by default, except {', '.join(ONLY_WHEN_NAMED)}, which "
        "installs peers from the package index",
    )
    parser.add_argument(
        "--minutes", type=float, default=QUICK_MINUTES, help="about how long to measure; more minutes mean more rounds"
    )
    parser.add_argument("--full", action="store_true", help="use the sizes of docs/performance.md; takes half an hour")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where to write the JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
