"""Faults to order: the next calls of a method go wrong in the way that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ANY_METHOD: Final = "*"
RESPONSE_URL: Final = "response_url"
"""Stands for posts to a ``response_url``, which have no method name."""


class FaultKind(StrEnum):
    """The ways in which a call goes wrong."""

    RATELIMITED = "ratelimited"
    """429 with a Retry-After header; nothing is done."""
    ERROR = "error"
    """``{"ok": false}`` with the fault's ``code``; nothing is done."""
    HTTP_500 = "http_500"
    """An empty 500; nothing is done."""
    GARBAGE = "garbage"
    """200 with a body that is no JSON; nothing is done."""
    HANG = "hang"
    """Never an answer; nothing is done."""
    DROP = "drop"
    """The connection is closed without an answer; nothing is done."""
    DONE_THEN_DROP = "done_then_drop"
    """The call is done, then the connection is closed without an answer."""
    SLOW = "slow"
    """The call is done and answered after ``delay_s``."""


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next ``times`` calls of ``method``."""

    method: str
    kind: str
    times: int | None = 1
    """How many calls it hits; None: all, until the faults are cleared."""
    retry_after_s: int = 1
    delay_s: float = 1.0
    code: str = "internal_error"

    def __post_init__(self) -> None:
        self.kind = FaultKind(self.kind)


class Faults:
    """The faults that are still to come, first added first."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let calls go wrong from now on."""
        self._pending.append(fault)

    def clear(self) -> None:
        """Let everything work again."""
        self._pending.clear()

    def take(self, method: str) -> Fault | None:
        """Return the fault of this call, and count it."""
        for fault in self._pending:
            if fault.method in {method, ANY_METHOD}:
                self._count(fault)
                return fault
        return None

    def _count(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times <= 0:
            self._pending.remove(fault)
