"""What a channel wants to be told without asking: about which integrations, which news, and a digest when."""

from __future__ import annotations

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
"""The mention of everybody who is active in the channel."""


class News(StrEnum):
    """What a subscription tells about; the words are typed by people and stable."""

    FAILING = "failing"
    STALE = "stale"
    DISCONNECTED = "disconnected"
    RECOVERED = "recovered"


class Style(StrEnum):
    """How much of the channel's attention an incident takes."""

    THREAD = "thread"
    """One message in the channel; all that follows stands in its thread."""
    BROADCAST = "broadcast"
    """As above, and a failure within an open incident is shown in the channel, too."""


class PauseReason(StrEnum):
    """Why a subscription rests."""

    ARCHIVED = "archived"
    """The channel is archived."""
    REMOVED = "removed"
    """The bot is not in the channel (any more), or must not post there."""


@dataclass(frozen=True, slots=True)
class DigestTime:
    """When a digest is due: a local time on some days of the week, 0 is Monday."""

    at: time
    weekdays: frozenset[int]
    zone: str
    """An IANA name such as ``Europe/Berlin``; "" while Slack could not be asked for the person's."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One channel's wish to be told. ``target`` is `ALL`, a type, or an integration's id."""

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
    """``here``, or the id of a user group: mentioned once in each incident; "" mentions nobody."""
    paused: PauseReason | None = None
    digested_at: datetime | None = None
    """When the last digest was sent."""

    def covers(self, integration: Integration) -> bool:
        """Tell whether it is about this integration."""
        return self.target in (ALL, integration.type, integration.id)


def type_of(target: str, known: Sequence[Integration]) -> str | None:
    """Return the type that a subscription is about; None: several, or one that isn't known."""
    types = {*KNOWN_TYPES, *(one.type for one in known)}
    return next((one.type for one in known if one.id == target), target if target in types else None)
