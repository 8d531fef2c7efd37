"""Whether FloKit refuses a key for good: confirmed by a second refusal, and told once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.core.errors import FlokitDenied, StoreUnavailable
from bot.observability.context import Context
from bot.store.timers import TimerKind
from bot.workers.key_watch import AGAIN_AFTER, CONFIRM_AFTER, KeyWatch
from tests.adapters.conftest import TEAM

DENIED = FlokitDenied("FloKit refuses the key.", http_status=401)


class Noting:
    """Stands where timers and whoever is told stand, and notes what it's asked for."""

    def __init__(self):
        self.told, self.due, self.is_away = [], [], False

    async def tell(self, denied):
        """Note that the key is refused."""
        self.told.append(denied)
        if self.is_away:
            raise StoreUnavailable("the database is away")

    async def put(self, *scheduled):
        """Note what is scheduled."""
        self.due.append(scheduled)


@pytest.fixture
def noting():
    return Noting()


@pytest.fixture
def answer(noting, clock):
    """Return a function that has FloKit answer to the key some seconds later."""
    watch = KeyWatch(noting.tell, noting, Context(TEAM, "UBOT", clock))

    async def answer(denied, after_s=0.0):
        clock.advance(after_s)
        watch.note(denied)
        while watch._tasks:
            await asyncio.gather(*watch._tasks)

    return answer


async def test_a_refusal_schedules_the_check_that_confirms_it(answer, noting, clock):
    """Nothing else may ask FloKit for days."""
    await answer(DENIED)
    assert noting.due == [(TimerKind.WATCH, TEAM, TEAM, clock.now + CONFIRM_AFTER)]
    assert not noting.told


async def test_a_check_that_is_refused_is_repeated(noting, clock):
    """The timer of a check that is under way can't be asked for a later one, so the check itself asks."""
    watch = KeyWatch(noting.tell, noting, Context(TEAM, "UBOT", clock))
    assert watch.confirm_at is None
    watch.note(DENIED)
    assert watch.confirm_at == clock.now + CONFIRM_AFTER
    clock.advance(40)
    assert watch.confirm_at == clock.now + AGAIN_AFTER
    watch.note(DENIED)
    await asyncio.gather(*watch._tasks)
    assert watch.confirm_at is None
    assert noting.told == [DENIED]


async def test_it_is_told_once_confirmed_and_once_only(answer, noting):
    for after_s in (0, 10, 19.9, 0.1, 60, 3600):
        await answer(DENIED, after_s)
    assert noting.told == [DENIED]
    assert len(noting.due) == 1


async def test_an_accepted_key_begins_again(answer, noting):
    for denied in (DENIED, None, DENIED, None):
        await answer(denied, 29)
    await answer(DENIED, 29)
    assert not noting.told
    await answer(DENIED, CONFIRM_AFTER / timedelta(seconds=1))
    assert noting.told == [DENIED]


async def test_what_could_not_be_saved_is_told_at_the_next_refusals(answer, noting):
    noting.is_away = True
    await answer(DENIED)
    await answer(DENIED, 31)
    noting.is_away = False
    await answer(DENIED, 31)
    assert len(noting.told) == 1
    await answer(DENIED, 31)
    await answer(DENIED, 31)
    assert len(noting.told) == 2
