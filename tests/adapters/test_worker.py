"""The worker's loop: it claims within its slots, survives failing work, never spins, and stops when asked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from bot.core.errors import ClaimLost, StoreUnavailable
from bot.observability.context import Runtime
from bot.store.bell import Bell, Lease
from bot.workers import worker as worker_module
from bot.workers.shares import PER_FREE_SLOT, Shares
from bot.workers.worker import Worker


class RecordingBell(Bell):
    """Records how long each sleep may last, and sleeps only for a moment."""

    def __init__(self):
        super().__init__()
        self.sleeps = []

    async def wait(self, longest_s, clock):
        """Sleep for a moment, or until rung."""
        first = min(self._times, default=None)
        in_s = longest_s if first is None else (first - clock()).total_seconds()
        self.sleeps.append(min(longest_s, in_s))
        return await super().wait(min(longest_s, 0.01), clock)


class Work:
    """Work to claim, and its results."""

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
        """Add work."""
        self.pieces += pieces
        self.bell.ring()

    async def claim(self, _now, limit):
        """Claim pieces."""
        assert limit > 0
        self.claims += 1
        self.changed.set()
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        taken, self.pieces = self.pieces[:limit], self.pieces[limit:]
        return taken

    async def work(self, piece):
        """Do a piece once the gate is open."""
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
        """Return in how many seconds more work is due."""
        return self.due_at

    async def until(self, predicate):
        """Wait until something is true."""
        async with asyncio.timeout(3):
            while not predicate():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def work(clock):
    """Return no work."""
    return Work(clock)


@asynccontextmanager
async def running(work, slots=2, **options):
    """Run a worker; at the end, stop it and wait for it."""
    made = Worker(
        "test",
        Runtime(work.clock),
        claim=work.claim,
        work=work.work,
        next_due_at=work.next_due_at,
        bell=work.bell,
        slots=slots,
        **options,
    )
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        made.stop()
        async with asyncio.timeout(3):
            await task


async def test_all_due_work_is_done(work):
    work.add(*range(7))
    async with running(work):
        await work.until(lambda: len(work.done) == 7)
    assert sorted(work.done) == list(range(7))


async def test_claims_are_limited_by_the_slots(work):
    """A finished piece frees its slot."""
    work.gate.clear()
    work.add(*range(5))
    async with running(work, slots=2):
        await work.until(lambda: work.running == 2)
        assert len(work.pieces) == 3
        work.gate.set()
        await work.until(lambda: len(work.done) == 5)
    assert work.most_running == 2


@pytest.mark.parametrize("error", [ValueError("x"), ClaimLost("x"), StoreUnavailable("x"), KeyError("x")])
async def test_failing_work_does_not_end_the_loop(work, error):
    work.failures["bad"] = error
    work.add("bad", "good")
    async with running(work, slots=1):
        await work.until(lambda: "good" in work.done)


async def test_a_claim_that_took_all_is_not_repeated(work):
    """After a claim that left slots free, the loop sleeps before it claims again."""
    work.gate.clear()
    work.pieces.append("only")
    async with running(work, slots=2):
        await work.until(lambda: work.running == 1)
        taken = (work.claims, len(work.bell.sleeps))
        work.gate.set()
    assert taken == (1, 1)


async def test_the_bell_wakes_the_loop(work):
    async with running(work):
        await work.until(lambda: work.claims == 1)
        work.add("new")
        await work.until(lambda: work.done == ["new"])


@pytest.mark.parametrize(
    ("due_in_s", "sleep_s"),
    [(None, worker_module.POLL_S), (60, worker_module.POLL_S), (0.5, 0.5), (-60, worker_module.SHORTEST_SLEEP_S)],
)
async def test_idle_loop_does_not_spin(work, clock, due_in_s, sleep_s):
    """Without work it sleeps until the next piece is due, at most for a poll interval."""
    work.due_at = None if due_in_s is None else clock.now + timedelta(seconds=due_in_s)
    async with running(work):
        await work.until(lambda: work.claims == 2)
    assert work.bell.sleeps[0] == pytest.approx(sleep_s)


async def test_full_loop_does_not_spin(work, clock):
    """While all slots are taken it sleeps although more is due; a finished piece wakes it."""
    work.gate.clear()
    work.due_at = clock.now
    work.add("first", "second")
    async with running(work, slots=1):
        await work.until(lambda: work.bell.sleeps)
        work.gate.set()
        await work.until(lambda: len(work.done) == 2)
    assert work.bell.sleeps[0] == worker_module.POLL_S


async def test_known_due_times_are_not_queried(work, clock, monkeypatch):
    """Work that this process writes rings at its time; the store is queried only after a sleep without news."""
    asked = []

    async def next_due_at():
        asked.append(clock.now)

    monkeypatch.setattr(work, "next_due_at", next_due_at)
    async with running(work):
        await work.until(lambda: work.claims == 1)
        work.bell.ring(clock.now + timedelta(seconds=30))
        work.pieces.append("later")
        known = len(asked)
        clock.advance(31)
        await work.until(lambda: work.done == ["later"])
    assert known <= len(asked) <= known + 2


async def test_a_starting_process_finds_earlier_work(work, clock):
    """Each piece at its time."""
    work.due_at = clock.now + timedelta(seconds=0.5)
    async with running(work):
        await work.until(lambda: work.claims == 1)
        work.due_at = clock.now + timedelta(seconds=1)
        work.pieces.append("first")
        clock.advance(0.6)
        await work.until(lambda: work.done == ["first"])
        work.pieces.append("second")
        clock.advance(0.5)
        await work.until(lambda: work.done == ["first", "second"])


@pytest.fixture
def lease(clock):
    """The lease of work that this process takes when it writes it."""
    return lambda now: Lease("here", now + timedelta(seconds=10))


async def test_new_work_is_handed_over_without_a_claim(work, clock, lease):
    async with running(work, slots=1, lease=lease) as worker:
        await work.until(lambda: work.claims == 1)
        assert worker.reserve(clock.now, "T1") == lease(clock.now)
        assert worker.reserve(clock.now, "T1") is None, "there is one place"
        worker.release("T1")
        worker.accept("new")
        await work.until(lambda: work.done == ["new"])
    assert work.bell.hands is None


async def test_new_work_does_not_overtake_waiting_work(work, clock, lease):
    """If more is due than there are slots, it's claimed in order."""
    work.gate.clear()
    work.add("first", "second")
    async with running(work, slots=1, lease=lease) as worker:
        await work.until(lambda: work.running == 1)
        assert worker.reserve(clock.now, "T1") is None
        work.gate.set()
        await work.until(lambda: len(work.done) == 2)


async def test_new_work_takes_no_slot_that_a_claim_is_filling(work, clock, lease, monkeypatch):
    """Otherwise there'd be more pieces than slots."""
    offered = []
    claim = work.claim

    async def claim_slowly(now, limit):
        await asyncio.sleep(0)
        offered.append(worker.reserve(clock.now, "T1"))
        return await claim(now, limit)

    monkeypatch.setattr(work, "claim", claim_slowly)
    async with running(work, slots=1, lease=lease) as worker:
        await work.until(lambda: work.claims == 1)
        offered.clear()
        work.add("waiting")
        await work.until(lambda: work.done == ["waiting"])
    assert offered
    assert set(offered) == {None}


async def test_a_stopping_loop_takes_no_new_work(work, clock, lease):
    async with running(work, lease=lease) as worker:
        await work.until(lambda: work.claims == 1)
        worker.stop()
        assert worker.reserve(clock.now, "T1") is None


async def test_an_unavailable_store_neither_ends_nor_spins_the_loop(work, monkeypatch):
    """It retries after a pause, and continues when the store is back."""
    monkeypatch.setattr(worker_module, "AWAY_S", 0.05)
    work.away = 3
    work.add("piece")
    began = asyncio.get_running_loop().time()
    async with running(work):
        await work.until(lambda: work.done == ["piece"])
    assert asyncio.get_running_loop().time() - began >= 0.15


async def test_a_stop_finishes_the_current_work(work):
    """Nothing more is claimed."""
    work.gate.clear()
    work.add("first", "second")
    async with running(work, slots=1) as worker:
        await work.until(lambda: work.running == 1)
        worker.stop()
        work.gate.set()
    assert work.done == ["first"]
    assert work.pieces == ["second"]


async def test_a_stop_does_not_wait_forever(work, monkeypatch):
    """Work that doesn't end is canceled after a timeout."""
    monkeypatch.setattr(worker_module, "FINISH_WITHIN_S", 0.05)
    work.gate.clear()
    work.add("stuck")
    async with running(work):
        await work.until(lambda: work.running == 1)
    assert work.done == []
    assert work.running == 0


async def test_a_failing_claim_ends_the_loop(work):
    """It must not fall silent."""

    async def broken(_now, _limit):
        raise ValueError

    made = Worker(
        "test",
        Runtime(work.clock),
        claim=broken,
        work=work.work,
        next_due_at=work.next_due_at,
        bell=work.bell,
        slots=1,
    )
    with pytest.raises(ValueError):
        await made.run()


# --- several workspaces ----------------------------------------------------------------------------------------


def team_of(piece):
    """Return a piece's workspace: the first piece of T1 is T1-0."""
    return piece.partition("-")[0]


@pytest.fixture
def shared(work, monkeypatch):
    """Work of several workspaces that's claimed as from the store, and never ends."""

    async def claim(_now, limit, full=()):
        work.claims += 1
        work.changed.set()
        due = [piece for piece in work.pieces if team_of(piece) not in full][:limit]
        work.pieces = [piece for piece in work.pieces if piece not in due]
        work.taken += due
        return due

    work.taken = []
    monkeypatch.setattr(work, "claim", claim)
    work.gate.clear()
    return work


def pieces(team, many):
    """Return pieces of work."""
    return [f"{team}-{number}" for number in range(many)]


async def test_much_work_of_one_workspace_leaves_room_for_others(shared):
    """After a thousand pieces of one workspace, the only piece of another is claimed in the first round."""
    shared.pieces = [*pieces("T1", 1000), "T2-0"]
    async with running(shared, slots=8, team_of=team_of):
        await shared.until(lambda: shared.bell.sleeps)
        taken, claims = list(shared.taken), shared.claims
        shared.gate.set()
        await shared.until(lambda: len(shared.done) == 1001)
    assert "T2-0" in taken
    assert len(taken) == 7
    assert claims == 3


async def test_there_is_always_a_slot_for_the_next_workspace(shared):
    """However much work others have, a workspace without work in progress gets the next free slot."""
    shared.add(*(piece for team in ("T1", "T2", "T3", "T4", "T5", "T6") for piece in pieces(team, 50)))
    async with running(shared, slots=8, team_of=team_of):
        await shared.until(lambda: shared.bell.sleeps)
        assert {team_of(piece) for piece in shared.taken} == {"T1", "T2", "T3"}
        shared.pieces = ["T7-0", *pieces("T8", 50), *shared.pieces]
        shared.gate.set()
        await shared.until(lambda: len(shared.done) == 351)
    assert {team_of(piece) for piece in shared.taken[8:16]} >= {"T7", "T8"}


async def test_a_workspace_alone_costs_one_claim(shared):
    """If there's only one workspace, all of its share is claimed with one statement."""
    shared.pieces = pieces("T1", 3)
    async with running(shared, slots=8, team_of=team_of):
        await shared.until(lambda: shared.running == 3)
        assert shared.claims == 1
        shared.gate.set()


async def test_handed_over_work_takes_no_more_than_its_share(shared, lease, clock):
    """The clicks of one workspace leave free slots, and another's work isn't queued behind them."""
    async with running(shared, slots=8, lease=lease, team_of=team_of) as worker:
        await shared.until(lambda: shared.claims == 1)
        assert sum(worker.reserve(clock.now, "T1") is not None for _ in range(20)) == 6
        assert worker.reserve(clock.now, "T2") == lease(clock.now)
        worker.release("T2")
        for piece in pieces("T1", 6):
            worker.release("T1")
            worker.accept(piece)
        shared.add("T1-6")
        await shared.until(lambda: shared.claims >= 2)
        assert shared.pieces == ["T1-6"]
        assert worker.reserve(clock.now, "T1") is None
        assert worker.reserve(clock.now, "T2") == lease(clock.now)
        worker.release("T2")
        shared.gate.set()
        await shared.until(lambda: len(shared.done) == 7)
        while worker._in_hand:
            await asyncio.sleep(0)
        assert worker._shares.full(1) == frozenset(), "all was given back"


@pytest.mark.parametrize("slots", [1, 2, 8, 16, 32])
def test_shares_add_up(slots):
    """Alone, a workspace may hold three quarters; what it may take at once never exceeds what it may take in turns."""
    shares, free = Shares(), slots
    while free and shares.may_take("T1", free):
        assert shares.at_once(free, shares.full(free)) >= 1
        shares.take("T1")
        free -= 1
    held = slots - free
    assert held == max(slots * PER_FREE_SLOT // (PER_FREE_SLOT + 1), 1)
    assert Shares().at_once(slots, frozenset()) == held
    assert shares.full(free) == {"T1"}
    assert shares.may_take("T2", free) == bool(free)
