"""What a thief finds: in a copy of the database, in a backup, with an old master key, after an uninstall."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.core.errors import DecryptionFailed, MasterKeyMissing, SecretUnreadable
from bot.core.models import Person
from bot.core.requests import Origin, Request, RequestKind
from bot.store import codec
from bot.store.database import Database
from bot.store.inbox import add_all
from bot.store.installations import Installations
from bot.store.oauth_states import OAuthStates
from bot.store.tables import installations, metadata
from tests.adapters.test_installations import (
    BETA,
    BOTH,
    FLOKIT,
    NEW,
    NEW_KEY,
    OLD,
    OLD_KEY,
    PLAIN,
    ROTATING,
    row_of,
    write,
)

BROWSER = "b" * 43


@pytest_asyncio.fixture
async def database(database_url):
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def robbed(database, clock):
    """Fill a database with everything secret, and return what a thief looks for."""
    vault = Installations(database, OLD)
    secrets = [*PLAIN, BETA.bot_token, OLD_KEY]
    for installation in (ROTATING, BETA):
        await vault.save(installation, clock.now)
        secrets.append(await vault.connections.save(installation.id, FLOKIT, clock.now))
    secrets.append(await OAuthStates(database).issue(BROWSER, clock.now))
    greeting = Request("installed:T1:1", RequestKind.INSTALLED, Origin("T1", Person("UANA"), ""), clock.now)
    await add_all(database, [greeting])
    return secrets


async def dump(database):
    """Read every value of every table, as ``pg_dump`` and whoever may SELECT do."""
    values = []
    async with database.read() as connection:
        for table in metadata.sorted_tables:
            for row in await connection.execute(select(table)):
                values += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join(values)


async def test_a_stolen_dump_shows_no_secret(database, robbed):
    """On both databases, in all tables."""
    stolen = await dump(database)
    assert b"installed:T1:1" in stolen
    assert not [secret for secret in (*robbed, BROWSER) if secret.encode() in stolen]


def backup(database, path):
    """Copy a SQLite file while it's used, as docs/operations.md says."""
    with closing(sqlite3.connect(database.file)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
    return path.read_bytes()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_stolen_backup_shows_no_secret_and_opens_with_its_master_key_only(database, robbed, tmp_path):
    stolen = backup(database, tmp_path / "backup.db")
    assert not [secret for secret in robbed if secret.encode() in stolen]
    copy = Database(f"sqlite:///{tmp_path / 'backup.db'}")
    for call in (Installations(copy, NEW).find("T1"), Installations(copy, NEW).connections.of("T2")):
        with pytest.raises(MasterKeyMissing):
            await call
    assert (await Installations(copy, OLD).find("T1")).bot_token == ROTATING.bot_token
    await copy.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_old_master_key_opens_no_backup_from_after_the_exchange(database, robbed, tmp_path):
    """What an older backup has stays readable with it; so the docs say to revoke tokens if both were stolen."""
    assert robbed
    before = tmp_path / "before.db"
    backup(database, before)
    assert await Installations(database, BOTH).records.rewrap(100) == 2
    after = tmp_path / "after.db"
    backup(database, after)
    for path, opens in ((before, True), (after, False)):
        copy = Database(f"sqlite:///{path}")
        try:
            found = await Installations(copy, OLD).connections.of("T1")
        except SecretUnreadable:
            found = None
        assert (found is not None) is opens
        await copy.close()


def files_of(database):
    """Read the file of a database, and those beside it."""
    return b"".join(path.read_bytes() for path in database.file.parent.glob(f"{database.file.name}*"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("how", ["uninstalled", "disconnected", "erased"])
async def test_nothing_of_a_secret_stays_in_the_files_while_the_bot_runs(database, clock, how):
    """Neither in the file nor in its write-ahead log, not even sealed: no master key found later opens anything."""
    vault = Installations(database, OLD)
    await vault.save(ROTATING, clock.now)
    await vault.connections.save("T1", FLOKIT, clock.now)
    row = await row_of(database, "T1")
    kept = ("bot_token", "refresh_token", "data_key") if how == "disconnected" else ()
    sealed = [row[name] for name in row if isinstance(row[name], bytes) and name not in kept]
    assert len(sealed) == 5 - len(kept)
    assert all(value in files_of(database) for value in sealed)
    if how == "disconnected":
        assert await vault.connections.erase("T1")
    elif how == "uninstalled":
        assert await vault.revoke("T1", before=clock.now)
    else:
        assert await vault.erase(await vault.give_up("T1", clock.now), clock.now) == 1
    assert not [value for value in sealed if value in files_of(database)]
    assert (b"Acme" in files_of(database)) is (how != "erased")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_reader_in_the_way_of_that_ends_nothing(database, clock):
    """Then the log is cut off at the next erasure, or when the bot stops."""
    vault = Installations(database, OLD)
    await vault.save(ROTATING, clock.now)
    with closing(sqlite3.connect(database.file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM installations").fetchone()
        assert await vault.revoke("T1", before=clock.now)
        assert not await database.forget_erased()
        reader.execute("ROLLBACK")
    assert await database.forget_erased()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_file_that_is_gone_is_not_made_again_for_that(database, clock):
    await Installations(database, OLD).save(ROTATING, clock.now)
    database.file.unlink()
    assert not await database.forget_erased()
    assert not database.file.exists()


async def test_a_whole_row_swapped_for_another_does_not_open(database, robbed, clock):
    """Whoever can write to the database can't have Acme's people served with Beta's token and key."""
    assert robbed
    vault = Installations(database, BOTH)
    mine, theirs = await row_of(database, "T1"), await row_of(database, "T2")
    unique = {"id": "T1", "webhook_hash": mine["webhook_hash"]}
    for team_id in ("T1", "T2"):
        await write(database, "T1", **theirs | unique | {"team_id": team_id})
        for call in (vault.find("T1"), vault.connections.of("T1"), vault.tokens.save("T1", 1, "x", "x", clock.now)):
            with pytest.raises(DecryptionFailed):
                await call
    assert await vault.records.rewrap(100) == 1
    assert (await vault.find("T2")).bot_token == BETA.bot_token
    assert (await vault.connections.of("T2")).api_key == FLOKIT.api_key


async def test_a_secret_planted_in_clear_is_not_used(database, clock):
    """A token or a key that isn't sealed by the bot doesn't count, whoever wrote it."""
    vault = Installations(database, OLD)
    await vault.save(replace(BETA, team_id="T1"), clock.now)
    await write(database, "T1", bot_token=b"xoxb-of-a-thief", flokit_key=b"flo_of_a_thief")
    for call in (vault.find("T1"), vault.connections.of("T1")):
        with pytest.raises(DecryptionFailed):
            await call


def test_what_is_stored_has_no_column_for_a_secret_in_clear():
    """The sealed columns are binary, and no other column of an installation is named like a secret."""
    named = {column.name for column in installations.c if column.name.endswith(("_token", "_key", "_hash"))}
    sealed = {column.name for column in installations.c if str(column.type) == "BLOB"}
    assert named - sealed == {"webhook_hash"}
    assert codec.dump(FLOKIT.hint) == '"acme"'
    assert NEW_KEY not in repr(NEW)
