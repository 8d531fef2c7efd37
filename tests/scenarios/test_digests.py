"""A digest comes at the local time that was asked for: once among all replicas, and not when it is too late."""

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
    """Wait for so many digests, and return the newest."""
    found = await world.slack.wait_for(
        lambda: found if len(found := digests(world)) >= count else None, 15, f"{count} digests"
    )
    return found[-1]


async def to_time(world, at):
    """Move the world's clock ahead to a time."""
    await world.move_clock(seconds=(at - world.clock.now()).total_seconds())


def next_utc(world, hour, minute=0):
    """Return the next moment at which it is so late in UTC."""
    now = world.clock.now()
    at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return at if at > now else at + timedelta(days=1)


@pytest.fixture
def settled(tmp_path):
    """A world in which nothing is looked at by itself."""
    return lambda **settings: running_world(tmp_path, **QUIET, **settings)


async def subscribed(world, text):
    """Start the bot and subscribe the channel."""
    world.flokit.add("int_stripe", "stripe", status="connected", last_synced_at=datetime.now(UTC))
    await world.start_bot()
    await world.status(text)


async def test_digest_comes_at_its_time_and_once(settled):
    """A digest at 09:00 comes after nine, says that nothing failed, and comes once that day."""
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
    """However many replicas there are, a digest comes once."""
    async with settled(DATABASE_URL=postgres_url) as world:
        await subscribed(world, "subscribe all digest only 09:00 daily zone UTC")
        await world.start_another()
        await to_time(world, next_utc(world, 9))
        await digest(world)
        await world.move_clock(seconds=30)
        await world.settle()
        assert len(digests(world)) == 1


@pytest.mark.parametrize(("late", "count"), [(timedelta(minutes=50), 1), (timedelta(minutes=70), 0)])
async def test_digest_missed_in_a_downtime(settled, late, count):
    """After a downtime a digest is sent when it is less than an hour late, and skipped otherwise."""
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


async def test_digest_is_at_the_subscribers_own_time(settled):
    """Without a zone in the command, it is the one that Slack knows of the person."""
    async with settled() as world:
        await subscribed(world, "subscribe all digest only 09:00 daily")
        confirmation = world.slack.messages("C0DATA")[-1]
        assert "Europe/Berlin" in words(confirmation)


async def test_a_zone_that_slack_could_not_say_is_learned_later(settled, tmp_path):
    """Subscribed while Slack was away, a digest comes at the person's own nine o'clock all the same."""
    path = tmp_path / "policy.yaml"
    path.write_text(
        "rules: [{name: Ana, allow: [look, sync, subscribe], users: UANA}]"
    )  # nobody need be asked who she is
    async with settled(POLICY_FILE=str(path)) as world:
        world.slack.faults.add(Fault("users.info", "http_500", times=50))
        await subscribed(world, "subscribe all digest only 09:00 daily")
        assert "time zone not known yet" in words(world.slack.messages("C0DATA")[-1])
        world.slack.faults.clear()
        await world.move_clock(minutes=2)
        assert (await world.logged("digest_zone_learned"))["zone"] == "Europe/Berlin"
        assert "Europe/Berlin" in words(await world.note("subscriptions"))


@pytest.mark.parametrize(("month", "hour_before", "hour_after"), [(3, 8, 7), (10, 7, 8)], ids=["spring", "autumn"])
async def test_digest_keeps_its_local_time_when_the_clocks_change(settled, month, hour_before, hour_after):
    """09:00 in Berlin is 08:00 UTC in winter and 07:00 UTC in summer."""
    async with settled() as world:
        await subscribed(world, "subscribe all digest only 09:00 daily zone Europe/Berlin")
        end_of_month = datetime(world.clock.now().year + 1, month, 31, tzinfo=UTC)
        change = end_of_month - timedelta(days=end_of_month.isoweekday() % 7)  # the last Sunday
        # Two hours too late for the digest of that day, so that none is sent for the months before.
        await to_time(world, change - timedelta(days=2) + timedelta(hours=hour_before + 2))
        skipped = await world.logged("digest_skipped")
        assert skipped["next_at"] == str(change - timedelta(days=1) + timedelta(hours=hour_before))
        await to_time(world, change - timedelta(days=1) + timedelta(hours=hour_before, seconds=1))
        await digest(world)
        assert (await world.logged("digest_sent"))["next_at"] == str(change + timedelta(hours=hour_after))
        await to_time(world, change + timedelta(hours=hour_after, seconds=1))
        await digest(world, 2)
        assert len(digests(world)) == 2
