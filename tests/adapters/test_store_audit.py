"""The audit log: written with the action, read in pages, and never changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.core.access.audit import AuditEntry, AuditFilter, Deed, Ruling, snooze_result
from bot.core.errors import ClaimLost
from bot.core.incidents.reactions import Snooze
from bot.core.models import Message, Outcome, Person
from bot.core.panels import Panel, PanelKind
from bot.core.subscriptions.removal import Removal
from bot.core.subscriptions.subscriptions import PauseReason, Subscription
from bot.store import audit, schema
from bot.store.audit import Audit
from bot.store.database import Database
from bot.store.outbox_rows import Address
from bot.store.subscriptions import Subscriptions
from tests.adapters.conftest import TEAM

ANA = Person("UANA", "uana")


@pytest_asyncio.fixture
async def database(database_url):
    """The test's database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def entry(clock):
    """Return a refusal, with every field set."""
    return AuditEntry(
        clock.now,
        TEAM,
        ANA,
        "C0DATA",
        Deed.RESYNC,
        integration_id="int_1",
        integration_type="stripe",
        run_id="run_1",
        decision=Ruling.REFUSED,
        rule="guests never sync",
        result="=1+1",
    )


async def write(database, *entries):
    """Write entries, each in its own transaction."""
    for one in entries:
        async with database.begin() as connection:
            await audit.add(connection, one)


async def read(database, **wanted):
    """Return all entries, oldest first."""
    return [one async for one in Audit(database, TEAM).stream(AuditFilter(**wanted))][::-1]


async def test_an_entry_is_read_as_it_was_written(database, entry):
    """Every field comes back, and the order of writing."""
    await write(database, entry)
    [found] = await read(database)
    assert replace(found, id=None) == entry
    assert found.id is not None


async def test_the_database_refuses_to_change_an_entry(database, entry):
    """A trigger refuses every UPDATE."""
    await write(database, entry)
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.begin() as connection:
            await connection.execute(text("UPDATE audit SET user_id = 'UBEN'"))
    assert [one.person.id for one in await read(database)] == ["UANA"]


async def test_entries_can_be_filtered(database, entry, clock):
    """By time, person, integration and type; another workspace's entries are never returned."""
    others = {
        "old": replace(entry, at=clock.now - timedelta(days=8), run_id="old"),
        "ben": replace(entry, person=Person("UBEN"), run_id="ben"),
        "other": replace(entry, integration_id="int_2", integration_type="adjust", run_id="other"),
        "type": replace(entry, integration_id="", run_id="type"),
        "team": replace(entry, team_id="T0OTHER", run_id="team"),
    }
    await write(database, entry, *others.values())

    async def ids(**wanted):
        return {one.run_id for one in await read(database, **wanted)}

    assert await ids() == {"run_1", "old", "ben", "other", "type"}
    assert await ids(since=clock.now - timedelta(days=7)) == {"run_1", "ben", "other", "type"}
    assert await ids(person_ids=("UBEN",)) == {"ben"}
    assert await ids(integration_ids=("int_1",)) == {"run_1", "old", "ben"}
    assert await ids(integration_ids=("int_1",), integration_type="stripe") == {"run_1", "old", "ben", "type"}
    assert await ids(integration_type="adjust", person_ids=("UBEN",)) == set()
    everywhere = [one.run_id async for one in Audit(database).stream(AuditFilter())]
    assert "team" in everywhere


async def test_pages_begin_with_the_newest_entries(database, entry):
    """Each says whether older ones follow."""
    await write(database, *(replace(entry, run_id=f"run_{n}") for n in range(5)))
    seen = Audit(database, TEAM)
    pages = [await seen.page(AuditFilter(), number=number, size=2) for number in range(4)]
    assert [[one.run_id for one in page.entries] for page in pages] == [
        ["run_4", "run_3"],
        ["run_2", "run_1"],
        ["run_0"],
        [],
    ]
    assert [page.has_more for page in pages] == [True, True, False, False]


async def test_a_stream_returns_all_batches(database, entry, monkeypatch):
    monkeypatch.setattr(audit, "BATCH", 2)
    await write(database, *(replace(entry, run_id=f"run_{n}") for n in range(4)))
    assert [one.run_id for one in await read(database)] == ["run_0", "run_1", "run_2", "run_3"]


async def test_entries_of_earlier_versions_can_be_read(empty_url, clock):
    """Missing fields are empty, and their actions have today's names."""
    database = Database(empty_url)
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(schema._config(sync), "0001"))
        at = clock.now.timestamp() if database.is_sqlite else clock.now
        await connection.execute(
            text(
                "INSERT INTO audit (team_id, at, user_id, channel_id, action, integration_id, run_id, result) "
                "VALUES (:team, :at, 'UANA', 'C0DATA', 'flokit_try_again', 'int_1', 'run_1', 'started')"
            ),
            {"team": TEAM, "at": at},
        )
    await schema.upgrade(database)
    [found] = await read(database)
    assert (found.at, found.person, found.action, found.decision) == (
        clock.now,
        Person("UANA"),
        Deed.TRY_AGAIN,
        Ruling.ALLOWED,
    )
    assert (found.integration_id, found.integration_type, found.rule, found.result) == ("int_1", "", "", "started")
    await database.close()


# --- written with the action -----------------------------------------------------------------------------------


async def test_an_outcome_is_a_separate_entry(store, database, make, click):
    """It names who started the run; a decision without an outcome writes none."""
    opened = await click(store, make)
    [claim] = await store.runs.claim(make.clock.now, 1)
    claim = await store.runs.save(claim, make.watching(claim.run), make.clock.now, keep_claim=True)
    await store.runs.save(claim, make.ended(claim.run, Outcome.FAILED), make.clock.now)
    entries = await read(database)
    assert [(one.action, one.result, one.run_id) for one in entries] == [
        (Deed.RESYNC, "started", opened.run.id),
        (Deed.OUTCOME, Outcome.FAILED, opened.run.id),
    ]
    assert {(one.person, one.integration_id, one.integration_type) for one in entries} == {(ANA, "int_1", "stripe")}


async def test_a_late_result_is_audited_too(store, database, make, clock, click):
    """not_confirmed, then succeeded: each has one entry."""
    await click(store, make)
    [claim] = await store.runs.claim(clock.now, 1)
    claim = await store.runs.save(claim, make.ended(claim.run, Outcome.NOT_CONFIRMED), clock.now, keep_claim=True)
    claim = await store.runs.save(claim, make.ended(claim.run, Outcome.NOT_CONFIRMED), clock.now, keep_claim=True)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    outcomes = [one.result for one in await read(database) if one.action == Deed.OUTCOME]
    assert outcomes == [Outcome.NOT_CONFIRMED, Outcome.SUCCEEDED]


async def test_a_decision_that_is_not_saved_leaves_no_entry(store, database, make, clock, click):
    """The entry is in the transaction of the decision, which lost its claim."""
    await click(store, make)
    [claim] = await store.runs.claim(clock.now, 1)
    clock.advance(60)
    await store.runs.claim(clock.now, 1)
    with pytest.raises(ClaimLost):
        await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert [one.action for one in await read(database)] == [Deed.RESYNC]


def subscription(clock, **changes):
    """Return a subscription of the channel."""
    return replace(Subscription("sub_1", TEAM, "C0DATA", ANA, clock.now), **changes)


async def test_subscriptions_are_audited(store, database, make, clock):
    """Subscribing, pausing, resuming and removing; automatic actions name no one."""
    subscriptions = Subscriptions(database, TEAM)
    address, message = Address(TEAM, "C0DATA"), Message("Done.")
    one = subscription(clock, target="stripe")
    asked, ended = make.command("subscribe stripe"), make.command("unsubscribe", user="UBEN")
    for request in (asked, ended):
        await store.inbox.add(request)
    await subscriptions.add(asked, one, message, address, None, clock.now)
    await subscriptions.pause("C0DATA", PauseReason.ARCHIVED, lambda _: message, clock.now)
    await subscriptions.resume("C0DATA", lambda _: message, lambda _: None, clock.now)
    removal = Removal(ended.origin.person, clock.now, (one,), ("Stripe",))
    panel = Panel("pnl_removed", PanelKind.UNSUBSCRIBED, (), clock.now, removal=removal)
    await subscriptions.remove(ended, [one], [], panel, address, clock.now)
    undone = make.press(user="UBEN")
    await store.inbox.add(undone)
    assert not await subscriptions.undo(undone, panel.id, lambda _: message, address, clock.now)
    entries = await read(database)
    assert [(entry.action, entry.person.id) for entry in entries] == [
        (Deed.SUBSCRIBE, "UANA"),
        (Deed.PAUSE, ""),
        (Deed.RESUME, ""),
        (Deed.UNSUBSCRIBE, "UBEN"),
        (Deed.RESTORE, "UBEN"),
    ]
    assert {(entry.integration_id, entry.integration_type, entry.channel_id) for entry in entries} == {
        ("", "stripe", "C0DATA")
    }
    assert [entry.result for entry in entries] == [
        "failing, stale, disconnected, empty, recovered",
        "the channel is archived",
        "failing, stale, disconnected, empty, recovered",
        "all of it",
        "failing, stale, disconnected, empty, recovered",
    ]


def test_a_snoozes_entry_says_how_long(clock):
    """Until a time, or until the recovery."""
    assert snooze_result(Snooze(ANA, clock.now)) == "until 2026-03-01 12:00 UTC"
    assert snooze_result(Snooze(ANA)) == "until it recovers"
