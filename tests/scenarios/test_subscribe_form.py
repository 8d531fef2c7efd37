"""``/flokit subscribe`` opens a form that previews the notifications and subscribes as the command does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from bot.core.subscriptions.form import CALLBACK_ID
from local_slack.faults import Fault
from tests.scenarios.conftest import running_world, words


@pytest_asyncio.fixture
async def world(tmp_path):
    """A world in which Stripe has been failing, which was posted in a channel."""
    async with running_world(tmp_path, WATCH_INTERVAL_S="0.3", WATCH_CONFIRM_S="0.2") as world:
        last = datetime.now(UTC) - timedelta(minutes=5)
        world.flokit.add("int_stripe", "stripe", status="error", error_message="no", last_synced_at=last)
        world.flokit.add("int_adjust", "adjust", status="connected", last_synced_at=last)
        await world.start_bot()
        await world.status("subscribe all", channel=world.channel("C0OTHER"))
        await world.slack.wait_for(lambda: "is failing" in posted(world, "C0OTHER"), 10, "an incident")
        yield world


def posted(world, channel="C0DATA"):
    """Return everything that was posted in a channel."""
    return "".join(map(words, world.slack.messages(channel)))


def preview(world):
    """Return the preview in Ana's form."""
    blocks = world.slack.views.modal("UANA")["blocks"]
    return json.dumps([block for block in blocks if block["block_id"] == "preview"], ensure_ascii=False)


async def form(world):
    """Type the command without arguments, and return the form that opens."""
    await world.command("subscribe")
    return await world.slack.wait_for(lambda: world.slack.views.modal("UANA"), 5, "a form")


def option(value):
    """Choose an option."""
    return {"selected_option": {"value": value}}


async def choose(world, view, block_id, value):
    """Choose something in the form."""
    ack = await world.slack.views.click("UANA", view["id"], f"subscribe_{block_id}", block_id=block_id, value=value)
    assert ack.ok


async def test_the_form_subscribes_to_everything_by_default(world):
    """One click on Subscribe is enough, and the channel sees what's failing now."""
    view = await form(world)
    assert view["callback_id"] == CALLBACK_ID
    assert "1 incident: Stripe failing" in preview(world)
    submitted = await world.slack.views.submit("UANA", view["id"])
    assert submitted.ok
    await world.slack.wait_for(lambda: "subscribed this channel to all integrations" in posted(world), 10, "it")
    await world.slack.wait_for(lambda: "*Stripe* is failing" in posted(world), 10, "what is wrong already")


async def test_the_preview_follows_the_choices(world):
    """Choosing another integration shows what would have been posted about it."""
    view = await form(world)
    await choose(world, view, "what", "int_adjust")
    await world.slack.wait_for(lambda: "would have triggered a notification" in preview(world), 5, "no incident")
    await choose(world, view, "what", "stripe")
    await world.slack.wait_for(lambda: "1 incident: Stripe failing" in preview(world), 5, "the incident")


async def test_a_form_without_news_or_digest_stays_open(world):
    """A sentence below the input says what's missing."""
    view = await form(world)
    submitted = await world.slack.views.submit(
        "UANA", view["id"], {"news": {"subscribe_news": {"selected_options": []}}}
    )
    assert "at least one kind of notification" in submitted.errors["news"]
    assert world.slack.views.modal("UANA")


async def test_a_form_with_a_digest_creates_that_subscription(world):
    view = await form(world)
    given = {
        "what": {"subscribe_what": option("int_adjust")},
        "news": {"subscribe_news": {"selected_options": [{"value": "failing"}]}},
        "days": {"subscribe_days": option("weekdays")},
        "time": {"subscribe_time": {"selected_time": "08:30"}},
        "mention": {"subscribe_mention": option("here")},
    }
    assert (await world.slack.views.submit("UANA", view["id"], given)).ok
    await world.slack.wait_for(lambda: "digest weekdays at 08:30 (Europe/Berlin)" in posted(world), 10, "it")
    assert "Adjust (int_adjust)" in posted(world)
    assert "mentions @here" in posted(world)


async def test_a_form_that_cannot_be_opened_is_answered_with_the_command(world):
    """The answer says what to type instead."""
    world.slack.faults.add(Fault("views.open", "http_500"))
    note = await world.note("subscribe")
    assert "subscribe [what]" in words(note)
