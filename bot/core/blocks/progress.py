"""The progress reply in a run's thread: its current state; edited in place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.core.blocks.elements import context, section
from bot.core.blocks.names import ID_SHOWN, short_name
from bot.core.blocks.phrases import JOINED_RUNNING, lower_first, went_wrong
from bot.core.blocks.runs import duration_s, is_late_result, nothing_started, who
from bot.core.blocks.text import code, date, duration
from bot.core.models import Message, Outcome, Person, Phase, Status, SyncRun
from bot.core.nicknames import NO_NICKNAMES, Nicknames

PROGRESS_EVENT: Final = "flokit_sync_progress"
"""The ``event_type`` of the reply's message metadata."""


def progress_message(
    run: SyncRun,
    joined_by: Sequence[Person],
    now: datetime,
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    outbox_id: str,
    joined_here: bool = False,
) -> Message:
    """Show a run's progress. ``joined_here``: this thread asked for the sync when it was already running."""
    name = short_name(run.integration_id, run.integration_type, nicknames)
    words = _ended(run, now) if run.outcome else under_way(run, now)
    return Message(
        text=f"{name.text}: {words}.",
        blocks=(section(f"{_emoji(run)} {name.mrkdwn}: {words}"), context(_about(run, joined_by, joined_here))),
        metadata={
            "event_type": PROGRESS_EVENT,
            "event_payload": {"outbox_id": outbox_id, "run_id": run.id},
        },
    )


def _emoji(run: SyncRun) -> str:
    if run.phase is not Phase.DONE:
        return "⏳"
    return "❔" if run.outcome is Outcome.NOT_CONFIRMED else "🏁"


def _about(run: SyncRun, joined_by: Sequence[Person], joined_here: bool) -> str:
    parts = [f"Sync {who(run, joined_by)}, {date(run.requested_at)}", code(run.integration_id, ID_SHOWN)]
    if joined_here:
        parts.insert(0, "This thread joined a sync that was already running")
    if run.overlapped:
        parts.append(lower_first(JOINED_RUNNING))
    return " · ".join(parts)


def under_way(run: SyncRun, now: datetime) -> str:
    """Describe what a run that has no outcome yet is doing."""
    if run.fault_id:
        return f"{lower_first(went_wrong(run.fault_id)).rstrip('.')}; still trying"
    if run.unreachable_since:
        return f"haven't been able to reach FloKit since {date(run.unreachable_since)}; still trying"
    match run.phase:
        case Phase.BASELINE if run.is_patient and run.last_seen is None:
            return "queued behind other syncs"
        case Phase.BASELINE:
            return "reading the current state before starting"
        case Phase.TRIGGER if run.attempts > 0:
            return "no sign of a sync; asking FloKit to start it again"
        case Phase.CONFIRMING if run.reason or _looked_since_attempt(run):
            return "FloKit didn't respond when I asked it to start; checking for signs of a sync before I try again"
        case Phase.TRIGGER | Phase.CONFIRMING:
            return "starting"
        case _:
            return _watching(run, now)


def _looked_since_attempt(run: SyncRun) -> bool:
    """Whether there was a check after the POST but no reply: the process that sent it has died."""
    return run.last_seen_at is not None and run.attempted_at is not None and run.last_seen_at > run.attempted_at


def _watching(run: SyncRun, now: datetime) -> str:
    if run.idle_since:
        return "FloKit shows it as connected again; waiting for FloKit to show a new successful sync"
    shown = run.last_seen or run.baseline
    if shown and shown.status == Status.SYNCING:
        since = run.syncing_since or run.accepted_at or run.requested_at
        return f"syncing for {duration((now - since).total_seconds())}{_usually(run)}"
    if shown and shown.status == Status.ERROR:
        return "queued — FloKit still shows the error, and no sync yet"
    return f"queued for {duration(duration_s(run, now))} — FloKit accepted the sync{_usually(run)}"


def _usually(run: SyncRun) -> str:
    if run.typical_s is None:
        return ""
    step_s = 60 if run.typical_s > 90 else 5
    return f" (usually about {duration(max(step_s, round(run.typical_s / step_s) * step_s))})"


def _ended(run: SyncRun, now: datetime) -> str:
    if nothing_started(run):
        return "not started — see the result below"
    if run.outcome is Outcome.NOT_CONFIRMED:
        return _not_confirmed(run, now)
    if is_late_result(run):
        return f"a late result arrived after {duration(duration_s(run, now))} — see below"
    return f"finished after {duration(duration_s(run, now))} — see the result below"


def _not_confirmed(run: SyncRun, now: datetime) -> str:
    waited = duration(((now if run.keep_until else run.ended_at or now) - run.requested_at).total_seconds())
    if run.phase is Phase.DONE:
        return "no result; I've stopped checking"
    if run.keep_until:
        return f"no result after {waited} — still watching, until {date(run.keep_until)}"
    return f"no result after {waited} — still checking occasionally"
