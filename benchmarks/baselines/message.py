"""The bot's status message, built once, for baselines that look nothing up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from bot.core import blocks
from bot.core.models import Integration, Message, Status
from bot.core.panels import Panel, PanelKind

MANY: Final = 8
NOW: Final = datetime(2026, 1, 5, tzinfo=UTC)


def status_message() -> Message:
    """Return the status of eight connected integrations."""
    shown = tuple(Integration(f"int_{number:05d}", "stripe", Status.CONNECTED, NOW) for number in range(MANY))
    return blocks.panel_message(Panel("panel_1", PanelKind.STATUS, shown, NOW), {}, NOW)
