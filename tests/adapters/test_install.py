"""Installing the app from a browser: what people see, what's saved, and where no code or token may appear."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import pytest_asyncio
from aiohttp import web

from bot.core.errors import StoreInDoubt, StoreUnavailable
from bot.ops import install
from bot.ops.install import STATES_AT_ONCE, InstallPages
from bot.ops.install_pages import STYLE, About
from bot.ops.web import WebServer
from bot.settings.encryption_keys import new_encryption_key
from bot.slack.client import SlackClient
from bot.slack.oauth import INSTALL_PATH, REDIRECT_PATH, OAuthApp
from bot.slack.scopes import BOT_SCOPES, OPTIONAL_SCOPES
from bot.store.database import Database
from bot.store.installations import Installations
from bot.store.oauth_states import GOOD_FOR, OAuthStates
from bot.store.sealing import MasterKeys
from bot.store.tables import installations, oauth_states
from local_slack import App, LocalSlack, OAuth, User, Workspace
from tests.adapters.conftest import START, VirtualClock

SECURE = "https://bot.example"
CODE, TOKEN, REFRESH, CLIENT_SECRET = "1234.5678.the-code", "xoxb-the-token", "xoxe-1-the-refresh", "the-client-secret"
GRANTED = {
    "ok": True,
    "app_id": "A0BOT",
    "scope": "chat:write,commands",
    "token_type": "bot",
    "access_token": TOKEN,
    "bot_user_id": "U0BOT",
    "team": {"id": "T0ACME", "name": "Acme"},
    "enterprise": None,
    "is_enterprise_install": False,
    "authed_user": {"id": "U0ANA"},
}
BOT = {"ok": True, "url": "https://acme.slack.com/", "team_id": "T0ACME", "user_id": "U0BOT", "bot_id": "B0BOT"}
ORG_WIDE = {"team": None, "enterprise": {"id": "E0CORP", "name": "Acme Corp"}, "is_enterprise_install": True}


class FakeSlack:
    """Answers ``oauth.v2.access`` and ``auth.test`` as the test sets, and records what it was asked."""

    def __init__(self):
        self.answers = {"oauth.v2.access": GRANTED, "auth.test": BOT}
        self.asked = []

    async def _answer(self, request):
        method = request.match_info["method"]
        self.asked.append((method, request.headers.get("Authorization", ""), dict(await request.post())))
        answer = self.answers[method]
        if answer is None:
            request.transport.close()
            return web.Response()
        return answer() if callable(answer) else web.json_response(answer)

    @asynccontextmanager
    async def serving(self):
        app = web.Application()
        app.router.add_post("/api/{method}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.api_url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/api/"
        try:
            yield self
        finally:
            await runner.cleanup()


class States:
    """States in memory, for tests that aren't about the database."""

    def __init__(self):
        self.known = {}
        self.away = False

    async def issue(self, browser, now):
        self._check()
        state = f"the-state-{len(self.known)}"
        self.known[state] = (browser, now + GOOD_FOR)
        return state

    async def consume(self, state, browser, now):
        self._check()
        known = self.known.get(state)
        if known is None or known[0] != browser or known[1] <= now:
            return False
        del self.known[state]
        return True

    def _check(self):
        if self.away:
            raise StoreUnavailable("away")


class Site:
    """The bot's pages, a browser that opens them, and what was installed."""

    def __init__(self, states, *, public_url=SECURE, saves=None, clock=None, running=True):
        self.states = states
        self.saved = []
        self.error = None
        self.clock = clock or VirtualClock()
        self.ticks = 0.0
        self.health = SimpleNamespace(running=running)
        self._saves = saves
        self.public_url = public_url

    async def on_installed(self, installation):
        """Save an installation, or raise the test's error."""
        if self.error:
            raise self.error
        self.saved.append(await self._saves(installation, self.clock()) if self._saves else installation)

    @asynccontextmanager
    async def serving(self, api_url, *, port=0, **app):
        client = SlackClient("", api_url=api_url, timeout_s=5.0)
        oauth_app = OAuthApp("1.2", CLIENT_SECRET, self.public_url, **app)
        pages = InstallPages(
            oauth_app,
            about=About(
                oauth_app.public_url,
                oauth_app.scopes,
                support_url="mailto:help@example.com",
                privacy_url="https://example.com/privacy?lang=en&a=1",
            ),
            client=client.web,
            states=self.states,
            on_installed=self.on_installed,
            clock=self.clock,
            pace=lambda: self.ticks,
        )
        server = WebServer(self.health, host="127.0.0.1", port=port, install=pages)
        port = await server.start()
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as self.http:
                yield self
        finally:
            await server.stop()
            await client.aclose()

    async def begin(self, query="", cookie=""):
        """Open the install page; return the page, the query of its link, and the browser's cookie."""
        page = await self.http.get(f"{INSTALL_PATH}?{query}", headers={"Cookie": cookie})
        link = re.search(r'href="(https://slack\.com/oauth[^"]+)"', page.text)[1].replace("&amp;", "&")
        self.http.cookies.clear()  # the browser is the test's
        asked = {name: value for name, [value] in parse_qs(urlsplit(link).query).items()}
        return page, asked, page.headers["Set-Cookie"].partition(";")[0]

    async def finish(self, state, cookie, **query):
        """Return from Slack's page with a code."""
        query = {"code": CODE, "state": state} | query
        query = urlencode({name: value for name, value in query.items() if value is not None})
        return await self.http.get(f"{REDIRECT_PATH}?{query}", headers={"Cookie": cookie})

    async def install(self, **query):
        """Open the install page, and return from Slack's page."""
        _page, asked, cookie = await self.begin()
        return await self.finish(asked["state"], cookie, **query)


@pytest_asyncio.fixture
async def slack():
    async with FakeSlack().serving() as fake:
        yield fake


@pytest_asyncio.fixture
async def site(slack):
    async with Site(States()).serving(slack.api_url) as serving:
        yield serving


def shows(page, notice):
    """Return whether a page has this title and status, and the headers and style of all pages."""
    about_page = page.headers["Content-Type"] == "text/html; charset=utf-8" and page.text.startswith("<!doctype html>")
    title = notice.title.replace("'", "&#x27;")
    return about_page and page.status_code == notice.status and f"<h1>{title}</h1>" in page.text


# --- the whole flow --------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_person_installs_it_from_a_browser(database_url, clock):
    """The browser returns from a local Slack's page with a code, and the database has who installed the app."""
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    oauth = OAuth("1.2", CLIENT_SECRET, (public_url + REDIRECT_PATH,))
    slack = LocalSlack(App("FloKit", frozenset(BOT_SCOPES), oauth=oauth), Workspace("T0ALPHA", "Alpha", "alpha"))
    beta = slack.add_workspace(Workspace("T0BETA", "Beta <Corp>", "beta", users=(User("U0ANA", "ana"),)))
    await slack.start()
    database = Database(database_url)
    vault = Installations(database, MasterKeys.parse(new_encryption_key()))
    site = Site(OAuthStates(database), public_url=public_url, saves=vault.save, clock=clock)
    try:
        async with site.serving(slack.api_url, port=port, authorize_url=slack.oauth.authorize_url):
            shown = await slack.oauth.install(beta, "U0ANA", f"{public_url}{INSTALL_PATH}")
            found = await vault.find("T0BETA")
            canceled = await slack.oauth.install(beta, "U0ANA", f"{public_url}{INSTALL_PATH}", press="cancel")
            again = await slack.oauth.install(beta, "U0ANA", f"{public_url}{INSTALL_PATH}")
        async with database.read() as connection:
            states = (await connection.execute(oauth_states.select())).all()
            rows = (await connection.execute(installations.select())).all()
    finally:
        await database.close()
        await slack.stop()
    assert shown.status == 200
    assert "<h1>FloKit is installed in Beta &lt;Corp&gt;</h1>" in shown.text
    assert (found.team_id, found.team_name, found.installed_by) == ("T0BETA", "Beta <Corp>", "U0ANA")
    assert set(found.scopes) == set(BOT_SCOPES) - set(OPTIONAL_SCOPES)
    assert found.bot_token.startswith("xoxb-")
    assert (found.bot_id, found.bot_user_id, found.app_id) == ("B0LOCAL", "U0LOCAL", "A0LOCAL")
    assert (canceled.status, again.status) == (200, 200)
    assert "Installation canceled" in canceled.text
    assert [one.generation for one in site.saved] == [1, 2]
    assert len(states) == 1  # the code of the installation that was canceled
    assert found.bot_token not in str(rows)


async def test_what_slack_answers_is_saved(site, slack):
    page = await site.install()
    [saved] = site.saved
    assert page.status_code == 200
    assert (saved.team_id, saved.team_name, saved.enterprise_id, saved.is_enterprise) == ("T0ACME", "Acme", None, False)
    assert (saved.app_id, saved.bot_id, saved.bot_user_id, saved.bot_token) == ("A0BOT", "B0BOT", "U0BOT", TOKEN)
    assert (saved.scopes, saved.installed_by) == (("chat:write", "commands"), "U0ANA")
    assert (saved.refresh_token, saved.token_expires_at) == (None, None)
    [(_access, credentials, form), (_test, token, _form)] = slack.asked
    assert base64.b64decode(credentials.removeprefix("Basic ")).decode() == f"1.2:{CLIENT_SECRET}"
    assert form == {"code": CODE, "redirect_uri": f"{SECURE}{REDIRECT_PATH}"}
    assert token == f"Bearer {TOKEN}"


async def test_the_last_page_leads_to_the_app_in_slack(site):
    """https://docs.slack.dev/interactivity/deep-linking."""
    page = await site.install()
    assert 'href="https://slack.com/app_redirect?app=A0BOT&amp;team=T0ACME"' in page.text


async def test_an_organization_installs_it(site, slack):
    slack.answers["oauth.v2.access"] = GRANTED | ORG_WIDE
    page = await site.install()
    [saved] = site.saved
    assert (saved.id, saved.team_id, saved.team_name, saved.is_enterprise) == ("E0CORP", "", "Acme Corp", True)
    assert "<h1>FloKit is installed in Acme Corp</h1>" in page.text
    assert 'href="https://app.slack.com/manage/E0CORP/integrations/profile/A0BOT/workspaces/add"' in page.text


async def test_a_workspace_of_an_organization_installs_it(site, slack):
    slack.answers["oauth.v2.access"] = GRANTED | {"enterprise": ORG_WIDE["enterprise"]}
    await site.install()
    [saved] = site.saved
    assert (saved.id, saved.team_name, saved.enterprise_id, saved.is_enterprise) == ("T0ACME", "Acme", "E0CORP", False)


async def test_a_rotating_token_comes_with_its_refresh_token(site, slack):
    slack.answers["oauth.v2.access"] = GRANTED | {"refresh_token": REFRESH, "expires_in": 43_200}
    await site.install()
    [saved] = site.saved
    assert (saved.refresh_token, saved.token_expires_at) == (REFRESH, START + timedelta(hours=12))


# --- the install page ------------------------------------------------------------------------------------------


async def test_the_link_asks_for_the_fewest_scopes(site):
    page, asked, _cookie = await site.begin()
    assert asked["redirect_uri"] == f"{SECURE}{REDIRECT_PATH}"
    assert asked["client_id"] == "1.2"
    scopes = asked["scope"].split(",")
    assert scopes == [scope for scope in BOT_SCOPES if scope not in OPTIONAL_SCOPES]
    assert not [scope for scope in scopes if scope.endswith(":history")]
    assert all(f"<code>{scope}</code>" in page.text for scope in scopes)
    assert set(asked) == {"client_id", "redirect_uri", "scope", "state"}


@pytest.mark.parametrize(("query", "team"), [("team=T0ACME", "T0ACME"), ("team=T0%26scope%3Dadmin", None), ("", None)])
async def test_a_link_can_suggest_a_workspace(site, query, team):
    _page, asked, _cookie = await site.begin(query)
    assert asked.get("team") == team


@pytest.mark.parametrize(
    ("public_url", "name", "secure"),
    [(SECURE, "__Host-flokit-install", True), ("http://127.0.0.1:3000/", "flokit-install", False)],
)
async def test_the_cookie_is_for_this_site_only(slack, public_url, name, secure):
    async with Site(States(), public_url=public_url).serving(slack.api_url) as site:
        page, _asked, cookie = await site.begin()
    flags = ["Path=/", "Max-Age=600", "HttpOnly", "SameSite=Lax", *(["Secure"] if secure else [])]
    assert page.headers["Set-Cookie"].split("; ") == [cookie, *flags]
    assert re.fullmatch(rf"{name}=[A-Za-z0-9_-]{{43}}", cookie)


async def test_two_tabs_of_a_browser_do_not_disturb_each_other(site):
    _page, first, cookie = await site.begin()
    _page, second, same = await site.begin(cookie=cookie)
    assert cookie == same
    assert (await site.finish(first["state"], cookie)).status_code == 200
    assert (await site.finish(second["state"], cookie)).status_code == 200


async def test_a_cookie_that_we_did_not_set_is_replaced(site):
    _page, _asked, cookie = await site.begin(cookie="__Host-flokit-install=x")
    assert cookie != "__Host-flokit-install=x"


async def test_a_flood_fills_no_table(site):
    """A process issues only a limited number of states, and then says when to try again."""
    pages = [await site.http.get(INSTALL_PATH) for _ in range(int(STATES_AT_ONCE) + 10)]
    assert [page.status_code for page in pages].count(200) == STATES_AT_ONCE == len(site.states.known)
    assert shows(pages[-1], install.BUSY)
    assert pages[-1].headers["Retry-After"] == "1"
    site.ticks += 1.0
    assert (await site.http.get(INSTALL_PATH)).status_code == 200


async def test_a_head_request_uses_nothing_up(site, slack):
    """Programs that check links send HEAD."""
    assert (await site.http.head(INSTALL_PATH)).status_code == 200
    assert site.states.known == {}
    _page, asked, cookie = await site.begin()
    looked = await site.http.head(
        REDIRECT_PATH, params={"code": CODE, "state": asked["state"]}, headers={"Cookie": cookie}
    )
    assert (looked.status_code, slack.asked) == (200, [])
    assert (await site.finish(asked["state"], cookie)).status_code == 200


@pytest.mark.parametrize("path", [INSTALL_PATH, REDIRECT_PATH])
async def test_pages_accept_only_get(site, path):
    assert (await site.http.post(path)).status_code == 405


@pytest.mark.parametrize("path", [INSTALL_PATH, REDIRECT_PATH])
async def test_nothing_is_installed_while_the_bot_starts(slack, path):
    async with Site(States(), running=None).serving(slack.api_url) as site:
        assert shows(await site.http.get(path), install.STARTING)
        assert site.states.known == {}


async def test_the_page_says_where_to_get_help_and_what_happens_with_data(site):
    page = (await site.http.get("/slack/install")).text
    assert 'Privacy policy: <a href="https://example.com/privacy?lang=en&amp;a=1" rel="noreferrer">' in page
    assert 'Get help: <a href="mailto:help@example.com" rel="noreferrer">help@example.com</a>' in page


async def test_pages_run_nothing_and_load_nothing(site):
    """The policy names the only style by its hash; there's neither a script nor an address to load from."""
    pages = [await site.http.get(INSTALL_PATH), await site.install(), await site.finish("x", "")]
    for page in pages:
        digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        policy = page.headers["Content-Security-Policy"]
        assert policy == (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
            " frame-ancestors 'none'"
        )
        assert page.text.count("<style>") == page.text.count(f"<style>{STYLE}</style>") == 1
        assert not re.search(r"<script|<img|<link|<iframe|\sstyle=|\son[a-z]+=|\ssrc=|url\(", page.text)
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert "<title>" in page.text
        assert '<html lang="en">' in page.text


# --- failures --------------------------------------------------------------------------------------------------


async def test_a_person_cancels(site, slack):
    _page, asked, cookie = await site.begin()
    page = await site.finish(asked["state"], cookie, code=None, error="access_denied")
    assert shows(page, install.CANCELED)
    assert (site.saved, slack.asked) == ([], [])


async def test_an_app_that_is_not_distributed_is_explained(site):
    page = await site.finish("x", "", code=None, error="invalid_team_for_non_distributed_app")
    assert shows(page, install.misconfigured("invalid_team_for_non_distributed_app"))


@pytest.mark.parametrize("error", ["", "call-0900-12345", "<script>alert(1)</script>", "x" * 5000, "\ud800\0"])
async def test_a_strangers_text_is_not_repeated(site, error, capsys):
    page = await site.http.get(REDIRECT_PATH + "?" + urlencode({"error": error}, errors="surrogatepass"))
    assert shows(page, install.NOT_ALLOWED)
    assert not error or error not in page.text + str(capsys.readouterr())


async def test_a_state_is_valid_once(site, slack):
    _page, asked, cookie = await site.begin()
    assert (await site.finish(asked["state"], cookie)).status_code == 200
    assert shows(await site.finish(asked["state"], cookie), install.USED_STATE)
    assert len(site.saved) == 1
    assert len(slack.asked) == 2


async def test_a_state_is_valid_for_ten_minutes(site, slack):
    _page, asked, cookie = await site.begin()
    site.clock.advance(GOOD_FOR.total_seconds())
    assert shows(await site.finish(asked["state"], cookie), install.USED_STATE)
    assert (site.saved, slack.asked) == ([], [])


async def test_a_state_of_another_browser_is_refused(site, slack):
    """Otherwise a stranger could make someone finish the stranger's installation. It stays valid in its own browser."""
    _page, asked, cookie = await site.begin()
    _page, _asked, other = await site.begin()
    assert shows(await site.finish(asked["state"], other), install.USED_STATE)
    assert shows(await site.finish(asked["state"], ""), install.OTHER_BROWSER)
    assert shows(await site.finish(asked["state"], f"{cookie}x"), install.OTHER_BROWSER)
    assert (site.saved, slack.asked) == ([], [])
    assert (await site.finish(asked["state"], cookie)).status_code == 200


@pytest.mark.parametrize("state", [None, "", "made-up", "\0", "x" * 7000])
async def test_a_forged_state_is_refused(site, slack, state):
    _page, _asked, cookie = await site.begin()
    assert (await site.finish(state, cookie)).status_code == 400
    assert (site.saved, slack.asked) == ([], [])


async def test_an_address_without_a_code_is_explained(site, slack):
    _page, asked, cookie = await site.begin()
    assert shows(await site.finish(asked["state"], cookie, code=None), install.NO_CODE)
    assert shows(await site.http.get(REDIRECT_PATH), install.NO_CODE)
    assert slack.asked == []


@pytest.mark.parametrize("code", ["invalid_code", "code_already_used"])
async def test_a_code_that_slack_refuses_is_explained(site, slack, code):
    """Slack answers the same for another app's code."""
    slack.answers["oauth.v2.access"] = {"ok": False, "error": code}
    assert shows(await site.install(), install.USED_CODE)
    assert site.saved == []


@pytest.mark.parametrize("code", ["bad_client_secret", "bad_redirect_uri", "invalid_client_id"])
async def test_a_wrong_setting_is_explained_to_whoever_runs_the_bot(site, slack, code, capsys):
    slack.answers["oauth.v2.access"] = {"ok": False, "error": code}
    assert shows(await site.install(), install.misconfigured(code))
    assert "install_not_completed" in (out := capsys.readouterr().out)
    assert code in out


async def test_any_other_refusal_is_shown(site, slack):
    slack.answers["oauth.v2.access"] = {"ok": False, "error": "org_login_required"}
    assert shows(await site.install(), install.refused("org_login_required"))


async def test_a_rate_limit_is_explained(site, slack):
    slack.answers["oauth.v2.access"] = {"ok": False, "error": "ratelimited"}
    assert shows(await site.install(), install.RATE_LIMITED)


def without(name):
    return {key: value for key, value in GRANTED.items() if key != name}


NEEDED = ["access_token", "token_type", "scope", "app_id", "bot_user_id", "team", "authed_user"]
WRONG = (None, 5, "", [], {"id": 5}, True)
ODD = {
    **{
        name: [without(name), *(GRANTED | {name: odd} for odd in (None, 5, "", [], {"id": 5}, True))] for name in NEEDED
    },
    "token": [GRANTED | {"access_token": odd} for odd in ("xoxb-the-token\n", "xoxb the token", "x" * 5000)],
    "user token": [GRANTED | {"token_type": "user"}],
    "ids": [GRANTED | {"bot_user_id": odd} for odd in ("U0BOT\0", "u0bot", "U0 BOT", "U" * 100)],
    "scopes": [GRANTED | {"scope": odd} for odd in (",", "chat:write,<b>")],
    "organization": [
        GRANTED | {"is_enterprise_install": "true"},
        GRANTED | {"enterprise": "E0CORP"},
        *(GRANTED | ORG_WIDE | {"enterprise": odd} for odd in (None, {}, {"id": None})),
    ],
    "rotation": [
        GRANTED | {"refresh_token": REFRESH},
        GRANTED | {"expires_in": 43_200},
        *(GRANTED | {"refresh_token": REFRESH, "expires_in": odd} for odd in (0, -1, True, "43200", 10**30, 1.5)),
    ],
    "nothing": [{"ok": True}],
}


@pytest.mark.parametrize("kind", ODD)
async def test_an_incomplete_answer_saves_nothing(site, slack, kind):
    for answer in ODD[kind]:
        slack.answers["oauth.v2.access"] = answer
        assert shows(await site.install(), install.UNANSWERED), answer
    assert site.saved == []


@pytest.mark.parametrize("answer", [BOT | {"bot_id": None}, BOT | {"bot_id": 5}, {"ok": True}], ids=str)
async def test_a_bot_without_an_id_saves_nothing(site, slack, answer):
    slack.answers["auth.test"] = answer
    assert shows(await site.install(), install.UNANSWERED)
    assert site.saved == []


UNREADABLE = {
    "html": lambda: web.Response(text="<h1>Sorry</h1>", content_type="text/html"),
    "text": lambda: web.Response(text="ok"),
    "a list": lambda: web.json_response([GRANTED]),
    "half": lambda: web.Response(text=json.dumps(GRANTED)[:-1], content_type="application/json"),
    "deep": lambda: web.Response(text="[" * 100_000, content_type="application/json"),
    "not ok": lambda: web.json_response(GRANTED | {"ok": "no"}, status=200),
    "500": lambda: web.json_response(GRANTED, status=500),
    "503": lambda: web.Response(status=503),
    "a redirect": lambda: web.Response(status=302, headers={"Location": "/api/auth.test"}),
    "hung up": None,
}


@pytest.mark.parametrize("method", ["oauth.v2.access", "auth.test"])
@pytest.mark.parametrize("kind", [kind for kind in UNREADABLE if kind != "not ok"])
async def test_an_unreadable_answer_saves_nothing(site, slack, method, kind, capsys):
    """And no code is sent twice."""
    slack.answers[method] = UNREADABLE[kind]
    page = await site.install()
    assert shows(page, install.UNANSWERED)
    assert site.saved == []
    assert [asked for asked, *_ in slack.asked].count("oauth.v2.access") == 1
    assert "Traceback" not in page.text + str(capsys.readouterr())


async def test_an_unreachable_slack_is_explained():
    async with Site(States()).serving(f"http://127.0.0.1:{free_port()}/api/") as site:
        assert shows(await site.install(), install.UNANSWERED)


# --- the database is unavailable -------------------------------------------------------------------------------


async def test_nothing_begins_without_the_database(site):
    site.states.away = True
    assert shows(await site.http.get(INSTALL_PATH), install.NOT_OPENED)


async def test_an_outage_before_the_code_is_used_loses_nothing(site, slack):
    """Reloading the page works, as the page says."""
    _page, asked, cookie = await site.begin()
    site.states.away = True
    assert shows(await site.finish(asked["state"], cookie), install.NOT_CHECKED)
    assert slack.asked == []
    site.states.away = False
    assert (await site.finish(asked["state"], cookie)).status_code == 200


@pytest.mark.parametrize(
    ("error", "notice"), [(StoreUnavailable("away"), "NOT_SAVED"), (StoreInDoubt("broke"), "IN_DOUBT")], ids=str
)
async def test_an_outage_after_the_code_was_used_says_what_to_do(site, error, notice):
    """Starting again works."""
    site.error = error
    assert shows(await site.install(), getattr(install, notice))
    site.error = None
    assert (await site.install()).status_code == 200
    assert len(site.saved) == 1


async def test_a_bug_is_found_by_its_error_id(site, capsys):
    site.error = ValueError("a bug")
    page = await site.install()
    error_id = re.search(r"err_\w+", page.text)[0]
    assert shows(page, install.failed(error_id))
    assert "a bug" not in page.text
    assert error_id in capsys.readouterr().out


# --- secrets ---------------------------------------------------------------------------------------------------


async def everything_that_fails():
    """Install with each kind of failure, and return all pages after the first."""
    pages = []
    async with FakeSlack().serving() as slack, Site(States()).serving(slack.api_url) as site:
        answers = [GRANTED, *UNREADABLE.values(), {"ok": False, "error": "invalid_code"}, without("team")]
        for method in ("oauth.v2.access", "auth.test"):
            for answer in answers:
                site.ticks += 60.0
                slack.answers = {"oauth.v2.access": GRANTED, "auth.test": BOT} | {method: answer}
                pages.append(await site.install())
        slack.answers = {"oauth.v2.access": GRANTED | {"refresh_token": REFRESH, "expires_in": 9}, "auth.test": BOT}
        for site.error in (None, StoreUnavailable("away"), ValueError("a bug")):
            pages.append(await site.install())
        pages.append(await site.finish("the-state-of-nobody", ""))
    return pages


def test_no_code_state_or_token_is_logged_or_shown():
    """Neither on a page nor in the log at DEBUG, whatever goes wrong."""
    program = (
        "import asyncio\n"
        "from bot.observability.logs import configure_logging\n"
        "configure_logging('console', 'DEBUG', secrets=[])\n"
        "from tests.adapters.test_install import everything_that_fails\n"
        "print(*(page.text for page in asyncio.run(everything_that_fails())))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert "install_failed" in run.stderr
    assert "slack.call" in run.stderr
    assert run.stdout.count("<!doctype html>") > 20
    for secret in (CODE, TOKEN, REFRESH, CLIENT_SECRET, "the-state-"):
        assert secret not in run.stdout + run.stderr


def test_the_repr_of_an_app_hides_its_secret():
    assert CLIENT_SECRET not in repr(OAuthApp("1.2", CLIENT_SECRET, SECURE))


async def test_a_page_leaves_nothing_for_the_next_browser(site):
    """Requests on one connection share a task, so what belongs to one browser must not remain for the next."""
    begun = await asyncio.gather(*(site.begin() for _ in range(5)))
    for _page, asked, cookie in begun:
        assert shows(await site.finish(asked["state"], ""), install.OTHER_BROWSER)
        assert (await site.finish(asked["state"], cookie)).status_code == 200
