"""The worker's loop: it claims within its slots, never dies of a piece, never spins, and ends when told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from bot.core.errors import ClaimLost, StoreUnavailable
from bot.store.bell import Bell
from bot.workers import worker as worker_module
from bot.workers.worker import Worker


class RecordingBell(Bell):
    """Notes how long each sleep may be, and makes none longer than a moment."""

    def __init__(self):
        super().__init__()
        self.sleeps = []

    async def wait(self, timeout_s):
        """Sleep a moment, or until rung."""
        self.sleeps.append(timeout_s)
        await super().wait(min(timeout_s, 0.01))


class Work:
    """Pieces to claim, and what became of them."""

    def __init__(self, clock):
        self.clock, self.bell = clock, RecordingBell()
        self.pieces, self.done, self.running = [], [], 0
        self.most_running = self.claims = self.away = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.changed = asyncio.Event()
        self.failures = {}
        self.due_at = None

    def add(self, *pieces):
        """Have more to do."""
        self.pieces += pieces
        self.bell.ring()

    async def claim(self, _now, limit):
        """Hand out pieces."""
        assert limit > 0
        self.claims += 1
        self.changed.set()
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        taken, self.pieces = self.pieces[:limit], self.pieces[limit:]
        return taken

    async def work(self, piece):
        """Do a piece, when the gate is open."""
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.changed.set()
        try:
            await self.gate.wait()
            if piece in self.failures:
                raise self.failures[piece]
            self.done.append(piece)
        finally:
            self.running -= 1
            self.changed.set()

    async def next_due_at(self):
        """Tell when more is due."""
        return self.due_at

    async def until(self, predicate):
        """Wait until something holds."""
        async with asyncio.timeout(3):
            while not predicate():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def work(clock):
    """Have nothing to do yet."""
    return Work(clock)


@asynccontextmanager
async def running(work, slots=2):
    """Run a worker; at the end stop it and see it end."""
    made = Worker(
        "test",
        claim=work.claim,
        work=work.work,
        next_due_at=work.next_due_at,
        bell=work.bell,
        clock=work.clock,
        slots=slots,
    )
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        made.stop()
        async with asyncio.timeout(3):
            await task


async def test_everything_is_done(work):
    """All that is due is done."""
    work.add(*range(7))
    async with running(work):
        await work.until(lambda: len(work.done) == 7)
    assert sorted(work.done) == list(range(7))


async def test_no_more_than_the_slots(work):
    """No more is claimed than can be worked on at once; a finished piece makes room."""
    work.gate.clear()
    work.add(*range(5))
    async with running(work, slots=2):
        await work.until(lambda: work.running == 2)
        assert len(work.pieces) == 3
        work.gate.set()
        await work.until(lambda: len(work.done) == 5)
    assert work.most_running == 2


@pytest.mark.parametrize("error", [ValueError("x"), ClaimLost("x"), StoreUnavailable("x"), KeyError("x")])
async def test_failing_piece_does_not_end_the_loop(work, error):
    """Whatever one piece raises, the next ones are done."""
    work.failures["bad"] = error
    work.add("bad", "good")
    async with running(work, slots=1):
        await work.until(lambda: "good" in work.done)


async def test_a_claim_that_took_all_is_not_repeated(work):
    """After a claim that left room, nothing more is due: the loop sleeps before it claims again."""
    work.gate.clear()
    work.pieces.append("only")
    async with running(work, slots=2):
        await work.until(lambda: work.running == 1)
        taken = (work.claims, len(work.bell.sleeps))
        work.gate.set()
    assert taken == (1, 1)


async def test_bell_wakes_the_loop(work):
    """New work is claimed at once when the bell rings."""
    async with running(work):
        await work.until(lambda: work.claims == 1)
        work.add("new")
        await work.until(lambda: work.done == ["new"])


@pytest.mark.parametrize(
    ("due_in_s", "sleep_s"),
    [(None, worker_module.POLL_S), (60, worker_module.POLL_S), (0.5, 0.5), (-60, worker_module.SHORTEST_SLEEP_S)],
)
async def test_idle_loop_does_not_spin(work, clock, due_in_s, sleep_s):
    """Without work the loop sleeps until the next is due: not longer than a poll, and never not at all."""
    work.due_at = None if due_in_s is None else clock.now + timedelta(seconds=due_in_s)
    async with running(work):
        await work.until(lambda: work.claims == 2)
    assert work.bell.sleeps[0] == sleep_s


async def test_full_loop_does_not_spin(work, clock):
    """While all slots are taken the loop sleeps although more is due: a finished piece wakes it."""
    work.gate.clear()
    work.due_at = clock.now
    work.add("first", "second")
    async with running(work, slots=1):
        await work.until(lambda: work.bell.sleeps)
        work.gate.set()
        await work.until(lambda: len(work.done) == 2)
    assert work.bell.sleeps[0] == worker_module.POLL_S


async def test_store_away_does_not_end_or_spin(work, monkeypatch):
    """While the store is away the loop tries again after a pause each time, and goes on when it is back."""
    monkeypatch.setattr(worker_module, "AWAY_S", 0.05)
    work.away = 3
    work.add("piece")
    began = asyncio.get_running_loop().time()
    async with running(work):
        await work.until(lambda: work.done == ["piece"])
    assert asyncio.get_running_loop().time() - began >= 0.15


async def test_stop_finishes_the_work_in_hand(work):
    """After a stop nothing more is claimed, and what is in hand is finished."""
    work.gate.clear()
    work.add("first", "second")
    async with running(work, slots=1) as worker:
        await work.until(lambda: work.running == 1)
        worker.stop()
        work.gate.set()
    assert work.done == ["first"]
    assert work.pieces == ["second"]


async def test_stop_does_not_wait_for_ever(work, monkeypatch):
    """Work that does not end is let go after its time; somebody else will look again."""
    monkeypatch.setattr(worker_module, "FINISH_WITHIN_S", 0.05)
    work.gate.clear()
    work.add("stuck")
    async with running(work):
        await work.until(lambda: work.running == 1)
    assert work.done == []
    assert work.running == 0


async def test_broken_claim_ends_the_loop(work):
    """A loop that cannot go on ends loudly: it never goes quiet."""

    async def broken(_now, _limit):
        raise ValueError

    made = Worker(
        "test",
        claim=broken,
        work=work.work,
        next_due_at=work.next_due_at,
        bell=work.bell,
        clock=work.clock,
        slots=1,
    )
    with pytest.raises(ValueError):
        await made.run()
