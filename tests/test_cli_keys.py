"""``flokit-bot keys``: how many workspaces each master key protects, replacing one, and creating one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import UTC, datetime

import pytest

from bot.core.installations import Installation
from bot.settings.encryption_keys import parse_encryption_keys
from bot.store.database import Database
from bot.store.installations import Installations
from bot.store.sealing import MasterKeys
from tests.test_cli import FINE, SETTINGS, USAGE, call

OLD, NEW = (base64.urlsafe_b64encode(hashlib.sha256(name).digest()).decode() for name in (b"old", b"new"))
OLD_ID, NEW_ID = (MasterKeys.parse(key).first_id for key in (OLD, NEW))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def install(url, keys, *teams):
    """Install the app in workspaces, encrypted with the first of these keys."""

    async def save():
        database = Database(url)
        for team in teams:
            installation = Installation(team, "", None, False, "A1", "B1", "UBOT", f"xoxb-of-{team}", (), "UANA", NOW)
            await Installations(database, MasterKeys.parse(keys)).save(installation, NOW)
        await database.close()

    asyncio.run(save())


def token_of(url, keys, team):
    """Return a token, decrypted with these keys."""

    async def find():
        database = Database(url)
        found = await Installations(database, MasterKeys.parse(keys)).find(team)
        await database.close()
        return found.bot_token

    return asyncio.run(find())


def keys(folder, url, *arguments, **settings):
    """Run the command, and check that it shows no key."""
    done = call(folder, "keys", *arguments, DATABASE_URL=url, **settings)
    assert not any(secret in done.stdout + done.stderr for secret in (OLD, NEW, "xoxb-"))
    return done


def test_a_new_key_is_printed_and_nothing_else(tmp_path):
    made = [call(tmp_path, "keys", "new") for _ in range(2)]
    assert [(one.returncode, one.stderr) for one in made] == [(FINE, "")] * 2
    parsed = [parse_encryption_keys(one.stdout.strip()) for one in made]
    assert parsed[0] != parsed[1]


def test_keys_says_how_many_workspaces_need_each_key(tmp_path, database_url):
    install(database_url, OLD, "T1", "T2", "T3")
    install(database_url, NEW, "T4")
    done = keys(tmp_path, database_url, ENCRYPTION_KEYS=f"{NEW},{OLD}")
    assert (done.returncode, done.stderr) == (FINE, "")
    assert done.stdout.splitlines() == [
        f"Key 1 ({NEW_ID}): 1 workspace. It protects whatever is saved from now on.",
        f"Key 2 ({OLD_ID}): 3 workspaces still on it; run flokit-bot keys rotate.",
    ]


def test_rotate_moves_all_workspaces_to_the_first_key(tmp_path, database_url):
    install(database_url, OLD, "T1", "T2", "T3")
    done = keys(tmp_path, database_url, "rotate", ENCRYPTION_KEYS=f"{NEW},{OLD}")
    assert (done.returncode, done.stderr) == (FINE, "")
    assert done.stdout.splitlines() == [
        "3 workspaces moved to key 1.",
        f"Key 1 ({NEW_ID}): 3 workspaces. It protects whatever is saved from now on.",
        f"Key 2 ({OLD_ID}): no workspace needs it; you can remove it from ENCRYPTION_KEYS.",
    ]
    assert token_of(database_url, NEW, "T2") == "xoxb-of-T2"


@pytest.mark.parametrize("arguments", [(), ("rotate",)])
def test_a_missing_key_is_named_and_exits_with_78(tmp_path, sqlite_url, arguments):
    install(sqlite_url, OLD, "T1", "T2")
    install(sqlite_url, NEW, "T3")
    done = keys(tmp_path, sqlite_url, *arguments, ENCRYPTION_KEYS=NEW)
    assert done.returncode == SETTINGS
    assert f"Missing key ({OLD_ID}): 2 workspaces." in done.stdout


def test_wrong_usage_and_wrong_settings_are_refused(tmp_path, sqlite_url):
    assert call(tmp_path, "keys", "old").returncode == USAGE
    done = keys(tmp_path, sqlite_url)
    assert (done.returncode, done.stderr) == (
        SETTINGS,
        "ENCRYPTION_KEYS: is missing; make one with flokit-bot keys new.\n",
    )
    done = keys(tmp_path, f"sqlite:///{tmp_path}/none.db", ENCRYPTION_KEYS=OLD)
    assert done.returncode == SETTINGS
    assert done.stderr.startswith("DATABASE_URL: there is no file ")
