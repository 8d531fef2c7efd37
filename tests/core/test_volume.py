"""Whether an integration brings too few events is judged by its own past, or by what people expect."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.rows import volumes as traces
from bot.core.models import Integration, SyncStats, Usual
from bot.core.volumes.expectations import Expectation
from bot.core.volumes.volume import (
    KEPT_CELLS,
    UNKNOWN,
    Reading,
    add_reading,
    after_shortfall,
    judge,
    reading_of,
    usual_of,
    usual_within,
)

START = traces.START
SOURCES = {one.name: one for one in traces.SOURCES}
BUSY = SOURCES["busy app, day and night"]


def fed(found, expectation=None, volume=None):
    """Return the volume after each of some readings."""
    for reading in found:
        before = volume
        volume = after_shortfall(before, judge(add_reading(before, reading), expectation))
        yield volume


def learned(source=BUSY, days=35):
    """Return the volume after some days."""
    return list(fed(traces.readings(source, days, random.Random(1))))[-1]


def go_on(volume, hours, per_hour=0, every_h=1):
    """Return readings of the hours that follow, with syncs that succeed."""
    for number in range(1, hours // every_h + 1):
        at = volume.read_at + timedelta(hours=number * every_h)
        yield Reading(at, at, volume.total + number * every_h * per_hour, None)


@pytest.mark.parametrize("name", SOURCES)
def test_a_quiet_time_that_is_usual_is_no_alarm(name):
    """Nights, weekends, holidays and batches."""
    assert traces.false_alarms(SOURCES[name], 1) == 0


@pytest.mark.parametrize(("name", "within_h"), [(BUSY.name, 12), ("app that sleeps at night", 30)])
def test_an_outage_is_noticed(name, within_h):
    assert max(traces.hours_to_detect(SOURCES[name], 2)) <= within_h


def test_it_is_over_when_events_come_again():
    """And those of the outage are no measure of what's usual: the next one is noticed as soon."""
    volume = learned()
    *_, empty = fed(go_on(volume, 24), volume=volume)
    assert empty.shortfall
    assert empty.shortfall.got == 0
    assert empty.shortfall.least > 100
    assert empty.shortfall.since >= volume.read_at - timedelta(hours=3)
    *_, again = fed(go_on(empty, 6, per_hour=300), volume=empty)
    assert again.shortfall is None
    *_, fine = fed(go_on(again, 48, per_hour=300), volume=again)
    *_, next_one = fed(go_on(fine, 12), volume=fine)
    assert next_one.shortfall


def test_it_lasts_as_long_as_nothing_comes():
    volume = learned()
    assert all(one.shortfall for one in list(fed(go_on(volume, 24 * 60), volume=volume))[24:])


def test_a_few_syncs_are_not_enough():
    """Two syncs without events, however far apart."""
    volume = learned()
    assert not any(one.shortfall for one in fed(go_on(volume, 24, every_h=12), volume=volume))


def test_without_a_past_nothing_is_decided():
    volume = learned(days=13)
    assert not any(one.shortfall for one in fed(go_on(volume, 48), volume=volume))
    assert usual_of(learned(days=1)) == ()


def test_the_past_is_bounded():
    """Even after a pause of years."""
    volume = learned(days=60)
    assert len(volume.cells) == KEPT_CELLS
    late = volume.read_at + timedelta(days=4000)
    assert len(add_reading(volume, Reading(late, late, 1, 1)).cells) == KEPT_CELLS


def test_a_count_that_falls_says_nothing():
    volume = learned()
    at = volume.read_at + timedelta(hours=1)
    fallen = add_reading(volume, Reading(at, at, 0, None))
    assert fallen.cells[-1] == UNKNOWN
    assert fallen.total == 0


def test_an_older_reading_changes_nothing():
    volume = learned()
    assert add_reading(volume, Reading(volume.read_at, START, 0, 0)) == volume


def test_events_of_the_last_day_do_without_a_total():
    *_, volume = fed(replace(one, total=None) for one in traces.readings(BUSY, 35, random.Random(1)))
    assert volume.shortfall is None
    hours = (volume.read_at + timedelta(hours=number) for number in range(1, 25))
    *_, empty = fed((Reading(at, at, None, 0) for at in hours), volume=volume)
    assert empty.shortfall


def test_what_people_expect_counts_instead():
    """Twice below, in a row."""
    first = Reading(START, START, 5, 3)
    hours = [replace(first, at=START + timedelta(hours=n), synced_at=START + timedelta(hours=n)) for n in range(3)]
    one, two, three = fed(hours, Expectation(per_day=10))
    assert one.shortfall is None
    assert (two.shortfall.got, two.shortfall.least, two.shortfall.cells) == (3, 10, 0)
    assert three.shortfall.since == two.shortfall.since
    enough = replace(first, at=START + timedelta(hours=4), last_24h=10)
    assert next(fed([enough], Expectation(per_day=10), volume=three)).shortfall is None
    assert not any(one.shortfall for one in fed(hours, Expectation(per_day=0)))


def test_no_events_can_be_expected():
    """Then a source that stopped is no longer reported."""
    volume = learned()
    *_, empty = fed(go_on(volume, 24), volume=volume)
    assert next(fed(go_on(empty, 2), Expectation(per_day=0), volume=empty)).shortfall is None


def test_counts_are_read_from_the_page():
    at = START + timedelta(hours=1)
    page = Integration("int_1", "stripe", "connected", START, stats=SyncStats(10, 10**30))
    assert reading_of(page, at) == Reading(at, START, 10**15, 10)
    assert reading_of(replace(page, last_synced_at=None), at) is None
    assert reading_of(replace(page, stats=SyncStats()), at) is None
    assert reading_of(replace(page, stats=None), at) is None


def test_the_usual_number_fits_the_time():
    """Scaled from the nearest stretch, in round numbers."""
    usual = (Usual(10_800, 150, 400), Usual(86_400, 1200, 3000))
    assert usual_within(usual, 10_800) == (150, 400)
    assert usual_within(usual, 3600) == (50, 130)
    assert usual_within(usual, 2 * 86_400) == (2400, 6000)
    assert usual_within((), 3600) is None
    assert usual_within(usual, 0) is None
    low, high = usual_within(usual_of(learned()), 10_800)
    assert 0 < low < 600 < high


COUNTS = st.one_of(st.none(), st.integers(-5, 10**20))


@given(
    st.lists(st.tuples(st.floats(0.1, 10_000), COUNTS, COUNTS), max_size=30),
    st.one_of(st.none(), st.integers(0, 10**6)),
)
@settings(max_examples=50)
def test_any_counts_are_judged(steps, per_day):
    """Whatever FloKit says: nothing raises, nothing grows."""
    at, volume = START, None
    for hours, total, last in steps:
        at += timedelta(hours=hours)
        page = Integration("int_1", "stripe", "connected", at, stats=SyncStats(last, total))
        if reading := reading_of(page, at):
            volume = list(fed([reading], Expectation(per_day=per_day), volume=volume))[-1]
            assert len(volume.cells) <= KEPT_CELLS
            assert volume.first + len(volume.cells) - 1 == at.timestamp() // 10_800
            usual_of(volume)
