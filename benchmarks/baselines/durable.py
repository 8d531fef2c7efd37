"""The minimum that keeps the guarantees: a request is on disk before the ack, and nothing else is done.

An ``AsyncApp`` and a SQLite file (``WAL``, ``synchronous=FULL``) on one thread, or one connection to PostgreSQL if
``DATABASE_URL`` names a server; without leases, retries, permissions or replicas. ``DURABLE`` chooses what happens:

- ``ack``: a request is one committed row, then the ack.
- ``command``: after the ack, it posts the bot's prepared status message, and commits that it was posted.
- ``life``: a click is followed to its outcome, with the calls to FloKit and Slack that the bot makes, and one commit
  for each fact that must survive: requested, attempted, accepted, each check, each message posted or updated.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import httpx
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from benchmarks.baselines.message import status_message
from benchmarks.baselines.serving import serve

MODE: Final = os.environ["DURABLE"]
LOOK_EVERY_S: Final = 2.0

slack = AsyncWebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
flokit = httpx.AsyncClient(
    base_url=os.environ["FLOKIT_API_URL"], headers={"Authorization": f"Bearer {os.environ['FLOKIT_API_KEY']}"}
)
app = AsyncApp(client=slack, signing_secret=os.environ.get("SLACK_SIGNING_SECRET", ""), process_before_response=True)
message = status_message()
work: set[asyncio.Task[None]] = set()


class File:
    """A SQLite file, written in a thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._database = sqlite3.connect("durable.db", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(f"CREATE TABLE facts (id INTEGER PRIMARY KEY, {COLUMNS})")

    async def insert(self, row: tuple[str, str, str]) -> None:
        """Commit one row."""
        statement = "INSERT INTO facts (subject, fact, data) VALUES (?, ?, ?)"
        await asyncio.get_running_loop().run_in_executor(self._thread, self._database.execute, statement, row)


class Server:
    """A connection to PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+asyncpg", "")
        self._connection: Any = None
        self._one_at_a_time = asyncio.Lock()

    async def insert(self, row: tuple[str, str, str]) -> None:
        """Commit one row."""
        async with self._one_at_a_time:
            if self._connection is None:
                self._connection = await asyncpg.connect(self._url)
                await self._connection.execute(f"CREATE TABLE facts (id SERIAL PRIMARY KEY, {COLUMNS})")
            await self._connection.execute("INSERT INTO facts (subject, fact, data) VALUES ($1, $2, $3)", *row)


COLUMNS: Final = "subject TEXT NOT NULL, fact TEXT NOT NULL, data TEXT"
URL: Final = os.environ.get("DATABASE_URL", "")
database = Server(URL) if URL.startswith("postgresql") else File()


async def save(subject: str, fact: str, data: Any = None) -> None:
    """Commit one fact; it's on disk when this returns."""
    await database.insert((subject, fact, json.dumps(data)))


def go_on(coroutine: Coroutine[Any, Any, None]) -> None:
    """Continue after the ack."""
    task = asyncio.create_task(coroutine)
    work.add(task)
    task.add_done_callback(work.discard)


@app.command("/flokit")
async def on_command(ack: Any, body: dict[str, Any]) -> None:
    """Save, ack, and answer."""
    await save(body["trigger_id"], "asked", body)
    await ack()
    if MODE == "command":
        go_on(answer(body["trigger_id"], body["channel_id"]))


@app.action(re.compile("^flokit_"))
async def on_press(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
    """Save, ack, and follow."""
    await save(body["trigger_id"], "asked", body)
    await ack()
    if MODE == "life":
        go_on(follow(body["trigger_id"], body["channel"]["id"], body["message"]["ts"], action["value"]))


async def answer(subject: str, channel: str) -> None:
    """Post the status."""
    posted = await slack.chat_postMessage(channel=channel, text=message.text, blocks=list(message.blocks))
    await save(subject, "posted", posted["ts"])


async def follow(subject: str, channel: str, thread_ts: str, integration_id: str) -> None:
    """Start a sync, check until it has ended, and report the outcome."""

    async def look() -> dict[str, Any]:
        seen: dict[str, Any] = (await flokit.get(f"/v1/integrations/{integration_id}")).json()["integration"]
        await save(subject, "look", seen)
        return seen

    async def edit(text: str) -> None:
        await slack.chat_update(channel=channel, ts=progress, text=text, blocks=blocks_of(text))
        await save(subject, "edited", text)

    began_at = datetime.now(UTC)
    text = f"{integration_id}: reading the current state before starting."
    posted = await slack.chat_postMessage(channel=channel, thread_ts=thread_ts, text=text, blocks=blocks_of(text))
    progress = posted["ts"]
    await save(subject, "posted", progress)
    before = await look()
    await save(subject, "attempted")
    accepted = await flokit.post(f"/v1/integrations/{integration_id}/sync", headers={"Idempotency-Key": subject})
    await save(subject, "accepted", accepted.json())
    await edit(f"{integration_id}: queued — FloKit accepted the sync.")
    shown = ""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = await look()
        if now["status"] == "error" or now["last_synced_at"] != before["last_synced_at"]:
            break
        if now["status"] != shown:
            shown = now["status"]
            await edit(f"{integration_id}: {shown}.")
    took_s = (datetime.now(UTC) - began_at).total_seconds()
    text = f"✅ {integration_id} synced in {took_s:.0f} s."
    posted = await slack.chat_postMessage(channel=channel, thread_ts=thread_ts, text=text, blocks=blocks_of(text))
    await save(subject, "reported", posted["ts"])
    await edit(f"{integration_id}: finished after {took_s:.0f} s — see the result below.")


def blocks_of(text: str) -> list[dict[str, Any]]:
    """Return one section."""
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]


if __name__ == "__main__":
    asyncio.run(serve(app))
