"""The outbox: one row per Slack message, with the version that must be shown and the version that is.

A row is due while the two differ. Posting anew and editing are the same row: ``ts`` tells which. Edits coalesce by
themselves, since only the newest version is ever rendered. Functions here work inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from bot.core.models import Telling
from bot.core.requests import Request, RequestKind
from bot.store import homes
from bot.store.bell import Work
from bot.store.database import Database
from bot.store.ids import new_id
from bot.store.locks import chosen, locked
from bot.store.tables import alerts, incidents, outbox, runs, threads
from bot.store.transactions import Transaction

EDIT_EVERY_S: Final = 2.0
"""A progress reply is edited at most this often: ``slack-rules.md``, Rates."""

RESPONSE_URL_LIVES: Final = timedelta(minutes=29)
"""Slack honours a response_url for 30 minutes."""


class OutboxKind(StrEnum):
    """What a row's message is, and how it is rendered."""

    OUTCOME = "outcome"
    PANEL = "panel"
    NOTE = "note"
    """A message that is rendered already: answers to one person."""
    PROGRESS = "progress"
    NEWS = "news"
    """A reply in the thread of an incident."""


_PRIORITY: Final = {
    OutboxKind.OUTCOME: 0,
    OutboxKind.NOTE: 1,
    OutboxKind.PANEL: 1,
    OutboxKind.NEWS: 1,
    OutboxKind.PROGRESS: 2,
}


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A claimed row: this process alone may send it, until the lease ends.

    ``in_doubt`` is set when an earlier attempt to post it ended without a clear answer: the message may be there.
    ``is_shown`` is set when some version of it is known to be there.
    """

    id: str
    team_id: str
    kind: OutboxKind
    run_id: str | None
    thread_id: str | None
    panel_id: str | None
    data: str | None
    channel_id: str | None
    thread_ts: str | None
    user_id: str | None
    response_url: str | None
    ephemeral: bool
    ts: str | None
    version: int
    claims: int
    failures: int
    in_doubt: bool
    is_shown: bool
    created_at: datetime
    lease_until: datetime

    @property
    def is_unasked(self) -> bool:
        """It is what a channel subscribed to: nobody waits for it."""
        return self.user_id is None and self.channel_id is not None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message goes: a channel (and thread), or a person directly when ``channel_id`` is None."""

    team_id: str
    channel_id: str | None = None
    thread_ts: str | None = None
    user_id: str | None = None
    response_url: str | None = None
    ephemeral: bool = False


def answer_address(request: Request, *, private: bool = False) -> Address:
    """Where an answer goes: the channel of a command, the thread of a mention, the thread below a clicked message.

    Args:
        request: what is answered.
        private: show it only to the person who asked, where Slack lets us; in a thread or a direct message, there.
    """
    origin = request.origin
    if not origin.channel_id:
        return Address(origin.team_id, user_id=origin.person.id)
    thread_ts = origin.thread_ts
    if request.kind is RequestKind.PRESS:
        thread_ts = origin.thread_ts or origin.message_ts
    only_them = private and request.kind is not RequestKind.MENTION and origin.response_url is not None
    return Address(
        team_id=origin.team_id,
        channel_id=origin.channel_id,
        thread_ts=None if origin.ephemeral else thread_ts,
        user_id=origin.person.id,
        response_url=origin.response_url,
        ephemeral=origin.ephemeral or only_them,
    )


def private_address(request: Request) -> Address:
    """Where an answer goes that is nobody else's business: to be seen by one person only, or else directly."""
    address = answer_address(request, private=True)
    return address if address.ephemeral else Address(address.team_id, user_id=address.user_id)


_ADD: Final = outbox.insert()


async def add_row(
    connection: Transaction,
    kind: OutboxKind,
    address: Address,
    now: datetime,
    *,
    run_id: str | None = None,
    thread_id: str | None = None,
    panel_id: str | None = None,
    alert_id: str | None = None,
    data: str | None = None,
    seq: int = 0,
    waits: bool = False,
) -> str:
    """Add a message to post; ``waits`` keeps it back until the root of its thread is posted."""
    row_id = new_id("msg")
    row = {
        "id": row_id,
        "team_id": address.team_id,
        "kind": kind,
        "priority": _PRIORITY[kind],
        "run_id": run_id,
        "thread_id": thread_id,
        "seq": seq,
        "panel_id": panel_id,
        "alert_id": alert_id,
        "data": data,
        "channel_id": address.channel_id,
        "thread_ts": address.thread_ts,
        "user_id": address.user_id,
        "response_url": address.response_url,
        "response_until": now + RESPONSE_URL_LIVES if address.response_url else None,
        "ephemeral": address.ephemeral,
        "due_at": None if waits else now,
        "created_at": now,
    }
    await connection.execute(_ADD, row)
    connection.ring(Work.MESSAGES)
    return row_id


def _bump(now: datetime) -> Update:
    """Ask for a newer version to be shown: at once, or when the pace of that message allows."""
    soonest = case((outbox.c.not_before > now, outbox.c.not_before), else_=literal(now, outbox.c.due_at.type))
    waiting_for_root = and_(outbox.c.sent_version == 0, outbox.c.due_at.is_(None), outbox.c.ts.is_(None))
    return update(outbox).values(
        version=outbox.c.version + 1,
        due_at=case((waiting_for_root, None), else_=func.coalesce(outbox.c.due_at, soonest)),
    )


async def bump_panels(connection: Transaction, panel_ids: Collection[str], now: datetime) -> None:
    """Redraw panels."""
    if panel_ids:
        await _bump_rows(connection, await _locked(connection, outbox.c.panel_id.in_(panel_ids)), now)


async def _locked(connection: Transaction, *conditions: ColumnElement[bool]) -> Sequence[str]:
    ids: Sequence[str] = (await connection.scalars(locked(outbox, *conditions))).all()
    return ids


async def _bump_rows(connection: Transaction, ids: Sequence[str], now: datetime) -> None:
    if ids:
        await connection.execute(_bump(now).where(outbox.c.id.in_(ids)))
        connection.ring(Work.MESSAGES)


@dataclass(frozen=True, slots=True)
class Story:
    """What a decision about a run wants told; ``data`` is the run as it was decided."""

    run_id: str
    tellings: Sequence[Telling]
    data: str
    ended: bool


async def tell(connection: Transaction, database: Database, stories: Sequence[Story], now: datetime) -> None:
    """Turn what decisions want told into rows, for every thread of their runs, and draw what shows the runs again."""
    run_ids = [story.run_id for story in stories if story.tellings]
    if not run_ids:
        return
    # Held still: the root of one of them may be recorded at this moment.
    query = select(threads).where(threads.c.run_id.in_(run_ids)).order_by(threads.c.id)
    run_threads = (await connection.execute(query.with_for_update(key_share=True))).all()
    moved = {story.run_id: story.ended for story in stories if Telling.PROGRESS in story.tellings}
    shown = {story.run_id for story in stories if Telling.ROW in story.tellings}
    shown_in = [thread for thread in run_threads if thread.run_id in shown]
    panel_ids = await _panels_about(connection, shown, shown_in) if shown else ()
    concerned = [and_(outbox.c.run_id.in_(moved), outbox.c.kind == OutboxKind.PROGRESS)] if moved else []
    if panel_ids:
        concerned.append(outbox.c.panel_id.in_(panel_ids))
    told = await _locked(connection, or_(*concerned)) if concerned else ()
    await _drop_unposted_progress(connection, told, [run_id for run_id, ended in moved.items() if ended], now)
    await _bump_rows(connection, told, now)
    ends = {story.run_id: story.data for story in stories if Telling.OUTCOME in story.tellings}
    for thread in run_threads:
        if thread.run_id in ends:
            await _add_outcome(connection, thread, ends[thread.run_id], now)
    for team_id in sorted({thread.team_id for thread in shown_in}):
        await homes.changed(connection, database, team_id, now)


async def _panels_about(
    connection: AsyncConnection, run_ids: Collection[str], shown_in: Sequence[Row[Any]]
) -> Collection[str]:
    """Find the messages that show runs."""
    panel_ids = {thread.panel_id for thread in shown_in if thread.panel_id}
    panel_ids.update(await _panels_in_threads(connection, run_ids))
    panel_ids.update(await _alerts_about(connection, run_ids))
    return panel_ids


async def _panels_in_threads(connection: AsyncConnection, run_ids: Collection[str]) -> Sequence[str]:
    """Find the panels that are roots of the threads of runs, or stand in them: their rows show the run, too."""
    same_message = or_(outbox.c.ts == threads.c.thread_ts, outbox.c.thread_ts == threads.c.thread_ts)
    query = (
        select(outbox.c.panel_id)
        .join(threads, and_(threads.c.channel_id == outbox.c.channel_id, same_message))
        .where(threads.c.run_id.in_(run_ids), outbox.c.panel_id.is_not(None), outbox.c.sent_version > 0)
    )
    return (await connection.scalars(query)).all()


async def _alerts_about(connection: AsyncConnection, run_ids: Collection[str]) -> Sequence[str]:
    """Find the messages of the open incidents that runs may repair: they show that it is under way."""
    query = (
        select(alerts.c.id)
        .join(incidents, incidents.c.id == alerts.c.incident_id)
        .join(
            runs,
            and_(runs.c.team_id == incidents.c.team_id, runs.c.integration_id == incidents.c.integration_id),
        )
        .where(runs.c.id.in_(run_ids), incidents.c.closed_at.is_(None))
    )
    return (await connection.scalars(query)).all()


async def _drop_unposted_progress(
    connection: Transaction, held: Sequence[str], run_ids: Sequence[str], now: datetime
) -> None:
    """A run that ended before its progress was posted needs only the outcome; all these rows are held already."""
    if not run_ids:
        return
    await connection.execute(
        outbox.delete().where(
            outbox.c.id.in_(held),
            outbox.c.run_id.in_(run_ids),
            outbox.c.kind == OutboxKind.PROGRESS,
            outbox.c.ts.is_(None),
            outbox.c.attempts == 0,
            or_(outbox.c.lease_until.is_(None), outbox.c.lease_until <= now),
        )
    )


async def _add_outcome(connection: Transaction, thread: Row[Any], run_data: str, now: datetime) -> None:
    last_seq = await connection.scalar(select(func.max(outbox.c.seq)).where(outbox.c.thread_id == thread.id))
    await add_row(
        connection,
        OutboxKind.OUTCOME,
        Address(thread.team_id, thread.channel_id, thread.thread_ts, thread.user_id),
        now,
        run_id=thread.run_id,
        thread_id=thread.id,
        data=run_data,
        seq=max(last_seq or 0, 1) + 1,
        waits=thread.thread_ts is None,
    )


def _in_turn() -> ColumnElement[bool]:
    """Let a reply through only when no earlier one of its story is still to be posted; an edit always."""
    earlier = outbox.alias()
    before = and_(earlier.c.seq < outbox.c.seq, earlier.c.ts.is_(None), earlier.c.due_at.is_not(None))
    blocked = [
        exists().where(earlier.c.thread_id == outbox.c.thread_id, before),
        exists().where(earlier.c.alert_id == outbox.c.alert_id, before),
    ]
    return or_(outbox.c.ts.is_not(None), and_(*(~each for each in blocked)))


IN_TURN: Final = _in_turn()


def _claim() -> ReturningUpdate[Any]:
    now = bindparam("now", type_=outbox.c.due_at.type)
    due = (
        select(outbox.c.id)
        .where(outbox.c.due_at <= now, or_(outbox.c.lease_until.is_(None), outbox.c.lease_until <= now), IN_TURN)
        .order_by(outbox.c.priority, outbox.c.due_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True, key_share=True, of=outbox)
    )
    return (
        update(outbox)
        .where(chosen(outbox, due))
        .values(
            lease_owner=bindparam("owner"),
            lease_until=bindparam("until"),
            attempts=outbox.c.attempts + 1,
            claims=outbox.c.claims + 1,
        )
        .returning(outbox)
    )


_CLAIM: Final = _claim()
"""Put together once: that alone takes longer than SQLite does to run it."""


async def claim(connection: AsyncConnection, owner: str, now: datetime, lease_s: float, limit: int) -> list[OutboxItem]:
    """Take due rows in one statement: outcomes first, and never a reply before the one that precedes it."""
    until = now + timedelta(seconds=lease_s)
    rows = await connection.execute(_CLAIM, {"owner": owner, "now": now, "until": until, "limit": limit})
    claimed = sorted(rows.all(), key=lambda row: (row.priority, row.created_at))
    return [_item(row, now) for row in claimed]


def _item(row: Row[Any], now: datetime) -> OutboxItem:
    response_url = row.response_url if row.response_until and row.response_until > now else None
    return OutboxItem(
        id=row.id,
        team_id=row.team_id,
        kind=OutboxKind(row.kind),
        run_id=row.run_id,
        thread_id=row.thread_id,
        panel_id=row.panel_id,
        data=row.data,
        channel_id=row.channel_id,
        thread_ts=row.thread_ts,
        user_id=row.user_id,
        response_url=response_url,
        ephemeral=row.ephemeral,
        ts=row.ts,
        version=row.version,
        claims=row.claims,
        failures=row.failures,
        in_doubt=row.attempts > 1 and row.ts is None,
        is_shown=row.sent_version > 0,
        created_at=row.created_at,
        lease_until=row.lease_until,
    )


def held(item: OutboxItem) -> Update:
    """Write to a row only while its claim is ours."""
    return update(outbox).where(outbox.c.id == item.id, outbox.c.claims == item.claims)


def sent_values(item: OutboxItem, now: datetime) -> dict[str, Any]:
    """What a row says once its claimed version is shown; a newer version waits for its turn."""
    next_edit = now + timedelta(seconds=EDIT_EVERY_S) if item.kind is OutboxKind.PROGRESS else now
    return {
        "sent_version": item.version,
        "not_before": next_edit,
        "due_at": case((outbox.c.version > item.version, literal(next_edit, outbox.c.due_at.type)), else_=None),
        "attempts": 0,
        "failures": 0,
        "lease_owner": None,
        "lease_until": None,
    }


def given_up_values(item: OutboxItem) -> dict[str, Any]:
    """What a row says when its claimed version is not shown: a newer one is tried when its pace allows."""
    soonest = func.coalesce(outbox.c.not_before, outbox.c.created_at)
    values: dict[str, Any] = {
        "sent_version": item.version,
        "due_at": case((outbox.c.version > item.version, soonest), else_=None),
        "failures": 0,
        "lease_owner": None,
        "lease_until": None,
    }
    if not item.in_doubt:  # what was perhaps posted is looked for before anything is posted
        values["attempts"] = 0
    return values


def held_back_values(item: OutboxItem) -> dict[str, Any]:
    """What a row says when its channel refused an edit: what is shown stays older than what must be shown."""
    return given_up_values(item) | {"sent_version": outbox.c.sent_version}


async def show_held_back(connection: Transaction, team_id: str, channel_id: str, now: datetime) -> None:
    """Make the edits that a channel refused, now that it is open again.

    One that a process has in hand may have been refused just before, so it is claimed again.
    """
    behind = outbox.c.ts.is_not(None), outbox.c.sent_version < outbox.c.version
    ids = await _locked(connection, outbox.c.team_id == team_id, outbox.c.channel_id == channel_id, *behind)
    if ids:
        again = {"claims": outbox.c.claims + 1, "lease_owner": None, "lease_until": None}
        await connection.execute(
            update(outbox)
            .where(outbox.c.id.in_(ids))
            .values(due_at=func.coalesce(outbox.c.due_at, literal(now, outbox.c.due_at.type)), **again)
        )
        connection.ring(Work.MESSAGES)


_WAITING: Final = (
    select(threads.c.id)
    .where(threads.c.panel_id == bindparam("panel_id"), threads.c.thread_ts.is_(None))
    .order_by(threads.c.id)
    .with_for_update()
)


async def move_story(connection: Transaction, item: OutboxItem, channel_id: str, ts: str) -> None:
    """Let what follows stand below this reply: the root of its thread is gone, so it stands in the channel itself."""
    alert_id = await connection.scalar(select(outbox.c.alert_id).where(outbox.c.id == item.id))
    place, same_run = f"{channel_id}:{ts}", threads.alias()
    told = exists().where(same_run.c.run_id == threads.c.run_id, same_run.c.place == place)
    await connection.execute(
        update(threads)
        .where(threads.c.id == item.thread_id, threads.c.channel_id == channel_id, threads.c.thread_ts.is_not(None))
        .where(~told)
        .values(thread_ts=ts, place=place)
    )
    if alert_id:
        await connection.execute(
            update(alerts)
            .where(alerts.c.id == alert_id, alerts.c.channel_id == channel_id, alerts.c.root_ts.is_not(None))
            .values(root_ts=ts)
        )
    of_story = outbox.c.alert_id == alert_id if alert_id else outbox.c.thread_id == item.thread_id
    follows = and_(of_story, outbox.c.channel_id == channel_id, outbox.c.ts.is_(None))
    held = await _locked(connection, or_(follows, outbox.c.id == item.id))  # this reply's own row is written next
    if waiting := [id_ for id_ in held if id_ != item.id]:
        await connection.execute(update(outbox).where(outbox.c.id.in_(waiting)).values(thread_ts=ts))


_ROOT_OF_ALERT: Final = update(alerts).where(alerts.c.id == bindparam("alert_id")).values(root_ts=bindparam("root"))


async def place_thread(connection: Transaction, item: OutboxItem, channel_id: str, root_ts: str, now: datetime) -> None:
    """The root of a story is posted: its replies know where to go now, and are due."""
    waiting_ids = (await connection.scalars(_WAITING, {"panel_id": item.panel_id})).all()
    if waiting_ids:
        joined = threads.alias()  # somebody was quick to click on the root: its thread is told already
        told = exists().where(
            joined.c.run_id == threads.c.run_id, joined.c.channel_id == channel_id, joined.c.thread_ts == root_ts
        )
        await connection.execute(threads.delete().where(threads.c.id.in_(waiting_ids), told))
        await connection.execute(
            update(threads).where(threads.c.id.in_(waiting_ids)).values(channel_id=channel_id, thread_ts=root_ts)
        )
    placed = await connection.execute(_ROOT_OF_ALERT, {"alert_id": item.panel_id, "root": root_ts})
    replies: list[ColumnElement[bool]] = [outbox.c.thread_id.in_(waiting_ids)] if waiting_ids else []
    if placed.rowcount:
        replies.append(and_(outbox.c.alert_id == item.panel_id, outbox.c.ts.is_(None), outbox.c.sent_version == 0))
    if not replies:
        return
    held = await _locked(connection, or_(*replies, outbox.c.id == item.id))  # the root's own row is written next
    if waiting := [id_ for id_ in held if id_ != item.id]:
        to = {"channel_id": channel_id, "thread_ts": root_ts, "due_at": now}
        await connection.execute(update(outbox).where(outbox.c.id.in_(waiting)).values(**to))
        connection.ring(Work.MESSAGES)


async def add_news(connection: Transaction, alert: Row[Any], data: str, now: datetime) -> None:
    """Add a reply to an incident's thread, after those that are there or on their way."""
    last_seq = await connection.scalar(select(func.max(outbox.c.seq)).where(outbox.c.alert_id == alert.id))
    await add_row(
        connection,
        OutboxKind.NEWS,
        Address(alert.team_id, alert.channel_id, alert.root_ts),
        now,
        alert_id=alert.id,
        data=data,
        seq=(last_seq or 0) + 1,
        waits=alert.root_ts is None,
    )


async def has_message_of_alert(connection: AsyncConnection, news_id: str) -> bool:
    """Tell whether the incident that a reply is about has a message of its own, posted or on its way."""
    alert_id = select(outbox.c.alert_id).where(outbox.c.id == news_id).scalar_subquery()
    return bool(await connection.scalar(select(exists().where(outbox.c.panel_id == alert_id))))
