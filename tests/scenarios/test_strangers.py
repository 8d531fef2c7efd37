"""Strangers at the port: unsigned requests cost little, and keep no one else out."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from bot.ops.web import MAX_BODY_BYTES

IDLE = 300


@pytest.fixture
def http_world(make_world):
    """A world over signed HTTP."""
    return make_world(mode="http")


def unsigned(**changes):
    """Return the headers of a request that looks like Slack's, but isn't."""
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": str(int(time.time())),
        "X-Slack-Signature": "v0=" + "0" * 64,
        **changes,
    }


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "unicode_escape", "zip", "no-such-codec"])
async def test_a_strangers_choice_of_encoding_is_ignored(http_world, charset):
    """The body is refused without being decoded, and a command at the same time is answered immediately."""
    async with http_world as world:
        await world.start_bot()
        body = b"a" * (MAX_BODY_BYTES - 10) + b"-zzzz"
        headers = unsigned(**{"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"})
        async with httpx.AsyncClient(timeout=30) as http:
            attack = asyncio.create_task(http.post(f"{world.url}/slack/events", content=body, headers=headers))
            began_at = time.monotonic()
            await world.command("help")
            assert time.monotonic() - began_at < 2
            assert (await attack).status_code == 401


async def test_an_unsigned_request_causes_no_calls(http_world):
    """Whatever it contains, even duplicate headers, there's no API call, no answer and no error."""
    async with http_world as world:
        await world.start_bot()
        await world.settle()
        calls = len(world.slack.calls)
        body = urlencode(
            {"command": "/flokit", "text": "status", "trigger_id": "1", "response_url": world.slack.api_url + "x"}
        )
        press = urlencode({"payload": json.dumps({"type": "block_actions", "response_url": world.slack.api_url})})
        now = str(int(time.time()))
        async with httpx.AsyncClient() as http:
            for content in (body, press):
                for doubled in ("X-Slack-Request-Timestamp", "X-Slack-Signature", "Content-Type"):
                    headers = [*unsigned().items(), (doubled, now)]
                    answer = await http.post(f"{world.url}/slack/events", content=content, headers=headers)
                    assert answer.status_code in {400, 401}  # 400: aiohttp takes no two Content-Types
        assert len(world.slack.calls) == calls
        assert not world.flokit.requests
        assert not [entry for entry in world.log if entry["level"] in {"error", "critical"}]


async def test_a_command_may_contain_the_word_payload(http_world):
    """In its text or its channel's name, the word doesn't change how the command is parsed."""
    async with http_world as world:
        world.slack.add_channel("C0PAY", "payload-alerts", members=("UANA",), bot_is_member=True)
        await world.start_bot()
        note = await world.note("payload", channel="C0PAY")
        assert "payload" in str(note)


@asynccontextmanager
async def holding(url, count, said=b""):
    """Hold connections open that send nothing, or only part of a request."""
    host, _, port = url.removeprefix("http://").partition(":")
    held = []
    try:
        for _ in range(count):
            held += [await asyncio.open_connection(host, int(port))]
            held[-1][1].write(said)
        yield
    finally:
        for _reader, writer in held:
            writer.close()


@pytest.mark.parametrize("limits", [(64, 4096), (256, 256)], ids=["a low soft limit", "a low hard limit"])
async def test_idle_connections_keep_no_one_out(http_world, limits):
    """With 300 idle connections, commands and health checks are answered, and the log stays short."""
    async with http_world as world:
        await world.start_bot(descriptors=limits)
        async with holding(world.url, IDLE):
            before = len(world.bot.log)
            for _ in range(3):
                await world.note("help")
                assert (await world.get("/livez")).status_code == 200
            assert (await world.get("/readyz")).status_code == 200
        assert len(world.bot.log) - before < 3_000
        assert len([entry for entry in world.log if entry["event"] == "connections_full"]) == 1


POST = b"POST /slack/events HTTP/1.1\r\nHost: b\r\n"
CLAIM = b"X-Slack-Request-Timestamp: %d\r\nX-Slack-Signature: v0=" + b"0" * 64 + b"\r\n"
HALVES = {
    "half a head": POST + b"X-A: " + b"x" * 8000,
    "half a body": POST + CLAIM + b"Content-Length: 700000\r\n\r\n" + b"x" * 60_000,
    "half a chunk": POST + CLAIM + b"Transfer-Encoding: chunked\r\n\r\nffff\r\nxxx",
    "many requests": b"GET /nothing HTTP/1.1\r\nHost: b\r\n\r\n" * 500,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100,
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_half_requests_keep_no_one_out(http_world, half):
    """With 300 unfinished requests, commands are answered, and memory stays low."""
    async with http_world as world:
        await world.start_bot(descriptors=(256, 256))
        await world.note("help")
        before = peak_bytes(world)
        said = half % int(time.time()) if b"%d" in half else half
        async with holding(world.url, IDLE, said):
            for _ in range(3):
                await world.note("help")
            assert (await world.get("/livez")).status_code == 200
        assert peak_bytes(world) - before < 48 * 1024 * 1024
        assert not [entry for entry in world.log if entry["level"] in {"error", "critical"}]


def peak_bytes(world):
    """Return the bot process's peak memory."""
    status = Path(f"/proc/{world.bot.pid}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
