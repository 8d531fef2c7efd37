"""Buttons: their actions and their values.

A button's action is its ``action_id``; its ``value`` has only IDs, so an old button never carries old data. Any
payload is handled: nothing here raises on outside input.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from bot.core.json_values import parse_object


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
    UNDO = "flokit_undo"
    END_MAINTENANCE = "flokit_end_maintenance"
    REFRESH_HOME = "flokit_refresh_home"
    CONNECT = "flokit_connect"
    DISCONNECT = "flokit_disconnect"
    EARLIER_VERSION = "flokit_earlier_version"
    EDIT_NAME = "flokit_edit_name"
    EDIT_POLICY = "flokit_edit_policy"
    EDIT_SETTINGS = "flokit_edit_settings"
    RESYNC_ALL_FAILING = "flokit_resync_all_failing"
    SYNC_SEVERAL = "flokit_sync_several"
    RETRY_FAILED = "flokit_retry_failed"
    ON_IT = "flokit_on_it"
    LET_GO = "flokit_let_go"
    HAND_OVER = "flokit_hand_over"
    TICKET_LINK = "flokit_ticket_link"


ACTION_PATTERN: Final = re.compile(r"^flokit_")
"""Matches every ``action_id`` of ours, including those of newer versions, which get an error message."""

PRESS_VERSION: Final = 1

MAX_PAGE: Final = 100_000
"""Above any real page; larger numbers are forged and wouldn't fit in the database."""

PRESS_CHARS: Final = 1350
"""The longest value of a button: six IDs of `ID_CHARS`, even if every character is escaped. Slack allows 2,000."""

_SLACK_PERSON: Final = re.compile(r"[UW][A-Z0-9]{2,29}")

ID_CHARS: Final = 100
"""The longest ID in a button; documented ones have about 25 characters."""


@dataclass(frozen=True, slots=True)
class Press:
    """A click on one of our buttons. Which IDs are set depends on the action.

    A button's value is a JSON object of the non-empty fields, at most `PRESS_CHARS` long::

        {"v": 1, "i": integration_id, "p": panel_id, "r": run_id, "s": subscription_id, "e": incident_id, "c": choice,
         "n": page}

    ``person_id`` is whom a person picked from a list of people, which has no value of its own: see `picker_id`.
    """

    action: Action
    integration_id: str = ""
    panel_id: str = ""
    run_id: str = ""
    page: int = 0
    subscription_id: str = ""
    choice: str = ""
    """An additional parameter of the action.

    SNOOZE: a key of `bot.core.blocks.incident.SNOOZES`, such as ``4h``. SYNC_ANYWAY: the ID of the request that a limit
    held back, such as ``1337.42.ab``. EARLIER_VERSION: a number of the policy's versions, such as ``3``.
    REFRESH_HOME: ``home``, CONNECT and DISCONNECT: ``flokit``, EDIT_POLICY: ``policy``, and EDIT_SETTINGS:
    ``settings``, since a button's value can't be empty.

    ON_IT, LET_GO and HAND_OVER have the number of the turn for which they were drawn in ``page``.
    """
    incident_id: str = ""
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class UnreadablePress:
    """A click that this version can't parse; ``sentence`` is for the person who clicked."""

    sentence: str


_NEEDED_ID: Final = {
    Action.RESYNC: "integration_id",
    Action.DETAILS: "integration_id",
    Action.EDIT_NAME: "integration_id",
    Action.TRY_AGAIN: "integration_id",
    Action.SYNC_ANYWAY: "integration_id",
    Action.KEEP_WATCHING: "run_id",
    Action.REFRESH: "panel_id",
    Action.PREVIOUS_PAGE: "panel_id",
    Action.NEXT_PAGE: "panel_id",
    Action.SNOOZE: "panel_id",
    Action.END_SNOOZE: "panel_id",
    Action.UNSUBSCRIBE: "subscription_id",
    Action.UNDO: "panel_id",
    Action.END_MAINTENANCE: "choice",
    Action.REFRESH_HOME: "choice",
    Action.CONNECT: "choice",
    Action.DISCONNECT: "choice",
    Action.EARLIER_VERSION: "choice",
    Action.EDIT_POLICY: "choice",
    Action.EDIT_SETTINGS: "choice",
    Action.RESYNC_ALL_FAILING: "panel_id",
    Action.SYNC_SEVERAL: "panel_id",
    Action.RETRY_FAILED: "panel_id",
    Action.ON_IT: "incident_id",
    Action.LET_GO: "incident_id",
    Action.HAND_OVER: "incident_id",
    Action.TICKET_LINK: "incident_id",
}


_IDS: Final = {
    "i": "integration_id",
    "p": "panel_id",
    "r": "run_id",
    "s": "subscription_id",
    "e": "incident_id",
    "c": "choice",
}
"""The fields of a press that are strings, by their key in a button's value."""


def fits_in_a_button(text: str) -> bool:
    """Whether an ID fits in a button's value: printable ASCII of at most `ID_CHARS` characters."""
    return 0 < len(text) <= ID_CHARS and text.isascii() and text.isprintable()


def press_value(press: Press) -> str:
    """Encode a press as a button's value of at most `PRESS_CHARS` characters.

    Raises:
        ValueError: An ID doesn't fit (see `fits_in_a_button`), or the one required by the action is missing.
    """
    ids = {key: getattr(press, field) for key, field in _IDS.items()}
    if not getattr(press, _NEEDED_ID[press.action]) or not all(fits_in_a_button(id_) for id_ in ids.values() if id_):
        raise ValueError(f"no button can be made of {press!r}")
    fields: dict[str, object] = {"v": PRESS_VERSION, **{key: id_ for key, id_ in ids.items() if id_}}
    if press.page:
        fields["n"] = press.page
    return json.dumps(fields, separators=(",", ":"))


def picker_id(press: Press) -> str:
    """Return the ``action_id`` of a list of people: it has the press, because Slack sends only who was picked.

    Raises:
        ValueError: as for `press_value`.
    """
    return f"{press.action}:{press_value(press)}"


def parse_press(
    action_id: object, value: object, *, person_id: object = None, command: str = "/flokit"
) -> Press | UnreadablePress:
    """Parse a click; input from another version or a broken client becomes an error message for the person.

    Each ``action_id`` must be unique within a block, so it may have a suffix: ``flokit_resync:1``. That of a list of
    people is the press, and ``person_id`` is who was picked.
    """
    unreadable = UnreadablePress(
        f"This button is from a different version of the bot. Run {command} status for a new message."
    )
    if not isinstance(action_id, str):
        return unreadable
    name, _, suffix = action_id.partition(":")
    if isinstance(person_id, str):
        value = suffix
    fields = parse_object(value) if isinstance(value, str) and len(value) <= PRESS_CHARS else {}
    version = fields.get("v")
    if type(version) is not int or version != PRESS_VERSION:
        return unreadable
    try:
        action = Action(name)
    except ValueError:
        return unreadable
    press = _press(action, fields)
    if press is None or (isinstance(person_id, str) and not _SLACK_PERSON.fullmatch(person_id)):
        return unreadable
    return replace(press, person_id=person_id) if isinstance(person_id, str) else press


def _press(action: Action, fields: dict[str, object]) -> Press | None:
    page = fields.get("n", 0)
    ids = {field: _press_id(fields.get(key, "")) for key, field in _IDS.items()}
    if None in ids.values() or type(page) is not int or page < 0:
        return None
    press = Press(action, page=min(page, MAX_PAGE), **{field: id_ for field, id_ in ids.items() if id_})
    return press if getattr(press, _NEEDED_ID[action]) else None


def _press_id(value: object) -> str | None:
    return value if isinstance(value, str) and (not value or fits_in_a_button(value)) else None
