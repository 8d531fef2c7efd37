"""The visible part of a status command: an ``AsyncApp`` whose listener acks and posts a message.

It's the bot's message, built once at the start: nothing is looked up, saved, built or retried.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from benchmarks.baselines.message import status_message
from benchmarks.baselines.serving import serve

client = AsyncWebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
app = AsyncApp(client=client, signing_secret=os.environ.get("SLACK_SIGNING_SECRET", ""))
message = status_message()


@app.command("/flokit")
async def on_command(ack: Any, body: dict[str, Any]) -> None:
    """Ack, then post."""
    await ack()
    await client.chat_postMessage(channel=body["channel_id"], text=message.text, blocks=list(message.blocks))


if __name__ == "__main__":
    asyncio.run(serve(app))
