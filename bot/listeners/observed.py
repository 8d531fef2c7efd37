"""Bolt, with each of Slack's requests led to its workspace, and timed from arrival to answer."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.core.blocks.elements import plain, section
from bot.core.errors import InstallationLost, StoreUnavailable
from bot.listeners.payloads import kind_of, storable
from bot.listeners.reception import NOT_SAVED, Reception
from bot.observability.context import Runtime
from bot.slack.replies import Identity

log = structlog.get_logger(__name__)


NOT_INSTALLED: Final = "I'm not installed in this workspace. Ask whoever manages your Slack apps to install me."

ADDRESSEE: Final = "addressee"
"""Where Bolt's context has the workspace that a request is for."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """The workspace that a request is for."""

    identity: Identity
    bot_token: str = field(repr=False)
    reception: Reception


class ObservedApp(AsyncApp):
    """Reports every request; middleware can't, because Bolt runs the listener after it.

    Args:
        runtime: what the requests are reported to.
        find: returns the workspace that a request is for, by Bolt's context and the body; None if there is no such
            workspace, or nothing more to do. Raises InstallationLost if it has to be installed again.
        tell: sends a sentence to a click's ``response_url``, which needs no token.
        options: those of Bolt.
    """

    def __init__(
        self,
        runtime: Runtime,
        find: Callable[[AsyncBoltContext, Mapping[str, Any]], Awaitable[Addressee | None]],
        *,
        tell: Callable[[str, str], None] | None = None,
        **options: Any,
    ) -> None:
        # By default, Bolt logs unhandled requests, and fails on their shape.
        super().__init__(raise_error_for_unhandled_request=True, authorize=_authorize, **options)
        self._telemetry = runtime.telemetry
        self._acks = runtime.acks
        self._find = find
        self._tell = tell

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Answer one request; characters that can't be stored are removed first."""
        kind, began_at = kind_of(req.body), time.monotonic()
        with self._telemetry.tracer.span(f"slack {kind}", parent=""), self._acks.first():
            response = await self._dispatch(req)
        result = "acked" if response.status == 200 else "refused"
        self._telemetry.answered_slack(kind, result, time.monotonic() - began_at)
        return response

    async def _dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        try:
            req.body = storable(req.body)
            addressee = await self._find(req.context, req.body)
            if addressee is None:
                return _answer(req.body, NOT_INSTALLED)
            req.context.update({ADDRESSEE: addressee, "reception": addressee.reception})
            return await super().async_dispatch(req)
        except InstallationLost as lost:
            return self._turn_away(req.body, str(lost))
        except StoreUnavailable as error:
            log.warning("request_not_saved", error=str(error))
            return _answer(req.body, NOT_SAVED, status=503)
        except Exception as error:  # noqa: BLE001 - Bolt takes the shapes of payloads for granted
            log.warning("slack_request_unreadable", error=type(error).__name__)
            return BoltResponse(status=400)

    def _turn_away(self, body: Mapping[str, Any], sentence: str) -> BoltResponse:
        """Answer a person without a token; events are acked, so that Slack doesn't send them again."""
        if body.get("type") == "view_submission":
            view = {"type": "modal", "title": plain("FloKit"), "close": plain("Close"), "blocks": [section(sentence)]}
            return _json({"response_action": "update", "view": view})
        if self._tell and isinstance(response_url := body.get("response_url"), str) and kind_of(body) == "button":
            self._tell(response_url, sentence)
        return _answer(body, sentence)


def _answer(body: Mapping[str, Any], sentence: str, *, status: int = 200) -> BoltResponse:
    """Answer without a workspace: a command with a sentence, anything else with a status that Slack acts on."""
    if kind_of(body) != "command":
        return BoltResponse(status=status)
    return _json({"text": sentence, "response_type": "ephemeral"})


def _json(answer: Mapping[str, Any]) -> BoltResponse:
    return BoltResponse(status=200, body=json.dumps(answer), headers={"Content-Type": "application/json"})


async def _authorize(context: AsyncBoltContext) -> AuthorizeResult:
    addressee: Addressee = context[ADDRESSEE]
    identity = addressee.identity
    return AuthorizeResult(
        enterprise_id=None,
        team_id=identity.team_id,
        bot_token=addressee.bot_token,
        bot_id=identity.bot_id,
        bot_user_id=identity.bot_user_id,
    )
