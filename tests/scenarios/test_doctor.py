"""Whether all is well can be asked: each thing is told with what to do, whatever else is broken."""

from __future__ import annotations

from local_slack.faults import Fault, FaultKind
from tests.scenarios.conftest import words

PARTS = (
    "settings",
    "SLACK_BOT_TOKEN",
    "clock",
    "FLOKIT_API_KEY",
    "DATABASE_URL",
    "replicas",
    "write access",
    "here",
    "version",
)


async def test_the_doctor_finds_everything_fine(make_world):
    """Everything that the bot depends on is there with a ✓, for one reader; no sync is started to find out."""
    async with make_world(LEASE_S="10") as world:
        world.flokit.add("int_01stripe", "stripe")
        await world.start_bot()
        answer = await world.note("doctor")
        shown = words(answer)
        assert answer["text"].startswith("Nothing needs attention")
        assert [part for part in (*PARTS, "socket") if f"{part}: " not in shown] == []
        assert "✗" not in shown
        assert "I'm a member of this channel" in shown
        assert not [request for request in world.flokit.requests if request.method == "POST"]


async def test_the_doctor_over_http(make_world):
    """Over HTTP there is no socket, and the signing secret is named instead."""
    async with make_world(mode="http", LEASE_S="10") as world:
        await world.start_bot()
        shown = words(await world.note("doctor"))
        assert "SLACK_SIGNING_SECRET: set" in shown
        assert "socket: " not in shown


async def test_the_doctor_has_slack_judge_every_message(make_world):
    """``doctor blocks`` sends a message of every kind to Slack's validator, and posts none of them."""
    async with make_world(LEASE_S="10") as world:
        await world.start_bot()
        shown = words(await world.note("doctor blocks"))
        assert "blocks: Slack accepts all" in shown
        assert len([call for call in world.slack.calls if call.method == "blocks.validate"]) > 30
        assert not world.slack.messages("C0DATA")


async def test_a_doctor_in_a_broken_world_still_answers(make_world):
    """While Slack's auth.test hangs and FloKit refuses the key, the rest is told, and what cannot be known as that."""
    async with make_world(LEASE_S="6", FLOKIT_API_KEY="flo_wrong") as world:
        await world.start_bot()
        world.slack.faults.add(Fault("auth.test", FaultKind.HANG))
        shown = words(await world.note("doctor"))
        assert "Slack: no answer within 3 s" in shown or "SLACK_BOT_TOKEN: Slack didn't answer" in shown
        assert "✗ FLOKIT_API_KEY: " in shown
        assert "✓ DATABASE_URL: " in shown


async def test_the_doctor_where_the_bot_cannot_post(make_world):
    """In a private channel without it, the bot says so and how to invite it."""
    async with make_world(LEASE_S="10") as world:
        await world.start_bot()
        assert "here: I can't see this channel; /invite me" in words(await world.note("doctor", channel="G0FINANCE"))
