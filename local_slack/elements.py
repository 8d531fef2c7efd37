"""Slack's block elements as checks, and which blocks and surfaces allow each.

Source: https://docs.slack.dev/reference/block-kit/block-elements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from local_slack import limits
from local_slack.objects import (
    CHOICE,
    CONFIRM,
    CONVERSATION_FILTER,
    DISPATCH_CONFIG,
    OPTION_GROUP,
    OVERFLOW_OPTION,
    PLAIN_OPTION,
    SLACK_FILE,
    STYLE,
    plain_only,
)
from local_slack.rich_text import RICH_TEXT
from local_slack.schema import (
    Checker,
    Problem,
    also,
    array,
    between,
    boolean,
    exactly_one,
    record,
    string,
    typed,
    url,
    written_as,
)

MIN_QUERY: Final = 1000


class Surface(StrEnum):
    """Where blocks can be used."""

    MESSAGE = "message"
    MODAL = "modal"
    HOME = "home"


# --- buttons, menus, pickers ------------------------------------------------------------------------------------


def _interactive(name: str, required: Mapping[str, Checker], optional: Mapping[str, Checker]) -> Checker:
    return typed(name, required, {"action_id": string(longest=limits.ACTION_ID), "confirm": CONFIRM, **optional})


def _focusable(name: str, required: Mapping[str, Checker], optional: Mapping[str, Checker]) -> Checker:
    return _interactive(name, required, {"focus_on_load": boolean, **optional})


def _select(name: str, optional: Mapping[str, Checker]) -> Checker:
    return _focusable(name, {}, {"placeholder": plain_only(limits.PLACEHOLDER), **optional})


def _multi_select(name: str, optional: Mapping[str, Checker]) -> Checker:
    return _select(name, {"max_selected_items": between(1, limits.SELECT_OPTIONS), **optional})


def _initial_is_offered(value: object, pointer: str) -> Iterator[Problem]:
    """Check that the initial option is one of the options, with all its fields."""
    if not isinstance(value, dict):
        return
    offered = options_of(value)
    for initial in [
        *value.get("initial_options", []),
        *([value["initial_option"]] if "initial_option" in value else []),
    ]:
        if initial not in offered:
            yield Problem("initial option must be one of the options", pointer)


def _static(select: Checker) -> Checker:
    """Describe a select of ``options`` or ``option_groups``, with the initial one among them."""
    return also(also(select, exactly_one("options", "option_groups")), _initial_is_offered)


_SOURCES: Final[Mapping[str, Checker]] = {"image_url": url(limits.URL), "slack_file": SLACK_FILE}


def image(required: Mapping[str, Checker], optional: Mapping[str, Checker]) -> Checker:
    """Describe an image block or element: it has alt text and one source."""
    words = {"type": string(one_of=["image"]), "alt_text": string(longest=limits.ALT_TEXT)}
    described = record({**words, **required}, {**_SOURCES, **optional}, any_of=tuple(_SOURCES))
    return also(described, exactly_one(*_SOURCES))


IMAGE: Final = image({}, {})

_BUTTON: Final = _interactive(
    "button",
    {"text": plain_only(limits.BUTTON_TEXT)},
    {
        "value": string(longest=limits.BUTTON_VALUE),
        "url": url(limits.URL),
        "style": STYLE,
        "accessibility_label": string(longest=limits.ACCESSIBILITY_LABEL),
    },
)
_OVERFLOW: Final = _interactive("overflow", {"options": array(OVERFLOW_OPTION, most=limits.OVERFLOW_OPTIONS)}, {})

_OPTIONS: Final[Mapping[str, Checker]] = {
    "options": array(PLAIN_OPTION, most=limits.SELECT_OPTIONS),
    "option_groups": array(OPTION_GROUP, most=limits.OPTION_GROUPS),
}
_SEARCHED: Final[Mapping[str, Checker]] = {"min_query_length": between(0, MIN_QUERY)}
_FILTERED: Final[Mapping[str, Checker]] = {
    "default_to_current_conversation": boolean,
    "filter": CONVERSATION_FILTER,
}
_SELECTS: Final[Mapping[str, Checker]] = {
    "static_select": _static(_select("static_select", {**_OPTIONS, "initial_option": PLAIN_OPTION})),
    "external_select": _select("external_select", {**_SEARCHED, "initial_option": PLAIN_OPTION}),
    "users_select": _select("users_select", {"initial_user": string()}),
    "conversations_select": _select(
        "conversations_select", {**_FILTERED, "initial_conversation": string(), "response_url_enabled": boolean}
    ),
    "channels_select": _select("channels_select", {"initial_channel": string(), "response_url_enabled": boolean}),
}
_MULTI_SELECTS: Final[Mapping[str, Checker]] = {
    "multi_static_select": _static(
        _multi_select("multi_static_select", {**_OPTIONS, "initial_options": array(PLAIN_OPTION)})
    ),
    "multi_external_select": _multi_select(
        "multi_external_select", {**_SEARCHED, "initial_options": array(PLAIN_OPTION)}
    ),
    "multi_users_select": _multi_select("multi_users_select", {"initial_users": array(string())}),
    "multi_conversations_select": _multi_select(
        "multi_conversations_select", {**_FILTERED, "initial_conversations": array(string())}
    ),
    "multi_channels_select": _multi_select("multi_channels_select", {"initial_channels": array(string())}),
}
_CHOICES: Final[Mapping[str, Checker]] = {
    "radio_buttons": also(
        _focusable("radio_buttons", {"options": array(CHOICE, most=limits.CHOICES)}, {"initial_option": CHOICE}),
        _initial_is_offered,
    ),
    "checkboxes": also(
        _focusable("checkboxes", {"options": array(CHOICE, most=limits.CHOICES)}, {"initial_options": array(CHOICE)}),
        _initial_is_offered,
    ),
}
_DATE: Final = written_as(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "YYYY-MM-DD")
_TIME: Final = written_as(r"([01]\d|2[0-3]):[0-5]\d", "HH:mm")
_PICKERS: Final[Mapping[str, Checker]] = {
    "datepicker": _select("datepicker", {"initial_date": _DATE}),
    "timepicker": _select("timepicker", {"initial_time": _TIME, "timezone": string()}),
}
_DATETIME: Final[Mapping[str, Checker]] = {
    "datetimepicker": _focusable("datetimepicker", {}, {"initial_date_time": between(1_000_000_000, 9_999_999_999)})
}

# --- text inputs ------------------------------------------------------------------------------------------------

_TEXT: Final = string(longest=limits.INPUT_TEXT)
_NUMBER: Final = written_as(r"-?\d+(\.\d+)?", "a number in quotes")
_RICH_TEXT: Final = typed("rich_text", RICH_TEXT, {"block_id": string(longest=limits.BLOCK_ID)})


def _in_order(low: str, high: str) -> Checker:
    """Describe an object whose lower bound isn't above its upper bound."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if isinstance(value, dict) and low in value and high in value and float(value[low]) > float(value[high]):
            yield Problem(f"{low} must not be more than {high}", pointer)

    return check


def _written(
    name: str,
    required: Mapping[str, Checker],
    optional: Mapping[str, Checker],
    initial: Checker = _TEXT,
) -> Checker:
    common = {
        "action_id": string(longest=limits.ACTION_ID),
        "initial_value": initial,
        "placeholder": plain_only(limits.PLACEHOLDER),
        "focus_on_load": boolean,
        "dispatch_action_config": DISPATCH_CONFIG,
    }
    return typed(name, required, {**common, **optional})


_PLAIN_TEXT: Final[Mapping[str, Checker]] = {
    "plain_text_input": also(
        _written(
            "plain_text_input",
            {},
            {
                "multiline": boolean,
                "min_length": between(0, limits.INPUT_TEXT),
                "max_length": between(1, limits.INPUT_TEXT),
            },
        ),
        _in_order("min_length", "max_length"),
    )
}
_IN_MODALS: Final[Mapping[str, Checker]] = {
    "number_input": also(
        _written(
            "number_input",
            {"is_decimal_allowed": boolean},
            {"min_value": _NUMBER, "max_value": _NUMBER},
            initial=_NUMBER,
        ),
        _in_order("min_value", "max_value"),
    ),
    "email_text_input": _written("email_text_input", {}, {}),
    "url_text_input": _written("url_text_input", {}, {}),
}
_RICH: Final[Mapping[str, Checker]] = {"rich_text_input": _written("rich_text_input", {}, {}, initial=_RICH_TEXT)}

# --- where they are allowed --------------------------------------------------------------------------------------

_CLICKED: Final[Mapping[str, Checker]] = {
    "button": _BUTTON,
    "overflow": _OVERFLOW,
    **_SELECTS,
    **_CHOICES,
    **_PICKERS,
}
_ASKED: Final[Mapping[str, Checker]] = {**_SELECTS, **_MULTI_SELECTS, **_CHOICES, **_PICKERS, **_PLAIN_TEXT}

ACCESSORIES: Final[Mapping[str, Checker]] = {**_CLICKED, **_MULTI_SELECTS, "image": IMAGE}
"""Allowed as a section's accessory on every surface."""

ACTIONS: Final[Mapping[Surface, Mapping[str, Checker]]] = {
    Surface.MESSAGE: {**_CLICKED, **_DATETIME},
    Surface.MODAL: {**_CLICKED, **_DATETIME},
    Surface.HOME: _CLICKED,
}
"""Allowed in an actions block. No multi-selects: see https://github.com/slackapi/python-slack-sdk/issues/1631."""

INPUTS: Final[Mapping[Surface, Mapping[str, Checker]]] = {
    Surface.MESSAGE: {**_ASKED, **_DATETIME},
    Surface.MODAL: {**_ASKED, **_DATETIME, **_IN_MODALS, **_RICH},
    Surface.HOME: {**_ASKED, **_RICH},
}
"""Allowed in an input block."""

INTERACTIVE: Final = frozenset({"button", "overflow", *INPUTS[Surface.MODAL]})
"""The elements that have an ``action_id``."""


def interactive_elements(block: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a block that can be clicked or filled in."""
    candidates: list[object] = [*block.get("elements", []), block.get("accessory"), block.get("element")]
    return [part for part in candidates if isinstance(part, dict) and part.get("type") in INTERACTIVE]


def options_of(element: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a menu's options, including those in groups."""
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    return [*element.get("options", []), *grouped]
