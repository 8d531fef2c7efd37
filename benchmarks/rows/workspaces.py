"""The cost of many installed workspaces, compared with one: memory, startup, commands; and whether storms delay others.

Each bot serves workspaces that installed the app, over signed HTTP, on its own PostgreSQL server.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from sqlalchemy import text

from benchmarks.arithmetic import Spread, paired_ratio, percentile
from benchmarks.flokit import DOWN, HANGS, SYNCING
from benchmarks.installing import Installer, key_of, team
from benchmarks.load import at_rate, one_by_one
from benchmarks.options import Options
from benchmarks.report import Row
from benchmarks.seeding import ANA, Plan, seed, start
from benchmarks.subjects import BOT, Subject, fetch_calls, fetch_ends, running, running_flokit
from benchmarks.units import Meter
from bot.core.blocks.outcome import OUTCOME_EVENT
from bot.core.commands.presses import Action, Press, press_value
from bot.core.subscriptions.subscriptions import ALL, Subscription
from bot.store import codec
from bot.store.database import Database
from bot.store.tables import runs, subscriptions, timers
from bot.store.timers import TimerKind, Timers
from soak.databases import PostgresServer

INSTALLED: Final = 10_000
ACTIVE: Final = 1000
INTEGRATIONS: Final = 8

WARM: Final = 100
"""Workspaces served before memory is measured: the process itself grows until then."""
GOAL_BYTES: Final = 20_000

GOAL_START: Final = 1.2
GOAL_COMMAND: Final = 1.15
PER_S: Final = 20.0
SETTLES_S: Final = 2.0
ANSWERS_WITHIN_S: Final = 180.0
COMMAND: Final = "subscriptions"
"""It asks only the database. A list of integrations is kept for 3 s, which would be shared in one workspace only."""

WATCH_EVERY_S: Final = 20.0
WATCHED_S: Final = 40.0

GOAL_STORM: Final = 1.3
QUIET: Final = 12
"""Quiet workspaces, each with a sync now and then."""
CLICKS: Final = 36
CLICKS_PER_S: Final = 1.5
SYNC_S: Final = 3.0
STORM_RUNS: Final = 1000
STORM_EVERY_S: Final = 2.0
STORMY: Final = {
    f"TBUSY-{SYNCING}": "1,000 runs",
    f"TDOWN-{DOWN}": "1,000 runs, FloKit down",
    f"THANG-{HANGS}": "1,000 runs, FloKit hanging",
    f"TLIMITED-{SYNCING}": "1,000 runs, Slack at 429",
    f"TPOISONED-{SYNCING}": "1,000 runs, each tenth unreadable",
}
LIMITED, POISONED = f"TLIMITED-{SYNCING}", f"TPOISONED-{SYNCING}"
PATIENCE: Final = {"FOLLOW_UP_FIRST_LOOK_S": "0.5", "FOLLOW_UP_MAX_INTERVAL_S": f"{STORM_EVERY_S:g}"}


@dataclass(frozen=True, slots=True)
class Site:
    """A PostgreSQL server on which the app is installed in ``many`` workspaces."""

    many: int
    server: PostgresServer
    database: Database
    installer: Installer

    def bot(self, flokit_url: str, **settings: str) -> contextlib.AbstractAsyncContextManager[Subject]:
        """Run a bot on it."""
        all_settings = {"DATABASE_URL": self.server.url, **settings}
        return running(BOT, flokit_url, http=True, settings=all_settings, installer=self.installer)


async def measure(options: Options) -> list[Row]:
    """Measure one and many installed workspaces in turn, and then a storm."""
    async with (
        _site(1) as one,
        _site(INSTALLED) as many,
        running_flokit(integrations=INTEGRATIONS, sync_s=SYNC_S) as flokit_url,
    ):
        return [
            await _startup(one, many, flokit_url, options.rounds(4)),
            await _memory(many, flokit_url),
            *await _commands(one, many, flokit_url, options.rounds(3)),
            await _watching(many, options.seconds(WATCHED_S)),
            await _storm(many, options.rounds(3)),
        ]


@contextlib.asynccontextmanager
async def _site(many: int) -> AsyncIterator[Site]:
    server, installer = PostgresServer(), Installer()
    try:
        await server.start()
        database = Database(server.url)
        await installer.install(database, [team(number) for number in range(many)])
        async with database.begin() as connection:
            await connection.execute(text("ANALYZE"))  # as autovacuum does soon after
        yield Site(many, server, database, installer)
        await database.close()
    finally:
        await server.stop()


async def _startup(one: Site, many: Site, flokit_url: str, rounds: int) -> Row:
    ready: dict[int, list[float]] = {site.many: [] for site in (one, many)}
    for _ in range(rounds):
        for site in (one, many):
            async with site.bot(flokit_url) as subject:
                ready[site.many].append(subject.ready_s)
    ratio = paired_ratio(ready[many.many], ready[one.many])
    shown = ", ".join(f"{number:,}: {Spread.of(seconds).shown('s', digits=2)}" for number, seconds in ready.items())
    return Row(
        "startup until ready, by the number of installed workspaces",
        f"{shown}; {ratio.shown(digits=2)}x",
        goal=f"≤ {GOAL_START}x of one",
        is_met=ratio.median <= GOAL_START,
        values={"ratio": ratio.median, "s": ready},
    )


async def _memory(site: Site, flokit_url: str) -> Row:
    """Serve a command that lists integrations once in each workspace, and compare the process's memory."""
    async with site.bot(flokit_url) as subject:
        numbers = range(WARM + ACTIVE)
        await _serve(subject, numbers[:WARM], "status")
        before = subject.process.use().rss_bytes
        await _serve(subject, numbers[WARM:], "status")
        each = (subject.process.use().rss_bytes - before) / ACTIVE
    return Row(
        f"memory of a workspace that was served once (`/flokit status` with {INTEGRATIONS} integrations)",
        f"{each / 1000:.1f} kB each, of {ACTIVE:,} of {site.many:,} workspaces",
        goal=f"≤ {GOAL_BYTES // 1000} kB",
        is_met=each <= GOAL_BYTES,
        values={"each_bytes": each},
    )


async def _serve(subject: Subject, numbers: Sequence[int], command: str) -> None:
    """Send one command in each workspace, and wait until all are answered and nothing is left to do."""
    answered, left = subject.slack.answered, iter(numbers)
    await at_rate(
        lambda: subject.slack.command(command, channel="C0", team=team(next(left))), PER_S, len(numbers) / PER_S
    )
    await _until_answered(subject, answered + len(numbers))
    await asyncio.sleep(SETTLES_S)


async def _until_answered(subject: Subject, many: int) -> None:
    until = time.monotonic() + ANSWERS_WITHIN_S
    while subject.slack.answered < many:
        if time.monotonic() > until:
            raise TimeoutError(f"{subject.slack.answered} of {many} answers")
        await asyncio.sleep(0.02)


class Commands:
    """Sends the same command to workspaces in turn, and measures acks and CPU time."""

    def __init__(self, subject: Subject, active: int) -> None:
        self._subject = subject
        self._active = active
        self._numbers = count()
        self.cpu_ms: list[float] = []
        self.idle_ms: list[float] = []
        self.loaded_ms: list[float] = []

    async def deliver(self) -> float:
        """Send one. Return the seconds until its ack."""
        number = next(self._numbers)
        return await self._subject.slack.command(COMMAND, channel=f"C{number:08d}", team=team(number % self._active))

    async def round(self, commands: int) -> None:
        """Measure some commands one by one, then many at a rate."""
        self.idle_ms.append(1000 * percentile(await one_by_one(self.deliver, 24), 0.5))
        await asyncio.sleep(SETTLES_S)
        began, answered = self._subject.process.use(), self._subject.slack.answered
        acks = await at_rate(self.deliver, PER_S, commands / PER_S)
        await _until_answered(self._subject, answered + len(acks))
        self.loaded_ms.append(1000 * percentile(acks, 0.95))
        self.cpu_ms.append(1000 * (self._subject.process.use().cpu_s - began.cpu_s) / len(acks))


async def _commands(one: Site, many: Site, flokit_url: str, rounds: int) -> list[Row]:
    async with one.bot(flokit_url) as alone, many.bot(flokit_url) as crowded:
        await _serve(alone, [0] * WARM, COMMAND)
        await _serve(crowded, range(ACTIVE), COMMAND)
        of_one, of_many = Commands(alone, 1), Commands(crowded, ACTIVE)
        for _ in range(rounds):
            for commands in (of_one, of_many):
                await commands.round(ACTIVE)
    what = f"with {many.many:,} workspaces installed and {ACTIVE:,} active, compared with one"
    measured = (
        ("ack of a command, idle, p50", of_many.idle_ms, of_one.idle_ms),
        (f"ack of a command at {PER_S:.0f}/s, p95", of_many.loaded_ms, of_one.loaded_ms),
        (f"CPU time of `/flokit {COMMAND}`, answered", of_many.cpu_ms, of_one.cpu_ms),
    )
    return [_ratio_row(f"{name}, {what}", ours, theirs, GOAL_COMMAND) for name, ours, theirs in measured]


def _ratio_row(what: str, ours: Sequence[float], theirs: Sequence[float], goal: float) -> Row:
    ratio = paired_ratio(ours, theirs)
    return Row(
        what,
        f"{Spread.of(ours).shown('ms')} and {Spread.of(theirs).shown('ms')}; {ratio.shown(digits=2)}x",
        goal=f"≤ {goal}x",
        is_met=ratio.median <= goal,
        values={"ratio": ratio.median, "ours_ms": list(ours), "theirs_ms": list(theirs)},
    )


# --- background checks -----------------------------------------------------------------------------------------


async def _watching(site: Site, seconds: float) -> Row:
    """Let channels of many workspaces be subscribed, and measure the checks of their FloKit while nothing changes."""
    await _subscribe(site, [team(number) for number in range(ACTIVE)])
    async with (
        running_flokit(integrations=INTEGRATIONS) as flokit_url,
        site.bot(flokit_url, WATCH_INTERVAL_S=f"{WATCH_EVERY_S:g}") as subject,
    ):
        await asyncio.sleep(1.5 * WATCH_EVERY_S)  # each is built, and checked once
        meter = Meter(site.database, lambda: subject.process.use().cpu_s)
        began, called = await meter.read(), sum((await fetch_calls(flokit_url)).values())
        await asyncio.sleep(seconds)
        checks = sum((await fetch_calls(flokit_url)).values()) - called
        cost = (await meter.read() - began) * (1 / checks)
    async with site.database.begin() as connection:
        await connection.execute(timers.delete().where(timers.c.kind == TimerKind.WATCH))
        size = await connection.scalar(text("SELECT pg_total_relation_size('installations')")) or 0
    per_s = checks / seconds
    return Row(
        f"a background check of a subscribed workspace with {INTEGRATIONS} integrations",
        f"{cost.shown}; {per_s:.0f} a second of {ACTIVE / WATCH_EVERY_S:.0f} that were due; an installation takes "
        f"{size / site.many / 1000:.1f} kB in the database",
        values={"bot_ms": 1000 * cost.cpu_s, "server_ms": 1000 * cost.database_cpu_s, "per_s": per_s},
    )


async def _subscribe(site: Site, team_ids: Sequence[str]) -> None:
    now = datetime.now(UTC)
    wanted = [Subscription(f"sub_{team_id}", team_id, "C0DATA", ANA, now, ALL) for team_id in team_ids]
    rows = [
        {
            "id": one.id,
            "team_id": one.team_id,
            "channel_id": one.channel_id,
            "target": one.target,
            "data": codec.dump(one),
            "created_at": now,
        }
        for one in wanted
    ]
    async with site.database.begin() as connection:
        await connection.execute(subscriptions.insert(), rows)
    due = Timers(site.database, owner="benchmark", lease_s=10.0)
    for number, team_id in enumerate(team_ids):
        at = now + timedelta(seconds=WATCH_EVERY_S * (1 + number / len(team_ids)))
        await due.put(TimerKind.WATCH, team_id, team_id, at)


# --- fairness --------------------------------------------------------------------------------------------------


async def _storm(site: Site, rounds: int) -> Row:
    """Follow syncs of quiet workspaces, in turn without and with storms in others."""
    await site.installer.install(site.database, list(STORMY))
    calm, stormy, firsts = [], [], count(0, STORM_RUNS)
    async with (
        running_flokit(integrations=CLICKS, sync_s=SYNC_S) as flokit_url,
        site.bot(flokit_url, **PATIENCE) as subject,
    ):
        quiet = Quiet(subject, flokit_url)
        await quiet.delays()  # learns
        for _ in range(rounds):
            calm.append(1000 * percentile(await quiet.delays(), 0.95))
            async with _storms(site, subject, firsts):
                stormy.append(1000 * percentile(await quiet.delays(), 0.95))
    what = (
        f"p95 from a sync's end to its outcome in {QUIET} quiet workspaces, beside storms in others "
        f"({'; '.join(STORMY.values())}), compared with none"
    )
    return _ratio_row(what, stormy, calm, GOAL_STORM)


@contextlib.asynccontextmanager
async def _storms(site: Site, subject: Subject, firsts: Any) -> AsyncIterator[None]:
    """Let all storms rage in the block."""
    for team_id in STORMY:
        plan = Plan(STORM_RUNS, STORM_RUNS, STORM_EVERY_S, team_id, first=next(firsts))
        await seed(site.database, plan)
        if team_id == POISONED:
            poison = runs.update().where(runs.c.team_id == team_id, runs.c.id.like("%0")).values(data="{}")
            async with site.database.begin() as connection:
                await connection.execute(poison)
        await start(site.database, plan, 0.0)
    subject.slack.limited = {LIMITED}
    await asyncio.sleep(SETTLES_S)
    try:
        yield
    finally:
        subject.slack.limited = set()
        async with site.database.begin() as connection:
            await connection.execute(runs.delete().where(runs.c.team_id.in_(STORMY)))
        await asyncio.sleep(SETTLES_S)


class Quiet:
    """People of quiet workspaces who start a sync now and then, each below a message of its own."""

    def __init__(self, subject: Subject, flokit_url: str) -> None:
        self._subject = subject
        self._flokit_url = flokit_url
        self._numbers = count()
        self._told_at: dict[str, float] = {}
        subject.slack.on_call = self._note

    def _note(self, _method: str, arguments: dict[str, Any], _ts: str, _at: float) -> None:
        if OUTCOME_EVENT in str(arguments.get("metadata")):
            self._told_at.setdefault(arguments["channel"], time.time())

    async def delays(self) -> list[float]:
        """Start syncs, and return the seconds from each end to its outcome."""
        began = next(self._numbers)
        numbers = [began, *(next(self._numbers) for _ in range(CLICKS - 1))]
        left = iter(numbers)
        await at_rate(lambda: self._click(next(left)), CLICKS_PER_S, CLICKS / CLICKS_PER_S)
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while not all(_channel(number) in self._told_at for number in numbers):  # noqa: ASYNC110 - filled by calls
                await asyncio.sleep(0.05)
        ends = await fetch_ends(self._flokit_url)
        return [
            self._told_at[_channel(number)] - ends[f"{key_of(_team(number))} {_integration(number)}"]
            for number in numbers
        ]

    def _click(self, number: int) -> Any:
        value = press_value(Press(Action.RESYNC, integration_id=_integration(number)))
        ts = f"{1_700_000_000 + number}.000100"
        return self._subject.slack.click(Action.RESYNC, value, channel=_channel(number), ts=ts, team=_team(number))


def _team(number: int) -> str:
    return team(number % QUIET)


def _integration(number: int) -> str:
    return f"int_{number % CLICKS:05d}"


def _channel(number: int) -> str:
    return f"CQUIET{number:06d}"
