"""The HTTP side: the Web API and the response URLs.

Reads the call, checks token, scope and rate, runs the method, then responds or injects a fault.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final
from urllib.parse import unquote

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
from local_slack.workspaces import Workspaces

CONNECTIONS_OPEN: Final = "apps.connections.open"
POST_MESSAGE: Final = "chat.postMessage"


@dataclass(slots=True)
class ApiCall:
    """One Web API call. ``status`` is 0 while there is no response, or if there never was one."""

    method: str
    args: Json
    at: float
    team_id: str = ""
    """The workspace that the token belongs to; empty if it's the app's or unknown."""
    ok: bool = False
    error: str = ""
    status: int = 0
    response: Json | str | None = None
    took_s: float | None = None
    """How long it took until there was a response, or until it failed without one."""

    def take(self, reply: Reply) -> None:
        """Record the response."""
        self.status, self.response = reply.status, reply.body
        if isinstance(reply.body, dict):
            self.ok = bool(reply.body["ok"])
            self.error = reply.body.get("error", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """A response before it's sent."""

    status: int
    body: Json | str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, at: float) -> web.Response:
        """Return it for aiohttp, with the stand-in's time in the Date header."""
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
        note_call: called with each call, and again when it's answered.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        faults: Faults,
        rates: Rates,
        open_connection: Callable[[], str],
        note_call: Callable[[ApiCall], None],
        most_calls: int | None = None,
    ) -> None:
        self._workspaces = workspaces
        self._now = workspaces.first.workspace.now
        self._faults = faults
        self._rates = rates
        self._note_call = note_call
        self._closing = asyncio.Event()
        self._methods = {
            **METHODS,
            CONNECTIONS_OPEN: Method(lambda _app, _args: {"url": open_connection()}, tier="t3", token=TokenKind.APP),
        }
        self.calls: Newest[ApiCall] = Newest(most_calls)

    def add_methods(self, methods: Mapping[str, Method]) -> None:
        """Answer further methods."""
        self._methods.update(methods)

    def close(self) -> None:
        """Drop hanging calls."""
        self._closing.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request."""
        name = request.match_info["method"]
        incoming = await _read(request, self._methods.get(name))
        call = ApiCall(name, incoming.args.values, self._now(), self._workspaces.team_of(incoming.token, incoming.args))
        return await self._answer(request, call, lambda: self._perform(name, incoming))

    async def handle_response(self, request: web.Request) -> web.StreamResponse:
        """Handle a post to a response URL."""
        token, payload = request.match_info["token"], read_response(await request.text())
        urls = self._workspaces.response_urls(token)
        call = ApiCall(RESPONSE_URL, payload or {}, self._now(), urls.team_id)
        return await self._answer(request, call, lambda: _respond(urls, token, payload))

    async def _answer(self, request: web.Request, call: ApiCall, perform: Callable[[], Reply]) -> web.StreamResponse:
        """Record the call, perform it and respond, unless its method has a fault."""
        self.calls.append(call)
        self._note_call(call)
        started = time.monotonic()
        fault = self._faults.take(call.method, call.team_id)
        reply = perform() if fault is None else await self._misbehave(fault, perform)
        call.took_s = time.monotonic() - started
        if reply is not None:
            call.take(reply)
        self._note_call(call)
        return _hang_up(request) if reply is None else reply.response(self._now())

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
        app, headers = self._workspaces.first.installation, {}
        try:
            method = self._method(name)
            if incoming.refusal is not None:
                raise incoming.refusal
            if method.token is not None:
                app = self._workspaces.authenticate(incoming.token, method.token, name, incoming.args)
                headers = {"X-OAuth-Scopes": ",".join(sorted(self._workspaces.scopes(incoming.token, app)))}
            wait_s = self._wait_s(app, name, incoming.args)
            if wait_s:
                return ratelimited(wait_s)
            method.check(app, incoming.args)
            return Reply(200, {"ok": True, **method.run(app, incoming.args)}, headers)
        except RefusalError as refusal:
            return Reply(200, refusal.reply(), headers)

    def _method(self, name: str) -> Method:
        if name not in self._methods:
            raise RefusalError("unknown_method", req_method=name)
        return self._methods[name]

    def _wait_s(self, app: Installation, name: str, args: Arguments) -> int:
        team_id = app.workspace.id
        if name == POST_MESSAGE:
            return self._rates.post_wait_s(team_id, args.text("channel"))
        tier = "t1" if app.is_distributed and name in READS_HISTORY else self._methods[name].tier
        return self._rates.call_wait_s(team_id, name, tier)


def _respond(urls: ResponseUrls, token: str, payload: Json | None) -> Reply:
    try:
        urls.use(token, payload)
    except RefusalError as refusal:
        gone = refusal.code in {"used_url", "expired_url"}
        return Reply(404 if gone else 200, refusal.reply())
    return Reply(200, {"ok": True})


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A parsed call; ``refusal`` says why parsing failed."""

    token: str
    args: Arguments
    refusal: RefusalError | None = None


async def _read(request: web.Request, method: Method | None) -> _Incoming:
    """Parse a call. As in Slack, methods that don't accept JSON ignore a JSON body."""
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
    if scheme == "Basic":
        values.update(_client(header))
    token = header.strip() if scheme == "Bearer" else argument
    return _Incoming(token, Arguments(values, token), refusal)


def _client(header: str) -> Json:
    """Return the app's credentials from HTTP Basic authentication, as OAuth's methods take them."""
    try:
        name, _, secret = base64.b64decode(header, validate=True).decode().partition(":")
    except ValueError:
        return {}
    return {"client_id": unquote(name), "client_secret": unquote(secret)}


def _json_object(body: str) -> Json:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise RefusalError("invalid_json") from error
    if not isinstance(value, dict):
        raise RefusalError("json_not_object")
    return value


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; aiohttp then sends nothing."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
