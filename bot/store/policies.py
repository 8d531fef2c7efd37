"""The policy of one workspace that has no policy file: its newest version counts, and the ones before it are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select

from bot.core.access.audit import AuditEntry
from bot.core.access.policy_form import PolicyVersion
from bot.core.models import Message, Person
from bot.store import audit, codec, homes, outbox_rows
from bot.store.database import Database
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.statements import Row, constant
from bot.store.tables import policies
from bot.store.transactions import Transaction, retried

KEPT: Final = 20
"""How many versions are kept, the current one included."""

_OF_TEAM: Final = constant(
    select(policies).where(policies.c.team_id == bindparam("team")).order_by(policies.c.version.desc())
)
_CURRENT: Final = constant(_OF_TEAM.limit(1))
"""Built once: that takes longer than running it."""


class Policies:
    """The versions of one workspace's policy.

    All methods raise StoreUnavailable when the database is away, which never means that there is no policy.
    """

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    async def current(self) -> PolicyVersion | None:
        """Return the version that counts; None if there never was a policy."""
        async with self._database.read() as connection:
            return await self._current(connection)

    async def all(self) -> list[PolicyVersion]:
        """Return the versions that are kept, the newest first: at most `KEPT`."""
        async with self._database.read() as connection:
            return [_read(row) for row in await connection.execute(_OF_TEAM, {"team": self._team_id})]

    @retried
    async def save(
        self, version: PolicyVersion, entry: AuditEntry, confirmation: Message, address: Address, now: datetime
    ) -> PolicyVersion | None:
        """Save a new version, unless someone else saved that number, or the current version has the same text.

        It's noted in the audit log and confirmed to whoever saved it, and open App Homes are redrawn.

        Returns:
            None if it's saved; otherwise the version that counts, and nothing was changed.
        """
        async with self._database.begin() as connection:
            await connection.lock(f"policy {self._team_id}")
            before = await self._current(connection)
            if before and (before.number != version.number - 1 or before.text == version.text):
                return before
            row = {
                "team_id": self._team_id,
                "version": version.number,
                "text": version.text,
                "saved_by": version.saved_by.id,
                "saved_by_name": version.saved_by.name,
                "saved_at": version.saved_at,
            }
            await connection.execute(policies.insert(), row)
            oldest = policies.c.team_id == self._team_id, policies.c.version == version.number - KEPT
            await connection.execute(policies.delete().where(*oldest))
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump(confirmation))
            await homes.changed(connection, self._team_id, now)
            await audit.add(connection, entry)
        return None

    @retried
    async def note_refusal(self, entry: AuditEntry) -> None:
        """Note in the audit log that somebody may not save one."""
        async with self._database.begin() as connection:
            await audit.add(connection, entry)

    async def _current(self, connection: Transaction) -> PolicyVersion | None:
        row = (await connection.execute(_CURRENT, {"team": self._team_id})).first()
        return _read(row) if row else None


def _read(row: Row) -> PolicyVersion:
    return PolicyVersion(row.version, row.text, Person(row.saved_by, row.saved_by_name), row.saved_at)
