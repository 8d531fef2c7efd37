"""Runs: opened or joined by clicks, claimed and decided by followers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import and_, select

from bot.core.access.audit import Deed, Ruling, of_origin, of_outcome
from bot.core.errors import ClaimLost
from bot.core.models import Decision, Integration, Patience, SyncRun
from bot.core.panels import Panel
from bot.core.requests import Origin, Request
from bot.core.runs import outcome
from bot.core.runs.limits import NO_LIMITS, QUOTA_WINDOW, Held, Limits, decide_limits
from bot.store import audit, codec, inbox, outbox_rows, panels, run_rows
from bot.store.bell import Lease
from bot.store.database import Database
from bot.store.due import next_at, read_next
from bot.store.ids import new_id
from bot.store.locks import of_team
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.run_rows import RunClaim
from bot.store.statements import constant
from bot.store.tables import outbox, runs, threads
from bot.store.together import Together
from bot.store.transactions import Transaction, retried

SAVED_TOGETHER: Final = 20
"""Decisions of one transaction: few enough that clicks hardly wait for SQLite's one writer."""

_NEXT: Final = constant(next_at(runs))
"""Built once, because building it takes longer than running it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a click on a sync resulted in: a new run, or an active one that it joined."""

    run: SyncRun
    joined: bool
    told_here: bool
    """False if the run is already followed in this thread."""


class Kept(StrEnum):
    """The result of a press on Keep watching."""

    WATCHED = "watched"
    ENDED = "ended"
    """The run has an outcome that is final, or never sent a POST."""
    NEWER = "newer"
    """A newer run of the same integration is being followed."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StartSync:
    """A person's wish to sync one integration.

    Args:
        request: who asked, and where; it waits in the inbox.
        integration: only its ID and type are kept.
        action: what was done, for the audit.
        patience: how long a new run is watched.
        limits: how soon and how often a sync may be started; joining one is never limited.
        override: start it in spite of the limits.
        panel_id: the message that was clicked: its row shows the run.
        root: a panel to post, whose thread the run reports in, if there is no message to reply to.
    """

    request: Request
    integration: Integration
    action: str
    patience: Patience
    limits: Limits = NO_LIMITS
    override: bool = False
    panel_id: str | None = None
    root: Panel | None = None


@dataclass(frozen=True, slots=True)
class _Save:
    claim: RunClaim
    decision: Decision
    now: datetime
    lease_until: datetime | None


class Runs:
    """Syncs that people asked for. Each method is one transaction.

    Args:
        database: the database.
        owner: this process's name in its leases.
        lease_s: how long a claim lasts, in seconds.
    """

    def __init__(self, database: Database, owner: str, lease_s: float) -> None:
        self._database = database
        self._owner = owner
        self._lease_s = lease_s
        self._saves = Together(self._save_together, most=SAVED_TOGETHER)

    @retried
    async def start_sync(self, wanted: StartSync, now: datetime) -> Opened | Held:
        """Open a run for an integration or join the active one, add the thread, and write the audit entry.

        If a limit blocks it, nothing is written, and the request still waits for its answer.

        Raises:
            ClaimLost: another replica did it.
        """
        request, root, origin = wanted.request, wanted.root, wanted.request.origin
        async with self._database.begin() as connection:
            held = await self._held(connection, origin, wanted.integration.id, wanted.limits, now)
            if held and not wanted.override:
                return held
            run, joined, ended = await self._open_or_join(connection, wanted, now)
            # In the order of their clicks, however they are answered.
            await run_rows.add_participant(connection, run.id, origin.person, request.received_at)
            told_here = await run_rows.add_thread(
                connection,
                run,
                _thread_address(origin, is_new=root is not None),
                now,
                panel_id=root.id if root else wanted.panel_id,
                user_id=origin.person.id,
                joined=joined,
            )
            if root and told_here:
                await panels.add_panel(connection, replace(root, cause=request.cause), _root_address(origin), now)
            started = outbox_rows.Story(run.id, origin.team_id, outcome.STARTED, "", ended=False)
            await outbox_rows.tell(connection, [*ended, started], now)
            entry = of_origin(origin, wanted.action, now, run, "joined" if joined else "started")
            if held:
                entry = replace(entry, decision=Ruling.OVERRIDDEN, rule=held.by)
            await audit.add(connection, entry)
            await inbox.finish(connection, request.id)
        return Opened(run, joined, told_here)

    @retried
    async def would_hold(
        self, origin: Origin, integration_id: str, limits: Limits, now: datetime
    ) -> Held | SyncRun | None:
        """Return what a start would meet now: a limit, a run that it would join, or nothing."""
        async with self._database.begin() as connection:
            active = await run_rows.find_active(connection, origin.team_id, integration_id)
            return active or await self._held(connection, origin, integration_id, limits, now)

    async def _held(
        self, connection: Transaction, origin: Origin, integration_id: str, limits: Limits, now: datetime
    ) -> Held | None:
        """Return whether a limit blocks a start. In a transaction, this also locks out others of the same person."""
        if limits == NO_LIMITS:
            return None
        if limits.quota_per_hour:
            await connection.lock(f"{origin.team_id}:{origin.person.id}")
        if await run_rows.find_active(connection, origin.team_id, integration_id):
            return None
        return decide_limits(
            limits,
            await run_rows.last_success_at(connection, origin.team_id, integration_id) if limits.cooldown_s else None,
            await run_rows.starts_of(connection, origin.team_id, origin.person.id, now - QUOTA_WINDOW)
            if limits.quota_per_hour
            else (),
            now,
        )

    async def _open_or_join(
        self, connection: Transaction, wanted: StartSync, now: datetime
    ) -> tuple[SyncRun, bool, list[outbox_rows.Story]]:
        """Return the run, whether another click opened it, and what to post about earlier runs."""
        origin, integration = wanted.request.origin, wanted.integration
        ended: list[outbox_rows.Story] = []
        for _ in range(3):  # a run may end, or another replica open one, between two statements
            active = await run_rows.find_active(connection, origin.team_id, integration.id)
            if active:
                await run_rows.hurry(connection, active, now)
                return active, True, ended
            run = SyncRun(
                new_id("run"),
                origin.team_id,
                integration.id,
                integration.type,
                requested_at=now,
                requested_by=origin.person,
                patience=wanted.patience,
                cause=wanted.request.cause,
            )
            run = await run_rows.with_expectation(connection, run)
            opened = outcome.open_run(run)
            ended += await run_rows.end_late_watches(connection, opened.run)
            if await run_rows.add(connection, opened, now):
                return opened.run, False, ended
        raise ClaimLost("other replicas keep opening runs for this integration")

    @retried
    async def keep_watching(self, request: Request, run_id: str, now: datetime) -> Kept:
        """Give a run that wasn't confirmed another deadline, unless there's nothing left to watch."""
        origin = request.origin
        async with self._database.begin() as connection:
            run, newer = await run_rows.hold(connection, origin.team_id, run_id)
            if run is None:
                return Kept.UNKNOWN
            if newer:
                return Kept.NEWER
            decision = outcome.keep_watching(run, now)
            if decision.run == run:
                return Kept.ENDED
            await outbox_rows.tell(connection, [await run_rows.write(connection, decision)], now)
            until = decision.run.keep_until
            result = f"until {until:%Y-%m-%d %H:%M} UTC" if until else ""
            await audit.add(connection, of_origin(origin, Deed.KEEP_WATCHING, now, run, result))
            await inbox.finish(connection, request.id)
        return Kept.WATCHED

    @retried
    async def claim(self, now: datetime, limit: int, full: Collection[str] = ()) -> list[RunClaim]:
        """Take runs that are due, at most ``limit`` of them, and with them what one look at a workspace can serve.

        Those of the workspaces in ``full`` are left.
        """
        lease = Lease(self._owner, now + timedelta(seconds=self._lease_s))
        async with self._database.begin(is_light=True) as connection:
            return await run_rows.claim(connection, lease, now, limit, full)

    async def next_at(self) -> datetime | None:
        """Return when the next run can be claimed."""
        return await read_next(self._database, _NEXT)

    async def save(self, claim: RunClaim, decision: Decision, now: datetime, *, keep_claim: bool = False) -> RunClaim:
        """Save a decision and what it wants posted, all or nothing; the claim ends unless ``keep_claim``.

        Decisions made at the same time share a transaction, but fail separately.

        Raises:
            ClaimLost: another replica took the run over, or a person changed it; nothing was written.
        """
        lease_until = now + timedelta(seconds=self._lease_s) if keep_claim else None
        if not await self._saves.save(_Save(claim, decision, now, lease_until)):
            raise ClaimLost(f"run {claim.run.id} was taken over")
        return RunClaim(decision.run, claim.version + 1, lease_until or now)

    @retried
    async def _save_together(self, saves: Sequence[_Save]) -> list[bool]:
        """Save what is still held, and return which was; the runs are locked first, in the lock order."""
        told: dict[int, outbox_rows.Story] = {}
        async with self._database.begin() as connection:
            for place, one in sorted(enumerate(saves), key=lambda each: each[1].claim.run.id):
                story = await run_rows.save(connection, self._owner, one.claim, one.decision, one.lease_until)
                if story:
                    told[place] = story
                    await audit.add(connection, of_outcome(one.claim.run, one.decision.run, one.now))
            await outbox_rows.tell(connection, list(told.values()), max(one.now for one in saves))
        return [place in told for place in range(len(saves))]

    async def load(self, team_id: str, run_id: str) -> SyncRun | None:
        """Read a run of a workspace; None when it was never there or is purged."""
        query = select(runs.c.data).where(runs.c.id == run_id, runs.c.team_id == team_id)
        async with self._database.read() as connection:
            data = await connection.scalar(query)
        return codec.load(SyncRun, data) if data else None

    async def active(self, team_id: str) -> list[SyncRun]:
        """Return the runs that are being followed, oldest first."""
        query = select(runs.c.data).where(runs.c.team_id == team_id, runs.c.outcome.is_(None))
        async with self._database.read() as connection:
            rows = await connection.scalars(query.order_by(runs.c.requested_at))
        return [codec.load(SyncRun, data) for data in rows]

    async def past(
        self, team_id: str, integration_ids: tuple[str, ...] | None, integration_type: str, limit: int
    ) -> list[SyncRun]:
        """Return the newest runs, newest first: of all integrations (None), or of these and of this type."""
        return await run_rows.past(self._database, team_id, integration_ids, integration_type, limit)

    async def ended_since(self, team_id: str, at: datetime) -> list[SyncRun]:
        """Read the runs that ended since a time."""
        query = select(runs.c.data).where(of_team(runs, team_id), runs.c.ended_at > at)
        async with self._database.read() as connection:
            rows = await connection.scalars(query.order_by(runs.c.ended_at))
        return [codec.load(SyncRun, data) for data in rows]

    async def told(self, team_id: str, run_ids: Sequence[str], channel_id: str = "") -> dict[str, Told]:
        """Return where runs are told: in this channel if possible, else in another one, but in no other DM."""
        query = (
            select(threads.c.run_id, threads.c.channel_id, threads.c.thread_ts, outbox.c.ts)
            .outerjoin(
                outbox,
                and_(
                    outbox.c.thread_id == threads.c.id,
                    outbox.c.kind == OutboxKind.OUTCOME,
                    outbox.c.channel_id == threads.c.channel_id,
                    outbox.c.ts.is_not(None),
                ),
            )
            .where(threads.c.run_id.in_(run_ids), threads.c.team_id == team_id, threads.c.thread_ts.is_not(None))
            .order_by(threads.c.created_at, threads.c.id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found: dict[str, Told] = {}
        for row in sorted(rows, key=lambda one: one.channel_id != channel_id):
            if row.channel_id == channel_id or not row.channel_id.startswith("D"):
                found.setdefault(row.run_id, Told(row.channel_id, row.ts or row.thread_ts, row.thread_ts))
        return found

    async def channels_of(self, team_id: str, run_id: str) -> tuple[str, ...]:
        """Return the channels in which a run's outcome is posted."""
        of_run = threads.c.run_id == run_id, threads.c.team_id == team_id
        query = select(threads.c.channel_id).where(*of_run, threads.c.channel_id.is_not(None))
        async with self._database.read() as connection:
            return tuple(sorted(set(await connection.scalars(query))))


@dataclass(frozen=True, slots=True)
class Told:
    """The message that tells a run: its outcome, or the root of its thread until then."""

    channel_id: str
    ts: str
    thread_ts: str


def _thread_address(origin: Origin, *, is_new: bool) -> Address:
    """Return where a follow-up is posted: below the clicked message, in the thread, or below a new root."""
    if origin.ephemeral:
        return Address(origin.team_id, user_id=origin.person.id)
    root_ts = origin.thread_ts if is_new else origin.thread_ts or origin.message_ts
    return Address(origin.team_id, origin.channel_id, root_ts, origin.person.id)


def _root_address(origin: Origin) -> Address:
    """Return where the root of a new follow-up is posted: where it was asked, or in the DMs of its only reader."""
    if origin.ephemeral:
        return Address(origin.team_id, user_id=origin.person.id)
    return Address(origin.team_id, origin.channel_id, origin.thread_ts, origin.person.id, origin.response_url)
