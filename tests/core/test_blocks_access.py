"""Slack accepts every message about permissions, whatever the policy file and FloKit say, and parses nothing in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.access.policy import Allowed, Refused, Verb
from bot.core.blocks import access
from bot.core.blocks.names import name_of
from bot.core.commands.presses import Action, Press
from bot.core.runs.limits import Held, Limit
from tests.core.hostile import (
    assert_no_markup_of_others,
    assert_slack_takes,
    assert_view_is_taken,
    hostile,
    integrations,
    moments,
    texts,
)

refusals = st.builds(
    Refused,
    texts,
    st.just("You can't sync here."),
    st.lists(st.sampled_from(["S0OURS", "U1", "S<!channel>"]) | texts).map(tuple),
)
rulings = refusals | st.builds(Allowed, texts)
names = st.builds(name_of, integrations, st.lists(integrations, max_size=3))
holds = st.builds(Held, st.sampled_from(Limit), moments)
anyway = st.just(Press(Action.SYNC_ANYWAY, integration_id="int_1"))
messages = st.one_of(
    st.builds(access.refused_message, refusals, st.none() | names),
    st.builds(access.held_message, holds, names, st.none() | anyway),
    st.builds(
        access.why_message,
        rulings,
        st.sampled_from(Verb),
        st.none() | names,
        st.none() | holds,
        is_running=st.booleans(),
    ),
)


@hostile
@given(messages)
def test_slack_accepts_every_answer_about_permissions(message):
    assert_slack_takes(message)
    assert_no_markup_of_others(message)


@hostile
@given(refusals)
def test_slack_accepts_the_home_of_someone_who_cannot_look(refused):
    assert_view_is_taken(access.refused_home(refused))
