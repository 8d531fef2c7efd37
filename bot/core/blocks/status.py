"""The status message: all matching integrations, those that need attention first; or a choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bot.core.advice import RECONNECT
from bot.core.blocks.elements import (
    Block,
    actions,
    button,
    context,
    details_button,
    header,
    resync_button,
    section,
)
from bot.core.blocks.names import name_of
from bot.core.blocks.paging import Page, fit_rows, page_buttons, page_of
from bot.core.blocks.phrases import need_attention, stale_words, typed
from bot.core.blocks.rows import Room, Row, known_now, row_blocks, row_of, row_text
from bot.core.blocks.states import UNKNOWN_STATE, by_urgency, in_unknown_state, state_of, tally
from bot.core.blocks.text import clip, counted, date, listed, one_line, vendor_line
from bot.core.commands.presses import Action, Press
from bot.core.models import Integration, Message, Status
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.panels import Panel, PanelKind, RowRun
from bot.core.subscriptions.digests import Digest

QUERY_CHARS: Final = 40

FAILING_AT_LEAST: Final = 2
"""How many must fail for a button that resyncs all of them."""

_CONNECT_ONE: Final = f"Connect one in {RECONNECT}."


def status_message(
    panel: Panel, runs: Mapping[str, RowRun], now: datetime, nicknames: Nicknames = NO_NICKNAMES, *, command: str
) -> Message:
    """Show a page of a panel's integrations, each with its newest run."""
    # Keep the panel's first order: rows mustn't move while someone reads or clicks.
    page = page_of(sorted(panel.integrations, key=by_urgency), panel.page)
    lead, rest = _summary(panel, runs, nicknames)
    above = [header(_title(panel)), *stale_note(panel), section(f"*{lead}*{rest}")]
    below = [context(_footer(panel, page, command)), *_buttons(panel, page, runs)]
    rows = [row_of(integration, panel, runs, nicknames) for integration in page.integrations]
    shown = fit_rows(rows, lambda row, room: row_blocks(row, panel.id, now, room), [*above, *below])
    return Message(f"{stale_lead(panel)}{lead}{rest}", (*above, *shown, *below))


def stale_lead(known: Panel | Digest) -> str:
    """Return `stale_words` as the beginning of a text."""
    words = stale_words(known)
    return f"{words}. " if words else ""


def stale_note(known: Panel | Digest) -> list[Block]:
    """Show `stale_words` as a block; no block if the data is current."""
    words = stale_words(known)
    return [context(f"⚠️ {words}.")] if words else []


def _title(panel: Panel) -> str:
    query = clip(one_line(panel.query), QUERY_CHARS)
    return f"FloKit integrations: {query}" if query else "FloKit integrations"


def _summary(panel: Panel, runs: Mapping[str, RowRun], nicknames: Nicknames) -> tuple[str, str]:
    """Return the summary in two parts: how many integrations need attention, and which."""
    query = vendor_line(panel.query, QUERY_CHARS)
    matching = f" matching “{query}”" if query else ""
    known = [known_now(integration, panel, runs) for integration in sorted(panel.integrations, key=by_urgency)]
    if not known:
        return (f"No integrations{matching}", ".") if query else ("No integrations in FloKit yet", f". {_CONNECT_ONE}")
    troubled = [one for one in known if state_of(one.status).needs_attention]
    unknown = [one for one in known if not state_of(one.status).is_known]
    if not troubled and unknown:
        return in_unknown_state(len(unknown), len(known), matching), f": {tally(known)}."
    if not troubled:
        return f"No integration{matching} needs attention", f": {tally(known)}."
    lead = need_attention(len(troubled), len(known), "integration", matching)
    also = f", {len(unknown):,} {UNKNOWN_STATE}" if unknown else ""
    return f"{lead}{also}", f": {listed([*troubled, *unknown], lambda one: _trouble(one, panel, runs, nicknames))}."


def _trouble(integration: Integration, panel: Panel, runs: Mapping[str, RowRun], nicknames: Nicknames) -> str:
    row_run = runs.get(integration.id)
    under_way = " (resync running)" if row_run and row_run.run.is_active else ""
    name = name_of(integration, panel.integrations, nicknames)
    return f"{name.text} is {state_of(integration.status).words}{under_way}"


def _footer(panel: Panel, page: Page, command: str) -> str:
    parts = (f"As of {date(panel.as_of)}", page.words, f"For details: {typed(command, 'show <integration>')}")
    return " · ".join(part for part in parts if part)


def _buttons(panel: Panel, page: Page, runs: Mapping[str, RowRun]) -> list[Block]:
    refresh = button("Refresh", Press(Action.REFRESH, panel_id=panel.id))
    return actions(_resync_all(panel, runs), refresh, *page_buttons(panel.id, page))


def _resync_all(panel: Panel, runs: Mapping[str, RowRun]) -> Block | None:
    """Return the button for all that fail; None unless a sync can help at least two, which aren't disconnected."""
    failing = [one for one in panel.integrations if known_now(one, panel, runs).status == Status.ERROR]
    waiting = [one for one in failing if not (one.id in runs and runs[one.id].run.is_active)]
    if len(waiting) < FAILING_AT_LEAST:
        return None
    return button("Resync all failing", Press(Action.RESYNC_ALL_FAILING, panel_id=panel.id))


def choose_message(
    panel: Panel, runs: Mapping[str, RowRun], now: datetime, nicknames: Nicknames = NO_NICKNAMES
) -> Message:
    """Offer one button per matching integration: Resync or Details, depending on the panel's kind."""
    page = page_of(sorted(panel.integrations, key=by_urgency), panel.page)
    query = vendor_line(panel.query, QUERY_CHARS)
    question = f"“{query}” matches {counted(len(panel.integrations), 'integration')} — which one?"
    above = [*stale_note(panel), section(question)]
    below = actions(*page_buttons(panel.id, page))
    rows = [row_of(integration, panel, runs, nicknames) for integration in page.integrations]
    shown = fit_rows(rows, lambda row, room: _choice(row, panel, now, room), [*above, *below])
    return Message(f"{stale_lead(panel)}{question}", (*above, *shown, *below))


def _choice(row: Row, panel: Panel, now: datetime, room: Room) -> list[Block]:
    return [section(row_text(row, now), _button(row, panel) if room >= Room.BUTTON else None)]


def _button(row: Row, panel: Panel) -> Block | None:
    if panel.kind is PanelKind.CHOOSE_SYNC:
        return resync_button(row.integration, row.name, panel.id)
    return details_button(row.integration, row.name)
