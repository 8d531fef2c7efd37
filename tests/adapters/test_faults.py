"""A fault of ours, wherever it happens: the person is shown an id, and the log has it beside the traceback."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
import pytest_asyncio
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from structlog.testing import capture_logs

from bot.core.models import Outcome, Telling
from bot.handlers.responder import Responder
from bot.listeners.faults import Faults
from bot.listeners.observed import ObservedApp
from bot.observability.telemetry import SILENT
from bot.slack.client import SlackClient
from bot.workers import follower as follower_module
from bot.workers import sender as sender_module
from bot.workers.follower import Follower
from bot.workers.sender import Sender

ERROR_ID = re.compile(r"err_[0-9a-f]{16}")


class BrokenError(Exception):
    """A fault of ours."""


def breaks(*_, **__):
    """Go wrong."""
    raise BrokenError


async def breaks_soon(*_, **__):
    """Go wrong, asynchronously."""
    raise BrokenError


def logged_ids(logs):
    """Return the ids of the lines that have a traceback."""
    return {line["error_id"] for line in logs if "exc_info" in line}


class Answers:
    """Stands where the Slack client stands when an answer follows an ack."""

    def __init__(self):
        self.told, self.rang = [], asyncio.Event()

    async def respond(self, response_url, message):
        """Take an answer."""
        self.told.append((response_url, message.text))
        self.rang.set()


@pytest.fixture
def answers():
    """Take answers."""
    return Answers()


@pytest.fixture
def bolt(answers):
    """Make a Bolt app whose listeners all raise."""

    async def authorize(**_):
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-x", bot_id="B1", bot_user_id="U1")

    async def raises(ack):
        raise BrokenError

    app = ObservedApp(SILENT, authorize=authorize, process_before_response=True)
    app.error(Faults(answers, SILENT).answer)
    app.command("/flokit")(raises)
    app.action("flokit_resync")(raises)
    app.view("form")(raises)
    return app


@pytest.mark.parametrize(
    "body",
    [
        {"command": "/flokit", "text": ""},
        {"type": "view_submission", "view": {"callback_id": "form", "type": "modal"}},
    ],
    ids=["command", "form"],
)
async def test_a_listener_that_raises_acks_with_the_id(bolt, body):
    """A command and a form are acked with a sentence that names what the log has."""
    with capture_logs() as logs:
        response = await bolt.async_dispatch(AsyncBoltRequest(body={"team": {"id": "T1"}} | body, mode="socket_mode"))
    (error_id,) = logged_ids(logs)
    assert (response.status, ERROR_ID.findall(response.body)) == (200, [error_id])


async def test_a_press_whose_listener_raises_is_answered_after_the_ack(bolt, answers):
    """A press is acked, and its person is told the id through the response_url."""
    press = {"type": "block_actions", "actions": [{"action_id": "flokit_resync", "block_id": "b", "type": "button"}]}
    body = {"team": {"id": "T1"}, "response_url": "https://hooks.example.com/x"} | press
    with capture_logs() as logs:
        response = await bolt.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
        await answers.rang.wait()
    (error_id,) = logged_ids(logs)
    ((url, text),) = answers.told
    assert (response.status, url, ERROR_ID.findall(text)) == (200, "https://hooks.example.com/x", [error_id])


@pytest.mark.parametrize("actions", [[], [None], "x", [{"action_id": []}], [{"action_id": 1, "type": "button"}], {}])
async def test_a_payload_of_another_shape_is_no_fault(bolt, answers, actions):
    """What Bolt stumbles over before a listener is reached isn't acked, isn't answered and is no error of ours."""
    body = {"team": {"id": "T1"}, "response_url": "https://example.com/x", "type": "block_actions", "actions": actions}
    with capture_logs() as logs:
        response = await bolt.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
    assert response.status in {400, 404}
    assert not answers.told
    assert {line["log_level"] for line in logs} <= {"warning"}


async def test_a_request_that_cannot_be_answered_is_apologised_for(make):
    """The traceback and the apology carry the same id."""
    told = []

    async def apologise(request, error_id):
        told.append(error_id)

    actions = SimpleNamespace(answer=breaks_soon, apologise=apologise)
    with capture_logs() as logs:
        responder = Responder(actions, SimpleNamespace(lease_s=10), clock=make.clock)
        await responder.answer(SimpleNamespace(request=make.command(), attempts=1))
    assert set(told) == logged_ids(logs)
    assert {line["error_id"] for line in logs} == set(told)


# --- the follower ------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def followed(sqlite_store, make, click, clock, monkeypatch):
    """Follow a run, with a fault in every look."""
    await click(sqlite_store, make)
    flokit = SimpleNamespace(fetch_integration=breaks_soon, fetch_integrations=breaks_soon)
    return sqlite_store, Follower(sqlite_store, flokit, clock=clock)


async def follow(followed, clock):
    """Take the run that is due one step further, and return it as it is then."""
    store, follower = followed
    ((claim,),) = await follower.claim(clock(), 5)
    with capture_logs() as logs:
        await follower.follow([claim])
    return await store.runs.load(claim.run.id), logs


async def test_a_fault_while_following_is_shown_in_the_thread(followed, clock):
    """The run goes on, its progress names the id that the log has."""
    run, logs = await follow(followed, clock)
    assert {run.fault_id} == logged_ids(logs)
    assert run.outcome is None
    (item,) = await followed[0].outbox.claim(clock(), 5)
    shown = sender_module.blocks.progress_message(run, (), clock(), outbox_id=item.id)
    assert run.fault_id in shown.text


async def test_a_fault_that_lasts_ends_at_the_deadline(followed, clock):
    """At the deadline the run ends as not confirmed, and the outcome names the id."""
    clock.advance(timedelta(hours=1).total_seconds())
    run, logs = await follow(followed, clock)
    assert run.outcome is Outcome.NOT_CONFIRMED
    shown = sender_module.blocks.outcome_message(run, (), clock(), outbox_id="msg_1")
    assert {run.fault_id} == logged_ids(logs)
    assert run.fault_id in shown.text


async def test_a_fault_is_forgotten_once_something_is_seen(followed, make, clock, monkeypatch):
    """What comes after the fault is told as always."""
    run, _ = await follow(followed, clock)
    seen = follower_module.Seen(make.integration())
    decided = follower_module.decide(run, seen, clock())
    assert (decided.run.fault_id, Telling.PROGRESS in decided.tell) == ("", False)


# --- the sender --------------------------------------------------------------------------------------------------


async def test_a_message_that_cannot_be_written_becomes_the_id(sqlite_store, local_slack, make, clock, monkeypatch):
    """The third time, a sentence with the id stands where the message should be."""
    client = SlackClient("xoxb-sandbox", api_url=local_slack.api_url)

    async def on_closed(*_):
        raise AssertionError

    sender = Sender(sqlite_store, client, clock=clock, bot_user_id="UFLOKIT", on_closed=on_closed, on_refused=on_closed)
    asked = make.command()
    await sqlite_store.inbox.add(asked)
    await sqlite_store.panels.add(asked, make.panel(), sender_module.Address("T0SANDBOX", "C0DATA"), clock())
    monkeypatch.setattr(sender_module.blocks, "panel_message", breaks)
    before = len(local_slack.messages("C0DATA"))
    with capture_logs() as logs:
        for _ in range(3):
            clock.advance(60)
            (item,) = await sqlite_store.outbox.claim(clock(), 5)
            await sender.send(item)
    assert len(logged_ids(logs)) == 3
    (shown,) = local_slack.messages("C0DATA")[before:]
    assert ERROR_ID.findall(shown["text"])[0] in logged_ids(logs)
    clock.advance(60)
    assert not await sqlite_store.outbox.claim(clock(), 5)
    await client.aclose()
