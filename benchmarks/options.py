"""What a run of the benchmark is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure. ``scale`` multiplies rounds, seconds and samples; 1 is the quick run."""

    scale: float = 1.0
    full: bool = False

    def rounds(self, quick: int) -> int:
        """How many rounds, at least two, so that there is a spread."""
        return max(2, round(quick * self.scale))

    def seconds(self, quick: float) -> float:
        """How long."""
        return quick * self.scale
