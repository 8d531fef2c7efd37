"""The contents of a digest: the subscription's integrations, and what happened since the last digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.incidents.incidents import Incident
from bot.core.models import Integration, Outcome, SyncRun
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.subscriptions.subscriptions import Subscription


@dataclass(frozen=True, slots=True)
class Digest:
    """One digest of one subscription.

    ``integrations``, ``incidents`` and ``runs`` may be those of the whole workspace; the properties filter them.
    ``stale_reason`` is set if FloKit is unreachable and the data is from ``as_of``.
    """

    subscription: Subscription
    integrations: tuple[Integration, ...]
    as_of: datetime
    since: datetime
    """The time of the last digest, or the subscription's creation."""
    incidents: tuple[Incident, ...] = ()
    runs: tuple[SyncRun, ...] = ()
    stale_reason: str = ""
    nicknames: Nicknames = NO_NICKNAMES

    @property
    def covered(self) -> tuple[Integration, ...]:
        """The subscription's integrations."""
        return tuple(one for one in self.integrations if self.subscription.covers(one))

    @property
    def told(self) -> tuple[Incident, ...]:
        """Incidents open at some time since the last digest: open ones first, then the newest first."""
        told = [one for one in self.incidents if self.subscription.covers(one.integration) and self._lasted(one)]
        newest_first = sorted(told, key=lambda one: one.closed_at or one.opened_at, reverse=True)
        return tuple(sorted(newest_first, key=lambda one: not one.is_open))

    def _lasted(self, incident: Incident) -> bool:
        return incident.closed_at is None or incident.closed_at > self.since

    @property
    def synced(self) -> tuple[SyncRun, ...]:
        """Syncs started here that succeeded since the last digest."""
        return tuple(
            run
            for run in self.runs
            if run.outcome is Outcome.SUCCEEDED
            and run.ended_at
            and run.ended_at > self.since
            and self.subscription.covers(Integration(run.integration_id, run.integration_type))
        )
