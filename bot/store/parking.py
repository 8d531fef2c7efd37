"""What is due for a workspace that uninstalled the app is set aside, and due again once the app is installed again.

The same goes for one whose token can't be decrypted: nothing can be done for it either.

Otherwise it would be claimed again and again until its data is erased. Parked work keeps its time, a thousand years
later, so that `resume` only has to bring it back. Both work in short transactions, and may be called again at any
time: whoever claims a piece of a workspace that is gone parks what it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, and_, bindparam, case, select, union, update

from bot.store.bell import Work
from bot.store.database import Database
from bot.store.due import PARKED_SINCE
from bot.store.locks import in_order, locked_rows
from bot.store.outbox_rows import OutboxKind
from bot.store.tables import UtcTime, inbox, installations, outbox, runs, timers
from bot.store.transactions import Transaction, retried

PARKED_FOR: Final = timedelta(days=365_000)
BATCH: Final = 200
"""Rows of one transaction: few enough that clicks hardly wait for SQLite's one writer."""

NOTE_WORTH_FOR: Final = timedelta(hours=1)
"""An older answer is useless when the app is installed again; the outcome of a sync isn't."""

# A process that holds such a row finds its claim lost.
_FENCES: Final[dict[str, dict[str, Any]]] = {
    "runs": {"version": runs.c.version + 1, "lease_owner": None},
    "outbox": {"claims": outbox.c.claims + 1, "lease_owner": None},
    "timers": {"version": timers.c.version + 1, "owner": None},
}
_KEPT: Final = ((runs, Work.RUNS), (outbox, Work.MESSAGES), (timers, Work.TIMERS))


async def park(database: Database, team_id: str, *, is_lost: bool = False) -> int:
    """Set aside all that is due for a workspace, unless the app is installed there; return how many rows that were.

    Requests count as answered. Runs, messages and timers stay, and aren't due.

    Args:
        database: the database.
        team_id: the workspace.
        is_lost: its token can't be decrypted, so it makes no difference that the app is installed there.

    Raises:
        StoreUnavailable: the database is away; the batches before stay parked.
    """
    parked = 0
    for table, _ in _KEPT:
        while batch := await _park(database, table, team_id, is_lost=is_lost):
            parked += batch
    while batch := await _finish_requests(database, team_id, is_lost=is_lost):
        parked += batch
    return parked


async def resume(database: Database, team_id: str, now: datetime) -> int:
    """Bring back what was parked for a workspace in which the app is installed again; return how many rows.

    Answers that are too old by now are given up.

    Raises:
        StoreUnavailable: the database is away; the batches before are back.
    """
    resumed = 0
    await _give_up_old_notes(database, team_id, now)
    for table, work in _KEPT:
        while batch := await _resume(database, table, work, team_id):
            resumed += batch
    return resumed


async def left_behind(database: Database, key_ids: Sequence[str], after: str) -> list[str]:
    """Return workspaces with parked work although the app is installed there, from the one after ``after`` on.

    A process that died while it saved the installation left it, or the master key is back that a token needs.

    Args:
        database: the database.
        key_ids: the master keys that are there; workspaces whose token needs another one aren't returned.
        after: the ID of a workspace.

    Raises:
        StoreUnavailable: the database is away.
    """
    own, org = installations, installations.alias("org")
    serving = case((own.c.bot_token.is_not(None), own.c.data_key_id), else_=org.c.data_key_id)
    of_org = and_(org.c.id == own.c.enterprise_id, org.c.is_enterprise, org.c.uninstalled_at.is_(None))
    found = union(
        *(
            select(table.c.team_id)
            .join(own, own.c.id == table.c.team_id)
            .outerjoin(org, of_org)
            .where(table.c.due_at >= PARKED_SINCE, own.c.uninstalled_at.is_(None), serving.in_(key_ids))
            for table, _ in _KEPT
        )
    ).subquery()
    page = select(found.c.team_id).where(found.c.team_id > after).order_by(found.c.team_id).limit(BATCH)
    async with database.read(is_long=True) as connection:
        return list(await connection.scalars(page))


@retried
async def _park(database: Database, table: Table, team_id: str, *, is_lost: bool) -> int:
    waits = and_(table.c.team_id == team_id, table.c.due_at < PARKED_SINCE)
    async with database.begin(is_long=True) as connection:
        if not is_lost and await _is_installed(connection, team_id):
            return 0
        return await _move(connection, table, waits, PARKED_FOR, _FENCES[table.name])


@retried
async def _resume(database: Database, table: Table, work: Work, team_id: str) -> int:
    is_parked = and_(table.c.team_id == team_id, table.c.due_at >= PARKED_SINCE)
    async with database.begin(is_long=True) as connection:
        moved = await _move(connection, table, is_parked, -PARKED_FOR, {})
        if moved:
            connection.ring(work)
    return moved


async def _move(
    connection: Transaction, table: Table, which: ColumnElement[bool], by: timedelta, fence: dict[str, Any]
) -> int:
    """Move the times of a batch, which each database would add up in a way of its own."""
    times: list[Column[Any]] = [table.c.id, table.c.due_at]
    along = [table.c.along_at] if "along_at" in table.c else []
    query = locked_rows(table, which).with_only_columns(*times, *along).limit(BATCH)
    rows = (await connection.execute(query)).all()
    if not rows:
        return 0
    values = {"due_at": bindparam("new_due_at", type_=UtcTime), "lease_until": None} | fence
    if along:
        values["along_at"] = bindparam("new_along_at", type_=UtcTime)
    moved = [
        {"row_id": row.id, "new_due_at": row.due_at + by}
        | ({"new_along_at": row.along_at and row.along_at + by} if along else {})
        for row in rows
    ]
    await connection.execute(update(table).where(table.c.id == bindparam("row_id")).values(**values), moved)
    return len(rows)


@retried
async def _finish_requests(database: Database, team_id: str, *, is_lost: bool) -> int:
    waiting = in_order(inbox, inbox.c.team_id == team_id, inbox.c.due_at.is_not(None))
    async with database.begin(is_long=True) as connection:
        if not is_lost and await _is_installed(connection, team_id):
            return 0
        done = await connection.execute(update(inbox).where(waiting).values(due_at=None, data=None, lease_until=None))
    return done.rowcount


@retried
async def _give_up_old_notes(database: Database, team_id: str, now: datetime) -> None:
    old = and_(
        outbox.c.team_id == team_id,
        outbox.c.kind == OutboxKind.NOTE,
        outbox.c.due_at >= PARKED_SINCE,
        outbox.c.created_at < now - NOTE_WORTH_FOR,
    )
    async with database.begin(is_long=True) as connection:
        await connection.execute(
            update(outbox).where(in_order(outbox, old)).values(due_at=None, sent_version=outbox.c.version)
        )


async def _is_installed(connection: Transaction, team_id: str) -> bool:
    """Tell whether the app is installed there. `Installations` holds the same lock while it notes that it is."""
    await connection.lock(f"installation {team_id}")
    query = select(installations.c.id).where(installations.c.id == team_id, installations.c.uninstalled_at.is_(None))
    return await connection.scalar(query) is not None
