"""A person's own settings, and the form in which they change them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.core.forms.form import CheckedForm, WrongForm, state_of, typed_in
from bot.core.json_values import object_in
from bot.core.subscriptions.zones import ZONE_CHARS, unclear_zone, zones_called

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


def action_id(block_id: str) -> str:
    """Return the ``action_id`` of an input block's element."""
    return f"settings_{block_id}"


def read_form(values: object, _: object = "") -> PersonSettings | WrongForm:
    """Read a submitted form."""
    typed = " ".join(typed_in(values, ZONE, action_id(ZONE)).split())
    zones = zones_called(typed) if typed else ("",)
    if len(zones) != 1 or len(typed) > ZONE_CHARS:
        return WrongForm({ZONE: unclear_zone(typed)})
    option = object_in(state_of(values, DMS, action_id(DMS)), "selected_option")
    return PersonSettings(zones[0], option.get("value") == ONLY_SYNCS)


def describe_settings(settings: PersonSettings) -> str:
    """Describe settings for the audit log."""
    dms = "DMs about own syncs only" if settings.only_syncs else "all DMs"
    return f"time zone {settings.zone or 'of Slack'}, {dms}"


FORM: Final = CheckedForm("settings", "flokit_settings_form", first=ZONE, read=read_form)
