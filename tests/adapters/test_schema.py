"""The migrations and the tables are the same schema, on both databases."""

from __future__ import annotations

import json
import warnings

import pytest
import pytest_asyncio
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from bot.core.subscriptions.subscriptions import News
from bot.store import schema
from bot.store.database import Database
from bot.store.tables import metadata, runs, subscriptions


@pytest_asyncio.fixture
async def database(empty_url):
    """An empty database."""
    opened = Database(empty_url)
    yield opened
    await opened.close()


async def differences(database):
    """Return what the migrations lack or add; comments exist only in the code."""

    def compare(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*expression-based index")  # SQLite doesn't report them.
            found = compare_metadata(context, metadata)
        return [one for one in found if not (isinstance(one, list) and {op for op, *_ in one} == {"modify_comment"})]

    async with database.begin() as connection:
        return await connection.run_sync(compare)


async def test_the_migrations_create_exactly_the_tables(database):
    """From an empty database to what ``tables.py`` describes."""
    await schema.upgrade(database)
    assert await differences(database) == []


async def test_an_empty_database_has_no_revision(database):
    """So it isn't mistaken for one of this version."""
    assert await schema.current(database) == ""
    assert schema.HEAD != ""


async def test_upgrade_reaches_the_head(database):
    await schema.upgrade(database)
    assert await schema.current(database) == schema.HEAD


async def test_a_second_upgrade_changes_nothing(database, clock):
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


async def test_the_database_refuses_two_active_runs_of_an_integration(database, clock):
    """Whatever writes them."""
    await schema.upgrade(database)
    row = {"team_id": "T", "integration_id": "i", "phase": "done", "requested_at": clock.now, "data": "{}"}
    async with database.begin() as connection:
        await connection.execute(runs.insert().values(id="run_1", outcome="succeeded", **row))
        await connection.execute(runs.insert().values(id="run_2", **row))
    with pytest.raises(IntegrityError):
        async with database.begin() as connection:
            await connection.execute(runs.insert().values(id="run_3", **row))


@pytest.mark.parametrize("revision", [one.revision for one in schema.scripts().walk_revisions()])
async def test_every_earlier_revision_can_be_upgraded(database, revision):
    """It gets exactly today's tables."""
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(schema._config(sync), revision))
    assert await schema.current(database) == revision
    await schema.upgrade(database)
    assert await differences(database) == []


async def test_only_the_owner_can_read_the_file(tmp_path):
    """And the files that SQLite creates beside it, and a new folder."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'data' / 'flokit.db'}")
    database.make_folder()
    await schema.upgrade(database)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    assert modes["flokit.db"] == modes["flokit.db-wal"] == 0o600
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    await database.close()


async def test_subscriptions_to_all_news_get_the_new_kind(database, clock):
    """Those to some news stay as they are."""
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(schema._config(sync), "0012"))
        for number, news in enumerate((["failing", "stale", "disconnected", "recovered"], ["failing"])):
            row = {"id": f"sub_{number}", "team_id": "T", "channel_id": f"C{number}", "target": "all"}
            data = json.dumps({"id": row["id"], "news": news})
            await connection.execute(subscriptions.insert().values(**row, data=data, created_at=clock.now))
    await schema.upgrade(database)
    async with database.begin() as connection:
        rows = (await connection.execute(subscriptions.select().order_by(subscriptions.c.id))).all()
    every, some = (json.loads(row.data)["news"] for row in rows)
    assert set(every) == set(News)
    assert some == ["failing"]
