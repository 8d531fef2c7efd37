"""FloKit's last reply, for the time when it's unreachable."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from bot.core.models import Integration
from bot.store import codec
from bot.store.database import Database
from bot.store.statements import constant
from bot.store.tables import snapshots
from bot.store.transactions import retried

_ROW: Final = insert(snapshots)
_KEEP: Final = constant(
    _ROW.on_conflict_do_update(
        index_elements=["team_id"],
        set_={"data": _ROW.excluded.data, "as_of": _ROW.excluded.as_of},
        where=snapshots.c.as_of < _ROW.excluded.as_of,
    )
)
_LOAD: Final = constant(select(snapshots.c.data, snapshots.c.as_of).where(snapshots.c.team_id == bindparam("team")))


class Snapshots:
    """The last list of integrations of one workspace, for all replicas and after a restart."""

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    @retried
    async def save(self, integrations: tuple[Integration, ...], as_of: datetime) -> None:
        """Save a list, unless a newer one is saved already."""
        row = {"team_id": self._team_id, "data": codec.dump_integrations(integrations), "as_of": as_of}
        async with self._database.begin(is_light=True) as connection:
            await connection.execute(_KEEP, row)

    async def load(self) -> tuple[tuple[Integration, ...], datetime] | None:
        """Return the newest list and its time; None if there was never one."""
        async with self._database.read() as connection:
            row = (await connection.execute(_LOAD, {"team": self._team_id})).first()
        return (codec.load_integrations(row.data), row.as_of) if row else None
