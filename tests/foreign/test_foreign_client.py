"""The stand-in for Slack, driven by Slack's own JavaScript framework: code that shares nothing with this project."""

from __future__ import annotations

import pytest

from sandbox.slack import flokit_slack
from tests.npm import running


def settings_of(slack, mode):
    """Return the environment of the JavaScript bot."""
    tokens = slack.installation.tokens
    return {
        "MODE": mode,
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": tokens.bot,
        "SLACK_APP_TOKEN": tokens.app,
        "SLACK_SIGNING_SECRET": tokens.signing_secret,
    }


@pytest.fixture(params=["socket", "http"])
async def slack(request, node_folder):
    """A stand-in with the JavaScript bot, over each of Slack's two transports."""
    slack = flokit_slack()
    await slack.start()
    try:
        async with running(node_folder, "bot.mjs", settings_of(slack, request.param)) as started:
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
    """Type the command, and return the message that it posts."""
    ack = await slack.command("UANA", "C0DATA", "status")
    assert ack.ok
    return (await slack.wait_for(lambda: slack.messages("C0DATA")))[0]


async def test_a_resync_works_from_the_command_to_the_thread(slack):
    """Command, ack, message, click and thread work for @slack/bolt as they do in Slack."""
    message = await posted_message(slack)
    assert [shown["text"] for shown in slack.ephemerals("UANA")] == ["you said status"]
    clicked = await slack.click("UANA", "C0DATA", message["ts"], "resync")
    assert clicked.ok
    [reply] = await slack.wait_for(lambda: slack.messages("C0DATA", message["ts"]))
    assert reply["text"] == "synced run-7"
    await slack.wait_for(lambda: slack.message("C0DATA", message["ts"])["text"] == "Stripe is fine")


async def test_a_modal_is_opened_refused_and_accepted(slack):
    """A modal of @slack/bolt opens, shows an error below its input, and closes when it's accepted."""
    message = await posted_message(slack)
    await slack.click("UBEN", "C0DATA", message["ts"], "details")
    view = await slack.wait_for(lambda: slack.views.modal("UBEN"))
    wrong = {"reason": {"text": {"type": "plain_text_input", "value": "wrong"}}}
    assert (await slack.views.submit("UBEN", view["id"], wrong)).errors == {"reason": "Say something else."}
    right = {"reason": {"text": {"type": "plain_text_input", "value": "a new secret"}}}
    assert (await slack.views.submit("UBEN", view["id"], right)).ok
    assert slack.views.modal("UBEN") is None
    [message] = await slack.wait_for(lambda: slack.messages("D0BEN"))
    assert message["text"] == "because a new secret"


async def test_app_home_is_published_when_it_is_opened(slack):
    """Opening App Home sends an event, and what @slack/bolt publishes is shown."""
    slack.views.open_home("UCLEO")
    home = await slack.wait_for(lambda: slack.views.home("UCLEO"))
    assert home["blocks"][0]["type"] == "divider"
