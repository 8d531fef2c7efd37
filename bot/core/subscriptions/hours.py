"""The hours in which a channel is notified: local times on certain days, across clock changes.

A span that begins on a day belongs to that day, also if it ends the next day. A time skipped by a clock change is moved
forward by the gap; of a repeated time, the first one counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bot.core.subscriptions.digest_time import DAILY, describe_days
from bot.core.subscriptions.subscriptions import Hours
from bot.core.subscriptions.zones import zone_info

AHEAD_DAYS: Final = 9
"""How far ahead to look: any hours come again within a week, and a zone may skip a day."""

UNKNOWN_ZONE: Final = "UTC"


def opens_at(hours: Hours, now: datetime) -> datetime:
    """Return from when on notifications are welcome: ``now`` if they are, or else when they will be.

    Raises:
        ValueError: the zone doesn't exist, or there are never any hours.
    """
    spans = list(_spans(hours, now))
    if not hours.is_quiet:
        return next(max(begins, now) for begins, ends in spans if ends > now)
    at = now
    for begins, ends in spans:
        if begins <= at < ends:
            at = ends
    return at


def never_opens(hours: Hours) -> bool:
    """Whether no notification would ever be welcome."""
    return hours.is_quiet and hours.begins == hours.ends and hours.weekdays == DAILY


def describe_hours(hours: Hours) -> str:
    """Describe hours: "hours weekdays 08:00-18:00 (Europe/Berlin)"."""
    ends = "24:00" if hours.ends == time() else f"{hours.ends:%H:%M}"
    word = "quiet" if hours.is_quiet else "hours"
    return f"{word} {describe_days(hours.weekdays)} {hours.begins:%H:%M}-{ends} ({hours.zone or UNKNOWN_ZONE})"


def _spans(hours: Hours, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Return the spans from yesterday on, in order; those that meet or overlap are one."""
    zone = zone_info(hours.zone or UNKNOWN_ZONE)
    today = now.astimezone(zone).date()
    days = [today + timedelta(days=number) for number in range(-2, AHEAD_DAYS)]
    nights = timedelta(days=hours.ends <= hours.begins)
    spans = [
        (_instant(day, hours.begins, zone), _instant(day + nights, hours.ends, zone))
        for day in days
        if day.weekday() in hours.weekdays
    ]
    joined: list[tuple[datetime, datetime]] = []
    for begins, ends in spans:
        if joined and begins <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(ends, joined[-1][1])
        elif ends > begins:
            joined.append((begins, ends))
    return iter(joined)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    # With fold=0, a repeated time is the first one, and one in a gap is moved forward:
    # https://docs.python.org/3/library/zoneinfo.html#using-zoneinfo
    return datetime.combine(day, at.replace(fold=0), tzinfo=zone).astimezone(UTC)
