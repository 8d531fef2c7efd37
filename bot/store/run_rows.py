"""Runs: opened or joined by clicks, claimed by followers. Functions here work inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.models import Decision, Outcome, Person, Phase, SyncRun, Telling
from bot.store import codec, outbox_rows
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.ids import new_id
from bot.store.locks import chosen, of_team
from bot.store.tables import UtcTime, participants, runs, threads
from bot.store.transactions import Transaction

TYPICAL_OF: Final = 15
"""What is usual is learned from this many last successes."""

ALONG_AT_ONCE: Final = 200
"""So many runs at the most are taken along with those that are due."""


@dataclass(frozen=True, slots=True)
class RunClaim:
    """A run that this process alone may act on until ``lease_until``; ``version`` fences it off afterwards."""

    run: SyncRun
    version: int
    lease_until: datetime


def row_values(decision: Decision) -> dict[str, Any]:
    """The columns that follow from a decision."""
    run = decision.run
    return {
        "integration_type": run.integration_type,
        "phase": run.phase,
        "outcome": run.outcome,
        "ended_at": run.ended_at,
        "data": codec.dump(run),
        "due_at": decision.next_look_at,
        "along_at": decision.along_at,
    }


def story_of(decision: Decision, data: str) -> outbox_rows.Story:
    """What a decision wants told, with the run as it is saved."""
    return outbox_rows.Story(decision.run.id, decision.tell, data, ended=not decision.run.is_active)


async def find_active(connection: AsyncConnection, team_id: str, integration_id: str) -> SyncRun | None:
    """Find the run that a click joins, and hold it still until the transaction ends."""
    query = select(runs.c.data).where(
        runs.c.team_id == team_id, runs.c.integration_id == integration_id, runs.c.outcome.is_(None)
    )
    data = await connection.scalar(query.order_by(runs.c.id).with_for_update(key_share=True))
    return codec.load(SyncRun, data) if data else None


async def add(connection: Transaction, database: Database, decision: Decision) -> bool:
    """Add a new run; False when another replica opened one for this integration at the same moment."""
    run = decision.run
    inserted = await connection.execute(
        database.insert(runs)
        .values(
            id=run.id,
            team_id=run.team_id,
            integration_id=run.integration_id,
            requested_at=run.requested_at,
            version=0,
            **row_values(decision),
        )
        .on_conflict_do_nothing()
    )
    if inserted.rowcount == 1:
        connection.ring(Work.RUNS)
    return inserted.rowcount == 1


async def end_late_watches(connection: Transaction, run: SyncRun) -> list[outbox_rows.Story]:
    """Stop the slow watch of earlier runs, and return what that wants told: a result belongs to the newer one now."""
    late = select(runs.c.data).where(
        runs.c.team_id == run.team_id,
        runs.c.integration_id == run.integration_id,
        runs.c.phase == Phase.LATE,
    )
    rows = await connection.scalars(late.order_by(runs.c.id).with_for_update(key_share=True))
    ended = [replace(codec.load(SyncRun, data), phase=Phase.DONE) for data in rows.all()]
    return [await write(connection, Decision(each, None, (Telling.PROGRESS,))) for each in ended]


async def write(connection: Transaction, decision: Decision) -> outbox_rows.Story:
    """Save a decision that is not made under a claim, and return what it wants told; who holds a claim loses it."""
    run = decision.run
    values = row_values(decision)
    await connection.execute(
        update(runs)
        .where(runs.c.id == run.id)
        .values(**values, version=runs.c.version + 1, lease_owner=None, lease_until=None)
    )
    connection.ring(Work.RUNS)
    return story_of(decision, values["data"])


async def add_participant(
    connection: AsyncConnection, database: Database, run_id: str, person: Person, now: datetime
) -> None:
    """Note who is behind a run: the first is the starter, the others joined."""
    await connection.execute(
        database.insert(participants)
        .values(run_id=run_id, user_id=person.id, user_name=person.name, joined_at=now)
        .on_conflict_do_nothing()
    )


async def add_thread(
    connection: Transaction,
    database: Database,
    run: SyncRun,
    address: outbox_rows.Address,
    now: datetime,
    *,
    panel_id: str | None,
    user_id: str,
    joined: bool,
) -> bool:
    """Have a thread told about a run, with a progress reply to come; False when it already is."""
    told = await connection.execute(
        select(threads.c.channel_id, threads.c.thread_ts)
        .where(threads.c.run_id == run.id)
        .order_by(threads.c.id)
        .with_for_update(key_share=True)
    )
    if address.thread_ts:
        if (address.channel_id, address.thread_ts) in {(thread.channel_id, thread.thread_ts) for thread in told}:
            return False
        place = f"{address.channel_id}:{address.thread_ts}"
    else:
        place = f"panel:{panel_id}" if address.channel_id else f"direct:{user_id}"
    thread_id = new_id("thr")
    inserted = await connection.execute(
        database.insert(threads)
        .values(
            id=thread_id,
            team_id=run.team_id,
            run_id=run.id,
            place=place,
            channel_id=address.channel_id if address.thread_ts else None,
            thread_ts=address.thread_ts,
            panel_id=panel_id,
            user_id=user_id,
            joined=joined,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    if inserted.rowcount != 1:
        return False
    await outbox_rows.add_row(
        connection,
        outbox_rows.OutboxKind.PROGRESS,
        address,
        now,
        run_id=run.id,
        thread_id=thread_id,
        seq=1,
        waits=address.thread_ts is None,
    )
    return True


async def took_part(connection: AsyncConnection, run_ids: Sequence[str]) -> Sequence[Any]:
    """Read who is behind runs, in the order in which they came."""
    if not run_ids:
        return ()
    query = select(participants.c.run_id, participants.c.user_id, participants.c.user_name)
    rows = await connection.execute(query.where(participants.c.run_id.in_(run_ids)).order_by(participants.c.joined_at))
    return rows.all()


def joiners(run: SyncRun, took_part: Sequence[Any]) -> tuple[Person, ...]:
    """Name those of them who joined a run; its starter is not one of them."""
    rows = [row for row in took_part if row.run_id == run.id and row.user_id != run.requested_by.id]
    return tuple(Person(row.user_id, row.user_name) for row in rows)


async def hold(connection: Transaction, team_id: str, run_id: str) -> tuple[SyncRun | None, bool]:
    """Read a run, and tell whether a newer one of its integration is active; both are held still, in the one order."""
    this = and_(runs.c.id == run_id, runs.c.team_id == team_id)
    integration_id = await connection.scalar(select(runs.c.integration_id).where(this))
    active = and_(runs.c.team_id == team_id, runs.c.integration_id == integration_id, runs.c.outcome.is_(None))
    query = select(runs.c.id, runs.c.data, runs.c.outcome).where(or_(this, active))
    rows = (await connection.execute(query.order_by(runs.c.id).with_for_update(key_share=True))).all()
    run = next((codec.load(SyncRun, row.data) for row in rows if row.id == run_id), None)
    return run, any(row.outcome is None for row in rows)


async def durations_s(connection: AsyncConnection, team_id: str, integration_id: str) -> list[float]:
    """Tell how long the last successful syncs of an integration took, in seconds."""
    return await _durations_s(connection, runs.c.team_id == team_id, runs.c.integration_id == integration_id)


async def durations_of_type_s(connection: AsyncConnection, team_id: str, integration_type: str) -> list[float]:
    """Tell the same for all integrations of a type."""
    return await _durations_s(connection, runs.c.team_id == team_id, runs.c.integration_type == integration_type)


async def _durations_s(connection: AsyncConnection, *which: ColumnElement[bool]) -> list[float]:
    query = select(runs.c.data).where(*which, runs.c.outcome == Outcome.SUCCEEDED)
    newest = await connection.scalars(query.order_by(runs.c.requested_at.desc()).limit(TYPICAL_OF))
    ended = [codec.load(SyncRun, data) for data in newest.all()]
    return [(run.ended_at - run.accepted_at).total_seconds() for run in ended if run.ended_at and run.accepted_at]


async def last_success_at(connection: AsyncConnection, team_id: str, integration_id: str) -> datetime | None:
    """Tell when the newest successful run of an integration ended."""
    query = select(func.max(runs.c.ended_at, type_=UtcTime())).where(
        runs.c.team_id == team_id, runs.c.integration_id == integration_id, runs.c.outcome == Outcome.SUCCEEDED
    )
    at: datetime | None = await connection.scalar(query)
    return at


async def starts_of(connection: AsyncConnection, team_id: str, user_id: str, since: datetime) -> list[datetime]:
    """Tell when a person started runs since a time; what they joined does not count."""
    query = (
        select(runs.c.data)
        .join(participants, participants.c.run_id == runs.c.id)
        .where(of_team(runs, team_id), runs.c.requested_at > since, participants.c.user_id == user_id)
    )
    taken_part_in = [codec.load(SyncRun, data) for data in (await connection.scalars(query)).all()]
    return [run.requested_at for run in taken_part_in if run.requested_by.id == user_id]


async def claim(connection: AsyncConnection, owner: str, now: datetime, lease_s: float, limit: int) -> list[RunClaim]:
    """Take the runs that are due, and those of their workspaces that the same look can serve."""
    lease_until = now + timedelta(seconds=lease_s)

    async def take(when: ColumnElement[bool], most: int) -> list[RunClaim]:
        free = or_(runs.c.lease_until.is_(None), runs.c.lease_until <= now)
        free_ones = (
            select(runs.c.id)
            .where(when, runs.c.due_at.is_not(None), free)
            .order_by(runs.c.due_at)
            .limit(most)
            .with_for_update(skip_locked=True, key_share=True)
        )
        rows = await connection.execute(
            update(runs)
            .where(chosen(runs, free_ones))
            .values(lease_owner=owner, lease_until=lease_until, version=runs.c.version + 1)
            .returning(runs.c.id, runs.c.data, runs.c.version)
        )
        return codec.read_claimed(rows, lambda row: RunClaim(codec.load(SyncRun, row.data), row.version, lease_until))

    due = await take(runs.c.due_at <= now, limit)
    looked_at = {claim.run.team_id for claim in due if claim.run.is_watched}
    if not looked_at:
        return due
    return due + await take(and_(runs.c.team_id.in_(looked_at), runs.c.along_at <= now), ALONG_AT_ONCE)


async def save(
    connection: AsyncConnection, owner: str, claim: RunClaim, decision: Decision, lease_until: datetime | None
) -> outbox_rows.Story | None:
    """Save a decision that is made under a claim, and return what it wants told; None when the claim is lost.

    The claim ends, unless ``lease_until`` prolongs it.
    """
    values = row_values(decision)
    written = await connection.execute(
        update(runs)
        .where(runs.c.id == claim.run.id, runs.c.version == claim.version)
        .values(
            **values,
            version=claim.version + 1,
            lease_owner=owner if lease_until else None,
            lease_until=lease_until,
        )
    )
    return story_of(decision, values["data"]) if written.rowcount == 1 else None


async def past(
    database: Database,
    team_id: str | None,
    integration_ids: Sequence[str] | None,
    integration_type: str,
    limit: int,
) -> list[SyncRun]:
    """Read the newest runs of these integrations or, when there is one, of this type, or of all (None); newest first.

    ``team_id`` None reads those of every workspace.
    """
    newest = select(runs.c.data, runs.c.requested_at).order_by(runs.c.requested_at.desc()).limit(limit)
    if team_id is not None:
        by_time = integration_ids is None and not integration_type
        newest = newest.where(of_team(runs, team_id) if by_time else runs.c.team_id == team_id)
    # Integrations that FloKit no longer has are known to be of a type by their runs alone.
    if integration_type:
        queries = [newest.where(runs.c.integration_type == integration_type)]
    elif integration_ids is None:
        queries = [newest]
    else:  # each for itself: along the index, and no further than the limit
        queries = [newest.where(runs.c.integration_id == one) for one in integration_ids]
    async with database.read() as connection:
        found = [row for query in queries for row in (await connection.execute(query)).all()]
    found.sort(key=lambda row: row.requested_at, reverse=True)
    return [codec.load(SyncRun, row.data) for row in found[:limit]]


_NEWEST_SINCE: Final = select(runs.c.id, runs.c.data, runs.c.requested_at).where(
    runs.c.team_id == bindparam("team"),
    runs.c.integration_id.in_(bindparam("ids", expanding=True)),
    or_(runs.c.outcome.is_(None), runs.c.ended_at > bindparam("since")),
)


async def newest_since(
    connection: AsyncConnection, team_id: str, integration_ids: Sequence[str], since: datetime
) -> dict[str, SyncRun]:
    """Find, per integration, the newest run that is active or ended after ``since``."""
    return by_integration(await rows_newest_since(connection, team_id, integration_ids, since))


async def rows_newest_since(
    connection: AsyncConnection, team_id: str, integration_ids: Sequence[str], since: datetime
) -> Sequence[Any]:
    """Read the runs of integrations that are active or ended after ``since``."""
    about = {"team": team_id, "ids": integration_ids, "since": since}
    return (await connection.execute(_NEWEST_SINCE, about)).all()


def by_integration(rows: Sequence[Any]) -> dict[str, SyncRun]:
    """Keep the newest run of each integration."""
    found = [codec.load(SyncRun, row.data) for row in sorted(rows, key=lambda row: row.requested_at)]
    return {run.integration_id: run for run in found}
