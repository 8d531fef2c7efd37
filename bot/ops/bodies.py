"""Reads request bodies from unknown senders: each is limited in size and time, and all together in memory."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import Request

from bot.core.errors import RequestRefused

SMALL: Final = 64 * 1024
"""What each connection may send. Nearly all of Slack's bodies are far smaller."""

LARGE_IN_ALL: Final = 8 * 1024 * 1024
"""How much all bodies that are being read may take beyond that, together."""


class Bodies:
    """Reads bodies within the shared limit."""

    def __init__(self, *, large_in_all: int = LARGE_IN_ALL) -> None:
        self._room = large_in_all

    async def read(self, request: Request, *, most: int, within_s: float) -> bytearray:
        """Read a body, whatever its headers claim.

        Raises:
            RequestRefused: it's too large, too slow or broken, or there's no room for it.
        """
        _check_size(request.content_length or 0, most)
        body = bytearray()
        taken = 0
        try:
            async with asyncio.timeout(within_s):
                while chunk := await request.content.readany():
                    _check_size(len(body) + len(chunk), most)
                    taken += self._take(max(0, len(body) + len(chunk) - SMALL - taken))
                    body += chunk
        except TimeoutError:
            raise RequestRefused("The body arrived too slowly.", http_status=HTTPStatus.REQUEST_TIMEOUT) from None
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
            raise RequestRefused("The body is malformed.", http_status=HTTPStatus.BAD_REQUEST) from None
        finally:
            self._room += taken
        return body

    def _take(self, size: int) -> int:
        if size > self._room:
            sentence = "Too many large bodies are being sent at once. Try again in a moment."
            raise RequestRefused(sentence, http_status=HTTPStatus.SERVICE_UNAVAILABLE)
        self._room -= size
        return size


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise RequestRefused(f"The body is over {most} bytes.", http_status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
