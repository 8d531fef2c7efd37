"""A person's action on one element of a message or view: finds the element and builds the payload.

Pure. Source: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from local_slack.elements import interactive_elements, options_of
from local_slack.state import LISTS, MEMBERS, Values, read_values
from local_slack.workspace import Json


@dataclass(frozen=True, slots=True)
class Asked:
    """The requested action.

    Args:
        value: the value of the button, the chosen option, or the picked or entered value; a list if the element takes
            several.
        given: the input values so far, by block_id and action_id, as in ``state.values``; may include ``value``.
        raw_value: sent instead of the button's own value, as a tampering client would.
    """

    action_id: str
    block_id: str | None = None
    value: str | Sequence[str] | None = None
    given: Values = field(default_factory=dict)
    raw_value: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """The result: the member of ``actions``, and ``state.values`` of all elements."""

    action: Json
    values: dict[str, dict[str, Json]]

    def action_at(self, ts: str) -> Json:
        """Return the action with its time."""
        return {**self.action, "action_ts": ts}


def use(shown: Json, asked: Asked, kept: Values) -> Use:
    """Use an element of a message or view.

    Args:
        kept: the previous input values.

    Raises:
        LookupError: there is no such element or option.
    """
    block, element = _find(shown, asked)
    given = asked.given
    if element["type"] in MEMBERS and asked.value is not None:
        given = _with_entry(given, block["block_id"], element["action_id"], _entry(element, asked.value))
    values = read_values(shown["blocks"], given, kept)
    identity = {"type": element["type"], "action_id": element["action_id"], "block_id": block["block_id"]}
    if element["type"] in MEMBERS:
        return Use({**identity, **values[block["block_id"]][element["action_id"]]}, values)
    return Use({**identity, **_pressed(element, asked)}, values)


def _find(shown: Json, asked: Asked) -> tuple[Json, Json]:
    for block in shown.get("blocks", []):
        for element in interactive_elements(block):
            is_meant = element["action_id"] == asked.action_id and asked.block_id in {None, block["block_id"]}
            if is_meant and _tells(block) and _takes(block, element, asked):
                return block, element
    where = shown.get("ts") or shown["id"]
    raise LookupError(f"no element with action_id {asked.action_id!r} and value {asked.value!r} in {where}")


def _tells(block: Json) -> bool:
    """Whether the app is notified: for input blocks, only with ``dispatch_action``."""
    return block["type"] != "input" or bool(block.get("dispatch_action"))


def _takes(block: Json, element: Json, asked: Asked) -> bool:
    """Whether the action matches the element; a button's value can be omitted."""
    value = asked.value
    if element["type"] == "button":
        return value is None or value == element.get("value")
    if element["type"] == "overflow":
        return any(option["value"] == value for option in options_of(element))
    if value is None:
        return element["action_id"] in asked.given.get(block["block_id"], {})
    if (MEMBERS[element["type"]] in LISTS) == isinstance(value, str):
        return False
    offered = {option["value"] for option in options_of(element)}
    return not offered or offered.issuperset([value] if isinstance(value, str) else value)


def _entry(element: Json, value: str | Sequence[str]) -> Json:
    """Return an element's part of the state for a value."""
    member = MEMBERS[element["type"]]
    if member == "selected_options":
        return {member: [{"value": one} for one in value]}
    if member == "selected_option":
        return {member: {"value": value}}
    if member == "selected_date_time":
        return {member: int(str(value))}
    return {member: list(value) if member in LISTS else value}


def _with_entry(given: Values, block_id: str, action_id: str, entry: Json) -> Mapping[str, Mapping[str, Json]]:
    return {**given, block_id: {**given.get(block_id, {}), action_id: entry}}


def _pressed(element: Json, asked: Asked) -> Json:
    """Return the members that a button or overflow menu adds to the action."""
    if element["type"] == "overflow":
        return {"selected_option": next(option for option in options_of(element) if option["value"] == asked.value)}
    value = element.get("value") if asked.raw_value is None else asked.raw_value
    return {"text": element["text"]} if value is None else {"text": element["text"], "value": value}
