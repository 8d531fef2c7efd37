"""Incidents in channels: one alert for each, whose message is a panel. Functions here work inside a transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from bot.core.alerts import react, wish_of
from bot.core.incidents import Change, Incident
from bot.core.panels import Panel, PanelKind
from bot.store import codec, outbox
from bot.store.ids import new_id
from bot.store.outbox import Address, OutboxKind
from bot.store.tables import alerts, incidents, panels, threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.core.alerts import Wish
    from bot.core.subscriptions import Subscription
    from bot.store.database import Database

_TROUBLED: Final = (Change.OPENED, Change.CHANGED, Change.EDITED, Change.REPEATED)

RAISED_TOGETHER: Final = 50
"""So many incidents that are open already are shown to a new subscriber in one transaction."""


async def tell(
    connection: AsyncConnection,
    database: Database,
    incident: Incident,
    change: Change,
    subscriptions: Iterable[Subscription],
    run_id: str,
    now: datetime,
) -> None:
    """Show a change of an incident in every channel that is told of it, or wants to be from now on.

    Args:
        connection: the caller's transaction.
        database: for its dialect.
        incident: as it is after the change.
        change: what happened.
        subscriptions: all of the workspace.
        run_id: the resync whose outcome says the same, in the threads that it is told in; "" when none does.
        now: the time.
    """
    wishes = _wishes(subscriptions, incident)
    standing = await _of_incident(connection, incident.id) if change is not Change.OPENED else ()
    for alert in standing:
        told_by_run = await _stands_in_thread(connection, run_id, alert)
        await _tell_again(connection, alert, incident, change, wishes.get(alert.channel_id), told_by_run, now)
    if standing:
        await outbox.bump_panels(connection, [alert.id for alert in standing], now)
    if incident.is_open and change in _TROUBLED:  # it may be a trouble now that another channel asked for
        known = {alert.channel_id for alert in standing}
        for channel_id, wish in wishes.items():
            if channel_id not in known:
                await _raise(connection, database, incident, channel_id, wish, now)


async def raise_open_incidents(
    connection: AsyncConnection,
    database: Database,
    team_id: str,
    channel_id: str,
    subscriptions: Sequence[Subscription],
    now: datetime,
) -> bool:
    """Show a channel some of the incidents that are open already and that it has not been told of, the oldest first.

    Returns:
        Whether there are more: whoever clicks must not wait for thousands of them.
    """
    told = select(alerts.c.incident_id).where(alerts.c.team_id == team_id, alerts.c.channel_id == channel_id)
    untold = await connection.scalars(
        select(incidents.c.data)
        .where(incidents.c.team_id == team_id, incidents.c.closed_at.is_(None), incidents.c.id.not_in(told))
        .order_by(incidents.c.opened_at)
    )
    raised = 0
    for data in untold.all():
        incident = codec.load_incident(data)
        wish = _wishes(subscriptions, incident).get(channel_id)
        if wish is None:
            continue
        if raised == RAISED_TOGETHER:
            return True
        await _raise(connection, database, incident, channel_id, wish, now)
        raised += 1
    return False


async def drop_unposted(connection: AsyncConnection, team_id: str, channel_id: str) -> None:
    """Forget the alerts that could not be posted in a channel: should it open again, they are raised anew."""
    unposted = select(alerts.c.id).where(
        alerts.c.team_id == team_id, alerts.c.channel_id == channel_id, alerts.c.root_ts.is_(None)
    )
    ids = list((await connection.scalars(unposted)).all())
    await connection.execute(panels.delete().where(panels.c.id.in_(ids)))
    await connection.execute(alerts.delete().where(alerts.c.id.in_(ids)))


async def load_panel(connection: AsyncConnection, alert_id: str) -> Panel | None:
    """Read an alert's message, and hold it still."""
    data = await connection.scalar(select(panels.c.data).where(panels.c.id == alert_id).with_for_update())
    return codec.load_panel(data) if data else None


async def save_panel(connection: AsyncConnection, panel: Panel) -> None:
    """Write what an alert's message shows."""
    await connection.execute(update(panels).where(panels.c.id == panel.id).values(data=codec.dump_panel(panel)))
    snoozed_by = panel.snooze.by.id if panel.snooze else None
    await connection.execute(update(alerts).where(alerts.c.id == panel.id).values(snoozed_by=snoozed_by))


def _wishes(subscriptions: Iterable[Subscription], incident: Incident) -> dict[str, Wish]:
    by_channel: dict[str, list[Subscription]] = {}
    for subscription in subscriptions:
        by_channel.setdefault(subscription.channel_id, []).append(subscription)
    wishes = {channel_id: wish_of(its, incident) for channel_id, its in by_channel.items()}
    return {channel_id: wish for channel_id, wish in wishes.items() if wish}


async def _of_incident(connection: AsyncConnection, incident_id: str) -> Sequence[Row[Any]]:
    return (await connection.execute(select(alerts).where(alerts.c.incident_id == incident_id).with_for_update())).all()


async def _tell_again(
    connection: AsyncConnection,
    alert: Row[Any],
    incident: Incident,
    change: Change,
    wish: Wish | None,
    told_by_run: bool,
    now: datetime,
) -> None:
    panel = await load_panel(connection, alert.id)
    if panel is None:
        return
    reaction = react(incident, change, wish, panel.snooze, told_by_run=told_by_run)
    snooze = None if reaction.ends_snooze or not incident.is_open else panel.snooze
    shown = (incident.integration,)
    await save_panel(
        connection, replace(panel, integrations=shown, as_of=incident.seen_at, incident=incident, snooze=snooze)
    )
    if reaction.bulletin:
        await outbox.add_news(connection, alert, codec.dump_bulletin(reaction.bulletin), now)


async def _stands_in_thread(connection: AsyncConnection, run_id: str, alert: Row[Any]) -> bool:
    if not run_id or alert.root_ts is None:
        return False
    query = select(threads.c.id).where(
        threads.c.run_id == run_id, threads.c.channel_id == alert.channel_id, threads.c.thread_ts == alert.root_ts
    )
    return await connection.scalar(query) is not None


async def _raise(
    connection: AsyncConnection, database: Database, incident: Incident, channel_id: str, wish: Wish, now: datetime
) -> None:
    """Post an incident in a channel; where a resync's thread told the failure already, its story goes on there."""
    panel = Panel(
        id=new_id("pnl"),
        kind=PanelKind.INCIDENT,
        integrations=(incident.integration,),
        as_of=incident.seen_at,
        incident=incident,
        mention=wish.mention,
    )
    root_ts = await _thread_in(connection, incident.continues_run_id, channel_id)
    added = await connection.execute(
        database.insert(alerts)
        .values(
            id=panel.id,
            team_id=incident.team_id,
            incident_id=incident.id,
            channel_id=channel_id,
            root_ts=root_ts,
            snoozed_by=None,
        )
        .on_conflict_do_nothing()
    )
    if added.rowcount != 1:
        return
    await connection.execute(
        panels.insert().values(id=panel.id, team_id=incident.team_id, data=codec.dump_panel(panel), created_at=now)
    )
    if root_ts is None:
        address = Address(incident.team_id, channel_id)
        await outbox.add_row(connection, OutboxKind.PANEL, address, now, panel_id=panel.id)


async def _thread_in(connection: AsyncConnection, run_id: str, channel_id: str) -> str | None:
    query = select(threads.c.thread_ts).where(
        threads.c.run_id == run_id, threads.c.channel_id == channel_id, threads.c.thread_ts.is_not(None)
    )
    root_ts: str | None = await connection.scalar(query.limit(1)) if run_id else None
    return root_ts
