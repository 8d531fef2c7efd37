"""A sample incident looks like a real one, and does nothing."""

from __future__ import annotations

from tests.scenarios.conftest import words


async def test_a_sample_incident_is_marked_and_does_nothing(world):
    """Each button says that it's a sample; nothing is synced, snoozed, or counted as an incident."""
    world.flokit.add("int_stripe", "stripe", status="connected")
    message = await world.status("test")
    assert message["text"].startswith("🧪 Sample incident, nothing is wrong: ❌ Sample is failing")
    assert "its buttons do nothing" in words(message).casefold()
    for action in ("flokit_resync", "flokit_details", "flokit_on_it"):
        before = len(world.slack.ephemerals("UBEN"))
        await world.press(message, action, user="UBEN")
        assert "This is a sample" in words(await world.whisper("UBEN", before))
    await world.settle()
    assert not [one for one in world.flokit.requests if one.method == "POST"]
    assert "sample" not in words(await world.note("incidents")).casefold()
    assert "posted a sample incident" in words(await world.note("audit"))
    assert world.slack.messages("C0DATA", message["ts"]) == []
