"""Connections to PostgreSQL: reused while they work, replaced when they don't, with statements prepared once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import bindparam, select, text

from bot.core.errors import StoreUnavailable
from bot.store import server
from bot.store.database import Database
from bot.store.tables import runs

pytestmark = pytest.mark.postgres

BACKEND = text("SELECT pg_backend_pid()")
PREPARED = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT runs.data%'")
ASKED = select(runs.c.data).where(runs.c.id == bindparam("run"))


@pytest.fixture
async def database(postgres_url):
    """Open a database."""
    opened = Database(postgres_url)
    yield opened
    await opened.close()


async def test_a_statement_is_prepared_once(database):
    for run_id in ("run_1", "run_2", "run_3"):
        async with database.read() as connection:
            await connection.execute(ASKED, {"run": run_id})
    async with database.begin() as connection:
        assert await connection.scalar(PREPARED) == 1


async def test_a_connection_has_the_bots_name_and_limit(database):
    limit = f"{server.STANDS_STILL_MS // 1000}s"
    async with database.begin() as connection:
        assert await connection.scalar(text("SHOW application_name")) == server.APPLICATION_NAME
        assert await connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == limit


async def test_a_failed_transaction_is_not_taken_for_saved(database):
    """Even if the block hides the error: PostgreSQL answers COMMIT with ROLLBACK."""

    async def hide_an_error():
        async with database.begin() as connection:
            with contextlib.suppress(Exception):
                await connection.execute(text("SELECT 1 / 0"))

    with pytest.raises(StoreUnavailable):
        await hide_an_error()
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("trusted_s", [-1.0, 60.0])
async def test_a_connection_that_works_is_reused(database, monkeypatch, trusted_s):
    """Whether it was used just now, or is checked first."""
    monkeypatch.setattr(server, "TRUSTED_S", trusted_s)
    async with database.begin() as connection:
        backend = await connection.scalar(BACKEND)
    async with database.read() as connection:
        assert await connection.scalar(BACKEND) == backend
    async with database.begin() as connection:
        assert await connection.scalar(BACKEND) == backend


@pytest.mark.parametrize("kind", ["begin", "read"])
@pytest.mark.parametrize("is_noticed", [True, False])
async def test_a_connection_that_was_ended_is_replaced(database, postgres_url, monkeypatch, kind, is_noticed):
    """Whether or not the driver has noticed."""
    monkeypatch.setattr(server, "TRUSTED_S", 60.0 if is_noticed else -1.0)
    other = Database(postgres_url)
    async with database.read() as connection:
        backend = await connection.scalar(BACKEND)
    async with other.read() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:backend)"), {"backend": backend})
    [link] = database._where._idle
    while is_noticed and not link.session.is_closed():
        await asyncio.sleep(0)
    async with getattr(database, kind)() as connection:
        assert await connection.scalar(BACKEND) != backend
    await other.close()


async def test_a_block_that_fails_leaves_no_open_transaction(database):
    """Its connection is rolled back and reused."""
    backends = []

    async def fail():
        async with database.begin() as connection:
            backends.append(await connection.scalar(BACKEND))
            await connection.execute(text("CREATE TABLE undone (id integer)"))
            raise KeyError("x")

    with pytest.raises(KeyError):
        await fail()
    async with database.begin() as connection:
        assert [await connection.scalar(BACKEND)] == backends
        assert await connection.scalar(text("SELECT to_regclass('undone')")) is None


async def test_waiting_too_long_for_a_connection_raises(postgres_url, monkeypatch):
    monkeypatch.setattr(server, "CONNECTION_FREE_WITHIN_S", 0.05)
    database = Database(postgres_url, pool_size=1)
    async with database.begin():
        with pytest.raises(StoreUnavailable, match="no connection to the database became free in time"):
            async with database.begin():
                raise AssertionError("it has two")
    await database.close()


async def test_closing_is_finished_even_if_its_canceled(postgres_url):
    """Otherwise, connections would stay open until the garbage collector finds them."""
    database = Database(postgres_url)
    async with database.begin(), database.begin(), database.begin():
        pass
    links = tuple(database._where._idle)
    assert len(links) == 3
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    async with asyncio.timeout(10):
        while not all(link.connection.closed for link in links):
            await asyncio.sleep(0)
    assert all(link.session.is_closed() for link in links)


async def test_a_canceled_block_returns_its_connection(postgres_url):
    """If it was canceled during a statement, the connection is closed, and another one can be opened."""
    database = Database(postgres_url, pool_size=1)

    async def wait():
        async with database.begin() as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))

    waiting = asyncio.create_task(wait())
    while not database._where._places.locked():
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await database.close()
