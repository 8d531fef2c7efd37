"""Finished work is deleted after its time, in batches; anything still watched or not yet posted stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from bot.core.errors import ClaimLost
from bot.core.models import Message, Outcome
from bot.store import retention
from bot.store.database import Database
from bot.store.outbox_rows import Address
from bot.store.retention import Retention
from bot.store.snapshots import Snapshots
from bot.store.tables import metadata
from tests.adapters.conftest import TEAM, start

DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def database(database_url):
    """The test's database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


async def rows_of(database):
    """Count the rows of each table that has any."""
    counts = {}
    async with database.begin() as connection:
        for table in metadata.sorted_tables:
            if count := await connection.scalar(select(func.count()).select_from(table)):
                counts[table.name] = count
    return counts


async def purge(database, clock, days=90):
    """Delete everything that's older."""
    deleted = 0
    while batch := await Retention(database).purge(clock.now - days * DAY):
        deleted += batch
    return deleted


async def ended_run(store, make, *, posted=True, outcome=Outcome.SUCCEEDED, integration="int_1"):
    """Take a sync from its click to its end, in a thread below a panel; ``posted`` is whether its outcome was."""
    request = make.command()
    await store.inbox.add(request)
    panel = make.panel(integration)
    await start(store, make, request, integration, action="sync", root=panel)
    [claim] = await store.runs.claim(make.clock.now, 1)
    await store.runs.save(claim, make.ended(claim.run, outcome), make.clock.now)
    while posted and (items := await store.outbox.claim(make.clock.now, 10)):
        for item in items:
            await store.outbox.mark_posted(item, "C0DATA", f"1.{item.id}", make.clock.now)
        make.clock.advance(5)
    return claim.run


async def test_a_finished_run_is_deleted_completely(store, database, make, clock):
    """With its threads, participants, messages, panel, request and audit entries."""
    await ended_run(store, make)
    before = await rows_of(database)
    assert {"runs", "threads", "participants", "outbox", "panels", "inbox", "audit"} <= set(before)
    clock.advance(89 * 86400)
    assert await purge(database, clock) == 0
    assert await rows_of(database) == before
    clock.advance(2 * 86400)
    assert await purge(database, clock) > 0
    assert await rows_of(database) == {}


async def test_an_unsent_outcome_is_kept(store, database, make, clock):
    """Slack may have been unreachable for months."""
    run = await ended_run(store, make, posted=False)
    clock.advance(200 * 86400)
    await purge(database, clock)
    assert await store.runs.load(TEAM, run.id)
    assert await store.outbox.claim(clock.now, 10)


async def test_a_watched_run_is_kept(store, database, make, clock):
    """It has no outcome yet, or a late result may follow."""
    late = await ended_run(store, make, outcome=Outcome.NOT_CONFIRMED)
    opened = await start(store, make, make.press(), "int_2")
    clock.advance(200 * 86400)
    await purge(database, clock)
    assert await store.runs.load(TEAM, late.id)
    assert await store.runs.load(TEAM, opened.run.id)


async def test_an_unanswered_request_is_kept(store, database, make, clock):
    await store.inbox.add(make.command())
    clock.advance(200 * 86400)
    await purge(database, clock)
    assert await store.inbox.claim(clock.now, 1)


async def test_answers_are_deleted_once_they_are_posted(store, database, make, clock):
    """Those without a run, too; one that isn't posted yet is kept."""
    for request in (make.command(), make.command()):
        await store.inbox.add(request)
        await store.outbox.add_note(request, Message("Hello"), Address(TEAM, "C0DATA"), clock.now)
    request = make.command()
    await store.inbox.add(request)
    await store.panels.add(request, make.panel(), Address(TEAM, "C0DATA"), clock.now)
    items = await store.outbox.claim(clock.now, 10)
    assert len(items) == 3
    for item in items[1:]:
        await store.outbox.mark_posted(item, "C0DATA", f"1.{item.id}", clock.now)
    clock.advance(200 * 86400)
    await purge(database, clock)
    assert (await rows_of(database))["outbox"] == 1


async def test_a_deleted_request_cannot_be_answered_again(store, database, make, clock):
    """Another process answered it before it was deleted."""
    request = make.command()
    await store.inbox.add(request)
    await store.inbox.claim(clock.now, 1)
    await store.inbox.finish(request.id)
    clock.advance(200 * 86400)
    await purge(database, clock)
    with pytest.raises(ClaimLost):
        await store.inbox.finish(request.id)


async def test_deletion_works_in_small_batches(store, database, make, clock, monkeypatch):
    """One call deletes at most a batch from each table."""
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        request = make.command()
        await store.inbox.add(request)
        await store.inbox.finish(request.id)
    clock.advance(200 * 86400)
    assert [await Retention(database).purge(clock.now - 90 * DAY) for _ in range(4)] == [2, 2, 1, 0]


async def test_the_newest_snapshot_is_kept(database, make):
    """A slower replica doesn't overwrite newer data, and a workspace sees only its own."""
    snapshots = Snapshots(database, TEAM)
    assert await snapshots.load() is None
    newer, older = (make.integration("int_b"),), (make.integration("int_a"),)
    await snapshots.save(newer, make.clock.now)
    await snapshots.save(older, make.clock.now - DAY)
    assert await snapshots.load() == (newer, make.clock.now)
    assert await Snapshots(database, "T0OTHER").load() is None
    await snapshots.save(older, make.clock.now + DAY)
    assert await snapshots.load() == (older, make.clock.now + DAY)


async def test_expired_response_urls_are_deleted(store, make, clock, database):
    """The message stays."""
    address = Address(team_id=TEAM, channel_id="C0DATA", user_id="UANA", response_url="https://hooks.slack.com/r")
    request = make.command(response_url="https://hooks.slack.com/r")
    await store.inbox.add(request)
    await store.panels.add(request, make.panel(), address, clock.now)
    assert await Retention(database).forget_response_urls(clock.now) == 0
    clock.advance(29 * 60)
    assert await Retention(database).forget_response_urls(clock.now) == 1
    assert (await rows_of(database))["outbox"] == 1
    assert "hooks.slack.com" not in await everything_in(database)


async def everything_in(database):
    """Return everything in any row of any table."""
    async with database.begin() as connection:
        tables = [(await connection.execute(select(table))).all() for table in metadata.sorted_tables]
    return repr(tables)
