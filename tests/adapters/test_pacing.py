"""Token buckets: never more than the rate, and never blocked forever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.pacing import Bucket


class Ticker:
    """A clock in seconds that only the test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def ticker():
    """A clock that only the test moves."""
    return Ticker()


def test_a_burst_passes_immediately(ticker):
    """The next call waits for one refill."""
    bucket = Bucket(2.0, 3.0, ticker)
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_a_refused_call_takes_no_token(ticker):
    """Asking repeatedly doesn't delay the turn."""
    bucket = Bucket(1.0, 1.0, ticker)
    bucket.take()
    assert [bucket.take() for _ in range(5)] == [1.0] * 5
    ticker.now += 1
    assert bucket.take() == 0.0


def test_the_returned_wait_is_long_enough(ticker):
    bucket = Bucket(50 / 60, 2.0, ticker)
    bucket.take()
    bucket.take()
    ticker.now += bucket.take() + 1e-9
    assert bucket.take() == 0.0


def test_a_bucket_saves_at_most_one_burst(ticker):
    """However long it was quiet."""
    bucket = Bucket(1.0, 2.0, ticker)
    ticker.now += 3600
    assert [bucket.take() for _ in range(3)] == [0.0, 0.0, 1.0]


def test_a_caller_can_leave_tokens_for_others(ticker):
    """It then waits sooner than one that doesn't."""
    bucket = Bucket(1.0, 3.0, ticker)
    assert bucket.take(leave=2) == 0.0
    assert bucket.take(leave=2) == 1.0
    assert bucket.take() == 0.0


def test_a_held_bucket_lets_nothing_through(ticker):
    """A shorter hold doesn't shorten a longer one."""
    bucket = Bucket(1.0, 3.0, ticker)
    bucket.hold(10)
    bucket.hold(2)
    assert bucket.take() == 10.0
    ticker.now += 10
    assert bucket.take() == 0.0


@given(
    st.floats(0.1, 50),
    st.floats(1, 20),
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from([0.0, 0.0, 1.0])), max_size=40),
)
def test_rate_is_never_exceeded(per_s, burst, steps):
    """From the start, at most the burst and what was refilled pass."""
    ticker = Ticker()
    bucket, start, gone = Bucket(per_s, burst, ticker), ticker.now, 0
    for pause_s, leave in steps:
        ticker.now += pause_s
        wait_s = bucket.take(leave=leave)
        assert wait_s >= 0
        gone += wait_s == 0
        assert gone <= burst + (ticker.now - start) * per_s + 1e-6
