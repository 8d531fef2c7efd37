"""Slack's composition objects as checks: text, options, confirm dialogs, filters.

Source: https://docs.slack.dev/reference/block-kit/composition-objects. The limits are in ``limits``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from local_slack import limits
from local_slack.schema import Checker, also, array, boolean, exactly_one, kinds, record, string, typed, url


def plain(longest: int | None) -> Checker:
    """Describe a plain_text object."""
    return typed("plain_text", {"text": string(longest=longest)}, {"emoji": boolean})


def mrkdwn(longest: int | None) -> Checker:
    """Describe a mrkdwn object."""
    return typed("mrkdwn", {"text": string(longest=longest)}, {"verbatim": boolean})


def plain_only(longest: int | None) -> Checker:
    """Describe text that must be plain."""
    return kinds({"plain_text": plain(longest)})


def either(longest: int | None) -> Checker:
    """Describe text of either kind."""
    return kinds({"plain_text": plain(longest), "mrkdwn": mrkdwn(longest)})


STYLE: Final = string(one_of=["primary", "danger"])

CONFIRM: Final = record(
    {
        "title": plain_only(limits.CONFIRM_TITLE),
        "text": either(limits.CONFIRM_TEXT),
        "confirm": plain_only(limits.CONFIRM_BUTTON),
        "deny": plain_only(limits.CONFIRM_BUTTON),
    },
    {"style": STYLE},
)


def option(text: Callable[[int], Checker], **optional: Checker) -> Checker:
    """Describe an option with a text and an optional description of the same kind."""
    members = {"description": text(limits.OPTION_DESCRIPTION), **optional}
    return record({"text": text(limits.OPTION_TEXT), "value": string(longest=limits.OPTION_VALUE)}, members)


PLAIN_OPTION: Final = option(plain_only)
OVERFLOW_OPTION: Final = option(plain_only, url=url(limits.URL))
CHOICE: Final = option(either)
OPTION_GROUP: Final = record(
    {
        "label": plain_only(limits.OPTION_TEXT),
        "options": array(PLAIN_OPTION, most=limits.SELECT_OPTIONS),
    }
)

CONVERSATION_FILTER: Final = record(
    {},
    {
        "include": array(string(one_of=["im", "mpim", "private", "public"])),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
    any_of=("include", "exclude_external_shared_channels", "exclude_bot_users"),
)
DISPATCH_CONFIG: Final = record(
    {}, {"trigger_actions_on": array(string(one_of=["on_enter_pressed", "on_character_entered"]), most=2)}
)
SLACK_FILE: Final = also(record({}, {"id": string(), "url": url(limits.URL)}), exactly_one("id", "url"))
