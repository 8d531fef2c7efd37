"""The async naive bot: an ``AsyncApp``, with a task for every click that checks every ten seconds."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httpx
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from benchmarks.baselines.serving import serve
from benchmarks.baselines.table import status_blocks

POLL_S = 10

flokit = httpx.AsyncClient(
    base_url=os.environ["FLOKIT_API_URL"], headers={"Authorization": f"Bearer {os.environ['FLOKIT_API_KEY']}"}
)
app = AsyncApp(
    client=AsyncWebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"]),
    signing_secret=os.environ.get("SLACK_SIGNING_SECRET", ""),
)
follow_ups: set[asyncio.Task[None]] = set()


@app.command("/flokit")
async def on_command(ack: Any, say: Any) -> None:
    """Show the status."""
    await ack()
    integrations = (await flokit.get("/v1/integrations")).json()["integrations"]
    await say(text="Integrations", blocks=status_blocks(integrations))


@app.action("flokit_resync")
async def on_resync(ack: Any, body: dict[str, Any], action: dict[str, Any], client: AsyncWebClient) -> None:
    """Start a sync, and a task that follows it."""
    await ack()
    integration_id = action["value"]
    before = (await flokit.get(f"/v1/integrations/{integration_id}")).json()["integration"]
    await flokit.post(f"/v1/integrations/{integration_id}/sync")
    channel, ts = body["channel"]["id"], body["container"]["message_ts"]
    blocks = status_blocks([before], integration_id)
    await client.chat_update(channel=channel, ts=ts, text="Integrations", blocks=blocks)
    task = asyncio.create_task(follow_up(client, channel, ts, before))
    follow_ups.add(task)
    task.add_done_callback(follow_ups.discard)


async def follow_up(client: AsyncWebClient, channel: str, ts: str, before: dict[str, Any]) -> None:
    """Check until it has ended, and post the result."""
    while True:
        await asyncio.sleep(POLL_S)
        now = (await flokit.get(f"/v1/integrations/{before['id']}")).json()["integration"]
        if now["status"] == "error" or now["last_synced_at"] != before["last_synced_at"]:
            await client.chat_postMessage(channel=channel, thread_ts=ts, text=f"{now['id']}: {now['status']}")
            return


if __name__ == "__main__":
    asyncio.run(serve(app))
