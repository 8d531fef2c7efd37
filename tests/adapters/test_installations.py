"""Installations: who installed the app, which workspaces an organization covers, what uninstalling erases."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from bot.core.errors import ClaimLost, DecryptionFailed, MasterKeyMissing, NotInstalled, StoreUnavailable
from bot.core.installations import Connection, Installation
from bot.settings.encryption_keys import new_encryption_key
from bot.store.database import Database
from bot.store.erasure import ERASED
from bot.store.installations import REFRESH_AHEAD, REFRESH_LEASE, Installations
from bot.store.sealing import MasterKeys
from bot.store.tables import UtcTime, installations, metadata
from tests.adapters.conftest import START

OLD_KEY, NEW_KEY = new_encryption_key(), new_encryption_key()
OLD, NEW, BOTH = MasterKeys.parse(OLD_KEY), MasterKeys.parse(NEW_KEY), MasterKeys.parse(f"{NEW_KEY},{OLD_KEY}")

ACME = Installation(
    "T1", "Acme", None, False, "A1", "B1", "UBOT", "xoxb-of-acme", ("chat:write", "commands"), "UANA", START
)
BETA = replace(ACME, team_id="T2", team_name="Beta", bot_token="xoxb-of-beta", bot_user_id="UBOT2")
ORG = replace(ACME, team_id="", enterprise_id="E1", is_enterprise=True, bot_token="xoxb-of-the-org")
ROTATING = replace(ACME, refresh_token="xoxe-1-refresh", token_expires_at=START + timedelta(hours=12))
FLOKIT = Connection("flo_read_key_of_acme", "flo_sync_key_of_acme", "UANA", START)
HOUR = timedelta(hours=1)
KEEP = timedelta(days=30)


@pytest.fixture
def database(databases):
    return databases[0]


@pytest.fixture
def vault(database):
    return Installations(database, OLD)


async def row_of(database, id_):
    """Return a row as it's stored."""
    async with database.read() as connection:
        return (await connection.execute(select(installations).where(installations.c.id == id_))).one()._asdict()


async def write(database, id_, **values):
    """Change a row as someone with access to the database would."""
    async with database.begin() as connection:
        await connection.execute(update(installations).where(installations.c.id == id_).values(**values))


SECRETS = ("data_key", "data_key_id", "bot_token", "refresh_token", "flokit_key", "flokit_sync_key", "webhook_hash")


async def secrets_in(database, id_):
    """Return the columns of a row that still contain secrets."""
    row = await row_of(database, id_)
    return [name for name in SECRETS if row[name] is not None]


# --- installing ------------------------------------------------------------------------------------------------


async def test_a_saved_installation_is_found(vault, clock):
    saved = await vault.save(ROTATING, clock.now)
    assert saved == ROTATING
    assert await vault.find("T1") == ROTATING
    assert await vault.find("T9") is None
    assert await vault.find("") is None


async def test_installing_again_replaces_the_tokens_and_keeps_the_keys(vault, clock):
    """Even with more scopes and by another person; FloKit stays connected."""
    await vault.save(ROTATING, clock.now)
    await vault.connections.save("T1", FLOKIT, clock.now)
    again = replace(ACME, bot_token="xoxb-new", scopes=("chat:write", "commands", "im:history"), installed_by="UBEN")
    saved = await vault.save(again, clock.advance(60))
    assert (saved.generation, saved.installed_at) == (2, clock.now)
    assert await vault.find("T1") == saved
    assert await vault.connections.of("T1") == FLOKIT


async def test_two_concurrent_installations_leave_one_row(databases, clock):
    vaults = [Installations(one, OLD) for one in databases]
    saved = await asyncio.gather(*(one.save(ACME, clock.now) for one in vaults * 3))
    assert sorted(one.generation for one in saved) == [1, 2, 3, 4, 5, 6]
    assert (await vaults[0].find("T1")).generation == 6


async def test_a_workspace_that_joined_an_organization_keeps_its_row(vault, clock):
    await vault.save(ACME, clock.now)
    await vault.save(replace(ACME, enterprise_id="E1"), clock.now)
    assert [one.enterprise_id for one in await vault.records.page(10)] == ["E1"]


async def test_an_unavailable_database_is_not_an_uninstalled_app(tmp_path):
    """Bolt's own authorize asks people to install the app again in that case."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'no-folder' / 'flokit.db'}")
    vault = Installations(database, OLD)
    for call in (
        vault.find("T1"),
        vault.connections.of("T1"),
        vault.connections.team_of_webhook("x"),
        vault.save(ACME, START),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await database.close()


# --- organizations ---------------------------------------------------------------------------------------------


async def test_an_organization_serves_its_workspaces(vault, clock):
    await vault.save(ORG, clock.now)
    assert (await vault.find("T1", "E1")).bot_token == "xoxb-of-the-org"
    assert (await vault.find("", "E1", is_enterprise=True)).id == "E1"
    assert await vault.find("T2") is None
    assert await vault.find("T1", "E2") is None


async def test_a_workspaces_own_installation_takes_precedence(vault, clock):
    await vault.save(ORG, clock.now)
    await vault.save(replace(ACME, enterprise_id="E1"), clock.now)
    assert (await vault.find("T1", "E1")).bot_token == "xoxb-of-acme"
    assert (await vault.find("T1", "E1", is_enterprise=True)).bot_token == "xoxb-of-the-org"


async def test_workspaces_of_an_organization_connect_their_own_flokit(vault, clock):
    await vault.save(ORG, clock.now)
    await vault.find("T1", "E1")
    await vault.grant("T2", "E1", clock.now)
    await vault.connections.save("T1", FLOKIT, clock.now)
    await vault.connections.save("T2", replace(FLOKIT, api_key="flo_of_beta_12345"), clock.now)
    assert (await vault.connections.of("T1")).api_key == FLOKIT.api_key
    assert (await vault.connections.of("T2")).api_key == "flo_of_beta_12345"
    assert await vault.connections.of("E1") is None


async def test_uninstalling_from_an_organization_erases_the_keys_of_all_its_workspaces(vault, database, clock):
    """A workspace with its own installation keeps them."""
    await vault.save(ORG, clock.now)
    await vault.save(replace(BETA, enterprise_id="E1"), clock.now)
    await vault.grant("T1", "E1", clock.now)
    for team in ("T1", "T2"):
        await vault.connections.save(team, FLOKIT, clock.now)
    assert await vault.revoke("", "E1", before=clock.advance(60))
    assert await vault.find("T1", "E1") is None
    assert await vault.find("", "E1") is None
    for id_ in ("T1", "E1"):
        assert await secrets_in(database, id_) == []
    assert (await vault.find("T2", "E1")).bot_token == "xoxb-of-beta"
    assert await vault.connections.of("T2") == FLOKIT


async def test_installing_in_the_organization_again_restores_its_workspaces(vault, clock):
    await vault.save(ORG, clock.now)
    for team in ("T1", "T2"):
        await vault.grant(team, "E1", clock.now)
    await vault.revoke("T2", "E1", before=clock.advance(60))
    await vault.revoke("T1", "E1", before=clock.advance(60), is_enterprise=True)
    await vault.save(ORG, clock.advance(60))
    uninstalled = {one.id: bool(one.uninstalled_at) for one in await vault.records.page(10)}
    assert uninstalled == {"E1": False, "T1": False, "T2": True}


async def test_a_workspace_taken_from_the_organization_is_no_longer_served(vault, database, clock):
    """Whether or not the bot had seen it; until it's granted again."""
    await vault.save(ORG, clock.now)
    await vault.find("T1", "E1")
    await vault.connections.save("T1", FLOKIT, clock.now)
    for team in ("T1", "T2"):
        assert await vault.revoke(team, "E1", before=clock.advance(60))
        assert await vault.find(team, "E1") is None
        assert await secrets_in(database, team) == []
        await vault.grant(team, "E1", clock.advance(60))
        assert (await vault.find(team, "E1")).id == "E1"
    assert await vault.connections.of("T1") is None
    assert (await vault.find("T3", "E1")).id == "E1"


async def test_a_workspace_that_uninstalled_is_served_by_a_newer_organization(vault, clock):
    await vault.save(ACME, clock.now)
    await vault.revoke("T1", before=clock.advance(60))
    await vault.save(ORG, clock.advance(60))
    assert (await vault.find("T1", "E1")).id == "E1"
    assert [one.uninstalled_at for one in await vault.records.page(10)] == [None, None]


async def test_a_workspace_whose_own_token_was_revoked_is_served_by_its_organization(vault, clock):
    """If Slack then answers ``team_access_not_granted``, that ends, too."""
    await vault.save(ORG, clock.now)
    await vault.save(replace(ACME, enterprise_id="E1"), clock.now)
    assert await vault.revoke("T1", "E1", before=clock.advance(60))
    assert (await vault.find("T1", "E1")).id == "E1"
    assert await vault.revoke("T1", "E1", before=clock.advance(60))
    assert await vault.find("T1", "E1") is None


async def test_a_workspaces_id_alone_finds_its_organization(vault, clock):
    """Work claimed from the store names only the workspace; its row names the organization."""
    await vault.save(ORG, clock.now)
    await vault.find("T1", "E1")
    assert (await vault.find("T1")).id == "E1"
    await vault.revoke("", "E1", before=clock.now)
    assert await vault.find("T1") is None


async def test_a_workspace_seen_while_its_organization_uninstalls_leaves_no_row(vault, clock):
    """Otherwise it would count as installed forever."""
    await vault.save(ORG, clock.now)
    await vault.revoke("", "E1", before=clock.now)
    assert not await vault.grant("T1", "E1", clock.now)
    assert [one.id for one in await vault.records.page(10)] == ["E1"]


@pytest.mark.usefixtures("patient_sqlite")
async def test_replicas_see_install_and_uninstall_an_organization_concurrently(databases, clock):
    """In any order, either all of it is installed in the end, or nothing is left."""
    vaults = [Installations(one, OLD) for one in databases]
    await vaults[0].save(ORG, clock.now)
    for _ in range(5):
        calls = [vaults[0].revoke("", "E1", before=clock.now), vaults[1].save(ORG, clock.now)]
        for number, one in enumerate(vaults * 3):
            calls += [one.find(f"T{number}", "E1"), one.revoke(f"T{number}", "E1", before=clock.now)]
        await asyncio.gather(*calls)
        if await vaults[0].find("", "E1") is None:
            assert all(one.uninstalled_at for one in await vaults[0].records.page(100))


# --- uninstalling ----------------------------------------------------------------------------------------------


async def test_uninstalling_erases_all_secrets_at_once(vault, database, clock):
    await vault.save(ROTATING, clock.now)
    token = await vault.connections.save("T1", FLOKIT, clock.now)
    assert await vault.revoke("T1", before=clock.advance(60))
    assert await vault.find("T1") is None
    assert await vault.connections.of("T1") is None
    assert await vault.connections.team_of_webhook(token) is None
    assert await secrets_in(database, "T1") == []
    row = await row_of(database, "T1")
    assert (row["key_hint"], row["connected_by"], row["uninstalled_at"]) == (None, None, clock.now)
    with pytest.raises(NotInstalled):
        await vault.connections.save("T1", FLOKIT, clock.now)


async def test_an_uninstallation_older_than_the_installation_is_ignored(vault, clock):
    """Slack delivers ``app_uninstalled`` late, even after the new installation."""
    await vault.save(ACME, clock.now)
    await vault.save(ORG, clock.now)
    assert not await vault.revoke("T1", before=clock.now - HOUR)
    assert not await vault.revoke("", "E1", before=clock.now - HOUR)
    assert not await vault.revoke("T5", "E1", before=clock.now - HOUR)
    assert await vault.find("T1") == ACME
    assert await vault.find("T5", "E1")


async def test_a_refused_token_that_was_already_replaced_ends_nothing(vault, clock):
    """A copy of the old token may still be in use for a moment."""
    old = await vault.save(ACME, clock.now)
    new = await vault.save(ACME, clock.advance(60))
    org = await vault.save(ORG, clock.now)
    later = clock.advance(60)
    assert not await vault.revoke("T1", before=later, generation=old.generation)
    assert not await vault.revoke("", "E1", before=later, generation=org.generation + 1)
    assert not await vault.revoke("T2", "E1", before=later, generation=org.generation + 1)
    assert await vault.revoke("T2", "E1", before=later, generation=org.generation)
    assert await vault.revoke("T1", before=later, generation=new.generation)


async def test_uninstalling_twice_has_one_effect(vault, clock):
    await vault.save(ACME, clock.now)
    assert await vault.revoke("T1", before=clock.now)
    assert not await vault.revoke("T1", before=clock.advance(60))
    assert not await vault.revoke("T9", before=clock.now)
    assert [one.uninstalled_at for one in await vault.records.page(10)] == [START]


async def test_installing_after_uninstalling_needs_new_keys(vault, clock):
    await vault.save(ACME, clock.now)
    await vault.connections.save("T1", FLOKIT, clock.now)
    await vault.revoke("T1", before=clock.advance(60))
    saved = await vault.save(ACME, clock.advance(60))
    assert saved.generation == 2
    assert await vault.find("T1") == saved
    assert await vault.connections.of("T1") is None


def test_every_table_with_a_workspaces_data_is_erased():
    """New tables are found by their column ``team_id``; rows that refer to others go with them."""
    with_parent = {table.name for table in metadata.tables.values() if table.foreign_keys}
    kept = set(metadata.tables) - {table.name for table in ERASED} - with_parent
    assert kept == {"installations", "oauth_states", "replicas"}


async def fill(database, team_id, count):
    """Write rows of a workspace into every table that has a ``team_id``; the values mean nothing."""
    for table in metadata.sorted_tables:
        if table.name in ("installations", "oauth_states", "replicas"):
            continue
        rows = [{c.name: made_up(c, team_id, number) for c in table.c} for number in range(count)]
        async with database.begin() as connection:
            await connection.execute(table.insert(), rows[:1] if table.name == "snapshots" else rows)


def made_up(column, team_id, number):
    """Make up a value for a column."""
    if column.name == "team_id":
        return team_id
    if column.type.python_type is int:
        return number if column.name != "id" else {"T1": 0, "T2": 100_000, "T3": 200_000}[team_id] + number
    if column.type.python_type is bool:
        return False
    if isinstance(column.type, UtcTime):
        return START
    return f"{number:04}-{team_id}"


async def left(database, team_id):
    """Return how many rows a workspace has in each table."""
    async with database.read() as connection:
        counts = {
            table.name: await connection.scalar(
                select(func.count())
                .select_from(table)
                .where(table.c.team_id == team_id if "team_id" in table.c else table.c.user_id.like(f"%-{team_id}"))
            )
            for table in metadata.tables.values()
            if table.name not in ("installations", "oauth_states", "replicas")
        }
    return {name: number for name, number in counts.items() if number}


async def test_data_is_erased_after_the_retention_time(vault, database, clock, monkeypatch):
    """Only that workspace's: one that's installed, or that uninstalled recently, keeps its data."""
    monkeypatch.setattr("bot.store.erasure.WINDOW", 7)
    for installation in (ACME, BETA, replace(ACME, team_id="T3")):
        await vault.save(installation, clock.now)
        await fill(database, installation.team_id, 20)
    before = await left(database, "T2")
    assert before.pop("snapshots") == 1
    assert set(before.values()) == {20}
    assert len(before) == len(metadata.tables) - 4
    await vault.revoke("T1", before=clock.now)
    await vault.revoke("T3", before=clock.now + HOUR)
    assert await vault.erase_expired(clock.now + KEEP - HOUR, KEEP) == 0
    assert len(await left(database, "T1")) == len(before) + 1
    assert await vault.erase_expired(clock.now + KEEP, KEEP) == 1
    assert await left(database, "T1") == {}
    assert [one.id for one in await vault.records.page(10)] == ["T2", "T3"]
    for team in ("T2", "T3"):
        assert await left(database, team) == before | {"snapshots": 1}


async def test_installing_again_in_time_keeps_the_data(vault, database, clock):
    await vault.save(ACME, clock.now)
    await fill(database, "T1", 3)
    before = await left(database, "T1")
    await vault.revoke("T1", before=clock.now)
    await vault.save(ACME, clock.advance(60))
    assert await vault.erase_expired(clock.now + 2 * KEEP, KEEP) == 0
    assert await left(database, "T1") == before


# --- FloKit ----------------------------------------------------------------------------------------------------


async def test_a_connection_is_read_and_replaced(vault, clock):
    await vault.save(ACME, clock.now)
    assert await vault.connections.of("T1") is None
    await vault.connections.save("T1", FLOKIT, clock.now)
    assert await vault.connections.of("T1") == FLOKIT
    await vault.connections.save("T1", replace(FLOKIT, sync_api_key=None, connected_by="UBEN"), clock.advance(60))
    assert await vault.connections.of("T1") == Connection(FLOKIT.api_key, None, "UBEN", clock.now)
    [record] = await vault.records.page(10)
    assert (record.key_hint, record.connected_by) == ("acme", "UBEN")


async def test_the_address_of_webhooks_is_new_with_each_connection(vault, database, clock):
    await vault.save(ACME, clock.now)
    first = await vault.connections.save("T1", FLOKIT, clock.now)
    assert await vault.connections.team_of_webhook(first) == "T1"
    second = await vault.connections.save("T1", FLOKIT, clock.now)
    assert await vault.connections.team_of_webhook(first) is None
    assert await vault.connections.team_of_webhook(second) == "T1"
    assert second not in str(await row_of(database, "T1"))
    for made_up_token in ("", "x", "\ud800"):
        assert await vault.connections.team_of_webhook(made_up_token) is None


async def test_disconnecting_erases_the_keys(vault, database, clock):
    await vault.save(ACME, clock.now)
    token = await vault.connections.save("T1", FLOKIT, clock.now)
    assert await vault.connections.erase("T1")
    assert not await vault.connections.erase("T1")
    assert await vault.connections.of("T1") is None
    assert await vault.connections.team_of_webhook(token) is None
    row = await row_of(database, "T1")
    assert not any(row[name] for name in ("flokit_key", "flokit_sync_key", "key_hint", "webhook_hash"))
    assert await vault.find("T1") == ACME


async def test_connecting_needs_an_installed_app(vault, clock):
    with pytest.raises(NotInstalled):
        await vault.connections.save("T1", FLOKIT, clock.now)


@pytest.mark.parametrize(("key", "hint"), [("flo_0123456789abcdef", "cdef"), ("short-key", ""), ("", "")])
def test_a_hint_never_reveals_a_key(key, hint):
    assert replace(FLOKIT, api_key=key).hint == hint


# --- token rotation --------------------------------------------------------------------------------------------


async def test_a_token_is_refreshed_before_it_expires(vault, clock):
    await vault.save(ROTATING, clock.now)
    await vault.save(BETA, clock.now)
    due = ROTATING.token_expires_at - REFRESH_AHEAD
    assert await vault.tokens.claim(due - timedelta(seconds=1)) is None
    assert await vault.tokens.claim(due) == ROTATING
    expires = due + timedelta(hours=12)
    assert await vault.tokens.save("T1", 1, "xoxe.xoxb-new", "xoxe-1-next", expires) == 2
    refreshed = replace(
        ROTATING, bot_token="xoxe.xoxb-new", refresh_token="xoxe-1-next", token_expires_at=expires, generation=2
    )
    assert await vault.find("T1") == refreshed
    assert await vault.tokens.claim(due) is None


async def test_one_replica_refreshes_at_a_time(databases, clock):
    vaults = [Installations(one, OLD) for one in databases]
    await vaults[0].save(ROTATING, clock.now)
    claimed = await asyncio.gather(*(one.tokens.claim(ROTATING.token_expires_at) for one in vaults * 3))
    assert [one for one in claimed if one] == [ROTATING]
    assert await vaults[1].tokens.claim(ROTATING.token_expires_at + REFRESH_LEASE) == ROTATING


async def test_a_refreshed_token_can_be_saved_late(vault, clock):
    """A refresh token works once, so its result must not be lost although the lease has ended."""
    await vault.save(ROTATING, clock.now)
    await vault.tokens.claim(ROTATING.token_expires_at)
    await vault.tokens.claim(ROTATING.token_expires_at + REFRESH_LEASE)
    await vault.tokens.save("T1", 1, "xoxb-first", "xoxe-first", clock.now)
    with pytest.raises(ClaimLost):
        await vault.tokens.save("T1", 1, "xoxb-second", "xoxe-second", clock.now)
    assert (await vault.find("T1")).bot_token == "xoxb-first"


async def test_a_refreshed_token_undoes_nothing_that_happened_in_the_meantime(vault, clock):
    """Neither an uninstallation nor a new installation."""
    await vault.save(ROTATING, clock.now)
    await vault.save(ROTATING, clock.now)
    with pytest.raises(ClaimLost):
        await vault.tokens.save("T1", 1, "xoxb-late", "xoxe-late", clock.now)
    await vault.revoke("T1", before=clock.now)
    for id_ in ("T1", "T9"):
        with pytest.raises(ClaimLost):
            await vault.tokens.save(id_, 2, "xoxb-late", "xoxe-late", clock.now)
    assert await vault.find("T1") is None


# --- master keys -----------------------------------------------------------------------------------------------


async def many(vault, clock, count=5):
    """Install several workspaces, and connect them to FloKit."""
    for number in range(count):
        await vault.save(replace(ACME, team_id=f"T{number}"), clock.now)
        await vault.connections.save(f"T{number}", FLOKIT, clock.now)


async def test_master_keys_are_replaced_in_batches(database, vault, clock):
    await many(vault, clock)
    both, new = Installations(database, BOTH), Installations(database, NEW)
    assert await both.records.count_by_key() == {OLD.first_id: 5}
    assert [await both.records.rewrap(2) for _ in range(4)] == [2, 2, 1, 0]
    assert await new.records.count_by_key() == {NEW.first_id: 5}
    assert await new.connections.of("T3") == FLOKIT
    assert (await new.find("T3")).bot_token == ACME.bot_token


async def test_rewrapping_leaves_sealed_values_unchanged(database, vault, clock):
    await many(vault, clock, 1)
    before = await row_of(database, "T0")
    await Installations(database, BOTH).records.rewrap(10)
    after = await row_of(database, "T0")
    assert {name for name in before if before[name] != after[name]} == {"data_key", "data_key_id"}


async def test_replicas_can_rewrap_concurrently_and_while_the_bot_runs(databases, vault, clock):
    await many(vault, clock, 8)
    one, other = (Installations(database, BOTH) for database in databases)
    await asyncio.gather(
        one.records.rewrap(100),
        other.records.rewrap(100),
        *(one.save(replace(ACME, team_id=f"T{n}"), clock.now) for n in range(8)),
    )
    assert await one.records.count_by_key() == {NEW.first_id: 8}
    assert all(await asyncio.gather(*(other.connections.of(f"T{n}") for n in range(8))))


async def test_an_unreadable_row_ends_no_batch(database, vault, clock):
    """The others are rewrapped, and the unreadable one is tried only once."""
    await many(vault, clock)
    await write(database, "T0", data_key=(await row_of(database, "T1"))["data_key"])
    both = Installations(database, BOTH)
    assert await both.records.rewrap(2) == 2
    assert await both.records.rewrap(10) == 2
    assert await both.records.rewrap(10) == 0
    assert await both.records.count_by_key() == {OLD.first_id: 1, NEW.first_id: 4}


async def test_a_lost_master_key_affects_only_its_workspaces(database, vault, clock):
    await vault.save(ACME, clock.now)
    await vault.connections.save("T1", FLOKIT, clock.now)
    new = Installations(database, NEW)
    await new.save(BETA, clock.now)
    assert await new.find("T2")
    for call in (new.find("T1"), new.connections.of("T1"), new.connections.save("T1", FLOKIT, clock.now)):
        with pytest.raises(MasterKeyMissing) as missing:
            await call
        assert missing.value.key_id == OLD.first_id
    assert len(await new.records.page(10)) == 2
    assert await new.records.rewrap(10) == 0
    await new.save(ACME, clock.now)
    assert await new.connections.of("T1") is None
    await new.connections.save("T1", FLOKIT, clock.now)
    assert await new.connections.of("T1") == FLOKIT


async def test_a_covered_workspace_can_connect_again_after_its_master_key_was_lost(database, vault, clock):
    await vault.save(ORG, clock.now)
    await vault.grant("T1", "E1", clock.now)
    await vault.connections.save("T1", FLOKIT, clock.now)
    new = Installations(database, NEW)
    with pytest.raises(MasterKeyMissing):
        await new.connections.of("T1")
    await new.connections.save("T1", FLOKIT, clock.now)
    assert await new.connections.of("T1") == FLOKIT


async def test_an_unreadable_token_does_not_prevent_others_from_being_refreshed(database, vault, clock):
    await vault.save(ROTATING, clock.now)
    new = Installations(database, NEW)
    later = replace(ROTATING, team_id="T2", token_expires_at=ROTATING.token_expires_at + HOUR)
    await new.save(later, clock.now)
    now = later.token_expires_at
    with pytest.raises(MasterKeyMissing):
        await new.tokens.claim(now)
    assert await new.tokens.claim(now) == later


# --- threats ---------------------------------------------------------------------------------------------------


async def test_values_swapped_between_rows_or_columns_do_not_open(database, vault, clock):
    """Someone who can write to the database can't make one workspace use another's token or key."""
    for installation in (ACME, BETA):
        await vault.save(installation, clock.now)
        await vault.connections.save(installation.team_id, FLOKIT, clock.now)
    mine, theirs = await row_of(database, "T1"), await row_of(database, "T2")
    for moved in (
        {"bot_token": theirs["bot_token"]},
        {"bot_token": mine["flokit_key"]},
        {"data_key": theirs["data_key"]},
        {"data_key": theirs["data_key"], "bot_token": theirs["bot_token"]},
    ):
        await write(database, "T1", **mine | moved)
        with pytest.raises(DecryptionFailed):
            await vault.find("T1")
    await write(database, "T1", **mine | {"flokit_key": mine["flokit_sync_key"]})
    with pytest.raises(DecryptionFailed):
        await vault.connections.of("T1")


async def test_two_workspaces_never_affect_each_other(sqlite_url, clock):
    """Whatever one does, in any order, the other's row stays unchanged and can be decrypted."""
    database, dice = Database(sqlite_url), random.Random(16)
    vault = Installations(database, OLD)
    for installation in (ACME, BETA):
        await vault.save(installation, clock.now)
        await vault.connections.save(installation.id, FLOKIT, clock.now)
    for _ in range(150):
        mine, theirs = dice.sample((ACME, BETA), 2)
        before = await row_of(database, theirs.id)
        with contextlib.suppress(ClaimLost, NotInstalled):
            await do_something(vault, mine, dice, clock.now)
        assert await row_of(database, theirs.id) == before
        for id_ in (mine.id, theirs.id):
            await vault.find(id_)
            await vault.connections.of(id_)
    await database.close()


async def do_something(vault, installation, dice, now):
    """Do one of the actions that change an installation."""
    match dice.randrange(6):
        case 0:
            await vault.save(installation, now)
        case 1:
            rotating = replace(ROTATING, team_id=installation.id)
            await vault.save(rotating, now)
        case 2:
            await vault.connections.save(installation.id, FLOKIT, now)
        case 3:
            await vault.connections.erase(installation.id)
        case 4:
            await vault.revoke(installation.id, before=now)
        case _:
            await vault.tokens.save(installation.id, dice.randrange(9), "xoxb", "xoxe", now)


PLAIN = ("xoxb-of-acme", "xoxe-1-refresh", FLOKIT.api_key, FLOKIT.sync_api_key)


async def test_a_stolen_file_shows_no_secret(sqlite_url, tmp_path, clock):
    """Neither the database nor its write-ahead log contains a secret in clear, nor the token of a webhook's address."""
    database = Database(sqlite_url)
    vault = Installations(database, OLD)
    await vault.save(ROTATING, clock.now)
    token = await vault.connections.save("T1", FLOKIT, clock.now)
    files = list(database.file.parent.glob(f"{database.file.name}*"))
    stolen = b"".join(path.read_bytes() for path in files)
    await database.close()
    assert b"Acme" in stolen
    for secret in (*PLAIN, token, OLD_KEY):
        assert secret.encode() not in stolen


async def test_no_secret_is_left_in_the_file_after_uninstalling(sqlite_url, clock):
    """Not even encrypted: SQLite overwrites deleted content, and the write-ahead log is removed when the bot stops."""
    database = Database(sqlite_url)
    vault = Installations(database, OLD)
    await vault.save(ROTATING, clock.now)
    await vault.connections.save("T1", FLOKIT, clock.now)
    sealed = [value for value in (await row_of(database, "T1")).values() if isinstance(value, bytes)]
    assert len(sealed) == 5
    await vault.revoke("T1", before=clock.now)
    await database.close()
    left_over = b"".join(path.read_bytes() for path in database.file.parent.glob(f"{database.file.name}*"))
    assert b"Acme" in left_over
    for value in sealed:
        assert value not in left_over


async def test_the_debug_log_shows_no_secret(database, caplog, clock):
    """Including SQLAlchemy's statements, and errors about values that can't be decrypted."""
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "asyncio", "bot"):
        caplog.set_level(logging.DEBUG, logger=name)
    vault = Installations(database, OLD)
    await vault.save(ROTATING, clock.now)
    token = await vault.connections.save("T1", FLOKIT, clock.now)
    await vault.connections.team_of_webhook(token)
    await vault.find("T1")
    await vault.tokens.claim(ROTATING.token_expires_at)
    await vault.tokens.save("T1", 1, "xoxb-refreshed", "xoxe-refreshed", clock.now)
    await Installations(database, BOTH).records.rewrap(10)
    errors = []
    for call in (
        vault.find("T1"),
        vault.connections.of("T1"),
        vault.tokens.save("T1", 1, "xoxb-late", "xoxe-late", START),
    ):
        with pytest.raises((MasterKeyMissing, ClaimLost)) as failed:
            await call
        logging.getLogger("bot").error("failed", exc_info=failed.value)
        errors.append(f"{failed.value!r} {failed.value}")
    shown = caplog.text + "".join(errors)
    assert "INSERT INTO installations" in shown
    refreshed = ("xoxb-refreshed", "xoxe-refreshed", "xoxb-late", "xoxe-late")
    for secret in (*PLAIN, *refreshed, token, OLD_KEY, NEW_KEY):
        assert secret not in shown


def test_repr_shows_no_secret():
    shown = f"{ROTATING!r} {ROTATING} {FLOKIT!r} {[ROTATING, FLOKIT]}"
    for secret in PLAIN:
        assert secret not in shown
