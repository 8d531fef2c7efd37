"""A PostgreSQL that says something unexpected: the bot waits and goes on, or refuses its settings in one sentence."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import running_world, words

pytestmark = pytest.mark.postgres

READ_ONLY = ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
WRITABLE = ("ALTER SYSTEM SET default_transaction_read_only = off", "SELECT pg_reload_conf()")

TROUBLES = {
    "read-only": (READ_ONLY, WRITABLE),
    "password": (
        ["ALTER ROLE {self.user} PASSWORD 'another'"],
        ["ALTER ROLE {self.user} PASSWORD '{self.password}'"],
    ),
    "NOLOGIN": (["ALTER ROLE {self.user} NOLOGIN"], ["ALTER ROLE {self.user} LOGIN"]),
    "no database": (
        ["SELECT 1"],
        ["ALTER DATABASE {self.name}_elsewhere RENAME TO {self.name}"],
    ),
    "rights": (
        ["inside", "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {self.user}"],
        ["inside", "GRANT ALL ON ALL TABLES IN SCHEMA public TO {self.user}"],
    ),
    "full": (
        ["ALTER ROLE {self.user} CONNECTION LIMIT 0"],
        ["ALTER ROLE {self.user} CONNECTION LIMIT -1"],
    ),
}
REFUSED_AT_START = {
    "password": "refuses the password",
    "NOLOGIN": "doesn't let this user in",
    "no database": "no database of this name",
    "rights": "lacks permissions",
}
WAITED_FOR_AT_START = {"read-only": "read-only right now", "full": "no more connections"}


async def operate(hosted, statements):
    """Do what the operator does."""
    if statements[0] == "inside":
        await hosted.operate_inside(*statements[1:])
    else:
        await hosted.operate(*statements)


async def break_it(hosted, trouble):
    """Let the operator, or a failover, do it; all sessions end."""
    await operate(hosted, TROUBLES[trouble][0])
    await hosted.throw_out()
    if trouble == "no database":
        await rename_away(hosted)


async def rename_away(hosted):
    """Rename the database in a moment in which nobody uses it."""
    async with asyncio.timeout(10):
        while True:
            try:
                await hosted.throw_out()
                await hosted.operate("ALTER DATABASE {self.name} RENAME TO {self.name}_elsewhere")
            except Exception:  # noqa: BLE001 - a session came back meanwhile
                await asyncio.sleep(0.05)
            else:
                return


@pytest_asyncio.fixture
async def hosted_world(tmp_path, hosted):
    """A world on a hosted PostgreSQL; its bot isn't started."""
    async with running_world(tmp_path, DATABASE_URL=hosted.url) as world:
        world.flokit.add("int_a", "stripe", status="error", error_message="The signing secret is wrong")
        world.flokit.plan("int_a", Plan(0.1, 600, "succeeded"))
        yield world


async def readiness(world, part):
    """Wait until the bot isn't ready because of something, and return what it says."""
    async with asyncio.timeout(15):
        while True:
            answer = await world.get("/readyz")
            if part in answer.text:
                return answer
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_under_way_it_is_told_and_waited_for(hosted_world, hosted, trouble):
    """A click is answered that nothing was started; afterwards the same process follows the sync to its outcome."""
    world = hosted_world
    await world.start_bot()
    root = await world.resync("int_a")
    await world.flokit.wait_for(lambda: world.flokit.posts("int_a"), 10)
    pid = world.bot.pid
    await break_it(hosted, trouble)
    try:
        seen = len(world.slack.ephemerals("UANA"))
        await world.press(world.slack.message("C0DATA", root), "flokit_resync", "int_a")
        assert "nothing was started" in words(await world.whisper("UANA", seen))
        assert (await readiness(world, "database")).status_code == 503
        assert (await world.get("/livez")).status_code == 200
    finally:
        await operate(hosted, TROUBLES[trouble][1])
    world.flokit.finish("int_a")
    [outcome] = await world.outcomes(root)
    assert outcome["outcome"] == "succeeded"
    assert world.bot.pid == pid
    assert hosted.password not in world.bot.log
    assert "Traceback" not in world.bot.log


@pytest.mark.parametrize("trouble", WAITED_FOR_AT_START)
async def test_a_start_waits(hosted_world, hosted, trouble):
    """A start while the server only reads, or is full, is one start: it waits, says why, and becomes ready."""
    world = hosted_world
    await break_it(hosted, trouble)
    try:
        world.bot.use(world.settings)
        world.url = await world._listening(world.bot)
        pid = world.bot.pid
        assert (await readiness(world, WAITED_FOR_AT_START[trouble])).status_code == 503
        await world.logged("store_unavailable", 3)
    finally:
        await operate(hosted, TROUBLES[trouble][1])
    await world._ready(world.url)
    assert world.bot.pid == pid
    assert "Traceback" not in world.bot.log


@pytest.mark.parametrize("trouble", REFUSED_AT_START)
async def test_a_start_refuses_what_no_waiting_helps(hosted_world, hosted, trouble):
    """At a start it is a wrong setting: one sentence that names it, 78, and neither a traceback nor the password."""
    world = hosted_world
    await break_it(hosted, trouble)
    try:
        world.bot.use(world.settings)
        await world.bot.start()
        assert await world.bot.wait() == 78
    finally:
        await operate(hosted, TROUBLES[trouble][1])
    sentence = world.bot.log.splitlines()[-1]
    assert sentence.startswith("DATABASE_URL: ")
    assert REFUSED_AT_START[trouble] in sentence
    assert hosted.password not in world.bot.log
    assert "Traceback" not in world.bot.log


async def test_the_main_job_through_pgbouncer(tmp_path, pgbouncer):
    """Behind PgBouncer in transaction mode two replicas with few connections take a click to its outcome."""
    async with running_world(tmp_path, DATABASE_URL=pgbouncer, DATABASE_POOL_SIZE="2") as world:
        world.flokit.add("int_a", "stripe", status="error", error_message="The signing secret is wrong")
        world.flokit.plan("int_a", Plan(0.1, 0.5, "succeeded"))
        await world.start_bot()
        await world.start_another()
        root = await world.resync("int_a")
        assert [one["outcome"] for one in await world.outcomes(root)] == ["succeeded"]
        assert not [entry for entry in world.log if entry.get("event") == "store_unavailable"]
