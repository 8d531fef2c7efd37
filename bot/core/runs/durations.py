"""How long a sync is likely to take, learned from history, and how often to check it.

The durations of one kind of sync are modeled as log-normal; a share of all syncs, ``STRANGE``, follow no history.
Checks are spaced so that each is worth its price: with the hazard ``h`` (the chance per second that a running sync
ends now) and a price of ``c`` seconds, the best rate of checks is
``sqrt(h / 2c)`` (J. B. Keller, Optimum checking schedules for systems subject to random failure, 1974).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Final

from bot.core.models import Expected

LOOK_PRICE_S: Final = 0.4
"""The price of a check: the average delay of an outcome, in seconds, that saving one is worth."""

UNKNOWN_SPREAD: Final = 0.5
"""The prior spread: one sync in six takes longer than 1.6 times the usual."""
UNKNOWN_WEIGHT: Final = 2
"""How many observations the prior counts as."""

STRANGE: Final = 0.03
STRANGE_SPREAD: Final = 2.0
NARROWEST: Final = 0.05
SHORTEST_S: Final = 0.5
_FAR: Final = 6.0
"""The distribution is cut off this many spreads from its center."""
_ROOT_OF_TWO: Final = math.sqrt(2)
_ROOT_OF_TWO_PI: Final = math.sqrt(2 * math.pi)


def learn(own_s: Sequence[float], of_type_s: Sequence[float] = ()) -> Expected | None:
    """Learn from durations in seconds: the integration's own or, without any, those of its type."""
    logs = [math.log(max(SHORTEST_S, seconds)) for seconds in own_s or of_type_s]
    if not logs:
        return None
    middle = statistics.median(logs)
    around = sum((one - middle) ** 2 for one in logs) + UNKNOWN_WEIGHT * UNKNOWN_SPREAD**2
    variance = around / (len(logs) + UNKNOWN_WEIGHT)
    return Expected(math.exp(middle), math.sqrt(variance * (1 + 1 / len(logs))))


def pause_s(expected: Expected, elapsed_s: float, *, shortest_s: float, longest_s: float) -> float:
    """Return the seconds until the next check of a sync that has been running for ``elapsed_s``.

    Checks are rare while an end is unlikely, frequent around the usual duration, and rare again after that.
    """
    step_s = min(shortest_s, longest_s)
    hazard = _hazard(expected)
    worth = 0.0
    waited_s = 0.0
    while waited_s + step_s < longest_s:
        waited_s += step_s
        worth += step_s * math.sqrt(hazard(elapsed_s + waited_s - step_s / 2) / (2 * LOOK_PRICE_S))
        if worth >= 1:
            return waited_s
    return longest_s


def _hazard(expected: Expected) -> Callable[[float], float]:
    """Return the hazard function: from seconds running to the chance per second that the sync ends now."""
    middle = math.log(max(expected.median_s, SHORTEST_S))
    curves = (
        (1 - STRANGE, max(NARROWEST, expected.spread)),
        (STRANGE, STRANGE_SPREAD),
    )

    def at(at_s: float) -> float:
        at_s = max(at_s, 1e-3)
        away = math.log(at_s) - middle
        density = left = 0.0
        for share, spread in curves:
            distance = away / spread
            if distance < -_FAR:
                left += share
            elif distance <= _FAR:
                density += share * math.exp(-distance * distance / 2) / (at_s * spread * _ROOT_OF_TWO_PI)
                left += share * math.erfc(distance / _ROOT_OF_TWO) / 2
        return density / left if left > 0 else 0.0

    return at
