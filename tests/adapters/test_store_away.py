"""The database goes down and comes back: the store raises one error meanwhile, and then continues."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import pytest
from sqlalchemy import event, select, text, update

from bot.core.errors import StoreInDoubt, StoreUnavailable
from bot.ops.health import Health
from bot.store import schema, server
from bot.store.database import Database
from bot.store.gauges import read_gauges
from bot.store.replicas import Replicas
from bot.store.store import Store
from bot.store.tables import runs

STARTING_UP = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
TOO_MANY = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"


@asynccontextmanager
async def serving(handle):
    """Serve a port with whatever ``handle`` does to a connection; yield its URL."""

    async def connected(reader, writer):
        try:
            await handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"postgresql+asyncpg://postgres@127.0.0.1:{port}/x"
    finally:
        server.close()


@asynccontextmanager
async def opened(url):
    """Open a store and close it."""
    store = Store(Database(url), owner="a")
    try:
        yield store
    finally:
        await store.close()


def free_port():
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def assert_unavailable(store, make, click):
    """Try each kind of work; it must be refused in a sentence without address or password."""
    now = make.clock.now
    for work in (
        schema.current(store._database),
        read_gauges(store._database, now),
        store.inbox.add(make.command()),
        click(store, make),
        store.runs.claim(now, 1),
        store.outbox.claim(now, 1),
        store.runs.next_at(),
        store.release(),
    ):
        with pytest.raises(StoreUnavailable) as refused:
            await work
        assert "127.0.0.1" not in str(refused.value)


async def test_a_refused_connection_makes_the_store_unavailable(make, click):
    async with opened(f"postgresql+asyncpg://postgres:hunter2@127.0.0.1:{free_port()}/x") as store:
        await assert_unavailable(store, make, click)


@pytest.mark.parametrize("refusal", [STARTING_UP, TOO_MANY], ids=["starting", "full"])
async def test_a_full_or_starting_server_makes_the_store_unavailable(make, click, refusal):
    """So does one that shuts down."""

    async def refuse(reader, writer):
        while True:
            size = int.from_bytes(await reader.readexactly(4), "big")
            message = await reader.readexactly(size - 4)
            if message[:4] == (80877103).to_bytes(4, "big"):
                writer.write(b"N")  # no TLS
                continue
            writer.write(b"E" + (len(refusal) + 4).to_bytes(4, "big") + refusal)
            await writer.drain()
            return

    async with serving(refuse) as url, opened(url) as store:
        await assert_unavailable(store, make, click)


async def test_a_server_that_hangs_up_makes_the_store_unavailable(make, click):
    async def hang_up(reader, writer):
        await reader.read(1)

    async with serving(hang_up) as url, opened(url) as store:
        await assert_unavailable(store, make, click)


async def test_a_silent_server_is_given_up_in_time(make, click):
    """Within Slack's three seconds, so that the ack can say so."""
    silence = asyncio.Event()

    async def stay_silent(reader, writer):
        await silence.wait()

    async with serving(stay_silent) as url, opened(url) as store:
        try:
            async with asyncio.timeout(2.8):
                with pytest.raises(StoreUnavailable):
                    await store.inbox.add(make.command())
        finally:
            silence.set()


@pytest.mark.postgres
async def test_a_store_continues_after_a_restart_of_the_server(postgres_server, postgres_url, make, clock, click):
    """While it's stopped, nothing is saved."""
    async with opened(postgres_url) as store:
        before = await click(store, make)
        try:
            await asyncio.to_thread(postgres_server.stop)
            await assert_unavailable(store, make, click)
        finally:
            await asyncio.to_thread(postgres_server.ensure_postgres_running)
        (claim,) = await store.runs.claim(clock.now, 5)
        assert claim.run == before.run
        await store.runs.save(claim, make.ended(claim.run), clock.now)


@pytest.mark.postgres
async def test_a_transaction_that_the_server_ended_saved_nothing(postgres_server, postgres_url, make, click):
    async def stopped_half_way(store):
        async with store._database.begin() as connection:
            await connection.execute(text("DELETE FROM runs"))
            await asyncio.to_thread(postgres_server.stop)
            await connection.execute(text("DELETE FROM runs"))

    async with opened(postgres_url) as store:
        try:
            with pytest.raises(StoreUnavailable):
                await stopped_half_way(store)
        finally:
            await asyncio.to_thread(postgres_server.ensure_postgres_running)
        assert await click(store, make)


async def _stand_still(database, claim, *, prepared=False):
    """Hold all runs in a transaction until another process could claim them, then write.

    Between preparing a statement and running it, the server takes the session for an active one.
    """
    async with database.begin() as connection:
        await connection.execute(select(runs).order_by(runs.c.id).with_for_update(key_share=True))
        if prepared:
            raw = await connection.run_sync(lambda sync: sync.connection)
            await raw.driver_connection.prepare("SELECT id FROM runs WHERE phase = 'new'")
        async with asyncio.timeout(10):
            while not await claim():
                pass
        await connection.execute(update(runs).values(phase="frozen"))


@pytest.mark.postgres
async def test_a_process_that_hangs_in_a_transaction_is_disconnected(postgres_url, make, click, monkeypatch):
    """It keeps rows from others only briefly, and can then save nothing."""
    frozen, awake = Database(postgres_url), Store(Database(postgres_url), owner="b")
    try:
        await click(awake, make)
        monkeypatch.setattr(server, "STANDS_STILL_MS", 100)
        with pytest.raises(StoreUnavailable):
            await _stand_still(frozen, lambda: awake.runs.claim(make.clock.now, 1))
        async with frozen.begin() as connection:
            assert await connection.scalar(select(runs.c.phase)) != "frozen"
    finally:
        await frozen.close()
        await awake.close()


@pytest.mark.postgres
async def test_a_process_that_hangs_before_it_runs_a_statement_is_disconnected(postgres_url, make, click):
    """No timeout of the server applies there, so another process ends the session."""
    frozen, database = Database(postgres_url), Database(postgres_url)
    awake, replicas, ended = Store(database, owner="b"), Replicas(database, "b"), []

    async def claim():
        ended.append(await replicas.end_stalled(0.1))
        return await awake.runs.claim(make.clock.now, 1)

    try:
        await click(awake, make)
        with pytest.raises(StoreUnavailable):
            await _stand_still(frozen, claim, prepared=True)
        assert sum(ended) == 1
        async with frozen.begin() as connection:
            assert await connection.scalar(select(runs.c.phase)) != "frozen"
    finally:
        await frozen.close()
        await awake.close()


@pytest.mark.postgres
async def test_a_server_that_hangs_is_given_up(postgres_url):
    """Slack waits only three seconds; the connection isn't used again."""
    database = Database(postgres_url, statement_s=0.2)
    dropped = []
    event.listen(database.engine.pool, "invalidate", lambda *_: dropped.append(1))
    try:
        with pytest.raises(StoreUnavailable):
            async with database.begin() as connection:
                await connection.execute(text("SELECT pg_sleep(30)"))
        assert dropped
        await schema.current(database)
    finally:
        await database.close()


class HangsUp(sqlite3.Connection):
    """A connection to a file that breaks when a transaction begins, or after its commit."""

    moment = ""

    def execute(self, sql, *values):
        """Raise at BEGIN, or run the statement."""
        if self.moment == "begin" and sql.startswith("BEGIN"):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)

    def commit(self):
        """Commit, and lose the result."""
        super().commit()
        if self.moment == "commit":
            raise sqlite3.OperationalError("disk I/O error")


@contextmanager
def hanging_up(database, moment, monkeypatch):
    """Let every connection of a database break when a transaction begins, or when it's committed."""
    if database.is_sqlite:
        database._where.drop_idle()
        with monkeypatch.context() as patch:
            broken = type("HangsUpThen", (HangsUp,), {"moment": moment})
            patch.setattr(sqlite3.dbapi2, "connect", partial(sqlite3.connect, factory=broken))
            yield
        database._where.drop_idle()
        return
    with monkeypatch.context() as patch:
        patch.setattr(server.Link, moment, _drop if moment == "begin" else _hang_up)
        yield


async def _drop(link, *, begins):
    await link.drop()
    raise ConnectionResetError


async def _hang_up(_link, *, begins):
    raise ConnectionResetError


@pytest.mark.parametrize(("moment", "error"), [("begin", StoreUnavailable), ("commit", StoreInDoubt)])
async def test_only_a_lost_commit_is_in_doubt(database_url, make, click, monkeypatch, moment, error):
    """Before the commit, it's certain that nothing was saved; during it, it's unknown."""
    database = Database(database_url)
    store = Store(database, owner="a")
    try:
        await schema.current(database)
        request = make.command()
        for work in (lambda: store.inbox.add(request), lambda: click(store, make)):
            with hanging_up(database, moment, monkeypatch), pytest.raises(StoreUnavailable) as caught:
                await work()
            assert type(caught.value) is error
        was_saved = database.is_sqlite and error is StoreInDoubt  # there only the answer was lost
        assert await store.inbox.add(request) is not was_saved
    finally:
        await store.close()


async def test_a_missing_folder_is_created(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/data/deep/flokit.db")
    database.make_folder()
    await schema.current(database)
    await database.close()
    assert (tmp_path / "data" / "deep" / "flokit.db").exists()


async def test_unreadable_file_is_unavailable(tmp_path, make, click):
    (tmp_path / "flokit.db").mkdir()
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/flokit.db") as store:
        await assert_unavailable(store, make, click)


async def test_no_thread_outlives_a_closed_database(tmp_path, clock):
    """A commit that was abandoned continues in its thread; closing waits for it."""
    before = set(threading.enumerate())
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/flokit.db")
    await schema.upgrade(database)
    saving = asyncio.create_task(Replicas(database, "here").note(clock.now))
    for _ in range(3):
        await asyncio.sleep(0)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)
    await database.close()
    assert not {one.name for one in set(threading.enumerate()) - before if one.name.startswith("commit")}


@pytest.mark.parametrize("way", ["request", "beat"])
async def test_a_full_disk_is_reported_until_a_write_succeeds(sqlite_url, make, clock, way):
    async with opened(sqlite_url) as store:
        database = store._database
        free = fill_the_disk(database)
        health = Health(database)
        save = {
            "request": lambda: store.inbox.add(make.command("x" * 50_000)),
            "beat": lambda: Replicas(database, "x" * 50_000).note(clock.now),
        }[way]
        assert "database" not in await health.problems()
        with pytest.raises(StoreUnavailable):
            await save()
        assert (await health.problems())["database"] == "nothing can be saved: the disk is full"
        free()
        await save()
        assert "database" not in await health.problems()


def fill_the_disk(database):
    """Keep the file from growing, which SQLite reports like a full disk; return a function that ends that."""

    def no_page_more(connection, _record):
        connection.execute("PRAGMA max_page_count=1")

    def free():
        event.remove(database.engine, "connect", no_page_more)
        database._where.drop_idle()

    database._where.drop_idle()
    event.listen(database.engine, "connect", no_page_more)
    return free
