"""How requests come into the database while Slack waits: those of one moment share a transaction.

A commit to disk costs the same for one row as for many, so whoever comes while one is written waits for the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.core.errors import StoreUnavailable
from bot.store import inbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.requests import Request
    from bot.store.database import Database

_Waiting = tuple["Request", "asyncio.Future[bool]"]


class Intake:
    """Saves requests, before all other work."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, request: Request) -> bool:
        """Save a request; it is saved when this returns. False when it was delivered before.

        Raises:
            StoreUnavailable: nothing was saved.
            StoreInDoubt: it may be saved.
        """
        saved: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, saved))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await saved

    async def _write(self) -> None:
        """Write until nobody waits."""
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                await self._write_together(together)
        finally:
            self._writing = None

    async def _write_together(self, together: Sequence[_Waiting]) -> None:
        try:
            fresh = await inbox.add_all(self._database, [request for request, _ in together])
        except StoreUnavailable as error:
            for _, saved in together:
                _fail(saved, error)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            if len(together) > 1:  # one request must not take the others with it
                for one in together:
                    await self._write_together([one])
            else:
                _fail(together[0][1], error)
        else:
            for (_, saved), is_fresh in zip(together, fresh, strict=True):
                if not saved.done():
                    saved.set_result(is_fresh)


def _fail(saved: asyncio.Future[bool], error: Exception) -> None:
    if not saved.done():
        saved.set_exception(error)
