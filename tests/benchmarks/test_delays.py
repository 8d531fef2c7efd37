"""The benchmark's traces: schemes are compared at equal cost, and delays are measured from the real end."""

import pytest

from benchmarks.delays import FAMILIES, Sync, at_equal_calls, make_trace, mean_looks, poll_all, watch_all
from benchmarks.rows import delay


def test_a_seed_makes_the_same_trace():
    """Numbers can be reproduced."""
    assert make_trace(1, 50) == make_trace(1, 50) != make_trace(2, 50)


def test_fixed_polling_is_measured_from_the_real_end():
    """A sync of 12 s that's checked every 5 s is known after the third check, 3 s late."""
    [watched] = poll_all([Sync("a", "stripe", 12.0)], lambda _: 5.0)
    assert (watched.looks, watched.delay_s) == (3, pytest.approx(3.0))


def test_schemes_are_compared_at_equal_calls():
    """The scheme found makes as many checks as it may, or slightly more; at most one too few."""
    trace = make_trace(3, 200)
    found = at_equal_calls(trace, lambda pause_s: lambda _: pause_s, 10.0)
    assert mean_looks(found) == pytest.approx(10.0, rel=0.05)


def test_the_bot_never_knows_before_the_end():
    """No outcome is reported early, and each sync of a trace gets one."""
    watched = watch_all(make_trace(4, 60))
    assert len(watched) == 60
    assert all(one.delay_s >= 0 for one in watched)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_of_durations_is_watched_to_its_end(family):
    """Whatever their distribution, durations are positive, differ between families, and are all watched."""
    trace = make_trace(5, 60, family)
    assert all(sync.duration_s > 0 for sync in trace)
    assert [name for name in FAMILIES if make_trace(5, 60, name) == trace] == [family]
    assert all(one.delay_s >= 0 for one in watch_all(trace))


def test_no_trace_is_used_that_the_planner_was_tuned_on():
    """A row about seeds 1 to 3 would measure how well the planner was tuned to them."""
    assert delay.FIRST_SEED > 3
