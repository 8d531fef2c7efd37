"""Several people click: FloKit runs one sync, and the outcome is posted in every thread."""

from __future__ import annotations

import asyncio

from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import words


async def test_a_second_click_from_anywhere_joins(socket_world):
    """A click in another channel and a typed sync join: one POST, one outcome in each thread, all joiners named."""
    socket_world.flokit.add("int_a", "stripe")
    socket_world.flokit.plan("int_a", Plan(0.1, 1.5, "succeeded"))
    elsewhere, third = socket_world.channel("C0ELSE"), socket_world.channel("C0THIRD")
    root = await socket_world.resync("int_a")
    joined = await socket_world.resync("int_a", user="UBEN", channel=elsewhere)
    typed = await socket_world.status("sync stripe", user="UCLEO", channel=third)

    ends = [
        await socket_world.outcomes(root),
        await socket_world.outcomes(joined, channel=elsewhere),
        await socket_world.outcomes(typed["ts"], channel=third),
    ]

    assert [outcome["outcome"] for [outcome] in ends] == ["succeeded"] * 3
    assert len({outcome["run_id"] for [outcome] in ends}) == 1
    assert len(socket_world.flokit.posts("int_a")) == 1
    outcome = words(socket_world.outcome_messages(root)[0])
    assert all(mention in outcome for mention in ("<@UANA>", "<@UBEN>", "<@UCLEO>"))
    await socket_world.reply(root, "joined by ben")
    await socket_world.reply(joined, "joined a sync that was already running", channel=elsewhere)


async def test_ten_clicks_at_once_are_one_sync(socket_world):
    """There's one outcome; a click after the end starts another sync."""
    socket_world.flokit.add("int_a", "stripe")
    socket_world.flokit.plan("int_a", Plan(0.1, 0.4, "succeeded"))
    panel = await socket_world.status()
    people = ("UANA", "UBEN", "UCLEO")
    await asyncio.gather(
        *(socket_world.press(panel, "flokit_resync", "int_a", user=people[index % 3]) for index in range(10))
    )
    [first] = await socket_world.outcomes(panel["ts"])
    assert len(socket_world.flokit.posts("int_a")) == 1

    socket_world.flokit.plan("int_a", Plan(0.1, 0.2, "failed"))
    await socket_world.press(panel, "flokit_resync", "int_a")
    _, second = await socket_world.outcomes(panel["ts"], 2)
    assert [first["outcome"], second["outcome"]] == ["succeeded", "failed"]
    assert second["run_id"] != first["run_id"]
    assert len(socket_world.flokit.posts("int_a")) == 2
