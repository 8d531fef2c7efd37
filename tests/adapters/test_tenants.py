"""The workspaces that installed the app share their connections, and one that is idle leaves nothing in memory."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from contextlib import asynccontextmanager

import pytest_asyncio
from aiohttp import web
from sqlalchemy import event

from bot import tenants
from bot.app import Bot
from bot.core.installations import Connection, Installation
from bot.core.models import Message
from bot.settings.encryption_keys import new_encryption_key
from bot.settings.settings import load_settings
from bot.store import schema
from bot.tenants import IDLE_S

TEAMS = tuple(f"T{number:03}" for number in range(60))
MOST = 20
"""Of FloKit's connections, and of those to PostgreSQL with the default pool; Slack's are limited, too."""


class Server:
    """Answers like Slack and like FloKit, and counts the connections that are open at the same time."""

    def __init__(self):
        self.peers, self.keys, self.most = Counter(), set(), 0

    async def answer(self, request):
        """Answer, while the connection counts."""
        peer = request.transport.get_extra_info("peername")
        self.peers[peer] += 1
        self.keys.add(request.headers["Authorization"])
        self.most = max(self.most, len(+self.peers))
        for _ in range(100):  # the others come meanwhile
            await asyncio.sleep(0)
        self.peers[peer] -= 1
        return web.json_response({"ok": True, "ts": "1.000001", "channel": "C0DATA", "integrations": []})


@asynccontextmanager
async def serving():
    """Run one, and yield it with its address."""
    server, app = Server(), web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield server, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture
async def outside():
    """A Slack and a FloKit."""
    async with serving() as slack, serving() as flokit:
        yield slack, flokit


@pytest_asyncio.fixture
async def bot(database_url, outside, monkeypatch, tmp_path, clock):
    """A bot, with the app installed in all workspaces and each connected to its FloKit."""
    (_, slack_url), (_, flokit_url) = outside
    given = {
        "SLACK_CLIENT_ID": "1.2",
        "SLACK_CLIENT_SECRET": "a-secret-of-the-client",
        "SLACK_SIGNING_SECRET": "a-signing-secret",
        "PUBLIC_URL": "http://127.0.0.1:3000",
        "ENCRYPTION_KEYS": new_encryption_key(),
        "DATABASE_URL": database_url,
        "SLACK_API_URL": f"{slack_url}/api/",
        "FLOKIT_API_URL": flokit_url,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    bot = Bot(load_settings())
    await schema.upgrade(bot._database)
    for team in TEAMS:
        token = f"xoxb-of-{team}"
        one = Installation(team, team, None, False, "A0", "B0", "UFLOKIT", token, ("chat:write",), "UANA", clock.now)
        await bot._many._installations.save(one, clock.now)
        await bot._many._installations.connections.save(
            team, Connection(f"flo_of_{team}", None, "UANA", clock.now), clock.now
        )
    yield bot
    await bot._many.aclose()
    await bot._slack.aclose()
    await bot._database.close()


async def use(bot, team):
    """Have a workspace post a message, and read its integrations."""
    workspace = await bot._many.of(team)
    await workspace.sender._slack.post("C0DATA", Message("hello"))
    await workspace.flokit.fetch_integrations(max_age_s=0)
    return workspace


async def test_connections_dont_grow_with_the_workspaces(bot, outside):
    """All workspaces use one pool to Slack, one to FloKit and one to the database, each with its own token and key."""
    (slack, _), (flokit, _) = outside
    opened, most_opened = set(), 0

    def note(connection, *_):
        nonlocal most_opened
        opened.add(connection)
        most_opened = max(most_opened, len(opened))

    event.listen(bot._database.engine, "connect", note)
    event.listen(bot._database.engine, "close", lambda connection, *_: opened.discard(connection))
    used = await asyncio.gather(*(use(bot, team) for team in TEAMS))
    assert len({id(one) for one in used}) == len(TEAMS)
    assert slack.keys == {f"Bearer xoxb-of-{team}" for team in TEAMS}
    assert flokit.keys == {f"Bearer flo_of_{team}" for team in TEAMS}
    assert flokit.most <= MOST
    assert slack.most <= 100
    assert most_opened <= MOST


async def test_a_workspace_that_is_idle_for_an_hour_leaves_nothing(bot, monkeypatch):
    """The process keeps no object of it, so that only those in use take memory."""
    monkeypatch.setattr(tenants, "SWEEP_S", 0)
    begun = set()

    def spawn(work):
        task = asyncio.create_task(work)
        begun.add(task)
        task.add_done_callback(begun.discard)  # a task that was cancelled keeps its frames
        return task

    bot._many._spawn = spawn
    used = [await use(bot, team) for team in TEAMS]
    left = [
        weakref.ref(part) for one in used for part in (one.sender, one.flokit, one.watcher, one.addressee.reception)
    ]
    del used
    later = tenants._now_s() + IDLE_S + 1
    monkeypatch.setattr(tenants, "_now_s", lambda: later)
    sweeping = asyncio.create_task(bot._many._sweep())
    async with asyncio.timeout(10):
        while any(one() for one in left):  # the sweep stops a workspace after it has dropped it
            await asyncio.sleep(0)
            gc.collect()
    sweeping.cancel()
    await asyncio.gather(sweeping, *begun, return_exceptions=True)
    assert not bot._many._slots


async def test_a_first_key_counts_at_once_in_every_replica(bot, clock):
    """Another replica connects the workspace; this one had seen it without a key a moment ago."""
    team, installations = TEAMS[0], bot._many._installations
    await installations.connections.erase(team)
    assert not (await bot._many.of(team)).flokit.is_connected
    await installations.connections.save(team, Connection("flo_another", None, "UANA", clock.now), clock.now)
    assert (await bot._many.of(team)).flokit.is_connected
