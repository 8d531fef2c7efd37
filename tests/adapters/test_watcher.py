"""The watcher evaluates every reading, checks only while someone is subscribed, and reports only what it saw."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from bot.core.errors import FlokitNoReply, StoreUnavailable
from bot.core.incidents.incidents import Verdict, Watched
from bot.core.models import NO_CAUSE, Integration, Person, SyncStats
from bot.core.nicknames import Edit
from bot.core.subscriptions.subscriptions import Subscription
from bot.core.volumes.expectations import Expectation
from bot.flokit.replies import Detail, Listing
from bot.lookups.nicknames import Naming
from bot.observability.context import Context
from bot.store.nicknames import Change, NicknameRows
from bot.store.timers import TimerKind, Timers
from bot.store.volumes import Volumes
from bot.workers.counting import AT_ONCE, COUNT_EVERY, Counting
from bot.workers.watcher import HINTS_EVERY, SAME_AGAIN_AFTER, Watcher
from tests.adapters.conftest import TEAM

EVERY_S = 60.0
STRIPE = Integration("int_1", "stripe", "connected")
FAILING = replace(STRIPE, status="error", error_message="no")


class Incidents:
    """Evaluates nothing, and records the readings; unreachable ``away`` times."""

    def __init__(self):
        self.given, self.away, self.again_at = [], 0, None
        self.weighed = asyncio.Event()

    async def observe(self, look, _now):
        """Record a reading."""
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        self.given.append(look)
        self.weighed.set()
        return [Verdict(Watched(one.id, look.at), look_again_at=self.again_at) for one in look.integrations]


class Subscribers:
    """The subscriptions."""

    def __init__(self, *them):
        self.them = list(them)

    async def all(self):
        """Return them."""
        return self.them


class Flokit:
    """Returns one integration, or is unreachable."""

    def __init__(self, watcher, clock):
        self.watcher, self.clock, self.looks, self.error = watcher, clock, 0, None
        self.stripe, self.counts, self.events = STRIPE, 0, 5

    async def fetch_integrations(self, **_):
        """Return it."""
        self.looks += 1
        if self.error:
            raise self.error
        self.watcher.note((self.stripe,), self.clock.now, whole=True)
        return Listing((self.stripe,), as_of=self.clock.now)

    async def fetch_integration(self, integration_id, **_):
        """Return it with its counts."""
        self.counts += 1
        if self.error:
            raise self.error
        detail = replace(self.stripe, id=integration_id, stats=SyncStats(self.events, self.events))
        return Detail(detail, as_of=self.clock.now)


class Bench:
    """A watcher with everything around it."""

    def __init__(self, timers, clock, *subscriptions):
        self.timers, self.clock = timers, clock
        self.incidents, self.subscribers = Incidents(), Subscribers(*subscriptions)
        context = Context(TEAM, "UFLOKIT", clock)
        self.volumes = Volumes(timers._database, TEAM)
        self.nicknames = NicknameRows(timers._database, TEAM)
        counting = Counting(self.volumes, Naming(self.nicknames.all, clock), context, every_s=EVERY_S)
        self.watcher = Watcher(self.incidents, self.subscribers, timers, counting, context, every_s=EVERY_S)
        self.flokit = Flokit(self.watcher, clock)

    async def look_if_due(self):
        """Run the timers that are due."""
        for claim in await self.timers.claim(self.clock.now, 5):
            await self.watcher.look(self.flokit, claim)

    @asynccontextmanager
    async def running(self):
        """Let it evaluate in the background."""
        self.watcher.start(asyncio.create_task)
        yield
        await self.watcher.stop()

    async def due_in_s(self):
        """Return the seconds until the next check; None if there's none."""
        at = await self.timers.next_at()
        return (at - self.clock.now).total_seconds() if at else None


@pytest_asyncio.fixture
async def timers(sqlite_store):
    """Timers in the store's database."""
    return Timers(sqlite_store._database, owner="me", lease_s=10)


@pytest.fixture
def bench(timers, clock):
    """A workspace with one subscribed channel."""
    return Bench(timers, clock, Subscription("sub_1", TEAM, "C0DATA", Person("UANA"), clock.now))


async def wake(bench):
    """Schedule a check now."""
    await bench.timers.put(TimerKind.WATCH, TEAM, TEAM, bench.clock.now)
    await bench.look_if_due()


async def test_the_next_check_is_due_after_the_interval(bench):
    """As long as any channel is subscribed."""
    await wake(bench)
    assert await bench.due_in_s() == EVERY_S
    assert [look.whole for look in bench.incidents.given] == [True]


async def test_without_subscriptions_nothing_is_checked(timers, clock):
    """Paused subscriptions don't count."""
    bench = Bench(timers, clock)
    await wake(bench)
    assert await bench.due_in_s() is None


async def test_a_suspicion_is_checked_sooner(bench, clock):
    """When a second check would prove something."""
    bench.incidents.again_at = clock.now + timedelta(seconds=5)
    await wake(bench)
    assert await bench.due_in_s() == 5


async def test_an_outage_is_not_a_reading(bench):
    """The next check is due as usual."""
    bench.flokit.error = FlokitNoReply("no answer")
    await wake(bench)
    assert bench.incidents.given == []
    assert await bench.due_in_s() == EVERY_S


async def test_five_hundred_hints_cause_one_check_a_second(bench, clock):
    async with bench.running():
        for _ in range(5):
            for _ in range(100):
                bench.watcher.hint()
            while await bench.due_in_s() is None or await bench.due_in_s() > HINTS_EVERY.total_seconds():
                await asyncio.sleep(0)
            await bench.look_if_due()
            clock.advance(HINTS_EVERY.total_seconds() / 2)
    assert bench.flokit.looks <= 3


async def test_a_hint_causes_a_check_without_subscriptions(timers, clock):
    bench = Bench(timers, clock)
    async with bench.running():
        bench.watcher.hint()
        while await bench.due_in_s() is None:
            await asyncio.sleep(0)
    clock.advance(HINTS_EVERY.total_seconds())
    await bench.look_if_due()
    assert bench.flokit.looks == 1


async def test_hints_to_two_replicas_cause_one_check_a_second(timers, clock):
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


async def test_readings_of_others_are_evaluated(bench, clock):
    """Those of people and follow-ups, without another request."""
    async with bench.running():
        bench.watcher.note((FAILING,), clock.now, whole=False)
        await bench.incidents.weighed.wait()
    assert bench.incidents.given[0].integrations == (FAILING,)
    assert bench.flokit.looks == 0


async def test_unchanged_readings_are_evaluated_occasionally(bench, clock):
    """They cost no transaction, but time itself may change something."""
    await wake(bench)
    clock.advance(10)
    await wake(bench)
    assert len(bench.incidents.given) == 1
    clock.advance(SAME_AGAIN_AFTER.total_seconds())
    await wake(bench)
    assert len(bench.incidents.given) == 2


async def test_a_list_is_occasionally_compared_with_everything_known(bench, clock):
    """Otherwise an integration that only another replica saw would never be gone."""
    await wake(bench)
    clock.advance(SAME_AGAIN_AFTER.total_seconds())
    await wake(bench)
    assert [look.whole for look in bench.incidents.given] == [True, True]


async def test_between_two_complete_checks_only_changes_are_evaluated(bench, clock):
    await wake(bench)
    clock.advance(10)
    bench.watcher.note((replace(STRIPE, status="syncing"),), clock.now, whole=True)
    await wake(bench)
    [_, changed] = bench.incidents.given
    assert not changed.whole
    assert [one.status for one in changed.integrations] == ["syncing"]


async def test_an_unchanged_reading_is_evaluated_if_it_confirms_something(bench, clock):
    bench.incidents.again_at = clock.now + timedelta(seconds=5)
    await wake(bench)
    clock.advance(5)
    await wake(bench)
    assert len(bench.incidents.given) == 2


async def test_readings_wait_for_the_database(bench, clock):
    bench.incidents.away = 1
    bench.watcher.note((FAILING,), clock.now, whole=True)
    with pytest.raises(StoreUnavailable):
        await bench.watcher._weigh()
    await bench.watcher._weigh()
    assert [look.integrations for look in bench.incidents.given] == [(FAILING,)]


async def test_hints_wait_for_the_database(bench, monkeypatch):
    """A webhook that was accepted while nothing could be saved causes its check later."""
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


# --- counting events -------------------------------------------------------------------------------------------


def sync(bench):
    """Let FloKit sync the integration successfully, after the time between two counts."""
    bench.clock.advance(COUNT_EVERY * EVERY_S)
    bench.flokit.stripe = replace(STRIPE, last_synced_at=bench.clock.now)


def counted(bench):
    """Return what was evaluated with counts."""
    return [dict(look.shortfalls) for look in bench.incidents.given if look.shortfalls]


async def test_events_are_counted_after_each_successful_sync(bench, clock):
    """Once, and not too often; without one, nothing is fetched."""
    await wake(bench)
    assert bench.flokit.counts == 0
    sync(bench)
    await wake(bench)
    await wake(bench)
    assert bench.flokit.counts == 1
    bench.flokit.stripe = replace(STRIPE, last_synced_at=clock.advance(1))
    await wake(bench)
    assert bench.flokit.counts == 1
    sync(bench)
    await wake(bench)
    assert bench.flokit.counts == 2
    assert counted(bench) == [{"int_1": None}, {"int_1": None}]
    known = await bench.volumes.counted()
    assert known["int_1"].synced_at == bench.flokit.stripe.last_synced_at


async def test_fewer_events_than_expected_are_a_shortfall(bench, clock):
    """As soon as it's certain, as people said it; and no longer when they take it back."""

    async def expect(expected):
        change = Change(Edit(expected=expected).apply((await bench.nicknames.all()).of("int_1")))
        await bench.nicknames.change(lambda _: change, clock.now, cause=NO_CAUSE)

    await expect(Expectation(per_day=100))
    for _ in range(2):
        sync(bench)
        await wake(bench)
    first, second = counted(bench)
    assert first == {"int_1": None}
    assert (second["int_1"].got, second["int_1"].least) == (5, 100)
    await expect(Expectation())
    sync(bench)
    await wake(bench)
    assert counted(bench)[-1] == {"int_1": None}


async def test_a_page_without_counts_is_not_fetched_all_the_time(bench):
    bench.flokit.events = None
    sync(bench)
    for _ in range(3):
        await wake(bench)
    assert bench.flokit.counts == 1
    assert counted(bench) == []


async def test_only_a_few_are_counted_at_once(bench):
    """Those that waited longest come first."""
    sync(bench)
    many = [replace(bench.flokit.stripe, id=f"int_{number:02}") for number in range(AT_ONCE + 3)]
    bench.clock.advance(1)
    counting = bench.watcher._counting
    assert len(await counting.count(bench.flokit, many)) == AT_ONCE
    assert len(await counting.count(bench.flokit, many)) == 3
    assert await counting.count(bench.flokit, many) == []


async def test_an_outage_counts_nothing(bench):
    """Neither does one that is gone; the others are counted."""
    sync(bench)
    bench.flokit.error = FlokitNoReply("no answer")
    assert await bench.watcher._counting.count(bench.flokit, [bench.flokit.stripe]) == []
    assert await bench.volumes.counted() == {}


async def test_what_is_read_meanwhile_is_evaluated_once(bench, clock):
    """While events are counted, a follow-up reads something, and another task evaluates it."""
    sync(bench)
    fetch = bench.flokit.fetch_integration

    async def fetch_with_company(integration_id, **options):
        bench.watcher.note((replace(FAILING, id="int_2"),), clock.now, whole=False)
        await bench.watcher._weigh()
        bench.watcher.note((replace(FAILING, id="int_3"),), clock.now, whole=False)
        return await fetch(integration_id, **options)

    bench.flokit.fetch_integration = fetch_with_company
    await wake(bench)
    assert [[one.id for one in look.integrations] for look in bench.incidents.given] == [
        ["int_1"],
        ["int_2"],
        ["int_3"],
        ["int_1"],
    ]
