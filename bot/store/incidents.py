"""Incidents: each reading from FloKit is compared with what was known, and the result saved with its messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from bot.core.access.audit import NOBODY, AuditEntry, Deed, of_origin, snooze_result
from bot.core.incidents.incidents import (
    Change,
    Incident,
    Rules,
    RunNews,
    Sighting,
    Verdict,
    Watched,
    observe,
    trouble_of,
)
from bot.core.incidents.reactions import Bulletin, Snooze, Word, wish_of
from bot.core.incidents.taking import Attention
from bot.core.models import Integration, Message, Outcome, SyncRun
from bot.core.panels import Panel
from bot.core.requests import Origin, Request
from bot.core.subscriptions.subscriptions import Subscription
from bot.core.volumes.volume import Shortfall
from bot.store import alerts, audit, codec, held, homes, inbox, outbox_rows, run_rows, subscriptions, timers
from bot.store.database import Database
from bot.store.ids import new_id
from bot.store.locks import of_team
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.statements import among, constant
from bot.store.tables import alerts as alerts_table
from bot.store.tables import incidents, panels, sightings
from bot.store.timers import TimerClaim, TimerKind
from bot.store.transactions import Transaction, retried

RUNS_COUNT_FOR: Final = timedelta(days=1)
"""Older syncs are unrelated to what is seen now."""

NONE_COUNTED: Final[Mapping[str, Shortfall | None]] = MappingProxyType({})

TOGETHER: Final = 50
"""How many integrations are evaluated in one transaction; a click waits for at most one of these."""

_FAILURES: Final = frozenset({Outcome.FAILED, Outcome.FAILED_AGAIN, Outcome.DISCONNECTED})


@dataclass(frozen=True, slots=True)
class SeenTogether:
    """What one request to FloKit returned. ``whole`` is set if it shows all existing integrations.

    ``shortfalls`` are those of the integrations whose events were counted, too.
    """

    integrations: tuple[Integration, ...]
    at: datetime
    whole: bool
    shortfalls: Mapping[str, Shortfall | None] = field(default_factory=lambda: NONE_COUNTED)


@dataclass(frozen=True, slots=True)
class Standing:
    """The situation at one moment: the open incidents, and the changes seen since a list was read."""

    incidents: tuple[Incident, ...]
    changed: dict[str, Integration]


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """What follows from a click on an incident; ``incident`` is None if nothing changes."""

    incident: Incident | None
    messages: Sequence[tuple[Address, Message]] = ()
    entry: AuditEntry | None = None


_KNOWN_IDS: Final = constant(select(sightings.c.integration_id).where(sightings.c.team_id == bindparam("team")))
_KNOWN: Final = constant(
    select(sightings.c.integration_id, sightings.c.data)
    .where(sightings.c.team_id == bindparam("team"), among(sightings.c.integration_id, "ids"))
    .order_by(sightings.c.integration_id)
    .with_for_update(key_share=True)
)
_OPEN_OF: Final = constant(
    select(incidents.c.data).where(
        incidents.c.team_id == bindparam("team"),
        among(incidents.c.integration_id, "ids"),
        incidents.c.closed_at.is_(None),
    )
)
_KEEP: Final = constant(
    insert(sightings)
    .values(team_id=bindparam("team"), integration_id=bindparam("integration"), data=bindparam("watched"))
    .on_conflict_do_update(index_elements=["team_id", "integration_id"], set_={"data": bindparam("watched")})
)
_ADD: Final = constant(incidents.insert())
_CHANGE: Final = constant(
    update(incidents)
    .where(incidents.c.id == bindparam("incident"))
    .values(data=bindparam("new_data"), closed_at=bindparam("new_closed_at"))
)


class Incidents:
    """The incidents of one workspace."""

    def __init__(self, database: Database, team_id: str, *, rules: Rules) -> None:
        self._database = database
        self._team_id = team_id
        self._rules = rules

    @property
    def attention(self) -> Attention:
        """How long someone is on an incident before they're asked whether they still are."""
        return self._rules.attention

    async def observe(self, look: SeenTogether, now: datetime) -> list[Verdict]:
        """Evaluate a reading and save the result; return a verdict for each known integration.

        The result for one integration is saved as a whole; those of many integrations in batches, so that a click in
        between doesn't wait for all of them.
        """
        ids = sorted({*(one.id for one in look.integrations), *(await self._known_ids() if look.whole else ())})
        verdicts: list[Verdict] = []
        for start in range(0, len(ids), TOGETHER):
            verdicts += await self._observe(look, ids[start : start + TOGETHER], now)
        return verdicts

    async def _known_ids(self) -> Sequence[str]:
        async with self._database.read() as connection:
            return await connection.scalars(_KNOWN_IDS, {"team": self._team_id})

    @retried
    async def _observe(self, look: SeenTogether, ids: list[str], now: datetime) -> list[Verdict]:
        async with self._database.begin() as connection:
            verdicts, looks_different = await self._weigh(connection, look, ids)
            told = [verdict for verdict in verdicts if verdict.change]
            if told:
                await alerts.hold_audience(connection, self._team_id, shared=True)
            is_of_interest = told or any(verdict.look_again_at for verdict in verdicts)
            wanted = await subscriptions.load_all(connection, self._team_id) if is_of_interest else []
            if told:
                stories = [await self._story(connection, verdict) for verdict in told]
                await alerts.tell(connection, [each for each in stories if each], wanted, now)
            if told or looks_different:
                await homes.changed(connection, self._team_id, now)
            await self._look_again(connection, verdicts, wanted)
        return verdicts

    async def _weigh(self, connection: Transaction, look: SeenTogether, ids: list[str]) -> tuple[list[Verdict], bool]:
        """Decide what a reading means, and save it; also return whether any integration's state changed."""
        seen = {integration.id: integration for integration in look.integrations}
        known = await self._load(connection, ids)
        befores = [known.get(id_) or Watched(id_, first_seen_at=look.at) for id_ in ids]
        concerned = [one.integration_id for one in befores if self._may_matter(one, seen.get(one.integration_id), look)]
        newest = await run_rows.newest_since(connection, self._team_id, concerned, look.at - RUNS_COUNT_FOR)
        verdicts = []
        for before in befores:
            integration_id = before.integration_id
            shown = newest.get(integration_id)
            run = _news_of(shown.run) if shown else None
            is_counted, shortfall = integration_id in look.shortfalls, look.shortfalls.get(integration_id)
            sighting = Sighting(look.at, seen.get(integration_id), run, is_counted, shortfall)
            verdicts.append(observe(before, sighting, self._rules, team_id=self._team_id, incident_id=new_id("inc")))
        for before, verdict in zip(befores, verdicts, strict=True):
            await self._save(connection, before, verdict.watched, is_new=before.integration_id not in known)
        for before, verdict in zip(befores, verdicts, strict=True):
            incident = verdict.incident or verdict.watched.incident
            if incident and not _is_same(incident, before.incident):
                await self.save(connection, incident, is_new=before.incident is None)
        return verdicts, any(
            _uncounted(verdict.watched.seen) != _uncounted(before.seen)
            for before, verdict in zip(befores, verdicts, strict=True)
        )

    def _may_matter(self, before: Watched, seen: Integration | None, look: SeenTogether) -> bool:
        """Return whether a resync of it can make a difference."""
        if before.incident or seen is None:
            return before.incident is not None
        shortfall = look.shortfalls.get(seen.id, before.shortfall)
        return trouble_of(seen, look.at, before.first_seen_at, shortfall) is not None

    async def _load(self, connection: Transaction, ids: list[str]) -> dict[str, Watched]:
        """Return what's known of some integrations, and lock it."""
        about = {"team": self._team_id, "ids": ids}
        rows = (await connection.execute(_KNOWN, about)).all()
        current = [codec.load(Incident, data) for data in await connection.scalars(_OPEN_OF, about)]
        by_integration = {incident.integration.id: incident for incident in current}
        return {
            row.integration_id: codec.load_watched(row.data, by_integration.get(row.integration_id)) for row in rows
        }

    async def _save(self, connection: Transaction, before: Watched, after: Watched, *, is_new: bool) -> None:
        if after.seen is None and not is_new:  # it's gone: if it comes back, it starts from scratch
            await connection.execute(
                sightings.delete().where(
                    sightings.c.team_id == self._team_id, sightings.c.integration_id == after.integration_id
                )
            )
        elif is_new or _gist(after) != _gist(before):
            about = {"team": self._team_id, "integration": after.integration_id}
            await connection.execute(_KEEP, about | {"watched": codec.dump_watched(after)})

    async def save(self, connection: Transaction, incident: Incident, *, is_new: bool = False) -> None:
        """Save an incident that is held, or a new one."""
        values = {"data": codec.dump(incident), "closed_at": incident.closed_at}
        if is_new:
            row = {
                "id": incident.id,
                "team_id": self._team_id,
                "integration_id": incident.integration.id,
                "opened_at": incident.opened_at,
            }
            await connection.execute(_ADD, row | values)
        else:
            about = {"incident": incident.id}
            await connection.execute(_CHANGE, about | {f"new_{name}": value for name, value in values.items()})

    async def _story(self, connection: Transaction, verdict: Verdict) -> alerts.Story | None:
        if verdict.incident is None or verdict.change is None:
            return None
        incident, told_by = verdict.incident, ""
        if verdict.change is not Change.OPENED:  # no run's thread has reported what has only just opened
            ids = [incident.integration.id]
            newest = await run_rows.newest_since(connection, self._team_id, ids, incident.opened_at)
            run = newest[ids[0]].run if newest else None
            told_by = run.id if run and _news_of(run).tells(verdict.change, incident) else ""
        return alerts.Story(incident, verdict.change, told_by)

    async def _look_again(self, connection: Transaction, verdicts: list[Verdict], wanted: list[Subscription]) -> None:
        """Schedule a second check for what isn't confirmed yet, if anyone is subscribed to it."""
        times = [verdict.look_again_at for verdict in verdicts if verdict.look_again_at]
        if times and any(one.paused is None for one in wanted):
            await timers.put(connection, TimerKind.WATCH, self._team_id, self._team_id, min(times))

    async def standing(self, since: datetime) -> Standing:
        """Return the open incidents, and the changes seen after ``since``: as new as those incidents, or newer."""
        open_ones = select(incidents.c.data).where(
            incidents.c.team_id == self._team_id, incidents.c.closed_at.is_(None)
        )
        known = select(sightings.c.data).where(sightings.c.team_id == self._team_id)
        async with self._database.read() as connection:
            opened = await connection.scalars(open_ones)
            known_ones = await connection.scalars(known)
        seen = [codec.load_watched(data, None) for data in known_ones]
        return Standing(
            tuple(_oldest_first(opened)),
            {one.integration_id: one.seen for one in seen if one.seen and one.seen_at and one.seen_at > since},
        )

    async def since(self, at: datetime) -> list[Incident]:
        """Return the incidents that were open at any time since ``at``, oldest first."""
        query = select(incidents.c.data).where(
            of_team(incidents, self._team_id), or_(incidents.c.closed_at.is_(None), incidents.c.closed_at > at)
        )
        async with self._database.read() as connection:
            rows = await connection.scalars(query)
        return _oldest_first(rows)

    async def channel_of(self, alert_id: str) -> str:
        """Return the channel of an incident's message; "" if there's no such message."""
        query = select(alerts_table.c.channel_id).where(
            alerts_table.c.id == alert_id, alerts_table.c.team_id == self._team_id
        )
        async with self._database.read() as connection:
            return await connection.scalar(query) or ""

    async def find(self, incident_id: str, alert_id: str = "") -> tuple[Incident | None, tuple[str, ...]]:
        """Return an incident, and the channels whose rules count for a click on it.

        That's the channel of ``alert_id``, if it's one of this incident; otherwise, every channel that shows it.
        """
        query = select(incidents.c.data).where(incidents.c.id == incident_id, incidents.c.team_id == self._team_id)
        shown = select(alerts_table.c.id, alerts_table.c.channel_id).where(
            alerts_table.c.incident_id == incident_id, alerts_table.c.team_id == self._team_id
        )
        async with self._database.read() as connection:
            data = await connection.scalar(query)
            rows = (await connection.execute(shown)).all()
        here = [row.channel_id for row in rows if row.id == alert_id]
        return codec.load(Incident, data) if data else None, tuple(here or sorted(row.channel_id for row in rows))

    # Who is on it

    @retried
    async def change(
        self,
        request: Request,
        incident_id: str,
        decide: Callable[[Incident], IncidentChange],
        now: datetime,
        *,
        is_saved: bool = True,
    ) -> bool:
        """Change who is on an incident, or its ticket, which answers the request: ``decide`` gets it as it is.

        ``is_saved`` is False for a form that is checked while it's open, whose request isn't in the inbox.

        Returns:
            False if the incident is over or unknown: then the request still has to be answered.
        """
        async with self._database.begin() as connection:
            incident = await self.hold(connection, incident_id)
            if incident is None or not incident.is_open:
                return False
            change = decide(incident)
            if change.incident:
                await self.save(connection, change.incident)
                await alerts.hold_audience(connection, self._team_id, shared=True)
                await alerts.redraw(connection, change.incident, now)
            for address, message in change.messages:
                note = codec.dump(replace(message, cause=request.cause))
                await outbox_rows.add_row(connection, OutboxKind.NOTE, address, now, data=note)
            if change.incident:
                await homes.changed(connection, self._team_id, now)
            if change.incident and change.incident.turns != incident.turns:
                await timers.drop(connection, TimerKind.ON_IT, self._team_id, incident_id)
                if on_it := change.incident.on_it:
                    due_at = self.attention.due_at(on_it)
                    await timers.put(connection, TimerKind.ON_IT, self._team_id, incident_id, due_at)
            if is_saved:
                await inbox.finish(connection, request.id)
            await audit.add(connection, change.entry)
        return True

    async def hold(self, connection: Transaction, incident_id: str) -> Incident | None:
        """Read an incident, and keep checks of its integration from changing it."""
        about = incidents.c.id == incident_id, incidents.c.team_id == self._team_id
        integration_id = await connection.scalar(select(incidents.c.integration_id).where(*about))
        if integration_id is None:
            return None
        await connection.execute(_KNOWN, {"team": self._team_id, "ids": [integration_id]})
        data = await connection.scalar(select(incidents.c.data).where(*about).with_for_update(key_share=True))
        return codec.load(Incident, data) if data else None

    # Snoozing

    @retried
    async def snooze(self, request: Request, alert_id: str, snooze: Snooze | None, now: datetime) -> bool:
        """Begin or end a snooze for a person, which answers the request.

        Returns:
            False if the incident is over or unknown: then the request still has to be answered.
        """
        async with self._database.begin() as connection:
            panel = await alerts.load_panel(connection, self._team_id, alert_id)
            if panel is None or panel.incident is None or not panel.incident.is_open:
                return False
            await alerts.save_panel(connection, replace(panel, snooze=snooze))
            await audit.add(connection, _entry(panel.incident, request.origin, snooze, now))
            await outbox_rows.bump_panels(connection, [alert_id], now)
            await homes.changed(connection, self._team_id, now)
            await timers.drop(connection, TimerKind.SNOOZE, self._team_id, alert_id)
            if snooze and snooze.until:
                await timers.put(connection, TimerKind.SNOOZE, self._team_id, alert_id, snooze.until)
            await inbox.finish(connection, request.id)
        return True

    @retried
    async def end_snooze(self, claim: TimerClaim, now: datetime) -> None:
        """End a snooze whose time has come, and post that once where the open incident still has a subscriber.

        Raises:
            ClaimLost: another replica does it, or someone snoozed it again in the meantime.
        """
        async with self._database.begin() as connection:
            panel = await alerts.load_panel(connection, self._team_id, claim.subject)
            if panel and panel.snooze and panel.incident:
                await self._end_snooze(connection, panel, panel.incident, now)
            await timers.finish(connection, claim, None)

    async def _end_snooze(self, connection: Transaction, panel: Panel, incident: Incident, now: datetime) -> None:
        await alerts.save_panel(connection, replace(panel, snooze=None))
        # It was just written, so it's locked: its root may be recorded at this moment.
        alert = (await connection.execute(select(alerts_table).where(alerts_table.c.id == panel.id))).first()
        by_itself = Origin(self._team_id, NOBODY, alert.channel_id if alert else "")
        await audit.add(connection, _entry(incident, by_itself, None, now))
        there = await subscriptions.load_all(connection, self._team_id, alert.channel_id) if alert else []
        is_wanted = alert and incident.is_open and wish_of(there, incident)
        quiet = await alerts.quiet_times(connection, self._team_id, there, now)
        until = quiet.until(alert.channel_id, incident) if alert and is_wanted else None
        later = {(alert.channel_id, incident.id): until} if alert and until else {}
        await held.hold(connection, self._team_id, later, now)
        await outbox_rows.bump_panels(connection, [panel.id], now)
        if alert and is_wanted and not later:
            bulletin = codec.dump(Bulletin(incident, Word.SNOOZE_ENDED))
            await outbox_rows.add_news(connection, alert, bulletin, now)
        await held.schedule(connection, self._team_id, later)
        await homes.changed(connection, self._team_id, now)

    async def snoozed_by(self, user_id: str) -> list[Panel]:
        """Return the messages of open incidents that a person snoozed."""
        query = (
            select(panels.c.data)
            .join(alerts_table, alerts_table.c.id == panels.c.id)
            .join(incidents, alerts_table.c.incident_id == incidents.c.id)
            .where(
                alerts_table.c.team_id == self._team_id,
                alerts_table.c.snoozed_by == user_id,
                incidents.c.closed_at.is_(None),
            )
        )
        async with self._database.read() as connection:
            rows = await connection.scalars(query)
        return [codec.load(Panel, data) for data in rows]


def _oldest_first(rows: Sequence[str]) -> list[Incident]:
    """Return incidents sorted here: SQL would go through all by time, instead of picking the open ones to sort."""
    return sorted((codec.load(Incident, data) for data in rows), key=lambda incident: incident.opened_at)


def _is_same(incident: Incident, before: Incident | None) -> bool:
    """Return whether nothing changed that is worth a write."""
    return before is not None and replace(incident, seen_at=before.seen_at) == before


def _gist(watched: Watched) -> Watched:
    """Return what's worth a write: that nothing has changed until a later time isn't."""
    return replace(watched, seen=_uncounted(watched.seen), seen_at=None, fine_at=None, incident=None)


def _uncounted(seen: Integration | None) -> Integration | None:
    """Return an integration without its counts: only some readings have them, and nothing shows them from here."""
    return replace(seen, stats=None) if seen and seen.stats else seen


def _entry(incident: Incident, origin: Origin, snooze: Snooze | None, now: datetime) -> AuditEntry:
    """Return the audit entry of a snooze that someone, or its time, began or ended."""
    by_itself = "its time was over" if origin.person == NOBODY else ""
    return replace(
        of_origin(origin, Deed.SNOOZE if snooze else Deed.END_SNOOZE, now),
        integration_id=incident.integration.id,
        integration_type=incident.integration.type,
        result=snooze_result(snooze) if snooze else by_itself,
    )


def _news_of(run: SyncRun) -> RunNews:
    return RunNews(
        run_id=run.id,
        starter=run.requested_by,
        ended_at=run.ended_at if run.outcome else None,
        succeeded=run.outcome is Outcome.SUCCEEDED,
        failed_as=run.last_seen if run.outcome in _FAILURES else None,
    )
