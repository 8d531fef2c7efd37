"""A local FloKit: the documented API and its traps over a real socket, scriptable by the demo and the tests.

Replies have exactly the documented shapes. Where the vendor documents nothing (the body of a 404, what happens to a
sync of a disconnected integration), the behavior is one plausible choice, made so that a client that guesses fails.
It shares no code with the client that it tests.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal, Unpack
from urllib.parse import unquote

from aiohttp import web

from local_slack.loopback import require_loopback
from sandbox.local_flokit.faults import Fault, Faults
from sandbox.local_flokit.quirks import ACCEPTANCES, Quirks, Writer
from sandbox.local_flokit.sources import DEMO_PLANS, Fields, History, Plan, Source, Turn, demo_sources

READ_KEY = "flo_sandbox_read"
WRITE_KEY = "flo_sandbox_write"
_WINDOW = timedelta(seconds=60)
_IDEMPOTENCY_KEPT = timedelta(hours=24)


def _utc_now() -> datetime:
    return datetime.now(UTC)


# --- requests and replies -------------------------------------------------------------------------


@dataclass(slots=True)
class Request:
    """One received request. ``status`` is None if it got no reply."""

    method: str
    path: str
    at: datetime
    key: str
    status: int | None
    idempotency_key: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    response: Any = None
    took_s: float | None = None
    """None until the reply is sent or the connection closed."""


def _error(status: int, error: str, message: str) -> web.Response:
    return web.json_response({"error": error, "message": message}, status=status)


def _ratelimited(retry_after: str | None) -> web.Response:
    reply = _error(429, "rate_limited", "Too many requests")
    if retry_after is not None:
        reply.headers["Retry-After"] = retry_after
    return reply


def _not_found() -> web.Response:
    # The vendor documents no body for a 404, so clients must not expect JSON.
    return web.Response(status=404, text="404 page not found")


def _refusal(fault: Fault | None) -> web.Response | None:
    """Return the reply of a fault that prevents processing."""
    match fault:
        case Fault(kind="http_500"):
            return web.Response(status=500, text="<html>Internal Server Error</html>", content_type="text/html")
        case Fault(kind="http_status"):
            return web.Response(status=fault.status, text=fault.body or "")
        case Fault(kind="ratelimited"):
            return _ratelimited(fault.retry_after)
        case _:
            return None


# --- the server --------------------------------------------------------------------------------------------------


class LocalFlokit:
    """One FloKit workspace on a local port.

    Args:
        clock: the local time; FloKit's own clock is ``clock_skew_s`` ahead of it.
    """

    def __init__(self, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self.keys: dict[str, Literal["read", "write"]] = {READ_KEY: "read", WRITE_KEY: "write"}
        self.requests: list[Request] = []
        self.turns: list[Turn] = []
        """The integrations' true history, to check the bot's messages against; append-only.

        A sync's end is added, with its own time, at the next read; ``sources()`` reads all integrations.
        """
        self.neighbors: dict[str, LocalFlokit] = {}
        """Other workspaces at the same address, by each of their keys; as in FloKit, the key decides which it is."""
        self.faults = Faults()
        self.down = False
        """If true, every connection is closed without a reply."""
        self.clock_skew_s = 0.0
        self.budget_per_minute = 100
        self.url = ""
        """The base URL, once started."""
        self._writer = Writer()
        self._clock = clock
        self._histories: dict[str, History] = {}
        self._charged_at: deque[datetime] = deque()
        self._sync_ids: dict[tuple[str, str], tuple[datetime, str]] = {}
        self._syncs_begun = 0
        self._subscribers: list[Callable[[], None]] = []
        self._record_listeners: list[Callable[[Request], None]] = []
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on this machine; port 0 picks a free one."""
        require_loopback(host)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A client that hangs up cancels its handler, so a hanging request doesn't keep the server from stopping.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and close all connections; the data stays, and it can be started again."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def quirks(self) -> Quirks:
        """How it deviates from the documented format; by default, not at all."""
        return self._writer.quirks

    @quirks.setter
    def quirks(self, quirks: Quirks) -> None:
        self._writer.quirks = quirks

    # The workspace's data.

    def add(self, integration_id: str, integration_type: str, **fields: Unpack[Fields]) -> None:
        """Add an integration, connected by default; times are on FloKit's clock."""
        self._settle(integration_id)
        self._put(Source(integration_id, integration_type, **fields))
        self._tell()

    def set(self, integration_id: str, **fields: Unpack[Fields]) -> None:
        """Change an integration now; a new status also drops its running and queued syncs."""
        self._settle(integration_id)
        history = self._histories[integration_id]
        history.source = replace(history.source, **fields)
        if "status" in fields:
            history.syncs.clear()
        self.turns.append(Turn(integration_id, self._clock(), history.source))
        self._tell()

    def repair(self, integration_id: str) -> None:
        """Set an integration to connected, with a successful sync just now."""
        self.set(integration_id, status="connected", error_message=None, last_synced_at=self._vendor_now)

    def remove(self, integration_id: str) -> None:
        """Remove an integration; requests for it then get a 404."""
        self._settle(integration_id)
        if self._histories.pop(integration_id, None) is not None:
            self.turns.append(Turn(integration_id, self._clock(), None))
        self._tell()

    def plan(self, integration_id: str, plan: Plan) -> None:
        """Set how an integration's next syncs behave; running and queued ones keep their plan."""
        self._histories[integration_id].plan = plan
        self._tell()

    def plan_of(self, integration_id: str) -> Plan:
        """Return how an integration's next syncs behave."""
        return self._histories[integration_id].plan

    def get_stuck(self, integration_id: str) -> None:
        """Make an integration sync forever, until it gets a new status."""
        self._settle(integration_id)
        self._histories[integration_id].get_stuck(self._clock())
        self._tell()

    def finish(self, integration_id: str) -> bool:
        """End the running and queued syncs now, with their planned results; False if there are none."""
        self._settle(integration_id)
        some = self._histories[integration_id].finish(self._clock())
        self._tell()
        return some

    def begin_sync(self, integration_id: str) -> None:
        """Begin a sync from outside: by FloKit's schedule or someone in its dashboard."""
        self._settle(integration_id)
        self._histories[integration_id].begin_sync(self._clock())
        self._tell()

    def source(self, integration_id: str) -> Source | None:
        """Return an integration's current state; None if it doesn't exist."""
        self._settle(integration_id)
        history = self._histories.get(integration_id)
        return history.visible(self._clock()) if history else None

    def sources(self) -> list[Source]:
        """Return the current state of all integrations."""
        return [source for id_ in tuple(self._histories) if (source := self.source(id_)) is not None]

    def demo(self) -> None:
        """Add the demo integrations, or reset them."""
        for source in demo_sources(self._vendor_now):
            self._settle(source.id)
            self._put(source)
        for integration_id, plan in DEMO_PLANS.items():
            self.plan(integration_id, plan)

    def _settle(self, integration_id: str) -> None:
        """Apply the results of ended syncs."""
        history = self._histories.get(integration_id)
        turns = history.settle(self._clock(), self._skew) if history else []
        self.turns += turns
        if turns and turns[-1].source is None:
            del self._histories[integration_id]

    def _put(self, source: Source) -> None:
        """Start a new history for an integration."""
        self._histories[source.id] = History(source)
        self.turns.append(Turn(source.id, self._clock(), source))

    # Requests.

    def posts(self, integration_id: str) -> list[Request]:
        """Return the sync requests for an integration, answered or not."""
        path = f"/v1/integrations/{integration_id}/sync"
        return [request for request in self.requests if (request.method, request.path) == ("POST", path)]

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every request and every change; return a function that unsubscribes.

        Progress of a sync isn't announced, because it's computed on read.
        """
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def on_record(self, listener: Callable[[Request], None]) -> None:
        """Call ``listener`` with each request on arrival and again on reply."""
        self._record_listeners.append(listener)

    async def wait_for(self, predicate: Callable[[], bool], timeout_s: float = 5) -> None:
        """Wait until ``predicate()`` is true; checked after every request and every change.

        Raises:
            TimeoutError: it didn't become true in time.
        """
        async with asyncio.timeout(timeout_s):
            while not predicate():
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        for callback in tuple(self._subscribers):
            callback()

    def _tell_record(self, request: Request) -> None:
        for listener in self._record_listeners:
            listener(request)

    # Time.

    @property
    def _skew(self) -> timedelta:
        return timedelta(seconds=self.clock_skew_s)

    @property
    def _vendor_now(self) -> datetime:
        return self._clock() + self._skew

    # Serving.

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if key in self.neighbors and key not in self.keys:
            return await self.neighbors[key]._serve(request)  # noqa: SLF001 - its own kind
        fault = None if self.down else self.faults.take(request.method, request.path)
        unanswered = self.down or (fault is not None and fault.kind in {"hang", "drop", "done_then_drop"})
        undone = self.down or (fault is not None and fault.kind in {"hang", "drop"})
        reply = None if undone else _refusal(fault) or self._answer(request)
        noted = self._note(request, None if unanswered or reply is None else reply.status)
        started = time.monotonic()
        try:
            if reply is None or unanswered:
                return await _leave_unanswered(request, hang=fault is not None and fault.kind == "hang")
            reply.headers["Date"] = format_datetime(self._vendor_now.astimezone(UTC), usegmt=True)
            sent = await _spoil(request, reply, fault)
            noted.response = _content(sent)
            return sent
        finally:
            noted.took_s = time.monotonic() - started
            self._tell_record(noted)

    def _note(self, request: web.Request, status: int | None) -> Request:
        noted = Request(
            method=request.method,
            path=request.path,
            at=self._clock(),
            key=_key_of(request),
            status=status,
            idempotency_key=request.headers.get("Idempotency-Key"),
            query=dict(request.query),
        )
        self.requests.append(noted)
        self._tell_record(noted)
        self._tell()
        return noted

    def _answer(self, request: web.Request) -> web.Response:
        rights = self.keys.get(_key_of(request))
        if rights is None:
            return _error(401, "unauthorized", "Invalid or missing API key")
        if (wait_s := self._charge()) > 0:
            return _ratelimited(str(math.ceil(wait_s)))
        match request.method, *_segments(request):
            case "GET", "v1", "integrations":
                return web.json_response(self._writer.listing(self.sources(), self._clock()))
            case "GET", "v1", "integrations", id_:
                source = self.source(id_)
                return web.json_response(self._writer.page(source)) if source else _not_found()
            case "POST", "v1", "integrations", _, "sync" if rights != "write":
                return _error(403, "forbidden", "This operation requires a read-write key")
            case "POST", "v1", "integrations", id_, "sync":
                return self._accept_sync(id_, request.headers.get("Idempotency-Key"))
            case _:
                return _not_found()

    def _charge(self) -> float:
        """Count a request against the rate limit; return the seconds to wait if it's over the limit."""
        now = self._clock()
        while self._charged_at and self._charged_at[0] + _WINDOW <= now:
            self._charged_at.popleft()
        if len(self._charged_at) >= self.budget_per_minute:
            return (self._charged_at[0] + _WINDOW - now).total_seconds() if self._charged_at else 60.0
        self._charged_at.append(now)
        return 0.0

    def _accept_sync(self, id_: str, idempotency_key: str | None) -> web.Response:
        if self.source(id_) is None:
            return _not_found()
        sync_id = self._known_sync(id_, idempotency_key)
        if sync_id is None:
            sync_id = self._begin_sync(id_, idempotency_key)
        if self.quirks.accepts != "documented":
            status, body = ACCEPTANCES[self.quirks.accepts]
            return web.Response(status=status, text=body or None)
        return web.json_response({"status": "ok", "sync_id": sync_id})

    def _known_sync(self, id_: str, idempotency_key: str | None) -> str | None:
        if idempotency_key is None or (known := self._sync_ids.get((id_, idempotency_key))) is None:
            return None
        began_at, sync_id = known
        return sync_id if self._clock() - began_at < _IDEMPOTENCY_KEPT else None

    def _begin_sync(self, id_: str, idempotency_key: str | None) -> str:
        now = self._clock()
        self._histories[id_].begin_sync(now)
        self._syncs_begun += 1
        sync_id = f"sync_01hx4j7k{self._syncs_begun:012d}"
        if idempotency_key is not None:
            self._sync_ids[id_, idempotency_key] = now, sync_id
        return sync_id


def _key_of(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key if scheme.lower() == "bearer" else ""


def _segments(request: web.Request) -> list[str]:
    """Return the path's segments, each decoded: an encoded slash isn't a separator."""
    return [unquote(part) for part in request.rel_url.raw_parts[1:]]


async def _leave_unanswered(request: web.Request, *, hang: bool) -> web.Response:
    if hang:
        # Until the client hangs up or the server stops; both cancel this handler.
        await asyncio.Event().wait()
    _hang_up(request)
    return web.Response()


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _content(reply: web.StreamResponse) -> Any:
    """Return the body as JSON, or as text if it isn't JSON."""
    if not isinstance(reply, web.Response) or reply.text is None:
        return None
    try:
        return json.loads(reply.text)
    except ValueError:
        return reply.text


async def _spoil(request: web.Request, reply: web.Response, fault: Fault | None) -> web.StreamResponse:
    """Send the reply of a processed request as the fault demands."""
    match fault:
        case Fault(kind="garbage"):
            return web.Response(text=fault.body or "<html>Not JSON</html>", headers=_date_of(reply))
        case Fault(kind="slow"):
            await asyncio.sleep(fault.delay_s)
            return reply
        case Fault(kind="truncated"):
            return await _send_half(request, reply)
        case _:
            return reply


def _date_of(reply: web.Response) -> dict[str, str]:
    return {"Date": reply.headers["Date"]}


async def _send_half(request: web.Request, reply: web.Response) -> web.StreamResponse:
    whole = reply.body if isinstance(reply.body, bytes) else b""
    half = web.StreamResponse(status=reply.status, headers={**_date_of(reply), "Content-Length": str(len(whole))})
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2])
    _hang_up(request)
    return half
