"""Deletes everything that belongs to workspaces which uninstalled the app, from every table, in small batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, Table, delete, select, tuple_

from bot.store.database import Database
from bot.store.locks import LOCK_ORDER, chosen, once
from bot.store.tables import installations, metadata
from bot.store.transactions import retried

WINDOW: Final = 1000
"""Rows that one transaction reads: few enough that clicks hardly wait for SQLite's one writer."""

ERASED: Final = tuple(
    metadata.tables[name] for name in LOCK_ORDER if "team_id" in metadata.tables[name].c and name != "installations"
)
"""All tables with a workspace's data. What refers to a run or an incident goes with it."""


async def erase_data(database: Database, team_ids: Sequence[str], cutoff: datetime) -> None:
    """Delete the rows of workspaces, as long as they were uninstalled at ``cutoff`` and aren't installed again.

    Raises:
        StoreUnavailable: the database is away; the batches before stay deleted.
    """
    doomed = select(installations.c.id).where(
        installations.c.id.in_(team_ids), installations.c.uninstalled_at <= cutoff
    )
    eraser = _Eraser(database, doomed)
    for table in ERASED:
        if "id" in table.c:
            await eraser.sweep(table)
        else:
            while await eraser.erase_by_team(table):
                pass


class _Eraser:
    def __init__(self, database: Database, doomed: Select[tuple[str]]) -> None:
        self._database = database
        self._doomed = doomed

    async def sweep(self, table: Table) -> None:
        """Go through a table once, along its key: most tables have no index that leads to a workspace's rows."""
        after: Any = "" if table.c.id.type.python_type is str else -1
        while after is not None:
            after = await self._sweep(table, after)

    @retried
    async def _sweep(self, table: Table, after: Any) -> Any:
        """Delete within one window; return its last key, or None if it was the last window."""
        key = table.c.id
        ahead = select(key).where(key > after).order_by(key).offset(WINDOW - 1).limit(1)
        async with self._database.read(is_long=True) as connection:
            last = await connection.scalar(ahead)
        window = [key > after] if last is None else [key > after, key <= last]
        # As a plain column, an index that begins with it could be taken instead of the window.
        is_doomed = table.c.team_id.concat("").in_(self._doomed)
        rows = select(key).where(*window, is_doomed).order_by(key).with_for_update(key_share=True)
        async with self._database.begin(is_long=True) as connection:
            await connection.execute(delete(table).where(chosen(table, rows)))
        return last

    @retried
    async def erase_by_team(self, table: Table) -> int:
        """Delete a batch of a table whose key begins with the workspace."""
        keys = list(table.primary_key.columns)
        rows = select(*keys).where(table.c.team_id.in_(self._doomed)).order_by(*keys).limit(WINDOW)
        taken = once(rows.with_for_update(key_share=True))
        async with self._database.begin(is_long=True) as connection:
            deleted = await connection.execute(delete(table).where(tuple_(*keys).in_(taken)))
        return deleted.rowcount
