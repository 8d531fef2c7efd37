"""One database, reached the same way whether it is a SQLite file or PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any, Final

import structlog
from sqlalchemy import URL, Connection, ExceptionContext, Table, event, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InternalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.core.errors import SettingsError, StoreConflict, StoreInDoubt, StoreUnavailable
from bot.observability.telemetry import SILENT, Telemetry
from bot.settings.database_url import UrlProblem, parse_database_url
from bot.store import failures, trips
from bot.store.bell import Bell, Work
from bot.store.server import STATEMENT_S, Sessions
from bot.store.transactions import Transaction, retried
from bot.store.turns import Turns
from bot.store.urgent import UrgentWriter

log = structlog.get_logger(__name__)

BUSY_TIMEOUT_MS = 1000
"""How long to wait while another process writes to the SQLite file: who waits here holds up an ack, twice at most."""

THREADS_END_WITHIN_S = 1.0
CONNECTION_FREE_WITHIN_S = 2.0
"""Slack waits three seconds for an ack: so long may all connections be busy."""

POOL_SIZE: Final = 15
KEPT_OPEN: Final = 5
"""So many of them stay open while they are idle: a server's connections are few."""

COMPANIONS: Final = ("-journal", "-wal", "-shm")
"""What SQLite puts behind the name of a file for those beside it: https://www.sqlite.org/tempfiles.html"""

LONGEST_NAME: Final = 255
"""In bytes, on every usual file system."""

SQLITE_MAGIC = b"SQLite format 3\0"
"""What every SQLite file begins with, once anything is in it: https://www.sqlite.org/fileformat.html"""


class Database:
    """The engine, and the one way to begin a transaction on it.

    Args:
        url: where it is, as ``DATABASE_URL`` says it.
        statement_s: how long a statement on a server may take; None: for ever, as migrations need it.
        pool_size: how many connections to a server may be open at a time.
        telemetry: what transactions that PostgreSQL undid are reported to.

    Raises:
        SettingsError: the URL can't be read.
    """

    def __init__(
        self,
        url: str,
        *,
        statement_s: float | None = STATEMENT_S,
        pool_size: int = POOL_SIZE,
        telemetry: Telemetry = SILENT,
    ) -> None:
        try:
            where = parse_database_url(url)
        except UrlProblem as problem:
            raise SettingsError([f"DATABASE_URL: {problem}."]) from None
        self.file: Final = where if isinstance(where, Path) else None
        """The file of an embedded database; None for a server's."""
        self.is_sqlite: Final = self.file is not None
        self.application_name = ""
        """What a server shows of this process's sessions."""
        self._needed_files: dict[str, Path] = {}
        if isinstance(where, Path):
            self.engine: AsyncEngine = create_async_engine(
                URL.create("sqlite+aiosqlite", database=str(where)),
                connect_args={"async_creator_fn": self._connect_sqlite},
                hide_parameters=True,
            )
        else:
            sessions = Sessions(where, statement_s=statement_s)
            self.application_name = sessions.application_name
            self._needed_files = where.files
            self.engine = create_async_engine(
                "postgresql+asyncpg://",
                connect_args={"async_creator_fn": sessions.open},
                hide_parameters=True,
                pool_pre_ping=True,
                pool_size=min(pool_size, KEPT_OPEN),
                max_overflow=max(pool_size - KEPT_OPEN, 0),
                pool_timeout=CONNECTION_FREE_WITHIN_S,
            )
        self.bells = {work: Bell() for work in Work}
        """Rung by each transaction when it is committed."""
        self._telemetry = telemetry
        # The same connections, for transactions that only read.
        self._for_reading = self.engine.execution_options(only_reads=True)
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
            event.listen(self.engine.sync_engine, "handle_error", _drop_what_is_of_no_use)

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

    @property
    def problem(self) -> str:
        """Say why the file can't be made or used, or which file that the URL names is missing; "" when all is well."""
        for option, needed in self._needed_files.items():
            if problem := _why_not_read(needed):
                return f"{option} names {needed}, which {problem}"
        try:
            return _problem_of(self.file) if self.file else ""
        except OSError as error:
            return f"{self.file} can't be used ({error.strerror})"

    def make_folder(self) -> None:
        """Make the file of an embedded database and its folder, for their owner only; what is there stays as it is.

        SQLite gives the files beside it (-wal, -shm) the same mode.

        Raises:
            SettingsError: it cannot be made, or what is there is no database that can be written.
        """
        problem = self.problem
        if self.file and not problem:
            try:
                self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.file.touch(mode=0o600)
            except OSError as error:
                problem = f"{self.file} can't be made ({error.strerror})"
        if problem:
            raise SettingsError([f"DATABASE_URL: {problem}; choose another."])

    @contextlib.asynccontextmanager
    async def begin(self, *, urgent: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that commits at the end of the block, and then wakes who it has work for.

        Rows are locked in the order of `bot.store.locks`.

        Args:
            urgent: Slack waits for it: it goes before all others that wait for the one writer of SQLite.

        Raises:
            StoreUnavailable: the database cannot be reached; nothing was saved.
            StoreInDoubt: it went away while it committed; what the block did may be saved.
            StoreConflict: PostgreSQL undid it in favor of another; see `bot.store.transactions.retried`.
        """
        connecting, committing = True, False
        transaction = Transaction(self.engine)
        try:
            async with self._turn(urgent=urgent), transaction, transaction.begin():
                connecting = False
                yield transaction
                committing = True
        except Exception as error:
            unavailable = failures.as_unavailable(error, connecting=connecting)
            if unavailable is None:
                raise
            self._note_failure(error)
            if isinstance(unavailable, StoreConflict):
                self._telemetry.transaction_undone(unavailable.reason)
                log.warning("transaction_undone", reason=unavailable.reason)
            elif committing:
                raise StoreInDoubt("the database went away while it was saving this") from error
            raise unavailable from error
        for work in transaction.rung:
            self.bells[work].ring()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads: nobody waits for it, and on a SQLite file it waits for nobody.

        What it brings is decoded after the block, so that it ends soon.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        connecting = True
        try:
            async with self._for_reading.begin() as connection:
                connecting = False
                yield connection
        except Exception as error:
            unavailable = failures.as_unavailable(error, connecting=connecting)
            if unavailable is None:
                raise
            raise unavailable from error

    async def is_read_only(self) -> bool:
        """Ask a server whether it refuses to write, as a standby does after a failover.

        Raises:
            StoreUnavailable: it can't be asked.
        """
        if self.is_sqlite:
            return False
        async with self.read() as connection:
            return bool(await connection.scalar(text("SHOW transaction_read_only")) == "on")

    def _note_failure(self, error: BaseException | None) -> None:
        self.not_saving = failures.why_not_saving(error) or self.not_saving

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

    async def lock(self, connection: AsyncConnection, name: str, *, shared: bool = False) -> None:
        """Let one transaction at a time past this name, or several that share it; it holds until the transaction ends.

        SQLite has one writer anyway: every transaction that writes begins as one.
        """
        if not self.is_sqlite:
            take = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
            await connection.execute(select(take(func.hashtextextended(name, 0))))

    @retried
    async def insert_urgently(self, table: Table, rows: Sequence[Mapping[str, Any]], work: Work) -> list[bool]:
        """Insert rows in one transaction, before all others; tell for each whether it was not there yet.

        Args:
            table: what to insert into.
            rows: values by column, all of them for the same columns.
            work: whom to wake when any of them is new.

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
                    self._note_failure(error.__cause__)
                    raise
            if any(are_new):
                self.note_saved()
                self.bells[work].ring()
            return are_new
        statement = self.insert(table).on_conflict_do_nothing()
        async with self.begin(urgent=True) as connection:
            are_new = [(await connection.execute(statement, dict(row))).rowcount == 1 for row in rows]
            if any(are_new):
                connection.ring(work)
        return are_new

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
    target = Path(os.path.realpath(file))
    if file.is_symlink() and (target.is_symlink() or not target.parent.is_dir()):
        return f"{file} is a link to a place that isn't there"
    if len(os.fsencode(target.name)) + len(max(COMPANIONS, key=len)) > LONGEST_NAME:
        return f"the name of {file} is too long: SQLite makes files beside it with longer names"
    if folders := [suffix for suffix in COMPANIONS if Path(f"{target}{suffix}").is_dir()]:
        return f"{file}{folders[0]} is a folder, and SQLite needs a file there"
    folder = next(path for path in file.absolute().parents if path.exists())
    if not folder.is_dir():
        return f"{folder} isn't a folder, so {file} can't be made"
    if file.exists() and not file.is_file():
        return f"{file} isn't a file"
    try:
        tempfile.TemporaryFile(dir=folder).close()  # the only way to know; nothing of it stays
    except OSError as error:
        return f"{folder} can't be written ({error.strerror}), so {file} can't be used"
    if not file.exists():
        return ""
    if not os.access(file, os.W_OK):
        return f"{file} can't be written"
    with file.open("rb") as opened:
        return "" if opened.read(len(SQLITE_MAGIC)) in (b"", SQLITE_MAGIC) else f"{file} isn't a SQLite database"


def _why_not_read(file: Path) -> str:
    if file.is_fifo():  # to open it would wait for whatever writes to it
        return "is a pipe, not a file"
    try:
        with file.open("rb"):
            return ""
    except OSError as error:
        return f"can't be read ({error.strerror})"


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


def _drop_what_is_of_no_use(context: ExceptionContext) -> None:
    """Throw away a connection that must serve nobody else.

    Its statement was given up and may still be at it, or its server can't be written any more: after a failover
    another one can, and a new connection finds it. Then all that are open go.
    """
    is_read_only = failures.sqlstate_of(context.original_exception) == failures.READ_ONLY
    hangs = isinstance(context.original_exception, TimeoutError)
    if is_read_only or hangs or isinstance(context.sqlalchemy_exception, InternalError):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = is_read_only


def _begin(connection: Connection) -> None:
    writes = not connection.get_execution_options().get("only_reads")
    connection.connection.driver_connection.begin(writes=writes)  # type: ignore[union-attr]
