"""Several syncs at once: the preview, which one person sees, and the message that follows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.advice import RECONNECT
from bot.core.blocks import limits
from bot.core.blocks.access import ASKED, RULE_CHARS, mention_id
from bot.core.blocks.elements import Block, actions, button, context, json_chars, plain, section
from bot.core.blocks.names import ID_SHOWN, Name, name_of
from bot.core.blocks.paging import RESERVED_CHARS
from bot.core.blocks.phrases import ERROR_IN_LINE, and_more, lower_first, stale_words
from bot.core.blocks.progress import under_way
from bot.core.blocks.runs import duration_s, events_added, nothing_started
from bot.core.blocks.text import (
    clip,
    counted,
    date,
    duration,
    iso_utc,
    listed,
    one_line,
    person_name,
    shown,
    vendor_line,
)
from bot.core.bulks import MOST, Bulk, LeftOut, Obstacle, Place, Plan
from bot.core.commands.presses import Action, Press
from bot.core.models import Integration, Message, Outcome, Person, Phase, Status, SyncRun
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.panels import Panel, RowRun

BULK_EVENT: Final = "flokit_bulk_outcome"
"""The ``event_type`` of the message's metadata once all syncs have ended."""

METADATA_BUDGET_BYTES: Final = 7000
"""How much of Slack's 8 KB the metadata may take."""
ID_CHARS: Final = 100

_NAME_ROOMS: Final = (20, 10, 5, 2)
REASONS_LISTED: Final = 10
SENTENCE_CHARS: Final = 200
_NO_PLAN: Final = Plan(Person(""), Place())
TYPED_CHARS: Final = 60
QUERY_CHARS: Final = 40
SECTION_CHARS: Final = 2500
_ERROR_ROOMS: Final = (ERROR_IN_LINE, 80, 30, 0)


# The preview


def preview_message(panel: Panel, nicknames: Nicknames = NO_NICKNAMES) -> Message:
    """Show which syncs would be started, what is left out and why, and the button that starts them."""
    plan = panel.plan or _NO_PLAN
    left_out = {one.integration_id for one in plan.left_out}
    chosen = [one for one in panel.integrations if one.id not in left_out]
    names = _names(panel, nicknames)
    lead = _preview_lead(panel, plan)
    above = [section(lead), *(context(f"⚠️ {words}.") for words in [stale_words(panel)] if words)]
    below, said = _preview_end(panel, plan, len(chosen))
    shown_lines: list[str] = []
    for most in _NAME_ROOMS:
        shown_lines = _preview_lines(plan, chosen, names, most)
        if json_chars([*above, *map(section, _sections(shown_lines)), *below]) <= limits.BLOCKS_BUDGET_CHARS:
            break
    text = f"{lead}. {said}"
    return Message(text, (*above, *map(section, _sections(shown_lines)), *below), only_for_one=True)


def _preview_end(panel: Panel, plan: Plan, count: int) -> tuple[list[Block], str]:
    """Return the blocks at the end of a preview, and what they say."""
    if plan.started:
        said = f"Started {counted(len(plan.started), 'sync')}; a message of its own shows the progress."
        return [context(f"✅ {said}")], said
    if not count:
        return [context("There's nothing to start. Only you see this.")], "There's nothing to start."
    label = f"Sync {counted(count, 'integration')}"
    start = {**button(label, Press(Action.SYNC_SEVERAL, panel_id=panel.id)), "style": "primary"}
    hint = "Only you see this. The progress and the outcomes will be visible to everyone here."
    return [*actions(start), context(hint)], f"Press “{label}” to start."


def _preview_lines(plan: Plan, chosen: Sequence[Integration], names: Mapping[str, Name], most: int) -> list[str]:
    return [
        *_chosen_lines(chosen, plan, names, most),
        *_left_out_lines(plan.left_out, names, most),
        *_unknown_lines(plan),
    ]


def _preview_lead(panel: Panel, plan: Plan) -> str:
    found = len(panel.integrations) + plan.beyond
    query = vendor_line(panel.query, QUERY_CHARS)
    matching = f" matching “{query}”" if query else ""
    return f"*{found:,} of {counted(max(found, plan.total), 'integration')}*{matching}"


def _chosen_lines(chosen: Sequence[Integration], plan: Plan, names: Mapping[str, Name], most: int) -> list[str]:
    running = [one for one in chosen if one.id in plan.running]
    new = [one for one in chosen if one.id not in plan.running]
    lines = []
    if new:
        lines.append(f"▶️ To sync: {_listed(new, names, most)}.")
    if running:
        lines.append(f"⏳ Already syncing, so this joins: {_listed(running, names, most)}.")
    if plan.beyond:
        lines.append(f"I start up to {MOST:,} at once; {plan.beyond:,} more match.")
    return lines


def _left_out_lines(left_out: Sequence[LeftOut], names: Mapping[str, Name], most: int) -> list[str]:
    """Say what isn't synced, one line for each reason."""
    groups: dict[tuple[str, str], list[LeftOut]] = {}
    for one in left_out:
        groups.setdefault((one.why, one.rule), []).append(one)
    lines = [_left_out_line(group, names, most) for group in groups.values()]
    return [*lines[:REASONS_LISTED], *and_more(len(lines) - REASONS_LISTED, "left out for other reasons")]


def _left_out_line(group: Sequence[LeftOut], names: Mapping[str, Name], most: int) -> str:
    who = listed(group, lambda one: _name(names, one.integration_id).text, most=most)
    first, is_one = group[0], len(group) == 1
    until = max((one.until for one in group if one.until), default=None)
    again = f" {date(until)}" if until else " later"
    match first.why:
        case Obstacle.DISCONNECTED:
            return (
                f"🔌 {who} {'is' if is_one else 'are'} disconnected: a sync won't help. "
                f"Reconnect {'it' if is_one else 'them'} in {RECONNECT}."
            )
        case Obstacle.COOLDOWN:
            return f"⏸️ {who} just synced successfully. You can sync {'it' if is_one else 'them'} again{again}."
        case Obstacle.QUOTA:
            return f"⏸️ {who}: this would exceed your hourly sync limit. You can sync again{again}."
        case _:
            rule = f" Rule: “{shown(first.rule, RULE_CHARS)}”." if first.rule else ""
            why = lower_first(shown(first.sentence, SENTENCE_CHARS)) or "not allowed."
            return f"⛔ {who}: {why}{rule}{_whom(first.ask)}"


def _whom(ask: Sequence[str]) -> str:
    if not ask:
        return ""
    return f" Ask {listed(ask, mention_id, most=ASKED)}."


def _unknown_lines(plan: Plan) -> list[str]:
    if not plan.unknown:
        return []
    words = listed(plan.unknown, lambda text: f"“{shown(text, TYPED_CHARS)}”")
    return [f"❔ I found no integration for {words}."]


# The message


@dataclass(frozen=True, slots=True)
class _Line:
    """One sync: its emoji and name, what it does, and FloKit's error text."""

    name: Name
    run: SyncRun | None
    emoji: str
    words: str
    error: str = ""
    count: str = ""
    """What it counts as in the summary."""

    def show(self, error_chars: int) -> str:
        error = vendor_line(self.error, error_chars) if error_chars else ""
        return f"{self.emoji} {self.name.mrkdwn}: {self.words}{error and f' — {error}'}"


def bulk_message(
    panel: Panel,
    runs: Mapping[str, RowRun],
    now: datetime,
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    outbox_id: str,
) -> Message:
    """Show every sync with its state, and at the end how many succeeded, with a button to retry the others."""
    bulk = panel.bulk or Bulk(Person(""), panel.as_of)
    names = _names(panel, nicknames)
    lines = [_line(member_id, runs.get(member_id), names, bulk, now) for member_id in _member_ids(bulk)]
    has_ended = all(line.run is None or line.run.outcome for line in lines)
    lead, rest = _summary(lines, has_ended=has_ended)
    below: list[Block] = [context(_about(bulk, names))]
    if has_ended:
        below = [*_retry(panel, bulk, runs), *below]
    above = [section(f"*{lead}*{rest}")]
    shown_lines = _fit(lines, [*above, *below])
    troubled = [line for line in lines if line.run and line.run.outcome not in (None, Outcome.SUCCEEDED)]
    said = f" {listed(troubled, lambda line: f'{line.name.text} ({line.count})')}." if troubled else ""
    blocks = (*above, *(section(part) for part in _sections(shown_lines)), *below)
    metadata = _metadata(panel.id, bulk, runs, now, outbox_id) if has_ended else None
    return Message(f"{lead}{rest}{said}", blocks, metadata)


def _member_ids(bulk: Bulk) -> list[str]:
    return [member.integration_id for member in bulk.members]


def _line(integration_id: str, row_run: RowRun | None, names: Mapping[str, Name], bulk: Bulk, now: datetime) -> _Line:
    name = _name(names, integration_id)
    if row_run is None:
        return _Line(name, None, "❔", "no longer on record", count="no longer on record")
    run = row_run.run
    if run.outcome is None:
        joined = next((one.joined for one in bulk.members if one.integration_id == integration_id), False)
        also = f", started by {person_name(run.requested_by)}" if joined else ""
        words, count = _running(run, now)
        if joined and count == "syncing":  # its progress doesn't update this message
            words = f"syncing since {date(run.syncing_since or run.accepted_at or run.requested_at)}"
        return _Line(name, run, "⏳", f"{words}{also}", count=count)
    line = _ended(name, run)
    if integration_id in bulk.retried:
        return _Line(name, run, line.emoji, f"{line.words} (retried)", line.error, line.count)
    if integration_id in bulk.repaired and run.outcome is not Outcome.SUCCEEDED:
        return _Line(name, run, line.emoji, f"{line.words} (synced since)", line.error, line.count)
    return line


def _running(run: SyncRun, now: datetime) -> tuple[str, str]:
    """Return what a sync does, and what it counts as."""
    seen = run.last_seen or run.baseline
    if run.phase is Phase.BASELINE and not run.unreachable_since and not run.fault_id:
        return "queued", "queued"
    is_syncing = run.phase in (Phase.CONFIRMING, Phase.WATCHING) and seen and seen.status == Status.SYNCING
    return under_way(run, now), "syncing" if is_syncing else "queued"


def _ended(name: Name, run: SyncRun) -> _Line:
    error = (run.last_seen.error_message if run.last_seen else None) or ""
    if nothing_started(run) and run.outcome is Outcome.NOT_CONFIRMED:
        why = run.reason or run.unreachable_reason
        return _Line(name, run, "❌", "not started", f"{why} {run.reason_words}", "not started")
    match run.outcome:
        case Outcome.SUCCEEDED:
            added = events_added(run)
            events = "" if added is None else f" — {counted(added, 'new event') if added else 'no new events'}"
            took = duration(duration_s(run, run.requested_at))
            return _Line(name, run, "✅", f"synced in {took}{events}", count="synced")
        case Outcome.FAILED:
            return _Line(name, run, "❌", "failed", error, "failed")
        case Outcome.FAILED_AGAIN:
            return _Line(name, run, "❌", "still failing, with the same error", error, "failed")
        case Outcome.DISCONNECTED:
            return _Line(name, run, "🔌", f"disconnected; reconnect it in {RECONNECT}", error, "disconnected")
        case Outcome.FINISHED_UNPROVEN:
            return _Line(name, run, "❔", "finished, but FloKit shows no new successful sync", count="unclear")
        case Outcome.GONE:
            return _Line(name, run, "❔", "no longer in FloKit", count="no longer in FloKit")
        case Outcome.ACCESS_LOST:
            return _Line(name, run, "🔑", "FloKit refuses my key", count="refused")
        case _:
            waited = duration(((run.ended_at or run.requested_at) - run.requested_at).total_seconds())
            return _Line(name, run, "❔", f"no result after {waited}", count="without a result")


def _summary(lines: Sequence[_Line], *, has_ended: bool) -> tuple[str, str]:
    """Return the count in front in two parts: the main one, and the others."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.count] = counts.get(line.count, 0) + 1
    total, synced = len(lines), counts.pop("synced", 0)
    if has_ended:
        rest = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        return f"{synced:,} of {total:,} synced", f"; {rest}." if rest else "."
    done = sum(1 for line in lines if line.run is None or line.run.outcome)
    said = {**({"synced": synced} if synced else {}), **counts}
    return f"{done:,} of {total:,} done", f": {', '.join(f'{count:,} {what}' for what, count in said.items())}."


def _about(bulk: Bulk, names: Mapping[str, Name]) -> str:
    parts = [f"Started by {person_name(bulk.asked_by)}, {date(bulk.asked_at)}", "outcomes are in the thread"]
    if bulk.left_out:
        left = listed(bulk.left_out, lambda one: f"{_name(names, one.integration_id).text} ({_REASONS[one.why]})")
        parts.append(f"left out: {left}")
    return " · ".join(parts)


_REASONS: Final = {
    Obstacle.DISCONNECTED: "disconnected",
    Obstacle.COOLDOWN: "just synced",
    Obstacle.QUOTA: "hourly limit",
    Obstacle.REFUSED: "not allowed",
}


def _retry(panel: Panel, bulk: Bulk, runs: Mapping[str, RowRun]) -> list[Block]:
    """Return the button that retries what failed; none if nothing is left to retry."""
    left = retryable(bulk, runs)
    if not left:
        return []
    all_failed = all(runs[id_].run.outcome in (Outcome.FAILED, Outcome.FAILED_AGAIN) for id_ in left)
    what = f"the {len(left):,} that " + ("failed" if all_failed else "didn't sync")
    confirm = {
        "title": plain(f"Retry {len(left):,}?"),
        "text": plain("FloKit will fetch this data again. I'll post a new message that follows these syncs."),
        "confirm": plain("Retry"),
        "deny": plain("Cancel"),
    }
    return actions({**button(f"Retry {what}", Press(Action.RETRY_FAILED, panel_id=panel.id)), "confirm": confirm})


def retryable(bulk: Bulk, runs: Mapping[str, RowRun]) -> tuple[str, ...]:
    """Return the IDs of the integrations that a retry would sync."""
    return bulk.can_retry((id_, runs[id_].run.outcome) for id_ in _member_ids(bulk) if id_ in runs)


def _metadata(bulk_id: str, bulk: Bulk, runs: Mapping[str, RowRun], now: datetime, outbox_id: str) -> dict[str, object]:
    ended = [runs[id_].run for id_ in _member_ids(bulk) if id_ in runs]
    entries: list[dict[str, object]] = []
    room = METADATA_BUDGET_BYTES
    for run in ended:
        entry: dict[str, object] = {
            "run_id": run.id,
            "integration_id": clip(one_line(run.integration_id), ID_CHARS),
            "outcome": run.outcome.value if run.outcome else "",
        }
        room -= len(json.dumps(entry)) + 2
        if room < 0:
            break
        entries.append(entry)
    return {
        "event_type": BULK_EVENT,
        "event_payload": {
            "outbox_id": outbox_id,
            "bulk_id": bulk_id,
            "total": len(bulk.members),
            "succeeded": sum(run.outcome is Outcome.SUCCEEDED for run in ended),
            "started_at": iso_utc(bulk.asked_at),
            "finished_at": iso_utc(max((run.ended_at or now for run in ended), default=now)),
            "syncs": entries,
        },
    }


# Both


def _names(panel: Panel, nicknames: Nicknames) -> dict[str, Name]:
    return {one.id: name_of(one, panel.integrations, nicknames) for one in panel.integrations}


def _name(names: Mapping[str, Name], integration_id: str) -> Name:
    return names.get(integration_id) or Name(clip(integration_id, ID_SHOWN))


def _listed(integrations: Sequence[Integration], names: Mapping[str, Name], most: int) -> str:
    return listed(integrations, lambda one: names[one.id].text, most=most)


_URGENCY: Final = {"failed": 0, "not started": 0, "disconnected": 0, "syncing": 1, "queued": 2, "synced": 4}


def _fit(lines: Sequence[_Line], around: Sequence[Block]) -> list[str]:
    """Return the lines with as much of the errors as fits; beyond that, those that matter most, and a count."""
    most = limits.BLOCKS_BUDGET_CHARS - RESERVED_CHARS - json_chars(around)

    def fits(texts: Sequence[str]) -> bool:
        return json_chars(section(part) for part in _sections(texts)) <= most

    texts: list[str] = []
    for error_chars in _ERROR_ROOMS:
        texts = [line.show(error_chars) for line in lines]
        if fits(texts):
            return texts
    ranked = sorted(range(len(lines)), key=lambda place: (_URGENCY.get(lines[place].count, 3), place))
    for kept in range(len(lines) - 1, -1, -1):
        places = set(ranked[:kept])
        hidden = [lines[place] for place in ranked[kept:]]
        texts = [lines[place].show(0) for place in range(len(lines)) if place in places]
        texts += and_more(len(hidden), _tally(hidden))
        if fits(texts):
            break
    return texts


def _tally(lines: Sequence[_Line]) -> str:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.count] = counts.get(line.count, 0) + 1
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def _sections(lines: Sequence[str]) -> list[str]:
    """Join lines to paragraphs, each of which fits in a block."""
    parts: list[str] = []
    for line in lines:
        if parts and len(parts[-1]) + len(line) < SECTION_CHARS:
            parts[-1] = f"{parts[-1]}\n{line}"
        else:
            parts.append(line)
    return parts
