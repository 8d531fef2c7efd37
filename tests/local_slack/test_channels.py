"""The stand-in for Slack: what people do to channels, and what the app hears of it; in which zones people live."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
import pytest_asyncio
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.scopes import BOT_SCOPES
from sandbox.page import add_page
from sandbox.slack import FLOKIT_APP, flokit_slack

WINTER, SUMMER = (datetime(2026, month, 1, 12, tzinfo=UTC).timestamp() for month in (1, 7))


@asynccontextmanager
async def running(**options):
    """Run a stand-in with a bot on a socket that acks every event and notes it in ``heard``."""
    slack, heard = flokit_slack(**options), []
    await slack.start()
    app = AsyncApp(client=AsyncWebClient("xoxb-sandbox", base_url=slack.api_url), signing_secret="x")
    for name in FLOKIT_APP.events - {"message.im"}:

        @app.event(name)
        async def _heard(event):
            heard.append(event)
            slack.note_change()

    handler = AsyncSocketModeHandler(app, "xapp-sandbox")
    await handler.connect_async()
    await slack.wait_connected()
    try:
        yield slack, heard
    finally:
        await handler.close_async()
        await slack.stop()


@pytest_asyncio.fixture
async def heard_by():
    """Run a stand-in as it is by default; return it with what its bot hears."""
    async with running() as started:
        yield started


async def hear(slack, heard, do, *arguments):
    """Do something, and return the one event that follows."""
    before = len(heard)
    do(*arguments)
    await slack.wait_for(lambda: heard[before:], what=f"an event after {do.__name__}")
    [event] = heard[before:]
    assert event.pop("event_ts")
    return event


async def test_a_public_channel_is_archived_and_comes_back(heard_by):
    """Everybody hears of a public channel that is archived, also a bot that is not in there."""
    slack, heard = heard_by
    assert await hear(slack, heard, slack.archive, "C0GENERAL", "UBEN") == {
        "type": "channel_archive",
        "channel": "C0GENERAL",
        "user": "UBEN",
    }
    event = await hear(slack, heard, slack.unarchive, "C0GENERAL")
    assert (event["type"], event["user"]) == ("channel_unarchive", "UANA")
    assert not slack.workspace.channels["C0GENERAL"].is_archived


async def test_private_channels_have_their_own_events(heard_by):
    """Of a private channel that it is in the bot hears ``group_`` events, of one that it is not in nothing."""
    slack, heard = heard_by
    slack.archive("G0FINANCE")
    slack.unarchive("G0FINANCE")
    slack.add_channel("G0OURS", "ours", "private", {"UANA"}, bot_is_member=True)
    assert (await hear(slack, heard, slack.archive, "G0OURS"))["type"] == "group_archive"
    assert (await hear(slack, heard, slack.unarchive, "G0OURS"))["type"] == "group_unarchive"
    assert await hear(slack, heard, slack.remove_bot, "G0OURS") == {
        "type": "group_left",
        "channel": "G0OURS",
        "actor_id": "UANA",
    }
    assert (await hear(slack, heard, slack.invite_bot, "G0OURS"))["channel_type"] == "G"
    assert (await hear(slack, heard, slack.delete_channel, "G0OURS"))["type"] == "group_deleted"


async def test_a_channel_gets_another_id(heard_by):
    """The bot hears both ids of a channel that it is in; messages keep theirs, and nothing answers to the old id."""
    slack, heard = heard_by
    ts = slack.workspace.post("C0DATA", {"user": "UANA", "text": "hello"})["ts"]
    assert await hear(slack, heard, slack.change_channel_id, "C0DATA", "C0SHARED") == {
        "type": "channel_id_changed",
        "old_channel_id": "C0DATA",
        "new_channel_id": "C0SHARED",
    }
    client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0DATA", text="x")
    assert refused.value.response["error"] == "channel_not_found"
    await client.chat_postMessage(channel="C0SHARED", text="x", thread_ts=ts)
    assert len(slack.messages("C0SHARED", ts)) == 1


async def test_a_bot_that_is_removed_and_invited_again_hears_both(heard_by):
    """The bot hears ``channel_left`` when it is removed, and that it joined, with who invited it."""
    slack, heard = heard_by
    assert await hear(slack, heard, slack.remove_bot, "C0DATA", "UBEN") == {
        "type": "channel_left",
        "channel": "C0DATA",
        "actor_id": "UBEN",
    }
    assert not slack.workspace.has_bot(slack.workspace.channels["C0DATA"])
    assert await hear(slack, heard, slack.invite_bot, "C0DATA", "UCLEO") == {
        "type": "member_joined_channel",
        "channel": "C0DATA",
        "user": "UFLOKIT",
        "channel_type": "C",
        "team": "T0SANDBOX",
        "inviter": "UCLEO",
    }
    assert slack.workspace.has_bot(slack.workspace.channels["C0DATA"])


async def test_a_deleted_channel_is_gone(heard_by):
    """After ``channel_deleted`` the channel is not found, neither by the app nor by a ``response_url``."""
    slack, heard = heard_by
    client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
    await slack.command("UANA", "C0DATA")
    url = slack.envelopes[0].payload["response_url"]
    event = await hear(slack, heard, slack.delete_channel, "C0DATA")
    assert event == {"type": "channel_deleted", "channel": "C0DATA", "actor_id": "UANA"}
    with pytest.raises(SlackApiError, match="channel_not_found"):
        await client.chat_postMessage(channel="C0DATA", text="x")
    async with aiohttp.ClientSession() as session, session.post(url, json={"text": "x"}) as reply:
        assert (await reply.json())["error"] == "channel_not_found"


@pytest.mark.parametrize(
    "options",
    [
        {"scopes": frozenset(BOT_SCOPES) - {"channels:read"}},
        {"events": FLOKIT_APP.events - {"channel_archive", "channel_left", "member_joined_channel"}},
    ],
    ids=["scopes", "subscriptions"],
)
async def test_an_app_hears_what_it_may_and_wants(options):
    """Without the scope or the subscription no event is sent, and the channel changes all the same."""
    async with running(**options) as (slack, _heard):
        slack.remove_bot("C0DATA")
        slack.invite_bot("C0DATA")
        slack.archive("C0DATA")
        await slack.command("UANA", "C0GENERAL")
        assert [envelope.kind for envelope in slack.envelopes] == ["slash_commands"]
        assert slack.workspace.channels["C0DATA"].is_archived


async def test_nobody_writes_in_an_archived_channel(heard_by):
    """In an archived channel people can neither write nor type commands, and nobody is invited or removed."""
    slack, _heard = heard_by
    slack.archive("C0DATA")
    for attempt in (slack.say("UANA", "C0DATA", "hello"), slack.command("UANA", "C0DATA", "help")):
        with pytest.raises(LookupError, match="#data-syncs is archived"):
            await attempt
    for do in (slack.archive, slack.remove_bot, slack.invite_bot):
        with pytest.raises(LookupError, match="#data-syncs is archived"):
            do("C0DATA")


async def test_what_cannot_be_done_to_a_channel_is_refused(heard_by):
    """What is so already, or is no channel, raises a sentence and tells nobody."""
    slack, _heard = heard_by
    for do, channel, sentence in (
        (slack.unarchive, "C0DATA", "not archived"),
        (slack.invite_bot, "C0DATA", "in #data-syncs already"),
        (slack.remove_bot, "C0GENERAL", "not in #general"),
        (slack.archive, "D0ANA", "There is no channel D0ANA"),
        (slack.delete_channel, "C0NONE", "There is no channel C0NONE"),
    ):
        with pytest.raises(LookupError, match=sentence):
            do(channel)
    assert not slack.envelopes


@pytest.mark.parametrize(
    ("now", "user", "zone", "offset", "label"),
    [
        (WINTER, "UANA", "Europe/Berlin", 3600, "Central European Time"),
        (SUMMER, "UANA", "Europe/Berlin", 7200, "Central European Summer Time"),
        (WINTER, "UBEN", "America/New_York", -18000, "Eastern Standard Time"),
        (SUMMER, "UCLEO", "Asia/Kolkata", 19800, "India Standard Time"),
        (WINTER, "UEVE", "Australia/Lord_Howe", 39600, "+11"),
    ],
)
async def test_people_live_in_their_own_zones(now, user, zone, offset, label):
    """``users.info`` tells each person's zone, with the offset and the words of that day."""
    slack = flokit_slack(clock=lambda: now)
    slack.add_user("UEVE", "eve", "Australia/Lord_Howe")
    await slack.start()
    try:
        client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
        told = (await client.users_info(user=user))["user"]
    finally:
        await slack.stop()
    assert (told["tz"], told["tz_offset"], told["tz_label"]) == (zone, offset, label)


async def test_zones_are_for_apps_that_may_read_people():
    """Without ``users:read`` nobody's zone is told."""
    async with running(scopes=frozenset(BOT_SCOPES) - {"users:read"}) as (slack, _heard):
        client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
        with pytest.raises(SlackApiError, match="missing_scope"):
            await client.users_info(user="UANA")


async def test_the_page_opens_and_closes_channels(tmp_path):
    """The page archives, brings back, removes and invites as the acting person; what cannot be done is a sentence."""
    slack = flokit_slack()
    slack.event_retry_delays_s = ()
    add_page(slack.server, slack, tmp_path)
    await slack.start()
    try:
        async with aiohttp.ClientSession(slack.url) as session:

            async def act(action, **asked):
                asked = {"user": "UBEN", "channel": "C0DATA", "action": action, **asked}
                async with session.post("/page/channel", json=asked) as reply:
                    return reply.status, (await reply.json())["error"]

            channel = slack.workspace.channels["C0DATA"]
            for action, archived, member in (
                ("archive", True, True),
                ("unarchive", False, True),
                ("remove_bot", False, False),
                ("invite_bot", False, True),
            ):
                assert await act(action) == (200, "")
                assert (channel.is_archived, slack.workspace.has_bot(channel)) == (archived, member)
            assert await act("invite_bot") == (400, "The bot is in #data-syncs already.")
            assert await act("explode") == (400, "There is no action explode.")
        assert [envelope.payload["event"]["type"] for envelope in slack.envelopes] == [
            "channel_archive",
            "channel_unarchive",
            "channel_left",
            "member_joined_channel",
        ]
    finally:
        await slack.stop()
