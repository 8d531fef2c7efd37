"""Slow statements: read from PostgreSQL's log with their locks and parameters, and measured again."""

import asyncio
import contextlib
import sqlite3

import asyncpg
import pytest

from soak.evidence import Slow
from soak.statements import is_query, measure, measure_in, read_slow, read_slow_events
from soak.timed_bot import timed

LOG = """\
2026-11-26 23:10:18.222 UTC [10] LOG:  database system is ready to accept connections
2026-11-26 23:10:23.117 UTC [12] LOG:  process 12 still waiting for ShareLock on transaction 755 after 100.079 ms
2026-11-26 23:10:23.117 UTC [12] DETAIL:  Process holding the lock: 11. Wait queue: 12.
2026-11-26 23:10:23.518 UTC [12] LOG:  process 12 acquired ShareLock on transaction 755 after 500.753 ms
2026-11-26 23:10:23.518 UTC [12] CONTEXT:  while updating tuple (0,1) in relation "t"
2026-11-26 23:10:23.518 UTC [12] STATEMENT:  update t
\t set x=$1
2026-11-26 23:10:23.518 UTC [12] LOG:  duration: 501.041 ms  execute __asyncpg_stmt_1__: update t
\t set x=$1
\t where id=$2 and $3
2026-11-26 23:10:23.600 UTC [11] LOG:  duration: 120.000 ms  statement: COMMIT;
2026-11-26 23:10:23.518 UTC [12] DETAIL:  Parameters: $1 = 'it''s, $2 = ''x''
\tnew', $2 = '1', $3 = NULL
2026-11-26 23:10:24.000 UTC [12] LOG:  duration: 150.500 ms  bind __asyncpg_stmt_2__: SELECT 1
"""


def test_the_log_is_parsed():
    """Each statement has its own lock waits and parameters, whatever other processes log in between."""
    assert read_slow(LOG) == [
        Slow(501.041, "update t set x=$1 where id=$2 and $3", ("it's, $2 = 'x'\nnew", "1", None), waited_ms=500.753),
        Slow(120.0, "COMMIT;"),
        Slow(150.5, "SELECT 1"),
    ]


@pytest.mark.parametrize("text", ["SELECT 1", "with x as (select 1) select 2", "(SELECT 1)", "update t set x = 1"])
def test_a_query_has_a_plan(text):
    assert is_query(text)


def test_a_commit_has_no_plan():
    assert not is_query("COMMIT;")


@pytest.mark.postgres
async def test_a_statement_is_run_again(postgres_url):
    """It's slow alone or not, with its parameters; its changes are rolled back."""
    connection = await asyncpg.connect(postgres_url.replace("postgresql+asyncpg", "postgresql"))
    await connection.execute("CREATE TABLE t (id int PRIMARY KEY, x text)")
    await connection.execute("INSERT INTO t VALUES (1, 'a')")
    slow = [
        Slow(900.0, "SELECT pg_sleep($1::float)", ("0.12",)),
        Slow(900.0, "UPDATE t SET x = $1 WHERE id = $2", ("it's \\ a", "1")),
        Slow(800.0, "UPDATE t SET x = $1 WHERE id = $2", (None, "1")),
        Slow(900.0, "INSERT INTO t VALUES ($1::int, NULL)", ("1",)),
        Slow(900.0, "COMMIT;"),
        Slow(900.0, "SELECT x FROM t WHERE id IN ($1, $2)"),
    ]
    try:
        sleeping, update, same, insert, commit, parsed = await measure(connection, slow)
        assert await connection.fetchval("SELECT x FROM t") == "a"
    finally:
        await connection.close()
    assert sleeping.alone_ms > 100
    assert update.alone_ms == same.alone_ms < 100
    assert "t_pkey" in update.plan
    assert insert.alone_ms is commit.alone_ms is None
    assert parsed.alone_ms < 100  # the log has no parameters of a statement that was slow to parse


@pytest.mark.postgres
async def test_a_statement_that_takes_too_long_is_skipped(postgres_url, monkeypatch):
    """Measuring never delays the soak's report."""
    monkeypatch.setattr("soak.statements.MEASURED_WITHIN_S", 0.2)
    connection = await asyncpg.connect(postgres_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        async with asyncio.timeout(10):
            [endless, quick] = await measure(connection, [Slow(9.0, "SELECT pg_sleep(60)"), Slow(8.0, "SELECT 1")])
    finally:
        await connection.close()
    assert endless.alone_ms is None
    assert quick.alone_ms is not None


class Clock:
    """Seconds that the test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return Clock()


@pytest.fixture
def slow_file(tmp_path, clock):
    """Open a SQLite file in which ``slowly(x)`` is x, after 0.2 s."""

    def slowly(value):
        clock.now += 0.2
        return value

    connection = sqlite3.connect(tmp_path / "db", factory=timed(clock))
    connection.create_function("slowly", 1, slowly)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    yield connection
    connection.close()


def test_slow_statements_on_a_file_are_logged(slow_file, clock, capfd):
    """Only slow ones, each on its own line with its parameters; many rows at once by the first row's."""
    with slow_file as connection:
        connection.execute("INSERT INTO t (x) VALUES (?)", ("quick",))
        connection.execute("UPDATE t\n SET x = slowly(?) WHERE id = ?", ("a", 1))
        connection.executemany("INSERT INTO t (x) VALUES (slowly(?))", [("b",), (None,)])
    log = [
        '{"event": "slow_statement", "ms',
        '{"event": "posted", "text": "slow_statement"}',
        *capfd.readouterr().out.splitlines(),
    ]
    update, insert = read_slow_events(log)
    assert (update.text, update.parameters) == ("UPDATE t SET x = slowly(?) WHERE id = ?", ("a", 1))
    assert (insert.text, insert.parameters) == ("INSERT INTO t (x) VALUES (slowly(?))", ("b",))
    assert (update.ms, insert.ms) == pytest.approx((200, 400))


def test_a_statement_on_a_file_is_run_again(tmp_path, slow_file):
    """It's slow alone or not; its changes are rolled back, and statements that can't be run are skipped."""
    slow = [
        Slow(900.0, "INSERT INTO t VALUES (?, ?)", (1, "a")),
        Slow(800.0, "INSERT INTO t VALUES (?, ?)", (2, "b")),
        Slow(
            900.0,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT * FROM n",
            (10**5,),
        ),
        Slow(900.0, "SELECT * FROM gone"),
        Slow(900.0, "COMMIT"),
    ]
    with contextlib.closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as connection:
        quick, again, long, gone, commit = measure_in(connection, slow)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert quick.alone_ms == again.alone_ms
    assert quick.alone_ms < long.alone_ms
    assert "SCAN n" in long.plan
    assert gone.alone_ms is commit.alone_ms is None
