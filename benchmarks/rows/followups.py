"""FloKit calls for one, five and twenty follow-ups: ours and both naive bots, all at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.load import Hand, one_by_one
from benchmarks.report import Row
from benchmarks.subjects import BOT, NAIVE, NAIVE_ASYNC, fetch_calls, running, running_flokit

if TYPE_CHECKING:
    from benchmarks.options import Options

MANY: Final = (1, 5, 20)
SUBJECTS: Final = (BOT, NAIVE, NAIVE_ASYNC)
SETTLE_S: Final = 20.0
SECONDS: Final = 40.0
GOAL: Final = 1.2


async def measure(options: Options) -> list[Row]:
    """Let syncs of ten minutes be followed, and count once the first looks are over."""
    seconds = max(SECONDS, options.seconds(SECONDS))
    async with running_flokit() as flokit_url, contextlib.AsyncExitStack() as stack:
        for name in SUBJECTS:
            for many in MANY:
                subject = await stack.enter_async_context(running(name, flokit_url, key=f"{name}-{many}"))
                hand = Hand(subject.slack, is_bot=name == BOT)
                await one_by_one(partial(hand.deliver, "click"), many)
        await asyncio.sleep(SETTLE_S)
        before = await fetch_calls(flokit_url)
        await asyncio.sleep(seconds)
        after = await fetch_calls(flokit_url)
    rates = {key: (after[key] - before[key]) * 60 / seconds for key in after}
    shown = "; ".join(f"{name} " + ", ".join(f"{rates[f'{name}-{many}']:.1f}" for many in MANY) for name in SUBJECTS)
    growth = rates[f"{BOT}-20"] / max(rates[f"{BOT}-1"], 60 / seconds)
    return [
        Row(
            "FloKit calls a minute for 1, 5, 20 follow-ups without history",
            f"{shown}; 20 cost {growth:.1f}x the calls of 1",
            goal="≤ 1.2x the calls of one",
            is_met=growth <= GOAL,
            values=rates,
        )
    ]
