"""What people and keyboards put around the words that they mean, before anything reads them."""

from __future__ import annotations

from typing import Final

WRAPPING: Final = " \t\r\n\"'`<>.,;:!?…"
"""What stands around a name: quotes, backticks, the brackets of the usage, the row's "…"."""

SMART_QUOTES: Final = {
    **dict.fromkeys(map(ord, "“”„«»"), '"'),
    **dict.fromkeys((0x2018, 0x2019, 0x201A), "'"),  # single ones, which look like other characters
}
"""For `str.translate`: quotes as keyboards set them, and as they are meant."""


def unescape(text: str) -> str:
    """Turn back what Slack escapes in the text of messages.

    Source: https://docs.slack.dev/messaging/formatting-message-text
    """
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
