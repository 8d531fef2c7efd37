"""The audit: rows are added within the transaction of the act, and read.

Nothing here changes or deletes one: a trigger refuses every UPDATE, and `bot.store.retention` deletes what is too old.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, or_, select

from bot.core.access.audit import AuditEntry, AuditFilter, Ruling
from bot.core.models import Integration, Person
from bot.store.database import Database
from bot.store.locks import of_team
from bot.store.statements import Row, constant
from bot.store.tables import audit, participants, runs
from bot.store.transactions import Transaction

BATCH: Final = 500
"""How many entries an export reads in one transaction: few enough to fit in memory."""

NAMES_FROM: Final = 2000
"""How many of the newest entries are searched for the names of people and integrations."""

FIRST_ACTION_PREFIX: Final = "flokit_"
"""The first revisions stored the ``action_id`` of the button."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, the newest first, and whether there are older ones."""

    entries: tuple[AuditEntry, ...]
    has_more: bool


_ADD: Final = constant(audit.insert())


async def add(connection: Transaction, entry: AuditEntry | None) -> None:
    """Write an entry in the caller's transaction; None writes nothing."""
    if entry is None:
        return
    row = {
        "team_id": entry.team_id,
        "at": entry.at,
        "user_id": entry.person.id,
        "user_name": entry.person.name,
        "channel_id": entry.channel_id,
        "action": entry.action,
        "integration_id": entry.integration_id,
        "integration_type": entry.integration_type,
        "run_id": entry.run_id,
        "decision": entry.decision,
        "rule": entry.rule,
        "result": entry.result,
    }
    await connection.execute(_ADD, row)


async def load(
    connection: Transaction,
    team_id: str | None,
    wanted: AuditFilter,
    *,
    limit: int,
    offset: int = 0,
    before_id: int | None = None,
) -> list[AuditEntry]:
    """Return entries, newest first; with ``team_id`` None, those of every workspace."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit).offset(offset)
    if team_id is not None:
        along_index = wanted.person_ids or wanted.integration_ids
        query = query.where(audit.c.team_id == team_id if along_index else of_team(audit, team_id))
    if before_id is not None:
        query = query.where(audit.c.id < before_id)
    if wanted.since:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.until:
        query = query.where(audit.c.at <= wanted.until)
    if wanted.person_ids:
        query = query.where(audit.c.user_id.in_(wanted.person_ids))
    if wanted.integration_ids or wanted.integration_type:
        named = audit.c.integration_id.in_(wanted.integration_ids)
        of_type = audit.c.integration_type == wanted.integration_type
        query = query.where(or_(named, of_type) if wanted.integration_type else named)
    return [_read(row) for row in (await connection.execute(query)).all()]


def _read(row: Row) -> AuditEntry:
    return AuditEntry(
        row.at,
        row.team_id,
        Person(row.user_id, row.user_name),
        row.channel_id,
        row.action.removeprefix(FIRST_ACTION_PREFIX),
        integration_id=row.integration_id,
        integration_type=row.integration_type,
        run_id=row.run_id,
        decision=Ruling(row.decision),
        rule=row.rule,
        result=row.result,
        id=row.id,
    )


class Audit:
    """The audit log for readers: the bot for one workspace, the command line for all."""

    def __init__(self, database: Database, team_id: str | None = None) -> None:
        self._database = database
        self._team_id = team_id

    async def page(self, wanted: AuditFilter, *, number: int, size: int) -> AuditPage:
        """Return one page, counted from 0."""
        async with self._database.read(is_long=True) as connection:
            found = await load(connection, self._team_id, wanted, limit=size + 1, offset=number * size)
        return AuditPage(tuple(found[:size]), len(found) > size)

    async def people_called(self, name: str) -> tuple[str, ...]:
        """Return the IDs of people with this name who did something, or joined a sync."""
        acted = select(audit.c.user_id).where(func.lower(audit.c.user_name) == func.lower(name))
        joined = select(participants.c.user_id).where(func.lower(participants.c.user_name) == func.lower(name))
        if self._team_id is not None:
            acted = acted.where(audit.c.team_id == self._team_id)
            joined = joined.join(runs, runs.c.id == participants.c.run_id).where(of_team(runs, self._team_id))
        async with self._database.read(is_long=True) as connection:
            return tuple(await connection.scalars(acted.union(joined)))

    async def names(self) -> tuple[list[Person], list[Integration]]:
        """Return which people and integrations the newest entries are about."""
        newest = select(audit).order_by(audit.c.id.desc()).limit(NAMES_FROM)
        if self._team_id is not None:
            newest = newest.where(of_team(audit, self._team_id))
        of = newest.subquery().c
        people = select(of.user_id, of.user_name).where(of.user_name != "").distinct()
        about = select(of.integration_id, of.integration_type).where(of.integration_id != "").distinct()
        async with self._database.read(is_long=True) as connection:
            return (
                [Person(row.user_id, row.user_name) for row in await connection.execute(people)],
                [Integration(row.integration_id, row.integration_type) for row in await connection.execute(about)],
            )

    async def stream(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        """Yield all entries, newest first, with at most one batch in memory."""
        before_id: int | None = None
        while True:
            async with self._database.read(is_long=True) as connection:
                batch = await load(connection, self._team_id, wanted, limit=BATCH, before_id=before_id)
            for entry in batch:
                yield entry
            if len(batch) < BATCH:
                return
            before_id = batch[-1].id
