"""What each kind of database reports about itself is true."""

from __future__ import annotations

import pytest_asyncio

from bot.store.database import Database
from bot.store.replicas import ALIVE_S, Replicas
from bot.store.vitals import Vitals


@pytest_asyncio.fixture
async def database(database_url):
    """Return the health of the test's database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


async def test_a_current_database_is_described(database):
    """With its kind, revision and latency."""
    vitals = Vitals(database)
    assert vitals.kind == ("SQLite" if database.is_sqlite else "PostgreSQL")
    assert await vitals.revision() == vitals.needed_revision
    assert 0 < await vitals.latency_s() < 5
    assert not vitals.is_missing


async def test_processes_seen_recently_are_running(database, clock):
    """A process counts as long as it sends heartbeats."""
    vitals = Vitals(database)
    assert await vitals.alive(clock.now) == 0
    await Replicas(database, "a").note(clock.now)
    await Replicas(database, "b").note(clock.now)
    assert await vitals.alive(clock.now) == 2
    assert await vitals.alive(clock.advance(ALIVE_S + 1)) == 0


async def test_runs_are_read_newest_first(store, database, make, clock, click):
    """The newest runs of every integration come first, up to the limit."""
    for integration in ("int_1", "int_2", "int_3"):
        await click(store, make, integration=integration)
        clock.advance(1)
    assert [run.integration_id for run in await Vitals(database).newest_runs(2)] == ["int_3", "int_2"]


async def test_a_file_that_was_never_created_is_missing(tmp_path):
    """Checking creates no file."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/none.db")
    assert Vitals(database).is_missing
    await database.close()
    assert not (tmp_path / "none.db").exists()
