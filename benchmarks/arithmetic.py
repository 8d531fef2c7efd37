"""Percentiles, medians with their spread, and ratios, as pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile; ``share`` is 0 to 1.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """The results of several rounds of a measurement."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the median, the lowest and the highest value.

        Raises:
            ValueError: there are no values.
        """
        if not values:
            raise ValueError("no values")
        return cls(statistics.median(values), min(values), max(values))

    def shown(self, unit: str = "", scale: float = 1.0, digits: int = 1) -> str:
        """Format as ``median (low to high) unit``, or ``median unit`` if they're equal."""
        median, low, high = (f"{value * scale:.{digits}f}" for value in (self.median, self.low, self.high))
        spread = "" if low == high else f" ({low} to {high})"
        return f"{median}{spread}{' ' if unit else ''}{unit}"


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Divide round by round, because both subjects had the same conditions in each round.

    Raises:
        ValueError: the lists differ in length, or a divisor is 0.
    """
    if len(ours) != len(theirs) or not all(theirs):
        raise ValueError("both lists need a value for each round, and divisors can't be 0")
    return Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])
