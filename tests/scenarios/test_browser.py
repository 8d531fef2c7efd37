"""The sandbox as a newcomer meets it: ``flokit-bot sandbox``, a browser, and nothing else.

Pictures go to ``artifacts/``; ``make picture`` puts one of them into the README.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Locator, Page, async_playwright, expect
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.page import add_page
from sandbox.run import PAGE_FILES
from sandbox.slack import flokit_slack
from tests import npm

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SHOWN_WITHIN_MS = 25_000
OUTCOME_WITHIN_MS = 45_000
REVENUECAT, STRIPE = "int_01hx4j7revenuecat", "int_01hx4j7stripe"


@asynccontextmanager
async def running_sandbox() -> AsyncIterator[str]:
    """Start ``flokit-bot sandbox`` on a free port, and return the address that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "sandbox", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        async with asyncio.timeout(120):
            while not (found := re.search(rb"http://\S+", await process.stdout.readline())):
                assert process.returncode is None
        yield found[0].decode()
    finally:
        process.terminate()
        assert await process.wait() == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[str]:
    """One sandbox for all: starting it takes longer than most tests."""
    if CHROMIUM is None and "CI" not in os.environ:
        pytest.skip("no chromium on this machine; CI has one")
    async with running_sandbox() as address:
        yield address


@pytest_asyncio.fixture(loop_scope="module")
async def url(sandbox: str) -> str:
    """The sandbox with the demo's integrations and fine weather; messages of earlier tests stay."""
    await turn(sandbox, action="reset")
    return sandbox


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator:
    """Debian's Chromium, headless."""
    if CHROMIUM is None and "CI" not in os.environ:
        pytest.skip("no chromium on this machine; CI has one")
    assert CHROMIUM, "chromium is missing: apt-get install chromium"
    expect.set_options(timeout=SHOWN_WITHIN_MS)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        await chromium.close()


async def turn(url: str, **order: object) -> None:
    """Turn a knob of the control panel, as the page does."""
    async with aiohttp.ClientSession() as session, session.post(f"{url}/page/control", json=order) as answer:
        assert (await answer.json())["ok"], await answer.text()


async def plan_success(url: str, integration: str, duration_s: float) -> None:
    """Let the next syncs of an integration succeed after so long."""
    await turn(url, action="plan", id=integration, ending="succeeded", start_lag_s=0.3, duration_s=duration_s)


async def finish(url: str, integration: str) -> None:
    """Let the sync that is under way end now."""
    await turn(url, action="finish", id=integration)


async def open_page(browser, url: str, *, width: int = 1280, dark: bool = False) -> Page:
    """Open the page; anything that the browser complains about fails the test."""
    page = await browser.new_page(
        viewport={"width": width, "height": 860}, color_scheme="dark" if dark else "light", timezone_id="Europe/Berlin"
    )
    page.set_default_timeout(SHOWN_WITHIN_MS)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda line: page.complaints.append(line.text) if line.type == "error" else None)
    await page.goto(url)
    await page.get_by_test_id("composer").wait_for()
    return page


async def type_in(page: Page, text: str, where: str = "composer") -> None:
    """Type as a person does, and send by Enter."""
    await page.get_by_test_id(where).fill(text)
    await page.keyboard.press("Escape")  # the suggestions
    await page.keyboard.press("Enter")


def resync_of(page: Page, name: str) -> Locator:
    """The Resync button beside an integration's name."""
    return (
        page.get_by_test_id("messages").get_by_role("button", name=re.compile(rf"Resync.*{name}", re.IGNORECASE)).last
    )


async def keep_picture(page: Page, name: str) -> None:
    """Keep what the page looks like now."""
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png")


async def start_sync(page: Page, name: str) -> None:
    """Ask for the status, press Resync at an integration, confirm, and open the thread."""
    before = await page.get_by_test_id("messages").get_by_test_id("message").count()
    await type_in(page, "/flokit status")
    await expect(page.get_by_test_id("messages").get_by_test_id("message")).to_have_count(before + 1)
    await resync_of(page, name).click()
    await page.get_by_test_id("dialog-confirm").click()
    await page.get_by_test_id("messages").get_by_test_id("message").last.get_by_test_id("open-thread").click()


async def test_the_main_job_is_done_by_typing_and_clicking(browser, url):
    """Status, Resync, confirm, thread: a newcomer reads the outcome, and the row is put right."""
    page = await open_page(browser, url)
    await page.get_by_test_id("tour-skip").click()
    await type_in(page, "/flokit status")
    await resync_of(page, "Google Play").click()
    await page.get_by_test_id("dialog").wait_for()
    await keep_picture(page, "confirm")
    await page.get_by_test_id("dialog-confirm").click()
    await page.get_by_test_id("open-thread").locator("visible=true").last.click()
    thread = page.get_by_test_id("thread-messages")
    await expect(thread).to_contain_text(
        re.compile(r"Google Play synced in \d+ s — 214 new events"), timeout=OUTCOME_WITHIN_MS
    )
    await expect(page.get_by_test_id("messages")).to_contain_text("resync by @ana")
    await keep_picture(page, "thread")
    assert not page.complaints


async def test_a_second_person_joins_and_both_get_the_outcome(browser, url):
    """There's one sync, and the outcome names both."""
    await plan_success(url, REVENUECAT, 600)
    ana = await open_page(browser, url)
    await start_sync(ana, "RevenueCat")
    ben = await open_page(browser, f"{url}/?as=UBEN")
    await resync_of(ben, "RevenueCat").click()
    await ben.get_by_test_id("dialog-confirm").click()
    await ben.get_by_test_id("open-thread").locator("visible=true").last.click()
    await expect(ben.get_by_test_id("thread-messages")).to_contain_text("@ben")
    await finish(url, REVENUECAT)
    outcome = ben.get_by_test_id("thread-messages").get_by_test_id("message").last
    await expect(outcome).to_contain_text(
        re.compile(r"RevenueCat.*synced.*@ana.*@ben", re.DOTALL), timeout=OUTCOME_WITHIN_MS
    )
    await keep_picture(ben, "joined")


async def test_a_bot_killed_mid_run_still_posts_the_outcome_once(browser, url):
    """Killed by the control panel; the page says that the bot is away."""
    await plan_success(url, REVENUECAT, 600)
    page = await open_page(browser, url)
    await page.get_by_test_id("control-open").click()
    await start_sync(page, "RevenueCat")
    thread = page.get_by_test_id("thread-messages")
    await expect(thread).to_contain_text(re.compile("RevenueCat: (starting|syncing|queued)"))
    await page.get_by_test_id("control-kill").click()
    await expect(page.get_by_test_id("banner")).to_contain_text("FloKit is offline")
    await keep_picture(page, "killed")
    await expect(page.get_by_test_id("banner")).to_be_hidden(timeout=OUTCOME_WITHIN_MS)
    await finish(url, REVENUECAT)
    told = thread.get_by_test_id("message").filter(has_text=re.compile(r"RevenueCat synced in \d+ s"))
    await expect(told).to_have_count(1, timeout=OUTCOME_WITHIN_MS)
    await expect(thread).to_contain_text("finished after")  # the last thing that the run says
    await expect(told).to_have_count(1)
    await expect(page.get_by_test_id("control-bot")).to_contain_text("restarted")
    assert not page.complaints


async def test_the_tour_leads_from_a_failure_through_a_crash_to_the_outcome(browser):
    """Each of the five steps can be done by its button and completes automatically."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        for step in range(1, 6):
            await page.get_by_test_id("tour-next").click()
            await expect(page.get_by_test_id("tour-progress")).to_have_text(f"{step}/5")
            await take_step(page, step)
            await expect(page.get_by_test_id("tour-seen")).to_be_visible(timeout=OUTCOME_WITHIN_MS)
            await keep_picture(page, f"tour-{step}")
        await page.get_by_test_id("tour-next").click()
        await expect(page.get_by_test_id("tour")).to_contain_text("You've finished the tour")
        assert not page.complaints


async def take_step(page: Page, step: int) -> None:
    """Do what a step asks for: by the button that does it, or, where it only points, by hand."""
    if step == 5:
        return  # the outcome comes by itself
    await page.get_by_test_id("tour-do").click()
    if step == 2:
        await page.locator(".pointed").click()
        await page.get_by_test_id("dialog-confirm").click()


async def test_an_incident_is_taken_and_handed_over(browser, url):
    """Ana is on it, asks Ben, and Ben says so in his direct message; the channel shows each step."""
    page = await open_page(browser, url)
    await type_in(page, "/flokit subscribe all")
    on_it = page.get_by_role("button", name=re.compile("I'm on it"))  # a status message says "is failing", too
    incident = page.get_by_test_id("messages").get_by_test_id("message").filter(has=on_it).last
    ts = await incident.get_attribute("data-ts")  # others may still follow
    incident = page.get_by_test_id("messages").locator(f'[data-ts="{ts}"]')
    await incident.get_by_role("button", name=re.compile("I'm on it")).click()
    await expect(incident).to_contain_text("ana is on it, since")
    await keep_picture(page, "on-it")
    await incident.get_by_label("Hand over to …").select_option("UBEN")
    await expect(incident).to_contain_text("no one is on it yet")
    ben = await open_page(browser, f"{url}/?as=UBEN")
    await ben.get_by_test_id("channel-D0BEN").click()
    asked = ben.get_by_test_id("messages").get_by_test_id("message").last
    await expect(asked).to_contain_text("ana asks you to be on")
    await keep_picture(ben, "asked")
    await asked.get_by_role("button", name=re.compile("I'm on it")).click()
    await expect(incident).to_contain_text("ben is on it, since")
    await type_in(page, "/flokit incidents")
    listed = page.get_by_test_id("messages").get_by_test_id("message").last
    await expect(listed).to_contain_text("ben is on it, since")
    await expect(listed).to_contain_text("No resync from Slack so far")
    await keep_picture(page, "incidents")
    assert not page.complaints


async def test_the_inspector_shows_a_refusal_in_red_and_says_why(browser, url):
    """Under Slack's 429 a call is refused; its entry is red and opens to its JSON, and the message comes later."""
    page = await open_page(browser, url)
    messages = page.get_by_test_id("messages").get_by_test_id("message")
    before = await messages.count()
    await page.get_by_test_id("control-open").click()
    await page.get_by_text("Slack API", exact=True).click()
    await page.get_by_test_id("control-slack-ratelimited").click()
    await expect(page.get_by_test_id("control-slack-ratelimited")).to_have_attribute("aria-pressed", "true")
    await type_in(page, "/flokit status")
    await page.get_by_test_id("inspector-open").click()
    await page.get_by_test_id("inspector-kind").select_option("web_api")
    await page.get_by_test_id("inspector-refusals").check()
    refused = page.get_by_test_id("inspector-entry").filter(has_text="ratelimited").last  # newer ones come above it
    await expect(refused).to_contain_text("ratelimited")
    await expect(refused.locator(".entry-why")).to_have_css("color", "rgb(180, 35, 24)")
    await refused.locator("summary").click()
    await expect(refused.get_by_test_id("json").last).to_contain_text('"error": "ratelimited"')
    await keep_picture(page, "inspector")
    await turn(url, action="slack_weather", weather="fine")
    await expect(messages).to_have_count(before + 1)
    assert not page.complaints


async def test_the_main_job_is_done_by_keyboard_alone(browser, url):
    """Nothing but keys: name an integration with the autocomplete, sync it, confirm, read the outcome in the thread."""
    await plan_success(url, STRIPE, 2)
    page = await open_page(browser, url)
    await expect(page.get_by_test_id("composer")).to_be_focused()
    await page.keyboard.type("/flokit sync str")
    await expect(page.locator("#composer-suggestions [role=option]")).to_contain_text("stripe")
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("composer")).to_have_value("/flokit sync stripe")
    before = await page.get_by_test_id("messages").get_by_test_id("message").count()
    await page.keyboard.press("Enter")
    messages = page.get_by_test_id("messages").get_by_test_id("message")
    await expect(messages).to_have_count(before + 1)
    await messages.last.get_by_test_id("open-thread").wait_for()
    for _ in range(8):
        await page.keyboard.press("Shift+Tab")
        if await page.evaluate("document.activeElement.matches('[data-testid=open-thread]')"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("thread-composer")).to_be_focused()
    thread = page.get_by_test_id("thread-messages")
    await expect(thread).to_contain_text(re.compile(r"Stripe synced in \d+ s"), timeout=OUTCOME_WITHIN_MS)
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("thread")).to_be_hidden()
    assert not page.complaints


async def test_an_ephemeral_answer_is_marked_as_such(browser, url):
    """Where the bot is no member, its answer says who can see it and how to invite it."""
    page = await open_page(browser, url)
    await page.get_by_test_id("channel-G0FINANCE").click()
    await type_in(page, "/flokit status failing")
    answer = page.get_by_test_id("messages").get_by_test_id("message").last
    await expect(answer).to_contain_text("Only visible to you")
    await expect(answer).to_contain_text("/invite")
    await keep_picture(page, "ephemeral")


async def test_the_page_reads_well_narrow_and_dark(browser, url):
    """At 400 px and in the dark nothing is cut off sideways."""
    page = await open_page(browser, url, width=400, dark=True)
    await type_in(page, "/flokit status")
    await resync_of(page, "Stripe").wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await keep_picture(page, "narrow-dark")
    await page.get_by_role("button", name="Channels and people").click()
    await page.get_by_test_id("control-open").click()
    await page.get_by_test_id("control-integration").first.locator("summary").click()
    await expect(page.get_by_test_id("sidebar")).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await keep_picture(page, "narrow-control")
    assert not page.complaints


async def test_the_page_reads_well_wide_and_dark(browser, url):
    """At 1600 px, channel, thread and inspector are side by side, and a message shows its JSON."""
    page = await open_page(browser, url, width=1600, dark=True)
    messages = page.get_by_test_id("messages").get_by_test_id("message")
    before = await messages.count()
    await type_in(page, "/flokit show stripe")
    await expect(messages).to_have_count(before + 1)
    message = messages.last
    await message.get_by_test_id("open-thread").click()
    await message.get_by_test_id("show-json").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("inspector").locator("pre").first).to_contain_text('"bot_id": "BFLOKIT"')
    for part in ("messages", "thread-messages", "inspector"):
        await expect(page.get_by_test_id(part)).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await keep_picture(page, "wide-dark")
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("inspector")).to_be_hidden()
    await expect(message.get_by_test_id("show-json")).to_be_focused()
    assert not page.complaints


def plain(text: str) -> dict[str, object]:
    """A plain_text object."""
    return {"type": "plain_text", "text": text}


def option(name: str) -> dict[str, object]:
    """An option whose value is its name."""
    return {"text": plain(name), "value": name}


def asks(block_id: str, element: dict[str, object], *, optional: bool = True) -> dict[str, object]:
    """An input block labelled like its id."""
    element = {**element, "action_id": "in"}
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(block_id.capitalize()),
        "element": element,
        "optional": optional,
    }


CHOICES = {"options": [option("stripe"), option("amplitude")]}
DIGEST_VIEW = {
    "type": "modal",
    "callback_id": "digest",
    "title": plain("Daily digest"),
    "submit": plain("Save"),
    "close": plain("Not now"),
    "blocks": [
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "What failed, *every morning*."},
            "accessory": {"type": "button", "text": plain("Why?"), "action_id": "why"},
        },
        asks("name", {"type": "plain_text_input"}, optional=False),
        asks("integration", {"type": "static_select", **CHOICES}),
        asks("also", {"type": "multi_static_select", **CHOICES}),
        asks("starting", {"type": "datepicker"}),
        asks("days", {"type": "checkboxes", "options": [option("weekdays"), option("weekends")]}),
        asks("length", {"type": "radio_buttons", "options": [option("short"), option("long")]}),
    ],
}
WHY_VIEW = {
    "type": "modal",
    "title": plain("Why a digest"),
    "close": plain("Back"),
    "blocks": [{"type": "section", "text": plain("Because nobody looks every day.")}],
}


HOME_VIEW = {
    "type": "home",
    "blocks": [
        {"type": "header", "text": plain("All is well")},
        {
            "type": "actions",
            "elements": [{"type": "button", "text": plain("Set up a digest"), "action_id": "open"}],
        },
    ],
}


def preview_view(said: str) -> dict:
    """Return the modal that comes after the first, with what was written there so far."""
    word = {"type": "plain_text_input", "action_id": "word"}
    return {
        "type": "modal",
        "callback_id": "preview",
        "title": plain("Preview"),
        "submit": plain("Done"),
        "blocks": [
            {"type": "section", "text": plain(f"It says {said}.")},
            {"type": "input", "block_id": "word", "label": plain("Word"), "element": word, "dispatch_action": True},
        ],
    }


@asynccontextmanager
async def workspace_with_a_modal() -> AsyncIterator[tuple[str, list[dict]]]:
    """A local Slack with a small bot that has a Home tab and a modal; yields the address and what was submitted."""
    slack, saved = flokit_slack(), []
    add_page(slack.server, slack, PAGE_FILES)
    await slack.start()
    client = AsyncWebClient(token="xoxb-sandbox", base_url=slack.api_url)
    app = AsyncApp(client=client, signing_secret="sandbox-signing-secret")

    @app.event("app_home_opened")
    async def _home(event, client):
        await client.views_publish(user_id=event["user"], view=HOME_VIEW)

    @app.action("open")
    async def _open(ack, body, client):
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=DIGEST_VIEW)

    @app.action("why")
    async def _why(ack, body, client):
        await ack()
        await client.views_push(trigger_id=body["trigger_id"], view=WHY_VIEW)

    @app.action("in")
    async def _chosen(ack):
        await ack()

    @app.action("send")
    async def _send(ack, body, client):
        await ack()
        saved.append(body["state"]["values"])
        await client.chat_postMessage(channel=body["channel"]["id"], text="All is saved.")

    @app.view("digest")
    async def _save(ack, view):
        values = view["state"]["values"]
        if values["name"]["in"]["value"] == "taken":
            await ack(response_action="errors", errors={"name": "There is a digest of this name."})
            return
        saved.append(values)
        if values["name"]["in"]["value"] == "previewed":
            await ack(response_action="update", view=preview_view("nothing"))
            return
        await ack()

    @app.action("word")
    async def _word(ack, body, client):
        await ack()
        said = body["view"]["state"]["values"]["word"]["word"]["value"]
        await client.views_update(view_id=body["view"]["id"], view=preview_view(said))

    @app.view("preview")
    async def _done(ack):
        await ack(response_action="clear")

    handler = AsyncSocketModeHandler(app, "xapp-sandbox")
    await handler.connect_async()
    try:
        await slack.wait_connected()
        yield slack.url, saved
    finally:
        await handler.close_async()
        await slack.stop()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
async def test_a_modal_says_beside_the_field_what_is_wrong(browser, width, dark):
    """From the Home tab into a modal: the page asks for what is required, the bot refuses a name, then it is saved."""
    async with workspace_with_a_modal() as (url, saved):
        page = await open_page(browser, f"{url}/#D0ANA", width=width, dark=dark)
        await page.get_by_test_id("home-tab").click()
        await page.get_by_test_id("home").get_by_role("button", name="Set up a digest").click()
        modal = page.get_by_test_id("modal")
        name = modal.get_by_role("textbox", name="Name")
        await expect(name).to_be_focused()
        await page.get_by_test_id("modal-submit").click()
        await expect(name).to_have_attribute("aria-invalid", "true")
        await expect(modal).to_contain_text("Please complete this required field")
        await name.fill("taken")
        await modal.get_by_role("button", name="Why?").click()
        await expect(modal).to_contain_text("nobody looks")
        await page.keyboard.press("Escape")
        await expect(name).to_have_value("taken")  # what was filled in below stays
        await modal.get_by_label("Integration").select_option("stripe")
        await modal.get_by_label("Starting").fill("2026-12-01")
        await modal.get_by_label("weekdays").check()
        await modal.get_by_label("long").check()
        await page.get_by_test_id("modal-submit").click()
        await expect(modal).to_contain_text("There is a digest of this name.")
        await expect(name).to_be_focused()
        assert not saved
        await keep_picture(page, f"modal-{width}")
        await name.fill("mornings")
        await page.keyboard.press("Enter")
        await expect(modal).to_be_hidden()
        [values] = saved
        assert values["name"]["in"]["value"] == "mornings"
        assert values["integration"]["in"]["selected_option"]["value"] == "stripe"
        assert values["also"]["in"]["selected_options"] == []
        assert values["starting"]["in"]["selected_date"] == "2026-12-01"
        assert [one["value"] for one in values["days"]["in"]["selected_options"]] == ["weekdays"]
        assert values["length"]["in"]["selected_option"]["value"] == "long"
        await keep_picture(page, f"home-{width}")
        assert not page.complaints


async def test_a_modal_is_replaced_changes_as_one_types_and_is_cleared(browser):
    """A submission is answered with another modal; Enter in a field changes it in place; the last answer clears all."""
    async with workspace_with_a_modal() as (url, _saved):
        page = await open_page(browser, f"{url}/#D0ANA")
        await page.get_by_test_id("home-tab").click()
        await page.get_by_test_id("home").get_by_role("button", name="Set up a digest").click()
        modal = page.get_by_test_id("modal")
        await modal.get_by_role("textbox", name="Name").fill("previewed")
        await modal.get_by_label("Integration").select_option("stripe")
        await page.get_by_test_id("modal-submit").click()
        await expect(modal).to_contain_text("It says nothing.")
        await modal.get_by_label("Word").fill("hello")
        await page.keyboard.press("Enter")
        await expect(modal).to_contain_text("It says hello.")
        await expect(modal.get_by_label("Word")).to_have_value("hello")
        await expect(modal.get_by_label("Word")).to_be_focused()
        await page.get_by_test_id("modal-submit").click()
        await expect(modal).to_be_hidden()
        assert not page.complaints


async def test_an_edit_under_the_pointer_costs_no_click(browser):
    """An edit between press and release is drawn afterwards, and the click counts."""
    async with workspace_with_a_modal() as (url, _saved):
        client = AsyncWebClient("xoxb-sandbox", base_url=f"{url}/api/")
        posted = await client.chat_postMessage(channel="C0DATA", text="before")
        await client.chat_postMessage(channel="C0DATA", text="in its thread", thread_ts=posted["ts"])
        page, other = [await open_page(browser, f"{url}/#C0DATA") for _ in range(2)]
        messages = page.get_by_test_id("messages")
        await messages.get_by_test_id("open-thread").hover()
        await page.mouse.down()
        await client.chat_update(channel="C0DATA", ts=posted["ts"], text="after")
        await client.chat_postMessage(channel="C0DATA", text="in its thread, too", thread_ts=posted["ts"])
        await expect(other.get_by_test_id("messages")).to_contain_text("2 replies")
        await page.mouse.up()
        await expect(page.get_by_test_id("thread-messages")).to_contain_text("in its thread, too")
        await expect(messages).to_contain_text("after")


async def test_a_toast_above_a_modal_can_be_reached(browser):
    """A dialog makes all outside it inert: what goes wrong meanwhile is said, and dismissed, inside it."""
    async with workspace_with_a_modal() as (url, _saved):
        page = await open_page(browser, f"{url}/#D0ANA", width=400)
        await page.get_by_test_id("home-tab").click()
        await page.get_by_test_id("home").get_by_role("button", name="Set up a digest").click()
        await page.get_by_test_id("modal").wait_for()
        await page.evaluate("import('/page/toast.js').then(({ showToast }) => showToast('That did not work.'))")
        await expect(page.get_by_role("alert").filter(has_text="That did not work.")).to_be_visible()
        await page.get_by_role("button", name="Dismiss").click()
        await expect(page.get_by_test_id("toast")).to_be_hidden()


FORM_BLOCKS = [
    {
        "type": "section",
        "block_id": "days",
        "text": plain("When?"),
        "accessory": {
            "type": "checkboxes",
            "action_id": "in",
            "options": [option("weekdays"), option("weekends")],
        },
    },
    {
        "type": "actions",
        "block_id": "row",
        "elements": [
            {"type": "radio_buttons", "action_id": "in", "options": [option("short"), option("long")]},
            {"type": "button", "action_id": "send", "text": plain("Send")},
        ],
    },
    asks("also", {"type": "multi_static_select", **CHOICES}),
    {**asks("why", {"type": "plain_text_input"}), "dispatch_action": True},
    asks("note", {"type": "plain_text_input"}),
]


async def test_a_message_can_be_filled_in(browser):
    """Checkboxes, radio buttons, a multi-select and text in a message are told with the press of its button."""
    async with workspace_with_a_modal() as (url, saved):
        client = AsyncWebClient("xoxb-sandbox", base_url=f"{url}/api/")
        posted = await client.chat_postMessage(channel="C0DATA", text="A form", blocks=FORM_BLOCKS)
        page = await open_page(browser, f"{url}/#C0DATA")
        message = page.get_by_test_id("messages").get_by_test_id("message").first
        await message.get_by_label("weekends").check()
        await message.get_by_label("long").check()
        for name in ("stripe", "amplitude"):
            await message.get_by_role("group", name="Also").get_by_label(name).check()
        await message.get_by_label("Why").fill("because")
        await page.keyboard.press("Enter")
        await message.get_by_label("Note").fill("please")
        await client.chat_postMessage(channel="C0DATA", text="in its thread", thread_ts=posted["ts"])
        await message.get_by_test_id("open-thread").first.wait_for()
        await expect(message.get_by_label("Note")).to_have_value("please")  # it stays when the message is drawn anew
        await expect(message.get_by_label("Note")).to_be_focused()
        await keep_picture(page, "message-form")
        await message.get_by_role("button", name="Send").click()
        await expect(page.get_by_test_id("messages")).to_contain_text("All is saved.")
        [values] = saved
        assert [one["value"] for one in values["days"]["in"]["selected_options"]] == ["weekends"]
        assert values["row"]["in"]["selected_option"]["value"] == "long"
        assert [one["value"] for one in values["also"]["in"]["selected_options"]] == ["stripe", "amplitude"]
        assert (values["why"]["in"]["value"], values["note"]["in"]["value"]) == ("because", "please")
        assert not page.complaints


async def test_alerts_are_tried_from_the_panel(browser):
    """A webhook, a failure that is fixed, and a later day are one click each; the page goes by the moved clock."""
    async with running_sandbox() as url:
        page = await open_page(browser, url, dark=True)
        messages = page.get_by_test_id("messages")
        await type_in(page, "/flokit status")
        await resync_of(page, "Stripe").wait_for()  # it stands in today, before the clock is moved
        await page.get_by_test_id("control-open").click()
        panel = page.get_by_test_id("control")
        await panel.get_by_test_id("control-webhook").click()
        await expect(page.get_by_test_id("control-said")).to_have_text("The bot accepted the webhook.")
        stripe = panel.get_by_test_id("control-integration").filter(has_text="stripe")
        await stripe.locator("summary").click()
        await stripe.get_by_test_id("control-fix").click()
        await expect(stripe.locator("summary")).to_contain_text("connected")
        unrest = panel.get_by_test_id("control-unrest")
        await unrest.click()
        await expect(unrest).to_have_text("Stop failing")
        await unrest.click()
        await expect(unrest).to_have_text("Fail at random")
        await panel.locator("summary", has_text="Clock").click()
        await panel.get_by_test_id("control-clock-day").click()
        await expect(panel.get_by_test_id("control-clock")).to_contain_text("24 hours ahead")
        await keep_picture(page, "panel")
        await type_in(page, "/flokit help")
        await expect(messages).to_contain_text("/flokit subscribe", timeout=20_000)
        await expect(messages.locator(".day")).to_have_text(["Yesterday", "Today"])
        assert not page.complaints


async def test_an_incident_is_one_message_from_start_to_end(browser):
    """A subscribed channel gets a failure; Resync there repairs it, and the message is updated in place."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        await type_in(page, "/flokit subscribe google play digest 09:00 weekdays")
        messages = page.get_by_test_id("messages").get_by_test_id("message")
        await expect(messages.last).to_contain_text("Google Play is failing", timeout=20_000)
        await keep_picture(page, "incident-open")
        await resync_of(page, "Google Play").click()
        await page.get_by_test_id("dialog-confirm").click()
        await messages.last.get_by_test_id("open-thread").click()
        await expect(page.get_by_test_id("thread")).to_contain_text("Google Play synced in", timeout=40_000)
        await expect(messages.last).to_contain_text("Google Play recovered after", timeout=20_000)
        await expect(page.get_by_test_id("thread")).to_contain_text("finished after")
        await expect(messages).to_have_count(2)
        await keep_picture(page, "incident")
        assert not page.complaints


async def test_one_that_is_connected_but_empty_is_an_incident(browser):
    """People say what to expect; when fewer events come, the channel is told, with both readings and where to look."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        messages = page.get_by_test_id("messages").get_by_test_id("message")
        await type_in(page, "/flokit subscribe revenuecat")
        await expect(messages.last).to_contain_text("ana subscribed this channel")
        await type_in(page, "/flokit expect revenuecat every 6h, 100,000 events a day")
        await expect(messages.last).to_contain_text("a sync every 6 h, 100,000 events a day")
        said = "RevenueCat is connected, but empty"
        for _ in range(20):  # it takes two syncs that were counted, and a check that confirms it
            await turn(url, action="move_clock", step="hour")
            await turn(url, action="repair", id="int_01hx4j7revenuecat")
            with contextlib.suppress(AssertionError):
                await expect(messages.last).to_contain_text(said, timeout=3_000)
                break
        await expect(messages.last).to_contain_text(said)
        await expect(messages.last).to_contain_text("either the source had none, or FloKit asks it for the wrong data")
        await keep_picture(page, "empty")
        assert not page.complaints


async def test_an_integration_gets_a_name_by_typing_and_in_its_form(browser):
    """The row, its button and the sync say the name; the form behind Details shows what is wrong, and saves a link."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        messages = page.get_by_test_id("messages").get_by_test_id("message")
        await type_in(page, "/flokit name stripe “Card payments”")
        await expect(messages.last).to_contain_text("it's Card payments from now on")
        await type_in(page, "/flokit show card PAYMENTS")
        await expect(messages.last).to_contain_text("Things to check")
        await messages.last.get_by_role("button", name="Edit name").click()
        modal = page.get_by_test_id("modal")
        await expect(modal.get_by_role("textbox", name="Name")).to_have_value("Card payments")
        await modal.get_by_label("Owner").select_option("ben")
        await modal.get_by_role("textbox", name="Name").fill("google-play")
        await modal.get_by_role("textbox", name="Link").fill("https://wiki.example.com/payments")
        await page.get_by_test_id("modal-submit").click()
        await expect(modal).to_contain_text("is a type of integration")
        await keep_picture(page, "name-form")
        await modal.get_by_role("textbox", name="Name").fill("Payments")
        await page.get_by_test_id("modal-submit").click()
        await expect(modal).to_be_hidden()
        await expect(messages.last).to_contain_text("https://wiki.example.com/payments")
        await type_in(page, "/flokit status")
        await expect(messages.last).to_contain_text("Payments")
        await keep_picture(page, "named")
        await plan_success(url, STRIPE, 1)
        await resync_of(page, "Payments").click()
        await page.get_by_test_id("dialog-confirm").click()
        await messages.last.get_by_test_id("open-thread").click()
        await expect(page.get_by_test_id("thread")).to_contain_text("Payments synced in", timeout=OUTCOME_WITHIN_MS)
        await keep_picture(page, "named-thread")
        assert not page.complaints


async def test_several_syncs_are_started_by_one_click(browser):
    """A preview that only the person sees, one click, and one message that ends with a count and a retry."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        await page.get_by_test_id("tour-skip").click()
        await turn(url, action="plan", id=STRIPE, ending="failed", start_lag_s=0.2, duration_s=1)
        await type_in(page, "/flokit sync stripe, google play, revenuecat and warehouse")
        preview = page.get_by_test_id("messages").get_by_test_id("message").last
        await expect(preview).to_contain_text("To sync:")
        await keep_picture(page, "bulk-preview")
        await preview.get_by_role("button", name=re.compile(r"Sync \d integrations?")).click()
        followed = page.get_by_test_id("messages").get_by_test_id("message").last
        await expect(followed).to_contain_text("outcomes are in the thread")
        await keep_picture(page, "bulk-running")
        await expect(followed).to_contain_text(
            re.compile(r"\d of \d synced; 1 failed", re.DOTALL), timeout=OUTCOME_WITHIN_MS
        )
        await expect(followed.get_by_role("button", name="Retry the 1 that failed")).to_be_visible()
        await keep_picture(page, "bulk-ended")
        await followed.get_by_test_id("open-thread").click()
        await expect(page.get_by_test_id("thread-messages")).to_contain_text("synced in")
        await plan_success(url, STRIPE, 1)
        await followed.get_by_role("button", name="Retry the 1 that failed").click()
        await page.get_by_test_id("dialog-confirm").click()
        again = page.get_by_test_id("messages").get_by_test_id("message").last
        await expect(again).to_contain_text("1 of 1 synced", timeout=OUTCOME_WITHIN_MS)
        await keep_picture(page, "bulk-retried")
        assert not page.complaints


async def test_a_channel_is_quiet_during_maintenance_and_told_afterwards(browser):
    """Hours are chosen in the form; what is held is shown in App Home, and posted as one summary at the end."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        messages = page.get_by_test_id("messages").get_by_test_id("message")
        await type_in(page, "/flokit maintenance all for 3h")
        await expect(messages.last).to_contain_text("set maintenance of all integrations until")
        await type_in(page, "/flokit subscribe")
        modal = page.get_by_test_id("modal")
        await modal.get_by_label("When", exact=True).select_option("weekdays")
        await modal.get_by_label("When", exact=True).scroll_into_view_if_needed()
        await keep_picture(page, "quiet-form")
        await modal.get_by_label("When", exact=True).select_option("any")
        await page.get_by_test_id("modal-submit").click()
        await expect(messages.last).to_contain_text("subscribed this channel to all integrations")
        await page.goto(f"{url}/#D0ANA")
        await page.get_by_test_id("home-tab").click()
        await expect(page.get_by_test_id("home")).to_contain_text(
            re.compile(r"\d incidents? held until"), timeout=20_000
        )
        await keep_picture(page, "quiet-home")
        await page.get_by_test_id("home").get_by_role("button", name="Edit settings").click()
        await modal.get_by_label("Time zone").fill("new york")
        await modal.get_by_label("About my syncs only").check()
        await keep_picture(page, "settings-form")
        await page.get_by_test_id("modal-submit").click()
        await expect(page.get_by_test_id("home")).to_contain_text("America/New_York")
        await page.goto(f"{url}/#C0DATA")
        await page.get_by_test_id("messages").get_by_role("button", name=re.compile("End maintenance")).first.click()
        summary = messages.filter(has_text="While it was quiet here")
        await expect(summary).to_contain_text("has been failing since", timeout=20_000)
        await expect(messages.last).to_contain_text("is failing", timeout=20_000)
        await summary.scroll_into_view_if_needed()
        await keep_picture(page, "quiet-summary")
        await expect(summary).to_have_count(1)
        assert not page.complaints


async def test_a_sample_is_posted_and_an_unsubscription_is_undone(browser):
    """The sample's buttons say what it is; Undo disappears once it's pressed."""
    async with running_sandbox() as url:
        page = await open_page(browser, url)
        messages = page.get_by_test_id("messages").get_by_test_id("message")
        await type_in(page, "/flokit test")
        await expect(messages.last).to_contain_text("Sample incident: nothing is wrong")
        await keep_picture(page, "sample")
        await messages.last.get_by_role("button", name="Details").click()
        await expect(messages.last).to_contain_text("This is a sample, so its buttons do nothing")
        await type_in(page, "/flokit subscribe revenuecat recovered")
        await expect(messages.last).to_contain_text("subscribed this channel")
        await type_in(page, "/flokit unsubscribe all")
        await expect(messages.last).to_contain_text("removed this channel's subscription")
        await keep_picture(page, "undo")
        removed = messages.filter(has_text="removed this channel's subscription")
        await removed.get_by_role("button", name=re.compile("Undo")).click()
        await expect(removed).to_contain_text("has undone this")
        await expect(removed.get_by_role("button", name=re.compile("Undo"))).to_have_count(0)
        assert not page.complaints


async def test_channels_close_and_open_by_their_menu(browser):
    """By the menu of a channel its app is removed and invited, and it is archived and brought back."""
    async with workspace_with_a_modal() as (url, _saved):
        page = await open_page(browser, f"{url}/#C0DATA")

        async def choose(name):
            await page.get_by_test_id("channel-menu").click()
            await page.get_by_role("menuitem", name=name).click()

        await choose("Remove FloKit")
        await expect(page.locator("#channel-about")).to_have_text("4 people · FloKit isn't in this channel")
        await choose("Invite FloKit")
        await expect(page.locator("#channel-about")).to_have_text("4 people and FloKit")
        await choose("Archive channel")
        await expect(page.get_by_test_id("archived")).to_be_visible()
        await expect(page.get_by_test_id("composer")).to_be_hidden()
        await choose("Unarchive channel")
        await expect(page.get_by_test_id("composer")).to_be_visible()
        await page.goto(f"{url}/#D0ANA")
        await expect(page.get_by_test_id("channel-menu")).to_be_hidden()
        assert not page.complaints


HOSTILE = '<img src=x onerror="window.ran = 1"><script>window.ran = 1</script>'
HOSTILE_MRKDWN = f'{HOSTILE} <javascript:window.ran=1|go> `{HOSTILE}` <@U1"{HOSTILE}> <!date^1^{{date}}^javascript:x|y>'
HOSTILE_MARKDOWN = f"# {HOSTILE}\n\n[go](javascript:window.ran=1)\n\n```\n{HOSTILE}\n```"


def hostile_blocks() -> list[dict]:
    """Return every kind of block that shows text, each full of HTML and script."""
    option_ = {"text": plain(HOSTILE[:70]), "value": "1"}
    raw = {"type": "text", "text": HOSTILE}
    link = {"type": "link", "url": 'https://x.invalid/"onclick="window.ran=1', "text": HOSTILE}
    question = {"title": plain(HOSTILE), "text": {"type": "mrkdwn", "text": HOSTILE}}
    return [
        {"type": "header", "text": plain(HOSTILE)},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": HOSTILE_MRKDWN},
            "fields": [{"type": "mrkdwn", "text": HOSTILE}, plain(HOSTILE)],
            "accessory": {"type": "overflow", "action_id": "o", "options": [option_]},
        },
        {"type": "context", "elements": [{"type": "mrkdwn", "text": HOSTILE}]},
        {"type": "image", "image_url": "https://x.invalid/a.png", "alt_text": HOSTILE, "title": plain(HOSTILE)},
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_section", "elements": [raw, link]},
                {"type": "rich_text_preformatted", "elements": [raw]},
            ],
        },
        {"type": "table", "rows": [[{"type": "raw_text", "text": HOSTILE}]]},
        {"type": "markdown", "text": HOSTILE_MARKDOWN},
        {
            "type": "actions",
            "elements": [
                {"type": "static_select", "action_id": "s", "options": [option_]},
                {
                    "type": "button",
                    "action_id": "b",
                    "text": plain("Sure?"),
                    "confirm": {**question, "confirm": plain("Yes"), "deny": plain("No")},
                },
            ],
        },
    ]


ATTACK = """
async (target) => {
  const tries = [
    fetch(`${target}/api/chat.postMessage?token=xoxb-sandbox&channel=C0DATA&text=owned`, {mode: "no-cors"}),
    fetch(`${target}/api/chat.postMessage`, {
      method: "POST", mode: "no-cors",
      body: new URLSearchParams({token: "xoxb-sandbox", channel: "C0DATA", text: "owned"}),
    }),
    fetch(`${target}/page/say`, {method: "POST", mode: "no-cors", body: "{}"}),
    new Promise((done) => { const image = new Image(); image.onerror = image.onload = done;
      image.src = `${target}/api/chat.postMessage?token=xoxb-sandbox&channel=C0DATA&text=owned`; }),
    ...["/page/live", "/link/?ticket=x"].map((path) => new Promise((done) => {
      const socket = new WebSocket(target.replace("http", "ws") + path);
      socket.onopen = () => done("open"); socket.onerror = () => done("refused"); })),
  ];
  return (await Promise.allSettled(tries)).map((one) => String(one.value ?? one.reason));
}
"""


@asynccontextmanager
async def plain_page() -> AsyncIterator[str]:
    """Serve a page that may do whatever a browser lets it do."""

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_page_of_another_origin_reaches_nothing(browser):
    """In a real browser, a page of another port can neither call the Web API, knowing the token, nor open a socket."""
    async with workspace_with_a_modal() as (url, _saved), plain_page() as other:
        page = await browser.new_page()
        await page.goto(other)
        told = await page.evaluate(ATTACK, url)
        assert told[-2:] == ["refused", "refused"]
        client = AsyncWebClient("xoxb-sandbox", base_url=f"{url}/api/")
        history = await client.conversations_history(channel="C0DATA")
        assert "owned" not in str(history["messages"])
        await page.close()


async def test_nothing_in_a_message_runs(browser):
    """HTML and script in any block are text, and no link is one to a script."""
    async with workspace_with_a_modal() as (url, _saved):
        client = AsyncWebClient("xoxb-sandbox", base_url=f"{url}/api/")
        await client.chat_postMessage(channel="C0DATA", text=HOSTILE_MRKDWN)
        await client.chat_postMessage(channel="C0DATA", text=HOSTILE, blocks=hostile_blocks())
        page = await open_page(browser, f"{url}/#C0DATA")
        await page.get_by_role("button", name="Sure?").click()
        await expect(page.get_by_test_id("dialog")).to_contain_text("onerror")
        await expect(page.get_by_test_id("messages").get_by_role("heading").first).to_contain_text("<script>")
        assert await page.evaluate("window.ran") is None
        made = "[data-testid=messages] :is(script, [onerror], [onclick]), [data-testid=dialog] :is(script, [onerror])"
        assert await page.locator(made).count() == 0
        links = await page.locator("[data-testid=messages] a").evaluate_all("links => links.map(a => a.protocol)")
        assert set(links) <= {"http:", "https:"}


TEXT_TOO_FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const pixel = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const over = (color, below) => {
    const [r, g, b, a] = pixel(color);
    return [r, g, b].map((part, index) => (part * a + below[index] * (255 - a)) / 255);
  };
  const behind = (node) => {
    if (!node) return [255, 255, 255];
    const { backgroundColor, backgroundImage } = getComputedStyle(node);
    return over(backgroundImage.match(/rgba?\\([^)]*\\)/)?.[0] ?? backgroundColor, behind(node.parentElement));
  };
  const light = (color) => {
    const [r, g, b] = color.map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  let seen = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const words = texts.currentNode.data.trim();
    if (!words || !node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const below = behind(node);
    const [dark, bright] = [light(over(getComputedStyle(node).color, below)), light(below)].sort((a, b) => a - b);
    seen += 1;
    if ((bright + 0.05) / (dark + 0.05) < 4.5) faint.push(words.slice(0, 40));
  }
  return { seen, faint };
}"""
"""Finds the visible text whose contrast is below WCAG's 4.5 : 1: https://www.w3.org/TR/WCAG22/#contrast-minimum."""


@pytest.mark.parametrize("dark", [False, True])
async def test_all_text_has_enough_contrast(browser, url, dark):
    """WCAG level AA, light and dark."""
    page = await open_page(browser, url, width=1600, dark=dark)
    await type_in(page, "/flokit status")
    await resync_of(page, "Stripe").wait_for()
    for tool in ("control", "inspector"):
        await page.get_by_test_id(f"{tool}-open").click()
        await page.get_by_test_id(tool).wait_for()
        found = await page.evaluate(TEXT_TOO_FAINT)
        assert found["seen"] > 50
        assert found["faint"] == []


BARRIERS = """async () => {
  const { violations } = await axe.run({ resultTypes: ["violations"], rules: { "target-size": { enabled: true } } });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(" ")}`));
}"""
"""Names what axe-core calls serious or critical: https://github.com/dequelabs/axe-core/blob/develop/doc/API.md."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def axe(tmp_path_factory) -> str:
    """The source of axe-core, as locked."""
    npm.need_node()
    folder = tmp_path_factory.mktemp("axe")
    await npm.install(Path(__file__).parent / "axe", folder)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


async def use_tool(page: Page, name: str) -> None:
    """Open one of the sidebar's tools; on a narrow page the sidebar has to be opened first."""
    drawer = page.get_by_role("button", name="Channels and people")
    if await drawer.is_visible():
        await drawer.click()
    await page.get_by_test_id(f"{name}-open").click()


async def views_of_the_tools(page: Page) -> AsyncIterator[str]:
    """Open the sandbox's tools, everything in them unfolded, and yield each one's name while it is shown."""
    await use_tool(page, "control")
    await page.get_by_test_id("control-integration").first.wait_for()
    await page.locator("#control details").evaluate_all("all => all.forEach((each) => (each.open = true))")
    yield "control panel"
    await page.get_by_role("button", name="Close Fault injection").click()
    await use_tool(page, "inspector")
    await page.get_by_test_id("inspector-entry").first.locator("summary").click()
    await page.get_by_test_id("inspector").get_by_test_id("json").first.wait_for()
    yield "inspector"
    await page.get_by_role("button", name="Close the inspector").click()
    await use_tool(page, "tour")
    await page.get_by_test_id("tour-do").wait_for()
    yield "tour"
    await page.get_by_test_id("tour-skip").click()


async def views_of_the_page(page: Page, url: str) -> AsyncIterator[str]:
    """Bring up one view of the page after the other, and yield its name while it is shown.

    Where no other test writes: each message costs time, and the bot is invited and removed again.
    """
    menu = page.get_by_test_id("channel-menu")
    await page.goto(f"{url}/#C0GENERAL")
    await expect(page.locator("#channel-about")).to_contain_text("isn't in this channel")
    yield "channel without the app"
    await menu.click()
    yield "menu"
    await page.get_by_role("menuitem", name="Invite").click()
    await expect(page.locator("#channel-about")).to_contain_text("and FloKit")
    messages = page.get_by_test_id("messages").get_by_test_id("message")
    before = await messages.count()
    await type_in(page, "/flokit status")
    await expect(messages).to_have_count(before + 1)
    yield "status"
    await page.get_by_test_id("composer").fill("/flokit s")
    yield "suggestions"
    await page.get_by_test_id("composer").fill("")
    await resync_of(page, "Stripe").click()
    yield "confirm"
    await page.get_by_test_id("dialog-confirm").click()
    await messages.last.get_by_test_id("open-thread").click()
    await expect(page.get_by_test_id("thread")).to_contain_text("synced in", timeout=OUTCOME_WITHIN_MS)
    yield "thread"
    await page.get_by_role("button", name="Close the thread").click()
    await type_in(page, "/flokit subscribe")
    modal = page.get_by_test_id("modal")
    await modal.wait_for()
    yield "form"
    await page.get_by_test_id("modal-close").click()
    await expect(modal).to_be_hidden()
    async for tool in views_of_the_tools(page):
        yield tool
    await menu.click()
    await page.get_by_role("menuitem", name="Archive channel").click()
    await page.get_by_test_id("archived").wait_for()
    yield "archived channel"
    await menu.click()
    await page.get_by_role("menuitem", name="Unarchive channel").click()
    await page.get_by_test_id("composer").wait_for()
    await menu.click()
    await page.get_by_role("menuitem", name="Remove").click()
    await page.goto(f"{url}/#D0ANA")
    await page.get_by_test_id("home-tab").click()
    await page.get_by_test_id("home").get_by_role("button").first.wait_for()
    yield "App Home"


@pytest.mark.parametrize(("width", "dark"), [(1600, False), (400, True)])
async def test_no_view_has_a_serious_barrier(browser, url, axe, width, dark):
    """Whatever the page shows, axe-core finds nothing serious or critical in it."""
    await plan_success(url, STRIPE, 0.3)
    page = await open_page(browser, url, width=width, dark=dark)
    await page.emulate_media(reduced_motion="reduce")  # what is half faded in has no contrast yet
    await page.evaluate(axe)
    found = {view: await page.evaluate(BARRIERS) async for view in views_of_the_page(page, url)}
    assert {view: barriers for view, barriers in found.items() if barriers} == {}
    assert len(found) == 12
    assert not page.complaints
