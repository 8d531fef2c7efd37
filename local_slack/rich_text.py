"""Slack's rich text as checks: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from local_slack import limits
from local_slack.schema import Checker, array, between, boolean, integer, kinds, record, string, typed, url

DEEPEST_INDENT: Final = 8

_BORDER: Final = between(0, 1)
_TEXT_STYLE: Final = record(
    {},
    dict.fromkeys(
        ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"), boolean
    ),
)
_STYLED: Final[Mapping[str, Checker]] = {"style": _TEXT_STYLE}
_LEAVES: Final[Mapping[str, Checker]] = {
    "text": typed("text", {"text": string()}, _STYLED),
    "link": typed("link", {"url": url(limits.URL)}, {**_STYLED, "text": string(), "unsafe": boolean}),
    "user": typed("user", {"user_id": string()}, _STYLED),
    "usergroup": typed("usergroup", {"usergroup_id": string()}, _STYLED),
    "channel": typed("channel", {"channel_id": string()}, _STYLED),
    "broadcast": typed("broadcast", {"range": string(one_of=["here", "channel", "everyone"])}, _STYLED),
    "emoji": typed(
        "emoji", {"name": string()}, {**_STYLED, "unicode": string(), "skin_tone": integer, "url": string()}
    ),
    "date": typed(
        "date", {"timestamp": integer, "format": string()}, {**_STYLED, "url": url(limits.URL), "fallback": string()}
    ),
    "color": typed("color", {"value": string()}, _STYLED),
}
_INLINE: Final = array(kinds(_LEAVES), fewest=0)
_CODE: Final = array(kinds({"text": _LEAVES["text"], "link": _LEAVES["link"]}), fewest=0)
_SECTION: Final = typed("rich_text_section", {"elements": _INLINE})
_PARTS: Final[Mapping[str, Checker]] = {
    "rich_text_section": _SECTION,
    "rich_text_quote": typed("rich_text_quote", {"elements": _INLINE}, {"border": _BORDER}),
    "rich_text_preformatted": typed(
        "rich_text_preformatted", {"elements": _CODE}, {"border": _BORDER, "language": string()}
    ),
    "rich_text_list": typed(
        "rich_text_list",
        {
            "style": string(one_of=["bullet", "ordered"]),
            "elements": array(kinds({"rich_text_section": _SECTION}), fewest=0),
        },
        {"indent": between(0, DEEPEST_INDENT), "offset": integer, "border": _BORDER},
    ),
}
RICH_TEXT: Final[Mapping[str, Checker]] = {"elements": array(kinds(_PARTS))}
"""What a rich_text block has besides its ``block_id``."""
