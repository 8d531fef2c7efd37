"""Incidents in channels: one alert for each, whose message is a panel. Functions here work inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert

from bot.core.incidents.incidents import Change, Incident
from bot.core.incidents.quiet import Maintenance, quiet_until
from bot.core.incidents.reactions import Bulletin, Wish, react, wish_of
from bot.core.panels import Panel, PanelKind, refreshed
from bot.core.subscriptions.subscriptions import Subscription
from bot.store import codec, held, outbox_rows
from bot.store.ids import new_id
from bot.store.locks import in_order
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.statements import Row, among, constant
from bot.store.tables import alerts, incidents, panels, threads
from bot.store.transactions import Transaction

_TROUBLED: Final = (Change.OPENED, Change.CHANGED, Change.EDITED, Change.REPEATED)

RAISED_TOGETHER: Final = 50
"""How many open incidents are shown to a new subscriber in one transaction."""


_ALERTS_ABOUT: Final = constant(select(alerts).where(among(alerts.c.incident_id, "ids")))
_HELD_ALERTS: Final = constant(
    select(alerts).where(among(alerts.c.id, "ids")).order_by(alerts.c.id).with_for_update(key_share=True)
)


@dataclass(frozen=True, slots=True)
class Story:
    """A change of an incident, with the incident after the change.

    ``run_id`` is the resync whose outcome says the same in its own threads; "" if there's none.
    """

    incident: Incident
    change: Change
    run_id: str = ""


async def hold_audience(connection: Transaction, team_id: str, *, shared: bool = False) -> None:
    """Lock which channels are notified about what, until the transaction ends.

    A transaction that changes subscriptions shows open incidents, and one that sees a change notifies subscribers.
    Without this lock, neither would see the other, and no one would be notified. Those that notify share it.
    """
    await connection.lock(f"audience:{team_id}", shared=shared)


async def tell(
    connection: Transaction,
    stories: Sequence[Story],
    subscriptions: Iterable[Subscription],
    now: datetime,
) -> None:
    """Show changes of incidents in every channel that is or should now be notified of them.

    Args:
        connection: the caller's transaction.
        stories: what changed.
        subscriptions: all of the workspace.
        now: the time.
    """
    if not stories:
        return
    wishes = {story.incident.id: _wishes(subscriptions, story.incident) for story in stories}
    quiet = await quiet_times(connection, stories[0].incident.team_id, subscriptions, now)
    later: dict[tuple[str, str], datetime] = {}
    ids = [story.incident.id for story in stories if story.change is not Change.OPENED]
    standing = (await connection.execute(_ALERTS_ABOUT, {"ids": ids})).all() if ids else ()
    shown = await _hold_panels(connection, [alert.id for alert in standing])
    by_incident = {story.incident.id: story for story in stories}
    news: dict[str, str] = {}
    for alert in standing:
        if panel := shown.get(alert.id):
            story = by_incident[alert.incident_id]
            told_by_run = await _stands_in_thread(connection, story.run_id, alert)
            wish = wishes[alert.incident_id].get(alert.channel_id)
            reaction = react(story.incident, story.change, wish, panel.snooze, told_by_run=told_by_run)
            shown[alert.id] = _retold(panel, story.incident, ends_snooze=reaction.ends_snooze)
            await save(connection, shown[alert.id])
            if reaction.bulletin and (until := quiet.until(alert.channel_id, story.incident)):
                later[alert.channel_id, alert.incident_id] = until
            elif reaction.bulletin:
                news[alert.id] = codec.dump(reaction.bulletin)
    told = (await connection.execute(_HELD_ALERTS, {"ids": list(shown)})).all() if shown else ()
    for alert in told:
        await _note_snooze(connection, shown[alert.id])
    known = {(alert.incident_id, alert.channel_id) for alert in standing}
    for story in sorted(stories, key=lambda one: one.incident.id):
        if story.incident.is_open and story.change in _TROUBLED:  # perhaps one that was resynced from another channel
            for channel_id, wish in sorted(wishes[story.incident.id].items()):
                if (story.incident.id, channel_id) in known:
                    continue
                if until := quiet.until(channel_id, story.incident):
                    later[channel_id, story.incident.id] = until
                else:
                    await _raise(connection, story.incident, channel_id, wish, now)
    await held.hold(connection, stories[0].incident.team_id, later, now)
    await outbox_rows.bump_panels(connection, [alert.id for alert in standing], now)
    for alert in told:
        if alert.id in news:
            await outbox_rows.add_news(connection, alert, news[alert.id], now)
    await held.schedule(connection, stories[0].incident.team_id, later)


@dataclass(frozen=True, slots=True)
class QuietTimes:
    """When which channel is left alone."""

    by_channel: Mapping[str, Sequence[Subscription]]
    maintenances: Sequence[Maintenance]
    now: datetime

    def until(self, channel_id: str, incident: Incident) -> datetime | None:
        """Return until when a channel isn't told about an incident; None if it can be told now."""
        return quiet_until(self.by_channel.get(channel_id, ()), incident, self.maintenances, self.now)


async def quiet_times(
    connection: Transaction, team_id: str, subscriptions: Iterable[Subscription], now: datetime
) -> QuietTimes:
    """Return when the channels of some subscriptions are left alone."""
    return QuietTimes(_by_channel(subscriptions), await held.maintenances_on(connection, team_id, now), now)


async def load_incidents(connection: Transaction, team_id: str, ids: Sequence[str]) -> list[Incident]:
    """Return incidents as they are now, the oldest first."""
    query = select(incidents.c.data).where(incidents.c.team_id == team_id, incidents.c.id.in_(ids))
    found = await connection.scalars(query) if ids else ()
    return sorted((codec.load(Incident, data) for data in found), key=lambda one: (one.opened_at, one.id))


async def redraw(
    connection: Transaction,
    incident: Incident,
    now: datetime,
    tell: Callable[[str, Panel], Bulletin | None] | None = None,
) -> None:
    """Show what changed of an incident in every channel that has it.

    ``tell`` returns the reply in its thread, if any, by the channel and the message.
    """
    standing = (await connection.execute(_ALERTS_ABOUT, {"ids": [incident.id]})).all()
    shown = await _hold_panels(connection, [alert.id for alert in standing])
    for panel in shown.values():
        await save(connection, replace(panel, incident=incident))
    told = (await connection.execute(_HELD_ALERTS, {"ids": list(shown)})).all() if shown and tell else ()
    await outbox_rows.bump_panels(connection, list(shown), now)
    for alert in told:
        if tell and (bulletin := tell(alert.channel_id, shown[alert.id])):
            await outbox_rows.add_news(connection, alert, codec.dump(bulletin), now)


async def reply(connection: Transaction, panel_id: str, bulletin: Bulletin, now: datetime) -> None:
    """Update an incident's message whose panel is held, and post a reply in its thread."""
    [alert] = (await connection.execute(_HELD_ALERTS, {"ids": [panel_id]})).all()
    await outbox_rows.bump_panels(connection, [panel_id], now)
    await outbox_rows.add_news(connection, alert, codec.dump(bulletin), now)


def _retold(panel: Panel, incident: Incident, *, ends_snooze: bool) -> Panel:
    snooze = None if ends_snooze or not incident.is_open else panel.snooze
    panel = replace(panel, incident=incident, snooze=snooze)
    return refreshed(panel, (incident.integration,), incident.seen_at)


async def raise_open_incidents(
    connection: Transaction,
    team_id: str,
    channel_id: str,
    subscriptions: Sequence[Subscription],
    now: datetime,
) -> bool:
    """Show a channel some of the open incidents that it hasn't been notified of, oldest first.

    Returns:
        Whether there are more: a click must not wait for thousands of them.
    """
    told = select(alerts.c.incident_id).where(alerts.c.team_id == team_id, alerts.c.channel_id == channel_id)
    untold = await connection.scalars(
        select(incidents.c.data).where(
            incidents.c.team_id == team_id, incidents.c.closed_at.is_(None), incidents.c.id.not_in(told)
        )
    )
    wanted = []
    quiet = await quiet_times(connection, team_id, subscriptions, now)
    later: dict[tuple[str, str], datetime] = {}
    for incident in sorted((codec.load(Incident, data) for data in untold), key=lambda one: one.opened_at):
        wish = _wishes(subscriptions, incident).get(channel_id)
        if wish and (until := quiet.until(channel_id, incident)):
            later[channel_id, incident.id] = until
        elif wish:
            wanted.append((incident, wish))
    for incident, wish in sorted(wanted[:RAISED_TOGETHER], key=lambda one: one[0].id):
        await _raise(connection, incident, channel_id, wish, now)
    await held.hold(connection, team_id, later, now)
    return len(wanted) > RAISED_TOGETHER


async def drop_unposted(connection: Transaction, team_id: str, channel_id: str) -> None:
    """Delete the alerts that couldn't be posted in a channel: if it opens again, they're raised again."""
    unposted = select(alerts.c.id).where(
        alerts.c.team_id == team_id, alerts.c.channel_id == channel_id, alerts.c.root_ts.is_(None)
    )
    ids = list(await connection.scalars(unposted))
    if ids:
        await connection.execute(panels.delete().where(in_order(panels, panels.c.id.in_(ids))))
        await connection.execute(alerts.delete().where(in_order(alerts, alerts.c.id.in_(ids))))


async def load_panel(connection: Transaction, team_id: str, panel_id: str) -> Panel | None:
    """Read a message with buttons, and hold it still; None when the workspace has none with this ID."""
    return (await _hold_panels(connection, [panel_id], panels.c.team_id == team_id)).get(panel_id)


async def _hold_panels(connection: Transaction, ids: Sequence[str], *which: ColumnElement[bool]) -> dict[str, Panel]:
    if not ids:
        return {}
    query = select(panels.c.id, panels.c.data).where(panels.c.id.in_(ids), *which).order_by(panels.c.id)
    rows = (await connection.execute(query.with_for_update(key_share=True))).all()
    return {row.id: codec.load(Panel, row.data) for row in rows}


async def save_panel(connection: Transaction, panel: Panel) -> None:
    """Save what an alert's message shows."""
    await save(connection, panel)
    await _note_snooze(connection, panel)


async def save(connection: Transaction, panel: Panel) -> None:
    """Save what a message with buttons shows."""
    await connection.execute(update(panels).where(panels.c.id == panel.id).values(data=codec.dump(panel)))


async def _note_snooze(connection: Transaction, panel: Panel) -> None:
    snoozed_by = panel.snooze.by.id if panel.snooze else None
    await connection.execute(update(alerts).where(alerts.c.id == panel.id).values(snoozed_by=snoozed_by))


def _wishes(subscriptions: Iterable[Subscription], incident: Incident) -> dict[str, Wish]:
    wishes = {channel_id: wish_of(its, incident) for channel_id, its in _by_channel(subscriptions).items()}
    return {channel_id: wish for channel_id, wish in wishes.items() if wish}


def _by_channel(subscriptions: Iterable[Subscription]) -> dict[str, list[Subscription]]:
    by_channel: dict[str, list[Subscription]] = {}
    for subscription in subscriptions:
        by_channel.setdefault(subscription.channel_id, []).append(subscription)
    return by_channel


async def _stands_in_thread(connection: Transaction, run_id: str, alert: Row) -> bool:
    if not run_id or alert.root_ts is None:
        return False
    query = select(threads.c.id).where(
        threads.c.run_id == run_id, threads.c.channel_id == alert.channel_id, threads.c.thread_ts == alert.root_ts
    )
    return await connection.scalar(query) is not None


async def _raise(connection: Transaction, incident: Incident, channel_id: str, wish: Wish, now: datetime) -> None:
    """Post an incident in a channel; if a resync's thread already reported it, the incident continues there."""
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
        insert(alerts)
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
        panels.insert().values(id=panel.id, team_id=incident.team_id, data=codec.dump(panel), created_at=now)
    )
    if root_ts is None:
        address = Address(incident.team_id, channel_id)
        await outbox_rows.add_row(connection, OutboxKind.PANEL, address, now, panel_id=panel.id)


async def _thread_in(connection: Transaction, run_id: str, channel_id: str) -> str | None:
    query = select(threads.c.thread_ts).where(
        threads.c.run_id == run_id, threads.c.channel_id == channel_id, threads.c.thread_ts.is_not(None)
    )
    root_ts: str | None = await connection.scalar(query.limit(1)) if run_id else None
    return root_ts
