"""The Events API: mentions and direct messages, the App Home, and channels that open, close or get another ID.

Mentions and direct messages accept the same commands as the slash command, and also work in threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from slack_bolt.async_app import AsyncAck
from slack_bolt.response import BoltResponse

from bot.core.requests import ChannelNews, Request
from bot.listeners.payloads import (
    event_of,
    parse_channel_event,
    parse_home_event,
    parse_message_event,
    parse_move_event,
)
from bot.listeners.reception import Reception

CHANNEL_EVENTS: Final = {
    "channel_archive": ChannelNews.ARCHIVED,
    "channel_deleted": ChannelNews.ARCHIVED,
    "channel_left": ChannelNews.REMOVED,
    "channel_unarchive": ChannelNews.OPEN,
    "group_archive": ChannelNews.ARCHIVED,
    "group_deleted": ChannelNews.ARCHIVED,
    "group_left": ChannelNews.REMOVED,
    "group_unarchive": ChannelNews.OPEN,
    "member_joined_channel": ChannelNews.OPEN,
}
"""The meaning of each event: https://docs.slack.dev/reference/events?APIs=Events"""

ID_CHANGED: Final = "channel_id_changed"
"""A channel became shared or was converted: https://docs.slack.dev/reference/events/channel_id_changed"""


async def on_mention(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save a mention, then ack. In a direct message, Slack also sends a message event, which is used instead."""
    if not _is_direct(event_of(body)):
        await _take_message(body, reception)
    await ack()


async def on_message(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save a direct message, then ack; messages in channels count only as mentions."""
    if _is_direct(event_of(body)):
        await _take_message(body, reception)
    await ack()


def _is_direct(event: Mapping[str, Any]) -> bool:
    """Whether this is a direct message; an app_mention has no channel type."""
    kind = event.get("channel_type")
    return kind == "im" if kind else str(event.get("channel", "")).startswith("D")


async def _take_message(body: dict[str, Any], reception: Reception) -> None:
    request = parse_message_event(body, reception.context.team_id, reception.context.clock())
    refusal = await reception.take(request) if request else ""
    if request and refusal:
        reception.answer_soon(request, refusal)


async def on_home_opened(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> BoltResponse | None:
    """Save that someone opened their App Home, then ack; a worker draws it."""
    request = parse_home_event(body, reception.context.team_id, reception.context.clock())
    return await _ack_saved(ack, request, reception)


async def on_channel_event(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> BoltResponse | None:
    """Save what happened to a channel, then ack; other people's joins are ignored."""
    event, request = event_of(body), None
    news = CHANNEL_EVENTS.get(str(event.get("type")))
    joined = event.get("type") == "member_joined_channel"
    if news and not (joined and event.get("user") != reception.context.bot_user_id):
        request = parse_channel_event(body, reception.context.team_id, reception.context.clock(), news)
    return await _ack_saved(ack, request, reception)


async def on_id_changed(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> BoltResponse | None:
    """Save that a channel has another ID, then ack."""
    request = parse_move_event(body, reception.context.team_id, reception.context.clock())
    return await _ack_saved(ack, request, reception)


async def _ack_saved(ack: AsyncAck, request: Request | None, reception: Reception) -> BoltResponse | None:
    """Save an event, then ack. If saving fails, Slack gets an error, so that it sends the event again.

    Without an ack or a response from the listener, Bolt acks an event automatically.
    """
    if request and await reception.take(request):
        return BoltResponse(status=503)
    await ack()
    return None
