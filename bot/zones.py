"""In which time zone a person lives: asked once, and never in the way of what they wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from cachetools import TTLCache

from bot.core.errors import SlackError
from bot.core.zones import zone_info

if TYPE_CHECKING:
    from bot.slack import SlackClient

log = structlog.get_logger(__name__)

KEPT_S: Final = 6 * 3600.0
PEOPLE_KEPT: Final = 10_000
UTC: Final = "UTC"


class Zones:
    """People's time zones, as Slack knows them; UTC where it does not say, or must not be asked."""

    def __init__(self, slack: SlackClient) -> None:
        self._slack = slack
        self._known: TTLCache[str, str] = TTLCache(PEOPLE_KEPT, KEPT_S)

    async def of(self, user_id: str) -> str:
        """Return the IANA name of a person's time zone."""
        if user_id in self._known:
            return self._known[user_id]
        try:
            zone = _usable(await self._slack.fetch_zone(user_id))
        except SlackError as error:
            log.info("zone_unknown", code=error.code, error=str(error))
            return UTC
        self._known[user_id] = zone
        return zone


def _usable(name: str) -> str:
    try:
        return zone_info(name).key
    except ValueError:
        return UTC
