"""Watches every statement of the store, and names those that could read or write another workspace's rows.

Workspaces share IDs of Slack's and FloKit's: channels, people, timestamps, integrations. A statement must therefore
name the workspace, or an ID that the store made itself and that nobody else has, or the process that holds a claim.
What is for all workspaces at once is listed in ``FOR_ALL``, each with its reason.
"""

from __future__ import annotations

import sys
import weakref
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import CTE, Alias, Delete, Join, Select, Subquery, Table, Update
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, ColumnElement, Grouping
from sqlalchemy.sql.operators import and_, concat_op, eq, in_op

import bot
from bot.store import transactions
from bot.store.tables import metadata
from tests import statements
from tests.statements import watched

HOME = Path(bot.__file__).parent
STORE = HOME / "store"
BETWEEN = frozenset({transactions.__file__, statements.__file__})

OF_A_WORKSPACE = frozenset(name for name, table in metadata.tables.items() if "team_id" in table.c) | {"participants"}
OF_A_WORKSPACE -= {"installations"}  # who installed the app is stored per workspace, and isn't a workspace's data

OWN_IDS = frozenset({"id", "run_id", "thread_id", "panel_id", "alert_id", "incident_id"})
"""Made by ``new_id``, or by Slack as globally unique (the inbox). A timer's ID names the workspace where necessary."""

HOLDERS = frozenset({"lease_owner", "owner"})

LEADS_TO_FEW = OWN_IDS | HOLDERS | {"team_id"}

FOR_ALL = {
    "due.py:read_next": "a process sleeps until the first piece of any workspace is due",
    "inbox.py:claim": "a claim takes whatever is due; each piece goes to its workspace",
    "outbox_rows.py:claim": "as above",
    "run_rows.py:claim": "as above",
    "timers.py:claim": "as above",
    "gauges.py:read_gauges": "counts what waits, for those who run the bot",
    "gauges.py:_count": "as above",
    "retention.py:_purge": "what is too old goes, whosever it is",
    "retention.py:forget_response_urls": "as above",
    "run_rows.py:past": "`doctor` shows the newest runs of all workspaces to those who run the bot",
    "audit.py:load": "`audit export` is for those who run the bot",
    "audit.py:people_called": "as above",
    "audit.py:names": "as above",
    "usage.py:loudest": "says to those who run the bot which workspaces do most",
    "usage.py:known_teams": "says to those who run the bot which workspaces there are",
    "parking.py:left_behind": "finds workspaces whose parked work was left behind",
    "erasure.py:erase_by_team": "deletes by whole keys what a select took of the workspaces that are erased",
    "erasure.py:_sweep": "walks along a key, and deletes what the workspaces that are erased have there",
}
"""Functions of the store that may name no workspace, each with the reason."""

NAMES_IT_IF_TOLD = frozenset({"run_rows.py:past", "audit.py:load", "audit.py:people_called", "audit.py:names"})
"""Those of them that do name the workspace if they're called for one."""


def judge(statement):
    """Return the tables from which a statement matches rows without naming their workspace."""
    wrong = []
    for scope, tables, outer in scopes(statement):
        wrong += [name_of(table) for table in unbound(conditions_of(scope), tables, outer)]
    return sorted(set(wrong))


def scopes(element, outer=frozenset()):
    """Yield each SELECT, UPDATE and DELETE in a statement, with its own tables and those of the outer statements."""
    if isinstance(element, CTE | Subquery):
        outer = frozenset()  # it can't use the outer tables
    if isinstance(element, Select | Update | Delete):
        froms = {table for one in froms_of(element) for table in tables_of(one)}
        own = froms - outer or froms
        yield element, own, outer
        outer |= own
    for child in element.get_children():
        yield from scopes(child, outer)


def froms_of(element):
    """Return what a statement selects from, or writes to."""
    return element.get_final_froms() if isinstance(element, Select) else [element.table]


def tables_of(selectable):
    """Return the tables of a FROM."""
    if isinstance(selectable, Join):
        return tables_of(selectable.left) | tables_of(selectable.right)
    return {selectable} if isinstance(selectable, Table | Alias) and name_of(selectable) in metadata.tables else set()


def name_of(table):
    """Return a table's name, for an alias, too."""
    return table.element.name if isinstance(table, Alias) else table.name


def conditions_of(scope):
    """Return a statement's conditions, and for which tables each holds: an outer join's only for its right side."""
    joins = [one for table in froms_of(scope) for one in joins_of(table)]
    everywhere = {table for one in froms_of(scope) for table in tables_of(one)}
    of_joins = [(join.onclause, tables_of(join.right) if join.isouter else everywhere) for join in joins]
    return [*((one, everywhere) for one in scope._where_criteria), *of_joins]


def joins_of(selectable):
    """Return the joins of a FROM."""
    if not isinstance(selectable, Join):
        return []
    return [selectable, *joins_of(selectable.left), *joins_of(selectable.right)]


def unbound(conditions, tables, outer):
    """Return the tables whose rows no condition limits to one workspace, directly or through other tables."""
    bound = set(outer)
    left = {table for table in tables if name_of(table) in OF_A_WORKSPACE}
    bound |= tables - left
    while found := {table for table in left if any(table in of and ties(one, table, bound) for one, of in conditions)}:
        left -= found
        bound |= found
    return left


def ties(condition, table, bound):
    """Return whether a condition limits rows to one workspace, or to some with a known ID."""
    if isinstance(condition, Grouping):
        return ties(condition.element, table, bound)
    if isinstance(condition, BooleanClauseList):
        every = any if condition.operator is and_ else all
        return every(ties(one, table, bound) for one in condition.clauses)
    if not isinstance(condition, BinaryExpression) or condition.operator not in (eq, in_op):
        return False
    sides = column_of(condition.left), column_of(condition.right)
    for mine, other in (sides, reversed(sides)):
        if mine is None or mine.table is not table or mine.name not in LEADS_TO_FEW:
            continue
        if other is None or other.table in bound:
            return True
    return False


def column_of(element):
    """Return the column that one side of a comparison is; None for a value, or for a select's result."""
    if isinstance(element, Grouping):
        return column_of(element.element)
    if isinstance(element, BinaryExpression) and element.operator is concat_op:  # `of_team`
        return column_of(element.left)
    is_column = isinstance(element, ColumnElement) and getattr(element, "table", None) is not None
    return element if is_column else None


def asking():
    """Return the function of the bot that runs a statement; "" if it's a test's own."""
    frame = sys._getframe(2)
    while frame and (frame.f_code.co_filename in BETWEEN or frame.f_code.co_name.startswith("<")):
        frame = frame.f_back
    if frame is None or STORE not in Path(frame.f_code.co_filename).parents:
        return ""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"


@contextmanager
def watched_teams():
    """Watch all statements; yields what was wrong with them."""
    wrong, fine = [], weakref.WeakSet()

    def before(_transaction, statement, _parameters):
        if statement not in fine:
            where = asking()
            if where and where not in FOR_ALL:
                wrong.extend(f"{where} meets {table} of all workspaces: {statement}" for table in judge(statement))
                fine.add(statement)

    with watched(before):
        yield wrong
