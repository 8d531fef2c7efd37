"""Uninstalling the app and revoking its tokens, and what the app hears of it.

Sources: https://docs.slack.dev/reference/events/tokens_revoked, app_uninstalled, team_access_granted and
team_access_revoked, https://docs.slack.dev/reference/methods/auth.revoke and apps.uninstall, and
https://docs.slack.dev/authentication/using-token-rotation#uninstalling.

``tokens_revoked`` names the bot user, without ``authorizations``; ``app_uninstalled`` has some, which name a person.
They come in no particular order, and only if the app subscribes to them. That a revoked bot token also uninstalls an
app without other tokens is what https://docs.slack.dev/reference/events/app_uninstalled says, and what was seen
(https://github.com/slackapi/bolt-js/issues/1965); ``auth.revoke``'s own page says that it doesn't. With rotation, it
revokes one token, and nothing is sent.

Of an organization, the events name only the organization (https://github.com/lobu-ai/lobu/pull/1819), and those about
its workspaces say ``is_enterprise_install: false`` (https://github.com/slackapi/bolt-js/issues/1778). Of a workspace
in an organization, they name both (https://github.com/lobu-ai/lobu/pull/1829).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from local_slack.config import Org
from local_slack.delivery import Courier
from local_slack.local_workspace import LocalWorkspace
from local_slack.oauth.grants import Grant, Grants
from local_slack.payloads import event_wrapper
from local_slack.workspace import Json

TOLD: Final = ("tokens_revoked", "app_uninstalled")


class Removal:
    """Ends grants and an organization's access to workspaces, and sends the events in the background."""

    def __init__(self, grants: Grants, courier: Courier) -> None:
        self._grants = grants
        self._courier = courier

    def revoke(self, token: str) -> None:
        """Revoke a valid token by ``auth.revoke``."""
        if not self._grants.revoke_one(token):
            self.uninstall(self._grants.check(token))

    def uninstall(self, grant: Grant, told: Sequence[str] = TOLD) -> None:
        """Uninstall the app.

        Args:
            told: the events that are sent, in this order; empty: it's never told.
        """
        self._grants.end(grant)
        for name in told:
            self._tell(grant, _removed(grant, name))

    def change_access(self, grant: Grant, workspace: LocalWorkspace, *, granted: bool) -> None:
        """Add an organization's app to one of its workspaces, or remove it from there.

        Raises:
            LookupError: nothing would change.
        """
        if (workspace in grant.workspaces) is granted:
            raise LookupError(f"The app {'already is' if granted else 'is not'} in {workspace.workspace.name}.")
        if granted:
            grant.workspaces.append(workspace)
        else:
            grant.workspaces.remove(workspace)
        self._grants.settle(workspace)
        name = "team_access_granted" if granted else "team_access_revoked"
        event = {"type": name, "team_ids": [workspace.workspace.id], "event_ts": workspace.workspace.new_ts()}
        self._tell(grant, _wrapped(grant, event, workspace.workspace.app.bot_user_id))

    def _tell(self, grant: Grant, payload: Json) -> None:
        if payload["event"]["type"] in grant.home.installation.events:
            self._courier.start_event(payload)


def _removed(grant: Grant, name: str) -> Json:
    workspace = grant.home.workspace
    event: Json = {"type": name, "event_ts": workspace.new_ts()}
    if name == "app_uninstalled":
        return _wrapped(grant, event, grant.installer)
    event["tokens"] = {"oauth": [], "bot": [workspace.app.bot_user_id]}
    payload = _wrapped(grant, event, "")
    del payload["authorizations"]
    return payload


def _wrapped(grant: Grant, event: Json, user_id: str) -> Json:
    """Return an event about an installation, with the members that Slack's examples have."""
    org: Org | None = grant.home.workspace.org
    team_id = None if grant.org is not None else grant.home.workspace.id
    authorization = {
        "enterprise_id": None if org is None else org.id,
        "team_id": team_id,
        "user_id": user_id,
        "is_bot": False,
        "is_enterprise_install": False,
    }
    wrapper = event_wrapper(grant.home.workspace, event)
    return {**wrapper, "team_id": team_id, "authorizations": [authorization]}
