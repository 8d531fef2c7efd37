"""Tickets about incidents: the button that opens one elsewhere, and the form for its link."""

from __future__ import annotations

from typing import Final

from bot.core.blocks import phrases
from bot.core.blocks.elements import Block, actions, button, link_button, plain, section
from bot.core.blocks.names import ID_SHOWN, Name
from bot.core.blocks.text import clean, clip, escape, utc
from bot.core.commands.presses import Action, Press
from bot.core.forms.ticket import ACTION_ID, FORM, LINK
from bot.core.incidents.incidents import Incident
from bot.core.incidents.tickets import ticket_url

NAME_CHARS: Final = 80
ERROR_CHARS: Final = 500


def ticket_line(incident: Incident) -> str:
    """Link to an incident's ticket; it says where it leads. "" without one."""
    return f"🎫 Ticket: <{escape(incident.ticket)}>" if incident.ticket else ""


def ticket_buttons(incident: Incident, name: Name, template: str, panel_id: str = "") -> list[Block]:
    """Return the buttons that open a ticket and add its link; none if the workspace has no template for tickets."""
    if not (template or incident.ticket):
        return []
    press = Press(Action.TICKET_LINK, incident_id=incident.id, panel_id=panel_id)
    link = button("Change ticket link" if incident.ticket else "Add ticket link", press, about=name.plain)
    return actions(None if incident.ticket else ticket_button(incident, name, template), link)


def ticket_form(incident: Incident, called: str, metadata: str) -> dict[str, object]:
    """Return the form in which an incident gets the link of its ticket.

    Args:
        incident: as it is now.
        called: the name of its integration, as plain text.
        metadata: its ``private_metadata``: see `OpenedFor.as_metadata`.
    """
    element: Block = {"type": "url_text_input", "action_id": ACTION_ID}
    if incident.ticket:
        element["initial_value"] = incident.ticket
    return {
        "type": "modal",
        "callback_id": FORM.callback_id,
        "private_metadata": metadata,
        "title": plain("Ticket link"),
        "submit": plain("Save"),
        "close": plain("Cancel"),
        "blocks": [
            section(f"The incident's message links to its ticket: {escape(clip(clean(called), NAME_CHARS))}."),
            {
                "type": "input",
                "block_id": LINK,
                "label": plain("Link"),
                "hint": plain("The ticket's address. Empty: no ticket."),
                "optional": True,
                "element": element,
            },
        ],
    }


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
