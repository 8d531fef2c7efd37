"""Turns at the only writer: in order, urgent ones first."""

import asyncio

import pytest

from bot.store.turns import Turns


async def holding(turns, log, name, *, urgent=False):
    """Take a turn, and record it."""
    async with turns.take(urgent=urgent):
        log.append(name)
        await asyncio.sleep(0)


async def test_urgent_turns_come_before_those_that_wait_longer():
    """Among equals, the first to arrive goes first."""
    turns, log = Turns(), []
    async with turns.take():
        waiting = [
            asyncio.create_task(holding(turns, log, name, urgent=name.startswith("urgent")))
            for name in ("first", "second", "urgent 1", "urgent 2")
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert log == ["urgent 1", "urgent 2", "first", "second"]


async def test_a_canceled_wait_is_skipped():
    """It holds no one up."""
    turns, log = Turns(), []
    async with turns.take():
        gives_up = asyncio.create_task(holding(turns, log, "gives up"))
        stays = asyncio.create_task(holding(turns, log, "stays"))
        await asyncio.sleep(0)
        gives_up.cancel()
    await stays
    assert log == ["stays"]


async def test_a_turn_given_to_a_wait_that_is_being_canceled_is_passed_on():
    """It isn't lost between being given and being taken."""
    turns, log = Turns(), []
    async with turns.take():
        given = asyncio.create_task(holding(turns, log, "given"))
        next_one = asyncio.create_task(holding(turns, log, "next"))
        await asyncio.sleep(0)
    given.cancel()
    await next_one
    assert log == ["next"]


async def test_an_error_ends_a_turn():
    """A turn whose work fails is given back."""
    turns, log = Turns(), []
    with pytest.raises(KeyError):
        async with turns.take():
            raise KeyError
    await holding(turns, log, "after")
    assert log == ["after"]
