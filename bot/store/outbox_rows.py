"""The outbox: one row per Slack message, with the version that must be shown and the version that is.

A row is due while the two differ. Posting anew and editing are the same row: ``ts`` tells which. Edits coalesce by
themselves, since only the newest version is ever rendered. Functions here work inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from bot.core.models import Telling
from bot.core.requests import Request, RequestKind
from bot.store import homes
from bot.store.bell import Lease, Work
from bot.store.due import NOW, claimable, claiming, of_others
from bot.store.ids import new_id
from bot.store.locks import chosen, locked, locked_rows, of_team
from bot.store.statements import Row, among, constant
from bot.store.tables import alerts, incidents, outbox, runs, threads
from bot.store.transactions import Transaction

EDIT_EVERY_S: Final = 2.0
"""A progress reply is updated at most this often: https://docs.slack.dev/apis/web-api/rate-limits"""

RESPONSE_URL_LIVES: Final = timedelta(minutes=29)
"""Slack accepts a response_url for 30 minutes."""


class OutboxKind(StrEnum):
    """What a row's message is, and how it is rendered."""

    OUTCOME = "outcome"
    PANEL = "panel"
    NOTE = "note"
    """A message that is rendered already: answers to one person."""
    PROGRESS = "progress"
    NEWS = "news"
    """A reply in the thread of an incident."""
    BULK = "bulk"
    """A panel that follows several syncs, so its updates are paced."""


PACED: Final = frozenset({OutboxKind.PROGRESS, OutboxKind.BULK})
"""What is edited while syncs run, so each such message is edited at most every `EDIT_EVERY_S`."""

_PRIORITY: Final = {
    OutboxKind.OUTCOME: 0,
    OutboxKind.NOTE: 1,
    OutboxKind.PANEL: 1,
    OutboxKind.NEWS: 1,
    OutboxKind.BULK: 1,
    OutboxKind.PROGRESS: 2,
}


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A claimed row: only this process can send it, until the lease expires.

    ``in_doubt`` is set if an earlier attempt to post it ended without a clear answer: the message may have been
    posted. ``is_shown`` is set if some version of it is known to be posted.
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
        """Return whether it comes from a subscription, so no one waits for it."""
        return self.user_id is None and self.channel_id is not None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message goes: a channel (and thread), or a person's DMs if ``channel_id`` is None."""

    team_id: str
    channel_id: str | None = None
    thread_ts: str | None = None
    user_id: str | None = None
    response_url: str | None = None
    ephemeral: bool = False


def answer_address(request: Request, *, private: bool = False) -> Address:
    """Return where an answer goes: a command's channel, a mention's thread, or the thread of a clicked message.

    Args:
        request: what is answered.
        private: only for the person who asked, if Slack allows that; in a thread or a DM, answer there.
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
    """Return where an answer for one person goes: visible only to them, or as a DM."""
    address = answer_address(request, private=True)
    return address if address.ephemeral else Address(address.team_id, user_id=address.user_id)


_ADD: Final = constant(outbox.insert())


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
    in_turn: bool = True,
) -> str:
    """Add a message to post; ``waits`` holds it back until the root of its thread is posted.

    ``in_turn`` is False while an earlier reply about the same incident isn't posted yet.
    """
    row_id = new_id("msg")
    lease = connection.hold(Work.MESSAGES, now, address.team_id) if in_turn and not waits else None
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
        "ts": None,
        "version": 1,
        "sent_version": 0,
        "attempts": 1 if lease else 0,
        "failures": 0,
        "claims": 1 if lease else 0,
        "lease_owner": lease and lease.owner,
        "lease_until": lease and lease.until,
    }
    await connection.execute(_ADD, row)
    if lease:
        connection.hand(Work.MESSAGES, _item(row, now))
    elif not waits:
        connection.ring(Work.MESSAGES)
    return row_id


_REWRITE: Final = constant(
    update(outbox)
    .where(outbox.c.id == bindparam("row_id"))
    .values(
        version=bindparam("new_version"),
        due_at=bindparam("new_due_at"),
        attempts=bindparam("new_attempts"),
        claims=bindparam("new_claims"),
        lease_owner=bindparam("new_owner"),
        lease_until=bindparam("new_until"),
    )
)
_OF_PANELS: Final = constant(locked_rows(outbox, among(outbox.c.panel_id, "panels")))


async def bump_panels(connection: Transaction, panel_ids: Collection[str], now: datetime) -> None:
    """Have panels updated."""
    if panel_ids:
        rows = (await connection.execute(_OF_PANELS, {"panels": list(panel_ids)})).all()
        await _bump_rows(connection, rows, now)


async def _locked(connection: Transaction, *conditions: ColumnElement[bool]) -> Sequence[str]:
    ids: Sequence[str] = await connection.scalars(locked(outbox, *conditions))
    return ids


async def _bump_rows(connection: Transaction, rows: Sequence[Row], now: datetime) -> None:
    """Have newer versions of locked rows shown."""
    new = {item.id for item in connection.handed(Work.MESSAGES)}  # these are rendered after the commit
    if changed := [_bump(connection, row, now) for row in rows if row.id not in new]:
        await connection.execute(_REWRITE, changed)


def _bump(connection: Transaction, row: Row, now: datetime) -> dict[str, Any]:
    """Have a newer version shown: immediately, or when the message's update interval allows."""
    waits_for_root = row.sent_version == 0 and row.due_at is None and row.ts is None
    due_at = None if waits_for_root else row.due_at or max(now, row.not_before or now)
    is_free = row.lease_until is None or row.lease_until <= now
    is_edit = row.ts is not None and due_at is not None and due_at <= now
    lease = connection.hold(Work.MESSAGES, now, row.team_id) if is_edit and is_free else None
    values = {
        "row_id": row.id,
        "new_version": row.version + 1,
        "new_due_at": due_at,
        "new_attempts": row.attempts + 1 if lease else row.attempts,
        "new_claims": row.claims + 1 if lease else row.claims,
        "new_owner": lease.owner if lease else row.lease_owner,
        "new_until": lease.until if lease else row.lease_until,
    }
    if lease:
        written = {
            "version": values["new_version"],
            "attempts": values["new_attempts"],
            "claims": values["new_claims"],
            "lease_until": lease.until,
        }
        connection.hand(Work.MESSAGES, _item(row._asdict() | written, now))
    elif due_at and is_free:  # the holder finds out when it records what it sent
        connection.ring(Work.MESSAGES, due_at)
    return values


@dataclass(frozen=True, slots=True)
class Story:
    """What a decision about a run wants posted.

    ``data`` is the run as decided, ``bulk_id`` the message of the syncs that it was started with, if any.
    """

    run_id: str
    team_id: str
    tellings: Sequence[Telling]
    data: str
    ended: bool
    bulk_id: str = ""


# Locked: the root of one of them may be recorded at this moment.
_THREADS_OF: Final = constant(
    select(threads).where(among(threads.c.run_id, "ended")).order_by(threads.c.id).with_for_update(key_share=True)
)


async def tell(connection: Transaction, stories: Sequence[Story], now: datetime) -> None:
    """Turn what decisions want posted into rows, for every thread of their runs, and update messages with the runs."""
    wanted = [story for story in stories if story.tellings]
    if not wanted:
        return
    ends = {story.run_id: story.data for story in wanted if Telling.OUTCOME in story.tellings}
    ended = (await connection.execute(_THREADS_OF, {"ended": list(ends)})).all() if ends else ()
    moved = {story.run_id: story.ended for story in wanted if Telling.PROGRESS in story.tellings}
    shown = {story.run_id: story.team_id for story in wanted if Telling.ROW in story.tellings}
    bulks = {story.bulk_id for story in wanted if story.bulk_id and story.run_id in moved}
    told = await _showing(connection, len(wanted) == 1, moved=[*moved], shown=[*shown], bulks=[*bulks])
    dropped = await _drop_unposted_progress(connection, told, {run_id for run_id in moved if moved[run_id]}, now)
    await _bump_rows(connection, [row for row in told if row.id not in dropped], now)
    for thread in ended:
        await _add_outcome(connection, thread, ends[thread.run_id], now)
    for team_id in sorted(set(shown.values())):
        await homes.changed(connection, team_id, now)


def _show_runs(match: Callable[[ColumnElement[Any], str], ColumnElement[bool]]) -> Select[Any]:
    """Select the messages that show runs, and lock them.

    These are their progress and, for those in ``shown``, the messages that were clicked, the roots of their threads,
    panels in these threads, and the messages of open incidents that the runs may repair.
    """
    same_message = or_(outbox.c.ts == threads.c.thread_ts, outbox.c.thread_ts == threads.c.thread_ts)
    same_channel = and_(threads.c.channel_id == outbox.c.channel_id, of_team(threads, outbox.c.team_id))
    in_threads = (
        select(outbox.c.panel_id)
        .select_from(outbox.join(threads, and_(same_channel, same_message)))
        .where(match(threads.c.run_id, "shown"), outbox.c.panel_id.is_not(None), outbox.c.sent_version > 0)
    )
    of_threads = select(threads.c.panel_id).where(match(threads.c.run_id, "shown"))
    same_integration = and_(runs.c.team_id == incidents.c.team_id, runs.c.integration_id == incidents.c.integration_id)
    of_incidents = (
        select(alerts.c.id)
        .select_from(alerts.join(incidents, incidents.c.id == alerts.c.incident_id).join(runs, same_integration))
        .where(match(runs.c.id, "shown"), incidents.c.closed_at.is_(None))
    )
    progress = select(outbox.c.id).where(match(outbox.c.run_id, "moved"), outbox.c.kind == OutboxKind.PROGRESS)
    of_bulks = select(outbox.c.id).where(match(outbox.c.panel_id, "bulks"))
    panels = select(outbox.c.id).where(outbox.c.panel_id.in_(union_all(of_threads, in_threads, of_incidents)))
    return locked_rows(outbox, outbox.c.id.in_(union_all(progress, of_bulks, panels)))


_SHOWS: Final = constant(_show_runs(among))
_SHOWS_ONE: Final = constant(_show_runs(lambda column, name: column == bindparam(name)))
"""The same for one run. PostgreSQL plans this once; it takes a list for a long one, and would plan it each time."""


async def _showing(connection: Transaction, is_one: bool, **about: Sequence[str]) -> Sequence[Row]:
    """Lock the messages that show runs, and return them."""
    if not about["moved"] and not about["shown"]:
        return ()
    if is_one:
        return (
            await connection.execute(_SHOWS_ONE, {name: next(iter(ids), None) for name, ids in about.items()})
        ).all()
    return (await connection.execute(_SHOWS, about)).all()


async def _drop_unposted_progress(
    connection: Transaction, rows: Sequence[Row], ended: Collection[str], now: datetime
) -> Collection[str]:
    """Delete unposted progress of runs that have ended, and return its IDs: the outcome says everything."""
    dropped = {
        row.id
        for row in rows
        if row.run_id in ended and row.kind == OutboxKind.PROGRESS and row.ts is None and row.attempts == 0
        if row.lease_until is None or row.lease_until <= now
    }
    if dropped:
        await connection.execute(outbox.delete().where(outbox.c.id.in_(dropped)))
    return dropped


_REPLIES: Final = select(
    func.max(outbox.c.seq),
    func.count(case((and_(outbox.c.ts.is_(None), outbox.c.due_at.is_not(None)), 1))),
)
_REPLIES_IN_THREAD: Final = constant(_REPLIES.where(outbox.c.thread_id == bindparam("thread")))
_REPLIES_OF_ALERT: Final = constant(_REPLIES.where(outbox.c.alert_id == bindparam("alert")))


async def _add_outcome(connection: Transaction, thread: Row, run_data: str, now: datetime) -> None:
    last_seq, waiting = (await connection.execute(_REPLIES_IN_THREAD, {"thread": thread.id})).one()
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
        in_turn=not waiting,
    )


def _in_turn() -> ColumnElement[bool]:
    """Allow a reply only if no earlier one about the same incident is unposted; an update is always allowed."""
    earlier = outbox.alias()
    before = and_(earlier.c.seq < outbox.c.seq, earlier.c.ts.is_(None), earlier.c.due_at.is_not(None))
    blocked = [
        exists().where(earlier.c.thread_id == outbox.c.thread_id, before),
        exists().where(earlier.c.alert_id == outbox.c.alert_id, before),
    ]
    return or_(outbox.c.ts.is_not(None), and_(*(~each for each in blocked)))


IN_TURN: Final = _in_turn()


def _claim(*which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    due = claimable(outbox, outbox.c.due_at <= NOW, IN_TURN, *which, first=(outbox.c.priority,))
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


_CLAIM: Final = constant(_claim())
_CLAIM_OF_OTHERS: Final = constant(_claim(of_others(outbox)))
"""Built once, because building it takes longer than SQLite takes to run it."""


async def claim(
    connection: Transaction, lease: Lease, now: datetime, limit: int, full: Collection[str] = ()
) -> list[OutboxItem]:
    """Take due rows in one statement: outcomes first, and never a reply before the one that precedes it."""
    wanted = {"owner": lease.owner, "now": now, "until": lease.until, "most": limit}
    rows = await connection.execute(*claiming(_CLAIM, _CLAIM_OF_OTHERS, wanted, full))
    claimed = sorted(rows.all(), key=lambda row: (row.priority, row.created_at))
    return [_item(row._asdict(), now) for row in claimed]


def _item(values: Mapping[str, Any], now: datetime) -> OutboxItem:
    row = SimpleNamespace(**values)
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
    """Match a row only while its claim is ours."""
    return update(outbox).where(outbox.c.id == item.id, outbox.c.claims == item.claims)


def _sent(**posted: Any) -> ReturningUpdate[Any]:
    newer = outbox.c.version > bindparam("shown_version")
    return constant(
        update(outbox)
        .where(outbox.c.id == bindparam("row_id"), outbox.c.claims == bindparam("claim"))
        .values(
            sent_version=bindparam("shown_version"),
            not_before=bindparam("next_edit"),
            due_at=case((newer, bindparam("next_edit", type_=outbox.c.due_at.type)), else_=None),
            attempts=0,
            failures=0,
            lease_owner=None,
            lease_until=None,
            **posted,
        )
        .returning(outbox.c.due_at)
    )


SHOWN: Final = constant(
    _sent(ephemeral=or_(outbox.c.ephemeral, bindparam("only_for_one", type_=outbox.c.ephemeral.type)))
)
POSTED: Final = constant(
    _sent(channel_id=bindparam("channel"), thread_ts=bindparam("thread"), ts=bindparam("posted_ts"))
)
"""A row's values once its claimed version is shown; a newer version waits for its interval."""


def sent_values(item: OutboxItem, now: datetime) -> dict[str, Any]:
    """Return the parameters that ``SHOWN`` and ``POSTED`` share."""
    next_edit = now + timedelta(seconds=EDIT_EVERY_S) if item.kind in PACED else now
    return {"row_id": item.id, "claim": item.claims, "shown_version": item.version, "next_edit": next_edit}


def given_up_values(item: OutboxItem) -> dict[str, Any]:
    """Return a row's values if its claimed version can't be shown: a newer one is tried at its interval."""
    soonest = func.coalesce(outbox.c.not_before, outbox.c.created_at)
    values: dict[str, Any] = {
        "sent_version": item.version,
        "due_at": case((outbox.c.version > item.version, soonest), else_=None),
        "failures": 0,
        "lease_owner": None,
        "lease_until": None,
    }
    if not item.in_doubt:  # if it may have been posted, it's checked for before anything is posted
        values["attempts"] = 0
    return values


def held_back_values(item: OutboxItem) -> dict[str, Any]:
    """Return a row's values if its channel refused an update: what's shown stays older than what must be shown."""
    return given_up_values(item) | {"sent_version": outbox.c.sent_version}


async def show_held_back(connection: Transaction, team_id: str, channel_id: str, now: datetime) -> None:
    """Make the updates that a channel refused, now that it's open again.

    One that a process is sending may have been refused just before, so it's claimed again.
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


_WAITING: Final = constant(
    select(threads.c.id)
    .where(threads.c.panel_id == bindparam("panel_id"), threads.c.thread_ts.is_(None))
    .order_by(threads.c.id)
    .with_for_update()
)


async def move_story(connection: Transaction, item: OutboxItem, channel_id: str, ts: str) -> None:
    """Post later replies below this one: the root of its thread is gone, so it's in the channel itself."""
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


_ROOT_OF_ALERT: Final = constant(
    update(alerts).where(alerts.c.id == bindparam("alert_id")).values(root_ts=bindparam("root"))
)


async def place_thread(connection: Transaction, item: OutboxItem, channel_id: str, root_ts: str, now: datetime) -> None:
    """Give the replies their thread, now that its root is posted, and make them due."""
    waiting_ids = await connection.scalars(_WAITING, {"panel_id": item.panel_id})
    if waiting_ids:
        joined = threads.alias()  # someone clicked on the root quickly: its thread is registered already
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


async def add_news(connection: Transaction, alert: Row, data: str, now: datetime) -> None:
    """Add a reply to an incident's thread, after those that are posted or waiting."""
    last_seq, waiting = (await connection.execute(_REPLIES_OF_ALERT, {"alert": alert.id})).one()
    await add_row(
        connection,
        OutboxKind.NEWS,
        Address(alert.team_id, alert.channel_id, alert.root_ts),
        now,
        alert_id=alert.id,
        data=data,
        seq=(last_seq or 0) + 1,
        waits=alert.root_ts is None,
        in_turn=not waiting,
    )


async def has_message_of_alert(connection: Transaction, news_id: str) -> bool:
    """Return whether the incident of a reply has its own message, posted or waiting."""
    alert_id = select(outbox.c.alert_id).where(outbox.c.id == news_id).scalar_subquery()
    return bool(await connection.scalar(select(exists().where(outbox.c.panel_id == alert_id))))
