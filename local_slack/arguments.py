"""The arguments of a Web API call, sent as a form, a query or JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from local_slack.workspace import Json

STRUCTURES: Final = frozenset({"blocks", "metadata", "view", "message", "attachments", "loading_messages"})
"""Arguments with JSON values; forms carry them as text."""


class Arguments:
    """What the caller sent; ``values`` are without the token."""

    def __init__(self, values: Json, token: str = "") -> None:
        self.values: Json = {name: _decode(name, value) for name, value in values.items() if value is not None}
        self.token = token

    def has(self, name: str) -> bool:
        """Whether an argument was sent, even if empty."""
        return name in self.values

    def value(self, name: str) -> Any:
        """Return a decoded structure; text that isn't JSON stays text, for the validation to refuse."""
        return self.values.get(name)

    def text(self, name: str) -> str:
        """Return an argument as text; "" if it's missing."""
        return str(self.values.get(name, ""))

    def flag(self, name: str) -> bool:
        """Return a boolean, in any spelling that clients use."""
        return self.text(name).lower() in {"1", "true"}

    def number(self, name: str, default: int) -> int:
        """Return a count; like Slack, fall back to the default if it's invalid."""
        text = self.text(name)
        return int(text) if text.isdecimal() else default


def _decode(name: str, value: object) -> object:
    if name not in STRUCTURES or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
