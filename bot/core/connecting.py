"""The values of the form that connects a workspace to its FloKit.

The form's input is the one secret that people type: it's checked and sealed while Slack waits for the ack, and never
saved or logged as it came. Any values are handled, because an old or tampered form may send anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

CALLBACK_ID: Final = "flokit_connect_form"
KEY, SYNC_KEY = "key", "sync_key"
"""The ``block_id`` of each input; the ``action_id`` of its element is the same."""

KEY_CHARS: Final = 500
"""Longer than any key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys in a submitted form; ``sync_key`` is "" if there's only one."""

    key: str = field(repr=False)
    sync_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WrongKeys:
    """Keys that can't be right: error messages by ``block_id``."""

    errors: Mapping[str, str] = field(default_factory=dict)


def read_keys(values: object) -> Keys | WrongKeys:
    """Read a submitted form.

    Args:
        values: ``view.state.values``: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload
    """
    keys = {block_id: _typed(values, block_id) for block_id in (KEY, SYNC_KEY)}
    errors = {block_id: problem for block_id, text in keys.items() if (problem := _problem(block_id, text))}
    return WrongKeys(errors) if errors else Keys(keys[KEY], keys[SYNC_KEY])


def _problem(block_id: str, text: str) -> str:
    if not text:
        return "Paste the key here." if block_id == KEY else ""
    if text.startswith(("xoxb-", "xoxp-", "xapp-")):
        return "This is a Slack token. Paste a key from FloKit → Settings → API Keys."
    if len(text) > KEY_CHARS or not (text.isascii() and text.isprintable()) or " " in text:
        return "This isn't an API key: a key has no spaces and no line breaks. Copy it again from FloKit."
    return ""


def _typed(values: object, block_id: str) -> str:
    block = values.get(block_id) if isinstance(values, Mapping) else None
    state: Any = block.get(block_id) if isinstance(block, Mapping) else None
    value = state.get("value") if isinstance(state, Mapping) else None
    return value.strip() if isinstance(value, str) else ""
