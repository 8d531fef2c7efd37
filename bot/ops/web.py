"""The HTTP routes: health, metrics, Slack's events in HTTP mode, FloKit's webhooks, and the pages to install the app.

Webhooks are answered without waiting for the database or FloKit.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.async_app import AsyncApp

from bot.core.errors import RequestRefused, StoreUnavailable
from bot.flokit.looks import SharedLooks
from bot.flokit.webhooks import WebhookReceiver
from bot.observability.logs import Episodes
from bot.observability.telemetry import SILENT, Telemetry
from bot.ops.bodies import Bodies
from bot.ops.connections import HEAD_WITHIN_S, Connections
from bot.ops.health import Health
from bot.ops.install import InstallPages
from bot.ops.metrics import CONTENT_TYPE, Scraper
from bot.slack.http import Headers, SlackVerifier, read_request
from bot.slack.oauth import INSTALL_PATH, REDIRECT_PATH

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY_BYTES: Final = 768 * 1024
"""For Slack's bodies. With buffers, a request takes less than a megabyte."""

READ_AHEAD_BYTES: Final = 16 * 1024
MOST_HEADERS: Final = 64
LINGERS_S: Final = 1.0
"""How long the rest of a refused request is read and dropped, so that the sender sees the refusal."""

SLACK_PATH: Final = "/slack/events"
SLACK_BODY_WITHIN_S: Final = 3.0
"""Slack has given up by then: https://docs.slack.dev/interactivity/handling-user-interaction#acknowledgment_response"""

IDLE_WITHIN_S: Final = 150.0
"""How long a connection may be open without a whole request head. Longer than proxies keep idle connections (Caddy:
120 s), so that no request arrives on a connection that is being closed."""

STATE_KEPT_S: Final = 1.0
"""How long answers of ``/readyz`` and ``/metrics`` are reused, so that a flood reads the database once a second."""

MAX_WEBHOOK_BYTES: Final = 64 * 1024
WEBHOOK_BODY_WITHIN_S: Final = 5.0
WEBHOOK_PATH: Final = "/webhooks/flokit"
WEBHOOK_KEYED_PATH: Final = "/webhooks/flokit/{secret}"


@dataclass(frozen=True, slots=True)
class WebLimits:
    """How long a client may take, and how many connections there may be (None: as many as the process can hold)."""

    slack_body_within_s: float = SLACK_BODY_WITHIN_S
    webhook_body_within_s: float = WEBHOOK_BODY_WITHIN_S
    idle_within_s: float = IDLE_WITHIN_S
    head_within_s: float = HEAD_WITHIN_S
    most_connections: int | None = None


DEFAULT_LIMITS: Final = WebLimits()


class WebServer:
    """Serves the routes on one address; those of Slack and FloKit are refused while nothing is running."""

    def __init__(
        self,
        health: Health,
        *,
        host: str,
        port: int,
        slack: SlackVerifier | None = None,
        webhooks: WebhookReceiver | None = None,
        install: InstallPages | None = None,
        hint: Callable[[str], Awaitable[bool]] | None = None,
        scraper: Scraper | None = None,
        telemetry: Telemetry = SILENT,
        limits: WebLimits = DEFAULT_LIMITS,
    ) -> None:
        self._health = health
        self._telemetry = telemetry
        self._host = host
        self._port = port
        self._limits = limits
        app = web.Application(middlewares=[self._note_request, _answer_refusals_alike])
        app.on_response_prepare.append(_say_little)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        if scraper:
            self._scraper = scraper
            app.router.add_get("/metrics", self._metrics)
        if slack:
            self._slack = slack
            app.router.add_post(SLACK_PATH, self._slack_request)
        if webhooks:
            self._webhooks = webhooks
            app.router.add_post(WEBHOOK_PATH, self._webhook)
            app.router.add_post(WEBHOOK_KEYED_PATH, self._webhook)
        if hint:
            self._hint = hint
            app.router.add_post(WEBHOOK_KEYED_PATH, self._workspace_webhook)
        if install:
            self._install = install
            app.router.add_get(INSTALL_PATH, self._begin_install)
            app.router.add_get(REDIRECT_PATH, self._finish_install)
        self._answers = SharedLooks[Any](kept_s=STATE_KEPT_S, clock=time.monotonic)
        self._bodies = Bodies()
        self._episodes = Episodes()
        # Signatures are of the bytes that were sent, so nothing is decompressed.
        self._protocol_options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": limits.idle_within_s,
            "lingering_time": LINGERS_S,
            "read_bufsize": READ_AHEAD_BYTES,
            "max_headers": MOST_HEADERS,
        }
        self._runner = web.AppRunner(app, shutdown_timeout=3.0, **self._protocol_options)
        self._connections: Connections | None = None

    async def start(self) -> int:
        """Listen, and return the port: the configured one, or a free one for 0.

        Raises:
            OSError: the address is taken or not ours.
        """
        await self._runner.setup()
        limits = self._limits
        connections = Connections(self._make_protocol, most=limits.most_connections, head_within_s=limits.head_within_s)
        port = await connections.listen(self._host, self._port)
        self._connections = connections
        return port

    async def stop(self) -> None:
        """Stop listening, after finishing the requests that have started."""
        if self._connections:
            await self._connections.stop()
        await self._runner.cleanup()
        await self._answers.aclose()

    def _make_protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the server isn't set up")
        return _Protocol(server, loop=asyncio.get_running_loop(), **self._protocol_options)

    @web.middleware
    async def _note_request(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if self._connections:
            self._connections.note_request(request.transport)
        return await handler(request)

    async def _livez(self, _request: web.Request) -> web.Response:
        stuck = self._health.stuck()
        body = {"status": "stuck", "problems": stuck} if stuck else {"status": "ok"}
        return web.json_response(body, status=HTTPStatus.SERVICE_UNAVAILABLE if stuck else HTTPStatus.OK)

    async def _readyz(self, _request: web.Request) -> web.Response:
        problems = await self._answers.look("/readyz", self._health.problems, max_age_s=STATE_KEPT_S)
        body = {"status": "not ready" if problems else "ready", "problems": problems}
        return web.json_response(body, status=503 if problems else 200)

    async def _metrics(self, _request: web.Request) -> web.Response:
        text = await self._answers.look("/metrics", self._scraper.text, max_age_s=STATE_KEPT_S)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def _begin_install(self, request: web.Request) -> web.Response:
        return await self._install.begin(request) if self._health.running else self._install.starting()

    async def _finish_install(self, request: web.Request) -> web.Response:
        return await self._install.finish(request) if self._health.running else self._install.starting()

    async def _slack_request(self, request: web.Request) -> web.Response:
        running = self._health.running
        if running is None:
            return _refusal("starting", HTTPStatus.SERVICE_UNAVAILABLE)
        began_at = time.monotonic()
        try:
            claim = self._slack.read_claim(request.headers)
            body = await self._bodies.read(request, most=MAX_BODY_BYTES, within_s=self._limits.slack_body_within_s)
            self._slack.check(claim, body)
            with self._keeping(request):
                return await _deliver(running.bolt, request.headers, body)
        except RequestRefused as refused:
            self._telemetry.answered_slack("other", "refused", time.monotonic() - began_at)
            self._episodes.note("slack_request_refused", reason=str(refused))
            return _refusal(str(refused), refused.http_status)

    def _keeping(self, request: web.Request) -> contextlib.AbstractContextManager[None]:
        return self._connections.keeping(request.transport) if self._connections else contextlib.nullcontext()

    async def _webhook(self, request: web.Request) -> web.Response:
        try:
            body = await self._bodies.read(request, most=MAX_WEBHOOK_BYTES, within_s=self._limits.webhook_body_within_s)
            path_secret = request.match_info.get("secret", "")
            hint = self._webhooks.verify(request.headers.items(), bytes(body), path_secret=path_secret)
        except RequestRefused as refused:
            self._telemetry.webhook("refused")
            self._episodes.note("webhook_refused", reason=str(refused))
            return _refusal(str(refused), refused.http_status)
        running = self._health.running
        if running is None:  # the sender will deliver it again
            self._telemetry.webhook("starting")
            return web.json_response({"error": "starting"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
        if not self._webhooks.take(hint, running.on_hint):
            self._telemetry.webhook("duplicate")
            return web.json_response({"status": "duplicate"})
        self._telemetry.webhook("accepted")
        return web.json_response({"status": "accepted"}, status=HTTPStatus.ACCEPTED)

    async def _workspace_webhook(self, request: web.Request) -> web.Response:
        """Take a webhook at the address of one workspace: anyone who knows it may send, and the body doesn't matter."""
        try:
            await self._bodies.read(request, most=MAX_WEBHOOK_BYTES, within_s=self._limits.webhook_body_within_s)
            is_known = self._health.running and await self._hint(request.match_info["secret"])
        except RequestRefused as refused:
            self._telemetry.webhook("refused")
            return _refusal(str(refused), refused.http_status)
        except StoreUnavailable:
            is_known = None
        if is_known is None:  # the sender will deliver it again
            self._telemetry.webhook("starting")
            return web.json_response({"error": "try again"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
        if not is_known:
            self._telemetry.webhook("refused")
            self._episodes.note("webhook_refused", reason="no workspace has this address")
            return _refusal("No workspace has this address.", HTTPStatus.UNAUTHORIZED)
        self._telemetry.webhook("accepted")
        return web.json_response({"status": "accepted"}, status=HTTPStatus.ACCEPTED)


@web.middleware
async def _answer_refusals_alike(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer the framework's refusals (404, 405, 413) as the routes do; the path is never echoed."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        headers = {name: value for name, value in refused.headers.items() if name == "Allow"}
        sentence = HTTPStatus(refused.status).phrase.lower()
        return _refusal(sentence, refused.status, **headers)


QUIET: Final = {"Server": "flokit-bot", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""Hides the server's version, and keeps browsers from guessing the type of an answer."""


async def _say_little(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(QUIET)


class _Protocol(RequestHandler):
    """Answers what isn't HTTP as the routes refuse: aiohttp would echo what was sent, and name its version."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer requests that aiohttp can't read, and errors outside the routes."""
        answer = super().handle_error(request, status, exc, message)  # which logs it and closes the connection
        return _refusal(HTTPStatus(answer.status).phrase.lower(), answer.status, **QUIET)


async def _deliver(bolt: AsyncApp, headers: Headers, body: bytearray) -> web.Response:
    """Pass a request to Bolt. If Bolt fails before it reaches a listener, the request isn't from Slack.

    Raises:
        RequestRefused: it can't be read.
    """
    try:
        return await to_aiohttp_response(await bolt.async_dispatch(read_request(headers, body)))
    except RequestRefused:
        raise
    except Exception as error:  # noqa: BLE001 - Bolt doesn't check the shape of payloads
        raise RequestRefused(
            f"The payload doesn't look like one that Slack sends ({type(error).__name__}).",
            http_status=HTTPStatus.BAD_REQUEST,
        ) from None


def _refusal(sentence: str, status: int, **headers: str) -> web.Response:
    """Refuse, and close the connection, so that each further refusal costs the sender a new connection."""
    response = web.json_response({"error": sentence}, status=status, headers=headers)
    response.force_close()
    return response
