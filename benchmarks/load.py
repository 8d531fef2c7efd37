"""Generates load: one request after another, or at a fixed rate that late answers don't slow down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final, Literal

from benchmarks.slack import LoadSlack
from bot.core.commands.presses import Action, Press, press_value

Kind = Literal["command", "click"]
PAUSE_S: Final = 0.1
"""Between two deliveries when idle: long enough for the work of the first to finish."""


class Hand:
    """Sends commands and clicks. Each comes from another channel, and each click is for another integration."""

    def __init__(self, slack: LoadSlack, *, is_bot: bool, text: str = "status") -> None:
        self._slack = slack
        self._is_bot = is_bot
        self._text = text
        self._numbers = count(1)

    async def deliver(self, kind: Kind) -> float:
        """Deliver one request. Return the seconds until its ack."""
        number = next(self._numbers)
        channel = f"C{number:08d}"
        if kind == "command":
            return await self._slack.command(self._text, channel=channel)
        integration_id = f"int_{number % 1000:05d}"
        value = press_value(Press(Action.RESYNC, integration_id=integration_id)) if self._is_bot else integration_id
        return await self._slack.click(Action.RESYNC, value, channel=channel, ts=f"{1_700_000_000 + number}.000100")


async def one_by_one(deliver: Callable[[], Awaitable[float]], samples: int, pause_s: float = PAUSE_S) -> list[float]:
    """Deliver one after another, with a pause after each ack."""
    taken = []
    for _ in range(samples):
        await asyncio.sleep(pause_s)
        taken.append(await deliver())
    return taken


async def at_rate(deliver: Callable[[], Awaitable[float]], per_s: float, seconds: float) -> list[float]:
    """Deliver at a fixed rate, whether or not earlier ones are acked. Being late counts as waiting."""
    began_at = time.perf_counter()

    async def one(due_at: float) -> float:
        late_s = max(0.0, time.perf_counter() - due_at)
        return late_s + await deliver()

    tasks = []
    for number in range(int(per_s * seconds)):
        due_at = began_at + number / per_s
        pause_s = due_at - time.perf_counter()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        tasks.append(asyncio.create_task(one(due_at)))
    return list(await asyncio.gather(*tasks))


async def at_once(deliver: Callable[[], Awaitable[float]], many: int, hands: int) -> float:
    """Deliver from ``hands`` concurrent senders as fast as possible. Return the deliveries per second."""
    left = iter(range(many))

    async def work() -> None:
        for _ in left:
            await deliver()

    began_at = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(hands)))
    return many / (time.perf_counter() - began_at)
