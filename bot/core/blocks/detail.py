"""The messages about one integration: its details, and the root of a sync's thread."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bot.core.advice import RECONNECT
from bot.core.blocks.elements import (
    Block,
    button,
    checks,
    context,
    fields,
    header,
    quoted,
    resync_button,
    section,
    sync_buttons,
)
from bot.core.blocks.phrases import ERROR_IN_DETAILS
from bot.core.blocks.rows import Room, Row, row_blocks, row_of, row_state
from bot.core.blocks.runs import who
from bot.core.blocks.status import stale_lead, stale_note
from bot.core.blocks.text import clip, code, date
from bot.core.commands.presses import ID_CHARS, Action, Press, fits_in_a_button
from bot.core.models import Integration, Message, SyncStats
from bot.core.nicknames import NO_NICKNAMES, Nicknames, expected_words
from bot.core.panels import Panel, RowRun

NUMBER_CHARS: Final = 24
NOT_KNOWN: Final = "not known"


def detail_message(
    panel: Panel, runs: Mapping[str, RowRun], now: datetime, nicknames: Nicknames = NO_NICKNAMES
) -> Message:
    """Show all fields of a panel's one integration, the things to check, Resync and Refresh."""
    if not panel.integrations:
        return _gone(panel)
    row = row_of(panel.integrations[0], panel, runs, nicknames)
    expected = nicknames.of(row.integration.id).expected
    blocks = [
        header(row.name.plain),
        *stale_note(panel),
        fields(_fields(row, now)),
        *quoted(row.integration.error_message or "", ERROR_IN_DETAILS),
        *([section(row.run_line)] if row.run_line else []),
        *([] if expected.is_blank else [context(f"📐 Expected: {expected_words(expected)}")]),
        checks(row.integration.type, link=row.link),
        context(f"As of {date(panel.as_of)} · manage credentials in {RECONNECT}"),
        *_buttons(panel, row),
    ]
    return Message(f"{stale_lead(panel)}{row.name.text} is {row_state(row, now).words}.", tuple(blocks))


def sync_message(
    panel: Panel, runs: Mapping[str, RowRun], now: datetime, nicknames: Nicknames = NO_NICKNAMES
) -> Message:
    """Show the row of a panel's one integration, and who asked for its sync; the outcome is posted in its thread."""
    if not panel.integrations:
        return _gone(panel)
    row = row_of(panel.integrations[0], panel, runs, nicknames)
    row_run = runs.get(panel.integrations[0].id)
    asked = f", {who(row_run.run, row_run.joined_by)}" if row_run else ""
    blocks = [
        *stale_note(panel),
        *row_blocks(row, panel.id, now, max(Room)),
        context(f"Resync of {row.name.text}{asked} · I'll post the outcome in this thread"),
    ]
    return Message(f"{stale_lead(panel)}Resync of {row.name.text}{asked}.", tuple(blocks))


def _gone(panel: Panel) -> Message:
    text = "FloKit no longer has this integration."
    return Message(text, (section(text), context(f"As of {date(panel.as_of)}")))


def _fields(row: Row, now: datetime) -> list[str]:
    integration = row.integration
    stats = integration.stats or SyncStats()
    values = {
        "ID": code(integration.id, ID_CHARS),
        "Type": code(integration.type, ID_CHARS),
        "Status": row_state(row, now).label,
        "Last successful sync": _last_success(integration),
        "Events, last 24 h": _number(stats.events_last_24h),
        "Events, total": _number(stats.events_total),
        "Earliest event": _date(stats.earliest_event_at),
    }
    return [f"*{label}*\n{value}" for label, value in values.items()]


def _last_success(integration: Integration) -> str:
    return "at a time I can't read" if integration.unreadable_time else _date(integration.last_synced_at)


def _date(at: datetime | None) -> str:
    return date(at) if at else NOT_KNOWN


def _number(count: int | None) -> str:
    return NOT_KNOWN if count is None else clip(f"{count:,}", NUMBER_CHARS)


def _buttons(panel: Panel, row: Row) -> list[Block]:
    refresh = button("Refresh", Press(Action.REFRESH, panel_id=panel.id))
    resync = None if row.is_gone else resync_button(row.integration, row.name, panel.id)
    return sync_buttons(row.integration, resync, refresh, _edit_name(panel, row))


def _edit_name(panel: Panel, row: Row) -> Block | None:
    """Return the Edit name button; None if the ID doesn't fit in a button."""
    if not fits_in_a_button(row.integration.id):
        return None
    press = Press(Action.EDIT_NAME, integration_id=row.integration.id, panel_id=panel.id)
    return button("Edit name", press, about=row.name.plain)
