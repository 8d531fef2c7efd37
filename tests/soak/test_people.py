"""What the soak's people read: a refusal is told in words that they know, and a button names what it syncs."""

import pytest

from bot.core.blocks import access_lost_message, flokit_away_message, not_found_message
from bot.handlers.requests import TOO_LATE
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
def test_a_refusal_is_understood(sentence):
    """Each sentence with which the bot starts nothing counts as a refusal."""
    assert REFUSAL.search(sentence)


def test_a_doubt_is_no_refusal():
    """That nobody knows whether a sync was started is understood as just that."""
    assert DOUBT.search(IN_DOUBT)
    assert not REFUSAL.search(IN_DOUBT)
    assert not DOUBT.search(NOT_SAVED)


def test_a_hint_is_no_refusal():
    """That the answer comes as a direct message refuses nothing."""
    assert not REFUSAL.search("I can't post here, so I've sent you a DM.")


def test_the_buttons_that_start_a_sync_are_found():
    """Buttons stand beside a section or in a row of their own; only Resync starts a sync from a list."""
    resync = {"type": "button", "action_id": "flokit_resync", "value": "1"}
    refresh = {"type": "button", "action_id": "flokit_refresh", "value": "2"}
    menu = {"type": "overflow", "action_id": "flokit_more"}
    message = {"blocks": [{"accessory": resync}, {"elements": [refresh, menu]}, {"type": "divider"}]}
    assert buttons(message) == [resync, refresh]
    assert resyncs(message) == [resync]
    assert buttons({"text": "no blocks"}) == []
