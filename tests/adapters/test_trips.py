"""The SQLite connection that makes few trips to its thread: what a transaction costs, and that it is still one."""

import asyncio
import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from bot.core.errors import StoreUnavailable
from bot.store import trips
from bot.store.database import Database


@pytest.fixture
async def database(tmp_path):
    """Give an empty table."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'trips.db'}")
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY, word TEXT UNIQUE)"))
    yield database
    await database.close()


async def words(database):
    """Read what is saved."""
    async with database.begin() as connection:
        return list(await connection.scalars(text("SELECT word FROM notes ORDER BY id")))


async def add(connection, *new):
    """Save words."""
    await connection.execute(text("INSERT INTO notes (word) VALUES (:word)"), [{"word": word} for word in new])


@pytest.fixture
def made(monkeypatch):
    """Note each trip."""
    made = []
    execute = trips.Connection._execute

    async def counted(connection, function, *args, **options):
        made.append(function)
        return await execute(connection, function, *args, **options)

    monkeypatch.setattr(trips.Connection, "_execute", counted)
    return made


async def test_a_statement_is_one_trip_and_so_is_the_commit(database, made):
    """The beginning, the cursor, the rows, and giving the connection back are none."""
    async with database.begin() as connection:
        await add(connection, "a", "b")
        assert (await connection.execute(text("SELECT word FROM notes"))).all() == [("a",), ("b",)]
    assert len(made) == 3


async def test_an_empty_transaction_is_no_trip(database, made):
    """What was never begun need not end."""
    async with database.begin():
        pass
    assert made == []


async def test_what_fails_is_undone_as_a_whole(database):
    """Nothing of a transaction stays when its block raises."""

    async def fail():
        async with database.begin() as connection:
            await add(connection, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await words(database) == []


async def test_a_first_statement_that_fails_leaves_no_lock(database):
    """The transaction had begun with it."""
    with pytest.raises(IntegrityError):
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO notes (id) VALUES (1), (1)"))
    async with database.begin() as connection:
        await add(connection, "a")
    assert await words(database) == ["a"]


async def test_the_write_lock_is_taken_with_the_first_read(database):
    """A read that turns into a write half-way could only fail."""
    other = sqlite3.connect(database.file, timeout=0)
    try:
        async with database.begin() as connection:
            await connection.execute(text("SELECT 1"))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO notes (word) VALUES ('theirs')")
    finally:
        other.close()


async def test_a_lock_that_others_hold_is_a_store_that_is_away(database):
    """Somebody else has the file, for longer than is waited."""
    other = sqlite3.connect(database.file, isolation_level=None)
    try:
        async with database.engine.connect() as connection:
            await connection.exec_driver_sql("PRAGMA busy_timeout=0")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            async with database.begin() as connection:
                await add(connection, "a")
    finally:
        other.close()
    assert await words(database) == []


async def test_a_cancelled_transaction_leaves_no_lock(database):
    """Whatever its thread was at when nobody waited any more, it is undone before the next begins."""

    async def slowly():
        async with database.begin() as connection:
            await add(connection, *map(str, range(20_000)))
            await asyncio.Event().wait()

    for turns in range(1, 12):
        task = asyncio.create_task(slowly())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await words(database) == []
