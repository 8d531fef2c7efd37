"""Watches the statements that the bot runs, constants and others alike."""

from __future__ import annotations

from contextlib import contextmanager

from sqlalchemy import Insert, TextClause

from bot.store import statements
from bot.store.transactions import Transaction


@contextmanager
def watched(before=None, after=None, ended=None):
    """Call functions around each statement, and at the end of each transaction.

    ``before(transaction, statement, parameters)``, ``after(transaction, statement, rows)``,
    ``ended(transaction, is_committed)``.
    """
    run, settle = Transaction.execute, Transaction.settle

    async def execute(transaction, statement, parameters=None):
        if before:
            before(transaction, statement, parameters)
        rows = await run(transaction, statement, parameters)
        if after:
            after(transaction, statement, rows)
        return rows

    def settled(transaction, *, is_committed):
        if ended:
            ended(transaction, is_committed)
        settle(transaction, is_committed=is_committed)

    Transaction.execute, Transaction.settle = execute, settled
    try:
        yield
    finally:
        Transaction.execute, Transaction.settle = run, settle


@contextmanager
def asked_of(database):
    """Yield what is asked of a database: each statement that reads, as its SQL, with the first parameters."""
    asked = {}

    def note(_transaction, statement, parameters):
        if isinstance(parameters, list) or isinstance(statement, Insert | TextClause):
            return
        form = statements._compile(statement, database.engine.dialect, ())
        if "FROM" in form.sql.upper():
            asked.setdefault(form.sql, tuple(form.arguments(parameters or {})))

    with watched(note):
        yield asked
