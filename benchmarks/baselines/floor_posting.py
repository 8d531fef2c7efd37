"""What is visible of a status command and nothing else: an ``AsyncApp`` whose listener acks, and posts a message.

The message is ours, made once at the start: nothing is looked up, saved, built or retried.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from benchmarks.baselines.serving import serve
from bot.core import blocks
from bot.core.models import Integration, Status
from bot.core.panels import Panel, PanelKind

MANY = 8
NOW = datetime(2026, 1, 5, tzinfo=UTC)

client = AsyncWebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
app = AsyncApp(client=client, signing_secret=os.environ.get("SLACK_SIGNING_SECRET", ""))
shown = tuple(Integration(f"int_{number:05d}", "stripe", Status.CONNECTED, NOW) for number in range(MANY))
message = blocks.panel_message(Panel("panel_1", PanelKind.STATUS, shown, NOW), {}, NOW)


@app.command("/flokit")
async def on_command(ack: Any, body: dict[str, Any]) -> None:
    """Ack, then post."""
    await ack()
    await client.chat_postMessage(channel=body["channel_id"], text=message.text, blocks=list(message.blocks))


if __name__ == "__main__":
    asyncio.run(serve(app))
