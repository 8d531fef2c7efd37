"""Text for Slack: cleaned, clipped, escaped; times and durations in words.

Vendor text and the names of people are untrusted. They are clipped by what their escaped form costs, so that
escaping never makes a text too long and clipping never cuts an entity such as ``&amp;`` in two.
Source of the escaping rules: https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from bot.core.models import Person

_T = TypeVar("_T")

ELLIPSIS: Final = "…"

WEIGHT_PER_CHAR: Final = 3
"""How much a clipped text may weigh for each character it is allowed: see `weight`."""

PERSON_CHARS: Final = 40
SENTENCE_CHARS: Final = 400

NAMES_LISTED: Final = 5
"""How many names a sentence lists before it says "and 3 more"."""

_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

# Control characters, lone surrogates (not encodable), and the marks that turn the direction of the text after them.
_UNSHOWABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")

# What begins or ends formatting in mrkdwn; an underscore within a word, as in "rate_limited", does not.
_MARKS: Final = re.compile(r"[*~`]|(?<![^\W_])_|_(?![^\W_])")

_SLACK_ID: Final = re.compile(r"[A-Z0-9]{2,30}")


def clean(text: str) -> str:
    """Remove what cannot be shown, or would change the text around it; line breaks stay."""
    return _UNSHOWABLE.sub("", text).strip()


def one_line(text: str) -> str:
    """Clean a text and write it on one line."""
    return " ".join(clean(text).split())


def escape(text: str) -> str:
    """Escape the three characters that Slack parses in mrkdwn and in a message's ``text``."""
    return "".join(_ESCAPES.get(char, char) for char in text)


def weight(text: str) -> int:
    """Return what a text costs at worst: the length of its escaped form as JSON in ASCII.

    This is never less than the escaped text's code points, its UTF-8 bytes or its part of the blocks' JSON, so one
    number holds all of Slack's limits. An ``&`` weighs 5, an umlaut 6, an emoji 12.
    """
    return sum(_char_weight(char) for char in text)


def _char_weight(char: str) -> int:
    if char in _ESCAPES:
        return len(_ESCAPES[char])
    if char in '"\\\n\t':
        return 2
    if " " <= char <= "~":
        return 1
    return 6 if char <= "\uffff" else 12


def clip(text: str, limit: int) -> str:
    """Cut a text to at most ``limit`` code points that weigh at most ``limit`` times `WEIGHT_PER_CHAR`.

    A cut text ends in "…", which counts.
    """
    most = WEIGHT_PER_CHAR * limit
    if len(text) <= limit and weight(text) <= most:
        return text
    room = most - weight(ELLIPSIS)
    kept = []
    for char in text[: limit - 1]:
        room -= _char_weight(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + ELLIPSIS


def shown(text: str, limit: int) -> str:
    """Write an untrusted text on one escaped line."""
    return escape(clip(one_line(text), limit))


def vendor_line(text: str, limit: int) -> str:
    """Write an untrusted text on one escaped line, without the characters that format mrkdwn."""
    return shown(_MARKS.sub(" ", text), limit)


def our_sentence(text: str) -> str:
    """Write a sentence of ours with a full stop. It's escaped: those stored by version 0.1 end in FloKit's words."""
    line = escape(clip(one_line(text), SENTENCE_CHARS))
    return line if not line or line.endswith((".", "…")) else f"{line}."


def code(text: str, limit: int) -> str:
    """Write an untrusted text as inline code: nothing in it is parsed or formatted."""
    return f"`{shown(text.replace('`', chr(39)), limit) or '?'}`"


def mention(person: Person) -> str:
    """Mention a person; what is no Slack user id is written as a name instead."""
    if _SLACK_ID.fullmatch(person.id):
        return f"<@{person.id}>"
    return vendor_line(person.name, PERSON_CHARS) or "someone"


def channel(channel_id: str) -> str:
    """Name a channel so that it can be clicked; "" for what is no channel's id, such as none at all."""
    if not _SLACK_ID.fullmatch(channel_id):
        return ""
    return "a direct message" if channel_id.startswith("D") else f"<#{channel_id}>"


def mention_group(whom: str) -> str:
    """Mention everybody who is there (``here``) or a user group, by its id; "" for anything else.

    Source: https://docs.slack.dev/messaging/formatting-message-text#mentioning-groups
    """
    if whom == "here":
        return "<!here>"
    return f"<!subteam^{whom}>" if _SLACK_ID.fullmatch(whom) else ""


def person_name(person: Person) -> str:
    """Name a person without notifying them, where a name is known."""
    return vendor_line(person.name, PERSON_CHARS) or mention(person)


def listed(items: Sequence[_T], say: Callable[[_T], str], *, most: int = NAMES_LISTED) -> str:
    """Join items with commas; beyond ``most`` of them, only say how many more there are."""
    said = ", ".join(say(item) for item in items[:most])
    hidden = len(items) - most
    return f"{said} and {hidden:,} more" if hidden > 0 else said


def date(at: datetime) -> str:
    """Write a time for mrkdwn in the reader's own time zone, with UTC as the fallback.

    Source: https://docs.slack.dev/messaging/formatting-message-text#date-formatting
    """
    fallback = utc(at)
    unix = int(at.timestamp())
    if unix < 0:  # Slack's tokens begin with 1970
        return fallback
    return f"<!date^{unix}^{{date_short_pretty}} at {{time}}|{fallback}>"


def utc(at: datetime) -> str:
    """Write a time where Slack parses nothing: "2024-03-15 13:00 UTC"."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def iso_utc(at: datetime) -> str:
    """Write a time for machines: "2024-03-15T13:00:00Z"."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def duration(seconds: float) -> str:
    """Write a duration in its two largest units: "8 s", "1 min 20 s", "2 h 10 min", "3 d 4 h"."""
    left = max(0, round(seconds))
    parts: list[tuple[int, str]] = []
    for size_s, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size_s)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"


def counted(count: int, thing: str) -> str:
    """Write a number of things: "1 integration", "1,204 new events"."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
