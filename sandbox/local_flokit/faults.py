"""Faults to inject between a client and the local FloKit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

FaultKind = Literal[
    "http_500",
    "http_status",
    "ratelimited",
    "garbage",
    "hang",
    "drop",
    "done_then_drop",
    "slow",
    "truncated",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for the next matching requests.

    ``kind`` is one of:

    - ``http_500``, ``http_status``: an HTML page, or ``status`` and ``body``; not processed;
    - ``ratelimited``: 429 with ``retry_after``; not processed;
    - ``garbage``: processed, but answered 200 with ``body``, by default not JSON;
    - ``hang``: not processed, never answered;
    - ``drop``: not processed, the connection is closed without a reply;
    - ``done_then_drop``: processed, the connection is closed without a reply;
    - ``slow``: processed, answered after ``delay_s``;
    - ``truncated``: processed, answered with half a body.
    """

    kind: FaultKind
    method: Literal["GET", "POST", "*"] = "*"
    path_contains: str = ""
    times: int | None = 1
    """How many requests it affects; None: all, until the faults are cleared."""
    retry_after: str | None = "2"
    delay_s: float = 1.0
    status: int = 500
    body: str | None = None

    def hits(self, method: str, path: str) -> bool:
        """Whether this fault applies to a request."""
        return self.method in ("*", method) and self.path_contains in path


class Faults:
    """The pending faults, in the order they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Apply a fault to the next matching requests."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Remove all faults; requests that already hang keep hanging."""
        self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, if any, and count it."""
        for index, fault in enumerate(self._faults):
            if fault.hits(method, path):
                if fault.times is not None:
                    self._use_up(index, fault, fault.times - 1)
                return fault
        return None

    def _use_up(self, index: int, fault: Fault, times_left: int) -> None:
        if times_left > 0:
            self._faults[index] = replace(fault, times=times_left)
        else:
            del self._faults[index]
