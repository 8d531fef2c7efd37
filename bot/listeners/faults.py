"""The answer if a listener raises unexpectedly; without it, Slack would say that the app didn't respond."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import structlog
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse

from bot.core import blocks
from bot.core.blocks.phrases import went_wrong
from bot.core.errors import SlackError
from bot.core.subscriptions.form import WHAT
from bot.listeners.payloads import kind_of
from bot.observability.logs import Episodes
from bot.observability.telemetry import Telemetry
from bot.slack.client import SlackClient
from bot.store.ids import new_id

MATCHING_MODULES: Final = ("slack_bolt.listener_matcher.", "slack_bolt.middleware.", "slack_bolt.request.")
"""Where Bolt reads payloads before it calls a listener."""

log = structlog.get_logger(__name__)


class Faults:
    """Answers for listeners that raise: Bolt sends this response instead of theirs."""

    def __init__(self, slack: SlackClient, telemetry: Telemetry) -> None:
        self._slack = slack
        self._telemetry = telemetry
        self._answers: set[asyncio.Task[None]] = set()
        self._episodes = Episodes()

    async def answer(self, error: Exception, body: dict[str, Any]) -> BoltResponse:
        """Log the fault and ack with its ID; for a click, the ID follows the ack.

        The body is from Slack: over HTTP, nothing gets here without a valid signature.
        """
        if isinstance(error, BoltUnhandledRequestError):
            self._episodes.note("slack_request_unhandled", kind=kind_of(body))
            return BoltResponse(status=404)
        if _is_of_another_shape(error):
            log.warning("slack_request_unreadable", error=type(error).__name__)
            return BoltResponse(status=400)
        error_id = new_id("err")
        self._telemetry.fault("listener")
        log.error("listener_failed", error_id=error_id, exc_info=error)
        sentence = went_wrong(error_id, "Try again in a minute.")
        if body.get("command"):
            return _json({"text": sentence, "response_type": "ephemeral"})
        if body.get("type") == "view_submission":
            return _json({"response_action": "errors", "errors": {WHAT: sentence}})
        if response_url := body.get("response_url"):
            self.tell_soon(str(response_url), sentence)
        return BoltResponse(status=200)

    def tell_soon(self, response_url: str, sentence: str) -> None:
        """Send a message after an ack that can't carry one; only the person who clicked sees it."""
        task = asyncio.create_task(self._tell(response_url, sentence))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _tell(self, response_url: str, sentence: str) -> None:
        try:
            await self._slack.respond(response_url, blocks.plain_message(sentence))
        except SlackError as error:
            log.warning("refusal_not_told", error=str(error))


def _is_of_another_shape(error: Exception) -> bool:
    """Whether Bolt raised this while looking for a listener, because it doesn't validate payloads."""
    traceback = error.__traceback__
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get("__name__", "") if traceback else ""
    return str(module).startswith(MATCHING_MODULES)


def _json(body: dict[str, Any]) -> BoltResponse:
    return BoltResponse(status=200, body=json.dumps(body), headers={"Content-Type": "application/json"})
