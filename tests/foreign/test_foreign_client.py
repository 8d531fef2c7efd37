"""The stand-in for Slack, driven by Slack's own JavaScript framework: code that shares nothing with this project."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.slack import flokit_slack
from tests.npm import NODE, install, need_node

HERE = Path(__file__).parent
READY_WITHIN_S = 20


@pytest.fixture(scope="module")
def bot_folder(tmp_path_factory) -> Path:
    """A copy of the JavaScript bot, with exactly the packages of its lock file."""
    need_node()
    folder = tmp_path_factory.mktemp("foreign")
    shutil.copy(HERE / "bot.mjs", folder)
    asyncio.run(install(HERE, folder))
    return folder


@asynccontextmanager
async def foreign_bot(folder, slack, mode):
    """Run the JavaScript bot; yields what it found out while it started."""
    tokens = slack.installation.tokens
    settings = {
        "MODE": mode,
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": tokens.bot,
        "SLACK_APP_TOKEN": tokens.app,
        "SLACK_SIGNING_SECRET": tokens.signing_secret,
    }
    process = await asyncio.create_subprocess_exec(
        NODE,
        "bot.mjs",
        cwd=folder,
        env={"PATH": os.environ["PATH"], **settings},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            line = await process.stdout.readline()
        yield json.loads(line)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                assert await process.wait() == 0
        except TimeoutError:
            process.kill()
            raise


@pytest.fixture(params=["socket", "http"])
async def slack(request, bot_folder):
    """A stand-in with the JavaScript bot, over each of Slack's two transports."""
    slack = flokit_slack()
    await slack.start()
    try:
        async with foreign_bot(bot_folder, slack, request.param) as started:
            assert started["user"] == "UFLOKIT"
            assert started["refused"] == "channel_not_found"
            if request.param == "http":
                slack.request_url = f"http://127.0.0.1:{started['port']}/slack/events"
            else:
                await slack.wait_connected()
            yield slack
    finally:
        await slack.stop()


async def posted_message(slack):
    """Type the command, and return the message that it leads to."""
    ack = await slack.command("UANA", "C0DATA", "status")
    assert ack.ok
    return (await slack.wait_for(lambda: slack.messages("C0DATA")))[0]


async def test_the_whole_way_of_a_resync(slack):
    """Command, ack, message, click and thread work for @slack/bolt as they do in Slack."""
    message = await posted_message(slack)
    assert [shown["text"] for shown in slack.ephemerals("UANA")] == ["you said status"]
    clicked = await slack.click("UANA", "C0DATA", message["ts"], "resync")
    assert clicked.ok
    [reply] = await slack.wait_for(lambda: slack.messages("C0DATA", message["ts"]))
    assert reply["text"] == "synced run-7"
    await slack.wait_for(lambda: slack.message("C0DATA", message["ts"])["text"] == "Stripe is fine")


async def test_a_modal_is_opened_refused_and_taken(slack):
    """A modal of @slack/bolt opens, keeps its complaint by its input, and closes when it is taken."""
    message = await posted_message(slack)
    await slack.click("UBEN", "C0DATA", message["ts"], "details")
    view = await slack.wait_for(lambda: slack.views.modal("UBEN"))
    wrong = {"reason": {"text": {"type": "plain_text_input", "value": "wrong"}}}
    assert (await slack.views.submit("UBEN", view["id"], wrong)).errors == {"reason": "Say something else."}
    right = {"reason": {"text": {"type": "plain_text_input", "value": "a new secret"}}}
    assert (await slack.views.submit("UBEN", view["id"], right)).ok
    assert slack.views.modal("UBEN") is None
    [told] = await slack.wait_for(lambda: slack.messages("D0BEN"))
    assert told["text"] == "because a new secret"


async def test_app_home_is_published_when_it_is_opened(slack):
    """Opening App Home is an event, and what @slack/bolt publishes is there."""
    slack.views.open_home("UCLEO")
    home = await slack.wait_for(lambda: slack.views.home("UCLEO"))
    assert home["blocks"][0]["type"] == "divider"
