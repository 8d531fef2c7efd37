"""People's own settings, in one workspace."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from bot.core.access.audit import AuditEntry
from bot.core.person_settings import PersonSettings
from bot.store import audit, timers
from bot.store.database import Database
from bot.store.tables import person_settings
from bot.store.timers import TimerKind
from bot.store.transactions import retried


class PersonSettingsRows:
    """What the people of one workspace chose."""

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    async def load(self, user_id: str) -> PersonSettings:
        """Return a person's settings."""
        this = person_settings.c.team_id == self._team_id, person_settings.c.user_id == user_id
        async with self._database.read() as connection:
            row = (await connection.execute(select(person_settings).where(*this))).first()
        return PersonSettings(row.zone, row.only_syncs) if row else PersonSettings()

    async def zone_of(self, user_id: str) -> str:
        """Return the time zone that a person chose; "" if they didn't."""
        return (await self.load(user_id)).zone

    async def only_syncs(self, user_ids: Iterable[str]) -> set[str]:
        """Return which of these people want direct messages about their syncs only."""
        query = select(person_settings.c.user_id).where(
            person_settings.c.team_id == self._team_id,
            person_settings.c.user_id.in_(sorted(user_ids)),
            person_settings.c.only_syncs.is_(True),
        )
        async with self._database.read() as connection:
            return set(await connection.scalars(query))

    @retried
    async def save(self, user_id: str, settings: PersonSettings, entry: AuditEntry, now: datetime) -> None:
        """Save a person's settings, and have their App Home show them.

        Raises:
            StoreUnavailable: nothing was saved, or that isn't known.
        """
        values = {"zone": settings.zone, "only_syncs": settings.only_syncs, "changed_at": now}
        async with self._database.begin() as connection:
            await connection.execute(
                insert(person_settings)
                .values(team_id=self._team_id, user_id=user_id, **values)
                .on_conflict_do_update(index_elements=["team_id", "user_id"], set_=values)
            )
            await timers.put(connection, TimerKind.HOME, self._team_id, user_id, now)
            await audit.add(connection, entry)
