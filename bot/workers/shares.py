"""Shares a worker's slots among workspaces: one that has a thousand pieces of work doesn't delay another."""

from __future__ import annotations

from collections import Counter
from typing import Final

PER_FREE_SLOT: Final = 3
"""How many slots a workspace may hold for each that it leaves free: alone, three quarters of all.

As with buffers in a switch that ports share (Choudhury and Hahne, "Dynamic queue length thresholds", 1998): the more
workspaces are busy, the less each may hold, and there's always a slot for the next one.
"""


class Shares:
    """Which workspaces hold slots. One that holds none may take any free slot."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def take(self, team_id: str) -> None:
        """Note that a workspace holds one slot more."""
        self._held[team_id] += 1

    def give_back(self, team_id: str) -> None:
        """Note that it holds one less."""
        self._held[team_id] -= 1
        if not self._held[team_id]:
            del self._held[team_id]

    def may_take(self, team_id: str, free: int) -> bool:
        """Return whether a workspace may take one of the free slots."""
        held = self._held[team_id]
        return free > 0 and (held == 0 or held + 1 <= PER_FREE_SLOT * (free - 1))

    def full(self, free: int) -> frozenset[str]:
        """Return the workspaces that may take none of the free slots."""
        return frozenset(team_id for team_id in self._held if not self.may_take(team_id, free))

    def at_once(self, free: int, full: frozenset[str]) -> int:
        """Return how many slots any of the other workspaces may take now, and still hold no more than its share."""
        most_held = max((held for team_id, held in self._held.items() if team_id not in full), default=0)
        return max((PER_FREE_SLOT * free - most_held) // (PER_FREE_SLOT + 1), 1)
