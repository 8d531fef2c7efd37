"""PostgreSQL: how a session is opened, and what applies to each of its transactions.

A pooler such as PgBouncer may give every transaction another session of the server. Behind one, nothing is left in a
session that a later transaction needs: no prepared statement, no SET. asyncpg is loaded when a server is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from sqlalchemy import Connection, Engine, Executable, NullPool
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from bot.core.errors import StoreUnavailable
from bot.settings import database_url
from bot.settings.database_url import SYSTEM
from bot.store import failures
from bot.store.statements import Parameters, Rows, form_of, run_through_sqlalchemy
from bot.store.transactions import STANDS_STILL_MS

T = TypeVar("T")

KEPT_OPEN: Final = 5
"""How many stay open while idle: a server has few connections."""

CONNECTION_FREE_WITHIN_S: Final = 2.0
"""How long to wait for a free connection: Slack waits three seconds for an ack."""

TRUSTED_S: Final = 1.0
"""So long after its last use a connection counts as one that works, and is read from without a question before."""

CONNECT_S = 2.0
"""Slack waits three seconds for an ack, so a silent server must be given up earlier."""

HEAD_BYTES: Final = 5
SHORTEST_MESSAGE: Final = 4
"""A server's message begins with its type and its length, which counts itself."""

APPLICATION_NAME: Final = "flokit-bot"
"""The application name that the server shows, unless the URL sets it."""


@dataclass(slots=True)
class Link:
    """A connection of SQLAlchemy's, and the session below it."""

    connection: AsyncConnection
    session: Any
    sync: Any
    """SQLAlchemy's own idea of its transaction, which sends nothing: the session is in autocommit for it."""
    idle: list[Link]
    """Where it belongs while it isn't used."""
    used_at: float

    async def run(self, statement: Executable, parameters: Parameters, *, is_long: bool) -> Rows:  # noqa: ARG002
        """Run a statement."""
        form = form_of(statement, self.connection.dialect, parameters)
        if form is None:
            return run_through_sqlalchemy(await self.connection.execute(statement, parameters))
        if isinstance(parameters, Sequence):
            if len(parameters) > 1:
                await self.session.run_for_each(form.sql, [form.arguments(one) for one in parameters])
                return Rows(())
            (parameters,) = parameters
        found, status = await self.session.run(form.sql, form.arguments(parameters or {}))
        return Rows(form.rows(found), _number_in(status))

    async def lock(self, name: str, *, shared: bool) -> None:
        """Let one transaction at a time past this name, or several that share it, until the transaction ends."""
        take = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        await self.session.run(f"SELECT {take}(hashtextextended($1, 0))", [name])

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run something that needs a synchronous connection."""
        return await self.connection.run_sync(work)

    async def begin(self, *, begins: bool) -> None:
        """Begin a transaction, or make sure that the session works."""
        try:
            if begins:
                await self.session.begin()
            elif self.session.is_closed() or time.monotonic() - self.used_at > TRUSTED_S:
                await self.session.execute("SELECT 1")
        except BaseException:
            await self.drop()
            raise

    async def commit(self, *, begins: bool) -> None:
        """Commit.

        Raises:
            StoreUnavailable: PostgreSQL rolled it back, because a statement in it had failed.
        """
        self.sync.commit()
        if begins and await self.session.execute("COMMIT") != "COMMIT":
            raise StoreUnavailable("PostgreSQL rolled the transaction back")

    async def drop(self) -> None:
        """Close it at once, whatever it's doing, and all the way even if the caller is canceled meanwhile."""
        self.session.terminate()
        await asyncio.shield(self._forget())

    async def _forget(self) -> None:
        with contextlib.suppress(Exception):  # it's closed: SQLAlchemy may only fail to say goodbye
            await self.connection.invalidate()
        with contextlib.suppress(Exception):
            await self.connection.close()


def _number_in(status: str) -> int:
    """Return how many rows a statement touched, from its tag such as ``UPDATE 3``.

    "CommandComplete" in https://www.postgresql.org/docs/current/protocol-message-formats.html
    """
    number = status.rpartition(" ")[2]
    return int(number) if number.isdecimal() else -1


class Server:
    """A PostgreSQL server.

    Args:
        sessions: opens a session.
        pool_size: how many can be open at a time.
    """

    def __init__(self, sessions: Sessions, pool_size: int) -> None:
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            connect_args={"async_creator_fn": sessions.open},
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",  # transactions begin and end here
            poolclass=NullPool,
        )
        self._places = asyncio.Semaphore(pool_size)
        self._idle: list[Link] = []

    @property
    def engine(self) -> Engine:
        """Return SQLAlchemy's engine."""
        return self._engine.sync_engine

    @contextlib.asynccontextmanager
    async def transaction(
        self,
        *,
        writes: bool,
        urgent: bool = False,  # noqa: ARG002 - a server has many writers
        autocommit: bool = False,
        is_light: bool = False,  # noqa: ARG002 - it costs nothing to have it on the disk
    ) -> AsyncIterator[Link]:
        """Open a transaction that commits at the end of the block.

        What only reads needs none: each statement is one, and several never share a snapshot at READ COMMITTED.
        """
        begins = writes and not autocommit
        try:
            async with asyncio.timeout(CONNECTION_FREE_WITHIN_S):
                await self._places.acquire()
        except TimeoutError:
            raise StoreUnavailable("no connection to the database became free in time") from None
        try:
            link = await self._take(begins=begins)
            try:
                yield link
                await link.commit(begins=begins)
            except BaseException as error:
                await self._undo(link, error, begins=begins)
                raise
            await self._put_back(link)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Close the unused connections, and the others as soon as they're no longer used."""
        idle, self._idle = self._idle, []
        await asyncio.shield(asyncio.gather(*(link.drop() for link in idle)))

    async def _take(self, *, begins: bool) -> Link:
        """Begin on a connection that was kept, if one works still, or on a new one.

        BEGIN itself shows whether one works: nothing was done that can't be done again on another.
        """
        while self._idle:
            with contextlib.suppress(Exception):  # a new one shows what is wrong
                link = self._idle.pop()
                await link.begin(begins=begins)
                return link
            await self.close()  # the others are as old
        connection = await self._engine.connect()
        session = (await connection.get_raw_connection()).driver_connection
        link = Link(connection, session, connection.sync_connection, self._idle, time.monotonic())
        await link.begin(begins=begins)
        return link

    async def _put_back(self, link: Link) -> None:
        link.used_at = time.monotonic()
        if link.idle is self._idle and len(self._idle) < KEPT_OPEN:
            self._idle.append(link)
        else:
            await link.connection.close()

    async def _undo(self, link: Link, error: BaseException, *, begins: bool) -> None:
        """Roll back; if the connection failed, or its statement may still run, it must not be reused."""
        works = False
        try:
            if isinstance(error, Exception) and failures.as_unavailable(error, connecting=False) is None:
                link.sync.rollback()
                if begins:
                    await link.session.execute("ROLLBACK")
                works = True
        finally:
            await (self._put_back(link) if works else link.drop())
        if failures.sqlstate_of(error) == failures.READ_ONLY:
            await self.close()  # after a failover another server can be written, and new connections find it


class Sessions:
    """Opens sessions.

    Args:
        server: the server's address.
        statement_s: the timeout of a statement; None: none, as migrations need.
    """

    def __init__(self, server: database_url.Server, *, statement_s: float | None) -> None:
        self._server = server
        self._statement_s = statement_s
        self.application_name = server.server_settings.get("application_name", APPLICATION_NAME)

    async def open(self, **_options: Any) -> Any:
        """Open a session, at the first host that accepts it."""
        asyncpg = _load_driver()
        failed: Exception | None = None
        for host, port in self._server.hosts or ((None, None),):
            try:
                session = await asyncpg.connect(
                    dsn=self._driver_options,
                    host=host,
                    port=port,
                    user=self._server.user,
                    password=self._server.password,
                    database=self._server.database,
                    ssl=self._system_trust,
                    timeout=self._connect_s,
                    command_timeout=self._statement_s,
                    statement_cache_size=0,
                    server_settings=self._startup,
                    target_session_attrs=self._server.target,
                    connection_class=_make_session_class(),
                )
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched) as error:
                failed = error
            else:
                await session.settle({} if self._statement_s is None else _limits(self.application_name))
                return session
        raise failed or OSError("no host")

    @property
    def _startup(self) -> dict[str, str]:
        return {name: value for name, value in self._server.server_settings.items() if name != "application_name"}

    @property
    def _connect_s(self) -> float | None:
        """Share the time among the hosts, so that a silent one doesn't use up the time of the others."""
        wanted = self._server.connect_s
        if self._statement_s is None and wanted:
            return wanted
        return min(wanted or CONNECT_S, CONNECT_S) / max(len(self._server.hosts), 1)

    @cached_property
    def _driver_options(self) -> str:
        return f"postgresql://?{urlencode(self._server.driver_options)}" if self._server.driver_options else ""

    @cached_property
    def _system_trust(self) -> ssl.SSLContext | None:
        """Trust what this machine trusts if the URL names no certificates; the driver can't."""
        options = self._server.driver_options
        is_meant = options.get("sslmode") == "verify-full" and "sslrootcert" not in options and not _has_own_root()
        if options.get("sslrootcert") != SYSTEM and not is_meant:
            return None
        context = ssl.create_default_context()
        if "sslcert" in options:
            context.load_cert_chain(options["sslcert"], options.get("sslkey"), lambda: options.get("sslpassword", ""))
        return context


def _has_own_root() -> bool:
    """Return whether libpq's default location has a certificate to trust."""
    try:
        return (Path.home() / ".postgresql" / "root.crt").exists()
    except (RuntimeError, OSError):  # there's no home directory, or it can't be read
        return False


class Framing:
    """Checks the lengths of the messages that a server sends, before the driver reads them.

    Each message is a byte for its type, and four for its length, which counts those four:
    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """

    def __init__(self) -> None:
        self._head = b""
        self._skip = 0

    def is_broken_by(self, data: bytes) -> bool:
        """Follow the next bytes; return whether a message in them has an impossible length."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(HEAD_BYTES - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                if len(self._head) == HEAD_BYTES:
                    length = int.from_bytes(self._head[1:], signed=True)
                    if length < SHORTEST_MESSAGE:
                        return True
                    self._head, self._skip = b"", length - SHORTEST_MESSAGE
            at += step
        return False


@cache
def _load_driver() -> Any:
    """Load asyncpg, and keep it out of an endless loop.

    It reads a message with an impossible length over and over, and no timeout ends that, because it never yields.
    """
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 - see above
    from asyncpg import protocol  # noqa: PLC0415 - see above

    class Protocol(protocol.Protocol):  # type: ignore[misc]
        """The protocol class of a connection."""

        def connection_made(self, transport: Any) -> None:
            self._framing = Framing()
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            if self._framing.is_broken_by(data):
                raise ConnectionAbortedError("what listens there doesn't speak PostgreSQL's protocol")
            super().data_received(data)

    protocol.Protocol = Protocol  # there's no public API for it
    return asyncpg


def _limits(name: str) -> dict[str, str]:
    """Say what holds in a session: how long it may stand still in a transaction, and whose it is."""
    literal = name.replace("'", "''")
    return {"idle_in_transaction_session_timeout": str(STANDS_STILL_MS), "application_name": f"'{literal}'"}


@cache
def _make_session_class() -> Any:
    numbers = count(1)

    class Session(_load_driver().Connection):  # type: ignore[misc]
        """A session that sets its application name, and limits how long it can idle in a transaction.

        Behind a pooler, that's set again in each transaction, on the trip that begins it, and no statement is prepared
        under a name: PgBouncer passes a session on with everything that its last client left in it. It's recognized by
        the process ID that it makes up: https://www.pgbouncer.org/faq.html
        """

        __slots__ = ("_begin", "_is_ours", "_prepared")

        async def settle(self, limits: dict[str, str]) -> None:
            """Find out whether there is a pooler, and set the limits."""
            self._prepared: dict[str, Any] = {}
            self._begin = "".join(("BEGIN;", *(f" SET LOCAL {name} = {value};" for name, value in limits.items())))
            try:
                self._is_ours = await self.fetchval("SELECT pg_backend_pid()") == self.get_server_pid()
                if self._is_ours:
                    self._begin = "BEGIN"
                    for name, value in limits.items():
                        await self.execute(f"SET {name} = {value}")
            except BaseException:
                self.terminate()
                raise

        async def begin(self) -> None:
            """Begin a transaction."""
            await self.execute(self._begin)

        async def run(self, sql: str, arguments: Sequence[Any]) -> tuple[Sequence[Any], str]:
            """Run a statement, and return its rows and its tag."""
            statement = await self._statement(sql)
            return await statement.fetch(*arguments), statement.get_statusmsg()

        async def run_for_each(self, sql: str, arguments: Sequence[Sequence[Any]]) -> None:
            """Run a statement once for each list of arguments, on one trip."""
            await (await self._statement(sql)).executemany(arguments)

        async def _statement(self, sql: str) -> Any:
            statement = self._prepared.get(sql) or await self.prepare(sql)
            if self._is_ours:
                self._prepared[sql] = statement
            return statement

        async def prepare(self, query: str, *, name: str | None = None, **options: Any) -> Any:
            """Prepare a statement, which stays prepared in a session of our own."""
            return await super().prepare(query, name=f"flokit_{next(numbers)}" if self._is_ours else name, **options)

    return Session
