"""Slack's blocks and views as a table of checks.

Source: https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/views.
The limits are in ``limits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from local_slack import limits
from local_slack.elements import ACCESSORIES, ACTIONS, IMAGE, INPUTS, Surface, image
from local_slack.objects import either, mrkdwn, plain, plain_only
from local_slack.rich_text import RICH_TEXT
from local_slack.schema import Checker, anything, array, boolean, kinds, nullable, record, string, typed

_BLOCK_ID: Final[Mapping[str, Checker]] = {"block_id": string(longest=limits.BLOCK_ID)}


def _block(
    name: str,
    required: Mapping[str, Checker],
    optional: Mapping[str, Checker] | None = None,
    *,
    any_of: tuple[str, ...] = (),
) -> Checker:
    return record({"type": string(one_of=[name]), **required}, {**_BLOCK_ID, **(optional or {})}, any_of=any_of)


_EVERYWHERE: Final[Mapping[str, Checker]] = {
    "header": _block("header", {"text": plain_only(limits.HEADER_TEXT)}),
    "section": _block(
        "section",
        {},
        {
            "text": either(limits.SECTION_TEXT),
            "fields": array(either(limits.SECTION_FIELD_TEXT), most=limits.SECTION_FIELDS),
            "accessory": kinds(ACCESSORIES),
            "expand": boolean,
        },
        any_of=("text", "fields"),
    ),
    "context": _block(
        "context",
        {
            "elements": array(
                kinds({"plain_text": plain(None), "mrkdwn": mrkdwn(None), "image": IMAGE}),
                most=limits.CONTEXT_ELEMENTS,
            )
        },
    ),
    "divider": _block("divider", {}),
    "image": image({}, {**_BLOCK_ID, "title": plain_only(limits.IMAGE_TITLE)}),
    "rich_text": _block("rich_text", RICH_TEXT),
}


def _interactive_blocks(surface: Surface) -> dict[str, Checker]:
    """Return the blocks whose elements depend on the surface."""
    return {
        "actions": _block("actions", {"elements": array(kinds(ACTIONS[surface]), most=limits.ACTIONS_ELEMENTS)}),
        "input": _block(
            "input",
            {"label": plain_only(limits.INPUT_LABEL), "element": kinds(INPUTS[surface])},
            {"hint": plain_only(limits.INPUT_LABEL), "optional": boolean, "dispatch_action": boolean},
        ),
    }


_CELL: Final = kinds({"raw_text": typed("raw_text", {"text": string()}), "rich_text": typed("rich_text", RICH_TEXT)})
_COLUMN: Final = record({}, {"align": string(one_of=["left", "center", "right"]), "is_wrapped": boolean})
_IN_MESSAGES: Final[Mapping[str, Checker]] = {
    "markdown": _block("markdown", {"text": string(longest=limits.MARKDOWN_TEXT)}),
    "table": _block(
        "table",
        {"rows": array(array(_CELL, most=limits.TABLE_COLUMNS), most=limits.TABLE_ROWS)},
        {"column_settings": array(nullable(_COLUMN), most=limits.TABLE_COLUMNS)},
    ),
}

BLOCKS: Final[Mapping[Surface, Checker]] = {
    Surface.MESSAGE: array(
        kinds({**_EVERYWHERE, **_interactive_blocks(Surface.MESSAGE), **_IN_MESSAGES}),
        fewest=0,
        most=limits.BLOCKS_PER_MESSAGE,
    ),
    Surface.MODAL: array(
        kinds({**_EVERYWHERE, **_interactive_blocks(Surface.MODAL)}), fewest=0, most=limits.BLOCKS_PER_VIEW
    ),
    Surface.HOME: array(
        kinds({**_EVERYWHERE, **_interactive_blocks(Surface.HOME)}), fewest=0, most=limits.BLOCKS_PER_VIEW
    ),
}
"""The blocks of each surface; rules across blocks are in ``validation``."""

_VIEW_COMMON: Final[Mapping[str, Checker]] = {
    "callback_id": string(shortest=0, longest=limits.ACTION_ID),
    "external_id": string(shortest=0, longest=limits.ACTION_ID),
    "private_metadata": string(shortest=0, longest=limits.VIEW_PRIVATE_METADATA),
}
VIEWS: Final = kinds(
    {
        "home": typed("home", {"blocks": anything}, _VIEW_COMMON),
        "modal": typed(
            "modal",
            {"title": plain_only(limits.VIEW_TITLE), "blocks": anything},
            {
                **_VIEW_COMMON,
                "submit": plain_only(limits.VIEW_BUTTON),
                "close": plain_only(limits.VIEW_BUTTON),
                "clear_on_close": boolean,
                "notify_on_close": boolean,
                "submit_disabled": boolean,
            },
        ),
    }
)
"""A view without its blocks, which are checked like a message's."""
