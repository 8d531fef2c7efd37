"""The values of the form in which an incident gets the link of its ticket.

Any values are handled, because an old or tampered form may send anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.core.commands.presses import fits_in_a_button
from bot.core.json_values import object_in, parse_object
from bot.core.nicknames import link_problem

CALLBACK_ID: Final = "flokit_ticket_form"
LINK: Final = "ticket"
"""The ``block_id`` of its input."""

ACTION_ID: Final = "ticket_link"
EXPIRED: Final = "This form has expired, so nothing was saved. Open it again."

_TYPED_CHARS: Final = 1000


@dataclass(frozen=True, slots=True)
class FilledTicket:
    """A valid form: the incident, the request that opened it, its message, and the link; "" removes it."""

    incident_id: str
    asked_id: str
    panel_id: str
    link: str


@dataclass(frozen=True, slots=True)
class WrongTicket:
    """An invalid form: error messages by ``block_id``."""

    errors: Mapping[str, str] = field(default_factory=dict)


def write_metadata(incident_id: str, asked_id: str, panel_id: str = "") -> str:
    """Return a form's ``private_metadata``.

    It's JSON: ``{"e": "<incident>", "asked": "<the request that opened it>", "p": "<its message>"}``.
    """
    return json.dumps({"e": incident_id, "asked": asked_id, "p": panel_id})


def read_form(values: object, private_metadata: object) -> FilledTicket | WrongTicket:
    """Read a submitted form.

    Args:
        values: ``view.state.values``: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload
        private_metadata: the form's metadata.
    """
    fields = parse_object(private_metadata)
    ids = [one if isinstance(one := fields.get(key), str) else "" for key in ("e", "asked", "p")]
    if not all(fits_in_a_button(one) for one in ids[:2]) or not (ids[2] == "" or fits_in_a_button(ids[2])):
        return WrongTicket({LINK: EXPIRED})
    state = object_in(object_in(values, LINK) if isinstance(values, Mapping) else {}, ACTION_ID)
    typed = state.get("value")
    link = typed[:_TYPED_CHARS].strip() if isinstance(typed, str) else ""
    if problem := link_problem(link):
        return WrongTicket({LINK: problem})
    return FilledTicket(ids[0], ids[1], ids[2], link)
