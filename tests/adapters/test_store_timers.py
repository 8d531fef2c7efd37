"""Scheduled work is claimed by row: once among all replicas, and nothing that was asked for is forgotten."""

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
    """Have something done in so many seconds."""
    await timers.put(TimerKind.WATCH, TEAM, subject, clock.now + timedelta(seconds=in_s))


async def test_a_timer_is_claimed_when_it_is_due(replicas, clock):
    """A timer is there for nobody before its time, and for one at its time."""
    one, other = replicas
    await put(one, clock, 5)
    assert await one.claim(clock.now, 10) == []
    clock.advance(5)
    claimed = [*await one.claim(clock.now, 10), *await other.claim(clock.now, 10)]
    assert [(claim.kind, claim.subject) for claim in claimed] == [(TimerKind.WATCH, "T1")]


async def test_many_that_claim_at_once_get_different_ones(replicas, clock):
    """However many ask at the same moment, each timer is claimed once."""
    for number in range(20):
        await put(replicas[0], clock, subject=f"T{number}")
    claims = await asyncio.gather(*(timers.claim(clock.now, 7) for timers in replicas * 3))
    subjects = [claim.subject for claimed in claims for claim in claimed]
    assert sorted(subjects) == sorted({*subjects})


async def test_a_timer_of_a_dead_process_is_claimed_again(replicas, clock):
    """What nobody finished is due again when the lease is over; the late one writes nothing."""
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
    """After its work a timer waits for the time that its work said."""
    one, _ = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    next_at = clock.now + timedelta(minutes=1)
    await one.finish(claim, next_at)
    assert await one.next_at() == next_at


async def test_what_is_asked_for_meanwhile_is_done_afterwards(replicas, clock):
    """A timer that is put while somebody works on it is due again, and not when its work thought."""
    one, other = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    await put(other, clock, 2)
    await one.finish(claim, clock.now + timedelta(minutes=1))
    assert await one.next_at() == clock.now + timedelta(seconds=2)


async def test_what_is_asked_for_now_waits_for_the_work_in_hand(replicas, clock):
    """A timer that is put at once while somebody works on it is claimed by nobody before that is done."""
    one, other = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    await put(other, clock)
    assert [*await one.claim(clock.now, 10), *await other.claim(clock.now, 10)] == []
    assert await other.next_at() == claim.held_until
    await one.finish(claim, None)
    assert await other.next_at() == clock.now
    assert len(await other.claim(clock.now, 10)) == 1


async def test_what_a_dead_process_was_asked_for_meanwhile_waits_for_its_lease(replicas, clock):
    """When nobody finishes the work in hand, what was asked for meanwhile is done when the lease is over."""
    one, other = replicas
    await put(one, clock)
    await one.claim(clock.now, 10)
    await put(other, clock)
    clock.advance(LEASE_S)
    assert len(await other.claim(clock.now, 10)) == 1


async def test_an_earlier_time_wins(replicas, clock):
    """A timer that is put twice is due at the earlier time."""
    one, _ = replicas
    for in_s in (30, 5, 60):
        await put(one, clock, in_s)
    assert await one.next_at() == clock.now + timedelta(seconds=5)


async def test_a_stopping_process_gives_its_timers_back(replicas, clock):
    """What a process held when it stops is due at once, for the others."""
    one, other = replicas
    await put(one, clock)
    [claim] = await one.claim(clock.now, 10)
    await one.release(clock.now)
    assert [again.subject for again in await other.claim(clock.now, 10)] == [claim.subject]
