"""Watches the statements that the bot runs, constants and others alike."""

from __future__ import annotations

from contextlib import contextmanager

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
