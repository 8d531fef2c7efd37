"""FloKit fails, lies or is down: "couldn't check" is never reported as "it failed", and nothing is started twice."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.local_flokit.faults import Fault
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import words

LAST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
ERROR = "The signing secret is wrong"


@pytest.fixture
def troubled(socket_world):
    """A world in which Stripe fails, and a sync would repair it within a second."""
    socket_world.flokit.add("int_a", "stripe", status="error", error_message=ERROR, last_synced_at=LAST)
    socket_world.flokit.plan("int_a", Plan(0.2, 0.6, "succeeded"))
    return socket_world


async def test_failed_checks_are_not_an_outcome(troubled):
    """A 429 on the POST, then a 500, garbage, half a reply and a hang."""
    panel = await troubled.status()
    troubled.flokit.faults.add(Fault("ratelimited", "POST", "int_a", retry_after="1"))
    await troubled.press(panel, "flokit_resync", "int_a")
    await troubled.flokit.wait_for(lambda: accepted(troubled), 10)
    for kind in ("http_500", "garbage", "truncated", "hang"):
        troubled.flokit.faults.add(Fault(kind, "GET", "int_a"))
    progress = await troubled.reply(panel["ts"], "been able to reach FloKit since")
    [outcome] = await troubled.outcomes(panel["ts"])
    assert outcome["outcome"] == "succeeded"
    limited, _ = troubled.flokit.posts("int_a")
    assert limited.status == 429
    after = next(request for request in troubled.flokit.requests if request.at > limited.at)
    assert (after.at - limited.at).total_seconds() >= 1
    versions = troubled.slack.history("C0DATA", progress["ts"])
    assert not [version for version in versions if "failed" in version["text"]]


async def test_the_bot_waits_while_flokit_is_down(troubled):
    """Down from the click on, then again during the sync: the thread says so, and then gets the right outcome."""
    panel = await troubled.status()
    troubled.flokit.down = True
    await troubled.press(panel, "flokit_resync", "int_a")
    await troubled.reply(panel["ts"], "been able to reach FloKit since")
    troubled.flokit.plan("int_a", Plan(0.0, 1.0, "failed", error_message="The account was closed"))
    troubled.flokit.down = False
    await troubled.flokit.wait_for(lambda: troubled.flokit.posts("int_a")[-1:] and accepted(troubled), 10)
    troubled.flokit.down = True
    looks = len(troubled.flokit.requests)
    await troubled.flokit.wait_for(lambda: len(troubled.flokit.requests) >= looks + 2, 10)
    assert not troubled.outcome_messages(panel["ts"])
    troubled.flokit.down = False
    [outcome] = await troubled.outcomes(panel["ts"])
    assert outcome["outcome"] == "failed"
    assert "The account was closed" in words(troubled.outcome_messages(panel["ts"])[0])
    assert accepted(troubled) == 1


def accepted(world):
    """Count the syncs that FloKit accepted with a reply."""
    return len([request for request in world.flokit.posts("int_a") if request.status == 200])


LOST = {"done_then_drop": 1, "drop": 2, "http_500": 2}
"""How the reply to a POST is lost, and how many POSTs it takes then."""


async def test_a_sync_request_is_repeated_only_if_it_was_lost(make_world):
    """A sync that began isn't requested again; one that didn't begin is, after the grace time."""
    async with make_world() as world:
        for kind in LOST:
            world.flokit.add(f"int_{kind}", "stripe", status="error", error_message=ERROR, last_synced_at=LAST)
            world.flokit.plan(f"int_{kind}", Plan(0.2, 0.6, "succeeded"))
            world.flokit.faults.add(Fault(kind, "POST", f"int_{kind}/"))
        await world.start_bot()
        channels = {kind: world.channel(f"C0{kind.upper()}") for kind in LOST}
        roots = {kind: await world.status(f"sync int_{kind}", channel=channels[kind]) for kind in LOST}
        for kind, expected in LOST.items():
            [outcome] = await world.outcomes(roots[kind]["ts"], channel=channels[kind])
            assert outcome["outcome"] == "succeeded"
            posts = world.flokit.posts(f"int_{kind}")
            assert len(posts) == expected
            assert len({post.idempotency_key for post in posts}) == 1
            if expected > 1:  # the grace time of 1 s counts from before the POST is sent, which may take a while
                assert (posts[1].at - posts[0].at).total_seconds() > 0.3


async def test_without_flokit_old_data_is_labeled_as_old(make_world):
    """The answer says that this isn't about the syncs; Refresh keeps what was known."""
    async with make_world() as world:
        world.flokit.add("int_a", "stripe", status="error", error_message=ERROR)
        world.flokit.down = True
        await world.start_bot()
        assert "no earlier data to show" in (await world.note("status"))["text"]
        world.flokit.down = False
        panel = await world.status()
        world.flokit.down = True
        await asyncio.sleep(1.1)  # within a second, checks are shared
        await world.press(panel, "flokit_refresh")
        await world.slack.wait_for(
            lambda: "FloKit can't be reached" in world.slack.message("C0DATA", panel["ts"])["text"], 10, "a warning"
        )
        assert ERROR in words(world.slack.message("C0DATA", panel["ts"]))
        await world.restart()
        again = await world.status()
        assert "FloKit can't be reached" in again["text"]
        assert ERROR in words(again)


async def test_a_flokit_that_hangs_does_not_keep_people_waiting(make_world):
    """Each question is answered from known data within three seconds, and immediately once the circuit is open."""
    async with make_world() as world:
        world.flokit.add("int_a", "stripe", status="error", error_message=ERROR)
        await world.start_bot()
        await world.status()
        world.flokit.faults.add(Fault("hang", times=None))
        await asyncio.sleep(3)  # a list this old is shown without asking
        took = []
        for _ in range(3):
            began = time.monotonic()
            assert "FloKit can't be reached" in (await world.status())["text"]
            took.append(time.monotonic() - began)
        assert max(took) < 4
        assert len(world.flokit.requests) < 15
