"""What more replicas do on one PostgreSQL: whether they get in each other's way."""

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
"""More looks than two cores can make, so that there is always one to claim."""

WARMS_UP_S: Final = 3.0
SECONDS: Final = 6.0
SETTLES_S: Final = 1.0
"""Until the server has noticed that the processes are gone."""

KEPT: Final = 0.9
"""Of what one replica does: two cores have PostgreSQL, FloKit's stand-in and all replicas to run."""
LOST: Final = 0.01


@dataclass(frozen=True, slots=True)
class Measured:
    """What some replicas did together."""

    replicas: int
    looks_per_s: float
    lost: int
    """Claims of which one of them heard, too late, that another had taken the run over."""
    claims: int

    @property
    def lost_share(self) -> float:
        """Of all claims."""
        return self.lost / max(self.claims, 1)


async def measure(options: Options) -> list[Row]:
    """Let one, two and four replicas, one after the other, work at more than they can do."""
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
            f"looks a second of {', '.join(map(str, REPLICAS))} replicas on PostgreSQL, as many as they can",
            f"{shown}; the least is {ratio:.2f} of one's; claims lost {lost:.2%}",
            goal=f"≥ {KEPT} of one's on two cores, claims lost < {LOST:.0%}",
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
