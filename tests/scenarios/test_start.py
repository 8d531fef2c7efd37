"""Starting, becoming ready, and refusing requests that don't come from Slack."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import sqlite3
import time
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from local_slack import Fault
from sandbox.child import BotProcess
from sandbox.local_flokit.sources import Plan
from sandbox.slack import BOT_USER_ID

SECRETS = ("xoxb-secret-1", "wrong-app-token-2", "secret key 3")


async def test_each_wrong_setting_is_named_in_a_sentence(tmp_path):
    """Exit code 78, no traceback, no secret."""
    settings = {
        "SLACK_BOT_TOKEN": SECRETS[0],
        "SLACK_APP_TOKEN": SECRETS[1],
        "FLOKIT_API_KEY": SECRETS[2],
        "FLOKIT_API_URL": "nonsense",
        "PORT": "many",
        "FOLLOW_UP_GRACE_S": "-1",
        "DATABASE_URL": "mysql://root:hunter2@localhost/x",
    }
    output = await refused(settings, tmp_path)
    wrong = set(settings) - {"SLACK_BOT_TOKEN"}
    assert {line.split(":")[0] for line in output.splitlines()} == wrong
    assert len(output.splitlines()) == len(wrong)
    assert not [secret for secret in (*SECRETS, "hunter2") if secret in output]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"FLOKIT_API_KEY": "key-of-the-test"}, "SLACK_BOT_TOKEN"),
        ({"FLOKIT_API_KEY": "key-of-the-test", "SLACK_BOT_TOKEN": "xoxb-1"}, "SLACK_APP_TOKEN or SLACK_SIGNING_SECRET"),
    ],
)
async def test_a_missing_token_is_named(tmp_path, settings, sentence):
    """Without a token, or with half of a mode, the bot says which variable is missing."""
    assert sentence in await refused(settings, tmp_path)


async def refused(settings, folder):
    """Start the bot with settings that it must refuse, and return its output."""
    bot = BotProcess(settings, folder)
    await bot.start()
    assert await bot.wait() == 78
    assert "Traceback" not in bot.log
    return bot.log


async def test_a_revoked_token_is_reported_in_a_sentence(make_world):
    """At startup the process exits with 78; later, readiness reports it."""
    async with make_world() as world:
        await world.start_bot()
        world.slack.revoke_token()
        await world.command("status")
        await ready(world, 503, "Slack refuses our token: token_revoked")
        await world.note("help")  # a response_url works without the token
        assert (await world.get("/readyz")).status_code == 503
        await world.bot.kill()
        world.bot = BotProcess(world.settings, world.folder)
        await world.bot.start()
        assert await world.bot.wait() == 78
        assert "SLACK_BOT_TOKEN: Slack refuses it (token_revoked)" in world.bot.log


async def test_the_bot_waits_for_a_locked_database_file(make_world):
    """The start continues once the file can be written."""
    async with make_world() as world:
        with contextlib.closing(sqlite3.connect(world.folder / "flokit.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            started = asyncio.create_task(world.start_bot())
            async with asyncio.timeout(20):
                while "store_unavailable" not in world.bot.log:
                    await asyncio.sleep(0.02)
        await started


async def test_a_deleted_database_file_makes_the_bot_unready(make_world):
    """Nothing is accepted that would be lost."""
    async with make_world() as world:
        world.flokit.add("int_a", "stripe")
        await world.start_bot()
        (world.folder / "flokit.db").unlink()
        await ready(world, 503, "was deleted")
        ack = await world.slack.command("UANA", "C0DATA", "sync stripe")
        assert "nothing was started" in json.dumps(ack.body)


async def ready(world, status, part):
    """Wait until readiness has this status."""
    async with asyncio.timeout(10):
        while (answer := await world.get("/readyz")).status_code != status or part not in answer.text:
            await asyncio.sleep(0.02)
    return answer


async def test_readiness_names_the_problem_and_liveness_ignores_it(make_world):
    """While Slack is unreachable, the bot is alive but not ready; later it is. Other routes are 404."""
    async with make_world(mode="http") as world:
        world.flokit.add("int_a", "stripe")
        world.slack.faults.add(Fault("auth.test", "http_500", times=2))
        started = asyncio.create_task(world.start_bot())
        async with asyncio.timeout(20):
            while not world.url:
                await asyncio.sleep(0.02)
        assert (await world.get("/livez")).status_code == 200
        await ready(world, 503, '{"slack": "not connected yet"}')  # once the tables exist
        async with httpx.AsyncClient() as http:
            assert (await http.post(f"{world.url}/slack/events")).status_code == 503
        await started
        assert (await world.get("/readyz")).json() == {"status": "ready", "problems": {}}
        for path in ("/", "/metrics.php", "/slack", "/livez/x"):
            assert (await world.get(path)).status_code == 404
        assert "Stripe" in (await world.status("show stripe"))["text"]


@pytest_asyncio.fixture
async def http_world(make_world):
    """A world over signed HTTP, whose requests the test signs itself."""
    async with make_world(mode="http") as world:
        world.flokit.add("int_a", "stripe")
        world.flokit.plan("int_a", Plan(0.0, 0.5, "succeeded"))
        await world.start_bot()
        yield world


async def test_only_requests_signed_by_slack_are_accepted(http_world):
    """A wrong signature and an old timestamp get a 401; malformed bodies do no harm."""
    event = json.dumps({"type": "event_callback", "event": {"type": "app_mention"}}).encode()
    assert (await post(http_world, event, secret="wrong")).status_code == 401
    assert (await post(http_world, event, at=time.time() - 3600)).status_code == 401
    assert (await post(http_world, event, signature="")).status_code == 401
    for timestamp in ("", "abc", "-1", "1e9", "9" * 5000):
        assert (await post(http_world, event, timestamp=timestamp)).status_code == 401, timestamp
    for body in (b"", b"{", b"\xff\xfe", b"[]", b"null", b"payload=%FF", b"command=/flokit&text=%FF%00"):
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            assert (await post(http_world, body, kind=kind)).status_code < 500, (body, kind)
    assert not http_world.flokit.requests


async def test_what_slack_delivers_twice_is_done_once(http_world):
    """A redelivered event is answered once, and a redelivered click or command starts one sync."""
    panel = await http_world.status()
    await http_world.press(panel, "flokit_resync", "int_a")
    await http_world.command("status stripe")
    asking = await http_world.slack.say("UANA", "C0DATA", f"<@{BOT_USER_ID}> help")
    await http_world.reply(asking, "Here's what I can do")
    for envelope in list(http_world.slack.envelopes):
        form = {
            "slash_commands": lambda payload: (urlencode(payload), "application/x-www-form-urlencoded"),
            "interactive": lambda payload: (
                urlencode({"payload": json.dumps(payload)}),
                "application/x-www-form-urlencoded",
            ),
            "events_api": lambda payload: (json.dumps(payload), "application/json"),
        }[envelope.kind]
        body, kind = form(envelope.payload)
        assert (await post(http_world, body.encode(), kind=kind)).status_code == 200
    await http_world.outcomes(panel["ts"])
    await http_world.settle()
    assert len(http_world.flokit.posts("int_a")) == 1
    assert len(http_world.slack.messages("C0DATA", asking)) == 1
    assert len([one for one in http_world.slack.messages("C0DATA") if one["user"] == BOT_USER_ID]) == 2


async def post(world, body, *, kind="application/json", at=None, secret=None, signature=None, timestamp=None):
    """Send a request as Slack does, or almost."""
    timestamp = str(int(at or time.time())) if timestamp is None else timestamp
    key = (secret or world.slack.installation.tokens.signing_secret).encode()
    digest = hmac.new(key, f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": kind,
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest}" if signature is None else signature,
    }
    async with httpx.AsyncClient() as http:
        return await http.post(f"{world.url}/slack/events", content=body, headers=headers)
