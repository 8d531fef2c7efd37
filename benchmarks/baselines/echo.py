"""No bot at all: acks everything. Its rate is the load generator's maximum."""

from __future__ import annotations

import asyncio
import json
import os

import aiohttp
from aiohttp import web


async def main() -> None:
    """Serve until killed."""
    if os.environ.get("SLACK_APP_TOKEN"):
        await _socket()
        return
    application = web.Application()
    application.router.add_post("/slack/events", _ack)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
    await asyncio.Event().wait()


async def _ack(request: web.Request) -> web.Response:
    await request.read()
    return web.Response()


async def _socket() -> None:
    headers = {"Authorization": f"Bearer {os.environ['SLACK_APP_TOKEN']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{os.environ['SLACK_API_URL']}apps.connections.open") as reply:
            address = (await reply.json())["url"]
        async with session.ws_connect(address) as socket:
            async for message in socket:
                frame = json.loads(message.data)
                if "envelope_id" in frame:
                    await socket.send_str(json.dumps({"envelope_id": frame["envelope_id"]}))


if __name__ == "__main__":
    asyncio.run(main())
