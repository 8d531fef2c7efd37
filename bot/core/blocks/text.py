"""Text for Slack: cleaned, clipped and escaped; formats times and durations.

FloKit's texts and people's names are untrusted. They're clipped by the size of their escaped form, so that escaping
never makes a text too long and clipping never splits an entity such as ``&amp;``.
Source of the escaping rules: https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from bot.core.characters import showable
from bot.core.models import Person

_T = TypeVar("_T")

ELLIPSIS: Final = "…"

WEIGHT_PER_CHAR: Final = 3
"""The weight allowed per character of a clipped text: see `weight`."""

PERSON_CHARS: Final = 40
SENTENCE_CHARS: Final = 400

NAMES_LISTED: Final = 5
"""How many names a sentence lists before it says "and 3 more"."""

_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

# Formatting characters in mrkdwn, except for underscores within words such as "rate_limited".
_MARKS: Final = re.compile(r"[*~`]|(?<![^\W_])_|_(?![^\W_])")

_SLACK_ID: Final = re.compile(r"[A-Z0-9]{2,30}")


def clean(text: str) -> str:
    """Remove characters that can't be shown or would affect the text around them; line breaks stay."""
    return showable(text).strip()


def one_line(text: str) -> str:
    """Clean a text and join it into one line."""
    return " ".join(clean(text).split())


def escape(text: str) -> str:
    """Escape the three characters that Slack parses in mrkdwn and in a message's ``text``."""
    return "".join(_ESCAPES.get(char, char) for char in text)


def weight(text: str) -> int:
    """Return a text's worst-case size: the length of its escaped form as JSON in ASCII.

    This is never less than the escaped text's code points, its UTF-8 bytes or its part of the blocks' JSON, so one
    number covers all of Slack's limits. An ``&`` weighs 5, an umlaut 6, an emoji 12.
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

    A cut text ends in "…", which is included.
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
    """Return an untrusted text as one escaped line."""
    return escape(clip(one_line(text), limit))


def vendor_line(text: str, limit: int) -> str:
    """Return an untrusted text as one escaped line without mrkdwn formatting characters."""
    return shown(_MARKS.sub(" ", text), limit)


def our_sentence(text: str) -> str:
    """End our own sentence with a period. It's escaped, because those stored by version 0.1 end in FloKit's text."""
    line = escape(clip(one_line(text), SENTENCE_CHARS))
    return line if not line or line.endswith((".", "…")) else f"{line}."


def code(text: str, limit: int) -> str:
    """Return an untrusted text as inline code, in which nothing is parsed or formatted."""
    return f"`{shown(text.replace('`', chr(39)), limit) or '?'}`"


def mention(person: Person) -> str:
    """Mention a person; an ID that isn't a Slack user ID is replaced by the name."""
    if _SLACK_ID.fullmatch(person.id):
        return f"<@{person.id}>"
    return vendor_line(person.name, PERSON_CHARS) or "someone"


def channel(channel_id: str) -> str:
    """Return a link to a channel; "" if it isn't a channel ID."""
    if not _SLACK_ID.fullmatch(channel_id):
        return ""
    return "a direct message" if channel_id.startswith("D") else f"<#{channel_id}>"


def mention_group(whom: str) -> str:
    """Mention everyone who is active (``here``) or a user group by its ID; "" for anything else.

    Source: https://docs.slack.dev/messaging/formatting-message-text#mentioning-groups
    """
    if whom == "here":
        return "<!here>"
    return f"<!subteam^{whom}>" if _SLACK_ID.fullmatch(whom) else ""


def mention_owner(owner: str) -> str:
    """Mention the owner of an integration, a person or a user group, by the ID; "" if there's none."""
    if not _SLACK_ID.fullmatch(owner):
        return ""
    return f"<!subteam^{owner}>" if owner.startswith("S") else f"<@{owner}>"


def person_name(person: Person) -> str:
    """Name a person without notifying them, if the name is known."""
    return vendor_line(person.name, PERSON_CHARS) or mention(person)


def link_to(address: str, label: str = "message") -> str:
    """Link to a message in Slack; ``label`` is ours."""
    return f"<{escape(address)}|{label}>"


def listed(items: Sequence[_T], say: Callable[[_T], str], *, most: int = NAMES_LISTED) -> str:
    """Join items with commas; beyond ``most`` of them, only say how many more there are."""
    said = ", ".join(say(item) for item in items[:most])
    hidden = len(items) - most
    return f"{said} and {hidden:,} more" if hidden > 0 else said


def date(at: datetime) -> str:
    """Format a time for mrkdwn in the reader's time zone, with UTC as the fallback.

    Source: https://docs.slack.dev/messaging/formatting-message-text#date-formatting
    """
    fallback = utc(at)
    unix = int(at.timestamp())
    if unix < 0:  # Slack's date tokens start at 1970
        return fallback
    return f"<!date^{unix}^{{date_short_pretty}} at {{time}}|{fallback}>"


def utc(at: datetime) -> str:
    """Format a time for plain text: "2024-03-15 13:00 UTC"."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def iso_utc(at: datetime) -> str:
    """Format a time as ISO 8601: "2024-03-15T13:00:00Z"."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def duration(seconds: float) -> str:
    """Format a duration in its two largest units: "8 s", "1 min 20 s", "2 h 10 min", "3 d 4 h"."""
    left = max(0, round(seconds))
    parts: list[tuple[int, str]] = []
    for size_s, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size_s)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"


def counted(count: int, thing: str) -> str:
    """Format a count: "1 integration", "1,204 new events"."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
