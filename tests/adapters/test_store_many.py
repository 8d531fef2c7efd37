"""With 10,000 workspaces on PostgreSQL, each statement of the everyday work finds its few rows with an index."""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import timedelta

import pytest_asyncio
from sqlalchemy import text

from bot.core.budget import Priority
from bot.core.errors import SecretUnreadable
from bot.core.incidents.incidents import Rules
from bot.store.budget import SharedBudget
from bot.store.database import Database
from bot.store.homes import Homes
from bot.store.incidents import Incidents
from bot.store.installations import Installations
from bot.store.policies import Policies
from bot.store.snapshots import Snapshots
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.tables import installations
from bot.store.timers import Timers
from tests.adapters.test_installations import OLD
from tests.statements import asked_of

WORKSPACES = 10_000
DUE = 500
"""Pieces of each kind of work that are due, of as many workspaces."""

MOST_READ = 128
"""Rows that a statement may read, whatever the number of workspaces: a workspace's budget alone has 100.

The claim of messages may read all that are due, because it takes outcomes before edits.
"""

TEAM = "T04711"
TOKEN = "a-webhook's-token"

EACH = {
    "installations": """
        (id, team_id, team_name, enterprise_id, is_enterprise, app_id, bot_id, bot_user_id, scopes, installed_by,
         installed_at, generation, uninstalled_at, data_key, data_key_id, bot_token, token_expires_at, connected_by,
         connected_at, webhook_hash)
        SELECT t, t, t || ' Corp', 'E' || n % 500, false, 'A1', 'B1', 'UBOT', '', 'UANA', :ago, 1,
               CASE WHEN n % 50 = 0 THEN :ago END, 'k', 'old', 'sealed', :later, 'UANA', :ago, 'hash ' || n""",
    "policies": """(team_id, version, text, saved_by, saved_by_name, saved_at)
        SELECT t, v, 'rules: []', 'UANA', 'ana', :ago""",
    "subscriptions": """(id, team_id, channel_id, target, data, created_at)
        SELECT 'sub_' || n || v, t, 'C' || v, '', '{}', :ago""",
    "snapshots": "(team_id, data, as_of) SELECT t, '[]', :ago",
    "homes": "(team_id, user_id, opened_at) SELECT t, 'U' || v, :ago",
    "timers": """(id, team_id, kind, subject, due_at, owner, lease_until, version)
        SELECT 'watch:' || t, t, 'watch', t, CASE WHEN n % 50 = 0 THEN :parked WHEN n <= :due THEN :ago ELSE :later END,
               NULL, NULL, 1""",
    "runs": """(id, team_id, integration_id, integration_type, phase, outcome, requested_at, ended_at, data, due_at,
         along_at, version)
        SELECT 'run_' || n || v, t, 'int_' || v, 'stripe', 'watching', CASE WHEN v > 1 THEN 'succeeded' END, :ago, :ago,
               '{}', CASE WHEN v = 1 AND n <= :due THEN :ago WHEN v = 1 THEN :later END, NULL, 1""",
    "outbox": """(id, team_id, kind, priority, seq, channel_id, data, ephemeral, ts, version, sent_version, due_at,
         attempts, failures, claims, created_at)
        SELECT 'msg_' || n || v, t, 'note', 1, 0, 'C' || v, '{}', false, '1.1', 1, 0,
               CASE WHEN v = 1 AND n <= :due THEN :ago END, 0, 0, 0, :ago""",
    "inbox": """(id, team_id, data, received_at, due_at, attempts)
        SELECT 'req_' || n || v, t, '{}', :ago, CASE WHEN v = 1 AND n <= :due THEN :ago END, 0""",
    "incidents": """(id, team_id, integration_id, opened_at, closed_at, data)
        SELECT 'inc_' || n || v, t, 'int_' || v, :ago, CASE WHEN v > 1 THEN :ago END, '{}'""",
    "budget": "(team_id, slot, free_at, held) SELECT t, v, :ago, false",
    "sightings": "(team_id, integration_id, data) SELECT t, 'int_' || v, '{}'",
}
"""What each workspace has: ``t`` is its ID, ``n`` its number, and ``v`` counts its rows."""

OF_EACH = """FROM (SELECT n, v, 'T' || lpad(n::text, 5, '0') AS t
    FROM generate_series(1, :workspaces) AS n, generate_series(1, :of_each) AS v) AS each_one"""
OTHERS_EACH = {"installations": 1, "snapshots": 1, "timers": 1, "budget": 10}
"""The number of rows that each has, if it isn't 3."""


async def fill(database, now):
    """Install the app 10,000 times, with some work of each kind."""
    times = {"ago": now - timedelta(minutes=1), "later": now + timedelta(days=1), "due": DUE}
    times["parked"] = now.replace(year=2900)
    async with database.begin() as connection:
        for name, rows in EACH.items():
            inserted = f"INSERT INTO {name} {rows} {OF_EACH}"
            given = {**times, "workspaces": WORKSPACES, "of_each": OTHERS_EACH.get(name, 3)}
            used = {key: value for key, value in given.items() if f":{key}" in inserted}
            for key, value in used.items():
                inserted = inserted.replace(
                    f":{key}", f"CAST(:{key} AS {'int' if isinstance(value, int) else 'timestamptz'})"
                )
            await connection.execute(text(inserted), used)
        hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
        mine = installations.update().where(installations.c.id == TEAM)
        await connection.execute(mine.values(webhook_hash=hashed, token_expires_at=now))
        await connection.execute(text("ANALYZE"))


class Deployment:
    """One process, and the work that it does all the time."""

    def __init__(self, url, clock):
        self.database, self.clock = Database(url), clock
        self.store = Store(self.database, owner="me")
        self.timers = Timers(self.database, owner="me", lease_s=10)
        self.installations = Installations(self.database, OLD)

    async def claims(self):
        """Claim work of each kind, and ask when more is due."""
        now = self.clock.now
        inbox, runs, outbox, timers = self.store.inbox, self.store.runs, self.store.outbox, self.timers
        for claim in (inbox.claim, runs.claim, outbox.claim, timers.claim):
            for full in ((), ("T00001", "T00002")):
                with contextlib.suppress(Exception):  # made-up data can't be read; it was claimed nonetheless
                    await claim(now, 8, full)
        for at in (inbox.next_at, runs.next_at, outbox.next_at, timers.next_at):
            await at()

    async def looks_up(self):
        """Look up a workspace's installation, by its IDs and by the token of its webhooks."""
        for look_up in (
            self.installations.find(TEAM, "E42"),
            self.installations.find(TEAM, "E42", is_enterprise=True),
            self.installations.connections.of(TEAM),
            self.installations.tokens.claim(self.clock.now),
        ):
            with contextlib.suppress(SecretUnreadable):
                await look_up
        assert await self.installations.stamp_of(TEAM)
        assert await self.installations.records.find(TEAM)
        assert await self.installations.connections.team_of_webhook(TOKEN) == TEAM

    async def serves(self):
        """Read what a command, a background check and an App Home need of one workspace."""
        await Policies(self.database, TEAM).current()
        with contextlib.suppress(Exception):
            await self.store.runs.active(TEAM)
        with contextlib.suppress(Exception):
            await Subscriptions(self.database, TEAM).all()
        await Snapshots(self.database, TEAM).load()
        await Homes(self.database, TEAM).opened_at("U1", self.clock.now)
        with contextlib.suppress(Exception):
            await Incidents(self.database, TEAM, rules=Rules(confirm_s=5)).standing(self.clock.now)
        await SharedBudget(self.database, TEAM, clock=self.clock).take(Priority.CLICK)


@pytest_asyncio.fixture
async def deployment(postgres_url, clock):
    """A process beside 10,000 installed workspaces."""
    deployment = Deployment(postgres_url, clock)
    try:
        await fill(deployment.database, clock.now)
        yield deployment
    finally:
        await deployment.database.close()


def nodes_of(plan):
    """Yield the parts of a plan that read a table, with how many rows they read."""
    if "Relation Name" in plan and plan["Node Type"] != "ModifyTable":
        removed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        yield plan, (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    for part in plan.get("Plans", ()):
        yield from nodes_of(part)


async def read_by(deployment, sql, parameters):
    """Run a statement without effect; return how many rows it read, and which tables completely."""

    def explain(connection):
        return connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters).scalar()

    async with deployment.database.begin() as connection:
        await connection.execute(text("SAVEPOINT before"))
        found = await connection.run_sync(explain)
        await connection.execute(text("ROLLBACK TO before"))
    parts = list(nodes_of((json.loads(found) if isinstance(found, str) else found)[0]["Plan"]))
    completely = [node["Relation Name"] for node, _ in parts if node["Node Type"] == "Seq Scan"]
    return sum(rows for _, rows in parts), completely


async def test_no_statement_reads_more_because_there_are_many_workspaces(deployment):
    """The real planner decides, with statistics; the rows that it really reads are counted."""
    found = {}
    for work in (deployment.claims, deployment.looks_up, deployment.serves):
        with asked_of(deployment.database) as asked:
            await work()
        for sql, parameters in asked.items():
            found[" ".join(sql.split())] = await read_by(deployment, sql, parameters)
    assert len(found) >= 20
    wrong = {
        sql: (rows, completely)
        for sql, (rows, completely) in found.items()
        if completely or rows > MOST_READ + (DUE if sql.startswith("UPDATE outbox") else 0)
    }
    assert wrong == {}
