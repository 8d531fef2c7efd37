"""When PostgreSQL does something unexpected, the bot waits and continues, or refuses its settings in one sentence."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import running_world, words

pytestmark = pytest.mark.postgres

TROUBLES = {
    "read-only": (True, False),
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
    "password": "rejected the password",
    "NOLOGIN": "doesn't let this user in",
    "no database": "no database of this name",
    "rights": "lacks permissions",
}
WAITED_FOR_AT_START = {"read-only": "read-only right now", "full": "no more connections"}


async def break_it(hosted, trouble):
    """Break the database as an operator or a failover does; all sessions end."""
    await hosted.change(TROUBLES[trouble][0])
    await hosted.throw_out()
    if trouble == "no database":
        await rename_away(hosted)


async def rename_away(hosted):
    """Rename the database at a moment when no one uses it."""
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
    """Wait until the bot isn't ready for this reason, and return the response."""
    async with asyncio.timeout(15):
        while True:
            answer = await world.get("/readyz")
            if part in answer.text:
                return answer
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_running_bot_waits_until_the_trouble_is_over(hosted_world, hosted, trouble):
    """Clicks are answered with "nothing was started"; afterwards the same process follows a sync to its outcome."""
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
        await hosted.change(TROUBLES[trouble][1])
    world.flokit.finish("int_a")
    [outcome] = await world.outcomes(root)
    assert outcome["outcome"] == "succeeded"
    assert world.bot.pid == pid
    assert hosted.password not in world.bot.log
    assert "Traceback" not in world.bot.log


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_an_event_that_cannot_be_saved_is_sent_again(tmp_path, hosted, mode):
    """A channel gets another ID while nothing can be saved: Slack reports it again, and its subscription moves."""
    async with running_world(tmp_path, mode=mode, DATABASE_URL=hosted.url) as world:
        world.slack.event_retry_delays_s = (0.0, 1.0, 3.0, 9.0)
        world.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
        await world.start_bot()
        await world.status("subscribe all", channel="G0PARTNERS", user="UBEN")
        await break_it(hosted, "read-only")
        try:
            world.slack.installation.events -= {"channel_id_changed"}
            world.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
            event = {"type": "channel_id_changed", "old_channel_id": "G0PARTNERS", "new_channel_id": "C0PARTNERS"}
            assert not (await world.slack.event(event)).ok
        finally:
            await hosted.change(TROUBLES["read-only"][1])
        async with asyncio.timeout(20):
            while "channel_moved" not in world.bot.log:
                await asyncio.sleep(0.05)
        listed = await world.note("subscriptions", channel="C0PARTNERS", user="UBEN")
        assert "all integrations" in words(listed)


@pytest.mark.parametrize("trouble", WAITED_FOR_AT_START)
async def test_a_starting_bot_waits_for_a_read_only_or_full_server(hosted_world, hosted, trouble):
    """It says why it's waiting, and becomes ready without a restart."""
    world = hosted_world
    await break_it(hosted, trouble)
    try:
        world.bot.use(world.settings)
        world.url = await world._listening(world.bot)
        pid = world.bot.pid
        assert (await readiness(world, WAITED_FOR_AT_START[trouble])).status_code == 503
        await world.logged("store_unavailable", 3)
    finally:
        await hosted.change(TROUBLES[trouble][1])
    await world._ready(world.url)
    assert world.bot.pid == pid
    assert "Traceback" not in world.bot.log


@pytest.mark.parametrize("trouble", REFUSED_AT_START)
async def test_a_starting_bot_refuses_what_waiting_cannot_fix(hosted_world, hosted, trouble):
    """It exits with 78 after one sentence that names the setting, without a traceback or the password."""
    world = hosted_world
    await break_it(hosted, trouble)
    try:
        world.bot.use(world.settings)
        await world.bot.start()
        assert await world.bot.wait() == 78
    finally:
        await hosted.change(TROUBLES[trouble][1])
    sentence = world.bot.log.splitlines()[-1]
    assert sentence.startswith("DATABASE_URL: ")
    assert REFUSED_AT_START[trouble] in sentence
    assert hosted.password not in world.bot.log
    assert "Traceback" not in world.bot.log


async def test_the_main_job_through_pgbouncer(tmp_path, pgbouncer):
    """With PgBouncer in transaction mode, two replicas with few connections bring a click to its outcome."""
    async with running_world(tmp_path, DATABASE_URL=pgbouncer, DATABASE_POOL_SIZE="2") as world:
        world.flokit.add("int_a", "stripe", status="error", error_message="The signing secret is wrong")
        world.flokit.plan("int_a", Plan(0.1, 0.5, "succeeded"))
        await world.start_bot()
        await world.start_another()
        root = await world.resync("int_a")
        assert [one["outcome"] for one in await world.outcomes(root)] == ["succeeded"]
        assert not [entry for entry in world.log if entry.get("event") == "store_unavailable"]
