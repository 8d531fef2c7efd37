"""The listeners: no payload causes an exception, requests are saved before their ack, and refusals are honest."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_bolt.request.async_request import AsyncBoltRequest

from bot import workspace  # noqa: F401 - it imports all features
from bot.core.access import policy_form
from bot.core.commands.presses import Action, Press
from bot.core.errors import StoreInDoubt, StoreUnavailable
from bot.core.forms import naming
from bot.core.forms.form import OpenedFor
from bot.core.requests import Request, RequestKind
from bot.handlers.feature import Feature
from bot.listeners import CHECKED_FORMS, events, interactions, on_other, register
from bot.listeners.observed import ObservedApp
from bot.listeners.payloads import first_action, parse_command_payload, parse_message_event, parse_press_payload
from bot.listeners.reception import IN_DOUBT, NOT_SAVED, Reception
from bot.observability.context import Context, Runtime
from bot.slack.client import SlackClient
from bot.store import codec
from tests.adapters.conftest import START, TEAM, finding

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
    """Records what an ack contained, and what had been saved when it was sent."""

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
    """Return no preview."""


async def no_fault(*_):
    """Accept any form."""
    return {}


@pytest.fixture
def reception(sqlite_store, slack, clock):
    """A reception that saves requests in a store."""
    return Reception(
        lambda request: sqlite_store.inbox.add(request),  # noqa: PLW0108 - a test may replace it
        slack,
        Context(TEAM, "UFLOKIT", clock),
        preview=no_preview,
        save_form=no_fault,
    )


@pytest.fixture
def closed(reception, sqlite_store):
    """A reception whose store is unavailable."""

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
def test_any_payload_is_a_request_or_nothing(body):
    """It can be saved, and is never an exception."""
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
    """Exactly once, and the listener raises nothing."""
    for listener in (interactions.on_command, interactions.on_press, events.on_mention, events.on_message):
        ack = Ack()
        await listener(ack, body, closed)
        assert len(ack.calls) == 1
    for answer in tuple(closed._tasks):
        answer.cancel()


@pytest.mark.parametrize("text", ["a\0b", "a\ud83d", "\udfff", "\0"], ids=["nul", "half", "low", "only"])
async def test_characters_that_no_database_can_store_are_removed(text, store, clock):
    """Control characters and unpaired surrogates, in any field."""
    body = command_body(trigger_id=f"t{text}", user_id=f"U{text}", user_name=text, channel_id=f"C{text}", text=text)
    request = parse_command_payload(body, TEAM, clock.now)
    assert await store.inbox.add(request)
    (claim,) = await store.inbox.claim(clock.now, 5)
    assert claim.request == request


def test_long_text_is_cut_before_it_is_saved(clock):
    """Only enough is kept to see that it's too long."""
    message = {"event_id": "Ev1", "event": {"user": "UANA", "channel": "D1", "text": "x" * 40_000}}
    requests = (
        parse_command_payload(command_body(text="x" * 40_000), TEAM, clock.now),
        parse_message_event(message, TEAM, clock.now),
    )
    assert [len(request.text) for request in requests] == [1001, 1001]


def test_a_click_on_a_reply_has_the_threads_root(clock):
    body = press_body(message={"ts": "1.0", "thread_ts": "0.5"})
    origin = parse_press_payload(body, TEAM, clock.now, PRESS).origin
    assert (origin.thread_ts, origin.message_ts, origin.ephemeral) == ("0.5", "1.0", False)


def test_mention_in_a_channel_is_answered_in_its_thread(clock):
    """A mention starts a thread, or stays in the one that it's in; a direct message needs none."""
    mention = event_body(type="app_mention", channel_type=None, channel="C0DATA")
    assert parse_message_event(mention, TEAM, clock.now).origin.thread_ts == "5.0"
    mention["event"]["thread_ts"] = "2.0"
    assert parse_message_event(mention, TEAM, clock.now).origin.thread_ts == "2.0"
    assert parse_message_event(event_body(), TEAM, clock.now).origin.thread_ts is None


@pytest.mark.parametrize(
    "changes", [{"bot_id": "B1"}, {"subtype": "message_changed"}, {"user": None}, {"user": "USLACKBOT"}]
)
def test_messages_from_bots_and_edits_are_ignored(clock, changes):
    assert parse_message_event(event_body(**changes), TEAM, clock.now) is None


# --- saving before the ack -------------------------------------------------------------------------------------


async def test_command_is_saved_before_its_ack(reception, sqlite_store, clock):
    ack = Ack(sqlite_store)
    await interactions.on_command(ack, command_body(), reception)
    assert ack.calls == [{}]
    assert ack.saved == (clock.now, None)


async def test_press_is_saved_before_its_ack(reception, sqlite_store, clock, make):
    integration_button = next(
        element
        for block in blocks_of(make)
        for element in [block.get("accessory"), *block.get("elements", [])]
        if element and element.get("action_id") == Action.RESYNC
    )
    ack = Ack(sqlite_store)
    await interactions.on_press(ack, press_body(value=integration_button["value"]), reception)
    assert ack.calls == [{}]
    assert ack.saved == (clock.now, None)


def blocks_of(make):
    """Build a status message, for a button as people click it."""
    from bot.core import blocks  # noqa: PLC0415

    return blocks.panel_message(make.panel(), {}, make.clock.now, command="/flokit").blocks


async def test_direct_message_is_saved_before_its_ack(reception, sqlite_store, clock):
    """It's saved once, although Slack may also send it as a mention."""
    ack = Ack(sqlite_store)
    await events.on_mention(Ack(), event_body(type="app_mention"), reception)
    await events.on_message(ack, event_body(), reception)
    await events.on_message(Ack(), event_body(), reception)
    assert ack.saved == (clock.now, None)
    (claim,) = await sqlite_store.inbox.claim(clock.now, 5)
    assert claim.request.kind is RequestKind.MENTION


async def test_direct_message_without_a_channel_type(reception, sqlite_store, clock):
    """If Slack doesn't name the channel's type, its ID does; a mention in it isn't a second request."""
    body = event_body(channel_type=None)
    await events.on_message(Ack(), body, reception)
    mention = {**event_body(type="app_mention", channel_type=None), "event_id": "Ev2"}
    await events.on_mention(Ack(), mention, reception)
    (claim,) = await sqlite_store.inbox.claim(clock.now, 5)
    assert claim.request.origin.channel_id == "D0ANA"


async def test_messages_without_a_mention_are_not_saved(reception, sqlite_store):
    """They're acked."""
    ack = Ack(sqlite_store)
    await events.on_message(ack, event_body(channel_type="channel", channel="C0DATA"), reception)
    assert ack.saved == (None, None)


async def test_elements_of_others_are_acked(reception):
    """Links are an example."""
    ack = Ack()
    await on_other(ack)
    assert ack.calls == [{}]


# --- honest refusals -------------------------------------------------------------------------------------------


async def test_a_command_that_cannot_be_saved_is_answered_in_its_ack(closed):
    """Nothing was started."""
    ack = Ack()
    await interactions.on_command(ack, command_body(), closed)
    assert ack.calls == [{"text": NOT_SAVED, "response_type": "ephemeral"}]


async def test_a_command_in_doubt_is_answered_as_such(reception, sqlite_store):
    """It's unknown whether it was saved."""

    async def in_doubt(*_, **__):
        raise StoreInDoubt("gone")

    sqlite_store.inbox.add = in_doubt
    ack = Ack()
    await interactions.on_command(ack, command_body(), reception)
    assert ack.calls == [{"text": IN_DOUBT, "response_type": "ephemeral"}]


async def test_a_press_that_cannot_be_saved_is_answered_by_response_url(closed, local_slack):
    await local_slack.command("UANA", "C0DATA")
    ack = Ack()
    url = local_slack.envelopes[-1].payload["response_url"]
    await interactions.on_press(ack, press_body(response_url=url, value=press_value()), closed)
    await asyncio.gather(*closed._tasks)
    assert ack.calls == [{}]
    assert [message["text"] for message in local_slack.ephemerals("UANA")] == [NOT_SAVED]


async def test_a_direct_message_that_cannot_be_saved_is_answered_there(closed, local_slack):
    await events.on_message(Ack(), event_body(), closed)
    await asyncio.gather(*closed._tasks)
    assert [message["text"] for message in local_slack.messages("D0ANA")] == [NOT_SAVED]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "app_home_opened", "user": "UANA", "tab": "home"},
        {"type": "channel_left", "channel": "C0DATA"},
        {"type": "channel_id_changed", "old_channel_id": "C0DATA", "new_channel_id": "C1DATA"},
    ],
    ids=lambda event: event["type"],
)
async def test_an_event_that_cannot_be_saved_is_not_acked(closed, event):
    """Slack sends it again. This goes through Bolt, which would ack events automatically."""
    app = ObservedApp(Runtime(lambda: START), finding(closed), process_before_response=True)
    register(app, command="/flokit")
    body = {"type": "event_callback", "team_id": TEAM, **event_body(**event)}
    answer = await app.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
    assert answer.status == 503


async def test_an_unreadable_button_gets_a_sentence(reception, sqlite_store, local_slack):
    """A button from another version is acked, and nothing is saved."""
    await local_slack.command("UANA", "C0DATA")
    ack = Ack(sqlite_store)
    url = local_slack.envelopes[-1].payload["response_url"]
    await interactions.on_press(ack, press_body("flokit_future", "{}", response_url=url), reception)
    await asyncio.gather(*reception._tasks)
    assert ack.saved == (None, None)
    assert len(local_slack.ephemerals("UANA")) == 1


async def test_an_unexpected_error_is_answered_with_an_error_id(reception, sqlite_store):
    """The exception's own text isn't shown."""

    async def broken(_):
        raise ValueError("a secret")

    sqlite_store.inbox.add = broken
    ack = Ack()
    await interactions.on_command(ack, command_body(), reception)
    (body,) = ack.calls
    assert "err_" in body["text"]
    assert "secret" not in body["text"]


def press_value():
    """Return the value of a Resync button."""
    from bot.core.commands.presses import press_value as write  # noqa: PLC0415

    return write(PRESS)


def policy_body(metadata='{"version": 3}', text="rules: []"):
    """Return a submitted policy."""
    values = {"policy_0": {"policy_0": {"type": "plain_text_input", "value": text}}}
    view = {"id": "V1", "private_metadata": metadata, "state": {"values": values}}
    return {"type": "view_submission", "trigger_id": "t3", "user": {"id": "UANA", "username": "ana"}, "view": view}


def submitting(reception, result):
    """Make the reception's policy form raise an exception, or find these problems."""

    async def save(_form, request, draft):
        assert (request.origin.person.id, draft.text, draft.based_on) == ("UANA", "rules: []", 3)
        if isinstance(result, Exception):
            raise result
        return result

    reception._save_form = save
    return reception


async def test_a_saved_policy_closes_all_forms(reception):
    """Also the one below it, if it was an earlier version."""
    ack = Ack()
    await interactions.on_checked(policy_form.FORM)(ack, policy_body(), submitting(reception, {}))
    assert ack.calls == [{"response_action": "clear"}]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"policy_0": "Line 1, column 1: no."}, "Line 1, column 1: no."),
        (StoreUnavailable("away"), NOT_SAVED),
        (StoreInDoubt("maybe"), IN_DOUBT),
    ],
    ids=["a mistake", "no database", "in doubt"],
)
async def test_a_policy_that_is_not_saved_stays_in_its_form(reception, result, said):
    """Nothing that was typed is lost: the form stays open, and shows the reason below its field."""
    ack = Ack()
    await interactions.on_checked(policy_form.FORM)(ack, policy_body(), submitting(reception, result))
    assert ack.calls == [{"response_action": "errors", "errors": {"policy_0": said}}]


async def test_an_unexpected_error_keeps_the_form_with_a_policy_open(reception):
    ack = Ack()
    await interactions.on_checked(policy_form.FORM)(ack, policy_body(), submitting(reception, RuntimeError("boom")))
    [answer] = ack.calls
    assert "error ID err_" in answer["errors"]["policy_0"]


async def test_a_policy_form_of_another_version_saves_nothing(reception):
    ack = Ack()
    await interactions.on_checked(policy_form.FORM)(
        ack, policy_body(metadata=""), submitting(reception, RuntimeError("never asked"))
    )
    assert "different version of the bot" in ack.calls[0]["errors"]["policy_0"]


async def test_a_name_that_is_not_saved_stays_in_its_form(reception):
    """The sentence is below its field; an unexpected error is below the first one."""
    body = {
        "type": "view_submission",
        "user": {"id": "UANA"},
        "team": {"id": "T1"},
        "trigger_id": "t",
        "view": {
            "private_metadata": OpenedFor("int_1", "t0").as_metadata(),
            "state": {"values": {"name": {"name_name": {"value": "Money"}}}},
        },
    }

    async def taken(_form, _request, filled):
        assert filled.edit.name == "Money"
        return {"name": "It's taken."}

    async def broken(_form, _request, _filled):
        raise RuntimeError("boom")

    for save, said in ((taken, "It's taken."), (broken, "error ID err_")):
        reception._save_form = save
        ack = Ack()
        await interactions.on_checked(naming.FORM)(ack, body, reception)
        assert said in ack.calls[0]["errors"]["name"]


def test_each_checked_form_is_saved_by_one_feature():
    """Otherwise, submitting it would fail in production only."""
    saved = [form for feature in Feature.__subclasses__() for form in object.__new__(feature).forms]
    assert sorted(form.name for form in saved) == sorted(form.name for form in CHECKED_FORMS)
    assert set(saved) == set(CHECKED_FORMS)
    assert len({form.callback_id for form in CHECKED_FORMS}) == len(CHECKED_FORMS)
