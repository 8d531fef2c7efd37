"""The listeners: any payload is taken without an exception, saved before its ack, and refused honestly."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.commands.presses import Action, Press
from bot.core.errors import StoreInDoubt, StoreUnavailable
from bot.core.requests import Request, RequestKind
from bot.listeners import buttons, commands, events, home
from bot.listeners.payloads import first_action, parse_command_payload, parse_message_event, parse_press_payload
from bot.listeners.reception import IN_DOUBT, NOT_SAVED, Reception
from bot.slack.client import SlackClient
from bot.store import codec
from tests.adapters.conftest import START, TEAM

PRESS = Press(Action.RESYNC, integration_id="int_1")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "trigger_id",
        "user_id",
        "channel_id",
        "user_name",
        "text",
        "response_url",
        "user",
        "channel",
        "container",
        "message",
        "actions",
        "event",
        "event_id",
    ]
)
INNER = st.dictionaries(
    st.sampled_from(
        [
            "id",
            "username",
            "name",
            "ts",
            "thread_ts",
            "message_ts",
            "channel_id",
            "is_ephemeral",
            "user",
            "channel",
            "channel_type",
            "type",
            "text",
            "subtype",
            "bot_id",
            "action_id",
            "value",
        ]
    ),
    st.text(alphabet=st.characters()) | JSON,
)
BODIES = st.dictionaries(KEYS, st.text(alphabet=st.characters()) | INNER | st.lists(INNER, max_size=2) | JSON)


class Ack:
    """Notes what an ack carried, and what was saved when it came."""

    def __init__(self, store=None):
        self.calls, self.saved, self._store = [], None, store

    async def __call__(self, **body):
        """Ack."""
        self.calls.append(body)
        if self._store:
            self.saved = (await self._store.inbox.next_at(), await self._store.runs.next_at())


@pytest_asyncio.fixture
async def slack(local_slack):
    """Connect a client."""
    client = SlackClient("xoxb-sandbox", api_url=local_slack.api_url, timeout_s=1.0)
    yield client
    await client.aclose()


async def no_preview(*_):
    """Show nothing."""


@pytest.fixture
def reception(sqlite_store, slack, clock):
    """Take requests into a store."""
    return Reception(
        lambda request: sqlite_store.inbox.add(request),  # noqa: PLW0108 - a test may replace it
        slack,
        preview=no_preview,
        team_id=TEAM,
        bot_user_id="UFLOKIT",
        clock=clock,
    )


@pytest.fixture
def closed(reception, sqlite_store):
    """Take requests while the store is away."""

    async def away(*_, **__):
        raise StoreUnavailable("away")

    sqlite_store.inbox.add = sqlite_store.panels.load = away
    sqlite_store.runs.start_sync = sqlite_store.runs.keep_watching = away
    return reception


def command_body(**changes):
    """Return the form of a slash command."""
    body = {"trigger_id": "t1", "user_id": "UANA", "user_name": "ana", "channel_id": "C0DATA", "text": "status"}
    return {**body, **changes}


def press_body(action_id="flokit_resync", value='{"v":1,"i":"int_1"}', **changes):
    """Return a click."""
    body = {
        "trigger_id": "t2",
        "user": {"id": "UANA", "username": "ana"},
        "channel": {"id": "C0DATA"},
        "container": {"message_ts": "1.0", "channel_id": "C0DATA", "is_ephemeral": False},
        "message": {"ts": "1.0"},
        "actions": [{"action_id": action_id, "value": value}],
    }
    return {**body, **changes}


def event_body(**changes):
    """Return an event around a message."""
    event = {"type": "message", "channel_type": "im", "user": "UANA", "channel": "D0ANA", "text": "help", "ts": "5.0"}
    return {"event_id": "Ev1", "event": {**event, **changes}}


# --- parsing ---------------------------------------------------------------------------------------------------


@given(BODIES)
def test_any_payload_is_read(body):
    """Whatever a payload holds, it becomes a request that can be saved, or nothing; never an exception."""
    for request in (
        parse_command_payload(body, TEAM, START),
        parse_press_payload(body, TEAM, START, PRESS),
        parse_message_event(body, TEAM, START),
    ):
        if request is not None:
            assert codec.load(Request, codec.dump(request)) == request
            assert "\0" not in request.id + request.origin.person.id + request.origin.person.name
    assert hasattr(first_action(body), "get")


@given(BODIES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_any_payload_is_acked(closed, body):
    """Whatever a payload holds, the listener acks it exactly once and raises nothing."""
    for listener in (commands.on_command, buttons.on_press, events.on_mention, events.on_message):
        ack = Ack()
        await listener(ack, body, closed)
        assert len(ack.calls) == 1
    for answer in tuple(closed._tasks):
        answer.cancel()


@pytest.mark.parametrize("text", ["a\0b", "a\ud83d", "\udfff", "\0"], ids=["nul", "half", "low", "only"])
async def test_text_that_no_database_holds_is_cleaned(text, store, clock):
    """Control characters and halves of emoji, wherever they stand, do not keep a request from being saved."""
    body = command_body(trigger_id=f"t{text}", user_id=f"U{text}", user_name=text, channel_id=f"C{text}", text=text)
    request = parse_command_payload(body, TEAM, clock.now)
    assert await store.inbox.add(request)
    (claim,) = await store.inbox.claim(clock.now, 5)
    assert claim.request == request


def test_long_text_is_cut_before_it_is_kept(clock):
    """Of what is typed, no more than is needed to see that it is too long is read or stored."""
    message = {"event_id": "Ev1", "event": {"user": "UANA", "channel": "D1", "text": "x" * 40_000}}
    requests = (
        parse_command_payload(command_body(text="x" * 40_000), TEAM, clock.now),
        parse_message_event(message, TEAM, clock.now),
    )
    assert [len(request.text) for request in requests] == [1001, 1001]


def test_click_in_a_thread(clock):
    """A click on a reply knows the root of its thread."""
    body = press_body(message={"ts": "1.0", "thread_ts": "0.5"})
    origin = parse_press_payload(body, TEAM, clock.now, PRESS).origin
    assert (origin.thread_ts, origin.message_ts, origin.ephemeral) == ("0.5", "1.0", False)


def test_mention_in_a_channel_is_answered_in_its_thread(clock):
    """A mention opens a thread below itself; in a thread it stays there; a direct message needs none."""
    mention = event_body(type="app_mention", channel_type=None, channel="C0DATA")
    assert parse_message_event(mention, TEAM, clock.now).origin.thread_ts == "5.0"
    mention["event"]["thread_ts"] = "2.0"
    assert parse_message_event(mention, TEAM, clock.now).origin.thread_ts == "2.0"
    assert parse_message_event(event_body(), TEAM, clock.now).origin.thread_ts is None


@pytest.mark.parametrize(
    "changes", [{"bot_id": "B1"}, {"subtype": "message_changed"}, {"user": None}, {"user": "USLACKBOT"}]
)
def test_messages_that_are_not_for_us(clock, changes):
    """What bots say, and what only reports a change, is no request."""
    assert parse_message_event(event_body(**changes), TEAM, clock.now) is None


# --- saving before the ack -------------------------------------------------------------------------------------


async def test_command_is_saved_before_its_ack(reception, sqlite_store, clock):
    """When a command is acked it is in the database already."""
    ack = Ack(sqlite_store)
    await commands.on_command(ack, command_body(), reception)
    assert ack.calls == [{}]
    assert ack.saved == (clock.now, None)


async def test_press_is_saved_before_its_ack(reception, sqlite_store, clock, make):
    """When a Resync is acked it is in the database already, to be started."""
    integration_button = next(
        element
        for block in blocks_of(make)
        for element in [block.get("accessory"), *block.get("elements", [])]
        if element and element.get("action_id") == Action.RESYNC
    )
    ack = Ack(sqlite_store)
    await buttons.on_press(ack, press_body(value=integration_button["value"]), reception)
    assert ack.calls == [{}]
    assert ack.saved == (clock.now, None)


def blocks_of(make):
    """Draw a status message, for a button as people click it."""
    from bot.core import blocks  # noqa: PLC0415

    return blocks.panel_message(make.panel(), {}, make.clock.now, command="/flokit").blocks


async def test_direct_message_is_saved_before_its_ack(reception, sqlite_store, clock):
    """When a direct message is acked it is in the database already, once, although Slack may send it as a mention."""
    ack = Ack(sqlite_store)
    await events.on_mention(Ack(), event_body(type="app_mention"), reception)
    await events.on_message(ack, event_body(), reception)
    await events.on_message(Ack(), event_body(), reception)
    assert ack.saved == (clock.now, None)
    (claim,) = await sqlite_store.inbox.claim(clock.now, 5)
    assert claim.request.kind is RequestKind.MENTION


async def test_direct_message_without_a_channel_type(reception, sqlite_store, clock):
    """Where Slack does not name the channel's type its id does; the mention in it is not a second request."""
    body = event_body(channel_type=None)
    await events.on_message(Ack(), body, reception)
    mention = {**event_body(type="app_mention", channel_type=None), "event_id": "Ev2"}
    await events.on_mention(Ack(), mention, reception)
    (claim,) = await sqlite_store.inbox.claim(clock.now, 5)
    assert claim.request.origin.channel_id == "D0ANA"


async def test_channel_talk_is_left_alone(reception, sqlite_store):
    """A message in a channel that does not mention the bot is acked and not saved."""
    ack = Ack(sqlite_store)
    await events.on_message(ack, event_body(channel_type="channel", channel="C0DATA"), reception)
    assert ack.saved == (None, None)


async def test_foreign_element_is_acked(reception):
    """Elements of others, such as links, are acked."""
    ack = Ack()
    await buttons.on_unknown(ack)
    assert ack.calls == [{}]


# --- honest refusals -------------------------------------------------------------------------------------------


async def test_command_while_the_store_is_away(closed):
    """A command that cannot be saved is answered in its ack: nothing was started."""
    ack = Ack()
    await commands.on_command(ack, command_body(), closed)
    assert ack.calls == [{"text": NOT_SAVED, "response_type": "ephemeral"}]


async def test_command_while_the_store_goes_away(reception, sqlite_store):
    """When nobody knows whether a command was saved, its person is told just that."""

    async def in_doubt(*_, **__):
        raise StoreInDoubt("gone")

    sqlite_store.inbox.add = in_doubt
    ack = Ack()
    await commands.on_command(ack, command_body(), reception)
    assert ack.calls == [{"text": IN_DOUBT, "response_type": "ephemeral"}]


async def test_press_while_the_store_is_away(closed, local_slack):
    """A click that cannot be saved is answered through its response_url."""
    await local_slack.command("UANA", "C0DATA")
    ack = Ack()
    url = local_slack.envelopes[-1].payload["response_url"]
    await buttons.on_press(ack, press_body(response_url=url, value=press_value()), closed)
    await asyncio.gather(*closed._tasks)
    assert ack.calls == [{}]
    assert [message["text"] for message in local_slack.ephemerals("UANA")] == [NOT_SAVED]


async def test_direct_message_while_the_store_is_away(closed, local_slack):
    """A direct message that cannot be saved is answered where it was sent."""
    await events.on_message(Ack(), event_body(), closed)
    await asyncio.gather(*closed._tasks)
    assert [message["text"] for message in local_slack.messages("D0ANA")] == [NOT_SAVED]


async def test_a_home_that_cannot_be_saved_is_opened_again(closed, local_slack):
    """While nothing can be saved, an opened App Home isn't acked, so that Slack sends the event again."""
    ack = Ack()
    await home.on_opened(ack, event_body(type="app_home_opened", user="UANA", tab="home"), closed)
    assert ack.calls == []


async def test_unreadable_button(reception, sqlite_store, local_slack):
    """A button of another version is acked and answered with a sentence; nothing is saved."""
    await local_slack.command("UANA", "C0DATA")
    ack = Ack(sqlite_store)
    url = local_slack.envelopes[-1].payload["response_url"]
    await buttons.on_press(ack, press_body("flokit_future", "{}", response_url=url), reception)
    await asyncio.gather(*reception._tasks)
    assert ack.saved == (None, None)
    assert len(local_slack.ephemerals("UANA")) == 1


async def test_unexpected_error_is_told_under_an_id(reception, sqlite_store):
    """An error that nobody foresaw is told with an id, not with its words."""

    async def broken(_):
        raise ValueError("a secret")

    sqlite_store.inbox.add = broken
    ack = Ack()
    await commands.on_command(ack, command_body(), reception)
    (body,) = ack.calls
    assert "err_" in body["text"]
    assert "secret" not in body["text"]


def press_value():
    """Return a Resync's value as the bot writes it."""
    from bot.core.commands.presses import press_value as write  # noqa: PLC0415

    return write(PRESS)
