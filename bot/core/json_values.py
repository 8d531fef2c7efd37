"""Reads JSON from outside. Nothing here raises, whatever was sent."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text; None if it isn't JSON (or is ``null``)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # ValueError also for invalid UTF-8 and for numbers of 5,000 digits
        return None


def parse_object(text: object) -> dict[str, Any]:
    """Return a JSON object; an empty one if this isn't the text of one."""
    value = parse_json(text) if isinstance(text, str | bytes) else None
    return value if isinstance(value, dict) else {}


def object_in(value: Any, key: str) -> dict[str, Any]:
    """Return the object under a key of an object; an empty one if there's none, or something else."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}
