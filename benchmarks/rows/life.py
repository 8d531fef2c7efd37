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
from benchmarks.units import Cost, Meter
from bot.store.database import Database
from soak.databases import PostgresServer

SUBJECTS: Final = (BOT, DURABLE_LIFE)
PER_S: Final = 0.5
"""Clicks per second: few enough that no message update has to wait for Slack's rate limits."""
CLICKS: Final = 12
GUARD_CLICKS: Final = 6
WARM_UP: Final = 2
SYNC_S: Final = 4.0
"""Long enough for two checks after the one before the POST."""
IDLE_S: Final = 3.0
ENDS_WITHIN_S: Final = 60.0
GOAL: Final = 2.5
GOAL_SERVER: Final = 1.5
GUARD: Final = 3.5
"""A limit for the best round: a busy machine slows some rounds, a slower bot slows all."""


async def measure(options: Options) -> list[Row]:
    """Measure the CPU time and the calls of a follow-up on SQLite, and the CPU time on PostgreSQL."""
    return [await _compare(options.rounds(2), CLICKS), await _compare_on_postgresql()]


async def guard(_options: Options) -> list[Row]:
    """Measure fewer of them."""
    return [await _compare(2, GUARD_CLICKS)]


async def _compare(rounds: int, clicks: int) -> Row:
    cpu_ms: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    calls: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for _ in range(rounds):
        for name in SUBJECTS:
            async with running_flokit(sync_s=SYNC_S) as flokit_url, running(name, flokit_url) as subject:
                used_s, asked = await _lives(subject, flokit_url, clicks)
                cpu_ms[name].append(1000 * used_s)
                calls[name].append(asked)
    ratio = paired_ratio(cpu_ms[BOT], cpu_ms[DURABLE_LIFE])
    shown = "; ".join(
        f"{name} {Spread.of(cpu_ms[name]).shown('ms', digits=0)} with {Spread.of(calls[name]).shown(digits=1)} calls"
        for name in SUBJECTS
    )
    return Row(
        "CPU time of a follow-up, from click to posted outcome, on SQLite",
        f"{shown}; {ratio.shown(digits=1)}x the floor",
        goal=f"≤ {GOAL}x the durable floor",
        is_met=ratio.median <= GOAL,
        guarded=ratio.low <= GUARD,
        values={
            "of_durable": ratio.median,
            **{name: Spread.of(cpu_ms[name]).median for name in SUBJECTS},
            "calls": {name: Spread.of(calls[name]).median for name in SUBJECTS},
        },
    )


async def _compare_on_postgresql() -> Row:
    server = PostgresServer()
    await server.start()
    database = Database(server.url)
    costs: dict[str, Cost] = {}
    try:
        for name in reversed(SUBJECTS):  # the bot leaves more work behind for the server
            async with (
                running_flokit(sync_s=SYNC_S) as flokit_url,
                running(name, flokit_url, settings={"DATABASE_URL": server.url}) as subject,
            ):
                meter = Meter(database, lambda subject=subject: subject.process.use().cpu_s)  # type: ignore[misc]
                costs[name] = await _lives_metered(subject, meter, CLICKS)
    finally:
        await database.close()
        await server.stop()
    bot, floor = costs[BOT], costs[DURABLE_LIFE]
    of_bot, of_server = bot.cpu_s / floor.cpu_s, bot.database_cpu_s / max(floor.database_cpu_s, 1e-9)
    return Row(
        "CPU time of a follow-up on PostgreSQL: program and server",
        f"{BOT} {bot.shown}; {DURABLE_LIFE} {floor.shown}; {of_bot:.1f}x and {of_server:.1f}x the floor",
        goal=f"≤ {GOAL}x and ≤ {GOAL_SERVER}x the durable floor",
        is_met=of_bot <= GOAL and of_server <= GOAL_SERVER,
        values={"of_durable": of_bot, "of_durable_server": of_server},
    )


async def _lives_metered(subject: Subject, meter: Meter, clicks: int) -> Cost:
    """Return the cost of one follow-up above idle, of the program and of the server."""
    ended = count_ends(subject)
    click = partial(Hand(subject.slack, is_bot=subject.name == BOT).deliver, "click")
    for _ in range(WARM_UP):
        await click()
    await until_ended(ended, WARM_UP)
    began, began_at = await meter.read(), time.monotonic()
    await asyncio.sleep(IDLE_S)
    idle = (await meter.read() - began) * (1 / (time.monotonic() - began_at))
    began, began_at = await meter.read(), time.monotonic()
    for _ in range(clicks):
        await click()
        await asyncio.sleep(1 / PER_S)
    await until_ended(ended, WARM_UP + clicks)
    spent = await meter.read() - began
    return (spent - idle * (time.monotonic() - began_at)) * (1 / clicks)


async def _lives(subject: Subject, flokit_url: str, clicks: int) -> tuple[float, float]:
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
    for _ in range(clicks):
        await click()
        await asyncio.sleep(1 / PER_S)
    await until_ended(ended, WARM_UP + clicks)
    used_s = subject.process.use().cpu_s - began.cpu_s - idle * (time.monotonic() - began_at)
    return used_s / clicks, (await count_calls(subject, flokit_url) - called) / clicks


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
