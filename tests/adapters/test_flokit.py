"""The FloKit client: what each reply and each network failure becomes, and when the client sends a request at all."""

from __future__ import annotations

import asyncio
import json
import logging
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import (
    FlokitBadReply,
    FlokitBudgetSpent,
    FlokitDenied,
    FlokitError,
    FlokitMissing,
    FlokitNoReply,
    FlokitNotSent,
    FlokitRateLimited,
    FlokitRefused,
    FlokitUnreachable,
    StoreUnavailable,
)
from bot.core.models import Integration, SyncStats, TriggerAccepted
from bot.flokit import SHARED_WITHIN_S, Detail, Endpoint, FlokitClient, Listing, Priority
from bot.flokit.bodies import MAX_BODY_BYTES
from bot.flokit.budget import LocalBudget
from bot.flokit.replies import Reply, parse_integration, parse_listing, read_reply
from sandbox.local_flokit import READ_KEY, WRITE_KEY, LocalFlokit
from sandbox.local_flokit.faults import Fault, FaultKind
from sandbox.local_flokit.sources import Plan

SAMPLES = Path(__file__).parent.parent / "samples" / "flokit"
REVENUECAT = "int_01hx4j7revenuecat"
LOOK_KEY, SYNC_KEY = "flo_look_secret", "flo_sync_secret"
VENDOR_AT = datetime(2024, 3, 15, 13, 5, 7, tzinfo=UTC)
DATE = {"Date": "Fri, 15 Mar 2024 13:05:07 GMT"}


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class ScriptedVendor:
    """Returns the replies that it was given, the last one forever, and records the requests."""

    def __init__(self, *replies: httpx.Response | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        # A response can be read once only.
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)


class BlockingVendor:
    """Holds every request until the test releases it."""

    def __init__(self, reply: httpx.Response) -> None:
        self.reply = reply
        self.go = asyncio.Event()
        self.came = asyncio.Event()
        self.asked: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.came.set()
        await self.go.wait()
        return httpx.Response(self.reply.status_code, headers=self.reply.headers, content=self.reply.content)


def sample(name: str, status: int = 200) -> httpx.Response:
    """Return a documented reply."""
    return httpx.Response(status, headers=DATE, content=(SAMPLES / f"{name}.json").read_bytes())


@asynccontextmanager
async def client_of(vendor: Callable[[httpx.Request], Any], **options: Any) -> AsyncIterator[FlokitClient]:
    """Return a client whose requests go to ``vendor``, on a clock that never moves."""
    endpoint = Endpoint(
        "https://flokit.test/",
        LOOK_KEY,
        options.pop("sync_key", SYNC_KEY),
        options.pop("timeout_s", 8.0),
        transport=httpx.MockTransport(vendor),
    )
    client = FlokitClient(endpoint, **{"clock": Clock(), "jitter": lambda: 0.0, **options})
    try:
        yield client
    finally:
        await client.aclose()


# --- documented replies ------------------------------------------------------------------------------------------


async def test_list_is_read_as_documented() -> None:
    """It becomes integrations in FloKit's order, with FloKit's clock."""
    async with client_of(ScriptedVendor(sample("integrations"))) as client:
        assert await client.fetch_integrations() == Listing(
            (
                Integration(
                    id=REVENUECAT,
                    type="revenuecat",
                    status="connected",
                    last_synced_at=datetime(2024, 3, 15, 13, tzinfo=UTC),
                ),
                Integration(
                    id="int_01hx4j7stripe",
                    type="stripe",
                    status="error",
                    last_synced_at=datetime(2024, 3, 14, 22, tzinfo=UTC),
                    error_message="Webhook signature verification failed — check your signing secret",
                ),
            ),
            VENDOR_AT,
        )


async def test_detail_carries_event_counts() -> None:
    async with client_of(ScriptedVendor(sample("integration"))) as client:
        detail = await client.fetch_integration(REVENUECAT)

    assert detail.integration.stats == SyncStats(4821, 1204739, datetime(2023, 8, 1, tzinfo=UTC))
    assert detail.vendor_at == VENDOR_AT


async def test_a_sync_is_accepted() -> None:
    """The documented reply has the sync's ID and FloKit's clock."""
    async with client_of(ScriptedVendor(sample("sync"))) as client:
        accepted = await client.trigger_sync(REVENUECAT, idempotency_key="run-1")

    assert accepted == TriggerAccepted("sync_01hx4j7k9m2n3p5q6r8s", VENDOR_AT)


async def test_sync_request_is_as_documented() -> None:
    """A sync is a POST with the sync key, an idempotency key and no body."""
    vendor = ScriptedVendor(sample("sync"))
    async with client_of(vendor) as client:
        await client.trigger_sync(REVENUECAT, idempotency_key="run-1")

    (request,) = vendor.asked
    assert (request.method, str(request.url)) == (
        "POST",
        f"https://flokit.test/v1/integrations/{REVENUECAT}/sync",
    )
    assert request.headers["Authorization"] == f"Bearer {SYNC_KEY}"
    assert request.headers["Idempotency-Key"] == "run-1"
    assert request.content == b""


async def test_reads_use_the_read_key() -> None:
    """It can be read-only."""
    vendor = ScriptedVendor(sample("integrations"))
    async with client_of(vendor) as client:
        await client.fetch_integrations()

    assert vendor.asked[0].headers["Authorization"] == f"Bearer {LOOK_KEY}"


@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        ("unauthorized", 401, "FloKit refused the API key (401): Invalid or missing API key"),
        ("forbidden", 403, "FloKit refused the API key (403): This operation requires a read-write key"),
    ],
)
async def test_documented_refusals_of_a_key(name: str, status: int, sentence: str) -> None:
    """The error has FloKit's own words and the HTTP status."""
    async with client_of(ScriptedVendor(sample(name, status))) as client:
        with pytest.raises(FlokitDenied) as caught:
            await client.trigger_sync(REVENUECAT, idempotency_key="run-1")

    assert (str(caught.value), caught.value.http_status) == (sentence, status)


# --- tolerant parsing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"id": "a"}, Integration("a")),
        ({"id": "a", "type": None, "status": None, "last_synced_at": None}, Integration("a")),
        ({"id": "a", "type": "braze", "status": "paused", "more": 1}, Integration("a", "braze", "paused")),
        ({"id": "a", "type": 7, "status": ["x"], "error_message": {"no": "text"}}, Integration("a")),
        ({"id": "a", "status": "Error"}, Integration("a", status="error")),
        ({"id": "a", "status": " CONNECTED\n"}, Integration("a", status="connected")),
        ({"id": "a", "status": "SYNCING"}, Integration("a", status="syncing")),
        ({"id": "a", "status": "Degraded"}, Integration("a", status="Degraded")),
        ({"id": "a", "status": ""}, Integration("a")),
        ({"id": "a", "last_synced_at": "9999-99-99"}, Integration("a", unreadable_time="9999-99-99")),
        ({"id": "a", "error_message": "  "}, Integration("a")),
        ({"id": "a", "error_message": "bad\x00\ud800key"}, Integration("a", error_message="bad  key")),
        (
            {"id": "a", "error_message": "x" * 5000},
            Integration("a", error_message="x" * 3999 + "…"),
        ),
        ({"id": "a" * 200}, Integration("a" * 200)),
        ({"id": "a" * 201}, None),
        ({"id": 7}, None),
        ({"id": ""}, None),
        ({"id": "a\nb"}, None),
        ({"id": "\ud800"}, None),
        ({}, None),
        ("text", None),
        (None, None),
    ],
)
def test_missing_or_odd_fields_are_left_out(entry: object, expected: Integration | None) -> None:
    """Only an integration without a usable ID is dropped."""
    assert parse_integration(entry) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, 0),
        (12.0, 12),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (-1, None),
        (1.5, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        ("12", None),
        (None, None),
    ],
)
def test_event_counts(number: object, expected: int | None) -> None:
    """A count is a whole number that fits in the database, or unknown."""
    integration = parse_integration({"id": "a", "sync_stats": {"events_total": number}})

    assert integration is not None
    assert integration.stats == SyncStats(events_total=expected)


def ok(body: dict[str, object]) -> Reply:
    """Reply with a JSON body."""
    return Reply(200, httpx.Headers(), json.dumps(body).encode())


def test_the_first_of_two_integrations_with_one_id_counts() -> None:
    listing = parse_listing(ok({"integrations": [{"id": "a", "type": "x"}, {"id": "a", "type": "y"}]}))

    assert listing.integrations == (Integration("a", "x"),)


def test_an_empty_list_is_a_workspace_without_integrations() -> None:
    assert parse_listing(ok({"integrations": []})) == Listing(())


@pytest.mark.parametrize(
    "body", [{}, {"integrations": None}, {"integrations": {"a": 1}}, {"integrations": [{"id": 7}, None]}]
)
def test_an_unreadable_list_is_a_bad_reply(body: dict[str, object]) -> None:
    """It isn't an empty workspace."""
    with pytest.raises(FlokitBadReply):
        parse_listing(ok(body))


async def test_a_reply_about_another_integration_is_a_bad_reply() -> None:
    async with client_of(ScriptedVendor(sample("integration"))) as client:
        with pytest.raises(FlokitBadReply):
            await client.fetch_integration("int_other", patience_s=0)


# --- one reply → a value or a typed error ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (100, FlokitBadReply),
        (302, FlokitBadReply),
        (303, FlokitBadReply),
        (400, FlokitRefused),
        (401, FlokitDenied),
        (403, FlokitDenied),
        (404, FlokitMissing),
        (408, FlokitBadReply),
        (409, FlokitRefused),
        (422, FlokitRefused),
        (429, FlokitRateLimited),
        (500, FlokitBadReply),
        (503, FlokitBadReply),
        (599, FlokitBadReply),
    ],
)
def test_each_status_means_one_error(status: int, error: type[FlokitError]) -> None:
    """The HTTP status alone decides which error it is."""
    with pytest.raises(FlokitError) as caught:
        read_reply(Reply(status, httpx.Headers(), b"<html>"))

    assert type(caught.value) is error


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"ok"', b"<html>", b"\xff\xfe\xfa", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"],
)
def test_a_2xx_without_an_object_is_a_bad_reply(body: bytes) -> None:
    with pytest.raises(FlokitBadReply):
        parse_listing(Reply(200, httpx.Headers(), body))


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("2", 2.0),
        ("0", 1.0),
        ("0.001", 1.0),
        ("1.5", 1.5),
        ("Fri, 15 Mar 2024 13:05:37 GMT", 30.0),
        ("99999", 300.0),
        ("inf", 300.0),
        ("1e300", 300.0),
        ("9" * 4000, 300.0),
        (" 7 ", 7.0),
        ("1_0", 10.0),
        ("0x10", 10.0),
        ("-1e300", 10.0),
        ("Sat, 15 Mar 2025 13:05:07 GMT", 300.0),
        ("Fri, 15 Mar 2024 13:05:17", 10.0),
        ("-1", 10.0),
        ("nan", 10.0),
        ("soon", 10.0),
        ("", 10.0),
        ("Fri, 15 Mar 2024 13:00:00 GMT", 10.0),
        ("Fri, 15 Mar 99999999999999 13:00:00 GMT", 10.0),
    ],
)
def test_retry_after(retry_after: str, seconds: float) -> None:
    """It's seconds, or a date on FloKit's clock: from 1 to 300 s, and 10 s if it makes no sense."""
    with pytest.raises(FlokitRateLimited) as caught:
        read_reply(Reply(429, httpx.Headers({**DATE, "Retry-After": retry_after}), b""))

    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("retry_after", "words"),
    [
        ("30", "asked for a pause of 30 s."),
        ("300", "asked for a pause of 5 min."),
        ("301", "asked for a pause of 5 min 1 s; I'll ask again after 5 min."),
        ("86400", "asked for a pause of 24 h; I'll ask again after 5 min."),
        ("604800", "asked for a pause of 7 d; I'll ask again after 5 min."),
        ("1e300", "asked for a pause of over a year; I'll ask again after 5 min."),
        ("Sat, 16 Mar 2024 13:05:07 GMT", "asked for a pause of 24 h; I'll ask again after 5 min."),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_long_pause_is_named(status: int, retry_after: str, words: str) -> None:
    """The error says what FloKit asked for, and what the bot does instead."""
    with pytest.raises(FlokitUnreachable) as caught:
        read_reply(Reply(status, httpx.Headers({**DATE, "Retry-After": retry_after}), b""))

    assert str(caught.value).endswith(words)


def test_a_retry_after_date_without_a_date_header_uses_our_clock() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    with pytest.raises(FlokitRateLimited) as caught:
        read_reply(Reply(429, httpx.Headers({"Retry-After": in_a_minute}), b""))

    assert 50 < (caught.value.retry_after_s or 0) <= 60


def test_a_503_passes_on_its_retry_after() -> None:
    with pytest.raises(FlokitBadReply) as caught:
        read_reply(Reply(503, httpx.Headers({"Retry-After": "7"}), b""))

    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Fri, 15 Mar 2024 13:05:07 GMT", VENDOR_AT),
        ("Fri, 15 Mar 2024 15:05:07 +0200", VENDOR_AT),
        ("Fri, 15 Mar 2024 13:05:07 -0000", VENDOR_AT),
        ("now", None),
        ("", None),
    ],
)
def test_vendor_clock(date: str, expected: datetime | None) -> None:
    """It's the Date header in UTC, or unknown."""
    assert Reply(200, httpx.Headers({"Date": date}), b"{}").vendor_at == expected


def test_vendor_words_are_folded_and_clipped() -> None:
    """FloKit's words are kept apart from ours, on one line of 300 characters at most."""
    body = json.dumps({"message": "no\n\tway\x00" + "!" * 1000}).encode()

    with pytest.raises(FlokitRefused, match=r"^FloKit refused the request \(422\): no way !+…$") as caught:
        read_reply(Reply(422, httpx.Headers(), body))

    assert caught.value.sentence == "FloKit refused the request (422)."
    assert caught.value.vendor_words.startswith("no way !")
    assert len(caught.value.vendor_words) <= 300


async def test_repeated_key_is_struck_out() -> None:
    """An API key that FloKit repeats in its error doesn't reach the message."""
    vendor = ScriptedVendor(httpx.Response(401, json={"message": f"Unknown key {LOOK_KEY}"}))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitDenied) as caught:
            await client.fetch_integrations()

    assert str(caught.value) == "FloKit refused the API key (401): Unknown key [key]"


async def test_a_404_for_the_list_is_a_wrong_address() -> None:
    """It says nothing about any integration."""
    async with client_of(ScriptedVendor(httpx.Response(404))) as client:
        with pytest.raises(FlokitBadReply, match="FLOKIT_API_URL"):
            await client.fetch_integrations(patience_s=0)


async def test_a_404_for_one_integration_means_that_it_is_gone() -> None:
    """For a read and for a sync."""
    async with client_of(ScriptedVendor(httpx.Response(404))) as client:
        with pytest.raises(FlokitMissing):
            await client.fetch_integration("int_a")
        with pytest.raises(FlokitMissing):
            await client.trigger_sync("int_a", idempotency_key="run-1")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["https://elsewhere.test/", "http://flokit.test/v2", "//elsewhere.test", "", "%"])
async def test_redirect_is_not_followed(status: int, location: str) -> None:
    """The key isn't sent to where a redirect points, in a read or in a sync."""
    vendor = ScriptedVendor(httpx.Response(status, headers={"Location": location}))
    async with client_of(vendor) as client:
        with pytest.raises((FlokitBadReply, FlokitRefused)):
            await client.trigger_sync("int_a", idempotency_key="run-1")
        with pytest.raises(FlokitBadReply):
            await client.fetch_integration("int_a", patience_s=0)

    assert [request.url.host for request in vendor.asked] == ["flokit.test"] * 2


async def test_huge_body_is_not_read_on() -> None:
    """A body is read up to the cap."""
    chunks_read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal chunks_read
        while True:
            chunks_read += 1
            yield b"[" * 1024 * 1024

    async with client_of(lambda _: httpx.Response(200, content=endless())) as client:
        with pytest.raises(FlokitBadReply):
            await client.fetch_integrations(patience_s=0)

    assert chunks_read * 1024 * 1024 <= MAX_BODY_BYTES + 1024 * 1024


@pytest.mark.parametrize(
    ("body", "sync_id"),
    [({}, None), ({"status": "ok", "sync_id": 7}, None), ({"status": "queued", "sync_id": "s1"}, "s1")],
)
async def test_any_object_accepts_a_sync(body: dict[str, object], sync_id: str | None) -> None:
    """A 2xx with any JSON object means accepted, with or without a usable sync ID."""
    async with client_of(ScriptedVendor(httpx.Response(202, json=body))) as client:
        assert (await client.trigger_sync("int_a", idempotency_key="run-1")).sync_id == sync_id


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"ok"', b"null", b"7", b"\xff\xfe", b"{", b"[" * 100_000])
async def test_any_2xx_accepts_a_sync(status: int, body: bytes) -> None:
    async with client_of(ScriptedVendor(httpx.Response(status, headers=DATE, content=body))) as client:
        assert await client.trigger_sync("int_a", idempotency_key="run-1") == TriggerAccepted(None, VENDOR_AT)


async def test_a_2xx_whose_body_breaks_off_accepts_a_sync() -> None:
    """The sync was accepted once the status arrived; a read that breaks off returns nothing."""

    async def broken() -> AsyncIterator[bytes]:
        yield b'{"sta'
        raise httpx.ReadError("x")

    async with client_of(lambda _: httpx.Response(200, content=broken())) as client:
        assert (await client.trigger_sync("int_a", idempotency_key="run-1")).sync_id is None
        with pytest.raises(FlokitNoReply):
            await client.fetch_integrations(patience_s=0)


async def test_a_2xx_whose_body_never_ends_accepts_a_sync() -> None:
    """A body that takes too long changes nothing."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with client_of(lambda _: httpx.Response(202, content=endless()), timeout_s=0.05) as client:
        assert (await client.trigger_sync("int_a", idempotency_key="run-1")).sync_id is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirected_sync_was_not_started(status: int) -> None:
    """The POST belongs to another address, so nothing began; the error names the setting."""
    vendor = ScriptedVendor(httpx.Response(status, headers={"Location": "/login"}))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitRefused, match="FLOKIT_API_URL") as caught:
            await client.trigger_sync("int_a", idempotency_key="run-1")
    assert caught.value.http_status == status
    assert caught.value.vendor_words == ""
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("status", [100, 303, 304, 500])
async def test_other_statuses_leave_open_whether_a_sync_began(status: int) -> None:
    """They are neither a 2xx nor a refusal."""
    async with client_of(ScriptedVendor(httpx.Response(status))) as client:
        with pytest.raises(FlokitBadReply):
            await client.trigger_sync("int_a", idempotency_key="run-1")


# --- the network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("x"), FlokitNotSent),
        (httpx.ConnectTimeout("x"), FlokitNotSent),
        (httpx.PoolTimeout("x"), FlokitNotSent),
        (httpx.ProxyError("x"), FlokitNotSent),
        (httpx.UnsupportedProtocol("x"), FlokitNotSent),
        (httpx.InvalidURL("x"), FlokitNotSent),
        (httpx.ReadTimeout("x"), FlokitNoReply),
        (httpx.WriteTimeout("x"), FlokitNoReply),
        (httpx.ReadError("x"), FlokitNoReply),
        (httpx.WriteError("x"), FlokitNoReply),
        (httpx.CloseError("x"), FlokitNoReply),
        (httpx.LocalProtocolError("x"), FlokitNoReply),
        (httpx.RemoteProtocolError("x"), FlokitNoReply),
        (httpx.DecodingError("x"), FlokitNoReply),
        (httpx.TooManyRedirects("x"), FlokitNoReply),
        (ConnectionResetError("x"), FlokitNoReply),
    ],
)
async def test_network_failures(error: Exception, expected: type[FlokitError]) -> None:
    """Only a failure before the connection was made means that nothing was sent."""
    async with client_of(ScriptedVendor(error)) as client:
        with pytest.raises(FlokitUnreachable) as caught:
            await client.trigger_sync("int_a", idempotency_key="run-1")

    assert type(caught.value) is expected
    assert caught.value.__cause__ is error


def packed(body: bytes, *codings: str) -> bytes:
    """Compress a body with each encoding in turn."""
    for coding in codings:
        wbits = {"gzip": 31, "deflate": 15, "raw": -15}[coding]
        packer = zlib.compressobj(9, wbits=wbits)
        body = packer.compress(body) + packer.flush()
    return body


def sends(body: bytes, encoding: str, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
    """Return a vendor whose body arrives in pieces, so that httpx doesn't decode it before the client sees it."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 4096):
            yield body[start : start + 4096]

    return lambda _: httpx.Response(status, headers={"Content-Encoding": encoding}, content=pieces())


async def test_the_client_asks_for_uncompressed_bodies() -> None:
    vendor = ScriptedVendor(sample("integrations"))
    async with client_of(vendor) as client:
        await client.fetch_integrations()

    assert vendor.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("encoding", "codings"),
    [
        ("gzip", ("gzip",)),
        ("x-gzip", ("gzip",)),
        (" GZip ", ("gzip",)),
        ("deflate", ("deflate",)),
        ("deflate", ("raw",)),
        ("identity", ()),
        ("identity, gzip", ("gzip",)),
    ],
)
async def test_one_layer_of_compression_is_decoded(encoding: str, codings: tuple[str, ...]) -> None:
    """Some servers compress without being asked to."""
    body = (SAMPLES / "integrations.json").read_bytes()
    async with client_of(sends(packed(body, *codings), encoding)) as client:
        assert len((await client.fetch_integrations(patience_s=0)).integrations) == 2


BOMB = b'{"integrations": [' + b" " * (4 * MAX_BODY_BYTES) + b"]}"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", packed(BOMB, "gzip")),
        ("deflate", packed(BOMB, "deflate")),
        ("deflate", packed(BOMB, "raw")),
        ("gzip, gzip", packed(BOMB, "gzip", "gzip")),
        ("gzip,deflate,gzip", packed(BOMB, "gzip", "deflate", "gzip")),
        ("br", b"\x1b\x00"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("compress", b"x"),
        ("sausage", b"{}"),
        ("gzip", b"not gzip"),
        ("gzip", packed(b"{}", "gzip")[:-5]),
        ("gzip", packed(b"{}", "gzip") * 2),
        ("gzip", b""),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
async def test_a_body_that_decodes_to_more_than_the_cap_is_a_bad_reply(encoding: str, body: bytes) -> None:
    """Decoding takes no more memory than a body may have."""
    async with client_of(sends(body, encoding)) as client:
        tracemalloc.start()
        with pytest.raises(FlokitBadReply, match=r"^FloKit sent a reply that can't be read\.$"):
            await client.fetch_integrations(patience_s=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 4 * MAX_BODY_BYTES


async def test_a_status_counts_whatever_its_body_is() -> None:
    """An error status counts even if its body can't be read."""
    async with client_of(sends(b"x", "br", 404)) as client:
        with pytest.raises(FlokitMissing):
            await client.fetch_integration("int_a")


async def test_a_timeout_leaves_open_whether_the_request_was_processed() -> None:
    vendor = BlockingVendor(sample("sync"))
    async with client_of(vendor, timeout_s=0.02) as client:
        with pytest.raises(FlokitNoReply, match=r"^FloKit didn't respond within 0\.02 s\.$"):
            await client.trigger_sync("int_a", idempotency_key="run-1")


async def test_a_closed_client_sends_nothing_and_says_so() -> None:
    async with client_of(ScriptedVendor(sample("sync"))) as client:
        await client.aclose()
        with pytest.raises(FlokitNotSent):
            await client.trigger_sync("int_a", idempotency_key="run-1")


# --- ids and keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("integration_id", "path"),
    [
        ("int_01", "/v1/integrations/int_01"),
        ("../admin", "/v1/integrations/..%2Fadmin"),
        ("a?b#c", "/v1/integrations/a%3Fb%23c"),
        ("50%25", "/v1/integrations/50%2525"),
        ("ä b", "/v1/integrations/%C3%A4%20b"),
    ],
)
async def test_ids_stay_one_segment(integration_id: str, path: str) -> None:
    """Whatever an ID contains, it's one segment of the path."""
    vendor = ScriptedVendor(httpx.Response(404))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitMissing):
            await client.fetch_integration(integration_id)

    assert vendor.asked[0].url.raw_path == path.encode()


@pytest.mark.parametrize("integration_id", ["", ".", "..", "a\nb", "\ud800", "x" * 201])
async def test_impossible_ids_are_not_asked_for(integration_id: str) -> None:
    """No integration can have such an ID, so no request is sent."""
    vendor = ScriptedVendor(sample("integration"))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitMissing):
            await client.fetch_integration(integration_id)
        with pytest.raises(FlokitMissing):
            await client.trigger_sync(integration_id, idempotency_key="run-1")

    assert vendor.asked == []


@pytest.mark.parametrize("key", ["secret\n", "se cret", "sécret"])
def test_keys_that_no_header_can_carry_are_refused(key: str) -> None:
    """When the client is created, without repeating the key."""
    with pytest.raises(ValueError, match="API key") as caught:
        FlokitClient(Endpoint("https://flokit.test", key, "fine"))

    assert "cret" not in str(caught.value)


async def test_clients_share_their_trusted_certificates() -> None:
    """Loading them takes almost a megabyte; a second client takes a few kilobytes."""
    contexts = set()
    for _ in range(2):
        client = FlokitClient(Endpoint("https://flokit.test", LOOK_KEY, SYNC_KEY))
        contexts.add(client._http._http._transport._pool._ssl_context)  # type: ignore[attr-defined]
        await client.aclose()
    assert len(contexts) == 1


async def test_check_reads_with_each_key() -> None:
    """The key check lists integrations once with each key, and never posts."""
    vendor = ScriptedVendor(sample("integrations"))
    async with client_of(vendor) as client:
        check = await client.check_keys()

    assert [(r.method, r.headers["Authorization"]) for r in vendor.asked] == [
        ("GET", f"Bearer {LOOK_KEY}"),
        ("GET", f"Bearer {SYNC_KEY}"),
    ]
    assert (check.distinct, check.same_workspace) == (True, True)


async def test_one_key_for_both_purposes_is_checked_once() -> None:
    vendor = ScriptedVendor(sample("integrations"))
    async with client_of(vendor, sync_key=LOOK_KEY) as client:
        check = await client.check_keys()

    assert (check.distinct, check.look is check.sync, len(vendor.asked)) == (False, True, 1)


async def test_check_reports_which_key_is_refused() -> None:
    """A rejected sync key is found without starting a sync."""
    vendor = ScriptedVendor(sample("integrations"), sample("unauthorized", 401))
    async with client_of(vendor) as client:
        check = await client.check_keys()

    assert isinstance(check.look, Listing)
    assert isinstance(check.sync, FlokitDenied)
    assert check.same_workspace is None


async def test_check_finds_keys_of_two_workspaces() -> None:
    """They list entirely different integrations."""
    other = httpx.Response(200, json={"integrations": [{"id": "int_other"}]})
    async with client_of(ScriptedVendor(sample("integrations"), other)) as client:
        assert (await client.check_keys()).same_workspace is False


# --- shared reads ------------------------------------------------------------------------------------------------


async def test_list_is_cached() -> None:
    """A list is reused for 3 s."""
    vendor, clock = ScriptedVendor(sample("integrations")), Clock()
    async with client_of(vendor, clock=clock) as client:
        first = await client.fetch_integrations()
        clock.now += 2.9
        assert await client.fetch_integrations() is first
        clock.now += 0.2
        await client.fetch_integrations()

    assert len(vendor.asked) == 2


async def test_a_list_has_a_maximum_age() -> None:
    """A caller that accepts one second gets no list requested earlier than that."""
    vendor, clock = ScriptedVendor(sample("integrations")), Clock()
    async with client_of(vendor, clock=clock) as client:
        first = await client.fetch_integrations()
        clock.now += 0.9
        assert await client.fetch_integrations(max_age_s=SHARED_WITHIN_S) is first
        clock.now += 0.2
        await client.fetch_integrations(max_age_s=SHARED_WITHIN_S)

    assert len(vendor.asked) == 2


async def test_a_reply_about_one_integration_is_reused_for_one_second() -> None:
    vendor, clock = ScriptedVendor(sample("integration")), Clock()
    async with client_of(vendor, clock=clock) as client:
        await client.fetch_integration(REVENUECAT)
        clock.now += 0.9
        await client.fetch_integration(REVENUECAT)
        clock.now += 0.2
        await client.fetch_integration(REVENUECAT)

    assert len(vendor.asked) == 2


async def test_a_baseline_is_never_shared() -> None:
    """A read that must be newer than its question is a new request, even if another is in flight."""
    vendor = ScriptedVendor(sample("integration"))
    async with client_of(vendor) as client, asyncio.TaskGroup() as group:
        group.create_task(client.fetch_integration(REVENUECAT))
        group.create_task(client.fetch_integration(REVENUECAT, max_age_s=0))

    assert len(vendor.asked) == 2


async def test_concurrent_fetches_share_one_request() -> None:
    """Even callers that accept no cached reply share it."""
    vendor = BlockingVendor(sample("integrations"))
    async with client_of(vendor) as client, asyncio.TaskGroup() as group:
        looks = [
            group.create_task(client.fetch_integrations(max_age_s=SHARED_WITHIN_S if n % 2 else None))
            for n in range(10)
        ]
        await vendor.came.wait()
        vendor.go.set()

    assert len({id(look.result()) for look in looks}) == 1
    assert len(vendor.asked) == 1


async def test_a_canceled_caller_does_not_cancel_a_shared_read() -> None:
    vendor = BlockingVendor(sample("integrations"))
    async with client_of(vendor) as client:
        impatient = asyncio.create_task(client.fetch_integrations())
        patient = asyncio.create_task(client.fetch_integrations())
        await vendor.came.wait()
        impatient.cancel()
        vendor.go.set()
        listing = await patient

    assert impatient.cancelled()
    assert len(listing.integrations) == 2


async def test_a_failed_read_is_not_cached() -> None:
    vendor = ScriptedVendor(httpx.Response(500), sample("integrations"))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitBadReply):
            await client.fetch_integrations(patience_s=0)
        assert len((await client.fetch_integrations(patience_s=0)).integrations) == 2


async def test_starting_a_sync_invalidates_earlier_replies() -> None:
    vendor = ScriptedVendor(
        sample("integrations"), sample("integration"), sample("sync"), sample("integrations"), sample("integration")
    )
    async with client_of(vendor) as client:
        await client.fetch_integrations()
        await client.fetch_integration(REVENUECAT)
        await client.trigger_sync(REVENUECAT, idempotency_key="run-1")
        await client.fetch_integrations()
        await client.fetch_integration(REVENUECAT)

    assert [request.method for request in vendor.asked] == ["GET", "GET", "POST", "GET", "GET"]


async def test_a_read_begun_before_a_sync_is_not_shared_after_it() -> None:
    """It's finished for those who wait for it, and not cached."""
    vendor = BlockingVendor(sample("integrations"))
    async with client_of(vendor) as client:
        before = asyncio.create_task(client.fetch_integrations())
        await vendor.came.wait()
        vendor.go.set()
        await client.trigger_sync(REVENUECAT, idempotency_key="run-1")
        await before
        await client.fetch_integrations(max_age_s=SHARED_WITHIN_S)

    assert [request.method for request in vendor.asked] == ["GET", "POST", "GET"]


async def test_closing_cancels_requests_in_flight() -> None:
    vendor = BlockingVendor(sample("integrations"))
    async with client_of(vendor) as client:
        look = asyncio.create_task(client.fetch_integrations())
        await vendor.came.wait()

    with pytest.raises(asyncio.CancelledError):
        await look
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- retries -----------------------------------------------------------------------------------------------------


async def test_a_click_survives_two_failures() -> None:
    vendor = ScriptedVendor(httpx.Response(500), httpx.ReadError("x"), sample("integrations"))
    async with client_of(vendor) as client:
        assert len((await client.fetch_integrations()).integrations) == 2


async def test_a_click_fails_with_the_third_failure() -> None:
    vendor = ScriptedVendor(httpx.Response(500))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitBadReply):
            await client.fetch_integrations()

    assert len(vendor.asked) == 3


@pytest.mark.parametrize("priority", [Priority.FOLLOW_UP, Priority.BACKGROUND])
async def test_follow_ups_are_not_retried(priority: Priority) -> None:
    """Their next check is the retry."""
    vendor = ScriptedVendor(httpx.Response(500))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitBadReply):
            await client.fetch_integrations(priority=priority)

    assert len(vendor.asked) == 1


@pytest.mark.parametrize("status", [401, 404, 422])
async def test_refusals_are_not_retried(status: int) -> None:
    """Retrying can't help."""
    vendor = ScriptedVendor(httpx.Response(status))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitError):
            await client.fetch_integration("int_a")

    assert len(vendor.asked) == 1


async def test_a_pause_longer_than_a_person_waits_is_reported() -> None:
    """It's an error at once; nothing waits for its end."""
    vendor = ScriptedVendor(httpx.Response(429, headers={"Retry-After": "30"}))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitRateLimited):
            await client.fetch_integrations()

    assert len(vendor.asked) == 1


async def test_a_sync_is_never_sent_twice() -> None:
    """Whatever the reply is."""
    vendor = ScriptedVendor(httpx.ConnectError("x"))
    async with client_of(vendor) as client:
        with pytest.raises(FlokitNotSent):
            await client.trigger_sync("int_a", idempotency_key="run-1")

    assert len(vendor.asked) == 1


# --- the budget --------------------------------------------------------------------------------------------------


async def test_a_slot_that_is_too_old_is_taken_again() -> None:
    """A process that froze after taking its slot doesn't use it: FloKit would count 101 requests in a minute."""

    class SlowBudget(LocalBudget):
        taken = 0

        async def take(self, priority: Priority) -> None:
            await super().take(priority)
            self.taken += 1
            clock.now += 30 if self.taken == 1 else 0.1

    clock = Clock()
    budget = SlowBudget(clock=clock)
    async with client_of(ScriptedVendor(sample("integrations")), clock=clock, budget=budget) as client:
        await client.fetch_integrations()
    assert budget.taken == 2


async def test_a_slot_that_aged_while_connecting_is_taken_again() -> None:
    """What counts is when the request is written: a process can freeze between the budget and the socket."""

    class FrozenTransport(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            clock.now += 30
            return await super().handle_async_request(request)

    clock, flokit = Clock(), LocalFlokit()
    await flokit.start()
    endpoint = Endpoint(flokit.url, READ_KEY, WRITE_KEY, transport=FrozenTransport())
    client = FlokitClient(endpoint, clock=clock)
    try:
        await client.fetch_integrations()
        assert await client.budget.left() == 98
        clock.now += 31
        assert await client.budget.left() == 99  # the first slot is free again, the second isn't
        clock.now += 30
        assert await client.budget.left() == 100
    finally:
        await client.aclose()
        await flokit.stop()


async def test_a_budget_that_is_spent_when_the_request_is_written_stops_it() -> None:
    """If no slot is free in place of the expired one, nothing reaches FloKit, and the sync can be sent again."""

    class FrozenTransport(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            clock.now += 2
            return await super().handle_async_request(request)

    clock, flokit = Clock(), LocalFlokit()
    await flokit.start()
    endpoint = Endpoint(flokit.url, READ_KEY, WRITE_KEY, transport=FrozenTransport())
    client = FlokitClient(endpoint, budget=LocalBudget(1, clock=clock), clock=clock)
    try:
        with pytest.raises(FlokitBudgetSpent):
            await client.trigger_sync("int_a", idempotency_key="run-1")
        assert flokit.requests == []
    finally:
        await client.aclose()
        await flokit.stop()


async def wait_30_s(clock: Clock, _: httpx.Request) -> httpx.Response:
    """Answer after half a minute."""
    clock.now += 30
    return sample("integrations")


async def lose_after_30_s(clock: Clock, _: httpx.Request) -> httpx.Response:
    """Release the request after half a minute."""
    clock.now += 30
    raise httpx.ReadTimeout("x")


@pytest.mark.parametrize("answer", [wait_30_s, lose_after_30_s])
async def test_a_slow_request_keeps_its_slot_for_a_minute_after_its_end(answer: Callable[..., Any]) -> None:
    """FloKit may have received it at any time until then, so its minute counts from there."""
    clock = Clock()
    async with client_of(partial(answer, clock), clock=clock) as client:
        with suppress(FlokitNoReply):
            await client.fetch_integrations(priority=Priority.FOLLOW_UP)
        clock.now += 60
        assert await client.budget.left() == 99
        clock.now += 1
        assert await client.budget.left() == 100


async def test_a_reply_counts_although_its_slot_cannot_be_renewed() -> None:
    """The database may go away while FloKit answers."""

    class LostBudget(LocalBudget):
        async def renew(self, slot: int) -> None:
            raise StoreUnavailable("away")

    clock = Clock()
    budget = LostBudget(clock=clock)
    async with client_of(partial(wait_30_s, clock), clock=clock, budget=budget) as client:
        assert len((await client.fetch_integrations()).integrations) == 2


async def test_a_429_pauses_all_requests() -> None:
    """Nothing is sent until its time has passed, not even a sync."""
    vendor, clock = ScriptedVendor(httpx.Response(429, headers={"Retry-After": "30"}), sample("sync")), Clock()
    async with client_of(vendor, clock=clock) as client:
        with pytest.raises(FlokitRateLimited):
            await client.fetch_integrations(priority=Priority.FOLLOW_UP)
        with pytest.raises(FlokitRateLimited):
            await client.trigger_sync("int_a", idempotency_key="run-1")
        clock.now += 30
        await client.trigger_sync("int_a", idempotency_key="run-1")

    assert [request.method for request in vendor.asked] == ["GET", "POST"]


async def test_shared_fetches_cost_one_request() -> None:
    """They're charged to the budget once."""
    async with client_of(ScriptedVendor(sample("integrations"))) as client:
        for _ in range(5):
            await client.fetch_integrations()

        assert await client.budget.left() == 99


# --- any reply at all --------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("int_a") | st.text() | JSON,
        "type": st.text() | JSON,
        "status": st.sampled_from(["connected", "error"]) | JSON,
        "last_synced_at": st.datetimes().map(datetime.isoformat) | st.text() | JSON,
        "error_message": st.text() | JSON,
        "sync_stats": st.dictionaries(st.sampled_from(["events_total", "events_last_24h", "earliest_event_at"]), JSON),
    },
)
BODY = st.binary() | st.one_of(
    JSON,
    st.fixed_dictionaries({"integrations": st.lists(ENTRY | JSON)}),
    st.fixed_dictionaries({"integration": ENTRY | JSON}),
    st.fixed_dictionaries({"sync_id": JSON}),
    st.fixed_dictionaries({"message": JSON}),
).map(lambda value: json.dumps(value).encode())
HEADER = st.binary(max_size=40) | st.text("0123456789 :,-+GMTFriMar", max_size=40).map(str.encode)


def texts_of(value: Listing | Detail | TriggerAccepted) -> list[str]:
    """Return all text that came from FloKit."""
    match value:
        case Listing(integrations):
            pass
        case Detail(integration):
            integrations = (integration,)
        case TriggerAccepted(sync_id):
            return [sync_id or ""]
    return [text or "" for i in integrations for text in (i.id, i.type, i.status, i.error_message)]


@settings(max_examples=150, deadline=None)
@given(
    status=st.sampled_from([200, 202, 204, 302, 400, 401, 404, 429, 500]) | st.integers(100, 999),
    body=BODY,
    headers=st.dictionaries(st.sampled_from([b"Date", b"Retry-After", b"Location", b"Content-Type"]), HEADER),
)
async def test_any_reply_is_a_value_or_a_flokit_error(status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
    """Any status, headers and body; the value can be stored."""

    def vendor(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=list(headers.items()), content=body)

    async with client_of(vendor) as client:
        for call in (
            client.fetch_integrations(patience_s=0),
            client.fetch_integration("int_a", patience_s=0),
            client.trigger_sync("int_a", idempotency_key="run-1"),
        ):
            try:
                texts = texts_of(await call)
            except FlokitError as error:
                texts = [str(error)]
                assert len(texts[0]) < 400
            for text in texts:
                text.encode()
                assert "\x00" not in text


# --- over a real socket ------------------------------------------------------------------------------------------


@asynccontextmanager
async def local_flokit(
    sync_key: str = WRITE_KEY, timeout_s: float = 8.0
) -> AsyncIterator[tuple[LocalFlokit, FlokitClient]]:
    """A local FloKit with one integration, and a client connected to it over a real socket."""
    flokit = LocalFlokit()
    flokit.add("int_a", "stripe", status="error", error_message="bad secret")
    await flokit.start()
    client = FlokitClient(Endpoint(flokit.url, READ_KEY, sync_key, timeout_s))
    try:
        yield flokit, client
    finally:
        await client.aclose()
        await flokit.stop()


async def test_sync_over_a_socket() -> None:
    """A sync over a real connection begins, and the next read shows it."""
    async with local_flokit() as (flokit, client):
        flokit.plan("int_a", Plan(start_lag_s=0, ending="stuck"))
        before = await client.fetch_integration("int_a")
        await client.trigger_sync("int_a", idempotency_key="run-1")
        after = await client.fetch_integration("int_a")

        assert (before.integration.status, after.integration.status) == ("error", "syncing")
        assert after.vendor_at is not None
        assert [post.idempotency_key for post in flokit.posts("int_a")] == ["run-1"]


@pytest.mark.parametrize("integration_id", ["a/b", "../int_a", "50%", "ä b?c#d"])
async def test_awkward_ids_over_a_socket(integration_id: str) -> None:
    """An unusual ID reaches FloKit unchanged."""
    async with local_flokit() as (flokit, client):
        flokit.add(integration_id, "stripe")

        assert (await client.fetch_integration(integration_id)).integration.id == integration_id


async def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    async with local_flokit() as (flokit, client):
        await flokit.stop()
        with pytest.raises(FlokitNotSent):
            await client.trigger_sync("int_a", idempotency_key="run-1")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("drop"), FlokitNoReply),
        (Fault("done_then_drop"), FlokitNoReply),
        (Fault("hang"), FlokitNoReply),
        (Fault("slow", delay_s=30), FlokitNoReply),
        (Fault("http_500"), FlokitBadReply),
        (Fault("http_status", status=409), FlokitRefused),
        (Fault("ratelimited"), FlokitRateLimited),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_faults_over_a_socket(fault: Fault, error: type[FlokitError]) -> None:
    """Each fault of a real connection becomes the error that says whether a sync may have begun."""
    async with local_flokit(timeout_s=0.1) as (flokit, client):
        flokit.faults.add(fault)
        with pytest.raises(error):
            await client.trigger_sync("int_a", idempotency_key="run-1")

        assert len(flokit.posts("int_a")) == 1


@pytest.mark.parametrize("kind", ["garbage", "truncated"])
async def test_an_acceptance_without_a_body_over_a_socket(kind: FaultKind) -> None:
    """A 200 that's garbage or breaks off accepts a sync; as a read it's a bad reply."""
    async with local_flokit() as (flokit, client):
        flokit.faults.add(Fault(kind, times=2))
        assert (await client.trigger_sync("int_a", idempotency_key="run-1")).sync_id is None
        with pytest.raises(FlokitUnreachable):
            await client.fetch_integration("int_a", patience_s=0)


async def test_an_unreadable_time_is_logged_once(everything_logged: Callable[[], str]) -> None:
    """The log has its shape, once per integration, and never its text."""
    entry = {"id": "int_a", "last_synced_at": "Ides of March 44"}
    replies = [httpx.Response(200, json={"integrations": [entry]}), httpx.Response(200, json={"integration": entry})]
    async with client_of(ScriptedVendor(*replies)) as client:
        await client.fetch_integrations()
        await client.fetch_integration("int_a")

    assert everything_logged().count("time_not_readable") == 1
    assert "aaaa aa aaaaa 99" in everything_logged()
    assert "Ides" not in everything_logged()


async def test_read_only_key_over_a_socket() -> None:
    """A read-only key can read, and can't sync."""
    async with local_flokit(sync_key=READ_KEY) as (_, client):
        await client.fetch_integrations()
        with pytest.raises(FlokitDenied, match="requires a read-write key"):
            await client.trigger_sync("int_a", idempotency_key="run-1")


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Return all log lines so far, of every level."""
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as entries:
        yield lambda: caplog.text + repr(entries)


async def test_logs_carry_no_key(everything_logged: Callable[[], str]) -> None:
    """At DEBUG, a call is logged with its path and status, and without the key."""
    async with local_flokit() as (flokit, client):
        await client.trigger_sync("int_a", idempotency_key="run-1")
        flokit.keys.clear()
        with pytest.raises(FlokitDenied):
            await client.fetch_integrations()

    assert "/v1/integrations/int_a/sync" in everything_logged()
    assert READ_KEY not in everything_logged()
    assert WRITE_KEY not in everything_logged()
