"""A transaction: what it wakes when it's committed, and how it's retried if PostgreSQL rolls it back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, Engine, Executable

from bot.core.errors import StoreConflict
from bot.store.bell import Bell, Hands, Lease, Work
from bot.store.statements import Parameters, Rows

P = ParamSpec("P")
T = TypeVar("T")

STANDS_STILL_MS: Final = 2000
"""A process that freezes during a transaction keeps rows locked: the server ends it, and others continue."""

TRIES: Final = 4
"""How often a transaction that PostgreSQL rolls back is tried; each time, the other of the two continues."""


class Session(Protocol):
    """What the statements of a transaction run on: see `bot.store.embedded` and `bot.store.server`."""

    async def run(self, statement: Executable, parameters: Parameters, *, is_long: bool) -> Rows:
        """Run a statement."""
        ...

    async def lock(self, name: str, *, shared: bool) -> None:
        """Let one transaction at a time past this name, or several that share it, until the transaction ends."""
        ...

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run something that needs a synchronous connection."""
        ...


class Connections(Protocol):
    """Opens connections to a database: see `bot.store.embedded` and `bot.store.server`."""

    @property
    def engine(self) -> Engine:
        """Return SQLAlchemy's engine."""
        ...

    def transaction(
        self, *, writes: bool, urgent: bool = False, autocommit: bool = False, is_light: bool = False
    ) -> AbstractAsyncContextManager[Session]:
        """Open a transaction that commits at the end of the block; the arguments are those of ``Database.begin``."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class Transaction:
    """The statements of a transaction, and the workers that they wake.

    Args:
        session: what they run on.
        bells: the loops of this process.
        is_long: they may take long, so those on a file run in a thread.
    """

    def __init__(self, session: Session, bells: Mapping[Work, Bell], *, is_long: bool = False) -> None:
        self._session = session
        self._bells = bells
        self._is_long = is_long
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
        """Let one transaction at a time past this name, or several that share it, until the transaction ends."""
        await self._session.lock(name, shared=shared)

    async def execute(self, statement: Executable, parameters: Parameters = None) -> Rows:
        """Run a statement."""
        return await self._session.run(statement, parameters, is_long=self._is_long)

    async def scalars(self, statement: Executable, parameters: Parameters = None) -> Sequence[Any]:
        """Run a statement and return the first column of its rows."""
        return (await self.execute(statement, parameters)).scalars()

    async def scalar(self, statement: Executable, parameters: Parameters = None) -> Any:
        """Run a statement and return the first column of its first row; None if there is no row."""
        return (await self.execute(statement, parameters)).scalar()

    async def run_sync(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that needs a synchronous connection, such as a migration."""
        return await self._session.run_sync(lambda connection: work(connection, *args, **kwargs))


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
