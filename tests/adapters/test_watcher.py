"""The watcher weighs what anybody saw, looks only while somebody wants to know, and tells nothing it could not see."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from bot.core.errors import FlokitNoReply, StoreUnavailable
from bot.core.incidents.incidents import Verdict, Watched
from bot.core.models import Integration, Person
from bot.core.subscriptions.subscriptions import Subscription
from bot.store.timers import TimerKind, Timers
from bot.workers.watcher import HINTS_EVERY, SAME_AGAIN_AFTER, Watcher
from tests.adapters.conftest import TEAM

EVERY_S = 60.0
STRIPE = Integration("int_1", "stripe", "connected")
FAILING = replace(STRIPE, status="error", error_message="no")


class Incidents:
    """Weighs nothing, and notes what it was given; ``away`` times it cannot be reached."""

    def __init__(self):
        self.given, self.away, self.again_at = [], 0, None
        self.weighed = asyncio.Event()

    async def observe(self, look, _now):
        """Note a look."""
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        self.given.append(look)
        self.weighed.set()
        return [Verdict(Watched(one.id, look.at), look_again_at=self.again_at) for one in look.integrations]


class Subscribers:
    """Whoever wants to know."""

    def __init__(self, *them):
        self.them = list(them)

    async def all(self):
        """Return them."""
        return self.them


class Flokit:
    """Shows one integration, or cannot be asked."""

    def __init__(self, watcher, clock):
        self.watcher, self.clock, self.looks, self.error = watcher, clock, 0, None

    async def fetch_integrations(self, **_):
        """Look."""
        self.looks += 1
        if self.error:
            raise self.error
        self.watcher.note((STRIPE,), self.clock.now, whole=True)


class Bench:
    """A watcher with everything around it."""

    def __init__(self, timers, clock, *subscriptions):
        self.timers, self.clock = timers, clock
        self.incidents, self.subscribers = Incidents(), Subscribers(*subscriptions)
        self.watcher = Watcher(self.incidents, self.subscribers, timers, team_id=TEAM, every_s=EVERY_S, clock=clock)
        self.flokit = Flokit(self.watcher, clock)

    async def look_if_due(self):
        """Do what the timers ask for."""
        for claim in await self.timers.claim(self.clock.now, 5):
            await self.watcher.look(self.flokit, claim)

    @asynccontextmanager
    async def running(self):
        """Let it weigh in the background."""
        task = asyncio.create_task(self.watcher.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def due_in_s(self):
        """Tell in how many seconds the next look is due; None when there is none."""
        at = await self.timers.next_at()
        return (at - self.clock.now).total_seconds() if at else None


@pytest_asyncio.fixture
async def timers(sqlite_store):
    """Schedule in the store's database."""
    return Timers(sqlite_store._database, owner="me", lease_s=10)


@pytest.fixture
def bench(timers, clock):
    """A workspace in which one channel wants to know."""
    return Bench(timers, clock, Subscription("sub_1", TEAM, "C0DATA", Person("UANA"), clock.now))


async def wake(bench):
    """Have a look done now."""
    await bench.timers.put(TimerKind.WATCH, TEAM, TEAM, bench.clock.now)
    await bench.look_if_due()


async def test_it_looks_again_after_a_while(bench):
    """While anybody is subscribed, the next look is due after the interval."""
    await wake(bench)
    assert await bench.due_in_s() == EVERY_S
    assert [look.whole for look in bench.incidents.given] == [True]


async def test_it_never_looks_for_nobody(timers, clock):
    """Without a subscription that is awake there is no next look."""
    bench = Bench(timers, clock)
    await wake(bench)
    assert await bench.due_in_s() is None


async def test_what_is_not_believed_is_looked_at_sooner(bench, clock):
    """When a second look would prove something, it is due then."""
    bench.incidents.again_at = clock.now + timedelta(seconds=5)
    await wake(bench)
    assert await bench.due_in_s() == 5


async def test_flokit_away_is_no_sighting(bench):
    """A look that brought nothing tells nothing, and the next one is due as ever."""
    bench.flokit.error = FlokitNoReply("no answer")
    await wake(bench)
    assert bench.incidents.given == []
    assert await bench.due_in_s() == EVERY_S


async def test_five_hundred_hints_are_one_look_a_second(bench, clock):
    """However many hints come, a workspace is looked at once a second."""
    async with bench.running():
        for _ in range(5):
            for _ in range(100):
                bench.watcher.hint()
            while await bench.due_in_s() is None or await bench.due_in_s() > HINTS_EVERY.total_seconds():
                await asyncio.sleep(0)
            await bench.look_if_due()
            clock.advance(HINTS_EVERY.total_seconds() / 2)
    assert bench.flokit.looks <= 3


async def test_a_hint_makes_it_look_though_nobody_is_subscribed(timers, clock):
    """A webhook causes a look in any case."""
    bench = Bench(timers, clock)
    async with bench.running():
        bench.watcher.hint()
        while await bench.due_in_s() is None:
            await asyncio.sleep(0)
    clock.advance(HINTS_EVERY.total_seconds())
    await bench.look_if_due()
    assert bench.flokit.looks == 1


async def test_a_storm_that_replicas_share_is_one_look_a_second(timers, clock):
    """Hints that go to another replica than the one that looks cause no more looks than if they went to one."""
    looking, hearing = Bench(timers, clock), Bench(timers, clock)
    seconds, steps = 5, 10
    async with hearing.running():
        for _ in range(seconds * steps):
            hearing.watcher.hint()
            for _ in range(20):
                await asyncio.sleep(0)
            while await looking.due_in_s() is None:
                await asyncio.sleep(0)
            await looking.look_if_due()
            clock.advance(HINTS_EVERY.total_seconds() / steps)
    assert seconds - 1 <= looking.flokit.looks <= seconds + 1


async def test_what_others_saw_is_weighed(bench, clock):
    """A person's or a follow-up's look is weighed without another one."""
    async with bench.running():
        bench.watcher.note((FAILING,), clock.now, whole=False)
        await bench.incidents.weighed.wait()
    assert bench.incidents.given[0].integrations == (FAILING,)
    assert bench.flokit.looks == 0


async def test_the_same_again_is_weighed_only_now_and_then(bench, clock):
    """What shows just what was weighed a moment ago costs no transaction; time itself may change things, though."""
    await wake(bench)
    clock.advance(10)
    await wake(bench)
    assert len(bench.incidents.given) == 1
    clock.advance(SAME_AGAIN_AFTER.total_seconds())
    await wake(bench)
    assert len(bench.incidents.given) == 2


async def test_the_same_is_weighed_again_when_it_is_a_proof(bench, clock):
    """A second look at what is not believed yet is weighed, although it shows the same."""
    bench.incidents.again_at = clock.now + timedelta(seconds=5)
    await wake(bench)
    clock.advance(5)
    await wake(bench)
    assert len(bench.incidents.given) == 2


async def test_what_was_seen_while_the_database_was_away_is_weighed_later(bench, clock):
    """A look is kept until the database takes it."""
    bench.incidents.away = 1
    bench.watcher.note((FAILING,), clock.now, whole=True)
    with pytest.raises(StoreUnavailable):
        await bench.watcher._weigh()
    await bench.watcher._weigh()
    assert [look.integrations for look in bench.incidents.given] == [(FAILING,)]


async def test_a_hint_outlives_a_database_that_is_away(bench, monkeypatch):
    """A webhook that was accepted while nothing could be saved causes its look once the database is back."""
    saved, tries = bench.timers.put, asyncio.Semaphore(0)

    async def away(*_):
        tries.release()
        raise StoreUnavailable("away")

    monkeypatch.setattr("bot.workers.watcher.AWAY_S", 0)
    monkeypatch.setattr(bench.timers, "put", away)
    async with bench.running():
        bench.watcher.hint()
        await tries.acquire()
        await asyncio.wait_for(tries.acquire(), 5)
        monkeypatch.setattr(bench.timers, "put", saved)
        async with asyncio.timeout(5):
            while await bench.due_in_s() is None:
                await asyncio.sleep(0)
