"""The simulation: it keeps to the bot's own budget, loses no follow-up, and counts each end once."""

import asyncio
import os
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.delays import START
from benchmarks.rows.simulation import needs_of
from benchmarks.simulation import Budget, Load, Tally, middle_s, simulate
from benchmarks.units import Cost, Units, family_cpu_s, split
from bot.core.budget import PER_MINUTE, Priority
from bot.core.errors import FlokitRateLimited
from bot.flokit.budget import LocalBudget

SMALL = Load(workspaces=3, per_workspace=5, seconds=60.0)


@given(st.lists(st.tuples(st.sampled_from([Priority.CLICK, Priority.FOLLOW_UP]), st.floats(0, 20)), max_size=150))
def test_its_budget_answers_like_the_bots_own(asked):
    """For any order of requests, both grant the same ones and return the same wait."""
    now_s = 0.0
    fast, ours = Budget(10), LocalBudget(10, clock=lambda: now_s)
    for priority, pause_s in asked:
        now_s += round(pause_s, 3)
        wait_s = fast.take(priority, START + timedelta(seconds=now_s))
        assert wait_s == pytest.approx(asyncio.run(_wait_s(ours, priority)), abs=1e-3)


async def _wait_s(budget, priority):
    try:
        await budget.take(priority)
    except FlokitRateLimited as error:
        return error.retry_after_s
    return 0.0


def test_the_same_seed_gives_the_same_result():
    """Numbers can be reproduced."""
    assert simulate(SMALL) == simulate(SMALL)


def test_workspaces_can_be_simulated_separately():
    """Shards add up to the whole, because workspaces share nothing."""
    assert simulate(SMALL, [0]) + simulate(SMALL, [1, 2]) == simulate(SMALL)


def test_no_workspace_makes_more_requests_than_allowed():
    """Twenty concurrent follow-ups stay within FloKit's limit per minute."""
    crowded = Load(workspaces=1, per_workspace=20, seconds=61.0)
    assert simulate(crowded).calls <= PER_MINUTE


def test_a_check_serves_runs_that_are_due_soon():
    """Follow-ups of one workspace share checks, so that each check serves several runs."""
    tally = simulate(Load(workspaces=2, per_workspace=20, seconds=60.0))
    assert tally.looks > 2 * tally.batches


def test_every_end_starts_a_click():
    """As many follow-ups begin as end, and each end is counted for both bots."""
    tally = simulate(SMALL)
    ended = sum(tally.outcomes.values())
    assert ended == tally.clicks == sum(tally.late.values()) == sum(tally.naive_late.values()) > 0
    assert min(tally.late) >= 0


def test_the_simulation_begins_in_a_steady_state():
    """Nothing needs to settle: the second half of a long run is like the first."""
    halves = [simulate(Load(40, per_workspace=5, seconds=seconds)) for seconds in (60.0, 120.0)]
    assert halves[1].looks == pytest.approx(2 * halves[0].looks, rel=0.15)
    assert halves[1].naive_calls == pytest.approx(2 * halves[0].naive_calls, rel=0.1)


def test_the_naive_bot_polls_every_ten_seconds():
    """It polls for each run that it follows, and sends one POST for each click."""
    tally = simulate(Load(40, per_workspace=5, seconds=60.0))
    assert tally.naive_calls == pytest.approx(40 * 5 * 6 + tally.clicks, rel=0.05)


def test_a_median_of_counted_delays_is_in_seconds():
    """Delays are counted in tenths of a second."""
    assert middle_s(Counter({10: 2, 20: 1})) == 1.0
    assert middle_s(Counter({10: 1, 20: 2})) == 2.0
    with pytest.raises(ValueError, match="no delays"):
        middle_s(Counter())


def test_the_cost_of_a_check_is_separated_from_that_of_its_runs():
    """Measured at one run and at eleven."""
    look, run = Cost(2.0, 3.0, 1.0, 50.0), Cost(0.5, 0.25, 1.0, 10.0)
    assert split(look + run, look + run * 11, 11) == (look, run)


def test_resources_are_multiplied_and_rounded_up():
    """A second's clicks, checks and runs at their costs, with cores half busy."""
    unit = Cost(1.0, 0.5, 2.0, 10.0)
    units = Units(life=unit, batch=unit, look=unit * 0.5, kept_bytes=100.0)
    needs = needs_of(Tally(clicks=10, batches=20, looks=40), Load(workspaces=2, per_workspace=5, seconds=10.0), units)
    assert (needs.replicas, needs.database_cores, needs.writes, needs.log_bytes) == (10, 5, 10.0, 50.0)
    assert needs.kept_bytes == 1000.0


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc")
def test_a_family_of_processes_is_counted_with_its_parent():
    """The process that started the tests has used some CPU time, and so have they."""
    assert family_cpu_s(os.getpid()) > 0
