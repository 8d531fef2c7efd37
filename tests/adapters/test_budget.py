"""The budget of requests to FloKit: one for a process alone, one that replicas share, the same rules for both."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from bot.core.budget import BUSY_S
from bot.core.errors import FlokitBudgetSpent, FlokitRateLimited
from bot.flokit import LocalBudget, Priority
from bot.store.budget import SharedBudget
from bot.store.database import Database
from tests.adapters.conftest import TEAM, VirtualClock


@pytest.fixture(params=["local", "sqlite", "postgres"])
def database_of(request):
    """Name a database, or none."""
    return None if request.param == "local" else request.getfixturevalue(f"{request.param}_url")


@pytest_asyncio.fixture
async def make_budget(database_of, clock):
    """Make budgets at the clock's time; those of one test share what can be shared."""
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
    """Take until the budget refuses; returns how many went."""
    for taken in range(1000):
        try:
            await budget.take(priority)
        except FlokitRateLimited:
            return taken
    raise AssertionError("the budget never refused")


async def test_priorities_leave_a_reserve(make_budget):
    """Background work stops at half of the budget, follow-ups at four fifths, clicks at the end."""
    budget = make_budget()
    assert [await spend(budget, priority) for priority in reversed(Priority)] == [50, 30, 20]
    assert await budget.left() == 0


async def test_clicks_leave_the_followups_their_part(make_budget):
    """Clicks use first what follow-ups may not: twenty clicks cost the follow-ups nothing."""
    budget = make_budget()
    for _ in range(20):
        await budget.take(Priority.CLICK)
    assert await spend(budget, Priority.FOLLOW_UP) == 80


@pytest.mark.parametrize("priority", Priority)
async def test_smallest_budget_serves_everybody(make_budget, priority):
    """With one request a minute, each priority can still make it."""
    assert await spend(make_budget(1), priority) == 1


def test_budget_needs_a_request():
    """A budget of nothing is refused."""
    with pytest.raises(ValueError, match="at least one"):
        LocalBudget(0)


async def test_refusal_says_when_there_is_room(make_budget, clock):
    """A refused request is told the moment from which it will be allowed, and then it is."""
    budget = make_budget(2)
    await budget.take(Priority.CLICK)
    clock.advance(20)
    await budget.take(Priority.CLICK)
    with pytest.raises(FlokitBudgetSpent, match="My own budget of 2 requests") as caught:
        await budget.take(Priority.CLICK)
    assert caught.value.retry_after_s == pytest.approx(BUSY_S - 20)
    clock.advance(BUSY_S - 20)
    await budget.take(Priority.CLICK)


async def test_a_pause_stops_everybody(make_budget, clock):
    """During a pause that FloKit asked for not even a click goes out; a shorter one does not shorten it."""
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
    """No pause lasts longer than 300 s."""
    budget = make_budget(3)
    await budget.hold(1e9)
    clock.advance(300)
    await budget.take(Priority.CLICK)


@given(st.lists(st.tuples(st.sampled_from(Priority), st.floats(0, 30))))
def test_no_minute_has_more_than_the_budget(asks):
    """Within any 60 seconds no more requests go out than the budget allows."""
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


@pytest.mark.parametrize("database_of", ["sqlite", "postgres"], indirect=True)
async def test_replicas_share_one_budget(make_budget):
    """However many ask at the same time, together they take no more than there is; a restart forgets nothing."""
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
    """What FloKit told one replica, the others know."""
    first, second = make_budget(), make_budget()
    await first.hold(30)
    with pytest.raises(FlokitRateLimited, match="FloKit asked for a pause"):
        await second.take(Priority.CLICK)


@pytest.mark.parametrize("database_of", ["sqlite"], indirect=True)
async def test_workspaces_have_budgets_of_their_own(database_of, make_budget, clock):
    """Another workspace's requests are not counted."""
    await spend(make_budget(2), Priority.CLICK)
    database = Database(database_of)
    assert await spend(SharedBudget(database, "T0OTHER", clock=clock, per_minute=2), Priority.CLICK) == 2
    await database.close()
