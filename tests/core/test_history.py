"""The history: which durations are comparable, and how past syncs are shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.core.blocks import history_message
from bot.core.models import Integration, Outcome, Person, SyncRun
from bot.core.runs.history import durations, took_s
from tests.core.hostile import NOW, assert_no_markup_of_others, assert_slack_takes, hostile, runs

ANA = Person("UANA", "ana")


def run(seconds, outcome=Outcome.SUCCEEDED, **changes):
    """Return a run that took this long."""
    ended = SyncRun(
        "run_1",
        "T1",
        "int_1",
        "stripe",
        NOW,
        ANA,
        attempts=1,
        accepted_at=NOW,
        ended_at=NOW + timedelta(seconds=seconds),
        outcome=outcome,
    )
    return replace(ended, **changes)


def test_only_comparable_durations_count():
    """No failures, late results, runs that never started, or syncs already running at the click."""
    syncing = Integration("int_1", "stripe", "syncing")
    others = [
        run(5, Outcome.FAILED),
        run(5, baseline=syncing),
        run(5, late_until=NOW),
        run(5, accepted_at=None),
        run(5, outcome=None, ended_at=None),
    ]
    assert [took_s(one) for one in others] == [None] * 5
    assert took_s(run(5)) == 5
    assert durations(others) is None


def test_the_median_and_p90_of_ten_durations():
    """The median is between the fifth and sixth; the p90 is the ninth."""
    found = durations([run(seconds) for seconds in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)])
    assert (found.count, found.median_s, found.p90_s) == (10, 5.5, 9)


def test_one_integration_is_shown_in_words_and_bars():
    """Outcome, duration and person are text; a number and a duration precede each bar."""
    message = history_message([run(20), run(40), run(7, Outcome.FAILED)], NOW, kept_days=90)
    assert message.text == (
        "History of Stripe `int_1`: 3 syncs, 2 succeeded, 1 failed. Typical duration: "
        "median 30 s, 90% within 40 s (from 2 comparable syncs)."
    )
    shown = str(message.blocks)
    assert "1. ✅ succeeded, 20 s · <!date^" in shown
    assert "3. ❌ failed, 7 s · <!date^" in shown
    assert "1. 20 s ██████████\\n2. 40 s ████████████████████" in shown


def test_every_bar_has_a_number_and_a_duration():
    """The text for screen readers has no bars."""
    message = history_message([run(20), run(40)], NOW, kept_days=90)
    assert "█" not in message.text


def test_each_of_several_integrations_has_a_line():
    """With the successes, the median, and how the last one ended."""
    other = run(9, Outcome.FAILED, integration_id="int_2", integration_type="adjust")
    message = history_message([run(20), other, run(40)], NOW, kept_days=90)
    shown = str(message.blocks)
    assert "✅ *Stripe* `int_1`: 2 of 2 succeeded, median 30 s; the last succeeded <!date^" in shown
    assert "❌ *Adjust* `int_2`: 0 of 1 succeeded; the last failed <!date^" in shown


def test_an_empty_history_says_so():
    text = history_message([], NOW, kept_days=30).text
    assert text.startswith("`/flokit history`: no syncs found.")
    assert "30 days" in text


@hostile
@given(st.lists(runs, max_size=40))
def test_slack_accepts_every_history(past):
    """Whatever past runs contain, without untrusted markup."""
    message = history_message(past, NOW, kept_days=90)
    assert_slack_takes(message)
    assert_no_markup_of_others(message)
