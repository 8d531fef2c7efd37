"""What FloKit said last, kept for the time in which it cannot be asked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from bot.core.models import Integration
from bot.store import codec
from bot.store.database import Database
from bot.store.tables import snapshots
from bot.store.transactions import retried


class Snapshots:
    """The last list of integrations of one workspace, for all replicas and after a restart."""

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    @retried
    async def save(self, integrations: tuple[Integration, ...], as_of: datetime) -> None:
        """Keep a list, unless a newer one is kept already."""
        values = {"data": codec.dump_integrations(integrations), "as_of": as_of}
        kept = self._database.insert(snapshots).values(team_id=self._team_id, **values)
        async with self._database.begin() as connection:
            await connection.execute(
                kept.on_conflict_do_update(
                    index_elements=["team_id"], set_=values, where=snapshots.c.as_of < kept.excluded.as_of
                )
            )

    async def load(self) -> tuple[tuple[Integration, ...], datetime] | None:
        """Read the newest list and when it was true; None when there was never one."""
        query = select(snapshots.c.data, snapshots.c.as_of).where(snapshots.c.team_id == self._team_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return (codec.load_integrations(row.data), row.as_of) if row else None
