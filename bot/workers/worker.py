"""One loop for all work that is claimed from the store: claim, work, sleep until more is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Generic, TypeVar

import structlog

from bot.core.errors import ClaimLost, StoreUnavailable
from bot.observability.context import Runtime
from bot.store.bell import Bell, Lease
from bot.workers.shares import Shares

log = structlog.get_logger(__name__)

T = TypeVar("T")

POLL_S: Final = 2.0
"""The longest sleep: work that another replica left behind is found after this at the latest."""

SHORTEST_SLEEP_S: Final = 0.02
AWAY_S: Final = 1.0
"""The pause after the database could not be reached."""

FINISH_WITHIN_S: Final = 4.0
"""How long current work can take after a stop: the whole process has 10 s."""


class Worker(Generic[T]):
    """Claims work, and does at most ``slots`` pieces of it at a time.

    Args:
        name: for the logs.
        runtime: the clock, and what lost claims and faults are reported to.
        claim: takes at most this many pieces that are due; with ``team_of``, of all workspaces but some.
        work: does one piece, or raises a group of what went wrong in it. What it leaves undone is claimed again when
            its lease expires.
        next_due_at: when the earliest piece is due; None if there's none.
        bell: rung in this process when there may be new work.
        slots: how many pieces at a time.
        lease: the lease of a piece that this process has from its birth; None: each must be claimed.
        team_of: the workspace of a piece, where there are several to share the slots; None: all are for one.
    """

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        *,
        claim: Callable[..., Awaitable[list[T]]],
        work: Callable[[T], Awaitable[None]],
        next_due_at: Callable[[], Awaitable[datetime | None]],
        bell: Bell,
        slots: int,
        lease: Callable[[datetime], Lease] | None = None,
        team_of: Callable[[T], str] | None = None,
    ) -> None:
        self.name = name
        self._lease = lease
        self._reserved = 0
        self._has_more = True
        self._team_of = team_of
        self._shares = Shares()
        self._full: frozenset[str] = frozenset()
        self._asked_for: datetime | None = None
        self._telemetry = runtime.telemetry
        self._acks = runtime.acks
        self._turned_at = time.monotonic()
        self._claim = claim
        self._work = work
        self._next_due_at = next_due_at
        self._bell = bell
        self._clock = runtime.clock
        self._slots = slots
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stopping = False

    def stop(self) -> None:
        """Claim nothing more; ``run`` returns when the current work is done, or has had its time."""
        self._stopping = True
        self._bell.ring()

    @property
    def still_for_s(self) -> float:
        """Return for how many seconds it hasn't run; it runs every few seconds, with or without work."""
        return time.monotonic() - self._turned_at

    async def run(self) -> None:
        """Work until stopped."""
        self._bell.hands = self
        was_rung = False
        try:
            while not self._stopping:
                self._turned_at = time.monotonic()
                was_rung = await self._turn(was_rung=was_rung)
            if self._in_hand:
                await asyncio.wait(self._in_hand, timeout=FINISH_WITHIN_S)
        finally:
            self._bell.hands = None
            await self._cancel_rest()

    async def _turn(self, *, was_rung: bool) -> bool:
        """Claim what's due, and sleep until something is; return whether anything is, or may be.

        Work that this process writes rings the bell when it's due. When other work is due must be queried.
        """
        try:
            room = self._room
            self._reserved += room  # what's written in the meantime must not take slots that are being filled
            try:
                await (self._claim_shares(room) if self._team_of else self._claim_all(room))
            finally:
                self._reserved -= room
            if room and self._has_more:
                return True
            if room and not self._full and (not was_rung or (self._asked_for and self._asked_for <= self._clock())):
                self._asked_for = await self._next_due_at()
                if self._asked_for:
                    self._bell.ring(max(self._asked_for, self._clock() + timedelta(seconds=SHORTEST_SLEEP_S)))
            return await self._bell.wait(POLL_S, self._clock)
        except StoreUnavailable as error:
            log.warning("store_unavailable", worker=self.name, error=str(error))
            await asyncio.sleep(AWAY_S)
            return False

    async def _claim_all(self, room: int) -> None:
        claimed = await self._claim(self._clock(), room) if room else []
        for piece in claimed:
            self._start(piece)
        self._has_more = len(claimed) == room

    async def _claim_shares(self, room: int) -> None:
        """Claim no more of a workspace than its share, and then, if it may have more, what is due for the others."""
        free = room
        while free > 0:
            self._full = self._shares.full(free)
            most = self._shares.at_once(free, self._full)
            claimed = await self._claim(self._clock(), most, self._full)
            for piece in claimed:
                self._start(piece)
            free -= len(claimed)
            if len(claimed) < most:
                break
        self._has_more = free <= 0

    def _team(self, piece: T) -> str:
        return self._team_of(piece) if self._team_of else ""

    # What is written here needn't be claimed

    def reserve(self, now: datetime, team_id: str) -> Lease | None:
        """Reserve a slot for one piece; None if all are taken, or if other work of the workspace may wait for them."""
        if self._lease is None or self._stopping or self._has_more or self._room <= 0:
            return None
        if self._team_of and (team_id in self._full or not self._shares.may_take(team_id, self._room)):
            return None
        self._reserved += 1
        self._shares.take(team_id)
        return self._lease(now)

    def release(self, team_id: str) -> None:
        """Release a slot."""
        self._reserved -= 1
        self._shares.give_back(team_id)

    def accept(self, piece: T) -> None:
        """Start a piece whose lease this process holds."""
        self._start(piece)

    def _start(self, piece: T) -> None:
        task = asyncio.create_task(self._do(piece))
        self._in_hand.add(task)
        self._shares.take(self._team(piece))
        task.add_done_callback(partial(self._put_down, self._team(piece)))

    def _put_down(self, team_id: str, task: asyncio.Task[None]) -> None:
        """Claim again if there was more work waiting than slots."""
        self._in_hand.discard(task)
        self._shares.give_back(team_id)
        if self._has_more or self._full:
            self._bell.ring()

    async def _cancel_rest(self) -> None:
        """Cancel what takes too long. Nothing is lost: the lease is released, and another process continues."""
        rest = tuple(self._in_hand)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    @property
    def _room(self) -> int:
        return self._slots - len(self._in_hand) - self._reserved

    async def _do(self, piece: T) -> None:
        """Do one piece. Errors are logged and never end the loop; the piece is claimed again when its lease expires."""
        try:
            await self._acks.let_pass()
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
