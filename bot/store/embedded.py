"""The SQLite file: statements run on the event loop, and a commit, which waits for the disk, runs in a thread.

A statement along an index takes microseconds, and a trip to a thread and back takes longer. So there is one trip for
each transaction that changes something, and none for one that only reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Executable, create_engine, event
from sqlalchemy.exc import DBAPIError

from bot.store.statements import Parameters, Rows, form_of, run_through_sqlalchemy
from bot.store.transactions import in_thread
from bot.store.turns import Turns

T = TypeVar("T")

BUSY_TIMEOUT_MS: Final = 1000
"""How long to wait while another process writes to the file. It may delay an ack twice."""


HEAVY: Final = ("synchronous=FULL", "wal_autocheckpoint=1000")
"""An acknowledged click survives a power cut, too; the second is SQLite's default."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A connection of SQLAlchemy's, and the driver's below it."""

    connection: Connection
    raw: sqlite3.Connection

    async def run(self, statement: Executable, parameters: Parameters, *, is_long: bool) -> Rows:
        """Run a statement."""
        work = partial(self._run, statement, parameters)
        return await in_thread(work) if is_long else work()

    def _run(self, statement: Executable, parameters: Parameters) -> Rows:
        form = form_of(statement, self.connection.dialect, parameters)
        if form is None:
            return run_through_sqlalchemy(self.connection.execute(statement, parameters))
        if isinstance(parameters, Sequence):
            return Rows((), self.raw.executemany(form.sql, map(form.arguments, parameters)).rowcount)
        cursor = self.raw.execute(form.sql, form.arguments(parameters or {}))
        return Rows(form.rows(cursor), cursor.rowcount)

    async def lock(self, name: str, *, shared: bool) -> None:
        """Do nothing: every transaction that writes begins as the only one."""

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run something in a thread."""
        return await in_thread(partial(work, self.connection))

    def commit(self) -> None:
        """Commit, and end what SQLAlchemy doesn't know has begun."""
        self.connection.commit()
        self.raw.commit()


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
        self._idle: list[Handle] = []
        self._idle_light: list[Handle] = []
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
        is_light: bool = False,
    ) -> AsyncIterator[Handle]:
        """Open a transaction that commits at the end of the block.

        Args:
            writes: take the write lock at the start: a transaction that reads first could fail when it writes.
            urgent: go before all others that wait to write.
            is_light: don't wait until it's on the disk; the next commit that waits brings it there, too.
        """
        async with self._turns.take(urgent=urgent) if writes else contextlib.nullcontext():
            idle = self._idle_light if is_light else self._idle
            handle = idle.pop() if idle else self._open(is_light=is_light)
            try:
                await self._begin(handle.raw, "BEGIN IMMEDIATE" if writes else "BEGIN")
                changes = handle.raw.total_changes
                yield handle
                if is_light or handle.raw.total_changes == changes:
                    handle.commit()
                else:
                    await self._in_thread(handle.commit)
            except BaseException as error:
                if isinstance(error, DBAPIError | sqlite3.Error):
                    handle.connection.invalidate()  # it's unknown what a failed commit did
                handle.connection.close()  # it rolls back
                raise
            idle.append(handle)

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
        for idle in (self._idle, self._idle_light):
            while idle:
                idle.pop().connection.close()
        self.engine.dispose()

    async def close(self) -> None:
        """Close all connections, and end the thread."""
        self.drop_idle()
        await asyncio.to_thread(self._thread.shutdown)

    def _open(self, *, is_light: bool) -> Handle:
        connection = self.engine.connect()
        raw: Any = connection.connection.driver_connection
        # The engine gives a connection that was closed to whoever asks next. A checkpoint would wait for the disk.
        for pragma in ("synchronous=NORMAL", "wal_autocheckpoint=0") if is_light else HEAVY:
            raw.execute(f"PRAGMA {pragma}")
        return Handle(connection, raw)

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
            "foreign_keys=ON",
            "secure_delete=ON",  # Debian's default: what is erased is overwritten
            "busy_timeout=0",  # on the loop nothing waits
        ):
            connection.execute(f"PRAGMA {pragma}")
        if self._first_opened is None:
            with contextlib.suppress(FileNotFoundError):
                self._first_opened = self._file.stat()


def _begin_patiently(raw: sqlite3.Connection, statement: str) -> None:
    raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    try:
        raw.execute(statement)
    finally:
        raw.execute("PRAGMA busy_timeout=0")
