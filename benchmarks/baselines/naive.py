"""The naive bot: a sync ``App``, with a thread for every click that checks every five seconds."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import httpx
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from benchmarks.baselines.table import status_blocks

POLL_S = 5

flokit = httpx.Client(
    base_url=os.environ["FLOKIT_API_URL"], headers={"Authorization": f"Bearer {os.environ['FLOKIT_API_KEY']}"}
)
app = App(
    client=WebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"]),
    signing_secret=os.environ.get("SLACK_SIGNING_SECRET", ""),
)


@app.command("/flokit")
def on_command(ack: Any, say: Any) -> None:
    """Show the status."""
    ack()
    integrations = flokit.get("/v1/integrations").json()["integrations"]
    say(text="Integrations", blocks=status_blocks(integrations))


@app.action("flokit_resync")
def on_resync(ack: Any, body: dict[str, Any], action: dict[str, Any], client: WebClient) -> None:
    """Start a sync, and a thread that follows it."""
    ack()
    integration_id = action["value"]
    before = flokit.get(f"/v1/integrations/{integration_id}").json()["integration"]
    flokit.post(f"/v1/integrations/{integration_id}/sync")
    channel, ts = body["channel"]["id"], body["container"]["message_ts"]
    client.chat_update(channel=channel, ts=ts, text="Integrations", blocks=status_blocks([before], integration_id))
    follow = threading.Thread(target=follow_up, args=(client, channel, ts, before), daemon=True)
    follow.start()


def follow_up(client: WebClient, channel: str, ts: str, before: dict[str, Any]) -> None:
    """Check until it has ended, and post the result."""
    while True:
        time.sleep(POLL_S)
        now = flokit.get(f"/v1/integrations/{before['id']}").json()["integration"]
        if now["status"] == "error" or now["last_synced_at"] != before["last_synced_at"]:
            client.chat_postMessage(channel=channel, thread_ts=ts, text=f"{now['id']}: {now['status']}")
            return


if __name__ == "__main__":
    if app_token := os.environ.get("SLACK_APP_TOKEN"):
        SocketModeHandler(app, app_token).start()  # type: ignore[no-untyped-call]
    else:
        app.start(int(os.environ["PORT"]))
