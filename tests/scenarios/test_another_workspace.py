"""The sandbox's second workspace: a stranger installs the bot there, connects FloKit, uses it, and uninstalls it.

Pictures go to ``artifacts/``; ``make picture`` puts one of them into docs/many-workspaces.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.scenarios.test_browser import (
    ARTIFACTS,
    BARRIERS,
    OUTCOME_WITHIN_MS,
    STRIPE,
    TEXT_TOO_FAINT,
    axe,
    browser,
    keep_picture,
    open_page,
    resync_of,
    running_sandbox,
    sandbox,
    turn,
    type_in,
)

__all__ = ["axe", "browser", "sandbox"]  # fixtures

REFUSED = "the server responded with a status of 400"
"""What the browser says of a refused command and of an install page that explains a wrong link."""

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def url(sandbox: str) -> AsyncIterator[str]:
    """The sandbox; afterwards, the app is uninstalled from Beta Corp, and its FloKit is as before."""
    yield sandbox
    await ask(sandbox, "uninstall", team="T0BETA")
    await turn(sandbox, team="T0BETA", action="reset")


async def ask(url: str, action: str, **asked: str) -> dict[str, str]:
    """Send what the page sends, and return the answer."""
    async with aiohttp.ClientSession(url) as session, session.post(f"/page/{action}", json=asked) as answer:
        return await answer.json()


async def choose_another(page: Page, place: str = "Beta Corp") -> None:
    """Choose *Another workspace…* and which; on a narrow page, the sidebar has to be opened first."""
    drawer = page.get_by_role("button", name="Channels and people")
    if await drawer.is_visible():
        await drawer.click()
    await page.get_by_test_id("another-workspace").click()
    await page.get_by_role("menuitem", name=place).click()
    await page.get_by_test_id("dialog").wait_for()


async def go_to_install_page(page: Page, place: str = "Beta Corp") -> None:
    """Choose *Another workspace…*, confirm, and wait for the bot's own page."""
    await choose_another(page, place)
    await page.get_by_test_id("dialog-confirm").click()
    await heading(page, "Add FloKit to Slack")


async def heading(page: Page, words: str) -> None:
    """Wait for the page with this heading."""
    await expect(page.get_by_role("heading", level=1)).to_have_text(words, timeout=OUTCOME_WITHIN_MS)


async def go_to_slack(page: Page) -> None:
    """Follow the install page's button to Slack's page."""
    await page.get_by_role("link", name="Add to Slack").click()
    await heading(page, "FloKit wants access to Beta Corp")


async def open_app(page: Page) -> None:
    """Go from the page that says it's installed to the direct message with the app."""
    await page.get_by_role("link", name="Open FloKit in Slack").click()
    await page.get_by_test_id("messages").get_by_role("button", name="Connect FloKit").last.wait_for()


async def install(page: Page) -> None:
    """Go the whole way from the sidebar to the direct message."""
    await go_to_install_page(page)
    await go_to_slack(page)
    await page.get_by_role("button", name="Allow").click()
    await open_app(page)


async def open_form(page: Page) -> None:
    """Press the button of the newest greeting."""
    await page.get_by_test_id("messages").get_by_role("button", name="Connect FloKit").last.click()
    await page.get_by_test_id("key-write").wait_for()


async def connect(page: Page) -> None:
    """Submit the form with a key of Beta Corp's FloKit."""
    await connect_in_form(page)
    told = page.get_by_test_id("messages").get_by_test_id("message").last
    await expect(told).to_contain_text("Connected: 7 integrations, 2 need attention.", timeout=OUTCOME_WITHIN_MS)


async def connect_in_form(page: Page) -> None:
    """Submit the form with a key of the workspace's FloKit."""
    await page.get_by_test_id("key-write").click()
    await expect(page.get_by_label("API key", exact=True)).not_to_be_empty()
    for _ in range(3):
        await page.get_by_test_id("modal-submit").click()
        await expect(page.locator("#modal-submit:not([aria-busy])")).to_be_attached()
        if not await page.get_by_text("in time, so nothing was saved").is_visible():
            break  # otherwise, the machine was so busy that FloKit took longer than Slack waits


async def uninstall(page: Page) -> None:
    """Use the app's menu."""
    await page.get_by_test_id("channel-menu").click()
    await page.get_by_role("menuitem", name="Uninstall FloKit…").click()
    await page.get_by_test_id("dialog-confirm").click()
    await page.get_by_test_id("uninstalled").wait_for()


async def log_of(url: str, team: str) -> list[dict[str, object]]:
    """Return what the inspector shows of a workspace, newest first."""
    async with aiohttp.ClientSession(url) as session, session.ws_connect(f"/page/live?team={team}") as feed:
        return (await feed.receive_json(timeout=10))["log"]


async def test_a_stranger_installs_it_beside_the_first_workspace(browser, url):
    """From the sidebar over the bot's page and Slack's to the connected FloKit; both workspaces see their own."""
    page = await open_page(browser, url)
    await go_to_install_page(page)
    card = await page.locator("main").bounding_box()
    upper_half = {"x": card["x"] - 24, "y": 0, "width": card["width"] + 48, "height": 715}
    await page.screenshot(path=ARTIFACTS / "install.png", clip=upper_half)
    await go_to_slack(page)
    await keep_picture(page, "another-allow")
    await page.get_by_role("button", name="Allow").click()
    await heading(page, "FloKit is installed in Beta Corp")
    await keep_picture(page, "another-installed")
    await open_app(page)
    await expect(page.locator("#team-name")).to_have_text("Beta Corp")
    await expect(page.get_by_test_id("acting-as")).to_have_value("UMIA")
    await open_form(page)
    await keep_picture(page, "another-form")
    await connect(page)
    await keep_picture(page, "another-connected")
    await page.get_by_test_id("channel-C0GROWTH").click()
    await type_in(page, "/flokit show revenuecat")
    await expect(page.get_by_test_id("messages")).to_contain_text("The API key was revoked in RevenueCat")
    await expect(page.get_by_test_id("team-T0SANDBOX")).not_to_contain_text("new messages")
    await ask(url, "command", user="UANA", channel="C0DATA", text="/flokit show stripe")
    await expect(page.get_by_test_id("team-T0SANDBOX")).to_contain_text("new messages")
    await keep_picture(page, "another-beside")
    await page.get_by_test_id("team-T0SANDBOX").click()
    await expect(page.locator("#team-name")).to_have_text("Sandbox")
    await expect(page.get_by_test_id("acting-as")).to_have_value("UANA")
    await expect(page.get_by_test_id("messages")).to_contain_text("Webhook signature verification failed")
    await expect(page.get_by_test_id("messages")).not_to_contain_text("The API key was revoked in RevenueCat")
    await page.get_by_test_id("channel-D0ANA").click()
    await expect(page.get_by_test_id("messages")).to_contain_text("Connected: 7 integrations, 3 need attention.")
    assert not page.complaints


async def test_the_first_workspace_works_on_after_the_bot_has_restarted(browser):
    """Earlier buttons still start syncs, and webhooks come in at an address of its own, also after a crash."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        await type_in(page, "/flokit status")
        await resync_of(page, "RevenueCat").wait_for()
        await turn(url, action="webhook")
        await go_to_install_page(page)
        await page.goto(url)
        await resync_of(page, "RevenueCat").click()
        await page.get_by_test_id("dialog-confirm").click()
        await page.get_by_test_id("open-thread").locator("visible=true").last.click()
        await expect(page.get_by_test_id("thread-messages")).to_contain_text("synced in", timeout=OUTCOME_WITHIN_MS)
        await turn(url, action="webhook")
        await turn(url, action="kill_bot")
        await expect(page.get_by_test_id("banner")).to_be_visible()
        await expect(page.get_by_test_id("banner")).to_be_hidden(timeout=OUTCOME_WITHIN_MS)
        await turn(url, action="webhook")
        assert not page.complaints


async def test_nothing_is_sent_for_a_workspace_after_its_uninstall(browser, url):
    """The page says so; while integrations fail, its inspector shows nothing new. Installing again brings all back."""
    page = await open_page(browser, url)
    await install(page)
    await open_form(page)
    await connect(page)
    await page.get_by_test_id("channel-C0GROWTH").click()
    await type_in(page, "/flokit subscribe all")
    await expect(page.get_by_test_id("messages")).to_contain_text("subscribed this channel")
    await page.get_by_test_id("channel-D0MIA").click()
    await uninstall(page)
    await page.get_by_test_id("inspector-open").click()
    newest = page.get_by_test_id("inspector-entry").first
    await expect(newest).to_contain_text(re.compile("app_uninstalled|tokens_revoked"))
    await keep_picture(page, "another-uninstalled")
    await page.get_by_test_id("channel-C0GROWTH").click()
    await type_in(page, "/flokit status")
    await expect(page.get_by_test_id("toast")).to_contain_text("The app isn't installed in Beta Corp.")
    before = await log_of(url, "T0BETA")
    await turn(url, team="T0BETA", action="integration", id=STRIPE, status="error", error_message="Beta's is wrong")
    await turn(url, action="move_clock", step="hour")  # the other workspace is checked, so the bot is at work
    await ask(url, "command", user="UANA", channel="C0DATA", text="/flokit status")
    await expect(page.get_by_test_id("team-T0SANDBOX")).to_contain_text("new messages")
    assert await log_of(url, "T0BETA") == before
    await page.get_by_test_id("install-again").click()
    await page.get_by_test_id("dialog-confirm").click()
    await go_to_slack(page)
    await page.get_by_role("button", name="Allow").click()
    await open_app(page)
    await expect(page.get_by_test_id("uninstalled")).to_be_hidden()
    await page.get_by_test_id("channel-C0GROWTH").click()
    await type_in(page, "/flokit subscriptions")
    await expect(page.get_by_test_id("messages")).to_contain_text("This channel has 1 subscription.")
    assert not [one for one in page.complaints if REFUSED not in one]


async def test_the_inspector_shows_no_secret_of_the_way(browser, url):
    """Neither OAuth's codes, secrets and tokens, nor FloKit's keys, also mistyped ones, nor the webhooks' address."""
    page = await open_page(browser, url)
    await install(page)
    await open_form(page)
    await page.get_by_label("API key", exact=True).fill("mistyped-key-of-somebody")
    await page.get_by_test_id("modal-submit").click()
    await expect(page.get_by_test_id("modal")).to_contain_text("FloKit refuses this key (HTTP 401)")
    await keep_picture(page, "another-refused-key")
    await connect(page)
    told = await page.get_by_test_id("messages").inner_text()
    webhook = re.findall(r"/webhooks/flokit/([\w-]+)", told)[-1]
    key = (await ask(url, "flokit_key", team="T0BETA", rights="write"))["key"]
    log = await log_of(url, "T0BETA")
    assert {"oauth.v2.access", "interactive view_submission", "chat.postMessage"} <= {one["title"] for one in log}
    text = json.dumps(log)
    assert "/webhooks/flokit/•••" in json.dumps(log, ensure_ascii=False)
    for secret in (key, webhook, "mistyped-key", "flo_", "xoxb-", "xapp-"):
        assert secret not in text
    [exchange] = [one for one in log if one["title"] == "oauth.v2.access"][:1]
    assert exchange["request"]["client_secret"] == exchange["request"]["code"] == "•••"
    assert exchange["response"]["access_token"] == "•••"


async def test_an_organization_installs_it_for_its_workspaces(browser):
    """Org-wide, then in one workspace after the other; each connects its own FloKit, and can lose the app alone."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        await page.get_by_test_id("another-workspace").click()
        await keep_picture(page, "org-menu")
        await page.keyboard.press("Escape")
        await go_to_install_page(page, "All of Gamma Group")
        await page.get_by_role("link", name="Add to Slack").click()
        await heading(page, "FloKit wants access to a workspace")
        await page.get_by_label("Workspace and person").select_option(label="All of Gamma Group, as ida")
        await page.get_by_role("button", name="Allow").click()
        await heading(page, "FloKit is installed in Gamma Group")
        await keep_picture(page, "org-installed")
        await page.get_by_role("link", name="Add it to workspaces").click()
        await heading(page, "FloKit in Gamma Group")
        await page.get_by_label("Gamma Europe").check()
        await keep_picture(page, "org-access")
        await page.get_by_role("button", name="Add to workspaces").click()
        await page.get_by_role("link", name="Gamma Europe").click()
        await expect(page.locator("#team-name")).to_have_text("Gamma Europe")
        await expect(page.get_by_test_id("acting-as")).to_have_value("UIDA")
        await page.get_by_test_id("home-tab").click()
        await page.get_by_test_id("home").get_by_role("button", name="Connect FloKit").click()
        await connect_in_form(page)
        await page.get_by_test_id("channel-C0EUROPE").click()
        await type_in(page, "/flokit status")
        await expect(page.get_by_test_id("messages")).to_contain_text("3 of 7 integrations need attention")
        await keep_picture(page, "org-status")
        await choose_another(page, "All of Gamma Group")
        await page.get_by_test_id("dialog-confirm").click()
        await heading(page, "FloKit in Gamma Group")
        await page.get_by_label("Gamma Asia").check()
        await page.get_by_role("button", name="Add to workspaces").click()
        await page.get_by_role("link", name="Gamma Asia").click()
        await expect(page.locator("#team-name")).to_have_text("Gamma Asia")
        await page.get_by_test_id("channel-C0ASIA").click()
        await type_in(page, "/flokit status")
        await expect(page.get_by_test_id("messages")).to_contain_text("FloKit isn't connected to this workspace yet.")
        await page.get_by_test_id("channel-D0IDA").click()
        await uninstall(page)
        await page.get_by_test_id("team-T0GAMMAEU").click()
        await page.get_by_test_id("channel-C0EUROPE").click()
        await type_in(page, "/flokit status")
        await expect(page.get_by_test_id("messages").get_by_test_id("message").last).to_contain_text("3 of 7")
        assert not page.complaints


async def the_install(page: Page, url: str) -> AsyncIterator[str]:
    """Install the app with all detours, and yield each view's name while it's shown."""
    await page.goto(url)
    await page.get_by_test_id("composer").wait_for()
    await choose_another(page)
    yield "ask"
    await page.get_by_test_id("dialog-confirm").click()
    await heading(page, "Add FloKit to Slack")
    yield "install page"
    await go_to_slack(page)
    yield "Slack's page"
    await page.get_by_role("button", name="Cancel").click()
    await heading(page, "Installation canceled")
    yield "canceled"
    await page.get_by_role("link", name="Start again").click()
    await page.get_by_role("link", name="Add to Slack").click()
    await page.get_by_label("Workspace and person").select_option(label="Beta Corp, as noah")
    yield "Slack's page for any workspace"
    await page.get_by_role("button", name="Allow").click()
    await heading(page, "FloKit is installed in Beta Corp")
    yield "installed"
    used = page.url
    await page.goto(used)
    await heading(page, "This link has expired or was already used")
    yield "expired"
    await page.goto(f"{used.partition('?')[0]}?code=1&state=2")
    await page.get_by_role("heading", level=1).wait_for()
    yield "wrong state"
    await page.goto(used.partition("?")[0])
    await heading(page, "Nothing to install")
    yield "no code"


async def the_use(page: Page, url: str) -> AsyncIterator[str]:
    """Use the app where it's installed, uninstall it, and yield each view's name while it's shown."""
    await page.goto(f"{url}/app_redirect?team=T0BETA")
    await page.get_by_test_id("messages").get_by_role("button", name="Connect FloKit").last.wait_for()
    yield "greeting"
    await page.get_by_test_id("home-tab").click()
    await page.get_by_test_id("home").get_by_role("button", name="Connect FloKit").wait_for()
    yield "App Home"
    await page.get_by_test_id("messages-tab").click()
    await open_form(page)
    yield "form"
    await connect(page)
    yield "connected"
    drawer = page.get_by_role("button", name="Channels and people")
    if await drawer.is_visible():
        await drawer.click()
        await page.get_by_test_id("team-T0BETA").wait_for()
        yield "workspaces"
        await page.get_by_role("button", name="Close the sidebar").click()
    await page.get_by_test_id("channel-menu").click()
    yield "app's menu"
    await page.get_by_role("menuitem", name="Uninstall FloKit…").click()
    yield "uninstall"
    await page.get_by_test_id("dialog-confirm").click()
    await page.get_by_test_id("uninstalled").wait_for()
    yield "uninstalled"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
async def test_no_view_of_the_way_has_a_serious_barrier(browser, url, axe, width, dark):
    """Also on the pages of an installation that was canceled or has expired; and all text has enough contrast."""
    page = await open_page(browser, url, width=width, dark=dark)
    await page.emulate_media(reduced_motion="reduce")
    found = {}
    for part in (the_install, the_use):
        async for view in part(page, url):
            await keep_picture(page, f"way-{'dark' if dark else 'light'}-{re.sub('[^a-z]+', '-', view.lower())}")
            await page.evaluate(axe)
            faint = [] if await page.locator("dialog[open]").count() else (await page.evaluate(TEXT_TOO_FAINT))["faint"]
            found[view] = [*await page.evaluate(BARRIERS), *faint]
    assert {view: barriers for view, barriers in found.items() if barriers} == {}
    assert len(found) >= 16
    assert not [one for one in page.complaints if REFUSED not in one]
