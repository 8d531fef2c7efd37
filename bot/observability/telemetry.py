"""What the parts report of their work: numbers here, spans to a ``Tracer``. This base does nothing with it.

A part calls these methods and knows neither Prometheus nor OpenTelemetry: ``bot/ops/metrics.py`` and
``bot/observability/traces.py`` do.
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
    """Makes no spans: what runs without OpenTelemetry."""

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
            name: what it is; few different ones.
            parent: the ``traceparent`` of what caused it, "" for an unknown cause; None: what surrounds it here.
            outward: it is a request to another service.
            about: what else is known of it; values that are None are left out.
        """
        del name, parent, outward, about
        return _NOTHING

    def note(self, **attributes: Attribute) -> None:
        """Add to the span that is open here."""

    def traceparent(self) -> str:
        """Name the open span for what is saved now and done later; "" without one.

        Its form: https://www.w3.org/TR/trace-context/#traceparent-header
        """
        return ""

    def close(self) -> None:
        """Hand out what is not handed out yet."""


class Telemetry:
    """Counts nothing. Every argument named below is one of a few words, whatever people and vendors send."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self.tracer = tracer or Tracer()

    def answered_slack(self, kind: str, result: str, seconds: float) -> None:
        """Note a request of Slack's, by its kind; it was ``acked`` or ``refused``."""

    def asked(self, *, command: str = "", button: str = "") -> None:
        """Note what a person typed or pressed."""

    def run_ended(self, outcome: str, type_: str, seconds: float) -> None:
        """Note that an outcome was decided so many seconds after the click."""

    def called_flokit(self, operation: str, result: str, seconds: float, *, priority: str) -> None:
        """Note a call of the FloKit client: ``list``, ``show`` or ``sync``, and for whom."""

    def called_slack(self, method: str, result: str, seconds: float) -> None:
        """Note a call of the Slack client."""

    def claim_lost(self, worker: str) -> None:
        """Note that another replica took work over."""

    def transaction_undone(self, reason: str) -> None:
        """Note that PostgreSQL undid a transaction, as a ``deadlock`` or for its ``serialization``."""

    def fault(self, part: str) -> None:
        """Note an unexpected error, a fault of ours."""

    def webhook(self, result: str) -> None:
        """Note a delivery to our webhook."""

    def loop_lagged(self, seconds: float) -> None:
        """Note how late the event loop was at a moment."""


SILENT: Final = Telemetry()
"""For whoever reports to nobody."""


@contextlib.contextmanager
def following(telemetry: Telemetry, name: str, cause: Cause, **ids: str | None) -> Iterator[None]:
    """Do a piece of work in the name of what caused it: log lines carry its ids, spans join its trace."""
    trace_id = cause.traceparent.split("-")[1] if cause.traceparent.count("-") == 3 else None
    known = {"request_id": cause.request_id or None, "trace_id": trace_id, **ids}
    with (
        structlog.contextvars.bound_contextvars(**{key: value for key, value in known.items() if value}),
        telemetry.tracer.span(name, parent=cause.traceparent, about=ids),
    ):
        yield
