"""The state machine of a sync run: everything that decides what really happened. No I/O.

    phase        waits for            an observation …                          … moves the run to
    ─────────    ─────────────────    ──────────────────────────────────────    ─────────────────────────────────
    BASELINE     a first check        Seen                                      TRIGGER
                                      Missing · Denied                          DONE: gone · access_lost
                                      Unreachable                               BASELINE, later
    TRIGGER      the POST             attempt() records it before it's sent     CONFIRMING
                                      any check: a POST needs fresh data        as from BASELINE; as from CONFIRMING
                                                                                if an earlier POST was lost
    CONFIRMING   a reply, or a sign   TriggerAccepted                           WATCHING
                 of a started sync    TriggerDenied                             DONE: access_lost, nothing started
                                      TriggerRefused                            DONE: not_confirmed, nothing started;
                                                                                CONFIRMING if an earlier POST was lost
                                      TriggerNotSent                            BASELINE, later; CONFIRMING if an
                                                                                earlier POST was lost
                                      TriggerLost · Unreachable                 CONFIRMING
                                      Seen, with a sign                         WATCHING, or an outcome
                                      Seen, no sign within the grace time       TRIGGER (at most MAX_ATTEMPTS in all)
                                      Missing · Denied                          DONE: gone · access_lost
    WATCHING     proof                Seen, with proof                          DONE: see ``_verdict``
                                      Missing · Denied                          DONE: gone · access_lost
                                      Unreachable                               WATCHING
    LATE         proof, slowly        Seen, with proof · Missing                DONE: the late result
                                      anything else                             LATE, until ``late_until``
    DONE         nothing              anything                                  DONE, unchanged

    ``Listed`` never changes the phase: a list is a hint, only the integration's own page is proof. ``needs_proof``
    decides whether a hint is worth reading that page; ``probe_of`` picks a page to read without a hint.

    BASELINE, CONFIRMING, WATCHING at the deadline without a verdict: not_confirmed, then LATE (DONE if no POST was
    ever sent).

What counts as proof: an accepted POST proves nothing, an old error isn't news, and an unreachable FloKit is never a
failure.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from bot.core.error_texts import same_text
from bot.core.errors import IllegalObservation
from bot.core.models import (
    UNKNOWN,
    Decision,
    Denied,
    Integration,
    Listed,
    Missing,
    Observation,
    Outcome,
    Phase,
    Seen,
    Status,
    SyncRun,
    Telling,
    TriggerAccepted,
    TriggerDenied,
    TriggerLost,
    TriggerNotSent,
    TriggerRefused,
    Unreachable,
)
from bot.core.runs.durations import pause_s

MAX_ATTEMPTS: Final = 3
"""How many POSTs of a run can lose their replies before it only watches."""

BACKOFF: Final = 1.5
JITTER: Final = 0.2
"""The share by which a wait may be shortened, so that runs started together aren't checked in step."""

SHORTEST_SHARE: Final = 0.25
"""The minimum time between planned checks, as a share of the time until the first check."""

ALONG_SHARE: Final = 0.35
"""The share of a wait after which a check made for other runs serves this one too. Less than half of the shortest
wait, so that two groups of runs can't alternate forever."""

LATE_INTERVALS: Final = 10
"""The slow watch checks every ten longest intervals …"""
LATE_DEADLINES: Final = 10
"""… for ten more deadlines."""

PROBE_EVERY: Final = 10
"""After this many lists, the page of one of their runs is read as well, because a list may lag."""

DOUBTED_EVERY: Final = 4
"""After this many lists, a page that contradicts its list is read again."""

USUAL_ENDS: Final = 1.5
"""After this many times the usual duration, a sync's page is read even if the list still shows it running."""

STARTED: Final = (Telling.PROGRESS, Telling.ROW)
"""Updated when a run opens, is joined, or is seen to have started."""

_WITHOUT_ERROR: Final = (Status.CONNECTED, Status.SYNCING, Status.DISCONNECTED)

_REACHED: Final[dict[str, Any]] = {"unreachable_since": None, "unreachable_reason": "", "unreachable_words": ""}
_NO_REASON: Final[dict[str, Any]] = {"reason": "", "reason_words": ""}
"""Resets these once FloKit replied, or once the POST arrived."""

_EVERYTHING: Final = (Telling.OUTCOME, Telling.PROGRESS, Telling.ROW)


def open_run(run: SyncRun) -> Decision:
    """Open a run for a click; it's checked and shown immediately."""
    return Decision(run, run.requested_at, STARTED)


def attempt(run: SyncRun, now: datetime) -> SyncRun:
    """Record that a POST is about to be sent; save this before sending it.

    Raises:
        IllegalObservation: the run isn't waiting for a POST.
    """
    if run.phase is not Phase.TRIGGER:
        raise IllegalObservation(f"a run in phase {run.phase} must not be triggered")
    return replace(
        run,
        phase=Phase.CONFIRMING,
        attempts=run.attempts + 1,
        attempted_at=now,
        posted_vendor_at=_vendor_time(run, now),
        idle_since=None,  # being idle before this POST says nothing about its sync
    )


def keep_watching(run: SyncRun, now: datetime) -> Decision:
    """Check at the normal pace for one more deadline, after ``not_confirmed``.

    A run with another outcome, or without a POST, is returned unchanged: there's nothing to watch.
    """
    if run.outcome is not Outcome.NOT_CONFIRMED or run.attempts == 0:
        return Decision(run, None) if run.phase is Phase.DONE else _look_later(run, now)
    until = now + timedelta(seconds=run.patience.deadline_s)
    kept = replace(
        run,
        phase=Phase.LATE,
        looks=0,
        keep_until=until,
        late_until=max(until, run.late_until) if run.late_until else until,
    )
    return Decision(kept, now, (Telling.PROGRESS,))


def decide(run: SyncRun, observation: Observation, now: datetime) -> Decision:
    """Apply an observation to a run: return the new run, when to act next, and what to show.

    Polls, webhooks and replies to our own POST all come in here. A run that is DONE is returned unchanged.

    Raises:
        IllegalObservation: a reply to a POST for a run that isn't waiting for one.
    """
    if run.phase is Phase.DONE:
        return Decision(run, None)
    match observation:
        case Listed():
            return _decide_listed(_step_back(run), observation, now)
        case Seen():
            return _decide_seen(_note_look(_step_back(run), observation, now), observation.integration, now)
        case Missing():
            return _end(run, Outcome.GONE, now)
        case Denied():
            return _decide_denied(run, observation, now)
        case Unreachable():
            return _decide_unreachable(_step_back(run), observation, now)
        case _ if run.phase is not Phase.CONFIRMING:
            raise IllegalObservation(f"{type(observation).__name__} for a run in phase {run.phase}")
        case TriggerAccepted():
            return _decide_accepted(run, observation, now)
        case TriggerDenied():
            return _end(_because(replace(run, attempts=run.attempts - 1), observation), Outcome.ACCESS_LOST, now)
        case TriggerRefused():
            return _decide_refused(run, observation, now)
        case TriggerNotSent():
            return _decide_not_sent(run, observation, now)
        case TriggerLost():
            return _go_on(_because(replace(run, looks=0), observation), now, tell=(Telling.PROGRESS,))


def needs_proof(run: SyncRun, hint: Integration, now: datetime) -> bool:
    """Whether a run's own page must be read after a list showed ``hint``.

    It must if the list shows something new, if one of the run's deadlines passed since the page was read, and
    occasionally while the two contradict each other.
    """
    if run.last_seen is None or run.last_seen_at is None or not _same_sight(run.hinted or run.last_seen, hint):
        return True
    if any(run.last_seen_at < moment <= now for moment in _moments(run)):
        return True
    is_doubted = run.listed >= DOUBTED_EVERY - 1 and not _same_sight(run.last_seen, hint)
    return is_doubted and _would_move(run, hint, now)


def probe_of(runs: Sequence[SyncRun]) -> SyncRun | None:
    """Return the run whose page to read if a list has no hints; None if none is due."""
    if min(run.listed for run in runs) < PROBE_EVERY - 1:
        return None
    return max(runs, key=lambda run: (run.listed, run.id))


def is_hidden_by(hint: Integration | None, run: SyncRun, seen: Seen, now: datetime) -> bool:
    """Whether a list hides what a page showed: another state, or an outcome."""
    if hint is None or hint.status != seen.integration.status:
        return True
    return run.is_watched and decide(run, seen, now).run.outcome is not run.outcome


def _same_sight(one: Integration, other: Integration) -> bool:
    return (
        (one.status, one.last_synced_at, one.unreadable_time)
        == (other.status, other.last_synced_at, other.unreadable_time)
    ) and same_text(one.error_message or "", other.error_message or "")


def _would_move(run: SyncRun, hint: Integration, now: datetime) -> bool:
    """Whether the run would move on if the hint were proof."""
    after = decide(run, Seen(hint), now).run
    changed = (after.outcome, after.phase) != (run.outcome, run.phase)
    return changed or any(
        (getattr(after, since) is None) != (getattr(run, since) is None) for since in ("syncing_since", "idle_since")
    )


def _moments(run: SyncRun) -> tuple[datetime, ...]:
    """Return the times after which a run's page says more than a list: ends of waits, and the usual end."""
    usual: tuple[datetime, ...] = ()
    if run.expected and run.accepted_at and run.phase is not Phase.LATE:
        usual_s = min(run.expected.median_s * USUAL_ENDS, run.patience.deadline_s)
        usual = (run.accepted_at + timedelta(seconds=usual_s),)
    return *_grace_ends(run), *(moment for moment in _watch_ends(run) if moment), *usual


def _decide_listed(run: SyncRun, listed: Listed, now: datetime) -> Decision:
    run = replace(
        run,
        looks=run.looks + 1,
        hinted=listed.integration,
        listed=run.listed + 1,
        fault_id="",
        **_REACHED,
    )
    return _go_on(run, now, tell=(Telling.PROGRESS,))


def postpone(run: SyncRun, seconds: float, reason: str, now: datetime) -> Decision:
    """Check later, because the budget doesn't allow it now. That says nothing about FloKit, unless the watch ends."""
    if _past_deadline(run, now):
        return decide(run, Unreachable(reason), now)
    at = now + timedelta(seconds=min(run.patience.deadline_s, seconds))
    return Decision(run, _no_later_than(_watch_ends(run), at, now))


def stumble(run: SyncRun, fault_id: str, now: datetime) -> Decision:
    """Continue after an unexpected error in the bot, which says nothing about the sync; ``fault_id`` is in the log."""
    news = not run.fault_id and run.phase is not Phase.LATE
    run = replace(_step_back(run), looks=run.looks + 1, fault_id=fault_id)
    if _past_deadline(run, now):
        return _end(run, Outcome.NOT_CONFIRMED, now)
    return _go_on(run, now, tell=(Telling.PROGRESS,) if news else ())


def _step_back(run: SyncRun) -> SyncRun:
    """Undo TRIGGER if a check comes before the POST, which must be based on the newest data."""
    if run.phase is not Phase.TRIGGER:
        return run
    return replace(run, phase=Phase.CONFIRMING if run.attempts else Phase.BASELINE)


def _decide_accepted(run: SyncRun, accepted: TriggerAccepted, now: datetime) -> Decision:
    run = replace(
        run,
        phase=Phase.WATCHING,
        accepted_at=now,
        sync_id=accepted.sync_id,
        posted_vendor_at=accepted.vendor_at or run.posted_vendor_at,
        looks=0,
        **_REACHED,
        **_NO_REASON,
    )
    return _go_on(run, now, tell=STARTED)


def _decide_refused(run: SyncRun, refused: TriggerRefused, now: datetime) -> Decision:
    """Nothing was started by this attempt, but the reason may be a sync started by an earlier, lost one."""
    run = _because(run, replace(refused, reason=refused.reason or f"HTTP {refused.http_status}"))
    if run.attempts > 1:
        return _go_on(replace(run, looks=0), now, tell=(Telling.PROGRESS,))
    return _end(replace(run, attempts=0), Outcome.NOT_CONFIRMED, now)


def _decide_not_sent(run: SyncRun, not_sent: TriggerNotSent, now: datetime) -> Decision:
    """Nothing was started by this attempt. Without an earlier, lost one, the baseline is read again before the next."""
    attempts = run.attempts - 1
    run = replace(
        run,
        phase=Phase.CONFIRMING if attempts else Phase.BASELINE,
        attempts=attempts,
        attempted_at=run.attempted_at if attempts else None,
        posted_vendor_at=run.posted_vendor_at if attempts else None,
    )
    return _decide_unreachable(run, Unreachable(not_sent.reason, not_sent.retry_after_s), now)


def _note_look(run: SyncRun, seen: Seen, now: datetime) -> SyncRun:
    offset_s = (seen.vendor_at - now).total_seconds() if seen.vendor_at else run.clock_offset_s
    return replace(
        run,
        last_seen=seen.integration,
        last_seen_at=now,
        clock_offset_s=offset_s,
        looks=run.looks + 1,
        hinted=seen.hinted or run.hinted,
        listed=0,
        fault_id="",
        **_REACHED,
    )


def _decide_seen(run: SyncRun, integration: Integration, now: datetime) -> Decision:
    if run.phase is Phase.BASELINE:
        if _past_deadline(run, now):
            return _end(run, Outcome.NOT_CONFIRMED, now)
        # A sync seen before a new baseline isn't the one this run will start.
        type_ = run.integration_type if integration.type == UNKNOWN else integration.type
        run = replace(run, baseline=integration, integration_type=type_, syncing_since=None)
        return Decision(replace(run, phase=Phase.TRIGGER), now)

    was_syncing = run.syncing_since is not None
    run = _note_status(run, integration, now)
    verdict = _verdict(run, integration, now)
    if verdict:
        return _end(run, verdict, now)
    started = run.syncing_since is not None and not was_syncing
    if run.phase is Phase.CONFIRMING and _sign_of_start(run, integration):
        run = replace(run, phase=Phase.WATCHING, accepted_at=now, **_NO_REASON)
    if _past_deadline(run, now):
        return _end(run, Outcome.NOT_CONFIRMED, now)
    if _should_trigger_again(run, integration, now):
        return Decision(replace(run, phase=Phase.TRIGGER), now)
    return _go_on(run, now, tell=STARTED if started else (Telling.PROGRESS,))


def _note_status(run: SyncRun, integration: Integration, now: datetime) -> SyncRun:
    """Record since when the run has been syncing, or idle after that."""
    if integration.status == Status.SYNCING:
        return replace(run, syncing_since=run.syncing_since or now, idle_since=None)
    if integration.status in (Status.CONNECTED, Status.ERROR) and _was_syncing(run):
        return replace(run, idle_since=run.idle_since or now)
    return run


def _verdict(run: SyncRun, integration: Integration, now: datetime) -> Outcome | None:
    """Return what this check proves about this run; None: nothing yet."""
    watched = run.accepted_at is not None
    match integration.status:
        case Status.CONNECTED:
            if _newer_success(run, integration):
                return Outcome.SUCCEEDED
            if watched and _waited(run.idle_since, run, now):
                return Outcome.FINISHED_UNPROVEN
        case Status.ERROR:
            if _error_is_news(run):
                return Outcome.FAILED if _error_is_ours(run, now) else None
            changed = _text_changed(run, integration)
            if changed and _waited(run.accepted_at or run.attempted_at, run, now):
                return Outcome.FAILED
            if watched and _waited(run.accepted_at, run, now):
                is_other = _moved(run, integration) or not _was_failing(run)
                return Outcome.FAILED if is_other else Outcome.FAILED_AGAIN
        case Status.DISCONNECTED:
            if run.baseline is None or run.baseline.status != Status.DISCONNECTED:
                return Outcome.DISCONNECTED
            if _waited(run.attempted_at, run, now):
                return Outcome.DISCONNECTED
    return None


def _newer_success(run: SyncRun, integration: Integration) -> bool:
    """Whether a success belongs to this run.

    If a sync was already running at the click, the first new success may be that one's, so ours must not be older
    than FloKit's time of our POST. That time is an HTTP ``Date``, cut to whole seconds, so a success within the same
    second counts: the baseline, read just before, still showed ``syncing``. The same rule applies if the baseline's
    time can't be read.
    """
    after, posted_at = integration.last_synced_at, run.posted_vendor_at
    if after is None:
        return False
    is_later = posted_at is not None and after >= posted_at.replace(microsecond=0)
    if run.baseline and run.baseline.unreadable_time:
        return is_later
    return _moved(run, integration) and (is_later or not run.overlapped or posted_at is None)


def _moved(run: SyncRun, integration: Integration) -> bool:
    """Whether the last success is newer than before the POST; false if that one can't be read."""
    return integration.synced_after(run.baseline)


def _error_is_news(run: SyncRun) -> bool:
    """Whether an error can't be the one from before the POST.

    A baseline in an unknown state proves nothing: the old error may have been there too.
    """
    return bool(run.syncing_since) or run.baseline is None or run.baseline.status in _WITHOUT_ERROR


def _was_failing(run: SyncRun) -> bool:
    return run.baseline is not None and run.baseline.status == Status.ERROR


def _text_changed(run: SyncRun, integration: Integration) -> bool:
    """Whether an old error's text has changed: weak evidence, because vendors reword errors.

    It counts if nothing better came within the grace time.
    """
    before = run.baseline.error_message if run.baseline and _was_failing(run) else None
    after = integration.error_message
    return before is not None and after is not None and not same_text(before, after)


def _error_is_ours(run: SyncRun, now: datetime) -> bool:
    """Whether an error belongs to this run: if a sync was already running at the click, the first may be that one's."""
    return not run.overlapped or (run.accepted_at is not None and _waited(run.idle_since, run, now))


def _was_syncing(run: SyncRun) -> bool:
    return run.syncing_since is not None or run.overlapped


def _sign_of_start(run: SyncRun, integration: Integration) -> bool:
    """Whether a POST without a reply arrived: the sign is ``syncing`` where it wasn't before."""
    return integration.status == Status.SYNCING and not run.overlapped


def _should_trigger_again(run: SyncRun, integration: Integration, now: datetime) -> bool:
    return (
        run.phase is Phase.CONFIRMING
        and integration.status != Status.SYNCING
        and run.attempts < MAX_ATTEMPTS
        and _waited(run.attempted_at, run, now)
    )


def _decide_denied(run: SyncRun, denied: Denied, now: datetime) -> Decision:
    if run.phase is Phase.LATE:  # the outcome was posted; a lost key isn't a result of this sync
        return _go_on(replace(run, looks=run.looks + 1), now)
    return _end(_because(run, denied), Outcome.ACCESS_LOST, now)


def _because(run: SyncRun, answer: Denied | TriggerDenied | TriggerRefused | TriggerLost) -> SyncRun:
    return replace(run, reason=answer.reason, reason_words=answer.vendor_words)


def _decide_unreachable(run: SyncRun, observation: Unreachable, now: datetime) -> Decision:
    news = run.unreachable_since is None and run.phase is not Phase.LATE
    run = replace(
        run,
        looks=run.looks + 1,
        unreachable_since=run.unreachable_since or now,
        unreachable_reason=observation.reason,
        unreachable_words=observation.vendor_words,
    )
    if _past_deadline(run, now):
        return _end(run, Outcome.NOT_CONFIRMED, now)
    return _go_on(run, now, tell=(Telling.PROGRESS,) if news else (), not_before_s=observation.retry_after_s)


def _end(run: SyncRun, outcome: Outcome, now: datetime) -> Decision:
    run = replace(run, outcome=outcome, ended_at=now)
    if outcome is Outcome.NOT_CONFIRMED and run.attempts > 0:  # a result may still come
        late_s = LATE_DEADLINES * run.patience.deadline_s
        run = replace(run, phase=Phase.LATE, late_until=now + timedelta(seconds=late_s))
        return _look_later(run, now, tell=_EVERYTHING)
    return Decision(replace(run, phase=Phase.DONE), None, _EVERYTHING)


def _past_deadline(run: SyncRun, now: datetime) -> bool:
    return run.phase is not Phase.LATE and now >= _deadline_at(run)


def _deadline_at(run: SyncRun) -> datetime:
    return run.requested_at + timedelta(seconds=run.patience.deadline_s)


def _waited(since: datetime | None, run: SyncRun, now: datetime) -> bool:
    return since is not None and now >= since + timedelta(seconds=run.patience.grace_s)


def _vendor_time(run: SyncRun, now: datetime) -> datetime | None:
    return None if run.clock_offset_s is None else now + timedelta(seconds=run.clock_offset_s)


def _go_on(
    run: SyncRun, now: datetime, *, tell: tuple[Telling, ...] = (), not_before_s: float | None = None
) -> Decision:
    if run.phase is Phase.LATE:
        if run.late_until and now >= run.late_until:
            return Decision(replace(run, phase=Phase.DONE), None, (Telling.PROGRESS,))
        tell = (Telling.PROGRESS,) if run.keep_until else ()
        if run.keep_until and now >= run.keep_until:
            run = replace(run, keep_until=None)
    return _look_later(run, now, tell=tell, not_before_s=not_before_s)


def _look_later(
    run: SyncRun, now: datetime, *, tell: tuple[Telling, ...] = (), not_before_s: float | None = None
) -> Decision:
    """Wait one interval, but not past one of the run's deadlines, and at least as long as FloKit asked."""
    # Bounded, so that no number of FloKit's overflows a date.
    allowed_at = now + timedelta(seconds=max(0.0, min(run.patience.deadline_s, not_before_s or 0.0)))
    at = _no_later_than(_grace_ends(run), now + timedelta(seconds=_interval_s(run, now)), now)
    at = _no_later_than(_watch_ends(run), max(at, allowed_at), now)
    along_at = min(at, max(allowed_at, now + (at - now) * ALONG_SHARE)) if run.is_watched else None
    return Decision(run, at, tell, along_at)


def _no_later_than(moments: tuple[datetime | None, ...], at: datetime, now: datetime) -> datetime:
    return min([at, *(moment for moment in moments if moment and moment > now)])


def _interval_s(run: SyncRun, now: datetime) -> float:
    """Return the jittered wait: as planned from history or, without any, with backoff."""
    patience = run.patience
    if run.phase is Phase.LATE and not run.keep_until:
        interval_s = patience.max_interval_s * LATE_INTERVALS
    else:
        backed_off_s = min(patience.max_interval_s, patience.first_look_s * BACKOFF ** min(run.looks, 64))
        interval_s = _planned_s(run, now) or backed_off_s
    return interval_s * (1 - JITTER * _spread(run))


def _planned_s(run: SyncRun, now: datetime) -> float | None:
    """Plan by history while FloKit shows the sync running; the first check is always early."""
    if run.expected is None or run.accepted_at is None or run.looks == 0 or not _is_under_way(run):
        return None
    return pause_s(
        run.expected,
        (now - run.accepted_at).total_seconds(),
        shortest_s=run.patience.first_look_s * SHORTEST_SHARE,
        longest_s=run.patience.max_interval_s,
    )


def _is_under_way(run: SyncRun) -> bool:
    """Whether the newest check showed the sync running, so that only its end is pending."""
    return run.unreachable_since is None and run.last_seen is not None and run.last_seen.status == Status.SYNCING


def _spread(run: SyncRun) -> float:
    """Return a number between 0 and 1, deterministic per run and check: jitter without a random source."""
    return zlib.crc32(f"{run.id}:{run.looks}".encode()) / 0xFFFF_FFFF


def _grace_ends(run: SyncRun) -> tuple[datetime, ...]:
    """Return the times at which waiting ends, so that a check comes then and not one interval later.

    While a sync is running, there are none.
    """
    if run.phase is Phase.WATCHING and _is_under_way(run):
        return ()
    grace = timedelta(seconds=run.patience.grace_s)
    return tuple(since + grace for since in (run.attempted_at, run.accepted_at, run.idle_since) if since)


def _watch_ends(run: SyncRun) -> tuple[datetime | None, ...]:
    return (run.keep_until, run.late_until) if run.phase is Phase.LATE else (_deadline_at(run),)
