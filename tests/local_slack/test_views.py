"""Modals and App Home in the local Slack, used through Slack's own SDK and the page's routes."""

from __future__ import annotations

from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.page import add_page
from sandbox.slack import flokit_slack


def plain(text="x"):
    """Return a plain_text object."""
    return {"type": "plain_text", "text": text}


def modal(*blocks, **members):
    """Return a modal that can be submitted."""
    return {
        "type": "modal",
        "callback_id": "form",
        "title": plain("Title"),
        "submit": plain("Save"),
        "blocks": list(blocks),
        **members,
    }


def text_input(block_id="why", **members):
    """Return an input block of one line."""
    element = {"type": "plain_text_input", "action_id": "text", **members.pop("element", {})}
    return {"type": "input", "block_id": block_id, "label": plain("Why"), "element": element, **members}


def typed(value, block_id="why", kind="plain_text_input"):
    """Return what the page sends for a filled-in input."""
    return {block_id: {"text": {"type": kind, "value": value}}}


HOME = {
    "type": "home",
    "blocks": [
        {"type": "actions", "block_id": "row", "elements": [{"type": "button", "action_id": "go", "text": plain()}]}
    ],
}


class Answers:
    """The bot's answers to submissions, and the payloads that it got."""

    def __init__(self):
        self.submission = {}
        self.seen = []


def new_app(slack, answers):
    """Return a small bot that acks everything, and answers submissions as the test wants."""
    client = AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)
    app = AsyncApp(client=client, signing_secret="sandbox-signing-secret")

    @app.command("/flokit")
    async def _command(ack):
        await ack()

    @app.view("form")
    async def _submitted(ack):
        await ack(**answers.submission)

    @app.view_closed("form")
    async def _closed(ack, body):
        await ack()
        answers.seen.append(body)
        slack.note_change()

    @app.action("go")
    async def _clicked(ack):
        await ack()

    @app.event("app_home_opened")
    async def _opened(event):
        answers.seen.append(event)
        slack.note_change()

    return app


@pytest.fixture
def answers():
    """The bot's answers."""
    return Answers()


@pytest_asyncio.fixture
async def slack(answers, tmp_path):
    """Run a local Slack with its page, and a bot on a socket."""
    slack = flokit_slack()
    add_page(slack.server, slack, tmp_path)
    await slack.start()
    handler = AsyncSocketModeHandler(new_app(slack, answers), "xapp-sandbox")
    await handler.connect_async()
    await slack.wait_connected()
    yield slack
    await handler.close_async()
    await slack.stop()


@pytest.fixture
def client(slack):
    """Return Slack's own client."""
    return AsyncWebClient("xoxb-sandbox", base_url=slack.api_url)


async def refusal(call):
    """Return the error code of a refused call."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return refused.value.response["error"]


async def trigger(slack, user="UANA"):
    """Type a command, and return its trigger_id."""
    await slack.command(user, "C0DATA")
    return slack.envelopes[-1].payload["trigger_id"]


async def opened(slack, client, view=None, user="UANA"):
    """Open a modal for a person, and return it."""
    return (await client.views_open(trigger_id=await trigger(slack, user), view=view or modal(text_input())))["view"]


async def pushed(slack, client, user="UANA", **members):
    """Submit the modal in front, push another one from it, and return that."""
    front = slack.views.modal(user)
    await slack.views.click(user, front["id"], "go")
    view = modal(*GO, **members)
    return (await client.views_push(trigger_id=slack.envelopes[-1].payload["trigger_id"], view=view))["view"]


GO = HOME["blocks"]


@asynccontextmanager
async def feed(slack):
    """Open the page's live feed; yields a function that returns the next message of one kind."""
    async with aiohttp.ClientSession(slack.url) as session, session.ws_connect("/page/live") as socket:

        async def next_of(kind):
            while (message := await socket.receive_json(timeout=5))["type"] != kind:
                pass
            return message

        yield next_of


# --- opening, pushing, updating ---------------------------------------------------------------------------------


async def test_an_opened_modal_has_what_slack_adds(slack, client):
    """The stored view has its IDs, a hash, a root and empty defaults, and is shown in front."""
    view = await opened(slack, client)
    assert view["root_view_id"] == view["id"]
    assert view["hash"]
    assert (view["private_metadata"], view["previous_view_id"], view["close"]) == ("", None, None)
    assert slack.views.modal("UANA") == view
    assert slack.views.modal("UBEN") is None


async def test_an_opened_modal_replaces_open_ones(slack, client):
    """Each person has one stack; the one before is gone."""
    first = await opened(slack, client)
    second = await opened(slack, client)
    assert slack.views.modal("UANA")["id"] == second["id"]
    assert await refusal(client.views_update(view_id=first["id"], view=modal())) == "not_found"


async def test_three_modals_can_be_stacked(slack, client):
    """A fourth is ``push_limit_reached``; each pushed one knows its root and the previous one."""
    root = await opened(slack, client, modal(*GO))
    second = await pushed(slack, client)
    third = await pushed(slack, client)
    assert (third["root_view_id"], third["previous_view_id"]) == (root["id"], second["id"])
    with pytest.raises(SlackApiError, match="push_limit_reached"):
        await pushed(slack, client)
    slack.views.close("UANA", third["id"])
    assert slack.views.modal("UANA")["id"] == second["id"]


async def test_pushing_needs_an_open_modal(slack, client):
    """A trigger from outside, or from a modal that was closed, can't push."""
    assert await refusal(client.views_push(trigger_id=await trigger(slack), view=modal())) == "not_found"
    view = await opened(slack, client, modal(*GO))
    await slack.views.click("UANA", view["id"], "go")
    slack.views.close("UANA", view["id"])
    late = client.views_push(trigger_id=slack.envelopes[-1].payload["trigger_id"], view=modal())
    assert await refusal(late) == "not_found"


async def test_an_update_keeps_inputs(slack, client):
    """A view is updated under its ID, with a new hash; a stale hash is a conflict."""
    view = await opened(slack, client, modal(text_input(), *GO))
    await slack.views.click("UANA", view["id"], "go", values=typed("because"))
    changed = modal(text_input(), title=plain("New"))
    updated = (await client.views_update(view_id=view["id"], view=changed, hash=view["hash"]))["view"]
    assert (updated["id"], updated["title"]["text"]) == (view["id"], "New")
    assert updated["state"]["values"] == typed("because")
    stale = client.views_update(view_id=view["id"], view=changed, hash=view["hash"])
    assert await refusal(stale) == "hash_conflict"


async def test_an_external_id_names_one_view(slack, client):
    """A view can be updated by its external ID; a second view with the same one is refused."""
    view = await opened(slack, client, modal(external_id="mine"))
    updated = await client.views_update(external_id="mine", view=modal(external_id="mine", title=plain("New")))
    assert updated["view"]["id"] == view["id"]
    again = client.views_open(trigger_id=await trigger(slack, "UBEN"), view=modal(external_id="mine"))
    assert await refusal(again) == "duplicate_external_id"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"view": modal()}, "invalid_arguments"),
        ({"view_id": "V0", "view": modal()}, "not_found"),
        ({"external_id": "other", "view": modal()}, "not_found"),
        ({"view_id": "V0", "view": {"type": "window"}}, "invalid_arguments"),
    ],
)
async def test_wrong_updates_are_refused(client, arguments, code):
    """An update needs a known ID and a valid view."""
    assert await refusal(client.api_call("views.update", json=arguments)) == code


async def test_kinds_of_views_are_not_mixed(slack, client):
    """A Home tab can't be opened, a modal can't be published, and an update can't turn one into the other."""
    view = await opened(slack, client)
    assert await refusal(client.views_open(trigger_id=await trigger(slack), view=HOME)) == "invalid_arguments"
    assert await refusal(client.views_publish(user_id="UANA", view=modal())) == "invalid_arguments"
    assert await refusal(client.views_update(view_id=view["id"], view=HOME)) == "invalid_arguments"


@pytest.mark.parametrize("user", ["UNOBODY", "UFLOKIT"])
async def test_a_home_tab_belongs_to_a_person(client, user):
    """Nothing can be published for an unknown person or for the bot."""
    assert await refusal(client.views_publish(user_id=user, view=HOME)) == "invalid_arguments"


# --- submitting -------------------------------------------------------------------------------------------------


async def test_a_submission_has_all_inputs(slack, client):
    """The payload has every input's state, filled in or not; an empty ack closes the modal."""
    initial = text_input("more", element={"initial_value": "so far"}, optional=True)
    view = await opened(slack, client, modal(text_input(), initial, private_metadata="run-7"))
    submitted = await slack.views.submit("UANA", view["id"], typed("because"))
    payload = slack.envelopes[-1].payload
    assert submitted.ok
    assert (payload["type"], payload["user"]["id"]) == ("view_submission", "UANA")
    assert payload["view"]["private_metadata"] == "run-7"
    assert payload["view"]["state"]["values"] == {**typed("because"), **typed("so far", "more")}
    assert slack.views.modal("UANA") is None


async def test_required_inputs_are_checked_before_submission(slack, client):
    """What Slack's client refuses isn't sent; an optional input may stay empty."""
    view = await opened(slack, client, modal(text_input(), text_input("more", optional=True)))
    sent = len(slack.envelopes)
    submitted = await slack.views.submit("UANA", view["id"])
    assert submitted.errors == {"why": "Please complete this required field."}
    assert len(slack.envelopes) == sent


@pytest.mark.parametrize(
    ("element", "value", "complaint"),
    [
        ({"type": "plain_text_input", "min_length": 3}, "ab", "Must be at least 3 characters."),
        ({"type": "plain_text_input", "max_length": 3}, "abcd", "Must be at most 3 characters."),
        ({"type": "number_input", "is_decimal_allowed": False}, "1.5", "Enter a whole number."),
        ({"type": "number_input", "is_decimal_allowed": True}, "much", "Enter a number."),
        ({"type": "number_input", "is_decimal_allowed": True}, "nan", "Enter a number."),
        ({"type": "number_input", "is_decimal_allowed": True, "min_value": "2"}, "1", "Must be at least 2."),
        ({"type": "number_input", "is_decimal_allowed": True, "max_value": "2"}, "3", "Must be at most 2."),
        ({"type": "email_text_input"}, "ana", "Enter a valid email address."),
        ({"type": "url_text_input"}, "flokit", "Enter a valid URL."),
    ],
)
async def test_inputs_are_checked_as_slacks_client_does(slack, client, element, value, complaint):
    """An invalid value is reported by its block."""
    view = await opened(slack, client, modal(text_input(element=element)))
    given = typed(value, kind=element["type"])
    assert (await slack.views.submit("UANA", view["id"], given)).errors == {"why": complaint}


@pytest.mark.parametrize("element", [{"type": "number_input", "is_decimal_allowed": False}, {"type": "url_text_input"}])
async def test_valid_inputs_are_accepted(slack, client, element):
    """A value that its element allows is submitted."""
    view = await opened(slack, client, modal(text_input(element=element)))
    value = "7" if element["type"] == "number_input" else "https://flokit.ai"
    assert (await slack.views.submit("UANA", view["id"], typed(value, kind=element["type"]))).ok


async def test_the_bots_errors_are_shown_below_their_inputs(slack, client, answers):
    """``errors`` leaves the modal open."""
    answers.submission = {"response_action": "errors", "errors": {"why": "Not that."}}
    view = await opened(slack, client)
    submitted = await slack.views.submit("UANA", view["id"], typed("x"))
    assert (submitted.ok, submitted.errors) == (False, {"why": "Not that."})
    assert slack.views.modal("UANA")["id"] == view["id"]


async def test_an_answer_may_update_push_or_clear(slack, client, answers):
    """The ack of a submission changes the stack."""
    view = await opened(slack, client)
    answers.submission = {"response_action": "update", "view": modal(text_input(), title=plain("Two"))}
    await slack.views.submit("UANA", view["id"], typed("x"))
    assert (slack.views.modal("UANA")["id"], slack.views.modal("UANA")["title"]["text"]) == (view["id"], "Two")
    answers.submission = {"response_action": "push", "view": modal(text_input())}
    await slack.views.submit("UANA", view["id"], typed("x"))
    assert slack.views.modal("UANA")["previous_view_id"] == view["id"]
    answers.submission = {"response_action": "clear"}
    await slack.views.submit("UANA", slack.views.modal("UANA")["id"], typed("x"))
    assert slack.views.modal("UANA") is None


@pytest.mark.parametrize(
    "answer",
    [
        {"response_action": "errors", "errors": {"nowhere": "x"}},
        {"response_action": "errors", "errors": {"why": ""}},
        {"response_action": "update", "view": {**modal(), "title": plain("x" * 25)}},
        {"response_action": "push", "view": HOME},
        {"response_action": "explode"},
    ],
)
async def test_answers_that_slack_refuses_are_errors(slack, client, answers, answer):
    """An invalid response leaves the modal open, shows an error, and is kept as a warning."""
    answers.submission = answer
    view = await opened(slack, client)
    submitted = await slack.views.submit("UANA", view["id"], typed("x"))
    assert submitted.error == "invalid_command_response"
    assert slack.views.modal("UANA")["id"] == view["id"]
    assert "the ack of a submission was refused" in slack.warnings[-1]


async def test_what_does_not_exist_cannot_be_used(slack, client):
    """Another person's modal, an unknown input, an option that isn't offered: none of them exists."""
    options = [{"text": plain(), "value": "a"}]
    select = {"type": "static_select", "action_id": "text", "options": options}
    view = await opened(slack, client, modal(text_input(element=select)))
    with pytest.raises(LookupError):
        await slack.views.submit("UBEN", view["id"])
    with pytest.raises(LookupError):
        await slack.views.submit("UANA", view["id"], typed("x", "nowhere"))
    forged = {"why": {"text": {"type": "static_select", "selected_option": {"value": "b"}}}}
    with pytest.raises(LookupError):
        await slack.views.submit("UANA", view["id"], forged)
    with pytest.raises(LookupError):
        await slack.views.click("UANA", view["id"], "go")
    with pytest.raises(LookupError):
        slack.views.open_home("UNOBODY")


async def test_a_modal_without_a_submit_button_cannot_be_submitted(slack, client):
    """Nothing is sent."""
    read_only = {"type": "modal", "title": plain(), "blocks": [{"type": "divider"}]}
    view = await opened(slack, client, read_only)
    with pytest.raises(LookupError, match="no submit button"):
        await slack.views.submit("UANA", view["id"])


async def test_choices_are_sent_as_the_options_of_the_view(slack, client):
    """Only an option's value is taken from the page; its text is the bot's."""
    options = [{"text": plain("One"), "value": "1"}, {"text": plain("Two"), "value": "2"}]
    boxes = {"type": "checkboxes", "action_id": "text", "options": options}
    view = await opened(slack, client, modal(text_input(element=boxes)))
    given = {"why": {"text": {"type": "checkboxes", "selected_options": [{"value": "2"}]}}}
    assert (await slack.views.submit("UANA", view["id"], given)).ok
    state = slack.envelopes[-1].payload["view"]["state"]["values"]
    assert state["why"]["text"]["selected_options"] == [options[1]]


# --- closing ----------------------------------------------------------------------------------------------------


async def test_a_close_is_sent_if_the_view_asks_for_it(slack, client, answers):
    """``notify_on_close`` sends a ``view_closed``; without it, the bot gets nothing."""
    silent = await opened(slack, client)
    slack.views.close("UANA", silent["id"])
    view = await opened(slack, client, modal(notify_on_close=True))
    slack.views.close("UANA", view["id"])
    [closed] = await slack.wait_for(lambda: answers.seen)
    assert (closed["type"], closed["view"]["id"], closed["is_cleared"]) == ("view_closed", view["id"], False)
    assert slack.views.modal("UANA") is None


async def test_clear_on_close_closes_the_whole_stack(slack, client, answers):
    """Each view with ``notify_on_close`` is reported as cleared."""
    await opened(slack, client, modal(*GO, notify_on_close=True))
    front = await pushed(slack, client, clear_on_close=True, notify_on_close=True)
    slack.views.close("UANA", front["id"])
    assert slack.views.modal("UANA") is None
    await slack.wait_for(lambda: len(answers.seen) == 2)
    assert [closed["is_cleared"] for closed in answers.seen] == [True, True]


# --- clicks, App Home -------------------------------------------------------------------------------------------


async def test_a_click_in_a_modal_has_no_channel(slack, client):
    """The payload has the view with its inputs, and neither message, channel nor response_url."""
    view = await opened(slack, client, modal(text_input(), *GO))
    ack = await slack.views.click("UANA", view["id"], "go", values=typed("so far"))
    payload = slack.envelopes[-1].payload
    assert ack.ok
    assert payload["container"] == {"type": "view", "view_id": view["id"]}
    assert payload["view"]["state"]["values"] == typed("so far")
    assert payload["actions"][0]["action_id"] == "go"
    assert not payload.keys() & {"channel", "message", "response_url"}


async def test_each_person_has_their_own_app_home(slack, client, answers):
    """Opening it sends an event, from the second time on with the view; what's published can be clicked."""
    slack.views.open_home("UANA")
    [first] = await slack.wait_for(lambda: answers.seen)
    assert (first["tab"], first["channel"], "view" in first) == ("home", "D0ANA", False)
    published = (await client.views_publish(user_id="UANA", view=HOME))["view"]
    assert (slack.views.home("UANA"), slack.views.home("UBEN")) == (published, None)
    assert (await slack.views.click("UANA", published["id"], "go")).ok
    slack.views.open_home("UANA")
    await slack.wait_for(lambda: len(answers.seen) == 2)
    assert answers.seen[1]["view"]["id"] == published["id"]


async def test_publishing_again_keeps_the_id(client):
    """Each person's App Home is one view, with a new hash each time."""
    first = (await client.views_publish(user_id="UANA", view=HOME))["view"]
    second = (await client.views_publish(user_id="UANA", view=HOME, hash=first["hash"]))["view"]
    assert first["id"] == second["id"]
    assert first["hash"] != second["hash"]


# --- the page ---------------------------------------------------------------------------------------------------


async def test_the_page_gets_what_each_person_sees(slack, client):
    """Opening, updating and closing a modal, and publishing App Home, are sent as they happen."""
    async with feed(slack) as next_of:
        state = await next_of("state")
        assert state["homes"] == state["modals"] == dict.fromkeys(("UANA", "UBEN", "UCLEO", "UDORA"))
        view = await opened(slack, client)
        assert await next_of("view") == {"type": "view", "user": "UANA", "view": view, "replaces": None}
        await client.views_update(view_id=view["id"], view=modal(title=plain("New")))
        updated = await next_of("view")
        assert (updated["view"]["title"]["text"], updated["replaces"]) == ("New", view["id"])
        slack.views.close("UANA", view["id"])
        assert await next_of("view") == {"type": "view", "user": "UANA", "view": None, "replaces": view["id"]}
        await client.views_publish(user_id="UBEN", view=HOME)
        assert (await next_of("home"))["view"]["type"] == "home"


async def post(slack, path, **asked):
    """Make a request as the page does; return the status and the answer."""
    async with aiohttp.ClientSession(slack.url) as session, session.post(path, json=asked) as reply:
        return reply.status, await reply.json()


async def test_the_page_submits_clicks_and_closes(slack, client, answers):
    """The routes do what people do, and answer with the errors by input."""
    answers.submission = {"response_action": "errors", "errors": {"why": "Not that."}}
    view = await opened(slack, client, modal(text_input(), *GO))
    place = {"user": "UANA", "view_id": view["id"]}
    clicked = await post(slack, "/page/click", **place, action_id="go", block_id="row", values=typed("so far"))
    refused = await post(slack, "/page/view_submit", **place, values=typed("x"))
    closed = await post(slack, "/page/view_close", **place)
    home = await post(slack, "/page/home", user="UANA")
    assert clicked == closed == home == (200, {"ok": True, "error": ""})
    assert refused == (200, {"ok": False, "error": "", "errors": {"why": "Not that."}})


async def test_a_submission_without_a_bot_shows_an_error(slack, client):
    """It has the sentence of Slack's client."""
    view = await opened(slack, client)
    await slack.drop_sockets()
    _, reply = await post(slack, "/page/view_submit", user="UANA", view_id=view["id"], values=typed("x"))
    assert reply["error"] == "We had some trouble connecting. Try again?"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/page/view_submit", {"user": "UANA", "view_id": "V0"}),
        ("/page/view_submit", {"user": "UANA", "view_id": "V0", "values": [1]}),
        ("/page/view_submit", {"user": "UANA", "view_id": "V0", "values": {"why": 7}}),
        ("/page/view_submit", {"user": "UANA", "view_id": "V0", "values": {"why": {"text": "x"}}}),
        ("/page/view_close", {"user": "UANA", "view_id": "V0"}),
        ("/page/view_close", {"user": "UANA"}),
        ("/page/click", {"user": "UANA", "view_id": "V0", "action_id": "go"}),
        ("/page/home", {"user": "UNOBODY"}),
    ],
)
async def test_unknown_views_are_a_400(slack, path, asked):
    """The answer says what can't be done."""
    status, reply = await post(slack, path, **asked)
    assert (status, reply["ok"]) == (400, False)
    assert reply["error"]
