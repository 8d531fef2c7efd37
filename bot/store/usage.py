"""How much each workspace does, counted on request for those who run the bot. Nothing is claimed or changed.

Only what the database keeps can be counted: calls to FloKit for a minute, and syncs for as long as the retention. Calls
to Slack aren't stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Table, and_, func, select, true, union_all

from bot.core.models import Outcome, SyncRun
from bot.store import run_rows
from bot.store.database import Database
from bot.store.due import PARKED_SINCE
from bot.store.tables import budget, inbox, installations, outbox, runs, subscriptions, timers

LATELY: Final = timedelta(hours=24)
"""Which syncs are counted."""


class Measure(StrEnum):
    """What workspaces can be sorted by."""

    CALLS = "calls"
    """Slots of the budget that are taken now: requests to FloKit within a minute, or all of them while it asks for a
    pause."""
    RUNS = "runs"
    """Syncs that were requested lately."""
    ERRORS = "errors"
    """Those of them that ended without a success, and messages that Slack has refused and that are tried again."""


@dataclass(frozen=True, slots=True)
class Count:
    """How much a workspace does; its name is "" if the app wasn't installed by OAuth."""

    team_id: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one workspace has in the database. ``calls``, ``runs`` and ``errors`` are as in `Measure`."""

    calls: int
    runs: int
    errors: int
    requests: int
    """Unanswered."""
    open_runs: int
    messages: int
    timers: int
    parked: int
    """Runs, messages and timers that wait until the app is installed again."""
    subscriptions: int
    last_run: SyncRun | None


async def loudest(database: Database, measure: Measure, now: datetime, limit: int) -> list[Count]:
    """Return the workspaces that do most of something, the first one most.

    Raises:
        StoreUnavailable: the database is away.
    """
    counted = union_all(
        *(
            select(table.c.team_id, func.count().label("number")).where(which).group_by(table.c.team_id)
            for table, which in _measured(measure, now)
        )
    ).subquery()
    total = func.sum(counted.c.number)
    most = (
        select(counted.c.team_id, total.label("number"))
        .group_by(counted.c.team_id)
        .order_by(total.desc(), counted.c.team_id)
        .limit(limit)
    ).subquery()
    named = select(most.c.team_id, most.c.number, installations.c.team_name).outerjoin(
        installations, installations.c.id == most.c.team_id
    )
    async with database.read(is_long=True) as connection:
        rows = (await connection.execute(named.order_by(most.c.number.desc(), most.c.team_id))).all()
    return [Count(row.team_id, row.team_name or "", int(row.number)) for row in rows]


async def usage_of(database: Database, team_id: str, now: datetime) -> Usage:
    """Count what a workspace has in the database.

    Raises:
        StoreUnavailable: the database is away.
    """
    last_run = next(iter(await run_rows.past(database, team_id, None, "", 1)), None)
    async with database.read(is_long=True) as connection:

        async def count(*which: tuple[Table, ColumnElement[bool]]) -> int:
            mine = (table.c.team_id == team_id for table, _ in which)
            counts = [select(func.count()).where(of, one) for of, (_, one) in zip(mine, which, strict=True)]
            return sum([await connection.scalar(query) or 0 for query in counts])

        return Usage(
            **{measure.value: await count(*_measured(measure, now)) for measure in Measure},
            requests=await count((inbox, inbox.c.due_at.is_not(None))),
            open_runs=await count((runs, runs.c.due_at < PARKED_SINCE)),
            messages=await count((outbox, outbox.c.due_at < PARKED_SINCE)),
            timers=await count((timers, timers.c.due_at < PARKED_SINCE)),
            parked=await count(*((table, table.c.due_at >= PARKED_SINCE) for table in (runs, outbox, timers))),
            subscriptions=await count((subscriptions, true())),
            last_run=last_run,
        )


async def known_teams(database: Database, limit: int) -> list[str]:
    """Return the IDs of workspaces that have asked FloKit for something, whoever installed the app there.

    Raises:
        StoreUnavailable: the database is away.
    """
    query = select(budget.c.team_id).where(budget.c.slot == 0).order_by(budget.c.team_id).limit(limit)
    async with database.read(is_long=True) as connection:
        return list(await connection.scalars(query))


def _measured(measure: Measure, now: datetime) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return what is counted: tables, and which of their rows."""
    lately = runs.c.requested_at >= now - LATELY
    if measure is Measure.CALLS:
        return [(budget, budget.c.free_at > now)]
    if measure is Measure.RUNS:
        return [(runs, lately)]
    refused = and_(outbox.c.due_at < PARKED_SINCE, outbox.c.failures > 0)
    return [(runs, and_(lately, runs.c.outcome != Outcome.SUCCEEDED)), (outbox, refused)]
