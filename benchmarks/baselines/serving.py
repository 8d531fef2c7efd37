"""How the async baselines connect to Slack: a socket if there's an app token, otherwise a web server."""

from __future__ import annotations

import asyncio
import os

from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp


async def serve(app: AsyncApp) -> None:
    """Serve until killed."""
    if token := os.environ.get("SLACK_APP_TOKEN"):
        await AsyncSocketModeHandler(app, token).start_async()  # type: ignore[no-untyped-call]
        return
    runner = web.AppRunner(app.web_app("/slack/events"), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
    await asyncio.Event().wait()
