"""Facts about a sync run as text: when it started, how long it took, who asked for it, and its line in a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.core.blocks.text import date, listed, mention, person_name
from bot.core.models import Outcome, Person, Status, SyncRun
from bot.core.panels import RowRun

JOINERS_IN_ROW: Final = 2

_ENDED: Final = {
    Outcome.SUCCEEDED: "Synced {at}, resync by {who}",
    Outcome.FAILED: "Resync by {who} failed {at}",
    Outcome.FAILED_AGAIN: "Resync by {who} ended {at}: still failing, with the same error",
    Outcome.DISCONNECTED: "Resync by {who} ended {at}: it's disconnected",
    Outcome.FINISHED_UNPROVEN: "Resync by {who} finished {at} without a new successful sync",
    Outcome.GONE: "Resync by {who} ended {at}: FloKit no longer has this integration",
    Outcome.ACCESS_LOST: "Resync by {who}: FloKit has refused the key since {at}, so the result is unknown",
    Outcome.NOT_CONFIRMED: "Resync by {who}: no result as of {at}",
}


def started_at(run: SyncRun) -> datetime:
    """Return when FloKit accepted the sync; the time of the click if it hasn't (yet)."""
    return run.accepted_at or run.requested_at


def duration_s(run: SyncRun, now: datetime) -> float:
    """Return how long the run took, or has taken so far."""
    return ((run.ended_at or now) - started_at(run)).total_seconds()


def nothing_started(run: SyncRun) -> bool:
    """Whether this run certainly started no sync, because no POST can have reached FloKit."""
    return run.attempts == 0 and run.accepted_at is None


def is_late_result(run: SyncRun) -> bool:
    """Whether the outcome came after ``not_confirmed`` was posted."""
    return run.outcome not in (None, Outcome.NOT_CONFIRMED) and run.late_until is not None


def events_added(run: SyncRun) -> int | None:
    """Return how many events the run added; None if FloKit didn't provide counts before and after."""
    before = run.baseline.stats if run.baseline else None
    after = run.last_seen.stats if run.last_seen else None
    if before is None or after is None or before.events_total is None or after.events_total is None:
        return None
    added = after.events_total - before.events_total
    return added if added >= 0 else None


def who(run: SyncRun, joined_by: Sequence[Person]) -> str:
    """Describe who started the run and who joined, without notifying them: "started by ana, joined by ben"."""
    joined = f", joined by {listed(joined_by, person_name)}" if joined_by else ""
    return f"started by {person_name(run.requested_by)}{joined}"


def row_line(row_run: RowRun, as_of: datetime) -> str:
    """Describe in one line of mrkdwn what a run has done to its row since ``as_of``; "" if it ended before."""
    run = row_run.run
    starter = mention(run.requested_by)
    if run.is_active:
        joiners = listed(row_run.joined_by, mention, most=JOINERS_IN_ROW)
        joined = f", joined by {joiners}" if joiners else ""
        shown = run.last_seen or run.baseline
        state = "syncing" if shown and shown.status == Status.SYNCING else "queued"
        return f"⏳ {state} — resync started by {starter} {date(run.requested_at)}{joined}"
    if run.outcome is None or run.ended_at is None or run.ended_at <= as_of:
        return ""
    if nothing_started(run):
        return f"Resync by {starter} wasn't started"
    return _ENDED[run.outcome].format(who=starter, at=date(run.ended_at))
