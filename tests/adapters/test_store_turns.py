"""Claims take turns among workspaces: much work of one doesn't delay the others; on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from bot.core.models import Message
from bot.observability.context import Runtime
from bot.store import codec
from bot.store.bell import Work
from bot.store.outbox_rows import Address, OutboxKind, add_row
from bot.store.timers import TimerKind, Timers
from bot.workers.follower import claim_batches
from bot.workers.worker import Worker
from tests.adapters.conftest import start

STORM = 60
SLOTS = 8


def press(make, team, number):
    """Click on another integration in another message each time."""
    return make.press(team_id=team, message_ts=f"{number}.0")


async def add_requests(store, make, team, many):
    """Add waiting requests."""
    for number in range(many):
        await store.inbox.add(press(make, team, number))


async def add_runs(store, make, team, many):
    """Add due runs."""
    for number in range(many):
        await start(store, make, press(make, team, number), integration=f"int_{number}")


async def add_messages(store, make, team, many):
    """Add due messages."""
    async with store._database.begin() as connection:
        for number in range(many):
            message = codec.dump(Message(f"{number}"))
            await add_row(connection, OutboxKind.NOTE, Address(team, "C0DATA"), make.clock.now, data=message)


async def add_timers(store, make, team, many):
    """Add due timers."""
    timers = Timers(store._database, owner="a", lease_s=10)
    for number in range(many):
        await timers.put(TimerKind.HOME, team, f"U{number}", make.clock.now)


KINDS = {
    Work.REQUESTS: (add_requests, lambda store: store.inbox.claim, lambda one: one.request.origin.team_id),
    Work.RUNS: (add_runs, lambda store: partial(claim_batches, store), lambda batch: batch[0].run.team_id),
    Work.MESSAGES: (add_messages, lambda store: store.outbox.claim, lambda one: one.team_id),
    Work.TIMERS: (
        add_timers,
        lambda store: Timers(store._database, owner="a", lease_s=10).claim,
        lambda one: one.team_id,
    ),
}


async def nothing_due():
    """Return no time."""


@pytest.mark.parametrize("kind", KINDS)
async def test_much_work_of_one_workspace_delays_no_other(store, make, clock, kind):
    """A row that's due after many of another workspace is claimed in the first round, before any work has ended."""
    add, claim_of, team_of = KINDS[kind]
    await add(store, make, "T1", STORM)
    clock.advance(1)
    await add(store, make, "T2", 1)
    taken, gate = [], asyncio.Event()

    async def work(piece):
        taken.append(team_of(piece))
        await gate.wait()

    worker = Worker(
        "test",
        Runtime(clock),
        claim=claim_of(store),
        work=work,
        next_due_at=nothing_due,
        bell=store._database.bells[kind],
        slots=SLOTS,
        team_of=team_of,
    )
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        while "T2" not in taken:
            await asyncio.sleep(0)
        assert taken.count("T1") == SLOTS * 3 // 4
        gate.set()
        worker.stop()
        await task


@pytest.mark.parametrize("kind", KINDS)
async def test_a_claim_skips_full_workspaces(store, make, clock, kind):
    """It takes no more than its limit, and nothing of workspaces that have their share; the rest stays due."""
    add, claim_of, team_of = KINDS[kind]
    for team in ("T1", "T2", "T3"):
        await add(store, make, team, 5)
    clock.advance(1)
    claim = claim_of(store)
    assert [team_of(one) for one in await claim(clock.now, 3, ("T1", "T2"))] == ["T3"] * 3
    assert sorted(team_of(one) for one in await claim(clock.now, 99, ("T3",))) == ["T1"] * 5 + ["T2"] * 5
    assert await claim(clock.now, 99, frozenset({"T3"})) == []
    assert [team_of(one) for one in await claim(clock.now, 99)] == ["T3"] * 2


async def test_work_that_is_claimed_when_written_counts_towards_the_share(store, make, clock):
    """A workspace whose clicks are claimed on arrival gets no more slots than one whose clicks are claimed later."""
    gate, taken = asyncio.Event(), []

    async def work(piece):
        taken.append(piece.request.origin.team_id)
        await gate.wait()

    worker = Worker(
        "test",
        Runtime(clock),
        claim=store.inbox.claim,
        work=work,
        next_due_at=nothing_due,
        bell=store._database.bells[Work.REQUESTS],
        slots=SLOTS,
        lease=store.lease,
        team_of=lambda one: one.request.origin.team_id,
    )
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        while worker._has_more:
            await asyncio.sleep(0)
        for number in range(20):
            await store.inbox.add(press(make, "T1", number))
        await store.inbox.add(replace(press(make, "T2", 0)))
        while "T2" not in taken:
            await asyncio.sleep(0)
        assert taken.count("T1") == SLOTS * 3 // 4
        gate.set()
        while len(taken) < 21:
            await asyncio.sleep(0)
        worker.stop()
        await task
