"""What a database tells about itself is true on both kinds."""

from __future__ import annotations

import pytest_asyncio

from bot.store.database import Database
from bot.store.replicas import ALIVE_S, Replicas
from bot.store.vitals import Vitals


@pytest_asyncio.fixture
async def database(database_url):
    """Look into the test's database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


async def test_a_current_database_is_described(database):
    """Kind, revision and latency are told."""
    vitals = Vitals(database)
    assert vitals.kind == ("SQLite" if database.is_sqlite else "PostgreSQL")
    assert await vitals.revision() == vitals.needed_revision
    assert 0 < await vitals.latency_s() < 5
    assert not vitals.is_missing


async def test_those_who_were_seen_lately_are_alive(database, clock):
    """A process counts for as long as it notes itself."""
    vitals = Vitals(database)
    assert await vitals.alive(clock.now) == 0
    await Replicas(database, "a").note(clock.now)
    await Replicas(database, "b").note(clock.now)
    assert await vitals.alive(clock.now) == 2
    assert await vitals.alive(clock.advance(ALIVE_S + 1)) == 0


async def test_runs_are_read_newest_first(store, database, make, clock, click):
    """The newest runs of every integration come first, and no more than were asked for."""
    for integration in ("int_1", "int_2", "int_3"):
        await click(store, make, integration=integration)
        clock.advance(1)
    assert [run.integration_id for run in await Vitals(database).newest_runs(2)] == ["int_3", "int_2"]


async def test_a_file_that_no_start_made_is_missing(tmp_path):
    """Looking makes no file."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/none.db")
    assert Vitals(database).is_missing
    await database.close()
    assert not (tmp_path / "none.db").exists()
