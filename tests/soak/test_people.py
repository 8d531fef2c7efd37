"""How the soak's people read answers: they recognize refusals, and which sync a button starts."""

import pytest

from bot.core.blocks import access_lost_message, flokit_away_message, not_found_message
from bot.handlers.responder import TOO_LATE
from bot.listeners.reception import IN_DOUBT, NOT_SAVED
from soak.people import DOUBT, REFUSAL, buttons, resyncs


@pytest.mark.parametrize(
    "sentence",
    [
        NOT_SAVED,
        TOO_LATE,
        "Something went wrong on my end (error ID err_1). Nothing was started.",
        flokit_away_message("no answer").text,
        access_lost_message().text,
        not_found_message("int_a", ()).text,
    ],
)
def test_a_refusal_is_recognized(sentence):
    """Each sentence in which the bot refuses to start a sync counts as a refusal."""
    assert REFUSAL.search(sentence)


def test_a_doubt_is_not_a_refusal():
    """The answer that it's unknown whether a sync was started is recognized as that."""
    assert DOUBT.search(IN_DOUBT)
    assert not REFUSAL.search(IN_DOUBT)
    assert not DOUBT.search(NOT_SAVED)


def test_a_hint_is_not_a_refusal():
    """An answer that's sent as a direct message refuses nothing."""
    assert not REFUSAL.search("I can't post here, so I've sent you a DM.")


def test_the_buttons_that_start_a_sync_are_found():
    """Buttons are beside a section or in their own row; in a list, only Resync starts a sync."""
    resync = {"type": "button", "action_id": "flokit_resync", "value": "1"}
    refresh = {"type": "button", "action_id": "flokit_refresh", "value": "2"}
    menu = {"type": "overflow", "action_id": "flokit_more"}
    every = {"type": "button", "action_id": "flokit_resync_all_failing", "value": "3"}
    message = {"blocks": [{"accessory": resync}, {"elements": [refresh, menu, every]}, {"type": "divider"}]}
    assert buttons(message) == [resync, refresh, every]
    assert resyncs(message) == [resync]
    assert buttons({"text": "no blocks"}) == []
