"""A minimal Slack that generates load: it accepts every call, delivers payloads, and measures the acks.

It validates nothing, so that it isn't the bottleneck; a row of the table has its maximum rate.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

SIGNING_SECRET: Final = "benchmark-signing-secret"
BOT_TOKEN: Final = "xoxb-benchmark"
APP_TOKEN: Final = "xapp-benchmark"
TEAM_ID: Final = "T0BENCH"
ACK_TIMEOUT_S: Final = 3.0

BOT_USER_ID: Final = "U0BOT"
BOT_ID: Final = "B0BOT"

_IDENTITY: Final = {
    "ok": True,
    "team_id": TEAM_ID,
    "team": "Benchmark",
    "user_id": BOT_USER_ID,
    "user": "flokit",
    "bot_id": BOT_ID,
    "url": "https://benchmark.slack.com/",
}


def bot_token_of(team_id: str) -> str:
    """Return the token of an installation; `LoadSlack` reads the workspace from it."""
    return f"{BOT_TOKEN}-{team_id}"


class LoadSlack:
    """One app's Slack: its Web API, its socket, and people who type and click.

    Args:
        app_url: where the app receives Slack's requests over HTTP; "" in Socket Mode.
    """

    def __init__(self, app_url: str = "") -> None:
        self._app_url = app_url
        self._ids = count(
            time.time_ns()
        )  # a bot that is started on the same database takes a known ID for a repetition
        self._ts = count(1)
        self._socket: web.WebSocketResponse | None = None
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self.connected = asyncio.Event()
        self.url = ""
        self.calls = 0
        self.latency_s = 0.0
        """How long each reply takes, in seconds."""
        self.posts: list[tuple[float, str]] = []
        """The time and the channel of each posted message."""
        self.responses = 0
        """The answers at response URLs, which only one person sees."""
        self.on_call: Callable[[str, dict[str, Any], str, float], None] | None = None
        """Called with the method, its arguments, the returned ts, and the time."""
        self.limited: set[str] = set()
        """The workspaces whose calls are refused with 429; installed ones only."""

    async def start(self) -> None:
        """Listen on a free port."""
        application = web.Application()
        application.router.add_route("*", "/api/{method}", self._call)
        application.router.add_get("/socket", self._serve_socket)
        application.router.add_post("/response", self._respond)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def stop(self) -> None:
        """Stop listening."""
        if self._session:
            await self._session.close()
        if self._socket:
            await self._socket.close()
        if self._runner:
            await self._runner.cleanup()

    @property
    def answered(self) -> int:
        """The number of posts and of answers at response URLs."""
        return len(self.posts) + self.responses

    @property
    def api_url(self) -> str:
        """The base URL of its Web API."""
        return f"http://{self.url}/api/"

    async def command(self, text: str, *, channel: str, user: str = "UANA", team: str = TEAM_ID) -> float:
        """Send a command. Return the seconds until its ack."""
        number = next(self._ids)
        body = {
            "token": "t",
            "team_id": team,
            "team_domain": "benchmark",
            "channel_id": channel,
            "channel_name": "data",
            "user_id": user,
            "user_name": "ana",
            "command": "/flokit",
            "text": text,
            "api_app_id": "A0BENCH",
            "is_enterprise_install": "false",
            "response_url": f"http://{self.url}/response",
            "trigger_id": f"trigger.{number}",
        }
        return await self._deliver("slash_commands", body, urlencode)

    async def click(
        self, action_id: str, value: str, *, channel: str, ts: str, user: str = "UANA", team: str = TEAM_ID
    ) -> float:
        """Press a button. Return the seconds until its ack."""
        number = next(self._ids)
        body: dict[str, Any] = {
            "type": "block_actions",
            "user": {"id": user, "username": "ana", "name": "ana", "team_id": team},
            "api_app_id": "A0BENCH",
            "token": "t",
            "team": {"id": team, "domain": "benchmark"},
            "enterprise": None,
            "is_enterprise_install": False,
            "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False},
            "trigger_id": f"trigger.{number}",
            "channel": {"id": channel, "name": "data"},
            "state": {"values": {}},
            "response_url": f"http://{self.url}/response",
            "actions": [
                {"type": "button", "action_id": action_id, "block_id": "b", "value": value, "action_ts": f"{number}.0"}
            ],
            "message": {"type": "message", "ts": ts, "user": "U0BOT", "text": "Integrations", "blocks": []},
        }
        return await self._deliver("interactive", body, lambda press: urlencode({"payload": json.dumps(press)}))

    async def _deliver(self, kind: str, body: dict[str, Any], encode: Callable[[dict[str, Any]], str]) -> float:
        if self._app_url:
            return await self._deliver_http(encode(body))
        if self._socket is None:
            raise ConnectionError("no app is connected")
        envelope_id = f"envelope-{next(self._ids)}"
        acked: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = acked
        frame = {"envelope_id": envelope_id, "type": kind, "payload": body, "accepts_response_payload": True}
        text = json.dumps(frame)
        began_at = time.perf_counter()
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await self._socket.send_str(text)
                return await acked - began_at
        except TimeoutError:
            return ACK_TIMEOUT_S
        finally:
            del self._waiting[envelope_id]

    async def _deliver_http(self, body: str) -> float:
        timestamp = str(int(time.time()))
        signed = hmac.new(SIGNING_SECRET.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": f"v0={signed}",
        }
        assert self._session is not None
        began_at = time.perf_counter()
        try:
            timeout = aiohttp.ClientTimeout(total=ACK_TIMEOUT_S)
            async with self._session.post(self._app_url, data=body, headers=headers, timeout=timeout) as reply:
                await reply.read()
                if reply.status != 200:
                    raise ConnectionError(f"the app answered {reply.status}: {(await reply.text())[:200]}")
        except TimeoutError:
            return ACK_TIMEOUT_S
        return time.perf_counter() - began_at

    async def _serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._socket = socket
        await socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A0BENCH"}})
        self.connected.set()
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            at = time.perf_counter()
            try:
                frame = json.loads(message.data)
            except ValueError:
                continue  # the SDK's ping isn't JSON
            acked = self._waiting.get(frame.get("envelope_id", ""))
            if acked and not acked.done():
                acked.set_result(at)
        self.connected.clear()
        return socket

    async def _call(self, request: web.Request) -> web.Response:
        at = time.perf_counter()
        self.calls += 1
        method = request.match_info["method"]
        if method == "auth.test":
            return web.json_response(_IDENTITY, headers={"x-oauth-scopes": "chat:write"})
        if method == "apps.connections.open":
            return web.json_response({"ok": True, "url": f"ws://{self.url}/socket"})
        team = request.headers.get("Authorization", "").partition(f"{BOT_TOKEN}-")[2] or TEAM_ID
        if team in self.limited:
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "1"})
        if request.content_type == "application/json":
            arguments = json.loads(await request.read())
        else:
            arguments = {**request.query, **await request.post()}
        ts = str(arguments.get("ts") or f"{1_700_000_000 + next(self._ts)}.000100")
        channel = arguments.get("channel", "")
        if method == "chat.postMessage":
            self.posts.append((at, channel))
        if self.on_call:
            self.on_call(method, arguments, ts, at)
        await asyncio.sleep(self.latency_s)
        user = {"id": arguments.get("user", ""), "team_id": team, "name": "ana", "tz": "Europe/Berlin"}
        return web.json_response({"ok": True, "channel": channel, "ts": ts, "message": {}, "user": user})

    async def _respond(self, _request: web.Request) -> web.Response:
        self.responses += 1
        return web.json_response({"ok": True})
