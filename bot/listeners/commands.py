"""The slash command."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.listeners.payloads import parse_command_payload
from bot.listeners.reception import Reception


async def on_command(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save what was typed, then ack; the answer comes from the outbox."""
    request = parse_command_payload(body, reception.team_id, reception.clock())
    refusal = await reception.take(request) if request else ""
    if refusal:
        await ack(text=refusal, response_type="ephemeral")
    else:
        await ack()
