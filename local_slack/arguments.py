"""The arguments of a Web API call, whether they came as a form, a query or JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from local_slack.workspace import Json

STRUCTURES: Final = frozenset({"blocks", "metadata", "view", "message", "attachments", "loading_messages"})
"""Arguments that are JSON values; a form carries them as text."""


class Arguments:
    """What the caller sent, without the token."""

    def __init__(self, values: Json) -> None:
        self.values: Json = {name: _decode(name, value) for name, value in values.items() if value is not None}

    def has(self, name: str) -> bool:
        """Tell an argument that was left out from an empty one."""
        return name in self.values

    def value(self, name: str) -> Any:
        """Return a structure as decoded; text that is no JSON stays text, and the validation refuses it."""
        return self.values.get(name)

    def text(self, name: str) -> str:
        """Return an argument as text; "" when it was left out."""
        return str(self.values.get(name, ""))

    def flag(self, name: str) -> bool:
        """Return a boolean, in any of the spellings that clients send."""
        return self.text(name).lower() in {"1", "true"}

    def number(self, name: str, default: int) -> int:
        """Return a count; Slack falls back to the default when it cannot read one."""
        text = self.text(name)
        return int(text) if text.isdecimal() else default


def _decode(name: str, value: object) -> object:
    if name not in STRUCTURES or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
