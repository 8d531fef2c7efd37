"""The one order in which transactions lock rows, so that two of them never wait for each other in a circle.

Each transaction takes locks in the order of these tables, and within a table in the order of its primary key.
``tests/locks.py`` watches every transaction of the tests and refuses another order. See "Locks" in
``docs/architecture.md``.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, select

LOCK_ORDER: Final = (
    "runs",  # what a click finds first: whoever has the run decides for its participants and threads
    "participants",
    "threads",
    "sightings",  # what a look finds first, and then whether an incident follows from it
    "incidents",
    "subscriptions",  # who is told of it …
    "panels",  # … the messages that show it …
    "alerts",  # … and where their stories stand
    "outbox",  # what follows from all of it: what is to be shown,
    "homes",
    "timers",  # what is to be done later,
    "inbox",  # and that a request is answered
    "budget",  # from here on each is alone in its transaction
    "snapshots",
    "replicas",
    "audit",
)

FRESH: Final = frozenset({"panels", "outbox", "audit"})
"""Rows that are inserted here have ids that nobody else knows yet, and no other key: inserting waits for nobody."""

ONLY_PURGED: Final = frozenset({"runs", "incidents"})
"""Only the retention deletes these, long after anything new refers to them: a foreign key to them waits for nobody."""


def locked(table: Table, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Select the ids of rows, and hold the rows still until the transaction ends.

    The lock is ``FOR NO KEY UPDATE``: whoever inserts a row that refers to one of these does not wait for it.
    """
    key = table.c.id
    sorted_by = key.concat("")  # by the key itself, a plan along its index would read the whole table
    return select(key).where(*conditions).order_by(sorted_by).with_for_update(key_share=True)


def in_order(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Meet these rows in an UPDATE or DELETE, which lock several rows in any order: in the one order."""
    return chosen(table, locked(table, *conditions))


def of_team(table: Table, team_id: str) -> ColumnElement[bool]:
    """Meet the rows of a workspace where another condition leads to them: nearly all rows are of one workspace.

    As a plain comparison it would be taken for the better way, and all rows would be read and sorted.
    """
    return table.c.team_id.concat("") == team_id


def once(rows: Select[Any]) -> Select[Any]:
    """Wrap a select that locks so that it runs once: as a plain subquery PostgreSQL may run it again and again.

    Each time it could take others, and so more than its limit. The WITH stands inside, because Python's sqlite3 counts
    no rows for a statement that begins with one.
    """
    return select(rows.cte("taken", nesting=True))


def chosen(table: Table, ids: Select[Any]) -> ColumnElement[bool]:
    """Meet the rows that a select of ids has locked."""
    return table.c.id.in_(once(ids))
