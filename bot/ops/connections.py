"""Accepts connections: a limited number at a time, and none for long without a request.

The server accepts connections here instead of in asyncio, which logs every failed accept as an error. When the limit
is reached, the connection that has been quiet longest is closed, so idle connections can't keep others out.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
from collections.abc import Callable, Iterator
from typing import Final

from bot.observability.logs import Episodes

MOST_CONNECTIONS: Final = 256
FEWEST_CONNECTIONS: Final = 8
DESCRIPTORS_OF_OURS: Final = 128
"""Reserved for what the bot itself opens: the database, Slack, FloKit, files."""

HEAD_WITHIN_S: Final = 10.0
"""How soon a new connection must send its first request."""

SWEEP_AFTER: Final = 16
"""After this many more connections, closed ones are forgotten, with everything they hold."""

BACKLOG: Final = 128
RETRY_S: Final = 0.2

_NOT_HERE: Final = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS's real limit is below the hard limit that it reports
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard
    return soft


def how_many_connections() -> int:
    """Return how many connections the limit of open files has room for."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, soft - DESCRIPTORS_OF_OURS))


class Connections:
    """Accepts connections and gives each a protocol from ``make``."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        *,
        most: int | None = None,
        head_within_s: float = HEAD_WITHIN_S,
    ) -> None:
        self._make = make
        self._most = most or how_many_connections()
        self._head_within_s = head_within_s
        self._open: dict[asyncio.BaseTransport, asyncio.TimerHandle | None] = {}
        """The connection that has been quiet longest comes first; its timer, if any, waits for its first request."""
        self._kept: set[asyncio.BaseTransport] = set()
        self._sweep_at = SWEEP_AFTER
        self._room = asyncio.Event()
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._episodes = Episodes()

    async def listen(self, host: str, port: int) -> int:
        """Listen on every address of the host, and return the port.

        Raises:
            OSError: an address is taken or not ours.
        """
        infos = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        missing: OSError | None = None
        try:
            for family, _type, _protocol, _name, address in dict.fromkeys(infos):
                try:
                    self._sockets.append(_bind(family, address))
                except OSError as error:
                    if error.errno not in _NOT_HERE:
                        raise
                    missing = error  # localhost may have an IPv6 address on a machine without IPv6
            if missing and not self._sockets:
                raise missing
        except OSError:
            self._close_sockets()
            raise
        self._tasks = [asyncio.create_task(self._accept_all(listener)) for listener in self._sockets]
        return int(self._sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop accepting connections; open ones stay open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._close_sockets()
        for timer in self._open.values():
            if timer:
                timer.cancel()
        self._open.clear()

    def note_request(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a connection sent a request, so it has been quiet for the shortest time."""
        if transport in self._open:
            timer = self._open.pop(transport)
            if timer:
                timer.cancel()
            self._open[transport] = None

    @contextlib.contextmanager
    def keeping(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """Keep a connection open while its verified request is being answered."""
        if transport is None:
            yield
            return
        self._kept.add(transport)
        try:
            yield
        finally:
            self._kept.discard(transport)
            self._room.set()

    async def _accept_all(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _address = await loop.sock_accept(listener)
            except OSError as error:  # with other errors, the peer has already closed: accept(2)
                if error.errno in _EXHAUSTED:
                    self._episodes.note("descriptors_exhausted", error=str(error.strerror))
                    self._close_quietest()
                await asyncio.sleep(RETRY_S)
                continue
            try:
                accepted.setblocking(False)
                await self._make_room()
                transport, _protocol = await loop.connect_accepted_socket(self._make, accepted)
            except OSError:
                accepted.close()
                continue
            except asyncio.CancelledError:
                accepted.close()
                raise
            self._open[transport] = loop.call_later(self._head_within_s, self._close, transport)
            if len(self._open) >= self._sweep_at:
                self._forget_closed()
                self._sweep_at = len(self._open) + SWEEP_AFTER

    async def _make_room(self) -> None:
        """Make room for one more connection, if needed by closing the quietest."""
        while len(self._open) >= self._most:
            self._forget_closed()
            if len(self._open) < self._most:
                return
            self._episodes.note("connections_full", most=self._most)
            if not self._close_quietest():
                self._room.clear()
                await self._room.wait()

    def _close_quietest(self) -> bool:
        quietest = next((one for one in self._open if one not in self._kept and not one.is_closing()), None)
        if quietest:
            self._close(quietest)
        return quietest is not None

    def _close(self, transport: asyncio.BaseTransport) -> None:
        self._forget(transport)
        if isinstance(transport, asyncio.Transport):
            transport.abort()  # without waiting for the peer to read the buffer

    def _forget_closed(self) -> None:
        for transport in [one for one in self._open if one.is_closing()]:
            self._forget(transport)

    def _forget(self, transport: asyncio.BaseTransport) -> None:
        timer = self._open.pop(transport, None)
        if timer:
            timer.cancel()

    def _close_sockets(self) -> None:
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    """Listen as asyncio would: restarts can reuse the address, and IPv6 sockets take only IPv6."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
