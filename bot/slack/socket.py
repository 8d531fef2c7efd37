"""Socket Mode: keeps one connection to Slack open, and replaces it when nothing arrives anymore.

The SDK's client can stay connected without receiving anything (https://github.com/slackapi/python-slack-sdk/issues/1701,
https://github.com/slackapi/bolt-python/issues/1529), asks for a new address as fast as Slack refuses one, and takes its
proxy from the environment by its own rules. So the connection is made here, and Bolt only handles what arrives.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from bot.core.errors import SlackError
from bot.core.json_values import parse_json
from bot.settings.network import DIRECT, Network
from bot.slack.pacing import Backoff
from bot.slack.session import why_unavailable

log = structlog.get_logger(__name__)

PING_INTERVAL_S: Final = 3.0
"""How often Slack is pinged."""

DEAF_AFTER_S: Final = 12.0
"""After this long without any frame, not even a pong, a socket counts as dead."""

OPENS_WITHIN_S: Final = 10.0
"""How long a connection may take, and how long Slack may then take to say hello."""

PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0
"""The shortest and the longest pause before a socket is opened again; it grows while sockets don't last."""

LASTS_AFTER_S: Final = 60.0
"""A socket that was open for this long resets the pause."""

CLOSES_WITHIN_S: Final = 1.0
"""How long to wait for answers in flight, and for Slack's close frame."""

MOST_KEYS: Final = 20
KEY_CHARS: Final = 40


@dataclass(eq=False)
class _Connection(AsyncBaseSocketModeClient):
    """One socket, over which Bolt sends its answers."""

    socket: aiohttp.ClientWebSocketResponse
    heard_at: float
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("slack_bolt"))
    is_greeted: bool = False
    handling: set[asyncio.Task[None]] = field(default_factory=set)

    async def send_message(self, message: str) -> None:
        """Send an answer. If the socket has closed, it's lost, and Slack delivers the envelope again."""
        try:
            await self.socket.send_str(message)
        except ConnectionError:
            log.warning("answer_not_sent")


class SlackSocket:
    """The connection of one process.

    Args:
        bolt: handles the envelopes.
        fetch_url: asks Slack where to open the next socket.
        network: the proxy to go through and the certificates to trust.
        clock: the wall clock in seconds.
        jitter: a number from 0 to 1 that spreads reconnects of many processes.
        pause: sleeps between two sockets.
    """

    def __init__(
        self,
        bolt: AsyncApp,
        fetch_url: Callable[[], Awaitable[str]],
        *,
        network: Network = DIRECT,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._bolt = bolt
        self._fetch_url = fetch_url
        self._network = network
        self._clock = clock
        self._pauses = Backoff(PAUSE_S, LONGEST_PAUSE_S, jitter)
        self._pause = pause
        self._connection: _Connection | None = None
        self._trouble = ""
        self.connections: int | None = None
        """The number of this app's open sockets, from Slack's last hello."""
        self.greeted_at: float | None = None
        """When Slack last said hello, in seconds of the clock."""
        self.greetings = 0
        """How often Slack said hello."""

    async def keep_open(self) -> None:
        """Open the socket, and another whenever it's closed or dead; runs until cancelled."""
        while True:
            at_least_s, opened_at = 0.0, self._clock()
            try:
                await self._use_one()
                self._trouble = ""
            except Exception as error:  # noqa: BLE001 - whatever a transport raises, the next one may work
                at_least_s = getattr(error, "retry_after_s", None) or 0.0
                self._trouble = str(error) if isinstance(error, SlackError) else why_unavailable(error)
                log.warning("socket_not_open", error=type(error).__name__, reason=self._trouble)
            if self._clock() - opened_at >= LASTS_AFTER_S:
                self._pauses.reset()
            await self._pause(self._pauses.next_s(at_least_s=at_least_s))

    async def close(self) -> None:
        """Close the socket; Slack delivers to the app's other sockets, if there are any."""
        connection, self._connection = self._connection, None
        if connection:
            await _close(connection)

    @property
    def age_s(self) -> float | None:
        """How long ago Slack said hello; None before that."""
        return None if self.greeted_at is None else self._clock() - self.greeted_at

    async def problem(self) -> str:
        """Return why Slack can't reach us, or ""."""
        connection = self._connection
        if connection is None:
            state = "not connected yet" if self.greeted_at is None else "the socket is closed; reconnecting"
            return f"{state} ({self._trouble})" if self._trouble else state
        if connection.socket.closed:
            return "the socket is closed; reconnecting"
        if not connection.is_greeted:
            return "connected, but Slack hasn't sent its hello yet"
        silent_s = self._clock() - connection.heard_at
        return f"the socket is unresponsive: nothing received for {silent_s:.0f} s" if silent_s > DEAF_AFTER_S else ""

    async def _use_one(self) -> None:
        """Open a socket and handle what arrives until it ends."""
        url = await self._fetch_url()
        proxy = self._network.proxies.proxy_for(url)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._network.tls), cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            async with asyncio.timeout(OPENS_WITHIN_S):
                socket = await session.ws_connect(
                    url,
                    proxy=proxy.url if proxy else None,
                    autoping=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSES_WITHIN_S),
                )
            connection = self._connection = _Connection(socket, self._clock())
            pinging = asyncio.create_task(self._ping(connection))
            try:
                await self._receive(connection)
            finally:
                pinging.cancel()
                # Close it before another is opened: Slack would send every other envelope to this one.
                await _close(connection)
                if self._connection is connection:
                    self._connection = None

    async def _receive(self, connection: _Connection) -> None:
        """Handle frames until the socket closes or Slack asks for another one."""
        async for message in connection.socket:
            connection.heard_at = self._clock()
            if message.type is aiohttp.WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT and not self._take(connection, message.data):
                return

    def _take(self, connection: _Connection, frame: str) -> bool:
        """Start answering one envelope; False if Slack asks for another socket."""
        envelope = _read_envelope(frame)
        if envelope is None:
            return True
        kind = envelope.get("type")
        if kind == "hello":
            self._note_hello(connection, envelope)
        elif kind == "disconnect":
            log.info("socket_renewed", reason=str(envelope.get("reason"))[:KEY_CHARS])
            return False
        else:
            handling = asyncio.create_task(self._handle(connection, envelope))
            connection.handling.add(handling)
            handling.add_done_callback(connection.handling.discard)
        return True

    async def _handle(self, connection: _Connection, envelope: dict[str, Any]) -> None:
        """Pass an envelope to Bolt. One that raises isn't acked, and its keys are logged."""
        try:
            request = SocketModeRequest.from_dict(envelope)
            if request is not None:
                response = await run_async_bolt_app(self._bolt, request)
                await send_async_response(connection, request, response, time.time())
        except Exception as error:  # noqa: BLE001 - Bolt reads it before any of our code
            log.warning("envelope_refused", reason=type(error).__name__, keys=_keys_of(envelope.get("payload")))

    def _note_hello(self, connection: _Connection, message: dict[str, Any]) -> None:
        connection.is_greeted = True
        self.greeted_at = self._clock()
        self.greetings += 1
        count = message.get("num_connections")
        self.connections = count if isinstance(count, int) else None
        log.info("connected", connections=self.connections)

    async def _ping(self, connection: _Connection) -> None:
        """Ping Slack regularly, and close the socket when there's a problem with it."""
        opened_at = self._clock()
        problem = ""
        while not problem and not connection.socket.closed:
            try:
                await connection.socket.ping()
            except ConnectionError:
                break
            await asyncio.sleep(PING_INTERVAL_S)
            if connection.is_greeted:
                problem = await self.problem()
            elif self._clock() - opened_at > OPENS_WITHIN_S:
                problem = "Slack hasn't sent its hello"
        if problem:
            log.warning("socket_rebuilt", problem=problem)
        await connection.socket.close()


async def _close(connection: _Connection) -> None:
    """Finish sending answers in flight, then close."""
    if connection.handling:
        await asyncio.wait(connection.handling, timeout=CLOSES_WITHIN_S)
    await connection.socket.close()


def _read_envelope(frame: str) -> dict[str, Any] | None:
    """Parse a frame; None if it's no envelope that can be read. Its content is never logged."""
    if not frame.startswith("{"):
        return None  # some of Slack's pings look like that
    envelope: dict[str, Any] | None = parse_json(frame)
    if envelope is None:
        log.warning("envelope_refused", reason="no JSON", keys=[])
    elif not isinstance(envelope.get("payload", {}), dict | str):
        log.warning("envelope_refused", reason="no payload", keys=_keys_of(envelope))
        return None
    return envelope


def _keys_of(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [key[:KEY_CHARS] for key in list(value)[:MOST_KEYS]]
