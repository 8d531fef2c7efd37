"""The budget of FloKit requests: with a single process, and shared by replicas, under the same rules."""

from __future__ import annotations

import asyncio
import heapq
from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from bot.core.budget import BUSY_S
from bot.core.errors import FlokitBudgetSpent, FlokitRateLimited
from bot.flokit import LocalBudget, Priority
from bot.flokit.budget import Place
from bot.store.budget import SharedBudget
from bot.store.database import Database
from tests.adapters.conftest import TEAM, VirtualClock


@pytest.fixture(params=["local", "sqlite", "postgres"])
def database_of(request):
    """Return the URL of a database, or None."""
    return None if request.param == "local" else request.getfixturevalue(f"{request.param}_url")


@pytest_asyncio.fixture
async def make_budget(database_of, clock):
    """A function that creates budgets on the test's clock and database."""
    opened = []

    def make(per_minute=100):
        if database_of is None:
            return LocalBudget(per_minute, clock=clock.timestamp)
        opened.append(Database(database_of))
        return SharedBudget(opened[-1], TEAM, clock=clock, per_minute=per_minute)

    yield make
    for database in opened:
        await database.close()


async def spend(budget, priority):
    """Take slots until the budget refuses, and return how many were taken."""
    for taken in range(1000):
        try:
            await budget.take(priority)
        except FlokitRateLimited:
            return taken
    raise AssertionError("the budget never refused")


async def test_priorities_leave_a_reserve(make_budget):
    """Background checks stop at half of the budget, follow-ups at four fifths, clicks at the end."""
    budget = make_budget()
    assert [await spend(budget, priority) for priority in reversed(Priority)] == [50, 30, 20]
    assert await budget.left() == 0


async def test_clicks_first_use_slots_that_followups_cannot(make_budget):
    """Twenty clicks take none of the slots reserved for follow-ups."""
    budget = make_budget()
    for _ in range(20):
        await budget.take(Priority.CLICK)
    assert await spend(budget, Priority.FOLLOW_UP) == 80


@pytest.mark.parametrize("priority", Priority)
async def test_the_smallest_budget_serves_every_priority(make_budget, priority):
    """With one request a minute, each priority can still make it."""
    assert await spend(make_budget(1), priority) == 1


def test_a_budget_of_zero_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        LocalBudget(0)


async def test_a_refusal_says_when_to_retry(make_budget, clock):
    """At that time, the request is allowed."""
    budget = make_budget(2)
    await budget.take(Priority.CLICK)
    clock.advance(20)
    await budget.take(Priority.CLICK)
    with pytest.raises(FlokitBudgetSpent, match="my budget of 2 FloKit requests") as caught:
        await budget.take(Priority.CLICK)
    assert caught.value.retry_after_s == pytest.approx(BUSY_S - 20)
    clock.advance(BUSY_S - 20)
    await budget.take(Priority.CLICK)


async def test_a_pause_stops_every_priority(make_budget, clock):
    """While FloKit asks for a pause, not even a click is sent; a shorter pause doesn't shorten it."""
    budget = make_budget(3)
    await budget.hold(30)
    await budget.hold(5)
    clock.advance(29)
    with pytest.raises(FlokitRateLimited, match="FloKit asked for a pause; I'll ask again in 1 s"):
        await budget.take(Priority.CLICK)
    assert await budget.left() == 0
    clock.advance(1)
    await budget.take(Priority.CLICK)


async def test_a_pause_is_capped(make_budget, clock):
    budget = make_budget(3)
    await budget.hold(1e9)
    clock.advance(300)
    await budget.take(Priority.CLICK)


@given(st.lists(st.tuples(st.sampled_from(Priority), st.floats(0, 30))))
def test_no_minute_has_more_than_the_budget(asks):
    """Within any 60 seconds, at most as many requests are sent as the budget allows."""
    clock, taken_at = VirtualClock(), []
    budget = LocalBudget(3, clock=clock.timestamp)

    async def ask():
        for priority, pause_s in asks:
            clock.advance(pause_s)
            try:
                await budget.take(priority)
            except FlokitRateLimited:
                continue
            taken_at.append(clock.now)

    asyncio.run(ask())
    minute = timedelta(seconds=60)
    assert all(later - earlier >= minute for earlier, later in zip(taken_at, taken_at[3:], strict=False))


async def test_a_renewed_slot_is_taken_for_a_minute_more(make_budget, clock):
    """A renewed slot is free a minute later; if another process took it in the meantime, both stay taken as long."""
    budget = make_budget(2)
    slot = await budget.take(Priority.CLICK)
    clock.advance(30)
    await budget.renew(slot)
    clock.advance(BUSY_S - 1)
    assert await budget.left() == 1
    clock.advance(1)
    assert await budget.left() == 2


async def test_a_pause_is_not_cut_short_by_a_renewed_slot(make_budget, clock):
    """FloKit asked for it while the request was in flight."""
    budget = make_budget(1)
    slot = await budget.take(Priority.CLICK)
    await budget.hold(200)
    await budget.renew(slot)
    clock.advance(199)
    with pytest.raises(FlokitRateLimited, match="FloKit asked for a pause"):
        await budget.take(Priority.CLICK)


STANDS_STILL = st.sampled_from([0.0, 0.5, 20.0])


@given(st.lists(st.tuples(st.integers(0, 90), STANDS_STILL, STANDS_STILL), max_size=40), st.integers(1, 3))
def test_flokit_gets_no_more_than_the_budget_in_any_minute(asks, per_minute):
    """Even if processes freeze while they send a request."""
    clock, arrived_at = VirtualClock(), []
    budget = LocalBudget(per_minute, clock=clock.timestamp)
    waiting = [(begins, turn, None, ask) for turn, (begins, *ask) in enumerate(asks)]
    heapq.heapify(waiting)
    start = clock.timestamp()

    async def go_on():
        """Iterate over the requests' steps in the order of their times: begin, write, end."""
        at, turn, place, rest = heapq.heappop(waiting)
        clock.advance(max(0.0, start + at - clock.timestamp()))
        try:
            if place is None:
                place = Place(budget, Priority.CLICK, clock.timestamp, clock)
                await place.take()
            elif len(rest) == 1:
                await place.keep_fresh()
            else:
                arrived_at.append(clock.now)  # as late as possible
                await place.leave()
                return
        except FlokitRateLimited:
            return
        heapq.heappush(waiting, (at + rest[0], turn, place, rest[1:]))

    async def all_of_them():
        while waiting:
            await go_on()

    asyncio.run(all_of_them())
    minute = timedelta(seconds=60)
    assert all(later - earlier >= minute for earlier, later in zip(arrived_at, arrived_at[per_minute:], strict=False))


@pytest.mark.parametrize("suspended", ["before it's sent", "while it's under way"])
async def test_a_slot_ages_while_the_machine_is_suspended(suspended):
    """The time of day goes on, and monotonic seconds don't."""
    clock = VirtualClock()
    budget = LocalBudget(1, clock=clock.timestamp)
    place = Place(budget, Priority.CLICK, lambda: 0.0, clock)
    await place.take()
    if suspended == "before it's sent":
        clock.advance(3600)
        await place.keep_fresh()
    else:
        await place.keep_fresh()
        clock.advance(3600)
        await place.leave()
    with pytest.raises(FlokitRateLimited):
        await budget.take(Priority.CLICK)


@pytest.mark.usefixtures("patient_sqlite")
@pytest.mark.parametrize("database_of", ["sqlite", "postgres"], indirect=True)
async def test_replicas_share_one_budget(make_budget):
    """Concurrent requests never take more than the budget, and a restart forgets none of them."""
    replicas = [make_budget(20) for _ in range(3)]

    async def ask(budget):
        try:
            await budget.take(Priority.CLICK)
        except FlokitRateLimited:
            return 0
        return 1

    taken = sum(await asyncio.gather(*(ask(replicas[turn % 3]) for turn in range(60))))
    assert taken <= 20
    assert taken + await spend(replicas[0], Priority.CLICK) == 20
    assert await spend(make_budget(20), Priority.CLICK) == 0


@pytest.mark.parametrize("database_of", ["sqlite", "postgres"], indirect=True)
async def test_a_pause_holds_for_all_replicas(make_budget):
    first, second = make_budget(), make_budget()
    await first.hold(30)
    with pytest.raises(FlokitRateLimited, match="FloKit asked for a pause"):
        await second.take(Priority.CLICK)


@pytest.mark.parametrize("database_of", ["sqlite"], indirect=True)
async def test_each_workspace_has_its_own_budget(database_of, make_budget, clock):
    await spend(make_budget(2), Priority.CLICK)
    database = Database(database_of)
    assert await spend(SharedBudget(database, "T0OTHER", clock=clock, per_minute=2), Priority.CLICK) == 2
    await database.close()
