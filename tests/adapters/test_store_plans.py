"""Both databases use indexes for every query, however many rows there are; checked in their plans."""

from __future__ import annotations

import json
import re
from datetime import timedelta

from sqlalchemy import text

from benchmarks.seeding import Plan, seed
from bot.core.access.audit import AuditFilter
from bot.core.incidents.reactions import Snooze
from bot.core.models import Integration, Outcome
from bot.core.runs.limits import Limits
from bot.core.subscriptions.subscriptions import PauseReason
from bot.store.audit import Audit
from bot.store.gauges import read_gauges
from bot.store.incidents import SeenTogether
from bot.store.installations import Installations
from bot.store.oauth_states import OAuthStates
from bot.store.retention import Retention
from bot.store.tables import alerts, incidents, metadata
from bot.store.tables import audit as audit_table
from bot.store.vitals import Vitals
from tests.adapters.conftest import TEAM, start
from tests.adapters.test_installations import ACME, BOTH, FLOKIT, OLD, ORG, ROTATING
from tests.adapters.test_store_people import ANA, HELLO, HERE, MORNING, Replica
from tests.statements import asked_of

GROWING = (
    "runs",
    "participants",
    "threads",
    "panels",
    "outbox",
    "inbox",
    "audit",
    "incidents",
    "alerts",
    "timers",
    "homes",
)


async def everything(one, make, clock):
    """Do everything once that people and loops do all the time."""
    store, now = one.store, clock.now
    await one.homes.open(await one.request(), now)
    await one.subscribe(ANA, "sub_1", MORNING)
    alert_id = await one.fail()
    opened = await start(store, make, limits=Limits(cooldown_s=60, quota_per_hour=5))
    await store.runs.would_hold(make.origin(), "int_2", Limits(cooldown_s=60, quota_per_hour=5), clock.now)
    request, panel = make.command(), make.panel()
    await store.inbox.add(request)
    await store.inbox.claim(clock.now, 5)
    await store.inbox.retry(request.id, clock.now)
    await store.panels.add(request, panel, HERE, clock.now)
    for item in await store.outbox.claim(clock.now, 50):
        if item.run_id:
            await store.outbox.load_progress(item)
        await store.outbox.is_root(item)
        await store.outbox.load_ts(item.id)
        await store.outbox.has_incident_message(item)
        await store.outbox.mark_posted(item, "C0DATA", f"1.{item.id}", clock.now)
    [claim] = await store.runs.claim(clock.now, 5)
    claim = await store.runs.save(claim, make.watching(claim.run), clock.now, keep_claim=True)
    await store.runs.save(claim, make.ended(claim.run, Outcome.NOT_CONFIRMED), clock.now)
    for item in await store.outbox.claim(clock.advance(5), 50):
        await store.outbox.mark_shown(item, clock.now)
    await store.runs.keep_watching(await one.request(), opened.run.id, clock.now)
    clock.advance(300)
    [claim] = await store.runs.claim(clock.now, 5)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    await start(store, make, integration="int_1")
    await store.panels.redraw(await one.request(), panel.id, lambda shown: shown, clock.now)
    await look(one, clock, panel, alert_id, now)
    await install(one, clock)


async def look(one, clock, panel, alert_id, now):
    """Return an integration as if read from FloKit, and move the clock."""
    store = one.store
    await store.panels.load_view(panel.id)
    await store.runs.past(TEAM, None, "", 300)
    await store.runs.past(TEAM, ("int_1", "int_2"), "", 300)
    await store.runs.past(TEAM, ("int_1",), "stripe", 300)
    await store.runs.active(TEAM)
    await store.runs.ended_since(TEAM, now)
    await Vitals(one.database).newest_runs(20)
    await one.incidents.snooze(await one.request(), alert_id, Snooze(ANA, clock.now + timedelta(hours=1)), clock.now)
    await one.incidents.snoozed_by("UANA")
    await one.incidents.standing(now)
    await one.incidents.since(now)
    failing = Integration("int_1", "stripe", "error", clock.now - timedelta(hours=1), "another error of another kind")
    await one.incidents.observe(SeenTogether((failing,), clock.now, whole=True), clock.now)
    await one.subscriptions.pause("C0DATA", PauseReason.ARCHIVED, lambda _: HELLO, clock.now)
    await one.subscriptions.resume("C0DATA", lambda _: HELLO, lambda _: clock.now, clock.now)
    clock.advance(90000)
    for due in await one.timers.claim(clock.now, 50):
        await one.timers.finish(due, clock.now)
    audit = Audit(one.database, TEAM)
    await audit.people_called("ana")
    for wanted in (AuditFilter(), AuditFilter(until=clock.now), AuditFilter(person_ids=("UANA",))):
        await audit.page(wanted, number=0, size=10)
    await read_gauges(one.database, clock.now)
    retention = Retention(one.database)
    await retention.forget_response_urls(clock.now)
    await retention.purge(now - timedelta(days=90))
    for at in (store.inbox.next_at, store.runs.next_at, store.outbox.next_at, one.timers.next_at):
        await at()
    await store.release()
    await one.timers.release(clock.now)
    for claim in (store.inbox.claim, store.runs.claim, store.outbox.claim, one.timers.claim):
        await claim(clock.now, 5, ("T9",))


async def install(one, clock):
    """Install, connect, use, refresh and uninstall the app, and erase what's left."""
    vault, now = Installations(one.database, OLD), clock.now
    await vault.save(ROTATING, now)
    await vault.save(ORG, now)
    await vault.find("T2", "E1")
    token = await vault.connections.save(ACME.id, FLOKIT, now)
    await vault.connections.team_of_webhook(token)
    await vault.connections.of(ACME.id)
    await vault.connections.erase(ACME.id)
    await vault.tokens.claim(ROTATING.token_expires_at)
    await vault.tokens.save(ACME.id, 1, "xoxb-new", "xoxe-new", now)
    await Installations(one.database, BOTH).records.rewrap(10)
    await vault.records.page(10)
    await vault.revoke("T2", "E1", before=now)
    await vault.revoke("", "E1", before=now)
    await vault.save(ORG, now)
    await vault.revoke(ACME.id, before=now)
    await vault.erase_expired(now, timedelta(0))
    states = OAuthStates(one.database)
    await states.consume(await states.issue("browser", now), "browser", now)


LITTLE = frozenset(
    {"subscriptions", "sightings", "budget", "snapshots", "replicas", "policies", "nicknames", "volumes"}
)
"""Tables as small as a workspace, however much happened in it: they may be read completely."""

GROWING = frozenset(metadata.tables) - LITTLE

WAITING = ("_due", "_along", "_one_active", "_one_open", "_late", "_snoozed", "_answerable")
"""Indexes of unfinished work: they may be read completely, too."""

LEADS_TO_MANY = frozenset({"team_id", "integration_id", "integration_type", "kind", "phase", "action"})
"""Columns whose values repeat in ever more rows: rows found by them must not be sorted."""


def wrong_on_sqlite(lines, sql):
    """Return which growing tables a SQLite plan reads or sorts completely."""
    wrong = []
    leads_to_many = False
    for line in lines:
        if not (found := re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?(?: \((.*)\))?", line)):
            continue
        how, alias, index, conditions = found.groups()
        table = re.sub(r"_\d+$", "", alias)
        if table not in GROWING or (index or "").endswith(WAITING):
            continue
        columns = set(re.findall(r"(\w+)[=<>]", conditions or ""))
        ends_early = " LIMIT " in sql and "ORDER BY" in sql and not any("ORDER BY" in line for line in lines)
        if how == "SCAN" and not ends_early:
            wrong.append(line)
        if how == "SEARCH" and columns and columns <= {"team_id"} and not erases(sql):
            wrong.append(line)
        equal = set(re.findall(r"(\w+)=", conditions or ""))
        leads_to_many = leads_to_many or equal <= LEADS_TO_MANY
    if leads_to_many and any("TEMP B-TREE FOR ORDER BY" in line for line in lines):
        wrong.append("sorts")
    return wrong


def erases(sql):
    """Return whether a statement deletes all rows of a workspace, and so has to read them."""
    return sql.startswith("DELETE") and "installations.uninstalled_at" in sql


def wrong_on_postgres(plan, *, sorted_above=False, erasing=False):
    """Return which growing tables a PostgreSQL plan reads or sorts completely."""
    wrong = []
    kind, table = plan["Node Type"], plan.get("Relation Name", "")
    condition = plan.get("Index Cond", "")
    if kind == "Seq Scan" and table in GROWING:
        wrong.append(f"reads all of {table}")
    if kind in ("Index Scan", "Index Only Scan") and table in GROWING and not plan["Index Name"].endswith(WAITING):
        columns = set(re.findall(r"\(?(\w+)\)?(?:::\w+)? (?:=|<|>)", condition))
        if columns and columns <= {"team_id"} and not erasing:
            wrong.append(f"reads all of a workspace's {table}")
        if sorted_above and columns <= LEADS_TO_MANY:
            wrong.append(f"sorts many {table}")
    for part in plan.get("Plans", ()):
        is_sorted = kind in ("Sort", "Incremental Sort") or sorted_above
        wrong += wrong_on_postgres(part, sorted_above=is_sorted, erasing=erasing)
    return wrong


async def fill(one, clock):
    """Fill the tables, because small ones are rightly read completely."""
    await seed(one.database, Plan(2000, per_workspace=2000, every_s=60.0, team_id=TEAM))
    act = {"team_id": TEAM, "at": clock.now, "channel_id": "", "action": "look"}
    acts = [act | {"user_id": f"U{number}", "user_name": f"name {number}"} for number in range(2000)]
    ended = (
        "outcome = 'succeeded', phase = 'done', ended_at = requested_at, integration_id = 'int_' || length(data) % 7"
    )
    old = {"team_id": TEAM, "integration_id": "int_1", "opened_at": clock.now, "closed_at": clock.now, "data": "{}"}
    async with one.database.begin() as connection:
        await connection.execute(audit_table.insert(), acts)
        await connection.execute(incidents.insert(), [old | {"id": f"inc_old_{number}"} for number in range(2000)])
        shown = {"team_id": TEAM, "channel_id": "C0OLD"}
        await connection.execute(
            alerts.insert(),
            [shown | {"id": f"alert_{number}", "incident_id": f"inc_old_{number}"} for number in range(2000)],
        )
        await connection.execute(text(f"UPDATE runs SET {ended} WHERE id LIKE 'run_0%'"))  # noqa: S608 - ours
        if not one.database.is_sqlite:
            await connection.execute(text("ANALYZE"))


def explain(connection, sql, parameters):
    """Return a statement's plan."""
    return connection.exec_driver_sql(sql, parameters).all()


async def test_nothing_that_grows_is_read_or_sorted_completely(database_url, make, clock):
    """Each statement finds its rows with an index."""
    one, wrong = Replica(database_url, "one", clock), []
    with asked_of(one.database) as asked:
        await everything(one, make, clock)
    assert len(asked) > 60
    await fill(one, clock)
    async with one.database.begin() as connection:
        if not one.database.is_sqlite:  # so few rows would be read completely otherwise
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        for sql, parameters in asked.items():
            if one.database.is_sqlite:
                rows = await connection.run_sync(explain, f"EXPLAIN QUERY PLAN {sql}", parameters)
                found = wrong_on_sqlite([row[3] for row in rows], sql)
            else:
                [(plan,)] = await connection.run_sync(explain, f"EXPLAIN (FORMAT JSON) {sql}", parameters)
                read = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
                found = wrong_on_postgres(read, erasing=erases(sql))
            wrong += [f"{problem}: {' '.join(sql.split())}" for problem in found]
    await one.database.close()
    assert not wrong, "\n".join(wrong)
