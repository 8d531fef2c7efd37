"""The channel as a live board: a failure is one message, which turns green in place; nobody is told twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest_asyncio

from bot.sandbox.flokit.sources import Plan
from tests.scenarios.conftest import running_world, words

ERROR = "The signing secret is wrong"
WATCHFUL = {"WATCH_INTERVAL_S": "0.3", "WATCH_CONFIRM_S": "0.2"}


def just_now():
    """Return a time of success that is newer than any before."""
    return datetime.now(UTC)


@pytest_asyncio.fixture
async def board(tmp_path):
    """A world with a healthy Stripe and Adjust, watched all the time; the channel C0DATA is subscribed to all."""
    async with running_world(tmp_path, **WATCHFUL) as world:
        fine = just_now() - timedelta(minutes=5)
        world.flokit.add("int_stripe", "stripe", status="connected", last_synced_at=fine)
        world.flokit.add("int_adjust", "adjust", status="connected", last_synced_at=fine)
        await world.start_bot()
        await world.status("subscribe all")
        yield world


def incidents(world, channel="C0DATA"):
    """Return the messages of incidents in a channel."""
    return [
        message
        for message in world.slack.messages(channel)
        if "flokit_snooze" in words(message) or "recovered after" in words(message)
    ]


async def incident(world, part, channel="C0DATA"):
    """Wait for the one message of an incident that says ``part``."""
    return await world.slack.wait_for(
        lambda: next((one for one in incidents(world, channel) if part in words(one)), None), 10, f"an incident: {part}"
    )


def fail(world, integration_id="int_stripe", error=ERROR):
    """Let an integration fail."""
    world.flokit.set(integration_id, status="error", error_message=error)


def repair(world, integration_id="int_stripe"):
    """Let an integration have a new success."""
    world.flokit.set(integration_id, status="connected", error_message=None, last_synced_at=just_now())


async def test_failure_is_one_message_that_turns_green(board):
    """What fails by itself and recovers by itself is one message, edited, with one reply."""
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


async def test_resync_from_the_incident_stands_in_its_thread(board):
    """A Resync pressed on an incident tells its outcome in the same thread, and the message says by whom."""
    fail(board)
    message = await incident(board, "is failing")
    board.flokit.plan("int_stripe", Plan(0.1, 0.6, "succeeded"))
    await board.press(message, "flokit_resync", "int_stripe")
    await incident(board, "resync started by <@UANA>")
    [outcome] = await board.outcomes(message["ts"])
    assert outcome["outcome"] == "succeeded"
    done = await incident(board, "recovered after")
    assert done["ts"] == message["ts"]
    assert "resync by <@UANA>" in words(done)
    await board.settle()
    assert "recovered after" not in "".join(map(words, board.slack.messages("C0DATA", message["ts"])))
    assert len(incidents(board)) == 1
