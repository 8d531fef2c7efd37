"""Follows the runs of many workspaces in one process, with the bot's own store, worker, follower and FloKit client.

A bot serves one workspace: one Slack token, one FloKit key. To serve many, it would run this loop with a client for
each, so this is what's measured. It leaves out Slack, whose limits are per workspace, not per process.
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime
from functools import partial

from benchmarks.subjects import FOLLOWER_READY
from bot.flokit import Endpoint, FlokitClient
from bot.observability.context import Context, Runtime
from bot.observability.logs import configure_logging
from bot.serving import RUN_SLOTS
from bot.store.bell import Work
from bot.store.budget import SharedBudget
from bot.store.database import Database
from bot.store.ids import new_id
from bot.store.store import Store
from bot.workers.follower import Batch, Follower, claim_batches
from bot.workers.worker import Worker


def _now() -> datetime:
    return datetime.now(UTC)


class Workspaces:
    """Followers by workspace ID, created when they're first needed."""

    def __init__(self, database: Database, store: Store, flokit_url: str) -> None:
        self._database = database
        self._store = store
        self._flokit_url = flokit_url
        self._followers: dict[str, Follower] = {}

    async def follow(self, batch: Batch) -> None:
        """Hand runs of one workspace to its follower."""
        await self.follower_of(batch[0].run.team_id).follow(batch)

    def follower_of(self, team_id: str) -> Follower:
        """Return a workspace's follower; any of them claims for all."""
        if team_id not in self._followers:
            flokit = FlokitClient(
                Endpoint(self._flokit_url, team_id, team_id),
                budget=SharedBudget(self._database, team_id, clock=_now),
                now=_now,
            )
            self._followers[team_id] = Follower(self._store, flokit, Context(team_id, "", _now))
        return self._followers[team_id]


async def _main(given: argparse.Namespace) -> None:
    configure_logging("console", "INFO", secrets=())
    database = Database(given.database)
    store = Store(database, owner=new_id("bot"))
    await store.runs.next_at()
    print(FOLLOWER_READY, flush=True)
    workspaces = Workspaces(database, store, given.flokit)
    await Worker(
        "follower",
        Runtime(_now),
        claim=partial(claim_batches, store),
        work=workspaces.follow,
        next_due_at=store.runs.next_at,
        bell=database.bells[Work.RUNS],
        slots=RUN_SLOTS,
    ).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True, help="SQLAlchemy's URL")
    parser.add_argument("--flokit", required=True, help="the address of the local FloKit")
    asyncio.run(_main(parser.parse_args()))
