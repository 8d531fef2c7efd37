"""Scheduled work: each timer is claimed by one replica, and nothing that was requested is forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from bot.core.errors import ClaimLost
from bot.store.database import Database
from bot.store.timers import TimerKind, Timers

TEAM = "T1"
LEASE_S = 10.0


@pytest_asyncio.fixture
async def replicas(database_url):
    """Two processes on one database."""
    databases = [Database(database_url), Database(database_url)]
    yield [Timers(database, owner=f"replica-{number}", lease_s=LEASE_S) for number, database in enumerate(databases)]
    for database in databases:
        await database.close()


async def put(timers, clock, in_s=0.0, subject="T1"):
    """Set a timer that's due after this many seconds."""
    await timers.put(TimerKind.WATCH, TEAM, subject, clock.now + timedelta(seconds=in_s))


async def test_a_timer_is_claimed_when_it_is_due(replicas, clock):
    """Before its time, no process gets it; then, one does."""
    one, other = replicas
    await put(one, clock, 5)
    assert await one.claim(clock.now, 10) == []
    clock.advance(5)
    claimed = [*await one.claim(clock.now, 10), *await other.claim(clock.now, 10)]
    assert [(claim.kind, claim.subject) for claim in claimed] == [(TimerKind.WATCH, "T1")]


async def test_concurrent_claims_get_different_timers(replicas, clock):
    """However many processes claim at the same moment, each timer is claimed once."""
    for number in range(20):
        await put(replicas[0], clock, subject=f"T{number}")
    claims = await asyncio.gather(*(timers.claim(clock.now, 7) for timers in replicas * 3))
    subjects = [claim.subject for claimed in claims for claim in claimed]
    assert sorted(subjects) == sorted({*subjects})


async def test_a_timer_of_a_dead_process_is_claimed_again(replicas, clock):
    """Unfinished work is due again when its lease ends; the late process then writes nothing."""
    one, other = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    clock.advance(LEASE_S - 1)
    assert await other.claim(clock.now, 10) == []
    clock.advance(1)
    [again] = await other.claim(clock.now, 10)
    with pytest.raises(ClaimLost):
        await one.finish(claim, None)
    await other.finish(again, None)
    assert await other.next_at() is None


async def test_a_finished_timer_is_due_at_its_next_time(replicas, clock):
    """Finishing it says when it's due again."""
    one, _ = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    next_at = clock.now + timedelta(minutes=1)
    await one.finish(claim, next_at)
    assert await one.next_at() == next_at


async def test_a_timer_that_is_put_during_its_work_is_due_afterwards(replicas, clock):
    """It's due at the time that was put, not at the one that its work chose."""
    one, other = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    await put(other, clock, 2)
    await one.finish(claim, clock.now + timedelta(minutes=1))
    assert await one.next_at() == clock.now + timedelta(seconds=2)


async def test_a_timer_that_is_put_for_now_waits_for_the_work_in_progress(replicas, clock):
    """It can't be claimed before the work is done."""
    one, other = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    await put(other, clock)
    assert [*await one.claim(clock.now, 10), *await other.claim(clock.now, 10)] == []
    assert await other.next_at() == claim.held_until
    await one.finish(claim, None)
    assert await other.next_at() == clock.now
    assert len(await other.claim(clock.now, 10)) == 1


async def test_a_timer_that_is_put_during_the_work_of_a_dead_process_waits_for_the_lease(replicas, clock):
    """It's claimed when the lease ends."""
    one, other = replicas
    await put(one, clock)
    await one.claim(clock.now, 10)
    await put(other, clock)
    clock.advance(LEASE_S)
    assert len(await other.claim(clock.now, 10)) == 1


async def test_an_earlier_time_wins(replicas, clock):
    """A timer that's put twice is due at the earlier time."""
    one, _ = replicas
    for in_s in (30, 5, 60):
        await put(one, clock, in_s)
    assert await one.next_at() == clock.now + timedelta(seconds=5)


async def test_a_stopping_process_releases_its_timers(replicas, clock):
    """They're due at once, for other processes."""
    one, other = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    await one.release(clock.now)
    assert [again.subject for again in await other.claim(clock.now, 10)] == [claim.subject]
