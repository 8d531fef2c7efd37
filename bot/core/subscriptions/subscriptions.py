"""A channel's subscription: which integrations, which events, and when to send a digest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from typing import Final

from bot.core.advice import KNOWN_TYPES
from bot.core.models import Integration, Person

ALL: Final = "all"
"""The target that every integration matches."""

HERE: Final = "here"
"""Mentions everyone who is active in the channel."""


class News(StrEnum):
    """The events of a subscription; the values can be typed and must stay the same."""

    FAILING = "failing"
    STALE = "stale"
    DISCONNECTED = "disconnected"
    EMPTY = "empty"
    RECOVERED = "recovered"


class Style(StrEnum):
    """How prominently an incident is posted."""

    THREAD = "thread"
    """One message in the channel, with all updates in its thread."""
    BROADCAST = "broadcast"
    """As above, but new failures within an open incident are also shown in the channel."""


class PauseReason(StrEnum):
    """Why a subscription is paused."""

    ARCHIVED = "archived"
    """The channel is archived."""
    REMOVED = "removed"
    """The bot isn't in the channel, or isn't allowed to post there."""


@dataclass(frozen=True, slots=True)
class DigestTime:
    """When a digest is due: a local time on certain days of the week (0 is Monday)."""

    at: time
    weekdays: frozenset[int]
    zone: str
    """An IANA name such as ``Europe/Berlin``; "" until Slack provides the person's."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When notifications are welcome, or, with ``is_quiet``, when they aren't: local times on days of the week.

    From ``begins`` to ``ends``; if that isn't later, to ``ends`` of the next day.
    """

    begins: time
    ends: time
    weekdays: frozenset[int]
    zone: str
    """An IANA name."""
    is_quiet: bool = False


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whom to tell of an incident that no one is on ``after_s`` seconds after it began.

    ``whom`` is the ID of a user group (``S…``), a person (``U…`` or ``W…``) or a channel (``C…`` or ``G…``).
    """

    after_s: int
    whom: str

    @property
    def is_channel(self) -> bool:
        """Whether it's told in another channel, instead of mentioning someone in the thread."""
        return self.whom.startswith(("C", "G"))


ESCALATE_TO: Final = re.compile(r"[SUWCG][A-Z0-9]{2,29}")
"""Matches the IDs that an incident can be escalated to."""

ESCALATE_AFTER_S: Final = 1800
SOONEST_ESCALATION_S: Final = 60
LATEST_ESCALATION_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of one channel. ``target`` is `ALL`, a type, or an integration's ID.

    Stored in ``subscriptions``::

        {"id": "sub_1d20", "team_id": "T0ACME", "channel_id": "C0DATA", "created_by": {"id": "U0ANA", "name": "ana"},
         "created_at": "2026-11-26T14:30:00Z", "target": "stripe", "news": ["failing", "recovered"],
         "digest": {"at": "09:00:00", "weekdays": [0, 1, 2, 3, 4], "zone": "Europe/Berlin"}, "mention": "here",
         "escalate": {"after_s": 1800, "whom": "S0615G0KT"}}
    """

    id: str
    team_id: str
    channel_id: str
    created_by: Person
    created_at: datetime
    target: str = ALL
    news: frozenset[News] = frozenset(News)
    digest: DigestTime | None = None
    style: Style = Style.THREAD
    mention: str = ""
    """``here`` or a user group's ID, mentioned once per incident; "" mentions no one."""
    paused: PauseReason | None = None
    digested_at: datetime | None = None
    """When the last digest was sent."""
    hours: Hours | None = None
    """What happens outside these hours is told afterwards, all at once; None: at any time."""
    always: frozenset[News] = frozenset()
    """What is told at once even so, and during maintenance."""
    escalate: Escalation | None = None

    def covers(self, integration: Integration) -> bool:
        """Whether it includes this integration."""
        return self.target in (ALL, integration.type, integration.id)


def type_of(target: str, known: Sequence[Integration]) -> str | None:
    """Return a subscription's integration type; None if there are several or it isn't known."""
    types = {*KNOWN_TYPES, *(one.type for one in known)}
    return next((one.type for one in known if one.id == target), target if target in types else None)
