"""Each way in which a sync can end is reported once, as what it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sandbox.local_flokit import READ_KEY
from sandbox.local_flokit.faults import Fault
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import buttons, words

OLD_ERROR = "The signing secret is wrong"
NEW_ERROR = "The account was closed"
GRACE_S = 1.0

ENDINGS = {
    "seen_and_good": (Plan(0.2, 1.2, "succeeded"), "succeeded"),
    "hidden_and_good": (Plan(0.1, 0.4, "hidden"), "succeeded"),
    "seen_same_error": (Plan(0.2, 1.2, "failed_same"), "failed"),
    "unseen_same_error": (Plan(0.2, 0.0, "failed_same"), "failed_again"),
    "unseen_new_error": (Plan(0.2, 0.0, "failed", error_message=NEW_ERROR), "failed"),
    "disconnected": (Plan(0.2, 0.5, "disconnected"), "disconnected"),
    "unproven": (Plan(0.2, 1.2, "unproven"), "finished_unproven"),
    "removed": (Plan(0.2, 0.5, "vanish"), "gone"),
    "ignored": (Plan(ending="ignored"), "failed_again"),
}

SENTENCES = {
    "succeeded": "synced in",
    "failed": "failed after",
    "failed_again": "still failing, with the same error",
    "disconnected": "FloKit → Settings → Integrations",
    "finished_unproven": "shows no new successful sync",
    "gone": "no longer in FloKit",
}


async def test_each_ending_is_reported_as_what_it_is(make_world):
    """Nine integrations with an old error end in nine ways; each thread gets its own outcome, after one POST each."""
    async with make_world(FOLLOW_UP_FIRST_LOOK_S="0.3", FOLLOW_UP_MAX_INTERVAL_S="0.6") as world:
        for ending, (plan, _) in ENDINGS.items():
            world.flokit.add(f"int_{ending}", "stripe", status="error", error_message=OLD_ERROR, last_synced_at=LAST)
            world.flokit.plan(f"int_{ending}", plan)
        await world.start_bot()

        async def sync(ending):
            channel = world.channel(f"C0{ending.upper()}")
            root = await world.status(f"sync int_{ending}", channel=channel)
            [outcome] = await world.outcomes(root["ts"], channel=channel)
            return outcome, world.outcome_messages(root["ts"], channel=channel)[0]

        ended = dict(zip(ENDINGS, await asyncio.gather(*map(sync, ENDINGS)), strict=True))

        assert {ending: outcome["outcome"] for ending, (outcome, _) in ended.items()} == {
            ending: expected for ending, (_, expected) in ENDINGS.items()
        }
        for ending, (outcome, message) in ended.items():
            assert len(world.flokit.posts(f"int_{ending}")) == 1
            assert SENTENCES[outcome["outcome"]] in words(message)
        for ending in ("unseen_same_error", "ignored"):
            posted_at = world.flokit.posts(f"int_{ending}")[0].at.timestamp()
            assert float(ended[ending][1]["ts"]) - posted_at >= GRACE_S


LAST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


async def test_a_new_error_comes_with_advice_and_try_again(socket_world):
    """The message quotes the error and says what to check; Try again starts a new run in the same thread."""
    socket_world.flokit.add("int_a", "stripe", status="error", error_message=OLD_ERROR, last_synced_at=LAST)
    socket_world.flokit.plan("int_a", Plan(0.2, 0.3, "failed", error_message=NEW_ERROR))
    root = await socket_world.resync("int_a")
    [first] = await socket_world.outcomes(root)
    assert first["outcome"] == "failed"
    message = socket_world.outcome_messages(root)[0]
    assert NEW_ERROR in words(message)
    assert "signing secret" in words(message)

    socket_world.flokit.plan("int_a", Plan(0.2, 0.3, "succeeded"))
    await socket_world.press(message, "flokit_try_again", "int_a", user="UBEN")
    second = (await socket_world.outcomes(root, 2))[1]
    assert second["outcome"] == "succeeded"
    assert second["run_id"] != first["run_id"]
    assert len(socket_world.flokit.posts("int_a")) == 2
    await socket_world.slack.wait_for(
        lambda: socket_world.slack.message("C0DATA", root)["text"].startswith("No integration needs attention"),
        what="the row of the message above",
    )


async def test_a_sync_that_was_already_running_is_mentioned(socket_world):
    socket_world.flokit.add("int_a", "stripe", last_synced_at=LAST)
    socket_world.flokit.plan("int_a", Plan(0.0, 0.7, "succeeded"))
    socket_world.flokit.begin_sync("int_a")
    root = await socket_world.resync("int_a")
    [outcome] = await socket_world.outcomes(root)
    assert outcome["outcome"] == "succeeded"
    assert "already running" in words(socket_world.outcome_messages(root)[0])


async def test_a_key_rotated_during_a_sync_is_not_a_failure(socket_world):
    """The thread says that access was lost and that the sync was started."""
    socket_world.flokit.add("int_a", "stripe", last_synced_at=LAST)
    socket_world.flokit.plan("int_a", Plan(ending="stuck", start_lag_s=0.1))
    root = await socket_world.resync("int_a")
    await socket_world.flokit.wait_for(lambda: is_syncing_and_looked_at(socket_world), 10)
    del socket_world.flokit.keys[READ_KEY]
    [outcome] = await socket_world.outcomes(root)
    assert outcome["outcome"] == "access_lost"
    assert "The sync started" in words(socket_world.outcome_messages(root)[0])
    assert "FloKit refuses my API key" in words(await socket_world.note("show stripe", user="UBEN"))


def is_syncing_and_looked_at(world):
    """Return whether the newest request is a check of a sync that has begun."""
    return world.flokit.source("int_a").status == "syncing" and world.flokit.requests[-1].method == "GET"


async def test_a_refused_start_is_reported_at_once(make_world):
    """A read-only key, a 409 and a 422."""
    async with make_world(FLOKIT_SYNC_API_KEY=READ_KEY) as world:
        for name, status in (("busy", 409), ("wrong", 422), ("denied", None)):
            world.flokit.add(f"int_{name}", "stripe", last_synced_at=LAST)
            if status:
                body = f'{{"error": "no", "message": "because it is {name}"}}'
                world.flokit.faults.add(Fault("http_status", "POST", f"int_{name}/", status=status, body=body))
        await world.start_bot()
        for name, expected in (("busy", "not_confirmed"), ("wrong", "not_confirmed"), ("denied", "access_lost")):
            channel = world.channel(f"C0{name.upper()}")
            root = await world.status(f"sync int_{name}", channel=channel)
            [outcome] = await world.outcomes(root["ts"], channel=channel, timeout_s=8)
            text = words(world.outcome_messages(root["ts"], channel=channel)[0])
            assert outcome["outcome"] == expected
            assert "Nothing was started" in text
            assert "read-write key" in text if name == "denied" else f"because it is {name}" in text
            assert "flokit_keep_watching" not in text
            assert len(world.flokit.posts(f"int_{name}")) == 1


async def test_a_late_result_is_posted_once(make_world):
    """With or without a press on Keep watching."""
    async with make_world(FOLLOW_UP_DEADLINE_S="1.2", FOLLOW_UP_MAX_INTERVAL_S="0.15") as world:
        for name in ("left", "kept"):
            world.flokit.add(f"int_{name}", "stripe", last_synced_at=LAST)
            world.flokit.plan(f"int_{name}", Plan(0.1, 600, "succeeded"))
        await world.start_bot()
        elsewhere = world.channel("C0KEPT")
        left = (await world.status("sync int_left"))["ts"]
        kept = (await world.status("sync int_kept", channel=elsewhere))["ts"]
        for root, channel in ((left, "C0DATA"), (kept, elsewhere)):
            [outcome] = await world.outcomes(root, channel=channel)
            assert outcome["outcome"] == "not_confirmed"
        unconfirmed = world.outcome_messages(kept, channel=elsewhere)[0]
        assert "Stripe: no result" in unconfirmed["text"]
        assert [button["action_id"] for button in buttons(unconfirmed)] == ["flokit_keep_watching", "flokit_try_again"]

        await world.press(unconfirmed, "flokit_keep_watching", user="UBEN", channel=elsewhere)
        await world.reply(kept, "still watching, until", channel=elsewhere)
        world.flokit.set("int_left", status="connected", last_synced_at=datetime.now(UTC))
        world.flokit.set("int_kept", status="error", error_message=NEW_ERROR)
        ends = [await world.outcomes(left, 2), await world.outcomes(kept, 2, channel=elsewhere)]
        assert [end[1]["outcome"] for end in ends] == ["succeeded", "failed"]
        assert "Late result" in world.outcome_messages(left)[1]["text"]
        assert [len(world.flokit.posts(f"int_{name}")) for name in ("left", "kept")] == [1, 1]
