"""The main job: see what's failing, resync it, and read in the thread what really happened."""

from __future__ import annotations

import pytest

from sandbox.local_flokit.sources import Plan

STRIPE = "int_01hx4j7stripe"


def add_failing_stripe(flokit):
    """Add a Stripe that fails with the documented error and has counted some events, and a healthy RevenueCat."""
    flokit.add("int_01hx4j7revenuecat", "revenuecat")
    flokit.add(
        STRIPE, "stripe", status="error", error_message="Webhook signature verification failed", events_total=1000
    )


@pytest.fixture
def failing(world):
    """A world in which Stripe fails, for each transport."""
    add_failing_stripe(world.flokit)
    return world


async def test_a_resync_ends_with_one_truthful_outcome_in_the_thread(failing):
    """Status, Resync, progress, success: one POST, one progress reply, one outcome, and an updated row."""
    failing.flokit.plan(STRIPE, Plan(start_lag_s=0.2, duration_s=0.6, ending="succeeded", new_events=120))
    panel = await failing.status()
    assert panel["text"].startswith("1 of 2 integrations needs attention: Stripe")

    await failing.press(panel, "flokit_resync", STRIPE)
    [outcome] = await failing.outcomes(panel["ts"])

    assert outcome["outcome"] == "succeeded"
    assert outcome["integration_id"] == STRIPE
    assert outcome["sync_id"].startswith("sync_")
    assert len(failing.flokit.posts(STRIPE)) == 1
    replies = failing.slack.messages("C0DATA", panel["ts"])
    assert len(replies) == 2
    assert "120 new events" in replies[-1]["text"]
    assert "<@UANA>" in replies[-1]["text"]
    await failing.slack.wait_for(
        lambda: failing.slack.message("C0DATA", panel["ts"])["text"].startswith("No integration needs attention"),
        what="the row",
    )


async def test_an_old_error_is_not_reported_as_new(socket_world):
    """FloKit still shows the error from before the click until the sync starts."""
    add_failing_stripe(socket_world.flokit)
    socket_world.flokit.plan(STRIPE, Plan(start_lag_s=0.7, duration_s=0.3, ending="succeeded"))
    root = await socket_world.resync(STRIPE)
    [outcome] = await socket_world.outcomes(root)
    assert outcome["outcome"] == "succeeded"
    progress = socket_world.slack.messages("C0DATA", root)[0]
    first = socket_world.slack.history("C0DATA", progress["ts"])[0]
    assert "failed" not in first["text"]
