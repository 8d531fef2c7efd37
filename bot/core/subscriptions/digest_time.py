"""When a digest is due: local times of day as UTC, across clock changes.

Each matching local day has exactly one digest. A time skipped by a clock change is moved forward by the gap, possibly
into the next day; for a repeated time, the first one counts. If a zone skipped a whole day, that day's digest is sent
the next day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bot.core.subscriptions.subscriptions import DigestTime
from bot.core.subscriptions.zones import zone_info

LATE_AT_MOST: Final = timedelta(hours=1)
"""After downtime, a digest that is late by less than this is still sent; others are skipped."""

UNKNOWN_ZONE: Final = "UTC"
"""The zone of a digest until the person's is known."""

ASKED_AGAIN_AFTER: Final = timedelta(minutes=1)
"""How often to retry an unknown zone: well before any zone's first digest is missed."""

DAILY: Final = frozenset(range(7))
WEEKDAYS: Final = frozenset(range(5))
WEEKEND: Final = frozenset({5, 6})

DAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_SETS_OF_DAYS: Final = {DAILY: "daily", WEEKDAYS: "weekdays", WEEKEND: "weekends"}


def next_digest_at(digest: DigestTime, after: datetime) -> datetime:
    """Return the first time strictly after ``after`` at which the digest is due.

    Raises:
        ValueError: It has no days, or its zone doesn't exist.
    """
    zone = zone_info(digest.zone or UNKNOWN_ZONE)
    today = after.astimezone(zone).date()
    # Yesterday's digest may still be due, if it was moved into the next day.
    for days in range(-1, 8):
        day = today + timedelta(days=days)
        due_at = _instant(digest, day, zone)
        if day.weekday() in digest.weekdays and due_at > after:
            return due_at
    raise ValueError(f"a digest needs days: {digest!r}")


def digest_wake_at(digest: DigestTime, now: datetime) -> datetime:
    """Return when to act on a digest: when it's due, or earlier to retry an unknown zone."""
    due_at = next_digest_at(digest, now)
    return due_at if digest.zone else min(due_at, now + ASKED_AGAIN_AFTER)


def last_digest_at(digest: DigestTime, now: datetime) -> datetime | None:
    """Return the last time up to ``now`` at which the digest was due; None if that was more than a week ago."""
    due_at, following = None, next_digest_at(digest, now - timedelta(days=8))
    while following <= now:
        due_at, following = following, next_digest_at(digest, following)
    return due_at


def _instant(digest: DigestTime, day: date, zone: ZoneInfo) -> datetime:
    # With fold=0, a repeated time is the first one, and one in a gap is read with the offset before it, which
    # moves it forward: https://docs.python.org/3/library/zoneinfo.html#using-zoneinfo
    return datetime.combine(day, digest.at.replace(fold=0), tzinfo=zone).astimezone(UTC)


def missed(due_at: datetime, now: datetime) -> bool:
    """Whether it's too late for a digest that was due."""
    return now - due_at >= LATE_AT_MOST


def describe(digest: DigestTime) -> str:
    """Describe when a digest is posted: "weekdays at 09:00 (Europe/Berlin)"."""
    zone = f" ({digest.zone or 'time zone not known yet'})"
    return f"{describe_days(digest.weekdays)} at {digest.at:%H:%M}{zone}"


def describe_days(weekdays: frozenset[int]) -> str:
    """Describe days of the week: "daily", "weekdays", "weekends", "Mon, Wed, Fri"."""
    return _SETS_OF_DAYS.get(weekdays) or ", ".join(DAY_NAMES[day] for day in sorted(weekdays))
