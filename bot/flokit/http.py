"""One HTTP request to FloKit and its whole reply: the only place that knows httpx's exceptions.

Redirects aren't followed, because the key would be sent along. The key is never in logs or errors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import structlog

from bot.core.errors import FlokitNoReply, FlokitNotSent
from bot.core.proxies import Proxy
from bot.flokit.bodies import ACCEPT_ENCODING, read_body
from bot.flokit.replies import Reply
from bot.settings.network import DIRECT, Network, tls_failure
from bot.settings.settings import Settings

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S: Final = 3.0
KEEPALIVE_S: Final = 3.0
"""Shorter than the 5 s after which common servers hang up: if a POST was sent on a connection that's just being
closed, it wouldn't be known whether it arrived. https://nodejs.org/api/http.html#serverkeepalivetimeout"""

BEFORE_SENDING: Final = "http11.send_request_headers.started"
"""What httpx traces when it has a connection and writes the request next: https://www.encode.io/httpcore/extensions/"""

_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where FloKit's API is, and what a client of one workspace needs to reach it.

    Args:
        api_url: base URL, e.g. ``https://api.flokit.ai``.
        look_key: API key for reading; a read-only key is enough.
        sync_key: read-write API key, used for nothing but the POST.
        timeout_s: how long one request may take from start to the last byte.
        network: the proxy to go through and the certificates to trust.
        transport: the seam for tests.
        key_lost: why there's no key although FloKit was connected, a sentence; "" if it wasn't.
    """

    api_url: str
    look_key: str = field(repr=False)
    sync_key: str = field(repr=False)
    timeout_s: float = 8.0
    network: Network = DIRECT
    transport: httpx.AsyncBaseTransport | None = None
    key_lost: str = ""


def endpoint_of(settings: Settings, *, timeout_s: float = 8.0) -> Endpoint:
    """Return the endpoint that the settings name."""
    return Endpoint(
        settings.flokit_api_url,
        settings.look_key.get_secret_value(),
        settings.sync_key.get_secret_value(),
        timeout_s,
        settings.network,
    )


class FlokitHttp:
    """The connections to one FloKit address."""

    def __init__(self, endpoint: Endpoint) -> None:
        network, timeout_s = endpoint.network, endpoint.timeout_s
        self._api_url = endpoint.api_url.rstrip("/")
        self._timeout_s = timeout_s
        self._proxy = network.proxies.proxy_for(endpoint.api_url)
        self._http = httpx.AsyncClient(
            transport=endpoint.transport,
            verify=network.tls,
            proxy=_for_httpx(self._proxy, network),
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING, "User-Agent": "flokit-bot"},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S, pool=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=5, keepalive_expiry=KEEPALIVE_S),
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def exchange(
        self,
        method: str,
        path: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        *,
        before_sending: Callable[[], Awaitable[None]] | None = None,
    ) -> Reply:
        """Send one request and return its whole reply, whatever its status.

        Args:
            method, path, key, headers: the request.
            before_sending: awaited when there's a connection, right before the request is written to it; if it
                raises, nothing is sent.

        Raises:
            FlokitNotSent: it certainly never reached FloKit, so a POST can be sent again.
            FlokitNoReply: no complete reply came back. A POST with a 2xx is accepted even if its body breaks off.
        """
        if self._http.is_closed:
            raise FlokitNotSent("The bot is stopping, so it sends no more requests to FloKit.")
        began_at = time.monotonic()
        head: httpx.Response | None = None
        sent = {**(headers or {}), "Authorization": f"Bearer {key}"}

        async def trace(event: str, _about: Mapping[str, Any]) -> None:
            if before_sending and event == BEFORE_SENDING:
                await before_sending()

        try:
            with self._translated():
                async with (
                    asyncio.timeout(self._timeout_s),
                    self._http.stream(
                        method, f"{self._api_url}{path}", headers=sent, extensions={"trace": trace}
                    ) as response,
                ):
                    head = response
                    body = await read_body(response)
        except FlokitNoReply:
            if method != "POST" or head is None or not head.is_success:
                raise
            body = None  # it would only name the sync
        took_ms = round((time.monotonic() - began_at) * 1000)
        log.debug("flokit.call", method=method, path=path, status=response.status_code, ms=took_ms)
        if not response.is_success:
            body = (body or b"").replace(key.encode(), b"[key]")  # some APIs repeat a wrong key in their error text
        return Reply(response.status_code, response.headers, body or b"")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _NEVER_SENT as error:
            raise FlokitNotSent(f"FloKit couldn't be reached: {_why_not_sent(error, self._proxy)}.") from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise FlokitNoReply(f"FloKit didn't respond within {self._timeout_s:g} s.") from error
        except (httpx.HTTPError, OSError) as error:
            raise FlokitNoReply("The connection to FloKit broke before the whole reply arrived.") from error


def _why_not_sent(error: Exception, proxy: Proxy | None) -> str:
    """Explain TLS and proxy errors, which someone has to fix."""
    if reason := tls_failure(error):
        return reason
    if isinstance(error, httpx.ProxyError):
        return f"the proxy {proxy} answered HTTP {str(error)[:3]}"
    return f"no connection to the proxy {proxy} was made" if proxy else "no connection was made"


def _for_httpx(proxy: Proxy | None, network: Network) -> httpx.Proxy | None:
    if proxy is None:
        return None
    auth = (proxy.user, proxy.password) if proxy.user or proxy.password else None
    return httpx.Proxy(proxy.address, auth=auth, ssl_context=network.tls if proxy.scheme == "https" else None)
