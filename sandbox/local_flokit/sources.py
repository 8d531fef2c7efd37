"""The integrations of the local FloKit and their syncs.

An integration's state is computed from the time of the read, with no background task that could drift.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, TypedDict

Ending = Literal[
    "succeeded", "failed", "failed_same", "disconnected", "vanish", "stuck", "hidden", "unproven", "ignored"
]

STRIPE_ERROR = "Webhook signature verification failed — check your signing secret"
"""The only documented error text."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How an integration's next syncs behave.

    ``ending`` is one of:

    - ``succeeded``: connected, with ``last_synced_at`` set to the sync's end;
    - ``hidden``: the same, but never visible as ``syncing``;
    - ``unproven``: connected, but ``last_synced_at`` doesn't change;
    - ``failed``: error, with ``error_message``;
    - ``failed_same``: error, with the same text as before, if any;
    - ``disconnected``: disconnected;
    - ``vanish``: the integration is removed (404);
    - ``stuck``: syncing forever;
    - ``ignored``: the sync is accepted, but never starts.
    """

    start_lag_s: float = 1.0
    """How long the old status and error stay visible after the POST."""
    duration_s: float = 3.0
    """How long ``syncing`` lasts; 0: never visible."""
    ending: Ending = "succeeded"
    error_message: str = STRIPE_ERROR
    new_events: int = 12
    """How many events a successful sync adds."""


@dataclass(frozen=True, slots=True)
class Source:
    """An integration's state in FloKit at one moment; times are on FloKit's clock."""

    id: str
    type: str
    status: str = "connected"
    last_synced_at: datetime | None = None
    error_message: str | None = None
    events_total: int | None = None
    events_last_24h: int | None = None
    earliest_event_at: datetime | None = None


class Fields(TypedDict, total=False):
    """An integration's fields other than ID and type; see ``Source``."""

    status: str
    last_synced_at: datetime | None
    error_message: str | None
    events_total: int | None
    events_last_24h: int | None
    earliest_event_at: datetime | None


@dataclass(frozen=True, slots=True)
class Turn:
    """An integration's state from ``at`` (our clock) on; ``source`` is None if it was removed.

    ``ending`` is the result of the sync that caused it; None if the integration was changed directly.
    """

    integration_id: str
    at: datetime
    source: Source | None
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class _Sync:
    """One sync, from our clock's ``starts_at`` to its ``ends_at`` (None: never)."""

    plan: Plan
    starts_at: datetime
    ends_at: datetime | None

    def has_ended(self, now: datetime) -> bool:
        """Whether it's over."""
        return self.ends_at is not None and self.ends_at <= now

    def shows(self, now: datetime) -> bool:
        """Whether it's visible from outside."""
        return self.starts_at <= now and self.plan.ending != "hidden"


def _ended(source: Source, plan: Plan, at: datetime) -> Source | None:
    """Return the state after a sync that ended at ``at`` (FloKit's clock); None if the integration was removed."""
    match plan.ending:
        case "succeeded" | "hidden":
            return replace(
                source,
                status="connected",
                error_message=None,
                last_synced_at=at,
                events_total=(source.events_total or 0) + plan.new_events,
                events_last_24h=(source.events_last_24h or 0) + plan.new_events,
            )
        case "unproven":
            return replace(source, status="connected", error_message=None)
        case "failed":
            return replace(source, status="error", error_message=plan.error_message)
        case "failed_same":
            return replace(source, status="error", error_message=source.error_message or plan.error_message)
        case "disconnected":
            return replace(source, status="disconnected", error_message=None)
        case "vanish":
            return None
        case "stuck" | "ignored":
            return source


@dataclass(slots=True)
class History:
    """An integration's last recorded state, and the syncs since."""

    source: Source
    plan: Plan = field(default_factory=Plan)
    syncs: deque[_Sync] = field(default_factory=deque)

    def begin_sync(self, now: datetime) -> None:
        """Queue a sync, unless the integration is disconnected or the plan is ``ignored``."""
        if self.source.status == "disconnected" or self.plan.ending == "ignored":
            return
        starts_at = now + timedelta(seconds=self.plan.start_lag_s)
        if self.syncs:
            before = self.syncs[-1].ends_at
            if before is None:
                return
            starts_at = max(starts_at, before)
        stuck = self.plan.ending == "stuck"
        ends_at = None if stuck else starts_at + timedelta(seconds=self.plan.duration_s)
        self.syncs.append(_Sync(self.plan, starts_at, ends_at))

    def get_stuck(self, now: datetime) -> None:
        """Sync forever from now on, replacing any other sync."""
        self.syncs.clear()
        self.syncs.append(_Sync(Plan(ending="stuck"), now, None))

    def finish(self, now: datetime) -> bool:
        """End the running and queued syncs now, with their planned results; False if there are none."""
        some = bool(self.syncs)
        self.syncs = deque(replace(sync, starts_at=min(sync.starts_at, now), ends_at=now) for sync in self.syncs)
        return some

    def settle(self, now: datetime, skew: timedelta) -> list[Turn]:
        """Record the states after ended syncs and return them; the last may be a removal."""
        turns: list[Turn] = []
        while self.syncs and self.syncs[0].has_ended(now):
            sync = self.syncs.popleft()
            ended_at = sync.ends_at or now
            left = _ended(self.source, sync.plan, ended_at + skew)
            turns.append(Turn(self.source.id, ended_at, left, sync.plan.ending))
            if left is None:
                break
            self.source = left
        return turns

    def visible(self, now: datetime) -> Source:
        """Return the state visible now; call ``settle`` first."""
        if self.syncs and self.syncs[0].shows(now):
            return replace(self.source, status="syncing", error_message=None)
        return self.source


# --- the demo ----------------------------------------------------------------------------------------------------

DEMO_PLANS = {
    # A wrong signing secret, which a sync alone can't fix.
    "int_01hx4j7stripe": Plan(ending="failed_same"),
    "int_01hx4ja3googleplay": Plan(start_lag_s=2.0, duration_s=6.0, new_events=214),
}


def demo_sources(now: datetime) -> list[Source]:
    """Return the demo integrations; their times are before ``now`` (FloKit's clock)."""

    def ago(**parts: float) -> datetime:
        return now - timedelta(**parts)

    return [
        Source(
            id="int_01hx4j7revenuecat",
            type="revenuecat",
            last_synced_at=ago(minutes=42),
            events_total=1_204_739,
            events_last_24h=4_821,
            earliest_event_at=ago(days=590),
        ),
        Source(
            id="int_01hx4j7stripe",
            type="stripe",
            status="error",
            last_synced_at=ago(hours=15),
            error_message=STRIPE_ERROR,
            events_total=88_412,
            events_last_24h=0,
            earliest_event_at=ago(days=410),
        ),
        # iOS and Android are separate, unnamed integrations.
        Source(
            id="int_01hx4j8appsflyerios",
            type="appsflyer",
            last_synced_at=ago(hours=2, minutes=5),
            events_total=402_118,
            events_last_24h=1_377,
            earliest_event_at=ago(days=365),
        ),
        Source(
            id="int_01hx4j8appsflyerandroid",
            type="appsflyer",
            last_synced_at=ago(hours=2, minutes=11),
            events_total=618_900,
            events_last_24h=2_054,
            earliest_event_at=ago(days=365),
        ),
        Source(
            id="int_01hx4j9appstoreconnect",
            type="app_store_connect",
            last_synced_at=ago(days=1, hours=1),
            events_total=9_115,
            events_last_24h=31,
            earliest_event_at=ago(days=700),
        ),
        Source(
            id="int_01hx4ja0warehouse",
            type="warehouse",
            status="disconnected",
            last_synced_at=ago(days=6),
            events_total=51_006,
            events_last_24h=0,
            earliest_event_at=ago(days=120),
        ),
        Source(
            id="int_01hx4ja3googleplay",
            type="google_play",
            status="error",
            last_synced_at=ago(days=2, hours=3),
            error_message="The caller does not have permission",
            events_total=7_480,
            events_last_24h=0,
            earliest_event_at=ago(days=300),
        ),
    ]
