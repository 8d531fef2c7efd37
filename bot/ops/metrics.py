"""Metrics for Prometheus: counters from all parts, and values read at each scrape.

Each bot has its own registry. No label has a value that a person or FloKit chose.
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
"""How long a scrape waits for the values it reads; later ones are left out."""

OTHER: Final = "other"
PARTS: Final = ("listener", "request", "run", "message", "worker")
WEBHOOK_RESULTS: Final = ("accepted", "duplicate", "refused", "starting")

ACK_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Slack waits 3 s."""

CALL_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
OUTCOME_S: Final = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0)
LAG_S: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class SocketState:
    """The Socket Mode connection right now."""

    connected: bool
    age_s: float | None
    """Since Slack's hello on it; None before that."""
    reconnects: int


@dataclass(frozen=True, slots=True)
class Scrape:
    """The values read by one scrape; None: not available in time, or doesn't exist."""

    waiting: Readings | None
    ready: Mapping[str, bool] | None = None
    socket: SocketState | None = None


class Metrics(Telemetry):
    """The counters of one bot."""

    def __init__(self, tracer: Tracer | None = None, *, run_deadline_s: float = Patience().deadline_s) -> None:
        super().__init__(tracer)
        self.registry = CollectorRegistry()
        self._scrape = Scrape(None)
        self._requests = self._counter("slack_requests", "Commands, clicks and events from Slack", "kind", "result")
        self._acks = self._histogram("ack_seconds", "From a request from Slack to its ack", ACK_S, "kind")
        self._commands = self._counter("commands", "What people typed", "command")
        self._buttons = self._counter("buttons", "What people pressed", "button")
        self._runs = self._counter("runs_ended", "Outcomes; a late result counts again", "outcome")
        self._to_outcome = self._histogram(
            "time_to_outcome_seconds", "From click to outcome", OUTCOME_S, "outcome", "type"
        )
        self._looks = self._counter("looks", "Checks of FloKit, by priority", "priority")
        self._flokit = self._counter("flokit_calls", "Calls to FloKit's API", "operation", "result")
        self._flokit_s = self._histogram("flokit_call_seconds", "How long FloKit took", CALL_S, "operation")
        self._slack = self._counter("slack_calls", "Calls to Slack's API", "method", "result")
        self._slack_s = self._histogram("slack_call_seconds", "How long Slack took", CALL_S, "method")
        self._claims_lost = self._counter("claims_lost", "Work that another replica took over", "worker")
        self._undone = self._counter("transactions_undone", "Transactions that PostgreSQL rolled back", "reason")
        self._faults = self._counter("faults", "Unexpected errors: bugs in the bot", "part")
        self._webhooks = self._counter("webhooks", "Deliveries to the webhook", "result")
        self._lag = self._histogram("event_loop_lag_seconds", "Lag of the event loop, measured once a second", LAG_S)
        build = Gauge("flokit_bot_build_info", "The version that is running", ("version",), registry=self.registry)
        build.labels(__version__).set(1)
        deadline = Gauge(
            "flokit_bot_run_deadline_seconds", "Longest time until a sync has an outcome", registry=self.registry
        )
        deadline.set(run_deadline_s)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)
        self._begin_at_zero()

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"flokit_bot_{name}", help_, labels, registry=self.registry)

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"flokit_bot_{name}", help_, labels, buckets=buckets, registry=self.registry)

    def _begin_at_zero(self) -> None:
        """Start counters at 0, so that alerts see the first event as an increase."""
        for outcome in Outcome:
            self._runs.labels(outcome)
        for doc in COMMANDS:
            self._commands.labels(doc.name)
        for part in PARTS:
            self._faults.labels(part)
        for reason in CONFLICTS.values():
            self._undone.labels(reason)

    # Reported by the parts

    def answered_slack(self, kind: str, result: str, seconds: float) -> None:
        """Count a request from Slack."""
        self._requests.labels(kind, result).inc()
        if result == "acked":
            self._acks.labels(kind).observe(seconds)

    def asked(self, *, command: str = "", button: str = "") -> None:
        """Count a command or a click."""
        if command:
            known = any(doc.name == command for doc in COMMANDS)
            self._commands.labels(command if known else OTHER).inc()
        if button:
            self._buttons.labels(button.removeprefix("flokit_") if button in set(Action) else OTHER).inc()

    def run_ended(self, outcome: str, type_: str, seconds: float) -> None:
        """Count an outcome."""
        self._runs.labels(outcome).inc()
        self._to_outcome.labels(outcome, type_ if type_ in KNOWN_TYPES else OTHER).observe(max(seconds, 0.0))

    def called_flokit(self, operation: str, result: str, seconds: float, *, priority: str) -> None:
        """Count a call to FloKit."""
        self._flokit.labels(operation, result).inc()
        if result not in ("away", "budget_spent", "given_up"):  # those were not sent
            self._flokit_s.labels(operation).observe(seconds)
            if operation != "sync":
                self._looks.labels(priority).inc()

    def called_slack(self, method: str, result: str, seconds: float) -> None:
        """Count a call to Slack."""
        self._slack.labels(method, result).inc()
        self._slack_s.labels(method).observe(seconds)

    def claim_lost(self, worker: str) -> None:
        """Count work taken over by another replica."""
        self._claims_lost.labels(worker).inc()

    def transaction_undone(self, reason: str) -> None:
        """Count a transaction that PostgreSQL rolled back."""
        self._undone.labels(reason).inc()

    def fault(self, part: str) -> None:
        """Count an unexpected error."""
        self._faults.labels(part).inc()

    def webhook(self, result: str) -> None:
        """Count a delivery to the webhook."""
        self._webhooks.labels(result if result in WEBHOOK_RESULTS else OTHER).inc()

    def loop_lagged(self, seconds: float) -> None:
        """Record the event loop's lag."""
        self._lag.observe(max(seconds, 0.0))

    # Read at each scrape

    def expose(self, scrape: Scrape) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._scrape = scrape
        return generate_latest(self.registry)

    def describe(self) -> Iterable[Metric]:
        """Declare no metrics in advance, because unavailable ones are absent."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the values of this scrape."""
        scrape = self._scrape
        yield _gauge("database_up", "The database answered this scrape", scrape.waiting is not None)
        if scrape.ready is not None:
            yield _labelled("ready", "What readiness depends on; 1: it works", "part", scrape.ready)
        if scrape.waiting:
            yield from _waiting(scrape.waiting)
        if scrape.socket:
            yield from _socket(scrape.socket)


def _waiting(waiting: Readings) -> Iterable[Metric]:
    """Yield the numbers of waiting items; unknown kinds and phases count as ``other``."""
    yield _labelled("outbox_depth", "Messages to send or to update", "kind", _bounded(waiting.outbox, OutboxKind))
    yield _gauge("outbox_oldest_seconds", "Age of the oldest message that isn't sent yet", waiting.outbox_oldest_s)
    yield _gauge("inbox_depth", "Requests that aren't answered yet", waiting.inbox)
    yield _gauge("inbox_oldest_seconds", "Age of the oldest of them", waiting.inbox_oldest_s)
    yield _labelled("runs_active", "Syncs without an outcome", "phase", _bounded(waiting.runs, Phase))
    yield _gauge("runs_oldest_seconds", "Age of the oldest of them", waiting.runs_oldest_s)
    yield _gauge("incidents_open", "Open incidents", waiting.incidents)
    yield _gauge("subscriptions", "Subscriptions of all channels", waiting.subscriptions)
    yield _gauge("replicas", "Running processes on this database", waiting.replicas)
    yield _gauge("flokit_budget_left", "Requests that can be sent to FloKit right now", waiting.budget_left)


def _socket(socket: SocketState) -> Iterable[Metric]:
    yield _gauge("socket_connected", "The socket is open and receives messages", socket.connected)
    if socket.age_s is not None:
        yield _gauge("socket_age_seconds", "Time since Slack's hello on the socket", socket.age_s)
    yield _gauge("socket_reconnects", "Reconnects since the start", socket.reconnects)


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
    """Answers ``/metrics`` within ``READ_WITHIN_S``, with or without the database."""

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
        """Read the current values, and return all metrics as text."""
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
