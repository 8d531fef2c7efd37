"""What a database tells about itself and those who work on it. Nothing here changes anything."""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import select

from bot.core.models import SyncRun
from bot.store import replicas, run_rows, schema
from bot.store.database import Database


class Vitals:
    """How a database is, for whoever wants to know whether all is well.

    Each method raises StoreUnavailable when the database cannot be asked.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def kind(self) -> str:
        """Name the kind of database."""
        return "SQLite" if self._database.is_sqlite else "PostgreSQL"

    @property
    def is_sqlite(self) -> bool:
        """Tell an embedded database, which a start brings up to date by itself, from a server's."""
        return self._database.is_sqlite

    @property
    def is_missing(self) -> bool:
        """Tell whether it is a file that no start has made yet."""
        return self._database.file is not None and not self._database.file.exists()

    @property
    def problem(self) -> str:
        """Say why its file, or one that its URL names, can't be used; "" when nothing speaks against it."""
        return self._database.problem

    async def is_read_only(self) -> bool:
        """Ask whether the server refuses to write."""
        return await self._database.is_read_only()

    async def revision(self) -> str:
        """Name the revision of its tables; "" when there are none."""
        return await schema.current(self._database)

    async def obstacle(self) -> str:
        """Say why this version can't make or upgrade its tables; "" when nothing is known."""
        return await schema.obstacle(self._database)

    @property
    def needed_revision(self) -> str:
        """Name the revision that this version needs."""
        return schema.HEAD

    async def latency_s(self) -> float:
        """Measure how long a transaction with one question takes, the connection being open."""
        began = time.perf_counter()
        async with self._database.begin() as connection:
            await connection.scalar(select(1))
        return time.perf_counter() - began

    async def alive(self, now: datetime) -> int:
        """Count the processes that work on it."""
        async with self._database.read() as connection:
            return await replicas.count_alive(connection, now)

    async def newest_runs(self, limit: int) -> list[SyncRun]:
        """Read the newest runs of every workspace, the newest first."""
        return await run_rows.past(self._database, None, None, "", limit)
