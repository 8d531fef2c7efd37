"""App Home. So far the event is only acked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncAck


async def on_opened(ack: AsyncAck) -> None:
    """Ack that somebody opened the bot's Home or Messages tab."""
    await ack()
