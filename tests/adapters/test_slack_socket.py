"""The socket to Slack is kept open: a connection that hears nothing is closed, and only then another is opened."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
import pytest_asyncio
import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot import slack_socket
from bot.slack_socket import DEAF_AFTER_S, SlackSocket


class Clock:
    """The wall clock, moved on by the test."""

    ahead_s = 0.0

    def __call__(self):
        return time.time() + self.ahead_s


@pytest.fixture
def clock():
    """Show the time."""
    return Clock()


@pytest_asyncio.fixture
async def socket(local_slack, monkeypatch, clock):
    """Keep a socket open."""
    monkeypatch.setattr(slack_socket, "PING_INTERVAL_S", 0.5)
    bolt = AsyncApp(client=AsyncWebClient("xoxb-sandbox", base_url=local_slack.api_url))
    bolt.command("/flokit")(_ack)
    opened = SlackSocket(bolt, "xapp-sandbox", clock=clock)
    task = asyncio.create_task(opened.keep_open())
    await until_fine(opened)
    yield opened
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await opened.close()


async def _ack(ack):
    await ack()


async def until_fine(socket):
    """Wait until nothing keeps Slack from reaching us."""
    async with asyncio.timeout(10):
        while await socket.problem():
            await asyncio.sleep(0.01)


async def test_an_open_socket_has_no_problem(socket, local_slack):
    """Once Slack has said hello, it reaches us, and we know how many sockets there are."""
    assert await socket.problem() == ""
    assert socket.connections == 1
    assert (await local_slack.command("UANA", "C0DATA", "x")).ok


def openings(local_slack):
    """Count the connections that were asked for."""
    return sum(call.method == "apps.connections.open" for call in local_slack.calls)


async def test_a_deaf_socket_is_closed_and_then_another_opened(socket, local_slack, clock):
    """Where the SDK does not notice that nothing is heard any more, readiness tells, and the watchdog mends it."""
    before = openings(local_slack)
    clock.ahead_s = 2 * DEAF_AFTER_S
    assert "the socket is deaf" in await socket.problem()
    await local_slack.wait_for(lambda: openings(local_slack) > before, 10)
    clock.ahead_s = 0.0
    await until_fine(socket)
    assert socket.connections == 1  # as Slack said when it was opened: the old one was closed before
    assert (await local_slack.command("UANA", "C0DATA", "x")).ok


async def test_a_socket_that_slack_wants_renewed_is_renewed(socket, local_slack):
    """Slack closes each connection after some hours: the next one takes its place."""
    first = socket._greeted
    await local_slack.refresh_sockets()
    async with asyncio.timeout(10):
        while socket._greeted is first:
            await asyncio.sleep(0.01)
    await until_fine(socket)
    assert (await local_slack.command("UANA", "C0DATA", "x")).ok


UNREADABLE = {
    "no JSON": '{"type": "events_api", "secret',
    "no payload": json.dumps({"type": "events_api", "envelope_id": "1", "payload": ["secret"]}),
    "TypeError": json.dumps({"type": "interactive", "envelope_id": "1", "payload": {"text": "secret", "team": 5}}),
}


@pytest.mark.parametrize("reason", UNREADABLE)
async def test_a_malformed_envelope_is_one_warning_without_its_words(socket, local_slack, caplog, reason):
    """What cannot be read is named by its keys, in one line, and what comes after it is answered."""
    with structlog.testing.capture_logs() as lines:
        await local_slack._sockets._open[0].socket.send_str(UNREADABLE[reason])
        assert (await local_slack.command("UANA", "C0DATA", "x")).ok
        async with asyncio.timeout(5):
            while not lines:
                await asyncio.sleep(0)
    [line] = lines
    assert (line["event"], line["log_level"], line["reason"]) == ("envelope_refused", "warning", reason)
    assert "secret" not in str(line)
    assert not [record for record in caplog.records if record.levelname == "ERROR" or "secret" in record.getMessage()]


def test_a_socket_that_was_never_opened_says_so():
    """Before the first connection there is a reason, not an error."""
    assert asyncio.run(SlackSocket(AsyncApp(token="xoxb-x"), "xapp-x").problem()) == "not connected yet"
