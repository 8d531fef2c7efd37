"""The digest: what failed since the last one, the state of everything now, and the slowest syncs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.core.advice import display_name, is_stale
from bot.core.blocks.elements import Block, context, details_button, header, section
from bot.core.blocks.names import Name, name_of
from bot.core.blocks.paging import fit_rows
from bot.core.blocks.phrases import TROUBLES, and_more, repaired_by, typed
from bot.core.blocks.rows import Room, Row, row_text
from bot.core.blocks.runs import duration_s
from bot.core.blocks.states import by_urgency, state_of, tally
from bot.core.blocks.status import stale_lead, stale_note
from bot.core.blocks.text import clip, counted, date, duration, escape, listed, one_line, person_name
from bot.core.incidents.incidents import Incident
from bot.core.models import Integration, Message, Status, SyncRun
from bot.core.subscriptions.digest_time import describe, next_digest_at
from bot.core.subscriptions.digests import Digest
from bot.core.subscriptions.subscriptions import ALL

INCIDENTS_SHOWN: Final = 6
ROWS_SHOWN: Final = 5
SLOWEST_SHOWN: Final = 3

TARGET_CHARS: Final = 60


def digest_message(digest: Digest, now: datetime, *, command: str) -> Message:
    """Show the state of a channel's integrations, and what happened since the last digest."""
    lead = _lead(digest)
    covered = digest.covered
    troubled = [one for one in sorted(covered, key=by_urgency) if _needs_attention(one, now)]
    above = [header(_title(digest)), *stale_note(digest), section(f"*{lead}*"), *_incidents(digest, now)]
    state = section(_state(covered))
    more = and_more(len(troubled) - ROWS_SHOWN, typed(command, "status"))
    below = [*map(context, more), *_slowest(digest, now), context(_footer(digest, now, command))]
    rows = [Row(one, _name(one, digest)) for one in troubled[:ROWS_SHOWN]]
    shown = fit_rows(rows, lambda row, room: _row(row, now, room), [*above, state, *below])
    text = f"{stale_lead(digest)}FloKit digest: {lead} {_state(covered)}{_still_open(digest)}"
    return Message(text, (*above, state, *shown, *below))


def _title(digest: Digest) -> str:
    target = digest.subscription.target
    if target == ALL:
        return "FloKit digest"
    one = next((one for one in digest.integrations if one.id == target), None)
    if one:
        return f"FloKit digest: {_name(one, digest).plain}"
    if digest.covered:
        return f"FloKit digest: {display_name(target)}"
    return f"FloKit digest: {clip(one_line(target), TARGET_CHARS)}"


def _lead(digest: Digest) -> str:
    """Say in one sentence what happened since the last digest."""
    told, since = digest.told, date(digest.since)
    if not told:
        new = " new" if any(state_of(one.status).needs_attention for one in digest.covered) else ""
        return f"Nothing{new} failed since {since}."
    opened = sum(one.opened_at > digest.since for one in told)
    still_open = sum(one.is_open for one in told)
    new = counted(opened, "new incident") if opened else "no new incidents"
    states = ((still_open, "still open"), (len(told) - still_open, "closed"))
    rest = ", ".join(f"{count:,} {words}" for count, words in states if count)
    return f"{new[0].upper()}{new[1:]} since {since}: {rest}."


def _still_open(digest: Digest) -> str:
    still_open = [one for one in digest.told if one.is_open]
    if not still_open:
        return ""
    return f" Still open: {listed(still_open, lambda one: _name(one.integration, digest).text)}."


def _state(covered: Sequence[Integration]) -> str:
    return f"Now: {tally(covered)}." if covered else "FloKit has no integrations that match this subscription."


def _incidents(digest: Digest, now: datetime) -> list[Block]:
    lines = [_incident_line(one, digest, now) for one in digest.told[:INCIDENTS_SHOWN]]
    lines += and_more(len(digest.told) - len(lines))
    return [section("\n".join(lines))] if lines else []


def _incident_line(incident: Incident, digest: Digest, now: datetime) -> str:
    name = _name(incident.integration, digest).mrkdwn
    words = TROUBLES[incident.trouble]
    began = date(incident.opened_at)
    lasted = duration(((incident.closed_at or now) - incident.opened_at).total_seconds())
    if incident.is_open:
        return f"{words.emoji} {name} {words.state} since {began}, for {lasted}"
    if incident.gone:
        return f"❔ {name} {words.past} {began} and is no longer in FloKit"
    return f"✅ {name} {words.past} {began}, recovered after {lasted}{repaired_by(incident)}"


def _slowest(digest: Digest, now: datetime) -> list[Block]:
    slowest = sorted(digest.synced, key=lambda run: duration_s(run, now), reverse=True)[:SLOWEST_SHOWN]
    if not slowest:
        return []
    title = "Slowest sync" if len(slowest) == 1 else "Slowest syncs"
    return [section(f"{title}: {listed(slowest, lambda run: _run_words(run, digest, now))}")]


def _run_words(run: SyncRun, digest: Digest, now: datetime) -> str:
    name = _name(Integration(run.integration_id, run.integration_type), digest)
    return f"{name.mrkdwn} {duration(duration_s(run, now))} (by {person_name(run.requested_by)})"


def _name(integration: Integration, digest: Digest) -> Name:
    return name_of(integration, digest.integrations, digest.nicknames)


def _needs_attention(integration: Integration, now: datetime) -> bool:
    is_late = integration.status == Status.CONNECTED and is_stale(integration, now)
    state = state_of(integration.status)
    return is_late or state.needs_attention or not state.is_known


def _row(row: Row, now: datetime, room: Room) -> list[Block]:
    return [section(row_text(row, now), details_button(row.integration, row.name) if room >= Room.BUTTON else None)]


def _footer(digest: Digest, now: datetime, command: str) -> str:
    parts = [f"As of {date(digest.as_of)}"]
    due = digest.subscription.digest
    if due:
        parts.append(f"Next digest {date(next_digest_at(due, now))}: {escape(describe(due))}")
    parts.append(f"{typed(command, 'unsubscribe digest')} stops it")
    return " · ".join(parts)
