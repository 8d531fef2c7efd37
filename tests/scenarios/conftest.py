"""The whole bot as a process, between a local Slack and a local FloKit. Tests check what people would see."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from sandbox.child import BotProcess
from sandbox.clock import WorldClock
from sandbox.local_flokit import READ_KEY, WRITE_KEY, LocalFlokit
from sandbox.slack import flokit_slack
from tests.scenarios.forks import ForkedBot, running_nursery

READY_WITHIN_S = 60.0

SETTLED_WITHIN_S = 15.0

EVERYBODY = ("UANA", "UBEN", "UCLEO")

NO_FAULT_OF_OURS = {
    "",
    "ratelimited",
    "internal_error",
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "is_inactive",
    "message_not_found",
    "cant_update_message",
    "token_revoked",
}
"""What Slack may answer to a bot without faults; any other code is a fault of the bot."""

UNTOLD = """
SELECT id FROM inbox WHERE due_at IS NOT NULL
UNION ALL SELECT id FROM outbox WHERE due_at IS NOT NULL AND NOT (kind = 'progress' AND ts IS NOT NULL)
"""

QUICK = {
    "FOLLOW_UP_FIRST_LOOK_S": "0.1",
    "FOLLOW_UP_MAX_INTERVAL_S": "0.4",
    "FOLLOW_UP_GRACE_S": "1",
    "FOLLOW_UP_DEADLINE_S": "20",
    "LEASE_S": "2",
    "SYNC_COOLDOWN_S": "0",
    "LOG_FORMAT": "json",
}
"""Patience for tests: the same rules, thirty to sixty times as fast."""


@pytest.fixture(scope="session", autouse=True)
def tables(sqlite_template):
    """Have the bots of these tests find their tables."""
    World.template = sqlite_template


@pytest.fixture(scope="session", autouse=True)
def nursery():
    """Have the bots of these tests forked."""
    if sys.platform != "linux":
        yield
        return
    with running_nursery() as ForkedBot.nursery:
        yield
    ForkedBot.nursery = None


class World:
    """A Slack, a FloKit, and a bot that talks to both; ``settings`` are the documented ones."""

    template: Path | None = None
    """A file with all tables, which spares each bot their creation; None: they're created."""

    def __init__(self, folder: Path, *, mode: str = "socket", **settings: str) -> None:
        self.folder = folder
        self.mode = mode
        self.clock = WorldClock(folder / "clock")
        self.slack = flokit_slack(clock=self.clock.time)
        self.flokit = LocalFlokit(clock=self.clock.now)
        self.expected_errors: set[str] = set()
        """Events that the bot may log as errors in this test."""
        self.expected_refusals: set[str] = set()
        """What Slack may answer in this test, in addition to what it may always answer."""
        self.twice_at_most = False
        """In this test, the bot can't check for its messages, so one whose reply was lost may be there twice."""
        self.url = ""
        self._overrides = settings
        self.bot: BotProcess = ForkedBot({}, folder, clock=self.clock)
        self.others: list[BotProcess] = []
        """Further replicas; the first one is ``bot``."""

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings that the bot is started with."""
        tokens = self.slack.installation.tokens
        way_in = (
            {"SLACK_APP_TOKEN": tokens.app}
            if self.mode == "socket"
            else {"SLACK_SIGNING_SECRET": tokens.signing_secret}
        )
        return {
            "SLACK_BOT_TOKEN": tokens.bot,
            **way_in,
            "SLACK_API_URL": self.slack.api_url,
            "FLOKIT_API_KEY": READ_KEY,
            "FLOKIT_SYNC_API_KEY": WRITE_KEY,
            "FLOKIT_API_URL": self.flokit.url,
            "DATABASE_URL": self.database_url,
            "PORT": "0",
            **QUICK,
            **self._overrides,
        }

    @property
    def database_url(self) -> str:
        """Return the address of the database."""
        return self._overrides.get("DATABASE_URL", f"sqlite+aiosqlite:///{self.folder / 'flokit.db'}")

    async def start_services(self) -> None:
        """Start the local Slack and the local FloKit."""
        if self.template and "DATABASE_URL" not in self._overrides:
            shutil.copy(self.template, self.folder / "flokit.db")
        await self.slack.start()
        await self.flokit.start()

    async def close(self) -> None:
        """Stop everything."""
        for bot in (self.bot, *self.others):
            bot.signal(signal.SIGCONT)
            await bot.kill()
        await self.slack.stop()
        await self.flokit.stop()

    async def start_bot(self, *, descriptors: tuple[int, int] | None = None) -> None:
        """Start the bot and wait until it's ready."""
        self.bot = ForkedBot(self.settings, self.folder, clock=self.clock, descriptors=descriptors)
        self.url = await self._listening(self.bot)
        await self._ready(self.url)

    async def start_another(self) -> BotProcess:
        """Start one more replica on the same database, and wait until it's ready."""
        folder = self.folder / f"replica-{len(self.others) + 2}"
        folder.mkdir(exist_ok=True)
        self.others.append(ForkedBot(self.settings, folder, clock=self.clock))
        await self._ready(await self._listening(self.others[-1]))
        return self.others[-1]

    async def _listening(self, bot: BotProcess) -> str:
        """Start a process and return the address of its routes; over HTTP, Slack now sends requests there."""
        await bot.start()
        async with asyncio.timeout(READY_WITHIN_S):
            url = await _address_of(bot)
        if self.mode == "http":
            self.slack.request_url = f"{url}/slack/events"
        return url

    async def _ready(self, url: str) -> None:
        async with asyncio.timeout(READY_WITHIN_S), httpx.AsyncClient(timeout=READY_WITHIN_S) as http:
            while (await http.get(f"{url}/readyz")).status_code != 200:
                await asyncio.sleep(0.02)
        if self.mode == "socket":
            await self.slack.wait_connected()

    async def restart(self) -> None:
        """Kill the bot as a crash would, unless it has already exited, and start it again."""
        await self.bot.kill()
        await self.start_bot()

    async def killed_at(self, is_the_instant: Callable[[], object]) -> None:
        """Kill the bot at a moment that Slack or FloKit sees: before it gets the reply to what it just requested."""
        killed = asyncio.Event()

        def look(_change: object = None) -> None:
            if not killed.is_set() and is_the_instant():
                self.bot.signal(signal.SIGKILL)
                killed.set()

        ends = (self.slack.subscribe(look), self.flokit.subscribe(look))
        try:
            async with asyncio.timeout(15):
                await killed.wait()
        finally:
            for end in ends:
                end()
        await self.bot.wait()

    async def move_clock(self, **parts: float) -> None:
        """Move the whole world's clock forward, by a timedelta's arguments; the bot notices within two seconds."""
        self.clock.move(timedelta(**parts))
        self.slack.note_change()

    async def get(self, path: str) -> httpx.Response:
        """Request one of the bot's own routes."""
        async with httpx.AsyncClient() as http:
            return await http.get(f"{self.url}{path}")

    @property
    def log(self) -> list[dict[str, Any]]:
        """Return what the replicas logged, line by line."""
        return [entry for bot in (self.bot, *self.others) for entry in entries_of(bot.log)]

    async def logged(self, event: str, times: int = 1) -> dict[str, Any]:
        """Wait until the bot has logged an event this many times, and return the newest entry."""
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while len(found := [entry for entry in self.log if entry.get("event") == event]) < times:
                await asyncio.sleep(0.05)
        return found[-1]

    # People

    def channel(self, channel_id: str) -> str:
        """Add a channel with everyone and the bot in it."""
        self.slack.add_channel(channel_id, channel_id.lower(), members=EVERYBODY, bot_is_member=True)
        return channel_id

    async def command(self, text: str = "", *, user: str = "UANA", channel: str = "C0DATA") -> None:
        """Type the slash command; it must be acked."""
        ack = await self.slack.command(user, channel, text)
        assert ack.ok, (ack, self.bot.log)

    async def status(self, text: str = "status", *, user: str = "UANA", channel: str = "C0DATA") -> dict[str, Any]:
        """Type a command and return the message that answers it."""
        before = {message["ts"] for message in self.slack.messages(channel)}
        await self.command(text, user=user, channel=channel)
        return await self.slack.wait_for(
            lambda: next((one for one in self.slack.messages(channel) if one["ts"] not in before), None),
            10,
            f"an answer to {text}",
        )

    async def note(self, text: str, *, user: str = "UANA", channel: str = "C0DATA") -> dict[str, Any]:
        """Type a command and return the answer that only the person who typed it sees."""
        before = len(self.slack.ephemerals(user))
        await self.command(text, user=user, channel=channel)
        return await self.whisper(user, before)

    async def whisper(self, user: str, before: int) -> dict[str, Any]:
        """Return the next message that only one person sees."""
        seen = await self.slack.wait_for(lambda: self.slack.ephemerals(user)[before:], 10, f"a whisper to {user}")
        return seen[-1]

    async def resync(self, integration_id: str, *, user: str = "UANA", channel: str = "C0DATA") -> str:
        """Run status, press Resync in its message, and return the thread."""
        panel = await self.status(user=user, channel=channel)
        await self.press(panel, "flokit_resync", integration_id, user=user, channel=channel)
        return panel["ts"]

    async def press(
        self,
        message: dict[str, Any],
        action_id: str,
        about: str = "",
        *,
        user: str = "UANA",
        channel: str = "C0DATA",
        ephemeral: bool = False,
        raw_value: str | None = None,
    ) -> None:
        """Press the button of a message whose value mentions ``about``; it must be acked."""
        ts = message["ts"]
        current = self.slack.message(channel, ts) if not ephemeral else message
        value = next(
            button["value"]
            for button in buttons(current)
            if button["action_id"] == action_id and about in button["value"]
        )
        ack = await self.slack.click(
            user, channel, ts, action_id, value=value, ephemeral=ephemeral, raw_value=raw_value
        )
        assert ack.ok, (ack, self.bot.log)

    # What they see

    async def reply(self, root_ts: str, part: str, *, channel: str = "C0DATA", timeout_s: float = 10) -> dict[str, Any]:
        """Wait for a reply in a thread that says ``part``."""
        return await self.slack.wait_for(
            lambda: next((one for one in self.slack.messages(channel, root_ts) if part in words(one)), None),
            timeout_s,
            f"a reply with {part!r}",
        )

    async def outcomes(
        self, root_ts: str, count: int = 1, *, channel: str = "C0DATA", timeout_s: float = 20
    ) -> list[dict[str, Any]]:
        """Wait until a thread has this many outcomes, and return them from the metadata."""
        found = await self.slack.wait_for(
            lambda: (
                (outcomes := self.outcome_messages(root_ts, channel=channel))
                if len(self.outcome_messages(root_ts, channel=channel)) >= count
                else None
            ),
            timeout_s,
            what=f"{count} outcomes",
        )
        return [message["metadata"]["event_payload"] for message in found]

    def outcome_messages(self, root_ts: str, *, channel: str = "C0DATA") -> list[dict[str, Any]]:
        """Return the outcome messages in a thread."""
        return [
            message
            for message in self.slack.messages(channel, root_ts)
            if (message.get("metadata") or {}).get("event_type") == "flokit_sync_outcome"
        ]

    async def direct_root(self, user: str) -> dict[str, Any]:
        """Wait for the bot's first message to a person, and return it with its channel."""
        channel = self.slack.workspace.open_im(user).id
        roots = await self.slack.wait_for(lambda: self.slack.messages(channel), 10, f"a direct message to {user}")
        return {**roots[0], "channel": channel}

    # What must hold at the end of every scenario

    async def settle(self) -> None:
        """Wait until everything that must be posted is posted; updates of a progress message don't count."""
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while await self._untold():
                await asyncio.sleep(0.02)

    async def _untold(self) -> list[Any]:
        if self.database_url.startswith("postgres"):
            connection = await asyncpg.connect(self.database_url.replace("+asyncpg", ""), statement_cache_size=0)
            try:
                return await connection.fetch(UNTOLD)
            finally:
                await connection.close()
        path = self.folder / "flokit.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(UNTOLD).fetchall()

    def check_promises(self) -> None:
        """Check what holds in every scenario: Slack accepted each message, nothing is posted twice, nothing leaks."""
        faults = [call for call in self.slack.calls if call.error not in NO_FAULT_OF_OURS | self.expected_refusals]
        assert not faults, faults
        assert not self.slack.warnings
        self._check_threads()
        self._check_log()

    def _check_threads(self) -> None:
        """A run has at most three messages in a thread, and one outcome: two if the first was no result."""
        by_thread: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for channel in self.slack.workspace.channels:
            for message in self.slack.workspace.all_messages(channel):
                metadata = message.get("metadata") or {}
                run_id = metadata.get("event_payload", {}).get("run_id")
                if run_id:
                    by_thread.setdefault((channel, message.get("thread_ts", ""), run_id), []).append(metadata)
        for thread, messages in by_thread.items():
            outcomes = [
                one["event_payload"]["outcome"] for one in messages if one["event_type"] == "flokit_sync_outcome"
            ]
            times = 2 if self.twice_at_most else 1
            assert len(messages) - len(outcomes) <= times, (thread, messages)
            late = len(outcomes) == 2 and outcomes[0] == "not_confirmed"
            assert len(outcomes) <= times or late, (thread, messages)
        sent = Counter(
            message["metadata"]["event_payload"]["outbox_id"]
            for channel in self.slack.workspace.channels
            for message in self.slack.workspace.all_messages(channel)
            if message.get("metadata")
        )
        allowed = 2 if self.twice_at_most else 1
        assert not [outbox_id for outbox_id, times in sent.items() if times > allowed], sent

    def _check_log(self) -> None:
        tokens = self.slack.installation.tokens
        for secret in filter(None, (tokens.bot, tokens.app, tokens.signing_secret, READ_KEY, WRITE_KEY)):
            assert not [bot for bot in (self.bot, *self.others) if secret in bot.log]
        errors = [
            entry
            for entry in self.log
            if "exception" in entry
            or "Traceback" in str(entry.get("event"))
            or (entry.get("level") in ("error", "critical") and str(entry.get("logger")).startswith("bot."))
        ]
        assert not [entry for entry in errors if entry.get("event") not in self.expected_errors], errors


def entries_of(log: str) -> list[dict[str, Any]]:
    """Parse a log; a line that isn't JSON becomes a raw event."""
    entries = []
    for line in log.splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            entries.append({"event": line, "level": "raw"})
    return entries


async def _address_of(bot: BotProcess) -> str:
    """Wait until a process prints the address that it listens on."""
    while not bot.address:
        if bot.pid is None:
            raise AssertionError(f"the bot ended:\n{bot.log}")
        await asyncio.sleep(0.02)
    return bot.address


def buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all buttons of a message, in order."""
    found: list[dict[str, Any]] = []
    for block in message.get("blocks", []):
        elements = [block.get("accessory"), *block.get("elements", [])]
        found += [element for element in elements if element and element.get("type") == "button"]
    return found


def words(message: dict[str, Any]) -> str:
    """Return everything that can be read in a message, as one string."""
    return json.dumps([message.get("text"), message.get("blocks")], ensure_ascii=False)


@asynccontextmanager
async def running_world(folder: Path, **options: str) -> AsyncIterator[World]:
    """Start a world whose bot the scenario starts itself, and stop it at the end."""
    world = World(folder, **options)
    await world.start_services()
    async with held_to_promises(world):
        yield world


@asynccontextmanager
async def held_to_promises(world: World) -> AsyncIterator[World]:
    """Stop a world at the end; a scenario that passes must also meet the conditions of all scenarios."""
    try:
        yield world
        if any(bot.pid for bot in (world.bot, *world.others)):
            await world.settle()
        world.check_promises()
    finally:
        await world.close()


@pytest_asyncio.fixture(params=["socket", "http"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A running world, once in Socket Mode and once over signed HTTP, with log level DEBUG."""
    async with running_world(tmp_path, mode=request.param, LOG_LEVEL="DEBUG") as started:
        await started.start_bot()
        yield started


@pytest_asyncio.fixture
async def socket_world(tmp_path: Path) -> AsyncIterator[World]:
    """A running world in Socket Mode, for what doesn't depend on the transport."""
    async with running_world(tmp_path) as started:
        await started.start_bot()
        yield started


@pytest_asyncio.fixture
async def board(tmp_path: Path) -> AsyncIterator[World]:
    """A world with a healthy Stripe and Adjust, watched all the time; the channel C0DATA is subscribed to all."""
    async with running_world(tmp_path, WATCH_INTERVAL_S="0.3", WATCH_CONFIRM_S="0.2") as watched:
        fine = datetime.now(UTC) - timedelta(minutes=5)
        watched.flokit.add("int_stripe", "stripe", status="connected", last_synced_at=fine)
        watched.flokit.add("int_adjust", "adjust", status="connected", last_synced_at=fine)
        await watched.start_bot()
        await watched.status("subscribe all")
        yield watched


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., Any]:
    """A world with its own settings; the test starts the bot."""
    return lambda **options: running_world(tmp_path, **options)
