"""What can go wrong between a client and the local FloKit, on request."""

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
    """Something that goes wrong with the next requests that match.

    ``kind`` is one of:

    - ``http_500``, ``http_status``: answered with an HTML page, or with ``status`` and ``body``; not done;
    - ``ratelimited``: 429 with ``retry_after``; not done;
    - ``garbage``: done, but answered 200 with ``body``, which is no JSON by default;
    - ``hang``: not done, never answered;
    - ``drop``: not done, the connection is closed without a reply;
    - ``done_then_drop``: done, the connection is closed without a reply;
    - ``slow``: done, and answered after ``delay_s``;
    - ``truncated``: done, and answered with half a body.
    """

    kind: FaultKind
    method: Literal["GET", "POST", "*"] = "*"
    path_contains: str = ""
    times: int | None = 1
    """How many requests it hits; None: all, until the faults are cleared."""
    retry_after: str | None = "2"
    delay_s: float = 1.0
    status: int = 500
    body: str | None = None

    def hits(self, method: str, path: str) -> bool:
        """Say whether a request is one that this fault is meant for."""
        return self.method in ("*", method) and self.path_contains in path


class Faults:
    """The faults to come, the one added first before the others."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault hit the next requests that match it."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Let everything go right again; requests that hang go on hanging."""
        self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this request, and use it up."""
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
