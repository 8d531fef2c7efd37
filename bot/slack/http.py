"""Slack's requests over HTTP: the signature of the raw bytes is checked before anything is parsed.

Unsigned data is never trusted: only the headers that the signature needs are read before it's checked, and only the
content type after that. How Slack signs:
https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from multidict import CIMultiDictProxy
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.core.errors import RequestRefused

Headers = CIMultiDictProxy[str]

SIGNATURE_HEADER: Final = "X-Slack-Signature"
TIMESTAMP_HEADER: Final = "X-Slack-Request-Timestamp"
REPLAY_WINDOW_S: Final = 300
"""How far a request's time may be from our clock, in either direction."""

MOST_FIELDS: Final = 100
"""A slash command has about fifteen."""

UNSIGNED: Final = "The request isn't signed by Slack."
"""Without a valid signature, the response gives no details."""

_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_UTF8: Final = frozenset({"utf-8", "utf8"})


@dataclass(frozen=True, slots=True)
class Claim:
    """A request's timestamp and signature, to be checked against the body."""

    timestamp: str
    signature: str


class SlackVerifier:
    """Verifies that requests are from Slack."""

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._clock = clock

    def read_claim(self, headers: Headers) -> Claim:
        """Return a request's claim, before its body is read.

        Raises:
            RequestRefused: its headers can't be Slack's, or its time is too far from ours.
        """
        signature, timestamp = _only(headers, SIGNATURE_HEADER), _only(headers, TIMESTAMP_HEADER)
        if not (_SIGNATURE.fullmatch(signature) and _TIMESTAMP.fullmatch(timestamp)):
            raise RequestRefused(UNSIGNED)
        if abs(self._clock() - int(timestamp)) > REPLAY_WINDOW_S:
            raise RequestRefused(UNSIGNED)
        return Claim(timestamp, signature)

    def check(self, claim: Claim, body: bytes | bytearray) -> None:
        """Check that a body proves the claim.

        Raises:
            RequestRefused: it doesn't.
        """
        mac = hmac.new(self._secret, f"v0:{claim.timestamp}:".encode(), hashlib.sha256)
        mac.update(body)
        if not hmac.compare_digest(f"v0={mac.hexdigest()}", claim.signature):
            raise RequestRefused(UNSIGNED)


def read_request(headers: Headers, body: bytes | bytearray) -> AsyncBoltRequest:
    """Parse a verified body for Bolt, as if it came from a socket: without unsigned headers.

    Raises:
        RequestRefused: it's neither a form nor JSON, or its content isn't an object.
    """
    is_json = _is_json(headers.getall("Content-Type", ()))
    try:
        text = body.decode("utf-8")
        content = json.loads(text) if is_json else _read_form(text)
    except (ValueError, RecursionError):  # ValueError: broken UTF-8, broken JSON, too many fields, numbers too long
        content = None
    if not isinstance(content, dict):
        raise RequestRefused("The body can't be read.", http_status=HTTPStatus.BAD_REQUEST)
    return AsyncBoltRequest(body=content, mode="socket_mode")


def _only(headers: Headers, name: str) -> str:
    """Return the value of a header that occurs exactly once, or ""."""
    values = headers.getall(name, ())
    return values[0] if len(values) == 1 else ""


def _is_json(content_types: Sequence[str]) -> bool:
    """Whether a body is JSON rather than a form.

    Raises:
        RequestRefused: it's neither, or in another encoding than Slack's.
    """
    kind, *parameters = (content_types[0] if len(content_types) == 1 else "").lower().split(";")
    charsets = [value.strip(' "') for name, _, value in (one.partition("=") for one in parameters) if "charset" in name]
    if kind.strip() not in {"application/json", "application/x-www-form-urlencoded"} or not _UTF8.issuperset(charsets):
        sentence = "The content type must be a form or JSON, in UTF-8."
        raise RequestRefused(sentence, http_status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return kind.strip() == "application/json"


def _read_form(text: str) -> Any:
    """Parse a slash command, or an interaction, whose payload is in its only field.

    Raises:
        ValueError: a field occurs twice, or it isn't a form.
    """
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field comes twice")
    return json.loads(fields["payload"]) if "payload" in fields and "command" not in fields else fields
