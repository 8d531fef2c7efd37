"""When channels are left alone: outside the hours of their subscriptions, and while an integration is maintained.

What happens then is held, and told as one summary afterwards. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bot.core.incidents.incidents import Incident
from bot.core.models import Integration, Person
from bot.core.subscriptions.hours import opens_at
from bot.core.subscriptions.subscriptions import ALL, Hours, News, Subscription


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A window in which an integration is worked on. ``target`` is `ALL`, a type, or an integration's ID.

    Stored in ``maintenances``::

        {"id": "mnt_4f02", "team_id": "T0ACME", "channel_id": "C0DATA", "target": "warehouse",
         "by": {"id": "U0ANA", "name": "ana"}, "begins_at": "2026-11-26T22:00:00Z", "until": "2026-11-27T05:00:00Z"}
    """

    id: str
    team_id: str
    channel_id: str
    target: str
    by: Person
    begins_at: datetime
    until: datetime

    def covers(self, integration: Integration) -> bool:
        """Whether it includes this integration."""
        return self.target in (ALL, integration.type, integration.id)

    def is_on(self, now: datetime) -> bool:
        """Whether it has begun and isn't over."""
        return self.begins_at <= now < self.until


def quiet_until(
    subscriptions: Iterable[Subscription], incident: Incident, maintenances: Iterable[Maintenance], now: datetime
) -> datetime | None:
    """Return until when one channel isn't told about an incident; None if it can be told now.

    Until then, because it may be quiet for another reason by that time.

    Args:
        subscriptions: those of the channel.
        incident: as it is now.
        maintenances: those that aren't over.
        now: the time.
    """
    about = [one for one in subscriptions if one.paused is None and one.covers(incident.integration)]
    trouble = News(incident.trouble)
    asked = [one for one in about if trouble in one.news] if incident.is_open else about
    if not asked or any(trouble in one.always for one in asked):
        return None
    windows = [one.until for one in maintenances if one.covers(incident.integration) and one.is_on(now)]
    if windows:
        return max(windows)
    soonest = min(_opens_at(one.hours, now) for one in asked)
    return soonest if soonest > now else None


def _opens_at(hours: Hours | None, now: datetime) -> datetime:
    try:
        return opens_at(hours, now) if hours else now
    except ValueError:  # another replica knew the time zone: better told at night than not at all
        return now
