"""FloKit writes data in unusual but plausible ways: outcomes stay true, and nothing is started twice."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.local_flokit.faults import Fault
from sandbox.local_flokit.quirks import ACCEPTANCES, Quirks
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import words

LAST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
ERROR = "Webhook signature verification failed — check your signing secret"
STRIPES = "{error} (request {request})"


async def sync(world, integration_id):
    """Sync in a new channel, and return the outcome and its message."""
    channel = world.channel(f"C0{integration_id.upper().replace('_', '')}")
    root = await world.status(f"sync {integration_id}", channel=channel)
    [outcome] = await world.outcomes(root["ts"], channel=channel)
    return outcome["outcome"], words(world.outcome_messages(root["ts"], channel=channel)[0])


@pytest.mark.parametrize(
    "forms",
    [
        (STRIPES,),
        ("{error}, retry in 5 minutes", "{error}, retry in an hour", "{error}, retry now"),
        ("{error} on Mon, 4 May at 10:00", "{error} on Tuesday, 5 May at 11:12:13 UTC"),
        ("The old words", "Quite another error", "{error}"),
    ],
    ids=["request IDs", "countdowns", "dates", "other words"],
)
async def test_an_old_error_that_varies_is_not_a_new_failure(make_world, forms):
    async with make_world(FOLLOW_UP_GRACE_S="6") as world:
        world.flokit.quirks = Quirks(error_forms=forms)
        world.flokit.add("int_a", "stripe", status="error", error_message=ERROR, last_synced_at=LAST)
        world.flokit.plan("int_a", Plan(2.0, 0.6, "succeeded"))
        await world.start_bot()
        assert (await sync(world, "int_a"))[0] == "succeeded"
        assert len(world.flokit.posts("int_a")) == 1


async def test_an_old_error_that_varies_is_reported_as_the_same(make_world):
    async with make_world() as world:
        world.flokit.quirks = Quirks(error_forms=(STRIPES,))
        world.flokit.add("int_a", "stripe", status="error", error_message=ERROR, last_synced_at=LAST)
        world.flokit.plan("int_a", Plan(ending="ignored"))
        await world.start_bot()
        assert (await sync(world, "int_a"))[0] == "failed_again"


LISTS = {
    "cuts and rounds": Quirks(list_cuts_errors_at=20, list_rounds_to_s=3600, error_forms=(STRIPES,)),
    "lags": Quirks(list_lags_s=2.0),
    "never moves": Quirks(list_lags_s=math.inf),
    "leaves out": Quirks(list_leaves_out=frozenset({"int_good", "int_same", "int_new"})),
}


@pytest.mark.parametrize("quirks", LISTS.values(), ids=LISTS)
async def test_an_inexact_list_causes_no_outcome(make_world, quirks):
    """The list truncates, rounds, lags or freezes; each sync still ends with what really happened."""
    async with make_world() as world:
        plans = {
            "int_good": (Plan(0.3, 3.0, "succeeded"), "succeeded"),
            "int_new": (Plan(0.3, 2.0, "failed", error_message="The account was closed"), "failed"),
            "int_same": (Plan(ending="ignored"), "failed_again"),
            "int_unproven": (Plan(0.3, 2.0, "unproven"), "finished_unproven"),
        }
        for integration_id, (plan, _) in plans.items():
            world.flokit.add(integration_id, "stripe", status="error", error_message=ERROR, last_synced_at=LAST)
            world.flokit.plan(integration_id, plan)
        await world.start_bot()
        await world.status()
        if not quirks.list_leaves_out:  # a name that no list shows can't be typed
            world.flokit.quirks = quirks
        syncs = [asyncio.create_task(sync(world, integration_id)) for integration_id in plans]
        await world.flokit.wait_for(lambda: all(map(world.flokit.posts, plans)), 10)
        world.flokit.quirks = quirks
        ended = await asyncio.gather(*syncs)
        assert [outcome for outcome, _ in ended] == [outcome for _, outcome in plans.values()]
        assert [len(world.flokit.posts(integration_id)) for integration_id in plans] == [1] * 4


async def test_a_last_success_that_moved_back_is_reported(socket_world):
    """FloKit's clock went back: the success is older than the earlier one, so it proves nothing."""
    now = datetime.now(UTC).replace(microsecond=0)
    socket_world.flokit.add("int_a", "stripe", last_synced_at=now)
    socket_world.flokit.clock_skew_s = -7200
    socket_world.flokit.plan("int_a", Plan(0.2, 1.0, "succeeded"))
    outcome, text = await sync(socket_world, "int_a")
    assert outcome == "finished_unproven"
    assert "moved back from" in text
    assert "still" not in text


async def test_an_unchanged_last_success_is_called_unchanged(socket_world):
    socket_world.flokit.add("int_a", "stripe", last_synced_at=LAST)
    socket_world.flokit.plan("int_a", Plan(0.2, 1.0, "unproven"))
    outcome, text = await sync(socket_world, "int_a")
    assert outcome == "finished_unproven"
    assert f"its last successful sync is still <!date^{LAST.timestamp():.0f}^" in text


async def test_times_in_other_forms_prove_a_success(socket_world):
    """Any form works that can be parsed without guessing."""
    for form in ("lower case", "nanoseconds", "short offset", "epoch", "epoch milliseconds", "rfc 1123"):
        integration_id = f"int_{form.replace(' ', '')}"
        socket_world.flokit.quirks = Quirks(time_form=form)
        socket_world.flokit.add(integration_id, "stripe", last_synced_at=LAST)
        socket_world.flokit.plan(integration_id, Plan(0.1, 0.5, "succeeded"))
        assert (await sync(socket_world, integration_id))[0] == "succeeded"


@pytest.mark.parametrize("form", ["unreadable", "not a text"])
async def test_an_unreadable_time_is_reported(make_world, form):
    """The sync ends without proof and says why; the log has the time's shape, once."""
    async with make_world() as world:
        world.flokit.quirks = Quirks(time_form=form)
        world.flokit.add("int_a", "stripe", last_synced_at=LAST)
        world.flokit.plan("int_a", Plan(0.2, 1.0, "succeeded"))
        await world.start_bot()
        outcome, text = await sync(world, "int_a")
        assert outcome == "finished_unproven"
        assert "in a format I can't read" in text
        assert "never synced" not in text
        assert "at a time I can't read" in words(await world.status())
        assert len([entry for entry in world.log if entry["event"] == "time_not_readable"]) == 1


async def test_every_2xx_accepts_the_sync(socket_world):
    """It's requested once, even if the reply isn't a JSON object, and followed to its end."""

    async def accepted_as(kind):
        integration_id = f"int_{kind.replace(' ', '')}"
        socket_world.flokit.quirks = Quirks(accepts=kind)
        socket_world.flokit.add(integration_id, "stripe", status="error", error_message=ERROR, last_synced_at=LAST)
        socket_world.flokit.plan(integration_id, Plan(2.5, 0.3, "hidden"))
        channel = socket_world.channel(f"C0{integration_id.upper().replace('_', '')}")
        root = await socket_world.status(f"sync {integration_id}", channel=channel)
        await socket_world.flokit.wait_for(lambda: socket_world.flokit.posts(integration_id), 10)
        return integration_id, root["ts"], channel

    for integration_id, root, channel in [await accepted_as(kind) for kind in ACCEPTANCES]:
        await socket_world.outcomes(root, channel=channel)
        assert len(socket_world.flokit.posts(integration_id)) == 1


async def test_states_in_capitals_and_unknown_states(make_world):
    """ERROR is failing, and an unknown state never means healthy."""
    async with make_world() as world:
        world.flokit.quirks = Quirks(status_form=lambda status: f" {status.upper()} ")
        world.flokit.add("int_a", "stripe", status="error", error_message=ERROR, last_synced_at=LAST)
        world.flokit.add("int_b", "adjust", status="paused", last_synced_at=LAST)
        world.flokit.plan("int_a", Plan(0.2, 0.6, "succeeded"))
        await world.start_bot()
        text = (await world.status())["text"]
        assert text.startswith("1 of 2 integrations needs attention, 1 in a state I don't know: Stripe is failing")
        assert (await sync(world, "int_a"))[0] == "succeeded"
        text = (await world.status())["text"]
        assert text.startswith("1 of 2 integrations is in a state I don't know")
        assert "No integration needs attention" not in text


async def test_a_pause_of_a_day_is_reported(make_world):
    """The answer says how long FloKit asked the bot to wait, and what the bot does instead."""
    async with make_world() as world:
        world.flokit.add("int_a", "stripe", last_synced_at=LAST)
        world.flokit.faults.add(Fault("ratelimited", retry_after="86400"))
        await world.start_bot()
        text = words(await world.note("status"))
        assert "asked for a pause of 24 h; I'll ask again after 5 min" in text
