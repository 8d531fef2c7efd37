"""The workspaces of an app that's installed by OAuth: its tokens are those that were granted.

Which workspace a call with an organization's token is for:
https://docs.slack.dev/enterprise/developing-for-enterprise-orgs#methods. Where that doesn't say it, it's the first
workspace that has the channel, view, trigger or person that the call names, and otherwise the first of all.
"""

from __future__ import annotations

from typing import Final

from local_slack.arguments import Arguments
from local_slack.config import ChannelKind
from local_slack.install import Installation, TokenKind
from local_slack.local_workspace import LocalWorkspace
from local_slack.oauth.grants import Grant, Grants
from local_slack.refusal import RefusalError
from local_slack.workspaces import Workspaces

WHOLE_ORG: Final = frozenset({"apps.uninstall", "auth.teams.list", "auth.test"})
"""Methods that are about an installation, not about one workspace."""

NEED_TEAM_ID: Final = frozenset({"bots.info", "usergroups.users.list"})
"""Methods that need ``team_id`` with an organization's token."""


class OAuthWorkspaces(Workspaces):
    """Finds the workspace that a call with a granted token is for."""

    def __init__(self, first: LocalWorkspace, grants: Grants) -> None:
        super().__init__(first)
        self._grants = grants

    def add(self, workspace: LocalWorkspace) -> None:
        """Add a workspace; those of one organization share the bot user, and no channels.

        Raises:
            ValueError: its ID is taken, or the others of its organization can't be told apart from it.
        """
        new = workspace.workspace
        for known in [] if new.org is None else self.of_org(new.org.id):
            if known.workspace.app.bot_user_id != new.app.bot_user_id:
                raise ValueError(f"{new.id} and {known.workspace.id} are of one organization: give them one bot user.")
            if _rooms(known) & _rooms(workspace):
                raise ValueError(f"{new.id} and {known.workspace.id} are of one organization, with other channel IDs.")
        super().add(workspace)

    def authenticate(self, token: str, wanted: TokenKind, method: str, args: Arguments) -> Installation:
        """Return the installation that a call is for.

        Raises:
            RefusalError: with the code with which Slack refuses the token.
        """
        if wanted is TokenKind.APP or token in {"", self.first.installation.tokens.app}:
            return super().authenticate(token, wanted, method, args)
        grant = self._grants.check(token)
        is_whole = grant.org is None or method in WHOLE_ORG
        installation = (grant.home if is_whole else self._meant(grant, method, args)).installation
        if token == installation.tokens.bot and installation.tokens.bot_revoked:
            raise RefusalError("token_revoked")
        return installation

    def scopes(self, token: str, installation: Installation) -> frozenset[str]:
        """Return what a valid token may do."""
        grant = self._grants.find(token)
        return installation.scopes if grant is None or grant.org is None else grant.scopes

    def team_of(self, token: str, args: Arguments) -> str:
        """Return the ID of the workspace that a call is for, or ""."""
        try:
            return self.authenticate(token, TokenKind.BOT, "", args).workspace.id
        except RefusalError:
            return ""

    def _meant(self, grant: Grant, method: str, args: Arguments) -> LocalWorkspace:
        team_id = args.text("team_id")
        if method in NEED_TEAM_ID and not team_id:
            raise RefusalError("missing_argument")
        everywhere = [one for one in self.of_org(grant.holder_id) if team_id in {"", one.workspace.id}]
        granted = [one for one in everywhere if one in grant.workspaces]
        named = [one for one in (*granted, *everywhere) if _holds(one, args)] or granted
        if not named or named[0] not in granted:
            raise RefusalError("team_access_not_granted")
        return named[0]

    def of_org(self, org_id: str) -> list[LocalWorkspace]:
        """Return the workspaces of an organization."""
        return [one for one in self if one.workspace.org is not None and one.workspace.org.id == org_id]


def _holds(workspace: LocalWorkspace, args: Arguments) -> bool:
    """Whether a workspace has the channel, view, trigger or person that a call names."""
    here, app = workspace.workspace, workspace.installation
    channel = args.text("channel") or args.text("channel_id")
    if channel:
        return channel in here.channels or channel in here.users
    if args.text("view_id"):
        return app.views.has(args.text("view_id"))
    if args.text("trigger_id"):
        return app.triggers.knows(args.text("trigger_id"))
    user = args.text("user") or args.text("user_id") or args.text("users").partition(",")[0]
    return user in here.users


def _rooms(workspace: LocalWorkspace) -> set[str]:
    """Return the channels that only one workspace of an organization has; a direct message is the whole one's."""
    channels = workspace.workspace.channels.values()
    return {channel.id for channel in channels if channel.kind is not ChannelKind.IM}
