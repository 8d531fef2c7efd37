"""The FloKit client: every call brings a value or raises one ``FlokitError``; nothing else comes out.

The way of a look, outermost first::

    patience      people's looks are tried again for a moment; follow-ups are not: their next look is the retry
    shared look   callers that want the same thing at the same time share one request
    budget        one allowance a minute for all that asks; clicks may use more of it than follow-ups
    exchange      one HTTP request; the only place that knows httpx's exceptions
    read_reply    the only place that knows status codes
    parse_*       JSON values → core.models, tolerantly: the vendor's v1 API is a preview

It promises never to send a sync twice by itself, never to follow a redirect with the key, and never to put a key
into a log line or an error. The vendor's facts and their marks (documented, unknown, ours) stand in
``docs/flokit-api.md``.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import stamina
import structlog
from cachetools import TTLCache

from bot.core.errors import (
    FlokitBadReply,
    FlokitBudgetSpent,
    FlokitDenied,
    FlokitError,
    FlokitMissing,
    FlokitNoReply,
    FlokitNotSent,
    FlokitRateLimited,
    FlokitRefused,
    FlokitUnreachable,
)
from bot.core.models import Integration, SyncStats, TriggerAccepted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

INTEGRATIONS_PATH = "/v1/integrations"

PERSON_PATIENCE_S = 2.5
"""How long a look for a person is tried again before they are told that FloKit could not be asked."""
PERSON_ATTEMPTS = 3
SHARED_WITHIN_S = 1.0
"""Looks at the same thing that begin within this time are one look."""
CONNECT_TIMEOUT_S = 3.0
KEEPALIVE_S = 3.0
"""Shorter than the 5 s after which common servers hang up: a POST must not meet a connection that is just being
closed, for then nobody knows whether it arrived. https://nodejs.org/api/http.html#serverkeepalivetimeout"""

DEFAULT_RETRY_AFTER_S = 10.0
MAX_RETRY_AFTER_S = 300.0

MAX_BODY_BYTES = 5 * 1024 * 1024
MAX_ID_CHARS = 200
MAX_WORD_CHARS = 100
MAX_ERROR_MESSAGE_CHARS = 4000
MAX_SENTENCE_CHARS = 300
MAX_COUNT = 2**63 - 1
"""The largest event count that is believed; also the largest that a database column holds."""


class Priority(IntEnum):
    """Who wants to know; the lower the number, the more of the budget may be used."""

    CLICK = 0
    FOLLOW_UP = 1
    BACKGROUND = 2


_SHARE = {Priority.CLICK: 1.0, Priority.FOLLOW_UP: 0.8, Priority.BACKGROUND: 0.5}
_WINDOW_S = 60.0


class Budget:
    """How many requests may go to one FloKit workspace within any 60 seconds.

    The vendor documents 100 a minute per workspace. What follow-ups and background work leave unused is the
    reserve from which clicks are served.
    """

    def __init__(self, per_minute: int = 100, *, clock: Callable[[], float] = time.monotonic) -> None:
        if per_minute < 1:
            raise ValueError("a budget needs at least one request a minute")
        self.per_minute = per_minute
        self._clock = clock
        self._taken_at: deque[float] = deque()
        self._held_until = -math.inf

    @property
    def used(self) -> int:
        """Requests within the last 60 seconds."""
        oldest_that_counts = self._clock() - _WINDOW_S
        while self._taken_at and self._taken_at[0] <= oldest_that_counts:
            self._taken_at.popleft()
        return len(self._taken_at)

    @property
    def left(self) -> int:
        """Requests that a click could still make at this moment."""
        return 0 if self._held_for_s > 0 else self.per_minute - self.used

    @property
    def _held_for_s(self) -> float:
        return max(0.0, self._held_until - self._clock())

    def take(self, priority: Priority) -> None:
        """Note one request, which goes out now.

        Raises:
            FlokitRateLimited: FloKit asked for a pause; ``retry_after_s`` says when it ends.
            FlokitBudgetSpent: this priority may not ask now; ``retry_after_s`` says when it may.
        """
        if (wait_s := self._held_for_s) > 0:
            raise FlokitRateLimited(
                f"FloKit asked for a pause; {math.ceil(wait_s)} s of it are left.", retry_after_s=wait_s
            )
        if (wait_s := self._wait_s(priority)) > 0:
            raise FlokitBudgetSpent(
                f"Our own budget of {self.per_minute} requests a minute to FloKit is spent; "
                f"there is room again in {math.ceil(wait_s)} s.",
                retry_after_s=wait_s,
            )
        self._taken_at.append(self._clock())

    def hold(self, seconds: float) -> None:
        """Let nobody ask for this long (at most 300 s): FloKit said so."""
        self._held_until = max(self._held_until, self._clock() + min(seconds, MAX_RETRY_AFTER_S))

    def _wait_s(self, priority: Priority) -> float:
        allowed = max(1, int(self.per_minute * _SHARE[priority]))
        if (used := self.used) < allowed:
            return 0.0
        makes_room = self._taken_at[used - allowed]
        return makes_room + _WINDOW_S - self._clock()


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole HTTP reply. A body over ``MAX_BODY_BYTES`` is cut, so that it no longer is JSON."""

    http_status: int
    headers: httpx.Headers
    body: bytes

    @property
    def vendor_at(self) -> datetime | None:
        """The vendor's clock when it replied (the ``Date`` header), in whole seconds."""
        return _parse_http_date(self.headers.get("Date", ""))


_KEY_REFUSED = frozenset({401, 403})
_SAYS_NOTHING = frozenset({408, 425})
"""4xx in number, yet no refusal: the server gave up waiting, or does not want the request this early."""


def read_reply(reply: Reply) -> dict[str, Any]:
    """Return the JSON object that a reply carries.

    Raises:
        FlokitError: the one that the reply means.
    """
    status = reply.http_status
    if 200 <= status < 300:
        return _read_object(reply.body)
    if status in _KEY_REFUSED:
        raise FlokitDenied(f"FloKit refused the API key ({status}){_said(reply)}", http_status=status)
    if status == 404:
        raise FlokitMissing("FloKit has no such integration.")
    if status == 429:
        wait_s = _parse_retry_after(reply, default=DEFAULT_RETRY_AFTER_S)
        raise FlokitRateLimited(
            f"FloKit got too many requests and asks for {math.ceil(wait_s)} s of pause.", retry_after_s=wait_s
        )
    if 400 <= status < 500 and status not in _SAYS_NOTHING:
        raise FlokitRefused(f"FloKit refused the request ({status}){_said(reply)}", http_status=status)
    pause_s = _parse_retry_after(reply) if "Retry-After" in reply.headers else None
    raise FlokitBadReply(f"FloKit answered with HTTP {status}{_said(reply)}", retry_after_s=pause_s)


def _read_object(body: bytes) -> dict[str, Any]:
    value = _decode_json(body)
    if not isinstance(value, dict):
        raise FlokitBadReply("FloKit sent an answer that cannot be read.")
    return value


def _decode_json(body: bytes) -> object:
    """Return the JSON value, or None when there is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError also for broken UTF-8 and for numbers of 5,000 digits
        return None


def _said(reply: Reply) -> str:
    """Return the end of a sentence: the vendor's own words, folded and clipped, or just a full stop."""
    value = _decode_json(reply.body)
    message = _parse_text(value.get("message"), MAX_SENTENCE_CHARS) if isinstance(value, dict) else None
    return "." if message is None else f": {' '.join(message.split())}"


def _parse_retry_after(reply: Reply, *, default: float = DEFAULT_RETRY_AFTER_S) -> float:
    """Read ``Retry-After``, which is seconds or a date on the vendor's clock (RFC 9110, section 10.2.3)."""
    text = reply.headers.get("Retry-After", "")
    until, now = _parse_http_date(text), reply.vendor_at
    try:
        seconds = (until - now).total_seconds() if until and now else float(text)
    except ValueError:
        return default
    # Also false for NaN.
    return min(seconds, MAX_RETRY_AFTER_S) if seconds >= 0 else default


def _parse_http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):  # the parser lets all of these out
        return None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Listing:
    """All integrations of the workspace, in FloKit's order.

    ``vendor_at`` is the vendor's clock at the reply, ``as_of`` ours when the look began.
    """

    integrations: tuple[Integration, ...]
    vendor_at: datetime | None = None
    as_of: datetime = field(default_factory=_now, compare=False)


@dataclass(frozen=True, slots=True)
class Detail:
    """One integration with its event counts; times as in ``Listing``."""

    integration: Integration
    vendor_at: datetime | None = None
    as_of: datetime = field(default_factory=_now, compare=False)


def parse_listing(body: Mapping[str, Any], vendor_at: datetime | None) -> Listing:
    """Parse the reply of ``GET /v1/integrations``; entries without a usable id are dropped.

    Raises:
        FlokitBadReply: there is no list, or nothing in it can be used: "none" would be a lie.
    """
    entries = body.get("integrations")
    if not isinstance(entries, list):
        raise FlokitBadReply("FloKit sent an answer without a list of integrations.")
    by_id: dict[str, Integration] = {}
    for integration in map(parse_integration, entries):
        if integration is not None:
            by_id.setdefault(integration.id, integration)
    if entries and not by_id:
        raise FlokitBadReply("FloKit sent a list of integrations that cannot be read.")
    return Listing(tuple(by_id.values()), vendor_at)


def parse_detail(body: Mapping[str, Any], vendor_at: datetime | None, *, integration_id: str) -> Detail:
    """Parse the reply of ``GET /v1/integrations/{id}``.

    Raises:
        FlokitBadReply: it does not describe the integration that was asked for.
    """
    integration = parse_integration(body.get("integration"))
    if integration is None or integration.id != integration_id:
        raise FlokitBadReply("FloKit sent an answer that does not describe this integration.")
    return Detail(integration, vendor_at)


def parse_integration(entry: object) -> Integration | None:
    """Parse one integration; what is missing or odd becomes None or "unknown". None without a usable id."""
    if not isinstance(entry, dict) or not _is_usable_id(entry.get("id")):
        return None
    return Integration(
        id=entry["id"],
        type=_parse_text(entry.get("type"), MAX_WORD_CHARS) or "unknown",
        status=_parse_text(entry.get("status"), MAX_WORD_CHARS) or "unknown",
        last_synced_at=parse_at(entry.get("last_synced_at")),
        error_message=_parse_text(entry.get("error_message"), MAX_ERROR_MESSAGE_CHARS),
        stats=_parse_stats(entry.get("sync_stats")),
    )


def parse_at(value: object) -> datetime | None:
    """Parse an ISO 8601 time; one without an offset is taken as UTC.

    Years outside 1971 to 2199 are None: the zero times of Go (year 1) and Unix (1970) mean "never".
    """
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if 1971 <= at.year <= 2199 else None


def _parse_stats(value: object) -> SyncStats | None:
    if not isinstance(value, dict):
        return None
    return SyncStats(
        events_last_24h=_parse_count(value.get("events_last_24h")),
        events_total=_parse_count(value.get("events_total")),
        earliest_event_at=parse_at(value.get("earliest_event_at")),
    )


def _parse_count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Infinity and NaN are no integers.
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if 0 <= value <= MAX_COUNT else None


_UNSTORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tab and newline, and lone surrogates: PostgreSQL refuses the one, UTF-8 the other."""


def _parse_text(value: object, max_chars: int) -> str | None:
    """Return a text that can be stored and sent, clipped; None when there is nothing to read."""
    if not isinstance(value, str):
        return None
    # Cut first: a text of 5 MiB need not be searched through.
    text = _UNSTORABLE.sub(" ", value[: max_chars + 1]).strip()
    if len(text) > max_chars:
        return f"{text[: max_chars - 1]}…"
    return text or None


def _is_usable_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()


class _SharedLooks(Generic[_T]):
    """Looks that several callers share: those in flight, and those that finished a moment ago.

    A look that failed is never kept. A caller that is cancelled leaves the look to the others.
    """

    def __init__(self, *, kept_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._finished: TTLCache[str, tuple[float, _T]] = TTLCache(maxsize=1024, ttl=kept_s, timer=clock)
        self._in_flight: dict[str, tuple[float, asyncio.Task[_T]]] = {}
        self._tasks: set[asyncio.Task[_T]] = set()

    async def look(self, path: str, start: Callable[[], Coroutine[Any, Any, _T]], *, max_age_s: float) -> _T:
        """Return what a look brings; ``start`` begins one, or refuses at once, when there is none to share.

        Args:
            path: what is looked at.
            start: called only when a new look is needed.
            max_age_s: share a look, finished or not, only when it began less than this ago.
        """
        oldest = self._clock() - max_age_s
        if (kept := self._finished.get(path)) is not None and kept[0] > oldest:
            return kept[1]
        if (under_way := self._in_flight.get(path)) is not None and under_way[0] > oldest:
            return await asyncio.shield(under_way[1])
        return await asyncio.shield(self._begin(path, start()))

    def forget(self, path: str) -> None:
        """What was seen is old news: keep it no longer, nor what a look in flight is about to bring."""
        self._finished.pop(path, None)
        self._in_flight.pop(path, None)

    async def aclose(self) -> None:
        """Cancel all looks in flight and wait until they are gone."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, path: str, look: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(look)
        self._tasks.add(task)
        self._in_flight[path] = self._clock(), task
        task.add_done_callback(partial(self._end, path))
        return task

    def _end(self, path: str, task: asyncio.Task[_T]) -> None:
        self._tasks.discard(task)
        # Asking for the exception also tells asyncio that it was seen, should every caller have been cancelled.
        failed = task.cancelled() or task.exception() is not None
        began_at, newest = self._in_flight.get(path, (0.0, None))
        if newest is not task:
            return
        del self._in_flight[path]
        if not failed:
            self._finished[path] = (began_at, task.result())


_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@contextmanager
def _translated(timeout_s: float) -> Iterator[None]:
    """Turn whatever httpx and the socket raise into ``FlokitNotSent`` or ``FlokitNoReply``.

    The difference matters for a POST: after ``FlokitNotSent`` it is safe to send it again.
    """
    try:
        yield
    except _NEVER_SENT as error:
        raise FlokitNotSent("FloKit could not be reached: no connection was made.") from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise FlokitNoReply(f"FloKit did not answer within {timeout_s:g} s.") from error
    except (httpx.HTTPError, OSError) as error:
        raise FlokitNoReply("The connection to FloKit broke before the whole answer was here.") from error


async def _read_capped(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return bytes(body[:MAX_BODY_BYTES])


def _integration_path(integration_id: str) -> str:
    """Return the path of one integration. The id comes from a person or the vendor: it must stay one segment.

    Raises:
        FlokitMissing: no integration can have this id; "." and ".." would be folded away by URL parsers.
    """
    if not _is_usable_id(integration_id) or integration_id in {".", ".."}:
        raise FlokitMissing("FloKit has no such integration.")
    return f"{INTEGRATIONS_PATH}/{quote(integration_id, safe='')}"


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


class FlokitClient:
    """FloKit's v1 API for one workspace.

    Args:
        api_url: base URL, e.g. ``https://api.flokit.ai``.
        look_key: API key for reading; a read-only key is enough.
        sync_key: read-write API key, used for nothing but the POST.
        timeout_s: how long one request may take from start to the last byte.
        cache_s: how old a list may be that is shown without asking again.
        budget: the allowance to share; a new one of 100 a minute when None.
        transport: the seam for tests.
        clock: seconds that only grow.
        jitter: a number from 0 to 1 that spreads retries.
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
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.budget = budget or Budget(clock=clock)
        self._api_url = api_url.rstrip("/")
        self._look_key = _usable_key(look_key)
        self._sync_key = _usable_key(sync_key)
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._clock = clock
        self._jitter = jitter
        self._lists = _SharedLooks[Listing](kept_s=cache_s, clock=clock)
        self._details = _SharedLooks[Detail](kept_s=SHARED_WITHIN_S, clock=clock)
        self._http = httpx.AsyncClient(
            transport=transport,
            headers={"Accept": "application/json", "User-Agent": "flokit-bot"},
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
            patience_s: how long to go on trying again; None: 2.5 s for a click, not at all for the rest.
        """

        def start() -> Coroutine[Any, Any, Listing]:
            self.budget.take(priority)
            return self._get_listing(self._look_key)

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
            self.budget.take(priority)
            return self._get_detail(path, integration_id)

        def look() -> Coroutine[Any, Any, Detail]:
            return self._details.look(path, start, max_age_s=max_age_s)

        return await self._patiently(look, priority, patience_s)

    async def trigger_sync(self, integration_id: str, *, idempotency_key: str) -> TriggerAccepted:
        """Ask FloKit, exactly once, to sync an integration.

        ``FlokitNotSent`` and ``FlokitRateLimited`` mean that certainly nothing began; after ``FlokitNoReply``
        and ``FlokitBadReply`` a sync may be under way.

        Args:
            integration_id: what to sync.
            idempotency_key: the same for the same sync; FloKit documents it for events only, it does no harm.
        """
        path = _integration_path(integration_id)
        self.budget.take(Priority.CLICK)
        try:
            reply = await self._exchange("POST", f"{path}/sync", self._sync_key, {"Idempotency-Key": idempotency_key})
        finally:
            # Whatever came back: what was seen before the POST says nothing about what is after it.
            self._lists.forget(INTEGRATIONS_PATH)
            self._details.forget(path)
        sync_id = self._understand(reply).get("sync_id")
        return TriggerAccepted(sync_id if _is_usable_id(sync_id) else None, reply.vendor_at)

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
            self.budget.take(Priority.CLICK)
            return await self._get_listing(key)
        except FlokitError as error:
            return error

    async def _get_listing(self, key: str) -> Listing:
        as_of = _now()
        reply = await self._exchange("GET", INTEGRATIONS_PATH, key)
        try:
            return replace(parse_listing(self._understand(reply), reply.vendor_at), as_of=as_of)
        except FlokitMissing as error:
            # A missing list is a wrong address. "Missing" would say of every integration that it was removed.
            raise FlokitBadReply("There is no FloKit API at this address; check FLOKIT_API_URL.") from error

    async def _get_detail(self, path: str, integration_id: str) -> Detail:
        as_of = _now()
        reply = await self._exchange("GET", path, self._look_key)
        detail = parse_detail(self._understand(reply), reply.vendor_at, integration_id=integration_id)
        return replace(detail, as_of=as_of)

    def _understand(self, reply: Reply) -> dict[str, Any]:
        try:
            return read_reply(reply)
        except FlokitRateLimited as limited:
            self.budget.hold(limited.retry_after_s or DEFAULT_RETRY_AFTER_S)
            raise

    async def _exchange(self, method: str, path: str, key: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request and bring back its whole reply, whatever its status."""
        if self._http.is_closed:
            raise FlokitNotSent("The bot is stopping and asks FloKit nothing more.")
        began_at = self._clock()
        with _translated(self._timeout_s):
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream(
                    method,
                    f"{self._api_url}{path}",
                    headers={**(headers or {}), "Authorization": f"Bearer {key}"},
                ) as response,
            ):
                body = await _read_capped(response)
        took_ms = round((self._clock() - began_at) * 1000)
        _log.debug("flokit.call", method=method, path=path, status=response.status_code, ms=took_ms)
        if not response.is_success:
            # Some APIs repeat a wrong key in their error text.
            body = body.replace(key.encode(), b"[key]")
        return Reply(response.status_code, response.headers, body)
