"""FloKit calls for one, five and twenty follow-ups: the bot and both naive bots, at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from benchmarks.load import Hand
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.subjects import BOT, NAIVE, NAIVE_ASYNC, Subject, fetch_calls, running, running_flokit

MANY: Final = (1, 5, 20)
SUBJECTS: Final = (BOT, NAIVE, NAIVE_ASYNC)
SETTINGS: Final = {"FOLLOW_UP_FIRST_LOOK_S": "1", "FOLLOW_UP_MAX_INTERVAL_S": "10"}
"""A third of the default maximum: the same as the async naive bot's, and more checks to count in the same time."""

CLICKS_WITHIN_S: Final = 10.0
"""Clicks are spread over a whole interval."""

SETTLE_S: Final = 25.0
SECONDS: Final = 60.0
GOAL: Final = 1.2


async def measure(options: Options) -> list[Row]:
    """Follow syncs of ten minutes, and count after the first checks."""
    seconds = max(SECONDS, options.seconds(SECONDS))
    async with running_flokit(integrations=max(MANY) + 1) as flokit_url, contextlib.AsyncExitStack() as stack:
        subjects = []
        for name in SUBJECTS:
            for many in MANY:
                follower = running(name, flokit_url, key=f"{name}-{many}", settings=SETTINGS)
                subjects.append((await stack.enter_async_context(follower), many))
        await asyncio.gather(*(_click(subject, many) for subject, many in subjects))
        await asyncio.sleep(SETTLE_S)
        before = await fetch_calls(flokit_url)
        await asyncio.sleep(seconds)
        after = await fetch_calls(flokit_url)
    rates = {key: (after[key] - before[key]) * 60 / seconds for key in after}
    shown = "; ".join(f"{name} " + ", ".join(f"{rates[f'{name}-{many}']:.1f}" for many in MANY) for name in SUBJECTS)
    growth = rates[f"{BOT}-20"] / rates[f"{BOT}-1"]
    return [
        Row(
            "FloKit calls per minute for 1, 5, 20 follow-ups without history, with a check at least every 10 s",
            f"{shown}; 20 cost {growth:.2f}x the calls of 1",
            goal="≤ 1.2x the calls of one",
            is_met=growth <= GOAL,
            values={**rates, "growth": growth},
        )
    ]


async def _click(subject: Subject, many: int) -> None:
    hand = Hand(subject.slack, is_bot=subject.name == BOT)
    for _ in range(many):
        await asyncio.sleep(CLICKS_WITHIN_S / many)
        await hand.deliver("click")
