"""Quiet hours and maintenance: what happens then is told as one summary afterwards, and only once."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.scenarios.conftest import running_world, words
from tests.scenarios.watching import ERROR, fail, incident, incidents, repair


def later(world):
    """Return hours that begin in more than an hour, and end an hour after that, in UTC."""
    now = world.clock.now()
    return f"hours {(now.hour + 2) % 24:02}:00-{(now.hour + 3) % 24:02}:00 zone UTC"


def summaries(world, channel="C0DATA"):
    """Return the summaries in a channel."""
    return [one for one in world.slack.messages(channel) if "While it was quiet here" in words(one)]


async def summary(world, channel="C0DATA"):
    """Wait for the summary in a channel."""
    return await world.slack.wait_for(lambda: next(iter(summaries(world, channel)), None), 15, "a summary")


@pytest_asyncio.fixture(params=["socket", "http"])
async def quiet(request, tmp_path):
    """A world that is watched all the time, with a channel that isn't subscribed yet."""
    async with running_world(tmp_path, mode=request.param, WATCH_INTERVAL_S="0.3", WATCH_CONFIRM_S="0.2") as watched:
        fine = watched.clock.now()
        watched.flokit.add("int_stripe", "stripe", status="connected", last_synced_at=fine)
        watched.flokit.add("int_adjust", "adjust", status="connected", last_synced_at=fine)
        await watched.start_bot()
        watched.channel("C0LOUD")
        await watched.status("subscribe all", channel="C0LOUD")
        yield watched


async def test_a_quiet_channel_gets_one_summary_when_its_hours_begin(quiet):
    """With what recovered and what didn't, which then has a message of its own; a crash meanwhile changes nothing."""
    answer = await quiet.status(f"subscribe all {later(quiet)}")
    assert "comes as one summary afterwards" in words(answer)
    fail(quiet)
    fail(quiet, "int_adjust")
    await quiet.slack.wait_for(lambda: len(incidents(quiet, "C0LOUD")) == 2, 10, "both elsewhere")
    repair(quiet)
    await incident(quiet, "recovered after", "C0LOUD")
    await quiet.settle()
    assert incidents(quiet) == summaries(quiet) == []
    await quiet.restart()
    await quiet.move_clock(hours=2)
    told = words(await summary(quiet))
    assert "2 incidents of 2 integrations" in told
    assert "1 still needs attention" in told
    assert "*Stripe* was failing" in told
    assert "*Adjust* has been failing since" in told
    message = await incident(quiet, "is failing")
    assert "int_adjust" in words(message)
    await quiet.settle()
    assert len(summaries(quiet)) == len(incidents(quiet)) == 1
    repair(quiet, "int_adjust")
    await quiet.reply(message["ts"], "recovered after")


async def test_failures_break_through_if_they_are_always_wanted(quiet):
    """And so does their recovery; a disconnection waits."""
    await quiet.status(f"subscribe all {later(quiet)} failing always")
    fail(quiet)
    message = await incident(quiet, ERROR)
    repair(quiet)
    await quiet.reply(message["ts"], "recovered after")
    quiet.flokit.set("int_adjust", status="disconnected")
    await incident(quiet, "is disconnected", "C0LOUD")
    await quiet.settle()
    assert len(incidents(quiet)) == 1
    await quiet.move_clock(hours=2)
    assert "*Adjust* has been disconnected" in words(await summary(quiet))


async def test_what_changes_within_an_incident_is_held(quiet):
    """Its message, posted before, is updated; its recovery is in the summary."""
    await quiet.status("subscribe all")
    fail(quiet)
    message = await incident(quiet, "is failing")
    await quiet.status(f"subscribe all {later(quiet)}")
    repair(quiet)
    await incident(quiet, "recovered after", "C0LOUD")
    await incident(quiet, "recovered after")
    await quiet.settle()
    assert quiet.slack.messages("C0DATA", message["ts"]) == []
    await quiet.move_clock(hours=2)
    told = words(await summary(quiet))
    assert "1 incident of 1 integration; all of them are over" in told


async def test_maintenance_holds_an_integration_back_everywhere(quiet):
    """Until it ends by command; the audit says who did it, and App Home shows what is held."""
    answer = await quiet.status("maintenance stripe for 3h")
    assert "set maintenance of every Stripe integration until" in words(answer)
    fail(quiet)
    fail(quiet, "int_adjust")
    await incident(quiet, "*Adjust* is failing", "C0LOUD")
    listed = words(await quiet.note("maintenance"))
    assert "1 maintenance window" in listed
    assert "by ana" in listed
    quiet.slack.views.open_home("UANA")
    await quiet.slack.wait_for(
        lambda: "1 incident held until" in str(quiet.slack.views.home("UANA")), 10, "App Home shows what is held"
    )
    assert len(incidents(quiet, "C0LOUD")) == 1
    ended = await quiet.status("maintenance end stripe", user="UBEN")
    assert "ben ended the maintenance of every Stripe integration" in words(ended)
    assert "*Stripe* has been failing" in words(await summary(quiet, "C0LOUD"))
    await incident(quiet, "*Stripe* is failing", "C0LOUD")
    assert "Nothing is in maintenance" in words(await quiet.note("maintenance"))
    audited = words(await quiet.note("audit"))
    assert "set maintenance of" in audited
    assert "ended the maintenance of" in audited


async def test_maintenance_ends_by_itself_or_with_its_button(quiet):
    """A button of a window that's over says so."""
    first = await quiet.status("maintenance adjust for 1h")
    await quiet.press(first, "flokit_end_maintenance", user="UCLEO")
    await quiet.slack.wait_for(
        lambda: any("cleo ended the maintenance" in words(one) for one in quiet.slack.messages("C0DATA", first["ts"])),
        10,
        "it ended",
    )
    before = len(quiet.slack.ephemerals("UCLEO"))
    await quiet.press(first, "flokit_end_maintenance", user="UCLEO")
    assert "over already" in words(await quiet.whisper("UCLEO", before))
    await quiet.status("maintenance all for 1h")
    await quiet.status("subscribe all failing always")
    fail(quiet)
    await incident(quiet, "is failing")
    await quiet.move_clock(minutes=50)
    await quiet.settle()
    assert incidents(quiet, "C0LOUD") == summaries(quiet, "C0LOUD") == []
    await quiet.move_clock(minutes=15)
    assert "*Stripe* has been failing" in words(await summary(quiet, "C0LOUD"))


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ("maintenance stripe", "Until when?"),
        ("maintenance strpe for 3h", "Closest matches: Stripe"),
        ("maintenance for 3h", "Which integration?"),
        ("quiet", "Quiet hours belong to a subscription"),
    ],
)
async def test_an_unclear_window_changes_nothing(quiet, typed, part):
    assert part in words(await quiet.note(typed))
