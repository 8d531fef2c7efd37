"""The store behind a real PgBouncer in transaction mode, where each transaction may get another session."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import text

from bot.core.errors import StoreUnavailable
from bot.store import schema, server
from bot.store.database import Database
from bot.store.replicas import Replicas
from bot.store.store import Store
from tests.adapters import test_store_limits, test_store_outbox, test_store_requests
from tests.conftest import new_postgres, running_pgbouncer

pytestmark = pytest.mark.postgres

MANY = 12

CONTRACT = (test_store_limits, test_store_outbox, test_store_requests)
globals().update(
    {
        f"{name}_through_pgbouncer": test
        for file in CONTRACT
        for name, test in vars(file).items()
        if name.startswith("test_") and callable(test)
    }
)
"""What the store guarantees, tested again through PgBouncer: these tests use the fixture below as their database."""


@pytest.fixture(scope="module")
def pooler(postgres_server):
    """A PgBouncer in front of the tests' databases."""
    with running_pgbouncer(postgres_server, "postgres", "unused") as address:
        yield address


@pytest.fixture
def database_url(postgres_server, postgres_template, pooler):
    """A new database with all tables, through PgBouncer."""
    name = new_postgres(postgres_server, postgres_template).partition("?")[0].rpartition("/")[2]
    return f"postgresql://postgres:unused@{pooler}/{name}"


async def test_more_connections_than_sessions_work(pgbouncer, make, clock, click):
    """They save, claim and end runs repeatedly, without a mix-up."""
    stores = [Store(Database(pgbouncer), owner=f"replica_{n}") for n in range(3)]

    async def work(number):
        store = stores[number % len(stores)]
        for _ in range(5):
            assert await store.inbox.add(make.command())
            await store.runs.claim(clock.now, 1)
            await store.outbox.claim(clock.now, 1)
            await schema.current(store._database)

    try:
        await asyncio.gather(*(work(number) for number in range(MANY)))
        opened = await click(stores[0], make)
        await stores[1].release()
        claims = [claim for store in stores for claim in await store.runs.claim(clock.advance(60), 5)]
        assert opened.run.id in [claim.run.id for claim in claims]
    finally:
        await asyncio.gather(*(store.close() for store in stores))


async def test_migrate_works_through_it(pgbouncer, hosted):
    await hosted.operate_inside("DROP SCHEMA public CASCADE", "CREATE SCHEMA public AUTHORIZATION {self.user}")
    database = Database(pgbouncer, statement_s=None)
    try:
        await schema.upgrade(database)
        assert await schema.current(database) == schema.HEAD
    finally:
        await database.close()


async def test_nothing_remains_for_other_clients(pgbouncer):
    """Another client of the pool finds none of the bot's limits, names or prepared statements."""
    database = Database(pgbouncer)
    other = await asyncpg.connect(pgbouncer, statement_cache_size=0)
    try:
        for _ in range(5):
            await asyncio.gather(*(schema.current(database) for _ in range(MANY)))
            found = await other.fetchrow(
                "SELECT current_setting('idle_in_transaction_session_timeout') AS limit_, "
                "current_setting('application_name') AS name, (SELECT count(*) FROM pg_prepared_statements) AS prepared"
            )
            assert found["limit_"] == "0"
            assert found["name"] != server.APPLICATION_NAME
            assert found["prepared"] == 0
    finally:
        await other.close()
        await database.close()


async def test_a_process_that_hangs_in_a_transaction_is_disconnected(pgbouncer, monkeypatch):
    """The limit applies in each transaction, whichever session it gets."""
    monkeypatch.setattr(server, "STANDS_STILL_MS", 200)
    database = Database(pgbouncer)

    async def stand_still():
        async with database.begin() as connection:
            await connection.execute(text("SELECT 1"))
            raw = await connection.run_sync(lambda sync: sync.connection)
            async with asyncio.timeout(10):
                while not raw.driver_connection.is_closed():
                    await asyncio.sleep(0)
            await connection.execute(text("SELECT 1"))

    try:
        with pytest.raises(StoreUnavailable):
            await stand_still()
        assert await schema.current(database) == schema.HEAD
    finally:
        await database.close()


async def test_sessions_of_other_programs_are_left_alone(pgbouncer):
    """They're never mistaken for the bot's."""
    database = Database(pgbouncer)
    replicas = Replicas(database, "a")
    other = await asyncpg.connect(pgbouncer, statement_cache_size=0)
    try:
        await asyncio.gather(*(schema.current(database) for _ in range(MANY)))  # the bot has used every session
        async with other.transaction():
            await other.execute("SELECT 1")
            assert await replicas.end_stalled(0) == 0
            assert await other.fetchval("SELECT 1") == 1
    finally:
        await other.close()
        await database.close()


async def is_saved(store, make):
    """Try to save a request."""
    try:
        return await store.inbox.add(make.command())
    except StoreUnavailable:
        return False


async def test_a_read_only_server_is_named_through_it(pgbouncer, hosted, make):
    """The bot waits during a failover, too."""
    store = Store(Database(pgbouncer), owner="a")
    try:
        assert await store.inbox.add(make.command())
        await hosted.operate("ALTER ROLE {self.user} SET default_transaction_read_only = on")
        await hosted.throw_out()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await store.inbox.add(make.command())
        await hosted.operate("ALTER ROLE {self.user} RESET default_transaction_read_only")
        await hosted.throw_out()
        async with asyncio.timeout(10):
            while not await is_saved(store, make):
                pass
    finally:
        await store.close()
