"""Connected, but empty: syncs that succeed without events are an incident of their own, until events come."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio

from tests.scenarios.conftest import running_world, words
from tests.scenarios.watching import incident, incidents, just_now


@pytest_asyncio.fixture(params=["socket", "http"])
async def counted(request, tmp_path):
    """A watched world whose events are counted several times a second."""
    options = {"WATCH_INTERVAL_S": "0.1", "WATCH_CONFIRM_S": "0.2", "mode": request.param}
    async with running_world(tmp_path, **options) as world:
        world.flokit.add("int_stripe", "stripe", last_synced_at=just_now(), events_total=500, events_last_24h=5)
        world.flokit.add("int_adjust", "adjust", last_synced_at=just_now(), events_total=500, events_last_24h=5)
        await world.start_bot()
        await world.status("subscribe all")
        yield world


async def sync(world, **counts):
    """Let FloKit sync Stripe, and wait until the bot has counted its events."""

    def counts_read():
        return sum((one.method, one.path) == ("GET", "/v1/integrations/int_stripe") for one in world.flokit.requests)

    before = counts_read()
    await world.move_clock(seconds=4)
    world.flokit.set("int_stripe", last_synced_at=world.clock.now(), **counts)
    await world.flokit.wait_for(lambda: counts_read() > before, 10)


async def test_too_few_events_are_one_incident_until_they_come(counted):
    """It says what people expect, both readings, and where to look; the audit says who expects it."""
    told = await counted.status("expect stripe every 6h, 100 events a day")
    assert "ana changed what's expected of Stripe" in told["text"]
    assert "a sync every 6 h, 100 events a day" in told["text"]
    await sync(counted)
    await sync(counted)
    message = await incident(counted, "is connected, but empty")
    shown = words(message)
    assert "FloKit counts 5 events in the last 24 h; you expect 100 a day" in shown
    assert "either the source had none, or FloKit asks it for the wrong data" in shown
    assert "FloKit → Data → Identity" in shown
    assert "a sync every 6 h, 100 events a day" in (await counted.note("expect stripe"))["text"]
    assert "changed what's expected of" in words(await counted.note("audit stripe"))
    await sync(counted, events_last_24h=120)
    done = await incident(counted, "recovered after")
    assert done["ts"] == message["ts"]
    assert len(incidents(counted)) == 1


@pytest.mark.parametrize("text", ["expect stripe every 2 min", "expect stripe every 6h every 7h"])
async def test_what_can_not_be_expected_changes_nothing(socket_world, text):
    socket_world.flokit.add("int_stripe", "stripe")
    assert "Nothing was changed." in (await socket_world.note(text))["text"]
    assert "nothing." in (await socket_world.note("expect stripe"))["text"]
    assert "no integration `strpe`" in (await socket_world.note("expect strpe every 6h"))["text"]


async def test_an_expectation_is_cleared(socket_world):
    socket_world.flokit.add("int_stripe", "stripe")
    await socket_world.status("expect stripe 100 events a day")
    assert "nothing." in (await socket_world.status("expect stripe nothing"))["text"]
    assert "That's how it is already" in (await socket_world.note("expect stripe nothing"))["text"]


async def test_one_that_syncs_less_often_than_expected_is_stale(board):
    """Whatever its type."""
    board.flokit.set("int_stripe", last_synced_at=board.clock.now() - timedelta(hours=1))
    await board.status("expect stripe every 30 min")
    message = await incident(board, "is connected, but stale")
    assert "stale" in words(await board.status("status stripe"))
    board.flokit.set("int_stripe", last_synced_at=board.clock.now())
    done = await incident(board, "recovered after")
    assert done["ts"] == message["ts"]
