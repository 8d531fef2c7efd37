"""Bolt, with each request of Slack's timed from its arrival to our answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse

if TYPE_CHECKING:
    from slack_bolt.request.async_request import AsyncBoltRequest

    from bot.observability.telemetry import Telemetry

log = structlog.get_logger(__name__)

_KINDS: Final = {
    "block_actions": "button",
    "view_submission": "view",
    "view_closed": "view",
    "event_callback": "event",
}
"""What the ``type`` of a payload is called here; a slash command has none."""


class ObservedApp(AsyncApp):
    """Reports every request; middleware cannot, since Bolt runs the listener after it."""

    def __init__(self, telemetry: Telemetry, **options: Any) -> None:
        super().__init__(**options)
        self._telemetry = telemetry

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Answer one request."""
        kind, began_at = kind_of(req.body), time.monotonic()
        with self._telemetry.tracer.span(f"slack {kind}", parent=""):
            response = await self._dispatch(req)
        result = "acked" if response.status == 200 else "refused"
        self._telemetry.answered_slack(kind, result, time.monotonic() - began_at)
        return response

    async def _dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        try:
            return await super().async_dispatch(req)
        except Exception as error:  # noqa: BLE001 - Bolt takes the shapes of payloads for granted
            log.warning("slack_request_unreadable", error=type(error).__name__)
            return BoltResponse(status=400)


def kind_of(body: object) -> str:
    """Name what a request is, in one of five words."""
    if not isinstance(body, Mapping):
        return "other"
    type_ = body.get("type")
    if type_ is None and isinstance(body.get("command"), str):
        return "command"
    return _KINDS.get(type_, "other") if isinstance(type_, str) else "other"
