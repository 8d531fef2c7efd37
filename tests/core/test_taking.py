"""Who is on an incident, after any click."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.incidents.taking import Attention, OnIt, Refusal, Step, Turn, take_turn
from bot.core.models import Person

THEN = datetime(2026, 3, 1, 10, tzinfo=UTC)
NOW = THEN + timedelta(minutes=2)
ANA, BEN, CLEO = Person("UANA", "ana"), Person("UBEN", "ben"), Person("UCLEO", "cleo")
ANA_IS, BEN_IS = OnIt(ANA, THEN), OnIt(BEN, THEN)
BEN_ASKED = OnIt(BEN, THEN, asked_by=ANA)
OLD, CURRENT = 4, 5


@pytest.mark.parametrize(
    ("before", "step", "by", "drawn_for", "after"),
    [
        (None, Step.TAKE, ANA, CURRENT, OnIt(ANA, NOW)),
        (None, Step.TAKE, ANA, OLD, OnIt(ANA, NOW)),
        (ANA_IS, Step.TAKE, ANA, OLD, Refusal.ALREADY_YOURS),
        (ANA_IS, Step.TAKE, BEN, OLD, Refusal.TOO_LATE),
        (ANA_IS, Step.TAKE, BEN, CURRENT, OnIt(BEN, NOW)),
        (BEN_ASKED, Step.TAKE, BEN, OLD, OnIt(BEN, NOW)),
        (BEN_ASKED, Step.TAKE, ANA, CURRENT, OnIt(ANA, NOW)),
        (BEN_ASKED, Step.TAKE, CLEO, OLD, Refusal.TOO_LATE),
        (None, Step.LET_GO, ANA, CURRENT, Refusal.NO_ONE),
        (ANA_IS, Step.LET_GO, ANA, OLD, None),
        (ANA_IS, Step.LET_GO, BEN, CURRENT, None),
        (ANA_IS, Step.LET_GO, BEN, OLD, Refusal.TOO_LATE),
        (BEN_ASKED, Step.LET_GO, BEN, OLD, None),
        (ANA_IS, Step.HAND_OVER, ANA, OLD, OnIt(CLEO, NOW, asked_by=ANA)),
        (ANA_IS, Step.HAND_OVER, BEN, CURRENT, OnIt(CLEO, NOW, asked_by=BEN)),
        (ANA_IS, Step.HAND_OVER, BEN, OLD, Refusal.TOO_LATE),
        (ANA_IS, Step.HAND_OVER, CLEO, CURRENT, OnIt(CLEO, NOW)),
        (None, Step.HAND_OVER, ANA, OLD, Refusal.NO_ONE),
        (OnIt(CLEO, THEN), Step.HAND_OVER, ANA, CURRENT, Refusal.ALREADY_ASKED),
    ],
)
def test_a_click_decides_who_is_on_it(before, step, by, drawn_for, after):
    """Those who hand over ask Cleo."""
    turn = Turn(step, by, drawn_for, CLEO if step is Step.HAND_OVER else None)
    assert take_turn(before, CURRENT, turn, NOW) == after


def test_who_is_asked_is_not_on_it_yet():
    assert take_turn(ANA_IS, 1, Turn(Step.HAND_OVER, ANA, 1, BEN), NOW).is_asked
    assert not take_turn(BEN_ASKED, 1, Turn(Step.TAKE, BEN, 1), NOW).is_asked


ATTENTION = Attention(remind_s=4 * 3600, answer_s=600)


@pytest.mark.parametrize(
    ("on_it", "after"),
    [
        (ANA_IS, timedelta(hours=4)),
        (BEN_ASKED, timedelta(minutes=10)),
        (replace(ANA_IS, said_at=THEN + timedelta(hours=5)), timedelta(hours=9)),
        (replace(ANA_IS, reminded_at=THEN + timedelta(hours=4)), timedelta(hours=4, minutes=10)),
        (replace(BEN_ASKED, reminded_at=THEN + timedelta(minutes=10)), timedelta(minutes=20)),
    ],
)
def test_when_someone_is_reminded_and_when_no_one_is_on_it(on_it, after):
    assert ATTENTION.due_at(on_it) == THEN + after


def test_saying_so_again_answers_a_reminder():
    """It's still since the first time."""
    reminded = replace(ANA_IS, reminded_at=THEN)
    assert take_turn(reminded, 1, Turn(Step.TAKE, ANA, 1), NOW) == replace(ANA_IS, said_at=NOW)


people = st.sampled_from((ANA, BEN, CLEO))


@given(st.lists(st.builds(Turn, st.sampled_from(Step), people, st.just(0), people), max_size=6))
def test_only_the_first_of_several_clicks_at_once_by_others_counts(turns):
    """Buttons that were drawn before the first click change nothing afterwards, unless by whom it's about."""
    on_it, number = None, 0
    for turn in turns:
        after = take_turn(on_it, number, turn, NOW)
        if isinstance(after, Refusal):
            continue
        assert number == 0 or on_it is None or turn.by.id == on_it.person.id
        on_it, number = after, number + 1
