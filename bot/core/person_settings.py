"""A person's own settings, and the values of the form in which they change them.

Any values are handled, because an old or tampered form may send anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.core.json_values import object_in
from bot.core.subscriptions.zones import ZONE_CHARS, unclear_zone, zones_called

CALLBACK_ID: Final = "flokit_settings_form"
ZONE, DMS = "zone", "dms"
"""The ``block_id`` of each input; the ``action_id`` of its element is the same, with ``settings_`` before it."""

EVERYTHING, ONLY_SYNCS = "everything", "syncs"
DMS_OFFERED: Final = {
    EVERYTHING: "about my syncs, and about my subscriptions when they're paused",
    ONLY_SYNCS: "about my syncs only",
}


@dataclass(frozen=True, slots=True)
class PersonSettings:
    """What a person chose. ``zone`` is an IANA name; "" is the one of their Slack profile."""

    zone: str = ""
    only_syncs: bool = False
    """They get direct messages about their syncs only."""


UNCHANGED: Final = PersonSettings()


@dataclass(frozen=True, slots=True)
class WrongSettings:
    """An invalid form: error messages by ``block_id``."""

    errors: Mapping[str, str] = field(default_factory=dict)


def action_id(block_id: str) -> str:
    """Return the ``action_id`` of an input block's element."""
    return f"settings_{block_id}"


def read_form(values: object) -> PersonSettings | WrongSettings:
    """Read a submitted form.

    Args:
        values: ``view.state.values``: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload
    """
    state = _state(values, ZONE).get("value")
    typed = " ".join(state.split()) if isinstance(state, str) else ""
    zones = zones_called(typed) if typed else ("",)
    if len(zones) != 1 or len(typed) > ZONE_CHARS:
        return WrongSettings({ZONE: unclear_zone(typed)})
    option = object_in(_state(values, DMS), "selected_option")
    return PersonSettings(zones[0], option.get("value") == ONLY_SYNCS)


def describe_settings(settings: PersonSettings) -> str:
    """Describe settings for the audit log."""
    dms = "DMs about own syncs only" if settings.only_syncs else "all DMs"
    return f"time zone {settings.zone or 'of Slack'}, {dms}"


def _state(values: object, block_id: str) -> Mapping[str, object]:
    return object_in(object_in(values, block_id) if isinstance(values, Mapping) else {}, action_id(block_id))
