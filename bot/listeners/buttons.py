"""Buttons, those of older and newer versions included."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.core.commands.presses import UnreadablePress, parse_press
from bot.listeners.payloads import first_action, parse_press_payload, value_of
from bot.listeners.reception import Reception


async def on_press(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save what was pressed, then ack."""
    action = first_action(body)
    press = parse_press(action.get("action_id"), value_of(action))
    readable = None if isinstance(press, UnreadablePress) else press
    request = parse_press_payload(body, reception.team_id, reception.clock(), readable)
    if request:
        refusal = press.sentence if isinstance(press, UnreadablePress) else await reception.take(request)
        if refusal:
            reception.answer_soon(request, refusal)
    await ack()


async def on_unknown(ack: AsyncAck) -> None:
    """Ack what is no button of ours: links report their clicks, too."""
    await ack()
