"""The local Slack, seen through Slack's own SDK and through the protocol of its page."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.scopes import BOT_SCOPES
from local_slack import Fault, LostRoots, NotYet
from local_slack.guard import SECURITY_HEADERS
from local_slack.methods import METHODS
from local_slack.web import CONNECTIONS_OPEN
from sandbox.page import add_page
from sandbox.slack import flokit_slack
from tests.local_slack.conftest import StoppedClock

REFERENCE = json.loads((Path(__file__).parents[1] / "samples" / "slack" / "methods.json").read_text())
METADATA = {"event_type": "outcome", "event_payload": {"run": "r1"}}
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "go", "value": "one"}
BLOCKS = [{"type": "actions", "block_id": "row", "elements": [BUTTON]}]
PING_INTERVAL_S = 0.1
"""How soon the SDK notices a lost connection."""


SCOPES = frozenset(BOT_SCOPES) - {"chat:write.public"} | {"channels:read", "groups:read", "im:read", "users:read"}
"""The scopes of the tests' bot: it reads more than ours, and posts only in channels that it's in."""


@asynccontextmanager
async def running(**options):
    """Run a local Slack and stop it."""
    slack = flokit_slack(**{"scopes": SCOPES, **options})
    await slack.start()
    try:
        yield slack
    finally:
        await slack.stop()


@pytest_asyncio.fixture
async def slack():
    """Run a local Slack with its defaults."""
    async with running() as started:
        yield started


@pytest.fixture
def client(slack):
    """Slack's own client, connected to the local Slack."""
    return client_of(slack)


def client_of(slack, token="xoxb-sandbox"):
    """Return Slack's own client."""
    return AsyncWebClient(token, base_url=slack.api_url, timeout=5)


def new_app(slack):
    """Return a small bot that acks what it knows."""
    app = AsyncApp(client=client_of(slack), signing_secret="sandbox-signing-secret")

    @app.command("/flokit")
    async def _command(ack, command):
        await ack({"text": f"you said {command['text']}"})

    @app.action("go")
    async def _action(ack, respond, action):
        await ack()
        await respond(f"clicked {action['value']}", replace_original=False)

    @app.event("message")
    async def _message():
        pass

    @app.event("app_mention")
    async def _mention():
        pass

    return app


@asynccontextmanager
async def connected(slack, app=None):
    """Connect a bot over Socket Mode."""
    handler = AsyncSocketModeHandler(app or new_app(slack), "xapp-sandbox", ping_interval=PING_INTERVAL_S)
    before = slack.connections
    await handler.connect_async()
    await slack.wait_for(lambda: slack.connections > before, what="one more connection")
    try:
        yield handler
    finally:
        await handler.close_async()


@asynccontextmanager
async def serving(handle):
    """Serve one handler for every POST and yield its URL."""
    app = web.Application()
    app.router.add_post("/slack/events", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    finally:
        await runner.cleanup()


async def refusal(call):
    """Return the error code of a refused call."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return refused.value.response["error"]


# --- tokens, scopes, arguments ---------------------------------------------------------------------------------


async def test_auth_test_names_the_bot(client):
    """``auth.test`` names the bot, and its header lists the scopes."""
    reply = await client.auth_test()
    assert reply["user_id"] == "UFLOKIT"
    assert reply["bot_id"] == "BFLOKIT"
    assert reply["team_id"] == "T0SANDBOX"
    scopes = next(value for name, value in reply.headers.items() if name.lower() == "x-oauth-scopes")
    assert set(scopes.split(",")) == SCOPES


@pytest.mark.parametrize(
    ("token", "code"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), ("xapp-sandbox", "not_allowed_token_type")]
)
async def test_wrong_tokens_are_refused(slack, token, code):
    """Each way in which a token is wrong has its own code."""
    assert await refusal(client_of(slack, token).auth_test()) == code


async def test_revoked_tokens_are_refused(slack, client):
    """After a token is revoked, every call fails."""
    slack.revoke_token()
    assert await refusal(client.auth_test()) == "token_revoked"


async def test_connections_need_the_app_token(slack, client):
    """``apps.connections.open`` accepts only the xapp token."""
    assert await refusal(client.apps_connections_open(app_token="xoxb-sandbox")) == "not_allowed_token_type"
    assert (await client.apps_connections_open(app_token="xapp-sandbox"))["url"].startswith("ws://127.0.0.1:")


async def test_missing_scopes_are_named():
    """A call without its scope says which scopes are needed and which were granted."""
    async with running(scopes=frozenset({"commands"})) as bare:
        with pytest.raises(SlackApiError) as refused:
            await client_of(bare).chat_postMessage(channel="C0DATA", text="x")
    assert refused.value.response["error"] == "missing_scope"
    assert refused.value.response["needed"] == "chat:write"
    assert refused.value.response["provided"] == "commands"


async def test_history_needs_the_scope_of_the_kind_of_channel():
    """``im:history`` doesn't allow reading a public channel's history."""
    async with running(scopes=frozenset({"im:history", "chat:write"})) as slack:
        client = client_of(slack)
        assert await refusal(client.conversations_history(channel="C0DATA")) == "missing_scope"
        assert (await client.conversations_history(channel="D0ANA"))["messages"] == []


async def test_missing_arguments_are_named(client):
    """A call without a required argument is ``invalid_arguments``."""
    with pytest.raises(SlackApiError) as refused:
        await client.api_call("chat.postMessage", json={"text": "x"})
    assert refused.value.response["error"] == "invalid_arguments"
    assert refused.value.response["response_metadata"]["messages"] == ["[ERROR] missing required field: channel"]


async def test_unknown_methods_are_refused(client):
    """An unknown method is ``unknown_method``."""
    assert await refusal(client.api_call("chat.explode")) == "unknown_method"


async def test_forms_carry_structures_as_text(slack, client):
    """A form with JSON strings has the same effect as JSON."""
    form = {"channel": "C0DATA", "text": "x", "blocks": json.dumps(BLOCKS), "metadata": json.dumps(METADATA)}
    reply = await client.api_call("chat.postMessage", data=form)
    stored = slack.message("C0DATA", reply["ts"])
    assert stored["blocks"] == BLOCKS
    assert stored["metadata"] == METADATA


async def test_broken_json_is_refused(slack):
    """A body that isn't a JSON object is refused before anything else."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer xoxb-sandbox"}
    async with aiohttp.ClientSession(headers=headers) as session:
        replies = [await session.post(f"{slack.api_url}auth.test", data=body) for body in ("{", "[]")]
        assert [(await reply.json())["error"] for reply in replies] == ["invalid_json", "json_not_object"]


async def test_the_token_may_be_an_argument(slack):
    """The token may be among the arguments, and isn't recorded with them."""
    async with aiohttp.ClientSession() as session:
        reply = await session.get(f"{slack.api_url}users.info", params={"token": "xoxb-sandbox", "user": "UANA"})
        assert (await reply.json())["user"]["name"] == "ana"
    assert slack.calls[-1].args == {"user": "UANA"}


@pytest.mark.parametrize("name", [*METHODS, CONNECTIONS_OPEN])
def test_methods_are_as_in_the_reference(name):
    """Scopes, rate tiers and required arguments are those of Slack's reference."""
    if name in {"api.test", CONNECTIONS_OPEN}:
        assert (name in REFERENCE) == (name == CONNECTIONS_OPEN)
        return
    listed, method = REFERENCE[name], METHODS[name]
    special = "t5"
    required = set(listed["required"])
    assert method.scopes == set(listed["scopes"])
    assert (method.tier or special) == (listed["tier"] or special)
    assert required - {"token"} <= set(method.required)
    assert set(method.required) - {"trigger_id"} <= required
    assert method.takes_json == listed["json"]


# --- messages --------------------------------------------------------------------------------------------------


async def test_posted_messages_are_stored(slack, client):
    """A post returns its ts and author, and is in the channel."""
    reply = await client.chat_postMessage(channel="C0DATA", text="hello", blocks=BLOCKS)
    (stored,) = slack.messages("C0DATA")
    assert reply["ts"] == stored["ts"]
    assert reply["message"] == stored
    assert (stored["user"], stored["text"], stored["blocks"]) == ("UFLOKIT", "hello", BLOCKS)


async def test_a_persons_id_means_their_direct_message(slack, client):
    """Posting to a user ID opens the direct message with that user."""
    assert (await client.chat_postMessage(channel="UANA", text="x"))["channel"] == "D0ANA"
    assert await refusal(client.chat_postMessage(channel="UFLOKIT", text="x")) == "cannot_dm_bot"


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        ("C0GENERAL", "not_in_channel"),
        ("G0FINANCE", "channel_not_found"),
        ("D0ANABEN", "channel_not_found"),
        ("C0NOWHERE", "channel_not_found"),
    ],
)
async def test_channels_without_the_bot_are_closed(client, channel, code):
    """For a public channel, the error is ``not_in_channel``; others don't exist for the bot."""
    assert await refusal(client.chat_postMessage(channel=channel, text="x")) == code


async def test_write_public_opens_public_channels():
    """``chat:write.public`` lets the bot post where it isn't a member."""
    async with running(scopes=SCOPES | {"chat:write.public"}) as public:
        await client_of(public).chat_postMessage(channel="C0GENERAL", text="x")
        assert len(public.messages("C0GENERAL")) == 1


async def test_archived_channels_are_closed(slack, client):
    """In an archived channel, nothing can be posted or edited."""
    ts = (await client.chat_postMessage(channel="C0DATA", text="x"))["ts"]
    slack.archive("C0DATA")
    assert await refusal(client.chat_postMessage(channel="C0DATA", text="x")) == "is_archived"
    assert await refusal(client.chat_update(channel="C0DATA", ts=ts, text="y")) == "is_inactive"


async def test_wrong_blocks_are_refused_over_http(client):
    """A refused post has Slack's details."""
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0DATA", text="x", blocks=[{"type": "divider", "x": 1}])
    assert refused.value.response.data == {
        "ok": False,
        "error": "invalid_blocks",
        "response_metadata": {"messages": ["[ERROR] invalid additional property: x [json-pointer:/blocks/0]"]},
    }


async def test_replies_are_in_their_thread(slack, client):
    """A reply is below its root, which counts it."""
    root = (await client.chat_postMessage(channel="C0DATA", text="root"))["ts"]
    await client.chat_postMessage(channel="C0DATA", text="reply", thread_ts=root)
    assert [message["text"] for message in slack.messages("C0DATA")] == ["root"]
    assert [message["text"] for message in slack.messages("C0DATA", root)] == ["reply"]
    assert slack.message("C0DATA", root)["reply_count"] == 1


async def test_a_reply_to_a_deleted_message_is_in_the_channel(slack, client):
    """Slack accepts a reply to a deleted message, and only its answer shows that it isn't in a thread."""
    root = (await client.chat_postMessage(channel="C0DATA", text="root"))["ts"]
    slack.delete_message("C0DATA", root)
    posted = await client.chat_postMessage(channel="C0DATA", text="reply", thread_ts=root)
    assert "thread_ts" not in posted["message"]
    assert [message["text"] for message in slack.messages("C0DATA")] == ["reply"]


@pytest.mark.parametrize(("lost", "in_channel"), [(LostRoots.AS_SLACK, False), (LostRoots.CHANNEL, True)])
async def test_a_thread_outlives_its_root(slack, client, lost, in_channel):
    """If the deleted root had replies, the next one joins them; a switch disables that."""
    root = (await client.chat_postMessage(channel="C0DATA", text="root"))["ts"]
    await client.chat_postMessage(channel="C0DATA", text="first", thread_ts=root)
    slack.delete_message("C0DATA", root)
    slack.lost_roots = lost
    posted = await client.chat_postMessage(channel="C0DATA", text="second", thread_ts=root)
    assert ("thread_ts" not in posted["message"]) is in_channel


async def test_unknown_threads_can_be_refused(slack, client):
    """With a switch, a reply needs an existing parent."""
    slack.lost_roots = LostRoots.REFUSED
    posting = client.chat_postMessage(channel="C0DATA", text="x", thread_ts="1700000000.000000")
    assert await refusal(posting) == "thread_not_found"


async def test_a_replys_ts_leads_to_its_root_with_a_warning(slack, client):
    """Slack accepts a reply's ts as thread_ts; the local Slack records a warning."""
    root = (await client.chat_postMessage(channel="C0DATA", text="root"))["ts"]
    reply = (await client.chat_postMessage(channel="C0DATA", text="reply", thread_ts=root))["ts"]
    await client.chat_postMessage(channel="C0DATA", text="again", thread_ts=reply)
    assert len(slack.messages("C0DATA", root)) == 2
    assert "belongs to a reply" in slack.warnings[0]


async def test_blocks_without_text_are_a_warning(slack, client):
    """Blocks without text are accepted with the fallback that Slack shows, and recorded as a warning."""
    await client.api_call("chat.postMessage", json={"channel": "C0DATA", "blocks": BLOCKS})
    assert slack.messages("C0DATA")[0]["text"] == "This content can't be displayed."
    assert "without text" in slack.warnings[0]


async def test_update_without_blocks_removes_them(slack, client):
    """An update with only text removes the blocks and keeps the metadata; each version is kept."""
    ts = (await client.chat_postMessage(channel="C0DATA", text="a", blocks=BLOCKS, metadata=METADATA))["ts"]
    await client.chat_update(channel="C0DATA", ts=ts, text="b")
    before, after = slack.history("C0DATA", ts)
    assert before["blocks"] == BLOCKS
    assert "blocks" not in after
    assert after["metadata"] == METADATA
    assert after["edited"]["user"] == "UFLOKIT"


async def test_an_empty_object_removes_metadata(slack, client):
    """Metadata of ``{}`` in an update removes the metadata."""
    ts = (await client.chat_postMessage(channel="C0DATA", text="a", metadata=METADATA))["ts"]
    await client.chat_update(channel="C0DATA", ts=ts, text="b", metadata={})
    assert "metadata" not in slack.message("C0DATA", ts)


async def test_only_own_messages_can_be_edited(slack, client):
    """A person's message, an ephemeral one and an unknown one can't be edited or deleted."""
    theirs = await slack.say("UANA", "C0DATA", "mine")
    hidden = (await client.chat_postEphemeral(channel="C0DATA", user="UANA", text="psst"))["message_ts"]
    assert await refusal(client.chat_update(channel="C0DATA", ts=theirs, text="x")) == "cant_update_message"
    assert await refusal(client.chat_delete(channel="C0DATA", ts=theirs)) == "cant_delete_message"
    assert await refusal(client.chat_update(channel="C0DATA", ts=hidden, text="x")) == "message_not_found"
    assert await refusal(client.chat_update(channel="C0DATA", ts="1.0", text="x")) == "message_not_found"


async def test_updates_have_the_smaller_limit(client):
    """4,000 bytes are the limit for an update, though not for a post."""
    text = "é" * 2001
    ts = (await client.chat_postMessage(channel="C0DATA", text=text))["ts"]
    assert await refusal(client.chat_update(channel="C0DATA", ts=ts, text=text)) == "msg_too_long"


async def test_a_deleted_root_leaves_a_tombstone(slack, client):
    """A root with replies becomes a tombstone that can't be edited; a message without replies is gone."""
    root = (await client.chat_postMessage(channel="C0DATA", text="root"))["ts"]
    reply = (await client.chat_postMessage(channel="C0DATA", text="reply", thread_ts=root))["ts"]
    slack.delete_message("C0DATA", root)
    assert slack.message("C0DATA", root)["subtype"] == "tombstone"
    assert await refusal(client.chat_update(channel="C0DATA", ts=root, text="x")) == "message_not_found"
    await client.chat_delete(channel="C0DATA", ts=reply)
    assert slack.messages("C0DATA", root) == []


async def test_ephemerals_are_seen_by_one_person(slack, client):
    """An ephemeral message is shown only to its person, who must be in the channel."""
    await client.chat_postEphemeral(channel="C0DATA", user="UANA", text="psst")
    assert [message["text"] for message in slack.ephemerals("UANA")] == ["psst"]
    assert slack.ephemerals("UBEN") == []
    slack.add_user("UEVE", "eve")
    posting = client.chat_postEphemeral(channel="C0DATA", user="UEVE", text="x")
    assert await refusal(posting) == "user_not_in_channel"


async def test_permalinks_name_the_thread(client):
    """A reply's permalink includes the thread."""
    root = (await client.chat_postMessage(channel="C0DATA", text="root"))["ts"]
    reply = (await client.chat_postMessage(channel="C0DATA", text="reply", thread_ts=root))["ts"]
    permalink = (await client.chat_getPermalink(channel="C0DATA", message_ts=reply))["permalink"]
    assert permalink.endswith(f"/archives/C0DATA/p{reply.replace('.', '')}?thread_ts={root}&cid=C0DATA")
    assert await refusal(client.chat_getPermalink(channel="C0DATA", message_ts="1.0")) == "message_not_found"


# --- conversations and people ----------------------------------------------------------------------------------


async def test_replies_come_in_pages(slack, client):
    """A thread is read page by page, root first, with metadata only on request."""
    slack.rates.enforced = False
    root = (await client.chat_postMessage(channel="C0DATA", text="0", metadata=METADATA))["ts"]
    for number in range(1, 5):
        await client.chat_postMessage(channel="C0DATA", text=str(number), thread_ts=root)
    pages = []
    async for page in await client.conversations_replies(channel="C0DATA", ts=root, limit=2):
        pages.append([message["text"] for message in page["messages"]])
        assert not any("metadata" in message for message in page["messages"])
    assert pages == [["0", "1"], ["2", "3"], ["4"]]
    whole = await client.conversations_replies(channel="C0DATA", ts=root, include_all_metadata=True)
    assert whole["messages"][0]["metadata"] == METADATA


@pytest.mark.parametrize("name", ["oldest", "latest"])
async def test_a_range_needs_timestamps(client, name):
    """A bound that isn't a timestamp has its own error code."""
    reading = client.conversations_history(channel="C0DATA", **{name: "yesterday"})
    assert await refusal(reading) == f"invalid_ts_{name}"


@pytest.mark.parametrize(
    ("ts", "name", "code"),
    [("soon", "eyes", "bad_timestamp"), ("1.0", "two words", "invalid_name"), ("1.0", "eyes", "message_not_found")],
)
async def test_wrong_reactions_are_refused(ts, name, code):
    """A reaction needs a message's ts and an emoji's name."""
    async with running(scopes=SCOPES | {"reactions:write"}) as slack:
        adding = client_of(slack).reactions_add(channel="C0DATA", timestamp=ts, name=name)
        assert await refusal(adding) == code


async def test_messages_in_archived_channels_get_no_reactions():
    """Adding one is refused."""
    async with running(scopes=SCOPES | {"reactions:write"}) as slack:
        client = client_of(slack)
        ts = (await client.chat_postMessage(channel="C0DATA", text="x"))["ts"]
        slack.archive("C0DATA")
        assert await refusal(client.reactions_add(channel="C0DATA", timestamp=ts, name="eyes")) == "is_archived"


@pytest.mark.parametrize("messages", ["soon", [], ["x"] * 11, ["x" * 51], [""]])
async def test_a_status_rotates_through_ten_short_messages(client, messages):
    """``loading_messages`` are one to ten texts of at most fifty characters."""
    ts = (await client.chat_postMessage(channel="C0DATA", text="x"))["ts"]
    setting = client.assistant_threads_setStatus(
        channel_id="C0DATA", thread_ts=ts, status="syncs", loading_messages=messages
    )
    assert await refusal(setting) == "invalid_arguments"


async def test_a_group_message_has_at_most_eight_people(client):
    """More than eight people can't be written to at once."""
    assert await refusal(client.conversations_open(users=[f"U{n}" for n in range(9)])) == "too_many_users"


async def test_reading_what_does_not_exist_is_refused(client):
    """Unknown threads, cursors and channels each have their own code."""
    ts = (await client.chat_postMessage(channel="C0DATA", text="x"))["ts"]
    assert await refusal(client.conversations_replies(channel="C0DATA", ts="1.0")) == "thread_not_found"
    assert await refusal(client.conversations_replies(channel="C0DATA", ts=ts, cursor="?")) == "invalid_cursor"
    assert await refusal(client.conversations_replies(channel="C0GENERAL", ts=ts)) == "not_in_channel"
    assert await refusal(client.conversations_history(channel="G0FINANCE")) == "channel_not_found"


@pytest.mark.parametrize("method", ["history", "replies"])
async def test_a_distributed_app_reads_little_history(slack, client, method):
    """A distributed app gets at most fifteen messages per request, and one request per minute."""
    slack.is_distributed = True
    root = (await client.chat_postMessage(channel="C0DATA", text="root"))["ts"]
    for n in range(40):
        slack.workspace.post("C0DATA", {"user": "UANA", "text": str(n)})
        slack.workspace.post("C0DATA", {"user": "UANA", "text": str(n), "thread_ts": root})
    read = client.conversations_history if method == "history" else client.conversations_replies
    args = {"channel": "C0DATA", "limit": 200, **({"ts": root} if method == "replies" else {})}
    page = await read(**args)
    assert len(page["messages"]) == 15
    assert page["has_more"]
    with pytest.raises(SlackApiError) as refused:
        await read(**args)
    assert 0 < int(refused.value.response.headers["Retry-After"]) <= 60


async def test_history_is_newest_first(client):
    """``conversations.history`` returns only roots, newest first, after ``oldest``."""
    first = (await client.chat_postMessage(channel="C0DATA", text="first"))["ts"]
    await client.chat_postMessage(channel="C0DATA", text="reply", thread_ts=first)
    await client.chat_postMessage(channel="C0DATA", text="second")
    whole = await client.conversations_history(channel="C0DATA")
    assert [message["text"] for message in whole["messages"]] == ["second", "first"]
    later = await client.conversations_history(channel="C0DATA", oldest=first)
    assert [message["text"] for message in later["messages"]] == ["second"]


async def test_joining_opens_a_public_channel():
    """After joining, the bot can post; a direct message can't be joined."""
    async with running(scopes=SCOPES | {"channels:join"}) as slack:
        client = client_of(slack)
        await client.conversations_join(channel="C0GENERAL")
        await client.chat_postMessage(channel="C0GENERAL", text="x")
        assert await refusal(client.conversations_join(channel="D0ANA")) == "method_not_supported_for_channel_type"


async def test_conversations_are_described(client):
    """A channel has a name and a direct message a user."""
    assert (await client.conversations_info(channel="C0DATA"))["channel"]["name"] == "data-syncs"
    assert (await client.conversations_info(channel="D0ANA"))["channel"]["user"] == "UANA"
    assert (await client.conversations_open(users="UBEN"))["channel"]["id"] == "D0BEN"
    assert await refusal(client.conversations_open(users="UNOBODY")) == "user_not_found"


async def test_people_and_bots_are_described(client):
    """``users.info`` and ``bots.info`` know who exists."""
    assert (await client.users_info(user="UFLOKIT"))["user"]["is_bot"] is True
    assert (await client.bots_info(bot="BFLOKIT"))["bot"]["app_id"] == "AFLOKIT"
    assert await refusal(client.users_info(user="UNOBODY")) == "user_not_found"
    assert await refusal(client.bots_info(bot="BNOBODY")) == "bot_not_found"


async def test_user_groups_list_their_people():
    """``usergroups.users.list`` knows the groups that a test made."""
    async with running(scopes=SCOPES | {"usergroups:read"}) as slack:
        slack.workspace.usergroups["S0DATA"] = ["UANA"]
        assert (await client_of(slack).usergroups_users_list(usergroup="S0DATA"))["users"] == ["UANA"]
        missing = client_of(slack).usergroups_users_list(usergroup="S0NONE")
        assert await refusal(missing) == "no_such_subteam"


async def test_reactions_and_statuses_are_kept():
    """A reaction is added once, and a thread's status is the newest one."""
    async with running(scopes=SCOPES | {"reactions:write"}) as slack:
        client = client_of(slack)
        ts = await slack.say("UANA", "C0DATA", "x")
        await client.reactions_add(channel="C0DATA", timestamp=ts, name="eyes")
        again = client.reactions_add(channel="C0DATA", timestamp=ts, name="eyes")
        assert await refusal(again) == "already_reacted"
        assert slack.message("C0DATA", ts)["reactions"] == [{"name": "eyes", "users": ["UFLOKIT"], "count": 1}]
        await client.assistant_threads_setStatus(channel_id="C0DATA", thread_ts=ts, status="resyncing…")
        assert slack.workspace.statuses == {("C0DATA", ts): "resyncing…"}


async def test_a_home_tab_is_replaced_completely():
    """A published view gets an id and a hash; a stale hash is refused."""
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    async with running(home_tab=True) as slack:
        client = client_of(slack)
        published = (await client.views_publish(user_id="UANA", view=view))["view"]
        assert published["blocks"][0]["block_id"]
        assert await refusal(client.views_publish(user_id="UANA", view=view, hash="old")) == "hash_conflict"
        await client.views_publish(user_id="UANA", view=view, hash=published["hash"])


async def test_an_app_without_a_home_tab_publishes_none(slack, client):
    """If the manifest doesn't enable the Home tab, publishing is ``not_enabled``, and no one can open it."""
    slack.installation.home_tab = False
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    assert await refusal(client.views_publish(user_id="UANA", view=view)) == "not_enabled"
    with pytest.raises(LookupError, match="no Home tab"):
        slack.views.open_home("UANA")


async def test_a_trigger_opens_one_view_within_three_seconds():
    """A trigger_id works once, within three seconds, and only if it was issued."""
    clock = StoppedClock()
    async with running(clock=clock) as slack:
        client, modal = client_of(slack), {"type": "modal", "title": BUTTON["text"], "blocks": []}
        await slack.command("UANA", "C0DATA")
        trigger_id = slack.envelopes[0].payload["trigger_id"]
        view = (await client.views_open(trigger_id=trigger_id, view=modal))["view"]
        await client.views_update(view_id=view["id"], view=modal)
        reopening = client.views_open(trigger_id=trigger_id, view=modal)
        assert await refusal(reopening) == "exchanged_trigger_id"
        assert await refusal(client.views_open(trigger_id="1.2.x", view=modal)) == "invalid_trigger_id"
        await slack.command("UANA", "C0DATA")
        clock.now += 3.5
        late = client.views_open(trigger_id=slack.envelopes[1].payload["trigger_id"], view=modal)
        assert await refusal(late) == "expired_trigger_id"


# --- rates and faults ------------------------------------------------------------------------------------------


async def test_posts_in_one_channel_are_paced():
    """After the burst, a channel accepts one post per second; other channels aren't slowed down."""
    clock = StoppedClock()
    async with running(clock=clock) as slack:
        slack.post_rate = (1.0, 2)
        client = client_of(slack)
        await client.chat_postMessage(channel="C0DATA", text="1")
        await client.chat_postMessage(channel="C0DATA", text="2")
        with pytest.raises(SlackApiError) as refused:
            await client.chat_postMessage(channel="C0DATA", text="3")
        assert refused.value.response.status_code == 429
        assert refused.value.response["error"] == "ratelimited"
        assert refused.value.response.headers["Retry-After"] == "1"
        await client.chat_postMessage(channel="D0ANA", text="1")
        clock.now += 1
        await client.chat_postMessage(channel="C0DATA", text="3")
        assert len(slack.messages("C0DATA")) == 3


async def test_methods_have_a_limit_per_minute():
    """A tier's calls per minute are counted by method, and are free again after a minute."""
    clock = StoppedClock()
    async with running(clock=clock) as slack:
        slack.rates.per_minute["t4"] = 2
        client = client_of(slack)
        await client.users_info(user="UANA")
        await client.users_info(user="UANA")
        assert await refusal(client.users_info(user="UANA")) == "ratelimited"
        clock.now += 60
        await client.users_info(user="UANA")
        slack.rates.per_minute["t4"] = 0
        slack.rates.enforced = False
        await client.users_info(user="UANA")


async def test_a_planned_rate_limit_names_its_wait(slack, client):
    """A ``ratelimited`` fault answers 429 with Retry-After, once, and nothing is posted."""
    slack.faults.add(Fault("chat.postMessage", "ratelimited", retry_after_s=7))
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0DATA", text="x")
    assert refused.value.response.headers["Retry-After"] == "7"
    assert slack.messages("C0DATA") == []
    await client.chat_postMessage(channel="C0DATA", text="x")


async def test_a_planned_error_has_its_code(slack, client):
    """An ``error`` fault answers with the given code, as often as planned."""
    slack.faults.add(Fault("*", "error", times=2, code="fatal_error"))
    assert await refusal(client.auth_test()) == "fatal_error"
    assert await refusal(client.chat_postMessage(channel="C0DATA", text="x")) == "fatal_error"
    assert [(call.method, call.error) for call in slack.calls] == [
        ("auth.test", "fatal_error"),
        ("chat.postMessage", "fatal_error"),
    ]


@pytest.mark.parametrize(("kind", "status"), [("http_500", 500), ("garbage", 200)])
async def test_a_planned_invalid_answer_is_not_json(slack, kind, status):
    """``http_500`` and ``garbage`` answer with something that isn't JSON."""
    slack.faults.add(Fault("auth.test", kind))
    async with aiohttp.ClientSession() as session, session.post(f"{slack.api_url}auth.test") as reply:
        assert reply.status == status
        assert not (await reply.text()).startswith("{")


@pytest.mark.parametrize(("kind", "posted"), [("drop", 0), ("done_then_drop", 1)])
async def test_dropped_calls_leave_a_doubt(slack, client, kind, posted):
    """A dropped call fails for the caller, whether it was done or not (the SDK's own retry is disabled here)."""
    client.retry_handlers.clear()
    slack.faults.add(Fault("chat.postMessage", kind))
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="C0DATA", text="x")
    assert len(slack.messages("C0DATA")) == posted
    assert slack.calls[-1].status == 0


async def test_hanging_calls_are_never_answered(slack):
    """A ``hang`` ends when the caller gives up, and doesn't prevent stopping."""
    slack.faults.add(Fault("auth.test", "hang"))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await session.post(f"{slack.api_url}auth.test", timeout=aiohttp.ClientTimeout(total=0.1))


async def test_slow_calls_are_done(slack, client):
    """A ``slow`` call is done and answered, later."""
    slack.faults.add(Fault("chat.postMessage", "slow", delay_s=0.05))
    await client.chat_postMessage(channel="C0DATA", text="x")
    assert len(slack.messages("C0DATA")) == 1


async def test_an_outage_ends_when_its_faults_are_cleared(slack, client):
    """Faults for every call are an outage until they're cleared."""
    slack.faults.add(Fault("*", "error", times=1000))
    assert await refusal(client.auth_test()) == "internal_error"
    slack.faults.clear()
    await client.auth_test()


def test_unknown_faults_cannot_be_planned():
    """A fault of an unknown kind is a mistake in the test."""
    with pytest.raises(ValueError, match="explode"):
        Fault("auth.test", "explode")


# --- Socket Mode -----------------------------------------------------------------------------------------------


async def test_a_command_without_a_bot_fails(slack):
    """Without a connection, a command fails immediately."""
    ack = await slack.command("UANA", "C0DATA", "status")
    assert (ack.ok, ack.error) == (False, "dispatch_failed")


async def test_a_commands_ack_is_shown(slack):
    """What Bolt sends with the ack is shown to the person who typed the command."""
    async with connected(slack):
        ack = await slack.command("UANA", "C0DATA", "status")
    assert ack.ok
    assert ack.body == {"text": "you said status"}
    assert [message["text"] for message in slack.ephemerals("UANA")] == ["you said status"]


async def test_commands_carry_what_slack_sends(slack):
    """A command in a direct message has ``directmessage`` as its channel's name."""
    async with connected(slack):
        await slack.command("UANA", "D0ANA", "status now")
    payload = slack.envelopes[0].payload
    assert payload["channel_name"] == "directmessage"
    assert (payload["command"], payload["text"]) == ("/flokit", "status now")
    assert payload["response_url"].startswith(slack.url)


async def test_an_ack_that_slack_refuses_is_an_error(slack):
    """A command's answer with wrong blocks isn't shown."""
    app = AsyncApp(client=client_of(slack))

    @app.command("/flokit")
    async def _command(ack):
        await ack(blocks=[{"type": "nonsense"}])

    async with connected(slack, app):
        ack = await slack.command("UANA", "C0DATA")
    assert (ack.ok, ack.error) == (False, "invalid_command_response")
    assert slack.ephemerals("UANA") == []


async def test_a_click_reaches_the_bot(slack, client):
    """A click has its action and its message, and the bot answers through the response_url."""
    ts = (await client.chat_postMessage(channel="C0DATA", text="x", blocks=BLOCKS, metadata=METADATA))["ts"]
    async with connected(slack):
        assert (await slack.click("UANA", "C0DATA", ts, "go")).ok
        await slack.wait_for(lambda: slack.ephemerals("UANA"), what="the response")
    payload = slack.envelopes[0].payload
    (action,) = payload["actions"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("go", "row", "one")
    assert payload["message"]["blocks"] == BLOCKS
    assert "metadata" not in payload["message"]
    assert payload["container"]["message_ts"] == ts
    assert slack.ephemerals("UANA")[0]["text"] == "clicked one"


async def test_a_click_in_a_thread_names_it(slack, client):
    """The container of a click on a reply includes the thread."""
    root = (await client.chat_postMessage(channel="C0DATA", text="x"))["ts"]
    ts = (await client.chat_postMessage(channel="C0DATA", text="y", blocks=BLOCKS, thread_ts=root))["ts"]
    await slack.click("UANA", "C0DATA", ts, "go")
    assert slack.envelopes[0].payload["container"]["thread_ts"] == root


async def test_a_click_on_an_ephemeral_has_no_message(slack, client):
    """Slack doesn't promise to include an ephemeral message."""
    posted = await client.chat_postEphemeral(channel="C0DATA", user="UANA", text="x", blocks=BLOCKS)
    await slack.click("UANA", "C0DATA", posted["message_ts"], "go", ephemeral=True, raw_value="'; --")
    payload = slack.envelopes[0].payload
    assert "message" not in payload
    assert payload["container"]["is_ephemeral"] is True
    assert payload["actions"][0]["value"] == "'; --"


async def test_a_choice_is_sent_as_the_option(slack, client):
    """A click on a menu sends the option; on a picker, the picked value."""
    options = [{"text": {"type": "plain_text", "text": name}, "value": name} for name in ("a", "b")]
    menu = {"type": "overflow", "action_id": "menu", "options": options}
    picker = {"type": "users_select", "action_id": "who"}
    blocks = [{"type": "actions", "elements": [menu, picker]}]
    ts = (await client.chat_postMessage(channel="C0DATA", text="x", blocks=blocks))["ts"]
    await slack.click("UANA", "C0DATA", ts, "menu", value="b")
    await slack.click("UANA", "C0DATA", ts, "who", value="UBEN")
    chosen, picked = (envelope.payload["actions"][0] for envelope in slack.envelopes)
    assert chosen["selected_option"] == options[1]
    assert picked["selected_user"] == "UBEN"


@pytest.mark.parametrize(
    ("user", "action_id", "value"), [("UANA", "stop", None), ("UANA", "go", "two"), ("UEVE", "go", None)]
)
async def test_missing_buttons_cannot_be_clicked(slack, client, user, action_id, value):
    """A click needs an existing button and a person who sees it."""
    ts = (await client.chat_postMessage(channel="C0DATA", text="x", blocks=BLOCKS))["ts"]
    with pytest.raises(LookupError):
        await slack.click(user, "C0DATA", ts, action_id, value=value)


async def test_connections_take_turns(slack):
    """Each envelope goes to one connection, and the next one to the next."""
    seen = []

    def app(name):
        bot = AsyncApp(client=client_of(slack))

        @bot.command("/flokit")
        async def _command(ack):
            seen.append(name)
            await ack()

        return bot

    async with connected(slack, app("a")), connected(slack, app("b")):
        assert slack.connections == 2
        for _ in range(4):
            await slack.command("UANA", "C0DATA")
    assert sorted(seen) == ["a", "a", "b", "b"]


async def test_a_ticket_opens_one_connection(slack, client):
    """A ticket works once; the first frame is the hello, and an eleventh connection is refused."""
    urls = [(await client.apps_connections_open(app_token="xapp-sandbox"))["url"] for _ in range(11)]
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(url) for url in urls]
        frames = [await socket.receive_json() for socket in sockets]
        assert [frame.get("num_connections") for frame in frames[:10]] == list(range(1, 11))
        assert frames[10]["reason"] == "too_many_websockets"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(urls[0])
        for socket in sockets:
            await socket.close()
    await slack.wait_for(lambda: slack.connections == 0)


@pytest.mark.parametrize("end", ["drop_sockets", "refresh_sockets"])
async def test_the_sdk_reconnects(slack, end):
    """After a disconnect, or a request to reconnect, Slack's SDK connects again, and commands arrive."""
    async with connected(slack):
        changes = []
        slack.subscribe(lambda change: changes.append(change.get("connected")))
        await getattr(slack, end)()
        await slack.wait_for(lambda: changes[-2:] == [False, True], what="a loss and a new connection")
        assert (await slack.command("UANA", "C0DATA")).ok


async def test_a_command_without_an_ack_times_out(slack):
    """After three seconds without an ack, a command fails, in Socket Mode and over HTTP alike."""
    url = (await client_of(slack).apps_connections_open(app_token="xapp-sandbox"))["url"]
    hold = asyncio.Event()

    async def never(_request):
        await hold.wait()
        return web.Response()

    async with serving(never) as request_url, aiohttp.ClientSession() as session, session.ws_connect(url):
        await slack.wait_connected()
        over_socket = asyncio.create_task(slack.command("UANA", "C0DATA"))
        await slack.wait_for(lambda: slack.envelopes and slack.envelopes[0].via == "socket")
        slack.request_url = request_url
        over_http = await slack.command("UANA", "C0DATA")
        hold.set()
        for ack in (await over_socket, over_http):
            assert (ack.ok, ack.error) == (False, "operation_timeout")
            assert 2.9 < ack.took_s < 4


# --- events ----------------------------------------------------------------------------------------------------


async def test_a_direct_message_is_an_event(slack):
    """What a person writes to the bot arrives as ``message.im``."""
    async with connected(slack):
        ts = await slack.say("UANA", "D0ANA", "hello")
        await slack.wait_for(lambda: slack.envelopes and slack.envelopes[0].ack)
    payload = slack.envelopes[0].payload
    assert payload["event_id"].startswith("Ev")
    assert payload["event"]["ts"] == ts
    assert (payload["event"]["type"], payload["event"]["channel_type"]) == ("message", "im")


async def test_a_mention_is_an_event_where_the_bot_is(slack):
    """A mention arrives from a channel with the bot, and from no other."""
    async with connected(slack):
        await slack.say("UANA", "C0GENERAL", "<@UFLOKIT> hello")
        await slack.say("UANA", "C0DATA", "nothing for the bot")
        await slack.say("UANA", "D0ANABEN", "<@UFLOKIT> hello")
        await slack.say("UANA", "C0DATA", "<@UFLOKIT> hello")
        await slack.wait_for(lambda: slack.envelopes and slack.envelopes[0].ack)
    assert [envelope.payload["event"]["type"] for envelope in slack.envelopes] == ["app_mention"]


async def test_events_are_repeated_until_they_are_acked(slack):
    """An event that wasn't acked arrives again with the same ID and the retry headers."""
    seen = []

    async def refuse_once(request):
        seen.append((request.headers.get("X-Slack-Retry-Num"), request.headers.get("X-Slack-Retry-Reason")))
        return web.Response(status=500 if len(seen) == 1 else 200)

    slack.event_retry_delays_s = (0.0,)
    async with serving(refuse_once) as slack.request_url:
        await slack.say("UANA", "D0ANA", "hello")
        await slack.wait_for(lambda: len(slack.envelopes) == 2 and slack.envelopes[1].ack)
    assert seen == [(None, None), ("1", "http_error")]
    assert slack.envelopes[0].payload["event_id"] == slack.envelopes[1].payload["event_id"]


async def test_an_app_can_decline_retries(slack):
    """With ``X-Slack-No-Retry``, it isn't repeated; a raw event is delivered as it is."""

    async def refuse(_request):
        return web.Response(status=500, headers={"X-Slack-No-Retry": "1"})

    slack.event_retry_delays_s = (0.0,)
    async with serving(refuse) as slack.request_url:
        ack = await slack.event({"type": "app_home_opened", "user": "UANA"})
        await slack.command("UANA", "C0DATA")
    assert (ack.ok, ack.error) == (False, "dispatch_failed")
    assert [envelope.kind for envelope in slack.envelopes] == ["events_api", "slash_commands"]


# --- HTTP ------------------------------------------------------------------------------------------------------


async def test_bolt_accepts_the_signature(slack, client):
    """Over HTTP, Bolt verifies the signature and acks, and the JSON body of its answer is shown."""
    app = new_app(slack)
    ts = (await client.chat_postMessage(channel="C0DATA", text="x", blocks=BLOCKS))["ts"]
    async with serving(app.server().handle_post_requests) as slack.request_url:
        assert (await slack.command("UANA", "C0DATA", "status")).ok
        assert (await slack.click("UANA", "C0DATA", ts, "go")).ok
        await slack.wait_for(lambda: len(slack.ephemerals("UANA")) == 2)
    assert [message["text"] for message in slack.ephemerals("UANA")] == ["you said status", "clicked one"]


async def test_bolt_refuses_another_secret():
    """With another signing secret, Bolt answers 401, and the command fails."""
    async with running(signing_secret="another") as slack:
        async with serving(new_app(slack).server().handle_post_requests) as slack.request_url:
            ack = await slack.command("UANA", "C0DATA", "status")
        assert (ack.ok, ack.error) == (False, "dispatch_failed")


async def test_an_ack_may_be_seen_by_the_channel(slack):
    """Everyone sees an ack with ``in_channel``; plain text is an ephemeral message."""
    bodies = [{"text": "everybody", "response_type": "in_channel"}, "only you"]

    async def answer(_request):
        body = bodies.pop(0)
        return web.json_response(body) if isinstance(body, dict) else web.Response(text=body)

    async with serving(answer) as slack.request_url:
        await slack.command("UANA", "C0GENERAL")
        await slack.command("UANA", "C0GENERAL")
    assert [message["text"] for message in slack.messages("C0GENERAL")] == ["everybody"]
    assert [message["text"] for message in slack.ephemerals("UANA")] == ["only you"]


# --- response_url ----------------------------------------------------------------------------------------------


async def respond(url, **payload):
    """Post to a response URL; return the status and the answer."""
    async with aiohttp.ClientSession() as session, session.post(url, json=payload) as reply:
        return reply.status, await reply.json()


async def response_url(slack, channel="C0DATA"):
    """Return the response_url of a new command."""
    await slack.command("UANA", channel)
    return slack.envelopes[-1].payload["response_url"]


async def test_a_response_url_works_five_times(slack):
    """The sixth use is refused; a refused message doesn't count."""
    url = await response_url(slack)
    assert await respond(url) == (200, {"ok": False, "error": "no_text"})
    for _ in range(5):
        assert await respond(url, text="x") == (200, {"ok": True})
    assert await respond(url, text="x") == (404, {"ok": False, "error": "used_url"})
    assert len(slack.ephemerals("UANA")) == 5


async def test_a_response_url_expires():
    """After thirty minutes, a response_url is refused, as an unknown one always is."""
    clock = StoppedClock()
    async with running(clock=clock) as slack:
        url = await response_url(slack)
        clock.now += 30 * 60 + 1
        assert await respond(url, text="x") == (404, {"ok": False, "error": "expired_url"})
        assert (await respond(f"{slack.url}/response/guess", text="x"))[0] == 404


async def test_a_response_url_works_without_the_bot_in_the_channel(slack):
    """In a private channel without the bot, a response can be shown to everyone."""
    url = await response_url(slack, "G0FINANCE")
    assert (await respond(url, text="x", response_type="in_channel"))[0] == 200
    assert len(slack.messages("G0FINANCE")) == 1


async def test_a_response_checks_its_blocks(slack):
    """A response is checked like a post."""
    status, reply = await respond(await response_url(slack), text="x", blocks=[{"type": "x"}])
    assert (status, reply["error"]) == (200, "invalid_blocks")


async def test_a_response_replaces_what_was_clicked(slack, client):
    """``replace_original`` edits the clicked message, and ``delete_original`` removes it, ephemeral or not."""
    ts = (await client.chat_postMessage(channel="C0DATA", text="a", blocks=BLOCKS))["ts"]
    hidden = await client.chat_postEphemeral(channel="C0DATA", user="UANA", text="a", blocks=BLOCKS)
    await slack.click("UANA", "C0DATA", ts, "go")
    await slack.click("UANA", "C0DATA", hidden["message_ts"], "go", ephemeral=True)
    urls = [envelope.payload["response_url"] for envelope in slack.envelopes]
    for url in urls:
        assert (await respond(url, text="b", replace_original=True))[0] == 200
    assert (slack.message("C0DATA", ts)["text"], slack.ephemerals("UANA")[0]["text"]) == ("b", "b")
    for url in urls:
        assert (await respond(url, delete_original=True))[0] == 200
    assert (slack.messages("C0DATA"), slack.ephemerals("UANA")) == ([], [])


async def test_response_urls_can_have_faults(slack):
    """A test can plan a fault for them."""
    url = await response_url(slack)
    slack.faults.add(Fault("response_url", "ratelimited"))
    assert (await respond(url, text="x"))[0] == 429
    assert slack.calls[-1].method == "response_url"


# --- memory ----------------------------------------------------------------------------------------------------


async def test_only_the_newest_records_are_kept():
    """Calls, envelopes, warnings, versions and ephemeral messages are kept up to the given number."""
    async with running(most_records=3) as slack:
        slack.rates.enforced = False
        client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
        posted = await client.chat_postMessage(channel="C0DATA", text="0")
        reply = await client.chat_postMessage(channel="C0DATA", text="a reply", thread_ts=posted["ts"])
        astray = {"thread_ts": reply["ts"], "text": "warns: a reply to a reply"}
        for number in range(1, 6):
            await client.chat_update(channel="C0DATA", ts=posted["ts"], text=str(number))
            await client.chat_postEphemeral(channel="C0DATA", user="UANA", **astray)
            await slack.command("UANA", "C0DATA", str(number))
        assert [version["text"] for version in slack.history("C0DATA", posted["ts"])] == ["3", "4", "5"]
        assert [envelope.payload["text"] for envelope in slack.envelopes] == ["3", "4", "5"]
        assert [len(kept) for kept in (slack.calls, slack.warnings, slack.ephemerals("UANA"))] == [3, 3, 3]


async def test_old_triggers_and_response_urls_are_forgotten():
    """What can no longer be used is forgotten when another one is issued."""
    clock = StoppedClock()
    async with running(clock=clock) as slack:
        for _ in range(5):
            await slack.command("UANA", "C0DATA")
            clock.now += 3600
        assert len(slack.installation.triggers._issued) == 1
        assert len(slack.response_urls._issued) == 1


# --- waiting ---------------------------------------------------------------------------------------------------


async def test_a_failed_wait_shows_the_current_state(slack, client):
    """It also says what it waited for."""
    await client.chat_postMessage(channel="C0DATA", text="all there is")
    with pytest.raises(NotYet, match=r"(?s)a miracle.*all there is"):
        await slack.wait_for(lambda: None, timeout_s=0.05, what="a miracle")


async def test_a_wait_ends_with_the_change(slack):
    """It returns the value as soon as the state has changed."""
    waiting = asyncio.create_task(slack.wait_for(lambda: slack.messages("C0DATA")))
    await slack.say("UANA", "C0DATA", "here")
    assert [message["text"] for message in await waiting] == ["here"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "sandbox.test", ""])
async def test_only_this_machine_can_connect(host):
    """An address that others could reach is refused before anything listens."""
    with pytest.raises(ValueError, match="only listens on this machine"):
        await flokit_slack().start(host)


def test_a_test_can_add_people_and_channels():
    """They're there as if they had always been."""
    slack = flokit_slack()
    slack.add_user("UEVE", "eve")
    slack.add_channel("G0GROUP", "group", "mpim", {"UEVE", "UANA"}, bot_is_member=True)
    assert slack.workspace.has_bot(slack.workspace.channels["G0GROUP"])


# --- the page --------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def page(tmp_path):
    """Run a local Slack with its page, and yield it with a session like a browser's."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "app.js").write_text("// nothing")
    slack = flokit_slack()
    add_page(slack.server, slack, tmp_path)
    await slack.start()
    async with aiohttp.ClientSession(slack.url) as session:
        yield slack, session
    await slack.stop()


async def post(session, path, **asked):
    """Make a request as the page does; return the status and the answer."""
    async with session.post(path, json=asked) as reply:
        return reply.status, await reply.json()


async def test_the_page_is_served_with_its_headers(page):
    """The page and its files have the security headers, and nothing else is served."""
    _, session = page
    for path, status in {"/": 200, "/page/app.js": 200, "/page/secret.js": 404, "/page/..%2fapp.js": 404}.items():
        async with session.get(path) as reply:
            assert reply.status == status
            if status == 200:
                assert SECURITY_HEADERS.items() <= dict(reply.headers).items()


@pytest.mark.parametrize(("host", "status"), [("localhost:1", 200), ("[::1]:1", 200), ("evil.test", 403), ("[", 403)])
async def test_the_page_answers_to_local_names_only(page, host, status):
    """Another host name is refused, because DNS may have been rebound."""
    _, session = page
    async with session.get("/", headers={"Host": host}) as reply:
        assert reply.status == status


async def test_other_origins_are_refused(page):
    """Neither commands nor the live feed are available to another site."""
    slack, session = page
    headers = {"Origin": "https://evil.test"}
    async with session.post("/page/say", json={}, headers=headers) as reply:
        assert reply.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await session.ws_connect("/page/live", headers=headers)
    async with session.ws_connect("/page/live", headers={"Origin": slack.url}) as socket:
        assert (await socket.receive_json())["type"] == "state"


ROUTES = {
    "GET": ["/page/app.js", "/api/auth.test?token=xoxb-sandbox", "/page/live", "/link/?ticket=x"],
    "POST": [
        "/api/chat.postMessage?token=xoxb-sandbox&channel=C0DATA&text=hello",
        "/api/apps.connections.open?token=xapp-sandbox",
        "/response/x",
        "/page/say",
        "/page/control",
    ],
}
EVERY_ROUTE = [(method, path) for method, paths in ROUTES.items() for path in paths]
OTHER_PAGES = {
    "another origin": {"Origin": "https://evil.test"},
    "an opaque origin": {"Origin": "null"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "another port, unnamed": {"Sec-Fetch-Site": "same-site"},
    "a form of another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    "a rebound name": {"Host": "evil.test"},
    "a rebound name that is ours": {"Host": "evil.test:80", "Origin": "http://evil.test:80"},
    "a name that begins as ours": {"Host": "127.0.0.1.evil.test"},
}


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
@pytest.mark.parametrize("headers", OTHER_PAGES.values(), ids=OTHER_PAGES)
async def test_no_other_page_reaches_a_route(page, method, path, headers):
    """What a browser sends for another page is refused at every route, including the Web API's and the sockets'."""
    slack, session = page
    async with session.request(method, path, headers=headers, data=b"{}") as reply:
        assert reply.status == 403
    assert not slack.calls
    assert not slack.messages("C0DATA")


async def test_a_link_to_the_page_may_be_followed(page):
    """The page itself opens from a link on another site."""
    _, session = page
    async with session.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}) as reply:
        assert reply.status == 200


async def test_the_live_feed_starts_with_everything(page):
    """The first message is the state; without a control panel and an inspector, it has neither."""
    slack, session = page
    ts = await slack.say("UANA", "C0DATA", "before")
    async with session.ws_connect("/page/live") as socket:
        state = await socket.receive_json()
    assert state["bot"] == {"user_id": "UFLOKIT", "name": "FloKit", "connected": False}
    assert state["messages"]["C0DATA"][0]["ts"] == ts
    assert {"id": "UANA", "name": "ana", "is_bot": False} in state["users"]
    assert next(channel for channel in state["channels"] if channel["id"] == "C0DATA")["bot_is_member"]
    assert state["ephemerals"]["UANA"] == []
    assert (state["control"], state["log"]) == (None, [])


async def test_the_live_feed_sends_every_change(page):
    """Posts, edits, deletions, ephemeral messages and connections are sent as they happen."""
    slack, session = page
    client = client_of(slack)
    async with session.ws_connect("/page/live") as socket:
        await socket.receive_json()
        ts = (await client.chat_postMessage(channel="C0DATA", text="a"))["ts"]
        await client.chat_update(channel="C0DATA", ts=ts, text="b")
        slack.delete_message("C0DATA", ts)
        await client.chat_postEphemeral(channel="C0DATA", user="UANA", text="psst")
        async with connected(slack):
            changes = [await socket.receive_json() for _ in range(5)]
    assert [change["type"] for change in changes] == ["message", "message", "message_deleted", "ephemeral", "bot"]
    assert changes[1]["message"]["text"] == "b"
    assert changes[3]["message"]["channel"] == "C0DATA"
    assert changes[4] == {"type": "bot", "connected": True}


async def test_people_type_and_click_on_the_page(page):
    """A command, a message with a mention, and a click work as in Slack."""
    slack, session = page
    ts = (await client_of(slack).chat_postMessage(channel="C0DATA", text="x", blocks=BLOCKS))["ts"]
    async with connected(slack):
        place = {"user": "UANA", "channel": "C0DATA"}
        typed = await post(session, "/page/command", **place, text="/flokit  status now")
        said = await post(session, "/page/say", **place, text="@FloKit hi", thread_ts=ts)
        clicked = await post(session, "/page/click", **place, ts=ts, action_id="go", block_id="row", value="one")
        await slack.wait_for(lambda: len(slack.ephemerals("UANA")) == 2)
    assert typed == (200, {"ok": True, "error": ""})
    assert clicked == (200, {"ok": True, "error": ""})
    assert slack.envelopes[0].payload["text"] == "status now"
    assert slack.message("C0DATA", said[1]["ts"])["text"] == "<@UFLOKIT> hi"


async def test_a_click_during_an_edit_counts(page):
    """If an edit gives the blocks other IDs during the click, the button with the same value is used."""
    slack, session = page
    ts = (await client_of(slack).chat_postMessage(channel="C0DATA", text="x", blocks=BLOCKS))["ts"]
    place = {"user": "UANA", "channel": "C0DATA", "ts": ts, "action_id": "go", "block_id": "of_before_the_edit"}
    async with connected(slack):
        assert await post(session, "/page/click", **place, value="one") == (200, {"ok": True, "error": ""})
        assert (await post(session, "/page/click", **place))[0] == 400


async def test_the_page_shows_slacks_sentences(page):
    """Errors are worded as in Slack's clients."""
    slack, session = page
    ts = (await client_of(slack).chat_postMessage(channel="C0DATA", text="x", blocks=BLOCKS))["ts"]
    place = {"user": "UANA", "channel": "C0DATA"}
    _, typed = await post(session, "/page/command", **place, text="/flokit")
    _, unknown = await post(session, "/page/command", **place, text="/deploy now")
    _, clicked = await post(session, "/page/click", **place, ts=ts, action_id="go")
    assert typed["error"] == '/flokit failed with the error "dispatch_failed"'
    assert unknown["error"] == "/deploy isn't a valid command."
    assert clicked["error"] == "FloKit couldn't be reached"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/page/say", {}),
        ("/page/say", {"user": "UANA", "channel": "C0DATA", "text": " "}),
        ("/page/say", {"user": "UANA", "channel": "C0DATA", "text": "x", "thread_ts": 7}),
        ("/page/say", {"user": "UANA", "channel": "C0DATA", "text": "x", "thread_ts": "1.0"}),
        ("/page/say", {"user": "UNOBODY", "channel": "C0DATA", "text": "x"}),
        ("/page/say", {"user": "UCLEO", "channel": "D0ANABEN", "text": "x"}),
        ("/page/command", {"user": "UNOBODY", "channel": "C0DATA", "text": "/flokit"}),
        ("/page/click", {"user": "UANA", "channel": "C0DATA", "ts": "1.0", "action_id": "go"}),
    ],
)
async def test_impossible_requests_are_a_400(page, path, asked):
    """The answer says why."""
    status, reply = await post(page[1], path, **asked)
    assert (status, reply["ok"]) == (400, False)
    assert reply["error"]


@pytest.mark.parametrize(
    ("body", "kind"), [("{", "application/json"), ("[]", "application/json"), ("{}", "text/plain")]
)
async def test_a_body_that_is_not_a_json_object_is_a_400(page, body, kind):
    """Only a JSON object, declared as one, is accepted."""
    async with page[1].post("/page/say", data=body, headers={"Content-Type": kind}) as reply:
        assert reply.status == 400
