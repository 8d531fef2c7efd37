"""Links to messages in Slack, built from the workspace's address, which is asked for once and kept.

Asking ``chat.getPermalink`` would take a call for each: https://docs.slack.dev/reference/methods/chat.getPermalink
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.core.errors import SlackError
from bot.slack.client import SlackClient
from bot.store.runs import Runs, Told

log = structlog.get_logger(__name__)

AGAIN_AFTER: Final = timedelta(minutes=10)
"""When to ask for the address again if Slack didn't say it."""

_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+/")


class Links:
    """The links of one workspace."""

    def __init__(self, slack: SlackClient, clock: Callable[[], datetime]) -> None:
        self._slack = slack
        self._clock = clock
        self._address = ""
        self._ask_at: datetime | None = None

    async def of_runs(self, runs: Runs, team_id: str, run_ids: Iterable[str], channel_id: str = "") -> dict[str, str]:
        """Return where runs are told, by their IDs; preferably in a channel, and never in other people's DMs."""
        ids = sorted({run_id for run_id in run_ids if run_id})
        told = await runs.told(team_id, ids, channel_id) if ids else {}
        address = await self._find_address() if told else ""
        return {run_id: _link(address, there) for run_id, there in told.items()} if address else {}

    async def _find_address(self) -> str:
        """Return the workspace's address; "" if Slack doesn't say."""
        now = self._clock()
        if not self._address and (self._ask_at is None or now >= self._ask_at):
            self._ask_at = now + AGAIN_AFTER
            try:
                url = (await self._slack.fetch_identity()).url
            except SlackError as error:
                log.info("links_not_made", code=error.code)
                return ""
            self._address = url if _ADDRESS.fullmatch(url) else ""
        return self._address


def _link(address: str, told: Told) -> str:
    link = f"{address}archives/{told.channel_id}/p{told.ts.replace('.', '')}"
    return f"{link}?thread_ts={told.thread_ts}&cid={told.channel_id}" if told.thread_ts != told.ts else link
