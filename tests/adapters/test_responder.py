"""The responder renews a request's lease while it's being answered, and answers it once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from bot.core.commands.catalog import StatusCommand
from bot.core.errors import StoreUnavailable
from bot.handlers.answers import Answers
from bot.handlers.responder import RENEWED_AT, Responder
from bot.observability.context import Context
from tests.adapters.conftest import unnamed


class SlowHandler:
    """Answers a request once the test lets it."""

    def __init__(self):
        self.begun, self.released, self.answered = asyncio.Semaphore(0), asyncio.Event(), []

    async def handle(self, request, _command):
        """Wait for the test, then record the request."""
        self.begun.release()
        await self.released.wait()
        self.answered.append(request.id)


class Bench:
    """A responder with a request that takes long."""

    def __init__(self, store, make):
        self.store, self.clock = store, make.clock
        self.slow = SlowHandler()
        context = Context("T1", "UFLOKIT", make.clock)
        self.responder = Responder(
            store,
            Answers(store, context),
            {StatusCommand: self.slow.handle}.__getitem__,
            context,
            nicknames=unnamed(make.clock).current,
        )

    async def claim(self):
        """Claim what's due."""
        return await self.store.inbox.claim(self.clock.now, 5)

    @asynccontextmanager
    async def answering(self):
        """Have the request answered, until the end of the block."""
        [claim] = await self.claim()
        task = asyncio.create_task(self.responder.answer(claim))
        await self.slow.begun.acquire()
        yield
        self.slow.released.set()
        await task


@pytest.fixture
async def bench(open_store, make):
    """A store with short leases and one saved request."""
    bench = Bench(open_store(lease_s=0.3), make)
    await bench.store.inbox.add(make.command())
    return bench


def on_renewal(bench, monkeypatch, before=None):
    """Record each renewal."""
    renew, renewed = bench.store.inbox.renew, asyncio.Semaphore(0)

    async def counted(*what):
        if before:
            before()
        await renew(*what)
        renewed.release()

    monkeypatch.setattr(bench.store.inbox, "renew", counted)
    return renewed


async def test_the_lease_of_a_long_request_is_renewed(bench, monkeypatch):
    """So no other process claims it."""
    renewed = on_renewal(bench, monkeypatch)
    async with bench.answering():
        for _ in range(5):
            bench.clock.advance(bench.store.lease_s * RENEWED_AT)
            await asyncio.wait_for(renewed.acquire(), 10)
            await asyncio.wait_for(renewed.acquire(), 10)  # the first renewal may have begun before the clock moved
            assert await bench.claim() == []
    assert len(bench.slow.answered) == 1


async def test_renewals_continue_after_one_fails(bench, monkeypatch):
    """The database was down."""
    errors = [StoreUnavailable("away"), StoreUnavailable("away")]

    def fail():
        if errors:
            raise errors.pop()

    renewed = on_renewal(bench, monkeypatch, fail)
    async with bench.answering():
        await asyncio.wait_for(renewed.acquire(), 10)
    assert not errors


async def test_a_request_in_progress_is_not_done_twice(bench):
    """If its lease expired anyway and this process claims it again, the work in progress continues."""
    async with bench.answering():
        bench.clock.advance(3600)
        [again] = await bench.claim()
        await bench.responder.answer(again)
    assert len(bench.slow.answered) == 1
