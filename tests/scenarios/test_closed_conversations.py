"""Where the bot can't post, it answers the person privately and sends the outcome as a direct message."""

from __future__ import annotations

import pytest

from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import words

PRIVATE = "G0FINANCE"
BETWEEN_PEOPLE = "D0ANABEN"


@pytest.fixture
def closed(socket_world):
    """A world with one integration whose syncs succeed."""
    socket_world.flokit.add("int_a", "stripe")
    socket_world.flokit.plan("int_a", Plan(0.0, 0.3, "succeeded"))
    return socket_world


async def test_a_private_channel_without_the_bot_is_answered_privately(closed):
    """The answer says how to invite the bot; a Resync there is followed in the person's direct messages."""
    status = await closed.note("status", user="UBEN", channel=PRIVATE)
    assert "/invite" in words(status)
    before = words(status)
    await closed.press(status, "flokit_refresh", user="UBEN", channel=PRIVATE, ephemeral=True)
    await closed.slack.wait_for(lambda: words(closed.slack.ephemerals("UBEN")[0]) != before, 10, "a refresh in place")
    [status] = closed.slack.ephemerals("UBEN")

    await closed.press(status, "flokit_resync", "int_a", user="UBEN", channel=PRIVATE, ephemeral=True)
    root = await closed.direct_root("UBEN")
    [outcome] = await closed.outcomes(root["ts"], channel=root["channel"])
    assert outcome["outcome"] == "succeeded"
    assert len(closed.flokit.posts("int_a")) == 1
    assert not closed.slack.messages(PRIVATE)


async def test_a_dm_between_two_people_is_answered_privately(closed):
    """A sync typed there starts once, and the answer says where its outcome will be posted."""
    hint = await closed.note("sync stripe", channel=BETWEEN_PEOPLE)
    assert "a DM" in words(hint)
    root = await closed.direct_root("UANA")
    [outcome] = await closed.outcomes(root["ts"], channel=root["channel"])
    assert outcome["outcome"] == "succeeded"
    assert "/invite" in words(await closed.note("status", channel=BETWEEN_PEOPLE))
    assert "adapty" in words(await closed.note("show adapty", channel=BETWEEN_PEOPLE))


async def test_an_outcome_for_an_archived_channel_is_sent_as_a_dm(closed):
    """The channel is archived while the sync is running."""
    closed.flokit.plan("int_a", Plan(0.0, 1.2, "succeeded"))
    root = await closed.resync("int_a", user="UBEN")
    await closed.reply(root, "started by ben")
    closed.slack.archive("C0DATA")
    message = await closed.direct_root("UBEN")
    assert message["metadata"]["event_payload"]["outcome"] == "succeeded"
    assert not closed.outcome_messages(root)
