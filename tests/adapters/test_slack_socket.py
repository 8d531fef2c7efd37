"""The socket to Slack stays open: an unresponsive connection is closed, and only then is another opened."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
import structlog
from aiohttp import web
from slack_bolt.app.async_app import AsyncApp

from bot.slack import socket as slack_socket
from bot.slack.client import SlackClient
from bot.slack.socket import DEAF_AFTER_S, SlackSocket


class Clock:
    """A wall clock that the test moves."""

    ahead_s = 0.0

    def __call__(self):
        return time.time() + self.ahead_s


@pytest.fixture
def clock():
    """Show the time."""
    return Clock()


@pytest_asyncio.fixture
async def socket(local_slack, monkeypatch, clock):
    """A socket that's kept open."""
    monkeypatch.setattr(slack_socket, "PING_INTERVAL_S", 0.5)
    async with kept_open(local_slack.api_url, clock) as opened:
        await until_fine(opened)
        yield opened


@asynccontextmanager
async def kept_open(api_url, clock, **options):
    """Keep a socket open to the Slack at this address."""
    client = SlackClient("xoxb-sandbox", api_url=api_url)
    bolt = AsyncApp(client=client.web)
    bolt.command("/flokit")(_ack)
    opened = SlackSocket(bolt, lambda: client.fetch_socket_url("xapp-sandbox"), clock=clock, **options)
    task = asyncio.create_task(opened.keep_open())
    try:
        yield opened
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await opened.close()
        await client.aclose()


async def _ack(ack):
    await ack()


async def until_fine(socket):
    """Wait until Slack can reach us."""
    async with asyncio.timeout(10):
        while await socket.problem():
            await asyncio.sleep(0.01)


async def test_an_open_socket_has_no_problem(socket, local_slack):
    """Once Slack has said hello, it can reach us, and the number of sockets is known."""
    assert await socket.problem() == ""
    assert socket.connections == 1
    assert (await local_slack.command("UANA", "C0DATA", "x")).ok


def openings(local_slack):
    """Count the requests for a connection."""
    return sum(call.method == "apps.connections.open" for call in local_slack.calls)


async def test_an_unresponsive_socket_is_replaced(socket, local_slack, clock):
    """The SDK doesn't notice that nothing arrives; readiness reports it and the watchdog reconnects."""
    before = openings(local_slack)
    clock.ahead_s = 2 * DEAF_AFTER_S
    assert "the socket is unresponsive" in await socket.problem()
    async with asyncio.timeout(30):
        while openings(local_slack) <= before:
            clock.ahead_s += DEAF_AFTER_S  # a pong between two looks of the watchdog would make it responsive again
            await asyncio.sleep(0.01)
    clock.ahead_s = 0.0
    await until_fine(socket)
    assert socket.connections == 1  # Slack counted when it was opened: the old one was closed before
    assert (await local_slack.command("UANA", "C0DATA", "x")).ok


async def test_a_socket_that_slack_wants_renewed_is_renewed(socket, local_slack):
    """Slack closes each connection after some hours."""
    await local_slack.refresh_sockets()
    async with asyncio.timeout(10):
        while socket.greetings < 2:
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
    """Its keys are logged in one line, and later envelopes are answered."""
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
    """Before the first connection there's a reason, not an error."""
    assert asyncio.run(SlackSocket(AsyncApp(token="xoxb-x"), None).problem()) == "not connected yet"


# --- a Slack that could cause endless reconnects -------------------------------------------------------------------

WATCHED_S = 20.0
MOST_CALLS = 20
HELLO = {"type": "hello", "num_connections": 1}


class Restless:
    """A Slack that answers every request for a socket in one way, and its sockets in another."""

    def __init__(self, refuse=None, greet=None, hang_up=True):
        self.calls, self.sockets, self.url = 0, 0, ""
        self._refuse, self._greet, self._hang_up = refuse, greet, hang_up

    async def api(self, _request):
        """Answer apps.connections.open."""
        self.calls += 1
        if self._refuse:
            status, headers = self._refuse
            return web.json_response({"ok": False, "error": "ratelimited"}, status=status, headers=headers)
        return web.json_response({"ok": True, "url": f"ws{self.url.removeprefix('http')}/link"})

    async def link(self, request):
        """Accept a socket."""
        self.sockets += 1
        if self._greet is None:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for frame in self._greet:
            await socket.send_json(frame)
        if not self._hang_up:
            await socket.receive()
        await socket.close()
        return socket


@asynccontextmanager
async def restless(**how):
    """Run such a Slack."""
    slack, app = Restless(**how), web.Application()
    app.router.add_post("/api/{method}", slack.api)
    app.router.add_get("/link", slack.link)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield slack
    finally:
        await runner.cleanup()


DISCONNECT = {"type": "disconnect", "reason": "refresh_requested"}
CIRCLES = {
    "Retry-After: 0": {"refuse": (429, {"Retry-After": "0"})},
    "no Retry-After": {"refuse": (429, {})},
    "a socket that is refused": {},
    "a socket that closes at once": {"greet": []},
    "a socket that closes after hello": {"greet": [HELLO]},
    "a socket that wants another one": {"greet": [HELLO, DISCONNECT], "hang_up": False},
    "a flood of such wishes": {"greet": [HELLO, *[DISCONNECT] * 50], "hang_up": False},
}


@pytest.mark.parametrize("circle", CIRCLES)
async def test_no_slack_causes_a_reconnect_loop(circle):
    """It's asked for a socket at most 20 times in 20 s, and opened at most as often."""
    pauses, over = [], asyncio.Event()

    async def pause(seconds):
        """Let pauses pass immediately, and add them up."""
        pauses.append(seconds)
        if sum(pauses) >= WATCHED_S:
            over.set()
            await asyncio.Event().wait()

    options = {"jitter": lambda: 0.0, "pause": pause}
    async with restless(**CIRCLES[circle]) as slack, kept_open(f"{slack.url}/api/", time.time, **options):
        async with asyncio.timeout(30):
            await over.wait()
    assert slack.calls == len(pauses) <= MOST_CALLS
    assert slack.sockets <= slack.calls


async def test_a_socket_without_hello_is_replaced(monkeypatch):
    monkeypatch.setattr(slack_socket, "PING_INTERVAL_S", 0.05)
    monkeypatch.setattr(slack_socket, "OPENS_WITHIN_S", 0.2)
    async with restless(greet=[], hang_up=False) as slack, kept_open(f"{slack.url}/api/", time.time) as opened:
        async with asyncio.timeout(20):
            while slack.sockets < 2:
                await asyncio.sleep(0.01)
        assert opened.greetings == 0


async def test_readiness_says_why_there_is_no_socket():
    """The socket's address, which contains a ticket, isn't shown."""
    async with restless() as slack, kept_open(f"{slack.url}/api/", time.time) as opened:
        async with asyncio.timeout(20):
            while slack.sockets < 2:
                await asyncio.sleep(0.01)
        problem = await opened.problem()
    assert problem == "not connected yet (Slack didn't answer)"
