"""Counts of events are kept for each integration, and each reading counts once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest_asyncio

from bot.core.volumes.expectations import NOTHING, Expectation
from bot.core.volumes.volume import CELL, KEPT_CELLS, Reading, Volume, add_reading, judge
from bot.store import codec
from bot.store.database import Database
from bot.store.retention import Retention
from bot.store.store import Store
from bot.store.volumes import Counted, Volumes
from tests.adapters.conftest import TEAM, start

BETA = "T0BETA"


@pytest_asyncio.fixture
async def database(database_url):
    """A database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


def hourly(clock, count, per_hour, total=1000):
    """Return readings of some hours, with a sync in each."""
    for _ in range(count):
        total += per_hour
        at = clock.advance(3600)
        yield Reading(at, at, total, None)


async def test_readings_add_up(database, clock):
    """Until an integration that was busy for weeks brings nothing."""
    volumes = Volumes(database, TEAM)
    assert await volumes.counted() == {}
    for reading in hourly(clock, 24 * 15, 100):
        volume = await volumes.add("int_1", reading, NOTHING)
    assert volume.shortfall is None
    assert await volumes.counted() == {"int_1": Counted(reading.synced_at, reading.at)}
    for later in hourly(clock, 12, 0, reading.total):
        volume = await volumes.add("int_1", later, NOTHING)
    assert volume.shortfall
    assert volume.shortfall.least >= 200


async def test_what_is_kept_is_small(database, clock):
    """A month of a busy source, as it is stored."""
    volume = Volume(clock.now, clock.now, 10**9, 10**5, 1, (12_345,) * KEPT_CELLS, (clock.now,) * 3)
    assert len(codec.dump(volume)) < 2_000
    assert timedelta(days=28) == CELL * KEPT_CELLS


async def test_the_same_reading_counts_once(database, clock):
    """Whoever brings it, and whichever is first; an older one changes nothing."""
    volumes, other = Volumes(database, TEAM), Volumes(database, TEAM)
    found = list(hourly(clock, 12, 10))
    for reading in found:
        await asyncio.gather(*(one.add("int_1", reading, NOTHING) for one in (volumes, other)))
        volume = await other.add("int_1", found[0], NOTHING)
    once = None
    for reading in found:
        once = judge(add_reading(once, reading), NOTHING)
    assert volume == once


async def test_workspaces_are_counted_separately(database, clock):
    [reading] = hourly(clock, 1, 10)
    await Volumes(database, TEAM).add("int_1", reading, NOTHING)
    assert await Volumes(database, BETA).counted() == {}


async def test_what_people_expect_counts(database, clock):
    volumes = Volumes(database, TEAM)
    low = [Reading(one.at, one.synced_at, one.total, 3) for one in hourly(clock, 2, 1)]
    expected = Expectation(per_day=100)
    assert [(await volumes.add("int_1", one, expected)).shortfall is not None for one in low] == [False, True]


async def test_the_past_of_what_is_no_longer_counted_is_deleted(database, clock):
    [reading] = hourly(clock, 1, 10)
    volumes = Volumes(database, TEAM)
    await volumes.add("int_1", reading, NOTHING)
    await Retention(database).purge(reading.at)
    assert await volumes.counted()
    await Retention(database).purge(clock.advance(1))
    assert await volumes.counted() == {}


async def test_a_run_knows_what_is_usual(database, make, clock):
    """Read with the durations, by the same statement."""
    volumes = Volumes(database, TEAM)
    for reading in hourly(clock, 24 * 4, 100):
        await volumes.add("int_1", reading, NOTHING)
    opened = await start(Store(database, owner="me"), make, integration="int_1")
    hours_3 = opened.run.usual_events[0]
    assert (hours_3.within_s, hours_3.low, hours_3.high) == (10_800, 300, 300)
    other = await start(Store(database, owner="me"), make, integration="int_2")
    assert other.run.usual_events == ()
