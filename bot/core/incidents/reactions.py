"""How one channel learns about an incident's change: by a reply in the thread, or only by the updated message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.incidents.incidents import Change, Incident
from bot.core.models import Person
from bot.core.subscriptions.subscriptions import Escalation, News, Style, Subscription


@dataclass(frozen=True, slots=True)
class Snooze:
    """A snoozed incident in one channel. ``until`` is None for "until it recovers"."""

    by: Person
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a channel's subscriptions together ask for about an incident."""

    news: frozenset[News]
    style: Style = Style.THREAD
    mention: str = ""


class Word(StrEnum):
    """The kinds of reply in an incident's thread; the values are stored."""

    CHANGED = "changed"
    RECOVERED = "recovered"
    GONE = "gone"
    SNOOZE_ENDED = "snooze_ended"
    UNANSWERED = "unanswered"
    """Whoever was on it, or was asked to be, didn't answer, so no one is any more."""
    ESCALATED = "escalated"
    """No one was on it for as long as the subscription says."""


@dataclass(frozen=True, slots=True)
class Bulletin:
    """A reply in an incident's thread: its kind, and the incident at that time.

    Stored in ``outbox`` as ``{"incident": {…}, "word": "changed", "broadcast": false}``; see `Incident`.
    """

    incident: Incident
    word: Word
    broadcast: bool = False
    """Also show it in the channel."""
    whom: str = ""
    """Whom an escalation mentions, or the channel that is told, by the ID."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """How one channel is notified: its message is always updated; ``bulletin`` is the reply in its thread, if any."""

    bulletin: Bulletin | None = None
    ends_snooze: bool = False


_WORDS = {Change.CHANGED: Word.CHANGED, Change.RECOVERED: Word.RECOVERED, Change.GONE: Word.GONE}


def wish_of(subscriptions: Iterable[Subscription], incident: Incident) -> Wish | None:
    """Combine what one channel's subscriptions ask for about an incident; None if they don't cover it.

    While the incident is open, its trouble decides. Its end concerns every channel that was notified of it, even if the
    trouble has changed in the meantime.
    """
    about = [one for one in subscriptions if one.paused is None and one.covers(incident.integration)]
    asked = [one for one in about if News(incident.trouble) in one.news] if incident.is_open else about
    if not asked:
        return None
    return Wish(
        news=frozenset(news for one in about for news in one.news),
        style=Style.BROADCAST if any(one.style is Style.BROADCAST for one in asked) else Style.THREAD,
        mention=next((one.mention for one in asked if one.mention), ""),
    )


def escalation_of(subscriptions: Iterable[Subscription], incident: Incident) -> Escalation | None:
    """Return the soonest escalation that one channel's subscriptions ask for about an open incident."""
    asked = [
        one.escalate
        for one in subscriptions
        if one.paused is None and one.escalate and one.covers(incident.integration)
        if News(incident.trouble) in one.news
    ]
    return min(asked, key=lambda one: one.after_s, default=None)


def escalates_at(incident: Incident, escalation: Escalation) -> datetime:
    """Return when an incident that no one is on is escalated."""
    since = max(incident.opened_at, incident.left_at or incident.opened_at)
    return since + timedelta(seconds=escalation.after_s)


def react(
    incident: Incident, change: Change, wish: Wish | None, snooze: Snooze | None, *, told_by_run: bool
) -> Reaction:
    """Decide how a channel that already has the incident's message is notified of a change.

    Args:
        incident: after the change.
        change: what happened.
        wish: what the channel asks for; None if it no longer covers the incident.
        snooze: the snooze, if any; only a different failure than the snoozed one breaks it.
        told_by_run: a resync's outcome reports the same in the same thread, though not who was on the incident.
    """
    word = _WORDS.get(change)
    if wish is None or word is None:
        return Reaction()
    if snooze and word is not Word.CHANGED:
        return Reaction()
    if word is not Word.CHANGED and News.RECOVERED not in wish.news:
        return Reaction()
    if told_by_run and not (word is Word.RECOVERED and incident.was_taken):
        return Reaction(ends_snooze=snooze is not None)
    broadcast = word is Word.CHANGED and wish.style is Style.BROADCAST
    return Reaction(Bulletin(incident, word, broadcast), ends_snooze=snooze is not None)
