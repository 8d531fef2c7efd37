"""FloKit's webhooks: those that prove the secret are hints; all others do no harm."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import RequestRefused
from bot.flokit import webhooks
from bot.flokit.webhooks import (
    DUPLICATES_KEPT,
    DUPLICATES_KEPT_S,
    MOST_KEYS,
    MOST_SIGNATURES,
    Hint,
    WebhookReceiver,
    WebhookRules,
    make_receiver,
    parse_delivery,
)
from bot.ops.health import Running
from bot.ops.web import MAX_WEBHOOK_BYTES, WEBHOOK_PATH, WebLimits, WebServer
from bot.settings.settings import Settings

SECRET = "a/secret+of=16chars%or&more"
OTHER = "b" * len(SECRET)
SIGNATURE, TIMESTAMP = "X-FloKit-Signature", "X-FloKit-Timestamp"
RULES = WebhookRules(SECRET.encode(), SIGNATURE)
TIMED = WebhookRules(SECRET.encode(), SIGNATURE, TIMESTAMP)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNIX = str(int(NOW.timestamp()))
BODY = b'{"type": "integration.error", "integration_id": "int_1"}'
PROOF = {"X-Webhook-Secret": SECRET}


def digest(message=BODY, secret=SECRET):
    """Sign as a sender would."""
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


HEX = digest().hex()
BASE64 = base64.b64encode(digest()).decode()
WRONG_HEX = digest(secret=OTHER).hex()
WRONG_BASE64 = base64.b64encode(digest(secret=OTHER)).decode()


def verify(headers=None, *, rules=RULES, body=BODY, path="", now=NOW):
    """Verify one delivery."""
    pairs = headers if isinstance(headers, list) else list((headers or {}).items())
    return parse_delivery(rules, pairs, body, path_secret=path, now=now)


def refusal(*args, **kwargs):
    """Return the sentence with which a delivery is refused."""
    with pytest.raises(RequestRefused) as refused:
        verify(*args, **kwargs)
    assert refused.value.http_status == 401
    assert SECRET not in str(refused.value)
    return str(refused.value)


# --- what is accepted, and what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {SIGNATURE: HEX},
        {SIGNATURE: HEX.upper()},
        {SIGNATURE: f"sha256={HEX}"},
        {SIGNATURE: f"SHA256={HEX}"},
        {SIGNATURE: f"v0={HEX}"},
        {SIGNATURE: f"v1={HEX}"},
        {SIGNATURE: BASE64},
        {SIGNATURE: f"sha256={BASE64}"},
        {SIGNATURE: f"  {HEX}  "},
        {SIGNATURE: f"{WRONG_HEX}, v1={HEX}"},
        {SIGNATURE: f"t=1772366400,v0={WRONG_HEX},v1={HEX}"},
        {SIGNATURE.lower(): HEX},
        {SIGNATURE.upper(): HEX},
        [(SIGNATURE, WRONG_HEX), (SIGNATURE, HEX)],
        {SIGNATURE: HEX, "X-Webhook-Secret": OTHER, "Authorization": f"Bearer {OTHER}"},
        {"Authorization": f"Bearer {SECRET}"},
        {"authorization": f"bearer  {SECRET} "},
        {"X-Webhook-Secret": SECRET},
        {"X-WEBHOOK-SECRET": f" {SECRET}"},
        {"X-Webhook-Secret": SECRET, "Authorization": "Basic of-a-proxy"},
        {"X-Webhook-Secret": OTHER, "Authorization": f"Bearer {SECRET}"},
    ],
)
def test_a_signature_or_the_secret_is_accepted(headers):
    """In one of the documented headers."""
    assert verify(headers).is_known_shape


def test_the_secret_in_the_path_is_accepted():
    """For senders that can only set an address."""
    assert verify(path=SECRET).is_known_shape


@pytest.mark.parametrize(
    "headers",
    [
        {SIGNATURE: WRONG_HEX},
        {SIGNATURE: WRONG_BASE64},
        {SIGNATURE: ""},
        {SIGNATURE: HEX[:-1]},
        {SIGNATURE: HEX + "0"},
        {SIGNATURE: BASE64.rstrip("=")},
        {SIGNATURE: f"sha512={HEX}"},
        {SIGNATURE: f"sha256=v1={HEX}"},
        {SIGNATURE: f"{HEX[:32]}v1={HEX[32:]}"},
        {SIGNATURE: digest(BODY + b" ").hex()},
        {SIGNATURE: digest(b"").hex()},
        {SIGNATURE: SECRET},
        {SIGNATURE: "ß" * 64},
        {SIGNATURE: "\udcff" * 44},
        {SIGNATURE: ","},
        {SIGNATURE: ",".join([WRONG_HEX] * MOST_SIGNATURES + [HEX])},
        {SIGNATURE: ",".join(["x"] * 4000)},
        {SIGNATURE: WRONG_HEX, "Authorization": f"Bearer {SECRET}"},
        {SIGNATURE: "", "X-Webhook-Secret": SECRET},
    ],
)
def test_a_wrong_signature_is_refused_whatever_else_is_there(headers):
    """If there's a signature, it must match and be among the first; the secret beside it doesn't help."""
    sentence = "The signature in X-FloKit-Signature doesn't match the body."
    assert refusal(headers) == sentence
    assert refusal(headers, path=SECRET) == sentence


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": SECRET},
        {"Authorization": f"Basic {SECRET}"},
        {"X-Webhook-Secret": ""},
        {"X-Hub-Signature-256": f"sha256={HEX}"},
        {"Cookie": f"secret={SECRET}"},
    ],
)
def test_a_delivery_without_proof_is_refused(headers):
    """The sentence lists the documented places for it."""
    sentence = refusal(headers)
    assert sentence.startswith("The delivery isn't authenticated: ")
    assert SIGNATURE in sentence


@pytest.mark.parametrize("wrong", [OTHER, SECRET[:-1], f"{SECRET}x", SECRET.upper(), HEX, "ß", "\udcff"])
def test_a_wrong_secret_is_refused(wrong):
    """Wherever it is, and however close."""
    for headers in ({"Authorization": f"Bearer {wrong}"}, {"X-Webhook-Secret": wrong}):
        assert refusal(headers) == "The secret is wrong."
    assert refusal(path=wrong) == "The secret is wrong."


def test_a_secret_given_twice_is_refused():
    """Two headers of one name are one list, which isn't the secret."""
    assert refusal([("X-Webhook-Secret", SECRET), ("X-Webhook-Secret", SECRET)]) == "The secret is wrong."


def test_another_header_can_carry_the_signature():
    """The default header then means nothing."""
    rules = WebhookRules(SECRET.encode(), "X-Hub-Signature-256")
    assert verify({"X-Hub-Signature-256": f"sha256={HEX}", SIGNATURE: WRONG_HEX}, rules=rules)
    assert refusal({SIGNATURE: HEX}, rules=rules).startswith("The delivery isn't authenticated: ")


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "timestamp",
    [
        UNIX,
        f"{UNIX}.25",
        f"{UNIX}000",
        f" {UNIX} ",
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00.123+00:00",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01 12:00:00",
        str(int(UNIX) - 300),
        str(int(UNIX) + 300),
    ],
)
def test_a_time_within_five_minutes_is_accepted(timestamp):
    """In Unix seconds or milliseconds, or ISO 8601."""
    assert verify({**PROOF, TIMESTAMP: timestamp}, rules=TIMED)


@pytest.mark.parametrize(
    ("timestamp", "sentence"),
    [
        (None, "X-FloKit-Timestamp is missing: a delivery must say when it was sent."),
        (str(int(UNIX) - 301), "X-FloKit-Timestamp is more than 300 s off the bot's clock."),
        (str(int(UNIX) + 301), "X-FloKit-Timestamp is more than 300 s off the bot's clock."),
        (f"{int(UNIX) - 301}000", "X-FloKit-Timestamp is more than 300 s off the bot's clock."),
        ("2026-03-01T12:05:01Z", "X-FloKit-Timestamp is more than 300 s off the bot's clock."),
        ("0", "X-FloKit-Timestamp is more than 300 s off the bot's clock."),
        ("9" * 13, "X-FloKit-Timestamp is more than 300 s off the bot's clock."),
        *(
            (odd, "X-FloKit-Timestamp isn't a time: use Unix seconds, milliseconds or ISO 8601.")
            for odd in (
                "",
                "now",
                "-1",
                "1e9",
                "nan",
                "inf",
                "9" * 25,
                "9" * 5000,
                "١٧٧٢",
                "0001-01-01T00:00:00Z",
                "\ud800",
            )
        ),
    ],
)
def test_a_missing_or_distant_time_is_refused(timestamp, sentence):
    """If a time is configured; a valid proof doesn't replace it."""
    headers = {} if timestamp is None else {TIMESTAMP: timestamp}
    assert refusal({**PROOF, **headers}, rules=TIMED) == sentence
    assert refusal({SIGNATURE: HEX, **headers}, rules=TIMED) == sentence


def test_a_signature_may_cover_the_time():
    """Then it covers the time as it was sent, a dot and the body."""
    assert verify({TIMESTAMP: UNIX, SIGNATURE: HEX}, rules=TIMED)
    covering = digest(f"{UNIX}.".encode() + BODY).hex()
    assert verify({TIMESTAMP: UNIX, SIGNATURE: covering}, rules=TIMED)
    later = str(int(UNIX) + 1)
    assert "doesn't match" in refusal({TIMESTAMP: later, SIGNATURE: covering}, rules=TIMED)
    assert "doesn't match" in refusal({TIMESTAMP: UNIX, SIGNATURE: covering}, rules=RULES)


def test_a_time_without_proof_is_not_checked():
    """A sender without the secret learns nothing about our clock."""
    assert refusal({TIMESTAMP: "0"}, rules=TIMED).startswith("The delivery isn't authenticated: ")


# --- never without the secret, always in constant time, never an exception ---------------------------------------

WORDS = st.text(max_size=80) | st.sampled_from(
    [
        *(SECRET[:-1], f"Bearer {OTHER}", WRONG_HEX, f"sha256={WRONG_HEX}", WRONG_BASE64, UNIX, "2026-03-01T12:00:00Z"),
        *("", "=", ",", "v1=", "9" * 400),
    ]
)
NAMES = st.text(max_size=20) | st.sampled_from(
    ["Authorization", "X-Webhook-Secret", "X-Webhook-Id", "Idempotency-Key", SIGNATURE, TIMESTAMP]
)
HEADERS = st.lists(st.tuples(NAMES, WORDS), max_size=6)
BODIES = st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=60), inner, max_size=30),
).map(lambda value: json.dumps(value).encode())


@given(headers=HEADERS, body=BODIES, path=WORDS, rules=st.sampled_from([RULES, TIMED]))
def test_nothing_is_accepted_without_the_secret(headers, body, path, rules):
    """Nor is there ever an exception."""
    assert refusal(headers, body=body, path=path, rules=rules)


@given(headers=HEADERS, body=BODIES, path=WORDS)
def test_any_body_with_a_valid_signature_is_a_hint(headers, body, path):
    """Of bounded size."""
    others = [(name, value) for name, value in headers if name.lower() != SIGNATURE.lower()]
    hint = verify([*others, (SIGNATURE, digest(body).hex())], body=body, path=path)
    assert len(hint.delivery) == 64
    assert len(hint.keys) <= MOST_KEYS
    assert all(len(key) <= 40 and "\n" not in key for key in hint.keys)


@pytest.mark.parametrize(
    ("headers", "compared"),
    [
        ({SIGNATURE: f"{HEX},{WRONG_HEX},{WRONG_BASE64}"}, 3),
        ({SIGNATURE: ",".join([HEX] * 100)}, MOST_SIGNATURES),
        ({"Authorization": f"Bearer {SECRET}", "X-Webhook-Secret": OTHER}, 3),
        ({"Authorization": f"Bearer {SECRET}"}, 3),
    ],
)
def test_comparisons_take_constant_time(headers, compared, monkeypatch):
    """All are made, even if the first one matches."""
    calls = []

    def compare_digest(one, other):
        calls.append((one, other))
        return hmac_compare_digest(one, other)

    hmac_compare_digest = hmac.compare_digest
    monkeypatch.setattr(webhooks.hmac, "compare_digest", compare_digest)
    verify(headers)
    assert len(calls) == compared
    assert {other for _, other in calls} <= {SECRET.encode(), digest()}


# --- what a body hints at ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "known", "keys"),
    [
        (b'{"type": "integration.error"}', True, ("type",)),
        (b'{"event": "integration.error", "data": {"id": 1}}', True, ("event", "data")),
        (b'{"type": "integration.recovered"}', False, ("type",)),
        (b'{"type": ["integration.error"], "event": {}}', False, ("type", "event")),
        (b'{"a\\nb\\u202e": 1, "": 2, "\\ud800x": 3}', False, ("a b", "", "x")),
        (json.dumps({"k" * 100: 1}).encode(), False, ("k" * 39 + "…",)),
        (json.dumps(dict.fromkeys("abcdefghijklmnopqrstuvwxyz")).encode(), False, tuple("abcdefghijklmnopqrst")),
        (b'["integration.error"]', False, ()),
        (b'"integration.error"', False, ()),
        (b"integration.error", False, ()),
        (b"", False, ()),
        (b"\xff\xfe\x00", False, ()),
        (b"1" * 5000, False, ()),
        (b"[" * MAX_WEBHOOK_BYTES, False, ()),
        (b'{"a":' * 10_000, False, ()),
    ],
)
def test_unknown_shapes_are_described_by_their_keys(body, known, keys):
    """Cleaned and clipped, without values; the documented event is known."""
    hint = verify(PROOF, body=body)
    assert (hint.is_known_shape, hint.keys) == (known, keys)


@pytest.mark.parametrize("proof", [PROOF, {SIGNATURE: HEX}, {"Authorization": f"Bearer {SECRET}"}])
@pytest.mark.parametrize("name", ["X-Webhook-Id", "webhook-id", "X-Delivery-Id", "Idempotency-Key", "X-Other"])
def test_an_unsigned_id_does_not_identify_a_delivery(name, proof):
    """Anyone who has seen a delivery can send it with another ID."""
    one = verify(proof).delivery
    assert verify({**proof, name: "d1"}).delivery == verify({**proof, name: "d2"}).delivery == one


def test_the_body_identifies_a_delivery():
    """Another body is another delivery, even with the same ID and time."""
    headers = {**PROOF, "X-Webhook-Id": "d1", TIMESTAMP: UNIX}
    one = verify(headers, rules=TIMED).delivery
    assert verify(headers, rules=TIMED, now=NOW + timedelta(seconds=60)).delivery == one
    assert verify(headers, rules=TIMED, body=BODY + b" ").delivery != one


@pytest.mark.parametrize("proof", [PROOF, {SIGNATURE: HEX}])
def test_an_unsigned_time_does_not_identify_a_delivery(proof):
    """If the signature covers only the body, another time is the same delivery."""
    one = verify({**proof, TIMESTAMP: UNIX}, rules=TIMED).delivery
    assert verify({**proof, TIMESTAMP: f"{UNIX}.5"}, rules=TIMED).delivery == one


def test_a_signed_time_identifies_a_delivery():
    """The same body with another signed time is another delivery: the same may have failed again."""

    def delivery(timestamp):
        covering = digest(f"{timestamp}.".encode() + BODY).hex()
        return verify({TIMESTAMP: timestamp, SIGNATURE: f"{HEX},{covering}"}, rules=TIMED).delivery

    assert delivery(UNIX) == delivery(UNIX) != delivery(str(int(UNIX) + 1))


# --- what is passed on -------------------------------------------------------------------------------------------


class Bell:
    """Stands in for the bot's reaction to hints, and counts them; out of order, it raises."""

    def __init__(self):
        self.rung = 0
        self.is_broken = False

    def __call__(self):
        """Ring."""
        if self.is_broken:
            raise RuntimeError("the bell is out of order")
        self.rung += 1


@pytest.fixture
def bell():
    """A bell."""
    return Bell()


@pytest.fixture
def receiver(clock):
    """A receiver with the virtual clock."""
    return WebhookReceiver(RULES, clock=clock)


def hint(name="d1", *, known=True):
    """Return a hint."""
    return Hint(name, known, ("type",))


def test_a_duplicate_within_ten_minutes_is_not_passed_on(receiver, clock, bell):
    """The same delivery rings once in ten minutes."""
    assert receiver.take(hint(), bell)
    clock.advance(DUPLICATES_KEPT_S - 1)
    assert not receiver.take(hint(), bell)
    clock.advance(1)
    assert receiver.take(hint(), bell)
    assert bell.rung == 2


def test_memory_is_bounded(receiver, bell):
    """Only a limited number of deliveries is remembered; the oldest are forgotten."""
    for number in range(DUPLICATES_KEPT + 1):
        assert receiver.take(hint(f"d{number}"), bell)
    assert not receiver.take(hint(f"d{DUPLICATES_KEPT}"), bell)
    assert receiver.take(hint("d0"), bell)


def test_a_webhook_that_could_not_be_passed_on_is_not_a_duplicate(receiver, bell):
    """Its next delivery is passed on."""
    bell.is_broken = True
    with pytest.raises(RuntimeError):
        receiver.take(hint(), bell)
    bell.is_broken = False
    assert receiver.take(hint(), bell)


def test_unknown_shapes_are_counted_and_logged(receiver, bell):
    """They're passed on, counted once, and logged with their keys."""
    with structlog.testing.capture_logs() as logs:
        receiver.take(hint("d1"), bell)
        receiver.take(hint("d2", known=False), bell)
        receiver.take(hint("d2", known=False), bell)
    assert logs == [{"event": "webhook_shape_unknown", "keys": ["type"], "log_level": "info"}]
    assert receiver.unknown_shapes == 1
    assert bell.rung == 2


def settings(**changes):
    """Return settings that use neither the environment nor a file."""
    needed = {"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1", "flokit_api_key": "a-key-of-flokit"}
    return Settings(_env_file=None, **needed, **changes)


def test_webhooks_are_off_without_a_secret(clock):
    assert make_receiver(settings(), clock=clock) is None
    receiver = make_receiver(
        settings(
            flokit_webhook_secret=SECRET,
            flokit_webhook_signature_header="X-Signature",
            flokit_webhook_timestamp_header="X-Time",
        ),
        clock=clock,
    )
    at = clock.now.isoformat()
    headers = {"X-Signature": HEX, "X-Time": at}
    assert receiver.verify(headers.items(), BODY, path_secret="").is_known_shape
    clock.advance(timedelta(seconds=301).total_seconds())
    with pytest.raises(RequestRefused, match="X-Time is more than 300 s"):
        receiver.verify(headers.items(), BODY, path_secret="")


def test_the_rules_hide_the_secret():
    assert SECRET not in repr(RULES)


# --- over HTTP ---------------------------------------------------------------------------------------------------


class NoHealth:
    """A bot whose health nobody requests."""

    def __init__(self, bell):
        self.running = Running(bolt=None, sender=None, on_hint=bell)


class Sender:
    """Delivers to the server, as httpx does or byte by byte."""

    def __init__(self, health, port, http):
        self.health = health
        self._port = port
        self._http = http
        self.url = f"http://127.0.0.1:{port}{WEBHOOK_PATH}"

    async def post(self, content=BODY, headers=None, path=WEBHOOK_PATH):
        """Deliver, with the secret in a header unless others are given."""
        url = httpx.URL(f"http://127.0.0.1:{self._port}", raw_path=path.encode())
        return await self._http.post(url, content=content, headers=PROOF if headers is None else headers)

    @asynccontextmanager
    async def connected(self, *headers):
        """Begin a request by hand."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = (f"POST {WEBHOOK_PATH} HTTP/1.1", "Host: bot", f"X-Webhook-Secret: {SECRET}", *headers)
        writer.write("\r\n".join([*head, "", ""]).encode())
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


async def answered(reader):
    """Parse the status and the body of an answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


@asynccontextmanager
async def serving(receiver, bell, **changes):
    """Serve the webhooks on a free local port."""
    health = NoHealth(bell)
    web = WebServer(health, host="127.0.0.1", port=0, webhooks=receiver, **changes)
    port = await web.start()
    try:
        async with httpx.AsyncClient() as http:
            yield Sender(health, port, http)
    finally:
        await web.stop()


async def test_a_delivery_is_accepted_once(receiver, bell):
    """A new delivery gets a 202 and rings; a repeat gets a 200 and doesn't."""
    async with serving(receiver, bell) as sender:
        first, second = await sender.post(), await sender.post()
    assert (first.status_code, first.json()) == (202, {"status": "accepted"})
    assert (second.status_code, second.json()) == (200, {"status": "duplicate"})
    assert bell.rung == 1


async def test_the_path_may_carry_the_secret(receiver, bell):
    """As its last part, percent-encoded if needed; nothing deeper is served."""
    async with serving(receiver, bell) as sender:
        encoded = SECRET.replace("%", "%25").replace("/", "%2F")
        assert (await sender.post(headers={}, path=f"{WEBHOOK_PATH}/{encoded}")).status_code == 202
        assert (await sender.post(headers={}, path=f"{WEBHOOK_PATH}/{OTHER}")).status_code == 401
        assert (await sender.post(headers={}, path=f"{WEBHOOK_PATH}/{encoded}/x")).status_code == 404
        assert (await sender.post(headers={}, path=f"{WEBHOOK_PATH}/")).status_code == 404
        assert (await sender.post(headers={}, path=f"{WEBHOOK_PATH}/%FF%00")).status_code == 401
    assert bell.rung == 1


async def test_a_signature_covers_the_bytes_that_were_sent(receiver, bell):
    """A compressed body isn't unpacked."""
    body = b"\x1f\x8b, or not"
    headers = {SIGNATURE: digest(body).hex(), "Content-Encoding": "gzip"}
    async with serving(receiver, bell) as sender:
        assert (await sender.post(body, headers)).status_code == 202


async def test_without_a_receiver_the_route_does_not_exist(bell):
    async with serving(None, bell) as sender:
        assert (await sender.post()).status_code == 404
        assert (await sender.post(path=f"{WEBHOOK_PATH}/{SECRET}")).status_code == 404


async def test_a_delivery_before_the_start_gets_a_503(receiver, bell):
    """It isn't remembered; a wrong one is refused."""
    async with serving(receiver, bell) as sender:
        running, sender.health.running = sender.health.running, None
        early = await sender.post()
        assert (early.status_code, early.json()) == (503, {"error": "starting"})
        assert (await sender.post(headers={})).status_code == 401
        sender.health.running = running
        assert (await sender.post()).status_code == 202


async def in_parts(*parts):
    """Send a body of unknown length, which httpx sends in chunks."""
    for part in parts:
        yield part


async def test_a_body_may_be_as_large_as_the_cap(receiver, bell):
    """64 KiB, with a Content-Length and in chunks."""
    half = b"x" * (MAX_WEBHOOK_BYTES // 2)
    async with serving(receiver, bell) as sender:
        assert (await sender.post(half + half)).status_code == 202
        assert (await sender.post(in_parts(half, half))).status_code == 200  # The same body is a duplicate.
        assert (await sender.post(in_parts(half, half[1:], b"y"))).status_code == 202


async def test_a_larger_body_is_refused(receiver, bell):
    """One byte more, with a Content-Length and in chunks."""
    half = b"x" * (MAX_WEBHOOK_BYTES // 2)
    async with serving(receiver, bell) as sender:
        for content in (half + half + b"x", in_parts(half, half, b"x")):
            answer = await sender.post(content)
            assert (answer.status_code, answer.json()) == (413, {"error": "The body is over 65536 bytes."})
        assert (await sender.post()).status_code == 202
    assert bell.rung == 1


async def test_a_content_length_over_the_cap_is_refused_unread(receiver, bell):
    async with serving(receiver, bell) as sender, sender.connected("Content-Length: 65537") as (reader, _):
        assert (await answered(reader))[0] == 413


async def test_endless_chunks_are_refused(receiver, bell):
    """As soon as they exceed the cap."""
    async with serving(receiver, bell) as sender, sender.connected("Transfer-Encoding: chunked") as (reader, writer):
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        writer.writelines([b"4000\r\n" + b"x" * 0x4000 + b"\r\n"] * 4)
        assert (await answered(reader))[0] == 413
    assert bell.rung == 0


@pytest.mark.parametrize(
    ("header", "beginning"), [("Content-Length: 10", b"{"), ("Transfer-Encoding: chunked", b"1\r\n{\r\n")]
)
async def test_a_slow_body_is_refused(receiver, bell, header, beginning):
    async with (
        serving(receiver, bell, limits=WebLimits(webhook_body_within_s=0.05)) as sender,
        sender.connected(header) as (reader, writer),
    ):
        writer.write(beginning)
        assert await answered(reader) == (408, {"error": "The body arrived too slowly."})
    assert bell.rung == 0


async def test_a_sender_that_hangs_up_does_no_harm(receiver, bell, caplog):
    """In the middle of a body."""
    async with serving(receiver, bell) as sender:
        async with sender.connected("Content-Length: 10", "Expect: 100-continue") as (reader, writer):
            assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")  # from here on, the server waits for the body
            writer.write(b"{")
        assert (await sender.post()).status_code == 202
    assert bell.rung == 1
    assert not caplog.records


async def test_five_hundred_deliveries_at_once_are_answered(receiver, bell):
    """Half of them are duplicates; each new one rings once."""
    async with serving(receiver, bell) as sender, aiohttp.ClientSession() as session:  # httpx would be slower

        async def status(number):
            body = b'{"id": %d}' % (number % 250)
            async with session.post(sender.url, data=body, headers=PROOF) as answer:
                return answer.status

        statuses = await asyncio.gather(*map(status, range(500)))
    assert (statuses.count(202), statuses.count(200)) == (250, 250)
    assert bell.rung == 250


async def test_no_response_or_log_contains_a_secret(receiver, bell):
    """Neither ours nor the one that the caller sent."""
    guess = "somebodys-other-secret"
    tries = [
        {"headers": {"X-Webhook-Secret": guess}},
        {"headers": {"Authorization": f"Bearer {guess}"}},
        {"headers": {SIGNATURE: guess}},
        {"headers": {}, "path": f"{WEBHOOK_PATH}/{guess}"},
        {"headers": {}},
        {"content": json.dumps({"token": guess, "nested": {guess: 1}}).encode()},
        {"content": guess.encode(), "headers": {"Authorization": f"Bearer {SECRET}", "X-Webhook-Id": guess}},
    ]
    async with serving(receiver, bell) as sender:
        with structlog.testing.capture_logs() as logs:
            answers = [await sender.post(**each) for each in tries]
    assert [answer.status_code for answer in answers] == [401] * 5 + [202] * 2
    seen = " ".join([*(f"{answer.text} {answer.headers}" for answer in answers), str(logs)])
    assert guess not in seen
    assert SECRET not in seen
    assert [line["event"] for line in logs] == ["webhook_refused"] * 3 + ["webhook_shape_unknown"] * 2
