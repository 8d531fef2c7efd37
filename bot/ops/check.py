"""``flokit-bot check``: are the settings, the Slack tokens, the FloKit keys and the database right? One line each."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.handlers.doctor import Diagnosis
from bot.slack.client import SlackClient
from bot.store.database import Database
from bot.store.vitals import Vitals

if TYPE_CHECKING:
    from bot.core.health.findings import Finding
    from bot.settings.settings import Settings


async def check(settings: Settings, *, blocks: bool = False) -> list[Finding]:
    """Look at everything; nothing is changed anywhere."""
    database = Database(settings.database_url)
    slack = SlackClient(
        settings.slack_bot_token.get_secret_value(), api_url=settings.slack_web_api_url, network=settings.network
    )
    async with contextlib.AsyncExitStack() as parts:
        parts.push_async_callback(database.close)
        parts.push_async_callback(slack.aclose)
        diagnosis = Diagnosis(settings, slack, Vitals(database), clock=lambda: datetime.now(UTC))
        return await diagnosis.findings(blocks=blocks)
