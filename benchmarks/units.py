"""Measures what one follow-up, and one check of it, cost the bot and its PostgreSQL.

The *life* of a follow-up is everything from its click to its outcome in the thread, measured with a real bot process, a
Slack and a FloKit, for a sync that ends immediately. Each further *look* (check) is measured with the bot's own store,
follower and FloKit client in this process, whose virtual clock moves from one check to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Integer, TextClause, text

from benchmarks.load import Hand
from benchmarks.subjects import BOT, TICKS_PER_S, running, running_flokit, stat_fields
from bot.core.models import Integration, Patience, Person, Status
from bot.core.requests import Origin, Request, RequestKind
from bot.flokit import Endpoint, FlokitClient
from bot.observability.context import Context
from bot.observability.logs import configure_logging
from bot.store import tables
from bot.store.budget import SharedBudget
from bot.store.database import Database
from bot.store.runs import StartSync
from bot.store.store import Store
from bot.workers.follower import Follower, claim_batches
from soak.databases import PostgresServer

PER_S: Final = 0.5
"""Clicks per second: few enough that no message update has to wait for Slack's rate limits."""
FREED_AFTER: Final = 10
"""The number of clicks that fit into a minute's budget."""
WARM_UP: Final = 3
IDLE_S: Final = 5.0
ENDS_WITHIN_S: Final = 60.0
"""How long to wait after the last click."""

IN_ONE: Final = 20
"""Follow-ups in the larger workspaces, whose checks are compared with those of workspaces with one."""
WORKSPACES: Final = 20
"""The number of workspaces with one."""
STEP: Final = timedelta(seconds=62)
"""Longer than any pause between two checks, and than a budget slot is busy."""
MOST: Final = 100
PATIENCE: Final = Patience(deadline_s=1e6)

KEPT: Final = (tables.runs, tables.participants, tables.threads, tables.outbox, tables.inbox, tables.audit)
"""What a follow-up leaves behind."""
IDS: Final = frozenset({"id", "run_id", "thread_id"})
"""Columns that must differ between copies."""
COPIES: Final = 200

PARENT, OWN_TIMES, ENDED_CHILDRENS_TIMES = 1, slice(11, 13), slice(13, 15)

_TOLD: Final = text("SELECT count(*) FROM runs WHERE outcome IS NOT NULL")
_WAITING: Final = text("SELECT count(*) FROM outbox WHERE due_at IS NOT NULL")
_FREE: Final = text("UPDATE budget SET free_at = '2000-01-01Z'")
_LEAVE: Final = text("UPDATE runs SET due_at = NULL")
_USED: Final = text(
    "SELECT pg_backend_pid(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint, "
    "pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost, in total or per unit."""

    cpu_s: float
    """CPU time of the bot."""
    database_cpu_s: float
    """CPU time of PostgreSQL's processes."""
    writes: float
    """Transactions that wrote."""
    log_bytes: float
    """Size of PostgreSQL's write-ahead log."""

    def __sub__(self, other: Cost) -> Cost:
        """Return the difference, at least 0 because noise can't be a gain."""
        return Cost(
            max(0.0, self.cpu_s - other.cpu_s),
            max(0.0, self.database_cpu_s - other.database_cpu_s),
            max(0.0, self.writes - other.writes),
            max(0.0, self.log_bytes - other.log_bytes),
        )

    def __add__(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            self.cpu_s + other.cpu_s,
            self.database_cpu_s + other.database_cpu_s,
            self.writes + other.writes,
            self.log_bytes + other.log_bytes,
        )

    def __mul__(self, times: float) -> Cost:
        """Return the cost multiplied."""
        return Cost(self.cpu_s * times, self.database_cpu_s * times, self.writes * times, self.log_bytes * times)

    @property
    def shown(self) -> str:
        """Format it for people."""
        return (
            f"{self.cpu_s * 1000:.2f} ms of the bot, {self.database_cpu_s * 1000:.2f} ms of PostgreSQL, "
            f"{self.writes:.1f} writes, {self.log_bytes / 1000:.1f} kB of its log"
        )


@dataclass(frozen=True, slots=True)
class Units:
    """The unit costs.

    Args:
        life: a follow-up from its click to its outcome in the thread, with the two or three checks of a short sync.
        batch: another check of a workspace, however many runs share it.
        look: each run in such a check.
        kept_bytes: what a finished follow-up takes in the database, with its indexes.
    """

    life: Cost
    batch: Cost
    look: Cost
    kept_bytes: float


def split(alone: Cost, together: Cost, many: int) -> tuple[Cost, Cost]:
    """Return the cost of a check and of each of its runs, from checks of one run and of ``many``."""
    look = (together - alone) * (1 / (many - 1))
    return alone - look, look


async def measure(follow_ups: int, rounds: int) -> Units:
    """Measure some follow-ups and some rounds of checks, on a PostgreSQL that's started for it."""
    configure_logging("console", "WARNING", secrets=())
    server = PostgresServer()
    await server.start()
    database = Database(server.url)
    try:
        life, kept_bytes = await _measure_life(database, server.url, follow_ups)
        alone, together = await _measure_looks(database, rounds)
    finally:
        await database.close()
        await server.stop()
    return Units(life, *split(alone, together, IN_ONE), kept_bytes)


async def _measure_life(database: Database, url: str, many: int) -> tuple[Cost, float]:
    async with (
        running_flokit(integrations=2 * many, sync_s=0.5) as flokit_url,
        running(BOT, flokit_url, settings={"DATABASE_URL": url}) as bot,
    ):
        deliver = partial(Hand(bot.slack, is_bot=True).deliver, "click")
        meter = Meter(database, lambda: bot.process.use().cpu_s)
        await _until_told(database, deliver, WARM_UP)
        began, began_at = await meter.read(), time.monotonic()
        await asyncio.sleep(IDLE_S)
        idle = (await meter.read() - began) * (1 / (time.monotonic() - began_at))
        began, began_at = await meter.read(), time.monotonic()
        frees = await _until_told(database, deliver, many)
        spent = await meter.read() - began
        spent = replace(spent, writes=spent.writes - frees) - idle * (time.monotonic() - began_at)
        return spent * (1 / many), await _kept_bytes(database)


async def _kept_bytes(database: Database) -> float:
    """Return the size of a finished follow-up. Rows are copied many times, because tables grow by whole pages."""
    size = 0
    async with database.begin() as connection:
        for table in KEPT:
            names = [column.name for column in table.columns]
            copied = [_copied(column) for column in table.columns]
            await connection.execute(text(f"CREATE TABLE kept_{table.name} (LIKE {table.name} INCLUDING INDEXES)"))
            await connection.execute(
                text(
                    f"INSERT INTO kept_{table.name} ({', '.join(names)}) "  # noqa: S608 - our own names
                    f"SELECT {', '.join(copied)} FROM {table.name}, generate_series(1, {COPIES}) AS copy"
                )
            )
            size += await connection.scalar(text(f"SELECT pg_total_relation_size('kept_{table.name}')")) or 0
        return size / COPIES / (await connection.scalar(_TOLD) or 1)


def _copied(column: Column[Any]) -> str:
    if column.name not in IDS:
        return column.name
    return f"{column.name} + copy * 1000000" if isinstance(column.type, Integer) else f"{column.name} || '-' || copy"


async def _until_told(database: Database, click: Callable[[], Awaitable[float]], many: int) -> int:
    """Click, and wait until every outcome is posted. Lifts FloKit's limit regularly; returns how often."""
    told = await _read(database, _TOLD) + many
    for number in range(many):
        if number % FREED_AFTER == 0:
            async with database.begin() as connection:
                await connection.execute(_FREE)
        await click()
        await asyncio.sleep(1 / PER_S)
    async with asyncio.timeout(ENDS_WITHIN_S):
        while await _read(database, _TOLD) < told or await _read(database, _WAITING):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.25)
    return math.ceil(many / FREED_AFTER)


async def _read(database: Database, query: TextClause) -> int:
    async with database.begin() as connection:
        return int(await connection.scalar(query) or 0)


async def _measure_looks(database: Database, rounds: int) -> tuple[Cost, Cost]:
    """Return the cost of a check in a workspace with one follow-up, and in one with many."""
    async with running_flokit(integrations=IN_ONE, latency_s=0.0) as flokit_url:
        alone = await _Looker(database, flokit_url, [f"T{number}" for number in range(WORKSPACES)], 1).measure(rounds)
        together = await _Looker(database, flokit_url, ["TMANY"], IN_ONE).measure(rounds)
    return alone, together


class _Looker:
    """Follows runs whose syncs keep running, with a virtual clock."""

    def __init__(self, database: Database, flokit_url: str, team_ids: Sequence[str], per_team: int) -> None:
        self._now = datetime.now(UTC)
        self._database = database
        self._team_ids = team_ids
        self._per_team = per_team
        self._store = Store(database, owner="units")
        self._clients = {team_id: self._client(flokit_url, team_id) for team_id in team_ids}
        self._followers = {
            team_id: Follower(self._store, client, Context(team_id, "", self._clock))
            for team_id, client in self._clients.items()
        }

    async def measure(self, rounds: int) -> Cost:
        """Return the average cost of one check of a workspace."""
        try:
            await self._open()
            for _ in range(WARM_UP):
                await self._round()
            meter = Meter(self._database, time.process_time)
            began, batches = await meter.read(), 0
            for _ in range(rounds):
                batches += await self._round()
            return (await meter.read() - began) * (1 / batches)
        finally:
            async with self._database.begin() as connection:
                await connection.execute(_LEAVE)
            for client in self._clients.values():
                await client.aclose()

    async def _open(self) -> None:
        person = Person("UANA", "ana")
        for team_id in self._team_ids:
            for number in range(self._per_team):
                origin = Origin(team_id, person, f"C{number}", message_ts=f"1700000000.{number:06d}")
                request = Request(f"{team_id}-{number}", RequestKind.PRESS, origin, self._now)
                integration = Integration(f"int_{number:05d}", "stripe", Status.CONNECTED)
                await self._store.inbox.add(request)
                await self._store.runs.start_sync(StartSync(request, integration, "units", PATIENCE), self._now)

    async def _round(self) -> int:
        """Follow everything once. Return the number of checked workspaces."""
        self._now += STEP
        batches = await claim_batches(self._store, self._now, MOST)
        await asyncio.gather(*(self._followers[batch[0].run.team_id].follow(batch) for batch in batches))
        return len({batch[0].run.team_id for batch in batches})

    def _client(self, flokit_url: str, team_id: str) -> FlokitClient:
        return FlokitClient(
            Endpoint(flokit_url, team_id, team_id),
            budget=SharedBudget(self._database, team_id, clock=self._clock),
            clock=lambda: self._clock().timestamp(),
            now=self._clock,
        )

    def _clock(self) -> datetime:
        return self._now


class Meter:
    """Reads the usage of the bot and the database."""

    def __init__(self, database: Database, cpu_s: Callable[[], float]) -> None:
        self._database = database
        self._cpu_s = cpu_s

    async def read(self) -> Cost:
        """Return the usage so far. The next transaction ID counts the writing transactions."""
        async with self._database.begin() as connection:
            backend, transactions, log_bytes = (await connection.execute(_USED)).one()
        return Cost(self._cpu_s(), family_cpu_s(backend), float(transactions), float(log_bytes))


def family_cpu_s(child: int) -> float:
    """Return the CPU time of a process's parent and all of the parent's children, including exited ones."""
    parent = int(stat_fields(child)[PARENT])
    ticks = sum(int(one) for one in stat_fields(parent)[OWN_TIMES] + stat_fields(parent)[ENDED_CHILDRENS_TIMES])
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it exited meanwhile
                fields = stat_fields(int(folder.name))
                if int(fields[PARENT]) == parent:
                    ticks += sum(int(one) for one in fields[OWN_TIMES])
    return ticks / TICKS_PER_S
