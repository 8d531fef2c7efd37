"""What one follow-up costs the database, counted so that it can't creep up again."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import dml, selectable

from bot.app import build
from bot.settings.settings import load_settings
from bot.store.embedded import Embedded
from bot.store.statements import form_of
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import World
from tests.statements import watched

LOOKS = 3
STATEMENTS = 94
COMMITS = 16
"""Each of them waits for the disk: the request, the run, the attempt, its acceptance, what was seen, what was shown."""

IN_THE_BACKGROUND = ("replicas.py", "retention.py", "locks.py")
"""What the housekeeper does in the meantime isn't part of a follow-up."""


DIALECT = sqlite.dialect()


def in_the_background():
    """Return whether the housekeeper is at work."""
    return any(frame.filename.endswith(IN_THE_BACKGROUND) for frame in traceback.extract_stack(limit=12))


@asynccontextmanager
async def running_here(folder, monkeypatch):
    """A world whose bot runs in this process."""
    world = World(folder, FOLLOW_UP_FIRST_LOOK_S="0.5", FOLLOW_UP_MAX_INTERVAL_S="0.5")
    await world.start_services()
    for name, value in world.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    bot = build(load_settings())
    task = asyncio.create_task(bot.run())
    try:
        await world.slack.wait_connected()
        yield world
    finally:
        bot.stop()
        await task
        await world.close()


@contextmanager
def counted(monkeypatch):
    """Count statements, commits that wait for the disk, and expressions that aren't constants."""
    counts, built = Counter(), Counter()

    def ran(_transaction, statement, parameters):
        counts["statements"] += 1
        if form_of(statement, DIALECT, parameters) is None and not in_the_background():
            built[str(statement)] += 1

    commit = Embedded._in_thread

    async def committed(where, work):
        counts["commits"] += 1
        return await commit(where, work)

    def noting(make):
        def noted(*args, **options):
            of = [frame for frame in traceback.extract_stack(limit=8) if "/bot/" in frame.filename]
            put_off = any(frame.name == "_write_held" for frame in of)  # delayed by Slack's rate limits
            if of and not put_off and not of[-1].filename.endswith(IN_THE_BACKGROUND):
                built[f"{of[-1].filename}:{of[-1].lineno}"] += 1
            return make(*args, **options)

        return noted

    with monkeypatch.context() as patch:
        patch.setattr(Embedded, "_in_thread", committed)
        for kind in (dml.Insert, dml.Update, dml.Delete, selectable.Select):
            patch.setattr(kind, "__init__", noting(kind.__init__))
        with watched(ran):
            yield counts, built


async def test_a_follow_up_costs_a_few_statements_and_builds_none(tmp_path, monkeypatch):
    """From the click to the posted outcome, with three checks and an App Home that nobody is watching."""
    async with running_here(tmp_path, monkeypatch) as world:
        world.flokit.add("int_a", "stripe")
        world.flokit.plan("int_a", Plan(start_lag_s=0.1, duration_s=1.2))
        await world.outcomes(await world.resync("int_a"))
        panel = await world.status()
        await world.settle()
        looked = len(world.flokit.requests)
        with counted(monkeypatch) as (counts, built):
            await world.press(panel, "flokit_resync", "int_a")
            await world.outcomes(panel["ts"])
            await world.settle()
        looks = len(world.flokit.requests) - looked
    assert looks <= 3 + LOOKS, counts
    assert counts["statements"] <= STATEMENTS, counts
    assert counts["commits"] <= COMMITS, counts
    assert not built
