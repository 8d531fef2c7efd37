"""Numbers for Prometheus: what the parts report, and what waits in the database when somebody looks.

Each bot has a registry of its own. No label takes a word that a person or a vendor chose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric

from bot import __version__
from bot.core.advice import KNOWN_TYPES
from bot.core.commands.catalog import COMMANDS
from bot.core.commands.presses import Action
from bot.core.errors import StoreUnavailable
from bot.core.models import Outcome, Patience, Phase
from bot.observability.telemetry import Telemetry, Tracer
from bot.store.failures import CONFLICTS
from bot.store.gauges import Readings
from bot.store.outbox_rows import OutboxKind

log = structlog.get_logger(__name__)

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
READ_WITHIN_S: Final = 3.0
"""How long an answer waits for what it reads; it comes without what was not there by then."""

OTHER: Final = "other"
PARTS: Final = ("listener", "request", "run", "message", "worker")
WEBHOOK_RESULTS: Final = ("accepted", "duplicate", "refused", "starting")

ACK_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Slack waits for 3 s."""

CALL_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
OUTCOME_S: Final = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0)
LAG_S: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class SocketState:
    """The Socket Mode connection as it is now."""

    connected: bool
    age_s: float | None
    """Since Slack said hello on it; None before."""
    reconnects: int


@dataclass(frozen=True, slots=True)
class Scrape:
    """What is read when somebody looks; None: it could not be read in time, or there is no such thing."""

    waiting: Readings | None
    ready: Mapping[str, bool] | None = None
    socket: SocketState | None = None


class Metrics(Telemetry):
    """Counts what it is told, for one bot."""

    def __init__(self, tracer: Tracer | None = None, *, run_deadline_s: float = Patience().deadline_s) -> None:
        super().__init__(tracer)
        self.registry = CollectorRegistry()
        self._scrape = Scrape(None)
        self._requests = self._counter("slack_requests", "Commands, clicks and events of Slack's", "kind", "result")
        self._acks = self._histogram("ack_seconds", "From a request of Slack's to our answer", ACK_S, "kind")
        self._commands = self._counter("commands", "What people typed", "command")
        self._buttons = self._counter("buttons", "What people pressed", "button")
        self._runs = self._counter("runs_ended", "Outcomes; a late result counts again", "outcome")
        self._to_outcome = self._histogram(
            "time_to_outcome_seconds", "From click to outcome", OUTCOME_S, "outcome", "type"
        )
        self._looks = self._counter("looks", "Looks at FloKit, by whom they were for", "priority")
        self._flokit = self._counter("flokit_calls", "Calls of FloKit's API", "operation", "result")
        self._flokit_s = self._histogram("flokit_call_seconds", "How long FloKit took", CALL_S, "operation")
        self._slack = self._counter("slack_calls", "Calls of Slack's API", "method", "result")
        self._slack_s = self._histogram("slack_call_seconds", "How long Slack took", CALL_S, "method")
        self._claims_lost = self._counter("claims_lost", "Work that another replica took over", "worker")
        self._undone = self._counter("transactions_undone", "Transactions that PostgreSQL undid; tried again", "reason")
        self._faults = self._counter("faults", "Unexpected errors: faults of ours", "part")
        self._webhooks = self._counter("webhooks", "Deliveries to our webhook", "result")
        self._lag = self._histogram("event_loop_lag_seconds", "How late the event loop was, once a second", LAG_S)
        build = Gauge("flokit_bot_build_info", "What runs here", ("version",), registry=self.registry)
        build.labels(__version__).set(1)
        deadline = Gauge("flokit_bot_run_deadline_seconds", "When a sync has an outcome", registry=self.registry)
        deadline.set(run_deadline_s)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)
        self._begin_at_zero()

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"flokit_bot_{name}", help_, labels, registry=self.registry)

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"flokit_bot_{name}", help_, labels, buckets=buckets, registry=self.registry)

    def _begin_at_zero(self) -> None:
        """Show what never happened yet as 0: the first time is a rise then, which alerts can see."""
        for outcome in Outcome:
            self._runs.labels(outcome)
        for doc in COMMANDS:
            self._commands.labels(doc.name)
        for part in PARTS:
            self._faults.labels(part)
        for reason in CONFLICTS.values():
            self._undone.labels(reason)

    # What is reported

    def answered_slack(self, kind: str, result: str, seconds: float) -> None:
        """Note a request of Slack's."""
        self._requests.labels(kind, result).inc()
        if result == "acked":
            self._acks.labels(kind).observe(seconds)

    def asked(self, *, command: str = "", button: str = "") -> None:
        """Note what a person typed or pressed."""
        if command:
            known = any(doc.name == command for doc in COMMANDS)
            self._commands.labels(command if known else OTHER).inc()
        if button:
            self._buttons.labels(button.removeprefix("flokit_") if button in set(Action) else OTHER).inc()

    def run_ended(self, outcome: str, type_: str, seconds: float) -> None:
        """Note that an outcome was decided."""
        self._runs.labels(outcome).inc()
        self._to_outcome.labels(outcome, type_ if type_ in KNOWN_TYPES else OTHER).observe(max(seconds, 0.0))

    def called_flokit(self, operation: str, result: str, seconds: float, *, priority: str) -> None:
        """Note a call of the FloKit client."""
        self._flokit.labels(operation, result).inc()
        if result not in ("away", "budget_spent", "given_up"):  # those were not sent
            self._flokit_s.labels(operation).observe(seconds)
            if operation != "sync":
                self._looks.labels(priority).inc()

    def called_slack(self, method: str, result: str, seconds: float) -> None:
        """Note a call of the Slack client."""
        self._slack.labels(method, result).inc()
        self._slack_s.labels(method).observe(seconds)

    def claim_lost(self, worker: str) -> None:
        """Note that another replica took work over."""
        self._claims_lost.labels(worker).inc()

    def transaction_undone(self, reason: str) -> None:
        """Note that PostgreSQL undid a transaction."""
        self._undone.labels(reason).inc()

    def fault(self, part: str) -> None:
        """Note an unexpected error."""
        self._faults.labels(part).inc()

    def webhook(self, result: str) -> None:
        """Note a delivery to our webhook."""
        self._webhooks.labels(result if result in WEBHOOK_RESULTS else OTHER).inc()

    def loop_lagged(self, seconds: float) -> None:
        """Note how late the event loop was."""
        self._lag.observe(max(seconds, 0.0))

    # What is read when somebody looks

    def expose(self, scrape: Scrape) -> bytes:
        """Write everything in Prometheus' text format."""
        self._scrape = scrape
        return generate_latest(self.registry)

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: what cannot be read is absent."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give what was read for this look."""
        scrape = self._scrape
        yield _gauge("database_up", "The database answered this scrape", scrape.waiting is not None)
        if scrape.ready is not None:
            yield _labelled("ready", "What readiness depends on, 1 when it is fine", "part", scrape.ready)
        if scrape.waiting:
            yield from _waiting(scrape.waiting)
        if scrape.socket:
            yield from _socket(scrape.socket)


def _waiting(waiting: Readings) -> Iterable[Metric]:
    """Give what waits; a kind or phase of another version goes under ``other``."""
    yield _labelled("outbox_depth", "Messages with something to show", "kind", _bounded(waiting.outbox, OutboxKind))
    yield _gauge("outbox_oldest_seconds", "Age of the oldest message not shown at all", waiting.outbox_oldest_s)
    yield _gauge("inbox_depth", "Requests that are not answered yet", waiting.inbox)
    yield _gauge("inbox_oldest_seconds", "Age of the oldest of them", waiting.inbox_oldest_s)
    yield _labelled("runs_active", "Syncs without an outcome", "phase", _bounded(waiting.runs, Phase))
    yield _gauge("runs_oldest_seconds", "Age of the oldest of them", waiting.runs_oldest_s)
    yield _gauge("incidents_open", "Incidents that are not over", waiting.incidents)
    yield _gauge("subscriptions", "What channels subscribed to", waiting.subscriptions)
    yield _gauge("replicas", "Processes that work on this database", waiting.replicas)
    yield _gauge("flokit_budget_left", "Requests that may still go to FloKit now", waiting.budget_left)


def _socket(socket: SocketState) -> Iterable[Metric]:
    yield _gauge("socket_connected", "The socket is open and not deaf", socket.connected)
    if socket.age_s is not None:
        yield _gauge("socket_age_seconds", "Since Slack said hello on it", socket.age_s)
    yield _gauge("socket_reconnects", "How often Slack said hello again since the start", socket.reconnects)


def _bounded(counts: Mapping[str, int], words: Iterable[str]) -> dict[str, int]:
    known = dict.fromkeys(map(str, words), 0)
    for word, count in counts.items():
        place = word if word in known else OTHER
        known[place] = known.get(place, 0) + count
    return known


def _gauge(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"flokit_bot_{name}", help_, value=float(value))


def _labelled(name: str, help_: str, label: str, values: Mapping[str, Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"flokit_bot_{name}", help_, labels=(label,))
    for word, value in values.items():
        family.add_metric((word,), float(value))
    return family


class Scraper:
    """Answers ``/metrics``: never later than ``READ_WITHIN_S``, with or without the database."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        read_waiting: Callable[[], Awaitable[Readings]],
        read_problems: Callable[[], Awaitable[Mapping[str, str]]],
        read_socket: Callable[[], Awaitable[SocketState | None]],
        within_s: float = READ_WITHIN_S,
    ) -> None:
        self._metrics = metrics
        self._read_waiting = read_waiting
        self._read_problems = read_problems
        self._read_socket = read_socket
        self._within_s = within_s

    async def text(self) -> bytes:
        """Read what waits, and write everything."""
        waiting, ready, socket = await asyncio.gather(
            self._in_time(self._read_waiting), self._in_time(self._ready), self._in_time(self._read_socket)
        )
        return self._metrics.expose(Scrape(waiting, ready, socket))

    async def _ready(self) -> dict[str, bool]:
        return {part: not problem for part, problem in (await self._read_problems()).items()}

    async def _in_time(self, read: Callable[[], Awaitable[Any]]) -> Any:
        try:
            async with asyncio.timeout(self._within_s):
                return await read()
        except (StoreUnavailable, TimeoutError):
            return None
        except Exception as error:  # noqa: BLE001 - tables that are missing, or of another version: the rest still counts
            log.warning("scrape_incomplete", error=type(error).__name__)
            return None
