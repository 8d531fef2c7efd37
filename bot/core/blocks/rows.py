"""One integration as a row of a message, in as much detail as the message has room for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from bot.core.advice import RECONNECT
from bot.core.blocks.elements import Block, checks, details_button, quoted, resync_button, section
from bot.core.blocks.names import Name, name_of
from bot.core.blocks.runs import row_line
from bot.core.blocks.states import State, last_success, state_now, state_of
from bot.core.models import Integration, Outcome, Status
from bot.core.panels import Panel, RowRun


class Room(IntEnum):
    """How much of a row is shown."""

    LINE = 0
    """What and how it is: at most about 900 characters of JSON, whatever FloKit sends."""
    BUTTON = 1
    """… and Resync."""
    ERROR = 2
    """… and the beginning of the error text."""
    ADVICE = 3
    """… and more of the error text, things to check, and Details."""


ERROR_CHARS: Final = {Room.ERROR: 150, Room.ADVICE: 300}
CHECKS_IN_ROW: Final = 3

_GONE: Final = State("❔", "no longer in FloKit", 5)


@dataclass(frozen=True, slots=True)
class Row:
    """An integration as it is known now, and what a run did to it since its panel was drawn."""

    integration: Integration
    name: Name
    run_line: str = ""
    is_running: bool = False
    """A sync that was asked for here is under way."""
    is_gone: bool = False
    """A run found that FloKit no longer has it."""

    @property
    def needs_help(self) -> bool:
        """Whether the error text and the things to check are of use now.

        While a sync is under way FloKit still shows the old error: it is no news then.
        """
        return state_of(self.integration.status).needs_attention and not (self.is_running or self.is_gone)


def known_now(integration: Integration, panel: Panel, runs: Mapping[str, RowRun]) -> Integration:
    """Return the newer of what the panel saw and what a run saw."""
    row_run = runs.get(integration.id)
    if row_run is None or row_run.run.last_seen is None or row_run.run.last_seen_at is None:
        return integration
    return row_run.run.last_seen if row_run.run.last_seen_at > panel.as_of else integration


def row_of(integration: Integration, panel: Panel, runs: Mapping[str, RowRun]) -> Row:
    """Put together what is known of an integration of a panel."""
    known = known_now(integration, panel, runs)
    name = name_of(integration, panel.integrations)
    row_run = runs.get(integration.id)
    line = row_line(row_run, panel.as_of) if row_run else ""
    if row_run is None or not line:
        return Row(known, name)
    run = row_run.run
    return Row(known, name, line, is_running=run.is_active, is_gone=run.outcome is Outcome.GONE)


def row_blocks(row: Row, panel_id: str, now: datetime, room: Room) -> list[Block]:
    """Show a row: what and how it is, its error text, what to check, and its buttons.

    Resync stays while a sync is under way: a click then joins it, and the follow-up comes to this thread too.
    """
    can_sync = room >= Room.BUTTON and not row.is_gone
    blocks = [section(row_text(row, now), resync_button(row.integration, row.name, panel_id) if can_sync else None)]
    if row.needs_help and room >= Room.ERROR:
        blocks += quoted(row.integration.error_message or "", ERROR_CHARS[room])
    if row.needs_help and room >= Room.ADVICE:
        blocks.append(checks(row.integration.type, CHECKS_IN_ROW, details_button(row.integration, row.name)))
    return blocks


def row_text(row: Row, now: datetime) -> str:
    """Say in a few lines of mrkdwn which integration a row shows and how it is."""
    lines = [row.name.mrkdwn]
    if not row.is_running:
        lines.append(f"{row_state(row, now).label} · {last_success(row.integration)}")
    if row.run_line:
        lines.append(row.run_line)
    if row.needs_help and row.integration.status == Status.DISCONNECTED:
        lines.append(f"Reconnect it in {RECONNECT}; a resync alone won't fix it.")
    return "\n".join(lines)


def row_state(row: Row, now: datetime) -> State:
    """Return how a row's integration is shown."""
    return _GONE if row.is_gone else state_now(row.integration, now)
