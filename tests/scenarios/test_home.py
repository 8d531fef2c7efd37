"""App Home: one page for one person, updated when they open it and when something on it changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from bot.workers.homes import FRESH_FOR
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import running_world, words

WATCHFUL = {"WATCH_INTERVAL_S": "0.3", "WATCH_CONFIRM_S": "0.2"}


@pytest_asyncio.fixture
async def world(tmp_path):
    """A world with a failing Stripe and a healthy Adjust."""
    async with running_world(tmp_path, **WATCHFUL) as world:
        last = datetime.now(UTC) - timedelta(minutes=5)
        world.flokit.add(
            "int_stripe", "stripe", status="error", error_message="The secret is wrong", last_synced_at=last
        )
        world.flokit.add("int_adjust", "adjust", status="connected", last_synced_at=last)
        await world.start_bot()
        yield world


def shown(world, user="UANA"):
    """Return everything that can be read in a person's App Home."""
    return json.dumps(world.slack.views.home(user), ensure_ascii=False)


async def home(world, part, user="UANA"):
    """Wait until a person's App Home contains ``part``."""
    await world.slack.wait_for(lambda: part in shown(world, user), 10, f"a home with {part!r}")
    return world.slack.views.home(user)


async def press(world, view, action_id, part, user="UANA"):
    """Press the button in App Home whose value mentions ``part``."""
    elements = [
        element
        for block in view["blocks"]
        for element in [block.get("accessory"), *block.get("elements", [])]
        if element and element.get("action_id") == action_id and part in element["value"]
    ]
    ack = await world.slack.views.click(user, view["id"], action_id, value=elements[0]["value"])
    assert ack.ok, world.bot.log


async def test_home_shows_everything_when_it_is_opened(world):
    """It shows what's failing, with FloKit's own words, and what's healthy."""
    world.slack.views.open_home("UANA")
    await home(world, "1 of 2 integrations needs attention")
    assert "The secret is wrong" in shown(world)
    assert "Adjust" in shown(world)


async def test_resync_from_home_reports_in_a_direct_message(world):
    """App Home shows the sync while it runs."""
    world.flokit.plan("int_stripe", Plan(0.2, 3.0, "succeeded"))
    world.slack.views.open_home("UANA")
    view = await home(world, "int_stripe")
    await press(world, view, "flokit_resync", "int_stripe")
    root = await world.direct_root("UANA")
    assert "Resync of Stripe" in root["text"]
    await home(world, "Running syncs")
    [outcome] = await world.outcomes(root["ts"], channel=root["channel"])
    assert outcome["outcome"] == "succeeded"
    await home(world, "Nothing needs attention")


async def test_an_open_home_is_updated(world):
    """An incident, a snooze and a subscription appear in it, and disappear again."""
    world.slack.views.open_home("UANA")
    await home(world, "int_stripe")
    await world.status("subscribe all")
    await home(world, "Open incidents")
    view = await home(world, "<#C0DATA>: all integrations")
    message = next(one for one in world.slack.messages("C0DATA") if "flokit_snooze" in words(one))
    menu = next(
        element
        for block in message["blocks"]
        for element in block.get("elements", [])
        if element.get("action_id") == "flokit_snooze"
    )
    ack = await world.slack.click("UANA", "C0DATA", message["ts"], "flokit_snooze", value=menu["options"][0]["value"])
    assert ack.ok
    view = await home(world, "Snoozed by you")
    await press(world, view, "flokit_end_snooze", "pnl_")
    await world.slack.wait_for(lambda: "Snoozed by you" not in shown(world), 10, "no snooze")
    view = await home(world, "<#C0DATA>: all integrations")
    await press(world, view, "flokit_unsubscribe", "sub_")
    await world.slack.wait_for(lambda: "<#C0DATA>: all integrations" not in shown(world), 10, "no subscription")
    assert "removed this channel's subscription" in words(world.slack.messages("C0DATA")[-1])


async def test_home_never_contradicts_itself(world):
    """An incident is never shown above an older row in which that integration is healthy."""
    await world.status("subscribe all")
    world.slack.views.open_home("UANA")
    await home(world, "1 of 2 integrations needs attention")
    await world.move_clock(seconds=2 * FRESH_FOR.total_seconds())
    world.flokit.set("int_adjust", status="error", error_message="The token was revoked")
    await home(world, "*Adjust* has been failing since")
    drawn = [json.dumps(call.args["view"]) for call in world.slack.calls if call.method == "views.publish"]
    with_incident = [view for view in drawn if "*Adjust* has been failing since" in view]
    assert all("2 of 2 integrations need attention" in view for view in with_incident)


async def test_home_shows_a_sync_that_was_started_elsewhere(world):
    await world.status("subscribe all")
    world.slack.views.open_home("UANA")
    await home(world, "1 of 2 integrations needs attention")
    await world.move_clock(seconds=2 * FRESH_FOR.total_seconds())
    world.flokit.set("int_adjust", status="syncing")
    await home(world, "1 syncing")


async def test_details_from_home_are_sent_as_a_dm(world):
    world.slack.views.open_home("UANA")
    view = await home(world, "int_adjust")
    await press(world, view, "flokit_details", "int_adjust")
    root = await world.direct_root("UANA")
    assert "Adjust" in words(root)
