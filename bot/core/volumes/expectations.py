"""What people expect of an integration: how often it syncs, and how many events it brings in a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_PER_DAY: Final = 10**12
SHORTEST_EVERY_S: Final = 600
LONGEST_EVERY_S: Final = 31 * 86_400

LATE: Final = 1.25
"""A sync that takes a little longer than expected isn't late: this is how much longer."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """None is what people said nothing about. ``per_day`` 0: that it brings no events is no news."""

    every_s: int | None = None
    per_day: int | None = None

    @property
    def is_blank(self) -> bool:
        """Whether nothing is expected."""
        return self.every_s is None and self.per_day is None

    def over(self, before: Expectation) -> Expectation:
        """Return this, with what it says nothing about as before."""
        return Expectation(
            before.every_s if self.every_s is None else self.every_s,
            before.per_day if self.per_day is None else self.per_day,
        )

    @property
    def stale_after_s(self) -> float | None:
        """How old its last success may be, in seconds."""
        return None if self.every_s is None else self.every_s * LATE


NOTHING: Final = Expectation()
