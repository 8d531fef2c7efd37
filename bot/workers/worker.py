"""One loop for all work that is claimed from the store: claim, work, sleep until more is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Generic, TypeVar

import structlog

from bot.core.errors import ClaimLost, StoreUnavailable
from bot.observability.telemetry import SILENT, Telemetry
from bot.store.bell import Bell

log = structlog.get_logger(__name__)

T = TypeVar("T")

POLL_S: Final = 2.0
"""The longest sleep: work that another replica left behind is found after this at the latest."""

SHORTEST_SLEEP_S: Final = 0.02
AWAY_S: Final = 1.0
"""The pause after the database could not be reached."""

FINISH_WITHIN_S: Final = 4.0
"""How long work in hand may take after a stop: the whole process has 10 s."""


class Worker(Generic[T]):
    """Claims work and does at most ``slots`` pieces of it at a time.

    Args:
        name: for the logs.
        claim: takes up to so many pieces that are due.
        work: does one piece, or raises a group of what went wrong in it. What it leaves undone is claimed again when
            its lease ends.
        next_due_at: when the earliest piece is due; None when there is none.
        bell: rung in this process when there may be new work.
        clock: the time now, aware.
        slots: how many pieces at a time.
        telemetry: what claims lost and faults are reported to.
    """

    def __init__(
        self,
        name: str,
        *,
        claim: Callable[[datetime, int], Awaitable[list[T]]],
        work: Callable[[T], Awaitable[None]],
        next_due_at: Callable[[], Awaitable[datetime | None]],
        bell: Bell,
        clock: Callable[[], datetime],
        slots: int,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self.name = name
        self._telemetry = telemetry
        self._turned_at = time.monotonic()
        self._claim = claim
        self._work = work
        self._next_due_at = next_due_at
        self._bell = bell
        self._clock = clock
        self._slots = slots
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stopping = False

    def stop(self) -> None:
        """Claim nothing more; ``run`` returns when the work in hand is done, or was given its time."""
        self._stopping = True
        self._bell.ring()

    @property
    def still_for_s(self) -> float:
        """Tell for how long it has not turned; it does every few seconds, with or without work."""
        return time.monotonic() - self._turned_at

    async def run(self) -> None:
        """Work until stopped."""
        try:
            while not self._stopping:
                self._turned_at = time.monotonic()
                await self._turn()
            if self._in_hand:
                await asyncio.wait(self._in_hand, timeout=FINISH_WITHIN_S)
        finally:
            await self._cancel_rest()

    async def _turn(self) -> None:
        """Claim what is due, or sleep until something is."""
        try:
            room = self._slots - len(self._in_hand)
            claimed = await self._claim(self._clock(), room) if room else []
            for piece in claimed:
                task = asyncio.create_task(self._do(piece))
                self._in_hand.add(task)
                task.add_done_callback(self._put_down)
            if len(claimed) < room or not room:  # nothing more is due
                await self._bell.wait(await self._sleep_s())
        except StoreUnavailable as error:
            log.warning("store_unavailable", worker=self.name, error=str(error))
            await asyncio.sleep(AWAY_S)

    def _put_down(self, task: asyncio.Task[None]) -> None:
        """Look again: there is room, and what was just done may have made more of its kind due."""
        self._in_hand.discard(task)
        self._bell.ring()

    async def _cancel_rest(self) -> None:
        """Let go of what takes too long: nothing is lost, its lease is given back and somebody looks again."""
        rest = tuple(self._in_hand)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    @property
    def _has_room(self) -> bool:
        return len(self._in_hand) < self._slots

    async def _sleep_s(self) -> float:
        if not self._has_room:  # the next finished piece rings
            return POLL_S
        due_at = await self._next_due_at()
        if due_at is None:
            return POLL_S
        return min(max((due_at - self._clock()).total_seconds(), SHORTEST_SLEEP_S), POLL_S)

    async def _do(self, piece: T) -> None:
        """Do one piece; whatever goes wrong is logged and never ends the loop: the lease gives the piece back."""
        try:
            await self._work(piece)
        except* ClaimLost as lost:
            for error in lost.exceptions:
                self._telemetry.claim_lost(self.name)
                log.info("claim_lost", worker=self.name, error=str(error))
        except* StoreUnavailable as away:
            log.warning("store_unavailable", worker=self.name, error=str(away.exceptions[0]))
        except* Exception:
            self._telemetry.fault("worker")
            log.exception("work_failed", worker=self.name)
