"""One transaction: what it wakes when it is committed, and how it is tried again when PostgreSQL undid it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.core.errors import StoreConflict
from bot.store.bell import Work

P = ParamSpec("P")
T = TypeVar("T")

TRIES: Final = 4
"""How often a transaction is tried that PostgreSQL undoes; the other one of the two goes on each time."""


class Transaction(AsyncConnection):
    """A connection within a transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.rung: set[Work] = set()

    def ring(self, work: Work) -> None:
        """Wake who does this work, once it is committed; nobody is woken for what is undone."""
        self.rung.add(work)


def retried(method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Try a method of one transaction again, at once, when PostgreSQL undid it in favor of another.

    Nothing of it was saved then, so whatever it did to the database is done from the start. It must do nothing else.
    """

    @functools.wraps(method)
    async def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(TRIES - 1):
            try:
                return await method(*args, **kwargs)
            except StoreConflict:
                continue
        return await method(*args, **kwargs)

    return tried
