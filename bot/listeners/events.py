"""Mentions and direct messages: the same words as the slash command, which does not work in threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.listeners.payloads import event_of, parse_message_event
from bot.listeners.reception import Reception


async def on_mention(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save a mention, then ack. In a direct message Slack sends both events: the other one counts."""
    if not _is_direct(event_of(body)):
        await _take(body, reception)
    await ack()


async def on_message(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save a direct message, then ack; messages in channels are for us only when they mention us."""
    if _is_direct(event_of(body)):
        await _take(body, reception)
    await ack()


async def on_unknown(ack: AsyncAck) -> None:
    """Ack what an app's page at Slack subscribes to besides: without an ack, Slack would send it three times more."""
    await ack()


def _is_direct(event: Mapping[str, Any]) -> bool:
    """Tell whether this was said to the bot alone; an app_mention does not name the type of its channel."""
    kind = event.get("channel_type")
    return kind == "im" if kind else str(event.get("channel", "")).startswith("D")


async def _take(body: dict[str, Any], reception: Reception) -> None:
    request = parse_message_event(body, reception.team_id, reception.clock())
    refusal = await reception.take(request) if request else ""
    if request and refusal:
        reception.answer_soon(request, refusal)
