"""How many events the integrations of one workspace bring, counted after successful syncs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from bot.core.volumes.expectations import Expectation
from bot.core.volumes.volume import Reading, Volume, add_reading, after_shortfall, judge
from bot.store import codec
from bot.store.database import Database
from bot.store.statements import constant
from bot.store.tables import volumes
from bot.store.transactions import retried

_COUNTED: Final = constant(
    select(volumes.c.integration_id, volumes.c.synced_at, volumes.c.read_at).where(
        volumes.c.team_id == bindparam("team")
    )
)
_HOLD: Final = constant(
    select(volumes.c.data)
    .where(volumes.c.team_id == bindparam("team"), volumes.c.integration_id == bindparam("integration"))
    .with_for_update(key_share=True)
)
_ROW: Final = insert(volumes)
_KEEP: Final = constant(
    _ROW.on_conflict_do_update(
        index_elements=["team_id", "integration_id"],
        set_={name: _ROW.excluded[name] for name in ("data", "synced_at", "read_at")},
        where=volumes.c.read_at <= _ROW.excluded.read_at,
    )
)


@dataclass(frozen=True, slots=True)
class Counted:
    """When the events of an integration were last counted, and its last successful sync then."""

    synced_at: datetime
    read_at: datetime


class Volumes:
    """How many events integrations brought.

    All methods raise StoreUnavailable when the database is away.
    """

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    async def counted(self) -> dict[str, Counted]:
        """Return when each integration was last counted."""
        async with self._database.read() as connection:
            rows = await connection.execute(_COUNTED, {"team": self._team_id})
        return {row.integration_id: Counted(row.synced_at, row.read_at) for row in rows}

    @retried
    async def add(self, integration_id: str, reading: Reading, expectation: Expectation) -> Volume:
        """Add a reading and judge it; return the result."""
        about = {"team": self._team_id, "integration": integration_id}
        async with self._database.begin() as connection:
            data = await connection.scalar(_HOLD, about)
            before = codec.load(Volume, data) if data else None
            after = after_shortfall(before, judge(add_reading(before, reading), expectation))
            row = {
                "team_id": self._team_id,
                "integration_id": integration_id,
                "data": codec.dump(after),
                "synced_at": after.synced_at,
                "read_at": after.read_at,
            }
            await connection.execute(_KEEP, row)
        return after
