"""The FloKit client: every call returns a value or raises one ``FlokitError``.

A request goes through these layers, outermost first::

    patience      a person's request is retried for a moment; a follow-up isn't, since its next check is the retry
    SharedLooks   callers that want the same thing at the same time share one request
    Circuit       while FloKit is down, it's only checked occasionally
    Budget        one allowance per minute for all requests; clicks may use more of it than follow-ups
    FlokitHttp    one HTTP request, and its whole reply in bounded memory
    replies       status codes → errors, JSON → core.models

The client never sends a sync twice on its own. A budget that several replicas share is in the database: if that is
down, ``StoreUnavailable`` is raised, and FloKit wasn't asked.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote

import structlog
from cachetools import LRUCache

from bot.core.budget import Priority
from bot.core.errors import (
    FlokitBadReply,
    FlokitDenied,
    FlokitError,
    FlokitMissing,
    FlokitNoReply,
    FlokitNotConnected,
    FlokitRateLimited,
    FlokitUnreachable,
)
from bot.core.models import Integration, TriggerAccepted
from bot.flokit.budget import Budget, LocalBudget, Place
from bot.flokit.calls import reported
from bot.flokit.circuit import LONGEST_PAUSE_S, Circuit
from bot.flokit.http import Endpoint, FlokitHttp
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
)
from bot.flokit.times import shape_of
from bot.observability.context import now_utc
from bot.observability.telemetry import SILENT, Telemetry

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

INTEGRATIONS_PATH: Final = "/v1/integrations"

PERSON_PATIENCE_S: Final = 2.0
"""How long a person's request is retried before the answer is that FloKit can't be reached."""
PERSON_ATTEMPTS: Final = 3
LIST_KEPT_S: Final = 3.0
"""How old a list may be to be reused."""
SHARED_WITHIN_S: Final = 1.0
"""Requests for the same thing that begin within this time are one request."""


def _integration_path(integration_id: str) -> str:
    """Return the path of one integration. The ID comes from a person or from FloKit, and must stay one segment.

    Raises:
        FlokitMissing: no integration can have this ID. URL parsers would drop "." and "..".
    """
    if not is_vendor_id(integration_id) or integration_id in {".", ".."}:
        raise FlokitMissing("FloKit has no such integration.")
    return f"{INTEGRATIONS_PATH}/{quote(integration_id, safe='')}"


def _operation(method: str, path: str) -> str:
    if method == "POST":
        return "sync"
    return "list" if path == INTEGRATIONS_PATH else "show"


def is_usable_key(key: str) -> bool:
    """Whether a text can be an API key: printable ASCII characters without spaces."""
    return bool(key) and key.isascii() and key.isprintable() and " " not in key


def _usable_key(key: str) -> str:
    # h11 puts an illegal header value into its error text, so a key with a line break must never get that far.
    if key and not is_usable_key(key):
        raise ValueError("a FloKit API key consists of printable ASCII characters without spaces")
    return key


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What each of the two keys can read. Write access is only known after a sync."""

    look: Listing | FlokitError
    sync: Listing | FlokitError
    distinct: bool
    """The two keys differ."""

    @property
    def same_workspace(self) -> bool | None:
        """Whether both keys list the same integrations; None if one of them lists nothing."""
        if isinstance(self.look, FlokitError) or isinstance(self.sync, FlokitError):
            return None
        looked, synced = ({i.id for i in listing.integrations} for listing in (self.look, self.sync))
        return bool(looked & synced) if looked and synced else None


OnSeen: TypeAlias = "Callable[[tuple[Integration, ...], datetime, bool], None]"


class FlokitClient:
    """FloKit's v1 API for one workspace.

    Args:
        endpoint: where it is, and the keys for it; without keys, every call raises ``FlokitNotConnected``.
        budget: the shared budget; None: a new one of 100 requests a minute.
        max_pause_s: the longest pause between two requests while FloKit is down.
        clock: monotonic seconds.
        jitter: a number from 0 to 1 that spreads retries.
        stale_after_s: after how many seconds without a success an integration is stale, by type.
        expected_s: returns the same for one integration's ID, if people said so; it counts before its type.
        now: the time, aware.
        on_seen: called after every successful read with what was seen, when FloKit was asked, and whether that's all
            of the workspace's integrations.
        on_key: called after every read that says whether FloKit accepts the key: with None if it does.
        telemetry: what every call is reported to.
        http: the connections to use, which stay open afterwards; None: its own.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        budget: Budget | None = None,
        max_pause_s: float = LONGEST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        stale_after_s: Mapping[str, float] | None = None,
        expected_s: Callable[[str], float | None] = lambda _: None,
        now: Callable[[], datetime] = now_utc,
        on_seen: OnSeen | None = None,
        on_key: Callable[[FlokitDenied | None], None] | None = None,
        telemetry: Telemetry = SILENT,
        http: FlokitHttp | None = None,
    ) -> None:
        self._look_key = _usable_key(endpoint.look_key)
        self._sync_key = _usable_key(endpoint.sync_key)
        self._key_lost = endpoint.key_lost
        self._on_key = on_key
        self._stale_after_s = stale_after_s or {}
        self._expected_s = expected_s
        self._now = now
        self._on_seen = on_seen
        self._telemetry = telemetry
        self._clock = clock
        self._jitter = jitter
        self.budget = budget or LocalBudget(clock=clock)
        self._circuit = Circuit(clock, max_pause_s=max_pause_s)
        self._lists = SharedLooks[Listing](kept_s=LIST_KEPT_S, clock=clock, now=now)
        self._http = http or FlokitHttp(endpoint)
        self._owns_http = http is None

    @cached_property
    def _details(self) -> SharedLooks[Detail]:
        return SharedLooks(kept_s=SHARED_WITHIN_S, clock=self._clock, now=self._now)

    @cached_property
    def _logged_unreadable(self) -> LRUCache[str, bool]:
        return LRUCache(maxsize=1024)

    @property
    def is_connected(self) -> bool:
        """Whether there is a key to ask with."""
        return bool(self._look_key)

    @property
    def not_connected(self) -> FlokitNotConnected:
        """What every call raises without a key."""
        return FlokitNotConnected(self._key_lost) if self._key_lost else FlokitNotConnected()

    async def fetch_integrations(
        self, *, priority: Priority = Priority.CLICK, max_age_s: float | None = None, patience_s: float | None = None
    ) -> Listing:
        """Fetch all integrations.

        Args:
            priority: whose request this is.
            max_age_s: a request that began less than this ago is shared; None: ``LIST_KEPT_S``.
            patience_s: how long to retry; None: 2 s for a click, not at all for the rest.
        """
        age_s = LIST_KEPT_S if max_age_s is None else max_age_s
        fetch = partial(self._get_listing, self._look_key, priority)
        look = partial(self._lists.look, INTEGRATIONS_PATH, fetch, max_age_s=age_s)
        return await self._patiently(look, priority, patience_s)

    async def fetch_integration(
        self,
        integration_id: str,
        *,
        priority: Priority = Priority.CLICK,
        max_age_s: float = SHARED_WITHIN_S,
        patience_s: float | None = None,
    ) -> Detail:
        """Fetch one integration with its event counts; shared for 1 s at most. Arguments as above."""
        path = _integration_path(integration_id)
        fetch = partial(self._get_detail, path, integration_id, priority)
        look = partial(self._details.look, path, fetch, max_age_s=max_age_s)
        return await self._patiently(look, priority, patience_s)

    async def trigger_sync(
        self, integration_id: str, *, idempotency_key: str, priority: Priority = Priority.CLICK
    ) -> TriggerAccepted:
        """Ask FloKit, exactly once, to sync an integration.

        Args:
            integration_id: the integration to sync.
            idempotency_key: the same for the same sync. FloKit documents it only for events, but it's harmless here.
            priority: whose request this is.

        Raises:
            FlokitNotSent, FlokitRateLimited: nothing was started, so it can be sent again.
            FlokitRefused, FlokitDenied, FlokitMissing: nothing was started, and FloKit says why.
            FlokitNoReply, FlokitBadReply: a sync may have been started.
        """
        path = _integration_path(integration_id)
        headers = {"Idempotency-Key": idempotency_key}
        try:
            return await self._ask(priority, "POST", f"{path}/sync", self._sync_key, parse_accepted, headers)
        finally:
            # Data from before the POST is outdated, whatever the reply.
            self._lists.forget(INTEGRATIONS_PATH)
            self._details.forget(path)

    async def check_keys(self) -> KeyCheck:
        """Read the list with each key; starts no sync."""
        look = await self._try_key(self._look_key)
        distinct = self._sync_key != self._look_key
        return KeyCheck(look, await self._try_key(self._sync_key) if distinct else look, distinct)

    async def aclose(self) -> None:
        """Cancel the requests in flight and close all connections."""
        await self._lists.aclose()
        await self._details.aclose()
        if self._owns_http:
            await self._http.aclose()

    async def _patiently(self, look: Callable[[], Awaitable[_T]], priority: Priority, patience_s: float | None) -> _T:
        if patience_s is None:
            patience_s = PERSON_PATIENCE_S if priority is Priority.CLICK else 0.0
        until = self._clock() + patience_s
        for _ in range(PERSON_ATTEMPTS - 1):
            try:
                return await look()
            except FlokitUnreachable as error:
                pause_s = (error.retry_after_s or 0.1) + 0.4 * self._jitter()
                if self._clock() + pause_s >= until:
                    raise
            await asyncio.sleep(pause_s)
        return await look()

    async def _try_key(self, key: str) -> Listing | FlokitError:
        try:
            return await self._get_listing(key, Priority.CLICK)
        except FlokitError as error:
            return error

    async def _get_listing(self, key: str, priority: Priority) -> Listing:
        as_of = self._now()
        try:
            listing = await self._ask(priority, "GET", INTEGRATIONS_PATH, key, parse_listing)
        except FlokitMissing as error:
            # A missing list means a wrong address. "Missing" would mean that every integration was removed.
            raise FlokitBadReply("There is no FloKit API at this address; check FLOKIT_API_URL.") from error
        seen = self._note_seen(listing.integrations, as_of, is_all=True)
        return replace(listing, as_of=as_of, integrations=seen)

    async def _get_detail(self, path: str, integration_id: str, priority: Priority) -> Detail:
        as_of = self._now()
        parse = partial(parse_detail, integration_id=integration_id)
        detail = await self._ask(priority, "GET", path, self._look_key, parse)
        (seen,) = self._note_seen((detail.integration,), as_of, is_all=False)
        return replace(detail, as_of=as_of, integration=seen)

    def _note_seen(
        self, integrations: tuple[Integration, ...], as_of: datetime, *, is_all: bool
    ) -> tuple[Integration, ...]:
        """Add when each integration counts as stale, log times that can't be read, and report what was seen."""
        seen = tuple(map(self._with_limit, integrations))
        for one in seen:
            if one.unreadable_time and one.id not in self._logged_unreadable:
                self._logged_unreadable[one.id] = True
                shape = shape_of(one.unreadable_time)  # the text itself may be anything
                _log.warning("time_not_readable", integration_id=one.id, field="last_synced_at", shape=shape)
        if self._on_seen:
            self._on_seen(seen, as_of, is_all)
        return seen

    def _with_limit(self, integration: Integration) -> Integration:
        limit_s = self._expected_s(integration.id)
        if limit_s is None:
            limit_s = self._stale_after_s.get(integration.type)
        return integration if limit_s is None else replace(integration, stale_after_s=limit_s)

    async def _ask(
        self,
        priority: Priority,
        method: str,
        path: str,
        key: str,
        parse: Callable[[Reply], _T],
        headers: Mapping[str, str] | None = None,
    ) -> _T:
        """Send one request, if circuit and budget allow it, and parse its reply.

        A reply that ``parse`` refuses counts as a failed call.
        """
        if not key:
            raise self.not_connected
        with reported(self._telemetry, _operation(method, path), priority), self._circuit.asking(priority):
            reply = await self._send(priority, method, path, key, headers)
            try:
                parsed = parse(reply)
            except FlokitRateLimited as limited:
                await self.budget.hold(limited.retry_after_s or DEFAULT_RETRY_AFTER_S)
                raise
            except FlokitDenied as denied:
                self._note_key(method, denied)
                raise
            self._note_key(method, None)
            return parsed

    def _note_key(self, method: str, denied: FlokitDenied | None) -> None:
        if self._on_key and method == "GET":  # a refused POST is the outcome of a sync
            self._on_key(denied)

    async def _send(
        self, priority: Priority, method: str, path: str, key: str, headers: Mapping[str, str] | None
    ) -> Reply:
        place = Place(self.budget, priority, self._clock, self._now)
        await place.take()
        try:
            reply = await self._http.exchange(method, path, key, headers, before_sending=place.keep_fresh)
        except FlokitNoReply:
            await place.leave()
            raise
        await place.leave()
        return reply
