"""The measured programs, each in its own process with its own Slack, and what they use."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from benchmarks.installing import Installer
from benchmarks.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, LoadSlack

ROOT: Final = Path(__file__).resolve().parents[1]
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
STARTS_WITHIN_S: Final = 30.0

FOLLOWER_READY: Final = "ready to follow"
"""What ``benchmarks.following`` prints before its first claim."""

BOT: Final = "bot"
FLOOR: Final = "floor"
FLOOR_FAST: Final = "floor, process_before_response"
FLOOR_POSTING: Final = "floor that posts"
NAIVE: Final = "naive"
NAIVE_ASYNC: Final = "async naive"
ECHO: Final = "echo"
DURABLE_ACK: Final = "durable ack"
DURABLE_COMMAND: Final = "durable command"
DURABLE_LIFE: Final = "durable life"

_PROGRAMS: Final[dict[str, tuple[str, ...]]] = {
    BOT: ("bot", "run"),
    FLOOR: ("benchmarks.baselines.floor",),
    FLOOR_FAST: ("benchmarks.baselines.floor",),
    FLOOR_POSTING: ("benchmarks.baselines.floor_posting",),
    NAIVE: ("benchmarks.baselines.naive",),
    NAIVE_ASYNC: ("benchmarks.baselines.naive_async",),
    ECHO: ("benchmarks.baselines.echo",),
    DURABLE_ACK: ("benchmarks.baselines.durable",),
    DURABLE_COMMAND: ("benchmarks.baselines.durable",),
    DURABLE_LIFE: ("benchmarks.baselines.durable",),
}

_MODES: Final[dict[str, dict[str, str]]] = {
    FLOOR_FAST: {"PROCESS_BEFORE_RESPONSE": "1"},
    DURABLE_ACK: {"DURABLE": "ack"},
    DURABLE_COMMAND: {"DURABLE": "command"},
    DURABLE_LIFE: {"DURABLE": "life"},
}


@dataclass(frozen=True, slots=True)
class Use:
    """A process's usage so far; CPU time is in seconds."""

    cpu_s: float
    rss_bytes: int


class Process:
    """A Python module that runs until stopped."""

    def __init__(self, module: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> None:
        self._module = module
        self._environment = environment
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process ID."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All it said."""
        return (self._folder / "log").read_text(errors="replace")

    async def start(self) -> None:
        """Start it."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self._module,
                cwd=self._folder,
                env={**inherited, "PYTHONPATH": str(ROOT), **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def use(self) -> Use:
        """Return its usage so far."""
        fields = stat_fields(self.pid)
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return Use((int(fields[11]) + int(fields[12])) / TICKS_PER_S, pages * PAGE_BYTES)

    def check(self) -> None:
        """Raise RuntimeError if it has exited."""
        if self._process and self._process.returncode is not None:
            raise RuntimeError(f"{self._module} ended: {self.log[-2000:]}")

    async def stop(self) -> None:
        """Kill it, and delete its data."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@dataclass(frozen=True, slots=True)
class Subject:
    """A program under load."""

    name: str
    process: Process
    slack: LoadSlack
    ready_s: float
    """Seconds from its start until it was ready for Slack."""


def stat_fields(pid: int) -> list[str]:
    """Return the fields of ``/proc/<pid>/stat``, starting with the state.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def running_flokit(
    *, integrations: int = 20, sync_s: float = 600.0, latency_s: float = 0.05, syncing: bool = False
) -> AsyncIterator[str]:
    """Run the local FloKit and yield its address. Arguments: see ``benchmarks.flokit``."""
    port = free_port()
    options = ["--port", port, "--integrations", integrations, "--sync-s", sync_s, "--latency-s", latency_s]
    if syncing:
        options.append("--syncing")
    with tempfile.TemporaryDirectory(prefix="flokit-bench-") as folder:
        process = Process(("benchmarks.flokit", *map(str, options)), {}, Path(folder))
        await process.start()
        try:
            await _until_it_answers(process, f"http://127.0.0.1:{port}/calls")
            yield f"http://127.0.0.1:{port}"
        finally:
            await process.stop()


@contextlib.asynccontextmanager
async def running_follower(database_url: str, flokit_url: str) -> AsyncIterator[Process]:
    """Run a process that only follows, for any workspace. Its tables must exist."""
    with tempfile.TemporaryDirectory(prefix="flokit-bench-") as folder:
        arguments = ("--database", database_url, "--flokit", flokit_url)
        process = Process(("benchmarks.following", *arguments), {}, Path(folder))
        await process.start()
        try:
            async with asyncio.timeout(STARTS_WITHIN_S):
                while FOLLOWER_READY not in process.log:
                    process.check()
                    await asyncio.sleep(0.05)
            yield process
        finally:
            await process.stop()


async def fetch_calls(flokit_url: str) -> dict[str, int]:
    """Return the local FloKit's number of calls by key."""
    async with aiohttp.ClientSession() as session, session.get(f"{flokit_url}/calls") as reply:
        return {key: sum(counts.values()) for key, counts in (await reply.json()).items()}


async def fetch_ends(flokit_url: str) -> dict[str, float]:
    """Return when each sync ends, by key and ID with a space between, in seconds since 1970."""
    async with aiohttp.ClientSession() as session, session.get(f"{flokit_url}/ends") as reply:
        ends: dict[str, float] = await reply.json()
        return ends


@contextlib.asynccontextmanager
async def running(
    name: str,
    flokit_url: str,
    *,
    http: bool = False,
    key: str = "flokit-key",
    settings: Mapping[str, str] | None = None,
    installer: Installer | None = None,
) -> AsyncIterator[Subject]:
    """Run a program with its own Slack until the block ends. It's ready when this yields.

    With an ``installer``, it serves the workspaces that installed the app, instead of one with a token in its settings.
    """
    port = free_port()
    slack = LoadSlack(f"http://127.0.0.1:{port}/slack/events" if http else "")
    await slack.start()
    environment = {
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_API_URL": slack.api_url,
        "FLOKIT_API_URL": flokit_url,
        "FLOKIT_API_KEY": key,
        "PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "SYNC_COOLDOWN_S": "0",
        **({"SLACK_SIGNING_SECRET": SIGNING_SECRET} if http else {"SLACK_APP_TOKEN": APP_TOKEN}),
        **_MODES.get(name, {}),
        **(installer.settings(port) if installer else {}),
        **(settings or {}),
    }
    with tempfile.TemporaryDirectory(prefix="flokit-bench-", ignore_cleanup_errors=True) as folder:
        process = Process(_PROGRAMS[name], environment, Path(folder))
        began_at = time.perf_counter()
        await process.start()
        try:
            await _until_ready(process, slack, port, http=http, is_bot=name == BOT)
            yield Subject(name, process, slack, time.perf_counter() - began_at)
        finally:
            await process.stop()
            await slack.stop()


async def _until_ready(process: Process, slack: LoadSlack, port: int, *, http: bool, is_bot: bool) -> None:
    if is_bot:
        await _until_it_answers(process, f"http://127.0.0.1:{port}/readyz")
    elif http:
        await _until_it_listens(process, port)
    else:
        async with asyncio.timeout(STARTS_WITHIN_S):
            await slack.connected.wait()


async def _until_it_answers(process: Process, url: str) -> None:
    """Wait for a 200."""
    async with asyncio.timeout(STARTS_WITHIN_S), aiohttp.ClientSession() as session:
        while True:
            process.check()
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as reply:
                    if reply.status == 200:
                        return
            await asyncio.sleep(0.01)


async def _until_it_listens(process: Process, port: int) -> None:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while True:
            process.check()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.01)
