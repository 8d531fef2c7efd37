"""The form in which an integration gets a name, an owner and a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.core.forms.form import EXPIRED, CheckedForm, OpenedFor, WrongForm, read_opened_for, typed_in
from bot.core.nicknames import Edit, problems_of, tidy_name

NAME, OWNER, GROUP, LINK = "name", "owner", "group", "link"
"""The ``block_id`` of each input."""


@dataclass(frozen=True, slots=True)
class FilledName:
    """A valid form: the integration that it was opened for, and what is to be changed."""

    opened_for: OpenedFor
    edit: Edit


def action_id(block_id: str) -> str:
    """Return the ``action_id`` of an input block's element."""
    return f"name_{block_id}"


def read_form(values: object, private_metadata: object) -> FilledName | WrongForm:
    """Read a submitted form."""
    opened_for = read_opened_for(private_metadata)
    if opened_for is None:
        return WrongForm({NAME: EXPIRED})
    person, group = _value(values, OWNER, "selected_user"), _value(values, GROUP)
    edit = Edit(tidy_name(_value(values, NAME)), person or group, _value(values, LINK))
    errors = problems_of(edit)
    if OWNER in errors and not person:
        errors[GROUP] = errors.pop(OWNER)
    if person and group:
        errors[GROUP] = "Choose a person above or a user group here, not both."
    return WrongForm(errors) if errors else FilledName(opened_for, edit)


def _value(values: object, block_id: str, key: str = "value") -> str:
    return typed_in(values, block_id, action_id(block_id), key)


FORM: Final = CheckedForm("name", "flokit_name_form", first=NAME, read=read_form)
