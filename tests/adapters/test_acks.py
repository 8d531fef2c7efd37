"""Work waits for acks, but not for ever."""

import asyncio
import time

import pytest

from bot.observability import acks as module
from bot.observability.acks import Acks


@pytest.fixture
def began():
    """Record when work begins."""
    return []


def start(acks, began, pieces):
    """Start several pieces of work."""

    async def work(number):
        await acks.let_pass()
        began.append((number, time.monotonic()))

    return [asyncio.create_task(work(number)) for number in range(pieces)]


async def test_work_begins_at_once_if_nothing_is_acked(began):
    acks = Acks()
    await asyncio.wait_for(acks.let_pass(), 0.001)


async def test_work_waits_for_an_ack(began):
    acks = Acks()
    with acks.first():
        tasks = start(acks, began, 3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert began == []
    await asyncio.gather(*tasks)
    assert [number for number, _ in began] == [0, 1, 2]


async def test_work_waits_for_the_end_of_a_burst(began, monkeypatch):
    """A single request is no burst, so its work begins right away."""
    monkeypatch.setattr(module, "BURST_S", 60.0)
    acks = Acks()
    with acks.first():
        pass
    await acks.let_pass()
    with acks.first():
        pass
    acked_at = time.monotonic()
    await asyncio.gather(*start(acks, began, 1))
    assert began[0][1] - acked_at >= module.QUIET_S - 0.001


async def test_a_storm_that_doesnt_end_only_delays_work(began, monkeypatch):
    """Each piece waits so long, however much waits with it; otherwise its lease could end."""
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 1.0)
    acks, at = Acks(), time.monotonic()
    with acks.first():
        await asyncio.gather(*start(acks, began, 4))
    waited = [when - at for _, when in began]
    assert waited == sorted(waited)
    assert waited[0] >= 1.0 - 0.001
    assert waited[-1] < 1.0 + 0.6


async def test_work_that_is_canceled_holds_nobody_up(began):
    acks = Acks()
    with acks.first():
        first, second = start(acks, began, 2)
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    await second
    assert [number for number, _ in began] == [1]
    await asyncio.sleep(0)
    assert acks._waiting == 0
