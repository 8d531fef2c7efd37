"""Fault injection: makes the next calls of a method fail in a given way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ANY_METHOD: Final = "*"
RESPONSE_URL: Final = "response_url"
"""The method name for posts to a ``response_url``, which have none."""


class FaultKind(StrEnum):
    """The ways in which a call fails."""

    RATELIMITED = "ratelimited"
    """429 with a Retry-After header; not performed."""
    ERROR = "error"
    """``{"ok": false}`` with the fault's ``code``; not performed."""
    HTTP_500 = "http_500"
    """An empty 500; not performed."""
    GARBAGE = "garbage"
    """200 with a body that isn't JSON; not performed."""
    HANG = "hang"
    """No response, ever; not performed."""
    DROP = "drop"
    """The connection is closed without a response; not performed."""
    DONE_THEN_DROP = "done_then_drop"
    """Performed, then the connection is closed without a response."""
    SLOW = "slow"
    """Performed, with the response after ``delay_s``."""


@dataclass(slots=True)
class Fault:
    """A fault for the next ``times`` calls of ``method``."""

    method: str
    kind: str
    times: int | None = 1
    """How many calls it affects; None: all, until the faults are cleared."""
    retry_after_s: int = 1
    delay_s: float = 1.0
    code: str = "internal_error"
    team_id: str = ""
    """Whose calls it affects; empty: every workspace's."""

    def __post_init__(self) -> None:
        self.kind = FaultKind(self.kind)


class Faults:
    """The pending faults, in the order they were added."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._pending)

    def add(self, fault: Fault) -> None:
        """Add a fault for the next calls."""
        self._pending.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        self._pending.clear()

    def take(self, method: str, team_id: str = "") -> Fault | None:
        """Return the fault for this call, if any, and count it."""
        for fault in self._pending:
            if fault.method in {method, ANY_METHOD} and fault.team_id in {"", team_id}:
                self._count(fault)
                return fault
        return None

    def _count(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times <= 0:
            self._pending.remove(fault)
