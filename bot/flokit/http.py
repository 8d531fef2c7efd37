"""One HTTP request to FloKit and its whole reply: the only place that knows httpx's exceptions.

Redirects aren't followed, because the key would go with them, and the key is in no log line and no error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx
import structlog

from bot.core.errors import FlokitNoReply, FlokitNotSent
from bot.core.proxies import Proxy
from bot.flokit.bodies import ACCEPT_ENCODING, read_body
from bot.flokit.replies import Reply
from bot.settings.network import Network, tls_failure

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S: Final = 3.0
KEEPALIVE_S: Final = 3.0
"""Shorter than the 5 s after which common servers hang up: if a POST met a connection that's just being closed, nobody
would know whether it arrived. https://nodejs.org/api/http.html#serverkeepalivetimeout"""

_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


class FlokitHttp:
    """The connections to one FloKit address."""

    def __init__(
        self, api_url: str, *, timeout_s: float, network: Network, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._timeout_s = timeout_s
        self._proxy = network.proxies.proxy_for(api_url)
        self._http = httpx.AsyncClient(
            transport=transport,
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

    async def exchange(self, method: str, path: str, key: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request and return its whole reply, whatever its status.

        Raises:
            FlokitNotSent: it certainly never reached FloKit, so a POST can be sent again.
            FlokitNoReply: no whole reply came back. A POST that got a 2xx is accepted however its body breaks off.
        """
        if self._http.is_closed:
            raise FlokitNotSent("The bot is stopping, so it doesn't ask FloKit anything more.")
        began_at = time.monotonic()
        head: httpx.Response | None = None
        sent = {**(headers or {}), "Authorization": f"Bearer {key}"}
        try:
            with self._translated():
                async with (
                    asyncio.timeout(self._timeout_s),
                    self._http.stream(method, f"{self._api_url}{path}", headers=sent) as response,
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
    """Name TLS and proxies: somebody must change something there."""
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
