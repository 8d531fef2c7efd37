"""Facts about a database and the processes that use it. Nothing here changes anything."""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import select

from bot.core.models import SyncRun
from bot.store import replicas, run_rows, schema
from bot.store.database import Database


class Vitals:
    """Facts about a database, for health checks.

    Each method raises StoreUnavailable if the database can't be reached.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def kind(self) -> str:
        """Return the kind of database."""
        return "SQLite" if self._database.is_sqlite else "PostgreSQL"

    @property
    def is_sqlite(self) -> bool:
        """Return whether it's an embedded database, which the bot migrates when it starts."""
        return self._database.is_sqlite

    @property
    def is_missing(self) -> bool:
        """Return whether it's a file that doesn't exist yet."""
        return self._database.file is not None and not self._database.file.exists()

    @property
    def problem(self) -> str:
        """Say why its file, or one that its URL names, can't be used; "" if it can."""
        return self._database.problem

    async def is_read_only(self) -> bool:
        """Return whether the server refuses to write."""
        return await self._database.is_read_only()

    async def revision(self) -> str:
        """Return the revision of its tables; "" if there are none."""
        return await schema.current(self._database)

    async def obstacle(self) -> str:
        """Say why this version can't create or upgrade its tables; "" if no reason is known."""
        return await schema.obstacle(self._database)

    @property
    def needed_revision(self) -> str:
        """Return the revision that this version needs."""
        return schema.HEAD

    async def latency_s(self) -> float:
        """Measure how long a transaction with one query takes on an open connection."""
        began = time.perf_counter()
        async with self._database.begin() as connection:
            await connection.scalar(select(1))
        return time.perf_counter() - began

    async def alive(self, now: datetime) -> int:
        """Count the processes that use it."""
        async with self._database.read() as connection:
            return await replicas.count_alive(connection, now)

    async def newest_runs(self, limit: int) -> list[SyncRun]:
        """Return the newest runs of every workspace, newest first."""
        return await run_rows.past(self._database, None, None, "", limit)
