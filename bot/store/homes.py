"""Who has the App Home open, and when it must be drawn again. Drawing is scheduled: once among all replicas."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Integer, Text, and_, literal, select

from bot.core.requests import Request
from bot.store import inbox, timers
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.tables import UtcTime, homes
from bot.store.tables import timers as timers_table
from bot.store.timers import TimerKind
from bot.store.transactions import Transaction, retried

TOGETHER_S: Final = 2.0
"""What changes within this time is drawn together."""

LOOKED_AT_FOR: Final = timedelta(hours=1)
"""Who opened it longer ago opens it again before they read it, and has it drawn then."""


async def changed(connection: Transaction, database: Database, team_id: str, now: datetime) -> None:
    """Something that App Homes show has changed: draw those that may be looked at, and no others."""
    soon = now + timedelta(seconds=TOGETHER_S)
    looking = (
        select(
            literal(timers.timer_id(TimerKind.HOME, ""), Text).concat(homes.c.user_id).label("id"),
            homes.c.team_id,
            literal(TimerKind.HOME.value, Text),
            homes.c.user_id,
            literal(soon, UtcTime),
            literal(timers.new_version(), Integer),
        )
        .where(homes.c.team_id == team_id, homes.c.opened_at > now - LOOKED_AT_FOR)
        .order_by(homes.c.user_id)
    )
    columns = ["id", "team_id", "kind", "subject", "due_at", "version"]
    scheduled = await connection.execute(
        database.insert(timers_table)
        .from_select(columns, looking)
        .on_conflict_do_update(index_elements=["id"], set_={"due_at": timers.earliest(soon)})
    )
    if scheduled.rowcount:
        connection.ring(Work.TIMERS)


class Homes:
    """The App Homes of one workspace."""

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    @retried
    async def open(self, request: Request, now: datetime) -> None:
        """Note that a person opened theirs, and have it drawn at once.

        Raises:
            ClaimLost: another replica did that.
        """
        user_id = request.origin.person.id
        async with self._database.begin() as connection:
            await connection.execute(
                self._database.insert(homes)
                .values(team_id=self._team_id, user_id=user_id, opened_at=now)
                .on_conflict_do_update(index_elements=["team_id", "user_id"], set_={"opened_at": now})
            )
            await timers.put(connection, self._database, TimerKind.HOME, self._team_id, user_id, now)
            await inbox.finish(connection, request.id)

    async def opened_at(self, user_id: str, now: datetime) -> datetime | None:
        """Tell when a person opened theirs; None when that is so long ago that nobody looks at it."""
        query = select(homes.c.opened_at).where(
            and_(homes.c.team_id == self._team_id, homes.c.user_id == user_id, homes.c.opened_at > now - LOOKED_AT_FOR)
        )
        async with self._database.read() as connection:
            at: datetime | None = await connection.scalar(query)
        return at
