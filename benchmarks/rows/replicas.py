"""Whether replicas on one PostgreSQL get in each other's way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.seeding import Plan, claims_between, rest, seed, start, watch_claims
from benchmarks.subjects import running_flokit, running_follower
from bot.store.database import Database
from soak.databases import PostgresServer

REPLICAS: Final = (1, 2, 4)
PLAN: Final = Plan(many=2000, per_workspace=20, every_s=1.0)
"""More checks than two cores can make, so that there's always one to claim."""

WARMS_UP_S: Final = 3.0
SECONDS: Final = 6.0
SETTLES_S: Final = 1.0
"""Until the server notices that the processes are gone."""

KEPT: Final = 0.9
"""The share of one replica's rate: PostgreSQL, the local FloKit and all replicas run on two cores."""
LOST: Final = 0.01


@dataclass(frozen=True, slots=True)
class Measured:
    """The combined result of some replicas."""

    replicas: int
    looks_per_s: float
    lost: int
    """Claims that were lost because another replica had taken over the run."""
    claims: int

    @property
    def lost_share(self) -> float:
        """Of all claims."""
        return self.lost / max(self.claims, 1)


async def measure(options: Options) -> list[Row]:
    """Run one, two and four replicas, one after another, with more work than they can do."""
    seconds = options.seconds(SECONDS)
    server = PostgresServer()
    try:
        await server.start()
        database = Database(server.url)
        async with running_flokit(integrations=PLAN.per_workspace, syncing=True) as flokit_url:
            await watch_claims(database)
            await seed(database, PLAN)
            measured = [await _measure(many, database, server.url, flokit_url, seconds) for many in REPLICAS]
        await database.close()
    finally:
        await server.stop()
    one = measured[0]
    ratio = min(each.looks_per_s for each in measured) / one.looks_per_s
    lost = max(each.lost_share for each in measured)
    shown = ", ".join(f"{each.replicas}: {each.looks_per_s:.0f}" for each in measured)
    return [
        Row(
            f"checks per second by {', '.join(map(str, REPLICAS))} replicas on PostgreSQL, at full load",
            f"{shown}; the lowest is {ratio:.2f} of one replica's; claims lost {lost:.2%}",
            goal=f"≥ {KEPT} of one replica's on two cores, claims lost < {LOST:.0%}",
            is_met=ratio >= KEPT and lost < LOST,
            values={
                str(each.replicas): {"looks_per_s": each.looks_per_s, "claims": each.claims, "lost": each.lost}
                for each in measured
            },
        )
    ]


async def _measure(replicas: int, database: Database, url: str, flokit_url: str, seconds: float) -> Measured:
    async with contextlib.AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(running_follower(url, flokit_url)) for _ in range(replicas)]
        await start(database, PLAN, 0.0)
        began_at = time.time()
        await asyncio.sleep(WARMS_UP_S)
        begin_at = time.time()
        await asyncio.sleep(seconds)
        end_at = time.time()
        for process in processes:
            process.check()
        looks = len(await claims_between(database, begin_at, end_at))
        claims = len(await claims_between(database, began_at, time.time()))
        lost = sum(process.log.count("claim_lost") for process in processes)
    await asyncio.sleep(SETTLES_S)
    await rest(database)
    return Measured(replicas, looks / (end_at - begin_at), lost, claims)
