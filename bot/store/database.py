"""One database, used the same way whether it's a SQLite file or PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Engine, text

from bot.core.errors import SettingsError, StoreConflict, StoreInDoubt, StoreUnavailable
from bot.observability.telemetry import SILENT, Telemetry
from bot.settings.database_url import UrlProblem, parse_database_url
from bot.store import failures
from bot.store.bell import Bell, Work
from bot.store.embedded import Embedded
from bot.store.transactions import Connections, Transaction

log = structlog.get_logger(__name__)

POOL_SIZE: Final = 15
"""How many connections to a server can be open at a time."""

STATEMENT_S: Final = 2.0
"""A running bot's statements are short, and a hanging server must be given up while Slack still waits."""

COMPANIONS: Final = ("-journal", "-wal", "-shm")
"""The suffixes of the files that SQLite creates beside its file: https://www.sqlite.org/tempfiles.html"""

LONGEST_NAME: Final = 255
"""In bytes, on all common file systems."""

SQLITE_MAGIC = b"SQLite format 3\0"
"""How every SQLite file begins, unless it's empty: https://www.sqlite.org/fileformat.html"""


class Database:
    """The only way to begin a transaction.

    Args:
        url: its ``DATABASE_URL``.
        statement_s: the timeout of a statement on a server; None: none, as migrations need.
        pool_size: how many connections to a server can be open at a time.
        telemetry: what transactions that PostgreSQL rolled back are reported to.

    Raises:
        SettingsError: the URL can't be parsed.
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
        self._where: Connections
        if isinstance(where, Path):
            self._where = Embedded(where)
        else:
            # SQLAlchemy loads its ORM with its asyncio layer: a fifth of a start that a file doesn't need.
            from bot.store.server import Server, Sessions  # noqa: PLC0415

            sessions = Sessions(where, statement_s=statement_s)
            self.application_name = sessions.application_name
            self._needed_files = where.files
            self._where = Server(sessions, pool_size)
        self.bells = {work: Bell() for work in Work}
        """Rung by each transaction when it is committed."""
        self._telemetry = telemetry
        self.not_saving = ""
        """Why the last attempt to save something failed, as far as it is the disk; "" since one went well."""

    @property
    def engine(self) -> Engine:
        """Return SQLAlchemy's engine."""
        return self._where.engine

    @property
    def is_gone(self) -> bool:
        """Whether the file that was opened was deleted or replaced."""
        return isinstance(self._where, Embedded) and self._where.is_gone

    @property
    def problem(self) -> str:
        """Say why the file can't be created or used, or which file in the URL is missing; "" if everything is fine."""
        for option, needed in self._needed_files.items():
            if problem := _why_not_read(needed):
                return f"{option} names {needed}, which {problem}"
        try:
            return _problem_of(self.file) if self.file else ""
        except OSError as error:
            return f"{self.file} can't be used ({error.strerror})"

    def make_folder(self) -> None:
        """Create the file of an embedded database and its folder, only for their owner; what exists stays as it is.

        SQLite gives the files beside it (-wal, -shm) the same mode.

        Raises:
            SettingsError: it can't be created, or the existing file isn't a writable database.
        """
        problem = self.problem
        if self.file and not problem:
            try:
                self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.file.touch(mode=0o600)
            except OSError as error:
                problem = f"{self.file} can't be created ({error.strerror})"
        if problem:
            raise SettingsError([f"DATABASE_URL: {problem}; choose another."])

    @contextlib.asynccontextmanager
    async def begin(
        self, *, urgent: bool = False, is_long: bool = False, autocommit: bool = False, is_light: bool = False
    ) -> AsyncIterator[Transaction]:
        """Open a transaction that commits at the end of the block, and then wakes the workers that it has work for.

        Rows are locked in the order of `bot.store.locks`.

        Args:
            urgent: Slack waits for it, so it goes before all others that wait for SQLite's single writer.
            is_long: its statements may take long, so they run outside the event loop.
            autocommit: on a server, each statement is a transaction of its own, which saves the trips for BEGIN and
                COMMIT. For statements that may be repeated: if one fails, it may have been saved.
            is_light: the same, and on a file it isn't brought to the disk at once: it survives a crash of the process,
                but maybe not a power cut.

        Raises:
            StoreUnavailable: the database can't be reached; nothing was saved.
            StoreInDoubt: it went away during the commit; what the block did may be saved.
            StoreConflict: PostgreSQL rolled it back in favor of another; see `bot.store.transactions.retried`.
        """
        if urgent and self.is_gone:
            raise StoreUnavailable(f"the file {self.file} was deleted or replaced")
        transaction, committing, is_committed = None, False, False
        try:
            async with self._where.transaction(
                writes=True, urgent=urgent, autocommit=autocommit or is_light, is_light=is_light
            ) as session:
                transaction = Transaction(session, self.bells, is_long=is_long)
                yield transaction
                committing = True
            is_committed = True
        except Exception as error:
            unavailable = failures.as_unavailable(error, connecting=transaction is None)
            if unavailable is None:
                raise
            self._note_failure(error)
            if isinstance(unavailable, StoreConflict):
                self._telemetry.transaction_undone(unavailable.reason)
                log.warning("transaction_undone", reason=unavailable.reason)
            elif committing:
                raise StoreInDoubt("the database went away while it was saving this") from error
            raise unavailable from error
        finally:
            if transaction:
                transaction.settle(is_committed=is_committed)

    @contextlib.asynccontextmanager
    async def read(self, *, is_long: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that only reads: on a SQLite file it waits for nothing, and nothing waits for it.

        Decode its result after the block, so that it ends soon.

        Args:
            is_long: its statements may take long, so they run outside the event loop.

        Raises:
            StoreUnavailable: the database can't be reached.
        """
        connecting = True
        try:
            async with self._where.transaction(writes=False) as session:
                connecting = False
                yield Transaction(session, self.bells, is_long=is_long)
        except Exception as error:
            unavailable = failures.as_unavailable(error, connecting=connecting)
            if unavailable is None:
                raise
            raise unavailable from error

    async def forget_erased(self) -> bool:
        """Have nothing left in an embedded database's files of what was overwritten; False if that has to wait.

        A server keeps old versions of rows until ``VACUUM``, which is its own business.
        """
        try:
            return await self._where.empty_log() if isinstance(self._where, Embedded) else True
        except sqlite3.Error as error:
            log.warning("log_not_emptied", error=str(error))
            return False

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
        """Record that something was written and saved."""
        self.not_saving = ""

    async def close(self) -> None:
        """Close all connections."""
        await self._where.close()


def _problem_of(file: Path) -> str:
    """Say why a file can't be an embedded database; "" if it can, or doesn't exist yet."""
    if file.is_dir():
        return f"{file} is a folder, not a file"
    target = Path(os.path.realpath(file))
    if file.is_symlink() and (target.is_symlink() or not target.parent.is_dir()):
        return f"{file} is a broken link"
    if len(os.fsencode(target.name)) + len(max(COMPANIONS, key=len)) > LONGEST_NAME:
        return f"the name of {file} is too long: SQLite creates files beside it with longer names"
    if folders := [suffix for suffix in COMPANIONS if Path(f"{target}{suffix}").is_dir()]:
        return f"{file}{folders[0]} is a folder, and SQLite needs a file there"
    folder = next(path for path in file.absolute().parents if path.exists())
    if not folder.is_dir():
        return f"{folder} isn't a folder, so {file} can't be created"
    if file.exists() and not file.is_file():
        return f"{file} isn't a file"
    try:
        tempfile.TemporaryFile(dir=folder).close()  # the only way to know; it leaves nothing behind
    except OSError as error:
        return f"{folder} can't be written ({error.strerror}), so {file} can't be used"
    if not file.exists():
        return ""
    if not os.access(file, os.W_OK):
        return f"{file} can't be written"
    with file.open("rb") as opened:
        return "" if opened.read(len(SQLITE_MAGIC)) in (b"", SQLITE_MAGIC) else f"{file} isn't a SQLite database"


def _why_not_read(file: Path) -> str:
    if file.is_fifo():  # opening it would wait for its writer
        return "is a pipe, not a file"
    try:
        with file.open("rb"):
            return ""
    except OSError as error:
        return f"can't be read ({error.strerror})"
