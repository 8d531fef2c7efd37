"""The revisions and the tables are one schema, on both databases."""

from __future__ import annotations

import warnings

import pytest
import pytest_asyncio
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from bot.store import schema
from bot.store.database import Database
from bot.store.tables import metadata, runs


@pytest_asyncio.fixture
async def database(empty_url):
    """Open an empty database."""
    opened = Database(empty_url)
    yield opened
    await opened.close()


async def differences(database):
    """Tell what the revisions lack, or have too much; the tables' comments are for readers and stay in the code."""

    def compare(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*expression-based index")  # SQLite does not tell of them
            found = compare_metadata(context, metadata)
        return [one for one in found if not (isinstance(one, list) and {op for op, *_ in one} == {"modify_comment"})]

    async with database.begin() as connection:
        return await connection.run_sync(compare)


async def test_revisions_make_exactly_the_tables(database):
    """From empty, ``upgrade`` brings exactly what ``tables.py`` describes."""
    await schema.upgrade(database)
    assert await differences(database) == []


async def test_empty_database_has_no_revision(database):
    """An empty database names no revision, and so is not taken for one of this code."""
    assert await schema.current(database) == ""
    assert schema.HEAD != ""


async def test_upgrade_reaches_the_head(database):
    """After ``upgrade`` the database's revision is the code's."""
    await schema.upgrade(database)
    assert await schema.current(database) == schema.HEAD


async def test_upgrade_twice_is_harmless(database, clock):
    """A second ``upgrade`` changes nothing and loses nothing."""
    await schema.upgrade(database)
    row = {
        "id": "run_1",
        "team_id": "T",
        "integration_id": "i",
        "phase": "done",
        "requested_at": clock.now,
        "data": "{}",
        "version": 0,
    }
    async with database.begin() as connection:
        await connection.execute(runs.insert().values(**row))
    await schema.upgrade(database)
    assert await differences(database) == []
    async with database.begin() as connection:
        kept = (await connection.execute(runs.select())).one()
    assert (kept.id, kept.requested_at) == ("run_1", clock.now)


async def test_database_itself_holds_one_active_run(database, clock):
    """Two active runs of one integration are refused by the database, whoever writes them."""
    await schema.upgrade(database)
    row = {"team_id": "T", "integration_id": "i", "phase": "done", "requested_at": clock.now, "data": "{}"}
    async with database.begin() as connection:
        await connection.execute(runs.insert().values(id="run_1", outcome="succeeded", **row))
        await connection.execute(runs.insert().values(id="run_2", **row))
    with pytest.raises(IntegrityError):
        async with database.begin() as connection:
            await connection.execute(runs.insert().values(id="run_3", **row))


@pytest.mark.parametrize("revision", [one.revision for one in schema.scripts().walk_revisions()])
async def test_every_earlier_revision_is_brought_up_to_date(database, revision):
    """A database that stopped at any revision gets exactly the tables of today."""
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(schema._config(sync), revision))
    assert await schema.current(database) == revision
    await schema.upgrade(database)
    assert await differences(database) == []


async def test_the_file_is_its_owners(tmp_path):
    """The SQLite file, what SQLite puts beside it, and a new folder can be read by their owner only."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'data' / 'flokit.db'}")
    database.make_folder()
    await schema.upgrade(database)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    assert modes["flokit.db"] == modes["flokit.db-wal"] == 0o600
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    await database.close()
