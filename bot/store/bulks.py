"""Bulks: several syncs that one click starts. Each is an ordinary run; one message shows them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from bot.core.access.audit import AuditEntry, Deed, of_origin
from bot.core.bulks import Bulk, LeftOut, Member, Obstacle, Place, starts_at
from bot.core.errors import StoreConflict
from bot.core.models import Decision, Integration, Outcome, Patience, Phase, SyncRun, Telling
from bot.core.panels import Panel, RowRun
from bot.core.requests import Origin, Request
from bot.core.runs import outcome
from bot.core.runs.limits import NO_LIMITS, QUOTA_WINDOW, Held, Limits, decide_limits
from bot.store import audit, codec, outbox_rows, run_rows
from bot.store.database import Database
from bot.store.ids import new_id
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.statements import among, constant
from bot.store.tables import UtcTime, bulks, panels, runs, threads
from bot.store.transactions import Transaction, retried


@dataclass(frozen=True, slots=True)
class StartBulk:
    """A person's wish to sync several integrations.

    Args:
        request: who asked, and where the message is posted; it isn't answered by the start.
        source_id: the panel whose button was pressed: from there, each integration is started once.
        integrations: those to sync, in the order in which they start.
        rules: the rule that allows each, by its ID.
        panel: the message that will show them.
        bulk: what that will show; its members are filled in.
        place: where that is posted.
        deed: what was done, for the audit entry of each sync.
        patience: how long the syncs are watched.
        limits: how soon and how often a sync may be started; joining one is never limited.
        entries: what else goes to the audit log: what was refused.
    """

    request: Request
    source_id: str
    integrations: tuple[Integration, ...]
    rules: dict[str, str]
    panel: Panel
    bulk: Bulk
    place: Place
    deed: Deed
    patience: Patience
    limits: Limits = NO_LIMITS
    entries: tuple[AuditEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class StartedBulk:
    """The syncs that were started or joined, and what was left out; without members, nothing was started.

    ``was_started``: an earlier click on the same button had started all of them.
    """

    members: tuple[Member, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    was_started: bool = False


@dataclass(frozen=True, slots=True)
class Met:
    """What syncs would meet now: limits, and runs that they would join."""

    held: dict[str, Held] = field(default_factory=dict)
    running: frozenset[str] = frozenset()


_ADD: Final = constant(insert(bulks).on_conflict_do_nothing())
_ADD_PANEL: Final = constant(panels.insert())
_RUNNING: Final = constant(
    select(runs.c.integration_id).where(
        runs.c.team_id == bindparam("team"), among(runs.c.integration_id, "ids"), runs.c.outcome.is_(None)
    )
)
_LAST_SUCCESSES: Final = constant(
    select(runs.c.integration_id, func.max(runs.c.ended_at, type_=UtcTime()).label("at"))
    .where(
        runs.c.team_id == bindparam("team"), among(runs.c.integration_id, "ids"), runs.c.outcome == Outcome.SUCCEEDED
    )
    .group_by(runs.c.integration_id)
)
_TO_JOIN_OR_END: Final = constant(
    select(runs.c.data, runs.c.outcome)
    .where(
        runs.c.team_id == bindparam("team"),
        among(runs.c.integration_id, "ids"),
        or_(runs.c.outcome.is_(None), runs.c.phase == Phase.LATE),
    )
    .order_by(runs.c.id)
    .with_for_update(key_share=True)
)
_STARTED_FROM: Final = constant(
    select(bulks.c.integration_id).where(bulks.c.team_id == bindparam("team"), bulks.c.source_id == bindparam("source"))
)


class Bulks:
    """Several syncs at once. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def would_meet(self, origin: Origin, integration_ids: Sequence[str], limits: Limits, now: datetime) -> Met:
        """Return what a start would meet now; the syncs of a person beyond their quota are held, in this order."""
        async with self._database.read() as connection:
            return await _meet(connection, origin, integration_ids, limits, now)

    async def started(self, team_id: str, source_id: str) -> Sequence[str]:
        """Return the IDs of the integrations that were started by a button of this panel."""
        async with self._database.read() as connection:
            return await started_from(connection, team_id, source_id)

    @retried
    async def start(self, wanted: StartBulk, now: datetime) -> StartedBulk:
        """Start or join each sync, once for each source; post the message that shows them, and write the audit."""
        origin = wanted.request.origin
        async with self._database.begin() as connection:
            await connection.lock(f"{origin.team_id}:bulk")
            if wanted.limits.quota_per_hour:
                await connection.lock(f"{origin.team_id}:{origin.person.id}")
            started = set(await started_from(connection, origin.team_id, wanted.source_id))
            left = [one for one in wanted.integrations if one.id not in started]
            if not left:
                return StartedBulk(was_started=True)
            met = await _meet(connection, origin, [one.id for one in left], wanted.limits, now)
            left_out = tuple(LeftOut(id_, Obstacle(held.by.value), until=held.until) for id_, held in met.held.items())
            chosen = [one for one in left if one.id not in met.held]
            if not chosen:
                return StartedBulk(left_out=left_out)
            members = await self._start(connection, wanted, chosen, left_out, now)
        return StartedBulk(members, left_out)

    async def _start(
        self,
        connection: Transaction,
        wanted: StartBulk,
        chosen: Sequence[Integration],
        left_out: tuple[LeftOut, ...],
        now: datetime,
    ) -> tuple[Member, ...]:
        """Write all of it, in the lock order."""
        request, origin, panel_id = wanted.request, wanted.request.origin, wanted.panel.id
        team = {"team_id": origin.team_id, "source_id": wanted.source_id, "bulk_id": panel_id, "created_at": now}
        for id_ in sorted(one.id for one in chosen):
            await connection.execute(_ADD, team | {"integration_id": id_})
        opened, joined, ended = await _open_or_join(connection, wanted, chosen, now)
        followed = opened | joined
        members = tuple(Member(one.id, followed[one.id].id, one.id in joined) for one in chosen)
        in_order = sorted(followed.values(), key=lambda run: run.id)
        for run in in_order:
            await run_rows.add_participant(connection, run.id, origin.person, request.received_at)
        await _add_threads(connection, wanted, in_order, set(joined), now)
        bulk = replace(wanted.bulk, members=members, left_out=wanted.bulk.left_out + left_out)
        panel = replace(wanted.panel, bulk=bulk, cause=request.cause)
        row = {"id": panel_id, "team_id": origin.team_id, "data": codec.dump(panel), "created_at": now}
        await connection.execute(_ADD_PANEL, row)
        await outbox_rows.add_row(connection, OutboxKind.BULK, _address(wanted), now, panel_id=panel_id)
        stories = [outbox_rows.Story(run.id, run.team_id, outcome.STARTED, "", ended=False) for run in in_order]
        await outbox_rows.tell(connection, [*ended, *stories], now)
        for entry in _entries(wanted, members, followed, left_out, now):
            await audit.add(connection, entry)
        return members


def _entries(
    wanted: StartBulk,
    members: Sequence[Member],
    followed: dict[str, SyncRun],
    left_out: Sequence[LeftOut],
    now: datetime,
) -> list[AuditEntry]:
    """Return the audit entries: one of the click, and one of each sync and each refusal."""
    origin = wanted.request.origin
    joined = sum(one.joined for one in members)
    left = len(left_out) + len(wanted.bulk.left_out)
    counts = {"started": len(members) - joined, "joined": joined, "left out": left}
    result = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    entries = [of_origin(replace(origin, rule=""), Deed.SYNC_SEVERAL, now, result=result)]
    for one in members:
        allowed = replace(origin, rule=wanted.rules.get(one.integration_id, ""))
        run = followed[one.integration_id]
        entries.append(of_origin(allowed, wanted.deed, now, run, "joined" if one.joined else "started"))
    return [*entries, *wanted.entries]


async def started_from(connection: Transaction, team_id: str, source_id: str) -> Sequence[str]:
    """Return the IDs of the integrations that were started by a button of this panel."""
    about = {"team": team_id, "source": source_id}
    started: Sequence[str] = await connection.scalars(_STARTED_FROM, about)
    return started


def seen(panel: Panel, started: tuple[str, ...], rows: Sequence[Any]) -> tuple[Panel, dict[str, RowRun]]:
    """Return a panel with what its button has started and what later syncs repaired, and the run of each member."""
    if panel.plan:
        return replace(panel, plan=replace(panel.plan, started=started)), {}
    if panel.bulk is None:
        return panel, {}
    ids = {member.run_id for member in panel.bulk.members}
    own = run_rows.newest_of([row for row in rows if row.run_id in ids])
    newest = run_rows.newest_of(rows)
    repaired = tuple(
        id_ for id_, row_run in newest.items() if row_run.run.id not in ids and row_run.run.outcome is Outcome.SUCCEEDED
    )
    return replace(panel, bulk=replace(panel.bulk, retried=started, repaired=repaired)), own


async def _meet(
    connection: Transaction, origin: Origin, integration_ids: Sequence[str], limits: Limits, now: datetime
) -> Met:
    about = {"team": origin.team_id, "ids": list(integration_ids)}
    running = frozenset(await connection.scalars(_RUNNING, about))
    if limits == NO_LIMITS:
        return Met(running=running)
    succeeded = {row.integration_id: row.at for row in (await connection.execute(_LAST_SUCCESSES, about)).all()}
    starts = (
        await run_rows.starts_of(connection, origin.team_id, origin.person.id, now - QUOTA_WINDOW)
        if limits.quota_per_hour
        else []
    )
    held: dict[str, Held] = {}
    for id_ in integration_ids:
        if id_ in running:
            continue
        found = decide_limits(limits, succeeded.get(id_) if limits.cooldown_s else None, starts, now)
        if found:
            held[id_] = found
        else:
            starts.append(now)
    return Met(held, running)


async def _open_or_join(
    connection: Transaction, wanted: StartBulk, chosen: Sequence[Integration], now: datetime
) -> tuple[dict[str, SyncRun], dict[str, SyncRun], list[outbox_rows.Story]]:
    """Return the runs that were opened and those that were joined, by integration, and what to post about others.

    Raises:
        StoreConflict: another click opened one of them at this moment, so all of it starts over.
    """
    team_id = wanted.request.origin.team_id
    about = {"team": team_id, "ids": [one.id for one in chosen]}
    there = [codec.load(SyncRun, row.data) for row in (await connection.execute(_TO_JOIN_OR_END, about)).all()]
    joined = {run.integration_id: run for run in there if run.is_active}
    late = [run for run in there if not run.is_active and run.integration_id not in joined]
    ended = [
        await run_rows.write(connection, Decision(replace(run, phase=Phase.DONE), None, (Telling.PROGRESS,)))
        for run in late
    ]
    to_open = [one for one in chosen if one.id not in joined]
    places = {one.id: place for place, one in enumerate(to_open)}
    run_ids = sorted(new_id("run") for _ in to_open)
    opened: dict[str, SyncRun] = {}
    for run_id, integration in zip(run_ids, sorted(to_open, key=lambda one: one.id), strict=True):
        run = await run_rows.with_expectation(connection, _new_run(wanted, integration, run_id, now))
        at = starts_at(places[integration.id], now)
        decision = replace(outcome.open_run(run), next_look_at=at)
        if not await run_rows.add(connection, decision, now, in_turn=False):
            raise StoreConflict(
                "A sync was opened at the same moment.", reason="another click opened one of these syncs"
            )
        opened[integration.id] = run
    return opened, joined, ended


def _new_run(wanted: StartBulk, integration: Integration, run_id: str, now: datetime) -> SyncRun:
    origin = wanted.request.origin
    return SyncRun(
        run_id,
        origin.team_id,
        integration.id,
        integration.type,
        requested_at=now,
        requested_by=origin.person,
        patience=wanted.patience,
        cause=wanted.request.cause,
        bulk_id=wanted.panel.id,
        is_patient=True,
    )


async def _add_threads(
    connection: Transaction, wanted: StartBulk, followed: Sequence[SyncRun], joined: set[str], now: datetime
) -> None:
    """Have the outcomes posted in the thread of the message, which is the progress of all of them."""
    origin, panel_id = wanted.request.origin, wanted.panel.id
    ids = sorted(new_id("thr") for _ in followed)
    for thread_id, run in zip(ids, followed, strict=True):
        row = {
            "id": thread_id,
            "team_id": run.team_id,
            "run_id": run.id,
            "place": f"panel:{panel_id}",
            "channel_id": None,
            "thread_ts": None,
            "panel_id": panel_id,
            "user_id": origin.person.id,
            "joined": run.integration_id in joined,
            "created_at": now,
        }
        await connection.execute(threads.insert(), row)


def _address(wanted: StartBulk) -> Address:
    origin, place = wanted.request.origin, wanted.place
    if not place.channel_id:
        return Address(origin.team_id, user_id=origin.person.id)
    return Address(origin.team_id, place.channel_id, place.thread_ts, origin.person.id, origin.response_url)
