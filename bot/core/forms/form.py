"""What all forms have in common.

Any values are handled, because an old or tampered form may send anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot.core.commands.presses import fits_in_a_button
from bot.core.json_values import object_in, parse_object
from bot.core.requests import RequestKind

EXPIRED: Final = "This form has expired, so nothing was saved. Open it again."

TYPED_CHARS: Final = 1000
"""Longer than any input takes that is read by `typed_in`."""


@dataclass(frozen=True, slots=True)
class WrongForm:
    """An invalid form: error messages by ``block_id``."""

    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckedForm:
    """A form that is checked while it's open, so that what's wrong is shown below its inputs.

    Args:
        name: what checking it is called in traces.
        callback_id: Slack's name of it.
        first: the ``block_id`` below which trouble of our own is shown.
        read: returns what's filled in, or what's wrong with it, by ``view.state.values`` and ``private_metadata``:
            https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload
        kind: the kind of request that submitting it is.
        closes_all: also close the forms that it's on top of.
    """

    name: str
    callback_id: str
    first: str
    read: Callable[[object, object], object]
    kind: RequestKind = RequestKind.FORM
    closes_all: bool = False


@dataclass(frozen=True, slots=True)
class OpenedFor:
    """What a form was opened for: the ID of an integration or incident, and where.

    Args:
        subject_id: the integration or incident.
        asked_id: the request that opened the form, as proof.
        panel_id: the message that is redrawn afterwards, or "".
    """

    subject_id: str
    asked_id: str
    panel_id: str = ""

    def as_metadata(self) -> str:
        """Return a form's ``private_metadata``.

        It's JSON: ``{"about": "<subject>", "asked": "<the request that opened it>", "p": "<the message to redraw>"}``.
        """
        return json.dumps({"about": self.subject_id, "asked": self.asked_id, "p": self.panel_id})


def read_opened_for(private_metadata: object) -> OpenedFor | None:
    """Return what a form was opened for; None if its metadata is invalid."""
    fields = parse_object(private_metadata)
    subject_id, asked_id, panel_id = (
        one if isinstance(one := fields.get(key), str) else "" for key in ("about", "asked", "p")
    )
    ids = (subject_id, asked_id, *([panel_id] if panel_id else []))
    return OpenedFor(subject_id, asked_id, panel_id) if all(map(fits_in_a_button, ids)) else None


def state_of(values: object, block_id: str, action_id: str) -> Mapping[str, Any]:
    """Return the state of an input, from ``view.state.values``; {} if there's none."""
    return object_in(object_in(values, block_id) if isinstance(values, Mapping) else {}, action_id)


def typed_in(values: object, block_id: str, action_id: str, key: str = "value") -> str:
    """Return the text of an input, or what was chosen in it; "" if there's none."""
    value = state_of(values, block_id, action_id).get(key)
    return value[:TYPED_CHARS].strip() if isinstance(value, str) else ""
