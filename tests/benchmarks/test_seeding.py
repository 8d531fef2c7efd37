"""The follow-ups that the benchmark writes itself: the bot follows them like its own."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.seeding import Plan, claims_between, seed, start, watch_claims
from bot.core.models import Phase
from bot.store import schema
from bot.store.database import Database
from bot.store.store import Store

PLAN = Plan(many=6, per_workspace=3, every_s=10.0)


@pytest.fixture
async def database(tmp_path):
    """Write follow-ups that aren't due yet into a database."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'bench.db'}")
    await schema.upgrade(database)
    await watch_claims(database)
    await seed(database, PLAN)
    yield database
    await database.close()


async def test_a_seeded_follow_up_is_claimed_when_it_was_started(database):
    """Each workspace has its turn, with all of its runs."""
    store, now = Store(database, owner="a"), datetime.now(UTC)
    assert await store.runs.claim(now, 10) == []
    await start(database, PLAN, in_s=-5)
    first = [claim.run for claim in await store.runs.claim(now, 10)]
    assert {(run.team_id, run.phase) for run in first} == {("T00000", Phase.WATCHING)}
    assert sorted(run.integration_id for run in first) == ["int_00000", "int_00001", "int_00002"]
    assert [claim.run.team_id for claim in await store.runs.claim(now + timedelta(seconds=5), 10)] == ["T00001"] * 3


async def test_the_database_records_how_late_a_claim_was(database):
    """By its own clock, whichever process claims."""
    await start(database, PLAN, in_s=-2)
    await Store(database, owner="a").runs.claim(datetime.now(UTC), 10)
    late_s = await claims_between(database, time.time() - 60, time.time() + 60)
    assert len(late_s) == 3
    assert all(2 <= one < 60 for one in late_s)
