"""The soak's residents: what they did is counted in their channel's current ID."""

from random import Random

import pytest

from local_slack.delivery import Ack, Envelope, EnvelopeKind
from sandbox.slack import BOT_USER_ID, flokit_slack
from soak.evidence import Board, Snoozed
from soak.residents import Residents

CHANNEL = "C8SHARED"
MENU = {
    "type": "static_select",
    "action_id": "flokit_snooze",
    "options": [{"text": {"type": "plain_text", "text": "for 1 hour"}, "value": "1h"}],
}


@pytest.fixture
def slack():
    return flokit_slack()


@pytest.fixture
def residents(slack):
    return Residents(slack, Random(1), ["int_a"], (), per_minute=1)


def post(slack, text, channel=CHANNEL, **members):
    """Let the bot post in the channel that moves."""
    return slack.workspace.post(channel, {"user": BOT_USER_ID, "text": text, **members})["ts"]


async def test_a_snooze_counts_in_a_channel_that_moves_in_the_meantime(slack, residents, monkeypatch):
    """A channel that gets another ID while someone snoozes is found under its newest ID."""
    ts = post(slack, "is failing", blocks=[{"type": "actions", "elements": [MENU]}])

    async def move(*_args, **_kwargs):
        slack.workspace.move_channel(CHANNEL, "C8SHARED1")
        slack.workspace.move_channel("C8SHARED1", "C8SHARED2")

    monkeypatch.setattr(slack, "click", move)
    assert await residents.snooze(Board(CHANNEL, ts, "is failing"), "for 1 hour")
    assert residents.snoozed == [Snoozed("C8SHARED2", ts, asked=1, ended=0)]
    slack.workspace.post("C8SHARED2", {"user": BOT_USER_ID, "text": "⏰ Snooze ended", "thread_ts": ts})
    assert residents.snoozed == [Snoozed("C8SHARED2", ts, asked=1, ended=1)]


async def test_a_choice_that_is_not_offered_is_not_a_snooze(slack, residents):
    """A choice that the menu doesn't offer isn't made."""
    ts = post(slack, "is failing", blocks=[{"type": "actions", "elements": [MENU]}])
    assert not await residents.snooze(Board(CHANNEL, ts, "is failing"), "for 4 hours")
    assert residents.snoozed == []


def share(slack, residents, channel):
    """Give the channel another ID."""
    before = residents.channels[-1]
    slack.workspace.move_channel(before, channel)
    residents._move(before, channel)


def hear(slack, channel, *, ok=True):
    """Deliver the event about a channel's new ID; the bot may refuse it."""
    event = {"type": "channel_id_changed", "new_channel_id": channel}
    slack.envelopes.append(Envelope(EnvelopeKind.EVENT, {"event": event}, ack=Ack(ok)))


async def test_an_incident_is_lost_if_the_bot_never_learned_a_new_id(slack, residents):
    """Messages from before that ID can't be edited; later ones can, and so can all once the bot has learned of it."""
    blocks = [{"type": "actions", "elements": [MENU]}]
    first = post(slack, "is failing", blocks=blocks)
    share(slack, residents, "C8SHARED1")
    hear(slack, "C8SHARED1")
    second = post(slack, "is failing", "C8SHARED1", blocks=blocks)
    share(slack, residents, "C8SHARED2")
    hear(slack, "C8SHARED2", ok=False)
    third = post(slack, "is failing", "C8SHARED2", blocks=blocks)
    share(slack, residents, "C8SHARED3")
    hear(slack, "C8SHARED3")

    assert {board.ts: board.is_lost for board in residents.boards} == {first: True, second: True, third: False}
    hear(slack, "C8SHARED2")
    assert not any(board.is_lost for board in residents.boards)


async def test_incidents_are_taken_and_handed_over(slack, residents, monkeypatch):
    """With a button's value, or by picking a person."""
    take = {"type": "button", "action_id": "flokit_on_it", "text": {"type": "plain_text", "text": "x"}, "value": "v"}
    pick = {"type": "users_select", "action_id": "flokit_hand_over:{}"}
    post(slack, "is failing", blocks=[{"type": "actions", "elements": [MENU, take, pick]}])
    presses = []

    async def click(user, _channel, _ts, action_id, *, value):
        presses.append((action_id, value if action_id == "flokit_on_it" else value in slack.workspace.users))

    monkeypatch.setattr(slack, "click", click)
    for _ in range(20):
        await residents._take()
    assert set(presses) == {("flokit_on_it", "v"), ("flokit_hand_over:{}", True)}
    assert residents.met["on it"] == len(presses) > 20
