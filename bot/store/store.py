"""The store: what restarts and replicas share, one class for each kind of work that is claimed."""

from __future__ import annotations

from sqlalchemy import update

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

    Claims end without anybody's help when their lease does; a writer that comes after that raises ``ClaimLost``.

    Args:
        database: where all of it is.
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

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    @retried
    async def release(self) -> None:
        """Give back all that this process holds, so that another goes on at once."""
        async with self._database.begin() as connection:
            for table in (runs, outbox, inbox):
                mine = in_order(table, table.c.lease_owner == self._owner, table.c.due_at.is_not(None))
                await connection.execute(update(table).where(mine).values(lease_owner=None, lease_until=None))
