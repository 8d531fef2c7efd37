"""The question which of several integrations is meant: a type is never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bot.core.blocks.elements import Block, actions, details_button, resync_button, section
from bot.core.blocks.paging import fit_rows, page_buttons, page_of
from bot.core.blocks.rows import Room, Row, row_of, row_text
from bot.core.blocks.states import by_urgency
from bot.core.blocks.status import QUERY_CHARS, stale_lead, stale_note
from bot.core.blocks.text import counted, vendor_line
from bot.core.models import Message
from bot.core.panels import Panel, PanelKind, RowRun


def choose_message(panel: Panel, runs: Mapping[str, RowRun], now: datetime) -> Message:
    """Offer one button for each integration that matches: Resync or Details, after the panel's kind."""
    page = page_of(sorted(panel.integrations, key=by_urgency), panel.page)
    query = vendor_line(panel.query, QUERY_CHARS)
    question = f"“{query}” matches {counted(len(panel.integrations), 'integration')} — which one?"
    above = [*stale_note(panel), section(question)]
    below = actions(*page_buttons(panel.id, page))
    rows = [row_of(integration, panel, runs) for integration in page.integrations]
    shown = fit_rows(rows, lambda row, room: _choice(row, panel, now, room), [*above, *below])
    return Message(f"{stale_lead(panel)}{question}", (*above, *shown, *below))


def _choice(row: Row, panel: Panel, now: datetime, room: Room) -> list[Block]:
    return [section(row_text(row, now), _button(row, panel) if room >= Room.BUTTON else None)]


def _button(row: Row, panel: Panel) -> Block | None:
    if panel.kind is PanelKind.CHOOSE_SYNC:
        return resync_button(row.integration, row.name, panel.id)
    return details_button(row.integration, row.name)
