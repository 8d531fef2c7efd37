"""The cost of a follow-up in a process with 100, 1,000 or 10,000 of them: memory, CPU time, lateness."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.arithmetic import percentile
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.seeding import Plan, claims_between, seed, start, watch_claims
from benchmarks.slack import TEAM_ID
from benchmarks.subjects import BOT, Process, running, running_flokit, running_follower
from bot.store import schema
from bot.store.database import Database

PER_WORKSPACE: Final = 20
LOOKS_PER_S: Final = 160.0
EVERY_S: Final = 10_000 / LOOKS_PER_S
PLANS: Final = (
    Plan(100, PER_WORKSPACE, EVERY_S / 10),  # the cost of few checks can't be told from idling
    Plan(1000, PER_WORKSPACE, EVERY_S),
    Plan(10_000, PER_WORKSPACE, EVERY_S),
)
IN_ONE_WORKSPACE: Final = 1000
EVERY_IN_ONE_S: Final = IN_ONE_WORKSPACE / LOOKS_PER_S

SECONDS: Final = 25.0
IDLE_S: Final = 3.0
WARMS_UP_S: Final = 5.0
GOAL_BYTES: Final = 6000
GOAL_SHARE: Final = 0.25
GOAL_LAG_S: Final = 1.0
FLAT: Final = 1.2


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of one process.

    Args:
        many: the number of follow-ups.
        seconds: how long it was measured.
        cpu_s: the CPU time that it used meanwhile.
        idle_share: share of a core without follow-ups.
        grown_bytes: memory above that of the process without follow-ups.
        late_s: how late each claim was; 0 for a run that was checked along with others, before it was due.
    """

    many: int
    seconds: float
    cpu_s: float
    idle_share: float
    grown_bytes: int
    late_s: list[float]

    @property
    def share(self) -> float:
        """The share of a core, in total."""
        return self.cpu_s / self.seconds

    @property
    def look_s(self) -> float:
        """CPU time per check, above idle."""
        return (self.share - self.idle_share) * self.seconds / len(self.late_s)

    @property
    def each_bytes(self) -> float:
        """Memory per follow-up, above idle."""
        return self.grown_bytes / self.many

    @property
    def p99_s(self) -> float:
        """The 99th percentile of lateness."""
        return percentile(self.late_s, 0.99)


async def measure(options: Options) -> list[Row]:
    """Measure all sizes at the same time, each in its own process, and one workspace with a whole bot."""
    # The first check of a workspace takes longest; only the long run can wait until those are over.
    warms_up_s = EVERY_S + WARMS_UP_S if options.full else WARMS_UP_S
    seconds = max(SECONDS, EVERY_S if options.full else options.seconds(SECONDS))
    async with contextlib.AsyncExitStack() as stack:
        flokit_url = await stack.enter_async_context(running_flokit(integrations=PER_WORKSPACE, syncing=True))
        following = [await stack.enter_async_context(_following(flokit_url)) for _ in PLANS]
        whole_bot = asyncio.create_task(_in_one_workspace(warms_up_s, seconds))
        measured = await asyncio.gather(
            *(
                _measure(process, database, plan, warms_up_s, seconds)
                for plan, (process, database) in zip(PLANS, following, strict=True)
            )
        )
        return [*_rows(measured), await whole_bot]


@contextlib.asynccontextmanager
async def _following(flokit_url: str) -> AsyncIterator[tuple[Process, Database]]:
    """Run a process that follows, on its own SQLite file."""
    with tempfile.TemporaryDirectory(prefix="flokit-bench-") as folder:
        database = Database(f"sqlite+aiosqlite:///{folder}/flokit.db")
        await schema.upgrade(database)
        await watch_claims(database)
        try:
            async with running_follower(f"sqlite+aiosqlite:///{database.file}", flokit_url) as process:
                yield process, database
        finally:
            await database.close()


async def _in_one_workspace(warms_up_s: float, seconds: float) -> Row:
    """Run a whole bot that follows many runs of its workspace, including updates of their progress in Slack."""
    with tempfile.TemporaryDirectory(prefix="flokit-bench-", ignore_cleanup_errors=True) as folder:
        database = Database(f"sqlite+aiosqlite:///{Path(folder) / 'flokit.db'}")
        await schema.upgrade(database)
        await watch_claims(database)
        plan = Plan(IN_ONE_WORKSPACE, IN_ONE_WORKSPACE, EVERY_IN_ONE_S, TEAM_ID)
        settings = {"DATABASE_URL": f"sqlite+aiosqlite:///{database.file}"}
        async with (
            running_flokit(integrations=IN_ONE_WORKSPACE, syncing=True) as flokit_url,
            running(BOT, flokit_url, settings=settings) as subject,
        ):
            measured = await _measure(subject.process, database, plan, warms_up_s, seconds)
            edits = subject.slack.calls
        await database.close()
    return Row(
        f"{IN_ONE_WORKSPACE} follow-ups in one workspace, with a whole bot, each checked every {EVERY_IN_ONE_S:.0f} s",
        f"{_shown(measured)}; {edits} calls to Slack",
        values=_values(measured),
    )


async def _measure(process: Process, database: Database, plan: Plan, warms_up_s: float, seconds: float) -> Measured:
    idle, idle_at = process.use(), time.monotonic()
    await asyncio.sleep(IDLE_S)
    empty = process.use()
    idle_share = (empty.cpu_s - idle.cpu_s) / (time.monotonic() - idle_at)
    await seed(database, plan)
    await start(database, plan, 1.0)
    await asyncio.sleep(warms_up_s)
    process.check()
    before, begin_at = process.use(), time.time()
    await asyncio.sleep(seconds)
    after, end_at = process.use(), time.time()
    return Measured(
        plan.many,
        end_at - begin_at,
        after.cpu_s - before.cpu_s,
        idle_share,
        after.rss_bytes - empty.rss_bytes,
        [max(0.0, late_s) for late_s in await claims_between(database, begin_at, end_at)],
    )


def _rows(measured: list[Measured]) -> list[Row]:
    growth = measured[-1].look_s / measured[0].look_s
    title = f"in one process, {PER_WORKSPACE} per workspace, each checked every {EVERY_S:.0f} s"
    rows = [
        Row(
            f"{one.many} follow-ups {title}",
            _shown(one),
            goal=f"≤ {GOAL_BYTES // 1000} kB each, < {GOAL_SHARE:.0%} of a core, p99 late < {GOAL_LAG_S:.0f} s",
            is_met=one.each_bytes <= GOAL_BYTES and one.share < GOAL_SHARE and one.p99_s < GOAL_LAG_S,
            values=_values(one),
        )
        for one in measured[1:]
    ]
    shown = ", ".join(f"{one.look_s * 1000:.2f}" for one in measured)
    return [
        *rows,
        Row(
            f"CPU time per check with {', '.join(str(one.many) for one in measured)} follow-ups",
            f"{shown} ms; the last is {growth:.2f}x the first",
            goal=f"flat: ≤ {FLAT}x",
            is_met=growth <= FLAT,
            values={str(one.many): one.look_s for one in measured},
        ),
    ]


def _shown(one: Measured) -> str:
    per_s = len(one.late_s) / one.seconds
    return (
        f"{one.each_bytes / 1000:.1f} kB each, {one.share:.1%} of a core at {per_s:.0f} checks/s "
        f"({one.look_s * 1000:.2f} ms each), claims late by {percentile(one.late_s, 0.5) * 1000:.0f} / "
        f"{one.p99_s * 1000:.0f} ms (p50 / p99)"
    )


def _values(one: Measured) -> dict[str, float]:
    return {
        "each_bytes": one.each_bytes,
        "of_a_core": one.share,
        "idle": one.idle_share,
        "looks_per_s": len(one.late_s) / one.seconds,
        "look_s": one.look_s,
        "late_p50_s": percentile(one.late_s, 0.5),
        "late_p99_s": one.p99_s,
    }
