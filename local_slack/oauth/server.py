"""The OAuth server: what an app asks for, people's answers, and the codes that the app exchanges for a token.

Sources: https://docs.slack.dev/authentication/installing-with-oauth and
https://docs.slack.dev/reference/methods/oauth.v2.access.

Not documented, and so as strict as it could be: asking for a scope that isn't among the app's is refused; if no
``redirect_uri`` was asked for, one sent with the code must be the one that was used; a refused exchange leaves the
code valid. ``code_already_used`` is documented for ``oauth.access`` only, but ``oauth.v2.access`` answers it, too
(https://github.com/outline/outline/issues/1239).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from local_slack.arguments import Arguments
from local_slack.config import App, OAuth
from local_slack.local_workspace import LocalWorkspace
from local_slack.loopback import is_loopback
from local_slack.oauth.grants import TOKEN_LIFETIME_S, Grant, Grants
from local_slack.oauth.workspaces import OAuthWorkspaces
from local_slack.refusal import RefusalError
from local_slack.workspace import Clock, Json

CODE_LIFETIME_S: Final = 600.0


class AuthorizeError(Exception):
    """Slack can't send the person back to the app; the message is what its page says."""


@dataclass(frozen=True, slots=True)
class Request:
    """What an app asks for, checked.

    Attributes:
        scopes: those that come with the installation.
        optional: those that the person may leave out.
        was_sent: whether ``redirect_uri`` was in the request, and so must come with the code.
        team_id: the workspace that the app asks for, if it exists.
    """

    scopes: frozenset[str]
    optional: frozenset[str]
    redirect_uri: str
    was_sent: bool
    state: str
    team_id: str = ""

    def back(self, **answer: str) -> str:
        """Return the app's URL that the person is sent to."""
        joint = "&" if urlsplit(self.redirect_uri).query else "?"
        return f"{self.redirect_uri}{joint}{urlencode({**answer, 'state': self.state})}"


@dataclass(slots=True)
class _Code:
    request: Request
    holder_id: str
    user_id: str
    scopes: frozenset[str]
    at: float
    is_used: bool = False


class OAuthServer:
    """Slack's side of the installation.

    Attributes:
        redirect_urls: the app's Redirect URLs. Set them once the app's port is known.
    """

    def __init__(self, app: App, oauth: OAuth, workspaces: OAuthWorkspaces, grants: Grants, clock: Clock) -> None:
        self.app = app
        self.client_id, self.client_secret = oauth.client_id, oauth.client_secret
        self.redirect_urls: tuple[str, ...] = oauth.redirect_urls
        self.is_org_ready = oauth.is_org_ready
        self.workspaces = workspaces
        self.optional_scopes = oauth.optional_scopes
        self._grants = grants
        self._clock = clock
        self._codes: dict[str, _Code] = {}

    # the page

    def read_request(self, query: Mapping[str, str]) -> Request:
        """Check what an app asks for, from the query of its link.

        Raises:
            AuthorizeError: something in it is wrong.
        """
        if query.get("client_id") != self.client_id:
            raise AuthorizeError("Invalid client_id parameter")
        if query.get("user_scope"):
            raise AuthorizeError("The local Slack has no user tokens: ask for no user_scope")
        asked = frozenset(scope for scope in query.get("scope", "").replace(" ", ",").split(",") if scope)
        if not asked:
            raise AuthorizeError("No scopes requested")
        if asked - self.app.scopes:
            raise AuthorizeError(f"Invalid permissions requested: {', '.join(sorted(asked - self.app.scopes))}")
        wanted = query.get("team", "")
        return Request(
            asked - self.optional_scopes,
            asked & self.optional_scopes,
            self._redirect_uri(query.get("redirect_uri", "")),
            bool(query.get("redirect_uri")),
            query.get("state", ""),
            wanted if self.workspaces.get(wanted) is not None else "",
        )

    def read_link(self, link: str) -> Request:
        """Check an app's whole link to the page."""
        return self.read_request(dict(parse_qsl(urlsplit(link).query, keep_blank_values=True)))

    def allow(self, request: Request, holder_id: str, user_id: str, optional: frozenset[str] | None = None) -> str:
        """Press Allow, and return the app's URL with the code.

        Args:
            holder_id: the ID of the workspace, or of an organization if the app is ready for one. Slack lets only the
                organization's admins do that; here, everybody in one of its workspaces is one.
            optional: which optional scopes the person grants; None: all.

        Raises:
            LookupError: there is no such workspace or organization, or the person isn't in it.
        """
        self._home_of(holder_id, user_id)
        granted = request.optional if optional is None else request.optional & optional
        code = f"{secrets.randbelow(10**10)}.{secrets.randbelow(10**13)}.{secrets.token_hex(32)}"
        now = self._clock()
        for old in [known for known, issued in self._codes.items() if now - issued.at > 2 * CODE_LIFETIME_S]:
            del self._codes[old]
        self._codes[code] = _Code(request, holder_id, user_id, request.scopes | granted, now)
        return request.back(code=code)

    def cancel(self, request: Request) -> str:
        """Press Cancel, and return the app's URL with the error."""
        return request.back(error="access_denied")

    def _home_of(self, holder_id: str, user_id: str) -> LocalWorkspace:
        """Return the workspace, or a workspace of the organization, that a person is in."""
        known = self.workspaces.get(holder_id)
        places = [known] if known is not None else self.workspaces.of_org(holder_id) if self.is_org_ready else []
        for one in places:
            person = one.workspace.users.get(user_id)
            if person is not None and not person.is_bot:
                return one
        raise LookupError(f"{user_id} isn't in {holder_id}")

    def _redirect_uri(self, asked: str) -> str:
        if not self.redirect_urls:
            raise AuthorizeError("redirect_uri did not match any configured URIs: the app has none")
        if not asked:
            return self.redirect_urls[0]
        if not any(_is_below(asked, known) for known in self.redirect_urls):
            raise AuthorizeError(f"redirect_uri did not match any configured URIs. Passed URI: {asked}")
        return asked

    # the exchange

    def check_client(self, args: Arguments) -> None:
        """Check the app's own credentials.

        Raises:
            RefusalError: ``invalid_client_id`` or ``bad_client_secret``.
        """
        if args.text("client_id") != self.client_id:
            raise RefusalError("invalid_client_id")
        if args.text("client_secret") != self.client_secret:
            raise RefusalError("bad_client_secret")

    def access(self, args: Arguments) -> Json:
        """Exchange a code for a token, which is when the app is installed; or a refresh token for a new token."""
        self.check_client(args)
        match args.text("grant_type"):
            case "refresh_token":
                return describe(self._grants.refresh(args.text("refresh_token")))
            case "" | "authorization_code":
                code = self._use(args.text("code"), args.text("redirect_uri"))
                return self._install(code.holder_id, code.user_id, code.scopes)
            case _:
                raise RefusalError("invalid_grant_type")

    def exchange(self, args: Arguments) -> Json:
        """Exchange a long-lived token for one that expires."""
        self.check_client(args)
        answer = describe(self._grants.exchange(args.token))
        return {name: value for name, value in answer.items() if name != "is_enterprise_install"}

    def grant(self, holder_id: str, user_id: str, scopes: frozenset[str] | None = None) -> Json:
        """Install the app at once, as if it had come back with a code, and return what it would have got.

        Args:
            scopes: None: all of the app's.

        Raises:
            LookupError: the person isn't in that workspace or organization.
            RefusalError: the organization already has the app in that workspace.
        """
        return {"ok": True, **self._install(holder_id, user_id, self.app.scopes if scopes is None else scopes)}

    def _install(self, holder_id: str, user_id: str, scopes: frozenset[str]) -> Json:
        home = self._home_of(holder_id, user_id)
        org = home.workspace.org
        if org is not None and org.id == holder_id:
            grant = self._grants.add_org(home, org, user_id, scopes)
        else:
            grant = self._grants.add(home, user_id, scopes)
        return {**describe(grant), "authed_user": {"id": user_id}}

    def _use(self, value: str, redirect_uri: str) -> _Code:
        code = self._codes.get(value)
        if code is None or self._clock() - code.at > CODE_LIFETIME_S:
            raise RefusalError("invalid_code")
        if code.is_used:
            raise RefusalError("code_already_used")
        if redirect_uri != code.request.redirect_uri and (redirect_uri or code.request.was_sent):
            raise RefusalError("bad_redirect_uri")
        code.is_used = True
        return code


def describe(grant: Grant) -> Json:
    """Return what ``oauth.v2.access`` says about an installation."""
    workspace, org = grant.home.workspace, grant.home.workspace.org
    is_org_wide = grant.org is not None
    answer: Json = {
        "app_id": workspace.app.id,
        "scope": ",".join(sorted(grant.scopes)),
        "token_type": "bot",
        "access_token": grant.token.value,
        "bot_user_id": workspace.app.bot_user_id,
        "team": None if is_org_wide else {"id": workspace.id, "name": workspace.name},
        "enterprise": None if org is None else {"id": org.id, "name": org.name},
        "is_enterprise_install": is_org_wide,
    }
    if grant.refresh is not None:
        answer |= {"expires_in": TOKEN_LIFETIME_S, "refresh_token": grant.refresh.value}
    return answer


def _is_below(asked: str, known: str) -> bool:
    """Whether a redirect URI is a Redirect URL or in a folder below it."""
    ours, theirs = urlsplit(known), urlsplit(asked)
    if "#" in asked or not (theirs.scheme == "https" or (theirs.hostname and is_loopback(theirs.hostname))):
        return False
    same_place = (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)
    return same_place and (theirs.path == ours.path or theirs.path.startswith(f"{ours.path.rstrip('/')}/"))
