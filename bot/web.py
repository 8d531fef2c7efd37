"""The HTTP routes: health, metrics, in HTTP mode ``/slack/events``, with a secret ``/webhooks/flokit``.

There are no others. A webhook is answered from memory: it waits neither for the database nor for FloKit.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request

from bot.core.errors import WebhookRefused
from bot.metrics import CONTENT_TYPE
from bot.telemetry import SILENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_bolt.async_app import AsyncApp, AsyncBoltRequest

    from bot.health import Health
    from bot.metrics import Scraper
    from bot.telemetry import Telemetry
    from bot.webhooks import WebhookReceiver

log = structlog.get_logger(__name__)

TIMESTAMP_DIGITS: Final = 12
"""Unix seconds have ten, for a long time to come."""

MAX_BODY_BYTES: Final = 1024 * 1024
SLACK_PATH: Final = "/slack/events"
SLACK_BODY_WITHIN_S: Final = 3.0
"""Slack has given up by then: https://docs.slack.dev/interactivity/handling-user-interaction#acknowledgment_response"""

IDLE_WITHIN_S: Final = 150.0
"""How long a connection may be open without a whole request head. Longer than proxies keep idle connections (Caddy:
120 s), for a request must not meet one that is just being closed."""

MAX_WEBHOOK_BYTES: Final = 64 * 1024
WEBHOOK_BODY_WITHIN_S: Final = 5.0
WEBHOOK_PATH: Final = "/webhooks/flokit"
WEBHOOK_KEYED_PATH: Final = "/webhooks/flokit/{secret}"


class WebServer:
    """Serves the routes on one address; Slack's requests wait for ``bolt`` to be set, webhooks for ``on_hint``."""

    def __init__(
        self,
        health: Health,
        *,
        host: str,
        port: int,
        takes_slack: bool,
        webhooks: WebhookReceiver | None = None,
        slack_body_within_s: float = SLACK_BODY_WITHIN_S,
        webhook_body_within_s: float = WEBHOOK_BODY_WITHIN_S,
        scraper: Scraper | None = None,
        telemetry: Telemetry = SILENT,
        idle_within_s: float = IDLE_WITHIN_S,
    ) -> None:
        self._health = health
        self._telemetry = telemetry
        self._host = host
        self._port = port
        self._slack_body_within_s = slack_body_within_s
        self._webhook_body_within_s = webhook_body_within_s
        self.bolt: AsyncApp | None = None
        self.on_hint: Callable[[], None] | None = None
        """What a new webhook calls. It must return at once."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_answer_refusals_alike])
        app.on_response_prepare.append(_say_little)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        if scraper:
            self._scraper = scraper
            app.router.add_get("/metrics", self._metrics)
        if takes_slack:
            app.router.add_post(SLACK_PATH, self._slack)
        if webhooks:
            self._webhooks = webhooks
            app.router.add_post(WEBHOOK_PATH, self._webhook)
            app.router.add_post(WEBHOOK_KEYED_PATH, self._webhook)
        # Signatures are of the bytes that were sent: nothing is unpacked.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=3.0, auto_decompress=False, keepalive_timeout=idle_within_s
        )

    async def start(self) -> int:
        """Listen, and return the port: the one asked for, or a free one for 0.

        Raises:
            OSError: the address is taken or not ours.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; requests in hand are finished first."""
        await self._runner.cleanup()

    async def _livez(self, _request: web.Request) -> web.Response:
        stuck = self._health.stuck()
        body = {"status": "stuck", "problems": stuck} if stuck else {"status": "ok"}
        return web.json_response(body, status=HTTPStatus.SERVICE_UNAVAILABLE if stuck else HTTPStatus.OK)

    async def _readyz(self, _request: web.Request) -> web.Response:
        problems = await self._health.problems()
        body = {"status": "not ready" if problems else "ready", "problems": problems}
        return web.json_response(body, status=503 if problems else 200)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=await self._scraper.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _slack(self, request: web.Request) -> web.Response:
        if self.bolt is None:
            return web.json_response({"error": "starting"}, status=503)
        if not _is_timestamp(request.headers.get("X-Slack-Request-Timestamp", "")):
            return web.json_response({"error": "this is no request of Slack's"}, status=HTTPStatus.UNAUTHORIZED)
        try:
            async with asyncio.timeout(self._slack_body_within_s):
                bolt_request = await to_bolt_request(request)
        except web.HTTPException:
            raise
        except TimeoutError:
            return web.json_response({"error": "the body came too slowly"}, status=HTTPStatus.REQUEST_TIMEOUT)
        except Exception:  # noqa: BLE001 - Bolt parses before it verifies: anybody's body comes this far
            return web.json_response({"error": "this is no request of Slack's"}, status=400)
        return await self._dispatch(self.bolt, bolt_request)

    async def _dispatch(self, bolt: AsyncApp, request: AsyncBoltRequest) -> web.Response:
        """Have Bolt verify and deliver; what it stumbles over before a listener is reached is no request of Slack's."""
        try:
            return await to_aiohttp_response(await bolt.async_dispatch(request))
        except Exception as error:  # noqa: BLE001 - Bolt's matchers take the shapes of payloads for granted
            log.warning("slack_request_unreadable", error=type(error).__name__)
            return web.json_response({"error": "this is no request of Slack's"}, status=400)

    async def _webhook(self, request: web.Request) -> web.Response:
        try:
            body = await self._read_webhook(request)
            path_secret = request.match_info.get("secret", "")
            hint = self._webhooks.verify(request.headers.items(), body, path_secret=path_secret)
        except WebhookRefused as refused:
            self._telemetry.webhook("refused")
            log.info("webhook_refused", reason=str(refused))
            return web.json_response({"error": str(refused)}, status=refused.http_status)
        if self.on_hint is None:  # whoever sent it delivers it again
            self._telemetry.webhook("starting")
            return web.json_response({"error": "starting"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
        if not self._webhooks.take(hint, self.on_hint):
            self._telemetry.webhook("duplicate")
            return web.json_response({"status": "duplicate"})
        self._telemetry.webhook("accepted")
        return web.json_response({"status": "accepted"}, status=HTTPStatus.ACCEPTED)

    async def _read_webhook(self, request: web.Request) -> bytes:
        """Read a body of bounded size in bounded time, whatever its headers promise.

        Raises:
            WebhookRefused: it is too large, too slow or broken.
        """
        _check_size(request.content_length or 0)
        body = bytearray()
        try:
            async with asyncio.timeout(self._webhook_body_within_s):
                while len(body) <= MAX_WEBHOOK_BYTES and (chunk := await request.content.readany()):
                    body += chunk
        except TimeoutError:
            raise WebhookRefused("The body came too slowly.", http_status=HTTPStatus.REQUEST_TIMEOUT) from None
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
            raise WebhookRefused("The body is broken.", http_status=HTTPStatus.BAD_REQUEST) from None
        _check_size(len(body))
        return bytes(body)


@web.middleware
async def _answer_refusals_alike(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer what is refused by the framework (404, 405, 413) as the routes do; the path is never repeated."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        headers = {name: value for name, value in refused.headers.items() if name == "Allow"}
        sentence = HTTPStatus(refused.status).phrase.lower()
        return web.json_response({"error": sentence}, status=refused.status, headers=headers)


async def _say_little(_request: web.Request, response: web.StreamResponse) -> None:
    """Name neither the server nor its version, and let no browser make more of an answer than it is."""
    response.headers.update({"Server": "flokit-bot", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"})


def _check_size(size: int) -> None:
    if size > MAX_WEBHOOK_BYTES:
        sentence = f"The body is over {MAX_WEBHOOK_BYTES} bytes."
        raise WebhookRefused(sentence, http_status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _is_timestamp(text: str) -> bool:
    """Tell whether this can be Slack's time; the SDK's verifier stumbles over what is no number."""
    return text.isascii() and text.isdecimal() and len(text) <= TIMESTAMP_DIGITS
