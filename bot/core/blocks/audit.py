"""The audit, one page at a time. It names people without notifying them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.core.access.audit import NOBODY, AuditEntry, Deed, Ruling
from bot.core.advice import display_name
from bot.core.blocks import limits
from bot.core.blocks.elements import Block, actions, button, context, json_chars, section, sentence
from bot.core.blocks.names import title_of
from bot.core.blocks.phrases import typed
from bot.core.blocks.text import channel, code, date, link_to, person_name, shown, vendor_line
from bot.core.commands.presses import Action, Press
from bot.core.models import Message, Outcome
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.panels import Panel

PAGE_SIZE: Final = 8
AROUND_CHARS: Final = 2500
"""The most JSON that the lead, the footer and the buttons can take."""

_DEEDS: Final = {
    Deed.LOOK: "looked at",
    Deed.AUDIT: "read the audit of",
    Deed.SYNC_ANYWAY: "pressed Sync anyway for",
    Deed.SYNC: "asked to sync",
    Deed.SYNC_SEVERAL: "started several syncs among",
    Deed.RESYNC: "pressed Resync for",
    Deed.TRY_AGAIN: "pressed Try again for",
    Deed.KEEP_WATCHING: "kept watching",
    Deed.OUTCOME: "outcome of the sync of",
    Deed.SUBSCRIBE: "subscribed a channel to",
    Deed.UNSUBSCRIBE: "unsubscribed a channel from",
    Deed.RESTORE: "restored the subscription to",
    Deed.SETTINGS: "changed their own settings",
    Deed.TEST: "posted a sample incident",
    Deed.MAINTENANCE: "set maintenance of",
    Deed.END_MAINTENANCE: "ended the maintenance of",
    Deed.SNOOZE: "snoozed",
    Deed.END_SNOOZE: "ended the snooze of",
    Deed.ON_IT: "is on the incident of",
    Deed.HAND_OVER: "asked someone to be on the incident of",
    Deed.LET_GO: "ended who is on the incident of",
    Deed.TICKET: "changed the ticket of the incident of",
    Deed.ESCALATE: "escalated the incident of",
    Deed.PAUSE: "paused the subscription to",
    Deed.RESUME: "resumed the subscription to",
    Deed.POLICY: "changed the policy for",
    Deed.NAME: "changed the name of",
    Deed.EXPECT: "changed what's expected of",
    Deed.KEY_LOST: "noticed that the FloKit key doesn't work for",
}

_RULINGS: Final = {Ruling.ALLOWED: "", Ruling.REFUSED: "⛔ refused", Ruling.OVERRIDDEN: "🔓 overridden"}


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of an entry's untrusted texts is shown."""

    result: int
    rule: int
    name: int


_ROOMS: Final = (_Room(80, 60, 60), _Room(24, 24, 24))


def audit_message(panel: Panel, nicknames: Nicknames = NO_NICKNAMES, *, command: str) -> Message:
    """Show the entries of one page, newest first, with the names that integrations have now."""
    asked = typed(command, f"audit {panel.query}")
    if not panel.entries:
        lead = f"{asked}: no entries found{_within(panel)}." if panel.page == 0 else f"{asked}: nothing older."
        return Message(lead, (section(lead), *_buttons(panel)), only_for_one=True)
    lead = f"*Audit*, newest first: {asked}{_within(panel)}"
    links = dict(panel.links)
    rows = [[section(_entry_text(entry, room, nicknames, links)) for entry in panel.entries] for room in _ROOMS]
    fitting = next((row for row in rows if json_chars(row) <= limits.BLOCKS_BUDGET_CHARS - AROUND_CHARS), rows[-1])
    footer = f"Page {panel.page + 1:,} · as of {date(panel.as_of)} · to export it: {typed('flokit-bot audit')}"
    count = "1 entry" if len(panel.entries) == 1 else f"{len(panel.entries):,} entries"
    text = f"Audit: {count}. Newest: {_sentence(panel.entries[0], _ROOMS[-1], nicknames)}."
    return Message(text, (section(lead), *fitting, *_buttons(panel), context(footer)), only_for_one=True)


def _within(panel: Panel) -> str:
    """Describe the span of the entries: " since …", " from … to …"."""
    begin = f" {'from' if panel.until else 'since'} {date(panel.since)}" if panel.since else ""
    end = f" {'to' if panel.since else 'until'} {date(panel.until)}" if panel.until else ""
    said = begin + end
    return f"{said} (days in UTC)" if said and panel.zone == "UTC" else said


def nothing_found_message(panel: Panel, *, kept_days: float, command: str) -> Message:
    """Say that no entries match, and how long entries are kept."""
    asked = typed(command, f"audit {panel.query}")
    text = f"{asked}: no entries found{_within(panel)}. Entries are kept for {kept_days:g} days."
    return sentence(text, only_for_one=True)


def _buttons(panel: Panel) -> list[Block]:
    newer = Press(Action.PREVIOUS_PAGE, panel_id=panel.id, page=panel.page - 1)
    older = Press(Action.NEXT_PAGE, panel_id=panel.id, page=panel.page + 1)
    return actions(
        button("Newer", newer, about="entries") if panel.page else None,
        button("Older", older, about="entries") if panel.has_more else None,
    )


def _entry_text(entry: AuditEntry, room: _Room, nicknames: Nicknames, links: Mapping[str, str]) -> str:
    where = channel(entry.channel_id)
    address = links.get(entry.run_id, "") if entry.run_id else ""
    link = link_to(address) if address else ""
    parts = [date(entry.at), f"in {where}" if where else "", _ruling(entry, room), _result(entry, room), link]
    return f"{_sentence(entry, room, nicknames)}\n{' · '.join(part for part in parts if part)}"


def _sentence(entry: AuditEntry, room: _Room, nicknames: Nicknames) -> str:
    """Describe an entry: "ana pressed Resync for Stripe `int_1`"."""
    what = _what(entry, room, nicknames)
    if entry.action == Deed.OUTCOME:
        return f"Outcome of the sync of {what}, started by {person_name(entry.person)}"
    deed = _DEEDS.get(Deed(entry.action)) if entry.action in list(Deed) else None
    did = deed or vendor_line(entry.action.replace("_", " "), room.name) or "did something to"
    who = "The bot itself" if entry.person == NOBODY else person_name(entry.person)
    refused = " (refused)" if entry.decision is Ruling.REFUSED else ""
    return f"*{who}*{refused} {did} {what}".rstrip()


def _what(entry: AuditEntry, room: _Room, nicknames: Nicknames) -> str:
    if entry.action in (Deed.TEST, Deed.SETTINGS):
        return ""
    id_ = f" {code(entry.integration_id, room.name)}" if entry.integration_id else ""
    if id_ and (entry.integration_type or nicknames.of(entry.integration_id).name):
        return f"{shown(title_of(entry.integration_id, entry.integration_type, nicknames), room.name)}{id_}"
    if entry.integration_type:
        return f"every {shown(display_name(entry.integration_type), room.name)} integration"
    return id_.strip() or "all integrations"


def _ruling(entry: AuditEntry, room: _Room) -> str:
    rule = vendor_line(entry.rule, room.rule)
    ruling = _RULINGS[entry.decision] or ("allowed" if rule else "")
    return f"{ruling} by “{rule}”" if rule else ruling


def _result(entry: AuditEntry, room: _Room) -> str:
    if entry.action == Deed.OUTCOME and entry.result in list(Outcome):
        return f"*{entry.result.replace('_', ' ')}*"
    return shown(entry.result, room.result)
