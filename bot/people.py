"""Who people are, as Slack knows them: their time zone, whether they are guests, which user groups they are in.

One cache for all that asks. Nobody is let in because Slack could not be asked: then the error is passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from cachetools import TTLCache

from bot.core.errors import SlackError
from bot.core.policy import Kind
from bot.core.zones import zone_info

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.slack import Profile, SlackClient

log = structlog.get_logger(__name__)

ZONE_KEPT_S: Final = 6 * 3600.0
KIND_KEPT_S: Final = 15 * 60.0
"""A member who becomes a guest is one after this time at the latest."""

GROUP_KEPT_S: Final = 5 * 60.0
PEOPLE_KEPT: Final = 10_000
GROUPS_KEPT: Final = 1_000
UTC: Final = "UTC"


class People:
    """The people of one workspace."""

    def __init__(self, slack: SlackClient, team_id: str) -> None:
        self._slack = slack
        self._team_id = team_id
        self._zones: TTLCache[str, str] = TTLCache(PEOPLE_KEPT, ZONE_KEPT_S)
        self._kinds: TTLCache[str, Kind] = TTLCache(PEOPLE_KEPT, KIND_KEPT_S)
        self._groups: TTLCache[str, frozenset[str] | None] = TTLCache(GROUPS_KEPT, GROUP_KEPT_S)

    async def zone_of(self, user_id: str) -> str:
        """Return the IANA name of a person's time zone; UTC where Slack does not say, or cannot be asked."""
        zone = self._zones.get(user_id)
        if zone:
            return zone
        try:
            await self._learn(user_id)
        except SlackError as error:
            log.info("zone_unknown", code=error.code, error=str(error))
        return self._zones.get(user_id, UTC)

    def known_kind(self, user_id: str) -> Kind | None:
        """Tell what a person is, without asking; None: that is not known."""
        return self._kinds.get(user_id)

    def known_groups(self, user_id: str, groups: Iterable[str]) -> dict[str, bool | None]:
        """Tell which groups a person is in, of those that are known; None: Slack does not tell."""
        known = {group: self._groups[group] for group in groups if group in self._groups}
        return {group: None if members is None else user_id in members for group, members in known.items()}

    async def learn_kind(self, user_id: str) -> None:
        """Ask what a person is; where Slack will not tell, they are a member as most are.

        Raises:
            SlackError: it cannot be asked now; ``retryable``.
        """
        try:
            await self._learn(user_id)
        except SlackError as error:
            if error.retryable:
                raise
            log.warning("person_not_told", user_id=user_id, code=error.code)
            self._kinds[user_id] = Kind.MEMBERS

    async def learn_group(self, group_id: str) -> None:
        """Ask who is in a group.

        Raises:
            SlackError: it cannot be asked now; ``retryable``.
        """
        try:
            self._groups[group_id] = await self._slack.fetch_group(group_id)
        except SlackError as error:
            if error.retryable:
                raise
            log.warning("group_not_told", group_id=group_id, code=error.code)
            self._groups[group_id] = None

    async def _learn(self, user_id: str) -> None:
        profile = await self._slack.fetch_profile(user_id)
        self._zones[user_id] = _usable(profile.zone)
        self._kinds[user_id] = self._kind_of(profile)

    def _kind_of(self, profile: Profile) -> Kind:
        if profile.is_stranger or (profile.team_ids and self._team_id not in profile.team_ids):
            return Kind.STRANGERS
        return Kind.GUESTS if profile.is_guest else Kind.MEMBERS


def _usable(name: str) -> str:
    try:
        return zone_info(name).key
    except ValueError:
        return UTC
