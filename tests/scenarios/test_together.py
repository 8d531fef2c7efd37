"""Syncs of one workspace share checks, and a crash during one of these loses nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import running_world

LIST = "/v1/integrations"
LONGEST_S = 1.5


async def start_all(world, many, plan):
    """Start this many syncs, each in its own channel."""
    for n in range(many):
        world.flokit.add(f"int_{n}", "stripe")
        world.flokit.plan(f"int_{n}", plan)
    for n in range(many):
        await world.command(f"sync int_{n}", channel=world.channel(f"C0TEAM{n}"))
    await world.flokit.wait_for(lambda: have_started(world, many), 15)


def have_started(world, many):
    """Return whether FloKit was asked to run all of them."""
    return all(world.flokit.posts(f"int_{n}") for n in range(many))


async def test_twenty_follow_ups_cost_about_the_calls_of_one(tmp_path):
    """Once they're running, FloKit is asked once per interval for all of them."""
    settings = {"FOLLOW_UP_FIRST_LOOK_S": "0.5", "FOLLOW_UP_MAX_INTERVAL_S": str(LONGEST_S)}
    async with running_world(tmp_path, **settings, FOLLOW_UP_DEADLINE_S="120") as world:
        await world.start_bot()
        await start_all(world, 20, Plan(0.1, 60, "stuck"))
        settled_at = world.clock.now() + timedelta(seconds=2 * LONGEST_S)

        def looks():
            return [one for one in world.flokit.requests if one.method == "GET" and one.at > settled_at]

        def lists():
            return [one for one in looks() if one.path == LIST]

        await world.flokit.wait_for(lambda: len(lists()) >= 4, 30)
        assert len(looks()) - len(lists()) <= 1  # occasionally a page, to see whether the list hides something
        took_s = (lists()[-1].at - lists()[0].at).total_seconds()
        assert took_s >= (len(lists()) - 1) * 0.9 * LONGEST_S / 1.2
        await world.bot.kill()  # Slack's rate limits don't allow a bot to show twenty such quick runs in time.


async def test_a_crash_during_a_shared_check_loses_nothing(socket_world):
    """Each of the three syncs gets one outcome, after one POST."""

    def is_a_look_at_all():
        return have_started(socket_world, 3) and socket_world.flokit.requests[-1].path == LIST

    plan = Plan(0.1, 1.5, "succeeded")
    starting = asyncio.create_task(start_all(socket_world, 3, plan))
    await asyncio.sleep(0)  # the integrations are there
    await socket_world.killed_at(is_a_look_at_all)
    await starting
    await socket_world.start_bot()
    await socket_world.settle()
    for channel in ("C0TEAM0", "C0TEAM1", "C0TEAM2"):
        [root] = socket_world.slack.messages(channel)
        [outcome] = await socket_world.outcomes(root["ts"], channel=channel)
        assert outcome["outcome"] == "succeeded"
    assert [len(socket_world.flokit.posts(f"int_{n}")) for n in range(3)] == [1, 1, 1]
