"""The App Home."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.listeners.payloads import parse_home_event
from bot.listeners.reception import Reception


async def on_opened(ack: AsyncAck, body: dict[str, Any], reception: Reception) -> None:
    """Save that somebody opened theirs, then ack; it is drawn soon.

    What can't be saved isn't acked: Slack sends events again.
    """
    request = parse_home_event(body, reception.team_id, reception.clock())
    if request and await reception.take(request):
        return
    await ack()
