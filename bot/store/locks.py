"""The one order in which transactions lock rows, so that they never deadlock.

Each transaction takes locks in the order of these tables, and within a table in the order of its primary key.
``tests/locks.py`` watches every transaction of the tests and refuses another order. See "Locks" in
``docs/architecture.md``.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, select

LOCK_ORDER: Final = (
    "policies",  # what anybody may do
    "nicknames",  # and what things are called
    "volumes",  # what was counted
    "person_settings",  # what a person chose for themselves
    "bulks",  # that a button has started something
    "runs",  # what a click finds first; the lock of a run covers its participants and threads
    "participants",
    "threads",
    "sightings",  # what a check finds first, and then whether an incident follows from it
    "incidents",
    "subscriptions",  # who is notified of it …
    "panels",  # … the messages that show it …
    "alerts",  # … and where their threads are
    "maintenances",  # when nobody is told,
    "held",  # and what is told later
    "outbox",  # what follows from all of it: what to show,
    "homes",
    "timers",  # what to do later,
    "inbox",  # and that a request is answered
    "budget",  # from here on, each is alone in its transaction
    "installations",
    "oauth_states",
    "snapshots",
    "replicas",
    "audit",
)

FRESH: Final = frozenset({"panels", "outbox", "audit"})
"""Rows inserted here have IDs that no other process knows yet, and no other key, so inserting never waits."""

ONLY_PURGED: Final = frozenset({"runs", "incidents"})
"""Only the retention deletes these, long after the last reference to them, so a foreign key never waits."""


def locked_rows(table: Table, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Select rows, and lock them until the transaction ends.

    The lock is ``FOR NO KEY UPDATE``: an inserted row that refers to one of these doesn't wait for it.
    """
    sorted_by = table.c.id.concat("")  # sorted by the key itself, a plan along its index would read the whole table
    return select(table).where(*conditions).order_by(sorted_by).with_for_update(key_share=True)


def locked(table: Table, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Select the IDs of rows and lock the rows, like ``locked_rows``."""
    return locked_rows(table, *conditions).with_only_columns(table.c.id)


def in_order(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Match these rows in an UPDATE or DELETE, which would otherwise lock several rows in any order."""
    return chosen(table, locked(table, *conditions))


def of_team(table: Table, team_id: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Meet the rows of a workspace where another condition leads to them: nearly all rows are of one workspace.

    A plain comparison would look cheaper to the planner, and all rows would be read and sorted.
    """
    return table.c.team_id.concat("") == team_id


def once(rows: Select[Any]) -> Select[Any]:
    """Wrap a locking select so that it runs once: PostgreSQL may run a plain subquery repeatedly.

    Each run could take other rows, and so more than its limit. The WITH is inside because Python's sqlite3 counts no
    rows for a statement that begins with one.
    """
    return select(rows.cte("taken", nesting=True))


def chosen(table: Table, ids: Select[Any]) -> ColumnElement[bool]:
    """Match the rows that a select of IDs has locked."""
    return table.c.id.in_(once(ids))
