"""How much work waits in the database, counted on request. Nothing is claimed or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, case, func, or_, select

from bot.core.budget import PER_MINUTE
from bot.store.database import Database
from bot.store.due import PARKED_SINCE
from bot.store.replicas import ALIVE_S
from bot.store.tables import UtcTime, budget, inbox, incidents, outbox, replicas, runs, subscriptions
from bot.store.transactions import Transaction


@dataclass(frozen=True, slots=True)
class Readings:
    """What waits at one moment. Ages are in seconds, 0 if nothing waits."""

    outbox: Mapping[str, int]
    """Messages with something to show, by kind."""
    outbox_oldest_s: float
    """Of the messages that Slack has not shown at all."""
    inbox: int
    inbox_oldest_s: float
    runs: Mapping[str, int]
    """Runs without an outcome, by phase."""
    runs_oldest_s: float
    incidents: int
    subscriptions: int
    replicas: int
    budget_left: int
    """Requests to FloKit that clicks could still make."""


async def read_gauges(database: Database, now: datetime) -> Readings:
    """Count what waits, in one transaction.

    Raises:
        StoreUnavailable: the database can't be reached.
    """
    unseen_at = func.min(case((outbox.c.sent_version == 0, outbox.c.created_at)), type_=UtcTime())
    messages = select(outbox.c.kind, func.count(), unseen_at).where(outbox.c.due_at < PARKED_SINCE)
    requests = select(func.count(), func.min(inbox.c.received_at)).where(inbox.c.due_at.is_not(None))
    active = select(runs.c.phase, func.count(), func.min(runs.c.requested_at)).where(
        runs.c.outcome.is_(None), or_(runs.c.due_at.is_(None), runs.c.due_at < PARKED_SINCE)
    )
    open_ = select(func.count()).select_from(incidents).where(incidents.c.closed_at.is_(None))
    alive = select(func.count()).select_from(replicas).where(replicas.c.seen_at >= now - timedelta(seconds=ALIVE_S))
    slots = select(func.count(), func.count(case((budget.c.free_at <= now, 1)))).select_from(budget)
    async with database.read(is_long=True) as connection:
        waiting = (await connection.execute(messages.group_by(outbox.c.kind))).all()
        asked, asked_at = (await connection.execute(requests)).one()
        running = (await connection.execute(active.group_by(runs.c.phase))).all()
        laid_out, free = (await connection.execute(slots)).one()
        return Readings(
            outbox={kind: count for kind, count, _ in waiting},
            outbox_oldest_s=_age_s([created_at for *_, created_at in waiting], now),
            inbox=asked,
            inbox_oldest_s=_age_s([asked_at], now),
            runs={phase: count for phase, count, _ in running},
            runs_oldest_s=_age_s([requested_at for *_, requested_at in running], now),
            incidents=await _count(connection, open_),
            subscriptions=await _count(connection, select(func.count()).select_from(subscriptions)),
            replicas=await _count(connection, alive),
            budget_left=free if laid_out else PER_MINUTE,
        )


async def _count(connection: Transaction, query: Select[int]) -> int:
    return await connection.scalar(query) or 0


def _age_s(since: list[datetime | None], now: datetime) -> float:
    return max((max((now - at).total_seconds(), 0.0) for at in since if at), default=0.0)
