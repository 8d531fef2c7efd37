"""Buttons and forms with made-up values: a member can never do more with them than the policy allows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from bot.core.commands.presses import Action, Press, press_value
from local_slack import payloads
from local_slack.delivery import Envelope, EnvelopeKind
from local_slack.response_url import Place
from local_slack.use import Use
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import buttons, running_world, words

OPS = "C0OPS"
POLICY = f"""
rules:
  - name: Ana may do everything
    allow: [look, sync, subscribe, administer]
    users: [UANA]
  - name: Ops is Ana's
    refuse: [look, sync, subscribe]
    channels: [{OPS}]
"""


@pytest_asyncio.fixture
async def world(tmp_path):
    """A failing Stripe, posted in a channel in which Ben isn't allowed to do anything, by a policy set at a restart."""
    path = tmp_path / "policy.yaml"
    path.write_text("")
    settings = {"WATCH_INTERVAL_S": "0.3", "WATCH_CONFIRM_S": "0.2", "SYNC_COOLDOWN_S": "600"}
    async with running_world(tmp_path, POLICY_FILE=str(path), **settings) as world:
        world.channel(OPS)
        last = datetime.now(UTC) - timedelta(minutes=5)
        world.flokit.add("int_s", "stripe", status="error", error_message="no", last_synced_at=last)
        world.flokit.add("int_a", "adjust", status="connected", last_synced_at=last)
        world.flokit.plan("int_a", Plan(0.1, 0.2, "succeeded"))
        await world.start_bot()
        await world.status("subscribe all", user="UBEN", channel=OPS)
        path.write_text(POLICY)
        await world.restart()
        await world.slack.wait_for(lambda: incident(world), 10, "an incident")
        yield world


def incident(world):
    """Return the incident's message."""
    return next((one for one in world.slack.messages(OPS) if "flokit_snooze" in words(one)), None)


def value_of(message, part):
    """Return the value of a message's button."""
    every = [*buttons(message), *(one for block in message["blocks"] for one in block.get("elements", []))]
    return json.loads(
        next(
            one.get("value") or one["options"][0]["value"]
            for one in every
            if str(one.get("action_id")).startswith(part) and ("value" in one or "options" in one)
        )
    )


async def forge(world, press, *, user="UBEN", channel="C0DATA", raw=None):
    """Press a made-up button on a message of the bot, and return the answer that only that person sees."""
    panel = await world.status(user=user, channel=channel)
    before = len(world.slack.ephemerals(user))
    action = {
        "type": "button",
        "action_id": press.action,
        "block_id": "b",
        "text": {"type": "plain_text", "text": "x"},
        "value": raw or press_value(press),
    }
    slack = world.slack
    payload = payloads.click_payload(
        slack.workspace,
        payloads.Click(slack.workspace.users[user], slack.workspace.channels[channel], panel, False, Use(action, {})),
        slack._new_response_url(Place(channel, user, panel["ts"])),
        slack.installation.triggers.issue(user),
        slack.workspace.new_ts(),
    )
    assert (await slack._courier.deliver(Envelope(EnvelopeKind.INTERACTION, payload))).ok
    return words(await world.whisper(user, before))


def refusals(world):
    """Return where and what was refused, from the audit log."""
    with closing(sqlite3.connect(f"file:{world.folder / 'flokit.db'}?mode=ro", uri=True)) as database:
        query = "SELECT channel_id, action FROM audit WHERE decision = 'refused' AND user_id = 'UBEN' ORDER BY id"
        return database.execute(query).fetchall()


async def test_a_snooze_is_checked_for_the_incidents_channel(world):
    """A value that names another channel's incident mutes nothing, and the audit log names that channel."""
    panel_id = value_of(incident(world), "flokit_snooze")["p"]
    said = await forge(world, Press(Action.SNOOZE, panel_id=panel_id, choice="4h"))
    assert "Ops is Ana's" in said
    assert "snoozed by" not in words(incident(world))
    assert refusals(world) == [(OPS, "snooze")]


async def test_taking_is_checked_for_the_incidents_channels(world):
    """A value that names another channel's incident changes nothing, with or without a message of its own."""
    value = value_of(incident(world), "flokit_on_it")
    own = (await world.status(user="UBEN"))["ts"]
    for panel_id in (value["p"], "", f"pnl_{own}"):
        for action in (Action.ON_IT, Action.LET_GO, Action.HAND_OVER):
            press = Press(action, panel_id=panel_id, incident_id=value["e"])
            assert "Ops is Ana's" in await forge(world, press)
    assert "is on it" not in words(incident(world))
    assert refusals(world) == [(OPS, "on_it"), (OPS, "let_go"), (OPS, "hand_over")] * 3


async def test_a_refresh_is_checked_for_the_messages_channel(world):
    """A value that names another channel's message neither refreshes it nor turns its pages."""
    panel_id = value_of(incident(world), "flokit_snooze")["p"]
    for press in (
        Press(Action.REFRESH, panel_id=panel_id),
        Press(Action.NEXT_PAGE, panel_id=panel_id, page=3),
        Press(Action.PREVIOUS_PAGE, panel_id=panel_id, page=3),
    ):
        assert "Ops is Ana's" in await forge(world, press)
    assert refusals(world) == [(OPS, "look")] * 3


async def test_an_unsubscribe_is_checked_for_the_subscriptions_channel(world):
    """Neither App Home nor a made-up value removes what that channel's rule protects."""
    world.slack.views.open_home("UBEN")
    view = await world.slack.wait_for(
        lambda: (found := world.slack.views.home("UBEN")) and "flokit_unsubscribe" in str(found) and found, 10, "a home"
    )
    value = value_of(view, "flokit_unsubscribe")
    raw = json.dumps(value, separators=(",", ":"))
    direct = world.slack.workspace.open_im("UBEN").id
    assert (await world.slack.views.click("UBEN", view["id"], "flokit_unsubscribe", value=raw)).ok
    await world.slack.wait_for(lambda: "Ops is Ana's" in str(world.slack.messages(direct)), 10, "a refusal")
    assert "Ops is Ana's" in await forge(world, Press(Action.UNSUBSCRIBE, subscription_id=value["s"]))
    assert refusals(world) == [(OPS, "unsubscribe")] * 2
    assert "all integrations" in words(await world.note("subscriptions", channel=OPS))


async def test_keep_watching_is_checked_for_the_runs_channel(world):
    """A value that names a run of another channel doesn't extend it."""
    await world.press(incident(world), "flokit_resync", "int_s", channel=OPS)
    runs = await world.slack.wait_for(
        lambda: [
            one["metadata"]["event_payload"]["run_id"]
            for one in world.slack.workspace.all_messages(OPS)
            if (one.get("metadata") or {}).get("event_payload", {}).get("run_id")
        ],
        10,
        "a run",
    )
    assert "Ops is Ana's" in await forge(world, Press(Action.KEEP_WATCHING, run_id=runs[0]))
    assert refusals(world) == [(OPS, "keep_watching")]


async def test_sync_anyway_ignores_a_made_up_channel(world):
    """The outcome of an override is sent as a direct message, whatever channel the value names."""
    world.flokit.plan("int_a", Plan(0.1, 0.2, "succeeded"))
    root = await world.resync("int_a")
    await world.outcomes(root)
    place = incident(world)["ts"]
    raw = json.dumps({"v": 1, "i": "int_a", "c": f"{OPS}:{place}"})
    assert "can't" in await forge(world, Press(Action.SYNC_ANYWAY, integration_id="int_a", choice="x"), raw=raw)
    assert len(world.flokit.posts("int_a")) == 1

    panel = await world.status()
    before = len(world.slack.ephemerals("UANA"))
    await world.press(panel, "flokit_resync", "int_a")
    offered = await world.whisper("UANA", before)
    assert json.loads(buttons(offered)[0]["value"])["c"] != f"C0DATA:{panel['ts']}"
    ack = await world.slack.click("UANA", "C0DATA", offered["ts"], "flokit_sync_anyway", ephemeral=True, raw_value=raw)
    assert ack.ok
    direct = world.slack.workspace.open_im("UANA").id
    await world.slack.wait_for(lambda: world.slack.messages(direct), 10, "a follow-up in a direct message")
    assert not world.slack.messages(OPS, place)


async def test_a_form_subscribes_only_the_channel_that_it_was_opened_in(world):
    """A form that claims another channel changes nothing, and the person gets a message."""
    await world.command("subscribe", user="UBEN")
    view = await world.slack.wait_for(lambda: world.slack.views.modal("UBEN"), 5, "a form")
    asked = json.loads(view["private_metadata"])["asked"]
    stored = world.slack.installation.views._views[view["id"]]
    stored["private_metadata"] = json.dumps({"channel": OPS, "asked": asked})
    before = len(world.slack.messages(OPS))
    assert (await world.slack.views.submit("UBEN", view["id"])).ok
    direct = world.slack.workspace.open_im("UBEN").id
    await world.slack.wait_for(lambda: "has expired" in str(world.slack.messages(direct)), 10, "a sentence")
    assert len(world.slack.messages(OPS)) == before


async def test_another_persons_form_cannot_be_submitted(world):
    """Their request doesn't prove the channel."""
    await world.command("subscribe", user="UANA", channel=OPS)
    anas = await world.slack.wait_for(lambda: world.slack.views.modal("UANA"), 5, "a form")
    await world.command("subscribe", user="UBEN")
    view = await world.slack.wait_for(lambda: world.slack.views.modal("UBEN"), 5, "a form")
    world.slack.installation.views._views[view["id"]]["private_metadata"] = anas["private_metadata"]
    assert (await world.slack.views.submit("UBEN", view["id"])).ok
    direct = world.slack.workspace.open_im("UBEN").id
    await world.slack.wait_for(lambda: "has expired" in str(world.slack.messages(direct)), 10, "a sentence")


async def test_another_persons_form_names_nothing(world):
    """Their request doesn't prove where it was opened; neither does a made-up one."""
    await world.command("name int_a", user="UANA", channel=OPS)
    anas = await world.slack.wait_for(lambda: world.slack.views.modal("UANA"), 5, "a form")
    await world.command("name int_a", user="UBEN")
    view = await world.slack.wait_for(lambda: world.slack.views.modal("UBEN"), 5, "a form")
    stored = world.slack.installation.views._views[view["id"]]
    filled = {"name": {"name_name": {"value": "Forged"}}}
    for metadata in (anas["private_metadata"], json.dumps({"i": "int_a", "asked": "made_up"}), "{}", ""):
        stored["private_metadata"] = metadata
        submitted = await world.slack.views.submit("UBEN", view["id"], filled)
        assert "has expired" in submitted.errors["name"]
    assert "Forged" not in words(await world.status())
