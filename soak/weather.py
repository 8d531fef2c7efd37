"""The weather: what goes wrong and when, from one random source. It knows nothing of the bot's insides."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, Final

from local_slack import ApiCall, Envelope, LocalSlack
from local_slack import faults as slack_faults
from sandbox.clock import WorldClock
from sandbox.local_flokit import LocalFlokit
from sandbox.local_flokit import Request as FlokitRequest
from sandbox.local_flokit import faults as flokit_faults
from sandbox.local_flokit.quirks import Quirks
from sandbox.local_flokit.sources import Ending, Plan
from sandbox.local_flokit.webhooks import Webhooks
from soak.databases import SharedDatabase, StopMode
from soak.evidence import CLOCK_MOVED, Span
from soak.fleet import Fleet
from soak.settings import WEBHOOK_SECRET

FLOKIT_FAULTS: Final[tuple[flokit_faults.FaultKind, ...]] = (
    "http_500",
    "ratelimited",
    "garbage",
    "hang",
    "drop",
    "done_then_drop",
    "slow",
    "truncated",
)
SLACK_METHODS: Final = (
    "*",
    "chat.postMessage",
    "chat.postMessage",
    "chat.update",
    "conversations.replies",
    "conversations.history",
    "conversations.open",
    "apps.connections.open",
    "views.publish",
    "usergroups.users.list",
    "users.info",
    slack_faults.RESPONSE_URL,
)
ENDINGS: Final[dict[Ending, int]] = {
    "succeeded": 10,
    "failed": 4,
    "failed_same": 3,
    "hidden": 2,
    "unproven": 2,
    "ignored": 1,
    "stuck": 1,
    "disconnected": 1,
    "vanish": 1,
}
ERRORS: Final = (
    "Webhook signature verification failed — check your signing secret",
    "The caller does not have permission",
    "Invalid API token",
)
QUIRKS: Final = {
    "as documented": Quirks(),
    "a list that lags": Quirks(list_lags_s=5.0),
    "a list that cuts and rounds": Quirks(list_cuts_errors_at=16, list_rounds_to_s=3600),
    "times in another form": Quirks(time_form="epoch milliseconds"),
    "states in capitals": Quirks(status_form=str.upper),
    "POSTs without a body": Quirks(accepts="no content"),
}
"""How FloKit writes what it knows, until it does so in another way."""

ERROR_FORMS: Final = ("{error} (request {request})", "{error}, retry in {n} minutes")
"""How FloKit words its errors: in one way in each soak, with an ID or a number that is another one in each reply.

An old error whose words change on their own is taken for a new one, which is a documented limit.
"""

REPAIRED_AFTER_S: Final = 8.0
"""What is stuck, disconnected or gone is repaired by somebody in FloKit after about this long."""

STUCK_S: Final = 20.0
"""A sync that lasts longer is taken for stuck."""

AIM_WITHIN_S: Final = 5.0
"""An aimed kill waits so long for its instant."""


class Weather:
    """Everything that goes wrong, each at its own rate a minute."""

    def __init__(
        self,
        rng: Random,
        slack: LocalSlack,
        flokit: LocalFlokit,
        fleet: Fleet,
        database: SharedDatabase,
        integrations: dict[str, str],
        clock: WorldClock,
        *,
        kills_per_minute: float,
    ) -> None:
        self._clock = clock
        self._error_forms = (rng.choice(ERROR_FORMS),)
        self._webhooks = Webhooks(lambda: fleet.webhook_url, WEBHOOK_SECRET)
        self._rng = rng
        self._slack = slack
        self._flokit = flokit
        self._fleet = fleet
        self._database = database
        self._integrations = integrations
        self._kills_per_minute = kills_per_minute
        self._aim: Callable[[Any], bool] | None = None
        self._hit = asyncio.Event()
        self._idle_at: dict[str, float] = {}
        self._changing_database: set[asyncio.Task[None]] = set()
        self.jumps: list[Span] = []
        """When the clock was moved: every lease ended then."""
        self.met: Counter[str] = Counter()
        """How often each kind of trouble came."""
        flokit.quirks = self._in_words(Quirks())
        flokit.on_record(self._see)
        slack.on_record(self._see)
        for integration_id, type_ in integrations.items():
            flokit.add(integration_id, type_)
            self._replan(integration_id)

    async def run(self) -> None:
        """Be bad until cancelled; then all clears up."""
        rates: Sequence[tuple[Callable[[], Awaitable[None]], float]] = (
            (self._kill, self._kills_per_minute * 0.5),
            (self._aimed_kill, self._kills_per_minute * 0.5),
            (self._terminate, 2.0),
            (self._freeze, 4.0),
            (self._spoil_flokit, 12.0),
            (self._flokit_down, 1.0),
            (self._deny, 0.7),
            (self._refuse, 0.7),
            (self._write_otherwise, 6.0),
            (self._spoil_slack, 14.0),
            (self._drop_sockets, 2.0),
            (self._refresh_sockets, 1.0),
            (self._restart_database, 1.5),
            (self._only_read, 1.0),
            (self._sync_by_schedule, 3.0),
            (self._replan_one, 20.0),
            (self._repair, 60.0 / REPAIRED_AFTER_S),
            (self._send_webhooks, 3.0),
            (self._jump, 0.5),
        )
        try:
            async with asyncio.TaskGroup() as group:
                for trouble, per_minute in rates:
                    group.create_task(self._again(trouble, 60.0 / per_minute))
        finally:
            self._clear_up()

    async def calm(self) -> None:
        """Wait until the database is back, and takes writes."""
        await asyncio.gather(*self._changing_database)

    async def _again(self, trouble: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / every_s))
            await trouble()

    def _clear_up(self) -> None:
        self._aim = None
        self._flokit.faults.clear()
        self._flokit.down = False
        self._flokit.quirks = self._in_words(Quirks())
        self._slack.faults.clear()
        self.repair_all()

    # processes

    async def _kill(self) -> None:
        if self._rng.choice(self._fleet.mortal).kill():
            self.met["kill"] += 1

    async def _aimed_kill(self) -> None:
        """Kill a process that may have just sent a request: before it gets the reply, or right after."""
        wanted = self._rng.choice(("POST", "GET", "chat.postMessage", "chat.postMessage", "chat.update", "envelope"))
        is_answered = self._rng.random() < 0.5

        def is_the_instant(record: Any) -> bool:
            answered = getattr(record, "took_s", None) is not None or getattr(record, "ack", None) is not None
            return answered is is_answered and getattr(record, "method", "envelope") == wanted

        self._aim = is_the_instant
        self._hit.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AIM_WITHIN_S):
                await self._hit.wait()

    def _see(self, record: FlokitRequest | ApiCall | Envelope) -> None:
        if self._aim is None or not self._aim(record):
            return
        self._aim = None
        self._hit.set()
        for replica in self._fleet.mortal:
            if replica.kill():
                self.met["kill, aimed"] += 1

    async def _terminate(self) -> None:
        if self._rng.choice(self._fleet.mortal).terminate():
            self.met["SIGTERM"] += 1

    async def _freeze(self) -> None:
        if await self._rng.choice(self._fleet.replicas).freeze(self._rng.uniform(0.3, 6.0)):
            self.met["SIGSTOP"] += 1

    # FloKit

    async def _spoil_flokit(self) -> None:
        kind = self._rng.choice(FLOKIT_FAULTS)
        self._flokit.faults.add(
            flokit_faults.Fault(
                kind,
                method=self._rng.choice(("*", "*", "GET", "POST")),
                times=self._rng.randint(1, 3),
                retry_after=self._rng.choice(("1", "2", None)),
                delay_s=self._rng.uniform(0.2, 2.5),
            )
        )
        self.met[f"FloKit: {kind}"] += 1

    async def _flokit_down(self) -> None:
        self.met["FloKit: down"] += 1
        self._flokit.down = True
        await asyncio.sleep(self._rng.uniform(0.5, 5.0))
        self._flokit.down = False

    async def _deny(self) -> None:
        """Refuse the key, as when it was rotated."""
        self._flokit.faults.add(
            flokit_faults.Fault("http_status", status=401, times=1, body='{"error":"unauthorized"}')
        )
        self.met["FloKit: 401"] += 1

    async def _refuse(self) -> None:
        """Refuse a sync for good."""
        self._flokit.faults.add(flokit_faults.Fault("http_status", method="POST", status=409, times=1))
        self.met["FloKit: 409"] += 1

    async def _write_otherwise(self) -> None:
        """Let FloKit write what it knows in one of its ways."""
        way = self._rng.choice(list(QUIRKS))
        self._flokit.quirks = self._in_words(QUIRKS[way])
        self.met[f"FloKit: {way}"] += 1

    def _in_words(self, quirks: Quirks) -> Quirks:
        return replace(quirks, error_forms=self._error_forms)

    async def _sync_by_schedule(self) -> None:
        """Let FloKit begin a sync that nobody here asked for."""
        integration_id = self._rng.choice(list(self._integrations))
        if self._flokit.source(integration_id) is not None:
            self._flokit.begin_sync(integration_id)
            self.met["FloKit: scheduled sync"] += 1

    async def _send_webhooks(self) -> None:
        """Send a burst of webhooks about one integration, as a vendor's retries do."""
        source = self._flokit.source(self._rng.choice(list(self._integrations)))
        if source is not None:
            burst = [self._webhooks.send(source) for _ in range(self._rng.randint(1, 20))]
            self.met["FloKit: webhooks"] += len(burst)
            await asyncio.gather(*burst)

    async def _jump(self) -> None:
        """Move everybody's clock ahead, over the end of a snooze or to where a digest is due."""
        self.move_clock(self._rng.choice((5.0, 60.0, 3660.0)))

    def move_clock(self, seconds: float) -> None:
        """Move everybody's clock ahead."""
        self._clock.move(timedelta(seconds=seconds))
        now = self._clock.time()
        self.jumps.append(Span(CLOCK_MOVED, now - seconds, now))
        self.met["clock moved"] += 1

    async def _replan_one(self) -> None:
        self._replan(self._rng.choice(list(self._integrations)))

    def _replan(self, integration_id: str) -> None:
        if self._flokit.source(integration_id) is None:
            return
        [ending] = self._rng.choices(list(ENDINGS), list(ENDINGS.values()))
        plan = Plan(
            start_lag_s=self._rng.uniform(0.0, 2.0),
            duration_s=self._rng.choice((0.0, self._rng.uniform(0.2, 3.0), self._rng.uniform(1.0, 12.0))),
            ending=ending,
            error_message=self._rng.choice(ERRORS),
        )
        self._flokit.plan(integration_id, plan)

    async def _repair(self) -> None:
        """Repair one that needs it, as somebody does in FloKit's settings."""
        ill = [id_ for id_ in self._integrations if self._is_ill(id_)]
        if ill:
            self._mend(self._rng.choice(ill))

    def repair_all(self, *, also_syncing: bool = False) -> None:
        """Let every sync from now on succeed, and repair what is stuck, disconnected or gone.

        Args:
            also_syncing: end every sync that is running: no person waits for it any more, and it may be stuck.
        """
        for integration_id in self._integrations:
            source = self._flokit.source(integration_id)
            is_syncing = source is not None and source.status == "syncing"
            if self._is_ill(integration_id) or (also_syncing and is_syncing):
                self._mend(integration_id)
            self._flokit.plan(integration_id, Plan(start_lag_s=0.5, duration_s=1.0))

    def _is_ill(self, integration_id: str) -> bool:
        source = self._flokit.source(integration_id)
        now = time.monotonic()
        if source is None or source.status == "disconnected":
            return True
        if source.status != "syncing":
            self._idle_at[integration_id] = now
        return now - self._idle_at.setdefault(integration_id, now) > STUCK_S

    def _mend(self, integration_id: str) -> None:
        if self._flokit.source(integration_id) is None:
            self._flokit.add(integration_id, self._integrations[integration_id])
        else:
            self._flokit.set(integration_id, status="connected", error_message=None)
        self._replan(integration_id)

    # Slack

    async def _spoil_slack(self) -> None:
        kind = self._rng.choice(list(slack_faults.FaultKind))
        self._slack.faults.add(
            slack_faults.Fault(
                self._rng.choice(SLACK_METHODS),
                kind,
                times=self._rng.randint(1, 3),
                delay_s=self._rng.uniform(0.2, 1.5),
            )
        )
        self.met[f"Slack: {kind}"] += 1

    async def _drop_sockets(self) -> None:
        await self._slack.drop_sockets()
        self.met["Slack: sockets dropped"] += 1

    async def _refresh_sockets(self) -> None:
        await self._slack.refresh_sockets()
        self.met["Slack: sockets refreshed"] += 1

    # the database

    async def _restart_database(self) -> None:
        if self._database.url.startswith("sqlite"):
            return
        mode: StopMode = "immediate" if self._rng.random() < 0.5 else "fast"
        self.met[f"database restart, {mode}"] += 1
        await self._change_database(self._database.restart(mode, self._rng.uniform(0.0, 3.0)))

    async def _only_read(self) -> None:
        """Let the database refuse to write, as after a failover: for seconds, or nearly long enough to give up."""
        if self._database.url.startswith("sqlite"):
            return
        self.met["database read-only"] += 1
        await self._change_database(self._database.only_read(self._rng.choice((1.0, 3.0, 8.0))))

    async def _change_database(self, change: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(change)
        self._changing_database.add(task)
        task.add_done_callback(self._changing_database.discard)
        await asyncio.shield(task)  # a server must not be left half-way
