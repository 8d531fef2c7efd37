"""Socket Mode: one connection to Slack that is kept open, and built anew when it goes deaf.

The SDK reconnects by itself, but can be left connected and hear nothing
(https://github.com/slackapi/python-slack-sdk/issues/1701, https://github.com/slackapi/bolt-python/issues/1529).
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_bolt.async_app import AsyncApp
    from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest

log = structlog.get_logger(__name__)

PING_INTERVAL_S: Final = 3.0
"""How often the SDK pings Slack, and how soon it notices a dropped socket."""

DEAF_AFTER_S: Final = 30.0
"""A socket on which no ping was answered for this long hears nothing."""

REOPEN_PAUSE_S: Final = 1.0

MOST_KEYS: Final = 20
KEY_CHARS: Final = 40


class SlackSocket:
    """The connection of one process; the SDK's own reconnects happen inside it."""

    def __init__(self, bolt: AsyncApp, app_token: str, *, clock: Callable[[], float] = time.time) -> None:
        self._bolt = bolt
        self._app_token = app_token
        self._clock = clock
        self._handler: AsyncSocketModeHandler | None = None
        self._greeted: object = None
        """The session on which Slack has said hello: from then on it delivers."""
        self.connections: int | None = None
        """How many sockets of this app are open, as Slack said when this one was opened."""
        self.greeted_at: float | None = None
        """When Slack said hello the last time, as seconds of the clock."""
        self.greetings = 0
        """How often it did."""

    async def keep_open(self) -> None:
        """Open the socket, and open another whenever it is broken for good; runs until cancelled."""
        while True:
            try:
                await self._open()
                await self._until_broken()
            except Exception as error:  # noqa: BLE001 - the SDK lets through whatever its transports raise
                log.warning("socket_not_open", error=type(error).__name__)
                await asyncio.sleep(REOPEN_PAUSE_S)
            # First closed, then opened: of two sockets Slack would go on giving every other envelope to the deaf one.
            await self.close()

    async def close(self) -> None:
        """Close the socket; what Slack sends from now on goes to another one, or to nobody."""
        handler, self._handler = self._handler, None
        if handler:
            await handler.close_async()  # type: ignore[no-untyped-call]

    @property
    def age_s(self) -> float | None:
        """Tell how long ago Slack said hello; None before."""
        return None if self.greeted_at is None else self._clock() - self.greeted_at

    async def problem(self) -> str:
        """Say what keeps Slack from reaching us; "" when nothing does."""
        if self._handler is None or self._handler.client.current_session is None:
            return "not connected yet"
        client = self._handler.client
        if client.current_session is not self._greeted:
            return "connected, but Slack has not said hello yet"
        heard_at = client.last_ping_pong_time
        if heard_at is not None and self._clock() - heard_at > DEAF_AFTER_S:
            return f"the socket is deaf: nothing heard for {self._clock() - heard_at:.0f} s"
        return "" if await client.is_connected() else "the socket is closed; reconnecting"

    async def _open(self) -> None:
        self._handler = AsyncSocketModeHandler(self._bolt, self._app_token, ping_interval=PING_INTERVAL_S)
        client = self._handler.client
        client.proxy = self._bolt.client.proxy
        client.message_listeners.append(self._note_hello)
        client.socket_mode_request_listeners[:] = [self._handle]
        enqueue = client.enqueue_message

        async def enqueue_readable(message: str) -> None:
            if _is_readable(message):
                await enqueue(message)

        client.enqueue_message = enqueue_readable  # type: ignore[method-assign]
        await self._handler.connect_async()  # type: ignore[no-untyped-call]

    async def _handle(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Hand an envelope to Bolt; one that it stumbles over is not acked, and named by its keys."""
        if self._handler is None:
            return
        try:
            await self._handler.handle(client, request)  # type: ignore[arg-type]
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # Bolt reads it before any of our code
            log.warning("envelope_refused", reason=type(error).__name__, keys=_keys_of(request.payload))

    async def _note_hello(self, client: Any, message: dict[str, Any], _raw: str | None = None) -> None:
        if message.get("type") == "hello":
            self._greeted = client.current_session
            self.greeted_at = self._clock()
            self.greetings += 1
            count = message.get("num_connections")
            self.connections = count if isinstance(count, int) else None
            log.info("connected", connections=self.connections)

    async def _until_broken(self) -> None:
        """Return when the SDK has not mended the socket by itself for ``DEAF_AFTER_S``."""
        fine_at = self._clock()
        while self._clock() - fine_at < DEAF_AFTER_S:
            await asyncio.sleep(PING_INTERVAL_S)
            if not await self.problem():
                fine_at = self._clock()
        log.warning("socket_rebuilt", problem=await self.problem())


def _is_readable(frame: str) -> bool:
    """Tell whether the SDK can read a frame; it would write down whole what it cannot."""
    if not frame.startswith("{"):
        return True  # some of Slack's pings are such texts; the SDK passes them by
    try:
        envelope = json.loads(frame)
    except (ValueError, RecursionError):
        log.warning("envelope_refused", reason="no JSON", keys=[])
        return False
    if isinstance(envelope.get("payload", {}), dict | str):
        return True
    log.warning("envelope_refused", reason="no payload", keys=_keys_of(envelope))
    return False


def _keys_of(value: dict[str, Any]) -> list[str]:
    return [key[:KEY_CHARS] for key in list(value)[:MOST_KEYS]]
