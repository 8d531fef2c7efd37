"""How long syncs take, and when a check is worthwhile: facts, and properties for any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.models import Expected
from bot.core.runs.durations import UNKNOWN_SPREAD, learn, pause_s

DURATIONS = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)
ANY = st.builds(Expected, st.floats(0, 1e7), st.floats(0, 50))


def test_without_history_there_is_no_expectation():
    assert learn([]) is None


def test_the_usual_duration_is_the_median():
    """One sync that hung says little about the next."""
    assert learn([60, 62, 58, 61, 9000]).median_s == pytest.approx(61)


def test_an_integrations_own_history_wins_over_its_types():
    """Others of its type count only while it has none."""
    assert learn([10.0], [500.0]).median_s == pytest.approx(10)
    assert learn([], [500.0]).median_s == pytest.approx(500)


def test_a_single_observation_is_not_taken_as_exact():
    assert learn([60.0]).spread > UNKNOWN_SPREAD


def test_a_steady_history_narrows_the_spread():
    """It never becomes zero."""
    assert 0 < learn([60.0] * 15).spread < learn([60.0] * 3).spread < learn([60.0]).spread


@given(DURATIONS, DURATIONS)
def test_any_durations_make_a_finite_expectation(own_s, of_type_s):
    """Within what was seen."""
    expected = learn(own_s, of_type_s)
    assert max(0.5, min(own_s)) * 0.999 <= expected.median_s <= max(0.5, *own_s) * 1.001
    assert 0 < expected.spread < 100


@given(ANY, st.floats(0, 1e7), st.floats(0.05, 60), st.floats(0.1, 3600))
def test_a_pause_keeps_its_limits(expected, elapsed_s, shortest_s, longest_s):
    """No history makes checks more or less frequent than the settings allow."""
    found = pause_s(expected, elapsed_s, shortest_s=shortest_s, longest_s=longest_s)
    assert min(shortest_s, longest_s) <= found <= longest_s


@given(st.floats(20, 2000), st.floats(0.1, 0.5))
def test_checks_cluster_around_the_usual_end(median_s, spread):
    expected = Expected(median_s, spread)

    def pause(share):
        return pause_s(expected, share * median_s, shortest_s=median_s / 200, longest_s=median_s)

    assert pause(1.0) < pause(0.05)
    assert pause(1.0) < pause(10.0)


@given(st.floats(1, 2000), st.floats(0.05, 2))
def test_a_sync_that_hangs_costs_few_checks(median_s, spread):
    """From ten times the usual duration on, the interval is close to the longest allowed."""
    assert pause_s(Expected(median_s, spread), 10 * median_s + 600, shortest_s=0.5, longest_s=30) > 5
