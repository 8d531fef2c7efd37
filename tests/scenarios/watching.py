"""What the tests of alerts share: failures, repairs and the messages of incidents."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.scenarios.conftest import words

ERROR = "The signing secret is wrong"


def just_now():
    """Return the current time in whole seconds, as FloKit gives the time of a success."""
    return datetime.now(UTC)


def incidents(world, channel="C0DATA"):
    """Return the messages of incidents in a channel."""
    signs = ("flokit_snooze", "flokit_end_snooze", "recovered after")
    return [one for one in world.slack.messages(channel) if any(sign in words(one) for sign in signs)]


async def incident(world, part, channel="C0DATA"):
    """Wait for the one message of an incident that says ``part``."""
    return await world.slack.wait_for(
        lambda: next((one for one in incidents(world, channel) if part in words(one)), None), 10, f"an incident: {part}"
    )


def fail(world, integration_id="int_stripe", error=ERROR):
    """Let an integration fail."""
    world.flokit.set(integration_id, status="error", error_message=error)


def repair(world, integration_id="int_stripe"):
    """Let an integration have a new success."""
    world.flokit.set(integration_id, status="connected", error_message=None, last_synced_at=just_now())
