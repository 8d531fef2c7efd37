"""A second connection to the SQLite file, for what Slack waits for: one transaction is one trip to its thread.

The driver below SQLAlchemy makes such a trip for each statement, its cursor, its result and its commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bot.core.errors import StoreInDoubt
from bot.store.failures import as_unavailable


class UrgentWriter:
    """Writes rows into a file; the caller holds the turn of the file's one writer.

    Args:
        file: the database.
        prepare: told of the new connection before it is used.
    """

    def __init__(self, file: Path, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._file = file
        self._prepare = prepare
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="urgent")

    async def insert(self, statement: str, rows: Sequence[Sequence[Any]]) -> list[bool]:
        """Run a statement for each row in one transaction; tell for each whether it changed anything.

        Raises:
            StoreUnavailable: the file cannot be written; nothing was saved.
            StoreInDoubt: the commit failed; the rows may be saved.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._insert, statement, rows)

    async def close(self) -> None:
        """Close the connection, and end its thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    def _insert(self, statement: str, rows: Sequence[Sequence[Any]]) -> list[bool]:
        committing = False
        try:
            connection = self._connection or self._connect()
            connection.execute("BEGIN IMMEDIATE")
            changed = [connection.execute(statement, row).rowcount == 1 for row in rows]
            committing = True
            connection.execute("COMMIT")
        except BaseException as error:
            self._drop()
            unavailable = as_unavailable(error, connecting=False) if isinstance(error, Exception) else None
            if unavailable is None:
                raise
            if committing:
                raise StoreInDoubt("the database went away while it was saving this") from error
            raise unavailable from error
        return changed

    def _connect(self) -> sqlite3.Connection:
        self._connection = connection = sqlite3.connect(self._file, check_same_thread=False)
        self._prepare(connection)
        return connection

    def _drop(self) -> None:
        """Close the connection; what was not committed is undone."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()
