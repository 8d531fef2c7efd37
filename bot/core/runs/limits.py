"""Limits on starting syncs: a cooldown after a success, and a number per person and hour.

Joining a running sync and retrying a failed one are never limited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

QUOTA_WINDOW: Final = timedelta(hours=1)


class Limit(StrEnum):
    """What keeps a sync from starting; the audit stores these values as rules."""

    COOLDOWN = "cooldown"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class Limits:
    """``cooldown_s`` after an integration's success, and starts per person and hour; 0 means no limit."""

    cooldown_s: float = 0.0
    quota_per_hour: int = 0


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Held:
    """A sync can't be started before ``until``."""

    by: Limit
    until: datetime


def decide_limits(
    limits: Limits, succeeded_at: datetime | None, starts: Sequence[datetime], now: datetime
) -> Held | None:
    """Decide whether a sync may be started now; if both limits apply, the one that ends later is returned.

    Args:
        limits: what is allowed.
        succeeded_at: when the integration's newest successful run ended.
        starts: when this person started syncs, at least those within the last hour.
        now: the time.
    """
    held = []
    if limits.cooldown_s and succeeded_at:
        until = succeeded_at + timedelta(seconds=limits.cooldown_s)
        if now < until:
            held.append(Held(Limit.COOLDOWN, until))
    recent = sorted(at for at in starts if at > now - QUOTA_WINDOW)
    if limits.quota_per_hour and len(recent) >= limits.quota_per_hour:
        held.append(Held(Limit.QUOTA, recent[-limits.quota_per_hour] + QUOTA_WINDOW))
    return max(held, key=lambda one: one.until, default=None)
