"""How soon and how often a sync may be started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.core.runs.limits import Held, Limit, Limits, decide_limits

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAST = st.integers(0, 7200).map(lambda s: NOW - timedelta(seconds=s))


def test_a_success_is_followed_by_a_cooldown():
    """During the cooldown, its end is shown; afterwards, a sync can be started."""
    at = NOW - timedelta(seconds=40)
    assert decide_limits(Limits(60), at, (), NOW) == Held(Limit.COOLDOWN, NOW + timedelta(seconds=20))
    assert decide_limits(Limits(40), at, (), NOW) is None
    assert decide_limits(Limits(60), None, (), NOW) is None


def test_the_quota_is_free_again_an_hour_after_the_start_that_filled_it():
    """Of three starts with a quota of two, the second last leaves the window first."""
    starts = [NOW - timedelta(minutes=minutes) for minutes in (50, 30, 10)]
    assert decide_limits(Limits(0, 2), None, starts, NOW) == Held(Limit.QUOTA, NOW + timedelta(minutes=30))
    assert decide_limits(Limits(0, 4), None, starts, NOW) is None


@given(st.integers(0, 4000), st.integers(0, 5), st.none() | PAST, st.lists(PAST, max_size=8))
def test_a_limit_ends_when_it_says(cooldown_s, quota, succeeded_at, starts):
    """The end that is shown lies ahead; a sync can be started then, and not before."""
    limits = Limits(cooldown_s, quota)
    held = decide_limits(limits, succeeded_at, starts, NOW)
    if held is None:
        return
    assert held.until > NOW
    assert decide_limits(limits, succeeded_at, starts, held.until) is None
    assert decide_limits(limits, succeeded_at, starts, held.until - timedelta(microseconds=1))
