"""A PostgreSQL with unexpected errors: a sentence says that nothing is saved, and the store continues afterwards."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.core.errors import StoreRefused, StoreUnavailable
from bot.ops.health import Health
from bot.store import failures, schema
from bot.store.database import Database
from bot.store.store import Store

pytestmark = pytest.mark.postgres


def inside(*statements):
    """Return these statements, to be run in the bot's own database."""
    return ("inside", *statements)


TROUBLES = {
    "read-only": (True, False, "read-only right now"),
    "password rotated": (
        ["ALTER ROLE {self.user} PASSWORD 'another'"],
        ["ALTER ROLE {self.user} PASSWORD '{self.password}'"],
        "rejected the password",
    ),
    "NOLOGIN": (["ALTER ROLE {self.user} NOLOGIN"], ["ALTER ROLE {self.user} LOGIN"], "doesn't let this user in"),
    "CONNECT revoked": (
        ["REVOKE CONNECT ON DATABASE {self.name} FROM PUBLIC, {self.user}"],
        ["GRANT CONNECT ON DATABASE {self.name} TO {self.user}"],
        "lacks permissions",
    ),
    "rights revoked": (
        inside("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {self.user}"),
        inside("GRANT ALL ON ALL TABLES IN SCHEMA public TO {self.user}"),
        "lacks permissions",
    ),
    "too many": (
        ["ALTER ROLE {self.user} CONNECTION LIMIT 0"],
        ["ALTER ROLE {self.user} CONNECTION LIMIT -1"],
        "no more connections",
    ),
    "closed to connections": (
        ["ALTER DATABASE {self.name} ALLOW_CONNECTIONS false"],
        ["ALTER DATABASE {self.name} ALLOW_CONNECTIONS true"],
        "SQLSTATE 55000",
    ),
    "a table renamed": (
        inside("ALTER TABLE runs RENAME TO elsewhere", "ALTER TABLE inbox RENAME TO elsewhere_too"),
        inside("ALTER TABLE elsewhere RENAME TO runs", "ALTER TABLE elsewhere_too RENAME TO inbox"),
        "tables aren't those",
    ),
    "another type": (
        inside("ALTER TABLE runs ALTER version TYPE text USING version::text"),
        inside("ALTER TABLE runs ALTER version TYPE integer USING version::integer"),
        "",
    ),
}


@asynccontextmanager
async def troubled(hosted, trouble):
    """Break a hosted database, and fix it at the end; earlier connections are closed."""
    broken, cure, _ = TROUBLES[trouble]
    await hosted.change(broken)
    if trouble != "read-only":
        await hosted.throw_out()
    try:
        yield
    finally:
        await hosted.change(cure)


@pytest.fixture
def store(hosted):
    """A store on the hosted database."""
    return Store(Database(hosted.url), owner="a")


@pytest.mark.parametrize("trouble", [one for one in TROUBLES if one != "another type"])
async def test_the_store_waits_until_the_trouble_is_over(hosted, store, make, click, trouble):
    """Each trouble means that nothing is saved for now, and is named in a sentence; the same store continues later."""
    try:
        await click(store, make)
        async with troubled(hosted, trouble):
            for _ in range(2):
                with pytest.raises(StoreUnavailable) as caught:
                    await store.inbox.add(make.command())
                assert TROUBLES[trouble][2] in str(caught.value)
                with pytest.raises(StoreUnavailable):
                    await store.runs.claim(make.clock.now, 1)
        assert await store.inbox.add(make.command())
        assert await store.runs.claim(make.clock.now, 1)
    finally:
        await store.close()


async def test_all_connections_to_a_read_only_server_are_closed(hosted, store, make):
    """After one write is refused as read-only, no earlier connection is reused: the primary may be another server."""
    database = store._database
    backend = "SELECT pg_backend_pid()"

    async def connections(count):
        async def one(barrier):
            async with database.begin() as connection:
                await barrier.wait()
                return await connection.scalar(text(backend))

        barrier = asyncio.Barrier(count)
        return set(await asyncio.gather(*(one(barrier) for _ in range(count))))

    try:
        before = await connections(3)
        async with troubled(hosted, "read-only"):
            with pytest.raises(StoreUnavailable):
                await store.inbox.add(make.command())
        assert not before & await connections(3)
    finally:
        await store.close()


async def test_readiness_names_a_read_only_server(hosted, store):
    """At once, without a failed write, and only as long as it lasts."""
    health = Health(store._database)
    try:
        async with troubled(hosted, "read-only"):
            assert (await health.problems())["database"] == "nothing can be saved: the server is read-only right now"
        assert "database" not in await health.problems()
    finally:
        await store.close()


async def test_readiness_names_missing_privileges(hosted, store, make):
    """After the first refused write, it says that the user can read but not write."""
    health = Health(store._database)
    try:
        await hosted.operate_inside("REVOKE INSERT ON inbox FROM {self.user}")
        with pytest.raises(StoreUnavailable):
            await store.inbox.add(make.command())
        assert (await health.problems())["database"] == "nothing can be saved: this user lacks permissions"
    finally:
        await store.close()


@pytest.mark.parametrize(
    "statement", ["SELEKT 1", "SELECT 1 +", "SELECT 1/0", "SELECT 'a'::integer", "SELECT no_such()"]
)
async def test_an_error_in_a_statement_is_not_an_outage(hosted, statement):
    """A statement that's wrong on every server is raised as it is, because waiting wouldn't help."""
    database = Database(hosted.url)
    try:
        with pytest.raises(DBAPIError):
            async with database.begin() as connection:
                await connection.execute(text(statement))
    finally:
        await database.close()


async def test_other_exceptions_pass_unchanged(hosted):
    """An exception raised by code in a transaction isn't an outage."""
    database = Database(hosted.url)
    try:
        with pytest.raises(KeyError):
            async with database.begin():
                raise KeyError("x")
    finally:
        await database.close()


ODD_SERVERS = {
    "speaks HTTP": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nsay GET",
    "speaks SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "speaks MySQL": b"\x4a\x00\x00\x00\x0a8.0.36\x00" + b"\x08" * 60,
    "speaks Redis": b"-ERR unknown command\r\n",
    "takes no TLS and sends noise": b"N" + bytes(range(256)) * 9,
    "an error without fields": b"NE\x00\x00\x00\x05\x00",
    "an unknown way to log in": b"NR\x00\x00\x00\x08\x00\x00\x00\x63",
    "a message of no length": b"NR\x00\x00\x00\x00" + bytes(64),
    "a message of a negative length": b"NR\xff\xff\xff\xff" + bytes(64),
    "nothing but zeros": bytes(4096),
    "says yes to TLS and means no": b"Snot TLS at all, for sure",
}


@pytest.mark.parametrize("says", ODD_SERVERS.values(), ids=ODD_SERVERS)
@pytest.mark.parametrize("mode", ["prefer", "disable", "require"])
async def test_another_server_on_the_port_makes_the_store_unavailable(says, mode):
    """Whatever listens there, the error is a sentence."""

    async def speak(reader, writer):
        try:
            await reader.read(8)
            writer.write(says if mode != "disable" else says.removeprefix(b"N"))
            await writer.drain()
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = Database(f"postgresql://ana:hunter2@127.0.0.1:{port}/x?sslmode={mode}&connect_timeout=1")
    try:
        with pytest.raises(StoreUnavailable) as caught:
            await schema.current(database)
        assert "hunter2" not in str(caught.value)
        assert "Error" not in str(caught.value)
    finally:
        server.close()
        await database.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://ana@no-such-host.invalid/x", "host name wasn't found"),
        ("postgresql://ana@127.0.0.1:1/x", "nothing is listening"),
        ("postgresql://ana@/x?host=/nowhere", "no socket"),
    ],
)
async def test_an_unreachable_server_is_named(url, words):
    """An unknown host, a port on which nothing listens, and a missing socket are each named as such."""
    database = Database(url)
    try:
        with pytest.raises(StoreUnavailable, match=words) as caught:
            await schema.current(database)
        assert not isinstance(caught.value, StoreRefused)
    finally:
        await database.close()


async def test_the_next_host_is_tried(hosted):
    """Of several hosts, the first one that answers is used."""
    socket = hosted.url.partition("host=")[2]
    database = Database(hosted.url.replace(socket, f"127.0.0.1:1,/nowhere,{socket}"))
    try:
        assert await schema.current(database) == schema.HEAD
    finally:
        await database.close()


async def test_a_read_only_host_is_skipped(hosted):
    """With ``target_session_attrs=read-write``, an error says that none of the hosts is writable."""
    database = Database(f"{hosted.url}&target_session_attrs=read-write")
    try:
        assert await schema.current(database) == schema.HEAD
        await database.close()
        async with troubled(hosted, "read-only"):
            with pytest.raises(StoreUnavailable):
                await schema.current(database)
    finally:
        await database.close()


@pytest.mark.parametrize(
    "code", ["0A000", "25006", "25P02", "26000", "42P05", "53400", "55006", "58030", "F0001", "XX000"]
)
def test_an_sqlstate_means_that_nothing_is_saved(code):
    """Any error of a server is its trouble, unless one of our statements is wrong."""
    assert isinstance(failures._of_state(code), StoreUnavailable)


@pytest.mark.parametrize("code", ["42601", "42883", "42804", "22P02", "23505", "P0001"])
def test_an_sqlstate_is_our_own_fault(code):
    """Wrong statements, wrong values and violated constraints aren't a server's trouble."""
    assert failures._of_state(code) is None
