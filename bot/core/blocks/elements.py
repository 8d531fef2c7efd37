"""Block Kit in Python: one function per block or element that the bot uses.

Blocks have no ``block_id``, so that Slack generates a new one at every update, as it recommends.
Source: https://docs.slack.dev/reference/block-kit
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from bot.core.advice import things_to_check
from bot.core.blocks import limits
from bot.core.blocks.names import Name
from bot.core.blocks.text import clean, clip, escape, one_line
from bot.core.commands.presses import Action, Press, fits_in_a_button, picker_id, press_value
from bot.core.models import Integration, Message, Status

Block: TypeAlias = dict[str, object]


def json_chars(blocks: Iterable[Block]) -> int:
    """Count the characters of the blocks' JSON as ``slack_sdk`` sends it, which is ASCII."""
    return len(json.dumps(list(blocks)))


def plain(text: str) -> Block:
    """Text that isn't parsed at all, not even for ``:emoji:`` names."""
    return {"type": "plain_text", "text": text, "emoji": False}


def mrkdwn(text: str) -> Block:
    """Formatted text. ``verbatim`` keeps Slack from linking addresses and channel names in it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def header(text: str) -> Block:
    """A large heading of plain text."""
    return {"type": "header", "text": plain(clip(text, limits.HEADER_TEXT))}


def section(text: str, accessory: Block | None = None) -> Block:
    """A paragraph of mrkdwn, optionally with a button beside it."""
    block: Block = {"type": "section", "text": mrkdwn(text)}
    return {**block, "accessory": accessory} if accessory else block


def fields(texts: Iterable[str]) -> Block:
    """Short mrkdwn texts in two columns."""
    return {"type": "section", "fields": [mrkdwn(text) for text in texts]}


def context(text: str) -> Block:
    """A small gray line of mrkdwn."""
    return {"type": "context", "elements": [mrkdwn(text)]}


def actions(*buttons: Block | None) -> list[Block]:
    """A row of the buttons that aren't None; no block if there are none."""
    there = [button for button in buttons if button]
    return [{"type": "actions", "elements": there}] if there else []


def sentence(text: str, hint: str = "", *, only_for_one: bool = False) -> Message:
    """A message of one paragraph, with a small gray hint below."""
    blocks = (section(text), *([context(hint)] if hint else []))
    return Message(f"{text} {hint}".strip(), blocks, only_for_one=only_for_one)


def quoted(untrusted: str, limit: int) -> list[Block]:
    """Show an untrusted text in a block that Slack doesn't parse; no block if it's empty."""
    text = clip(clean(untrusted), limit)
    if not text:
        return []
    preformatted = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "elements": [preformatted]}]


def checks(type_: str, most: int | None = None, accessory: Block | None = None, *, link: str = "") -> Block:
    """List the things to check for an integration type, at most ``most`` of them, and the link that people added."""
    lines = [f"• {escape(check)}" for check in things_to_check(type_)[:most]]
    return section("\n".join(("Things to check:", *link_line(link), *lines)), accessory)


def link_line(link: str) -> list[str]:
    """Return the line of a link among the things to check; it says where it leads."""
    return [f"• Your team's notes: <{escape(link)}>"] if link else []


def button(label: str, press: Press, *, about: str = "") -> Block:
    """A button with a press as its value. ``about`` distinguishes it from identical buttons for screen readers."""
    element: Block = {
        "type": "button",
        "action_id": press.action.value,
        "text": plain(label),
        "value": press_value(press),
    }
    if about:
        element["accessibility_label"] = clip(one_line(f"{label} {about}"), limits.ACCESSIBILITY_LABEL)
    return element


def link_button(label: str, url: str, *, about: str = "") -> Block:
    """A button that opens an address; the click is only acked."""
    element: Block = {"type": "button", "action_id": "link", "text": plain(label), "url": url}
    if about:
        element["accessibility_label"] = clip(one_line(f"{label} {about}"), limits.ACCESSIBILITY_LABEL)
    return element


def press_select(placeholder: str, choices: Mapping[str, Press]) -> Block:
    """A menu whose choices are presses of one action, by label."""
    options = [{"text": plain(text), "value": press_value(press)} for text, press in choices.items()]
    action = next(iter(choices.values())).action
    return {"type": "static_select", "action_id": action.value, "placeholder": plain(placeholder), "options": options}


def people_picker(placeholder: str, press: Press) -> Block:
    """A list of the workspace's people; picking one is the press."""
    return {"type": "users_select", "action_id": picker_id(press), "placeholder": plain(placeholder)}


def resync_button(integration: Integration, name: Name, panel_id: str = "") -> Block | None:
    """The Resync button with its confirm dialog; None if the ID doesn't fit in a button."""
    if not fits_in_a_button(integration.id):
        return None
    press = Press(Action.RESYNC, integration_id=integration.id, panel_id=panel_id)
    return {**button("Resync", press, about=name.plain), "confirm": _confirm_resync(name)}


def sync_buttons(integration: Integration, resync: Block | None, *others: Block | None) -> list[Block]:
    """A row of buttons with Resync first; last while it's disconnected, because then a sync won't help."""
    last = integration.status == Status.DISCONNECTED
    return actions(*((*others, resync) if last else (resync, *others)))


def details_button(integration: Integration, name: Name) -> Block | None:
    """The Details button; None if the ID doesn't fit in a button."""
    if not fits_in_a_button(integration.id):
        return None
    return button("Details", Press(Action.DETAILS, integration_id=integration.id), about=name.plain)


def _confirm_resync(name: Name) -> Block:
    return {
        "title": plain(clip(f"Resync {name.plain}?", limits.CONFIRM_TITLE)),
        "text": plain("FloKit will fetch this data again. I'll post the outcome in this message's thread."),
        "confirm": plain("Resync"),
        "deny": plain("Cancel"),
    }
