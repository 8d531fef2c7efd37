"""The session to Slack: redirects, endless replies, bombs and foreign addresses."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from bot.core import blocks, errors
from bot.slack.client import SlackClient
from bot.slack.session import make_session, may_answer_at

SLACK = "https://slack.com/api/"
LOCAL = "http://127.0.0.1:5000/api/"


@asynccontextmanager
async def answering(handler):
    """Answer every request on a free local port with a handler; yield the address."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status):
    """Neither the token nor the message is sent to where it points."""
    paths = []

    async def handler(request):
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with answering(handler) as url:
        client = SlackClient("xoxb-secret", api_url=url)
        try:
            with pytest.raises(errors.SlackUnavailable):
                await client.post("C1", blocks.plain_message("hello"))
            with pytest.raises(errors.SlackUnavailable):
                await client.respond(f"{url}response", blocks.plain_message("hello"))
        finally:
            await client.aclose()
    assert paths == ["/chat.postMessage", "/response"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_endless_reply_is_not_read_on(chunked):
    """A reply over the limit is an error, whether it states its length or not."""

    async def handler(_request):
        response = web.Response(body=b"x" * 5000)
        if chunked:
            response.enable_chunked_encoding()
            response.enable_compression()
        return response

    async with answering(handler) as url, make_session(5.0, max_reply_bytes=1000) as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(url) as response:
                await response.text()


async def test_a_reply_of_exactly_the_limit_is_read():
    async def handler(_request):
        return web.Response(body=b"x" * 1000)

    async with (
        answering(handler) as url,
        make_session(5.0, max_reply_bytes=1000) as session,
        session.get(url) as response,
    ):
        assert await response.read() == b"x" * 1000


@pytest.mark.parametrize(
    ("url", "api_url", "may"),
    [
        ("https://hooks.slack.com/commands/T1/2/3", SLACK, True),
        ("https://hooks.slack-gov.com/commands/T1/2/3", "https://slack-gov.com/api/", True),
        ("https://hooks.slack.com/commands/T1/2/3", "https://proxy.example.com/api/", True),
        ("http://hooks.slack.com/commands/T1/2/3", SLACK, False),
        ("https://hooks.slack.com.evil.example/x", SLACK, False),
        ("https://evilslack.com/x", SLACK, False),
        ("https://slack.com@evil.example/x", SLACK, False),
        ("http://127.0.0.1/x", SLACK, False),
        ("http://127.0.0.1:6000/x", LOCAL, True),
        ("http://localhost:6000/x", LOCAL, True),
        ("http://slack-mock:8080/x", "http://slack-mock:80/api/", True),
        ("http://other:8080/x", "http://slack-mock:80/api/", False),
        ("http://169.254.169.254/latest", LOCAL, False),
        ("ftp://127.0.0.1/x", LOCAL, False),
    ],
)
def test_where_answers_may_go(url, api_url, may):
    """Answers go to Slack over https, or to the host of the Web API in the settings."""
    assert may_answer_at(url, api_url) is may


async def reading(handler, most=1000):
    """Read a handler's reply through a session with this limit in bytes."""
    async with (
        answering(handler) as url,
        make_session(5.0, max_reply_bytes=most) as session,
        session.get(url) as response,
    ):
        return await response.text()


def packed(body, encoding, content_type="application/json"):
    """Answer with a compressed body, and record what the request accepts."""
    asked = []

    async def handler(request):
        asked.append(request.headers.get("Accept-Encoding"))
        return web.Response(body=body, headers={"Content-Encoding": encoding, "Content-Type": content_type})

    return handler, asked


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_reply_is_decoded_once(encoding, pack):
    """The session doesn't ask for compression."""
    handler, asked = packed(pack(b"hello"), encoding)
    assert await reading(handler) == "hello"
    assert asked == ["identity"]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"x" * 10_000_000), "gzip"),
        (zlib.compress(b"x" * 10_000_000), "deflate"),
        (gzip.compress(gzip.compress(b"x" * 10_000_000)), "gzip, gzip"),
        (b"no gzip", "gzip"),
        (b"x", "br"),
        (b"x", "zstd"),
        (b"x", "gzip;q=1"),
    ],
)
async def test_a_bomb_is_an_error_that_costs_nothing(body, encoding):
    """What decodes to more than the limit, or is compressed twice or in another way, isn't decoded."""
    handler, _ = packed(body, encoding)
    tracemalloc.start()
    try:
        with pytest.raises(aiohttp.ClientPayloadError):
            await reading(handler)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


async def test_a_reply_does_not_choose_its_codec():
    """A codec in a header isn't used: punycode takes minutes for a megabyte."""
    handler, _ = packed(b'{"ok": true}', "identity", "application/json; charset=punycode")
    assert await reading(handler) == '{"ok": true}'


async def test_deeply_nested_json_is_unavailable():
    """It's an error like any other."""
    handler, _ = packed(b"[" * 100_000, "identity")
    async with answering(handler) as url:
        client = SlackClient("xoxb-secret", api_url=url)
        try:
            with pytest.raises(errors.SlackUnavailable):
                await client.fetch_identity()
        finally:
            await client.aclose()


async def test_no_cookie_is_kept():
    seen = []

    async def handler(request):
        seen.append(dict(request.cookies))
        response = web.Response()
        response.set_cookie("x", "1" * 3000)
        return response

    async with answering(handler) as url, make_session(5.0) as session:
        for _ in range(2):
            await session.get(url.replace("127.0.0.1", "localhost"))
    assert seen == [{}, {}]


@pytest.mark.parametrize("content_type", ["application/gzip", "text/plain"])
async def test_a_reply_that_is_not_an_object_is_unavailable(content_type):
    async def handler(_request):
        return web.Response(body=b"x", content_type=content_type)

    async with answering(handler) as url:
        client = SlackClient("xoxb-secret", api_url=url)
        try:
            with pytest.raises(errors.SlackUnavailable):
                await client.fetch_identity()
        finally:
            await client.aclose()


@pytest.mark.parametrize("messages", [1, [None], ["x"], [{"metadata": []}], [{"metadata": {"event_payload": 1}}]])
async def test_messages_of_another_shape_are_skipped(messages):
    """Checking for a message in something that isn't a list finds nothing."""

    async def handler(_request):
        return web.json_response({"ok": True, "messages": messages, "response_metadata": [1]})

    async with answering(handler) as url:
        client = SlackClient("xoxb-secret", api_url=url)
        try:
            assert await client.find("C1", "1.0", "msg_1", since_s=0.0) is None
        finally:
            await client.aclose()
