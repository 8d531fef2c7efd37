"""Facts about people from Slack: time zone, kind of member, and user groups.

There is one cache for all callers. If Slack can't be reached, the error is raised, so no one gets access because of an
outage. If Slack answers but doesn't say who someone is, that stays unknown, with the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import Final

import structlog
from cachetools import TLRUCache, TTLCache

from bot.core.access.policy import Kind
from bot.core.errors import SlackError
from bot.core.subscriptions.zones import zone_info
from bot.slack.client import SlackClient
from bot.slack.replies import Profile

log = structlog.get_logger(__name__)

ZONE_KEPT_S: Final = 6 * 3600.0
KIND_KEPT_S: Final = 15 * 60.0
"""A member who becomes a guest counts as one after this time at the latest."""

GROUP_KEPT_S: Final = 5 * 60.0
UNKNOWN_KEPT_S: Final = 30.0
"""Short, so that people don't wait long after the app gets a missing scope."""

PEOPLE_KEPT: Final = 10_000
GROUPS_KEPT: Final = 100_000
"""More than a policy file can name."""

UTC: Final = "UTC"
CODE_CHARS: Final = 60

NO_WORKSPACE: Final = "no_workspace"
DEACTIVATED: Final = "deactivated"
"""Used instead of Slack's error code if Slack's description of a person is inconclusive."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A person's role in our workspace.

    ``kind`` is None if Slack doesn't say, for the reason in ``unknown``. ``is_near``: a member, or someone whose
    workspace shares a channel with ours. ``is_admin``: an owner or admin.
    """

    kind: Kind | None = None
    unknown: str = ""
    is_near: bool = False
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A user group's members; None if Slack doesn't say, for the reason in ``unknown``."""

    members: frozenset[str] | None = None
    unknown: str = ""

    def holds(self, user_id: str) -> bool | None:
        """Whether a person is in it; None if unknown."""
        return None if self.members is None else user_id in self.members


class People:
    """The people of one workspace."""

    def __init__(
        self, slack: SlackClient, team_id: str, *, own_zone: Callable[[str], Awaitable[str]] | None = None
    ) -> None:
        """``own_zone`` returns the time zone that a person chose; "" if they didn't."""
        self._own_zone = own_zone
        self._slack = slack
        self._team_id = team_id
        self._zones: TTLCache[str, str] = TTLCache(PEOPLE_KEPT, ZONE_KEPT_S)
        self._standings: TLRUCache[str, Standing, float] = TLRUCache(PEOPLE_KEPT, _until(KIND_KEPT_S), timer=monotonic)

    @cached_property
    def _groups(self) -> TLRUCache[str, Group, float]:
        """Those that a policy names; most name none."""
        return TLRUCache(GROUPS_KEPT, _until(GROUP_KEPT_S), timer=monotonic)

    async def zone_of(self, user_id: str) -> str:
        """Return the IANA name of a person's time zone; UTC if it's unknown."""
        return await self.find_zone(user_id) or UTC

    async def find_zone(self, user_id: str) -> str:
        """Return the IANA name of the zone that a person chose, or else of their profile.

        It's UTC if Slack doesn't say, and "" if Slack can't be reached.
        """
        if self._own_zone and (chosen := await self._own_zone(user_id)):
            return _usable(chosen)
        zone = self._zones.get(user_id)
        if zone:
            return zone
        try:
            await self._learn(user_id)
        except SlackError as error:
            log.info("zone_unknown", code=error.code, error=str(error))
        return self._zones.get(user_id, "")

    async def is_there(self, user_id: str) -> bool:
        """Whether a person still has an account in the workspace, looked up again; True if Slack can't be asked."""
        try:
            profile = await self._slack.fetch_profile(user_id)
        except SlackError as error:
            return error.code != "user_not_found"
        return not profile.is_deactivated

    def known_standing(self, user_id: str) -> Standing | None:
        """Return a person's cached role; None if there's none."""
        return self._standings.get(user_id)

    def known_groups(self, group_ids: Iterable[str]) -> dict[str, Group]:
        """Return the cached groups."""
        return {group_id: group for group_id in group_ids if (group := self._groups.get(group_id))}

    async def is_admin(self, user_id: str) -> bool:
        """Whether a person is an owner or admin of the workspace, looked up again.

        Raises:
            SlackError: Slack can't be asked now; ``retryable``.
        """
        try:
            profile = await self._slack.fetch_profile(user_id)
        except SlackError as error:
            if error.retryable:
                raise
            return False
        return profile.is_admin and not profile.is_deactivated and self._team_id in profile.team_ids

    async def was_admin(self, user_id: str) -> bool:
        """Whether a person was an owner or admin when they were last looked up, a few minutes ago at most.

        Raises:
            SlackError: Slack can't be asked now; ``retryable``.
        """
        standing = self.known_standing(user_id) or await self.learn_standing(user_id)
        return standing.is_admin

    async def learn_standing(self, user_id: str) -> Standing:
        """Look up a person's role.

        Raises:
            SlackError: Slack can't be asked now; ``retryable``.
        """
        try:
            return await self._learn(user_id)
        except SlackError as error:
            if error.retryable:
                raise
            log.warning("user_lookup_denied", user_id=user_id, code=error.code)
            return self._note_unknown(user_id, error.code)

    async def learn_group(self, group_id: str) -> Group:
        """Look up a group's members.

        Raises:
            SlackError: Slack can't be asked now; ``retryable``.
        """
        try:
            group = Group(await self._slack.fetch_group(group_id))
        except SlackError as error:
            if error.retryable:
                raise
            log.warning("group_lookup_denied", group_id=group_id, code=error.code)
            why = _why_unknown(error.code, "usergroups:read", f"the members of {group_id}")
            group = Group(unknown=f"I can't tell which user groups you're in: {why}")
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
        """Derive a role from a profile: https://docs.slack.dev/reference/objects/user-object.

        ``is_stranger`` marks people from other workspaces that share no channel with ours. Others may still be from
        another workspace, so their list of workspaces decides; in an Enterprise organization, there may be several.
        """
        if profile.is_stranger:
            return Standing(Kind.STRANGERS)
        if self._team_id not in profile.team_ids:
            return Standing(Kind.STRANGERS, is_near=True)
        return Standing(Kind.GUESTS if profile.is_guest else Kind.MEMBERS, is_near=True, is_admin=profile.is_admin)

    def _note_unknown(self, user_id: str, code: str) -> Standing:
        why = _why_unknown(code, "users:read", "your profile")
        standing = Standing(unknown=f"I can't tell whether you're a member of this workspace: {why}")
        self._standings[user_id] = standing
        return standing


def _until(kept_s: float) -> Callable[[str, Standing | Group, float], float]:
    """Return the expiry of a cached fact, for `TLRUCache`; what Slack didn't say is asked again soon."""
    return lambda _id, fact, now: now + (UNKNOWN_KEPT_S if fact.unknown else kept_s)


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
