"""What people type and click is answered: in the right place, in words, and never with an exception.

One bot for the whole file: every test asks in a channel of its own, about the same integrations.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from sandbox.local_flokit.sources import Plan
from sandbox.slack import BOT_USER_ID
from tests.scenarios.conftest import buttons, running_world, words

pytestmark = pytest.mark.asyncio(loop_scope="module")
"""One world serves the whole module, so its tests share an event loop."""

LAST = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
HOSTILE = f"<!channel> <@UBEN> <https://evil.example|Click me> `*_~& {'x' * 5000}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(tmp_path_factory):
    """A bot with thirty integrations: one fails with a hostile error text, one has another type, and 28 are healthy."""
    async with running_world(tmp_path_factory.mktemp("asked")) as world:
        flokit = world.flokit
        flokit.add("int_hostile", "adapty", status="error", error_message=HOSTILE, last_synced_at=LAST)
        flokit.add("int_odd", "<!here|snow>flake", status="paused & odd")
        flokit.add("int_null", None, status=None)
        flokit.add("int_ios", "appsflyer", last_synced_at=LAST)
        flokit.add("int_android", "appsflyer", last_synced_at=LAST)
        flokit.add("int_01stripe", "stripe", last_synced_at=LAST)
        for number in range(24):
            flokit.add(f"int_w{number:02}", "warehouse", last_synced_at=LAST)
        for source in flokit.sources():
            flokit.plan(source.id, Plan(0.0, 0.3, "succeeded"))
        await world.start_bot()
        yield world


@pytest.fixture
def channel(asked, request):
    """A separate channel for each test."""
    return asked.channel("C0" + "".join(char for char in request.node.name.upper() if char.isalnum())[:60])


async def test_vendor_text_mentions_no_one(asked, channel):
    """An error text full of mentions, links and 5,000 characters is shown as plain text in every message."""
    panel = await asked.status("status failing", channel=channel)
    detail = await asked.status("show adapty", channel=channel)
    whole = await asked.status("status paused", channel=channel)
    for message in (panel, detail, whole):
        for live in ("<!channel>", "<@UBEN>", "<https://evil", "<!here"):
            assert live not in message["text"]
            assert not [text for text in mrkdwn(message) if live in text]
    assert "1 of 1 integration matching “failing” needs attention: Adapty" in panel["text"]


def mrkdwn(value):
    """Yield all texts of a message that Slack parses for mentions and links."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value["text"]
        for inner in value.values():
            yield from mrkdwn(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from mrkdwn(inner)


async def test_unknown_words_get_suggestions(asked, channel):
    """A typo gets the closest command, an empty filter the choices, and an unknown target the closest names."""
    typed = {
        "statsu": "Did you mean `/flokit status`?",
        "status nonsense": "No integration matches `nonsense`",
        "show strip": "int_01stripe",
        "sync": "Which integration?",
        "help": "/flokit sync &lt;integrations&gt;",
        "unsubscribe stripes": "FloKit has no integration `stripes`. Closest matches: Stripe `int_01stripe`",
        "unsubscribe stripe": "This channel has no subscription to remove.",
        "subscribe revenuecats": "FloKit has no integration `revenuecats`. Closest matches: `revenuecat`",
        "show stipe": "FloKit has no integration `stipe`. Closest matches: Stripe `int_01stripe`",
        "why sync strpe": "FloKit has no integration `strpe`. Closest matches: Stripe `int_01stripe`",
        "status stripes": "No integration matches `stripes`. Closest matches: Stripe `int_01stripe`",
        "snooze 2 hours": "I don't recognize `snooze 2 hours`. Snooze and End snooze are buttons",
        "doctor stripe": "I don't recognize `stripe`. Did you mean `/flokit doctor`?",
    }
    for text, answer in typed.items():
        assert answer in words(await asked.note(text, channel=channel))
    assert not asked.slack.messages(channel)


async def test_any_text_gets_an_answer(asked, channel):
    """Control characters, unpaired surrogates, emoji, markup and 8,000 characters cause no error."""
    for text in (
        "\x00\x01\x1b[31m",
        "\ud800",
        "😀 \u202e statsu",
        "<!channel> <@UBEN>",
        "x" * 8000,
        "show " + "`" * 50,
    ):
        answer = await asked.note(text, user="UCLEO", channel=channel)
        assert answer["text"]
        assert "error ID" not in answer["text"]


async def test_thirty_integrations_are_shown_in_pages(asked, channel):
    """Next and Previous turn the pages of one message, and Refresh keeps it one message."""
    panel = await asked.status(channel=channel)
    assert "Page 1 of 4" in words(panel)
    await asked.press(panel, "flokit_next_page", channel=channel)
    await shown(asked, channel, panel, "Page 2 of 4")
    await asked.press(panel, "flokit_previous_page", channel=channel)
    await shown(asked, channel, panel, "Page 1 of 4")
    before = words(asked.slack.message(channel, panel["ts"]))
    await asked.press(panel, "flokit_refresh", channel=channel)
    await asked.slack.wait_for(lambda: words(asked.slack.message(channel, panel["ts"])) != before, 10, "a refresh")
    assert len(asked.slack.messages(channel)) == 1


async def shown(world, channel, panel, part):
    """Wait until a message has this text."""
    await world.slack.wait_for(lambda: part in words(world.slack.message(channel, panel["ts"])), 10, part)


async def test_details_are_posted_in_the_messages_thread(asked, channel):
    """They have every field, and what to check."""
    panel = await asked.status("status adapty", channel=channel)
    await asked.press(panel, "flokit_details", "int_hostile", channel=channel)
    detail = await asked.reply(panel["ts"], "Events, total", channel=channel)
    assert "int_hostile" in words(detail)
    assert "The webhook sends all subscription events" in words(detail)


async def test_an_ambiguous_type_offers_a_button_for_each(asked, channel):
    """A click on one is followed in the thread of that message."""
    choice = await asked.status("sync appsflyer", channel=channel)
    assert [button["action_id"] for button in buttons(choice)] == ["flokit_resync"] * 2
    assert not asked.flokit.posts("int_ios")
    await asked.press(choice, "flokit_resync", "int_android", channel=channel)
    [outcome] = await asked.outcomes(choice["ts"], channel=channel)
    assert (outcome["integration_id"], outcome["outcome"]) == ("int_android", "succeeded")
    assert not asked.flokit.posts("int_ios")


async def test_an_integration_can_be_named_by_type_id_or_end_of_its_id(asked, channel):
    """For show and for sync."""
    for name in ("stripe", "int_01stripe", "1stripe"):
        assert "int_01stripe" in words(await asked.status(f"show {name}", channel=channel))
    other = asked.channel("C0NAMEDBYENDING")
    root = await asked.status("sync 1stripe", channel=other)
    [outcome] = await asked.outcomes(root["ts"], channel=other)
    assert outcome["integration_id"] == "int_01stripe"


async def test_mentions_are_answered_in_their_thread(asked, channel):
    """A mention in a channel starts a thread; one in a thread is answered there, with progress and outcome."""
    asking = await asked.slack.say("UBEN", channel, f"<@{BOT_USER_ID}> status failing")
    await asked.reply(asking, "Adapty", channel=channel)
    root = await asked.slack.say("UBEN", channel, "RevenueCat looks odd")
    await asked.slack.say("UANA", channel, f"<@{BOT_USER_ID}> sync int_w05", thread_ts=root)
    [outcome] = await asked.outcomes(root, channel=channel)
    assert outcome["outcome"] == "succeeded"
    assert len(asked.slack.messages(channel)) == 2


async def test_noise_around_a_command_is_ignored(asked, channel):
    """Bold text, the command typed twice, "please" and invisible characters."""
    for text in ("/flokit *show the stripe*", "show str\u200bipe, please"):
        assert "int_01stripe" in words(await asked.status(text, channel=channel))
    asking = await asked.slack.say("UBEN", channel, f"<@{BOT_USER_ID}> /flokit show `stripe`\nit looks odd, thanks")
    await asked.reply(asking, "int_01stripe", channel=channel)


async def test_a_text_that_is_too_long_does_nothing(asked):
    """A direct message of 40,000 characters that begins with a command gets a one-sentence answer."""
    direct = asked.slack.workspace.open_im("UBEN").id
    await asked.slack.say("UBEN", direct, "sync int_w07 " + "&lt;" * 10_000)
    answer = await asked.slack.wait_for(
        lambda: next((one for one in asked.slack.messages(direct) if one["user"] == BOT_USER_ID), None), 10
    )
    assert "That's too long: I read up to 1,000 characters. Nothing was done." in answer["text"]


async def test_a_direct_message_is_answered_in_place(asked):
    """Commands work there without a mention, and the outcome is in the thread of the message."""
    direct = asked.slack.workspace.open_im("UCLEO").id
    await asked.slack.say("UCLEO", direct, "sync int_w06")
    root = await asked.slack.wait_for(
        lambda: next((one for one in asked.slack.messages(direct) if one["user"] == BOT_USER_ID), None), 10
    )
    [outcome] = await asked.outcomes(root["ts"], channel=direct)
    assert outcome["outcome"] == "succeeded"


async def test_a_broken_button_value_gets_a_sentence(asked, channel):
    """It never starts anything, and each click is acked."""
    panel = await asked.status("status int_w07", channel=channel)
    posts = len([request for request in asked.flokit.requests if request.method == "POST"])
    broken = (
        "", "null", "[" * 900, "x" * 2000, '{"v":99,"i":"int_w07"}', '{"v":1}', '{"v":1,"i":"a/../b ü"}', "\x00",
        "\ud800", '{"v":1,"i":"int_w07","n":-1}',
    )  # fmt: skip
    for value in broken:
        before = len(asked.slack.ephemerals("UBEN"))
        await asked.press(panel, "flokit_resync", user="UBEN", channel=channel, raw_value=value)
        answer = await asked.whisper("UBEN", before)
        assert "different version" in answer["text"], value
    before = len(asked.slack.ephemerals("UBEN"))
    await asked.press(panel, "flokit_refresh", user="UBEN", channel=channel, raw_value='{"v":1,"p":"pnl_gone"}')
    assert "This message has expired" in (await asked.whisper("UBEN", before))["text"]
    await asyncio.gather(*(asked.note("help", channel=channel) for _ in range(2)))
    assert len([request for request in asked.flokit.requests if request.method == "POST"]) == posts
