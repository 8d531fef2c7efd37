"""The outbox: claims messages that are due, and records what Slack shows of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, bindparam, select
from sqlalchemy.sql.dml import ReturningUpdate

from bot.core.access.audit import AuditEntry
from bot.core.errors import ClaimLost
from bot.core.models import Message, Person, SyncRun
from bot.core.requests import Request
from bot.store import alerts, audit, codec, inbox, outbox_rows, run_rows
from bot.store.bell import Lease, Work
from bot.store.database import Database
from bot.store.due import next_at, read_next
from bot.store.outbox_rows import POSTED, SHOWN, Address, OutboxItem, OutboxKind
from bot.store.statements import constant
from bot.store.tables import outbox, participants, runs, threads
from bot.store.transactions import Transaction, retried

_NEXT: Final = constant(next_at(outbox, outbox_rows.IN_TURN))
"""Built once, because building it takes longer than running it."""


_PROGRESS: Final = constant(
    select(runs.c.data, threads.c.joined, runs.c.id.label("run_id"), participants.c.user_id, participants.c.user_name)
    .outerjoin(threads, and_(threads.c.run_id == runs.c.id, threads.c.id == bindparam("thread")))
    .outerjoin(participants, participants.c.run_id == runs.c.id)
    .where(runs.c.id == bindparam("run"))
    .order_by(participants.c.joined_at)
)


@dataclass(frozen=True, slots=True)
class ProgressView:
    """What a progress reply is rendered from."""

    run: SyncRun
    joined_by: tuple[Person, ...]
    joined_here: bool


class Outbox:
    """Messages to send. Each method is one transaction.

    Args:
        database: the database.
        owner: this process's name in its leases.
        lease_s: how long a claim lasts, in seconds.
    """

    def __init__(self, database: Database, owner: str, lease_s: float) -> None:
        self._database = database
        self._owner = owner
        self._lease_s = lease_s

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
        """Answer a request with a message that's never updated; ``entry`` goes to the audit log.

        ``is_kept``: a button in the message will need to know who asked, and where.
        """
        async with self._database.begin() as connection:
            await audit.add(connection, entry)
            note = replace(message, cause=request.cause)
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump(note))
            await inbox.finish(connection, request.id, kept=request if is_kept else None)

    @retried
    async def claim(self, now: datetime, limit: int, full: Collection[str] = ()) -> list[OutboxItem]:
        """Take messages that are due, of all workspaces but those in ``full``."""
        lease = Lease(self._owner, now + timedelta(seconds=self._lease_s))
        async with self._database.begin(autocommit=True) as connection:
            return await outbox_rows.claim(connection, lease, now, limit, full)

    async def next_at(self) -> datetime | None:
        """Return when the next message can be claimed."""
        return await read_next(self._database, _NEXT)

    async def load_progress(self, item: OutboxItem) -> ProgressView | None:
        """Return what a progress reply shows; None if its run is gone."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_PROGRESS, {"run": item.run_id, "thread": item.thread_id})).all()
        if not rows:
            return None
        run = codec.load(SyncRun, rows[0].data)
        return ProgressView(run, run_rows.joiners(run, rows), bool(rows[0].joined))

    async def load_outcome(self, item: OutboxItem) -> ProgressView:
        """Return the run as it was when its outcome was decided."""
        run = codec.load(SyncRun, item.data or "")
        async with self._database.read() as connection:
            took_part = await run_rows.took_part(connection, run.id)
        return ProgressView(run, run_rows.joiners(run, took_part), joined_here=False)

    async def is_root(self, item: OutboxItem) -> bool:
        """Return whether replies wait for this message to be posted."""
        if item.panel_id is None:
            return False
        query = select(threads.c.id).where(threads.c.panel_id == item.panel_id, threads.c.thread_ts.is_(None))
        async with self._database.read() as connection:
            return await connection.scalar(query.limit(1)) is not None

    async def load_ts(self, outbox_id: str) -> str | None:
        """Return the recorded ts of a row's message; None if there is none."""
        query = select(outbox.c.ts).where(outbox.c.id == outbox_id)
        async with self._database.read() as connection:
            ts: str | None = await connection.scalar(query)
        return ts

    async def has_incident_message(self, item: OutboxItem) -> bool:
        """Return whether the incident of a reply has its own message, not just a place in a sync's thread."""
        async with self._database.read() as connection:
            return await outbox_rows.has_message_of_alert(connection, item.id)

    @retried
    async def renew(self, item: OutboxItem, now: datetime) -> OutboxItem:
        """Hold a message for as long again; returns it with its new lease.

        Raises:
            ClaimLost: another replica took it over, or it was shown meanwhile.
        """
        until = now + timedelta(seconds=self._lease_s)
        ours = outbox_rows.held(item).where(outbox.c.lease_owner == self._owner)
        async with self._database.begin() as connection:
            if (await connection.execute(ours.values(lease_until=until))).rowcount != 1:
                raise ClaimLost(f"message {item.id} isn't held anymore")
        return replace(item, lease_until=until)

    @retried
    async def mark_posted(self, item: OutboxItem, channel_id: str, ts: str, now: datetime) -> None:
        """Record that a message was posted.

        Raises:
            ClaimLost: another replica took it over.
        """
        async with self._database.begin() as connection:
            if item.panel_id:
                await outbox_rows.place_thread(connection, item, channel_id, item.thread_ts or ts, now)
            elif item.thread_ts is None and (item.thread_id or item.kind is OutboxKind.NEWS):
                await outbox_rows.move_story(connection, item, channel_id, ts)
            posted = {"channel": channel_id, "thread": item.thread_ts, "posted_ts": ts}
            await _record(connection, item, POSTED, outbox_rows.sent_values(item, now) | posted)
            if item.thread_id or item.kind is OutboxKind.NEWS:
                connection.ring(Work.MESSAGES)  # a reply may have waited for it

    @retried
    async def mark_shown(self, item: OutboxItem, now: datetime, *, ephemeral: bool = False) -> None:
        """Record that a version is shown if there's no new ts: an update, or a message by response_url."""
        async with self._database.begin(is_light=True) as connection:
            shown = outbox_rows.sent_values(item, now) | {"only_for_one": ephemeral}
            await _record(connection, item, SHOWN, shown)

    @retried
    async def postpone(self, item: OutboxItem, due_at: datetime, *, in_doubt: bool, failed: bool = True) -> None:
        """Release a message, to be retried; ``in_doubt`` if it may have been posted anyway.

        An earlier doubt stays: what was refused may have been the check for the message. ``failed`` is False if only
        its turn hasn't come.
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
            await _write_held(connection, item, values)
            connection.ring(Work.MESSAGES, due_at)

    @retried
    async def readdress(self, item: OutboxItem, address: Address, now: datetime) -> None:
        """Send a message another way: what was refused at one address was certainly not posted there."""
        async with self._database.begin() as connection:
            await _write_held(
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
    async def post_incident_again(self, item: OutboxItem, now: datetime, *, in_thread: bool = True) -> bool:
        """Post a new message for an incident that can no longer be updated; ``in_thread`` if the old one exists.

        Returns:
            False if it isn't an incident's message; then nothing was changed.
        """
        async with self._database.begin() as connection:
            panel = await alerts.load_panel(connection, item.team_id, item.panel_id) if item.panel_id else None
            if panel is None or panel.incident is None:
                return False
            await alerts.save_panel(connection, replace(panel, mention=""))  # once is enough
            await _write_held(
                connection, item, {"panel_id": None, "due_at": None, "sent_version": item.version, "lease_until": None}
            )
            address = Address(item.team_id, item.channel_id, item.thread_ts or (item.ts if in_thread else None))
            await outbox_rows.add_row(connection, OutboxKind.PANEL, address, now, panel_id=panel.id)
        return True

    @retried
    async def give_up(self, item: OutboxItem) -> None:
        """Stop trying to show the claimed version of a message; a newer version is tried separately."""
        values = outbox_rows.given_up_values(item)
        async with self._database.begin() as connection:
            await _write_held(connection, item, values)
            connection.ring(Work.MESSAGES)  # a reply may have waited for it

    @retried
    async def hold_back(self, item: OutboxItem) -> None:
        """Don't update a message until its channel opens again, or until there's something newer to show."""
        async with self._database.begin() as connection:
            await _write_held(connection, item, outbox_rows.held_back_values(item))
            connection.ring(Work.MESSAGES)

    @retried
    async def drop(self, item: OutboxItem) -> None:
        """Delete a message that's useless where it could be posted.

        Raises:
            ClaimLost: another replica took it over.
        """
        async with self._database.begin() as connection:
            dropped = await connection.execute(
                outbox.delete().where(outbox.c.id == item.id, outbox.c.claims == item.claims)
            )
            if dropped.rowcount != 1:
                raise ClaimLost(f"message {item.id} was taken over")
            connection.ring(Work.MESSAGES)


async def _record(connection: Transaction, item: OutboxItem, sent: ReturningUpdate[Any], values: Any) -> None:
    row = (await connection.execute(sent, values)).first()
    if row is None:
        raise ClaimLost(f"message {item.id} was taken over")
    if row.due_at:
        connection.ring(Work.MESSAGES, row.due_at)


async def _write_held(connection: Transaction, item: OutboxItem, values: dict[str, object]) -> None:
    written = await connection.execute(outbox_rows.held(item).values(**values))
    if written.rowcount != 1:
        raise ClaimLost(f"message {item.id} was taken over")
