"""What the bot reports about its work: events for metrics, and spans. These base classes discard everything.

Callers don't depend on Prometheus or OpenTelemetry: ``bot/ops/metrics.py`` and ``bot/observability/traces.py`` do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

import structlog

from bot.core.models import Cause

Attribute: TypeAlias = str | int | float | bool | None

_NOTHING: Final = contextlib.nullcontext()


class Tracer:
    """Creates no spans: used without OpenTelemetry."""

    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        outward: bool = False,
        about: Mapping[str, Attribute] | None = None,
    ) -> AbstractContextManager[None]:
        """Wrap a piece of work.

        Args:
            name: the kind of work, from a small set of names.
            parent: the ``traceparent`` of its cause, "" if that is unknown; None: the current span.
            outward: whether it's a request to another service.
            about: the span's attributes; None values are omitted.
        """
        del name, parent, outward, about
        return _NOTHING

    def note(self, **attributes: Attribute) -> None:
        """Add attributes to the current span."""

    def traceparent(self) -> str:
        """Return the current span's ID, to save with work that is done later; "" without a span.

        Format: https://www.w3.org/TR/trace-context/#traceparent-header
        """
        return ""

    def close(self) -> None:
        """Send the spans that haven't been sent yet."""


class Telemetry:
    """Counts nothing. Every text argument below is from a small set, whatever people or FloKit send."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self.tracer = tracer or Tracer()

    def answered_slack(self, kind: str, result: str, seconds: float) -> None:
        """Note a request from Slack, by its kind; ``result`` is ``acked`` or ``refused``."""

    def asked(self, *, command: str = "", button: str = "") -> None:
        """Count a command or a click."""

    def run_ended(self, outcome: str, type_: str, seconds: float) -> None:
        """Note that an outcome was decided, ``seconds`` after the click."""

    def called_flokit(self, operation: str, result: str, seconds: float, *, priority: str) -> None:
        """Note a call to FloKit: ``list``, ``show`` or ``sync``, and its priority."""

    def called_slack(self, method: str, result: str, seconds: float) -> None:
        """Note a call to Slack."""

    def claim_lost(self, worker: str) -> None:
        """Note that another replica took over work."""

    def transaction_undone(self, reason: str) -> None:
        """Note that PostgreSQL rolled back a transaction; ``reason`` is ``deadlock`` or ``serialization``."""

    def fault(self, part: str) -> None:
        """Note an unexpected error: a bug in the bot."""

    def webhook(self, result: str) -> None:
        """Note a delivery to the webhook."""

    def loop_lagged(self, seconds: float) -> None:
        """Note the event loop's lag."""


SILENT: Final = Telemetry()
"""For parts that don't report."""


@contextlib.contextmanager
def following(telemetry: Telemetry, name: str, cause: Cause, **ids: str | None) -> Iterator[None]:
    """Wrap work for a cause: log lines get its IDs, and spans join its trace."""
    trace_id = cause.traceparent.split("-")[1] if cause.traceparent.count("-") == 3 else None
    known = {"request_id": cause.request_id or None, "trace_id": trace_id, **ids}
    with (
        structlog.contextvars.bound_contextvars(**{key: value for key, value in known.items() if value}),
        telemetry.tracer.span(name, parent=cause.traceparent, about=ids),
    ):
        yield
