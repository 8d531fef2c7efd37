"""The options of a benchmark run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure. ``scale`` multiplies rounds, seconds and samples; 1 is the quick run."""

    scale: float = 1.0
    full: bool = False

    def rounds(self, quick: int) -> int:
        """Return the number of rounds, at least two so that there's a spread."""
        return max(2, round(quick * self.scale))

    def seconds(self, quick: float) -> float:
        """Return how long to measure."""
        return quick * self.scale
