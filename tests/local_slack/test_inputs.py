"""Choices and inputs in messages, and what an app gets of them: the local Slack, used by its people."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import flokit_slack


def plain(text):
    """Return a plain_text object."""
    return {"type": "plain_text", "text": text}


def option(name):
    """Return an option whose value is its name."""
    return {"text": plain(name), "value": name}


STRIPE, AMPLITUDE = option("stripe"), option("amplitude")
OPTIONS = {"options": [STRIPE, AMPLITUDE]}
BUTTON = {"type": "button", "action_id": "go", "text": plain("Go"), "value": "run-7"}


def beside(element, block_id="block"):
    """Return a section with an element."""
    return {"type": "section", "block_id": block_id, "text": plain("x"), "accessory": {"action_id": "in", **element}}


def asks(element, block_id="block", **members):
    """Return an input block."""
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain("Label"),
        "element": {"action_id": "in", **element},
        **members,
    }


def row(*elements, block_id="row"):
    """Return an actions block."""
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}


@pytest_asyncio.fixture
async def slack():
    """Run a local Slack with a bot that acks every press."""
    slack = flokit_slack()
    await slack.start()
    client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
    app = AsyncApp(client=client, signing_secret="sandbox-signing-secret")

    @app.action(re.compile("in|go"))
    async def _pressed(ack):
        await ack()

    handler = AsyncSocketModeHandler(app, "xapp-sandbox")
    await handler.connect_async()
    await slack.wait_connected()
    yield slack
    await handler.close_async()
    await slack.stop()


@pytest.fixture
def client(slack):
    """Return Slack's own client."""
    return AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)


async def posted(client, *blocks):
    """Post a message with these blocks, and return its ts."""
    return (await client.chat_postMessage(channel="C0DATA", text="x", blocks=list(blocks)))["ts"]


async def used(slack, ts, action_id="in", user="UANA", **how):
    """Use an element of a message, and return the payload that the bot acked."""
    assert (await slack.click(user, "C0DATA", ts, action_id, **how)).ok
    return slack.envelopes[-1].payload


CHOSEN = {
    "checkboxes": ({"type": "checkboxes", **OPTIONS}, ["stripe"], {"selected_options": [STRIPE]}),
    "no checkbox": ({"type": "checkboxes", **OPTIONS, "initial_options": [STRIPE]}, [], {"selected_options": []}),
    "radio buttons": ({"type": "radio_buttons", **OPTIONS}, "amplitude", {"selected_option": AMPLITUDE}),
    "static select": ({"type": "static_select", **OPTIONS}, "stripe", {"selected_option": STRIPE}),
    "users select": ({"type": "users_select"}, "UBEN", {"selected_user": "UBEN"}),
    "conversations select": (
        {"type": "conversations_select"},
        "C0DATA",
        {"selected_conversation": "C0DATA"},
    ),
    "channels select": ({"type": "channels_select"}, "C0DATA", {"selected_channel": "C0DATA"}),
    "multi static select": (
        {"type": "multi_static_select", **OPTIONS},
        ["stripe", "amplitude"],
        {"selected_options": [STRIPE, AMPLITUDE]},
    ),
    "multi option groups": (
        {"type": "multi_static_select", "option_groups": [{"label": plain("x"), **OPTIONS}]},
        ["amplitude"],
        {"selected_options": [AMPLITUDE]},
    ),
    "multi users select": ({"type": "multi_users_select"}, ["UANA", "UBEN"], {"selected_users": ["UANA", "UBEN"]}),
    "multi conversations select": (
        {"type": "multi_conversations_select"},
        ["C0DATA"],
        {"selected_conversations": ["C0DATA"]},
    ),
    "multi channels select": ({"type": "multi_channels_select"}, ["C0DATA"], {"selected_channels": ["C0DATA"]}),
    "datepicker": ({"type": "datepicker"}, "2026-02-28", {"selected_date": "2026-02-28"}),
    "timepicker": ({"type": "timepicker"}, "23:59", {"selected_time": "23:59"}),
}


@pytest.mark.parametrize(("element", "value", "sent"), CHOSEN.values(), ids=CHOSEN)
async def test_a_choice_beside_a_section_is_sent(slack, client, element, value, sent):
    """The action has the choice under its element's name, and so does the state of the message."""
    payload = await used(slack, await posted(client, beside(element)), value=value)
    [action] = payload["actions"]
    assert action == {
        "type": element["type"],
        "block_id": "block",
        "action_id": "in",
        "action_ts": action["action_ts"],
        **sent,
    }
    assert payload["state"]["values"] == {"block": {"in": {"type": element["type"], **sent}}}


@pytest.mark.parametrize(("element", "value", "sent"), CHOSEN.values(), ids=CHOSEN)
async def test_a_choice_in_an_input_block_is_sent(slack, client, element, value, sent):
    """An input block with ``dispatch_action`` sends its element's actions, like a section."""
    payload = await used(slack, await posted(client, asks(element, dispatch_action=True)), value=value)
    assert payload["actions"][0].items() >= sent.items()


async def test_date_and_time_in_a_row_are_sent(slack, client):
    """A date and time is sent in seconds."""
    payload = await used(slack, await posted(client, row({"type": "datetimepicker", "action_id": "in"})), value="7")
    assert payload["actions"][0]["selected_date_time"] == 7


async def test_text_is_sent_if_its_block_dispatches(slack, client):
    """With ``dispatch_action``, a line of text in a message is its own action."""
    ts = await posted(client, asks({"type": "plain_text_input"}, dispatch_action=True))
    payload = await used(slack, ts, value="because")
    assert payload["actions"][0]["value"] == "because"
    assert payload["state"]["values"] == {"block": {"in": {"type": "plain_text_input", "value": "because"}}}


async def test_an_input_that_does_not_dispatch_sends_no_action(slack, client):
    """Without ``dispatch_action``, nothing is sent for an input itself."""
    ts = await posted(client, asks({"type": "plain_text_input"}))
    with pytest.raises(LookupError):
        await slack.click("UANA", "C0DATA", ts, "in", value="because")
    assert slack.envelopes == []


async def test_a_press_sends_the_other_inputs_of_the_message(slack, client):
    """The state has each element that keeps a value, with its initial value if no one changed it."""
    ts = await posted(
        client,
        asks({"type": "plain_text_input"}, "why"),
        asks({"type": "radio_buttons", **OPTIONS, "initial_option": STRIPE}, "which"),
        asks({"type": "multi_users_select"}, "who"),
        row(BUTTON),
    )
    filled_in = {"why": {"in": {"type": "plain_text_input", "value": "because"}}}
    payload = await used(slack, ts, "go", values=filled_in)
    assert payload["actions"][0]["value"] == "run-7"
    assert payload["state"]["values"] == {
        **filled_in,
        "which": {"in": {"type": "radio_buttons", "selected_option": STRIPE}},
        "who": {"in": {"type": "multi_users_select", "selected_users": []}},
    }


async def test_inputs_are_kept_for_the_next_press(slack, client):
    """The message keeps a person's choices until it shows other elements."""
    ts = await posted(client, beside({"type": "checkboxes", **OPTIONS}), row(BUTTON))
    await used(slack, ts, value=["amplitude"])
    kept = (await used(slack, ts, "go"))["state"]["values"]
    assert kept["block"]["in"]["selected_options"] == [AMPLITUDE]


async def test_inputs_are_lost_with_their_block(slack, client):
    """If an edit gives the block a new ID, its inputs are empty again."""
    ts = await posted(client, beside({"type": "checkboxes", **OPTIONS}), row(BUTTON))
    await used(slack, ts, value=["amplitude"])
    blocks = [beside({"type": "checkboxes", **OPTIONS}, "new"), row(BUTTON)]
    await client.chat_update(channel="C0DATA", ts=ts, text="x", blocks=blocks)
    kept = (await used(slack, ts, "go"))["state"]["values"]
    assert kept == {"new": {"in": {"type": "checkboxes", "selected_options": []}}}


async def test_each_person_fills_in_a_message_for_themselves(slack, client):
    """Ana's choices aren't sent with Ben's click."""
    ts = await posted(client, beside({"type": "radio_buttons", **OPTIONS}), row(BUTTON))
    await used(slack, ts, value="stripe")
    bens = (await used(slack, ts, "go", user="UBEN"))["state"]["values"]
    assert bens["block"]["in"]["selected_option"] is None


async def test_an_ephemeral_message_has_a_state(slack, client):
    """The only person who sees it can fill it in."""
    blocks = [asks({"type": "plain_text_input"}, dispatch_action=True)]
    shown = await client.chat_postEphemeral(channel="C0DATA", user="UANA", text="x", blocks=blocks)
    payload = await used(slack, shown["message_ts"], value="because", ephemeral=True)
    assert payload["state"]["values"]["block"]["in"]["value"] == "because"
    assert "message" not in payload


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ({"type": "checkboxes", **OPTIONS}, ["segment"]),
        ({"type": "checkboxes", **OPTIONS}, "stripe"),
        ({"type": "radio_buttons", **OPTIONS}, "segment"),
        ({"type": "radio_buttons", **OPTIONS}, ["stripe"]),
        ({"type": "multi_static_select", **OPTIONS, "max_selected_items": 1}, ["stripe", "amplitude"]),
        ({"type": "multi_users_select", "max_selected_items": 1}, ["UANA", "UBEN"]),
        ({"type": "multi_users_select"}, "UANA"),
        ({"type": "users_select"}, None),
    ],
)
async def test_impossible_choices_are_not_sent(slack, client, element, value):
    """An option that isn't offered, several instead of one, more than allowed: nothing is sent."""
    ts = await posted(client, beside(element))
    with pytest.raises(LookupError):
        await slack.click("UANA", "C0DATA", ts, "in", value=value)
    assert slack.envelopes == []


async def test_an_external_menu_keeps_its_initial_option(slack, client):
    """An external select's options come from the app, so its initial option is sent unchanged."""
    menu = {"type": "external_select", "initial_option": STRIPE}
    payload = await used(slack, await posted(client, beside(menu), row(BUTTON)), "go")
    assert payload["state"]["values"]["block"]["in"]["selected_option"] == STRIPE


async def test_a_choice_in_a_view_is_in_the_views_state(slack, client):
    """A choice in a Home tab is in the view's state at once, and is kept there."""
    view = {"type": "home", "blocks": [beside({"type": "checkboxes", **OPTIONS}), row(BUTTON)]}
    home = (await client.views_publish(user_id="UANA", view=view))["view"]
    for use in ({"action_id": "in", "value": ["stripe"]}, {"action_id": "go"}):
        assert (await slack.views.click("UANA", home["id"], **use)).ok
        values = slack.envelopes[-1].payload["view"]["state"]["values"]
        assert values["block"]["in"]["selected_options"] == [STRIPE]
