"""The database goes away and comes back: the store says so in one word, and works on."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import pytest
from sqlalchemy import event, select, update

from bot.core.errors import StoreInDoubt, StoreUnavailable
from bot.ops.health import Health
from bot.store import database as database_module
from bot.store import schema, server, urgent
from bot.store.database import Database
from bot.store.gauges import read_gauges
from bot.store.replicas import Replicas
from bot.store.store import Store
from bot.store.tables import runs

STARTING_UP = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
TOO_MANY = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"


@asynccontextmanager
async def serving(handle):
    """Serve a port with whatever ``handle`` does to a connection; yield a URL of it."""

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
    """Find a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def assert_unavailable(store, make, click):
    """Try each kind of work: it is refused with a sentence that names no address and no password."""
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


async def test_nobody_listens(make, click):
    """A refused connection means that the store is unavailable."""
    async with opened(f"postgresql+asyncpg://postgres:hunter2@127.0.0.1:{free_port()}/x") as store:
        await assert_unavailable(store, make, click)


@pytest.mark.parametrize("refusal", [STARTING_UP, TOO_MANY], ids=["starting", "full"])
async def test_server_takes_no_connections(make, click, refusal):
    """A PostgreSQL that starts up, shuts down or is full means the same."""

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


async def test_server_hangs_up(make, click):
    """A connection that is closed at once means the same."""

    async def hang_up(reader, writer):
        await reader.read(1)

    async with serving(hang_up) as url, opened(url) as store:
        await assert_unavailable(store, make, click)


async def test_silent_server_is_not_waited_for_long(make, click):
    """A server that never answers is given up within Slack's three seconds, so that the ack can say so."""
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
async def test_stopped_server_and_back(postgres_server, postgres_url, make, clock, click):
    """While PostgreSQL is stopped nothing is saved; once it is back the same store goes on where it was."""
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
async def test_server_stops_inside_a_transaction(postgres_server, postgres_url, make, click):
    """A transaction that the server's end cut off saved nothing, and says so."""

    async def stopped_half_way(store):
        async with store._database.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM runs")
            await asyncio.to_thread(postgres_server.stop)
            await connection.exec_driver_sql("DELETE FROM runs")

    async with opened(postgres_url) as store:
        try:
            with pytest.raises(StoreUnavailable):
                await stopped_half_way(store)
        finally:
            await asyncio.to_thread(postgres_server.ensure_postgres_running)
        assert await click(store, make)


async def _stand_still(database, claim, *, prepared=False):
    """Hold all runs in a transaction until somebody else could claim one, then write.

    Between preparing a statement and running it, the server takes the session for an active one.
    """
    async with database.begin() as connection:
        await connection.execute(select(runs).order_by(runs.c.id).with_for_update(key_share=True))
        if prepared:
            raw = await connection.get_raw_connection()
            await raw.driver_connection.prepare("SELECT id FROM runs WHERE phase = 'new'")
        async with asyncio.timeout(10):
            while not await claim():
                pass
        await connection.execute(update(runs).values(phase="frozen"))


@pytest.mark.postgres
async def test_a_process_that_stands_still_is_thrown_out(postgres_url, make, click, monkeypatch):
    """Frozen inside a transaction, it keeps its rows from others only for a moment, and then can save nothing."""
    monkeypatch.setattr(server, "STANDS_STILL_MS", 100)
    frozen, awake = Database(postgres_url), Store(Database(postgres_url), owner="b")
    try:
        await click(awake, make)
        with pytest.raises(StoreUnavailable):
            await _stand_still(frozen, lambda: awake.runs.claim(make.clock.now, 1))
        async with frozen.begin() as connection:
            assert await connection.scalar(select(runs.c.phase)) != "frozen"
    finally:
        await frozen.close()
        await awake.close()


@pytest.mark.postgres
async def test_a_process_that_stands_still_before_it_runs_a_statement_is_thrown_out(postgres_url, make, click):
    """No timeout of the server ends it there; another process does."""
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
    """A statement that takes too long is no answer: Slack waits three seconds. Its connection serves nobody else."""
    database = Database(postgres_url, statement_s=0.2)
    dropped = []
    event.listen(database.engine.sync_engine.pool, "invalidate", lambda *_: dropped.append(1))
    try:
        with pytest.raises(StoreUnavailable):
            async with database.begin() as connection:
                await connection.exec_driver_sql("SELECT pg_sleep(30)")
        assert dropped
        await schema.current(database)
    finally:
        await database.close()


class HangsUp(sqlite3.Connection):
    """The connection of what Slack waits for, which breaks at one statement."""

    at = ""

    def execute(self, sql, *values):
        """Do it and lose the answer, or do nothing."""
        done = super().execute(sql, *values)
        if sql.startswith(self.at):
            raise sqlite3.OperationalError("disk I/O error")
        return done


@contextmanager
def hanging_up(database, moment, monkeypatch):
    """Let every connection of a database break as a transaction begins, or after its commit was sent."""
    kind = type("HangsUpThen", (HangsUp,), {"at": moment.upper()})
    event.listen(database.engine.sync_engine, moment, _hang_up)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(urgent.sqlite3, "connect", partial(sqlite3.connect, factory=kind))
            yield
    finally:
        event.remove(database.engine.sync_engine, moment, _hang_up)


def _hang_up(_connection):
    raise ConnectionResetError


@pytest.mark.parametrize(("moment", "error"), [("begin", StoreUnavailable), ("commit", StoreInDoubt)])
async def test_only_a_lost_commit_is_in_doubt(database_url, make, click, monkeypatch, moment, error):
    """Before the commit nothing was saved, for sure; while it runs nobody knows: of a request as of other work."""
    database = Database(database_url)
    store = Store(database, owner="a")
    try:
        await schema.current(database)
        request = make.command()
        for work in (lambda: store.inbox.add(request), lambda: click(store, make)):
            with hanging_up(database, moment, monkeypatch), pytest.raises(StoreUnavailable) as caught:
                await work()
            assert type(caught.value) is error
        was_saved = database.is_sqlite and error is StoreInDoubt  # there the answer alone was lost
        assert await store.inbox.add(request) is not was_saved
    finally:
        await store.close()


async def test_missing_folder_is_made(tmp_path):
    """The folder of the embedded database is made when it is asked for."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/data/deep/flokit.db")
    database.make_folder()
    await schema.current(database)
    await database.close()
    assert (tmp_path / "data" / "deep" / "flokit.db").exists()


async def test_unreadable_file_is_unavailable(tmp_path, make, click):
    """A SQLite file that cannot be opened means that the store is unavailable."""
    (tmp_path / "flokit.db").mkdir()
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/flokit.db") as store:
        await assert_unavailable(store, make, click)


async def test_no_thread_outlives_a_closed_database(tmp_path, monkeypatch):
    """An opening that was given up half-way goes on in SQLite's thread; closing waits until that has ended."""
    begun, may_end, threads = threading.Event(), threading.Event(), []

    def takes_long(*args, connect=sqlite3.connect, **options):
        threads.append(threading.current_thread())
        begun.set()
        may_end.wait(10)
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", takes_long)
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/flokit.db")
    opening = asyncio.create_task(schema.current(database))
    await asyncio.to_thread(begun.wait)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    asyncio.get_running_loop().call_later(0.05, may_end.set)
    await database.close()
    assert not threads[0].is_alive()


@pytest.mark.parametrize("way", ["request", "beat"])
async def test_a_full_disk_is_told_until_there_is_room(sqlite_url, make, clock, monkeypatch, way):
    """Readiness says that nothing can be saved from the first write that fails to the first that is kept."""
    monkeypatch.setattr(database_module, "_set_pragmas", no_page_more)
    async with opened(sqlite_url) as store:
        database = store._database
        health = Health(database)
        save = {
            "request": lambda: store.inbox.add(make.command("x" * 50_000)),
            "beat": lambda: Replicas(database, "x" * 50_000).note(clock.now),
        }[way]
        assert "database" not in await health.problems()
        with pytest.raises(StoreUnavailable):
            await save()
        assert (await health.problems())["database"] == "nothing can be saved: the disk is full"
        monkeypatch.undo()
        await database.engine.dispose()
        await save()
        assert "database" not in await health.problems()


def no_page_more(connection, record, prepare=database_module._set_pragmas):
    """Let the file grow by no page, which SQLite tells like a full disk."""
    prepare(connection, record)
    connection.execute("PRAGMA max_page_count=1")
