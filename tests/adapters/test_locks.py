"""The lock order: each violation is detected, and transactions that PostgreSQL rolls back are retried."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import literal_column, select, text

from bot.core.errors import StoreConflict, StoreUnavailable
from bot.observability.telemetry import Telemetry
from bot.store import locks
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.locks import LOCK_ORDER, chosen, in_order
from bot.store.tables import alerts, metadata, outbox, panels, runs, timers
from bot.store.transactions import TRIES, retried
from tests.locks import Held, judge

STORE = Path(locks.__file__).parent


def wrong(*statements, rows=({},)):
    """Return what's wrong with a transaction of these statements."""
    held = Held()
    return [problem for statement in statements for problem in judge(held, statement, rows)]


ALERT = alerts.update().where(alerts.c.id == "a").values(root_ts="1.1")
MESSAGE = outbox.update().where(outbox.c.id == "m").values(due_at=None)


def test_the_order_names_each_table_once():
    assert sorted(LOCK_ORDER) == sorted(metadata.tables)


def test_tables_are_locked_in_order():
    assert wrong(ALERT, MESSAGE) == []
    assert wrong(MESSAGE, ALERT) == ["locks alerts after outbox"]


def test_a_select_that_locks_counts():
    """Rows locked by a SELECT count like written ones, and must be locked in the order of their keys."""
    read = select(alerts.c.id).where(alerts.c.incident_id == "i")
    assert wrong(MESSAGE, read) == []
    assert wrong(MESSAGE, read.order_by(alerts.c.id).with_for_update()) == ["locks alerts after outbox"]
    assert wrong(read.with_for_update()) == ["locks rows of alerts in the order [], not in that of ['id']"]


def test_foreign_keys_count_as_locks():
    """An inserted row locks the rows that it refers to."""
    added = outbox.insert().values(id="m", thread_id="t")
    assert wrong(ALERT, added, rows=({"thread_id": "t"},)) == ["locks threads after alerts"]
    assert wrong(ALERT, added) == []


def test_rows_must_be_locked_before_an_update_of_several():
    """An UPDATE locks them in any order."""
    many = outbox.update().values(due_at=None)
    assert wrong(many.where(outbox.c.run_id == "r")) == ["writes several rows of outbox in any order"]
    assert wrong(many.where(in_order(outbox, outbox.c.run_id == "r"))) == []


def test_a_claim_must_not_evaluate_its_limit_twice():
    """A limit in a plain subquery can take more rows than its limit."""
    due = select(timers.c.id).where(timers.c.due_at.is_not(None)).limit(5).with_for_update(skip_locked=True)
    claim = timers.update().values(owner="me")
    assert wrong(claim.where(chosen(timers, due))) == []
    assert wrong(claim.where(timers.c.id.in_(due))) == ["takes rows of timers in a subquery that may run twice"]


def test_timers_are_locked_by_id():
    assert wrong(timers.delete().where(timers.c.id == "b"), rows=({"id_1": "b"}, {"id_1": "a"})) == [
        "locks the timer a after b"
    ]


def test_foreign_keys_never_wait_for_a_run():
    """Runs are locked in a way that lets other rows refer to them; only the retention deletes them."""
    held = select(runs.c.id).where(runs.c.id == "r").with_for_update()
    assert wrong(held) == ["locks runs so that foreign keys wait for it"]
    assert wrong(runs.delete().where(runs.c.id == "r")) == [
        "deletes from runs: only the retention may, and waits for nobody"
    ]


def test_every_method_that_writes_is_retried():
    """It's marked as such."""
    unmarked = [
        f"{path.name}: {function.name}"
        for path in sorted(STORE.glob("*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.AsyncFunctionDef) and path.name not in ("vitals.py", "schema.py")
        if any(
            isinstance(call, ast.Call) and ast.unparse(call.func) in ("self._database.begin", "database.begin")
            for call in ast.walk(function)
        )
        and "retried" not in map(ast.unparse, function.decorator_list)
    ]
    assert unmarked == []


# --- what PostgreSQL rolls back --------------------------------------------------------------------------------


class Notebook(Telemetry):
    """Records what was rolled back."""

    def __init__(self):
        super().__init__()
        self.undone = []

    def transaction_undone(self, reason):
        """Record a rollback."""
        self.undone.append(reason)


@pytest_asyncio.fixture
async def database(postgres_url):
    """A PostgreSQL database that reports what it rolled back."""
    opened = Database(postgres_url, telemetry=Notebook())
    yield opened
    await opened.close()


class Undone:
    """A method whose transaction PostgreSQL rolls back this many times."""

    def __init__(self, database, times, state="40P01"):
        self.database, self.times, self.state, self.tried = database, times, state, 0

    @retried
    async def write(self):
        """Write a row, and fail as if PostgreSQL rolled it back."""
        async with self.database.begin() as connection:
            self.tried += 1
            await connection.execute(
                panels.insert().values(id="p", team_id="T", data="", created_at=literal_column("now()"))
            )
            connection.ring(Work.RUNS)
            if self.tried <= self.times:
                await connection.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{self.state}'; END $$"))


@pytest.mark.postgres
@pytest.mark.parametrize(("state", "reason"), [("40P01", "deadlock"), ("40001", "serialization")])
async def test_a_rolled_back_transaction_is_retried(database, state, reason):
    """Immediately; it's counted, and wakes the workers that have work."""
    await Undone(database, 2, state).write()
    async with database.read() as connection:
        assert await connection.scalars(select(panels.c.id)) == ["p"]
    assert database._telemetry.undone == [reason, reason]
    assert database.bells[Work.RUNS].is_rung


@pytest.mark.postgres
async def test_a_transaction_is_given_up_after_a_few_retries(database):
    """The store counts as unavailable: nothing was saved, and no worker is woken."""
    undone = Undone(database, 99)
    with pytest.raises(StoreConflict) as refused:
        await undone.write()
    assert isinstance(refused.value, StoreUnavailable)
    assert undone.tried == TRIES
    assert not database.bells[Work.RUNS].is_rung


async def test_a_rolled_back_transaction_wakes_no_worker(sqlite_url):
    """A bell rings only after a commit."""
    database = Database(sqlite_url)

    async def fail():
        async with database.begin() as connection:
            connection.ring(Work.TIMERS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not database.bells[Work.TIMERS].is_rung
    async with database.begin() as connection:
        connection.ring(Work.TIMERS)
        assert not database.bells[Work.TIMERS].is_rung
    assert database.bells[Work.TIMERS].is_rung
    await database.close()
