"""The HTTP routes: ``/livez``, ``/readyz`` and, in HTTP mode, ``/slack/events``. There are no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

    from bot.health import Health

MAX_BODY_BYTES: Final = 1024 * 1024
SLACK_PATH: Final = "/slack/events"


class WebServer:
    """Serves the routes on one address; Slack's requests wait for ``bolt`` to be set."""

    def __init__(self, health: Health, *, host: str, port: int, takes_slack: bool) -> None:
        self._health = health
        self._host = host
        self._port = port
        self.bolt: AsyncApp | None = None
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        if takes_slack:
            app.router.add_post(SLACK_PATH, self._slack)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=3.0)

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
        return web.json_response({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        problems = await self._health.problems()
        body = {"status": "not ready" if problems else "ready", "problems": problems}
        return web.json_response(body, status=503 if problems else 200)

    async def _slack(self, request: web.Request) -> web.Response:
        if self.bolt is None:
            return web.json_response({"error": "starting"}, status=503)
        try:
            bolt_request = await to_bolt_request(request)
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001 - Bolt parses before it verifies: anybody's body comes this far
            return web.json_response({"error": "this is no request of Slack's"}, status=400)
        return await to_aiohttp_response(await self.bolt.async_dispatch(bolt_request))
