"""The second connection to a SQLite file: what it says of a transaction that fails, tried with real locks."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import pytest_asyncio

from bot.core.errors import StoreInDoubt, StoreUnavailable
from bot.store.urgent import UrgentWriter

INSERT = "INSERT INTO kept (id, size) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"


def hasty(connection):
    """Begin transactions by hand, and wait for no lock."""
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 0")


@pytest.fixture
def file(tmp_path):
    """A database that blocks its writer's commit while somebody reads: it keeps a rollback journal."""
    path = tmp_path / "kept.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE kept (id TEXT PRIMARY KEY, size INTEGER CHECK (size > 0))")
    return path


@pytest_asyncio.fixture
async def writer(file):
    """A writer that waits for nobody."""
    writer = UrgentWriter(file, hasty)
    yield writer
    await writer.close()


def kept(file):
    """Read what is saved."""
    with closing(sqlite3.connect(file)) as connection:
        return [id_ for (id_,) in connection.execute("SELECT id FROM kept ORDER BY id")]


async def test_it_tells_which_rows_are_new(writer, file):
    """What was there already is passed by, in the same transaction."""
    assert await writer.insert(INSERT, [("a", 1), ("b", 1)]) == [True, True]
    assert await writer.insert(INSERT, [("b", 1), ("c", 1), ("c", 1)]) == [False, True, False]
    assert kept(file) == ["a", "b", "c"]


async def test_a_failed_commit_is_in_doubt(writer, file):
    """Nobody knows what a commit did that did not end well; the connection is not used again, and a next one works."""
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("INSERT INTO kept VALUES ('a', 1)").connection.commit()
        unread = reader.execute("SELECT id FROM kept UNION ALL SELECT id FROM kept")
        unread.fetchone()
        with pytest.raises(StoreInDoubt):
            await writer.insert(INSERT, [("b", 1)])
        unread.close()
    assert await writer.insert(INSERT, [("c", 1)]) == [True]
    assert kept(file) == ["a", "c"]


async def test_what_cannot_begin_is_in_no_doubt(writer, file):
    """While somebody else writes nothing was saved, for sure."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as caught:
            await writer.insert(INSERT, [("a", 1)])
    assert type(caught.value) is StoreUnavailable
    assert await writer.insert(INSERT, [("b", 1)]) == [True]
    assert kept(file) == ["b"]


async def test_a_row_that_is_refused_undoes_the_others(writer, file):
    """A fault of ours is neither hidden nor half saved, and blocks nobody who comes later."""
    with pytest.raises(sqlite3.IntegrityError):
        await writer.insert(INSERT, [("a", 1), ("b", 0)])
    assert await writer.insert(INSERT, [("c", 1)]) == [True]
    assert kept(file) == ["c"]
