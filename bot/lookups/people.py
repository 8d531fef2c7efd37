"""Who people are, as Slack knows them: their time zone, whether they are guests, which user groups they are in.

One cache for all that asks. Nobody is let in because Slack could not be asked: then the error is passed on. Where Slack
answers and won't say who somebody is, that stays unknown, with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import structlog
from cachetools import TTLCache

from bot.core.access.policy import Kind
from bot.core.errors import SlackError
from bot.core.subscriptions.zones import zone_info
from bot.slack.client import SlackClient
from bot.slack.replies import Profile

log = structlog.get_logger(__name__)

ZONE_KEPT_S: Final = 6 * 3600.0
KIND_KEPT_S: Final = 15 * 60.0
"""A member who becomes a guest is one after this time at the latest."""

GROUP_KEPT_S: Final = 5 * 60.0
UNKNOWN_KEPT_S: Final = 30.0
"""Once the app gets a scope that it lacked, people must not wait long."""

PEOPLE_KEPT: Final = 10_000
GROUPS_KEPT: Final = 100_000
"""More than a policy file can name."""

UTC: Final = "UTC"
CODE_CHARS: Final = 60

NO_WORKSPACE: Final = "no_workspace"
DEACTIVATED: Final = "deactivated"
"""What stands for Slack's error code where Slack described somebody in a way that settles nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person is in our workspace.

    ``kind`` None: Slack won't say, and ``unknown`` is the sentence why. ``is_near``: a member, or somebody whose other
    workspace shares a channel with ours.
    """

    kind: Kind | None = None
    unknown: str = ""
    is_near: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Who is in a user group; ``members`` None: Slack won't say, and ``unknown`` is the sentence why."""

    members: frozenset[str] | None = None
    unknown: str = ""

    def holds(self, user_id: str) -> bool | None:
        """Tell whether a person is in it; None: that is not known."""
        return None if self.members is None else user_id in self.members


class People:
    """The people of one workspace."""

    def __init__(self, slack: SlackClient, team_id: str) -> None:
        self._slack = slack
        self._team_id = team_id
        self._zones: TTLCache[str, str] = TTLCache(PEOPLE_KEPT, ZONE_KEPT_S)
        self._standings: TTLCache[str, Standing] = TTLCache(PEOPLE_KEPT, KIND_KEPT_S)
        self._groups: TTLCache[str, Group] = TTLCache(GROUPS_KEPT, GROUP_KEPT_S)
        self._unknown: TTLCache[str, Standing] = TTLCache(PEOPLE_KEPT, UNKNOWN_KEPT_S)
        self._unknown_groups: TTLCache[str, Group] = TTLCache(GROUPS_KEPT, UNKNOWN_KEPT_S)

    async def zone_of(self, user_id: str) -> str:
        """Return the IANA name of a person's time zone; UTC where Slack does not say, or cannot be asked."""
        return await self.find_zone(user_id) or UTC

    async def find_zone(self, user_id: str) -> str:
        """Return the IANA name of a person's time zone, UTC where Slack does not say; "" when it cannot be asked."""
        zone = self._zones.get(user_id)
        if zone:
            return zone
        try:
            await self._learn(user_id)
        except SlackError as error:
            log.info("zone_unknown", code=error.code, error=str(error))
        return self._zones.get(user_id, "")

    def known_standing(self, user_id: str) -> Standing | None:
        """Return what a person is, without asking; None: nobody asked lately."""
        return self._standings.get(user_id) or self._unknown.get(user_id)

    def known_groups(self, group_ids: Iterable[str]) -> dict[str, Group]:
        """Return those of the groups that are known, without asking."""
        known = {group_id: self._groups.get(group_id) or self._unknown_groups.get(group_id) for group_id in group_ids}
        return {group_id: group for group_id, group in known.items() if group is not None}

    async def learn_standing(self, user_id: str) -> Standing:
        """Ask what a person is.

        Raises:
            SlackError: it cannot be asked now; ``retryable``.
        """
        try:
            return await self._learn(user_id)
        except SlackError as error:
            if error.retryable:
                raise
            log.warning("user_lookup_denied", user_id=user_id, code=error.code)
            return self._note_unknown(user_id, error.code)

    async def learn_group(self, group_id: str) -> Group:
        """Ask who is in a group.

        Raises:
            SlackError: it cannot be asked now; ``retryable``.
        """
        try:
            group = Group(await self._slack.fetch_group(group_id))
        except SlackError as error:
            if error.retryable:
                raise
            log.warning("group_lookup_denied", group_id=group_id, code=error.code)
            why = _why_unknown(error.code, "usergroups:read", f"the members of {group_id}")
            group = Group(unknown=f"I can't tell which user groups you're in: {why}")
            self._unknown_groups[group_id] = group
            return group
        self._groups[group_id] = group
        return group

    async def _learn(self, user_id: str) -> Standing:
        profile = await self._slack.fetch_profile(user_id)
        self._zones[user_id] = _usable(profile.zone)
        if profile.is_deactivated or not (profile.team_ids or profile.is_stranger):
            return self._note_unknown(user_id, DEACTIVATED if profile.is_deactivated else NO_WORKSPACE)
        standing = self._standing_of(profile)
        self._standings[user_id] = standing
        return standing

    def _standing_of(self, profile: Profile) -> Standing:
        """Weigh what Slack says: https://docs.slack.dev/reference/objects/user-object.

        ``is_stranger`` is somebody of another workspace with whom ours shares no channel. Without it they may still be
        of another one, so the workspaces that they belong to decide; in an Enterprise organization those are several.
        """
        if profile.is_stranger:
            return Standing(Kind.STRANGERS)
        if self._team_id not in profile.team_ids:
            return Standing(Kind.STRANGERS, is_near=True)
        return Standing(Kind.GUESTS if profile.is_guest else Kind.MEMBERS, is_near=True)

    def _note_unknown(self, user_id: str, code: str) -> Standing:
        why = _why_unknown(code, "users:read", "your profile")
        standing = Standing(unknown=f"I can't tell whether you're a member of this workspace: {why}")
        self._unknown[user_id] = standing
        return standing


def _why_unknown(code: str, scope: str, what: str) -> str:
    if code == "missing_scope":
        return (
            f"my Slack app doesn't have the {scope} scope. An admin can add it under OAuth & Permissions and "
            "reinstall the app."
        )
    return f"Slack doesn't show me {what} ({code[:CODE_CHARS] or 'no reason given'})."


def _usable(name: str) -> str:
    try:
        return zone_info(name).key
    except ValueError:
        return UTC
