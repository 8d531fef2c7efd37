"""Several replicas on one PostgreSQL: any of them can die, freeze or be replaced, and the database can go down."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from bot.core.budget import PER_MINUTE, Priority
from bot.store.budget import SharedBudget
from bot.store.database import Database
from sandbox.local_flokit.sources import Plan
from tests.conftest import new_postgres
from tests.scenarios.conftest import entries_of, running_world, words

pytestmark = pytest.mark.postgres

LEASE_S = 2.0
INTEGRATIONS = [f"int_{letter}" for letter in "abcdef"]


@pytest_asyncio.fixture(params=["socket", "http"])
async def two(request, tmp_path, postgres_url):
    """Two replicas, and six integrations that a sync repairs within a second."""
    async with _two_replicas(tmp_path, postgres_url, mode=request.param) as world:
        yield world


@pytest_asyncio.fixture
async def two_on_sockets(tmp_path, postgres_url):
    """The same in Socket Mode only, for what doesn't depend on the transport."""
    async with _two_replicas(tmp_path, postgres_url) as world:
        yield world


def _two_replicas(tmp_path, url, **options):
    return _Prepared(running_world(tmp_path, DATABASE_URL=url, LEASE_S=str(LEASE_S), **options))


class _Prepared:
    """A world in which both replicas run before the test begins."""

    def __init__(self, world):
        self._world = world

    async def __aenter__(self):
        world = await self._world.__aenter__()
        for id_ in INTEGRATIONS:
            world.flokit.add(id_, "stripe", status="error", error_message="The signing secret is wrong")
            world.flokit.plan(id_, Plan(0.1, 600, "succeeded"))
        await world.start_bot()
        await world.start_another()
        return world

    async def __aexit__(self, *error):
        return await self._world.__aexit__(*error)


async def follower_of(world, integration):
    """Wait until a replica has sent the POST, and return that replica and the others."""
    await world.flokit.wait_for(lambda: world.flokit.posts(integration), 10)
    bots = [world.bot, *world.others]
    while True:
        for bot in bots:
            if any(entry.get("event") == "sync_triggered" for entry in entries_of(bot.log)):
                return bot, [one for one in bots if one is not bot]
        await asyncio.sleep(0.02)


async def resync(world, integration):
    """Press Resync at one of the integrations; return the thread."""
    panel = await world.status(f"status {integration}")
    await world.press(panel, "flokit_resync", integration)
    return panel["ts"]


async def looked_at_after(world, integration, wall):
    """Wait until FloKit is asked about an integration again, and return how long that took."""
    since = len(world.flokit.requests)
    await world.flokit.wait_for(lambda: any(r.method == "GET" for r in world.flokit.requests[since:]), 15)
    return time.monotonic() - wall


async def assert_posted_once(world, root, integration):
    """Check that the outcome was posted once, after one POST."""
    [outcome] = await world.outcomes(root)
    assert outcome["outcome"] == "succeeded"
    await world.settle()
    assert len(world.outcome_messages(root)) == 1
    assert len(world.flokit.posts(integration)) == 1


async def test_a_killed_replica_is_taken_over_in_time(two):
    """After kill -9, another replica checks within the lease and two seconds, and posts the outcome."""
    root = await resync(two, "int_a")
    dead, [other] = await follower_of(two, "int_a")
    point_at(two, other)
    await dead.kill()
    assert await looked_at_after(two, "int_a", time.monotonic()) < LEASE_S + 2
    two.flokit.finish("int_a")
    await assert_posted_once(two, root, "int_a")


def point_at(world, bot):
    """Over HTTP, stop sending requests to a replica that's about to be stopped, as a load balancer does."""
    if world.mode == "http":
        port = next(entry["port"] for entry in reversed(entries_of(bot.log)) if entry.get("event") == "listening")
        world.slack.request_url = f"http://127.0.0.1:{port}/slack/events"


async def test_sigterm_releases_the_leases(tmp_path, postgres_url):
    """Nobody waits until they expire, and the exit code is 0."""
    async with _Prepared(running_world(tmp_path, DATABASE_URL=postgres_url, LEASE_S="60")) as world:
        root = await resync(world, "int_a")
        leaving, _ = await follower_of(world, "int_a")
        began = time.monotonic()
        assert await leaving.stop() == 0
        assert time.monotonic() - began < 10
        assert await looked_at_after(world, "int_a", time.monotonic()) < 5
        world.flokit.finish("int_a")
        await assert_posted_once(world, root, "int_a")


async def test_a_frozen_replica_that_wakes_up_writes_nothing(two_on_sockets):
    """It gets SIGSTOP during a run; another replica posts the outcome, and the frozen one posts nothing later."""
    world = two_on_sockets
    root = await resync(world, "int_a")
    frozen, _ = await follower_of(world, "int_a")
    frozen.signal(signal.SIGSTOP)
    world.flokit.finish("int_a")
    await world.outcomes(root)
    frozen.signal(signal.SIGCONT)
    assert await frozen.stop() == 0
    await assert_posted_once(world, root, "int_a")


async def test_a_rolling_restart_under_load_loses_nothing(two):
    """While people click, each replica is replaced in turn: every thread gets its outcome, every sync one POST."""
    for id_ in INTEGRATIONS:
        two.flokit.plan(id_, Plan(0.1, 0.5, "succeeded"))
    panel = await two.status()
    roots = []

    async def people():
        for id_ in INTEGRATIONS:
            roots.append((await resync(two, id_), id_))
            await two.press(two.slack.message("C0DATA", panel["ts"]), "flokit_resync", id_, user="UBEN")

    clicking = asyncio.create_task(people())
    for old in (two.bot, two.others[0]):
        new = await two.start_another()
        point_at(two, new)
        assert await old.stop() == 0
    await clicking
    for root, _ in roots:
        assert [one["outcome"] for one in await two.outcomes(root)] == ["succeeded"]
    await two.settle()
    for root, id_ in roots:
        assert len(two.outcome_messages(root)) == 1
        assert 1 <= len(two.flokit.posts(id_)) <= 2  # Ben's click joins, or comes after the sync has ended


async def test_an_unavailable_database_is_reported_and_waited_for(two_on_sockets, postgres_server):
    world = two_on_sockets
    root = await resync(world, "int_a")
    await follower_of(world, "int_a")
    panel = world.slack.message("C0DATA", root)
    pids = [world.bot.pid, world.others[0].pid]
    await asyncio.to_thread(postgres_server.stop)
    try:
        seen = len(world.slack.ephemerals("UANA"))
        await world.press(panel, "flokit_resync", "int_a")
        sentence = await world.whisper("UANA", seen)
        assert "nothing was started" in words(sentence)
        assert (await world.get("/readyz")).status_code == 503
        assert (await world.get("/livez")).status_code == 200
    finally:
        await asyncio.to_thread(postgres_server.ensure_postgres_running)
    world.flokit.finish("int_a")
    await assert_posted_once(world, root, "int_a")
    assert [world.bot.pid, world.others[0].pid] == pids
    away = [entry for entry in world.log if entry.get("event") == "store_unavailable"]
    assert len(away) < 100  # it waits between two attempts


@pytest.fixture
def empty_postgres_url(postgres_server):
    """A database without tables."""
    return new_postgres(postgres_server)


async def test_a_database_of_an_older_version_is_refused(empty_postgres_url, make_world):
    """A replica never migrates shared tables automatically: it says what to do, and exits with 78."""
    async with make_world(DATABASE_URL=empty_postgres_url) as world:
        world.bot.use(world.settings)
        await world.bot.start()
        assert await world.bot.wait() == 78
        assert "run flokit-bot migrate" in world.bot.log


async def test_one_budget_holds_for_all_replicas(two_on_sockets):
    """When little of the minute's budget is left, all replicas together stay within it, and clicks come first."""
    world, left = two_on_sockets, 25
    database = Database(world.database_url)
    budget = SharedBudget(database, "T0SANDBOX", clock=lambda: datetime.now(UTC))
    for _ in range(PER_MINUTE - left):
        await budget.take(Priority.BACKGROUND if await budget.left() > PER_MINUTE // 2 else Priority.FOLLOW_UP)
    await database.close()
    for id_ in INTEGRATIONS:
        await resync(world, id_)
    for id_ in INTEGRATIONS:
        await world.flokit.wait_for(lambda id_=id_: world.flokit.posts(id_), 10)
    assert len(world.flokit.requests) <= left
    for id_ in INTEGRATIONS:
        world.flokit.finish(id_)
