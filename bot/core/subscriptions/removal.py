"""Subscriptions that were removed from a channel, and whether that can be undone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bot.core.models import Person
from bot.core.subscriptions.subscriptions import Subscription

UNDO_FOR: Final = timedelta(hours=24)
"""How long a removal can be undone."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What a person removed from one channel: the subscriptions as they were, and what they're called."""

    by: Person
    at: datetime
    subscriptions: tuple[Subscription, ...]
    names: tuple[str, ...]
    digest_only: bool = False
    undone_by: Person | None = None

    def obstacle(self, now: datetime) -> str:
        """Say why it can't be undone; "" if it can."""
        if self.undone_by:
            return f"{self.undone_by.name or 'Someone'} has already undone this."
        if now - self.at > UNDO_FOR:
            return "It's too late to undo this. To get notifications again, subscribe the channel again."
        return ""

    def restorable(self, there: Iterable[Subscription]) -> list[Subscription]:
        """Return what to save, given the channel's current subscriptions: what was changed since then stays."""
        by_target = {one.target: one for one in there}
        restored = []
        for before in self.subscriptions:
            current = by_target.get(before.target)
            kept = current and replace(current, digest=before.digest, paused=None) == replace(before, paused=None)
            if current is None or (self.digest_only and kept and current.digest is None):
                restored.append(replace(before, paused=current.paused if current else None))
        return restored
