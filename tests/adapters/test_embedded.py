"""The SQLite file: which work leaves the event loop, and that transactions stay atomic. Tested with real locks."""

import asyncio
import contextlib
import sqlite3
import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from bot.core.errors import StoreUnavailable
from bot.store import embedded
from bot.store.database import Database


@pytest.fixture
async def database(tmp_path):
    """A database with an empty table."""
    database = Database(f"sqlite:///{tmp_path / 'notes.db'}")
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY, word TEXT UNIQUE)"))
    yield database
    await database.close()


async def words(database):
    """Return what's saved."""
    async with database.begin() as connection:
        return list(await connection.scalars(text("SELECT word FROM notes ORDER BY id")))


async def add(connection, *new):
    """Save words."""
    await connection.execute(text("INSERT INTO notes (word) VALUES (:word)"), [{"word": word} for word in new])


@pytest.fixture
def trips(monkeypatch):
    """Record every trip to the thread."""
    made = []
    make = embedded.Embedded._in_thread

    async def counted(where, work):
        made.append(work)
        return await make(where, work)

    monkeypatch.setattr(embedded.Embedded, "_in_thread", counted)
    return made


async def test_a_transaction_that_writes_makes_one_trip(database, trips):
    async with database.begin() as connection:
        await add(connection, "a", "b")
        assert (await connection.execute(text("SELECT word FROM notes"))).all() == [("a",), ("b",)]
    assert len(trips) == 1


async def test_a_transaction_that_changes_nothing_makes_no_trip(database, trips):
    """A claim that finds nothing is an example."""
    async with database.begin() as connection:
        await connection.execute(text("UPDATE notes SET word = 'b' WHERE word = 'a'"))
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT word FROM notes"))).all() == []
    assert trips == []


async def test_a_light_transaction_makes_no_trip(database, trips):
    """It's there for everybody at once, and the next one that waits for the disk takes it along."""
    async with database.begin(is_light=True) as connection:
        await add(connection, "a")
    assert trips == []
    with contextlib.closing(sqlite3.connect(database.file)) as other:
        assert other.execute("SELECT word FROM notes").fetchall() == [("a",)]


@pytest.mark.parametrize("order", [(True, False, True), (False, True, False)])
async def test_only_a_light_transaction_isnt_brought_to_the_disk(database, order):
    """SQLite's levels: 1 is NORMAL, 2 is FULL. A connection that failed, and is opened again, keeps to that, too."""
    for is_light in order * 2:
        with contextlib.suppress(ZeroDivisionError):
            async with database.begin(is_light=is_light) as connection:
                assert await connection.scalar(text("PRAGMA synchronous")) == (1 if is_light else 2)
                assert await connection.scalar(text("PRAGMA wal_autocheckpoint")) == (0 if is_light else 1000)
                raise ZeroDivisionError


async def test_a_long_statement_leaves_the_loop(database):
    threads = set()
    database_threads = text("SELECT name() FROM (SELECT 1)")
    async with database.read(is_long=True) as connection:
        raw = await connection.run_sync(lambda sync: sync.connection.driver_connection)
        raw.create_function("name", 0, lambda: threads.add(threading.current_thread()) or "")
        assert await connection.scalars(database_threads) == [""]
    assert threads
    assert threading.current_thread() not in threads


async def test_a_failed_transaction_is_rolled_back_completely(database):
    async def fail():
        async with database.begin() as connection:
            await add(connection, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await words(database) == []


async def test_a_first_statement_that_fails_leaves_no_lock(database):
    with pytest.raises(IntegrityError):
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO notes (id) VALUES (1), (1)"))
    async with database.begin() as connection:
        await add(connection, "a")
    assert await words(database) == ["a"]


async def test_the_write_lock_is_taken_at_the_start(database):
    """A transaction that reads first and writes later could fail halfway."""
    other = sqlite3.connect(database.file, timeout=0)
    try:
        async with database.begin() as connection:
            await connection.execute(text("SELECT 1"))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO notes (word) VALUES ('theirs')")
    finally:
        other.close()


async def test_a_lock_held_too_long_makes_the_store_unavailable(database, monkeypatch):
    monkeypatch.setattr(embedded, "BUSY_TIMEOUT_MS", 10)
    other = sqlite3.connect(database.file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            async with database.begin() as connection:
                await add(connection, "a")
    finally:
        other.close()
    assert await words(database) == []


async def test_waiting_for_a_lock_does_not_block_the_event_loop(database):
    """The writer waits in the thread, then writes."""
    other = sqlite3.connect(database.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write():
        async with database.begin() as connection:
            await add(connection, "a")

    writing = asyncio.create_task(write())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not writing.done()
    other.execute("ROLLBACK")
    other.close()
    await writing
    assert await words(database) == ["a"]


async def test_a_canceled_transaction_leaves_no_lock(database):
    """If it's canceled during its commit, it's saved completely."""

    async def slowly():
        async with database.begin() as connection:
            await add(connection, *map(str, range(5_000)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    for turns in range(1, 8):
        task = asyncio.create_task(slowly())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await words(database)) in (0, 5_000)
        async with database.begin() as connection:
            await connection.execute(text("DELETE FROM notes"))
