"""Turns at the one writer: in order, urgent ones first."""

import asyncio

import pytest

from bot.store.turns import Turns


async def holding(turns, log, name, *, urgent=False):
    """Take a turn, and note it."""
    async with turns.take(urgent=urgent):
        log.append(name)
        await asyncio.sleep(0)


async def test_what_is_urgent_goes_before_what_waits_longer():
    """Among equals, who came first goes first."""
    turns, log = Turns(), []
    async with turns.take():
        waiting = [
            asyncio.create_task(holding(turns, log, name, urgent=name.startswith("urgent")))
            for name in ("first", "second", "urgent 1", "urgent 2")
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert log == ["urgent 1", "urgent 2", "first", "second"]


async def test_one_that_gives_up_waiting_is_passed_over():
    """A cancelled wait holds nobody up."""
    turns, log = Turns(), []
    async with turns.take():
        gives_up = asyncio.create_task(holding(turns, log, "gives up"))
        stays = asyncio.create_task(holding(turns, log, "stays"))
        await asyncio.sleep(0)
        gives_up.cancel()
    await stays
    assert log == ["stays"]


async def test_a_turn_given_to_one_that_is_cancelled_at_that_moment_goes_on():
    """The turn is not lost between the giving and the taking."""
    turns, log = Turns(), []
    async with turns.take():
        given = asyncio.create_task(holding(turns, log, "given"))
        next_one = asyncio.create_task(holding(turns, log, "next"))
        await asyncio.sleep(0)
    given.cancel()
    await next_one
    assert log == ["next"]


async def test_an_error_ends_a_turn():
    """What goes wrong in a turn does not keep it."""
    turns, log = Turns(), []
    with pytest.raises(KeyError):
        async with turns.take():
            raise KeyError
    await holding(turns, log, "after")
    assert log == ["after"]
