"""The Web API's ``conversations.`` methods."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from typing import Final

from local_slack.arguments import Arguments
from local_slack.config import Channel, ChannelKind
from local_slack.install import Installation, LostRoots
from local_slack.refusal import RefusalError
from local_slack.workspace import Json

REPLIES_DEFAULT: Final = 1000
HISTORY_DEFAULT: Final = 100
MOST_USERS: Final = 8
LARGEST_PAGE: Final = 1000
"""https://docs.slack.dev/reference/methods/conversations.replies and conversations.history."""

DISTRIBUTED_PAGE: Final = 15
"""The most that a distributed app gets: https://docs.slack.dev/apis/web-api/rate-limits."""


def open_conversation(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/conversations.open, for one person only."""
    users = [user for user in args.text("users").split(",") if user]
    if not users:
        raise RefusalError("users_list_not_supplied")
    if len(users) > MOST_USERS:
        raise RefusalError("too_many_users")
    if len(users) > 1:
        raise RefusalError("method_not_supported_for_channel_type")
    app.require_any("im:write")
    if users[0] not in app.workspace.users or users[0] == app.workspace.app.bot_user_id:
        raise RefusalError("user_not_found")
    if app.workspace.users[users[0]].is_deactivated:
        raise RefusalError("user_disabled")
    channel = app.workspace.open_im(users[0])
    return {"channel": conversation(app, channel) if args.flag("return_im") else {"id": channel.id}}


def info(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/conversations.info."""
    channel = app.visible_channel(args.text("channel"))
    app.require_for(channel, "read")
    return {"channel": conversation(app, channel)}


def join(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/conversations.join: public channels only."""
    channel = app.visible_channel(args.text("channel"))
    if channel.kind is not ChannelKind.PUBLIC:
        raise RefusalError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise RefusalError("is_archived")
    channel.members.add(app.workspace.app.bot_user_id)
    app.workspace.tell_channel(channel)
    return {"channel": conversation(app, channel)}


def history(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/conversations.history: newest first."""
    channel = _readable(app, args)
    in_range = _in_range(args)
    roots = [message for message in reversed(app.workspace.roots(channel.id)) if in_range(message["ts"])]
    return _page(app, roots, args, HISTORY_DEFAULT)


def replies(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/conversations.replies: the root, then its replies, oldest first."""
    channel = _readable(app, args)
    root = _root_of(app, channel, args.text("ts"))
    in_range = _in_range(args)
    answers = [reply for reply in app.workspace.replies(channel.id, root["ts"]) if in_range(reply["ts"])]
    is_unlisted = app.lost_roots is LostRoots.UNLISTED and root.get("subtype") == "tombstone"
    return _page(app, answers if is_unlisted else [root, *answers], args, REPLIES_DEFAULT)


def conversation(app: Installation, channel: Channel) -> Json:
    """Return Slack's conversation object: https://docs.slack.dev/reference/objects/conversation-object."""
    described: Json = {
        "id": channel.id,
        "is_channel": channel.kind is ChannelKind.PUBLIC,
        "is_group": channel.kind is ChannelKind.PRIVATE,
        "is_im": channel.kind is ChannelKind.IM,
        "is_mpim": channel.kind is ChannelKind.MPIM,
        "is_private": channel.kind is not ChannelKind.PUBLIC,
        "is_archived": channel.is_archived,
        "context_team_id": app.workspace.id,
    }
    if channel.kind is ChannelKind.IM:
        return {**described, "user": min(channel.members - {app.workspace.app.bot_user_id})}
    return {**described, "name": channel.name, "is_member": app.workspace.has_bot(channel)}


def _readable(app: Installation, args: Arguments) -> Channel:
    channel = app.visible_channel(args.text("channel"))
    app.require_for(channel, "history")
    return app.joined_channel(channel.id)


def _root_of(app: Installation, channel: Channel, ts: str) -> Json:
    """Return the root of a message's thread; a message without replies is its own root."""
    message = app.workspace.find(channel.id, ts)
    if message is None:
        raise RefusalError("thread_not_found")
    return app.workspace.find(channel.id, message.get("thread_ts", ts)) or message


def _in_range(args: Arguments) -> Callable[[str], bool]:
    """Return the test for ``oldest``, ``latest`` and ``inclusive``."""
    oldest, latest = _read_ts(args, "oldest", 0), _read_ts(args, "latest", math.inf)
    if args.flag("inclusive"):
        return lambda ts: oldest <= float(ts) <= latest
    return lambda ts: oldest < float(ts) < latest


def _read_ts(args: Arguments, name: str, default: float) -> float:
    text = args.text(name)
    if text and not re.fullmatch(r"\d+(\.\d+)?", text):
        raise RefusalError(f"invalid_ts_{name}")
    return float(text) if text else default


def next_page(items: list[Json], cursor: str, limit: int) -> tuple[list[Json], str]:
    """Return the page of items at a cursor, and the next page's cursor or "".

    Raises:
        RefusalError: ``invalid_cursor``.
    """
    start = _read_cursor(cursor)
    end = start + limit
    is_last = end >= len(items)
    return items[start:end], "" if is_last else base64.b64encode(f"next:{end}".encode()).decode()


def _page(app: Installation, messages: list[Json], args: Arguments, default: int) -> Json:
    """Return the page of messages selected by ``cursor`` and ``limit``."""
    largest = DISTRIBUTED_PAGE if app.is_distributed else LARGEST_PAGE
    limit = min(args.number("limit", default) or default, largest)
    page, cursor = next_page(messages, args.text("cursor"), limit)
    if not args.flag("include_all_metadata"):
        page = [{name: value for name, value in message.items() if name != "metadata"} for message in page]
    reply: Json = {"messages": page, "has_more": bool(cursor)}
    if cursor:
        reply["response_metadata"] = {"next_cursor": cursor}
    return reply


def _read_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        word, _, position = base64.b64decode(cursor, validate=True).decode().partition(":")
    except ValueError as error:
        raise RefusalError("invalid_cursor") from error
    if word != "next" or not position.isdecimal():
        raise RefusalError("invalid_cursor")
    return int(position)
