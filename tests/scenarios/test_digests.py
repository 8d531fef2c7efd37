"""A digest is sent at the local time that someone chose: once among all replicas, and not when it's too late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local_slack.faults import Fault
from tests.scenarios.conftest import running_world, words

QUIET = {"WATCH_INTERVAL_S": "3600", "WATCH_CONFIRM_S": "0.2"}


def digests(world):
    """Return the digests in the channel."""
    return [message for message in world.slack.messages("C0DATA") if "FloKit digest" in words(message)]


async def digest(world, count=1):
    """Wait for this many digests, and return the newest."""
    found = await world.slack.wait_for(
        lambda: found if len(found := digests(world)) >= count else None, 15, f"{count} digests"
    )
    return found[-1]


async def to_time(world, at):
    """Move the world's clock forward to a time."""
    await world.move_clock(seconds=(at - world.clock.now()).total_seconds())


def next_utc(world, hour, minute=0):
    """Return the next moment with this time of day in UTC."""
    now = world.clock.now()
    at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return at if at > now else at + timedelta(days=1)


@pytest.fixture
def settled(tmp_path):
    """A world without background checks."""
    return lambda **settings: running_world(tmp_path, **QUIET, **settings)


async def subscribed(world, text):
    """Start the bot and subscribe the channel."""
    world.flokit.add("int_stripe", "stripe", status="connected", last_synced_at=datetime.now(UTC))
    await world.start_bot()
    await world.status(text)


async def test_a_digest_is_sent_once_at_its_time(settled):
    """The one for 09:00 says after nine that nothing failed, and isn't sent again that day."""
    async with settled() as world:
        await subscribed(world, "subscribe all digest only 09:00 daily zone UTC")
        await to_time(world, next_utc(world, 8, 59))
        await to_time(world, next_utc(world, 9))
        message = await digest(world)
        assert "Nothing failed since" in words(message)
        await world.move_clock(hours=1)
        await to_time(world, next_utc(world, 9))
        await digest(world, 2)
        await world.settle()
        assert len(digests(world)) == 2


@pytest.mark.postgres
async def test_two_replicas_send_one_digest(settled, postgres_url):
    async with settled(DATABASE_URL=postgres_url) as world:
        await subscribed(world, "subscribe all digest only 09:00 daily zone UTC")
        await world.start_another()
        await to_time(world, next_utc(world, 9))
        await digest(world)
        await world.move_clock(seconds=30)
        await world.settle()
        assert len(digests(world)) == 1


@pytest.mark.parametrize(("late", "count"), [(timedelta(minutes=50), 1), (timedelta(minutes=70), 0)])
async def test_a_digest_missed_during_downtime_is_sent_within_an_hour(settled, late, count):
    """If it's later than that, it's skipped."""
    async with settled() as world:
        await subscribed(world, "subscribe all digest only 09:00 daily zone UTC")
        await world.bot.kill()
        await to_time(world, next_utc(world, 9) + late)
        await world.start_bot()
        if count:
            await digest(world)
        else:
            await world.logged("digest_skipped")
        await world.settle()
        assert len(digests(world)) == count


async def test_a_digest_uses_the_subscribers_time_zone(settled):
    """It's the one in their Slack profile, unless the command names another."""
    async with settled() as world:
        await subscribed(world, "subscribe all digest only 09:00 daily")
        confirmation = world.slack.messages("C0DATA")[-1]
        assert "Europe/Berlin" in words(confirmation)


async def test_a_time_zone_is_learned_once_slack_answers(settled, tmp_path):
    """Someone subscribed while Slack was down, and still gets the digest at nine in their own time."""
    path = tmp_path / "policy.yaml"
    path.write_text(
        "rules: [{name: Ana, allow: [look, sync, subscribe], users: UANA}]"
    )  # her profile was already looked up
    async with settled(POLICY_FILE=str(path)) as world:
        world.slack.faults.add(Fault("users.info", "http_500", times=50))
        await subscribed(world, "subscribe all digest only 09:00 daily")
        assert "time zone not known yet" in words(world.slack.messages("C0DATA")[-1])
        world.slack.faults.clear()
        await world.move_clock(minutes=2)
        assert (await world.logged("digest_zone_learned"))["zone"] == "Europe/Berlin"
        assert "Europe/Berlin" in words(await world.note("subscriptions"))


@pytest.mark.parametrize(("month", "hour_before", "hour_after"), [(3, 8, 7), (10, 7, 8)], ids=["spring", "autumn"])
async def test_a_digest_keeps_its_local_time_when_the_clocks_change(settled, month, hour_before, hour_after):
    """09:00 in Berlin is 08:00 UTC in winter and 07:00 UTC in summer."""
    async with settled() as world:
        await subscribed(world, "subscribe all digest only 09:00 daily zone Europe/Berlin")
        end_of_month = datetime(world.clock.now().year + 1, month, 31, tzinfo=UTC)
        change = end_of_month - timedelta(days=end_of_month.isoweekday() % 7)  # the last Sunday
        # Two hours too late for that day's digest, so that none is sent for the months before.
        await to_time(world, change - timedelta(days=2) + timedelta(hours=hour_before + 2))
        skipped = await world.logged("digest_skipped")
        assert skipped["next_at"] == str(change - timedelta(days=1) + timedelta(hours=hour_before))
        await to_time(world, change - timedelta(days=1) + timedelta(hours=hour_before, seconds=1))
        await digest(world)
        assert (await world.logged("digest_sent"))["next_at"] == str(change + timedelta(hours=hour_after))
        await to_time(world, change + timedelta(hours=hour_after, seconds=1))
        await digest(world, 2)
        assert len(digests(world)) == 2
