"""The responder holds on to a request for as long as it takes, and does it once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from bot.core.errors import StoreUnavailable
from bot.handlers.responder import RENEWED_AT, Responder


class SlowActions:
    """Answers a request only when it is let go."""

    def __init__(self):
        self.begun, self.released, self.answered = asyncio.Semaphore(0), asyncio.Event(), []

    async def answer(self, request):
        """Wait, then note the request."""
        self.begun.release()
        await self.released.wait()
        self.answered.append(request.id)


class Bench:
    """A responder with a request that takes long."""

    def __init__(self, store, make):
        self.store, self.clock = store, make.clock
        self.actions = SlowActions()
        self.responder = Responder(self.actions, store, clock=make.clock)

    async def claim(self):
        """Take what is due."""
        return await self.store.inbox.claim(self.clock.now, 5)

    @asynccontextmanager
    async def answering(self):
        """Have the request answered, which goes on until the end of the block."""
        [claim] = await self.claim()
        task = asyncio.create_task(self.responder.answer(claim))
        await self.actions.begun.acquire()
        yield
        self.actions.released.set()
        await task


@pytest.fixture
async def bench(open_store, make):
    """Save one request in a store with short leases."""
    bench = Bench(open_store(lease_s=0.3), make)
    await bench.store.inbox.add(make.command())
    return bench


def on_renewal(bench, monkeypatch, before=None):
    """Count the renewals that were made."""
    renew, renewed = bench.store.inbox.renew, asyncio.Semaphore(0)

    async def counted(*what):
        if before:
            before()
        await renew(*what)
        renewed.release()

    monkeypatch.setattr(bench.store.inbox, "renew", counted)
    return renewed


async def test_a_request_in_hand_keeps_its_lease(bench, monkeypatch):
    """What takes longer than a lease is renewed in time, so that nobody claims it again."""
    renewed = on_renewal(bench, monkeypatch)
    async with bench.answering():
        for _ in range(5):
            bench.clock.advance(bench.store.lease_s * RENEWED_AT)
            await asyncio.wait_for(renewed.acquire(), 10)
            await asyncio.wait_for(renewed.acquire(), 10)  # the first may have begun before the clock went on
            assert await bench.claim() == []
    assert len(bench.actions.answered) == 1


async def test_a_database_that_is_away_ends_no_renewals(bench, monkeypatch):
    """After a renewal that failed the next one is tried."""
    errors = [StoreUnavailable("away"), StoreUnavailable("away")]

    def fail():
        if errors:
            raise errors.pop()

    renewed = on_renewal(bench, monkeypatch, fail)
    async with bench.answering():
        await asyncio.wait_for(renewed.acquire(), 10)
    assert not errors


async def test_a_request_in_hand_is_not_done_twice(bench):
    """When its lease ended all the same, a request that this process claims again is left to the work in hand."""
    async with bench.answering():
        bench.clock.advance(3600)
        [again] = await bench.claim()
        await bench.responder.answer(again)
    assert len(bench.actions.answered) == 1
