"""Decides when an incident opens, changes and ends, which is when channels are notified without being asked.

    an integration has …     a sighting shows …                               … and this follows
    ────────────────────     ─────────────────────────────────────────────    ──────────────────────────────────────
    no incident              trouble, while a sync of it is being followed    nothing: its thread reports it
                             trouble for the first time                       a suspicion; a second check is due soon
                             the same trouble, ``confirm_s`` later            OPENED (flapping after several opens)
                             no trouble                                       the suspicion is dropped
                             ``syncing``, or an unknown state                 nothing: neither trouble nor proof
    an open incident         a trouble or error text not reported yet         CHANGED, once in ``CHANGE_EVERY``;
                                                                              EDITED until then
                             one reported earlier that came back              REPEATED: a counter goes up
                             the same trouble after a sync or a quiet time    REPEATED: a counter goes up
                             ``syncing``                                      SYNCING
                             an unknown state                                 nothing
                             no trouble, but no newer success                 QUIET: not proven yet
                             no trouble and a newer success                   RECOVERED; while flapping: CALM, then
                                                                              RECOVERED after a calm window
                             it was removed                                   GONE
    an open incident,        events came again                                RECOVERED
    because it was empty     no events, and syncs that succeed                nothing: REPEATED is for other failures
    anything                 older than an earlier sighting                   nothing, but it may date a suspicion

A sighting is one reading of FloKit, for any reason: a poll, a webhook, a follow-up or a person. FloKit being
unreachable isn't a sighting. Nothing here does I/O or knows who is notified.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from bot.core.advice import stale_after_s
from bot.core.error_texts import same_text
from bot.core.incidents.taking import Attention, OnIt
from bot.core.models import Integration, Person, Status
from bot.core.volumes.volume import Shortfall

_STATUSES: Final = frozenset(Status)


class Trouble(StrEnum):
    """What is wrong with an integration."""

    FAILING = "failing"
    DISCONNECTED = "disconnected"
    STALE = "stale"
    """No success for longer than usual for its type, but nothing else is wrong."""
    EMPTY = "empty"
    """Connected, and its syncs succeed, but far fewer events come than usual: see `bot.core.volumes.volume`."""


class Change(StrEnum):
    """What a sighting did to an incident."""

    OPENED = "opened"
    CHANGED = "changed"
    EDITED = "edited"
    """A different failure soon after the last reported one; for now, only the message shows it."""
    REPEATED = "repeated"
    SYNCING = "syncing"
    COUNTED = "counted"
    """Still empty; only the message shows the new count."""
    QUIET = "quiet"
    CALM = "calm"
    RECOVERED = "recovered"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as an incident, from the settings."""

    confirm_s: float = 5.0
    """How long trouble must last before an incident opens."""
    flapping_opens: int = 3
    """This many incidents within the window are merged into one message."""
    flapping_window_s: float = 3600.0
    attention: Attention = field(default_factory=Attention)


CHANGE_EVERY: Final = timedelta(minutes=10)
"""The minimum time between posts about a different failure."""

REMEMBERED: Final = 10
"""How many reported failures of an incident are remembered."""

REMEMBERED_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Told:
    """A failure reported within an incident. A long text is cut and ends in "…"."""

    trouble: Trouble
    text: str = ""

    def is_same(self, other: Told) -> bool:
        """Whether both are the same failure; how long it's overdue or empty makes no difference."""
        if self.trouble is not other.trouble:
            return False
        return self.trouble in (Trouble.STALE, Trouble.EMPTY) or same_text(self.text, other.text)


@dataclass(frozen=True, slots=True)
class Incident:
    """One problem of one integration, from the first sighting to the proof that it's over.

    Stored in ``incidents``::

        {"id": "inc_77b0", "team_id": "T0ACME", "integration": {"id": "int_01hx4j7stripe", "status": "syncing"},
         "seen_at": "2026-11-26T14:35:00Z", "trouble": "failing",
         "failure": {"id": "int_01hx4j7stripe", "status": "error", "error_message": "The key was refused"},
         "opened_at": "2026-11-26T14:30:00Z", "repeats": 1,
         "told": [{"trouble": "failing", "text": "The key was refused"}], "turns": 1,
         "on_it": {"person": {"id": "U0ANA", "name": "ana"}, "since": "2026-11-26T14:32:00Z"}}
    """

    id: str
    team_id: str
    integration: Integration
    """The newest sighting."""
    seen_at: datetime
    trouble: Trouble
    failure: Integration
    """The newest sighting with trouble: only a newer success than the one in it proves recovery."""
    opened_at: datetime
    """The first sighting."""
    repeats: int = 0
    quiet_since: datetime | None = None
    """No trouble since then, but no proof; while flapping, also with proof."""
    flapping: bool = False
    opens: int = 1
    """How often it opened within the flapping window, including this time."""
    continues_run_id: str = ""
    """The sync whose thread already reported this failure."""
    closed_at: datetime | None = None
    gone: bool = False
    repaired_by: Person | None = None
    """Who started the resync that fixed it, if any."""
    told: tuple[Told, ...] = ()
    """The failures reported so far, the newest last; the first one opened the incident."""
    changed_at: datetime | None = None
    """When a different failure was last reported."""
    on_it: OnIt | None = None
    """Who is on it, or was when it ended."""
    turns: int = 0
    """How often that has changed."""
    left_at: datetime | None = None
    """Since when no one is on it anymore, if someone was."""
    shortfall: Shortfall | None = None
    """How few events came, when they were last counted; None if that's as usual."""
    ticket: str = ""
    """The address of its ticket."""

    @property
    def is_open(self) -> bool:
        """Whether it isn't over yet."""
        return self.closed_at is None

    @property
    def was_taken(self) -> bool:
        """Whether someone is on it, or was when it ended."""
        return self.on_it is not None and not self.on_it.is_asked


def turned(incident: Incident, on_it: OnIt | None, now: datetime) -> Incident:
    """Return an incident that someone else, or no one, is on now."""
    is_left = incident.was_taken and (on_it is None or on_it.is_asked)
    left_at = now if is_left else incident.left_at
    return replace(incident, on_it=on_it, turns=incident.turns + 1, left_at=left_at)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Trouble that isn't confirmed yet."""

    trouble: Trouble
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """What is kept about one integration between sightings.

    Stored in ``sightings``, without its incident::

        {"integration_id": "int_01hx4j7stripe", "first_seen_at": "2026-11-01T08:00:00Z",
         "seen": {"id": "int_01hx4j7stripe", "status": "error"}, "seen_at": "2026-11-26T14:30:00Z",
         "suspicion": {"trouble": "failing", "first_at": "2026-11-26T14:30:00Z", "last_at": "2026-11-26T14:30:00Z"}}
    """

    integration_id: str
    first_seen_at: datetime
    seen: Integration | None = None
    seen_at: datetime | None = None
    fine_at: datetime | None = None
    """The newest sighting without trouble."""
    suspicion: Suspicion | None = None
    opens: tuple[datetime, ...] = ()
    """When incidents opened, within the flapping window."""
    shortfall: Shortfall | None = None
    """How few events came, when they were last counted; None if that's as usual."""
    incident: Incident | None = None


@dataclass(frozen=True, slots=True)
class RunNews:
    """The newest sync started here, as far as it matters for an incident."""

    run_id: str
    starter: Person
    ended_at: datetime | None = None
    """None: it's being followed now."""
    succeeded: bool = False
    failed_as: Integration | None = None
    """It ended in this trouble, which was reported in its threads."""

    @property
    def active(self) -> bool:
        """Whether it's being followed."""
        return self.ended_at is None

    def repaired(self, incident: Incident) -> bool:
        """Whether this sync is the success that came after the incident opened."""
        return self.ended_at is None or (self.succeeded and self.ended_at > incident.opened_at)

    def tells(self, change: Change, incident: Incident) -> bool:
        """Whether its outcome reports, or will report, a change of an incident."""
        if self.active:
            return True
        if change is Change.RECOVERED:
            return self.repaired(incident)
        return (
            change is Change.CHANGED and self.failed_as is not None and same_failure(self.failed_as, incident.failure)
        )

    def told_of(self, seen: Integration, fine_at: datetime | None) -> bool:
        """Whether its threads reported this failure, with no good sighting in between."""
        if self.failed_as is None or self.ended_at is None or not same_failure(self.failed_as, seen):
            return False
        return fine_at is None or fine_at < self.ended_at


@dataclass(frozen=True, slots=True)
class Sighting:
    """One reading of one integration. ``integration`` is None if FloKit no longer has it."""

    at: datetime
    """When FloKit was asked (our clock)."""
    integration: Integration | None
    run: RunNews | None = None
    is_counted: bool = False
    """Whether its events were counted, too."""
    shortfall: Shortfall | None = None
    """What that showed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a sighting: what to store, what to report, and when to check again."""

    watched: Watched
    incident: Incident | None = None
    """The changed incident, which may be over now."""
    change: Change | None = None
    look_again_at: datetime | None = None


class _NewIncident(NamedTuple):
    """What an incident gets if one opens."""

    id: str
    team_id: str


def observe(watched: Watched, sighting: Sighting, rules: Rules, *, team_id: str, incident_id: str) -> Verdict:
    """Evaluate a sighting.

    Args:
        watched: what was known before.
        sighting: what was seen now.
        rules: what counts as an incident.
        team_id: the workspace's ID.
        incident_id: the ID for a new incident, if one opens.
    """
    if watched.seen_at is not None and sighting.at <= watched.seen_at:
        return Verdict(_dated(watched, sighting))
    if sighting.integration is None:
        return _gone(watched, sighting)
    if sighting.is_counted:
        watched = replace(watched, shortfall=sighting.shortfall)
    if watched.incident is None:
        return _without_incident(watched, sighting, sighting.integration, rules, _NewIncident(incident_id, team_id))
    return _with_incident(watched, watched.incident, sighting, sighting.integration, rules)


def trouble_of(
    integration: Integration, at: datetime, first_seen_at: datetime, shortfall: Shortfall | None = None
) -> Trouble | None:
    """Return what is wrong with an integration; None if nothing is."""
    if integration.status == Status.ERROR:
        return Trouble.FAILING
    if integration.status == Status.DISCONNECTED:
        return Trouble.DISCONNECTED
    if _is_overdue(integration, at, first_seen_at):
        return Trouble.STALE
    return Trouble.EMPTY if shortfall and integration.status == Status.CONNECTED else None


def _is_overdue(integration: Integration, at: datetime, first_seen_at: datetime) -> bool:
    """Whether the last success (or, without one, the first sighting) is too long ago."""
    if integration.unreadable_time:
        return False
    last = integration.last_synced_at or first_seen_at
    allowed_s = stale_after_s(integration)
    if integration.status == Status.SYNCING:
        allowed_s *= 2  # a running sync may bring the missing success; one that never ends is still reported
    return (at - last).total_seconds() > allowed_s


def _is_unknown(integration: Integration) -> bool:
    """Whether its state is undocumented: neither trouble nor proof of health."""
    return integration.status not in _STATUSES


def _says_nothing(integration: Integration) -> bool:
    return integration.status == Status.SYNCING or _is_unknown(integration)


def same_failure(one: Integration, other: Integration) -> bool:
    """Whether two states are the same failure, ignoring variable parts of the error text."""
    return one.status == other.status and same_text(one.error_message or "", other.error_message or "")


def _dated(watched: Watched, late: Sighting) -> Watched:
    """Apply a sighting older than the newest one, which can only date a suspicion."""
    suspicion = watched.suspicion
    if late.integration is None:
        return watched
    trouble = trouble_of(late.integration, late.at, watched.first_seen_at)
    if trouble is None and not _says_nothing(late.integration):
        if suspicion and suspicion.first_at < late.at:
            suspicion = replace(suspicion, first_at=suspicion.last_at)
        return replace(watched, suspicion=suspicion, fine_at=max(watched.fine_at or late.at, late.at))
    if suspicion and suspicion.trouble is trouble and (watched.fine_at is None or watched.fine_at < late.at):
        return replace(watched, suspicion=replace(suspicion, first_at=min(suspicion.first_at, late.at)))
    return watched


def _gone(watched: Watched, sighting: Sighting) -> Verdict:
    incident = watched.incident
    forgotten = replace(watched, seen=None, seen_at=sighting.at, suspicion=None, shortfall=None, incident=None)
    if incident is None:
        return Verdict(forgotten)
    closed = replace(incident, closed_at=sighting.at, seen_at=sighting.at, gone=True)
    return Verdict(forgotten, closed, Change.GONE)


def _without_incident(
    watched: Watched, sighting: Sighting, seen: Integration, rules: Rules, new: _NewIncident
) -> Verdict:
    at = sighting.at
    now_seen = replace(watched, seen=seen, seen_at=at)
    trouble = trouble_of(seen, at, watched.first_seen_at, watched.shortfall)
    if trouble is None:
        if _says_nothing(seen):
            return Verdict(now_seen)
        return Verdict(replace(now_seen, suspicion=None, fine_at=at))
    if sighting.run and sighting.run.active:
        return Verdict(replace(now_seen, suspicion=None))
    suspicion = watched.suspicion
    if suspicion is None or suspicion.trouble is not trouble:
        suspicion = Suspicion(trouble, at, at)
    suspicion = replace(suspicion, last_at=at)
    confirmed_at = suspicion.first_at + timedelta(seconds=rules.confirm_s)
    if at < confirmed_at:
        return Verdict(replace(now_seen, suspicion=suspicion), look_again_at=confirmed_at)
    return _open(now_seen, suspicion, sighting, seen, rules, new)


def _open(
    watched: Watched, suspicion: Suspicion, sighting: Sighting, seen: Integration, rules: Rules, new: _NewIncident
) -> Verdict:
    since = sighting.at - timedelta(seconds=rules.flapping_window_s)
    opens = (*(at for at in watched.opens if at > since), suspicion.first_at)
    run = sighting.run
    incident = Incident(
        id=new.id,
        team_id=new.team_id,
        integration=seen,
        seen_at=sighting.at,
        trouble=suspicion.trouble,
        failure=seen,
        opened_at=suspicion.first_at,
        flapping=len(opens) >= rules.flapping_opens,
        opens=len(opens),
        told=(_told_of(suspicion.trouble, seen),),
        continues_run_id=run.run_id if run and run.told_of(seen, watched.fine_at) else "",
        shortfall=watched.shortfall,
    )
    return Verdict(
        replace(watched, suspicion=None, opens=opens, incident=incident),
        incident,
        Change.OPENED,
    )


def _with_incident(
    watched: Watched, incident: Incident, sighting: Sighting, seen: Integration, rules: Rules
) -> Verdict:
    at = sighting.at
    trouble = trouble_of(seen, at, watched.first_seen_at, watched.shortfall)
    has_failed = incident.trouble in (Trouble.FAILING, Trouble.DISCONNECTED)
    if has_failed and (trouble is Trouble.STALE or not _has_newer_success(seen, incident)):
        trouble = trouble if trouble in (Trouble.FAILING, Trouble.DISCONNECTED) else None
        # it no longer fails; QUIET means that no success followed yet
    seen_now = replace(incident, integration=seen, seen_at=at, shortfall=watched.shortfall)
    if trouble is None and not _is_unknown(seen) and _is_over(watched, seen, incident):
        return _recovered(watched, seen_now, sighting, rules)
    if seen.status == Status.SYNCING:
        changed = incident.integration.status != Status.SYNCING
        return _kept(watched, seen_now, Change.SYNCING if changed else None)
    if trouble is None and _is_unknown(seen):
        return _kept(watched, seen_now, None)
    if trouble is None:
        changed = incident.quiet_since is None
        quiet = replace(seen_now, quiet_since=incident.quiet_since or at)
        return _kept(replace(watched, fine_at=at), quiet, Change.QUIET if changed else None)
    return _still_troubled(watched, incident, seen_now, trouble, rules)


def _has_newer_success(seen: Integration, incident: Incident) -> bool:
    """Whether a sync succeeded since the failure or, if its time can't be read, since the incident began."""
    if incident.failure.unreadable_time:
        return seen.last_synced_at is not None and seen.last_synced_at > incident.opened_at
    return seen.synced_after(incident.failure)


def _is_over(watched: Watched, seen: Integration, incident: Incident) -> bool:
    """Whether there's proof: events, if it was empty, and a newer success, if it was anything else."""
    if incident.trouble is Trouble.EMPTY:
        return watched.shortfall is None
    return _has_newer_success(seen, incident)


def _kept(watched: Watched, incident: Incident, change: Change | None) -> Verdict:
    kept = replace(watched, seen=incident.integration, seen_at=incident.seen_at, incident=incident)
    return Verdict(kept, incident if change else None, change)


def _recovered(watched: Watched, incident: Incident, sighting: Sighting, rules: Rules) -> Verdict:
    at = sighting.at
    if incident.flapping:
        calm_since = incident.quiet_since or at
        if (at - calm_since).total_seconds() < rules.flapping_window_s:
            changed = incident.quiet_since is None
            calm = replace(incident, quiet_since=calm_since)
            return _kept(replace(watched, fine_at=at), calm, Change.CALM if changed else None)
    run = sighting.run
    repaired_by = run.starter if run and run.repaired(incident) else None
    closed = replace(incident, closed_at=at, repaired_by=repaired_by)
    done = replace(watched, seen=incident.integration, seen_at=at, fine_at=at, suspicion=None, incident=None)
    return Verdict(done, closed, Change.RECOVERED)


def _told_of(trouble: Trouble, seen: Integration) -> Told:
    text = seen.error_message or ""
    return Told(trouble, text if len(text) <= REMEMBERED_CHARS else f"{text[:REMEMBERED_CHARS]}…")


def _still_troubled(watched: Watched, before: Incident, seen_now: Incident, trouble: Trouble, rules: Rules) -> Verdict:
    seen, at = seen_now.integration, seen_now.seen_at
    after = replace(seen_now, trouble=trouble, failure=seen, quiet_since=None)
    if before.flapping and before.quiet_since is not None:
        since = at - timedelta(seconds=rules.flapping_window_s)
        opens = (*(opened for opened in watched.opens if opened > since), at)
        watched, after = replace(watched, opens=opens), replace(after, opens=len(opens))
    now, last = _told_of(trouble, seen), _told_of(before.trouble, before.failure)
    told = before.told or (last,)
    if not any(one.is_same(now) for one in told):
        if before.changed_at is None or at - before.changed_at >= CHANGE_EVERY:
            after = replace(after, told=(*told, now)[-REMEMBERED:], changed_at=at)
            return _kept(watched, after, Change.CHANGED)
        if not last.is_same(now):
            return _kept(watched, after, Change.EDITED)
    elif not last.is_same(now):
        return _kept(watched, replace(after, repeats=before.repeats + 1), Change.REPEATED)
    if trouble is Trouble.EMPTY:
        return _kept(watched, after, Change.COUNTED if after.shortfall != before.shortfall else None)
    paused = before.quiet_since is not None or before.integration.status == Status.SYNCING
    if paused or _has_newer_success(seen, before):
        return _kept(watched, replace(after, repeats=before.repeats + 1), Change.REPEATED)
    return _kept(watched, after, None)
