"""The form in which an incident gets the link of its ticket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.core.forms.form import EXPIRED, CheckedForm, OpenedFor, WrongForm, read_opened_for, typed_in
from bot.core.nicknames import link_problem

LINK: Final = "ticket"
"""The ``block_id`` of its input."""

ACTION_ID: Final = "ticket_link"


@dataclass(frozen=True, slots=True)
class FilledTicket:
    """A valid form: the incident that it was opened for, and the link; "" removes it."""

    opened_for: OpenedFor
    link: str


def read_form(values: object, private_metadata: object) -> FilledTicket | WrongForm:
    """Read a submitted form."""
    opened_for, link = read_opened_for(private_metadata), typed_in(values, LINK, ACTION_ID)
    problem = link_problem(link) if opened_for else EXPIRED
    return FilledTicket(opened_for, link) if opened_for and not problem else WrongForm({LINK: problem})


FORM: Final = CheckedForm("ticket", "flokit_ticket_form", first=LINK, read=read_form)
