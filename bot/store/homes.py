"""Who has the App Home open, and when it must be drawn anew. Drawing is scheduled: once among all replicas."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, case, literal, or_, select, update

from bot.store import inbox, timers
from bot.store.tables import homes
from bot.store.tables import timers as timers_table
from bot.store.timers import TimerKind

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.core.requests import Request
    from bot.store.bell import Bell
    from bot.store.database import Database

TOGETHER_S: Final = 2.0
"""What changes within this time is drawn together."""

LOOKED_AT_FOR: Final = timedelta(hours=24)
"""Whoever opened it longer ago will open it again before they read it."""


async def changed(connection: AsyncConnection, team_id: str, now: datetime) -> None:
    """Something that App Homes show has changed: draw those that may be looked at."""
    soon = literal(now + timedelta(seconds=TOGETHER_S), timers_table.c.due_at.type)
    later = or_(timers_table.c.due_at.is_(None), timers_table.c.due_at > soon)
    await connection.execute(
        update(timers_table)
        .where(timers_table.c.kind == TimerKind.HOME, timers_table.c.team_id == team_id)
        .values(due_at=case((later, soon), else_=timers_table.c.due_at))
    )


class Homes:
    """The App Homes of one workspace."""

    def __init__(self, database: Database, team_id: str, *, timers_rang: Bell) -> None:
        self._database = database
        self._team_id = team_id
        self._timers_rang = timers_rang

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
        self._timers_rang.ring()

    async def opened_at(self, user_id: str, now: datetime) -> datetime | None:
        """Tell when a person opened theirs; None when that is so long ago that nobody looks at it."""
        query = select(homes.c.opened_at).where(
            and_(homes.c.team_id == self._team_id, homes.c.user_id == user_id, homes.c.opened_at > now - LOOKED_AT_FOR)
        )
        async with self._database.begin() as connection:
            at: datetime | None = await connection.scalar(query)
        return at
