"""Slack's blocks, elements and composition objects as a table of checks.

Source: https://docs.slack.dev/reference/block-kit. The limits that the bot itself must keep are imported from
``core.blocks.limits``; those only the stand-in needs are named here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bot.core.blocks import limits
from bot.sandbox.slack_schema import (
    Checker,
    Problem,
    also,
    anything,
    array,
    between,
    boolean,
    integer,
    kinds,
    record,
    string,
    url,
    written_as,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ALT_TEXT: Final = 2000
IMAGE_TITLE: Final = 2000
PLACEHOLDER: Final = 150
DESCRIPTION: Final = 75
MARKDOWN_TEXT: Final = 12_000
MARKDOWN_TOTAL: Final = 12_000
"""All markdown blocks of a message together."""
OPTION_GROUPS: Final = 100
CHOICES: Final = 10
"""Options of radio buttons and checkboxes."""
TABLE_ROWS: Final = 100
TABLE_COLUMNS: Final = 20
VIEW_TITLE: Final = 24
VIEW_BUTTON: Final = 24
VIEW_PRIVATE_METADATA: Final = 3000
VIEW_BYTES: Final = 250_000
INPUT_LABEL: Final = 2000
INPUT_TEXT: Final = 3000

_ANY_STRING: Final = string(shortest=0)


def _typed(name: str, required: Mapping[str, Checker], optional: Mapping[str, Checker] | None = None) -> Checker:
    return record({"type": string(one_of=[name]), **required}, optional)


# --- composition objects ---------------------------------------------------------------------------------------


def _plain(longest: int | None) -> Checker:
    return _typed("plain_text", {"text": string(longest=longest)}, {"emoji": boolean})


def _mrkdwn(longest: int | None) -> Checker:
    return _typed("mrkdwn", {"text": string(longest=longest)}, {"verbatim": boolean})


def _plain_only(longest: int | None) -> Checker:
    return kinds({"plain_text": _plain(longest)})


def _either(longest: int | None) -> Checker:
    return kinds({"plain_text": _plain(longest), "mrkdwn": _mrkdwn(longest)})


_STYLE: Final = string(one_of=["primary", "danger"])

_CONFIRM: Final = record(
    {
        "title": _plain_only(limits.CONFIRM_TITLE),
        "text": _either(limits.CONFIRM_TEXT),
        "confirm": _plain_only(limits.CONFIRM_BUTTON),
        "deny": _plain_only(limits.CONFIRM_BUTTON),
    },
    {"style": _STYLE},
)


def _option(text: Callable[[int], Checker], **optional: Checker) -> Checker:
    """Describe an option whose text and description are both plain, or both either."""
    members = {"description": text(DESCRIPTION), **optional}
    return record({"text": text(limits.OPTION_TEXT), "value": string(longest=limits.OPTION_VALUE)}, members)


_PLAIN_OPTION: Final = _option(_plain_only)
_OVERFLOW_OPTION: Final = _option(_plain_only, url=url(limits.URL))
_CHOICE: Final = _option(_either)
_OPTION_GROUP: Final = record(
    {
        "label": _plain_only(limits.OPTION_TEXT),
        "options": array(_PLAIN_OPTION, most=limits.SELECT_OPTIONS),
    }
)

# --- elements --------------------------------------------------------------------------------------------------


def _interactive(name: str, required: Mapping[str, Checker], optional: Mapping[str, Checker]) -> Checker:
    common = {"action_id": string(longest=limits.ACTION_ID), "confirm": _CONFIRM, "focus_on_load": boolean}
    return _typed(name, required, {**common, **optional})


def _select(name: str, optional: Mapping[str, Checker]) -> Checker:
    return _interactive(name, {}, {"placeholder": _plain_only(PLACEHOLDER), **optional})


_SELECT_OPTIONS: Final[Mapping[str, Checker]] = {
    "options": array(_PLAIN_OPTION, most=limits.SELECT_OPTIONS),
    "option_groups": array(_OPTION_GROUP, most=OPTION_GROUPS),
}


def _exactly_one(*names: str) -> Checker:
    """Describe an object that has one of these members, and not two."""

    def check(value: object, pointer: str) -> Iterator[Problem]:
        if isinstance(value, dict) and sum(name in value for name in names) != 1:
            yield Problem(f"must provide exactly one of: {', '.join(names)}", pointer)

    return check


def _initial_is_offered(value: object, pointer: str) -> Iterator[Problem]:
    """Check that what is chosen at first is one of the options, whole."""
    if not isinstance(value, dict):
        return
    offered = [*value.get("options", []), *(o for group in value.get("option_groups", []) for o in group["options"])]
    for initial in [
        *value.get("initial_options", []),
        *([value["initial_option"]] if "initial_option" in value else []),
    ]:
        if initial not in offered:
            yield Problem("initial option must be one of the options", pointer)


def _static(select: Checker) -> Checker:
    """Describe a select of ``options`` or ``option_groups``, with what is chosen at first among them."""
    return also(also(select, _exactly_one("options", "option_groups")), _initial_is_offered)


_BUTTON: Final = _interactive(
    "button",
    {"text": _plain_only(limits.BUTTON_TEXT)},
    {
        "value": string(longest=limits.BUTTON_VALUE),
        "url": url(limits.URL),
        "style": _STYLE,
        "accessibility_label": string(longest=limits.ACCESSIBILITY_LABEL),
    },
)
_SLACK_FILE: Final = also(record({}, {"id": string(), "url": url(limits.URL)}), _exactly_one("id", "url"))
_SOURCES: Final[Mapping[str, Checker]] = {"image_url": url(limits.URL), "slack_file": _SLACK_FILE}
_IMAGE_ELEMENT: Final = also(
    record({"type": string(one_of=["image"]), "alt_text": string(longest=ALT_TEXT)}, _SOURCES, any_of=tuple(_SOURCES)),
    _exactly_one(*_SOURCES),
)
_SELECTS: Final[Mapping[str, Checker]] = {
    "static_select": _static(_select("static_select", {**_SELECT_OPTIONS, "initial_option": _PLAIN_OPTION})),
    "users_select": _select("users_select", {"initial_user": string()}),
    "conversations_select": _select(
        "conversations_select",
        {
            "initial_conversation": string(),
            "default_to_current_conversation": boolean,
            "response_url_enabled": boolean,
            "filter": anything,
        },
    ),
    "channels_select": _select("channels_select", {"initial_channel": string(), "response_url_enabled": boolean}),
    "external_select": _select(
        "external_select", {"initial_option": _PLAIN_OPTION, "min_query_length": between(0, 1000)}
    ),
}
_MULTI_SELECTS: Final[Mapping[str, Checker]] = {
    "multi_static_select": _static(
        _select(
            "multi_static_select",
            {
                **_SELECT_OPTIONS,
                "initial_options": array(_PLAIN_OPTION),
                "max_selected_items": between(1, limits.SELECT_OPTIONS),
            },
        )
    ),
    "multi_users_select": _select(
        "multi_users_select",
        {"initial_users": array(string()), "max_selected_items": between(1, limits.SELECT_OPTIONS)},
    ),
    "multi_channels_select": _select(
        "multi_channels_select",
        {"initial_channels": array(string()), "max_selected_items": between(1, limits.SELECT_OPTIONS)},
    ),
    "multi_conversations_select": _select(
        "multi_conversations_select",
        {
            "initial_conversations": array(string()),
            "default_to_current_conversation": boolean,
            "filter": anything,
            "max_selected_items": between(1, limits.SELECT_OPTIONS),
        },
    ),
}
_CHOICES: Final[Mapping[str, Checker]] = {
    "radio_buttons": also(
        _interactive("radio_buttons", {"options": array(_CHOICE, most=CHOICES)}, {"initial_option": _CHOICE}),
        _initial_is_offered,
    ),
    "checkboxes": also(
        _interactive("checkboxes", {"options": array(_CHOICE, most=CHOICES)}, {"initial_options": array(_CHOICE)}),
        _initial_is_offered,
    ),
}
_DATE: Final = written_as(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "YYYY-MM-DD")
_TIME: Final = written_as(r"([01]\d|2[0-3]):[0-5]\d", "HH:mm")
_PICKERS: Final[Mapping[str, Checker]] = {
    "datepicker": _select("datepicker", {"initial_date": _DATE}),
    "timepicker": _select("timepicker", {"initial_time": _TIME, "timezone": string()}),
}
_CLICKED: Final[Mapping[str, Checker]] = {
    "button": _BUTTON,
    "overflow": _interactive("overflow", {"options": array(_OVERFLOW_OPTION, most=limits.OVERFLOW_OPTIONS)}, {}),
    **_SELECTS,
    **_CHOICES,
    **_PICKERS,
}
_DATETIME: Final[Mapping[str, Checker]] = {
    "datetimepicker": _interactive("datetimepicker", {}, {"initial_date_time": between(1_000_000_000, 9_999_999_999)})
}
_ACCESSORIES: Final[Mapping[str, Checker]] = {**_CLICKED, **_MULTI_SELECTS, "image": _IMAGE_ELEMENT}
_ACTIONS: Final[Mapping[str, Checker]] = {**_CLICKED, **_MULTI_SELECTS, **_DATETIME}
_NUMBER: Final = written_as(r"-?\d+(\.\d+)?", "a number in quotes")
_DISPATCH: Final = record(
    {}, {"trigger_actions_on": array(string(one_of=["on_enter_pressed", "on_character_entered"]), most=2)}
)


def _lengths_in_order(value: object, pointer: str) -> Iterator[Problem]:
    if isinstance(value, dict) and value.get("min_length", 0) > value.get("max_length", INPUT_TEXT):
        yield Problem("min_length must not be more than max_length", pointer)


def _text_input(name: str, required: Mapping[str, Checker], optional: Mapping[str, Checker]) -> Checker:
    common = {"initial_value": string(longest=INPUT_TEXT), "placeholder": _plain_only(PLACEHOLDER)}
    return _typed(
        name,
        required,
        {
            **common,
            "action_id": string(longest=limits.ACTION_ID),
            "focus_on_load": boolean,
            "dispatch_action_config": _DISPATCH,
            **optional,
        },
    )


_TYPED_INPUTS: Final[Mapping[str, Checker]] = {
    "plain_text_input": also(
        _text_input(
            "plain_text_input",
            {},
            {
                "multiline": boolean,
                "min_length": between(0, INPUT_TEXT),
                "max_length": between(1, INPUT_TEXT),
            },
        ),
        _lengths_in_order,
    ),
    "number_input": _text_input(
        "number_input", {"is_decimal_allowed": boolean}, {"min_value": _NUMBER, "max_value": _NUMBER}
    ),
    "email_text_input": _text_input("email_text_input", {}, {}),
    "url_text_input": _text_input("url_text_input", {}, {}),
    "rich_text_input": _text_input("rich_text_input", {}, {"initial_value": anything}),
}
_INPUTS: Final[Mapping[str, Checker]] = {
    **_SELECTS,
    **_MULTI_SELECTS,
    **_CHOICES,
    **_PICKERS,
    **_DATETIME,
    **_TYPED_INPUTS,
}

INTERACTIVE: Final = frozenset({*_ACTIONS, *_INPUTS})
"""The elements that have an ``action_id``."""


def interactive_elements(block: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a block that can be clicked or filled in."""
    candidates: list[object] = [*block.get("elements", []), block.get("accessory"), block.get("element")]
    return [part for part in candidates if isinstance(part, dict) and part.get("type") in INTERACTIVE]


def options_of(element: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the options of a menu, also those in groups."""
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    return [*element.get("options", []), *grouped]


# --- rich text -------------------------------------------------------------------------------------------------

_TEXT_STYLE: Final = record(
    {}, dict.fromkeys(("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight"), boolean)
)
_STYLED: Final[Mapping[str, Checker]] = {"style": _TEXT_STYLE}
_RICH_LEAVES: Final[Mapping[str, Checker]] = {
    "text": _typed("text", {"text": string()}, _STYLED),
    "link": _typed("link", {"url": url(limits.URL)}, {**_STYLED, "text": string(), "unsafe": boolean}),
    "user": _typed("user", {"user_id": string()}, _STYLED),
    "usergroup": _typed("usergroup", {"usergroup_id": string()}, _STYLED),
    "channel": _typed("channel", {"channel_id": string()}, _STYLED),
    "broadcast": _typed("broadcast", {"range": string(one_of=["here", "channel", "everyone"])}, _STYLED),
    "emoji": _typed(
        "emoji", {"name": string()}, {**_STYLED, "unicode": string(), "skin_tone": integer, "url": string()}
    ),
    "date": _typed(
        "date", {"timestamp": integer, "format": string()}, {**_STYLED, "url": url(limits.URL), "fallback": string()}
    ),
    "color": _typed("color", {"value": string()}, _STYLED),
}
_RICH_INLINE: Final = array(kinds(_RICH_LEAVES), fewest=0)
_RICH_CODE: Final = array(kinds({"text": _RICH_LEAVES["text"], "link": _RICH_LEAVES["link"]}), fewest=0)
_RICH_SECTION: Final = _typed("rich_text_section", {"elements": _RICH_INLINE})
_RICH_PARTS: Final[Mapping[str, Checker]] = {
    "rich_text_section": _RICH_SECTION,
    "rich_text_quote": _typed("rich_text_quote", {"elements": _RICH_INLINE}, {"border": integer}),
    "rich_text_preformatted": _typed(
        "rich_text_preformatted", {"elements": _RICH_CODE}, {"border": integer, "language": string()}
    ),
    "rich_text_list": _typed(
        "rich_text_list",
        {
            "style": string(one_of=["bullet", "ordered"]),
            "elements": array(kinds({"rich_text_section": _RICH_SECTION}), fewest=0),
        },
        {"indent": integer, "offset": integer, "border": integer},
    ),
}
_RICH_MEMBERS: Final[Mapping[str, Checker]] = {"elements": array(kinds(_RICH_PARTS))}

# --- blocks ----------------------------------------------------------------------------------------------------


def _block(
    name: str,
    required: Mapping[str, Checker],
    optional: Mapping[str, Checker] | None = None,
    *,
    any_of: tuple[str, ...] = (),
) -> Checker:
    identity = {"block_id": string(longest=limits.BLOCK_ID)}
    return record({"type": string(one_of=[name]), **required}, {**identity, **(optional or {})}, any_of=any_of)


_CELL: Final = kinds(
    {"raw_text": _typed("raw_text", {"text": string()}), "rich_text": _typed("rich_text", _RICH_MEMBERS)}
)
_COLUMN: Final = record({}, {"align": string(one_of=["left", "center", "right"]), "is_wrapped": boolean})


def _nullable(checker: Checker) -> Checker:
    def check(value: object, pointer: str) -> Iterator[Problem]:
        if value is not None:
            yield from checker(value, pointer)

    return check


_EVERYWHERE: Final[Mapping[str, Checker]] = {
    "header": _block("header", {"text": _plain_only(limits.HEADER_TEXT)}),
    "section": _block(
        "section",
        {},
        {
            "text": _either(limits.SECTION_TEXT),
            "fields": array(_either(limits.SECTION_FIELD_TEXT), most=limits.SECTION_FIELDS),
            "accessory": kinds(_ACCESSORIES),
            "expand": boolean,
        },
        any_of=("text", "fields"),
    ),
    "actions": _block("actions", {"elements": array(kinds(_ACTIONS), most=limits.ACTIONS_ELEMENTS)}),
    "context": _block(
        "context",
        {
            "elements": array(
                kinds({"plain_text": _plain(None), "mrkdwn": _mrkdwn(None), "image": _IMAGE_ELEMENT}),
                most=limits.CONTEXT_ELEMENTS,
            )
        },
    ),
    "divider": _block("divider", {}),
    "image": also(
        _block(
            "image",
            {"alt_text": string(longest=ALT_TEXT)},
            {**_SOURCES, "title": _plain_only(IMAGE_TITLE)},
            any_of=tuple(_SOURCES),
        ),
        _exactly_one(*_SOURCES),
    ),
    "rich_text": _block("rich_text", _RICH_MEMBERS),
}
MESSAGE_BLOCKS: Final[Mapping[str, Checker]] = {
    **_EVERYWHERE,
    "markdown": _block("markdown", {"text": string(longest=MARKDOWN_TEXT)}),
    "table": _block(
        "table",
        {"rows": array(array(_CELL, most=TABLE_COLUMNS), most=TABLE_ROWS)},
        {"column_settings": array(_nullable(_COLUMN), most=TABLE_COLUMNS)},
    ),
}
VIEW_BLOCKS: Final[Mapping[str, Checker]] = {
    **_EVERYWHERE,
    "input": _block(
        "input",
        {"label": _plain_only(INPUT_LABEL), "element": kinds(_INPUTS)},
        {"hint": _plain_only(INPUT_LABEL), "optional": boolean, "dispatch_action": boolean},
    ),
}

_VIEW_COMMON: Final[Mapping[str, Checker]] = {
    "callback_id": string(shortest=0, longest=limits.ACTION_ID),
    "external_id": string(shortest=0, longest=limits.ACTION_ID),
    "private_metadata": string(shortest=0, longest=VIEW_PRIVATE_METADATA),
}
VIEWS: Final = kinds(
    {
        "home": _typed("home", {"blocks": anything}, _VIEW_COMMON),
        "modal": _typed(
            "modal",
            {"title": _plain_only(VIEW_TITLE), "blocks": anything},
            {
                **_VIEW_COMMON,
                "submit": _plain_only(VIEW_BUTTON),
                "close": _plain_only(VIEW_BUTTON),
                "clear_on_close": boolean,
                "notify_on_close": boolean,
                "submit_disabled": boolean,
            },
        ),
    }
)
"""A view without its blocks: those are checked like a message's."""
