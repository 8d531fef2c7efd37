"""The cost of a follow-up from click to posted outcome: the bot, and the minimum that keeps the guarantees."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, Final

from benchmarks.arithmetic import Spread, paired_ratio
from benchmarks.load import Hand
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.subjects import BOT, DURABLE_LIFE, Subject, fetch_calls, running, running_flokit

SUBJECTS: Final = (BOT, DURABLE_LIFE)
PER_S: Final = 0.5
"""Clicks per second: few enough that no message update has to wait for Slack's rate limits."""
CLICKS: Final = 12
WARM_UP: Final = 2
SYNC_S: Final = 4.0
"""Long enough for two checks after the one before the POST."""
IDLE_S: Final = 3.0
ENDS_WITHIN_S: Final = 60.0
GOAL: Final = 2.5


async def measure(options: Options) -> list[Row]:
    """Measure the CPU time and the calls of a follow-up, on SQLite."""
    cpu_ms: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    calls: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for _ in range(options.rounds(2)):
        for name in SUBJECTS:
            async with running_flokit(sync_s=SYNC_S) as flokit_url, running(name, flokit_url) as subject:
                used_s, asked = await _lives(subject, flokit_url)
                cpu_ms[name].append(1000 * used_s)
                calls[name].append(asked)
    ratio = paired_ratio(cpu_ms[BOT], cpu_ms[DURABLE_LIFE])
    shown = "; ".join(
        f"{name} {Spread.of(cpu_ms[name]).shown('ms', digits=0)} with {Spread.of(calls[name]).shown(digits=1)} calls"
        for name in SUBJECTS
    )
    return [
        Row(
            "CPU time of a follow-up, from click to posted outcome, on SQLite",
            f"{shown}; {ratio.shown(digits=1)}x the floor",
            goal="≤ 2.5x the durable floor",
            is_met=ratio.median <= GOAL,
            values={
                "of_durable": ratio.median,
                **{name: Spread.of(cpu_ms[name]).median for name in SUBJECTS},
                "calls": {name: Spread.of(calls[name]).median for name in SUBJECTS},
            },
        )
    ]


async def _lives(subject: Subject, flokit_url: str) -> tuple[float, float]:
    """Return the cost of one follow-up: seconds of CPU time above idle, and calls."""
    ended = count_ends(subject)
    click = partial(Hand(subject.slack, is_bot=subject.name == BOT).deliver, "click")
    for _ in range(WARM_UP):
        await click()
    await until_ended(ended, WARM_UP)
    await asyncio.sleep(IDLE_S)
    began, began_at = subject.process.use(), time.monotonic()
    await asyncio.sleep(IDLE_S)
    idle = (subject.process.use().cpu_s - began.cpu_s) / (time.monotonic() - began_at)
    began, began_at, called = subject.process.use(), time.monotonic(), await count_calls(subject, flokit_url)
    for _ in range(CLICKS):
        await click()
        await asyncio.sleep(1 / PER_S)
    await until_ended(ended, WARM_UP + CLICKS)
    used_s = subject.process.use().cpu_s - began.cpu_s - idle * (time.monotonic() - began_at)
    return used_s / CLICKS, (await count_calls(subject, flokit_url) - called) / CLICKS


def count_ends(subject: Subject) -> list[str]:
    """Collect the last message of each follow-up: the update that says that it has finished."""
    ended: list[str] = []

    def note(method: str, arguments: dict[str, Any], _ts: str, _at: float) -> None:
        if method == "chat.update" and ": finished after " in str(arguments.get("text")):
            ended.append(arguments["channel"])

    subject.slack.on_call = note
    return ended


async def until_ended(ended: list[str], many: int) -> None:
    """Wait until ``many`` follow-ups have ended.

    Raises:
        TimeoutError: they didn't within a minute.
    """
    async with asyncio.timeout(ENDS_WITHIN_S):
        while len(ended) < many:  # noqa: ASYNC110 - filled by the calls of another process
            await asyncio.sleep(0.05)


async def count_calls(subject: Subject, flokit_url: str) -> int:
    """Count the calls to Slack and to FloKit so far."""
    return subject.slack.calls + sum((await fetch_calls(flokit_url)).values())
