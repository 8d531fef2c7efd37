"""The HTTP session to Slack: it follows no redirect, reads no endless reply, and answers only at Slack's own addresses.

Bolt and the SDK would go wherever a reply or a payload points. It sends nothing by itself.
"""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp

from bot.core.hosts import is_loopback

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
"""A page of 200 messages with all their blocks has at most three of them."""

SLACK_DOMAINS: Final = ("slack.com", "slack-gov.com")

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def make_session(timeout_s: float, *, max_reply_bytes: int = MAX_REPLY_BYTES) -> aiohttp.ClientSession:
    """Make a session whose calls raise an ``aiohttp.ClientError`` for a redirect or a reply that is too large."""

    async def guard(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
        response = await send(request)
        if response.status in _REDIRECTS:
            response.close()
            raise aiohttp.ClientPayloadError("a redirect is not followed: the token and people's words would go along")
        if (response.content_length or 0) > max_reply_bytes:
            response.close()
            raise aiohttp.ClientPayloadError("the reply is too large")
        response.content = _Bounded(response.content, max_reply_bytes)  # type: ignore[assignment]
        return response

    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s), middlewares=(guard,))


class _Bounded:
    """A reply's content of which only so much is read, unpacked."""

    def __init__(self, content: aiohttp.StreamReader, most: int) -> None:
        self._content = content
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self) -> bytes:
        """Read all of it.

        Raises:
            ClientPayloadError: it is too large.
        """
        body = bytearray()
        while chunk := await self._content.readany():
            body += chunk
            if len(body) > self._most:
                raise aiohttp.ClientPayloadError("the reply is too large")
        return bytes(body)


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address; none for this machine and what ``NO_PROXY`` lists."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def may_answer_at(response_url: str, api_url: str) -> bool:
    """Tell whether a ``response_url`` is Slack's, or beside the Web API that the settings name.

    Slack's are https://hooks.slack.com/… . A stand-in's are on its own host, whatever the port.
    """
    try:
        parts, api = urlsplit(response_url), urlsplit(api_url)
        host, api_host = parts.hostname or "", api.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https" and _is_slacks(host):
        return True
    if parts.scheme not in {"http", "https"} or _is_slacks(api_host):
        return False
    return bool(host) and (host == api_host or (is_loopback(host) and is_loopback(api_host)))


def _is_slacks(host: str) -> bool:
    return host in SLACK_DOMAINS or host.endswith(tuple(f".{domain}" for domain in SLACK_DOMAINS))
