"""The allowance of requests to FloKit, as numbers: who may use how much of it.

The vendor documents 100 requests a minute per workspace. Each of them is a slot, which is busy for a minute after it
was taken. Follow-ups and background work have fewer slots than clicks, and clicks take the ones that the others
cannot have first: so nobody's click waits for a follow-up.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

from bot.core.errors import FlokitBudgetSpent, FlokitRateLimited

PER_MINUTE: Final = 100

BUSY_S: Final = 61.0
"""How long a slot is busy: the vendor's minute, and a second for requests that take different times to arrive."""

MAX_PAUSE_S: Final = 300.0
"""The longest pause that is kept when FloKit asks for one."""


class Priority(IntEnum):
    """Who wants to know; the lower the number, the more of the budget may be used."""

    CLICK = 0
    FOLLOW_UP = 1
    BACKGROUND = 2


_SHARE: Final = {Priority.CLICK: 1.0, Priority.FOLLOW_UP: 0.8, Priority.BACKGROUND: 0.5}


def slots_of(priority: Priority, per_minute: int) -> int:
    """Count the slots that a priority may use, from the first one on."""
    return max(1, int(per_minute * _SHARE[priority]))


def refusal(per_minute: int, wait_s: float, *, held: bool) -> FlokitRateLimited:
    """Return the error for a request that has no slot.

    Args:
        per_minute: the size of the budget.
        wait_s: when there is a slot again.
        held: FloKit itself asked for this pause.
    """
    if held:
        return FlokitRateLimited(
            f"FloKit asked for a pause; I'll ask again in {math.ceil(wait_s)} s.", retry_after_s=wait_s
        )
    return FlokitBudgetSpent(
        f"My own budget of {per_minute} requests a minute to FloKit is used up; "
        f"I can ask again in {math.ceil(wait_s)} s.",
        retry_after_s=wait_s,
    )
