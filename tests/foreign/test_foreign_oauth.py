"""The stand-in's OAuth, driven by Slack's own JavaScript library for it: code that shares nothing with this project."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from local_slack import App, LocalSlack, OAuth, Org, Workspace
from tests.npm import running

SCOPES = ("chat:write", "commands", "users:read")
ORG = Org("E0FIBER", "Fiber Arts")


@asynccontextmanager
async def installing(folder, **options):
    """Run a stand-in with two workspaces, and the app; yields both, with the app's address."""
    oauth = OAuth(optional_scopes=frozenset({"users:read"}), **options)
    slack = LocalSlack(App(scopes=frozenset(SCOPES), oauth=oauth), Workspace("T0ALPHA", "Alpha Corp"))
    slack.add_workspace(Workspace("T0BETA", "Beta Corp", org=ORG))
    await slack.start()
    settings = {
        "SLACK_API_URL": slack.api_url,
        "AUTHORIZE_URL": slack.oauth.authorize_url,
        "CLIENT_ID": oauth.client_id,
        "CLIENT_SECRET": oauth.client_secret,
        "SCOPES": ",".join(SCOPES),
    }
    try:
        async with running(folder, "oauth.mjs", settings) as started:
            url = f"http://127.0.0.1:{started['port']}"
            slack.oauth.redirect_urls = (f"{url}/slack/oauth_redirect",)
            yield slack, url
    finally:
        await slack.stop()


@pytest.fixture
async def app(node_folder):
    """A stand-in, and the app to install in it."""
    async with installing(node_folder) as both:
        yield both


async def install(slack, place, url, **options):
    """Install the app as a person does, and return what it shows."""
    shown = await slack.oauth.install(place, "U0ANA", f"{url}/slack/install", **options)
    return shown.status, json.loads(shown.text)


async def asked(url):
    """Return the text of one of the app's pages."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.json()


async def test_two_workspaces_install_the_app(app):
    """Each gets its own token, and authorize() finds it by the workspace."""
    slack, url = app
    for one in slack.workspaces:
        status, shown = await install(slack, one, url)
        assert (status, shown["team"]) == (200, {"id": one.workspace.id, "name": one.workspace.name})
        assert shown["bot"] == {
            "id": "B0LOCAL",
            "userId": "U0LOCAL",
            "scopes": list(SCOPES),
            "token": "",
            "refreshToken": "",
        }
        assert (shown["user"]["id"], shown["isEnterpriseInstall"]) == ("U0ANA", False)
    for one in slack.workspaces:
        _status, who = await asked(f"{url}/as?team={one.workspace.id}")
        assert (who["team_id"], who["token"]) == (one.workspace.id, one.installation.tokens.bot)


async def test_a_person_cancels_or_unticks_a_scope(app):
    """The library reads the refusal, and the scopes that were granted."""
    slack, url = app
    assert await install(slack, slack, url, press="cancel") == (
        400,
        {"code": "slack_oauth_installer_authorization_error"},
    )
    _status, shown = await install(slack, slack, url, without=["users:read"])
    assert shown["bot"]["scopes"] == ["chat:write", "commands"]


async def test_an_uninstalled_app_is_refused(app):
    """What the library stored no longer works after the app was uninstalled."""
    slack, url = app
    await install(slack, slack, url)
    slack.oauth.uninstall(slack)
    status, failed = await asked(f"{url}/as?team=T0ALPHA")
    assert (status, failed["error"]) == (500, "An API error occurred: account_inactive")


async def test_the_library_rotates_tokens(node_folder):
    """A token that seems to have expired is refreshed by authorize()."""
    async with installing(node_folder, rotates_tokens=True) as (slack, url):
        _status, shown = await install(slack, slack, url)
        assert shown["bot"]["expiresAt"] > 0
        before = (await asked(f"{url}/as?team=T0ALPHA"))[1]["token"]
        await asked(f"{url}/expire?team=T0ALPHA")
        after = (await asked(f"{url}/as?team=T0ALPHA"))[1]["token"]
        assert before != after == slack.installation.tokens.bot


async def test_an_organization_installs_the_app(node_folder):
    """The library recognizes it as an organization's, and its token says so."""
    async with installing(node_folder, is_org_ready=True) as (slack, url):
        _status, shown = await install(slack, ORG, url)
        assert (shown["isEnterpriseInstall"], shown["enterprise"]["id"]) == (True, "E0FIBER")
        assert "team" not in shown
        assert (await asked(f"{url}/as?enterprise=E0FIBER"))[1]["team_id"] == "E0FIBER"
