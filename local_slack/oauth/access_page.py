"""The page on which an organization's admins add an app to workspaces: https://api.slack.com/enterprise/apps/reference.

Slack's own page isn't documented but for its address.
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from aiohttp import web

from local_slack.guard import APP_REDIRECT_PATH, MANAGE_PATH
from local_slack.local_workspace import LocalWorkspace
from local_slack.oauth.grants import Grant, Grants
from local_slack.oauth.page import html_page, sorry
from local_slack.oauth.removal import Removal
from local_slack.oauth.workspaces import OAuthWorkspaces


class AccessPage:
    """Shows the workspaces of an organization that installed the app, and adds it to those that are chosen."""

    def __init__(self, workspaces: OAuthWorkspaces, grants: Grants, removal: Removal) -> None:
        self._workspaces = workspaces
        self._grants = grants
        self._removal = removal

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve the page."""
        path = f"{MANAGE_PATH}{{org}}/integrations/profile/{{app}}/workspaces/add"
        router.add_get(path, self._show)
        router.add_post(path, self._take)

    async def _show(self, request: web.Request) -> web.Response:
        grant = self._granted(request)
        return _no_app() if grant is None or grant.org is None else self._form(grant, grant.org.name)

    async def _take(self, request: web.Request) -> web.Response:
        grant = self._granted(request)
        if grant is None or grant.org is None:
            return _no_app()
        chosen = set((await request.post()).getall("team", []))
        for one in self._without(grant):
            if one.workspace.id in chosen:
                self._removal.change_access(grant, one, granted=True)
        return self._form(grant, grant.org.name)

    def _granted(self, request: web.Request) -> Grant | None:
        """Return what the organization granted to the app that the address names."""
        grant = self._grants.of(request.match_info["org"])
        is_ours = request.match_info["app"] == self._workspaces.first.workspace.app.id
        return grant if is_ours else None

    def _without(self, grant: Grant) -> list[LocalWorkspace]:
        return [one for one in self._workspaces.of_org(grant.holder_id) if one not in grant.workspaces]

    def _form(self, grant: Grant, org: str) -> web.Response:
        name = escape(self._workspaces.first.workspace.app.name)
        without = self._without(grant)
        choices = "".join(_checkbox(one) for one in without)
        form = f"""<form method="post"><fieldset><legend>Add it to:</legend>{choices}</fieldset>
<div class="buttons"><button class="allow">Add to workspaces</button></div></form>"""
        links = "".join(_link(one) for one in grant.workspaces)
        return html_page(
            f"Add {name} to workspaces",
            f"""<h1>{name} in {escape(org)}</h1>
{f"<p>It's in these workspaces. Open it there:</p><ul>{links}</ul>" if links else "<p>No workspace has it yet.</p>"}
{form if without else ""}""",
        )


def _checkbox(one: LocalWorkspace) -> str:
    there = one.workspace
    return f'<label><input type="checkbox" name="team" value="{escape(there.id)}"> {escape(there.name)}</label>'


def _link(one: LocalWorkspace) -> str:
    there = one.workspace
    query = escape(urlencode({"app": there.app.id, "team": there.id}))
    return f'<li><a href="{APP_REDIRECT_PATH}?{query}">{escape(there.name)}</a></li>'


def _no_app() -> web.Response:
    return sorry("There's no organization here that installed this app.")
