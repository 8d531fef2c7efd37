"""What apps call over HTTP: the Web API and the response URLs.

Reads the call, checks token, scope and rate, runs the method, then answers, or misbehaves as was ordered.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

from aiohttp import web

from local_slack.arguments import Arguments
from local_slack.faults import RESPONSE_URL, Fault, FaultKind, Faults
from local_slack.install import Installation, TokenKind
from local_slack.methods import METHODS, Method
from local_slack.newest import Newest
from local_slack.rates import READS_HISTORY, Rates
from local_slack.refusal import RefusalError
from local_slack.response_url import ResponseUrls, read_response
from local_slack.workspace import Json

CONNECTIONS_OPEN: Final = "apps.connections.open"
POST_MESSAGE: Final = "chat.postMessage"


@dataclass(slots=True)
class ApiCall:
    """One call of the Web API. ``status`` is 0 while, or because, there was no answer."""

    method: str
    args: Json
    at: float
    ok: bool = False
    error: str = ""
    status: int = 0
    response: Json | str | None = None
    took_s: float | None = None
    """How long it took until there was an answer, or until it was clear that there is none."""

    def take(self, reply: Reply) -> None:
        """Note the answer."""
        self.status, self.response = reply.status, reply.body
        if isinstance(reply.body, dict):
            self.ok = bool(reply.body["ok"])
            self.error = reply.body.get("error", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is sent."""

    status: int
    body: Json | str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, at: float) -> web.Response:
        """Return it for aiohttp, dated by the stand-in's clock."""
        headers = {"Date": formatdate(at, usegmt=True), **self.headers}
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, content_type="text/html", headers=headers)
        return web.json_response(self.body, status=self.status, headers=headers)


def ratelimited(retry_after_s: int) -> Reply:
    """Return Slack's 429."""
    return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(retry_after_s)})


class WebApi:
    """Answers ``/api/<method>`` and ``/response/<token>``.

    Args:
        open_connection: returns the WebSocket URL for ``apps.connections.open``.
        note_call: called with each call when it comes, and again when it is answered.
    """

    def __init__(
        self,
        app: Installation,
        faults: Faults,
        rates: Rates,
        response_urls: ResponseUrls,
        open_connection: Callable[[], str],
        note_call: Callable[[ApiCall], None],
        most_calls: int | None = None,
    ) -> None:
        self._app = app
        self._faults = faults
        self._rates = rates
        self._response_urls = response_urls
        self._note_call = note_call
        self._closing = asyncio.Event()
        self._methods = {
            **METHODS,
            CONNECTIONS_OPEN: Method(lambda _app, _args: {"url": open_connection()}, tier="t3", token=TokenKind.APP),
        }
        self.calls: Newest[ApiCall] = Newest(most_calls)

    def close(self) -> None:
        """Let go of the calls that hang."""
        self._closing.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request."""
        name = request.match_info["method"]
        incoming = await _read(request, self._methods.get(name))
        return await self._answer(request, name, incoming.args.values, lambda: self._perform(name, incoming))

    async def handle_response(self, request: web.Request) -> web.StreamResponse:
        """Take what is posted to a response URL."""
        token, payload = request.match_info["token"], read_response(await request.text())
        return await self._answer(request, RESPONSE_URL, payload or {}, lambda: self._respond(token, payload))

    async def _answer(
        self, request: web.Request, name: str, args: Json, perform: Callable[[], Reply]
    ) -> web.StreamResponse:
        """Note the call, perform it and answer it, unless a fault was ordered for its method."""
        call = ApiCall(name, args, self._app.workspace.now())
        self.calls.append(call)
        self._note_call(call)
        started = time.monotonic()
        fault = self._faults.take(name)
        reply = perform() if fault is None else await self._misbehave(fault, perform)
        call.took_s = time.monotonic() - started
        if reply is not None:
            call.take(reply)
        self._note_call(call)
        return _hang_up(request) if reply is None else reply.response(self._app.workspace.now())

    async def _misbehave(self, fault: Fault, perform: Callable[[], Reply]) -> Reply | None:
        match fault.kind:
            case FaultKind.RATELIMITED:
                return ratelimited(fault.retry_after_s)
            case FaultKind.ERROR:
                return Reply(200, {"ok": False, "error": fault.code})
            case FaultKind.HTTP_500:
                return Reply(500, "")
            case FaultKind.GARBAGE:
                return Reply(200, "<html><body>Something went wrong</body></html>")
            case FaultKind.SLOW:
                await asyncio.sleep(fault.delay_s)
                return perform()
            case FaultKind.HANG:
                await self._closing.wait()
            case FaultKind.DONE_THEN_DROP:
                perform()
            case _:
                pass
        return None

    def _perform(self, name: str, incoming: _Incoming) -> Reply:
        headers = {"X-OAuth-Scopes": ",".join(sorted(self._app.scopes))}
        try:
            method = self._method(name)
            if incoming.refusal is not None:
                raise incoming.refusal
            if method.token is not None:
                self._app.tokens.check(incoming.token, method.token)
            wait_s = self._wait_s(name, method, incoming.args)
            if wait_s:
                return ratelimited(wait_s)
            method.check(self._app, incoming.args)
            return Reply(200, {"ok": True, **method.run(self._app, incoming.args)}, headers)
        except RefusalError as refusal:
            return Reply(200, refusal.reply(), headers)

    def _respond(self, token: str, payload: Json | None) -> Reply:
        try:
            self._response_urls.use(token, payload)
        except RefusalError as refusal:
            gone = refusal.code in {"used_url", "expired_url"}
            return Reply(404 if gone else 200, refusal.reply())
        return Reply(200, {"ok": True})

    def _method(self, name: str) -> Method:
        if name not in self._methods:
            raise RefusalError("unknown_method", req_method=name)
        return self._methods[name]

    def _wait_s(self, name: str, method: Method, args: Arguments) -> int:
        if name == POST_MESSAGE:
            return self._rates.post_wait_s(args.text("channel"))
        tier = "t1" if self._app.is_distributed and name in READS_HISTORY else method.tier
        return self._rates.call_wait_s(name, tier)


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A call as read off the request; ``refusal`` says why it could not be read."""

    token: str
    args: Arguments
    refusal: RefusalError | None = None


async def _read(request: web.Request, method: Method | None) -> _Incoming:
    """Read a call. A method that takes no JSON does not see a JSON body, as in Slack."""
    values: Json = dict(request.query)
    refusal: RefusalError | None = None
    if request.content_type == "application/json":
        try:
            values.update(_json_object(await request.text()) if method is None or method.takes_json else {})
        except RefusalError as error:
            refusal = error
    else:
        values.update(await request.post())
    argument = str(values.pop("token", ""))
    scheme, _, header = request.headers.get("Authorization", "").partition(" ")
    return _Incoming(header.strip() if scheme == "Bearer" else argument, Arguments(values), refusal)


def _json_object(body: str) -> Json:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise RefusalError("invalid_json") from error
    if not isinstance(value, dict):
        raise RefusalError("json_not_object")
    return value


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection under the caller; aiohttp finds it closed and sends nothing."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
