"""Slack's HTTP side: deliveries to the app's request URL, signed with the signing secret.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import aiohttp

from local_slack.delivery import ACK_TIMEOUT_S, Ack, AckError, Envelope, EnvelopeKind
from local_slack.workspace import Json

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


class SignedHttp:
    """Slack's HTTP delivery: form or JSON to the app's request URL, signed with the signing secret.

    Signatures use the real time even if the clock was moved, because the app's framework compares it with that.
    """

    def __init__(self, url: str, signing_secret: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._signing_secret = signing_secret
        self._session = session

    async def deliver(self, envelope: Envelope) -> Ack:
        """POST the envelope; any 2xx is an ack."""
        envelope.via = "http"
        body, content_type = _encode(envelope)
        headers = {"Content-Type": content_type, **_sign(body, self._signing_secret, int(time.time()))}
        if envelope.retry_attempt:
            headers["X-Slack-Retry-Num"] = str(envelope.retry_attempt)
            headers["X-Slack-Retry-Reason"] = envelope.retry_reason
        started = time.monotonic()
        try:
            async with (
                asyncio.timeout(ACK_TIMEOUT_S),
                self._session.post(self._url, data=body, headers=headers) as response,
            ):
                text = await response.text()
        except TimeoutError:
            return Ack(ok=False, took_s=time.monotonic() - started, error=AckError.TIMEOUT)
        except aiohttp.ClientError:
            return Ack(ok=False, took_s=time.monotonic() - started, error=AckError.FAILED)
        return Ack(
            ok=response.ok,
            body=_read_body(text, response.content_type),
            took_s=time.monotonic() - started,
            error=AckError.NONE if response.ok else AckError.FAILED,
            may_retry=response.headers.get("X-Slack-No-Retry") != "1",
        )


def _sign(body: bytes, signing_secret: str, timestamp: int) -> Mapping[str, str]:
    """Return the headers that prove that a request is from Slack."""
    base = f"v0:{timestamp}:".encode() + body
    digest = hmac.new(signing_secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}


def _encode(envelope: Envelope) -> tuple[bytes, str]:
    match envelope.kind:
        case EnvelopeKind.COMMAND:
            return urlencode(envelope.payload).encode(), FORM
        case EnvelopeKind.INTERACTION:
            return urlencode({"payload": json.dumps(envelope.payload)}).encode(), FORM
        case _:
            return json.dumps(envelope.payload).encode(), JSON


def _read_body(text: str, content_type: str) -> Json | str | None:
    """Return the ack's payload: a JSON object, other text, or None."""
    if not text:
        return None
    if content_type == JSON:
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return value if isinstance(value, dict) else text
    return text
