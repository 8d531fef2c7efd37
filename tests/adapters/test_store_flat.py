"""What the loops query all the time costs the same, however many rows wait: counted in SQLite's steps."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.seeding import Plan, seed, start
from bot.store import schema
from bot.store.database import Database
from bot.store.store import Store
from bot.store.tables import outbox, runs

FEW, MANY = 60, 3000
STEPS = 50
"""SQLite reports each time it has run this many instructions."""

ASKED = {
    "claim_runs": lambda store, now: store.runs.claim(now, 5),
    "next_run_at": lambda store, _: store.runs.next_at(),
    "claim_outbox": lambda store, now: store.outbox.claim(now, 5),
    "next_message_at": lambda store, _: store.outbox.next_at(),
}


async def steps_of(ask, folder, many):
    """Count the steps of a query among this many follow-ups; the last tenth of them has ended."""
    database = Database(f"sqlite+aiosqlite:///{folder / f'{many}.db'}")
    plan, now, calls = Plan(many, per_workspace=3, every_s=3600.0), datetime.now(UTC), []
    try:
        await schema.upgrade(database)
        await seed(database, plan)
        await start(database, plan, in_s=60)
        async with database.begin() as connection:
            await connection.execute(runs.update().where(runs.c.id > f"run_{many * 9 // 10:06d}").values(due_at=None))
            await connection.execute(outbox.update().values(due_at=now + timedelta(seconds=60)))
            raw = await connection.run_sync(lambda sync: sync.connection.driver_connection)
            raw.set_progress_handler(lambda: calls.append(1), STEPS)
        await ASKED[ask](Store(database, owner="a"), now)
    finally:
        await database.close()
    return len(calls)


@pytest.mark.parametrize("ask", ASKED)
async def test_a_query_costs_the_same_among_many_rows(tmp_path, ask):
    """Work that's due later isn't read."""
    assert await steps_of(ask, tmp_path, MANY) <= await steps_of(ask, tmp_path, FEW) + 2
