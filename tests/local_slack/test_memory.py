"""The local Slack keeps the newest of everything, so that it can run for days."""

from __future__ import annotations

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import App, Channel, LocalSlack, Workspace

APP = App(
    command="/test",
    scopes=frozenset({"channels:history", "chat:write", "commands", "groups:history", "im:history"}),
    events=frozenset({"message.im"}),
)
MEMBERS = {"U0ANA", "U0BEN", APP.bot_user_id}


@pytest.fixture
async def started():
    """Run a local Slack that keeps three of everything."""
    slack = LocalSlack(
        APP, Workspace(channels=(Channel("C0ROOM", "room", members=MEMBERS),)), most_records=3, most_messages=3
    )
    slack.rates.enforced = False
    await slack.start()
    yield slack, AsyncWebClient(APP.bot_token, base_url=slack.api_url)
    await slack.stop()


async def test_the_oldest_messages_of_a_channel_are_forgotten(started):
    """A channel keeps its newest messages; the page's live feed is notified of those that are deleted."""
    slack, client = started
    gone = []
    slack.subscribe(lambda change: gone.append(change["ts"]) if change["type"] == "message_deleted" else None)
    posted = [(await client.chat_postMessage(channel="C0ROOM", text=str(number)))["ts"] for number in range(5)]
    assert [message["text"] for message in slack.messages("C0ROOM")] == ["2", "3", "4"]
    assert gone == posted[:2]


async def test_a_thread_outlives_its_root(started):
    """Replies to a forgotten root can still be posted and deleted."""
    slack, client = started
    root = (await client.chat_postMessage(channel="C0ROOM", text="root"))["ts"]
    for number in range(3):
        await client.chat_postMessage(channel="C0ROOM", text=str(number), thread_ts=root)
    replies = slack.messages("C0ROOM", root)
    assert [reply["text"] for reply in replies] == ["0", "1", "2"]
    await client.chat_delete(channel="C0ROOM", ts=replies[0]["ts"])
    assert len(slack.messages("C0ROOM", root)) == 2


async def test_calls_and_versions_are_bounded(started):
    """The newest calls and the newest versions of a message are kept."""
    slack, client = started
    ts = (await client.chat_postMessage(channel="C0ROOM", text="0"))["ts"]
    for number in range(1, 5):
        await client.chat_update(channel="C0ROOM", ts=ts, text=str(number))
    assert [call.args["text"] for call in slack.calls] == ["2", "3", "4"]
    assert [version["text"] for version in slack.history("C0ROOM", ts)] == ["2", "3", "4"]


async def test_envelopes_are_bounded(started):
    """The newest deliveries are kept."""
    slack, _client = started
    for number in range(5):
        await slack.command("U0ANA", "C0ROOM", str(number))
    assert [envelope.payload["text"] for envelope in slack.envelopes] == ["2", "3", "4"]


async def test_unused_tickets_are_bounded(started):
    """Only the newest tickets that no socket has used open a connection."""
    slack, _client = started
    client = AsyncWebClient(APP.app_token, base_url=slack.api_url)
    urls = [(await client.apps_connections_open(app_token=APP.app_token))["url"] for _ in range(5)]
    tickets = [url.rpartition("=")[2] for url in urls]
    assert list(slack._sockets._tickets) == tickets[2:]


async def test_what_is_filled_in_is_bounded(started):
    """Inputs are kept for the messages that were used last."""
    slack, client = started
    button = {"type": "button", "action_id": "press", "text": {"type": "plain_text", "text": "Press"}}
    blocks = [{"type": "actions", "elements": [button]}]
    for _ in range(5):
        ts = (await client.chat_postMessage(channel="C0ROOM", text="x", blocks=blocks))["ts"]
        await slack.click("U0ANA", "C0ROOM", ts, "press")
    assert len(slack._messages._kept) == 3


async def test_a_closed_view_is_forgotten(started):
    """A closed view takes no memory."""
    slack, client = started
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Form"}, "blocks": [{"type": "divider"}]}
    for _ in range(5):
        trigger = slack.installation.triggers.issue("U0ANA")
        opened = await client.views_open(trigger_id=trigger, view=view)
        slack.views.close("U0ANA", opened["view"]["id"])
    assert slack.installation.views._views == {}


async def test_everything_can_be_kept():
    """Without limits, nothing is forgotten."""
    slack = LocalSlack(APP, most_records=None, most_messages=None)
    for number in range(10_500):
        slack.workspace.post("C0GENERAL", {"user": "U0ANA", "text": str(number)})
        slack.warnings.append(str(number))
    assert len(slack.messages("C0GENERAL")) == len(slack.warnings) == 10_500
