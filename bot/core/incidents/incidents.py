"""When something is worth telling without being asked. Everything that decides about incidents stands in this file.

    an integration has …     a sighting shows …                               … and this follows
    ────────────────────     ─────────────────────────────────────────────    ──────────────────────────────────────
    no incident              trouble, while somebody follows a sync of it     nothing: its thread tells
                             trouble for the first time                       a suspicion; a second look is due soon
                             the same trouble, ``confirm_s`` later            OPENED (flapping after several opens)
                             no trouble                                       the suspicion is dropped
                             ``syncing``, or an unknown state                 nothing: neither trouble nor proof
    an open incident         a trouble or an error text not told yet          CHANGED, once in ``CHANGE_EVERY``;
                                                                              EDITED until then
                             one that was told earlier and came back          REPEATED: a counter goes up
                             the same trouble after a sync or a quiet time    REPEATED: a counter goes up
                             ``syncing``                                      SYNCING
                             an unknown state                                 nothing
                             no trouble, no newer success either              QUIET: not proven yet
                             no trouble and a newer success                   RECOVERED; while flapping: CALM, and
                                                                              RECOVERED after a calm window
                             it is gone                                       GONE
    anything                 what is older than what was seen before          nothing, but it may date a suspicion

A sighting is one look at FloKit, whoever asked for it and why: a poll, a webhook's hint, a follow-up, a person.
FloKit being away is no sighting at all. Nothing here waits, asks, or knows who is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bot.core.advice import stale_after_s
from bot.core.error_texts import same_text
from bot.core.models import Integration, Person, Status

_STATUSES: Final = frozenset(Status)


class Trouble(StrEnum):
    """What is wrong with an integration."""

    FAILING = "failing"
    DISCONNECTED = "disconnected"
    STALE = "stale"
    """No success for longer than is usual for its type, although nothing else is wrong."""


class Change(StrEnum):
    """What a sighting did to an incident."""

    OPENED = "opened"
    CHANGED = "changed"
    EDITED = "edited"
    """Another failure so soon after the last one was told that only the message shows it for now."""
    REPEATED = "repeated"
    SYNCING = "syncing"
    QUIET = "quiet"
    CALM = "calm"
    RECOVERED = "recovered"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as an incident; the settings fill it."""

    confirm_s: float = 5.0
    """How far apart two looks are that show the same trouble before it is believed."""
    flapping_opens: int = 3
    """So many incidents within the window, and the last one becomes the one rolling message."""
    flapping_window_s: float = 3600.0


CHANGE_EVERY: Final = timedelta(minutes=10)
"""At most so often it is told that an incident is another failure now; a message in the channel, where it is loud."""

REMEMBERED: Final = 10
"""So many failures of an incident are remembered as told."""

REMEMBERED_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Told:
    """A failure that was told within an incident. A long text is cut, which "…" shows."""

    trouble: Trouble
    text: str = ""

    def is_same(self, other: Told) -> bool:
        """Tell whether both are the same failure; how long nothing succeeded makes no difference."""
        if self.trouble is not other.trouble:
            return False
        return self.trouble is Trouble.STALE or same_text(self.text, other.text)


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble of one integration, from its first sight to the proof that it is over."""

    id: str
    team_id: str
    integration: Integration
    """As it was seen last."""
    seen_at: datetime
    trouble: Trouble
    failure: Integration
    """As it was when the trouble was seen last: only a success newer than the one it shows proves recovery."""
    opened_at: datetime
    """The look that showed it first."""
    repeats: int = 0
    quiet_since: datetime | None = None
    """No trouble seen since, without proof; while flapping, also with proof."""
    flapping: bool = False
    opens: int = 1
    """How often it opened within the flapping window, this time included."""
    continues_run_id: str = ""
    """The sync whose thread told this failure already."""
    closed_at: datetime | None = None
    gone: bool = False
    repaired_by: Person | None = None
    """Whose resync brought the success, where it was one."""
    told: tuple[Told, ...] = ()
    """The failures that were told so far, the newest last; the first one opened it."""
    changed_at: datetime | None = None
    """When it was told last that this is another failure now."""

    @property
    def is_open(self) -> bool:
        """It is not over yet."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Trouble that was seen, and is not believed yet."""

    trouble: Trouble
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of one integration between two sightings."""

    integration_id: str
    first_seen_at: datetime
    seen: Integration | None = None
    seen_at: datetime | None = None
    fine_at: datetime | None = None
    """The newest look that showed no trouble."""
    suspicion: Suspicion | None = None
    opens: tuple[datetime, ...] = ()
    """When incidents opened, within the flapping window."""
    incident: Incident | None = None


@dataclass(frozen=True, slots=True)
class RunNews:
    """What the newest sync that was asked for here means for an incident."""

    run_id: str
    starter: Person
    ended_at: datetime | None = None
    """None: somebody follows it right now."""
    succeeded: bool = False
    failed_as: Integration | None = None
    """It ended in this trouble, and its threads were told."""

    @property
    def active(self) -> bool:
        """It is being followed."""
        return self.ended_at is None

    def repaired(self, incident: Incident) -> bool:
        """Tell whether a success that came after the incident opened is this sync's."""
        return self.ended_at is None or (self.succeeded and self.ended_at > incident.opened_at)

    def tells(self, change: Change, incident: Incident) -> bool:
        """Tell whether its own outcome says, or will say, what a change of an incident is."""
        if self.active:
            return True
        if change is Change.RECOVERED:
            return self.repaired(incident)
        return (
            change is Change.CHANGED and self.failed_as is not None and same_failure(self.failed_as, incident.failure)
        )

    def told_of(self, seen: Integration, fine_at: datetime | None) -> bool:
        """Tell whether its threads know this very failure, with nothing fine in between."""
        if self.failed_as is None or self.ended_at is None or not same_failure(self.failed_as, seen):
            return False
        return fine_at is None or fine_at < self.ended_at


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at one integration. ``integration`` is None when FloKit no longer has it."""

    at: datetime
    """When FloKit was asked (our clock)."""
    integration: Integration | None
    run: RunNews | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a sighting: what to keep, what to tell, and when to look again to be sure."""

    watched: Watched
    incident: Incident | None = None
    """The incident that changed; it may be over now."""
    change: Change | None = None
    look_again_at: datetime | None = None


def observe(watched: Watched, sighting: Sighting, rules: Rules, *, team_id: str, incident_id: str) -> Verdict:
    """Decide what a sighting means.

    Args:
        watched: what was known before.
        sighting: what was seen now.
        rules: what counts as an incident.
        team_id: whose workspace it is.
        incident_id: the id for a new incident, should one open.
    """
    if watched.seen_at is not None and sighting.at <= watched.seen_at:
        return Verdict(_dated(watched, sighting))
    if sighting.integration is None:
        return _gone(watched, sighting)
    if watched.incident is None:
        return _without_incident(watched, sighting, sighting.integration, rules, team_id, incident_id)
    return _with_incident(watched, watched.incident, sighting, sighting.integration, rules)


def trouble_of(integration: Integration, at: datetime, first_seen_at: datetime) -> Trouble | None:
    """Tell what is wrong with an integration; None when nothing is."""
    if integration.status == Status.ERROR:
        return Trouble.FAILING
    if integration.status == Status.DISCONNECTED:
        return Trouble.DISCONNECTED
    return Trouble.STALE if _is_overdue(integration, at, first_seen_at) else None


def _is_overdue(integration: Integration, at: datetime, first_seen_at: datetime) -> bool:
    """Tell whether the last success (or, before the first one, the first sight) is too long ago."""
    if integration.unreadable_time:
        return False
    last = integration.last_synced_at or first_seen_at
    allowed_s = stale_after_s(integration)
    if integration.status == Status.SYNCING:
        allowed_s *= 2  # the success that is missing may be on its way; one that never ends is told all the same
    return (at - last).total_seconds() > allowed_s


def _is_unknown(integration: Integration) -> bool:
    """Tell whether it is in a state that nobody documented: neither trouble nor proof of health."""
    return integration.status not in _STATUSES


def _says_nothing(integration: Integration) -> bool:
    return integration.status == Status.SYNCING or _is_unknown(integration)


def same_failure(one: Integration, other: Integration) -> bool:
    """Tell whether two states are the same failure: what varies within the error text does not count."""
    return one.status == other.status and same_text(one.error_message or "", other.error_message or "")


# --- no incident -----------------------------------------------------------------------------------------------


def _dated(watched: Watched, late: Sighting) -> Watched:
    """A look that began before one that was seen already changes nothing but the date of a suspicion."""
    suspicion = watched.suspicion
    if late.integration is None:
        return watched
    trouble = trouble_of(late.integration, late.at, watched.first_seen_at)
    if trouble is None and not _says_nothing(late.integration):
        if suspicion and suspicion.first_at < late.at:
            suspicion = replace(suspicion, first_at=suspicion.last_at)
        return replace(watched, suspicion=suspicion, fine_at=_later(watched.fine_at, late.at))
    if suspicion and suspicion.trouble is trouble and (watched.fine_at is None or watched.fine_at < late.at):
        return replace(watched, suspicion=replace(suspicion, first_at=min(suspicion.first_at, late.at)))
    return watched


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


def _gone(watched: Watched, sighting: Sighting) -> Verdict:
    incident = watched.incident
    forgotten = replace(watched, seen=None, seen_at=sighting.at, suspicion=None, incident=None)
    if incident is None:
        return Verdict(forgotten)
    closed = replace(incident, closed_at=sighting.at, seen_at=sighting.at, gone=True)
    return Verdict(forgotten, closed, Change.GONE)


def _without_incident(
    watched: Watched, sighting: Sighting, seen: Integration, rules: Rules, team_id: str, incident_id: str
) -> Verdict:
    at = sighting.at
    now_seen = replace(watched, seen=seen, seen_at=at)
    trouble = trouble_of(seen, at, watched.first_seen_at)
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
    return _open(now_seen, suspicion, sighting, seen, rules, team_id, incident_id)


def _open(
    watched: Watched,
    suspicion: Suspicion,
    sighting: Sighting,
    seen: Integration,
    rules: Rules,
    team_id: str,
    incident_id: str,
) -> Verdict:
    since = sighting.at - timedelta(seconds=rules.flapping_window_s)
    opens = (*(at for at in watched.opens if at > since), suspicion.first_at)
    run = sighting.run
    incident = Incident(
        id=incident_id,
        team_id=team_id,
        integration=seen,
        seen_at=sighting.at,
        trouble=suspicion.trouble,
        failure=seen,
        opened_at=suspicion.first_at,
        flapping=len(opens) >= rules.flapping_opens,
        opens=len(opens),
        told=(_told_of(suspicion.trouble, seen),),
        continues_run_id=run.run_id if run and run.told_of(seen, watched.fine_at) else "",
    )
    return Verdict(
        replace(watched, suspicion=None, opens=opens, incident=incident),
        incident,
        Change.OPENED,
    )


# --- an open incident ------------------------------------------------------------------------------------------


def _with_incident(
    watched: Watched, incident: Incident, sighting: Sighting, seen: Integration, rules: Rules
) -> Verdict:
    at = sighting.at
    trouble = trouble_of(seen, at, watched.first_seen_at)
    if trouble is Trouble.STALE and incident.trouble is not Trouble.STALE:
        trouble = None  # it no longer fails; that no success followed yet is what QUIET says
    seen_now = replace(incident, integration=seen, seen_at=at)
    if trouble is None and not _is_unknown(seen) and _has_newer_success(seen, incident):
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
    """Tell whether a sync succeeded since the failure; if its time can't be read, since the incident began."""
    if incident.failure.unreadable_time:
        return seen.last_synced_at is not None and seen.last_synced_at > incident.opened_at
    return seen.synced_after(incident.failure)


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
    paused = before.quiet_since is not None or before.integration.status == Status.SYNCING
    if paused or _has_newer_success(seen, before):
        return _kept(watched, replace(after, repeats=before.repeats + 1), Change.REPEATED)
    return _kept(watched, after, None)
