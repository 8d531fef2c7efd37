"""Slack's requests over HTTP: which are authentic, and how an authentic body is parsed."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from bot.core.errors import RequestRefused
from bot.slack.http import MOST_FIELDS, SlackVerifier, read_request

SECRET = "a-signing-secret"
NOW = 1_772_366_400
BODY = b"command=%2Fflokit&text=status"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def digest(body=BODY, timestamp=str(NOW), secret=SECRET):
    """Sign as Slack does."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()


def headers(*pairs):
    """Return headers as aiohttp has them."""
    return CIMultiDictProxy(CIMultiDict(pairs))


def verify(signature=None, timestamp=str(NOW), body=BODY):
    """Verify one request."""
    pairs = [("X-Slack-Signature", digest() if signature is None else signature)]
    verify_pairs([*pairs, ("X-Slack-Request-Timestamp", timestamp)], body)


def verify_pairs(pairs, body=BODY):
    """Verify a request with these headers."""
    verifier = SlackVerifier(SECRET, clock=lambda: NOW + 0.5)
    verifier.check(verifier.read_claim(headers(*pairs)), body)


def test_a_request_with_slacks_signature_is_accepted():
    """Over exactly its bytes and its time."""
    verify()
    verify(digest(b"\xff\x00"), body=b"\xff\x00")
    verify(digest(timestamp=str(NOW - 299)), str(NOW - 299))


@pytest.mark.parametrize(
    "timestamp",
    [
        *("", "0", "-1", f"+{NOW}", f" {NOW}", f"{NOW} ", f"{NOW}\n", f"{NOW}.0", f"{NOW:_}", hex(NOW)),
        *("1e9", "nan", "inf", "now", "9" * 12, "9" * 13, "9" * 5000, "١٧٧٢٣٦٦٤٠٠", "²", "\udcff"),
        *(str(NOW - 301), str(NOW + 302)),
    ],
)
def test_a_time_that_is_not_slacks_is_refused(timestamp):
    """Only digits of a time near ours count, although the signature covers what was sent."""
    with pytest.raises(RequestRefused) as refused:
        verify(digest(timestamp=timestamp.encode(errors="replace").decode()), timestamp)
    assert refused.value.http_status == 401


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "v0=",
        digest().upper(),
        "v0=" + digest()[3:].upper(),
        digest()[3:],
        digest().replace("v0", "v1"),
        digest() + "0",
        digest() + "\n",
        f" {digest()}",
        f"{digest()}, {digest()}",
        digest(b"text=sync"),
        digest(secret="another"),
        digest(timestamp=str(NOW - 1)),
        "v0=" + "é" * 64,
        "v0=" + "\udcff" * 64,
        "v0=" + "٣" * 64,
        "v0=" + "0" * 100_000,
    ],
)
def test_a_signature_that_is_not_slacks_is_refused(signature):
    with pytest.raises(RequestRefused) as refused:
        verify(signature)
    assert (refused.value.http_status, str(refused.value)) == (401, "The request isn't signed by Slack.")


@pytest.mark.parametrize("doubled", ["X-Slack-Signature", "x-slack-request-timestamp"])
@pytest.mark.parametrize("first", [True, False])
def test_a_header_that_comes_twice_is_refused(doubled, first):
    """It isn't clear which of two the next reader would use."""
    pairs = [("X-Slack-Signature", digest()), ("X-Slack-Request-Timestamp", str(NOW))]
    other = (doubled, "x")
    with pytest.raises(RequestRefused):
        verify_pairs([other, *pairs] if first else [*pairs, other])
    with pytest.raises(RequestRefused):
        verify_pairs(pairs[:1] if first else pairs[1:])


def read(body, *content_types):
    """Parse a verified body."""
    pairs = [("Content-Type", one) for one in content_types] + [("X-Slack-Bolt-Lazy-Only", "1")]
    return read_request(headers(*pairs), body)


@pytest.mark.parametrize("text", ["payload", "sync payload", "payload=1", "{payload}", "", "a&b=c", "🦜"])
def test_a_command_is_a_command_whatever_is_typed(text):
    """No typed word turns a slash command into something else."""
    fields = {"command": "/flokit", "text": text, "channel_name": "payload-alerts", "user_name": "payload"}
    assert read(urlencode(fields).encode(), FORM).body == fields
    assert read(urlencode({**fields, "payload": "{}"}).encode(), FORM).body == {**fields, "payload": "{}"}


def test_an_interaction_is_its_payload():
    """A form without a command is an interaction."""
    assert read(b"payload=%7B%22type%22%3A%22block_actions%22%7D", FORM).body == {"type": "block_actions"}


@pytest.mark.parametrize("content_type", [JSON, f"{JSON}; charset=utf-8", f'{JSON};CHARSET="UTF-8"', JSON.upper()])
def test_an_event_is_json(content_type):
    """Also if the header names its encoding."""
    assert read(b'{"type": "event_callback"}', content_type).body == {"type": "event_callback"}


@pytest.mark.parametrize("field", ["text", "command", "payload"])
def test_a_field_that_comes_twice_is_refused(field):
    """Slack sends each field once."""
    with pytest.raises(RequestRefused) as refused:
        read(b"command=%2Fflokit&text=a&" + f"payload={{}}&{field}=b".encode(), FORM)
    assert refused.value.http_status == 400


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\xff\xfe", b"\xc0\x80", b"[]", b"null", b'"x"', b"1", b"{", b"[" * 100_000, b'{"a":' * 100_000),
        *(b"9" * 5000, b'{"a": ' + b"9" * 5000 + b"}"),
    ],
)
def test_json_that_is_not_an_object_is_refused(body):
    """So is malformed, deep or long JSON, in a sentence."""
    with pytest.raises(RequestRefused) as refused:
        read(body, JSON)
    assert refused.value.http_status == 400
    with pytest.raises(RequestRefused):
        read(b"payload=" + body, FORM)


def test_a_form_that_is_not_utf_8_is_refused():
    """Nothing is guessed or replaced."""
    for body in (b"command=%2Fflokit&text=%FF", b"command=%2Fflokit&text=\xff", b"&a" * (MOST_FIELDS + 1)):
        with pytest.raises(RequestRefused):
            read(body, FORM)


@pytest.mark.parametrize(
    "content_types",
    [
        (),
        ("",),
        ("text/plain",),
        ("multipart/form-data; boundary=x",),
        (FORM, FORM),
        (FORM, JSON),
        (f"{FORM}, {JSON}",),
        (f"{FORM}; charset=punycode",),
        (f"{FORM}; charset=utf-8; charset=idna",),
        (f"{JSON}; charset=utf-16",),
        (f"{JSON}; charset",),
        (f"{JSON}; charset=unicode_escape",),
    ],
)
def test_other_content_types_are_refused(content_types):
    """A body is a form or JSON in UTF-8; no other codec is used, whatever a header names."""
    with pytest.raises(RequestRefused) as refused:
        read(json.dumps({}).encode(), *content_types)
    assert refused.value.http_status == 415


def test_headers_that_are_not_signed_reach_no_listener():
    """Bolt gets only the body."""
    request = read(BODY, FORM)
    assert not request.headers
    assert not request.lazy_only
