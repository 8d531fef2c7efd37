"""The values of the form in which an integration gets a name, an owner and a link.

Any values are handled, because an old or tampered form may send anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.core.commands.presses import fits_in_a_button
from bot.core.json_values import object_in, parse_object
from bot.core.nicknames import Edit, problems_of, tidy_name

CALLBACK_ID: Final = "flokit_name_form"
NAME, OWNER, GROUP, LINK = "name", "owner", "group", "link"
"""The ``block_id`` of each input."""

EXPIRED: Final = "This form has expired, so nothing was saved. Open it again."

_TYPED_CHARS: Final = 1000
"""Longer than any input of the form takes."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A valid form: what it was opened for (see `write_metadata`), and what is to be changed."""

    integration_id: str
    asked_id: str
    panel_id: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class WrongName:
    """An invalid form: error messages by ``block_id``."""

    errors: Mapping[str, str] = field(default_factory=dict)


def action_id(block_id: str) -> str:
    """Return the ``action_id`` of an input block's element."""
    return f"name_{block_id}"


def write_metadata(integration_id: str, asked_id: str, panel_id: str = "") -> str:
    """Return a form's ``private_metadata``.

    It's JSON: ``{"i": "<integration>", "asked": "<the request that opened it>", "p": "<the message to redraw>"}``.
    """
    return json.dumps({"i": integration_id, "asked": asked_id, "p": panel_id})


def read_form(values: object, private_metadata: object) -> Filled | WrongName:
    """Read a submitted form.

    Args:
        values: ``view.state.values``: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload
        private_metadata: the form's metadata.
    """
    fields = parse_object(private_metadata)
    ids = [one if isinstance(one := fields.get(key), str) else "" for key in ("i", "asked", "p")]
    if not all(fits_in_a_button(one) for one in ids[:2]) or not (ids[2] == "" or fits_in_a_button(ids[2])):
        return WrongName({NAME: EXPIRED})
    person, group = _value(values, OWNER, "selected_user"), _value(values, GROUP, "value")
    edit = Edit(tidy_name(_value(values, NAME, "value")), person or group, _value(values, LINK, "value"))
    errors = problems_of(edit)
    if OWNER in errors and not person:
        errors[GROUP] = errors.pop(OWNER)
    if person and group:
        errors[GROUP] = "Choose a person above or a user group here, not both."
    return WrongName(errors) if errors else Filled(ids[0], ids[1], ids[2], edit)


def _value(values: object, block_id: str, key: str) -> str:
    state = object_in(object_in(values, block_id) if isinstance(values, Mapping) else {}, action_id(block_id))
    value = state.get(key)
    return value[:_TYPED_CHARS].strip() if isinstance(value, str) else ""
