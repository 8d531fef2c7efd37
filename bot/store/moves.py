"""Channels that got another id: all that is kept under the old one follows, in the caller's transaction.

The same move may be followed again at any time: it then moves what was written under the old id meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import literal, select, update

from bot.store import codec, homes, outbox, timers
from bot.store.tables import alerts, inbox, incidents, panels, subscriptions, threads
from bot.store.tables import outbox as outbox_table
from bot.store.tables import timers as timers_table
from bot.store.timers import TimerKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.core.subscriptions import Subscription
    from bot.store.database import Database

LONGEST_CHAIN: Final = 8
"""So many moves in a row are followed at once; more of them are a circle."""


async def follow(
    connection: AsyncConnection, database: Database, team_id: str, old_id: str, new_id: str, now: datetime
) -> str:
    """Move a channel to its new id, and on along moves that were heard of earlier; returns where it is now."""
    seen = [old_id]
    while new_id not in seen and len(seen) < LONGEST_CHAIN:
        await _move(connection, database, team_id, old_id, new_id, now)
        seen.append(new_id)
        later = await connection.scalar(
            select(timers_table.c.subject)
            .where(timers_table.c.kind == TimerKind.MOVE, timers_table.c.team_id == team_id)
            .where(timers_table.c.subject.startswith(f"{new_id}:", autoescape=True), timers_table.c.due_at.is_not(None))
            .limit(1)
        )
        if later is None:
            break
        old_id, new_id = new_id, later.split(":")[1]
    return seen[-1]


async def _move(
    connection: AsyncConnection, database: Database, team_id: str, old_id: str, new_id: str, now: datetime
) -> None:
    await _move_alerts(connection, team_id, old_id, new_id)
    await _move_threads(connection, team_id, old_id, new_id)
    there = outbox_table.c.team_id == team_id, outbox_table.c.channel_id == old_id
    # Whoever has one in hand knows the old id: it is claimed again, and looked for before it is posted again.
    await connection.execute(
        update(outbox_table)
        .where(*there, outbox_table.c.due_at.is_not(None))
        .values(claims=outbox_table.c.claims + 1, lease_owner=None, lease_until=None)
    )
    await connection.execute(update(outbox_table).where(*there).values(channel_id=new_id))
    open_alerts = (
        select(alerts.c.id)
        .join(incidents, incidents.c.id == alerts.c.incident_id)
        .where(alerts.c.team_id == team_id, alerts.c.channel_id == new_id, incidents.c.closed_at.is_(None))
    )
    await outbox.bump_panels(connection, list((await connection.scalars(open_alerts)).all()), now)
    await _move_subscriptions(connection, database, team_id, old_id, new_id, now)
    await _move_requests(connection, team_id, old_id, new_id)
    await homes.changed(connection, team_id, now)


async def _move_alerts(connection: AsyncConnection, team_id: str, old_id: str, new_id: str) -> None:
    """Move the incidents' messages; of two for one incident, the one that is posted stays, or else the newer one."""
    query = select(alerts).where(alerts.c.team_id == team_id, alerts.c.channel_id.in_([old_id, new_id]))
    rows = (await connection.execute(query.order_by(alerts.c.id).with_for_update())).all()
    in_new = {row.incident_id: row for row in rows if row.channel_id == new_id}
    dropped = [_loser(row, in_new[row.incident_id]) for row in _of(rows, old_id) if row.incident_id in in_new]
    unposted = [row.id for row in dropped if row.root_ts is None]
    await connection.execute(panels.delete().where(panels.c.id.in_(unposted)))
    await connection.execute(alerts.delete().where(alerts.c.id.in_([row.id for row in dropped])))
    await connection.execute(
        update(alerts).where(alerts.c.team_id == team_id, alerts.c.channel_id == old_id).values(channel_id=new_id)
    )


def _of(rows: Sequence[Row[Any]], channel_id: str) -> list[Row[Any]]:
    return [row for row in rows if row.channel_id == channel_id]


def _loser(old: Row[Any], new: Row[Any]) -> Row[Any]:
    return new if new.root_ts is None and old.root_ts is not None else old


async def _move_threads(connection: AsyncConnection, team_id: str, old_id: str, new_id: str) -> None:
    """Move the threads of runs; of two for one run and root, the one where something is posted stays."""
    query = select(threads).where(threads.c.team_id == team_id, threads.c.channel_id.in_([old_id, new_id]))
    rows = (await connection.execute(query.order_by(threads.c.id).with_for_update())).all()
    in_new = {(row.run_id, row.thread_ts): row for row in rows if row.channel_id == new_id}
    twice = [(row, in_new[row.run_id, row.thread_ts]) for row in _of(rows, old_id) if _key(row) in in_new]
    posted = set(
        await connection.scalars(
            select(outbox_table.c.thread_id).where(
                outbox_table.c.thread_id.in_([new.id for _, new in twice]), outbox_table.c.ts.is_not(None)
            )
        )
    )
    dropped = [old.id if new.id in posted else new.id for old, new in twice]
    await connection.execute(threads.delete().where(threads.c.id.in_(dropped)))
    await connection.execute(
        update(threads)
        .where(threads.c.team_id == team_id, threads.c.channel_id == old_id, threads.c.thread_ts.is_not(None))
        .values(channel_id=new_id, place=literal(f"{new_id}:") + threads.c.thread_ts)
    )


def _key(row: Row[Any]) -> tuple[str, str | None]:
    return row.run_id, row.thread_ts


async def _move_subscriptions(
    connection: AsyncConnection, database: Database, team_id: str, old_id: str, new_id: str, now: datetime
) -> None:
    """Move what the channel subscribed to; of two for one target, the newer one stays, as when it is typed twice."""
    query = select(subscriptions.c.data).where(
        subscriptions.c.team_id == team_id, subscriptions.c.channel_id.in_([old_id, new_id])
    )
    rows = await connection.scalars(query.order_by(subscriptions.c.created_at, subscriptions.c.id).with_for_update())
    by_target: dict[str, list[Subscription]] = {}
    for one in map(codec.load_subscription, rows.all()):
        by_target.setdefault(one.target, []).append(one)
    for of_target in by_target.values():
        for earlier in of_target[:-1]:
            await connection.execute(subscriptions.delete().where(subscriptions.c.id == earlier.id))
            await timers.drop(connection, TimerKind.DIGEST, earlier.id)
        moved = replace(of_target[-1], channel_id=new_id)
        await connection.execute(
            update(subscriptions)
            .where(subscriptions.c.id == moved.id)
            .values(channel_id=new_id, data=codec.dump_subscription(moved))
        )
    await timers.drop(connection, TimerKind.RAISE, old_id)
    if by_target:
        await timers.put(connection, database, TimerKind.RAISE, team_id, new_id, now)


async def _move_requests(connection: AsyncConnection, team_id: str, old_id: str, new_id: str) -> None:
    """Let what people asked for in the channel, and is still to be answered, be answered there."""
    query = select(inbox.c.id, inbox.c.data).where(inbox.c.team_id == team_id, inbox.c.due_at.is_not(None))
    for row in (await connection.execute(query.where(inbox.c.data.contains(f'"{old_id}"', autoescape=True)))).all():
        request = codec.load_request(row.data)
        if request.origin.channel_id == old_id:
            moved = replace(request, origin=replace(request.origin, channel_id=new_id))
            await connection.execute(
                update(inbox)
                .where(inbox.c.id == row.id, inbox.c.due_at.is_not(None))
                .values(data=codec.dump_request(moved))
            )
