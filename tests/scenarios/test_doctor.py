"""``/flokit doctor`` checks every part and says what to do, whatever else is broken."""

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


async def test_a_healthy_bot_passes_every_check(make_world):
    """Only the person who asked sees the answer, and no sync is started to find out."""
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


async def test_over_http_the_signing_secret_is_checked_instead_of_the_socket(make_world):
    async with make_world(mode="http", LEASE_S="10") as world:
        await world.start_bot()
        shown = words(await world.note("doctor"))
        assert "SLACK_SIGNING_SECRET: set" in shown
        assert "socket: " not in shown


async def test_doctor_blocks_has_slack_validate_every_message(make_world):
    """It sends one of every kind to Slack's validator, and posts none of them."""
    async with make_world(LEASE_S="10") as world:
        await world.start_bot()
        shown = words(await world.note("doctor blocks"))
        assert "blocks: Slack accepts all" in shown
        assert len([call for call in world.slack.calls if call.method == "blocks.validate"]) > 30
        assert not world.slack.messages("C0DATA")


async def test_the_doctor_answers_while_slack_hangs_and_flokit_refuses(make_world):
    """The checks that can't be completed say so; the others are shown."""
    async with make_world(LEASE_S="6", FLOKIT_API_KEY="flo_wrong") as world:
        await world.start_bot()
        world.slack.faults.add(Fault("auth.test", FaultKind.HANG))
        shown = words(await world.note("doctor"))
        assert "Slack: no answer within 3 s" in shown or "SLACK_BOT_TOKEN: Slack didn't answer" in shown
        assert "✗ FLOKIT_API_KEY: " in shown
        assert "✓ DATABASE_URL: " in shown


async def test_the_doctor_says_if_it_cannot_post_here(make_world):
    """In a private channel without the bot, it says how to invite it."""
    async with make_world(LEASE_S="10") as world:
        await world.start_bot()
        assert "here: I can't see this channel; /invite me" in words(await world.note("doctor", channel="G0FINANCE"))
