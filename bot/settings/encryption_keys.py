"""Parses ``ENCRYPTION_KEYS``: the master keys, in url-safe base64 with commas between them.

Errors say which key is wrong, never what it is.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from typing import Final

KEY_BYTES: Final = 32
"""AES-256."""

MAKE_ONE: Final = "make one with flokit-bot keys new"


class KeyProblem(ValueError):
    """Why the keys can't be used, as what follows ``ENCRYPTION_KEYS``."""


def parse_encryption_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys, the one that encrypts first.

    Raises:
        KeyProblem: one of them isn't a key, or appears twice.
    """
    written = text.split(",")
    keys = tuple(_parse_key(one.strip(), _place(number, len(written))) for number, one in enumerate(written, start=1))
    if len(set(keys)) < len(keys):
        raise KeyProblem("has the same key twice; remove one of them")
    return keys


def new_encryption_key() -> str:
    """Make a random key, as ``ENCRYPTION_KEYS`` has it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _place(number: int, count: int) -> str:
    return "" if count == 1 else f": key {number} of {count}"


def _parse_key(text: str, place: str) -> bytes:
    if not text:
        raise KeyProblem(f"has an empty key{place}; remove the extra comma" if place else f"is empty; {MAKE_ONE}")
    bare = text.rstrip("=")
    key = b""
    if re.fullmatch(r"[A-Za-z0-9_-]+", bare):
        try:
            key = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
        except binascii.Error:
            key = b""
    if len(key) != KEY_BYTES:
        raise KeyProblem(f"must be {KEY_BYTES} random bytes in url-safe base64{place}; {MAKE_ONE}")
    if len(set(key)) < KEY_BYTES // 4:  # of 32 random bytes, nearly all are different
        raise KeyProblem(f"isn't random{place}; {MAKE_ONE}")
    return key
