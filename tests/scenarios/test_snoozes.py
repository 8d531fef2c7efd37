"""A snoozed incident is quiet for as long as was asked, and no longer."""

from __future__ import annotations

from tests.scenarios.conftest import words
from tests.scenarios.watching import fail, incident, incidents, repair


async def snooze(world, message, choice, channel="C0DATA"):
    """Choose from the Snooze menu of an incident."""
    shown = world.slack.message(channel, message["ts"])
    value = next(
        option["value"]
        for block in shown["blocks"]
        for element in block.get("elements", [])
        if element.get("action_id") == "flokit_snooze"
        for option in element["options"]
        if choice in option["value"]
    )
    ack = await world.slack.click("UANA", channel, message["ts"], "flokit_snooze", value=value)
    assert ack.ok, world.bot.log


async def test_a_snooze_ends_after_its_time_and_says_so_once(board):
    fail(board)
    message = await incident(board, "is failing")
    await snooze(board, message, "1h")
    await incident(board, "snoozed by ana")
    await board.move_clock(minutes=61)
    await board.reply(message["ts"], "Snooze ended")
    await board.slack.wait_for(lambda: "snoozed by" not in words(incidents(board)[0]), 10, "no snooze")
    await board.settle()
    assert len(board.slack.messages("C0DATA", message["ts"])) == 1


async def test_a_snoozed_incident_that_recovers_stays_quiet(board):
    """Its message shows the recovery, and nothing is posted."""
    fail(board)
    message = await incident(board, "is failing")
    await snooze(board, message, "recovered")
    await incident(board, "snoozed by ana")
    repair(board)
    await incident(board, "recovered after")
    await board.settle()
    assert board.slack.messages("C0DATA", message["ts"]) == []


async def test_another_failure_breaks_a_snooze(board):
    """A different failure is reported even if the first one is snoozed."""
    fail(board)
    message = await incident(board, "is failing")
    await snooze(board, message, "4h")
    await incident(board, "snoozed by ana")
    fail(board, error="The account was closed")
    await board.reply(message["ts"], "with a different error")
    await board.slack.wait_for(lambda: "snoozed by" not in words(incidents(board)[0]), 10, "no snooze")


async def test_a_snooze_that_ends_after_an_unsubscribe_says_nothing(board):
    """The channel is no longer subscribed, so the end of the snooze isn't posted; the message shows it."""
    fail(board)
    message = await incident(board, "is failing")
    await snooze(board, message, "1h")
    await incident(board, "snoozed by ana")
    await board.status("unsubscribe all")
    await board.move_clock(minutes=61)
    await board.slack.wait_for(lambda: "snoozed by" not in words(incidents(board)[0]), 10, "no snooze")
    await board.settle()
    assert board.slack.messages("C0DATA", message["ts"]) == []
