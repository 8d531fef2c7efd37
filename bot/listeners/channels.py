"""Channels that open, close or get another id. What is subscribed and told there follows."""

from __future__ import annotations

from typing import Any, Final

from slack_bolt.async_app import AsyncAck

from bot.core.requests import ChannelNews
from bot.listeners.payloads import event_of, parse_channel_event, parse_move_event
from bot.listeners.reception import Reception

NEWS: Final = {
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
"""What each event means: https://docs.slack.dev/reference/events?APIs=Events"""


async def on_change(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save what happened to a channel, then ack; other people who join are not for us.

    What cannot be saved is not acked: Slack sends events again.
    """
    event = event_of(body)
    news = NEWS.get(str(event.get("type")))
    joined = event.get("type") == "member_joined_channel"
    if news and not (joined and event.get("user") != reception.bot_user_id):
        request = parse_channel_event(body, reception.team_id, reception.clock(), news)
        if request and await reception.take(request):
            return
    await ack()


ID_CHANGED: Final = "channel_id_changed"
"""A channel became shared or was converted: https://docs.slack.dev/reference/events/channel_id_changed"""


async def on_id_changed(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save that a channel has another id, then ack; what cannot be saved is not acked, and comes again."""
    request = parse_move_event(body, reception.team_id, reception.clock())
    if request and await reception.take(request):
        return
    await ack()
