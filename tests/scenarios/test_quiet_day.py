"""A day without any activity, on a virtual clock: what's written, and which tables grow."""

from __future__ import annotations

import weakref
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Delete, Insert, Update, func, select

from bot.core.access.policy import Policy
from bot.flokit import endpoint_of
from bot.handlers.doctor import Live
from bot.observability.context import Runtime
from bot.serving import OneWorkspace, make_workers
from bot.settings.settings import load_settings
from bot.slack.client import SlackClient
from bot.store import schema
from bot.store.database import Database
from bot.store.replicas import Replicas
from bot.store.retention import Retention
from bot.store.store import Store
from bot.store.tables import metadata
from bot.store.timers import Timers
from bot.workers.housekeeper import BEAT_EVERY, Housekeeper
from bot.workspace import Base, Tenant, build_workspace
from sandbox.local_flokit import READ_KEY, LocalFlokit
from sandbox.slack import flokit_slack
from tests.adapters.conftest import Make, VirtualClock
from tests.statements import watched

DAY = timedelta(days=1)
SPAN = DAY / 4
"""The quarter of the day in which its digest is due; the others are alike."""

WRITES_PER_MINUTE = 10
"""Six heartbeats; a FloKit request from the budget and the timer of the next check; and occasionally a change."""

INTEGRATIONS = 20
SYNCED_EVERY = timedelta(hours=1)
"""FloKit syncs on a schedule of its own."""


class Office:
    """The bot's workers and housekeeper, which run only when the clock says so."""

    def __init__(self, workers, database, store, flokit, clock):
        self.workers, self.database, self.store, self.flokit, self.clock = workers, database, store, flokit, clock
        self.housekeeper = Housekeeper(
            Replicas(database, "me"), Retention(database), keep=30 * DAY, clock=clock, connections=lambda: None
        )

    async def do_what_is_due(self):
        """Let the workers do everything that's due; return when more will be."""
        while True:
            dues = [(at, worker) for worker in self.workers if (at := await worker._next_due_at())]
            if not any(at <= self.clock() for at, _ in dues):
                return min((at for at, _ in dues), default=None)
            for worker in [worker for at, worker in dues if at <= self.clock()]:
                for piece in await worker._claim(self.clock(), worker._slots):
                    await worker._work(piece)

    async def live(self, span):
        """Let time pass."""
        end = self.clock() + span
        beat_at = due_at = synced_at = self.clock()
        while self.clock() < end:
            if self.clock() >= synced_at:
                for number in range(INTEGRATIONS):
                    self.flokit.set(f"int_{number}", last_synced_at=self.clock())
                synced_at += SYNCED_EVERY
            if self.clock() >= beat_at:
                await self.housekeeper.turn()
                beat_at += BEAT_EVERY
            if due_at and self.clock() >= due_at:
                due_at = await self.do_what_is_due()
            wake_at = min(beat_at, due_at or beat_at)
            self.clock.advance(max((wake_at - self.clock()).total_seconds(), 0))

    async def sizes(self):
        """Return the number of rows of each table."""
        async with self.database.read() as connection:
            counts = {name: select(func.count()).select_from(table) for name, table in metadata.tables.items()}
            return {name: await connection.scalar(count) for name, count in counts.items()}


@asynccontextmanager
async def opened(folder, url, monkeypatch):
    """Run a bot between a local Slack and a local FloKit, all on one clock."""
    clock = VirtualClock()
    slack, flokit = flokit_slack(clock=clock.timestamp), LocalFlokit(clock=clock)
    await slack.start()
    await flokit.start()
    for number in range(INTEGRATIONS):
        flokit.add(f"int_{number}", "stripe")
    tokens = slack.installation.tokens
    settings = {
        "SLACK_BOT_TOKEN": tokens.bot,
        "SLACK_APP_TOKEN": tokens.app,
        "SLACK_API_URL": slack.api_url,
        "FLOKIT_API_KEY": READ_KEY,
        "FLOKIT_API_URL": flokit.url,
        "DATABASE_URL": url,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    database = Database(url)
    client = SlackClient(tokens.bot, api_url=slack.api_url)
    store, timers = Store(database, owner="me"), Timers(database, owner="me", lease_s=10)
    try:
        await schema.upgrade(database)
        identity = await client.fetch_identity()
        live = Live(socket=lambda: None, webhook_at=lambda: None)
        loaded = load_settings()
        base = Base(loaded, database, store, timers, live, Runtime(clock))
        tenant = Tenant(identity, tokens.bot, client, endpoint_of(loaded, timeout_s=8), Policy())
        workspace = build_workspace(base, tenant)
        yield Office(tuple(make_workers(base, OneWorkspace(workspace))), database, store, flokit, clock), slack
        await workspace.flokit.aclose()
    finally:
        await client.aclose()
        await database.close()
        await slack.stop()
        await flokit.stop()


@contextmanager
def counted_writes():
    """Count the transactions that changed rows, and the rows changed in each table."""
    counts, dirty = Counter(), weakref.WeakSet()

    def after(transaction, statement, rows):
        if isinstance(statement, Insert | Update | Delete) and rows.rowcount > 0:
            dirty.add(transaction)
            counts[statement.table.name] += rows.rowcount

    def ended(transaction, is_committed):
        if is_committed and transaction in dirty:
            counts["transactions"] += 1

    with watched(after=after, ended=ended):
        yield counts


@pytest.mark.timeout(300)
async def test_a_quiet_day_leaves_little_behind(tmp_path, sqlite_url, monkeypatch):
    """With one subscribed channel, a day leaves one message and its digest, and takes a few writes a minute."""
    async with opened(tmp_path, sqlite_url, monkeypatch) as (office, slack):
        make = Make(office.clock)
        await office.store.inbox.add(make.command("subscribe all digest 13:00 daily zone UTC"))
        await office.live(timedelta(minutes=10))
        before = await office.sizes()
        with counted_writes() as writes:
            await office.live(SPAN)
        after = await office.sizes()
        assert sum("digest" in str(one.get("text")) for one in slack.messages("C0DATA")) == 2
    grown = {name: after[name] - count for name, count in before.items() if after[name] != count}
    assert grown == {"outbox": 1}
    assert writes["transactions"] / (SPAN / timedelta(minutes=1)) < WRITES_PER_MINUTE
