"""Who has App Home open, and when it must be rendered again. That's scheduled: once among all replicas."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Integer, Text, and_, bindparam, literal, select
from sqlalchemy.dialects.postgresql import insert

from bot.core.requests import Request
from bot.store import inbox, timers
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.statements import constant
from bot.store.tables import UtcTime, homes
from bot.store.tables import timers as timers_table
from bot.store.timers import TimerKind
from bot.store.transactions import Transaction, retried

TOGETHER_S: Final = 2.0
"""Changes within this time are rendered together."""

LOOKED_AT_FOR: Final = timedelta(hours=1)
"""Someone who opened it longer ago opens it again before reading it, which renders it."""


_LOOKING: Final = (
    select(
        bindparam("ids_begin", type_=Text).concat(homes.c.user_id).label("id"),
        homes.c.team_id,
        literal(TimerKind.HOME.value, Text),
        homes.c.user_id,
        bindparam("due", type_=UtcTime),
        bindparam("first_version", type_=Integer),
    )
    .where(homes.c.team_id == bindparam("team"), homes.c.opened_at > bindparam("since"))
    .order_by(homes.c.user_id)
)
_DRAW_SOON: Final = constant(
    insert(timers_table)
    .from_select(["id", "team_id", "kind", "subject", "due_at", "version"], _LOOKING)
    .on_conflict_do_update(index_elements=["id"], set_={"due_at": timers.EARLIEST})
)


async def changed(connection: Transaction, team_id: str, now: datetime) -> None:
    """Schedule the App Homes that show what changed, if someone may be looking at them."""
    soon = now + timedelta(seconds=TOGETHER_S)
    about = {
        "team": team_id,
        "ids_begin": timers.timer_id(TimerKind.HOME, team_id, ""),
        "since": now - LOOKED_AT_FOR,
        "first_version": timers.new_version(),
    }
    scheduled = await connection.execute(_DRAW_SOON, about | timers.times_of(soon))
    if scheduled.rowcount:
        connection.ring(Work.TIMERS, soon)


class Homes:
    """The App Homes of one workspace."""

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    @retried
    async def open(self, request: Request, now: datetime) -> None:
        """Record that a person opened theirs, and have it rendered immediately.

        Raises:
            ClaimLost: another replica did that.
        """
        user_id = request.origin.person.id
        async with self._database.begin() as connection:
            await connection.execute(
                insert(homes)
                .values(team_id=self._team_id, user_id=user_id, opened_at=now)
                .on_conflict_do_update(index_elements=["team_id", "user_id"], set_={"opened_at": now})
            )
            await timers.put(connection, TimerKind.HOME, self._team_id, user_id, now)
            await inbox.finish(connection, request.id)

    async def opened_at(self, user_id: str, now: datetime) -> datetime | None:
        """Return when a person opened theirs; None if that's so long ago that they aren't looking at it."""
        query = select(homes.c.opened_at).where(
            and_(homes.c.team_id == self._team_id, homes.c.user_id == user_id, homes.c.opened_at > now - LOOKED_AT_FOR)
        )
        async with self._database.read() as connection:
            at: datetime | None = await connection.scalar(query)
        return at
