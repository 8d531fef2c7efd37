"""The App Home of a person who isn't allowed to view anything."""

from __future__ import annotations

import structlog

from bot.core import blocks
from bot.core.access.policy import Refused
from bot.core.errors import SlackError
from bot.slack.client import SlackClient

log = structlog.get_logger(__name__)


async def publish_refusal(slack: SlackClient, user_id: str, refused: Refused, *, edits_policy: bool) -> None:
    """Show a person in their App Home why it's empty; ``edits_policy`` as in `blocks.home_view`.

    Raises:
        SlackError: it can't be shown now; ``retryable``. Permanent failures are logged.
    """
    try:
        await slack.publish_home(user_id, blocks.refused_home(refused, edits_policy=edits_policy))
    except SlackError as error:
        if error.retryable:
            raise
        log.warning("home_not_drawn", user_id=user_id, code=error.code, error=str(error))
