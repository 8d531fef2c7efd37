"""The SQLite file: statements run on the event loop, and a commit, which waits for the disk, runs in a thread.

A statement along an index takes microseconds, and a trip to a thread and back takes longer. So there is one trip for
each transaction that changes something, and none for one that only reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError

from bot.store.transactions import in_thread
from bot.store.turns import Turns

T = TypeVar("T")

BUSY_TIMEOUT_MS: Final = 1000
"""How long to wait while another process writes to the file. It may delay an ack twice."""


class Embedded:
    """A SQLite file with one writer at a time.

    Args:
        file: the database; it's opened when it is first needed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.engine: Final = create_engine(
            URL.create("sqlite", database=str(file)),
            connect_args={"check_same_thread": False},  # a commit runs in another thread, while nothing else does
            hide_parameters=True,
            max_overflow=-1,  # waiting for a connection would block the loop
        )
        event.listen(self.engine, "connect", self._prepare)
        # SQLite has one writer. Waiting for it here is fair and wakes at once; its own busy handler sleeps and guesses.
        self._turns = Turns()
        self._idle: list[Connection] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._first_opened: os.stat_result | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the file that was opened was deleted or replaced.

        What is still written to it is lost with the process; "Unlinking or renaming a database file while in use" in
        https://www.sqlite.org/howtocorrupt.html
        """
        try:
            now = self._file.stat()
        except FileNotFoundError:
            return True
        return self._first_opened is not None and not os.path.samestat(now, self._first_opened)

    @contextlib.asynccontextmanager
    async def transaction(
        self,
        *,
        writes: bool,
        urgent: bool = False,
        autocommit: bool = False,  # noqa: ARG002 - a commit takes no trip
    ) -> AsyncIterator[Connection]:
        """Open a transaction that commits at the end of the block.

        Args:
            writes: take the write lock at the start: a transaction that reads first could fail when it writes.
            urgent: go before all others that wait to write.
        """
        async with self._turns.take(urgent=urgent) if writes else contextlib.nullcontext():
            connection = self._idle.pop() if self._idle else self.engine.connect()
            try:
                raw: Any = connection.connection.driver_connection
                await self._begin(raw, "BEGIN IMMEDIATE" if writes else "BEGIN")
                changes = raw.total_changes
                yield connection
                if raw.total_changes == changes:
                    _end(connection, raw)
                else:
                    await self._in_thread(partial(_end, connection, raw))
            except BaseException as error:
                if isinstance(error, DBAPIError | sqlite3.Error):
                    connection.invalidate()  # it's unknown what a failed commit did
                connection.close()  # it rolls back
                raise
            self._idle.append(connection)

    async def empty_log(self) -> bool:
        """Move what is in the write-ahead log into the file, and cut the log off; False if another reads or writes now.

        The log would keep what was overwritten in the file until it's written over, too, or until the bot stops:
        https://www.sqlite.org/pragma.html#pragma_wal_checkpoint
        """
        if self.is_gone:  # opening it would make a new file
            return False
        async with self._turns.take():
            return await self._in_thread(self._empty_log)

    def _empty_log(self) -> bool:
        with contextlib.closing(sqlite3.connect(self._file)) as connection:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def drop_idle(self) -> None:
        """Close idle connections; the next transactions open new ones."""
        while self._idle:
            self._idle.pop().close()
        self.engine.dispose()

    async def close(self) -> None:
        """Close all connections, and end the thread."""
        self.drop_idle()
        await asyncio.to_thread(self._thread.shutdown)

    async def _begin(self, raw: sqlite3.Connection, statement: str) -> None:
        try:
            raw.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            await self._in_thread(lambda: _begin_patiently(raw, statement))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Run something in the single thread for commits."""
        return await in_thread(work, self._thread)

    def _prepare(self, connection: sqlite3.Connection, _record: object) -> None:
        """Let readers and the writer work at the same time, survive a crash, and enforce foreign keys.

        Also record which file was opened first.
        """
        connection.isolation_level = None  # the driver must not start transactions on its own
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",  # an acknowledged click survives a power cut, too
            "foreign_keys=ON",
            "secure_delete=ON",  # Debian's default: what is erased is overwritten
            "busy_timeout=0",  # on the loop nothing waits
        ):
            connection.execute(f"PRAGMA {pragma}")
        if self._first_opened is None:
            with contextlib.suppress(FileNotFoundError):
                self._first_opened = self._file.stat()


def _end(connection: Connection, raw: sqlite3.Connection) -> None:
    """Commit, and end what SQLAlchemy doesn't know has begun."""
    connection.commit()
    raw.commit()


def _begin_patiently(raw: sqlite3.Connection, statement: str) -> None:
    raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    try:
        raw.execute(statement)
    finally:
        raw.execute("PRAGMA busy_timeout=0")
