"""Reports each call to telemetry: its operation and result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bot.core.budget import Priority
from bot.core.errors import (
    FlokitAway,
    FlokitBadReply,
    FlokitBudgetSpent,
    FlokitDenied,
    FlokitError,
    FlokitMissing,
    FlokitNoReply,
    FlokitNotSent,
    FlokitRateLimited,
    FlokitRefused,
)
from bot.observability.telemetry import Telemetry

_RESULTS: Final = {
    FlokitAway: "away",
    FlokitNotSent: "not_sent",
    FlokitNoReply: "no_reply",
    FlokitBadReply: "bad_reply",
    FlokitBudgetSpent: "budget_spent",
    FlokitRateLimited: "rate_limited",
    FlokitDenied: "denied",
    FlokitMissing: "missing",
    FlokitRefused: "refused",
}
"""``away`` and ``budget_spent`` mean that FloKit wasn't asked, ``given_up`` that the call was cancelled or
the shared budget couldn't be read."""


@contextmanager
def reported(telemetry: Telemetry, operation: str, priority: Priority) -> Iterator[None]:
    """Report one call with its result and duration."""
    began_at, result = time.monotonic(), "given_up"
    try:
        with telemetry.tracer.span(f"flokit {operation}", outward=True):
            yield
            result = "ok"
    except FlokitError as error:
        result = _RESULTS.get(type(error), "other")
        raise
    finally:
        telemetry.called_flokit(operation, result, time.monotonic() - began_at, priority=priority.name.lower())
