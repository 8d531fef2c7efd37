"""FloKit's webhooks, as far as they're documented: an ``integration.error`` event.

The real body and signature aren't documented. These are one plausible choice, so receivers mustn't trust them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Final

import aiohttp

from sandbox.local_flokit.sources import Source

SIGNATURE_HEADER: Final = "X-FloKit-Signature"
WITHIN_S: Final = 3.0


class Webhooks:
    """Sends deliveries to one address.

    Args:
        url: returns their destination; "" if nothing is listening.
        secret: signs them.
    """

    def __init__(self, url: Callable[[], str], secret: str) -> None:
        self._url = url
        self._secret = secret

    async def send(self, source: Source) -> str:
        """Send an event for a failing integration; return the problem, or "" if it was accepted."""
        url = self._url()
        if not url:
            return "The bot isn't listening."
        body = json.dumps(_event(source)).encode()
        signature = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: f"sha256={signature}"}
        try:
            async with (
                asyncio.timeout(WITHIN_S),
                aiohttp.ClientSession() as session,
                session.post(url, data=body, headers=headers) as reply,
            ):
                return "" if reply.ok else f"The bot returned HTTP {reply.status}: {(await reply.text())[:200]}"
        except TimeoutError:
            return f"The bot didn't respond within {WITHIN_S:.0f} s."
        except aiohttp.ClientError as error:
            return f"The bot can't be reached ({type(error).__name__})."


def _event(source: Source) -> dict[str, object]:
    return {
        "id": f"evt_{secrets.token_hex(8)}",
        "type": "integration.error",
        "data": {"integration_id": source.id, "type": source.type, "error_message": source.error_message},
    }
