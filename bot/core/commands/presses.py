"""Buttons: what each one means, and what a click on it carries.

What a button means is in its ``action_id``; its ``value`` holds only IDs, so an old button never carries old data. Any
payload gets an answer: nothing here raises on what comes from outside.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """The buttons; the values are Slack's ``action_id`` and must stay, for buttons in old messages."""

    RESYNC = "flokit_resync"
    REFRESH = "flokit_refresh"
    DETAILS = "flokit_details"
    TRY_AGAIN = "flokit_try_again"
    SYNC_ANYWAY = "flokit_sync_anyway"
    KEEP_WATCHING = "flokit_keep_watching"
    PREVIOUS_PAGE = "flokit_previous_page"
    NEXT_PAGE = "flokit_next_page"
    SNOOZE = "flokit_snooze"
    END_SNOOZE = "flokit_end_snooze"
    UNSUBSCRIBE = "flokit_unsubscribe"
    REFRESH_HOME = "flokit_refresh_home"


ACTION_PATTERN: Final = re.compile(r"^flokit_")
"""Matches every ``action_id`` of ours, also those of a newer version: they still get a sentence."""

PRESS_VERSION: Final = 1

MAX_PAGE: Final = 100_000
"""Beyond any page that there is: a larger number was made up, and would not fit into a database."""

PRESS_CHARS: Final = 1100
"""The longest value of a button: five ids of `ID_CHARS`, even if all of it had to be escaped. Slack allows 2000."""

ID_CHARS: Final = 100
"""The longest id that a button carries; documented ones have about 25 characters."""


@dataclass(frozen=True, slots=True)
class Press:
    """A click on one of our buttons. Which of the IDs are there depends on the action.

    A button's value is a JSON object of what isn't empty, at most `PRESS_CHARS` long::

        {"v": 1, "i": integration_id, "p": panel_id, "r": run_id, "s": subscription_id, "c": choice, "n": page}
    """

    action: Action
    integration_id: str = ""
    panel_id: str = ""
    run_id: str = ""
    page: int = 0
    subscription_id: str = ""
    choice: str = ""
    """What the action says beside the IDs.

    SNOOZE: a key of `bot.core.blocks.incident.SNOOZES`. SYNC_ANYWAY: the ID of the request that a limit held back.
    REFRESH_HOME: ``home``, since a button's value can't be empty.
    """


@dataclass(frozen=True, slots=True)
class UnreadablePress:
    """A click on a button that this version cannot read; ``sentence`` is for the person who clicked."""

    sentence: str


_NEEDED_ID: Final = {
    Action.RESYNC: "integration_id",
    Action.DETAILS: "integration_id",
    Action.TRY_AGAIN: "integration_id",
    Action.SYNC_ANYWAY: "integration_id",
    Action.KEEP_WATCHING: "run_id",
    Action.REFRESH: "panel_id",
    Action.PREVIOUS_PAGE: "panel_id",
    Action.NEXT_PAGE: "panel_id",
    Action.SNOOZE: "panel_id",
    Action.END_SNOOZE: "panel_id",
    Action.UNSUBSCRIBE: "subscription_id",
    Action.REFRESH_HOME: "choice",
}


_IDS: Final = {
    "i": "integration_id",
    "p": "panel_id",
    "r": "run_id",
    "s": "subscription_id",
    "c": "choice",
}
"""The fields of a press that are strings, by their key in a button's value."""


def fits_in_a_button(text: str) -> bool:
    """Tell whether a button's value can hold an ID: printable ASCII of at most `ID_CHARS` characters."""
    return 0 < len(text) <= ID_CHARS and text.isascii() and text.isprintable()


def press_value(press: Press) -> str:
    """Write the ids of a press as a button's value of at most `PRESS_CHARS` characters.

    Raises:
        ValueError: An ID doesn't fit (see `fits_in_a_button`), or the one that the action needs is missing.
    """
    ids = {key: getattr(press, field) for key, field in _IDS.items()}
    if not getattr(press, _NEEDED_ID[press.action]) or not all(fits_in_a_button(id_) for id_ in ids.values() if id_):
        raise ValueError(f"no button can be made of {press!r}")
    fields: dict[str, object] = {"v": PRESS_VERSION, **{key: id_ for key, id_ in ids.items() if id_}}
    if press.page:
        fields["n"] = press.page
    return json.dumps(fields, separators=(",", ":"))


def parse_press(action_id: object, value: object, *, command: str = "/flokit") -> Press | UnreadablePress:
    """Read a click; whatever another version or a broken client sent becomes a sentence for the person.

    Slack wants each ``action_id`` once in a block, so one may carry a suffix: ``flokit_resync:1``.
    """
    unreadable = UnreadablePress(
        f"This button is from a different version of the bot. Run {command} status for a new message."
    )
    fields = _press_fields(value)
    if not isinstance(action_id, str) or fields is None:
        return unreadable
    try:
        action = Action(action_id.partition(":")[0])
    except ValueError:
        return unreadable
    press = _press(action, fields)
    return unreadable if press is None else press


def _press_fields(value: object) -> dict[str, object] | None:
    if not isinstance(value, str) or len(value) > PRESS_CHARS:
        return None
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):  # a thousand opening brackets may be too deep
        return None
    if not isinstance(fields, dict):
        return None
    version = fields.get("v")
    return fields if type(version) is int and version == PRESS_VERSION else None


def _press(action: Action, fields: dict[str, object]) -> Press | None:
    page = fields.get("n", 0)
    ids = {field: _press_id(fields.get(key, "")) for key, field in _IDS.items()}
    if None in ids.values() or type(page) is not int or page < 0:
        return None
    press = Press(action, page=min(page, MAX_PAGE), **{field: id_ for field, id_ in ids.items() if id_})
    return press if getattr(press, _NEEDED_ID[action]) else None


def _press_id(value: object) -> str | None:
    return value if isinstance(value, str) and (not value or fits_in_a_button(value)) else None
