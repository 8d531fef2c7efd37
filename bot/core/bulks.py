"""Several syncs that one click starts: what would happen, and what was started, as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bot.core.models import Outcome, Person
from bot.core.runs.limits import Limit

MOST: Final = 100
"""How many syncs one click starts at most."""

AT_ONCE: Final = 5
"""How many of them start immediately …"""
EVERY: Final = timedelta(seconds=2)
"""… and how far apart the others do: with two requests each, enough of FloKit's budget stays for everyone's clicks."""

PREVIEW_LASTS: Final = timedelta(minutes=10)
"""An older preview is shown again instead of being started: the state of its integrations may have changed."""


class Obstacle(StrEnum):
    """Why an integration is left out."""

    DISCONNECTED = "disconnected"
    """A sync doesn't help."""
    REFUSED = "refused"
    """The person isn't allowed to sync it."""
    COOLDOWN = Limit.COOLDOWN.value
    QUOTA = Limit.QUOTA.value


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An integration that isn't synced with the others, and why.

    ``until`` is when a limit ends; ``rule`` and ``ask`` are those of a refusal.
    """

    integration_id: str
    why: Obstacle
    until: datetime | None = None
    rule: str = ""
    sentence: str = ""
    ask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the message about the syncs is posted; as a DM if ``channel_id`` is ""."""

    channel_id: str = ""
    thread_ts: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be started, for the person who asked: the content of a preview.

    ``running`` are the IDs of integrations whose sync is running: it would be joined. ``total`` is how many
    integrations the person can see. ``unknown`` is typed text (untrusted) that named nothing. ``beyond`` is how many
    more match than one click starts.
    """

    asked_by: Person
    place: Place
    asked_at: datetime | None = None
    left_out: tuple[LeftOut, ...] = ()
    running: tuple[str, ...] = ()
    total: int = 0
    unknown: tuple[str, ...] = ()
    beyond: int = 0
    started: tuple[str, ...] = ()
    """The IDs of the integrations that were started by it; known only when it's drawn."""


@dataclass(frozen=True, slots=True)
class Member:
    """One of the syncs. ``joined``: another click had started it."""

    integration_id: str
    run_id: str
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Bulk:
    """The syncs that one click started or joined: the content of the message that follows them."""

    asked_by: Person
    asked_at: datetime
    members: tuple[Member, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    retried: tuple[str, ...] = ()
    """The IDs of the integrations that were retried since; known only when it's drawn."""
    repaired: tuple[str, ...] = ()
    """The IDs of the integrations of which a later sync succeeded; known only when it's drawn."""

    def can_retry(self, outcomes: Iterable[tuple[str, Outcome | None]]) -> tuple[str, ...]:
        """Return the IDs of the integrations to retry, from the outcome of each."""
        done = {*self.retried, *self.repaired}
        return tuple(id_ for id_, outcome in outcomes if outcome in RETRIED and id_ not in done)


RETRIED: Final = frozenset({Outcome.FAILED, Outcome.FAILED_AGAIN, Outcome.FINISHED_UNPROVEN, Outcome.NOT_CONFIRMED})
"""The outcomes after which another sync may help."""


def starts_at(place: int, now: datetime) -> datetime:
    """Return when the sync at this place in the order starts."""
    return now + max(0, place - AT_ONCE + 1) * EVERY
