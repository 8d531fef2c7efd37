"""The states of installations in progress."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.store.oauth_states import GOOD_FOR, OAuthStates
from bot.store.tables import oauth_states


@pytest.fixture
def states(databases):
    return OAuthStates(databases[0])


async def rows(database):
    """Return all rows."""
    async with database.read() as connection:
        return (await connection.execute(oauth_states.select())).all()


async def test_a_state_is_valid_once(states, clock):
    state = await states.issue("browser", clock.now)
    assert await states.consume(state, "browser", clock.now)
    assert not await states.consume(state, "browser", clock.now)


async def test_a_state_is_valid_for_ten_minutes(states, clock):
    early, late = [await states.issue("browser", clock.now) for _ in range(2)]
    assert await states.consume(early, "browser", clock.now + GOOD_FOR - timedelta(seconds=1))
    assert not await states.consume(late, "browser", clock.now + GOOD_FOR)
    assert timedelta(minutes=10) == GOOD_FOR


async def test_a_state_is_valid_only_in_its_browser(states, clock):
    """Another browser doesn't use it up, so a stranger can't end someone's installation."""
    state = await states.issue("browser", clock.now)
    assert not await states.consume(state, "another", clock.now)
    assert not await states.consume(state, "", clock.now)
    assert await states.consume(state, "browser", clock.now)


@pytest.mark.parametrize("state", ["", "made-up", "\ud800", "x" * 10_000])
async def test_an_unknown_state_is_refused(states, clock, state):
    assert not await states.consume(state, "browser", clock.now)


async def test_a_state_is_used_by_one_replica(databases, clock):
    one, other = (OAuthStates(database) for database in databases)
    state = await one.issue("browser", clock.now)
    used = await asyncio.gather(*(each.consume(state, "browser", clock.now) for each in [one, other] * 5))
    assert used.count(True) == 1


async def test_only_hashes_are_stored(databases, states, clock):
    """Someone who reads the table can't finish another person's installation."""
    state = await states.issue("the-cookie", clock.now)
    [row] = await rows(databases[0])
    assert state not in str(row)
    assert "the-cookie" not in str(row)


async def test_expired_states_are_deleted(databases, states, clock):
    for _ in range(3):
        await states.issue("browser", clock.now)
    await states.issue("browser", clock.advance(GOOD_FOR.total_seconds()))
    assert len(await rows(databases[0])) == 1
