"""Bugs in the bot: the person sees an error ID, and the log has the same ID with the traceback."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
import pytest_asyncio
from slack_bolt.request.async_request import AsyncBoltRequest
from structlog.testing import capture_logs

from bot.core.commands.catalog import StatusCommand
from bot.core.errors import FlokitDenied, FlokitRefused, StoreUnavailable
from bot.core.models import Outcome, Telling
from bot.handlers.responder import Responder
from bot.listeners.faults import Faults
from bot.listeners.observed import ObservedApp
from bot.observability.context import Context, Runtime
from bot.observability.telemetry import SILENT
from bot.slack.client import SlackClient
from bot.workers import follower as follower_module
from bot.workers import sender as sender_module
from bot.workers.follower import Follower, claim_batches
from bot.workers.sender import Sender
from tests.adapters.conftest import finding, unnamed

ERROR_ID = re.compile(r"err_[0-9a-f]{16}")


class BrokenError(Exception):
    """A bug in the bot."""


def breaks(*_, **__):
    """Raise."""
    raise BrokenError


async def breaks_soon(*_, **__):
    """Raise, asynchronously."""
    raise BrokenError


def logged_ids(logs):
    """Return the error IDs of log lines with a traceback."""
    return {line["error_id"] for line in logs if "exc_info" in line}


class Answers:
    """Replaces the Slack client that answers after the ack, and records the answers."""

    def __init__(self):
        self.posted, self.rang = [], asyncio.Event()

    async def respond(self, response_url, message):
        """Record an answer."""
        self.posted.append((response_url, message.text))
        self.rang.set()


@pytest.fixture
def answers():
    """A recorder of answers."""
    return Answers()


@pytest.fixture
def bolt(answers, clock):
    """A Bolt app whose listeners all raise."""

    async def raises(ack):
        raise BrokenError

    app = ObservedApp(Runtime(clock), finding(), process_before_response=True)
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
    """For a command and a form, the ack is a sentence with the ID that's in the log."""
    with capture_logs() as logs:
        response = await bolt.async_dispatch(AsyncBoltRequest(body={"team": {"id": "T1"}} | body, mode="socket_mode"))
    (error_id,) = logged_ids(logs)
    assert (response.status, ERROR_ID.findall(response.body)) == (200, [error_id])


async def test_a_press_whose_listener_raises_is_answered_after_the_ack(bolt, answers):
    """The press is acked, and the person gets the ID through the response_url."""
    press = {"type": "block_actions", "actions": [{"action_id": "flokit_resync", "block_id": "b", "type": "button"}]}
    body = {"team": {"id": "T1"}, "response_url": "https://hooks.example.com/x"} | press
    with capture_logs() as logs:
        response = await bolt.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
        await answers.rang.wait()
    (error_id,) = logged_ids(logs)
    ((url, text),) = answers.posted
    assert (response.status, url, ERROR_ID.findall(text)) == (200, "https://hooks.example.com/x", [error_id])


@pytest.mark.parametrize("actions", [[], [None], "x", [{"action_id": []}], [{"action_id": 1, "type": "button"}], {}])
async def test_a_malformed_payload_is_not_logged_as_our_error(bolt, answers, actions):
    """Bolt fails on it before any listener runs; it's neither acked nor answered."""
    body = {"team": {"id": "T1"}, "response_url": "https://example.com/x", "type": "block_actions", "actions": actions}
    with capture_logs() as logs:
        response = await bolt.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
    assert response.status in {400, 404}
    assert not answers.posted
    assert {line["log_level"] for line in logs} <= {"warning"}


async def test_a_failed_request_is_answered_with_the_logged_id(make):
    sent_ids = []

    async def note(request, message):
        sent_ids.extend(ERROR_ID.findall(message.text))

    store, context = SimpleNamespace(lease_s=10), Context("T1", "UFLOKIT", make.clock)
    with capture_logs() as logs:
        responder = Responder(
            store,
            SimpleNamespace(note=note),
            {StatusCommand: breaks_soon}.__getitem__,
            context,
            nicknames=unnamed(make.clock).current,
        )
        await responder.answer(SimpleNamespace(request=make.command(), attempts=1))
    assert set(sent_ids) == logged_ids(logs)
    assert {line["error_id"] for line in logs} == set(sent_ids)


@pytest.mark.parametrize(
    "error",
    [
        FlokitRefused("FloKit refused this (HTTP 409).", "already *running*", http_status=409),
        FlokitDenied("FloKit refused this (HTTP 403).", "already *running*", http_status=403),
    ],
)
async def test_flokits_words_are_quoted_and_never_formatted(make, error):
    answers = []

    async def refused(request, command):
        raise error

    async def note(request, message):
        answers.append(message)

    responder = Responder(
        SimpleNamespace(lease_s=10),
        SimpleNamespace(note=note),
        {StatusCommand: refused}.__getitem__,
        Context("T1", "U1", make.clock),
        nicknames=unnamed(make.clock).current,
    )
    await responder.answer(SimpleNamespace(request=make.command(), attempts=1))
    lead, quoted = answers[0].blocks
    assert "running" not in str(lead)
    assert quoted["elements"][0]["elements"] == [{"type": "text", "text": "already *running*"}]


async def test_a_request_that_the_database_interrupts_is_not_blamed(make, clock):
    """It's released at once; an unreachable database doesn't count as an attempt."""
    released = []

    async def away(request, message):
        raise StoreUnavailable

    async def retry(request_id, due_at):
        released.append((request_id, due_at - clock.now))

    store = SimpleNamespace(lease_s=10, inbox=SimpleNamespace(retry=retry))
    responder = Responder(
        store,
        SimpleNamespace(),
        {StatusCommand: away}.__getitem__,
        Context("T1", "UFLOKIT", clock),
        nicknames=unnamed(clock).current,
    )
    request = make.command()
    with pytest.raises(StoreUnavailable):
        await responder.answer(SimpleNamespace(request=request, attempts=1))
    assert released == [(request.id, timedelta(seconds=1))]


# --- the follower ------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def followed(sqlite_store, make, click, clock, monkeypatch):
    """A run whose every check hits a bug."""
    await click(sqlite_store, make)
    flokit = SimpleNamespace(fetch_integration=breaks_soon, fetch_integrations=breaks_soon)
    return sqlite_store, Follower(sqlite_store, flokit, Context("T1", "UFLOKIT", clock))


async def follow(followed, clock):
    """Take one step of the run that's due, and return the run."""
    store, follower = followed
    ((claim,),) = await claim_batches(follower._store, clock(), 5)
    with capture_logs() as logs:
        await follower.follow([claim])
    return await store.runs.load(claim.run.team_id, claim.run.id), logs


async def test_a_fault_while_following_is_shown_in_the_thread(followed, clock):
    """The run continues, and its progress message has the ID that's in the log."""
    run, logs = await follow(followed, clock)
    assert {run.fault_id} == logged_ids(logs)
    assert run.outcome is None
    (item,) = await followed[0].outbox.claim(clock(), 5)
    shown = sender_module.blocks.progress_message(run, (), clock(), outbox_id=item.id)
    assert run.fault_id in shown.text


async def test_a_fault_that_lasts_ends_at_the_deadline(followed, clock):
    """The run ends as not_confirmed, and the outcome has the ID."""
    clock.advance(timedelta(hours=1).total_seconds())
    run, logs = await follow(followed, clock)
    assert run.outcome is Outcome.NOT_CONFIRMED
    shown = sender_module.blocks.outcome_message(run, (), clock(), outbox_id="msg_1")
    assert {run.fault_id} == logged_ids(logs)
    assert run.fault_id in shown.text


async def test_a_fault_is_forgotten_after_a_successful_check(followed, make, clock, monkeypatch):
    run, _ = await follow(followed, clock)
    seen = follower_module.Seen(make.integration())
    decided = follower_module.decide(run, seen, clock())
    assert (decided.run.fault_id, Telling.PROGRESS in decided.tell) == ("", False)


# --- the sender --------------------------------------------------------------------------------------------------


async def test_a_message_that_fails_three_times_is_replaced_by_the_id(
    sqlite_store, local_slack, make, clock, monkeypatch
):
    client = SlackClient("xoxb-sandbox", api_url=local_slack.api_url)

    async def on_closed(*_):
        raise AssertionError

    context = Context("T0SANDBOX", "UFLOKIT", clock)
    sender = Sender(sqlite_store, client, context, unnamed(clock), on_closed=on_closed, on_refused=on_closed)
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
