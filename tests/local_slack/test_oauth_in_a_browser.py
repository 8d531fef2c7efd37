"""Installing by OAuth in a real browser: the app's page, Slack's page, and back, with the browser's own rules."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import async_playwright, expect
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import App, LocalSlack, OAuth, Org, Workspace
from tests.local_slack.conftest import bolt_flow

pytestmark = [
    pytest.mark.browser,
    # slack_sdk sends the app's credentials with a class that aiohttp has deprecated.
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
]

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOWN_WITHIN_MS = 15_000
SCOPES = ["chat:write", "commands", "users:read", "channels:history"]
APP = App(
    name="Weather bot",
    scopes=frozenset(SCOPES),
    oauth=OAuth(optional_scopes=frozenset({"channels:history", "users:read"}), is_org_ready=True),
)


@pytest.fixture
async def page():
    """A page of Debian's Chromium, headless."""
    if CHROMIUM is None and "CI" not in os.environ:
        pytest.skip("no chromium on this machine; CI has one")
    assert CHROMIUM, "chromium is missing: apt-get install chromium"
    expect.set_options(timeout=SHOWN_WITHIN_MS)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield await chromium.new_page(viewport={"width": 900, "height": 760})
        await chromium.close()


@pytest.fixture
async def slack():
    """Run a local Slack with two workspaces, one of them in an organization."""
    slack = LocalSlack(APP, Workspace("T0ALPHA", "Alpha Corp"))
    slack.add_workspace(Workspace("T0BETA", "Beta Corp", org=Org("E0FIBER", "Fiber Arts")))
    await slack.start()
    yield slack
    await slack.stop()


@pytest.fixture
async def start(slack, tmp_path):
    """Run a Bolt app on its own port, and return the address of its page."""
    client = AsyncWebClient(base_url=slack.api_url)
    app = AsyncApp(signing_secret="unused", oauth_flow=bolt_flow(slack, client, APP, SCOPES, tmp_path))
    runner = web.AppRunner(app.web_app("/slack/events"), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack"
    slack.oauth.redirect_urls = (f"{url}/oauth_redirect",)
    yield f"{url}/install"
    await runner.cleanup()


async def go_to_slack(page, start):
    """Click the app's own button."""
    await page.goto(start)
    await page.locator("a").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Weather bot wants access to a workspace")


async def test_a_person_installs_it(page, slack, start):
    """Allow leads back to the app, which recognizes the browser, and gets its token."""
    await go_to_slack(page, start)
    await expect(page.get_by_role("listitem")).to_have_count(2)
    await page.get_by_label("Workspace and person").select_option(label="Beta Corp, as ana")
    await page.get_by_label("See people in the workspace").uncheck()
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / "oauth-allow.png")
    await page.get_by_role("button", name="Allow").click()
    await expect(page.get_by_text("Thank you!")).to_be_visible()
    beta = slack.workspaces["T0BETA"]
    assert beta.installation.scopes == {"chat:write", "commands", "channels:history"}
    assert not slack.installation.is_installed


async def test_a_person_cancels(page, slack, start):
    """Cancel leads back to the app, which shows why."""
    await go_to_slack(page, start)
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_text("access_denied")).to_be_visible()
    assert not any(one.installation.is_installed for one in slack.workspaces)


async def test_a_wrong_link_is_explained(page, slack, start):
    """If the Redirect URL isn't the app's, Slack explains it, and redirects no one."""
    slack.oauth.redirect_urls = ("https://app.example/slack/oauth_redirect",)
    settings = "&redirect_uri=https://evil.example/"
    await page.goto(f"{slack.oauth.authorize_url}?client_id={APP.oauth.client_id}&scope=chat:write{settings}")
    await expect(page.get_by_text("redirect_uri did not match any configured URIs")).to_be_visible()
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / "oauth-wrong.png")
    await expect(page.get_by_role("button")).to_have_count(0)
