"""Alerts in channels that are archived, left, shared or renamed."""

from __future__ import annotations

from dataclasses import replace

from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import words
from tests.scenarios.watching import fail, incident, incidents, repair


async def test_an_archived_channel_is_paused_and_resumed(board):
    """An archived channel's subscriptions pause, their creator is notified once, and they resume afterwards."""
    other = board.channel("C0OTHER")
    await board.status("subscribe all", channel=other, user="UBEN")
    board.slack.archive(other, "UCLEO")
    root = await board.direct_root("UBEN")
    assert "the channel is archived" in words(root)
    fail(board)
    await incident(board, "is failing")
    await board.settle()
    assert incidents(board, other) == []
    board.slack.unarchive(other, "UCLEO")
    await incident(board, "is failing", other)
    assert len(board.slack.messages(root["channel"])) == 1


async def test_the_owner_of_a_subscription_is_replaced_once_deactivated(world):
    """Someone who still has an account is told, whose subscription it was and why; the subscription goes on."""
    other = world.channel("C0OTHER")
    await world.status("subscribe all", channel=other, user="UBEN")
    await world.status("subscribe stripe failing", channel=other, user="UCLEO")
    world.slack.workspace.add_user(replace(world.slack.workspace.users["UBEN"], is_deactivated=True))
    world.slack.archive(other, "UANA")
    await world.direct_root("UCLEO")
    await world.settle()
    told = " ".join(map(words, world.slack.messages(world.slack.workspace.open_im("UCLEO").id)))
    assert "Your subscription to every Stripe integration" in told
    assert "ben's subscription to all integrations" in told
    assert "ben has no account here anymore" in told
    assert world.slack.messages(world.slack.workspace.open_im("UBEN").id) == []
    world.slack.unarchive(other, "UANA")
    await world.slack.wait_for(lambda: "resumed" in "".join(map(words, world.slack.messages(other))), what="it resumes")
    listed = await world.note("subscriptions", channel=other)
    assert "created by ben" in words(listed)
    assert "paused" not in words(listed)


async def test_what_an_archived_channel_missed_is_shown_once_it_opens(board):
    """An incident that ends while its channel is archived is shown as resolved when the channel is unarchived."""
    other = board.channel("C0OTHER")
    await board.status("subscribe all", channel=other, user="UBEN")
    fail(board)
    message = await incident(board, "is failing", other)
    board.slack.archive(other, "UCLEO")
    await board.direct_root("UBEN")
    repair(board)
    await board.slack.wait_for(lambda: refused(board, other), what="an edit that is refused")
    board.slack.unarchive(other, "UCLEO")
    assert (await incident(board, "recovered after", other))["ts"] == message["ts"]
    assert len(refused(board, other)) == 1


def refused(board, channel):
    """Return the edits that Slack refused in a channel."""
    return [
        call
        for call in board.slack.calls
        if call.method == "chat.update" and call.error and call.args["channel"] == channel
    ]


async def test_removal_from_a_private_channel_pauses_it(board):
    """Its subscriptions pause even if no event reported the removal, and resume when the bot is invited again."""
    board.slack.add_channel("G0SECRET", "secret", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0SECRET", user="UBEN")
    board.slack.remove_bot("G0SECRET", "UANA")
    root = await board.direct_root("UBEN")
    assert "I can no longer post there" in words(root)
    fail(board)
    await incident(board, "is failing")
    board.slack.invite_bot("G0SECRET", "UANA")
    await incident(board, "is failing", "G0SECRET")


async def test_a_shared_channel_continues_under_its_new_id(board):
    """A channel that gets another ID keeps its subscription, its incident's message, and its running sync."""
    board.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0PARTNERS")
    fail(board)
    message = await incident(board, "is failing", "G0PARTNERS")
    board.flokit.plan("int_stripe", Plan(0.2, 3, "succeeded"))
    await board.press(message, "flokit_resync", "int_stripe", channel="G0PARTNERS")
    await board.reply(message["ts"], "Sync started by ana", channel="G0PARTNERS")
    board.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
    [outcome] = await board.outcomes(message["ts"], channel="C0PARTNERS")
    assert outcome["outcome"] == "succeeded"
    done = await incident(board, "recovered after", "C0PARTNERS")
    assert done["ts"] == message["ts"]
    repair(board)
    fail(board, error="The account was closed")
    await incident(board, "The account was closed", "C0PARTNERS")


async def test_a_request_under_a_channels_old_id_is_answered_in_its_thread(board):
    """A mention that names the old ID, after the bot knows the new one, is answered in the channel."""
    board.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0PARTNERS", user="UBEN")
    root = board.slack.workspace.post("G0PARTNERS", {"user": "UBEN", "text": "<@UFLOKIT> status"})["ts"]
    board.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
    await board.settle()
    event = {"type": "app_mention", "user": "UBEN", "channel": "G0PARTNERS", "ts": root, "text": "<@UFLOKIT> status"}
    assert (await board.slack.event(event)).ok
    await board.slack.wait_for(lambda: board.slack.messages("C0PARTNERS", root), what="the answer")


async def test_a_channel_continues_although_its_new_id_is_reported_late(board):
    """What was refused under the old ID before the event arrived continues afterwards, even after a crash."""
    board.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0PARTNERS", user="UBEN")
    board.slack.installation.events -= {"channel_id_changed"}
    board.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
    fail(board)
    await board.direct_root("UBEN")
    event = {"type": "channel_id_changed", "old_channel_id": "G0PARTNERS", "new_channel_id": "C0PARTNERS"}
    assert (await board.slack.event(event)).ok
    await board.restart()
    await incident(board, "is failing", "C0PARTNERS")
    await board.settle()
    assert len(incidents(board, "C0PARTNERS")) == 1


async def test_an_incident_that_ends_before_the_new_id_is_reported_is_updated(board):
    """An edit refused under the old ID is made under the new one, although the incident is over."""
    board.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0PARTNERS", user="UBEN")
    fail(board)
    message = await incident(board, "is failing", "G0PARTNERS")
    board.slack.installation.events -= {"channel_id_changed"}
    board.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
    repair(board)
    await board.slack.wait_for(lambda: refused(board, "G0PARTNERS"), what="an edit that is refused")
    await board.settle()
    event = {"type": "channel_id_changed", "old_channel_id": "G0PARTNERS", "new_channel_id": "C0PARTNERS"}
    assert (await board.slack.event(event)).ok
    assert (await incident(board, "recovered after", "C0PARTNERS"))["ts"] == message["ts"]
