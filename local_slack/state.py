"""Input values: from blocks and entered values to ``state.values`` or validation errors.

Pure. Sources: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload,
https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload and
https://docs.slack.dev/reference/block-kit/block-elements.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from local_slack.elements import interactive_elements, options_of
from local_slack.workspace import Json

Values = Mapping[str, Mapping[str, Json]]

MEMBERS: Final[Mapping[str, str]] = {
    "plain_text_input": "value",
    "number_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "rich_text_input": "rich_text_value",
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "checkboxes": "selected_options",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
}
"""The elements that have a value, and its member's name; buttons and overflow menus have none."""

LISTS: Final = frozenset({"selected_options", "selected_users", "selected_conversations", "selected_channels"})

REQUIRED: Final = "Please complete this required field."


def read_values(blocks: list[Json], given: Values, kept: Values) -> dict[str, dict[str, Json]]:
    """Return ``state.values``: for each element the given, kept or initial value.

    Raises:
        LookupError: a value was given for an unknown element or option.
    """
    values: dict[str, dict[str, Json]] = {}
    for block, element in _stateful(blocks):
        block_id, action_id = block["block_id"], element["action_id"]
        known = given.get(block_id, {}).get(action_id) or kept.get(block_id, {}).get(action_id)
        values.setdefault(block_id, {})[action_id] = _value(element, known)
    unknown = [f"{block}/{action}" for block in given for action in given[block] if action not in values.get(block, {})]
    if unknown:
        raise LookupError(f"unknown input: {unknown[0]}")
    return values


def wrong_inputs(view: Json, values: Values) -> dict[str, str]:
    """Return the errors that Slack's client shows before it submits, by block_id."""
    wrong = {}
    for block, element in _stateful(view["blocks"]):
        if block["type"] != "input":
            continue
        value = values[block["block_id"]][element["action_id"]][MEMBERS[element["type"]]]
        complaint = _complaint(element, value, optional=block.get("optional", False))
        if complaint:
            wrong[block["block_id"]] = complaint
    return wrong


def _stateful(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    for block in blocks:
        for element in interactive_elements(block):
            if element["type"] in MEMBERS:
                yield block, element


def _value(element: Json, known: Json | None) -> Json:
    """Return an element's part of the state; always with its type and value, even if empty."""
    member = MEMBERS[element["type"]]
    if known is None:
        value = element.get(f"initial_{member.removeprefix('selected_').removeprefix('rich_text_')}")
    else:
        value = known.get(member)
    if value in (None, "", []):
        return {"type": element["type"], member: [] if member in LISTS else None}
    most = element.get("max_selected_items", math.inf)
    if member in LISTS and len(value) > most:
        raise LookupError(f"{element['action_id']} takes at most {most}")
    if member in {"selected_option", "selected_options"}:
        value = _chosen(element, value)
    return {"type": element["type"], member: value}


def _chosen(element: Json, value: Any) -> Any:
    """Return the chosen options as given in the blocks."""
    options = {option["value"]: option for option in options_of(element)}
    if not options:  # the app itself provides the options
        return value
    try:
        if isinstance(value, list):
            return [options[option["value"]] for option in value]
        return options[value["value"]]
    except (KeyError, TypeError) as error:
        raise LookupError(f"{element['action_id']} has no such option: {value}") from error


def _complaint(element: Json, value: Any, *, optional: bool) -> str:
    if value in (None, []):
        return "" if optional else REQUIRED
    if not isinstance(value, str):
        return ""
    if element["type"] == "number_input":
        return _number_complaint(element, value)
    if element["type"] == "email_text_input" and ("@" not in value.strip("@") or " " in value):
        return "Enter a valid email address."
    if element["type"] == "url_text_input" and not urlsplit(value).netloc:
        return "Enter a valid URL."
    return _length_complaint(element, value)


def _length_complaint(element: Json, value: str) -> str:
    if len(value) < element.get("min_length", 0):
        return f"Must be at least {element['min_length']} characters."
    if len(value) > element.get("max_length", math.inf):
        return f"Must be at most {element['max_length']} characters."
    return ""


def _number_complaint(element: Json, value: str) -> str:
    number = math.nan
    with contextlib.suppress(ValueError):
        number = float(value)
    if not math.isfinite(number) or (not element["is_decimal_allowed"] and not number.is_integer()):
        return "Enter a number." if element["is_decimal_allowed"] else "Enter a whole number."
    if number < float(element.get("min_value", -math.inf)):
        return f"Must be at least {element['min_value']}."
    if number > float(element.get("max_value", math.inf)):
        return f"Must be at most {element['max_value']}."
    return ""
