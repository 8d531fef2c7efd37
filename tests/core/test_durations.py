"""How long syncs take, and when a look is worth it: facts, and properties for any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.models import Expected
from bot.core.runs.durations import UNKNOWN_SPREAD, learn, pause_s

DURATIONS = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)
ANY = st.builds(Expected, st.floats(0, 1e7), st.floats(0, 50))


def test_nothing_is_learned_from_nothing():
    """Without history there is no expectation."""
    assert learn([]) is None


def test_the_usual_duration_is_the_median():
    """One sync that hung says little about the next."""
    assert learn([60, 62, 58, 61, 9000]).median_s == pytest.approx(61)


def test_its_own_history_counts_before_its_types():
    """Others of its type are asked only while an integration has none."""
    assert learn([10.0], [500.0]).median_s == pytest.approx(10)
    assert learn([], [500.0]).median_s == pytest.approx(500)


def test_one_observation_leaves_the_spread_open():
    """What was seen once is not taken for exact."""
    assert learn([60.0]).spread > UNKNOWN_SPREAD


def test_a_steady_history_narrows_the_spread():
    """The same duration again and again makes it narrow, yet never none."""
    assert 0 < learn([60.0] * 15).spread < learn([60.0] * 3).spread < learn([60.0]).spread


@given(DURATIONS, DURATIONS)
def test_whatever_was_seen_can_be_learned(own_s, of_type_s):
    """Any durations make a finite expectation within what was seen."""
    expected = learn(own_s, of_type_s)
    assert max(0.5, min(own_s)) * 0.999 <= expected.median_s <= max(0.5, *own_s) * 1.001
    assert 0 < expected.spread < 100


@given(ANY, st.floats(0, 1e7), st.floats(0.05, 60), st.floats(0.1, 3600))
def test_a_pause_keeps_its_limits(expected, elapsed_s, shortest_s, longest_s):
    """No history makes looks denser or rarer than the settings allow."""
    found = pause_s(expected, elapsed_s, shortest_s=shortest_s, longest_s=longest_s)
    assert min(shortest_s, longest_s) <= found <= longest_s


@given(st.floats(20, 2000), st.floats(0.1, 0.5))
def test_looks_cluster_where_ends_do(median_s, spread):
    """Around the usual end the pause is shorter than early on, and shorter than long after it."""
    expected = Expected(median_s, spread)

    def pause(share):
        return pause_s(expected, share * median_s, shortest_s=median_s / 200, longest_s=median_s)

    assert pause(1.0) < pause(0.05)
    assert pause(1.0) < pause(10.0)


@given(st.floats(1, 2000), st.floats(0.05, 2))
def test_a_sync_that_hangs_costs_few_looks(median_s, spread):
    """Ten times the usual duration and more is looked at about as seldom as the settings allow."""
    assert pause_s(Expected(median_s, spread), 10 * median_s + 600, shortest_s=0.5, longest_s=30) > 5
