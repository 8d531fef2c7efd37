"""Token buckets: never more than allowed, never closed for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.pacing import Bucket


class Ticker:
    """A clock in seconds, moved by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def ticker():
    """Stop the time."""
    return Ticker()


def test_burst_goes_at_once(ticker):
    """As many calls as the burst go at once; the next waits for one refill."""
    bucket = Bucket(2.0, 3.0, ticker)
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_refused_call_takes_nothing(ticker):
    """Asking again and again does not put the turn off."""
    bucket = Bucket(1.0, 1.0, ticker)
    bucket.take()
    assert [bucket.take() for _ in range(5)] == [1.0] * 5
    ticker.now += 1
    assert bucket.take() == 0.0


def test_wait_that_was_told_is_enough(ticker):
    """Whoever waits as long as was told may go."""
    bucket = Bucket(50 / 60, 2.0, ticker)
    bucket.take()
    bucket.take()
    ticker.now += bucket.take() + 1e-9
    assert bucket.take() == 0.0


def test_bucket_holds_no_more_than_the_burst(ticker):
    """A quiet hour saves up no more than one burst."""
    bucket = Bucket(1.0, 2.0, ticker)
    ticker.now += 3600
    assert [bucket.take() for _ in range(3)] == [0.0, 0.0, 1.0]


def test_left_tokens_stay_for_others(ticker):
    """Who leaves tokens waits sooner than who does not."""
    bucket = Bucket(1.0, 3.0, ticker)
    assert bucket.take(leave=2) == 0.0
    assert bucket.take(leave=2) == 1.0
    assert bucket.take() == 0.0


def test_held_bucket_lets_nothing_through(ticker):
    """While it is held nobody goes; a shorter hold does not shorten a longer one."""
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
    """In any stretch from the start no more go than the burst and what was refilled."""
    ticker = Ticker()
    bucket, start, gone = Bucket(per_s, burst, ticker), ticker.now, 0
    for pause_s, leave in steps:
        ticker.now += pause_s
        wait_s = bucket.take(leave=leave)
        assert wait_s >= 0
        gone += wait_s == 0
        assert gone <= burst + (ticker.now - start) * per_s + 1e-6
