"""The one order of locks: what watches it finds each way to break it, and what PostgreSQL undoes is tried again."""

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
from tests.locks import Transaction, judge

STORE = Path(locks.__file__).parent


def wrong(*statements, rows=({},)):
    """Tell what is wrong with a transaction of these statements."""
    held = Transaction()
    return [problem for statement in statements for problem in judge(held, statement, rows)]


ALERT = alerts.update().where(alerts.c.id == "a").values(root_ts="1.1")
MESSAGE = outbox.update().where(outbox.c.id == "m").values(due_at=None)


def test_every_table_has_its_place():
    """The order names each table once."""
    assert sorted(LOCK_ORDER) == sorted(metadata.tables)


def test_the_order_is_held():
    """A table that stands earlier must be locked earlier."""
    assert wrong(ALERT, MESSAGE) == []
    assert wrong(MESSAGE, ALERT) == ["locks alerts after outbox"]


def test_a_select_that_locks_counts():
    """Rows that are only held still are locked like those that are written, and held in the order of their keys."""
    read = select(alerts.c.id).where(alerts.c.incident_id == "i")
    assert wrong(MESSAGE, read) == []
    assert wrong(MESSAGE, read.order_by(alerts.c.id).with_for_update()) == ["locks alerts after outbox"]
    assert wrong(read.with_for_update()) == ["locks rows of alerts in the order [], not in that of ['id']"]


def test_a_foreign_key_counts():
    """Whoever inserts a row holds the rows that it refers to."""
    added = outbox.insert().values(id="m", thread_id="t")
    assert wrong(ALERT, added, rows=({"thread_id": "t"},)) == ["locks threads after alerts"]
    assert wrong(ALERT, added) == []


def test_several_rows_are_written_in_order():
    """An UPDATE of several rows locks them in any order, unless they are locked before."""
    many = outbox.update().values(due_at=None)
    assert wrong(many.where(outbox.c.run_id == "r")) == ["writes several rows of outbox in any order"]
    assert wrong(many.where(in_order(outbox, outbox.c.run_id == "r"))) == []


def test_a_claim_takes_its_rows_once():
    """A claim whose limit stands in a plain subquery may take more than its limit, and is refused."""
    due = select(timers.c.id).where(timers.c.due_at.is_not(None)).limit(5).with_for_update(skip_locked=True)
    claim = timers.update().values(owner="me")
    assert wrong(claim.where(chosen(timers, due))) == []
    assert wrong(claim.where(timers.c.id.in_(due))) == ["takes rows of timers in a subquery that may run twice"]


def test_timers_are_put_in_order():
    """Of two timers the one with the lower id is locked first."""
    assert wrong(timers.delete().where(timers.c.id == "b"), rows=({"id_1": "b"}, {"id_1": "a"})) == [
        "locks the timer a after b"
    ]


def test_foreign_keys_never_wait_for_a_run():
    """Runs are held in a way that lets rows be added that refer to them, and deleted by the retention alone."""
    held = select(runs.c.id).where(runs.c.id == "r").with_for_update()
    assert wrong(held) == ["locks runs so that foreign keys wait for it"]
    assert wrong(runs.delete().where(runs.c.id == "r")) == [
        "deletes from runs: only the retention may, and waits for nobody"
    ]


def test_every_transaction_that_writes_is_tried_again():
    """Whoever begins one is marked so that it is tried again when PostgreSQL undoes it."""
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


# --- what PostgreSQL undoes ------------------------------------------------------------------------------------


class Notebook(Telemetry):
    """Remembers what was undone."""

    def __init__(self):
        super().__init__()
        self.undone = []

    def transaction_undone(self, reason):
        """Note it."""
        self.undone.append(reason)


@pytest_asyncio.fixture
async def database(postgres_url):
    """Open a database on PostgreSQL that tells what it undid."""
    opened = Database(postgres_url, telemetry=Notebook())
    yield opened
    await opened.close()


class Undone:
    """A method that PostgreSQL undoes so many times."""

    def __init__(self, database, times, state="40P01"):
        self.database, self.times, self.state, self.tried = database, times, state, 0

    @retried
    async def write(self):
        """Write a row, and be undone."""
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
async def test_what_is_undone_is_tried_again(database, state, reason):
    """A transaction that PostgreSQL undid is done at once, counted, and wakes whom it has work for."""
    await Undone(database, 2, state).write()
    async with database.read() as connection:
        assert (await connection.scalars(select(panels.c.id))).all() == ["p"]
    assert database._telemetry.undone == [reason, reason]
    assert database.bells[Work.RUNS].is_rung


@pytest.mark.postgres
async def test_what_is_undone_again_and_again_is_given_up(database):
    """After a few tries it counts as a database that cannot be reached: nothing was saved, and nobody is woken."""
    undone = Undone(database, 99)
    with pytest.raises(StoreConflict) as refused:
        await undone.write()
    assert isinstance(refused.value, StoreUnavailable)
    assert undone.tried == TRIES
    assert not database.bells[Work.RUNS].is_rung


async def test_nobody_is_woken_for_what_is_undone(sqlite_url):
    """A bell rings after the commit, and not at all when there is none."""
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
