"""Slack's own OAuth flow for Python, Bolt's, installs itself in a local Slack, with a person's browser."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import App, LocalSlack, OAuth, Workspace
from tests.local_slack.conftest import bolt_flow

pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
"""slack_sdk sends the app's credentials with a class that aiohttp has deprecated."""

APP = App(
    command="/test",
    scopes=frozenset({"chat:write", "chat:write.public", "commands", "users:read"}),
    events=frozenset({"app_uninstalled", "tokens_revoked"}),
    oauth=OAuth(optional_scopes=frozenset({"users:read"})),
)
SCOPES = ["chat:write", "chat:write.public", "commands", "users:read"]


@pytest.fixture
async def slack():
    """Run a local Slack with two workspaces that have the same people and channels."""
    slack = LocalSlack(APP, Workspace("T0ALPHA", "Alpha Corp"))
    slack.add_workspace(Workspace("T0BETA", "Beta Corp"))
    await slack.start()
    yield slack
    await slack.stop()


@pytest.fixture
async def bolt(slack, tmp_path):
    """Run an app of Bolt's with its own pages; yields the URL of the page where people start."""
    async with serving(slack, tmp_path) as url:
        yield url


@asynccontextmanager
async def serving(slack, tmp_path):
    client = AsyncWebClient(base_url=slack.api_url)
    app = AsyncApp(
        client=client,
        signing_secret=APP.signing_secret,
        oauth_flow=bolt_flow(slack, client, APP, SCOPES, tmp_path),
    )
    app.enable_token_revocation_listeners()

    @app.command("/test")
    async def _command(ack, say, context):
        await ack()
        await say(f"in {context.team_id}")

    runner = web.AppRunner(app.web_app("/slack/events"), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack"
    slack.oauth.redirect_urls = (f"{url}/oauth_redirect",)
    slack.request_url = f"{url}/events"
    try:
        yield f"{url}/install"
    finally:
        await runner.cleanup()


async def test_two_workspaces_install_it(slack, bolt):
    """Each is served with its own token, and sees nothing of the other."""
    for one in slack.workspaces:
        shown = await slack.oauth.install(one, "U0ANA", bolt)
        assert shown.status == 200
        assert "Thank you!" in shown.text
        assert (await one.command("U0BEN", "D00BEN")).ok
    for one in slack.workspaces:
        [message] = await slack.wait_for(lambda here=one: here.messages("D00BEN"))
        assert message["text"] == f"in {one.workspace.id}"
    assert {call.team_id for call in slack.calls if call.method == "chat.postMessage"} == {"T0ALPHA", "T0BETA"}


async def test_a_person_cancels(slack, bolt):
    """The app shows why nothing was installed."""
    shown = await slack.oauth.install(slack, "U0ANA", bolt, press="cancel")
    assert "access_denied" in shown.text
    assert not slack.installation.is_installed


async def test_a_person_unticks_an_optional_scope(slack, bolt):
    """An unticked scope isn't granted."""
    await slack.oauth.install(slack, "U0ANA", bolt, without=["users:read"])
    assert slack.installation.scopes == frozenset(SCOPES) - {"users:read"}


async def test_bolt_deletes_a_workspace_that_removes_the_app(slack, bolt, tmp_path):
    """Bolt deletes what it stored for a workspace, once the events have arrived."""
    beta = slack.workspaces["T0BETA"]
    for one in slack.workspaces:
        await slack.oauth.install(one, "U0ANA", bolt)
    stored = tmp_path / "installations"
    assert {path.name for path in stored.iterdir()} == {"none-T0ALPHA", "none-T0BETA"}
    slack.oauth.uninstall(beta)
    await slack.wait_for(lambda: len(slack.envelopes) >= 2 and all(one.ack for one in slack.envelopes))
    assert all(one.ack.ok for one in slack.envelopes)
    assert {path.name for path in stored.iterdir() if any(path.iterdir())} == {"none-T0ALPHA"}


async def test_a_start_page_without_slacks_link_is_reported(slack, bolt):
    """The error differs from that of an app that fails."""
    with pytest.raises(LookupError, match="doesn't lead to"):
        await slack.oauth.install(slack, "U0ANA", slack.request_url)
