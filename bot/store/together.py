"""Things that are saved at the same time share a transaction.

A commit to disk costs the same for one row as for many, so callers that arrive during one wait for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from bot.core.errors import StoreInDoubt, StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """Saves things for several callers, and returns to each the result for theirs.

    Args:
        write: saves some in one transaction, and returns the result for each.
        most: how many at a time; the others wait for the next transaction.
    """

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most: int) -> None:
        self._write = write
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def save(self, thing: T) -> R:
        """Save one; it's saved when this returns.

        Raises:
            StoreUnavailable: nothing was saved.
            StoreInDoubt: it may be saved.
        """
        saved: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((thing, saved))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_waiting())
        return await saved

    async def _write_waiting(self) -> None:
        """Write until no caller waits."""
        try:
            while self._waiting:
                now, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._write_together(now)
        finally:
            self._writing = None

    async def _write_together(self, together: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._write([thing for thing, _ in together])
        except StoreInDoubt as error:
            for _, saved in together:
                _fail(saved, error)
        except StoreUnavailable as error:
            # Later callers have waited as long: another attempt would take longer than Slack waits.
            behind, self._waiting = self._waiting, []
            for _, saved in (*together, *behind):
                _fail(saved, error)
        except Exception as error:  # noqa: BLE001 - the caller who waits gets it
            if len(together) > 1:  # one failure must not affect the others
                for one in together:
                    await self._write_together([one])
            else:
                _fail(together[0][1], error)
        else:
            for (_, saved), result in zip(together, results, strict=True):
                if not saved.done():
                    saved.set_result(result)


def _fail(saved: asyncio.Future[R], error: Exception) -> None:
    if not saved.done():
        saved.set_exception(error)
