"""Renders any panel as its message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bot.core.blocks.audit import audit_message
from bot.core.blocks.bulk import bulk_message, preview_message
from bot.core.blocks.detail import detail_message, sync_message
from bot.core.blocks.incident import incident_message
from bot.core.blocks.sample import as_sample
from bot.core.blocks.status import choose_message, status_message
from bot.core.blocks.subscriptions import unsubscribed_message
from bot.core.incidents.sample import PREFIX
from bot.core.models import Message
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.panels import Panel, PanelKind, RowRun


def panel_message(
    panel: Panel,
    runs: Mapping[str, RowRun],
    now: datetime,
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    command: str = "/flokit",
    outbox_id: str = "",
    ticket: str = "",
) -> Message:
    """Render a panel, with the newest run of each of its integrations, by integration ID.

    ``outbox_id`` is for the metadata of those that have their own, and ``ticket`` the workspace's template of the
    address at which a ticket is opened.
    """
    match panel.kind:
        case PanelKind.STATUS:
            return status_message(panel, runs, now, nicknames, command=command)
        case PanelKind.DETAIL:
            return detail_message(panel, runs, now, nicknames)
        case PanelKind.SYNC:
            return sync_message(panel, runs, now, nicknames)
        case PanelKind.CHOOSE_SYNC | PanelKind.CHOOSE_DETAIL:
            return choose_message(panel, runs, now, nicknames)
        case PanelKind.AUDIT:
            return audit_message(panel, nicknames, command=command)
        case PanelKind.INCIDENT:
            message = incident_message(panel, runs, nicknames, ticket=ticket)
            return as_sample(message, command=command) if panel.id.startswith(PREFIX) else message
        case PanelKind.UNSUBSCRIBED:
            return unsubscribed_message(panel)
        case PanelKind.PREVIEW:
            return preview_message(panel, nicknames)
        case PanelKind.BULK:
            return bulk_message(panel, runs, now, nicknames, outbox_id=outbox_id)
