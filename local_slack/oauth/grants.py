"""What was granted to the app by OAuth: by workspaces, or by whole organizations; and the tokens.

Sources: https://docs.slack.dev/authentication/installing-with-oauth (scopes are additive),
https://docs.slack.dev/authentication/using-token-rotation (twelve hours, refresh tokens work once, at most two tokens),
https://docs.slack.dev/enterprise/migrating-to-organization-wide-deployment (what an organization takes over), and the
errors that all methods share, such as https://docs.slack.dev/reference/methods/auth.test#errors.

Not documented, and so as strict as it could be: the "short grace period" of a used refresh token is none; the third
oldest token is ``token_revoked``; a long-lived token that was exchanged and refreshed is ``token_expired``. Only
reported: a token from before a reinstallation is ``invalid_auth`` (https://github.com/slackapi/bolt-python/issues/1029).
"""

from __future__ import annotations

import math
import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from local_slack.config import Org
from local_slack.local_workspace import LocalWorkspace
from local_slack.refusal import RefusalError
from local_slack.workspace import Clock

TOKEN_LIFETIME_S: Final = 43_200
MOST_TOKENS: Final = 2


@dataclass(slots=True, eq=False)
class Token:
    """A bot token.

    Attributes:
        expires_at: in Unix seconds; infinite without rotation.
        error: what calls with it are refused with; empty while it's valid.
        is_exchanged: whether ``oauth.v2.exchange`` made it into one that expires.
    """

    value: str
    expires_at: float = math.inf
    error: str = ""
    is_exchanged: bool = False


@dataclass(slots=True, eq=False)
class Refresh:
    """A refresh token, good for one new token."""

    value: str
    grant: Grant
    is_used: bool = False


@dataclass(slots=True, eq=False)
class Grant:
    """One installation of the app.

    Attributes:
        home: the workspace; of an organization, any of its workspaces.
        org: the organization, if all of it installed the app.
        scopes: all that were granted.
        installer: the user ID of who installed it last.
        workspaces: where it's installed; an organization adds it to its workspaces later.
    """

    home: LocalWorkspace
    org: Org | None = None
    scopes: frozenset[str] = frozenset()
    installer: str = ""
    workspaces: list[LocalWorkspace] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    refresh: Refresh | None = None
    is_over: bool = False

    @property
    def holder_id(self) -> str:
        """The ID of the workspace or the organization."""
        return self.org.id if self.org is not None else self.home.workspace.id

    @property
    def token(self) -> Token:
        """The newest token."""
        return self.tokens[-1]


class Grants:
    """All grants, past ones included, so that their tokens are refused as Slack refuses them.

    Attributes:
        rotates: whether new tokens expire.
    """

    def __init__(self, clock: Clock, *, rotates: bool) -> None:
        self.rotates = rotates
        self._clock = clock
        self._current: dict[str, Grant] = {}
        self._tokens: dict[str, tuple[Grant, Token]] = {}
        self._issued: dict[str, list[str]] = defaultdict(list)
        """The values of a workspace's or an organization's tokens, of its current grant or its last one."""
        self._refreshes: dict[str, Refresh] = {}

    # installing

    def of(self, holder_id: str) -> Grant | None:
        """Return the grant of a workspace or an organization, or None if it didn't install the app."""
        return self._current.get(holder_id)

    def add(self, workspace: LocalWorkspace, installer: str, scopes: frozenset[str]) -> Grant:
        """Install the app in a workspace. Where it's installed already, the scopes are added.

        Raises:
            RefusalError: ``cannot_install_an_org_installed_app``.
        """
        if self._org_wide(workspace) is not None:
            raise RefusalError("cannot_install_an_org_installed_app")
        grant = self._started(Grant(workspace, workspaces=[workspace]))
        self._extend(grant, installer, scopes)
        return grant

    def add_org(self, home: LocalWorkspace, org: Org, installer: str, scopes: frozenset[str]) -> Grant:
        """Install the app in an organization; it's then in the workspaces where it was, and can be added to others."""
        known = [one.home for one in self._current.values() if one.org is None and one.home.workspace.org == org]
        grant = self._started(Grant(home, org, workspaces=known))
        self._extend(grant, installer, scopes)
        return grant

    def settle(self, workspace: LocalWorkspace) -> None:
        """Bring a workspace in line with its grants; an organization's comes before its own."""
        org_wide = self._org_wide(workspace)
        grant = org_wide or self.of(workspace.workspace.id)
        if grant is not None:
            workspace.admit(grant.scopes, grant.token.value, is_org_wide=org_wide is not None)
        elif workspace.installation.is_installed:
            workspace.expel()

    def end(self, grant: Grant) -> None:
        """Uninstall the app: its tokens are of a deleted user, and its bot user leaves."""
        grant.is_over = True
        for token in grant.tokens:
            token.error = token.error or "account_inactive"
        del self._current[grant.holder_id]
        self._settle_all(grant)

    # tokens

    def find(self, value: str) -> Grant | None:
        """Return the grant of a token, valid or not."""
        found = self._tokens.get(value)
        return None if found is None else found[0]

    def check(self, value: str) -> Grant:
        """Return the grant of a valid token.

        Raises:
            RefusalError: ``invalid_auth``, ``account_inactive``, ``token_revoked`` or ``token_expired``.
        """
        if value not in self._tokens:
            raise RefusalError("invalid_auth")
        grant, token = self._tokens[value]
        if token.error:
            raise RefusalError(token.error)
        if self._clock() >= token.expires_at:
            raise RefusalError("token_expired")
        return grant

    def refresh(self, value: str) -> Grant:
        """Use up a refresh token: its installation gets a new token and a new refresh token.

        Raises:
            RefusalError: ``invalid_refresh_token``.
        """
        refresh = self._refreshes.get(value)
        if refresh is None or refresh.is_used or refresh.grant.is_over:
            raise RefusalError("invalid_refresh_token")
        refresh.is_used = True
        self._issue(refresh.grant)
        for token in refresh.grant.tokens:
            if token.is_exchanged:
                token.expires_at = self._clock()
        self._settle_all(refresh.grant)
        return refresh.grant

    def exchange(self, value: str) -> Grant:
        """Turn a long-lived token into one that expires; the old one works until the first refresh.

        Raises:
            RefusalError: with the code of ``oauth.v2.exchange``.
        """
        if not self.rotates:
            raise RefusalError("token_rotation_not_enabled")
        if value not in self._tokens or self._tokens[value][1].expires_at < math.inf:
            raise RefusalError("invalid_token")
        grant, token = self._tokens[value]
        if token.error:
            raise RefusalError("authorization_not_found")
        if token.is_exchanged:
            raise RefusalError("token_already_exchanged")
        token.is_exchanged = True
        self._issue(grant)
        self._settle_all(grant)
        return grant

    def revoke_one(self, value: str) -> bool:
        """Revoke a token that expires, or a refresh token; return False if it's a long-lived token.

        The installation stays: https://docs.slack.dev/authentication/using-token-rotation.

        Raises:
            RefusalError: it isn't valid.
        """
        refresh = self._refreshes.get(value)
        if refresh is not None and not refresh.is_used:
            refresh.is_used = True
            return True
        self.check(value)
        token = self._tokens[value][1]
        if token.expires_at == math.inf:
            return False
        token.error = "token_revoked"
        return True

    # internals

    def _org_wide(self, workspace: LocalWorkspace) -> Grant | None:
        org = workspace.workspace.org
        grant = None if org is None else self.of(org.id)
        return grant if grant is not None and workspace in grant.workspaces else None

    def _started(self, new: Grant) -> Grant:
        known = self.of(new.holder_id)
        if known is not None:
            return known
        for value in self._issued.pop(new.holder_id, []):
            del self._tokens[value]
        self._current[new.holder_id] = new
        return new

    def _extend(self, grant: Grant, installer: str, scopes: frozenset[str]) -> None:
        grant.scopes, grant.installer = grant.scopes | scopes, installer
        if self.rotates or not grant.tokens:
            self._issue(grant)
        self._settle_all(grant)

    def _settle_all(self, grant: Grant) -> None:
        for workspace in grant.workspaces:
            self.settle(workspace)

    def _issue(self, grant: Grant) -> None:
        body = f"{grant.holder_id[1:]}-{secrets.randbelow(10**12)}-{secrets.token_urlsafe(18)}"
        if self.rotates:
            token = Token(f"xoxe.xoxb-1-{body}", self._clock() + TOKEN_LIFETIME_S)
            grant.refresh = Refresh(f"xoxe-1-{secrets.token_urlsafe(32)}", grant)
            self._refreshes[grant.refresh.value] = grant.refresh
        else:
            token = Token(f"xoxb-{body}")
        self._tokens[token.value] = (grant, token)
        self._issued[grant.holder_id].append(token.value)
        grant.tokens.append(token)
        for old in list(self._active(grant))[:-MOST_TOKENS]:
            old.error = "token_revoked"

    def _active(self, grant: Grant) -> Iterator[Token]:
        return (one for one in grant.tokens if not one.error and self._clock() < one.expires_at < math.inf)
