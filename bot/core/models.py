"""The values that the parts of the bot exchange: frozen, comparable, without I/O.

Every ``*_at`` is an aware UTC datetime, every ``*_s`` is in seconds. ``type`` and ``status`` are kept as text, because
FloKit's v1 API is a preview and may add values: unknown ones aren't errors.

What is stored is JSON (``data`` in ``bot/store/tables.py``): an object of all fields by name, with times in ISO 8601.
The docstrings of what is stored show an example with some of the fields; the others have their defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias


class Status(StrEnum):
    """The four documented values of an integration's ``status``."""

    CONNECTED = "connected"
    ERROR = "error"
    SYNCING = "syncing"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class SyncStats:
    """``sync_stats`` of ``GET /v1/integrations/{id}``; any field may be missing."""

    events_last_24h: int | None = None
    events_total: int | None = None
    earliest_event_at: datetime | None = None


UNKNOWN: Final = "unknown"
"""The type or status of an integration if FloKit sends none."""


@dataclass(frozen=True, slots=True)
class Integration:
    """One connected data source in FloKit. It has no name, only ``type`` and ``id``.

    Stored in most values below, and as a list in ``snapshots``::

        {"id": "int_01hx4j7stripe", "type": "stripe", "status": "error", "last_synced_at": "2026-11-26T14:30:00Z",
         "error_message": "The key was refused", "stats": {"events_last_24h": 10, "events_total": 1200}}
    """

    id: str
    type: str = UNKNOWN
    status: str = UNKNOWN
    last_synced_at: datetime | None = None
    """None if it has never synced, or if the time can't be read."""
    error_message: str | None = None
    stats: SyncStats | None = None
    stale_after_s: float | None = None
    """How old its last success may be, if configured; None: the default of its type in ``core.advice``."""
    unreadable_time: str = ""
    """The beginning of FloKit's ``last_synced_at``, if it can't be read."""
    synced_within_s: int = 0
    """The uncertainty of ``last_synced_at`` in seconds, if FloKit sent no seconds, no minutes or only a day."""

    def synced_after(self, before: Integration | None) -> bool:
        """Whether its last success is newer than ``before``.

        Replies may give the same time to the second and to the millisecond: if two times aren't equally precise, a
        difference within rounding proves nothing. Neither does a time that follows an unreadable one.
        """
        if self.last_synced_at is None or (before and before.unreadable_time):
            return False
        if before is None or before.last_synced_at is None:
            return True
        passed, units = self.last_synced_at - before.last_synced_at, {self.precision, before.precision}
        return passed >= max(units) if len(units) > 1 else passed > timedelta()

    @property
    def precision(self) -> timedelta:
        """The precision of its last success."""
        if self.synced_within_s:
            return timedelta(seconds=self.synced_within_s)
        micros = self.last_synced_at.microsecond if self.last_synced_at else 0
        return timedelta(microseconds=1 if micros % 1000 else 1000 if micros else 1_000_000)


class Outcome(StrEnum):
    """How a sync run ended. The values are public (message metadata ``outcome``) and must stay the same."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FAILED_AGAIN = "failed_again"
    DISCONNECTED = "disconnected"
    FINISHED_UNPROVEN = "finished_unproven"
    GONE = "gone"
    ACCESS_LOST = "access_lost"
    NOT_CONFIRMED = "not_confirmed"


class Phase(StrEnum):
    """What a sync run needs next; for the transitions, see ``core/runs/outcome.py``."""

    BASELINE = "baseline"
    TRIGGER = "trigger"
    CONFIRMING = "confirming"
    WATCHING = "watching"
    LATE = "late"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Seen:
    """FloKit returned the integration's own page. ``vendor_at`` is the reply's HTTP ``Date``, FloKit's clock."""

    integration: Integration
    vendor_at: datetime | None = None
    hinted: Integration | None = None
    """What a list showed just before, if that led to this check."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list contained the integration: a hint, never proof, because lists lag, round times and cut texts."""

    integration: Integration
    vendor_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """FloKit returned 404: the integration was removed."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    http_status: int
    reason: str = ""
    vendor_words: str = ""


class Denied(_Refusal):
    """FloKit returned 401 or 403: the key was rotated or lacks permissions."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """FloKit was unreachable or sent no usable reply, which says nothing about the sync."""

    reason: str
    retry_after_s: float | None = None
    vendor_words: str = ""


@dataclass(frozen=True, slots=True)
class TriggerAccepted:
    """FloKit accepted the sync. ``sync_id`` is None if the reply had none."""

    sync_id: str | None
    vendor_at: datetime | None = None


class TriggerRefused(_Refusal):
    """FloKit refused the sync with a 4xx for which retrying won't help; nothing was started."""


class TriggerDenied(_Refusal):
    """FloKit returned 401 or 403 for the POST: the key was rotated or is read-only. Nothing was started."""


@dataclass(frozen=True, slots=True)
class TriggerNotSent:
    """The request certainly didn't start a sync (no connection, 429), so it's safe to send again."""

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class TriggerLost:
    """The request was sent, but no usable reply came back: a sync may or may not have started."""

    reason: str
    vendor_words: str = ""


Look: TypeAlias = Seen | Listed | Missing | Denied | Unreachable
TriggerReply: TypeAlias = TriggerAccepted | TriggerRefused | TriggerDenied | TriggerNotSent | TriggerLost | Missing
Observation: TypeAlias = Look | TriggerReply


@dataclass(frozen=True, slots=True)
class Person:
    """A Slack user. ``name`` is untrusted, and only for places where a mention would notify the person."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """The origin of a stored value, for logs and traces; empty if stored by an older version.

    ``traceparent`` has the form of https://www.w3.org/TR/trace-context/#traceparent-header; "" without tracing.
    """

    request_id: str = ""
    traceparent: str = ""


NO_CAUSE: Final = Cause()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often a run is checked; fixed when it opens, so that a new setting doesn't move its deadline."""

    first_look_s: float = 2.0
    max_interval_s: float = 30.0
    grace_s: float = 60.0
    deadline_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Expected:
    """How long a sync is likely to take, as learned in ``core.runs.durations``."""

    median_s: float
    spread: float
    """The standard deviation of the duration's natural logarithm."""


@dataclass(frozen=True, slots=True)
class Usual:
    """How many events an integration usually brings within a time, as learned in ``core.volumes``."""

    within_s: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One sync from click to outcome: everything that ``decide`` needs.

    Stored in ``runs`` and, as it was at the outcome, in ``outbox``::

        {"id": "run_4f2a", "team_id": "T0ACME", "integration_id": "int_01hx4j7stripe", "integration_type": "stripe",
         "requested_at": "2026-11-26T14:30:00Z", "requested_by": {"id": "U0ANA", "name": "ana"}, "phase": "watching",
         "baseline": {"id": "int_01hx4j7stripe", "type": "stripe", "status": "error"}, "attempts": 1, "looks": 2}
    """

    id: str
    team_id: str
    integration_id: str
    integration_type: str
    requested_at: datetime
    requested_by: Person
    patience: Patience = Patience()
    phase: Phase = Phase.BASELINE

    baseline: Integration | None = None
    """The integration as read before the POST."""
    clock_offset_s: float | None = None
    """FloKit's clock minus ours, from the newest reply with a ``Date``."""

    attempts: int = 0
    """How many POSTs were sent or may have been sent."""
    attempted_at: datetime | None = None
    """When the newest POST was recorded, before it was sent (our clock)."""
    accepted_at: datetime | None = None
    """When FloKit's acceptance, or the first sign of a started sync, was seen (our clock)."""
    posted_vendor_at: datetime | None = None
    """FloKit's clock at the POST; estimated from ``clock_offset_s`` if the reply was lost."""
    sync_id: str | None = None

    looks: int = 0
    """Checks since FloKit accepted or lost the POST, or since the click; drives the backoff."""
    last_seen: Integration | None = None
    """The newest state from its own page; states from lists are kept separately."""
    last_seen_at: datetime | None = None
    hinted: Integration | None = None
    """The newest state from a list."""
    listed: int = 0
    """How many lists contained it since its own page was read."""
    syncing_since: datetime | None = None
    """When the run was first seen ``syncing`` (our clock)."""
    idle_since: datetime | None = None
    """When it was first seen idle after ``syncing``, without proof of a result."""
    unreachable_since: datetime | None = None
    unreachable_reason: str = ""
    unreachable_words: str = ""
    """FloKit's own text about it (untrusted)."""
    fault_id: str = ""
    """The ID in the log of the last unexpected error, until the next successful check."""
    typical_s: float | None = None
    """The usual duration of this integration's syncs, from its own history."""
    expected: Expected | None = None
    """The expected duration from its own history or its type's, for planning checks."""
    usual_events: tuple[Usual, ...] = ()
    """How many events the integration usually brings; () if that isn't known."""

    outcome: Outcome | None = None
    reason: str = ""
    """Why the trigger was refused, or its reply or access lost. Version 0.1 appended FloKit's text."""
    reason_words: str = ""
    """FloKit's own text about it (untrusted)."""
    ended_at: datetime | None = None
    """When the outcome was decided; a late result overwrites it."""
    keep_until: datetime | None = None
    """Set by Keep watching: checks continue at the normal pace until then, despite ``not_confirmed``."""
    late_until: datetime | None = None
    """The slow watch after ``not_confirmed`` ends here."""
    cause: Cause = NO_CAUSE
    """The click that opened it."""
    bulk_id: str = ""
    """The message of the syncs that it was started with, or ""."""
    is_patient: bool = False
    """Whether it lets the clicks of others go first, because it was started with other syncs."""

    @property
    def overlapped(self) -> bool:
        """Whether a sync was already running at the click."""
        return self.baseline is not None and self.baseline.status == Status.SYNCING

    @property
    def is_watched(self) -> bool:
        """Whether its POST is out, so that a check can be shared with other runs and be slightly early."""
        return self.phase in (Phase.CONFIRMING, Phase.WATCHING, Phase.LATE)

    @property
    def is_active(self) -> bool:
        """Whether another click joins this run instead of starting one."""
        return self.outcome is None


class Telling(StrEnum):
    """What to update in a run's threads after a decision."""

    ROW = "row"
    """The row in the message that was clicked."""
    PROGRESS = "progress"
    """The progress reply of each thread, edited in place."""
    OUTCOME = "outcome"
    """The final reply of each thread, posted once and never removed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of ``decide``: the new run, when to act on it next (None: never), and what to show."""

    run: SyncRun
    next_look_at: datetime | None
    tell: tuple[Telling, ...] = ()
    along_at: datetime | None = None
    """From then on, a check of other runs of the workspace serves this one too; None: it needs its own."""


@dataclass(frozen=True, slots=True)
class Message:
    """A Slack message: ``text`` for notifications and screen readers, ``blocks`` as plain JSON values.

    A note is stored in ``outbox``::

        {"text": "Which integration?", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Which …"}}],
         "cause": {"request_id": "1337.42.ab", "traceparent": ""}, "only_for_one": true}
    """

    text: str
    blocks: tuple[dict[str, object], ...] = ()
    metadata: dict[str, object] | None = None
    broadcast: bool = False
    """Also show a reply in the channel."""
    cause: Cause = NO_CAUSE
    only_for_one: bool = False
    """Always meant for one person, so its being private needs no explanation."""
