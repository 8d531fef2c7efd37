"""What channels are told later, because it's quiet there now; and maintenance windows.

Functions here work inside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from bot.core.access.audit import AuditEntry
from bot.core.incidents.quiet import Maintenance
from bot.core.models import Message
from bot.core.requests import Request
from bot.store import audit, codec, homes, inbox, outbox_rows, timers
from bot.store.database import Database
from bot.store.locks import in_order
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.statements import constant
from bot.store.tables import UtcTime, held, maintenances
from bot.store.tables import timers as timers_table
from bot.store.timers import TimerKind
from bot.store.transactions import Transaction, retried

_ON: Final = constant(
    select(maintenances.c.data)
    .where(maintenances.c.team_id == bindparam("team"), maintenances.c.until > bindparam("now", type_=UtcTime))
    .order_by(maintenances.c.until, maintenances.c.id)
)
_HOLD: Final = constant(
    insert(held)
    .values(
        team_id=bindparam("team"),
        channel_id=bindparam("channel"),
        incident_id=bindparam("incident"),
        held_at=bindparam("now", type_=UtcTime),
    )
    .on_conflict_do_nothing()
)
_IN_CHANNEL: Final = constant(
    select(held.c.incident_id)
    .where(held.c.team_id == bindparam("team"), held.c.channel_id == bindparam("channel"))
    .order_by(held.c.incident_id)
)


async def maintenances_on(connection: Transaction, team_id: str, now: datetime) -> list[Maintenance]:
    """Return the maintenance windows of a workspace that aren't over."""
    rows = await connection.scalars(_ON, {"team": team_id, "now": now})
    return [codec.load(Maintenance, data) for data in rows]


async def hold(connection: Transaction, team_id: str, later: Mapping[tuple[str, str], datetime], now: datetime) -> None:
    """Hold incidents back from channels; ``later`` says until when, by channel and incident. See ``schedule``."""
    for channel_id, incident_id in sorted(later):
        about = {"team": team_id, "channel": channel_id, "incident": incident_id, "now": now}
        await connection.execute(_HOLD, about)


async def schedule(connection: Transaction, team_id: str, later: Mapping[tuple[str, str], datetime]) -> None:
    """Schedule when to tell channels what is held; timers are locked after what ``hold`` writes."""
    ends: dict[str, datetime] = {}
    for (channel_id, _), until in later.items():
        ends[channel_id] = min(until, ends.get(channel_id, until))
    for channel_id, until in sorted(ends.items()):
        await timers.put(connection, TimerKind.HELD, team_id, channel_id, until)


async def held_in(connection: Transaction, team_id: str, channel_id: str) -> list[str]:
    """Return the IDs of the incidents that a channel is told about later."""
    return list(await connection.scalars(_IN_CHANNEL, {"team": team_id, "channel": channel_id}))


async def look_soon(connection: Transaction, team_id: str, channel_id: str, now: datetime) -> None:
    """Have it looked at soon whether a channel is still to be told later, if anything is held there."""
    if await held_in(connection, team_id, channel_id):
        await timers.put(connection, TimerKind.HELD, team_id, channel_id, now)


async def let_go(connection: Transaction, team_id: str, channel_id: str, incident_ids: Sequence[str]) -> None:
    """Note that a channel is told about incidents, or doesn't want to be anymore."""
    for incident_id in sorted(incident_ids):
        await connection.execute(
            delete(held).where(
                held.c.team_id == team_id, held.c.channel_id == channel_id, held.c.incident_id == incident_id
            )
        )


async def move(connection: Transaction, team_id: str, old_id: str, new_id: str) -> None:
    """Move what is held for a channel to its new ID."""
    for incident_id in await held_in(connection, team_id, old_id):
        row = select(held.c.held_at).where(
            held.c.team_id == team_id, held.c.channel_id == old_id, held.c.incident_id == incident_id
        )
        about = {"team": team_id, "channel": new_id, "incident": incident_id, "now": await connection.scalar(row)}
        await connection.execute(_HOLD, about)
    await let_go(connection, team_id, old_id, await held_in(connection, team_id, old_id))


@dataclass(frozen=True, slots=True)
class HeldThere:
    """How many incidents a channel is told about later, and when that's looked at next."""

    channel_id: str
    count: int
    until: datetime | None


class Quiet:
    """The maintenance windows of one workspace, and what is held there."""

    def __init__(self, database: Database, team_id: str) -> None:
        self._database = database
        self._team_id = team_id

    async def windows(self, now: datetime) -> list[Maintenance]:
        """Return the maintenance windows that aren't over, the first to end first."""
        async with self._database.read() as connection:
            return await maintenances_on(connection, self._team_id, now)

    async def held(self) -> list[HeldThere]:
        """Return what is held, by channel."""
        due = (
            select(timers_table.c.due_at)
            .where(timers_table.c.id == timers.timer_id(TimerKind.HELD, self._team_id, "") + held.c.channel_id)
            .scalar_subquery()
        )
        query = (
            select(held.c.channel_id, func.count().label("count"), due.label("until"))
            .where(held.c.team_id == self._team_id)
            .group_by(held.c.channel_id)
            .order_by(held.c.channel_id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [HeldThere(row.channel_id, row.count, row.until) for row in rows]

    @retried
    async def begin(
        self,
        request: Request,
        maintenance: Maintenance,
        answer: Message,
        address: Address,
        entry: AuditEntry,
        now: datetime,
    ) -> None:
        """Save a maintenance window, and post that; an earlier one of the same target ends.

        Raises:
            ClaimLost: another replica answered the request.
        """
        async with self._database.begin() as connection:
            await connection.lock(f"audience:{self._team_id}")
            there = await maintenances_on(connection, self._team_id, now)
            earlier = [one for one in there if one.target == maintenance.target and one.is_on(maintenance.begins_at)]
            await connection.execute(
                delete(maintenances).where(in_order(maintenances, maintenances.c.id.in_([one.id for one in earlier])))
            )
            row = {"id": maintenance.id, "team_id": self._team_id, "until": maintenance.until}
            await connection.execute(maintenances.insert().values(**row, data=codec.dump(maintenance)))
            data = codec.dump(replace(answer, cause=request.cause))
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=data)
            await self._look_soon(connection, now)
            await homes.changed(connection, self._team_id, now)
            await inbox.finish(connection, request.id)
            await audit.add(connection, entry)

    @retried
    async def end(
        self,
        request: Request,
        ended: Sequence[Maintenance],
        answer: Message,
        address: Address,
        entries: Sequence[AuditEntry],
        now: datetime,
    ) -> None:
        """End maintenance windows, post that, and have channels told what was held.

        Raises:
            ClaimLost: another replica answered the request.
        """
        async with self._database.begin() as connection:
            await connection.lock(f"audience:{self._team_id}")
            for one in sorted(ended, key=lambda each: each.id):
                over = replace(one, until=now, begins_at=min(one.begins_at, now))
                await connection.execute(
                    update(maintenances)
                    .where(maintenances.c.id == one.id, maintenances.c.team_id == self._team_id)
                    .values(until=now, data=codec.dump(over))
                )
            data = codec.dump(replace(answer, cause=request.cause))
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=data)
            await self._look_soon(connection, now)
            await homes.changed(connection, self._team_id, now)
            await inbox.finish(connection, request.id)
            for entry in entries:
                await audit.add(connection, entry)

    async def _look_soon(self, connection: Transaction, now: datetime) -> None:
        query = select(held.c.channel_id).where(held.c.team_id == self._team_id).distinct()
        for channel_id in sorted(await connection.scalars(query)):
            await timers.put(connection, TimerKind.HELD, self._team_id, channel_id, now)
