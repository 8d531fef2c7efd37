"""The HTTP routes: only the documented ones, limited in size and time, with answers that reveal nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.flokit.webhooks import WebhookReceiver, WebhookRules
from bot.ops.bodies import Bodies
from bot.ops.health import Running
from bot.ops.web import MAX_BODY_BYTES, SLACK_PATH, WebLimits, WebServer
from bot.slack.http import SlackVerifier

SIGNING_SECRET = "a-signing-secret"


class NoHealth:
    """A bot that's ready."""

    running = None

    def stuck(self):
        """Return nothing."""
        return ""

    async def problems(self):
        """Return nothing."""
        return {}


def receiver():
    """A receiver of webhooks with a secret."""
    return WebhookReceiver(WebhookRules(b"s" * 20, "X-FloKit-Signature"), clock=lambda: datetime.now(UTC))


def bolt(commands):
    """A Bolt app that records the texts of commands."""

    async def authorize():
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-x")

    app = AsyncApp(signing_secret=SIGNING_SECRET, authorize=authorize, process_before_response=True)

    @app.command("/flokit")
    async def _on_command(ack, body):
        commands.append(body["text"])
        await ack()

    return app


@asynccontextmanager
async def serving(*, health=None, **changes):
    """Serve all routes on a free local port."""
    health = health or NoHealth()
    web = WebServer(
        health,
        host="127.0.0.1",
        port=0,
        slack=SlackVerifier(SIGNING_SECRET),
        webhooks=receiver(),
        **changes,
    )
    commands = []
    health.running = Running(bolt(commands), sender=None)
    port = await web.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            http.web, http.health = web, health
            yield http, port, commands
    finally:
        await web.stop()


def signed(body, *, secret=SIGNING_SECRET, at=None):
    """Return the headers that Slack would send with a body."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


class CountedState:
    """A bot that counts reads of its state."""

    def __init__(self):
        self.reads = 0

    async def problems(self):
        """Return nothing."""
        self.reads += 1
        await asyncio.sleep(0)
        return {}

    async def text(self):
        """Write nothing."""
        await self.problems()
        return b""


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
async def test_a_flood_of_probes_shares_one_answer(path, monkeypatch):
    """Requests within a second get the same answer, and the database one query."""
    monkeypatch.setattr("bot.ops.web.STATE_KEPT_S", 3600.0)
    state = CountedState()
    async with serving(health=state, scraper=state) as (http, _port, _commands):
        answers = await asyncio.gather(*(http.get(path) for _ in range(50)))
        assert (await http.get(path)).status_code == 200
    assert {answer.status_code for answer in answers} == {200}
    assert state.reads == 1


async def test_a_signed_command_arrives():
    async with serving() as (http, _port, commands):
        body = b"command=%2Fflokit&text=status&team_id=T1&user_id=U1"
        answer = await http.post(SLACK_PATH, content=body, headers=signed(body))
    assert answer.status_code == 200
    assert commands == ["status"]


@pytest.mark.parametrize(
    ("secret", "age_s"), [("another-secret", 0), (SIGNING_SECRET, 301), (SIGNING_SECRET, -305)], ids=str
)
async def test_forged_and_old_requests_are_refused(secret, age_s):
    """Another secret, or more than five minutes off: no listener gets it."""
    body = b"command=%2Fflokit&text=status"
    async with serving() as (http, _port, commands):
        answer = await http.post(SLACK_PATH, content=body, headers=signed(body, secret=secret, at=time.time() - age_s))
    assert answer.status_code == 401
    assert commands == []


async def test_a_changed_body_is_refused():
    async with serving() as (http, _port, commands):
        answer = await http.post(SLACK_PATH, content=b"text=sync", headers=signed(b"text=status"))
    assert answer.status_code == 401
    assert commands == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing/<script>", 404),
        ("GET", "/slack/events", 405),
        ("POST", "/livez", 405),
        ("DELETE", "/webhooks/flokit", 405),
        ("TRACE", "/readyz", 405),
    ],
)
async def test_refusals_reveal_nothing(method, path, status):
    """Two words, without path, server version or traceback."""
    async with serving() as (http, _port, _commands):
        answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.json() == {"error": {404: "not found", 405: "method not allowed"}[status]}
    assert answer.headers["server"] == "flokit-bot"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "sent",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nsecret-word",
        b"secret-word /livez HTTP/1.1\r\nHost: b\r\n\r\n",
        b"GET http://[secret-word/ HTTP/1.1\r\nHost: b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: b\r\nX: secret-word" + b"x" * 9000 + b"\r\n\r\n",
        b"POST /slack/events HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: odd\r\n\r\ntext=secret-word",
        b"POST /slack/events HTTP/1.1\r\nHost: b\r\nContent-Length: secret-word\r\n\r\n",
        b"\x16\x03\x01secret-word" + b"\0" * 200,
    ],
    ids=["HTTP/2", "method", "address", "long header", "encoding", "length", "TLS"],
)
async def test_bytes_that_are_not_http_are_refused_without_an_echo(sent):
    async with serving() as (_http, port, _commands):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert answer.endswith(b'{"error": "bad request"}')
    assert b"Server: flokit-bot" in answer
    assert b"secret-word" not in answer


async def test_a_body_over_the_limit_is_refused():
    """Before its signature is checked."""
    async with serving() as (http, _port, _commands):
        body = b"x" * (MAX_BODY_BYTES + 1)
        answer = await http.post(SLACK_PATH, content=body, headers=signed(body))
    assert answer.status_code == 413
    assert set(answer.json()) == {"error"}


async def test_a_slow_body_is_refused():
    async with serving(limits=WebLimits(slack_body_within_s=0.05)) as (_http, port, _commands):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {SLACK_PATH} HTTP/1.1\r\nHost: bot\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in signed(b"x" * 100).items())
        writer.write(f"{head}Content-Length: 100\r\n\r\nx".encode())
        status = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()
    assert b" 408 " in status


@pytest.mark.parametrize("path", ["/nothing", SLACK_PATH])
async def test_a_refusal_closes_the_connection(path):
    """A client with many requests in a row is refused once."""
    async with serving() as (_http, port, _commands):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: bot\r\nContent-Length: 0\r\n\r\n".encode() * 20)
        answers = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answers.count(b"HTTP/1.1 4") == 1


async def test_large_bodies_share_a_limit():
    """Unfinished large bodies take bounded memory together; small ones are still read."""
    async with serving() as (http, port, commands):
        http.web._bodies = Bodies(large_in_all=100_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {SLACK_PATH} HTTP/1.1\r\nHost: bot\r\nContent-Length: 500000\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in signed(b"").items())
        writer.write(f"{head}\r\n".encode() + b"x" * 300_000)
        status = await asyncio.wait_for(reader.readline(), 5)
        body = b"command=%2Fflokit&text=status&team_id=T1&user_id=U1"
        assert (await http.post(SLACK_PATH, content=body, headers=signed(body))).status_code == 200
        writer.close()
        large = body + b"&note=" + b"x" * 150_000
        assert (await http.post(SLACK_PATH, content=large, headers=signed(large))).status_code == 200
    assert b" 503 " in status
    assert commands == ["status"] * 2


@pytest.mark.parametrize("head", [b"", b"GET /livez HTTP/1.1\r\nHost:"], ids=["nothing", "half a head"])
async def test_a_slow_request_head_closes_the_connection(head):
    async with serving(limits=WebLimits(idle_within_s=0.05)) as (_http, port, _commands):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.parametrize(
    "raw", [b"\x00\x01\x02\r\n\r\n", b"GET /livez HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 9000]
)
async def test_bytes_that_are_not_http_do_no_harm(raw):
    """They're answered with 400 or disconnected, without a traceback; the next request is served."""
    async with serving() as (http, port, _commands):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert b"Traceback" not in answer
        assert (await http.get("/livez")).status_code == 200


class StumblingBolt:
    """A Bolt app that fails on an unexpected shape."""

    async def async_dispatch(self, _request):
        """Raise."""
        raise KeyError("type")


async def test_a_signed_request_of_another_shape_is_refused():
    """Bolt's own matchers raise on it, but that isn't a server error."""
    async with serving() as (http, _port, _commands):
        http.health.running = Running(StumblingBolt(), sender=None)
        answer = await http.post(SLACK_PATH, content=b"x=1", headers=signed(b"x=1"))
    assert answer.status_code == 400
    assert answer.json() == {"error": "The payload doesn't look like one that Slack sends (KeyError)."}
