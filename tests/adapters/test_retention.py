"""What is finished goes after its time, in batches; what is still to be told or watched stays."""

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
    """Look into the test's database."""
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
    """Delete what is older, to the end."""
    deleted = 0
    while batch := await Retention(database).purge(clock.now - days * DAY):
        deleted += batch
    return deleted


async def ended_run(store, make, *, told=True, outcome=Outcome.SUCCEEDED, integration="int_1"):
    """Take a sync from its click to its end, in a thread under a panel."""
    request = make.command()
    await store.inbox.add(request)
    panel = make.panel(integration)
    await start(store, make, request, integration, action="sync", root=panel)
    [claim] = await store.runs.claim(make.clock.now, 1)
    await store.runs.save(claim, make.ended(claim.run, outcome), make.clock.now)
    while told and (items := await store.outbox.claim(make.clock.now, 10)):
        for item in items:
            await store.outbox.mark_posted(item, "C0DATA", f"1.{item.id}", make.clock.now)
        make.clock.advance(5)
    return claim.run


async def test_a_finished_run_goes_with_all_that_belongs_to_it(store, database, make, clock):
    """After its time nothing of a run is left: threads, participants, messages, its panel, the request, the audit."""
    await ended_run(store, make)
    before = await rows_of(database)
    assert {"runs", "threads", "participants", "outbox", "panels", "inbox", "audit"} <= set(before)
    clock.advance(89 * 86400)
    assert await purge(database, clock) == 0
    assert await rows_of(database) == before
    clock.advance(2 * 86400)
    assert await purge(database, clock) > 0
    assert await rows_of(database) == {}


async def test_an_outcome_that_is_not_told_yet_stays(store, database, make, clock):
    """Slack may have been away for months: what must be told is kept until it is told."""
    run = await ended_run(store, make, told=False)
    clock.advance(200 * 86400)
    await purge(database, clock)
    assert await store.runs.load(run.id)
    assert await store.outbox.claim(clock.now, 10)


async def test_a_run_that_is_watched_stays(store, database, make, clock):
    """A run without an outcome, or whose late result may still come, is no finished work."""
    late = await ended_run(store, make, outcome=Outcome.NOT_CONFIRMED)
    opened = await start(store, make, make.press(), "int_2")
    clock.advance(200 * 86400)
    await purge(database, clock)
    assert await store.runs.load(late.id)
    assert await store.runs.load(opened.run.id)


async def test_a_request_that_waits_stays(store, database, make, clock):
    """What somebody asked is kept until it is answered."""
    await store.inbox.add(make.command())
    clock.advance(200 * 86400)
    await purge(database, clock)
    assert await store.inbox.claim(clock.now, 1)


async def test_notes_and_panels_go_once_they_are_shown(store, database, make, clock):
    """Answers without a run are deleted, too; one that is not sent yet is not."""
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


async def test_who_stood_still_until_the_retention_came_answers_nothing(store, database, make, clock):
    """A request that another answered, and that was deleted since, is no less answered."""
    request = make.command()
    await store.inbox.add(request)
    await store.inbox.claim(clock.now, 1)
    await store.inbox.finish(request.id)
    clock.advance(200 * 86400)
    await purge(database, clock)
    with pytest.raises(ClaimLost):
        await store.inbox.finish(request.id)


async def test_much_goes_in_small_batches(store, database, make, clock, monkeypatch):
    """One call deletes no more than a batch of each table."""
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        request = make.command()
        await store.inbox.add(request)
        await store.inbox.finish(request.id)
    clock.advance(200 * 86400)
    assert [await Retention(database).purge(clock.now - 90 * DAY) for _ in range(4)] == [2, 2, 1, 0]


async def test_the_newest_snapshot_is_kept(database, make):
    """A replica that was slower does not overwrite what is newer; a workspace sees its own only."""
    snapshots = Snapshots(database, TEAM)
    assert await snapshots.load() is None
    newer, older = (make.integration("int_b"),), (make.integration("int_a"),)
    await snapshots.save(newer, make.clock.now)
    await snapshots.save(older, make.clock.now - DAY)
    assert await snapshots.load() == (newer, make.clock.now)
    assert await Snapshots(database, "T0OTHER").load() is None
    await snapshots.save(older, make.clock.now + DAY)
    assert await snapshots.load() == (older, make.clock.now + DAY)


async def test_ended_response_urls_are_emptied(store, make, clock, database):
    """A response_url is in the database for as long as Slack honours it, and no longer; the message stays."""
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
    """Return all that stands in any row of any table."""
    async with database.begin() as connection:
        tables = [(await connection.execute(select(table))).all() for table in metadata.sorted_tables]
    return repr(tables)
