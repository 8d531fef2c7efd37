"""Socket Mode's server side: https://docs.slack.dev/apis/events-api/using-socket-mode."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web

from local_slack.delivery import ACK_TIMEOUT_S, Ack, AckError, Envelope, EnvelopeKind
from local_slack.newest import Newest
from local_slack.workspace import Json

MOST_CONNECTIONS: Final = 10


@dataclass(eq=False, slots=True)
class _Connection:
    socket: web.WebSocketResponse
    transport: asyncio.BaseTransport | None
    waiting: dict[str, asyncio.Future[Any]] = field(default_factory=dict)


class SocketMode:
    """Socket Mode's server side: one-time tickets, at most ten connections, and each envelope sent to one of them."""

    def __init__(self, app_id: str, note_connections: Callable[[], None], most_tickets: int | None = None) -> None:
        self._app_id = app_id
        self._note_connections = note_connections
        self._tickets: Newest[str] = Newest(most_tickets)
        self._open: list[_Connection] = []
        self._turn = 0

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def new_ticket(self) -> str:
        """Return a ticket for one connection."""
        ticket = secrets.token_urlsafe(16)
        self._tickets.append(ticket)
        return ticket

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket until it closes."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=404)
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        if len(self._open) >= MOST_CONNECTIONS:
            await socket.send_json(_disconnect("too_many_websockets"))
            await socket.close()
            return socket
        connection = _Connection(socket, request.transport)
        self._open.append(connection)
        try:
            await socket.send_json(self._hello())
            self._note_connections()
            await _read_acks(connection)
        finally:
            self._forget(connection)
        return socket

    async def deliver(self, envelope: Envelope) -> Ack:
        """Send the envelope to the next connection, round-robin."""
        if not self._open:
            return Ack(ok=False, error=AckError.FAILED)
        self._turn += 1
        connection = self._open[self._turn % len(self._open)]
        envelope.envelope_id = secrets.token_hex(16)
        envelope.via = "socket"
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        connection.waiting[envelope.envelope_id] = answer
        started = time.monotonic()
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await connection.socket.send_json(_frame(envelope))
                body = await answer
        except TimeoutError:
            return Ack(ok=False, took_s=time.monotonic() - started, error=AckError.TIMEOUT)
        except ConnectionError:
            return Ack(ok=False, took_s=time.monotonic() - started, error=AckError.FAILED)
        finally:
            connection.waiting.pop(envelope.envelope_id, None)
        return Ack(ok=True, body=body, took_s=time.monotonic() - started)

    async def ask_to_reconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every client to reconnect, as Slack does every few hours."""
        for connection in tuple(self._open):
            await connection.socket.send_json(_disconnect(reason))

    def drop(self) -> None:
        """Close every connection abruptly."""
        for connection in tuple(self._open):
            if connection.transport is not None:
                connection.transport.close()
            self._forget(connection)

    async def close(self) -> None:
        """Close every connection cleanly."""
        for connection in tuple(self._open):
            await connection.socket.close()

    def _forget(self, connection: _Connection) -> None:
        if connection not in self._open:
            return
        self._open.remove(connection)
        for answer in connection.waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError())
        self._note_connections()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._open),
            "connection_info": {"app_id": self._app_id},
            "debug_info": {"host": "local-slack", "build_number": 1, "approximate_connection_time": 18060},
        }


async def _read_acks(connection: _Connection) -> None:
    async for message in connection.socket:
        if message.type is not WSMsgType.TEXT:
            continue
        frame = json.loads(message.data)
        answer = connection.waiting.get(frame.get("envelope_id", ""))
        if answer is not None and not answer.done():
            answer.set_result(frame.get("payload"))


def _frame(envelope: Envelope) -> Json:
    frame: Json = {
        "envelope_id": envelope.envelope_id,
        "type": envelope.kind,
        "payload": envelope.payload,
        "accepts_response_payload": envelope.kind is not EnvelopeKind.EVENT,
    }
    if envelope.kind is EnvelopeKind.EVENT:
        frame["retry_attempt"] = envelope.retry_attempt
        frame["retry_reason"] = envelope.retry_reason
    return frame


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "local-slack"}}
