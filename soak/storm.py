"""One soak from start to end: services, fleet, people and weather, then fine weather until everything is reported."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import socket
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
from soak.closing import Closing
from soak.collecting import collect, collect_all, collect_apart, write_calls, write_evidence
from soak.databases import SharedDatabase, make_database
from soak.evidence import Size, Span, Wishes
from soak.fleet import Fleet
from soak.neighbors import CLIENT, EVENTS, Neighbors
from soak.noting import Faults
from soak.people import OPEN_CHANNELS, People
from soak.report import Result
from soak.residents import POLICY, Residents
from soak.settings import DEADLINE_S, QUICK, WEBHOOK_SECRET, Settings
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
READY_WITHIN_S: Final = 300.0
TOLD_WITHIN_S: Final = DEADLINE_S + 60.0
"""After the storm: a deadline for what was clicked last, and time for Slack's rates."""

QUIET_WITHIN_S: Final = 60.0
"""So long it may take until every incident is over, once everything works: a look, a sync, the end of flapping."""

STILL_TRIES: Final = 5
"""What grows without a cause grows each time."""

STILL_S: Final = 8.0
"""So long nobody does anything, and no table may grow."""

QUIET_S: Final = 5.0
"""How long it goes on after everything is reported, to see whether something is reported again."""


class Storm:
    """The parts of one soak."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.clock = WorldClock(folder / "clock")
        self._is_shared = settings.workspaces > 1
        changes: dict[str, Any] = {"oauth": CLIENT, "events": EVENTS} if self._is_shared else {}
        self.slack = flokit_slack(clock=self.clock.time, is_distributed=settings.is_distributed, **changes)
        self.slack.event_retry_delays_s = (0.5, 3.0, 20.0)  # as long in the storm as five minutes are in real life
        self.flokit = LocalFlokit(clock=self.clock.now)
        self.flokit.budget_per_minute = settings.rules.requests_per_minute
        self.database: SharedDatabase = make_database(settings.kind, folder, self.clock.time)
        self._folder = folder
        self._faults = Faults()
        self.jumps: list[Span] = []
        self._port = _free_port() if self._is_shared else 0
        self._master_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()

    async def run(self) -> Result:
        """Let it rage, let it clear up, compare what residents do, and judge.

        A fault in one step, this soak's own, is noted and judged; the steps after it still run.
        """
        began_at = time.monotonic()
        faults = self._faults
        async with self._services():
            fleet = Fleet(
                self.settings.replicas,
                self._bot_settings,
                self._folder,
                self.clock,
                self.database.program,
                first_port=self._port,
            )
            integrations = list(INTEGRATIONS)
            neighbors = self._make_neighbors() if self._is_shared else None
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
            closing = Closing(
                self.slack, self.flokit, residents, self._random("closing"), integrations, weather.move_clock
            )
            running = asyncio.create_task(fleet.run())
            try:
                wishes, sizes = await self._live(people, residents, weather, closing, neighbors)
            finally:
                with faults.noting("stopping the replicas"):
                    await fleet.close()
                with faults.noting("watching the replicas"):
                    await _cancel(running)
            with faults.noting("writing the calls"):
                write_calls(self, self._folder / "calls.jsonl")
            evidence = await collect_all(self, fleet, people, residents, closing, faults)
            if neighbors:
                with faults.noting("collecting from all workspaces"):
                    collect_apart(self.slack, neighbors, evidence)
            evidence.sizes = sizes
            evidence.wishes = wishes + evidence.wishes
            with faults.noting("writing the evidence"):
                write_evidence(evidence, self._folder / "evidence.json")
        evidence.faults = [*faults.seen, *people.faults.seen, *residents.faults.seen]
        met = weather.met + residents.met
        if neighbors:
            evidence.faults += neighbors.faults.seen
            met.update({f"neighbors: {what}": count for what, count in neighbors.met.items()})
        return Result.of(self.settings, evidence, checker.check(evidence), met, time.monotonic() - began_at)

    async def _live(
        self,
        people: People,
        residents: Residents,
        weather: Weather,
        closing: Closing,
        neighbors: Neighbors | None,
    ) -> tuple[list[Wishes], list[Size]]:
        """Go through the storm and the calm; return what channels are subscribed to after it, and the tables."""
        faults = self._faults
        wishes: list[Wishes] = []
        sizes: list[Size] = []
        with faults.noting("the storm"):
            await self._until_connected()
            if neighbors:
                await neighbors.settle()
            lives = [people.run(), residents.run(), weather.run(), *([neighbors.run()] if neighbors else [])]
            await _for_a_while(self.settings.minutes * 60.0, *lives)
        with faults.noting("clearing up"):
            await weather.calm()
            await people.finish()
            await residents.finish()
            await self._until_connected()
        if neighbors:
            with faults.noting("asking in every workspace"):
                await neighbors.finish()
                await neighbors.leave_for_good()
                await neighbors.ask()
        with faults.noting("waiting for every outcome"):
            await self._until_told(people)
            weather.repair_all(also_syncing=True)
        with faults.noting("waiting for the end of every incident"):
            await self._until_quiet(residents)
        with faults.noting("listing subscriptions"):
            wishes = await residents.wishes()
        for step in (closing.subscribe, closing.snooze, closing.digest):
            with faults.noting(f"after the storm: {step.__name__}"):
                await step()
        with faults.noting("waiting for the end of every incident, again"):
            await self._until_quiet(residents)
        with faults.noting("counting rows"):
            sizes = await self._sizes()
        return wishes, sizes

    async def _until_quiet(self, residents: Residents) -> None:
        """Have every integration sync once more, and wait until no incident is open, or for long enough."""
        for integration_id in INTEGRATIONS:
            self.flokit.begin_sync(integration_id)
        with contextlib.suppress(NotYet):  # what is left open is evidence
            await self.slack.wait_for(
                lambda: all(board.is_lost for board in residents.boards), QUIET_WITHIN_S, "the end of every incident"
            )

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
            for stop in (self.slack.stop, self.flokit.stop, self.database.stop):
                with self._faults.noting("stopping what the replicas used"):
                    await stop()

    def _make_neighbors(self) -> Neighbors:
        self.slack.oauth.redirect_urls = (f"{self._public_url}/slack/oauth_redirect",)
        return Neighbors(
            self.slack,
            self.flokit,
            self._random("neighbors"),
            INTEGRATIONS,
            self.settings.workspaces,
            f"{self._public_url}/slack/install",
        )

    @property
    def _public_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def _bot_settings(self) -> dict[str, str]:
        return {
            "SLACK_APP_TOKEN": self.slack.installation.tokens.app,
            "SLACK_API_URL": self.slack.api_url,
            "FLOKIT_API_URL": self.flokit.url,
            "DATABASE_URL": self.database.url,
            "PORT": "0",
            "LEASE_S": f"{self.settings.lease_s:g}",
            **QUICK,
            **(self._settings_of_many if self._is_shared else self._settings_of_one),
        }

    @property
    def _settings_of_one(self) -> dict[str, str]:
        return {
            "SLACK_BOT_TOKEN": self.slack.installation.tokens.bot,
            "FLOKIT_API_KEY": READ_KEY,
            "FLOKIT_SYNC_API_KEY": WRITE_KEY,
            "FLOKIT_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "POLICY_FILE": str(self._policy_file),
        }

    @property
    def _settings_of_many(self) -> dict[str, str]:
        return {
            "SLACK_CLIENT_ID": CLIENT.client_id,
            "SLACK_CLIENT_SECRET": CLIENT.client_secret,
            "PUBLIC_URL": self._public_url,
            "ENCRYPTION_KEYS": self._master_key,
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
            if not any(checker.untold(collect(self, people))):
                break
            await asyncio.sleep(1.0)
        await asyncio.sleep(QUIET_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
