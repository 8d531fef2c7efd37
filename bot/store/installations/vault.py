"""The rows of installations: how they are found and locked, and how their secrets are sealed and opened."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, select

from bot.core.errors import MasterKeyMissing, SecretUnreadable
from bot.core.installations import Installation, InstallationRecord
from bot.store.locks import locked_rows
from bot.store.sealing import DataKey, MasterKeys
from bot.store.statements import Row, constant
from bot.store.tables import installations
from bot.store.transactions import Transaction

_TOKENS: Final = ("bot_token", "refresh_token")
_KEYS: Final = ("flokit_key", "flokit_sync_key")

NO_CONNECTION: Final[dict[str, Any]] = dict.fromkeys(
    (*_KEYS, "key_hint", "connected_by", "connected_at", "webhook_hash")
)
NO_SECRETS: Final[dict[str, Any]] = NO_CONNECTION | dict.fromkeys(
    (*_TOKENS, "token_expires_at", "refresh_until", "data_key", "data_key_id")
)

_LOAD: Final = constant(select(installations).where(installations.c.id == bindparam("of_id")))


class Vault:
    """Finds rows, and opens their secrets.

    Args:
        keys: the master keys that wrap the data keys.
    """

    def __init__(self, keys: MasterKeys) -> None:
        self.keys = keys

    async def load(self, connection: Transaction, id_: str) -> Row | None:
        """Return a row; None if there's none."""
        return (await connection.execute(_LOAD, {"of_id": id_})).first() if id_ else None

    async def lock_org(self, connection: Transaction, enterprise_id: str) -> Row | None:
        """Hold an organization's row, if the app is installed there; it goes before those of its workspaces.

        Slack's IDs of organizations begin with E, and those of workspaces with T: that is the order of the keys.
        """
        row = await self.lock(connection, enterprise_id)
        return row if row and row.is_enterprise and not row.uninstalled_at else None

    async def lock(self, connection: Transaction, id_: str) -> Row | None:
        """Return a row and lock it until the transaction ends; None if there's none."""
        return (await connection.execute(locked_rows(installations, installations.c.id == id_))).first()

    def key_of(self, row: Row) -> DataKey:
        """Return a row's data key.

        Raises:
            SecretUnreadable: no master key opens it.
        """
        if row.data_key is None:
            raise MasterKeyMissing("")
        return self.keys.unwrap(row.data_key, row.data_key_id or "", row.id)

    def key_if_readable(self, row: Row | None) -> DataKey | None:
        """Return a row's data key; None if it has none that can be opened."""
        if row is None or row.data_key is None:
            return None
        try:
            return self.key_of(row)
        except SecretUnreadable:
            return None

    def wrapped(self, key: DataKey) -> dict[str, Any]:
        """Return a new data key as it's stored, wrapped with the first master key."""
        return {"data_key": self.keys.wrap(key), "data_key_id": self.keys.first_id}

    def read(self, row: Row) -> Installation:
        """Return a row with its secrets opened.

        Raises:
            SecretUnreadable: they can't be.
        """
        key = self.key_of(row)
        return Installation(
            row.team_id,
            row.team_name,
            row.enterprise_id,
            row.is_enterprise,
            row.app_id,
            row.bot_id,
            row.bot_user_id,
            key.open(row.bot_token, "bot_token"),
            tuple(row.scopes.split()),
            row.installed_by,
            row.installed_at,
            row.generation,
            key.open(row.refresh_token, "refresh_token") if row.refresh_token else None,
            row.token_expires_at,
        )


def covered(team_id: str, enterprise_id: str | None, at: datetime) -> Installation:
    """Return a workspace that an org-wide installation covers: it has nothing of its own yet."""
    return Installation(team_id, "", enterprise_id, False, "", "", "", "", (), "", at)


def facts_of(installation: Installation) -> dict[str, Any]:
    """Return what is stored as it is."""
    return {
        "id": installation.id,
        "team_id": installation.team_id,
        "team_name": installation.team_name,
        "enterprise_id": installation.enterprise_id,
        "is_enterprise": installation.is_enterprise,
        "app_id": installation.app_id,
        "bot_id": installation.bot_id,
        "bot_user_id": installation.bot_user_id,
        "scopes": " ".join(installation.scopes),
        "installed_by": installation.installed_by,
        "installed_at": installation.installed_at,
        "generation": installation.generation,
        "token_expires_at": installation.token_expires_at,
    }


def sealed_tokens(key: DataKey, installation: Installation) -> dict[str, Any]:
    """Return the tokens as they are stored."""
    refresh_token = installation.refresh_token
    return {
        "bot_token": key.seal(installation.bot_token, "bot_token"),
        "refresh_token": key.seal(refresh_token, "refresh_token") if refresh_token else None,
    }


def record_of(row: Row) -> InstallationRecord:
    """Return what is known of an installation without opening a secret."""
    return InstallationRecord(
        row.id,
        row.team_id,
        row.team_name,
        row.enterprise_id,
        row.is_enterprise,
        row.bot_token is not None,
        tuple(row.scopes.split()),
        row.installed_by,
        row.installed_at,
        row.generation,
        row.data_key_id,
        row.uninstalled_at,
        row.key_hint,
        row.connected_by,
        row.connected_at,
    )
