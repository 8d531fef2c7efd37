"""The outbox: claims messages that are due, and records what Slack shows of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import select

from bot.core.access.audit import AuditEntry
from bot.core.errors import ClaimLost
from bot.core.models import Message, Person, SyncRun
from bot.core.requests import Request
from bot.store import alerts, audit, codec, inbox, outbox_rows, run_rows
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.due import next_at, read_next
from bot.store.outbox_rows import Address, OutboxItem, OutboxKind
from bot.store.tables import outbox, runs, threads
from bot.store.transactions import Transaction, retried

_NEXT: Final = next_at(outbox, outbox_rows.IN_TURN)
"""Built once: that takes longer than running it."""


@dataclass(frozen=True, slots=True)
class ProgressView:
    """What a progress reply is rendered from."""

    run: SyncRun
    joined_by: tuple[Person, ...]
    joined_here: bool


class Outbox:
    """Messages to send. Each method is one transaction.

    Args:
        database: where they are.
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
        """Answer a request with a message that is never edited; ``entry`` is what the audit says of it.

        ``is_kept``: a button in the message needs to know later who asked, and where.
        """
        async with self._database.begin() as connection:
            await audit.add(connection, entry)
            note = replace(message, cause=request.cause)
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump(note))
            await inbox.finish(connection, request.id, kept=request if is_kept else None)

    @retried
    async def claim(self, now: datetime, limit: int) -> list[OutboxItem]:
        """Take messages that are due."""
        async with self._database.begin() as connection:
            return await outbox_rows.claim(connection, self._owner, now, self._lease_s, limit)

    async def next_at(self) -> datetime | None:
        """Tell when the next message can be claimed."""
        return await read_next(self._database, _NEXT)

    async def load_progress(self, item: OutboxItem) -> ProgressView | None:
        """Read what a progress reply shows; None when its run is gone."""
        async with self._database.read() as connection:
            data = await connection.scalar(select(runs.c.data).where(runs.c.id == item.run_id))
            if data is None:
                return None
            joined_here = await connection.scalar(select(threads.c.joined).where(threads.c.id == item.thread_id))
            took_part = await run_rows.took_part(connection, [item.run_id or ""])
        run = codec.load(SyncRun, data)
        return ProgressView(run, run_rows.joiners(run, took_part), bool(joined_here))

    async def load_outcome(self, item: OutboxItem) -> ProgressView:
        """Read the run as it was when its outcome was decided."""
        run = codec.load(SyncRun, item.data or "")
        async with self._database.read() as connection:
            took_part = await run_rows.took_part(connection, [run.id])
        return ProgressView(run, run_rows.joiners(run, took_part), joined_here=False)

    async def is_root(self, item: OutboxItem) -> bool:
        """Tell whether replies wait for this message to be posted."""
        query = select(threads.c.id).where(threads.c.panel_id == item.panel_id, threads.c.thread_ts.is_(None))
        async with self._database.read() as connection:
            return await connection.scalar(query.limit(1)) is not None

    async def load_ts(self, outbox_id: str) -> str | None:
        """Tell which message in Slack is recorded for a row; None when none is."""
        query = select(outbox.c.ts).where(outbox.c.id == outbox_id)
        async with self._database.read() as connection:
            ts: str | None = await connection.scalar(query)
        return ts

    async def has_incident_message(self, item: OutboxItem) -> bool:
        """Tell whether the incident of a reply has a message of its own, not just a place in the thread of a sync."""
        async with self._database.read() as connection:
            return await outbox_rows.has_message_of_alert(connection, item.id)

    @retried
    async def mark_posted(self, item: OutboxItem, channel_id: str, ts: str, now: datetime) -> None:
        """Record that a message stands in Slack.

        Raises:
            ClaimLost: another replica took it over.
        """
        async with self._database.begin() as connection:
            if item.panel_id:
                await outbox_rows.place_thread(connection, item, channel_id, item.thread_ts or ts, now)
            elif item.thread_ts is None and (item.thread_id or item.kind is OutboxKind.NEWS):
                await outbox_rows.move_story(connection, item, channel_id, ts)
            values = outbox_rows.sent_values(item, now) | {
                "channel_id": channel_id,
                "thread_ts": item.thread_ts,
                "ts": ts,
            }
            await _write_held(connection, item, values)

    @retried
    async def mark_shown(self, item: OutboxItem, now: datetime, *, ephemeral: bool = False) -> None:
        """Record that a version is shown where no ts tells: an edit, or a message by response_url."""
        async with self._database.begin() as connection:
            values = outbox_rows.sent_values(item, now)
            if ephemeral:
                values["ephemeral"] = True
            await _write_held(connection, item, values)

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
            await _write_held(connection, item, values)

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
        """Let a new message show an incident that can no longer be edited; ``in_thread`` when the old one is there yet.

        Returns:
            False when the message is no incident's; nothing was changed then.
        """
        async with self._database.begin() as connection:
            panel = await alerts.load_panel(connection, item.panel_id) if item.panel_id else None
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
        """Stop trying to show what was claimed of a message; what it is to show since then is tried for itself."""
        values = outbox_rows.given_up_values(item)
        async with self._database.begin() as connection:
            await _write_held(connection, item, values)
            connection.ring(Work.MESSAGES)  # a reply may have waited for it

    @retried
    async def hold_back(self, item: OutboxItem) -> None:
        """Don't edit a message until its channel opens again, or until it has something newer to show."""
        async with self._database.begin() as connection:
            await _write_held(connection, item, outbox_rows.held_back_values(item))

    @retried
    async def drop(self, item: OutboxItem) -> None:
        """Forget a message that is worth nothing where it could stand; nothing asks for it again.

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


async def _write_held(connection: Transaction, item: OutboxItem, values: dict[str, object]) -> None:
    written = await connection.execute(outbox_rows.held(item).values(**values))
    if written.rowcount != 1:
        raise ClaimLost(f"message {item.id} was taken over")
