"""The values that the parts of the bot hand to each other: frozen, comparable, without behaviour that waits.

Every ``*_at`` is an aware UTC datetime, every ``*_s`` is seconds. What the vendor sends is kept as text where
the vendor may add to it (``type``, ``status``): the v1 API is a preview, and an unknown word is not an error.
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
    """``sync_stats`` of ``GET /v1/integrations/{id}``; any of them may be missing."""

    events_last_24h: int | None = None
    events_total: int | None = None
    earliest_event_at: datetime | None = None


UNKNOWN: Final = "unknown"
"""The type or status of an integration when FloKit names none."""


@dataclass(frozen=True, slots=True)
class Integration:
    """One connected data source, as the vendor describes it. It has no name: ``type`` and ``id`` are all there is."""

    id: str
    type: str = UNKNOWN
    status: str = UNKNOWN
    last_synced_at: datetime | None = None
    """None: it has never synced, or the time can't be read."""
    error_message: str | None = None
    stats: SyncStats | None = None
    stale_after_s: float | None = None
    """How old its last success may be, where somebody set that; None: what ``core.advice`` says of its type."""
    unreadable_time: str = ""
    """The beginning of what FloKit sent as ``last_synced_at``, when it can't be read."""
    synced_within_s: int = 0
    """How many seconds ``last_synced_at`` leaves open, where FloKit sent no seconds, no minutes or only a day."""

    def synced_after(self, before: Integration | None) -> bool:
        """Tell whether its last success is newer than it was ``before``.

        One success may be given to the second in one reply and to the millisecond in the next: where two times aren't
        equally exact, a difference that rounding explains proves nothing. Nor does a time that follows one that can't
        be read.
        """
        if self.last_synced_at is None or (before and before.unreadable_time):
            return False
        if before is None or before.last_synced_at is None:
            return True
        passed, units = self.last_synced_at - before.last_synced_at, {self.precision, before.precision}
        return passed >= max(units) if len(units) > 1 else passed > timedelta()

    @property
    def precision(self) -> timedelta:
        """How exact its last success is."""
        if self.synced_within_s:
            return timedelta(seconds=self.synced_within_s)
        micros = self.last_synced_at.microsecond if self.last_synced_at else 0
        return timedelta(microseconds=1 if micros % 1000 else 1000 if micros else 1_000_000)


class Outcome(StrEnum):
    """How a sync run ended; the words are public (message metadata ``outcome``) and stable."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FAILED_AGAIN = "failed_again"
    DISCONNECTED = "disconnected"
    FINISHED_UNPROVEN = "finished_unproven"
    GONE = "gone"
    ACCESS_LOST = "access_lost"
    NOT_CONFIRMED = "not_confirmed"


class Phase(StrEnum):
    """What a sync run needs next; the table of transitions stands in ``core/outcome.py``."""

    BASELINE = "baseline"
    TRIGGER = "trigger"
    CONFIRMING = "confirming"
    WATCHING = "watching"
    LATE = "late"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Seen:
    """FloKit showed the integration's own page. ``vendor_at`` is the reply's HTTP ``Date``: the vendor's clock."""

    integration: Integration
    vendor_at: datetime | None = None
    hinted: Integration | None = None
    """What a list showed just before, when that led to this look."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list showed the integration: a hint, never proof, because lists lag, round times and cut texts."""

    integration: Integration
    vendor_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """FloKit answered 404: the integration was removed."""


@dataclass(frozen=True, slots=True)
class Denied:
    """FloKit answered 401 or 403: the key was rotated or lacks permissions."""

    http_status: int
    reason: str = ""
    vendor_words: str = ""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """FloKit could not be asked, or gave no usable answer. Says nothing about the sync."""

    reason: str
    retry_after_s: float | None = None
    vendor_words: str = ""


@dataclass(frozen=True, slots=True)
class TriggerAccepted:
    """FloKit accepted the sync. ``sync_id`` is None when the reply did not carry one."""

    sync_id: str | None
    vendor_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TriggerRefused:
    """FloKit refused the sync for good (a 4xx that trying again cannot cure): nothing was started."""

    http_status: int
    reason: str = ""
    vendor_words: str = ""


@dataclass(frozen=True, slots=True)
class TriggerDenied:
    """FloKit answered the POST with 401 or 403: the key was rotated or is read-only. Nothing was started."""

    http_status: int
    reason: str = ""
    vendor_words: str = ""


@dataclass(frozen=True, slots=True)
class TriggerNotSent:
    """The request certainly did not start a sync (no connection, 429): safe to send again."""

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class TriggerLost:
    """The request went out and no usable reply came back: a sync may or may not have started."""

    reason: str
    vendor_words: str = ""


Look: TypeAlias = Seen | Listed | Missing | Denied | Unreachable
TriggerReply: TypeAlias = TriggerAccepted | TriggerRefused | TriggerDenied | TriggerNotSent | TriggerLost | Missing
Observation: TypeAlias = Look | TriggerReply


@dataclass(frozen=True, slots=True)
class Person:
    """A Slack user. ``name`` is only for places where a mention would ping; it is untrusted text."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """What a stored value follows from, for logs and traces. Those of older versions have an empty one.

    ``traceparent`` has the form of https://www.w3.org/TR/trace-context/#traceparent-header; "" without tracing.
    """

    request_id: str = ""
    traceparent: str = ""


NO_CAUSE: Final = Cause()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often a run is looked at; fixed when the run opens, so a new setting never moves a deadline."""

    first_look_s: float = 2.0
    max_interval_s: float = 30.0
    grace_s: float = 60.0
    deadline_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Expected:
    """How long a sync is likely to take: learned in ``core.durations``."""

    median_s: float
    spread: float
    """The standard deviation of the natural logarithm of the duration."""


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One triggered sync, from click to outcome. Everything ``decide`` needs to know stands here."""

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
    """The vendor's clock minus ours, from the newest reply that carried a ``Date``."""

    attempts: int = 0
    """How many POSTs were sent or may have been sent."""
    attempted_at: datetime | None = None
    """When the newest POST was recorded, before it was sent (our clock)."""
    accepted_at: datetime | None = None
    """When FloKit's acceptance, or the first sign of a started sync, was seen (our clock)."""
    posted_vendor_at: datetime | None = None
    """The vendor's clock at the POST; estimated from ``clock_offset_s`` when the reply was lost."""
    sync_id: str | None = None

    looks: int = 0
    """Looks since FloKit accepted or lost the POST, or since the click; drives the backoff."""
    last_seen: Integration | None = None
    """As its own page showed it last; what lists show is kept apart."""
    last_seen_at: datetime | None = None
    hinted: Integration | None = None
    """As a list showed it last."""
    listed: int = 0
    """How many lists it was found in since its own page was read."""
    syncing_since: datetime | None = None
    """When the run was first seen ``syncing`` (our clock)."""
    idle_since: datetime | None = None
    """When it was first seen idle after ``syncing``, without proof of what became of it."""
    unreachable_since: datetime | None = None
    unreachable_reason: str = ""
    unreachable_words: str = ""
    """What FloKit itself said about it (untrusted)."""
    fault_id: str = ""
    """The id in the log of the last unexpected error, while nothing was seen since."""
    typical_s: float | None = None
    """The usual duration of this integration's syncs, from its own history."""
    expected: Expected | None = None
    """What is known of its duration, from its own history or its type's: where looks are worth it."""

    outcome: Outcome | None = None
    reason: str = ""
    """Why the trigger was refused or its reply lost, or access with it. Version 0.1 appended FloKit's words to it."""
    reason_words: str = ""
    """What FloKit itself said about it (untrusted)."""
    ended_at: datetime | None = None
    """When the outcome was decided; a late result overwrites it."""
    keep_until: datetime | None = None
    """Keep watching: the normal pace holds until here although ``not_confirmed`` was told."""
    late_until: datetime | None = None
    """The slow watch after ``not_confirmed`` ends here."""
    cause: Cause = NO_CAUSE
    """The click that opened it."""

    @property
    def overlapped(self) -> bool:
        """A sync was already running when you clicked."""
        return self.baseline is not None and self.baseline.status == Status.SYNCING

    @property
    def is_watched(self) -> bool:
        """Its POST is out, so that any look will do: one that other runs share, and one a little too early."""
        return self.phase in (Phase.CONFIRMING, Phase.WATCHING, Phase.LATE)

    @property
    def is_active(self) -> bool:
        """A further click joins this run instead of starting one."""
        return self.outcome is None


class Telling(StrEnum):
    """What the people in a run's threads must be shown after a decision."""

    ROW = "row"
    """The message the click came from: put its row right."""
    PROGRESS = "progress"
    """The one progress reply of each thread, edited in place."""
    OUTCOME = "outcome"
    """The final reply of each thread: posted once, never edited away."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What ``decide`` found: the run as it is now, when to act on it next (None: never), and what to tell."""

    run: SyncRun
    next_look_at: datetime | None
    tell: tuple[Telling, ...] = ()
    along_at: datetime | None = None
    """From then on a look at other runs of the workspace serves this one, too; None: it waits for its own."""


@dataclass(frozen=True, slots=True)
class Message:
    """What Slack is given: ``text`` for notifications and screen readers, ``blocks`` as plain JSON values."""

    text: str
    blocks: tuple[dict[str, object], ...] = ()
    metadata: dict[str, object] | None = None
    broadcast: bool = False
    """Show a reply in the channel, too."""
    cause: Cause = NO_CAUSE
    only_for_one: bool = False
    """Made for one person alone: that nobody else sees it needs no explanation."""
