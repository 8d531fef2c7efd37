"""The bot is killed at the worst moments; after a restart, each thread gets one outcome, after one POST."""

from __future__ import annotations

import asyncio
import time

import pytest

from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import words


def add_stripe(world, *, duration_s=0.6):
    """Stripe fails, and a sync repairs it."""
    world.flokit.add("int_a", "stripe", status="error", error_message="The signing secret is wrong")
    world.flokit.plan("int_a", Plan(0.1, duration_s, "succeeded"))


@pytest.fixture
def killed(socket_world):
    """A world in which a sync repairs Stripe within about a second."""
    add_stripe(socket_world)
    return socket_world


async def assert_posted_once(world, root, *, channel="C0DATA"):
    """Check that the run continued: one success, one POST, one progress reply, and an updated row."""
    [outcome] = await world.outcomes(root, channel=channel)
    assert outcome["outcome"] == "succeeded"
    await world.slack.wait_for(lambda: "Synced" in words(world.slack.message(channel, root)), 10, "the row")
    await world.settle()
    assert len(world.outcome_messages(root, channel=channel)) == 1
    assert len(world.flokit.posts("int_a")) == 1


async def test_killed_right_after_the_ack_of_a_click(world):
    """What was acked is done, although the process that acked it is gone."""
    add_stripe(world)
    panel = await world.status()
    await world.press(panel, "flokit_resync", "int_a")
    await world.restart()
    await assert_posted_once(world, panel["ts"])


async def test_killed_right_after_the_ack_of_a_typed_sync(killed):
    """A typed sync that was acked starts below one message of its own."""
    await killed.command("sync stripe")
    await killed.restart()
    root = await killed.slack.wait_for(lambda: killed.slack.messages("C0DATA"), 10, "the root")
    await assert_posted_once(killed, root[0]["ts"])
    assert len(killed.slack.messages("C0DATA")) == 1


async def test_killed_between_the_post_and_its_reply(killed):
    """A POST that arrived isn't repeated: the sync that it started is found by checking."""
    killed.flokit.plan("int_a", Plan(0.1, 1.0, "succeeded"))
    panel = await killed.status()
    at_the_post = asyncio.create_task(killed.killed_at(lambda: killed.flokit.posts("int_a")))
    await asyncio.sleep(0)  # from here on, it checks
    await killed.slack.click("UANA", "C0DATA", panel["ts"], "flokit_resync")
    await at_the_post
    root = panel["ts"]
    await killed.start_bot()
    await assert_posted_once(killed, root)


async def test_killed_while_syncing(killed):
    """The watch continues where it was, in the same progress reply."""
    killed.flokit.plan("int_a", Plan(0.1, 1.0, "succeeded"))
    root = await killed.resync("int_a")
    await killed.flokit.wait_for(lambda: killed.flokit.source("int_a").status == "syncing", 10)
    await killed.reply(root, "Sync started by ana")
    await killed.restart()
    await assert_posted_once(killed, root)
    assert len(killed.slack.messages("C0DATA", root)) == 2


async def test_killed_between_an_outcome_and_its_receipt(killed):
    """An outcome that's already in the thread is found, and not posted again."""
    root = await killed.resync("int_a")
    await killed.killed_at(lambda: killed.outcome_messages(root))
    await killed.start_bot()
    await assert_posted_once(killed, root)


async def test_killed_between_the_root_of_a_typed_sync_and_its_receipt(killed):
    """The message that a typed sync posts is found again and becomes the root of its follow-up."""
    at_the_root = asyncio.create_task(killed.killed_at(lambda: killed.slack.messages("C0DATA")))
    await asyncio.sleep(0)  # from here on, it checks for the message
    await killed.command("sync stripe")
    await at_the_root
    await killed.start_bot()
    [root] = killed.slack.messages("C0DATA")
    await assert_posted_once(killed, root["ts"])
    assert len(killed.slack.messages("C0DATA")) == 1


async def test_a_graceful_stop_is_quick_and_loses_nothing(killed):
    """SIGTERM ends the process with 0 within ten seconds; the next process continues at once."""
    killed.flokit.plan("int_a", Plan(0.1, 1.0, "succeeded"))
    root = await killed.resync("int_a")
    await killed.flokit.wait_for(lambda: killed.flokit.source("int_a").status == "syncing", 10)
    began = time.monotonic()
    assert await killed.bot.stop() == 0
    assert time.monotonic() - began < 10
    assert killed.log[-1]["event"] == "stopped"
    await killed.start_bot()
    await assert_posted_once(killed, root)
