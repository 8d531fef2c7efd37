"""When the next row of a table can be claimed: found along the index of due times, however much is due later."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, Table, func, literal, select

from bot.store.database import Database
from bot.store.tables import UtcTime


def next_at(table: Table, *conditions: ColumnElement[bool]) -> Select[tuple[datetime, datetime]]:
    """Ask for it: what is free first ends the search, not all that ever will be due."""
    due_at, lease_until = table.c.due_at, table.c.lease_until
    in_hand = lease_until > due_at
    free = select(due_at).where(due_at.is_not(None), in_hand.is_not(True), *conditions).order_by(due_at).limit(1)
    before = func.coalesce(free.scalar_subquery(), literal(datetime.max.replace(tzinfo=UTC), UtcTime()))
    let_go = select(func.min(lease_until, type_=UtcTime())).where(due_at < before, in_hand, *conditions)
    return select(free.scalar_subquery(), let_go.scalar_subquery())


async def read_next(database: Database, query: Select[tuple[datetime, datetime]]) -> datetime | None:
    """Read the answer; None when nothing is due, ever."""
    async with database.read() as connection:
        found = (await connection.execute(query)).one()
    return min((at for at in found if at), default=None)
