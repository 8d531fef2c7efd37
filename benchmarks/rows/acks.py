"""Ack times, idle and under load: the bot, the baselines and both naive bots."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from functools import partial
from typing import Final

from benchmarks.arithmetic import Spread, paired_ratio, percentile
from benchmarks.load import Hand, Kind, at_once, at_rate, one_by_one
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.subjects import (
    BOT,
    DURABLE_ACK,
    ECHO,
    FLOOR,
    FLOOR_FAST,
    NAIVE,
    NAIVE_ASYNC,
    Subject,
    running,
    running_flokit,
)

PER_S: Final = 200.0
SUBJECTS: Final = (FLOOR, FLOOR_FAST, DURABLE_ACK, BOT, NAIVE, NAIVE_ASYNC)
KINDS: Final[tuple[Kind, ...]] = ("command", "click")
WARM_UP: Final = 3
IDLE_SAMPLES: Final = 12
BEHIND_S: Final = 0.002
BEHIND_SAMPLES: Final = 60
"""Commands that follow each other so closely that the ones before are being answered."""
LOADED_S: Final = 2.0
SETTLES_S: Final = 0.5
"""Between commands and clicks, so that clicks don't wait for commands."""

OF_DURABLE: Final = 1.2
OF_DEFAULT: Final = 0.2
BEHIND_OF_FLOOR: Final = 2.5
P99_S: Final = 0.1
GUARD_OF_FLOOR: Final = 8.0
GUARD_OF_DEFAULT: Final = 0.8
"""Limits for the best round: a busy machine slows some rounds, a slower bot slows all."""

GUARDED: Final = (FLOOR, FLOOR_FAST, DURABLE_ACK, BOT)
GUARD_ROUNDS: Final = 5
GUARD_SAMPLES: Final = 12

_Taken = dict[tuple[str, str, str], list[list[float]]]
"""By subject, kind and state: the seconds until each ack, per round."""


async def measure(options: Options) -> list[Row]:
    """Measure Socket Mode and HTTP."""
    rows = [*await _ceiling()]
    for http in (False, True):
        taken: _Taken = defaultdict(list)
        for number in range(options.rounds(2)):
            await _round(options, taken, http=http, number=number)
        way = "HTTP" if http else "Socket Mode"
        for kind in KINDS:
            rows += [_idle_row(taken, kind, way), _loaded_row(taken, kind, way)]
        rows.append(_behind_row(taken, way))
    return rows


async def guard(_options: Options) -> list[Row]:
    """Measure only the idle acks, against the framework's two modes."""
    taken: _Taken = defaultdict(list)
    async with running_flokit() as flokit_url, contextlib.AsyncExitStack() as stack:
        subjects = [await stack.enter_async_context(running(name, flokit_url)) for name in GUARDED]
        for _ in range(GUARD_ROUNDS):
            for subject in subjects:
                await _idle(subject, taken, GUARD_SAMPLES)
    return [_idle_row(taken, kind, "Socket Mode") for kind in KINDS]


async def _ceiling() -> list[Row]:
    rates = {}
    for http in (False, True):
        async with running(ECHO, "", http=http) as subject:
            hand = Hand(subject.slack, is_bot=False)
            await at_once(partial(hand.deliver, "command"), 200, 8)
            rates["HTTP" if http else "Socket Mode"] = await at_once(partial(hand.deliver, "command"), 2000, 16)
    shown = ", ".join(f"{way} {rate:.0f}/s" for way, rate in rates.items())
    return [Row("the load generator's maximum, with a program that only acks", shown, values=rates)]


async def _round(options: Options, taken: _Taken, *, http: bool, number: int) -> None:
    """Run one round: start every subject, one after another, in another order each round."""
    order = SUBJECTS[number % len(SUBJECTS) :] + SUBJECTS[: number % len(SUBJECTS)]
    async with running_flokit() as flokit_url:
        for name in order:
            async with running(name, flokit_url, http=http) as subject:
                await _idle(subject, taken, IDLE_SAMPLES)
                hand = Hand(subject.slack, is_bot=name == BOT)
                deliver = partial(hand.deliver, "command")
                taken[name, "command", "behind"].append(await one_by_one(deliver, BEHIND_SAMPLES, BEHIND_S))
                await asyncio.sleep(SETTLES_S)
                for kind in KINDS:
                    seconds = options.seconds(LOADED_S)
                    taken[name, kind, "loaded"].append(await at_rate(partial(hand.deliver, kind), PER_S, seconds))
                    await asyncio.sleep(SETTLES_S)


async def _idle(subject: Subject, taken: _Taken, samples: int) -> None:
    hand = Hand(subject.slack, is_bot=subject.name == BOT)
    for kind in KINDS:
        await one_by_one(partial(hand.deliver, kind), WARM_UP)
        taken[subject.name, kind, "idle"].append(await one_by_one(partial(hand.deliver, kind), samples))


def _medians(taken: _Taken, name: str, kind: str, state: str) -> list[float]:
    return [percentile(samples, 0.5) for samples in taken[name, kind, state]]


def _idle_row(taken: _Taken, kind: str, way: str) -> Row:
    ours = _medians(taken, BOT, kind, "idle")
    of_default = paired_ratio(ours, _medians(taken, FLOOR, kind, "idle"))
    of_floor = paired_ratio(ours, _medians(taken, FLOOR_FAST, kind, "idle"))
    of_durable = paired_ratio(ours, _medians(taken, DURABLE_ACK, kind, "idle"))
    return Row(
        f"ack of a {kind}, idle, {way}: p50 / p99",
        f"{_by_subject(taken, kind, 'idle')}; {of_durable.shown(digits=2)}x the durable ack, "
        f"{of_floor.shown(digits=2)}x the fast floor, {of_default.shown(digits=2)}x the default floor",
        goal="p50 ≤ 1.2x the durable ack, ≤ 0.2x Bolt's default",
        is_met=of_durable.median <= OF_DURABLE and of_default.median <= OF_DEFAULT,
        guarded=of_floor.low <= GUARD_OF_FLOOR and of_default.low <= GUARD_OF_DEFAULT,
        values={
            "of_durable": of_durable.median,
            "of_floor": of_floor.median,
            "of_default": of_default.median,
            **_values(taken, kind, "idle"),
        },
    )


def _behind_row(taken: _Taken, way: str) -> Row:
    floors = _medians(taken, FLOOR_FAST, "command", "behind")
    of_floor = paired_ratio(_medians(taken, BOT, "command", "behind"), floors)
    return Row(
        f"ack of a command {BEHIND_S * 1000:.0f} ms after the one before was acked, {way}: p50 / p99",
        f"{_by_subject(taken, 'command', 'behind')}; {of_floor.shown(digits=2)}x the fast floor",
        goal=f"p50 ≤ {BEHIND_OF_FLOOR}x the fast floor, which saves nothing",
        is_met=of_floor.median <= BEHIND_OF_FLOOR,
        values={"of_floor": of_floor.median, **_values(taken, "command", "behind")},
    )


def _loaded_row(taken: _Taken, kind: str, way: str) -> Row:
    p99 = Spread.of([percentile(samples, 0.99) for samples in taken[BOT, kind, "loaded"]])
    return Row(
        f"ack of a {kind} at {PER_S:.0f}/s, {way}: p50 / p99",
        _by_subject(taken, kind, "loaded"),
        goal="p99 < 100 ms",
        is_met=p99.median < P99_S,
        values=_values(taken, kind, "loaded"),
    )


def _by_subject(taken: _Taken, kind: str, state: str) -> str:
    parts = []
    for name in SUBJECTS:
        if rounds := taken.get((name, kind, state)):
            p50 = Spread.of([percentile(samples, 0.5) for samples in rounds])
            p99 = Spread.of([percentile(samples, 0.99) for samples in rounds])
            parts.append(f"{name} {p50.median * 1000:.1f} / {p99.median * 1000:.1f} ms")
    return ", ".join(parts)


def _values(taken: _Taken, kind: str, state: str) -> dict[str, dict[str, float]]:
    return {
        name: {
            "p50_ms": 1000 * percentile(_all(taken[name, kind, state]), 0.5),
            "p99_ms": 1000 * percentile(_all(taken[name, kind, state]), 0.99),
        }
        for name in SUBJECTS
        if taken.get((name, kind, state))
    }


def _all(rounds: list[list[float]]) -> list[float]:
    return [one for samples in rounds for one in samples]
