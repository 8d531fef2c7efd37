"""Several workspaces in one local Slack, deliberately with the same IDs, so that mixing them up is noticed."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from local_slack import App, Channel, Fault, LocalSlack, User, Workspace

APP = App(
    command="/test",
    scopes=frozenset({"channels:history", "channels:read", "chat:write", "commands", "im:write", "users:read"}),
    events=frozenset({"app_home_opened", "channel_archive"}),
    home_tab=True,
)
ALPHA = Workspace("T0ALPHA", "Alpha Corp", "alpha", channels=(Channel("C0ROOM", "room", members={"U0ANA", "U0LOCAL"}),))
BETA = Workspace(
    "T0BETA",
    "Beta Corp",
    "beta",
    users=(User("U0ANA", "annabel"), User("U0BEN", "benedict")),
    channels=(Channel("C0ROOM", "salon", members={"U0ANA", "U0LOCAL"}),),
    bot_token="xoxb-beta",
)
FORM = {"type": "modal", "title": {"type": "plain_text", "text": "Form"}, "blocks": [{"type": "divider"}]}
HOME = {"type": "home", "blocks": [{"type": "divider"}]}


@pytest.fixture
async def both():
    """Run a local Slack with two workspaces; everything in the second one has the IDs of the first."""
    slack = LocalSlack(APP, ALPHA)
    beta = slack.add_workspace(BETA)
    slack.rates.enforced = False
    await slack.start()
    yield slack, beta
    await slack.stop()


def client_of(slack, token):
    """Return Slack's own client."""
    return AsyncWebClient(token, base_url=slack.api_url)


@pytest.fixture
def clients(both):
    """Return a client for each workspace."""
    slack, _beta = both
    return client_of(slack, APP.bot_token), client_of(slack, BETA.bot_token)


async def refusal(call):
    """Return the code with which a call is refused."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return refused.value.response["error"]


async def test_a_token_knows_one_workspace(clients):
    """Each token sees its own workspace's name, people and channels."""
    seen = [
        (
            (await client.auth_test())["team_id"],
            (await client.users_info(user="U0ANA"))["user"]["name"],
            (await client.conversations_info(channel="C0ROOM"))["channel"]["name"],
        )
        for client in clients
    ]
    assert seen == [("T0ALPHA", "ana", "room"), ("T0BETA", "annabel", "salon")]


async def test_messages_stay_in_their_workspace(both, clients):
    """A post is in one workspace, and can be neither read nor edited with the token of the other."""
    slack, beta = both
    ours, theirs = clients
    ts = (await ours.chat_postMessage(channel="C0ROOM", text="ours"))["ts"]
    assert [message["team"] for message in slack.messages("C0ROOM")] == ["T0ALPHA"]
    assert beta.messages("C0ROOM") == []
    assert await refusal(theirs.chat_update(channel="C0ROOM", ts=ts, text="x")) == "message_not_found"
    assert (await theirs.conversations_history(channel="C0ROOM"))["messages"] == []


async def test_triggers_and_views_stay_in_their_workspace(both, clients):
    """A trigger and a view of one workspace don't exist for the other's token."""
    slack, beta = both
    ours, theirs = clients
    trigger = slack.installation.triggers.issue("U0ANA")
    assert await refusal(theirs.views_open(trigger_id=trigger, view=FORM)) == "invalid_trigger_id"
    view = (await ours.views_open(trigger_id=trigger, view=FORM))["view"]
    assert await refusal(theirs.views_update(view_id=view["id"], view=FORM)) == "not_found"
    await theirs.views_publish(user_id="U0ANA", view=HOME)
    assert (beta.views.home("U0ANA")["team_id"], slack.views.home("U0ANA")) == ("T0BETA", None)


async def test_calls_name_their_workspace(both, clients):
    """Recorded calls have the workspace of their token."""
    slack, _beta = both
    ours, theirs = clients
    await ours.auth_test()
    await theirs.auth_test()
    await client_of(slack, "").api_test()
    assert [call.team_id for call in slack.calls] == ["T0ALPHA", "T0BETA", ""]


async def test_each_workspace_has_its_own_limits(both, clients):
    """What one workspace uses up doesn't slow down the other."""
    slack, _beta = both
    ours, theirs = clients
    slack.rates.enforced = True
    slack.post_rate = (0.1, 1)
    await ours.chat_postMessage(channel="C0ROOM", text="x")
    await theirs.chat_postMessage(channel="C0ROOM", text="x")
    assert await refusal(ours.chat_postMessage(channel="C0ROOM", text="x")) == "ratelimited"


async def test_each_workspace_has_its_own_limit_on_history():
    """A distributed app can read history once a minute in each workspace."""
    slack = LocalSlack(App(scopes=APP.scopes, is_distributed=True), ALPHA)
    slack.add_workspace(BETA)
    await slack.start()
    try:
        ours, theirs = client_of(slack, APP.bot_token), client_of(slack, BETA.bot_token)
        await ours.conversations_history(channel="C0ROOM")
        await theirs.conversations_history(channel="C0ROOM")
        assert await refusal(theirs.conversations_history(channel="C0ROOM")) == "ratelimited"
    finally:
        await slack.stop()


async def test_a_fault_can_be_limited_to_one_workspace(both, clients):
    """Slack can fail for one workspace only."""
    slack, _beta = both
    ours, theirs = clients
    slack.faults.add(Fault("*", "error", times=None, code="fatal_error", team_id="T0BETA"))
    assert await refusal(theirs.auth_test()) == "fatal_error"
    assert (await ours.auth_test())["ok"]


@asynccontextmanager
async def connected(slack):
    """Connect an app that answers with the workspace's token; yields what it received."""
    tokens = {"T0ALPHA": APP.bot_token, "T0BETA": BETA.bot_token}
    heard = []
    app = AsyncApp(client=client_of(slack, None), authorize=authorizing(tokens))

    @app.command("/test")
    async def _command(ack, say, respond, context):
        await ack()
        await say(f"in {context.team_id}")
        await respond("only you")

    @app.event("channel_archive")
    async def _archived(body):
        heard.append((body["team_id"], [one["team_id"] for one in body["authorizations"]]))

    handler = AsyncSocketModeHandler(app, APP.app_token)
    await handler.connect_async()
    await slack.wait_connected()
    try:
        yield heard
    finally:
        await handler.close_async()


def authorizing(tokens):
    """Return Bolt's lookup of a workspace's token."""

    async def authorize(enterprise_id, team_id, logger):
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            bot_token=tokens[team_id],
            bot_id="B0LOCAL",
            bot_user_id="U0LOCAL",
        )

    return authorize


async def test_one_socket_serves_all_workspaces(both):
    """Commands, response URLs and events of both workspaces come over one connection, and name their workspace."""
    slack, beta = both
    async with connected(slack) as heard:
        for one in (slack, beta):
            assert (await one.command("U0ANA", "C0ROOM")).ok
            [message] = await slack.wait_for(lambda here=one: here.messages("C0ROOM"))
            assert message["text"] == f"in {one.workspace.id}"
            [seen] = await slack.wait_for(lambda here=one: here.ephemerals("U0ANA"))
            assert seen["team"] == one.workspace.id
        beta.archive("C0ROOM")
        assert await slack.wait_for(lambda: heard) == [("T0BETA", ["T0BETA"])]
        assert slack.connections == 1


async def test_a_response_url_belongs_to_its_workspace(both):
    """An answer to a command is seen where the command was typed."""
    slack, beta = both
    await beta.command("U0ANA", "C0ROOM")
    await AsyncWebhookClient(slack.envelopes[-1].payload["response_url"]).send(text="here")
    assert [message["text"] for message in beta.ephemerals("U0ANA")] == ["here"]
    assert slack.ephemerals("U0ANA") == []
    assert slack.calls[-1].team_id == "T0BETA"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Workspace("T0ALPHA", bot_token="xoxb-3"), "already is a workspace T0ALPHA"),
        (Workspace("T0THIRD"), "has the bot token of T0THIRD"),
    ],
)
def test_workspaces_have_different_ids_and_tokens(wrong, words):
    """A second workspace with the ID or the token of the first is a mistake in the test."""
    slack = LocalSlack(APP, ALPHA)
    with pytest.raises(ValueError, match=words):
        slack.add_workspace(wrong)
    assert [one.workspace.id for one in slack.workspaces] == ["T0ALPHA"]


def test_a_workspace_can_have_its_own_bot_user():
    """If the app has another bot user, that's the one who is there."""
    beta = LocalSlack(APP, ALPHA).add_workspace(Workspace("T0BETA", bot_token="x", bot_id="B2", bot_user_id="U2"))
    assert beta.workspace.bot_author == {"user": "U2", "bot_id": "B2", "app_id": "A0LOCAL", "team": "T0BETA"}
    assert "U0LOCAL" not in beta.workspace.users


def test_a_failed_wait_shows_every_workspace(both):
    """The error of a failed wait has the messages of all workspaces."""
    slack, beta = both
    beta.workspace.post("C0ROOM", {"user": "U0ANA", "text": "over there"})
    assert "over there" in slack.dump()
