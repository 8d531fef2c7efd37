"""What a person is told when a listener raises all the same: without this, Slack would say that nothing answers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import structlog
from slack_bolt.response import BoltResponse

from bot.core import blocks
from bot.core.errors import SlackError
from bot.core.subscribe_form import WHAT
from bot.store.ids import new_id

if TYPE_CHECKING:
    from bot.slack import SlackClient
    from bot.telemetry import Telemetry

log = structlog.get_logger(__name__)


class Faults:
    """Answers for listeners that raise: Bolt sends this response instead of theirs."""

    def __init__(self, slack: SlackClient, telemetry: Telemetry) -> None:
        self._slack = slack
        self._telemetry = telemetry
        self._answers: set[asyncio.Task[None]] = set()

    async def answer(self, error: Exception, body: dict[str, Any]) -> BoltResponse:
        """Log the fault, and ack with its id; after a press the id follows the ack."""
        error_id = new_id("err")
        self._telemetry.fault("listener")
        log.error("listener_failed", error_id=error_id, exc_info=error)
        sentence = f"Something went wrong on my side, and it is logged under {error_id}. Try again in a minute."
        if body.get("command"):
            return _json({"text": sentence, "response_type": "ephemeral"})
        if body.get("type") == "view_submission":
            return _json({"response_action": "errors", "errors": {WHAT: sentence}})
        if response_url := body.get("response_url"):
            task = asyncio.create_task(self._tell(str(response_url), sentence))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)
        return BoltResponse(status=200)

    async def _tell(self, response_url: str, sentence: str) -> None:
        try:
            await self._slack.respond(response_url, blocks.plain_message(sentence))
        except SlackError as error:
            log.warning("refusal_not_told", error=str(error))


def _json(body: dict[str, Any]) -> BoltResponse:
    return BoltResponse(status=200, body=json.dumps(body), headers={"Content-Type": "application/json"})
