"""The local Slack: what people do to channels, which events the app gets, and people's time zones."""

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
    """Run a local Slack with a bot on a socket that acks every event and adds it to ``heard``."""
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
    """Run a local Slack with its defaults; return it with the events that its bot gets."""
    async with running() as started:
        yield started


async def hear(slack, heard, do, *arguments):
    """Do something, and return the only event that follows."""
    before = len(heard)
    do(*arguments)
    await slack.wait_for(lambda: heard[before:], what=f"an event after {do.__name__}")
    [event] = heard[before:]
    assert event.pop("event_ts")
    return event


async def test_a_public_channel_is_archived_and_unarchived(heard_by):
    """Every bot gets the event of a public channel that's archived, even one that isn't a member."""
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
    """A bot gets ``group_`` events of private channels that it's in, and nothing about others."""
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
    """The bot gets both IDs of a channel that it's in; messages keep theirs, and the old ID is unknown."""
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


async def test_a_bot_that_is_removed_and_invited_again_gets_both_events(heard_by):
    """It gets ``channel_left`` when it's removed, and then that it joined, with who invited it."""
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
    """After ``channel_deleted``, the channel isn't found, neither by the app nor by a ``response_url``."""
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
async def test_an_app_gets_the_events_that_it_may_and_wants_to(options):
    """Without the scope or the subscription, no event is sent, and the channel changes all the same."""
    async with running(**options) as (slack, _heard):
        slack.remove_bot("C0DATA")
        slack.invite_bot("C0DATA")
        slack.archive("C0DATA")
        await slack.command("UANA", "C0GENERAL")
        assert [envelope.kind for envelope in slack.envelopes] == ["slash_commands"]
        assert slack.workspace.channels["C0DATA"].is_archived


async def test_no_one_writes_in_an_archived_channel(heard_by):
    """In an archived channel, no one can post, type commands, or be invited or removed."""
    slack, _heard = heard_by
    slack.archive("C0DATA")
    for attempt in (slack.say("UANA", "C0DATA", "hello"), slack.command("UANA", "C0DATA", "help")):
        with pytest.raises(LookupError, match="#data-syncs is archived"):
            await attempt
    for do in (slack.archive, slack.remove_bot, slack.invite_bot):
        with pytest.raises(LookupError, match="#data-syncs is archived"):
            do("C0DATA")


async def test_impossible_changes_of_a_channel_are_refused(heard_by):
    """Repeating a change, or an unknown channel, raises an error and sends no event."""
    slack, _heard = heard_by
    for do, channel, sentence in (
        (slack.unarchive, "C0DATA", "isn't archived"),
        (slack.invite_bot, "C0DATA", "already in #data-syncs"),
        (slack.remove_bot, "C0GENERAL", "isn't in #general"),
        (slack.archive, "D0ANA", "Unknown channel: D0ANA"),
        (slack.delete_channel, "C0NONE", "Unknown channel: C0NONE"),
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
async def test_people_have_their_own_time_zones(now, user, zone, offset, label):
    """``users.info`` has each person's zone, with that day's offset and label."""
    slack = flokit_slack(clock=lambda: now)
    slack.add_user("UEVE", "eve", "Australia/Lord_Howe")
    await slack.start()
    try:
        client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
        person = (await client.users_info(user=user))["user"]
    finally:
        await slack.stop()
    assert (person["tz"], person["tz_offset"], person["tz_label"]) == (zone, offset, label)


async def test_time_zones_need_users_read():
    """Without ``users:read``, no zone is returned."""
    async with running(scopes=frozenset(BOT_SCOPES) - {"users:read"}) as (slack, _heard):
        client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
        with pytest.raises(SlackApiError, match="missing_scope"):
            await client.users_info(user="UANA")


async def test_the_page_opens_and_closes_channels(tmp_path):
    """The page archives, unarchives, removes and invites as the acting person; what's impossible gets a sentence."""
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
            assert await act("invite_bot") == (400, "The bot is already in #data-syncs.")
            assert await act("explode") == (400, "Unknown action: explode.")
        assert [envelope.payload["event"]["type"] for envelope in slack.envelopes] == [
            "channel_archive",
            "channel_unarchive",
            "channel_left",
            "member_joined_channel",
        ]
    finally:
        await slack.stop()
