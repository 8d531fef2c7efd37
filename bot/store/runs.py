"""Runs: opened or joined by clicks, claimed by followers. Functions here work inside the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, func, or_, select, update

from bot.core.models import Decision, Outcome, Person, Phase, SyncRun, Telling
from bot.store import codec, outbox
from bot.store.ids import new_id
from bot.store.tables import UtcTime, participants, runs, threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database

TYPICAL_OF: Final = 15
"""What is usual is learned from this many last successes."""

ALONG_AT_ONCE: Final = 200
"""So many runs at the most are taken along with those that are due."""

SUCCESSES_READ: Final = 40
"""Among so many last successes of a workspace others of the same type are looked for."""


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
        "phase": run.phase,
        "outcome": run.outcome,
        "ended_at": run.ended_at,
        "data": codec.dump_run(run),
        "due_at": decision.next_look_at,
        "along_at": decision.along_at,
    }


def story_of(decision: Decision, data: str) -> outbox.Story:
    """What a decision wants told, with the run as it is saved."""
    return outbox.Story(decision.run.id, decision.tell, data, ended=not decision.run.is_active)


async def find_active(connection: AsyncConnection, team_id: str, integration_id: str) -> SyncRun | None:
    """Find the run that a click joins, and hold it still until the transaction ends."""
    query = select(runs.c.data).where(
        runs.c.team_id == team_id, runs.c.integration_id == integration_id, runs.c.outcome.is_(None)
    )
    data = await connection.scalar(query.with_for_update())
    return codec.load_run(data) if data else None


async def add(connection: AsyncConnection, database: Database, decision: Decision) -> bool:
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
    return inserted.rowcount == 1


async def end_late_watches(connection: AsyncConnection, run: SyncRun, now: datetime) -> None:
    """Stop the slow watch of earlier runs: from here on, a result belongs to the newer one."""
    late = select(runs.c.data).where(
        runs.c.team_id == run.team_id,
        runs.c.integration_id == run.integration_id,
        runs.c.phase == Phase.LATE,
    )
    for data in (await connection.scalars(late.with_for_update())).all():
        ended = replace(codec.load_run(data), phase=Phase.DONE)
        await write(connection, Decision(ended, None, (Telling.PROGRESS,)), now)


async def write(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    """Save a decision that is not made under a claim; whoever holds the claim loses it."""
    run = decision.run
    values = row_values(decision)
    await connection.execute(
        update(runs)
        .where(runs.c.id == run.id)
        .values(**values, version=runs.c.version + 1, lease_owner=None, lease_until=None)
    )
    await outbox.tell(connection, [story_of(decision, values["data"])], now)


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
    connection: AsyncConnection,
    database: Database,
    run: SyncRun,
    address: outbox.Address,
    now: datetime,
    *,
    panel_id: str | None,
    user_id: str,
    joined: bool,
) -> bool:
    """Have a thread told about a run, with a progress reply to come; False when it already is."""
    told = await connection.execute(
        select(threads.c.channel_id, threads.c.thread_ts).where(threads.c.run_id == run.id).with_for_update()
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
    await outbox.add_row(
        connection,
        outbox.OutboxKind.PROGRESS,
        address,
        now,
        run_id=run.id,
        thread_id=thread_id,
        seq=1,
        waits=address.thread_ts is None,
    )
    return True


async def joined_by(connection: AsyncConnection, run: SyncRun) -> tuple[Person, ...]:
    """Name those who joined, in order; the starter is not one of them."""
    rows = await connection.execute(
        select(participants.c.user_id, participants.c.user_name)
        .where(participants.c.run_id == run.id, participants.c.user_id != run.requested_by.id)
        .order_by(participants.c.joined_at)
    )
    return tuple(Person(row.user_id, row.user_name) for row in rows)


async def durations_s(connection: AsyncConnection, team_id: str, integration_id: str) -> list[float]:
    """Tell how long the last successful syncs of an integration took, in seconds."""
    query = (
        select(runs.c.data)
        .where(
            runs.c.team_id == team_id,
            runs.c.integration_id == integration_id,
            runs.c.outcome == Outcome.SUCCEEDED,
        )
        .order_by(runs.c.requested_at.desc())
        .limit(TYPICAL_OF)
    )
    return _durations_s([codec.load_run(data) for data in (await connection.scalars(query)).all()])


async def durations_of_type_s(connection: AsyncConnection, team_id: str, integration_type: str) -> list[float]:
    """Tell the same for all integrations of a type, as far as the workspace's last successes show it."""
    query = (
        select(runs.c.data)
        .where(runs.c.team_id == team_id, runs.c.outcome == Outcome.SUCCEEDED)
        .order_by(runs.c.ended_at.desc())
        .limit(SUCCESSES_READ)
    )
    ended = [codec.load_run(data) for data in (await connection.scalars(query)).all()]
    return _durations_s([run for run in ended if run.integration_type == integration_type])


def _durations_s(ended: Sequence[SyncRun]) -> list[float]:
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
        .where(runs.c.team_id == team_id, runs.c.requested_at > since, participants.c.user_id == user_id)
    )
    taken_part_in = [codec.load_run(data) for data in (await connection.scalars(query)).all()]
    return [run.requested_at for run in taken_part_in if run.requested_by.id == user_id]


async def claim(connection: AsyncConnection, owner: str, now: datetime, lease_s: float, limit: int) -> list[RunClaim]:
    """Take the runs that are due, and those of their workspaces that the same look can serve."""
    lease_until = now + timedelta(seconds=lease_s)

    async def take(when: ColumnElement[bool], most: int) -> list[RunClaim]:
        free = or_(runs.c.lease_until.is_(None), runs.c.lease_until <= now)
        chosen = (
            select(runs.c.id)
            .where(when, runs.c.due_at.is_not(None), free)
            .order_by(runs.c.due_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        rows = await connection.execute(
            update(runs)
            .where(runs.c.id.in_(chosen.scalar_subquery()))
            .values(lease_owner=owner, lease_until=lease_until, version=runs.c.version + 1)
            .returning(runs.c.id, runs.c.data, runs.c.version)
        )
        return codec.read_claimed(rows, lambda row: RunClaim(codec.load_run(row.data), row.version, lease_until))

    due = await take(runs.c.due_at <= now, limit)
    looked_at = {claim.run.team_id for claim in due if claim.run.is_watched}
    if not looked_at:
        return due
    return due + await take(and_(runs.c.team_id.in_(looked_at), runs.c.along_at <= now), ALONG_AT_ONCE)


async def save(
    connection: AsyncConnection, owner: str, claim: RunClaim, decision: Decision, lease_until: datetime | None
) -> outbox.Story | None:
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
    connection: AsyncConnection,
    team_id: str | None,
    integration_ids: Sequence[str] | None,
    integration_type: str,
    limit: int,
) -> list[SyncRun]:
    """Read the newest runs of these integrations and of this type, or of all (None); the newest first.

    ``team_id`` None reads those of every workspace.
    """
    query = select(runs.c.data).order_by(runs.c.requested_at.desc()).limit(limit)
    if team_id is not None:
        query = query.where(runs.c.team_id == team_id)
    if integration_ids is not None and not integration_type:
        query = query.where(runs.c.integration_id.in_(integration_ids))
    found = [codec.load_run(data) for data in (await connection.scalars(query)).all()]
    # Integrations that FloKit no longer has are known to be of a type by their runs alone.
    return [run for run in found if not integration_type or run.integration_type == integration_type]


_NEWEST_SINCE: Final = (
    select(runs.c.data)
    .where(
        runs.c.team_id == bindparam("team"),
        runs.c.integration_id.in_(bindparam("ids", expanding=True)),
        or_(runs.c.outcome.is_(None), runs.c.ended_at > bindparam("since")),
    )
    .order_by(runs.c.requested_at)
)


async def newest_since(
    connection: AsyncConnection, team_id: str, integration_ids: Sequence[str], since: datetime
) -> dict[str, SyncRun]:
    """Find, per integration, the newest run that is active or ended after ``since``."""
    about = {"team": team_id, "ids": integration_ids, "since": since}
    found = [codec.load_run(data) for data in (await connection.scalars(_NEWEST_SINCE, about)).all()]
    return {run.integration_id: run for run in found}
