"""The bodies of replies, read in bounded memory whatever a server sends.

The client asks for ``identity``. If a server compresses anyway, one layer of gzip or deflate is unpacked, up to the
limit. httpx's own decoders have no limit, and unpack as many layers as the header names.
"""

from __future__ import annotations

import zlib
from typing import Final

import httpx

MAX_BODY_BYTES: Final = 2 * 1024 * 1024
"""Room for thousands of integrations. The worst JSON of this size takes 75 MB as Python values; a Pod has 256 MiB."""

ACCEPT_ENCODING: Final = "identity"

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_WINDOWS: Final = {
    "gzip": (_GZIP_WINDOW,),
    "x-gzip": (_GZIP_WINDOW,),
    # Servers disagree on what deflate is: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.2
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}


async def read_body(response: httpx.Response) -> bytes | None:
    """Return a body; None if it's too long, or in an encoding that isn't unpacked here."""
    raw = bytearray()
    # The stream itself, because `aiter_raw` refuses a response whose body is already in memory.
    async for chunk in response.stream:  # type: ignore[union-attr]  # an AsyncClient's is an AsyncByteStream
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            return None
    codings = [part.strip().lower() for part in response.headers.get("Content-Encoding", "").split(",")]
    layers = [coding for coding in codings if coding not in ("", "identity")]
    if not layers:
        return bytes(raw)
    return _unpack(bytes(raw), layers[0]) if len(layers) == 1 else None


def _unpack(packed: bytes, coding: str) -> bytes | None:
    for window in _WINDOWS.get(coding, ()):
        unpacker = zlib.decompressobj(window)
        try:
            body = unpacker.decompress(packed, MAX_BODY_BYTES + 1)
        except zlib.error:
            continue
        # A body with data after its end, or without an end, is broken.
        return body if unpacker.eof and not unpacker.unused_data and len(body) <= MAX_BODY_BYTES else None
    return None
