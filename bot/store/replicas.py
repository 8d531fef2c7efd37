"""Which processes are running: each one records a heartbeat."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from bot.store.database import Database
from bot.store.locks import once
from bot.store.tables import replicas
from bot.store.transactions import STANDS_STILL_MS, Transaction, retried

ALIVE_S: Final = 40.0
"""A process that hasn't been seen for this long is gone."""

_END_STALLED: Final = text("""
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = :application
    AND state <> 'idle' AND wait_event = 'ClientRead' AND state_change < now() - make_interval(secs => :seconds)
""")
"""https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW"""


async def count_alive(connection: Transaction, now: datetime) -> int:
    """Count the processes that have been seen lately."""
    alive_since = now - timedelta(seconds=ALIVE_S)
    query = select(func.count()).select_from(replicas).where(replicas.c.seen_at >= alive_since)
    return await connection.scalar(query) or 0


class Replicas:
    """The processes that work on one database."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    @property
    def is_for_one(self) -> bool:
        """Return whether it's a SQLite file, in which several processes only wait for each other."""
        return self._database.is_sqlite

    @retried
    async def note(self, now: datetime) -> int:
        """Record that this process is running, and count those that are."""
        alive_since = now - timedelta(seconds=ALIVE_S)
        async with self._database.begin() as connection:
            await connection.execute(
                insert(replicas)
                .values(owner=self._owner, seen_at=now)
                .on_conflict_do_update(index_elements=["owner"], set_={"seen_at": now})
            )
            gone = select(replicas.c.owner).where(replicas.c.seen_at < alive_since - timedelta(hours=1))
            forgotten = once(gone.with_for_update(skip_locked=True))
            await connection.execute(delete(replicas).where(replicas.c.owner.in_(forgotten)))
            alive = await count_alive(connection, now)
        self._database.note_saved()
        return alive

    @retried
    async def end_stalled(self, after_s: float = STANDS_STILL_MS / 1000) -> int:
        """End the sessions of frozen processes, which hold row locks, and return how many.

        The server ends sessions that idle in a transaction. But between preparing a statement and running it, a session
        counts as active, and no timeout before PostgreSQL 17's ``transaction_timeout`` ends it.
        """
        if self._database.is_sqlite:
            return 0
        async with self._database.read() as connection:
            told = {"application": self._database.application_name, "seconds": after_s}
            return await connection.scalar(_END_STALLED, told) or 0

    @retried
    async def leave(self) -> None:
        """Remove this process."""
        async with self._database.begin() as connection:
            await connection.execute(delete(replicas).where(replicas.c.owner == self._owner))
