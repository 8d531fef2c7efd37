"""The cost of starting, and of an idle bot."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from typing import Final

from benchmarks.arithmetic import Spread, paired_ratio
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.subjects import BOT, ROOT, fetch_calls, running, running_flokit

LIBRARIES: Final = "import slack_bolt.async_app, aiohttp.web, httpx, sqlalchemy.ext.asyncio"
OURS: Final = "from bot.cli import load_build; load_build()"
"""What ``flokit-bot run`` imports at startup."""
GOAL: Final = 1.6
GUARD: Final = 2.0
IDLE_S: Final = 15.0


async def measure(options: Options) -> list[Row]:
    """Measure imports, startup, and an idle bot."""
    return [_imports(options.rounds(5)), *await _idle(options)]


async def guard(_options: Options) -> list[Row]:
    """Measure the imports."""
    return [_imports(4)]


def _imports(rounds: int) -> Row:
    ours, libraries = [], []
    for _ in range(rounds):
        libraries.append(_cpu_s(LIBRARIES))
        ours.append(_cpu_s(OURS))
    ratio = paired_ratio(ours, libraries)
    return Row(
        "CPU time of the imports of `flokit-bot run`, compared with slack_bolt, aiohttp, httpx, SQLAlchemy alone",
        f"{Spread.of(ours).shown('s', digits=2)} against {Spread.of(libraries).shown('s', digits=2)}; "
        f"{ratio.shown(digits=2)}x",
        goal="≤ 1.6x",
        is_met=ratio.median <= GOAL,
        guarded=ratio.median <= GUARD,
        values={"ours_s": ours, "libraries_s": libraries, "ratio": ratio.median},
    )


def _cpu_s(statement: str) -> float:
    """Return the CPU time until it's loaded, without the interpreter's shutdown."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"{statement}; import os; os._exit(0)"], cwd=ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _idle(options: Options) -> list[Row]:
    ready = []
    async with running_flokit() as flokit_url:
        for _ in range(options.rounds(2)):
            async with running(BOT, flokit_url) as subject:
                ready.append(subject.ready_s)
        async with running(BOT, flokit_url, key="idle") as subject:
            before = subject.process.use()
            seconds = options.seconds(IDLE_S)
            await asyncio.sleep(seconds)
            after = subject.process.use()
        calls = (await fetch_calls(flokit_url)).get("idle", 0)
    share = (after.cpu_s - before.cpu_s) / seconds
    return [
        Row(
            "startup until ready, with an empty SQLite file", Spread.of(ready).shown("s", digits=2), values={"s": ready}
        ),
        Row(
            f"idle for an hour (extrapolated from {seconds:.0f} s), without subscriptions",
            f"{after.rss_bytes / 2**20:.0f} MB, {share:.2%} of a core ({share * 3600:.0f} s), {calls} FloKit calls",
            goal="0 calls, < 1 % of a core",
            is_met=calls == 0 and share < 0.01,
            values={"rss_bytes": after.rss_bytes, "of_a_core": share, "flokit_calls": calls},
        ),
    ]
