"""Envelope encryption: a sealed value can be opened only in its place, and master keys can be replaced."""

from __future__ import annotations

import base64
import hashlib
import logging

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import DecryptionFailed, MasterKeyMissing, SettingsError
from bot.settings.encryption_keys import new_encryption_key, parse_encryption_keys
from bot.store.sealing import NONCE_BYTES, VERSION, DataKey, MasterKeys, fingerprint

OLD, NEW = (base64.urlsafe_b64encode(hashlib.sha256(name).digest()).decode() for name in (b"old", b"new"))
SECRET = "xoxb-a-secret-of-many-characters"


def raw(key):
    """Decode a master key."""
    return base64.urlsafe_b64decode(key)


@given(st.text())
def test_a_sealed_value_can_be_opened(text):
    key = DataKey.new("T1")
    assert key.open(key.seal(text, "bot_token"), "bot_token") == text


def test_the_format_is_aes_256_gcm_bound_to_its_place():
    """Anyone with the data key can decrypt it with any implementation of AES-GCM."""
    key = DataKey(bytes(range(32)), "T1")
    sealed = key.seal(SECRET, "bot_token")
    assert sealed[0] == VERSION
    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    place = b"flokit-bot\x001\x00T1\x00bot_token"
    assert AESGCM(bytes(range(32))).decrypt(nonce, ciphertext, place) == SECRET.encode()


def test_no_two_sealed_values_are_equal():
    """Nonces are random, so it isn't visible that two values are the same."""
    key = DataKey.new("T1")
    assert len({key.seal(SECRET, "bot_token") for _ in range(50)}) == 50


def test_a_value_moved_to_another_column_cannot_be_opened():
    key = DataKey.new("T1")
    with pytest.raises(DecryptionFailed):
        key.open(key.seal(SECRET, "flokit_key"), "bot_token")


def test_a_value_moved_to_another_row_cannot_be_opened():
    """Not even with the right data key, because the row's ID is authenticated."""
    with pytest.raises(DecryptionFailed):
        DataKey(bytes(32), "T2").open(DataKey(bytes(32), "T1").seal(SECRET, "bot_token"), "bot_token")


def test_a_data_key_moved_to_another_row_cannot_be_opened():
    keys = MasterKeys.parse(OLD)
    with pytest.raises(DecryptionFailed):
        keys.unwrap(keys.wrap(DataKey.new("T1")), keys.first_id, "T2")


@given(st.data())
def test_a_changed_value_cannot_be_opened(data):
    """With any bit flipped, or any end cut off."""
    key = DataKey.new("T1")
    sealed = bytearray(key.seal(SECRET, "bot_token"))
    if data.draw(st.booleans()):
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.sampled_from([1, 16, 128]))
    else:
        del sealed[data.draw(st.integers(0, len(sealed) - 1)) :]
    with pytest.raises(DecryptionFailed):
        key.open(bytes(sealed), "bot_token")


def test_the_first_master_key_wraps_and_all_of_them_unwrap():
    old, both = MasterKeys.parse(OLD), MasterKeys.parse(f"{NEW},{OLD}")
    sealed = (key := DataKey.new("T1")).seal(SECRET, "bot_token")
    assert both.unwrap(old.wrap(key), old.first_id, "T1").open(sealed, "bot_token") == SECRET
    assert both.ids == (both.first_id, old.first_id)
    assert both.unwrap(both.wrap(key), both.first_id, "T1").open(sealed, "bot_token") == SECRET


def test_a_missing_master_key_is_named_by_its_fingerprint():
    old, new = MasterKeys.parse(OLD), MasterKeys.parse(NEW)
    with pytest.raises(MasterKeyMissing) as missing:
        new.unwrap(old.wrap(DataKey.new("T1")), old.first_id, "T1")
    assert missing.value.key_id == old.first_id


def test_a_fingerprint_is_stable_and_reveals_nothing():
    """It's stored with what the key wraps, so it must not change."""
    assert fingerprint(bytes(range(32))) == "c3428a5120048e29"
    assert raw(OLD).hex()[:16] != fingerprint(raw(OLD))


# --- ENCRYPTION_KEYS -------------------------------------------------------------------------------------------


def test_new_keys_are_accepted_with_and_without_padding():
    made = new_encryption_key()
    assert parse_encryption_keys(f"{made}, {OLD.rstrip('=')}") == (raw(made), raw(OLD))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (f"{OLD},", "key 2 of 2; remove the extra comma"),
        (OLD[:-6], "32 random bytes"),
        (OLD + "AAAA", "32 random bytes"),
        (f"{OLD},hunter2!", "32 random bytes in url-safe base64: key 2 of 2"),
        (base64.b64encode(b"\xff\xfe" * 16).decode(), "32 random bytes"),  # the standard alphabet, with + and /
        (base64.urlsafe_b64encode(bytes(32)).decode(), "isn't random"),
        (f"{OLD},{OLD}", "the same key twice"),
    ],
)
def test_a_wrong_key_is_refused_and_never_shown(text, problem):
    with pytest.raises(SettingsError) as refused:
        MasterKeys.parse(text)
    said = str(refused.value)
    assert said.startswith("ENCRYPTION_KEYS: ")
    assert problem in said
    assert not any(part in said for part in text.split(",") if part)


def test_nothing_shows_a_key():
    """Neither repr nor a traceback's message contains one."""
    keys = MasterKeys.parse(f"{NEW},{OLD}")
    data_key = DataKey(bytes(range(32)), "T1")
    shown = f"{keys!r} {keys} {data_key!r} {data_key}" + logging.Formatter().format(
        logging.makeLogRecord({"msg": "%r %s", "args": (keys, data_key)})
    )
    for secret in (OLD, NEW, raw(OLD).hex(), raw(NEW).hex(), bytes(range(32)).hex()):
        assert secret not in shown
