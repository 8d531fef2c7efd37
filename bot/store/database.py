"""One database, reached the same way whether it is a SQLite file or PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from bot.core.errors import SettingsError, StoreInDoubt, StoreUnavailable
from bot.store import trips
from bot.store.turns import Turns
from bot.store.urgent import UrgentWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from threading import Thread

    from sqlalchemy import ExceptionContext, Table
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

BUSY_TIMEOUT_MS = 1000
"""How long to wait while another process writes to the SQLite file: who waits here holds up an ack, twice at most."""

THREADS_END_WITHIN_S = 1.0
CONNECT_S = 2.0
"""Slack waits three seconds for an ack: a silent server must be given up before."""

STATEMENT_S = 2.0
"""No statement of a running bot takes long: a server that hangs must be given up while Slack still waits."""

STANDS_STILL_MS = 2000
"""A process that stands still in the middle of a transaction holds rows locked: the server ends it, others go on."""

APPLICATION_NAME = "flokit-bot"
"""What the server shows of a running bot's sessions."""

SQLITE_MAGIC = b"SQLite format 3\0"
"""What every SQLite file begins with, once anything is in it: https://www.sqlite.org/fileformat.html"""

AWAY_STATES = ("08", "25P03", "40", "53", "57")
"""Classes of SQLSTATE in which a server saves nothing for now: no connection, we stood still, rolled back, full,
starting or stopping.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""


_NOT_SAVING: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk fails",
    sqlite3.SQLITE_READONLY: "the file must not be written",
    "53100": "the server's disk is full",
}
"""Reads may go on meanwhile: https://www.sqlite.org/rescode.html, and the page above."""


class Database:
    """The engine, and the one way to begin a transaction on it.

    Args:
        url: SQLAlchemy's URL.
        statement_s: how long a statement on a server may take; None: for ever, as migrations need it.
    """

    def __init__(self, url: str, *, statement_s: float | None = STATEMENT_S) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_pre_ping=not self.is_sqlite,
            connect_args={"async_creator_fn": self._connect_sqlite}
            if self.is_sqlite
            else {"timeout": CONNECT_S, "command_timeout": statement_s},
        )
        self.not_saving = ""
        """Why the last attempt to save something failed, as far as it is the disk; "" since one went well."""
        self._compiled: dict[tuple[str, tuple[str, ...]], tuple[str, list[Callable[[Any], Any]]]] = {}
        self._threads: weakref.WeakSet[Thread] = weakref.WeakSet()
        # SQLite has one writer. Waiting for it here is fair and wakes at once; its own busy handler sleeps and guesses.
        self._turns = Turns() if self.is_sqlite else None
        self._urgent = UrgentWriter(self.file, lambda connection: self._open(connection, None)) if self.file else None
        self._first_opened: os.stat_result | None = None
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", self._open)
            event.listen(self.engine.sync_engine, "begin", _begin)
        else:
            event.listen(self.engine.sync_engine, "handle_error", _drop_what_hangs)
            if statement_s is not None:
                event.listen(self.engine.sync_engine, "connect", _introduce)

    def _connect_sqlite(self, database: str, **options: Any) -> trips.Connection:
        """Connect, and remember the thread that aiosqlite works in."""
        connection = trips.connect(database, **options)
        thread = connection._thread  # noqa: SLF001 - there is no public way to it
        thread.daemon = True
        self._threads.add(thread)
        return connection

    def _open(self, connection: Any, record: object) -> None:
        """Prepare a connection to a file, and note which file it was that was opened first."""
        _set_pragmas(connection, record)
        if self._first_opened is None and self.file is not None:
            with contextlib.suppress(FileNotFoundError):
                self._first_opened = self.file.stat()

    @property
    def file(self) -> Path | None:
        """The file of an embedded database; None for a server's."""
        in_file = self.is_sqlite and self.url.database and self.url.database != ":memory:"
        return Path(self.url.database or "") if in_file else None

    @property
    def is_gone(self) -> bool:
        """Tell whether the file that was opened is there no more, or another is in its place.

        What is still written to it is lost with the process; "Unlinking or renaming a database file while in use" in
        https://www.sqlite.org/howtocorrupt.html
        """
        if self.file is None:
            return False
        try:
            now = self.file.stat()
        except FileNotFoundError:
            return True
        return self._first_opened is not None and not os.path.samestat(now, self._first_opened)

    def make_folder(self) -> None:
        """Make the file of an embedded database and its folder, for their owner only; what is there stays as it is.

        SQLite gives the files beside it (-wal, -shm) the same mode.

        Raises:
            SettingsError: it cannot be made, or what is there is no database that can be written.
        """
        if self.file is None:
            return
        problem = ""
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            problem = _problem_of(self.file)
            if not problem:
                self.file.touch(mode=0o600)
        except OSError as error:
            problem = f"the folder {self.file.parent} cannot be made ({error.strerror})"
        if problem:
            raise SettingsError([f"DATABASE_URL: {problem}; choose another."])

    @contextlib.asynccontextmanager
    async def begin(self, *, urgent: bool = False) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits at the end of the block.

        Args:
            urgent: Slack waits for it: it goes before all others that wait for the one writer of SQLite.

        Raises:
            StoreUnavailable: the database cannot be reached; nothing was saved.
            StoreInDoubt: it went away while it committed; what the block did may be saved.
        """
        committing = False
        try:
            with _reachable():
                async with self._turn(urgent=urgent), self.engine.begin() as connection:
                    yield connection
                    committing = True
        except StoreUnavailable as error:
            self._note_failure(error)
            if committing:
                raise StoreInDoubt("the database went away while it was saving this") from error
            raise

    def _note_failure(self, error: StoreUnavailable) -> None:
        self.not_saving = _why_not_saving(error.__cause__) or self.not_saving

    def note_saved(self) -> None:
        """Note that something was written, and is kept."""
        self.not_saving = ""

    def _turn(self, *, urgent: bool) -> contextlib.AbstractAsyncContextManager[None]:
        return self._turns.take(urgent=urgent) if self._turns else contextlib.nullcontext()

    async def close(self) -> None:
        """Close all connections.

        A connection that was given up in the middle of a statement ends by itself, some time later, and then calls
        the event loop; that must still be there.
        """
        if self._urgent:
            await self._urgent.close()
        await self.engine.dispose()
        for thread in tuple(self._threads):
            await asyncio.to_thread(thread.join, THREADS_END_WITHIN_S)

    async def lock(self, connection: AsyncConnection, name: str) -> None:
        """Let one transaction at a time past this name; it holds until the transaction ends.

        SQLite has one writer anyway: every transaction begins as one.
        """
        if not self.is_sqlite:
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    async def insert_urgently(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Insert rows in one transaction, before all others; tell for each whether it was not there yet.

        Args:
            table: what to insert into.
            rows: values by column, all of them for the same columns.

        Raises:
            StoreUnavailable: the database cannot be reached; nothing was saved.
            StoreInDoubt: it went away while it committed; the rows may be saved.
        """
        if self._urgent:
            sql, write = self._compiled_insert(table, tuple(rows[0]))
            values = [[to(value) for value, to in zip(row.values(), write, strict=True)] for row in rows]
            async with self._turn(urgent=True):
                if self.is_gone:
                    raise StoreUnavailable(f"the file {self.file} was deleted or replaced")
                try:
                    are_new = await self._urgent.insert(sql, values)
                except StoreUnavailable as error:
                    self._note_failure(error)
                    raise
            if any(are_new):
                self.note_saved()
            return are_new
        statement = self.insert(table).on_conflict_do_nothing()
        async with self.begin(urgent=True) as connection:
            return [(await connection.execute(statement, dict(row))).rowcount == 1 for row in rows]

    def _compiled_insert(self, table: Table, columns: tuple[str, ...]) -> tuple[str, list[Callable[[Any], Any]]]:
        """Return the SQL, and what turns each value into what the driver takes; made once, for it takes its time."""
        if (table.name, columns) not in self._compiled:
            dialect = self.engine.dialect
            sql = str(self.insert(table).on_conflict_do_nothing().compile(dialect=dialect, column_keys=columns))
            write: list[Callable[[Any], Any]] = [
                table.c[name].type.bind_processor(dialect) or _as_it_is for name in columns
            ]
            self._compiled[table.name, columns] = sql, write
        return self._compiled[table.name, columns]

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Begin an INSERT that knows ``ON CONFLICT`` in this database's dialect."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)


def _problem_of(file: Path) -> str:
    """Say why a file cannot be an embedded database; "" when it can, or is still to be made."""
    if file.is_dir():
        return f"{file} is a folder, not a file"
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        return f"{file} must not be written"
    if file.exists():
        with file.open("rb") as opened:
            if opened.read(len(SQLITE_MAGIC)) not in (b"", SQLITE_MAGIC):
                return f"{file} is no SQLite database"
    return ""


def _as_it_is(value: Any) -> Any:
    return value


def _set_pragmas(connection: Any, _record: object) -> None:
    """Let readers and the writer work side by side, survive a crash, and keep references whole."""
    connection.isolation_level = None  # the driver must not begin transactions by itself: see trips.Connection.begin
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # an acknowledged click survives a power cut, too
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _introduce(connection: Any, _record: object) -> None:
    """Say who this is, and how long it may stand still.

    In the session, not when connecting: PgBouncer refuses settings that it does not know.
    """
    cursor = connection.cursor()
    cursor.execute(f"SET application_name = '{APPLICATION_NAME}'")
    cursor.execute(f"SET idle_in_transaction_session_timeout = {STANDS_STILL_MS}")
    cursor.close()
    connection.commit()


def _drop_what_hangs(context: ExceptionContext) -> None:
    """Throw away a connection whose statement was given up: it may still be at it, and must serve nobody else."""
    if isinstance(context.original_exception, TimeoutError) or isinstance(context.sqlalchemy_exception, InternalError):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def _begin(connection: Any) -> None:
    connection.connection.driver_connection.begin()


def _why_not_saving(cause: BaseException | None) -> str:
    error = cause.orig if isinstance(cause, DBAPIError) else cause
    extended = getattr(error, "sqlite_errorcode", None)  # the primary code is its lowest byte
    code = getattr(error, "sqlstate", None) if extended is None else extended & 0xFF
    return _NOT_SAVING.get(code, "")


@contextlib.contextmanager
def _reachable() -> Any:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        raise StoreUnavailable("the database cannot be reached right now") from error
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if error.connection_invalidated or state.startswith(AWAY_STATES):
            raise StoreUnavailable("the connection to the database broke") from error
        raise
