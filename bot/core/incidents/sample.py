"""A sample incident, which shows a channel what real ones look like. It's stored only as a message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from bot.core.commands.presses import Press
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.models import Integration, Status
from bot.core.panels import Panel, PanelKind

PREFIX: Final = "sample_"
"""How the IDs of samples begin; those of real messages and incidents begin otherwise."""

INTEGRATION_ID: Final = "int_sample_of_an_incident"
ERROR: Final = "This is what FloKit's own error looks like: The API key was rejected (401)"


def sample_panel(panel_id: str, team_id: str, now: datetime) -> Panel:
    """Return the message of a sample incident; ``panel_id`` begins with `PREFIX`."""
    integration = Integration(INTEGRATION_ID, "sample", Status.ERROR, now - timedelta(hours=2), ERROR)
    began = now - timedelta(minutes=5)
    incident = Incident(f"{PREFIX}incident", team_id, integration, now, Trouble.FAILING, integration, began)
    return Panel(panel_id, PanelKind.INCIDENT, (integration,), now, incident=incident)


def is_sample(press: Press) -> bool:
    """Whether a button belongs to a sample."""
    ids = (press.panel_id, press.incident_id)
    return press.integration_id == INTEGRATION_ID or any(id_.startswith(PREFIX) for id_ in ids)
