"""The framework's own limit: an ``AsyncApp`` whose listeners only ack.

With ``PROCESS_BEFORE_RESPONSE=1``, the ack is sent when the listener returns.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from benchmarks.baselines.serving import serve

app = AsyncApp(
    client=AsyncWebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"]),
    signing_secret=os.environ.get("SLACK_SIGNING_SECRET", ""),
    process_before_response=os.environ.get("PROCESS_BEFORE_RESPONSE") == "1",
)


@app.command("/flokit")
async def on_command(ack: Any) -> None:
    """Ack."""
    await ack()


@app.action(re.compile("^flokit_"))
async def on_press(ack: Any) -> None:
    """Ack."""
    await ack()


if __name__ == "__main__":
    asyncio.run(serve(app))
