"""The store: what restarts and replicas share, one class for each kind of work that is claimed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import update

from bot.store.bell import Lease
from bot.store.bulks import Bulks
from bot.store.database import Database
from bot.store.inbox import Inbox
from bot.store.locks import in_order
from bot.store.outbox import Outbox
from bot.store.panels import Panels
from bot.store.runs import Runs
from bot.store.tables import inbox, outbox, runs
from bot.store.transactions import retried


class Store:
    """Requests, messages, panels, and runs.

    Claims end automatically when their lease expires; a writer that comes later raises ``ClaimLost``.

    Args:
        database: the database.
        owner: this process's name in its leases.
        lease_s: how long a claim lasts, in seconds.
    """

    def __init__(self, database: Database, *, owner: str, lease_s: float = 10.0) -> None:
        self._database = database
        self._owner = owner
        self.lease_s = lease_s
        self.inbox = Inbox(database, owner, lease_s)
        self.outbox = Outbox(database, owner, lease_s)
        self.panels = Panels(database)
        self.runs = Runs(database, owner, lease_s)
        self.bulks = Bulks(database)

    def lease(self, now: datetime) -> Lease:
        """Return the lease of what this process takes now."""
        return Lease(self._owner, now + timedelta(seconds=self.lease_s))

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    @retried
    async def release(self) -> None:
        """Release everything that this process holds, so that another continues immediately."""
        async with self._database.begin() as connection:
            for table in (runs, outbox, inbox):
                mine = in_order(table, table.c.lease_owner == self._owner, table.c.due_at.is_not(None))
                await connection.execute(update(table).where(mine).values(lease_owner=None, lease_until=None))
