"""The HTTP session to Slack: it follows no redirects, and reads replies in bounded memory.

Bolt and the SDK would follow any redirect or ``response_url``, and unpack or decode whatever a reply contains.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.connector import Connection

from bot.core.hosts import is_loopback, slack_domain
from bot.core.proxies import UnusableProxyError
from bot.settings.network import DIRECT, Network, tls_failure

MAX_REPLY_BYTES: Final = 4 * 1024 * 1024
"""A page of 200 messages with all their blocks has at most three of them."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_PACKED: Final = frozenset({"gzip", "deflate"})
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32

_is_in_time: Final[ContextVar[Callable[[], bool]]] = ContextVar("is_in_time", default=lambda: True)


@contextlib.contextmanager
def sent_only_if(is_in_time: Callable[[], bool]) -> Iterator[None]:
    """Have requests asked at the last moment whether they are still in time; if not, an ``aiohttp.ClientError``.

    A process that stands still while it connects wakes up, sends, and only then notices its timeout: minutes later.
    """
    token = _is_in_time.set(is_in_time)
    try:
        yield
    finally:
        _is_in_time.reset(token)


class _TimelyRequest(ClientRequest):
    """A request that isn't sent when its time is over."""

    async def send(self, conn: Connection) -> ClientResponse:
        if not _is_in_time.get()():
            raise aiohttp.ClientConnectionError("the time to send this is over")
        return await super().send(conn)


def make_session(
    timeout_s: float, *, max_reply_bytes: int = MAX_REPLY_BYTES, network: Network = DIRECT
) -> aiohttp.ClientSession:
    """Make a session whose calls raise an ``aiohttp.ClientError`` for a redirect or a reply that is too large."""

    async def guard(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
        response = await send(request)
        if response.status in _REDIRECTS:
            response.close()
            raise aiohttp.ClientPayloadError(
                "redirects aren't followed, because the token and people's words would go with them"
            )
        if (response.content_length or 0) > max_reply_bytes:
            response.close()
            raise aiohttp.ClientPayloadError("the reply is too large")
        packed = response.headers.get("Content-Encoding", "").strip().lower()
        if packed not in _PACKED and packed not in ("", "identity"):
            response.close()
            raise aiohttp.ClientPayloadError("the reply is compressed, although that wasn't requested")
        response.content = _Bounded(response.content, max_reply_bytes, packed=packed in _PACKED)  # type: ignore[assignment]
        response.get_encoding = _utf8  # type: ignore[method-assign]
        return response

    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        middlewares=(guard,),
        request_class=_TimelyRequest,
        connector=aiohttp.TCPConnector(ssl=network.tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
    )


def _utf8() -> str:
    """Replace the reply's own codec, since some of Python's take minutes."""
    return "utf-8"


def why_unavailable(error: Exception) -> str:
    """Return a sentence that says why Slack gave no answer, with the cause if it's TLS or a proxy.

    The error's own text isn't used, because it may contain secret addresses.
    """
    if reason := tls_failure(error):
        return f"Slack couldn't be reached: {reason}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"Slack couldn't be reached: the proxy answered HTTP {error.status}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "Slack couldn't be reached: no connection to the proxy"
    return str(error) if isinstance(error, UnusableProxyError) else "Slack didn't answer"


class _Bounded:
    """A reply's content, unpacked, up to a limit. Some proxies compress although that wasn't requested."""

    def __init__(self, content: aiohttp.StreamReader, most: int, *, packed: bool) -> None:
        self._content = content
        self._most = most
        self._unpacker = zlib.decompressobj(wbits=_GZIP_OR_ZLIB) if packed else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self) -> bytes:
        """Read all of it.

        Raises:
            ClientPayloadError: it is too large.
        """
        body = bytearray()
        while chunk := await self._content.readany():
            body += self._unpacked(chunk, self._most + 1 - len(body))
            if len(body) > self._most:
                raise aiohttp.ClientPayloadError("the reply is too large")
        return bytes(body)

    def _unpacked(self, chunk: bytes, most: int) -> bytes:
        if self._unpacker is None:
            return chunk
        try:
            return self._unpacker.decompress(chunk, most)
        except zlib.error as error:
            raise aiohttp.ClientPayloadError("the reply can't be decompressed") from error


def may_answer_at(response_url: str, api_url: str) -> bool:
    """Whether a ``response_url`` is Slack's, or on the host of the Web API in the settings, on any port.

    Slack's look like https://hooks.slack.com/….
    """
    try:
        parts, api = urlsplit(response_url), urlsplit(api_url)
        host, api_host = parts.hostname or "", api.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https" and slack_domain(host):
        return True
    if parts.scheme not in {"http", "https"} or slack_domain(api_host):
        return False
    return bool(host) and (host == api_host or (is_loopback(host) and is_loopback(api_host)))
