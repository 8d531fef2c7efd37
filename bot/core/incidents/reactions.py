"""How a change of an incident is told in one channel: what is said in its thread, and what only its message shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.incidents.incidents import Change, Incident
from bot.core.models import Person
from bot.core.subscriptions.subscriptions import News, Style, Subscription


@dataclass(frozen=True, slots=True)
class Snooze:
    """Somebody wants quiet about an incident, in one channel. ``until`` is None for "until it recovers"."""

    by: Person
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a channel's subscriptions together want of an incident."""

    news: frozenset[News]
    style: Style = Style.THREAD
    mention: str = ""


class Word(StrEnum):
    """What a reply in an incident's thread says; the words are stored."""

    CHANGED = "changed"
    RECOVERED = "recovered"
    GONE = "gone"
    SNOOZE_ENDED = "snooze_ended"


@dataclass(frozen=True, slots=True)
class Bulletin:
    """A reply in an incident's thread: the incident as it was then, and what is said of it."""

    incident: Incident
    word: Word
    broadcast: bool = False
    """Show it in the channel, too."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one channel is told: its message is redrawn in any case, ``bulletin`` is what its thread says."""

    bulletin: Bulletin | None = None
    ends_snooze: bool = False


_WORDS = {Change.CHANGED: Word.CHANGED, Change.RECOVERED: Word.RECOVERED, Change.GONE: Word.GONE}


def wish_of(subscriptions: Iterable[Subscription], incident: Incident) -> Wish | None:
    """Put together what the subscriptions of one channel want of an incident; None when it is not their business.

    Which trouble it is decides while the incident is open. How it ended concerns whoever was told of it, although the
    trouble may have become another one meanwhile.
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


def react(
    incident: Incident, change: Change, wish: Wish | None, snooze: Snooze | None, *, told_by_run: bool
) -> Reaction:
    """Decide what a channel whose message stands already is told of a change.

    Args:
        incident: as it is after the change.
        change: what happened.
        wish: what the channel wants; None when it no longer asks for this.
        snooze: who wants quiet, if anybody does: only another failure than the one that was snoozed breaks it.
        told_by_run: the outcome of a resync says the same in the same thread.
    """
    word = _WORDS.get(change)
    if wish is None or word is None:
        return Reaction()
    if snooze and word is not Word.CHANGED:
        return Reaction()
    if word is not Word.CHANGED and News.RECOVERED not in wish.news:
        return Reaction()
    if told_by_run:
        return Reaction(ends_snooze=snooze is not None)
    broadcast = word is Word.CHANGED and wish.style is Style.BROADCAST
    return Reaction(Bulletin(incident, word, broadcast), ends_snooze=snooze is not None)
