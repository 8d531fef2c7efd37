"""The options of a soak, and the settings of its replicas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from soak.evidence import LOOK_S, Rules

Kind = Literal["sqlite", "postgresql"]

REQUESTS_PER_MINUTE: Final = 100
"""FloKit's documented limit, for all replicas together."""

KILLS_PER_MINUTE: Final = 12.0
"""How often it is tried for each replica; who is being loaded, frozen or stopping is spared."""

CLICKS_PER_MINUTE: Final = 40.0
"""How often people begin an errand; not each ends in a click on a sync."""

ERRANDS_PER_MINUTE: Final = 60.0
"""How often residents do something else."""

LEASE_S: Final = 2.0
"""A machine that takes longer than this to answer needs a longer one: every call's time is a share of it."""

GRACE_S: Final = 3.0
DEADLINE_S: Final = 40.0

WEBHOOK_SECRET: Final = "a-secret-of-the-soak-that-is-long-enough"  # noqa: S105 - a made-up one

QUICK: Final = {
    "FOLLOW_UP_FIRST_LOOK_S": "0.5",
    "FOLLOW_UP_MAX_INTERVAL_S": "2",
    "FOLLOW_UP_GRACE_S": f"{GRACE_S:g}",
    "FOLLOW_UP_DEADLINE_S": f"{DEADLINE_S:g}",
    "SYNC_COOLDOWN_S": "0",
    "WATCH_INTERVAL_S": "3",
    "WATCH_CONFIRM_S": "0.5",
    "FLAPPING_WINDOW_S": "15",
    "LOG_FORMAT": "json",
}
"""Patience for a storm: the documented rules, twenty to fifty times as fast."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One soak. The first of several replicas is never killed, so that its memory can be watched."""

    minutes: float
    seed: int
    kind: Kind
    replicas: int
    kills_per_minute: float = KILLS_PER_MINUTE
    clicks_per_minute: float = CLICKS_PER_MINUTE
    errands_per_minute: float = ERRANDS_PER_MINUTE
    lease_s: float = LEASE_S
    workspaces: int = 1
    """1: the one from the settings; more: workspaces that install the app."""
    is_distributed: bool = False
    """Whether Slack limits how often the app reads history, as for apps outside the Marketplace."""

    @property
    def rules(self) -> Rules:
        """What the checker must know of it: a check is shared for a second, and tried twice for 0.8 of a lease."""
        look_s = max(LOOK_S, 1.0 + 2 * 0.8 * self.lease_s)
        return Rules(GRACE_S, DEADLINE_S, REQUESTS_PER_MINUTE, look_s=look_s, workspaces=self.workspaces)
