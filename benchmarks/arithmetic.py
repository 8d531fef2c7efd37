"""The benchmark's own arithmetic: percentiles, medians with their spread, ratios. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of all values do not exceed: the nearest rank.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds of the same measurement gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Take the median, the lowest and the highest.

        Raises:
            ValueError: there are no values.
        """
        if not values:
            raise ValueError("no values")
        return cls(statistics.median(values), min(values), max(values))

    def shown(self, unit: str = "", scale: float = 1.0, digits: int = 1) -> str:
        """Write it as ``median (low to high) unit``; without the spread when there is none."""
        median, low, high = (f"{value * scale:.{digits}f}" for value in (self.median, self.low, self.high))
        spread = "" if low == high else f" ({low} to {high})"
        return f"{median}{spread}{' ' if unit else ''}{unit}"


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Divide round by round, for what two subjects did in the same round met the same weather.

    Raises:
        ValueError: they had different rounds, or something took no time at all.
    """
    if len(ours) != len(theirs) or not all(theirs):
        raise ValueError("each round needs a value of both, and none to divide by may be 0")
    return Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])
