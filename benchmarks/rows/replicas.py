"""What more replicas do on one PostgreSQL: whether they get in each other's way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.report import Row
from benchmarks.seeding import Plan, claims_between, seed, start, watch_claims
from benchmarks.subjects import running_flokit, running_follower
from bot.store.database import Database
from soak.databases import PostgresServer

if TYPE_CHECKING:
    from benchmarks.options import Options

REPLICAS: Final = (1, 2, 4)
PLAN: Final = Plan(many=2000, per_workspace=20, every_s=1.0)
"""More looks than two cores can make, so that there is always one to claim."""

WARMS_UP_S: Final = 3.0
SECONDS: Final = 6.0
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
    """Let one, two and four replicas work at more than they can do, each time on a database anew."""
    seconds = options.seconds(SECONDS)
    async with running_flokit(integrations=PLAN.per_workspace, syncing=True) as flokit_url:
        measured = [await _measure(many, flokit_url, seconds) for many in REPLICAS]
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


async def _measure(replicas: int, flokit_url: str, seconds: float) -> Measured:
    server = PostgresServer()
    try:
        await server.start()
        database = Database(server.url)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            await watch_claims(database)
            await seed(database, PLAN)
            processes = [
                await stack.enter_async_context(running_follower(server.url, flokit_url)) for _ in range(replicas)
            ]
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
        return Measured(replicas, looks / (end_at - begin_at), lost, claims)
    finally:
        await server.stop()
