"""Commands per second and core: the CPU time that each takes, from delivery to answer."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Final

from benchmarks.arithmetic import Spread, paired_ratio
from benchmarks.load import Hand, at_rate
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.slack import LoadSlack
from benchmarks.subjects import (
    BOT,
    DURABLE_COMMAND,
    FLOOR,
    FLOOR_FAST,
    FLOOR_POSTING,
    NAIVE,
    NAIVE_ASYNC,
    running,
    running_flokit,
)

PER_S: Final = 40.0
"""A rate that a loaded machine with two cores keeps up with. Answering a backlog in batches would be cheaper."""

SECONDS: Final = 5.0
SUBJECTS: Final = (FLOOR, FLOOR_FAST, FLOOR_POSTING, DURABLE_COMMAND, BOT, NAIVE, NAIVE_ASYNC)
SILENT: Final = (FLOOR, FLOOR_FAST)
"""These only ack."""

ANSWERS_WITHIN_S: Final = 60.0
GOAL: Final = 2.0
GUARD: Final = 3.0
"""A limit for the best round: a busy machine slows some rounds, a slower bot slows all."""

GUARD_SECONDS: Final = 3.0
GUARDED: Final = (DURABLE_COMMAND, BOT)


async def measure(options: Options) -> list[Row]:
    """Measure the CPU time of ``/flokit status`` with a warm cache, answered, and only acked."""
    per_s: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    async with running_flokit(integrations=8) as flokit_url:
        for _ in range(options.rounds(2)):
            for name in SUBJECTS:
                per_s[name].append(await _one(name, flokit_url, options.seconds(SECONDS)))
    of_durable = paired_ratio(per_s[DURABLE_COMMAND], per_s[BOT])
    of_floor = paired_ratio(per_s[BOT], per_s[FLOOR])
    of_posting = paired_ratio(per_s[BOT], per_s[FLOOR_POSTING])
    shown = ", ".join(f"{name} {Spread.of(rates).shown(digits=0)}" for name, rates in per_s.items())
    return [
        Row(
            "`/flokit status` commands per second and core, answered (the first two floors only ack)",
            f"{shown}; a command takes {of_durable.shown(digits=1)}x the durable command's CPU time; "
            f"{of_floor.shown(digits=2)} of the floor's rate, {of_posting.shown(digits=2)} of the posting floor's",
            goal="≤ 2x the durable command's CPU time",
            is_met=of_durable.median <= GOAL,
            values={
                "of_durable": of_durable.median,
                "of_floor": of_floor.median,
                "of_posting": of_posting.median,
                **{name: Spread.of(rates).median for name, rates in per_s.items()},
            },
        )
    ]


async def guard(options: Options) -> list[Row]:
    """Compare the bot only with the least that keeps the guarantees."""
    per_s: dict[str, list[float]] = {name: [] for name in GUARDED}
    async with running_flokit(integrations=8) as flokit_url:
        for _ in range(options.rounds(2)):
            for name in GUARDED:
                per_s[name].append(await _one(name, flokit_url, GUARD_SECONDS))
    of_durable = paired_ratio(per_s[DURABLE_COMMAND], per_s[BOT])
    return [
        Row(
            "CPU time of `/flokit status`, answered",
            f"{of_durable.shown(digits=1)}x the durable command's",
            goal=f"≤ {GUARD:.0f}x the durable command's",
            guarded=of_durable.low <= GUARD,
            values={"of_durable": of_durable.median},
        )
    ]


async def _one(name: str, flokit_url: str, seconds: float) -> float:
    async with running(name, flokit_url) as subject:
        hand = Hand(subject.slack, is_bot=name == BOT)
        deliver = partial(hand.deliver, "command")
        answers = name not in SILENT
        await at_rate(deliver, 20, 1.0)
        await _until_answered(subject.slack, 20 if answers else 0)
        began, posted = subject.process.use(), len(subject.slack.posts)
        many = len(await at_rate(deliver, PER_S, seconds))
        await _until_answered(subject.slack, posted + many if answers else 0)
        return many / (subject.process.use().cpu_s - began.cpu_s)


async def _until_answered(slack: LoadSlack, many: int) -> None:
    until = time.monotonic() + ANSWERS_WITHIN_S
    while len(slack.posts) < many:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(slack.posts)} of {many} answers")
        await asyncio.sleep(0.02)
