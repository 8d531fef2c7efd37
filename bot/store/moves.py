"""Channels that got another ID: everything stored under the old one is moved, in the caller's transaction.

A move can be repeated at any time: it then moves what was written under the old ID in the meantime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import literal, or_, select, update

from bot.core.requests import Request
from bot.core.subscriptions.subscriptions import Subscription
from bot.store import codec, held, outbox_rows, timers
from bot.store.locks import in_order, locked, of_team
from bot.store.statements import Row
from bot.store.tables import alerts, inbox, panels, subscriptions, threads
from bot.store.tables import outbox as outbox_table
from bot.store.tables import timers as timers_table
from bot.store.timers import TimerKind
from bot.store.transactions import Transaction

LONGEST_CHAIN: Final = 8
"""How many moves in a row are followed at once; more of them are a cycle."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What moved with a channel: along which moves, and what's left to do with timers."""

    moves: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    """Subscriptions that gave way to newer ones of the same target."""
    raises: tuple[str, ...]
    """Channels that are subscribed now: they may have been told less than they want."""

    @property
    def channel_id(self) -> str:
        """Return the channel's current ID."""
        return self.moves[-1][1]


async def follow(connection: Transaction, team_id: str, old_id: str, new_id: str, now: datetime) -> Moved:
    """Move a channel to its new ID, and along moves that were reported earlier; timers and requests come later."""
    steps = await _steps(connection, team_id, old_id, new_id)
    for step in steps:
        await _move_threads(connection, team_id, *step)
    dropped: list[str] = []
    raises = []
    for step in steps:
        gone, is_subscribed = await _move_subscriptions(connection, team_id, *step)
        dropped += gone
        raises += [step[1]] if is_subscribed else []
    losers = [await _losing_alerts(connection, team_id, *step) for step in steps]
    unposted = [row.id for rows in losers for row in rows if row.root_ts is None]
    await connection.execute(panels.delete().where(in_order(panels, panels.c.id.in_(unposted))))
    for step in steps:
        await _move_alerts(connection, team_id, *step)
    for step in steps:
        await held.move(connection, team_id, *step)
    for step in steps:
        await _move_messages(connection, team_id, *step, now)
    return Moved(steps, tuple(dropped), tuple(raises))


async def _steps(connection: Transaction, team_id: str, old_id: str, new_id: str) -> tuple[tuple[str, str], ...]:
    """Return the moves of a channel in order; one that takes it back was reported before it came here."""
    steps, seen = [(old_id, new_id)], [old_id, new_id]
    while len(seen) < LONGEST_CHAIN:
        onward = [there for there in await heard_of(connection, team_id, seen[-1]) if there not in seen]
        if not onward:
            break
        steps.append((seen[-1], onward[0]))
        seen.append(onward[0])
    return tuple(steps)


async def heard_of(connection: Transaction, team_id: str, old_id: str) -> list[str]:
    """Return the IDs that a channel recently got, as far as they were reported."""
    moves = await connection.scalars(
        select(timers_table.c.subject)
        .where(timers_table.c.kind == TimerKind.MOVE, timers_table.c.team_id == team_id)
        .where(timers_table.c.subject.startswith(f"{old_id}:", autoescape=True), timers_table.c.due_at.is_not(None))
        .order_by(timers_table.c.subject)
    )
    return [new_id for _, new_id, _ in (subject.split(":") for subject in moves)]


async def drop_digests(connection: Transaction, team_id: str, moved: Moved) -> None:
    """Delete the digests of subscriptions that are gone."""
    for subscription_id in sorted({*moved.dropped}):
        await timers.drop(connection, TimerKind.DIGEST, team_id, subscription_id)


async def tell_there(connection: Transaction, team_id: str, moved: Moved, now: datetime) -> None:
    """Have what is held told in the channel at its new ID, when it's time."""
    for channel_id in sorted({old for old, _ in moved.moves} | {new for _, new in moved.moves}):
        if channel_id == moved.channel_id:
            await held.look_soon(connection, team_id, channel_id, now)
        else:
            await timers.drop(connection, TimerKind.HELD, team_id, channel_id)


async def raise_there(connection: Transaction, team_id: str, moved: Moved, now: datetime) -> None:
    """Have open incidents shown in the channel at its new ID."""
    for channel_id in sorted({old for old, _ in moved.moves} | {*moved.raises}):
        if channel_id in moved.raises:
            await timers.put(connection, TimerKind.RAISE, team_id, channel_id, now)
        else:
            await timers.drop(connection, TimerKind.RAISE, team_id, channel_id)


async def _move_messages(connection: Transaction, team_id: str, old_id: str, new_id: str, now: datetime) -> None:
    there = outbox_table.c.team_id == team_id, outbox_table.c.channel_id == old_id
    ids = await connection.scalars(locked(outbox_table, *there))
    if ids:
        moving = update(outbox_table).where(outbox_table.c.id.in_(ids))
        # A process that is sending one knows the old ID, so it's claimed again, and checked for before it's reposted.
        await connection.execute(
            moving.where(outbox_table.c.due_at.is_not(None)).values(
                claims=outbox_table.c.claims + 1, lease_owner=None, lease_until=None
            )
        )
        await connection.execute(moving.values(channel_id=new_id))
    await outbox_rows.show_held_back(connection, team_id, new_id, now)


async def _losing_alerts(connection: Transaction, team_id: str, old_id: str, new_id: str) -> list[Row]:
    """Return which of two alerts for one incident to drop: the posted one stays, or else the newer one."""
    query = select(alerts).where(alerts.c.team_id == team_id, alerts.c.channel_id.in_([old_id, new_id]))
    rows = (await connection.execute(query)).all()
    in_new = {row.incident_id: row for row in rows if row.channel_id == new_id}
    return [_loser(row, in_new[row.incident_id]) for row in _of(rows, old_id) if row.incident_id in in_new]


async def _move_alerts(connection: Transaction, team_id: str, old_id: str, new_id: str) -> None:
    """Move the incidents' messages."""
    here = alerts.c.team_id == team_id, alerts.c.channel_id.in_([old_id, new_id])
    await connection.execute(locked(alerts, *here))
    gone = [row.id for row in await _losing_alerts(connection, team_id, old_id, new_id)]
    if gone:
        await connection.execute(alerts.delete().where(alerts.c.id.in_(gone)))
    await connection.execute(
        update(alerts)
        .where(in_order(alerts, alerts.c.team_id == team_id, alerts.c.channel_id == old_id))
        .values(channel_id=new_id)
    )


def _of(rows: Sequence[Row], channel_id: str) -> list[Row]:
    return [row for row in rows if row.channel_id == channel_id]


def _loser(old: Row, new: Row) -> Row:
    return new if new.root_ts is None and old.root_ts is not None else old


async def _move_threads(connection: Transaction, team_id: str, old_id: str, new_id: str) -> None:
    """Move the threads of runs; of two for one run and root, the one with a posted message stays."""
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
    if dropped:
        await connection.execute(threads.delete().where(threads.c.id.in_(dropped)))
    moving = threads.c.team_id == team_id, threads.c.channel_id == old_id, threads.c.thread_ts.is_not(None)
    await connection.execute(
        update(threads)
        .where(in_order(threads, *moving))
        .values(channel_id=new_id, place=literal(f"{new_id}:") + threads.c.thread_ts)
    )


def _key(row: Row) -> tuple[str, str | None]:
    return row.run_id, row.thread_ts


async def _move_subscriptions(
    connection: Transaction, team_id: str, old_id: str, new_id: str
) -> tuple[list[str], bool]:
    """Move the channel's subscriptions; of two for one target the newer one stays, as if it was typed twice.

    Returns:
        Those that were dropped, and whether there are any left.
    """
    query = select(subscriptions.c.data).where(
        subscriptions.c.team_id == team_id, subscriptions.c.channel_id.in_([old_id, new_id])
    )
    rows = await connection.scalars(query.order_by(subscriptions.c.id).with_for_update(key_share=True))
    there = sorted((codec.load(Subscription, data) for data in rows), key=lambda one: (one.created_at, one.id))
    by_target: dict[str, Subscription] = {}
    gone = []
    for one in there:
        if one.target in by_target:
            gone.append(by_target[one.target].id)
        by_target[one.target] = one
    if gone:
        await connection.execute(subscriptions.delete().where(subscriptions.c.id.in_(gone)))
    for one in sorted(by_target.values(), key=lambda each: each.id):
        if one.channel_id == new_id:
            continue
        moved = replace(one, channel_id=new_id)
        await connection.execute(
            update(subscriptions)
            .where(subscriptions.c.id == moved.id)
            .values(channel_id=new_id, target=moved.target, data=codec.dump(moved))
        )
    return gone, bool(by_target)


async def move_requests(connection: Transaction, team_id: str, moved: Moved) -> None:
    """Have unanswered requests from the channel answered at its new ID."""
    old_ids = {old_id for old_id, _ in moved.moves}
    named = or_(*(inbox.c.data.contains(f'"{old_id}"', autoescape=True) for old_id in sorted(old_ids)))
    query = select(inbox.c.id, inbox.c.data).where(of_team(inbox, team_id), inbox.c.due_at.is_not(None), named)
    for row in sorted((await connection.execute(query)).all(), key=lambda one: one.id):
        request = codec.load(Request, row.data)
        if request.origin.channel_id in old_ids:
            there = replace(request, origin=replace(request.origin, channel_id=moved.channel_id))
            await connection.execute(
                update(inbox).where(inbox.c.id == row.id, inbox.c.due_at.is_not(None)).values(data=codec.dump(there))
            )
