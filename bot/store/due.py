"""Which rows of a table can be claimed now, and when the next one can, along the index of due times."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Integer, Select, Table, bindparam, func, literal, or_, select
from sqlalchemy.sql.dml import ReturningUpdate

from bot.store.database import Database
from bot.store.statements import among
from bot.store.tables import UtcTime


def next_at(table: Table, *conditions: ColumnElement[bool]) -> Select[tuple[datetime, datetime]]:
    """Return a query for the next time; the first free row ends the search."""
    due_at, lease_until = table.c.due_at, table.c.lease_until
    in_hand = lease_until > due_at
    free = select(due_at).where(due_at.is_not(None), in_hand.is_not(True), *conditions).order_by(due_at).limit(1)
    before = func.coalesce(free.scalar_subquery(), literal(datetime.max.replace(tzinfo=UTC), UtcTime()))
    let_go = select(func.min(lease_until, type_=UtcTime())).where(due_at < before, in_hand, *conditions)
    return select(free.scalar_subquery(), let_go.scalar_subquery())


PARKED_SINCE: Final = datetime(2900, 1, 1, tzinfo=UTC)
"""What is due later than this is parked: see `bot.store.parking`."""

NOW: Final = bindparam("now", type_=UtcTime())


def claimable(table: Table, *conditions: ColumnElement[bool], first: Sequence[Column[Any]] = ()) -> Select[Any]:
    """Select the IDs of rows to claim, and skip those that others are claiming.

    Args:
        table: what has work to do.
        conditions: which rows; the time is ``NOW``, and ``most`` is the limit.
        first: what to sort by before the due time.
    """
    return (
        select(table.c.id)
        .where(*conditions, or_(table.c.lease_until.is_(None), table.c.lease_until <= NOW))
        .order_by(*first, table.c.due_at)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True, key_share=True, of=table)
    )


def of_others(table: Table) -> ColumnElement[bool]:
    """Meet the rows of all workspaces but those that hold their share of a process's slots, in ``full``."""
    return ~among(table.c.team_id, "full")


def claiming(
    of_any: ReturningUpdate[Any], of_others: ReturningUpdate[Any], wanted: dict[str, Any], full: Collection[str]
) -> tuple[ReturningUpdate[Any], dict[str, Any]]:
    """Return the statement that claims, with its parameters: where no workspace is ``full`` it is the simpler one."""
    return (of_others, wanted | {"full": sorted(full)}) if full else (of_any, wanted)


async def read_next(database: Database, query: Select[tuple[datetime, datetime]]) -> datetime | None:
    """Return the result; None if nothing will ever be due."""
    async with database.read() as connection:
        found = (await connection.execute(query)).one()
    return min((at for at in found if at and at < PARKED_SINCE), default=None)
