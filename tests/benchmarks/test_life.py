"""The row that compares a follow-up's cost: both programs must really follow the click, with the same calls."""

from __future__ import annotations

import asyncio

from benchmarks.load import Hand
from benchmarks.rows.life import count_calls, count_ends, until_ended
from benchmarks.subjects import BOT, DURABLE_LIFE, running, running_flokit

LIST_OF_NAMES = 1
USERS_INFO = 1


async def _calls_of_one(name: str) -> int:
    async with running_flokit(sync_s=1.0) as flokit_url, running(name, flokit_url) as subject:
        ended = count_ends(subject)
        before = await count_calls(subject, flokit_url)
        await Hand(subject.slack, is_bot=name == BOT).deliver("click")
        await until_ended(ended, 1)
        return await count_calls(subject, flokit_url) - before


async def test_both_follow_a_click_with_about_the_same_calls():
    """A stand-in that refuses the bot's clicks would make it look cheap; this has happened."""
    ours, floor = await asyncio.gather(_calls_of_one(BOT), _calls_of_one(DURABLE_LIFE))
    assert abs(ours - LIST_OF_NAMES - USERS_INFO - floor) <= 2
