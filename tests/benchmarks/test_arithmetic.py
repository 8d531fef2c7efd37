"""The benchmark's arithmetic: percentiles, medians with their spread, ratios of rounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.arithmetic import Spread, paired_ratio, percentile

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.2, 1), (0.5, 3), (0.8, 4), (0.99, 5), (1.0, 5)])
def test_a_percentile_is_a_value_at_its_nearest_rank(share, expected):
    """Nothing is interpolated: every printed number was measured."""
    assert percentile([5, 3, 1, 4, 2], share) == expected


@given(VALUES, st.floats(0, 1))
def test_a_share_of_the_values_is_at_most_the_percentile(values, share):
    """At least that share of all values is at or below it."""
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values)


def test_no_values_have_no_percentile():
    """Without measurements, it's an error, not a zero."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_spread_shows_its_unit_and_its_range():
    """The lowest and the highest round are next to the median, unless they're equal."""
    assert Spread.of([0.003, 0.001, 0.002]).shown("ms", scale=1000) == "2.0 (1.0 to 3.0) ms"
    assert Spread.of([2.0]).shown() == "2.0"


def test_rounds_are_compared_with_each_other():
    """Noise in a round slows both, and doesn't change their ratio."""
    assert paired_ratio([1.0, 10.0], [2.0, 20.0]) == Spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [1.0, 2.0]), ([1.0], [0.0]), ([], [])])
def test_rounds_that_cannot_be_compared_are_refused(ours, theirs):
    """Each round needs both values, and nothing is divided by zero."""
    with pytest.raises(ValueError, match=r"round|no values"):
        paired_ratio(ours, theirs)
