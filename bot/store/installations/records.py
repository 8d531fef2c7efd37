"""What those who run the bot see of installations, without their secrets, and the exchange of master keys."""

from __future__ import annotations

from typing import Final

from sqlalchemy import and_, func, select, update

from bot.core.errors import SecretUnreadable
from bot.core.installations import InstallationRecord
from bot.store.database import Database
from bot.store.installations.vault import Vault, record_of
from bot.store.tables import installations
from bot.store.transactions import retried

_of: Final = installations.c


class Records:
    """The installations as those see them who run the bot."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def page(self, limit: int, after: str = "") -> list[InstallationRecord]:
        """List installations by ID, from the one after ``after`` on; no secret is opened."""
        page = select(installations).where(_of.id > after).order_by(_of.id).limit(limit)
        async with self._database.read() as connection:
            return [record_of(row) for row in await connection.execute(page)]

    async def find(self, id_: str) -> InstallationRecord | None:
        """Return what is known of one installation, uninstalled or not; no secret is opened."""
        async with self._database.read() as connection:
            row = await self._vault.load(connection, id_)
        return record_of(row) if row else None

    async def count_by_key(self) -> dict[str, int]:
        """Count the installations whose secrets need each master key, by the key's ID."""
        known = _of.data_key_id.is_not(None)
        counts = select(_of.data_key_id, func.count().label("needing")).where(known).group_by(_of.data_key_id)
        async with self._database.read(is_long=True) as connection:
            return {row.data_key_id: row.needing for row in await connection.execute(counts)}

    async def rewrap(self, limit: int) -> int:
        """Wrap some data keys with the first master key, and return how many; 0 if none is left that can be read.

        The secrets themselves stay as they are, and the bot can run meanwhile.
        """
        done = 0
        for key_id in self._vault.keys.ids[1:]:
            after = ""
            while done < limit:
                rewrapped, last = await self._rewrap(key_id, after, limit - done)
                if not last:
                    break
                done, after = done + rewrapped, last
        return done

    @retried
    async def _rewrap(self, key_id: str, after: str, limit: int) -> tuple[int, str]:
        """Rewrap one batch; return how many, and the last ID, "" if there was none."""
        wrapped_by = and_(_of.data_key_id == key_id, _of.id > after)
        batch = select(_of.id, _of.data_key, _of.data_key_id).where(wrapped_by).order_by(_of.id).limit(limit)
        done, last = 0, ""
        async with self._database.begin() as connection:
            for row in (await connection.execute(batch.with_for_update(key_share=True))).all():
                last = row.id
                try:
                    key = self._vault.key_of(row)
                except SecretUnreadable:
                    continue
                await connection.execute(update(installations).where(_of.id == row.id).values(self._vault.wrapped(key)))
                done += 1
        return done, last
