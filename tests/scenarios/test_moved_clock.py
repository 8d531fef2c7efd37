"""When the world's clock is moved, the bot does immediately what would take hours."""

from __future__ import annotations

from datetime import timedelta

from sandbox.local_flokit.sources import Plan


async def test_the_deadline_passes_when_the_clock_is_moved(make_world):
    """A sync that never ends is given up after half an hour of the moved clock."""
    async with make_world(FOLLOW_UP_DEADLINE_S="1800") as world:
        world.flokit.add("int_stuck", "stripe", last_synced_at=world.clock.now() - timedelta(hours=1))
        world.flokit.plan("int_stuck", Plan(start_lag_s=0, ending="stuck"))
        await world.start_bot()
        root = await world.resync("int_stuck")
        await world.slack.wait_for(lambda: world.flokit.posts("int_stuck"), what="a sync")
        await world.move_clock(minutes=31)
        [outcome] = await world.outcomes(root)
        assert outcome["outcome"] == "not_confirmed"


async def test_all_replicas_slack_and_flokit_share_the_moved_clock(make_world):
    """Their messages and replies have the same, later date."""
    async with make_world() as world:
        world.flokit.add("int_a", "adjust", last_synced_at=world.clock.now())
        await world.start_bot()
        await world.start_another()
        await world.move_clock(days=2)
        later = (world.clock.now() - timedelta(minutes=1)).timestamp()
        for _ in range(4):
            panel = await world.status()
            assert float(panel["ts"]) > later
            assert all(entry > later for entry in dates_in(panel["blocks"])[-1:])
        assert world.flokit.requests[-1].at.timestamp() > later


def dates_in(blocks):
    """Return the Unix times of all date tokens, the newest last."""
    return sorted(int(part.split("^")[0]) for part in str(blocks).split("<!date^")[1:])
