"""How people install the app and uninstall it, for tests and the sandbox's page."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from local_slack.config import App, OAuth, Org
from local_slack.guard import AUTHORIZE_PATH, MANAGE_PATH
from local_slack.local_workspace import LocalWorkspace, Shared
from local_slack.oauth.access_page import AccessPage
from local_slack.oauth.browser import Shown, go_through
from local_slack.oauth.grants import Grant, Grants
from local_slack.oauth.methods import oauth_methods
from local_slack.oauth.page import AuthorizePage
from local_slack.oauth.removal import TOLD, Removal
from local_slack.oauth.server import OAuthServer
from local_slack.oauth.workspaces import OAuthWorkspaces
from local_slack.web import WebApi
from local_slack.workspace import Json


class LocalOAuth:
    """Slack's OAuth, and people who use it.

    Attributes:
        server: what an app asks for, and the codes that it gets.
    """

    def __init__(self, first: LocalWorkspace, app: App, oauth: OAuth, shared: Shared) -> None:
        self._grants = Grants(shared.clock, rotates=oauth.rotates_tokens)
        self._removal = Removal(self._grants, shared.courier)
        self.workspaces = OAuthWorkspaces(first, self._grants)
        self.server = OAuthServer(app, oauth, self.workspaces, self._grants, shared.clock)

    def serve(self, web_api: WebApi, router: web.UrlDispatcher) -> None:
        """Answer OAuth's methods, and show its page."""
        web_api.add_methods(oauth_methods(self.server, self._grants, self._removal))
        AuthorizePage(self.server).add_routes(router)
        AccessPage(self.workspaces, self._grants, self._removal).add_routes(router)

    @property
    def authorize_url(self) -> str:
        """The page on which people allow the app, instead of https://slack.com/oauth/v2/authorize."""
        return f"{self.workspaces.first.installation.url}{AUTHORIZE_PATH}"

    def access_url(self, org: Org) -> str:
        """The page on which an organization's admins add the app to workspaces, instead of https://app.slack.com/manage."""
        first = self.workspaces.first
        app_id = first.workspace.app.id
        return f"{first.installation.url}{MANAGE_PATH}{org.id}/integrations/profile/{app_id}/workspaces/add"

    @property
    def redirect_urls(self) -> tuple[str, ...]:
        """The app's Redirect URLs."""
        return self.server.redirect_urls

    @redirect_urls.setter
    def redirect_urls(self, urls: tuple[str, ...]) -> None:
        self.server.redirect_urls = urls

    @property
    def rotates_tokens(self) -> bool:
        """Whether new tokens expire."""
        return self._grants.rotates

    def rotate_tokens(self) -> None:
        """Turn token rotation on; as in Slack, it can't be turned off again."""
        self._grants.rotates = True

    async def install(
        self,
        place: LocalWorkspace | Org,
        user: str,
        install_url: str,
        *,
        press: str = "allow",
        without: Sequence[str] = (),
    ) -> Shown:
        """Go through the installation as a person with a browser, and return what the app shows in the end.

        Args:
            install_url: the app's page that links to Slack's, or redirects there.
            press: ``allow`` or ``cancel``.
            without: the optional scopes that the person doesn't grant.

        Raises:
            LookupError: a page on the way doesn't lead on.
        """
        optional = [scope for scope in self.server.optional_scopes if scope not in without]
        form = [("as", f"{_id_of(place)} {user}"), ("press", press)]
        return await go_through(install_url, self.authorize_url, [*form, *(("optional", one) for one in optional)])

    def grant(self, place: LocalWorkspace | Org, user: str, scopes: frozenset[str] | None = None) -> Json:
        """Install the app at once, without it, and return what ``oauth.v2.access`` would have answered.

        Args:
            scopes: None: all of the app's.

        Raises:
            LookupError: the person isn't there.
        """
        return self.server.grant(_id_of(place), user, scopes)

    def installer(self, place: LocalWorkspace | Org) -> str:
        """Return the user ID of the person who installed the app last, perhaps for the whole organization.

        Raises:
            LookupError: the app isn't installed there.
        """
        if isinstance(place, LocalWorkspace) and place.workspace.is_org_install:
            return self._installed_by_org(place).installer
        return self._installed(_id_of(place)).installer

    def is_installed(self, org: Org) -> bool:
        """Whether an organization installed the app."""
        return self._grants.of(org.id) is not None

    def uninstall(self, place: LocalWorkspace | Org, told: Sequence[str] = TOLD) -> None:
        """Uninstall the app, as admins do.

        Args:
            told: the events that the app gets if it subscribes to them, in this order; empty: it's never told.

        Raises:
            LookupError: the app isn't installed there.
        """
        self._removal.uninstall(self._installed(_id_of(place)), told)

    def revoke(self, place: LocalWorkspace | Org) -> None:
        """Revoke the newest token, as ``auth.revoke`` does; ``LocalWorkspace.revoke_token`` does it without a word.

        Raises:
            LookupError: the app isn't installed there.
        """
        self._removal.revoke(self._installed(_id_of(place)).token.value)

    def grant_access(self, workspace: LocalWorkspace) -> None:
        """Add the app that the whole organization installed to one of its workspaces.

        Raises:
            LookupError: it's there already, or the organization didn't install it.
        """
        self._removal.change_access(self._installed_by_org(workspace), workspace, granted=True)

    def revoke_access(self, workspace: LocalWorkspace) -> None:
        """Remove the app that the whole organization installed from one of its workspaces.

        Raises:
            LookupError: it isn't there.
        """
        self._removal.change_access(self._installed_by_org(workspace), workspace, granted=False)

    def _installed_by_org(self, workspace: LocalWorkspace) -> Grant:
        org = workspace.workspace.org
        if org is None:
            raise LookupError(f"{workspace.workspace.name} is in no organization.")
        return self._installed(org.id)

    def _installed(self, holder_id: str) -> Grant:
        grant = self._grants.of(holder_id)
        if grant is None:
            raise LookupError(f"The app isn't installed in {holder_id}.")
        return grant


def _id_of(place: LocalWorkspace | Org) -> str:
    return place.id if isinstance(place, Org) else place.workspace.id
