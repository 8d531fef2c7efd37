"""Mentions and direct messages: the same words as the slash command, which does not work in threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.listeners.payloads import event_of, parse_message_event

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncAck

    from bot.listeners.reception import Reception


async def on_mention(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save a mention, then ack. In a direct message Slack sends both events: the other one counts."""
    event = event_of(body)
    if not str(event.get("channel", "")).startswith("D"):
        await _take(body, reception)
    await ack()


async def on_message(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save a direct message, then ack; messages in channels are for us only when they mention us."""
    event = event_of(body)
    if event.get("channel_type") == "im":
        await _take(body, reception)
    await ack()


async def _take(body: dict[str, Any], reception: Reception) -> None:
    request = parse_message_event(body, reception.team_id, reception.clock())
    refusal = await reception.take(request) if request else ""
    if request and refusal:
        reception.answer_soon(request, refusal)
