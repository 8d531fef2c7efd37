"""The button that opens a ticket about an incident, elsewhere."""

from __future__ import annotations

from typing import Final

from bot.core.blocks import phrases
from bot.core.blocks.elements import Block, link_button
from bot.core.blocks.names import ID_SHOWN, Name
from bot.core.blocks.text import clean, clip, utc
from bot.core.incidents.incidents import Incident
from bot.core.incidents.tickets import ticket_url

NAME_CHARS: Final = 80
ERROR_CHARS: Final = 500


def ticket_button(incident: Incident, name: Name, template: str) -> Block | None:
    """Return the button with a workspace's template filled in; None without a template."""
    if not template:
        return None
    called = clip(clean(name.plain), NAME_CHARS)
    now = phrases.TROUBLES[incident.trouble].now
    error = clip(clean(incident.failure.error_message or ""), ERROR_CHARS)
    body = (
        f"{called} {now.replace('is ', 'has been ', 1)} since {utc(incident.opened_at)}.",
        f"FloKit says: {error}" if error else "",
        f"Integration: {clip(incident.integration.id, ID_SHOWN)}",
    )
    values = {
        "title": f"{called} {now}",
        "body": "\n".join(line for line in body if line),
        "integration": called,
        "id": clip(incident.integration.id, ID_SHOWN),
    }
    url = ticket_url(template, values)
    return link_button("Open a ticket", url, about=name.plain) if url else None
