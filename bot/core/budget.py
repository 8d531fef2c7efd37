"""The budget of requests to FloKit, by priority.

FloKit documents 100 requests a minute per workspace. Each one takes a slot for a minute. Follow-ups and background
work may use fewer slots than clicks, and clicks first take the slots reserved for them, so that no click waits for a
follow-up.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

from bot.core.errors import FlokitBudgetSpent, FlokitRateLimited

PER_MINUTE: Final = 100

BUSY_S: Final = 61.0
"""How long a slot is taken: FloKit's minute, plus a second for varying network delays."""

MAX_PAUSE_S: Final = 300.0
"""The longest pause accepted from FloKit."""


class Priority(IntEnum):
    """The purpose of a request; the lower the number, the more of the budget it may use."""

    CLICK = 0
    FOLLOW_UP = 1
    BACKGROUND = 2


_SHARE: Final = {Priority.CLICK: 1.0, Priority.FOLLOW_UP: 0.8, Priority.BACKGROUND: 0.5}


def slots_of(priority: Priority, per_minute: int) -> int:
    """Return how many slots a priority may use, counted from the first."""
    return max(1, int(per_minute * _SHARE[priority]))


def refusal(per_minute: int, wait_s: float, *, held: bool) -> FlokitRateLimited:
    """Return the error for a request without a slot.

    Args:
        per_minute: the size of the budget.
        wait_s: seconds until a slot is free.
        held: whether FloKit asked for this pause.
    """
    if held:
        return FlokitRateLimited(
            f"FloKit asked for a pause; I'll ask again in {math.ceil(wait_s)} s.", retry_after_s=wait_s
        )
    return FlokitBudgetSpent(
        f"I've used up my budget of {per_minute} FloKit requests a minute; I can ask again in {math.ceil(wait_s)} s.",
        retry_after_s=wait_s,
    )
