"""The page on which people allow an app: https://docs.slack.dev/authentication/installing-with-oauth."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from aiohttp import web

from local_slack.guard import AUTHORIZE_PATH
from local_slack.oauth.scopes import in_words
from local_slack.oauth.server import AuthorizeError, OAuthServer, Request
from local_slack.workspace import WorkspaceState

STYLE_PATH: Final = "/oauth/v2/authorize.css"

HEADERS: Final = {
    # A form's target includes where its answer redirects to: the app, on another port.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'"
    ),
    # With no-referrer, browsers send the form with the origin "null", which the guard refuses.
    "Referrer-Policy": "same-origin",
}

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d1c1d; --soft: #616061; --page: #f8f8f8; --card: #fff; --edge: #8d8d8d;
  --focus: #1264a3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #b5b5b5; --page: #121416; --card: #1f2225; --edge: #85898c; --focus: #6cb8ef; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0;
  padding: 24px 16px; overflow-wrap: anywhere; }
main { max-width: 38rem; margin: 0 auto; padding: 24px clamp(16px, 5vw, 32px); background: var(--card);
  border: 1px solid var(--edge); border-radius: 8px; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 16px; }
h2 { font-size: 1rem; margin: 24px 0 8px; }
a { color: var(--focus); }
fieldset { margin: 0; padding: 0; border: 0; }
legend { padding: 0; margin: 24px 0 8px; font-weight: 700; }
ul { margin: 0; padding-left: 1.25rem; }
label { display: block; margin-bottom: 4px; }
select { font: inherit; width: 100%; padding: 8px; border: 1px solid var(--edge); border-radius: 4px;
  background: var(--card); color: inherit; }
button { font: inherit; font-weight: 700; padding: 8px 24px; margin-right: 8px; border: 1px solid var(--edge);
  border-radius: 4px; background: var(--card); color: inherit; cursor: pointer; }
button.allow { background: #007a5a; border-color: #007a5a; color: #fff; }
.buttons { margin-top: 24px; }
.note { color: var(--soft); font-size: .875rem; margin: 24px 0 0; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
"""


class AuthorizePage:
    """Shows what an app asks for, and sends the person back with the answer."""

    def __init__(self, server: OAuthServer) -> None:
        self._server = server

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve the page."""
        router.add_get(AUTHORIZE_PATH, self._show)
        router.add_post(AUTHORIZE_PATH, self._take)
        router.add_get(STYLE_PATH, _style)

    async def _show(self, request: web.Request) -> web.Response:
        try:
            asked = self._server.read_request(request.query)
        except AuthorizeError as error:
            return sorry(str(error))
        return self._form(asked)

    async def _take(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            asked = self._server.read_request(request.query)
        except AuthorizeError as error:
            return sorry(str(error))
        if form.get("press") != "allow":
            return _see_other(self._server.cancel(asked))
        holder_id, _, user_id = str(form.get("as", "")).partition(" ")
        optional = frozenset(str(scope) for scope in form.getall("optional", []))
        try:
            return _see_other(self._server.allow(asked, holder_id, user_id, optional))
        except LookupError:
            return sorry("Choose a workspace and a person.")

    def _form(self, asked: Request) -> web.Response:
        name = escape(self._server.app.name)
        optional = "".join(_checkbox(scope) for scope in sorted(asked.optional))
        named = self._server.workspaces.get(asked.team_id)
        where = "a workspace" if named is None else escape(named.workspace.name)
        return html_page(
            f"Allow {name}?",
            f"""<h1>{name} wants access to {where}</h1>
<form method="post">
<label for="as">Workspace and person</label>
<select id="as" name="as">{"".join(self._choices(asked))}</select>
<h2>It will be able to:</h2>
<ul>{"".join(f"<li>{escape(in_words(scope))}</li>" for scope in sorted(asked.scopes))}</ul>
{f"<h2>If you also allow it:</h2>{optional}" if optional else ""}
<div class="buttons"><button class="allow" name="press" value="allow">Allow</button>
<button name="press" value="cancel">Cancel</button></div>
</form>
<p class="note">You'll go to {escape(asked.redirect_uri)} next.</p>""",
        )

    def _choices(self, asked: Request) -> Iterator[str]:
        """Yield the people of each workspace, or of the one that the app asks for; then those of organizations."""
        places = [one.workspace for one in self._server.workspaces if asked.team_id in {"", one.workspace.id}]
        for place in places:
            yield _group(place.name, place.id, place)
        if self._server.is_org_ready and not asked.team_id:
            for org in dict.fromkeys(place.org for place in places if place.org is not None):
                home = next(place for place in places if place.org == org)
                yield _group(f"All of {org.name}", org.id, home)


def _group(name: str, holder_id: str, workspace: WorkspaceState) -> str:
    """Return the options for a workspace or an organization, one for each person."""
    options = "".join(
        f'<option value="{escape(holder_id)} {escape(user.id)}">{escape(name)}, as {escape(user.name)}</option>'
        for user in workspace.users.values()
        if not user.is_bot
    )
    return f'<optgroup label="{escape(name)}">{options}</optgroup>'


def _checkbox(scope: str) -> str:
    words = escape(in_words(scope))
    return f'<label><input type="checkbox" name="optional" value="{escape(scope)}" checked> {words}</label>'


def sorry(sentence: str) -> web.Response:
    """Return a page about a link that leads nowhere."""
    body = f"<h1>There's a problem with this link</h1><p>{escape(sentence)}</p>"
    return html_page("There's a problem", body, status=400)


def html_page(title: str, body: str, status: int = 200) -> web.Response:
    """Return a page; the title and the body are HTML."""
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="stylesheet" href="{STYLE_PATH}"></head>
<body><main>{body}</main></body></html>
"""
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)


def _see_other(url: str) -> web.Response:
    return web.Response(status=302, headers={**HEADERS, "Location": url})


async def _style(_request: web.Request) -> web.Response:
    return web.Response(text=STYLE, content_type="text/css")
