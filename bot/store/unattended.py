"""Incidents that someone said they're on and may have forgotten: they're asked, and then no one is on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from bot.core.access.audit import NOBODY, AuditEntry, Deed
from bot.core.incidents.incidents import Incident
from bot.core.incidents.reactions import Bulletin, Word, wish_of
from bot.core.incidents.taking import OnIt
from bot.core.models import Message
from bot.core.panels import Panel
from bot.store import alerts, audit, codec, homes, outbox_rows, subscriptions, timers
from bot.store.database import Database
from bot.store.incidents import Incidents
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.timers import TimerClaim
from bot.store.transactions import Transaction, retried


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

    async def _ask(
        self, connection: Transaction, incident: Incident, ask: Callable[[Incident], Message], now: datetime
    ) -> None:
        await self._incidents.save(connection, incident)
        if incident.on_it:
            address = Address(self._team_id, user_id=incident.on_it.person.id)
            await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=codec.dump(ask(incident)))

    async def _end(self, connection: Transaction, incident: Incident, on_it: OnIt, now: datetime) -> AuditEntry:
        """Show everywhere that no one is on an incident any more, and say so once in each channel that wants news."""
        after = replace(incident, on_it=None, turns=incident.turns + 1)
        await self._incidents.save(connection, after)
        await alerts.hold_audience(connection, self._team_id, shared=True)
        wanted = await subscriptions.load_all(connection, self._team_id)

        def tell(channel_id: str, panel: Panel) -> Bulletin | None:
            there = [one for one in wanted if one.channel_id == channel_id]
            is_wanted = wish_of(there, incident) and panel.snooze is None
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
