"""Installing the app: what strangers put into the address, and what Slack might answer."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import SimpleNamespace
from urllib.parse import urlencode

from hypothesis import strategies as st

from bot.ops.install import InstallPages
from bot.ops.install_pages import About
from bot.slack.oauth import OAuthApp
from tests.fuzz import surfaces

BROWSER = "b" * 43
ANSWERED = {200, 400, 500, 502, 503}
GRANTED = {
    "ok": True,
    "app_id": "A1",
    "scope": "chat:write,commands",
    "token_type": "bot",
    "access_token": "xoxb-1",
    "bot_user_id": "U1",
    "bot_id": "B1",
    "team": {"id": "T1", "name": "Acme"},
    "enterprise": {"id": "E1", "name": "Corp"},
    "is_enterprise_install": False,
    "authed_user": {"id": "U2"},
    "refresh_token": "xoxe-1",
    "expires_in": 43_200,
}


@st.composite
def grants(draw):
    """Draw an answer about an installation, with some members replaced or taken out."""
    grant = json.loads(json.dumps(GRANTED))
    for place in [grant, grant["team"], grant["enterprise"], grant["authed_user"]]:
        for name in draw(st.lists(st.sampled_from(sorted(place)), max_size=2)):
            place[name] = draw(surfaces.trees)
        if draw(st.booleans()) and draw(st.booleans()):
            del place[draw(st.sampled_from(sorted(place)))]
    return 200, json.dumps(grant).encode(), {}, "application/json"


names = st.sampled_from(["code", "state", "error", "team", "error_description"])
queries = st.lists(st.tuples(names, surfaces.texts), max_size=4).map(
    lambda pairs: urlencode(pairs, errors="surrogatepass")
)
addresses = queries.map(lambda query: f"code=1&state=s&{query}") | queries
visits = st.tuples(addresses, st.sampled_from([BROWSER, "", "x"]), grants() | surfaces.replies)


class Installing:
    """A visitor of the page to which Slack redirects. Every state is valid, so that Slack is asked."""

    def __init__(self, replies, client):
        self._replies = replies
        app = OAuthApp("1.2", "secret", "http://127.0.0.1")
        about = About(app.public_url, app.scopes)
        self._pages = InstallPages(app, client=client, states=self, on_installed=self._save, about=about)
        self._saved = []

    async def issue(self, _browser, _now):
        return "s"

    async def consume(self, _state, _browser, _now):
        return True

    async def _save(self, installation):
        self._saved.append(installation)

    async def visit(self, drawn):
        """Open the page as drawn, while Slack answers as drawn: the result is a page, without a bug behind it."""
        query, cookie, self._replies.reply = drawn
        self._saved.clear()
        request = SimpleNamespace(
            method="GET", rel_url=SimpleNamespace(raw_query_string=query), cookies={"flokit-install": cookie}
        )
        answer = await self._pages.finish(request)
        assert answer.status in ANSWERED
        assert answer.text.startswith("<!doctype html>")
        assert "error ID" not in answer.text
        assert (answer.status == HTTPStatus.OK and "is installed in" in answer.text) == bool(self._saved)
        for saved in self._saved:
            assert saved.id
            assert saved.bot_token
            assert saved.bot_id
            assert saved.bot_user_id
            assert saved.scopes
        assert not self._replies.strayed


@asynccontextmanager
async def visiting():
    """Serve drawn replies as Slack to the page."""
    async with surfaces.replying(token="") as replies:
        yield Installing(replies, replies.web)
