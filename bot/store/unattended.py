"""Incidents that someone said they're on and may have forgotten: they're asked, and then no one is on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select

from bot.core.access.audit import NOBODY, AuditEntry, Deed
from bot.core.incidents.incidents import Incident, turned
from bot.core.incidents.reactions import Bulletin, Word, escalates_at, escalation_of, wish_of
from bot.core.incidents.taking import OnIt
from bot.core.models import Message
from bot.core.panels import Panel
from bot.core.subscriptions.subscriptions import Subscription
from bot.store import alerts, audit, codec, homes, outbox_rows, subscriptions, timers
from bot.store.database import Database
from bot.store.incidents import Incidents
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.statements import constant
from bot.store.tables import alerts as alerts_table
from bot.store.tables import incidents as incidents_table
from bot.store.tables import panels
from bot.store.timers import TimerClaim
from bot.store.transactions import Transaction, retried

_OPEN: Final = constant(
    select(panels.c.data, alerts_table.c.channel_id)
    .join(alerts_table, alerts_table.c.id == panels.c.id)
    .join(incidents_table, incidents_table.c.id == alerts_table.c.incident_id)
    .where(incidents_table.c.team_id == bindparam("team"), incidents_table.c.closed_at.is_(None))
)


class Unattended:
    """The unattended incidents of one workspace."""

    def __init__(self, database: Database, team_id: str, incidents: Incidents) -> None:
        self._database = database
        self._team_id = team_id
        self._incidents = incidents

    @retried
    async def follow(self, claim: TimerClaim, ask: Callable[[Incident], Message], now: datetime) -> None:
        """Ask whoever is on an incident whether they still are or, if they didn't answer, end that.

        Raises:
            ClaimLost: another replica does it, or someone else is on it in the meantime.
        """
        async with self._database.begin() as connection:
            incident = await self._incidents.hold(connection, claim.subject)
            next_at, entry = None, None
            if incident and incident.is_open and (on_it := incident.on_it):
                attention = self._incidents.attention
                next_at = attention.due_at(on_it)
                if next_at <= now and on_it.reminded_at is None:
                    reminded = replace(on_it, reminded_at=now)
                    next_at = attention.due_at(reminded)
                    await self._ask(connection, replace(incident, on_it=reminded), ask, now)
                elif next_at <= now:
                    next_at, entry = None, await self._end(connection, incident, on_it, now)
            await timers.finish(connection, claim, next_at)
            await audit.add(connection, entry)

    async def escalate(
        self,
        wanted: Sequence[Subscription],
        say: Callable[[Panel, Incident, str], Message],
        now: datetime,
    ) -> datetime | None:
        """Escalate what no one is on, once per channel; return when the next one is due, None if none is.

        Args:
            wanted: the workspace's subscriptions.
            say: makes the message for another channel, from an incident's message, the incident and its channel.
            now: the time.
        """
        if not any(one.escalate and one.paused is None for one in wanted):
            return None
        due: list[datetime] = []
        async with self._database.read() as connection:
            rows = (await connection.execute(_OPEN, {"team": self._team_id})).all()
        for row in rows:
            panel = codec.load(Panel, row.data)
            there = [one for one in wanted if one.channel_id == row.channel_id]
            if at := _escalates_at(panel, there):
                due.append(at)
                if at <= now:
                    await self._escalate(panel.id, row.channel_id, there, say, now)
        return min((at for at in due if at > now), default=None)

    @retried
    async def _escalate(
        self,
        panel_id: str,
        channel_id: str,
        there: Sequence[Subscription],
        say: Callable[[Panel, Incident, str], Message],
        now: datetime,
    ) -> None:
        """Escalate one incident in one channel, unless someone is on it, or it was done, in the meantime."""
        async with self._database.begin() as connection:
            panel = await alerts.load_panel(connection, self._team_id, panel_id)
            at = _escalates_at(panel, there) if panel else None
            incident = panel.incident if panel else None
            escalation = escalation_of(there, incident) if incident else None
            if panel is None or incident is None or escalation is None or at is None or at > now:
                return
            quiet = await alerts.quiet_times(connection, self._team_id, there, now)
            if quiet.until(channel_id, incident):
                return
            bulletin = Bulletin(incident, Word.ESCALATED, broadcast=not escalation.is_channel, whom=escalation.whom)
            await alerts.save(connection, replace(panel, escalated_at=now))
            await alerts.reply(connection, panel_id, bulletin, now)
            if escalation.is_channel:
                message, address = say(panel, incident, channel_id), Address(self._team_id, escalation.whom)
                await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump(message))
            entry = AuditEntry(
                now,
                self._team_id,
                NOBODY,
                channel_id,
                Deed.ESCALATE,
                integration_id=incident.integration.id,
                integration_type=incident.integration.type,
                result=f"to {escalation.whom}",
            )
            await audit.add(connection, entry)

    async def _ask(
        self, connection: Transaction, incident: Incident, ask: Callable[[Incident], Message], now: datetime
    ) -> None:
        await self._incidents.save(connection, incident)
        if incident.on_it:
            address = Address(self._team_id, user_id=incident.on_it.person.id)
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump(ask(incident)))

    async def _end(self, connection: Transaction, incident: Incident, on_it: OnIt, now: datetime) -> AuditEntry:
        """Show everywhere that no one is on an incident any more, and say so once in each channel that wants news."""
        after = turned(incident, None, now)
        await self._incidents.save(connection, after)
        await alerts.hold_audience(connection, self._team_id, shared=True)
        wanted = await subscriptions.load_all(connection, self._team_id)
        quiet = await alerts.quiet_times(connection, self._team_id, wanted, now)

        def tell(channel_id: str, panel: Panel) -> Bulletin | None:
            there = [one for one in wanted if one.channel_id == channel_id]
            is_wanted = wish_of(there, incident) and panel.snooze is None and not quiet.until(channel_id, incident)
            return Bulletin(incident, Word.UNANSWERED, broadcast=True) if is_wanted else None

        await alerts.redraw(connection, after, now, tell)
        await homes.changed(connection, self._team_id, now)
        return AuditEntry(
            now,
            self._team_id,
            NOBODY,
            "",
            Deed.LET_GO,
            integration_id=incident.integration.id,
            integration_type=incident.integration.type,
            result=f"no answer from {on_it.person.name or on_it.person.id}",
        )


def _escalates_at(panel: Panel, there: Sequence[Subscription]) -> datetime | None:
    """Return when an incident's message is escalated; None if it isn't, as long as nothing changes."""
    incident = panel.incident
    if incident is None or not incident.is_open or incident.was_taken or panel.snooze or panel.escalated_at:
        return None
    escalation = escalation_of(there, incident)
    return escalates_at(incident, escalation) if escalation else None
