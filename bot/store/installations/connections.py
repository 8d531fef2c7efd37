"""The FloKit keys of workspaces, and the addresses of their webhooks."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Final

from sqlalchemy import and_, bindparam, select, update

from bot.core.access.audit import AuditEntry
from bot.core.errors import NotInstalled
from bot.core.installations import Connection
from bot.store import audit
from bot.store.database import Database
from bot.store.installations.vault import NO_CONNECTION, Vault
from bot.store.sealing import DataKey
from bot.store.statements import constant
from bot.store.tables import installations
from bot.store.transactions import retried

_of: Final = installations.c
_BY_WEBHOOK: Final = constant(select(_of.id).where(_of.webhook_hash == bindparam("hash"), _of.uninstalled_at.is_(None)))


class Connections:
    """The connections of workspaces to FloKit. Each method is one transaction."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @retried
    async def save(self, team_id: str, flokit: Connection, now: datetime) -> str:
        """Save a workspace's FloKit keys, in place of earlier ones.

        Returns:
            The token for the address of its webhooks: new each time, and not to be had again.

        Raises:
            NotInstalled: the app isn't installed there.
            SecretUnreadable: neither is its Slack token readable, so it has to be installed again first.
        """
        token = secrets.token_urlsafe(32)
        async with self._database.begin() as connection:
            row = await self._vault.lock(connection, team_id)
            if row is None or row.uninstalled_at:
                raise NotInstalled(f"the app isn't installed in {team_id}")
            key, values = self._vault.key_if_readable(row), {}
            if key is None:
                if row.bot_token:
                    self._vault.key_of(row)  # raises
                key = DataKey.new(team_id)
                values = self._vault.wrapped(key)
            values |= {
                "flokit_key": key.seal(flokit.api_key, "flokit_key"),
                "flokit_sync_key": flokit.sync_api_key and key.seal(flokit.sync_api_key, "flokit_sync_key"),
                "key_hint": flokit.hint,
                "connected_by": flokit.connected_by,
                "connected_at": now,
                "webhook_hash": _hash(token),
            }
            await connection.execute(update(installations).where(_of.id == team_id).values(values))
        return token

    async def of(self, team_id: str) -> Connection | None:
        """Return a workspace's FloKit keys; None if it isn't connected or no longer installed.

        Raises:
            SecretUnreadable: it is connected, but the keys can't be decrypted; connecting again helps.
        """
        async with self._database.read() as connection:
            row = await self._vault.load(connection, team_id)
        if row is None or row.uninstalled_at or row.flokit_key is None:
            return None
        key = self._vault.key_of(row)
        sync_key = key.open(row.flokit_sync_key, "flokit_sync_key") if row.flokit_sync_key else None
        return Connection(key.open(row.flokit_key, "flokit_key"), sync_key, row.connected_by, row.connected_at)

    async def erase(self, team_id: str, *, entry: AuditEntry | None = None) -> bool:
        """Erase a workspace's FloKit keys and its webhooks' address; return whether there were any.

        ``entry`` goes to the audit log if so.
        """
        is_changed = await self._erase(team_id, entry)
        if is_changed:
            await self._database.forget_erased()
        return is_changed

    @retried
    async def _erase(self, team_id: str, entry: AuditEntry | None) -> bool:
        connected = and_(_of.id == team_id, _of.flokit_key.is_not(None))
        async with self._database.begin() as connection:
            gone = await connection.execute(update(installations).where(connected).values(NO_CONNECTION))
            if gone.rowcount == 1:
                await audit.add(connection, entry)
        return gone.rowcount == 1

    async def team_of_webhook(self, token: str) -> str | None:
        """Return the workspace that an address of webhooks belongs to; None if there is none (anymore)."""
        async with self._database.read() as connection:
            id_: str | None = await connection.scalar(_BY_WEBHOOK, {"hash": _hash(token)})
        return id_


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
