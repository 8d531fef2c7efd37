"""Runs: opened or joined by clicks, claimed by followers. Functions here work inside the caller's transaction."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningUpdate

from bot.core.models import Decision, Outcome, Person, Phase, SyncRun, Telling
from bot.core.panels import RowRun
from bot.core.runs.durations import learn
from bot.core.volumes.volume import Volume
from bot.core.volumes.volume import usual_of as usual_events
from bot.store import codec, outbox_rows
from bot.store.bell import Lease, Work
from bot.store.database import Database
from bot.store.due import NOW, claimable, claiming, of_others
from bot.store.ids import new_id
from bot.store.locks import chosen, of_team
from bot.store.statements import among, constant
from bot.store.tables import UtcTime, participants, runs, threads, volumes
from bot.store.transactions import Transaction

TYPICAL_OF: Final = 15
"""Typical durations are learned from this many of the last successes."""

ALONG_AT_ONCE: Final = 200
"""At most this many runs are claimed along with those that are due."""


@dataclass(frozen=True, slots=True)
class RunClaim:
    """A run that only this process can act on until ``lease_until``; ``version`` fences it off afterwards."""

    run: SyncRun
    version: int
    lease_until: datetime


def row_values(decision: Decision) -> dict[str, Any]:
    """Return the columns that follow from a decision."""
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
    """Return what a decision wants posted, with the run as saved."""
    return outbox_rows.Story(
        decision.run.id, decision.run.team_id, decision.tell, data, not decision.run.is_active, decision.run.bulk_id
    )


_OF_INTEGRATION: Final = and_(runs.c.team_id == bindparam("team"), runs.c.integration_id == bindparam("integration"))
_ACTIVE: Final = constant(
    select(runs.c.data)
    .where(_OF_INTEGRATION, runs.c.outcome.is_(None))
    .order_by(runs.c.id)
    .with_for_update(key_share=True)
)


async def find_active(connection: Transaction, team_id: str, integration_id: str) -> SyncRun | None:
    """Return the run that a click joins, and lock it until the transaction ends."""
    data = await connection.scalar(_ACTIVE, {"team": team_id, "integration": integration_id})
    return codec.load(SyncRun, data) if data else None


_ADD: Final = constant(insert(runs).on_conflict_do_nothing())


async def add(connection: Transaction, decision: Decision, now: datetime, *, in_turn: bool = True) -> bool:
    """Add a new run; False when another replica opened one for this integration at the same moment.

    ``in_turn`` is False if it isn't taken up right away, because others go first.
    """
    run = decision.run
    lease = connection.hold(Work.RUNS, now, run.team_id) if in_turn else None
    row = row_values(decision) | {
        "id": run.id,
        "team_id": run.team_id,
        "integration_id": run.integration_id,
        "requested_at": run.requested_at,
        "version": 0,
        "lease_owner": lease and lease.owner,
        "lease_until": lease and lease.until,
    }
    if (await connection.execute(_ADD, row)).rowcount != 1:
        return False
    if lease:
        connection.hand(Work.RUNS, [RunClaim(run, 0, lease.until)])
    else:
        connection.ring(Work.RUNS, decision.next_look_at)
    return True


async def hurry(connection: Transaction, run: SyncRun, now: datetime) -> None:
    """Start a run now that waits for its turn among several: someone clicked on it alone.

    The caller has locked it; one that a process has claimed is being started anyway.
    """
    if not run.is_patient or run.phase is not Phase.BASELINE:
        return
    hurried = await connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.lease_owner.is_(None), runs.c.due_at > now)
        .values(data=codec.dump(replace(run, is_patient=False)), due_at=now, version=runs.c.version + 1)
    )
    if hurried.rowcount:
        connection.ring(Work.RUNS)


_LATE: Final = constant(
    select(runs.c.data)
    .where(_OF_INTEGRATION, runs.c.phase == Phase.LATE)
    .order_by(runs.c.id)
    .with_for_update(key_share=True)
)


async def end_late_watches(connection: Transaction, run: SyncRun) -> list[outbox_rows.Story]:
    """End the slow watch of earlier runs, and return what to post: a result now belongs to the newer run."""
    rows = await connection.scalars(_LATE, {"team": run.team_id, "integration": run.integration_id})
    ended = [replace(codec.load(SyncRun, data), phase=Phase.DONE) for data in rows]
    return [await write(connection, Decision(each, None, (Telling.PROGRESS,))) for each in ended]


async def write(connection: Transaction, decision: Decision) -> outbox_rows.Story:
    """Save a decision without a claim, and return what it wants posted; the process with the claim loses it."""
    run = decision.run
    values = row_values(decision)
    await connection.execute(
        update(runs)
        .where(runs.c.id == run.id)
        .values(**values, version=runs.c.version + 1, lease_owner=None, lease_until=None)
    )
    connection.ring(Work.RUNS)
    return story_of(decision, values["data"])


_TAKE_PART: Final = constant(insert(participants).on_conflict_do_nothing())


async def add_participant(connection: Transaction, run_id: str, person: Person, now: datetime) -> None:
    """Add a person to a run: the first is the starter, the others joined."""
    row = {"run_id": run_id, "user_id": person.id, "user_name": person.name, "joined_at": now}
    await connection.execute(_TAKE_PART, row)


_TOLD_IN: Final = constant(
    select(threads.c.channel_id, threads.c.thread_ts)
    .where(threads.c.run_id == bindparam("run"))
    .order_by(threads.c.id)
    .with_for_update(key_share=True)
)
_ADD_THREAD: Final = constant(insert(threads).on_conflict_do_nothing())


async def add_thread(
    connection: Transaction,
    run: SyncRun,
    address: outbox_rows.Address,
    now: datetime,
    *,
    panel_id: str | None,
    user_id: str,
    joined: bool,
) -> bool:
    """Have a run's outcome posted in a thread, with a progress reply first; False if it already is."""
    told = (await connection.execute(_TOLD_IN, {"run": run.id})).all() if joined else ()
    if address.thread_ts:
        if (address.channel_id, address.thread_ts) in {(thread.channel_id, thread.thread_ts) for thread in told}:
            return False
        place = f"{address.channel_id}:{address.thread_ts}"
    else:
        place = f"panel:{panel_id}" if address.channel_id else f"direct:{user_id}"
    thread_id = new_id("thr")
    row = {
        "id": thread_id,
        "team_id": run.team_id,
        "run_id": run.id,
        "place": place,
        "channel_id": address.channel_id if address.thread_ts else None,
        "thread_ts": address.thread_ts,
        "panel_id": panel_id,
        "user_id": user_id,
        "joined": joined,
        "created_at": now,
    }
    if (await connection.execute(_ADD_THREAD, row)).rowcount != 1:
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


_TOOK_PART: Final = constant(
    select(participants.c.run_id, participants.c.user_id, participants.c.user_name)
    .where(participants.c.run_id == bindparam("run"))
    .order_by(participants.c.joined_at)
)


async def took_part(connection: Transaction, run_id: str) -> Sequence[Any]:
    """Return who takes part in a run, in the order in which they joined."""
    return (await connection.execute(_TOOK_PART, {"run": run_id})).all()


def joiners(run: SyncRun, took_part: Sequence[Any]) -> tuple[Person, ...]:
    """Return those who joined a run, without its starter."""
    rows = [row for row in took_part if row.run_id == run.id and row.user_id not in (None, run.requested_by.id)]
    return tuple(Person(row.user_id, row.user_name) for row in rows)


async def hold(connection: Transaction, team_id: str, run_id: str) -> tuple[SyncRun | None, bool]:
    """Return a run, and whether a newer one of its integration is active; both are locked, in the lock order."""
    this = and_(runs.c.id == run_id, runs.c.team_id == team_id)
    integration_id = await connection.scalar(select(runs.c.integration_id).where(this))
    active = and_(runs.c.team_id == team_id, runs.c.integration_id == integration_id, runs.c.outcome.is_(None))
    query = select(runs.c.id, runs.c.data, runs.c.outcome).where(or_(this, active))
    rows = (await connection.execute(query.order_by(runs.c.id).with_for_update(key_share=True))).all()
    run = next((codec.load(SyncRun, row.data) for row in rows if row.id == run_id), None)
    return run, any(row.outcome is None for row in rows)


def _durations(which: ColumnElement[bool]) -> Select[str]:
    succeeded = select(runs.c.data).where(which, runs.c.outcome == Outcome.SUCCEEDED)
    return succeeded.order_by(runs.c.requested_at.desc()).limit(TYPICAL_OF)


_PAST: Final = _durations(_OF_INTEGRATION).subquery()
_COUNTED: Final = and_(volumes.c.team_id == bindparam("team"), volumes.c.integration_id == bindparam("integration"))
_SUCCESSES: Final = constant(
    select(_PAST.c.data, literal("run").label("what")).union_all(
        select(volumes.c.data, literal("volume").label("what")).where(_COUNTED)
    )
)
_SUCCESSES_OF_TYPE: Final = constant(
    _durations(and_(runs.c.team_id == bindparam("team"), runs.c.integration_type == bindparam("of_type")))
)
_LAST_SUCCESS: Final = constant(
    select(func.max(runs.c.ended_at, type_=UtcTime())).where(_OF_INTEGRATION, runs.c.outcome == Outcome.SUCCEEDED)
)


async def with_expectation(connection: Transaction, run: SyncRun) -> SyncRun:
    """Return a new run that knows how long the last successes of its integration, or of its type, took.

    It also knows how many events are usual.
    """
    about = {"team": run.team_id, "integration": run.integration_id, "of_type": run.integration_type}
    rows = (await connection.execute(_SUCCESSES, about)).all()
    own_s = _durations_s(row.data for row in rows if row.what == "run")
    of_type_s = [] if own_s else _durations_s(await connection.scalars(_SUCCESSES_OF_TYPE, about))
    counted = [usual_events(codec.load(Volume, row.data)) for row in rows if row.what == "volume"]
    return replace(
        run,
        typical_s=statistics.median(own_s) if own_s else None,
        expected=learn(own_s, of_type_s),
        usual_events=counted[0] if counted else (),
    )


def _durations_s(newest: Iterable[str]) -> list[float]:
    ended = [codec.load(SyncRun, data) for data in newest]
    return [(run.ended_at - run.accepted_at).total_seconds() for run in ended if run.ended_at and run.accepted_at]


async def last_success_at(connection: Transaction, team_id: str, integration_id: str) -> datetime | None:
    """Return when the newest successful run of an integration ended."""
    at: datetime | None = await connection.scalar(_LAST_SUCCESS, {"team": team_id, "integration": integration_id})
    return at


async def starts_of(connection: Transaction, team_id: str, user_id: str, since: datetime) -> list[datetime]:
    """Return when a person started runs since a time; joined ones don't count."""
    query = (
        select(runs.c.data)
        .join(participants, participants.c.run_id == runs.c.id)
        .where(of_team(runs, team_id), runs.c.requested_at > since, participants.c.user_id == user_id)
    )
    taken_part_in = [codec.load(SyncRun, data) for data in await connection.scalars(query)]
    return [run.requested_at for run in taken_part_in if run.requested_by.id == user_id]


def _claim(*when: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(runs)
        .where(chosen(runs, claimable(runs, *when, runs.c.due_at.is_not(None))))
        .values(lease_owner=bindparam("by"), lease_until=bindparam("until"), version=runs.c.version + 1)
        .returning(runs.c.id, runs.c.data, runs.c.version)
    )


_CLAIM_DUE: Final = constant(_claim(runs.c.due_at <= NOW))
_CLAIM_OF_OTHERS: Final = constant(_claim(runs.c.due_at <= NOW, of_others(runs)))
_CLAIM_ALONG: Final = constant(_claim(and_(among(runs.c.team_id, "teams"), runs.c.along_at <= NOW)))


async def claim(
    connection: Transaction, held: Lease, now: datetime, limit: int, full: Collection[str] = ()
) -> list[RunClaim]:
    """Take the runs that are due, and those of their workspaces that the same look can serve."""
    until = held.until
    lease = {"by": held.owner, "now": now, "until": until}

    def read(rows: Iterable[Any]) -> list[RunClaim]:
        return codec.read_claimed(rows, lambda row: RunClaim(codec.load(SyncRun, row.data), row.version, until))

    due = read(await connection.execute(*claiming(_CLAIM_DUE, _CLAIM_OF_OTHERS, lease | {"most": limit}, full)))
    looked_at = {claim.run.team_id for claim in due if claim.run.is_watched}
    if not looked_at:
        return due
    along = lease | {"most": ALONG_AT_ONCE, "teams": list(looked_at)}
    return due + read(await connection.execute(_CLAIM_ALONG, along))


_SAVE: Final = constant(
    update(runs)
    .where(runs.c.id == bindparam("run"), runs.c.version == bindparam("claim"))
    .values(
        integration_type=bindparam("new_integration_type"),
        phase=bindparam("new_phase"),
        outcome=bindparam("new_outcome"),
        ended_at=bindparam("new_ended_at"),
        data=bindparam("new_data"),
        due_at=bindparam("new_due_at"),
        along_at=bindparam("new_along_at"),
        version=bindparam("claim") + 1,
        lease_owner=bindparam("by"),
        lease_until=bindparam("until"),
    )
)


async def save(
    connection: Transaction, owner: str, claim: RunClaim, decision: Decision, lease_until: datetime | None
) -> outbox_rows.Story | None:
    """Save a decision made under a claim, and return what it wants posted; None if the claim is lost.

    The claim ends, unless ``lease_until`` extends it.
    """
    values = row_values(decision)
    about = {"run": claim.run.id, "claim": claim.version, "by": owner if lease_until else None, "until": lease_until}
    written = await connection.execute(_SAVE, about | {f"new_{name}": value for name, value in values.items()})
    if written.rowcount != 1:
        return None
    if decision.next_look_at and not lease_until:
        connection.ring(Work.RUNS, decision.next_look_at)
    return story_of(decision, values["data"])


async def past(
    database: Database,
    team_id: str | None,
    integration_ids: Sequence[str] | None,
    integration_type: str,
    limit: int,
) -> list[SyncRun]:
    """Return the newest runs of these integrations or, if given, of this type, or of all (None); newest first.

    ``team_id`` None reads those of every workspace.
    """
    newest = select(runs.c.data, runs.c.requested_at).order_by(runs.c.requested_at.desc()).limit(limit)
    if team_id is not None:
        by_time = integration_ids is None and not integration_type
        newest = newest.where(of_team(runs, team_id) if by_time else runs.c.team_id == team_id)
    # The type of integrations that are gone from FloKit is known only from their runs.
    if integration_type:
        queries = [newest.where(runs.c.integration_type == integration_type)]
    elif integration_ids is None:
        queries = [newest]
    else:  # one query each: along the index, and only up to the limit
        queries = [newest.where(runs.c.integration_id == one) for one in integration_ids]
    async with database.read(is_long=True) as connection:
        found = [row for query in queries for row in (await connection.execute(query)).all()]
    found.sort(key=lambda row: row.requested_at, reverse=True)
    return [codec.load(SyncRun, row.data) for row in found[:limit]]


_SINCE: Final = constant(
    select(
        runs.c.id.label("run_id"),
        runs.c.integration_id,
        runs.c.requested_at,
        runs.c.data,
        participants.c.user_id,
        participants.c.user_name,
        participants.c.joined_at,
    )
    .outerjoin(participants, participants.c.run_id == runs.c.id)
    .where(
        runs.c.team_id == bindparam("team"),
        among(runs.c.integration_id, "ids"),
        or_(runs.c.outcome.is_(None), runs.c.ended_at > bindparam("since")),
    )
)


async def newest_since(
    connection: Transaction, team_id: str, integration_ids: Sequence[str], since: datetime
) -> dict[str, RowRun]:
    """Return, for each integration, the newest run that's active or ended after ``since``."""
    return newest_of(await rows_since(connection, team_id, integration_ids, since))


async def rows_since(
    connection: Transaction, team_id: str, integration_ids: Sequence[str], since: datetime
) -> Sequence[Any]:
    """Read the runs of integrations that are active or ended after ``since``, with everybody who is behind them."""
    if not integration_ids:
        return ()
    about = {"team": team_id, "ids": integration_ids, "since": since}
    return (await connection.execute(_SINCE, about)).all()


def newest_of(rows: Sequence[Any]) -> dict[str, RowRun]:
    """Keep the newest run of each integration, and who joined it, in the order in which they came."""
    newest = {row.integration_id: row.data for row in sorted(rows, key=lambda row: row.requested_at)}
    took_part = sorted(rows, key=lambda row: row.joined_at or row.requested_at)
    found = {id_: codec.load(SyncRun, data) for id_, data in newest.items()}
    return {id_: RowRun(run, joiners(run, took_part)) for id_, run in found.items()}
