"""The FloKit client: every call brings a value or raises one ``FlokitError``; nothing else comes out.

The way of a look, outermost first::

    patience      people's looks are tried again for a moment; follow-ups are not: their next look is the retry
    shared look   callers that want the same thing at the same time share one request
    circuit       while FloKit is away, it is only asked now and then whether it is back
    budget        one allowance a minute for all that asks; clicks may use more of it than follow-ups
    exchange      one HTTP request; the only place that knows httpx's exceptions
    read_body     bytes, in bounded memory
    read_reply    status codes; parse_*: JSON values → core.models

It promises never to send a sync twice by itself, never to follow a redirect with the key, and never to put a key
into a log line or an error. A budget that several replicas share stands in the database: when that is away,
``StoreUnavailable`` comes out, and FloKit was not asked.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
import stamina
import structlog
from cachetools import LRUCache

from bot.core.budget import BUSY_S, Priority
from bot.core.errors import (
    FlokitBadReply,
    FlokitError,
    FlokitMissing,
    FlokitNoReply,
    FlokitNotSent,
    FlokitRateLimited,
    FlokitUnreachable,
)
from bot.core.models import Integration, TriggerAccepted
from bot.core.proxies import Proxy
from bot.flokit.bodies import ACCEPT_ENCODING, read_body
from bot.flokit.budget import Budget, LocalBudget
from bot.flokit.calls import reported
from bot.flokit.circuit import LONGEST_PAUSE_S, Circuit
from bot.flokit.looks import SharedLooks
from bot.flokit.replies import (
    DEFAULT_RETRY_AFTER_S,
    Detail,
    Listing,
    Reply,
    is_vendor_id,
    parse_accepted,
    parse_detail,
    parse_listing,
    read_acceptance,
    read_reply,
)
from bot.flokit.times import shape_of
from bot.observability.telemetry import SILENT, Telemetry
from bot.settings.network import DIRECT, Network, tls_failure

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

INTEGRATIONS_PATH = "/v1/integrations"

PERSON_PATIENCE_S = 2.0
"""How long a look for a person is tried again before they are told that FloKit could not be asked."""
PERSON_ATTEMPTS = 3
SHARED_WITHIN_S = 1.0
"""Looks at the same thing that begin within this time are one look."""
SLOT_FRESH_S = BUSY_S - 60
"""How old a slot of the budget may be when the request goes out."""
SLOT_ATTEMPTS = 3
CONNECT_TIMEOUT_S = 3.0
KEEPALIVE_S = 3.0
"""Shorter than the 5 s after which common servers hang up: a POST must not meet a connection that is just being
closed, for then nobody knows whether it arrived. https://nodejs.org/api/http.html#serverkeepalivetimeout"""


_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@contextmanager
def _translated(timeout_s: float, proxy: Proxy | None) -> Iterator[None]:
    """Turn whatever httpx and the socket raise into ``FlokitNotSent`` or ``FlokitNoReply``.

    The difference matters for a POST: after ``FlokitNotSent`` it is safe to send it again.
    """
    try:
        yield
    except _NEVER_SENT as error:
        raise FlokitNotSent(f"FloKit couldn't be reached: {_why_not_sent(error, proxy)}.") from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise FlokitNoReply(f"FloKit didn't respond within {timeout_s:g} s.") from error
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


def _now() -> datetime:
    return datetime.now(UTC)


def _listed(reply: Reply) -> Listing:
    return parse_listing(read_reply(reply), reply.vendor_at)


def _detailed(reply: Reply, *, integration_id: str) -> Detail:
    return parse_detail(read_reply(reply), reply.vendor_at, integration_id=integration_id)


def _accepted(reply: Reply) -> TriggerAccepted:
    return parse_accepted(read_acceptance(reply), reply.vendor_at)


def _integration_path(integration_id: str) -> str:
    """Return the path of one integration. The id comes from a person or the vendor: it must stay one segment.

    Raises:
        FlokitMissing: no integration can have this id; "." and ".." would be folded away by URL parsers.
    """
    if not is_vendor_id(integration_id) or integration_id in {".", ".."}:
        raise FlokitMissing("FloKit has no such integration.")
    return f"{INTEGRATIONS_PATH}/{quote(integration_id, safe='')}"


def _operation(method: str, path: str) -> str:
    if method == "POST":
        return "sync"
    return "list" if path == INTEGRATIONS_PATH else "show"


def _usable_key(key: str) -> str:
    # h11 puts an illegal header value into its error text, so a key with a line break must never get that far.
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ValueError("a FloKit API key consists of printable ASCII characters without spaces")
    return key


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What the two keys can do, as far as reading shows. Whether a key may sync only a sync would tell."""

    look: Listing | FlokitError
    sync: Listing | FlokitError
    distinct: bool
    """The two keys differ."""

    @property
    def same_workspace(self) -> bool | None:
        """Whether both keys list the same integrations; None when one of them lists nothing."""
        if isinstance(self.look, FlokitError) or isinstance(self.sync, FlokitError):
            return None
        looked, synced = ({i.id for i in listing.integrations} for listing in (self.look, self.sync))
        return bool(looked & synced) if looked and synced else None


OnSeen: TypeAlias = "Callable[[tuple[Integration, ...], datetime, bool], None]"


class FlokitClient:
    """FloKit's v1 API for one workspace.

    Args:
        api_url: base URL, e.g. ``https://api.flokit.ai``.
        look_key: API key for reading; a read-only key is enough.
        sync_key: read-write API key, used for nothing but the POST.
        timeout_s: how long one request may take from start to the last byte.
        cache_s: how old a list may be that is shown without asking again.
        budget: the allowance to share; a new one of 100 a minute when None.
        max_pause_s: how long FloKit is not asked, at most, while it is away.
        transport: the seam for tests.
        clock: seconds that only grow.
        jitter: a number from 0 to 1 that spreads retries.
        stale_after_s: seconds without a success that are too many, by type, where that is set.
        now: the time, aware.
        on_seen: told of every look that brought something: what was seen, when FloKit was asked, and whether that is
            all that there is.
        telemetry: what every call is reported to.
        network: the proxy to go through and the certificates to trust.
    """

    def __init__(
        self,
        *,
        api_url: str,
        look_key: str,
        sync_key: str,
        timeout_s: float = 8.0,
        cache_s: float = 3.0,
        budget: Budget | None = None,
        max_pause_s: float = LONGEST_PAUSE_S,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        stale_after_s: Mapping[str, float] | None = None,
        now: Callable[[], datetime] = _now,
        on_seen: OnSeen | None = None,
        telemetry: Telemetry = SILENT,
        network: Network = DIRECT,
    ) -> None:
        self._stale_after_s = stale_after_s or {}
        self._now = now
        self._on_seen = on_seen
        self._telemetry = telemetry
        self.budget = budget or LocalBudget(clock=clock)
        self._circuit = Circuit(clock, max_pause_s=max_pause_s)
        self._api_url = api_url.rstrip("/")
        self._look_key = _usable_key(look_key)
        self._sync_key = _usable_key(sync_key)
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._clock = clock
        self._jitter = jitter
        self._lists = SharedLooks[Listing](kept_s=cache_s, clock=clock)
        self._details = SharedLooks[Detail](kept_s=SHARED_WITHIN_S, clock=clock)
        self._logged_unreadable: LRUCache[str, bool] = LRUCache(maxsize=1024)
        self._proxy = network.proxies.proxy_for(api_url)
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=network.tls,
            proxy=_for_httpx(self._proxy, network),
            trust_env=False,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": ACCEPT_ENCODING,
                "User-Agent": "flokit-bot",
            },
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S, pool=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=5, keepalive_expiry=KEEPALIVE_S),
            follow_redirects=False,
        )

    async def fetch_integrations(
        self, *, priority: Priority = Priority.CLICK, max_age_s: float | None = None, patience_s: float | None = None
    ) -> Listing:
        """Fetch all integrations.

        Args:
            priority: whose look this is.
            max_age_s: a look that began less than this ago is shared; None: ``cache_s``.
            patience_s: how long to go on trying again; None: 2 s for a click, not at all for the rest.
        """

        def start() -> Coroutine[Any, Any, Listing]:
            return self._get_listing(self._look_key, priority)

        def look() -> Coroutine[Any, Any, Listing]:
            return self._lists.look(
                INTEGRATIONS_PATH, start, max_age_s=self._cache_s if max_age_s is None else max_age_s
            )

        return await self._patiently(look, priority, patience_s)

    async def fetch_integration(
        self,
        integration_id: str,
        *,
        priority: Priority = Priority.CLICK,
        max_age_s: float = SHARED_WITHIN_S,
        patience_s: float | None = None,
    ) -> Detail:
        """Fetch one integration with its event counts; shared for 1 s at the most. Arguments as above."""
        path = _integration_path(integration_id)

        def start() -> Coroutine[Any, Any, Detail]:
            return self._get_detail(path, integration_id, priority)

        def look() -> Coroutine[Any, Any, Detail]:
            return self._details.look(path, start, max_age_s=max_age_s)

        return await self._patiently(look, priority, patience_s)

    async def trigger_sync(self, integration_id: str, *, idempotency_key: str) -> TriggerAccepted:
        """Ask FloKit, exactly once, to sync an integration.

        Any 2xx is an acceptance, whatever its body is, and however it breaks off. ``FlokitNotSent`` and
        ``FlokitRateLimited`` mean that certainly nothing began; after ``FlokitNoReply`` and ``FlokitBadReply`` a sync
        may be under way.

        Args:
            integration_id: what to sync.
            idempotency_key: the same for the same sync; FloKit documents it for events only, it does no harm.
        """
        path = _integration_path(integration_id)
        try:
            return await self._ask(
                Priority.CLICK,
                "POST",
                f"{path}/sync",
                self._sync_key,
                _accepted,
                {"Idempotency-Key": idempotency_key},
            )
        finally:
            # Whatever came back: what was seen before the POST says nothing about what is after it.
            self._lists.forget(INTEGRATIONS_PATH)
            self._details.forget(path)

    async def check_keys(self) -> KeyCheck:
        """Read the list with each key; starts no sync."""
        look = await self._try_key(self._look_key)
        distinct = self._sync_key != self._look_key
        return KeyCheck(look, await self._try_key(self._sync_key) if distinct else look, distinct)

    async def aclose(self) -> None:
        """Cancel the looks in flight and close all connections."""
        await self._lists.aclose()
        await self._details.aclose()
        await self._http.aclose()

    async def _patiently(self, look: Callable[[], Awaitable[_T]], priority: Priority, patience_s: float | None) -> _T:
        if patience_s is None:
            patience_s = PERSON_PATIENCE_S if priority is Priority.CLICK else 0.0
        again = partial(self._pause_before_retry, until=self._clock() + patience_s)
        return await stamina.AsyncRetryingCaller(attempts=PERSON_ATTEMPTS, timeout=None)(again, look)

    def _pause_before_retry(self, error: Exception, *, until: float) -> float | bool:
        """Return the seconds to wait, or False when trying again cannot help or would take too long."""
        if not isinstance(error, FlokitUnreachable):
            return False
        pause_s = (error.retry_after_s or 0.1) + 0.4 * self._jitter()
        return pause_s if self._clock() + pause_s < until else False

    async def _try_key(self, key: str) -> Listing | FlokitError:
        try:
            return await self._get_listing(key, Priority.CLICK)
        except FlokitError as error:
            return error

    async def _get_listing(self, key: str, priority: Priority) -> Listing:
        as_of = self._now()
        try:
            listing = await self._ask(priority, "GET", INTEGRATIONS_PATH, key, _listed)
        except FlokitMissing as error:
            # A missing list is a wrong address. "Missing" would say of every integration that it was removed.
            raise FlokitBadReply("There is no FloKit API at this address; check FLOKIT_API_URL.") from error
        listing = replace(listing, as_of=as_of, integrations=tuple(map(self._with_limit, listing.integrations)))
        self._log_unreadable(listing.integrations)
        if self._on_seen:
            self._on_seen(listing.integrations, as_of, True)
        return listing

    async def _get_detail(self, path: str, integration_id: str, priority: Priority) -> Detail:
        as_of = self._now()
        detail = await self._ask(
            priority, "GET", path, self._look_key, partial(_detailed, integration_id=integration_id)
        )
        detail = replace(detail, as_of=as_of, integration=self._with_limit(detail.integration))
        self._log_unreadable((detail.integration,))
        if self._on_seen:
            self._on_seen((detail.integration,), as_of, False)
        return detail

    def _with_limit(self, integration: Integration) -> Integration:
        """Note how old its last success may be, where that is set for its type."""
        limit_s = self._stale_after_s.get(integration.type)
        return integration if limit_s is None else replace(integration, stale_after_s=limit_s)

    def _log_unreadable(self, integrations: tuple[Integration, ...]) -> None:
        """Log a time that can't be read once for each integration: its shape, for what it says may be anything."""
        for integration in integrations:
            if integration.unreadable_time and integration.id not in self._logged_unreadable:
                self._logged_unreadable[integration.id] = True
                shape = shape_of(integration.unreadable_time)
                _log.warning("time_not_readable", integration_id=integration.id, field="last_synced_at", shape=shape)

    async def _ask(
        self,
        priority: Priority,
        method: str,
        path: str,
        key: str,
        parse: Callable[[Reply], _T],
        headers: Mapping[str, str] | None = None,
    ) -> _T:
        """Ask once, when circuit and budget allow it, and make a value of the reply.

        What ``parse`` refuses is a failed call, to the circuit and in what is reported, as no answer would be.
        """
        with reported(self._telemetry, _operation(method, path), priority), self._circuit.asking(priority):
            await self._take_slot(priority)
            reply = await self._exchange(method, path, key, headers)
            try:
                return parse(reply)
            except FlokitRateLimited as limited:
                await self.budget.hold(limited.retry_after_s or DEFAULT_RETRY_AFTER_S)
                raise

    async def _take_slot(self, priority: Priority) -> None:
        """Take one slot of the budget, and another when a frozen process or a slow database let the first one age.

        A slot is free again ``BUSY_S`` after it was taken: used late, it would make one request too many a minute.
        """
        for _ in range(SLOT_ATTEMPTS):
            taken_at = self._clock()
            await self.budget.take(priority)
            if self._clock() - taken_at < SLOT_FRESH_S:
                return

    async def _exchange(self, method: str, path: str, key: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request and bring back its whole reply, whatever its status."""
        if self._http.is_closed:
            raise FlokitNotSent("The bot is stopping, so it doesn't ask FloKit anything more.")
        began_at = self._clock()
        head: httpx.Response | None = None
        try:
            with _translated(self._timeout_s, self._proxy):
                async with (
                    asyncio.timeout(self._timeout_s),
                    self._http.stream(
                        method,
                        f"{self._api_url}{path}",
                        headers={**(headers or {}), "Authorization": f"Bearer {key}"},
                    ) as response,
                ):
                    head = response
                    body = await read_body(response)
        except FlokitNoReply:
            if method != "POST" or head is None or not head.is_success:
                raise
            body = None  # a 2xx is an acceptance; its body only names the sync
        took_ms = round((self._clock() - began_at) * 1000)
        _log.debug("flokit.call", method=method, path=path, status=response.status_code, ms=took_ms)
        if not response.is_success:
            # Some APIs repeat a wrong key in their error text.
            body = (body or b"").replace(key.encode(), b"[key]")
        return Reply(response.status_code, response.headers, body or b"")
