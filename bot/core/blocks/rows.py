"""One integration as a row of a message, in as much detail as fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from bot.core.blocks.elements import Block, checks, details_button, quoted, resync_button, section
from bot.core.blocks.names import Name, name_of
from bot.core.blocks.phrases import ERROR_IN_LINE, ERROR_IN_ROW, RECONNECT_IT
from bot.core.blocks.runs import row_line
from bot.core.blocks.states import State, last_success, state_now, state_of
from bot.core.models import Integration, Outcome, Status
from bot.core.nicknames import Nicknames
from bot.core.panels import Panel, RowRun


class Room(IntEnum):
    """A row's level of detail."""

    LINE = 0
    """Its name and state: at most about 900 characters of JSON, whatever FloKit sends."""
    BUTTON = 1
    """… and Resync; or Details, while it's disconnected."""
    ERROR = 2
    """… and the beginning of the error text."""
    ADVICE = 3
    """… and more of the error text, things to check, and Details; or Resync, while it's disconnected."""


_ERROR_CHARS: Final = {Room.ERROR: ERROR_IN_LINE, Room.ADVICE: ERROR_IN_ROW}
CHECKS_IN_ROW: Final = 3

_GONE: Final = State("❔", "no longer in FloKit", 5)


@dataclass(frozen=True, slots=True)
class Row:
    """An integration's newest state, and what a run has done since its panel was created."""

    integration: Integration
    name: Name
    run_line: str = ""
    is_running: bool = False
    """Whether a sync started here is running."""
    is_gone: bool = False
    """Whether a run found that FloKit no longer has it."""
    link: str = ""
    """What people added to its things to check."""

    @property
    def needs_help(self) -> bool:
        """Whether to show the error text and the things to check.

        While a sync is running, FloKit still shows the old error.
        """
        return state_of(self.integration.status).needs_attention and not (self.is_running or self.is_gone)


def known_now(integration: Integration, panel: Panel, runs: Mapping[str, RowRun]) -> Integration:
    """Return the newer state of the panel's and the run's."""
    row_run = runs.get(integration.id)
    if row_run is None or row_run.run.last_seen is None or row_run.run.last_seen_at is None:
        return integration
    return row_run.run.last_seen if row_run.run.last_seen_at > panel.as_of else integration


def row_of(integration: Integration, panel: Panel, runs: Mapping[str, RowRun], nicknames: Nicknames) -> Row:
    """Return the row of one of a panel's integrations."""
    known = known_now(integration, panel, runs)
    name = name_of(integration, panel.integrations, nicknames)
    link = nicknames.of(integration.id).link
    row_run = runs.get(integration.id)
    line = row_line(row_run, panel.as_of) if row_run else ""
    if row_run is None or not line:
        return Row(known, name, link=link)
    run = row_run.run
    return Row(known, name, line, is_running=run.is_active, is_gone=run.outcome is Outcome.GONE, link=link)


def row_blocks(row: Row, panel_id: str, now: datetime, room: Room) -> list[Block]:
    """Show a row: its name and state, its error text, what to check, and its buttons.

    Resync stays while a sync is running: a click joins it, and its outcome is posted in this thread too. While it's
    disconnected, Details comes first.
    """
    resync = None if row.is_gone else resync_button(row.integration, row.name, panel_id)
    first, second = resync, details_button(row.integration, row.name)
    if row.needs_help and row.integration.status == Status.DISCONNECTED:
        first, second = second, resync  # a sync won't help
    blocks = [section(row_text(row, now), first if room >= Room.BUTTON else None)]
    if row.needs_help and room >= Room.ERROR:
        blocks += quoted(row.integration.error_message or "", _ERROR_CHARS[room])
    if row.needs_help and room >= Room.ADVICE:
        blocks.append(checks(row.integration.type, CHECKS_IN_ROW, second, link=row.link))
    return blocks


def row_text(row: Row, now: datetime) -> str:
    """Return the name and the state of a row's integration as a few lines of mrkdwn."""
    lines = [row.name.mrkdwn]
    if not row.is_running:
        lines.append(f"{row_state(row, now).label} · {last_success(row.integration)}")
    if row.run_line:
        lines.append(row.run_line)
    if row.needs_help and row.integration.status == Status.DISCONNECTED:
        lines.append(RECONNECT_IT)
    return "\n".join(lines)


def row_state(row: Row, now: datetime) -> State:
    """Return the state to show for a row."""
    return _GONE if row.is_gone else state_now(row.integration, now)
