"""Finished work is deleted after a while, in small batches, so that the database doesn't grow forever."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Table, and_, delete, exists, select, tuple_, update

from bot.store.database import Database
from bot.store.locks import chosen, once
from bot.store.tables import (
    alerts,
    audit,
    bulks,
    homes,
    inbox,
    incidents,
    maintenances,
    outbox,
    panels,
    runs,
    snapshots,
    threads,
    volumes,
)
from bot.store.transactions import retried

BATCH: Final = 200
"""How many rows one transaction deletes: few enough that clicks hardly wait for SQLite's single writer."""


class Retention:
    """Deletes what ended before a time; what's still watched or not yet posted stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def purge(self, before: datetime) -> int:
        """Delete one batch from each table; return the number of rows, 0 if nothing is left to delete.

        Threads, participants and messages of a run are deleted with it.

        Raises:
            StoreUnavailable: the database is unavailable; earlier batches stay deleted.
        """
        return sum([await self._purge(table, finished) for table, finished in _finished(before)])

    @retried
    async def forget_response_urls(self, now: datetime) -> int:
        """Delete the response_urls that Slack no longer accepts; until then, anyone who has one can post as us.

        Raises:
            StoreUnavailable: the database is unavailable.
        """
        over = select(outbox.c.id).where(outbox.c.response_url.is_not(None), outbox.c.response_until <= now)
        async with self._database.begin(is_long=True) as connection:
            forgotten = await connection.execute(
                update(outbox)
                .where(chosen(outbox, over.with_for_update(skip_locked=True)))
                .values(response_url=None, response_until=None)
            )
        return forgotten.rowcount

    @retried
    async def _purge(self, table: Table, finished: ColumnElement[bool]) -> int:
        keys = list(table.primary_key.columns)
        batch = select(*keys).where(finished).limit(BATCH).with_for_update(skip_locked=True)
        async with self._database.begin(is_long=True) as connection:
            deleted = await connection.execute(delete(table).where(tuple_(*keys).in_(once(batch))))
        return deleted.rowcount


def _finished(before: datetime) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return what can be deleted, in an order in which nothing refers to deleted rows."""
    waiting = exists().where(
        threads.c.run_id == runs.c.id, outbox.c.panel_id == threads.c.panel_id, outbox.c.due_at.is_not(None)
    )
    untold = exists().where(outbox.c.run_id == runs.c.id, outbox.c.due_at.is_not(None))
    shown = exists().where(outbox.c.panel_id == panels.c.id, outbox.c.due_at.is_not(None))
    followed = exists().where(threads.c.panel_id == panels.c.id)
    alerting = exists().where(alerts.c.id == panels.c.id)
    untold_news = exists().where(
        outbox.c.alert_id == alerts.c.id, alerts.c.incident_id == incidents.c.id, outbox.c.due_at.is_not(None)
    )
    return [
        (runs, and_(runs.c.ended_at < before, runs.c.due_at.is_(None), ~untold, ~waiting)),
        (incidents, and_(incidents.c.closed_at < before, ~untold_news)),
        (panels, and_(panels.c.created_at < before, ~shown, ~followed, ~alerting)),
        (
            outbox,
            and_(
                outbox.c.created_at < before,
                outbox.c.due_at.is_(None),
                outbox.c.run_id.is_(None),
                outbox.c.panel_id.is_(None),
            ),
        ),
        (inbox, and_(inbox.c.received_at < before, inbox.c.due_at.is_(None))),
        (bulks, bulks.c.created_at < before),
        (maintenances, maintenances.c.until < before),
        (audit, audit.c.at < before),
        (volumes, volumes.c.read_at < before),
        (snapshots, snapshots.c.as_of < before),
        (homes, homes.c.opened_at < before),
    ]
