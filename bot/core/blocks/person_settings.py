"""A person's own settings: their part of App Home, and the form."""

from __future__ import annotations

from bot.core.blocks.elements import Block, button, header, plain, section
from bot.core.blocks.text import escape
from bot.core.commands.presses import Action, Press
from bot.core.person_settings import (
    DMS,
    DMS_OFFERED,
    EVERYTHING,
    FORM,
    ONLY_SYNCS,
    ZONE,
    PersonSettings,
    action_id,
)
from bot.core.subscriptions.zones import ZONE_CHARS


def settings_part(settings: PersonSettings) -> list[Block]:
    """Show a person's settings, with a button that opens their form."""
    zone = escape(settings.zone) or "as in Slack"
    lines = [f"Time zone: {zone}", f"Direct messages: {DMS_OFFERED[_dms(settings)]}"]
    edit = button("Edit settings", Press(Action.EDIT_SETTINGS, choice="settings"))
    return [header("Your settings"), section("\n".join(lines), edit)]


def settings_form(settings: PersonSettings) -> dict[str, object]:
    """Return the form in which a person changes their settings."""
    options = {
        value: {"text": plain(f"{text[:1].upper()}{text[1:]}"), "value": value} for value, text in DMS_OFFERED.items()
    }
    zone: Block = {"type": "plain_text_input", "action_id": action_id(ZONE), "max_length": ZONE_CHARS}
    zone |= {"initial_value": settings.zone} if settings.zone else {}
    return {
        "type": "modal",
        "callback_id": FORM.callback_id,
        "title": plain("Your settings"),
        "submit": plain("Save"),
        "close": plain("Cancel"),
        "blocks": [
            {
                "type": "input",
                "block_id": ZONE,
                "label": plain("Time zone"),
                "hint": plain("Such as Europe/Berlin, or a city. Empty: the time zone of your Slack profile."),
                "optional": True,
                "element": zone,
            },
            {
                "type": "input",
                "block_id": DMS,
                "label": plain("Send me direct messages"),
                "element": {
                    "type": "radio_buttons",
                    "action_id": action_id(DMS),
                    "options": list(options.values()),
                    "initial_option": options[_dms(settings)],
                },
            },
        ],
    }


def _dms(settings: PersonSettings) -> str:
    return ONLY_SYNCS if settings.only_syncs else EVERYTHING
