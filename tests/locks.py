"""Watches which tables each transaction locks, and names what breaks the one order.

It watches all transactions of this process, so whole bots as well. The order is defined in
``bot/store/locks.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from sqlalchemy import CTE, Delete, Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter
from sqlalchemy.sql.operators import eq

from bot.store.locks import FRESH, LOCK_ORDER, ONLY_PURGED
from tests.statements import watched

DIALECT = sqlite.dialect()
RANK = {name: rank for rank, name in enumerate(LOCK_ORDER)}


class Held:
    """What one transaction has locked so far."""

    def __init__(self):
        self.tables, self.last_timer = [], ""

    def touch(self, table):
        """Lock rows of a table; return what's wrong with that."""
        highest = max(self.tables, key=RANK.get, default=table)
        if table not in self.tables:
            self.tables.append(table)
        if RANK[table] < RANK[highest]:
            return [f"locks {table} after {highest}"]
        return []

    def touch_timer(self, id_):
        """Lock one timer: within a table, the order is that of the IDs."""
        before, self.last_timer = self.last_timer, max(self.last_timer, id_)
        return [f"locks the timer {id_} after {before}"] if id_ < before else []


def is_ours(statement):
    """Return whether a statement works on the bot's tables: not Alembic's own, nor a test's."""
    return isinstance(statement, Select) or getattr(getattr(statement, "table", None), "name", "") in RANK


def is_about_timers(statement):
    """Return whether a statement writes timers, whose IDs have an order."""
    return isinstance(statement, Update | Delete) and statement.table.name == "timers"


def locks_of(statement):
    """Return what a statement locks: by writing, and by its selects that lock."""
    locking = [
        one for one in visitors.iterate(statement) if isinstance(one, Select) and one._for_update_arg is not None
    ]
    tables = {table.name for select in locking for table in tables_of(select)}
    if isinstance(statement, Insert | Update | Delete):
        tables.add(statement.table.name)
    return tables, locking


def tables_of(select):
    """Return which tables a select locks."""
    return select._for_update_arg.of or select.get_final_froms()


def judge(held, statement, rows):
    """Record what a statement locks, and return what's wrong with it."""
    if not isinstance(statement, Insert | Update | Delete | Select):
        return []
    tables, locking = locks_of(statement)
    wrong = [problem for select in locking for problem in judge_select(select)]
    if isinstance(statement, Insert):
        wrong += judge_parents(held, statement.table, rows)
        is_fresh = statement.table.name in FRESH and statement._post_values_clause is None
        if is_fresh:
            tables.discard(statement.table.name)
    for table in sorted(tables, key=RANK.get):
        wrong += held.touch(table)
    if isinstance(statement, Update | Delete):
        if statement.table.name in ONLY_PURGED and is_a_delete(statement) and not locking:
            wrong.append(f"deletes from {statement.table.name}: only the retention may, and waits for nobody")
        wrong += judge_claims(statement, locking)
        if not locking and statement.whereclause is not None and not is_by_key(statement):
            wrong.append(f"writes several rows of {statement.table.name} in any order")
    if tables == {"timers"} and not locking:
        wrong += [problem for row in rows for id_ in ids_in(row) for problem in held.touch_timer(id_)]
    return wrong


def is_a_delete(statement):
    """Return whether a statement deletes some rows; only tests delete all."""
    return isinstance(statement, Delete) and statement.whereclause is not None


def judge_select(select):
    """A select of several rows must lock them in the order of their keys, and let foreign keys pass."""
    how = select._for_update_arg
    if how.skip_locked:
        return []
    [table] = tables_of(select)
    wrong = []
    keys = [column.name for column in table.primary_key]
    ordered = [getattr(getattr(one, "left", one), "name", None) for one in select._order_by_clauses]
    if ordered[:1] not in ([keys[0]], [keys[-1]]) and not is_by_key(select):
        wrong.append(f"locks rows of {table.name} in the order {ordered}, not in that of {keys}")
    if table.name in ONLY_PURGED and not how.key_share:
        wrong.append(f"locks {table.name} so that foreign keys wait for it")
    return wrong


def judge_claims(statement, locking):
    """A claim with a limit must use a WITH: PostgreSQL may run a subquery again, and take other rows."""
    once = [one.element for one in visitors.iterate(statement) if isinstance(one, CTE)]
    return [
        f"takes rows of {tables_of(select)[0].name} in a subquery that may run twice"
        for select in locking
        if select._limit_clause is not None and not any(select is one for one in once)
    ]


def judge_parents(held, table, rows):
    """A row that refers to another locks that one, too."""
    wrong = []
    for key in table.foreign_keys:
        parent = key.column.table.name
        refers = any(row.get(key.parent.name) is not None for row in rows)
        if refers and parent not in held.tables and parent not in ONLY_PURGED and parent not in FRESH:
            wrong += held.touch(parent)
    return wrong


def is_by_key(statement):
    """Return whether a statement matches at most one row, or rows that were locked before."""
    table = statement.table if isinstance(statement, Update | Delete) else statement.get_final_froms()[0]
    keys = {column.name for column in table.primary_key}
    named = set()
    for one in visitors.iterate(statement.whereclause):
        if isinstance(one, BinaryExpression) and getattr(one.left, "table", None) is table:
            if one.operator is eq:
                named.add(one.left.name)
            elif one.left.name == "id" and isinstance(one.right, BindParameter):  # ids, which a select brought
                named.add("id")
    return keys <= named


def ids_in(row):
    """Return the ID that a statement names."""
    return [value for name, value in row.items() if name.startswith("id") and isinstance(value, str)]


def rows_of(statement, parameters):
    """Return the values that a statement writes or compares with, by name, for each row."""
    given = [parameters or {}] if not parameters or isinstance(parameters, Mapping) else parameters
    columns = list(given[0]) if isinstance(statement, Insert) and given[0] else None
    compiled = statement.compile(dialect=DIALECT, column_keys=columns)
    return [compiled.construct_params(row) for row in given]


@contextmanager
def watched_locks():
    """Watch all transactions; yield the list of what was wrong with them."""
    wrong, held = [], WeakKeyDictionary()

    def before(transaction, statement, parameters):
        if not is_ours(statement):
            return
        so_far = held.setdefault(transaction, Held())
        rows = rows_of(statement, parameters) if isinstance(statement, Insert) or is_about_timers(statement) else []
        problems = judge(so_far, statement, rows)
        wrong.extend(f"{problem}; so far {so_far.tables}: {str(statement)[:160]}" for problem in problems)

    with watched(before):
        yield wrong
