"""Envelope encryption of the secrets in the database, with AES-256-GCM.

Each installation has a data key, which seals its secrets. A master key from ``ENCRYPTION_KEYS`` wraps the data key,
so changing the master key rewraps data keys only, and deleting a data key erases whatever it sealed.

What is sealed is bound to its place: the installation, the column and the version of this format are authenticated
with it (as GCM's additional data), so a value that was moved to another row or column doesn't open.

A sealed value is a byte with the version of the format, a nonce of 12 random bytes, and the ciphertext with its tag.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.core.errors import DecryptionFailed, MasterKeyMissing, SettingsError
from bot.settings.encryption_keys import KEY_BYTES, KeyProblem, parse_encryption_keys

VERSION: Final = 1
NONCE_BYTES: Final = 12
"""NIST SP 800-38D, 8.2.2: random nonces are safe for 2^32 values per key, and a data key seals a few."""

WRAPPED_KEY: Final = "data_key"
"""The column that a wrapped data key is bound to."""


class DataKey:
    """The key of one installation's secrets; ``repr`` doesn't show it.

    Args:
        key: its 32 bytes.
        owner: the ID of the installation that its values are bound to.
    """

    __slots__ = ("_cipher", "_key", "_owner")

    def __init__(self, key: bytes, owner: str) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._owner = owner

    def __repr__(self) -> str:
        return f"DataKey({self._owner})"

    @classmethod
    def new(cls, owner: str) -> DataKey:
        """Make a random one."""
        return cls(os.urandom(KEY_BYTES), owner)

    def seal(self, text: str, column: str) -> bytes:
        """Encrypt the value of a column."""
        return _encrypt(self._cipher, text.encode(), _place(self._owner, column))

    def open(self, sealed: bytes, column: str) -> str:
        """Decrypt the value of a column.

        Raises:
            DecryptionFailed: it was changed, comes from another row or column, or was sealed with another key.
        """
        return _decrypt(self._cipher, sealed, _place(self._owner, column)).decode()

    def wrapped_by(self, cipher: AESGCM) -> bytes:
        """Encrypt the key itself with a master key."""
        return _encrypt(cipher, self._key, _place(self._owner, WRAPPED_KEY))


class MasterKeys:
    """The keys that wrap data keys: the first one wraps, and all of them unwrap.

    A key's ID is a fingerprint: it can be stored and shown, because nothing leads from it to the key.

    Args:
        keys: each of 32 bytes.
    """

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._ciphers = {fingerprint(key): AESGCM(key) for key in keys}
        self.ids: Final = tuple(self._ciphers)
        """The IDs of all keys, the one that wraps first."""

    def __repr__(self) -> str:
        return f"MasterKeys({', '.join(self.ids)})"

    @classmethod
    def parse(cls, text: str) -> MasterKeys:
        """Read ``ENCRYPTION_KEYS``.

        Raises:
            SettingsError: it can't be read; the value isn't in the message.
        """
        try:
            return cls(parse_encryption_keys(text))
        except KeyProblem as problem:
            raise SettingsError([f"ENCRYPTION_KEYS: {problem}."]) from None

    @property
    def first_id(self) -> str:
        """The ID of the key that wraps."""
        return self.ids[0]

    def wrap(self, key: DataKey) -> bytes:
        """Encrypt a data key with the first master key."""
        return key.wrapped_by(self._ciphers[self.first_id])

    def unwrap(self, wrapped: bytes, key_id: str, owner: str) -> DataKey:
        """Decrypt a data key.

        Args:
            wrapped: what ``wrap`` returned.
            key_id: the ID of the master key that wrapped it.
            owner: the ID of the installation that it belongs to.

        Raises:
            MasterKeyMissing: that master key isn't in ``ENCRYPTION_KEYS``.
            DecryptionFailed: it was changed, or belongs to another installation.
        """
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise MasterKeyMissing(key_id)
        return DataKey(_decrypt(cipher, wrapped, _place(owner, WRAPPED_KEY)), owner)


def fingerprint(key: bytes) -> str:
    """Name a master key: 16 hexadecimal digits."""
    return hmac.digest(key, b"flokit-bot master key", hashlib.sha256)[:8].hex()


def _place(owner: str, column: str) -> bytes:
    """Return what a value is bound to; no ID and no column contains the NUL that separates them."""
    return f"flokit-bot\0{VERSION}\0{owner}\0{column}".encode()


def _encrypt(cipher: AESGCM, value: bytes, place: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return bytes([VERSION]) + nonce + cipher.encrypt(nonce, value, place)


def _decrypt(cipher: AESGCM, sealed: bytes, place: bytes) -> bytes:
    version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if version != bytes([VERSION]):
        raise DecryptionFailed("it has a format that this version doesn't know")
    try:
        return cipher.decrypt(nonce, ciphertext, place)
    except (InvalidTag, ValueError):  # ValueError: too short
        raise DecryptionFailed("it was changed, moved, or sealed with another key") from None
