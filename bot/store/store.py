"""The store: each public method is one transaction. Claims end by themselves; a late writer loses loudly."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final

from sqlalchemy import Integer, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from bot.core.access.audit import AuditEntry, Deed, Ruling, of_origin, of_outcome
from bot.core.errors import ClaimLost
from bot.core.models import Decision, Integration, Message, Patience, Person, SyncRun
from bot.core.panels import Panel, RowRun
from bot.core.requests import Origin, Request
from bot.core.runs import outcome
from bot.core.runs.durations import learn
from bot.core.runs.limits import NO_LIMITS, QUOTA_WINDOW, Held, Limits, decide_limits
from bot.store import alerts, audit, codec, inbox, outbox, runs
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.due import next_at, read_next
from bot.store.ids import new_id
from bot.store.locks import chosen, in_order, of_team
from bot.store.outbox import Address, OutboxItem, OutboxKind
from bot.store.runs import RunClaim
from bot.store.tables import inbox as requests
from bot.store.tables import outbox as outbox_table
from bot.store.tables import panels, threads
from bot.store.tables import runs as runs_table
from bot.store.together import Together
from bot.store.transactions import Transaction, retried

REQUESTS_TOGETHER: Final = 200
"""Requests of one transaction: as many as Slack may deliver while another is written."""

SAVED_TOGETHER: Final = 20
"""Decisions of one transaction: few enough that clicks hardly wait for SQLite's one writer."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a click on a sync brought: a new run, or an active one that it joined."""

    run: SyncRun
    joined: bool
    told_here: bool
    """False when this thread is told about the run already."""


class Kept(StrEnum):
    """What became of a wish to keep watching."""

    WATCHED = "watched"
    ENDED = "ended"
    """The run has an outcome that is final, or never sent a POST."""
    NEWER = "newer"
    """A newer run of the same integration is being followed."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Save:
    claim: RunClaim
    decision: Decision
    now: datetime
    lease_until: datetime | None


@dataclass(frozen=True, slots=True)
class RequestClaim:
    """A request that this process alone may answer until the lease ends."""

    request: Request
    attempts: int


@dataclass(frozen=True, slots=True)
class PanelHome:
    """Where a panel's message is; ``reader_id`` is the one person who sees it, "" when a whole channel does."""

    channel_id: str
    reader_id: str = ""


@dataclass(frozen=True, slots=True)
class ProgressView:
    """What a progress reply is rendered from."""

    run: SyncRun
    joined_by: tuple[Person, ...]
    joined_here: bool


def _claim_requests() -> ReturningUpdate[Any]:
    now = bindparam("now", type_=requests.c.due_at.type)
    due = (
        select(requests.c.id)
        .where(requests.c.due_at <= now, or_(requests.c.lease_until.is_(None), requests.c.lease_until <= now))
        .order_by(requests.c.due_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True, key_share=True)
    )
    return (
        update(requests)
        .where(chosen(requests, due))
        .values(lease_owner=bindparam("owner"), lease_until=bindparam("until"), attempts=requests.c.attempts + 1)
        .returning(requests.c.id, requests.c.data, requests.c.attempts)
    )


_ADD_PANEL: Final = panels.insert()
_PANEL: Final = select(panels.c.data, panels.c.team_id).where(panels.c.id == bindparam("panel_id"))
_CLAIM_REQUESTS: Final = _claim_requests()
_NEXT_REQUEST: Final = next_at(requests)
_NEXT_RUN: Final = next_at(runs_table)
_NEXT_MESSAGE: Final = next_at(outbox_table, outbox.IN_TURN)
"""What each request and each wakeup of a worker runs is put together once: that alone takes longer than running it."""


class Store:
    """All that is shared between restarts and replicas. ``owner`` names this process in its leases."""

    def __init__(self, database: Database, *, owner: str, lease_s: float = 10.0) -> None:
        self._database = database
        self._owner = owner
        self.lease_s = lease_s
        self._intake = Together(partial(inbox.add_all, database), most=REQUESTS_TOGETHER)
        self._saves = Together(self._save_together, most=SAVED_TOGETHER)

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    # Requests

    async def add_request(self, request: Request) -> bool:
        """Save a request to be answered; False when it was delivered before."""
        return await self._intake.save(request)

    @retried
    async def claim_requests(self, now: datetime, limit: int) -> list[RequestClaim]:
        """Take requests that wait for an answer."""
        until = now + timedelta(seconds=self.lease_s)
        async with self._database.begin() as connection:
            wanted = {"owner": self._owner, "now": now, "until": until, "limit": limit}
            rows = (await connection.execute(_CLAIM_REQUESTS, wanted)).all()
        return codec.read_claimed(rows, lambda row: RequestClaim(codec.load_request(row.data), row.attempts))

    @retried
    async def finish_request(
        self, request_id: str, *, entry: AuditEntry | None = None, kept: Request | None = None
    ) -> None:
        """Note that a request is answered. Its id stays, so that a late redelivery is recognised.

        Raises:
            ClaimLost: another replica answered it; the same holds for all that answers a request.
        """
        async with self._database.begin() as connection:
            await audit.add(connection, entry)
            await inbox.finish(connection, request_id, kept=kept)

    async def load_asked(self, request_id: str) -> Request | None:
        """Read who asked for something, and where; None when that isn't kept."""
        query = select(requests.c.data).where(requests.c.id == request_id)
        async with self._database.read() as connection:
            data = await connection.scalar(query)
        return codec.load_request(data).remembered if data else None

    @retried
    async def retry_request(self, request_id: str, due_at: datetime) -> None:
        """Give a request back, to be answered later."""
        async with self._database.begin() as connection:
            await connection.execute(
                update(requests)
                .where(requests.c.id == request_id, requests.c.due_at.is_not(None))
                .values(due_at=due_at, lease_until=None, attempts=0)
            )

    @retried
    async def renew_request(self, request_id: str, now: datetime) -> None:
        """Keep a request that takes long; one that another process took over stays with that one."""
        async with self._database.begin() as connection:
            await connection.execute(
                update(requests)
                .where(requests.c.id == request_id, requests.c.lease_owner == self._owner)
                .where(requests.c.lease_until.is_not(None))
                .values(lease_until=now + timedelta(seconds=self.lease_s))
            )

    # Messages to send

    @retried
    async def add_note(
        self,
        request: Request,
        message: Message,
        address: Address,
        now: datetime,
        *,
        entry: AuditEntry | None = None,
        is_kept: bool = False,
    ) -> None:
        """Answer a request with a message that is never edited; ``entry`` is what the audit says of it.

        ``is_kept``: a button in the message needs to know later who asked, and where.
        """
        async with self._database.begin() as connection:
            await audit.add(connection, entry)
            note = replace(message, cause=request.cause)
            await outbox.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump_message(note))
            await inbox.finish(connection, request.id, kept=request if is_kept else None)

    @retried
    async def add_panel(self, request: Request, panel: Panel, address: Address, now: datetime) -> None:
        """Answer a request with a panel."""
        async with self._database.begin() as connection:
            await self._add_panel(connection, replace(panel, cause=request.cause), address, now)
            await inbox.finish(connection, request.id)

    async def _add_panel(self, connection: Transaction, panel: Panel, address: Address, now: datetime) -> None:
        row = {"id": panel.id, "team_id": address.team_id, "data": codec.dump_panel(panel), "created_at": now}
        await connection.execute(_ADD_PANEL, row)
        await outbox.add_row(connection, OutboxKind.PANEL, address, now, panel_id=panel.id)

    @retried
    async def redraw_panel(
        self, request: Request, panel_id: str, change: Callable[[Panel], Panel], now: datetime
    ) -> None:
        """Answer a request by changing what a message shows; what others changed in it meanwhile stays."""
        origin = request.origin
        async with self._database.begin() as connection:
            panel = await alerts.load_panel(connection, panel_id)
            if panel:
                await alerts.save(connection, replace(change(panel), cause=request.cause))
            if origin.ephemeral and origin.response_url:
                await self._renew_response_url(connection, panel_id, origin.response_url, now)
            await outbox.bump_panels(connection, [panel_id], now)
            await inbox.finish(connection, request.id)

    async def _renew_response_url(
        self, connection: Transaction, panel_id: str, response_url: str, now: datetime
    ) -> None:
        """An ephemeral message can only be changed by the response_url of a fresh press on it."""
        await connection.execute(
            update(outbox_table)
            .where(in_order(outbox_table, outbox_table.c.panel_id == panel_id, outbox_table.c.ephemeral.is_(True)))
            .values(response_url=response_url, response_until=now + outbox.RESPONSE_URL_LIVES)
        )

    async def load_panel(self, panel_id: str) -> Panel | None:
        """Read a panel; None when it was never ours or is purged."""
        async with self._database.read() as connection:
            data = await connection.scalar(select(panels.c.data).where(panels.c.id == panel_id))
        return codec.load_panel(data) if data else None

    async def home_of_panel(self, panel_id: str) -> PanelHome | None:
        """Tell where a panel's message is; None when it is nowhere that is known."""
        query = (
            select(outbox_table.c.channel_id, outbox_table.c.user_id, outbox_table.c.ephemeral)
            .where(outbox_table.c.panel_id == panel_id)
            .order_by(outbox_table.c.created_at.desc())
            .limit(1)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return None
        return PanelHome(row.channel_id or "", row.user_id or "" if row.ephemeral or not row.channel_id else "")

    async def load_panel_view(self, panel_id: str) -> tuple[Panel, dict[str, RowRun]] | None:
        """Read a panel with the runs that override its rows."""
        async with self._database.read() as connection:
            row = (await connection.execute(_PANEL, {"panel_id": panel_id})).first()
        if row is None:
            return None
        panel = codec.load_panel(row.data)
        ids = [integration.id for integration in panel.integrations]
        async with self._database.read() as connection:
            rows = await runs.rows_newest_since(connection, row.team_id, ids, panel.as_of)
            took_part = await runs.took_part(connection, [each.id for each in rows])
        newest = runs.by_integration(rows)
        overlay = {id_: RowRun(run, runs.joiners(run, took_part)) for id_, run in newest.items()}
        return panel, overlay

    async def load_progress(self, item: OutboxItem) -> ProgressView | None:
        """Read what a progress reply shows; None when its run is gone."""
        async with self._database.read() as connection:
            data = await connection.scalar(select(runs_table.c.data).where(runs_table.c.id == item.run_id))
            if data is None:
                return None
            joined_here = await connection.scalar(select(threads.c.joined).where(threads.c.id == item.thread_id))
            took_part = await runs.took_part(connection, [item.run_id or ""])
        run = codec.load_run(data)
        return ProgressView(run, runs.joiners(run, took_part), bool(joined_here))

    async def load_outcome(self, item: OutboxItem) -> ProgressView:
        """Read the run as it was when its outcome was decided."""
        run = codec.load_run(item.data or "")
        async with self._database.read() as connection:
            took_part = await runs.took_part(connection, [run.id])
        return ProgressView(run, runs.joiners(run, took_part), joined_here=False)

    async def is_root(self, item: OutboxItem) -> bool:
        """Tell whether replies wait for this message to be posted."""
        query = select(threads.c.id).where(threads.c.panel_id == item.panel_id, threads.c.thread_ts.is_(None))
        async with self._database.read() as connection:
            return await connection.scalar(query.limit(1)) is not None

    @retried
    async def claim_outbox(self, now: datetime, limit: int) -> list[OutboxItem]:
        """Take messages that are due."""
        async with self._database.begin() as connection:
            return await outbox.claim(connection, self._owner, now, self.lease_s, limit)

    @retried
    async def mark_posted(self, item: OutboxItem, channel_id: str, ts: str, now: datetime) -> None:
        """Record that a message stands in Slack.

        Raises:
            ClaimLost: another replica took it over.
        """
        async with self._database.begin() as connection:
            if item.panel_id:
                await outbox.place_thread(connection, item, channel_id, item.thread_ts or ts, now)
            elif item.thread_ts is None and (item.thread_id or item.kind is OutboxKind.NEWS):
                await outbox.move_story(connection, item, channel_id, ts)
            values = outbox.sent_values(item, now) | {"channel_id": channel_id, "thread_ts": item.thread_ts, "ts": ts}
            await self._write_held(connection, item, values)

    async def load_ts(self, outbox_id: str) -> str | None:
        """Tell which message in Slack is recorded for a row; None when none is."""
        query = select(outbox_table.c.ts).where(outbox_table.c.id == outbox_id)
        async with self._database.read() as connection:
            ts: str | None = await connection.scalar(query)
        return ts

    @retried
    async def mark_shown(self, item: OutboxItem, now: datetime, *, ephemeral: bool = False) -> None:
        """Record that a version is shown where no ts tells: an edit, or a message by response_url."""
        async with self._database.begin() as connection:
            values = outbox.sent_values(item, now)
            if ephemeral:
                values["ephemeral"] = True
            await self._write_held(connection, item, values)

    @retried
    async def postpone(self, item: OutboxItem, due_at: datetime, *, in_doubt: bool, failed: bool = True) -> None:
        """Give a message back, to be tried again; ``in_doubt`` when it may have been posted all the same.

        An earlier doubt stays: what was refused now may have been the look for the message. ``failed`` is False
        when only its turn has not come.
        """
        values: dict[str, object] = {
            "due_at": due_at,
            "failures": item.failures + failed,
            "lease_owner": None,
            "lease_until": None,
        }
        if not (in_doubt or item.in_doubt):
            values["attempts"] = 0
        async with self._database.begin() as connection:
            await self._write_held(connection, item, values)

    @retried
    async def readdress(self, item: OutboxItem, address: Address, now: datetime) -> None:
        """Send a message another way: what was refused at one address was certainly not posted there."""
        async with self._database.begin() as connection:
            await self._write_held(
                connection,
                item,
                {
                    "channel_id": address.channel_id,
                    "thread_ts": address.thread_ts,
                    "user_id": address.user_id,
                    "ephemeral": address.ephemeral,
                    "ts": None,
                    "attempts": 0,
                    "failures": 0,
                    "due_at": now,
                    "lease_owner": None,
                    "lease_until": None,
                },
            )
            connection.ring(Work.MESSAGES)

    @retried
    async def post_alert_anew(self, item: OutboxItem, now: datetime, *, in_thread: bool = True) -> bool:
        """Let a new message show an incident that can no longer be edited; ``in_thread`` when the old one is there yet.

        Returns:
            False when the message is no incident's; nothing was changed then.
        """
        async with self._database.begin() as connection:
            panel = await alerts.load_panel(connection, item.panel_id) if item.panel_id else None
            if panel is None or panel.incident is None:
                return False
            await alerts.save_panel(connection, replace(panel, mention=""))  # once is enough
            await self._write_held(
                connection, item, {"panel_id": None, "due_at": None, "sent_version": item.version, "lease_until": None}
            )
            address = Address(item.team_id, item.channel_id, item.thread_ts or (item.ts if in_thread else None))
            await outbox.add_row(connection, OutboxKind.PANEL, address, now, panel_id=panel.id)
        return True

    async def has_incident_message(self, item: OutboxItem) -> bool:
        """Tell whether the incident of a reply has a message of its own, not just a place in the thread of a sync."""
        async with self._database.read() as connection:
            return await outbox.has_message_of_alert(connection, item.id)

    @retried
    async def give_up(self, item: OutboxItem) -> None:
        """Stop trying to show what was claimed of a message; what it is to show since then is tried for itself."""
        values = outbox.given_up_values(item)
        async with self._database.begin() as connection:
            await self._write_held(connection, item, values)
            connection.ring(Work.MESSAGES)  # a reply may have waited for it

    @retried
    async def drop(self, item: OutboxItem) -> None:
        """Forget a message that is worth nothing where it could stand; nothing asks for it again.

        Raises:
            ClaimLost: another replica took it over.
        """
        async with self._database.begin() as connection:
            dropped = await connection.execute(
                outbox_table.delete().where(outbox_table.c.id == item.id, outbox_table.c.claims == item.claims)
            )
            if dropped.rowcount != 1:
                raise ClaimLost(f"message {item.id} was taken over")
            connection.ring(Work.MESSAGES)

    async def _write_held(self, connection: Transaction, item: OutboxItem, values: dict[str, object]) -> None:
        written = await connection.execute(outbox.held(item).values(**values))
        if written.rowcount != 1:
            raise ClaimLost(f"message {item.id} was taken over")

    # Runs

    @retried
    async def start_sync(
        self,
        request: Request,
        integration: Integration,
        now: datetime,
        *,
        patience: Patience,
        action: str,
        panel_id: str | None = None,
        root: Panel | None = None,
        limits: Limits = NO_LIMITS,
        override: bool = False,
    ) -> Opened | Held:
        """Open a run for an integration or join the active one, note the thread, write the audit entry.

        Args:
            request: who asked, and where; it waits in the inbox.
            integration: what to sync; only its id and type are kept.
            now: the time of the click.
            patience: how long a new run is watched.
            action: what was done, for the audit.
            panel_id: the message that was clicked: its row shows the run.
            root: a panel to post, under which the follow-up stands, when there is no message to reply to.
            limits: how soon and how often a sync may be started; joining one is never limited. Where they hold it
                back, nothing is written, and the request still waits for its answer.
            override: start it in spite of them.

        Raises:
            ClaimLost: another replica did it.
        """
        origin = request.origin
        async with self._database.begin() as connection:
            held = await self._held(connection, origin, integration.id, limits, now)
            if held and not override:
                return held
            run, joined, ended = await self._open_or_join(connection, request, integration, now, patience)
            # In the order of their clicks, however they are answered.
            await runs.add_participant(connection, self._database, run.id, origin.person, request.received_at)
            told_here = await runs.add_thread(
                connection,
                self._database,
                run,
                _thread_address(origin, is_new=root is not None),
                now,
                panel_id=root.id if root else panel_id,
                user_id=origin.person.id,
                joined=joined,
            )
            if root and told_here:
                await self._add_panel(connection, replace(root, cause=request.cause), _root_address(origin), now)
            started = outbox.Story(run.id, outcome.STARTED, "", ended=False)
            await outbox.tell(connection, self._database, [*ended, started], now)
            entry = of_origin(origin, action, now, run, "joined" if joined else "started")
            if held:
                entry = replace(entry, decision=Ruling.OVERRIDDEN, rule=held.by)
            await audit.add(connection, entry)
            await inbox.finish(connection, request.id)
        return Opened(run, joined, told_here)

    async def _held(
        self, connection: AsyncConnection, origin: Origin, integration_id: str, limits: Limits, now: datetime
    ) -> Held | None:
        """Tell whether a start is held back. Within a transaction this also keeps others of the same person out."""
        if limits == NO_LIMITS:
            return None
        if limits.quota_per_hour:
            await self._database.lock(connection, f"{origin.team_id}:{origin.person.id}")
        if await runs.find_active(connection, origin.team_id, integration_id):
            return None
        return decide_limits(
            limits,
            await runs.last_success_at(connection, origin.team_id, integration_id) if limits.cooldown_s else None,
            await runs.starts_of(connection, origin.team_id, origin.person.id, now - QUOTA_WINDOW)
            if limits.quota_per_hour
            else (),
            now,
        )

    @retried
    async def would_hold(
        self, origin: Origin, integration_id: str, limits: Limits, now: datetime
    ) -> Held | SyncRun | None:
        """Tell what a start would meet now: a limit, a run that it would join, or nothing."""
        async with self._database.begin() as connection:
            active = await runs.find_active(connection, origin.team_id, integration_id)
            return active or await self._held(connection, origin, integration_id, limits, now)

    async def _open_or_join(
        self, connection: Transaction, request: Request, integration: Integration, now: datetime, patience: Patience
    ) -> tuple[SyncRun, bool, list[outbox.Story]]:
        """Return the run, whether it is another click's, and what is to be told of earlier ones."""
        origin = request.origin
        ended: list[outbox.Story] = []
        for _ in range(3):  # a run may end, or another replica open one, between two statements
            active = await runs.find_active(connection, origin.team_id, integration.id)
            if active:
                return active, True, ended
            own_s = await runs.durations_s(connection, origin.team_id, integration.id)
            of_type_s = [] if own_s else await runs.durations_of_type_s(connection, origin.team_id, integration.type)
            opened = outcome.open_run(
                new_id("run"),
                origin.team_id,
                integration.id,
                integration.type,
                origin.person,
                now,
                patience=patience,
                cause=request.cause,
                typical_s=statistics.median(own_s) if own_s else None,
                expected=learn(own_s, of_type_s),
            )
            ended += await runs.end_late_watches(connection, opened.run)
            if await runs.add(connection, self._database, opened):
                return opened.run, False, ended
        raise ClaimLost("other replicas keep opening runs for this integration")

    @retried
    async def keep_watching(self, request: Request, run_id: str, now: datetime) -> Kept:
        """Give a run that was not confirmed one more deadline, unless there is nothing left to watch."""
        origin = request.origin
        async with self._database.begin() as connection:
            run, newer = await runs.hold(connection, origin.team_id, run_id)
            if run is None:
                return Kept.UNKNOWN
            if newer:
                return Kept.NEWER
            decision = outcome.keep_watching(run, now)
            if decision.run == run:
                return Kept.ENDED
            await outbox.tell(connection, self._database, [await runs.write(connection, decision)], now)
            until = decision.run.keep_until
            result = f"until {until:%Y-%m-%d %H:%M} UTC" if until else ""
            await audit.add(connection, of_origin(origin, Deed.KEEP_WATCHING, now, run, result))
            await inbox.finish(connection, request.id)
        return Kept.WATCHED

    async def load_run(self, run_id: str) -> SyncRun | None:
        """Read a run; None when it was never ours or is purged."""
        async with self._database.read() as connection:
            data = await connection.scalar(select(runs_table.c.data).where(runs_table.c.id == run_id))
        return codec.load_run(data) if data else None

    async def channels_of_run(self, run_id: str) -> tuple[str, ...]:
        """Tell in which channels a run is told."""
        query = select(threads.c.channel_id).where(threads.c.run_id == run_id, threads.c.channel_id.is_not(None))
        async with self._database.read() as connection:
            return tuple(sorted(set((await connection.scalars(query)).all())))

    async def past_runs(
        self, team_id: str, integration_ids: tuple[str, ...] | None, integration_type: str, limit: int
    ) -> list[SyncRun]:
        """Read the newest runs, the newest first: of all integrations (None), or of these and of this type."""
        return await runs.past(self._database, team_id, integration_ids, integration_type, limit)

    async def active_runs(self, team_id: str) -> list[SyncRun]:
        """Read the runs that are being followed, the oldest first."""
        query = select(runs_table.c.data).where(runs_table.c.team_id == team_id, runs_table.c.outcome.is_(None))
        async with self._database.read() as connection:
            rows = (await connection.scalars(query.order_by(runs_table.c.requested_at))).all()
        return [codec.load_run(data) for data in rows]

    async def runs_ended_since(self, team_id: str, at: datetime) -> list[SyncRun]:
        """Read the runs that ended since a time."""
        query = select(runs_table.c.data).where(of_team(runs_table, team_id), runs_table.c.ended_at > at)
        async with self._database.read() as connection:
            rows = (await connection.scalars(query.order_by(runs_table.c.ended_at))).all()
        return [codec.load_run(data) for data in rows]

    @retried
    async def claim_runs(self, now: datetime, limit: int) -> list[RunClaim]:
        """Take runs that are due, at most ``limit`` of them, and with them what one look at a workspace can serve."""
        async with self._database.begin() as connection:
            return await runs.claim(connection, self._owner, now, self.lease_s, limit)

    async def save(self, claim: RunClaim, decision: Decision, now: datetime, *, keep_claim: bool = False) -> RunClaim:
        """Save a decision and what it wants told, all or nothing; the claim ends unless ``keep_claim``.

        Decisions of one moment share a transaction, each for itself.

        Raises:
            ClaimLost: another replica took the run over, or a person changed it; nothing was written.
        """
        lease_until = now + timedelta(seconds=self.lease_s) if keep_claim else None
        if not await self._saves.save(_Save(claim, decision, now, lease_until)):
            raise ClaimLost(f"run {claim.run.id} was taken over")
        return RunClaim(decision.run, claim.version + 1, lease_until or now)

    @retried
    async def _save_together(self, saves: Sequence[_Save]) -> list[bool]:
        """Save what is still held, and tell which was; runs are locked in one order, and before all else."""
        told: dict[int, outbox.Story] = {}
        async with self._database.begin() as connection:
            for place, one in sorted(enumerate(saves), key=lambda each: each[1].claim.run.id):
                story = await runs.save(connection, self._owner, one.claim, one.decision, one.lease_until)
                if story:
                    told[place] = story
                    await audit.add(connection, of_outcome(one.claim.run, one.decision.run, one.now))
            await outbox.tell(connection, self._database, list(told.values()), max(one.now for one in saves))
        return [place in told for place in range(len(saves))]

    @retried
    async def release(self) -> None:
        """Give back all that this process holds, so that another goes on at once."""
        async with self._database.begin() as connection:
            for table in (runs_table, outbox_table, requests):
                mine = in_order(table, table.c.lease_owner == self._owner, table.c.due_at.is_not(None))
                await connection.execute(update(table).where(mine).values(lease_owner=None, lease_until=None))

    async def next_request_at(self) -> datetime | None:
        """Tell when the next request can be claimed."""
        return await read_next(self._database, _NEXT_REQUEST)

    async def next_run_at(self) -> datetime | None:
        """Tell when the next run can be claimed."""
        return await read_next(self._database, _NEXT_RUN)

    async def next_message_at(self) -> datetime | None:
        """Tell when the next message can be claimed."""
        return await read_next(self._database, _NEXT_MESSAGE)


def _thread_address(origin: Origin, *, is_new: bool) -> Address:
    """Where a follow-up stands: under the message clicked or the thread typed in, or under a root to be posted."""
    if origin.ephemeral:
        return Address(origin.team_id, user_id=origin.person.id)
    root_ts = origin.thread_ts if is_new else origin.thread_ts or origin.message_ts
    return Address(origin.team_id, origin.channel_id, root_ts, origin.person.id)


def _root_address(origin: Origin) -> Address:
    """Where the root of a new follow-up is posted: where it was asked, or to the person when only they see it."""
    if origin.ephemeral:
        return Address(origin.team_id, user_id=origin.person.id)
    return Address(origin.team_id, origin.channel_id, origin.thread_ts, origin.person.id, origin.response_url)
