"""FloKit's webhooks: verifies deliveries and turns them into hints.

FloKit documents neither payload nor signature, so several ways to prove the secret are accepted, and the body is never
trusted: a hint only means that checking FloKit may be worth it. Nothing here does I/O or raises anything but
``RequestRefused``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from cachetools import TTLCache

from bot.core.blocks.text import clip, one_line
from bot.core.errors import RequestRefused
from bot.core.json_values import parse_object
from bot.flokit.times import parse_at
from bot.settings.settings import Settings

log = structlog.get_logger(__name__)

REPLAY_WINDOW: Final = timedelta(seconds=300)
"""How far a delivery's time, if it has one, may be from our clock in either direction."""

DUPLICATES_KEPT_S: Final = 600.0
DUPLICATES_KEPT: Final = 4096
"""How long and how many deliveries are remembered; the oldest are dropped first."""

MOST_SIGNATURES: Final = 8
"""How many signatures in one header are compared; during a secret rotation, senders include two."""

MOST_KEYS: Final = 20
KEY_CHARS: Final = 40
"""How much of an unknown body is logged."""

KNOWN_EVENT: Final = "integration.error"
"""The only documented event name."""

KEY_HEADER: Final = "x-webhook-secret"

_SIGNATURE_PREFIX: Final = re.compile(r"^(?:sha256=|v[01]=)", re.IGNORECASE)
_UNIX_TIME: Final = re.compile(r"[0-9]{1,13}(\.[0-9]{1,9})?")
_FIRST_MILLISECONDS: Final = 1e11
"""Numbers from here on are milliseconds; as seconds, this would be the year 5138."""


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """The rules for deliveries."""

    secret: bytes = field(repr=False)
    signature_header: str
    timestamp_header: str | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """A verified delivery: something may have changed at FloKit.

    ``delivery`` is the same if it's delivered again: it depends only on what is signed, because anyone who has seen a
    delivery can send it with other headers. ``keys`` are those of the body's JSON object, clipped for the log; empty if
    it isn't an object.
    """

    delivery: str
    is_known_shape: bool
    keys: tuple[str, ...]


def parse_delivery(
    rules: WebhookRules, headers: Iterable[tuple[str, str]], body: bytes, *, path_secret: str, now: datetime
) -> Hint:
    """Verify a delivery and return its hint.

    Args:
        rules: the rules for deliveries.
        headers: as received, including repeated ones.
        body: the raw bytes; any body is accepted.
        path_secret: the decoded last segment of a path that may contain the secret, or "".
        now: our clock.

    Raises:
        RequestRefused: it doesn't prove the secret, or is too old. The message says why, without secrets.
    """
    folded = _fold(headers)
    timestamp = folded.get(rules.timestamp_header.lower()) if rules.timestamp_header else None
    proved = _prove(rules, folded, body, timestamp=timestamp, path_secret=path_secret)
    if rules.timestamp_header:
        _check_time(rules.timestamp_header, timestamp, now)
    is_known_shape, keys = _read_shape(body)
    return Hint(hashlib.sha256(proved).hexdigest(), is_known_shape, keys)


def _fold(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Lowercase the headers' names and join repeated ones (RFC 9110, section 5.3)."""
    folded: dict[str, str] = {}
    for name, value in headers:
        before = folded.get(name.lower())
        folded[name.lower()] = value.strip() if before is None else f"{before}, {value.strip()}"
    return folded


def _prove(
    rules: WebhookRules, headers: Mapping[str, str], body: bytes, *, timestamp: str | None, path_secret: str
) -> bytes:
    """Check that the sender knows the secret, and return what is proved: the body, or the time and the body.

    If there's a signature, only that counts. Everything is compared before deciding, so that the timing reveals
    nothing.
    """
    signature = headers.get(rules.signature_header.lower())
    if signature is not None:
        signed = _find_signed(rules.secret, signature, body, timestamp)
        if signed is None:
            raise RequestRefused(f"The signature in {rules.signature_header} doesn't match the body.")
        return signed
    scheme, _, token = headers.get("authorization", "").partition(" ")
    shown = (token.strip() if scheme.lower() == "bearer" else "", headers.get(KEY_HEADER, ""), path_secret)
    if not any(shown):
        raise RequestRefused(
            f"The delivery isn't authenticated: sign the body in {rules.signature_header}, or send the secret as a "
            "bearer token, in X-Webhook-Secret or as the last part of the path."
        )
    fits = [_is_same(each, rules.secret) for each in shown]
    if not any(fits):
        raise RequestRefused("The secret is wrong.")
    return body


def _find_signed(secret: bytes, signature: str, body: bytes, timestamp: str | None) -> bytes | None:
    """Return the signed bytes that match one of the header's signatures: preferably time and body, else the body."""
    signed = [body] if timestamp is None else [_encode(timestamp) + b"." + body, body]
    candidates = [_decode_signature(text) for text in signature.split(",", MOST_SIGNATURES)[:MOST_SIGNATURES]]
    fits = [
        [hmac.compare_digest(candidate, digest) for candidate in candidates]
        for digest in [hmac.digest(secret, message, "sha256") for message in signed]
    ]
    return next((message for message, fit in zip(signed, fits, strict=True) if any(fit)), None)


def _decode_signature(text: str) -> bytes:
    """Return the digest in a signature: hex or base64, with or without a prefix; b"" if neither."""
    bare = _SIGNATURE_PREFIX.sub("", text.strip())
    try:
        return bytes.fromhex(bare) if len(bare) == 64 else base64.b64decode(bare, validate=True)
    except (ValueError, binascii.Error):
        return b""


def _is_same(text: str, secret: bytes) -> bool:
    return hmac.compare_digest(_encode(text), secret)


def _encode(text: str) -> bytes:
    """Return the bytes of a header or a path, in which lone surrogates represent invalid UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def _check_time(header: str, timestamp: str | None, now: datetime) -> None:
    if timestamp is None:
        raise RequestRefused(f"{header} is missing: a delivery must say when it was sent.")
    sent_at = _parse_time(timestamp)
    if sent_at is None:
        raise RequestRefused(f"{header} isn't a time: use Unix seconds, milliseconds or ISO 8601.")
    if abs(now - sent_at) > REPLAY_WINDOW:
        raise RequestRefused(f"{header} is more than {REPLAY_WINDOW.total_seconds():.0f} s off the bot's clock.")


def _parse_time(text: str) -> datetime | None:
    if not _UNIX_TIME.fullmatch(text):
        return parse_at(text)
    number = float(text)
    return datetime.fromtimestamp(number / 1000 if number >= _FIRST_MILLISECONDS else number, UTC)


def _read_shape(body: bytes) -> tuple[bool, tuple[str, ...]]:
    """Return whether the body is the documented event, and its keys."""
    value = parse_object(body)
    keys = tuple(clip(one_line(key[: 2 * KEY_CHARS]), KEY_CHARS) for key in list(value)[:MOST_KEYS])
    return KNOWN_EVENT in (value.get("type"), value.get("event")), keys


class WebhookReceiver:
    """Verifies deliveries and passes each on once.

    Only this process knows which ones have arrived. A duplicate at another replica or after a restart causes one more
    check, which is shared with other callers.
    """

    def __init__(self, rules: WebhookRules, *, clock: Callable[[], datetime]) -> None:
        self._rules = rules
        self._clock = clock
        self._taken: TTLCache[str, None] = TTLCache(
            maxsize=DUPLICATES_KEPT, ttl=DUPLICATES_KEPT_S, timer=lambda: clock().timestamp()
        )
        self.last_at: datetime | None = None
        """When the last new delivery was accepted."""
        self.unknown_shapes = 0
        """How many accepted deliveries weren't the documented event."""

    def verify(self, headers: Iterable[tuple[str, str]], body: bytes, *, path_secret: str) -> Hint:
        """Verify a delivery; arguments and errors are those of ``parse_delivery``."""
        return parse_delivery(self._rules, headers, body, path_secret=path_secret, now=self._clock())

    def take(self, hint: Hint, on_hint: Callable[[], None]) -> bool:
        """Pass a hint on, unless it was passed on before; return whether it was new."""
        if hint.delivery in self._taken:
            return False
        on_hint()
        self.last_at = self._clock()
        self._taken[hint.delivery] = None
        if not hint.is_known_shape:
            self.unknown_shapes += 1
            log.info("webhook_shape_unknown", keys=list(hint.keys))
        return True


def make_receiver(settings: Settings, *, clock: Callable[[], datetime]) -> WebhookReceiver | None:
    """Create the receiver from the settings; None without a secret."""
    if settings.flokit_webhook_secret is None:
        return None
    rules = WebhookRules(
        settings.flokit_webhook_secret.get_secret_value().encode(),
        settings.flokit_webhook_signature_header,
        settings.flokit_webhook_timestamp_header,
    )
    return WebhookReceiver(rules, clock=clock)
