"""One soak from start to end: services, fleet, people and weather, then fine weather until all is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any, Final

from local_slack import NotYet
from sandbox.clock import WorldClock
from sandbox.local_flokit import READ_KEY, WRITE_KEY, LocalFlokit
from sandbox.slack import flokit_slack
from soak import checker
from soak.collecting import collect, write_calls
from soak.databases import SharedDatabase, make_database
from soak.evidence import Size, Span
from soak.fleet import Fleet
from soak.people import OPEN_CHANNELS, People
from soak.report import Result
from soak.residents import POLICY, Residents
from soak.settings import DEADLINE_S, QUICK, Settings
from soak.weather import Weather

INTEGRATIONS: Final = {
    "int_soak_revenuecat": "revenuecat",
    "int_soak_stripe_eu": "stripe",
    "int_soak_stripe_us": "stripe",
    "int_soak_adjust": "adjust",
    "int_soak_googleplay": "google_play",
    "int_soak_warehouse": "warehouse",
    "int_soak_adapty": "adapty",
    "int_soak_appsflyer": "appsflyer",
}
READY_WITHIN_S: Final = 90.0
TOLD_WITHIN_S: Final = DEADLINE_S + 60.0
"""After the storm: a deadline for what was clicked last, and time for Slack's rates."""

QUIET_WITHIN_S: Final = 60.0
"""So long it may take until every incident is over, once everything works: a look, a sync, the end of flapping."""

STILL_TRIES: Final = 5
"""What grows without a cause grows each time."""

STILL_S: Final = 8.0
"""So long nobody does anything, and no table may grow."""

QUIET_S: Final = 5.0
"""So long after all is told it is watched whether something is told again."""


class Storm:
    """The parts of one soak."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.clock = WorldClock(folder / "clock")
        self.slack = flokit_slack(clock=self.clock.time)
        self.slack.event_retry_delays_s = (0.5, 1.0, 2.0)
        self.flokit = LocalFlokit(clock=self.clock.now)
        self.flokit.budget_per_minute = settings.rules.requests_per_minute
        self.database: SharedDatabase = make_database(settings.kind, folder, self.clock.time)
        self._folder = folder
        self.jumps: list[Span] = []

    async def run(self) -> Result:
        """Let it rage, let it clear up, and judge."""
        began_at = time.monotonic()
        async with self._services():
            fleet = Fleet(self.settings.replicas, self._bot_settings, self._folder, self.clock)
            integrations = list(INTEGRATIONS)
            people = People(
                self.slack, self._random("people"), integrations, per_minute=self.settings.clicks_per_minute
            )
            residents = Residents(
                self.slack,
                self._random("residents"),
                integrations,
                OPEN_CHANNELS,
                per_minute=self.settings.errands_per_minute,
            )
            weather = Weather(
                self._random("weather"),
                self.slack,
                self.flokit,
                fleet,
                self.database,
                INTEGRATIONS,
                self.clock,
                kills_per_minute=self.settings.kills_per_minute * self.settings.replicas,
            )
            self.jumps = weather.jumps
            running = asyncio.create_task(fleet.run())
            try:
                await self._until_connected()
                await _for_a_while(self.settings.minutes * 60.0, people.run(), residents.run(), weather.run())
                await weather.calm()
                await people.finish()
                await residents.finish()
                await self._until_connected()
                await self._until_told(people)
                await self._until_quiet(residents)
                sizes = await self._sizes()
                wishes = await residents.wishes()
            finally:
                await fleet.close()
                await _cancel(running)
            evidence = collect(self, fleet, people, residents)
            evidence.sizes, evidence.wishes = sizes, wishes
            write_calls(self, self._folder / "calls.jsonl")
        met = weather.met + residents.met
        return Result.of(self.settings, evidence, checker.check(evidence), met, time.monotonic() - began_at)

    async def _until_quiet(self, residents: Residents) -> None:
        """Have every integration sync once more, and wait until no incident is open, or for long enough."""
        for integration_id in INTEGRATIONS:
            self.flokit.begin_sync(integration_id)
        with contextlib.suppress(NotYet):  # what is left open is evidence
            await self.slack.wait_for(lambda: not residents.boards, QUIET_WITHIN_S, "the end of every incident")

    async def _sizes(self) -> list[Size]:
        """Count all rows, twice, while nobody does anything; what still ends is given a few more tries."""
        for _ in range(STILL_TRIES):
            before = await self.database.sizes()
            await asyncio.sleep(STILL_S)
            after = await self.database.sizes()
            sizes = [Size(table, count, after[table]) for table, count in before.items()]
            if not any(size.after > size.before for size in sizes):
                break
        return sizes

    @contextlib.asynccontextmanager
    async def _services(self) -> AsyncIterator[None]:
        await self.slack.start()
        await self.flokit.start()
        try:
            await self.database.start()
            yield
        finally:
            await self.slack.stop()
            await self.flokit.stop()
            await self.database.stop()

    @property
    def _bot_settings(self) -> dict[str, str]:
        tokens = self.slack.installation.tokens
        return {
            "SLACK_BOT_TOKEN": tokens.bot,
            "SLACK_APP_TOKEN": tokens.app,
            "SLACK_API_URL": self.slack.api_url,
            "FLOKIT_API_KEY": READ_KEY,
            "FLOKIT_SYNC_API_KEY": WRITE_KEY,
            "FLOKIT_API_URL": self.flokit.url,
            "DATABASE_URL": self.database.url,
            "PORT": "0",
            "POLICY_FILE": str(self._policy_file),
            **QUICK,
        }

    @property
    def _policy_file(self) -> Path:
        path = self._folder / "policy.yaml"
        path.write_text(POLICY)
        return path

    def _random(self, part: str) -> Random:
        """Give each part dice of its own, so that one's rolls do not move another's."""
        return Random(f"{self.settings.seed}:{part}")  # noqa: S311 - a storm, no secret

    async def _until_connected(self) -> None:
        await self.slack.wait_for(
            lambda: self.slack.connections >= self.settings.replicas, READY_WITHIN_S, "a socket of every replica"
        )

    async def _until_told(self, people: People) -> None:
        """Wait until every accepted click has its outcome, or for long enough; then see what still comes."""
        until = time.monotonic() + TOLD_WITHIN_S
        while time.monotonic() < until:
            if not any(checker.untold(collect(self, None, people, None))):
                break
            await asyncio.sleep(1.0)
        await asyncio.sleep(QUIET_S)


async def _for_a_while(seconds: float, *work: Any) -> None:
    """Let endless work go on for some time; whatever it raises ends the soak."""
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except TimeoutError:
        return


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
