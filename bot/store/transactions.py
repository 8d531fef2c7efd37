"""A transaction: what it wakes when it's committed, and how it's retried if PostgreSQL rolls it back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, ScalarResult, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import StoreConflict
from bot.store.bell import Bell, Hands, Lease, Work

P = ParamSpec("P")
T = TypeVar("T")

TRIES: Final = 4
"""How often a transaction that PostgreSQL rolls back is tried; each time, the other of the two continues."""

Parameters: TypeAlias = "Mapping[str, Any] | Sequence[Mapping[str, Any]] | None"


class Transaction:
    """The statements of a transaction, and the workers that they wake.

    Args:
        connection: what they run on: an ``AsyncConnection`` to a server, or a ``Connection`` to a file.
        bells: the loops of this process.
        in_thread: run those on a file in a thread, because they may take long.
    """

    def __init__(
        self, connection: Connection | AsyncConnection, bells: Mapping[Work, Bell], *, in_thread: bool = False
    ) -> None:
        self._connection = connection
        self._bells = bells
        self._in_thread = in_thread
        self._rings: set[tuple[Work, datetime | None]] = set()
        self._reserved: list[tuple[Hands, str]] = []
        self._pieces: list[tuple[Work, Any]] = []

    def ring(self, work: Work, at: datetime | None = None) -> None:
        """Wake the workers that do this work once it's committed, or at a time; none of them if it's rolled back."""
        self._rings.add((work, at))

    def hold(self, work: Work, now: datetime, team_id: str) -> Lease | None:
        """Return the lease under which a new row of a workspace is ours from its birth; None if anybody may claim it.

        Hand over what is written under it with ``hand``.
        """
        hands = self._bells[work].hands
        lease = hands.reserve(now, team_id) if hands else None
        if hands and lease:
            self._reserved.append((hands, team_id))
        return lease

    def hand(self, work: Work, piece: Any) -> None:
        """Start a piece of work in this process once it's committed."""
        self._pieces.append((work, piece))

    def handed(self, work: Work) -> list[Any]:
        """Return what is to be started."""
        return [piece for kind, piece in self._pieces if kind is work]

    def settle(self, *, is_committed: bool) -> None:
        """Start the work and ring the bells, or release the slots."""
        for hands, team_id in self._reserved:
            hands.release(team_id)
        if not is_committed:
            return
        for work, at in self._rings:
            self._bells[work].ring(at)
        for work, piece in self._pieces:
            if taker := self._bells[work].hands:
                taker.accept(piece)

    async def lock(self, name: str, *, shared: bool = False) -> None:
        """Let one transaction at a time past this name, or several that share it, until the transaction ends.

        SQLite has only one writer anyway: every transaction that writes begins as one.
        """
        if isinstance(self._connection, AsyncConnection):
            take = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
            await self.execute(select(take(func.hashtextextended(name, 0))))

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement."""
        if isinstance(self._connection, AsyncConnection):
            return await self._connection.execute(statement, parameters)
        if self._in_thread:
            return await in_thread(partial(_execute, self._connection, statement, parameters))
        return self._connection.execute(statement, parameters)

    async def scalars(self, statement: Executable, parameters: Parameters = None) -> ScalarResult[Any]:
        """Run a statement and return the first column of its rows."""
        return (await self.execute(statement, parameters)).scalars()

    async def scalar(self, statement: Executable, parameters: Parameters = None) -> Any:
        """Run a statement and return the first column of its first row; None if there is no row."""
        return (await self.execute(statement, parameters)).scalar()

    async def run_sync(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that needs a synchronous connection, such as a migration."""
        if isinstance(self._connection, AsyncConnection):
            return await self._connection.run_sync(work, *args, **kwargs)
        return await in_thread(partial(work, self._connection, *args, **kwargs))


async def in_thread(work: Callable[[], T], thread: Executor | None = None) -> T:
    """Run something in a thread, and wait for its end even if canceled: a connection is in use until then."""
    future = asyncio.get_running_loop().run_in_executor(thread, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        raise


def _execute(connection: Connection, statement: Executable, parameters: Parameters) -> CursorResult[*tuple[Any, ...]]:
    """Run a statement, and read its rows in the same thread."""
    result = connection.execute(statement, parameters)
    return result.freeze()() if result.returns_rows else result  # type: ignore[return-value]  # all but its rowcount


def retried(method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Retry a method of one transaction immediately if PostgreSQL rolled it back in favor of another.

    Nothing of it was saved then, so its work in the database starts over. It must do nothing else.
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
