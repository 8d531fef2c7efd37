"""Writes running follow-ups into the database, and records how late each claim of them is.

The store's own function writes the rows. A database trigger, which the bot doesn't know about, records each claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, text

from benchmarks.flokit import BEFORE, TYPES
from bot.core.models import Decision, Integration, Patience, Person, Phase, Status, SyncRun
from bot.core.runs.outcome import JITTER
from bot.store.database import Database
from bot.store.locks import in_order
from bot.store.outbox_rows import OutboxKind
from bot.store.run_rows import row_values
from bot.store.tables import budget, outbox, runs, threads

ASKED_BEFORE: Final = timedelta(minutes=5)
ANA: Final = Person("UANA", "ana")
BATCH: Final = 500

_ON_SQLITE: Final = (
    "CREATE TABLE bench_claims (at REAL, late_s REAL)",
    """CREATE TRIGGER bench_claimed AFTER UPDATE OF lease_owner ON runs
       WHEN new.lease_owner IS NOT NULL AND old.lease_owner IS NULL BEGIN
       INSERT INTO bench_claims SELECT now, now - new.due_at
       FROM (SELECT (julianday('now') - 2440587.5) * 86400 AS now); END""",
)
_ON_POSTGRESQL: Final = (
    "CREATE UNLOGGED TABLE bench_claims (at DOUBLE PRECISION, late_s DOUBLE PRECISION)",
    """CREATE FUNCTION bench_claimed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO bench_claims SELECT extract(epoch FROM clock_timestamp()),
       extract(epoch FROM clock_timestamp() - new.due_at); RETURN NULL; END $$""",
    """CREATE TRIGGER bench_claimed AFTER UPDATE OF lease_owner ON runs FOR EACH ROW
       WHEN (new.lease_owner IS NOT NULL AND old.lease_owner IS NULL) EXECUTE FUNCTION bench_claimed()""",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The number of follow-ups, their workspaces, and how often each is checked.

    Args:
        many: all follow-ups.
        per_workspace: follow-ups per workspace, each of another integration.
        every_s: seconds between two checks of a follow-up. Runs of a workspace are checked together when the first is
            due, so the longest wait is ``JITTER`` longer.
        team_id: the workspace, if there is only one; "" if there are many.
        first: the number of the first follow-up; numbers are in the IDs.
    """

    many: int
    per_workspace: int
    every_s: float
    team_id: str = ""
    first: int = 0

    @property
    def workspaces(self) -> int:
        """Count them."""
        return -(-self.many // self.per_workspace)

    def team(self, number: int) -> str:
        """Return the workspace ID of a follow-up."""
        return self.team_id or f"T{number % self.workspaces:05d}"

    def run(self, number: int, now: datetime) -> SyncRun:
        """Return a follow-up whose sync was accepted a while ago and is still running."""
        integration_id = f"int_{number // self.workspaces:05d}"
        integration = Integration(integration_id, TYPES[0], Status.CONNECTED, datetime.fromisoformat(BEFORE))
        longest_s = self.every_s / (1 - JITTER)
        asked_at = now - ASKED_BEFORE
        return SyncRun(
            f"run_{number:06d}",
            self.team(number),
            integration_id,
            integration.type,
            asked_at,
            ANA,
            Patience(longest_s, longest_s, deadline_s=86400.0),
            Phase.WATCHING,
            baseline=integration,
            attempts=1,
            attempted_at=asked_at,
            accepted_at=asked_at,
            looks=1,
            last_seen=Integration(integration_id, TYPES[0], Status.SYNCING, integration.last_synced_at),
            last_seen_at=now,
            syncing_since=asked_at,
        )


async def seed(database: Database, plan: Plan) -> None:
    """Write follow-ups, each with its thread and progress message; none is due before ``start``."""
    now = datetime.now(UTC)
    numbers = range(plan.first, plan.first + plan.many)
    for first in range(0, plan.many, BATCH):
        seeded = [_Seeded(plan.run(number, now), number) for number in numbers[first : first + BATCH]]
        async with database.begin() as connection:
            for table, rows in (
                (runs, [one.run_row() for one in seeded]),
                (threads, [one.thread_row(now) for one in seeded]),
                (outbox, [one.progress_row(now) for one in seeded]),
            ):
                await connection.execute(table.insert(), rows)


@dataclass(frozen=True, slots=True)
class _Seeded:
    run: SyncRun
    number: int

    def run_row(self) -> dict[str, Any]:
        run = self.run
        values = row_values(Decision(run, None))
        return {
            "id": run.id,
            "team_id": run.team_id,
            "integration_id": run.integration_id,
            "requested_at": run.requested_at,
            **values,
        }

    def thread_row(self, now: datetime) -> dict[str, Any]:
        return {
            "id": f"thr_{self.number:06d}",
            "team_id": self.run.team_id,
            "run_id": self.run.id,
            "place": f"{self._channel_id}:{self._root_ts}",
            "channel_id": self._channel_id,
            "thread_ts": self._root_ts,
            "user_id": ANA.id,
            "created_at": now,
        }

    def progress_row(self, now: datetime) -> dict[str, Any]:
        return {
            "id": f"msg_{self.number:06d}",
            "team_id": self.run.team_id,
            "kind": OutboxKind.PROGRESS,
            "priority": 2,
            "run_id": self.run.id,
            "thread_id": f"thr_{self.number:06d}",
            "seq": 1,
            "channel_id": self._channel_id,
            "thread_ts": self._root_ts,
            "user_id": ANA.id,
            "ts": f"1700000001.{self.number:06d}",
            "sent_version": 1,
            "created_at": now,
        }

    @property
    def _channel_id(self) -> str:
        return f"C{self.number:08d}"

    @property
    def _root_ts(self) -> str:
        return f"1700000000.{self.number:06d}"


async def watch_claims(database: Database) -> None:
    """Create the trigger that records each claim."""
    async with database.begin() as connection:
        for statement in _ON_SQLITE if database.is_sqlite else _ON_POSTGRESQL:
            await connection.execute(text(statement))


async def start(database: Database, plan: Plan, in_s: float) -> None:
    """Make one workspace after another due, as if they had been followed for a while."""
    begins_at = datetime.now(UTC) + timedelta(seconds=in_s)
    step = timedelta(seconds=plan.every_s / plan.workspaces)
    due = [{"due": begins_at + number * step, "team": plan.team(number)} for number in range(plan.workspaces)]
    statement = runs.update().where(in_order(runs, runs.c.team_id == bindparam("team")))
    async with database.begin() as connection:
        await connection.execute(statement.values(due_at=bindparam("due"), along_at=bindparam("due")), due)


async def rest(database: Database) -> None:
    """Make nothing due, and release what stopped processes held, including FloKit's budgets."""
    async with database.begin() as connection:
        await connection.execute(runs.update().values(due_at=None, along_at=None, lease_owner=None, lease_until=None))
        await connection.execute(budget.delete())


async def claims_between(database: Database, begin_at: float, end_at: float) -> list[float]:
    """Return how late each claim between two times (seconds since 1970) was."""
    query = text("SELECT late_s FROM bench_claims WHERE at >= :begin_at AND at < :end_at")
    async with database.begin() as connection:
        found = await connection.scalars(query, {"begin_at": begin_at, "end_at": end_at})
        return [float(late_s) for late_s in found]
