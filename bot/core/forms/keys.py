"""The values of the form that connects a workspace to its FloKit.

The form's input is the one secret that people type: it's checked and sealed while Slack waits for the ack, and never
saved or logged as it came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bot.core.forms.form import CheckedForm, WrongForm, typed_in
from bot.core.requests import RequestKind

KEY, SYNC_KEY = "key", "sync_key"
"""The ``block_id`` of each input; the ``action_id`` of its element is the same."""

KEY_CHARS: Final = 500
"""Longer than any key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys in a submitted form; ``sync_key`` is "" if there's only one."""

    key: str = field(repr=False)
    sync_key: str = field(repr=False)


def read_form(values: object, _: object = "") -> Keys | WrongForm:
    """Read a submitted form."""
    keys = {block_id: typed_in(values, block_id, block_id) for block_id in (KEY, SYNC_KEY)}
    errors = {block_id: problem for block_id, text in keys.items() if (problem := _problem(block_id, text))}
    return WrongForm(errors) if errors else Keys(keys[KEY], keys[SYNC_KEY])


def _problem(block_id: str, text: str) -> str:
    if not text:
        return "Paste the key here." if block_id == KEY else ""
    if text.startswith(("xoxb-", "xoxp-", "xapp-")):
        return "This is a Slack token. Paste a key from FloKit → Settings → API Keys."
    if len(text) > KEY_CHARS or not (text.isascii() and text.isprintable()) or " " in text:
        return "This isn't an API key: a key has no spaces and no line breaks. Copy it again from FloKit."
    return ""


FORM: Final = CheckedForm("connect", "flokit_connect_form", first=KEY, read=read_form, kind=RequestKind.CONNECTED)
