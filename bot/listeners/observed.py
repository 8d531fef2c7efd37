"""Bolt, with each request of Slack's timed from its arrival to our answer."""

from __future__ import annotations

import time
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.listeners.payloads import kind_of, storable
from bot.observability.telemetry import Telemetry

log = structlog.get_logger(__name__)


class ObservedApp(AsyncApp):
    """Reports every request; middleware cannot, since Bolt runs the listener after it."""

    def __init__(self, telemetry: Telemetry, **options: Any) -> None:
        # Left alone, Bolt writes down what nobody listens to, and trips over its shape.
        super().__init__(raise_error_for_unhandled_request=True, **options)
        self._telemetry = telemetry

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Answer one request; what no database can store is taken out of it first."""
        kind, began_at = kind_of(req.body), time.monotonic()
        with self._telemetry.tracer.span(f"slack {kind}", parent=""):
            response = await self._dispatch(req)
        result = "acked" if response.status == 200 else "refused"
        self._telemetry.answered_slack(kind, result, time.monotonic() - began_at)
        return response

    async def _dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        try:
            req.body = storable(req.body)
            return await super().async_dispatch(req)
        except Exception as error:  # noqa: BLE001 - Bolt takes the shapes of payloads for granted
            log.warning("slack_request_unreadable", error=type(error).__name__)
            return BoltResponse(status=400)
