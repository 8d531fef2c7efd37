"""Alerts in a channel: a failure is one message, updated in place until it recovers, and no one is notified twice."""

from __future__ import annotations

from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import words
from tests.scenarios.watching import ERROR, fail, incident, incidents, repair


async def test_a_failure_is_one_message_that_turns_green(board):
    """A failure that recovers without a resync is one message, updated, with one reply."""
    fail(board)
    message = await incident(board, "is failing")
    assert ERROR in words(message)
    repair(board)
    done = await incident(board, "recovered after")
    assert done["ts"] == message["ts"]
    await board.reply(message["ts"], "recovered after")
    await board.settle()
    assert len(board.slack.messages("C0DATA", message["ts"])) == 1
    assert len(incidents(board)) == 1


async def test_a_resync_from_an_incident_reports_in_its_thread(board):
    """The incident's message says who pressed it."""
    fail(board)
    message = await incident(board, "is failing")
    board.flokit.plan("int_stripe", Plan(0.1, 0.6, "succeeded"))
    await board.press(message, "flokit_resync", "int_stripe")
    await incident(board, "resync started by <@UANA>")
    [outcome] = await board.outcomes(message["ts"])
    assert outcome["outcome"] == "succeeded"
    done = await incident(board, "recovered after")
    assert done["ts"] == message["ts"]
    assert "resync by ana" in words(done)
    await board.settle()
    assert "recovered after" not in "".join(map(words, board.slack.messages("C0DATA", message["ts"])))
    assert len(incidents(board)) == 1


async def test_a_recovery_after_a_failed_resync_is_posted(board):
    fail(board)
    message = await incident(board, "is failing")
    board.flokit.plan("int_stripe", Plan(0.1, 0.5, "failed", error_message=ERROR))
    await board.press(message, "flokit_resync", "int_stripe")
    await board.outcomes(message["ts"])
    repair(board)
    await board.reply(message["ts"], "recovered after")


async def test_a_resync_that_fails_with_a_different_error_is_posted_once(board):
    """The outcome already says it in that thread."""
    fail(board)
    message = await incident(board, "is failing")
    board.flokit.plan("int_stripe", Plan(0.1, 0.5, "failed", error_message="The account was closed"))
    await board.press(message, "flokit_resync", "int_stripe")
    await board.outcomes(message["ts"])
    await incident(board, "The account was closed")
    await board.settle()
    assert "with a different error" not in "".join(map(words, board.slack.messages("C0DATA", message["ts"])))


async def test_a_different_error_is_posted_in_the_thread(board):
    """At most one reply in ten minutes; the message shows each error."""
    fail(board)
    message = await incident(board, ERROR)
    fail(board, error="The account was closed")
    await incident(board, "The account was closed")
    await board.reply(message["ts"], "with a different error")
    board.flokit.set("int_stripe", status="disconnected", error_message=None)
    await incident(board, "is disconnected")
    await board.settle()
    assert len(board.slack.messages("C0DATA", message["ts"])) == 1
    await board.move_clock(minutes=11)
    await board.reply(message["ts"], "is disconnected now")
    assert len(incidents(board)) == 1


async def test_a_recovery_is_posted_wherever_the_failure_was(board):
    """Even if it meanwhile became a kind of trouble that the channel didn't subscribe to."""
    other = board.channel("C0OTHER")
    await board.status("subscribe all failing, recovered", channel=other)
    fail(board)
    message = await incident(board, "is failing", other)
    board.flokit.set("int_stripe", status="disconnected", error_message=None)
    await incident(board, "is disconnected", other)
    repair(board)
    await board.reply(message["ts"], "recovered after", channel=other)
    await board.settle()
    assert len(board.slack.messages(other, message["ts"])) == 1


async def test_a_failure_from_a_resync_is_not_posted_again(board):
    """The recovery is a reply in its thread."""
    board.flokit.plan("int_stripe", Plan(0.1, 0.5, "failed", error_message=ERROR))
    root = await board.resync("int_stripe")
    [outcome] = await board.outcomes(root)
    assert outcome["outcome"] == "failed"
    other = board.channel("C0OTHER")
    await board.status("subscribe all", channel=other)
    await incident(board, "is failing", other)
    assert incidents(board) == []
    repair(board)
    await board.reply(root, "recovered after")
    await incident(board, "recovered after", other)
    assert incidents(board) == []


async def test_channels_get_only_what_they_subscribed_to(board):
    stale, adjust = board.channel("C0STALE"), board.channel("C0ADJUST")
    await board.status("subscribe all stale", channel=stale)
    await board.status("subscribe adjust failing", channel=adjust)
    fail(board)
    await incident(board, "is failing")
    fail(board, "int_adjust")
    await incident(board, "is failing", adjust)
    await board.settle()
    assert len(incidents(board)) == 2
    assert len(incidents(board, adjust)) == 1
    assert incidents(board, stale) == []


async def test_unsubscribing_without_a_subscription_lists_the_existing_ones(board):
    """The integration that was named has no subscription here."""
    answer = words(await board.note("unsubscribe stripe"))
    assert "This channel has no subscription to every Stripe integration. It has: all integrations." in answer
    assert "Closest matches: Stripe" in words(await board.note("unsubscribe stripes"))


async def test_an_integration_without_a_recent_success_is_an_incident(board):
    """Even though FloKit calls it connected."""
    await board.move_clock(hours=25)
    message = await incident(board, "is connected, but stale")
    board.flokit.set("int_stripe", last_synced_at=board.clock.now())
    board.flokit.set("int_adjust", last_synced_at=board.clock.now())
    await board.slack.wait_for(
        lambda: all("recovered after" in words(one) for one in incidents(board)), 10, "both recovered"
    )
    assert message["ts"] in {one["ts"] for one in incidents(board)}


async def test_an_unsubscription_is_undone_with_its_button(world):
    """Everything is as before; the message says who did it, and the button is gone."""
    subscribed = "failing, recovered; digest weekdays at 09:00"
    await world.status("subscribe all failing, recovered digest 09:00 weekdays", user="UBEN")
    removed = await world.status("unsubscribe all")
    assert "no subscriptions" in words(await world.note("subscriptions"))
    await world.press(removed, "flokit_undo", user="UCLEO")
    await world.reply(removed["ts"], "restored this channel's subscription to all integrations")
    await world.settle()
    assert "cleo has undone this" in words(world.slack.message("C0DATA", removed["ts"]))
    assert "flokit_undo" not in words(world.slack.message("C0DATA", removed["ts"]))
    listed = words(await world.note("subscriptions"))
    assert subscribed in listed
    assert "created by ben" in listed
