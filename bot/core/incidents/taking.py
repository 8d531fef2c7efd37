"""Who is on an incident: someone said so, or was asked to and hasn't answered yet.

    who is on it      a click                           and then
    ───────────────   ───────────────────────────────   ─────────────────────────────────────────────────────────
    no one            I'm on it                         they are on it
    ana               I'm on it, by ana                 nothing: she already is; or, if she was asked, still is
    ana               Take over, by ben                 ben is on it, and ana is told
    ana               I'm on it, by ben, who didn't     nothing: ben is told that ana was first
                      see that ana is
    ana               Let go                            no one
    ana               Hand over to ben                  ben is asked; no one is on it until he says so
    ben is asked      I'm on it, by ben                 ben is on it, and whoever asked is told
    ben is asked      Let go, by ben                    no one, and whoever asked is told

A button knows which turn it was drawn for, so two clicks at once have one winner. Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.models import Person


@dataclass(frozen=True, slots=True)
class OnIt:
    """Who is on an incident, since when. ``asked_by`` is set until a person who was asked says so themselves.

    ``said_at`` is when they last said that they still are, and ``reminded_at`` when they were asked that since.
    ``panel_id`` is the message whose button was pressed, "" in App Home.
    """

    person: Person
    since: datetime
    asked_by: Person | None = None
    said_at: datetime | None = None
    reminded_at: datetime | None = None
    panel_id: str = ""

    @property
    def is_asked(self) -> bool:
        """Whether they were asked and haven't answered, so that no one is on it yet."""
        return self.asked_by is not None


@dataclass(frozen=True, slots=True)
class Attention:
    """How long someone is on an incident before they're asked whether they still are.

    Without an answer within ``answer_s``, no one is anymore. Someone who was asked to be is reminded after that time.
    """

    remind_s: float = 4 * 3600.0
    answer_s: float = 3600.0

    def due_at(self, on_it: OnIt) -> datetime:
        """Return when someone is to be reminded or, if they were, when they no longer count."""
        if on_it.reminded_at:
            return on_it.reminded_at + timedelta(seconds=self.answer_s)
        after_s = self.answer_s if on_it.is_asked else self.remind_s
        return (on_it.said_at or on_it.since) + timedelta(seconds=after_s)


class Step(StrEnum):
    """What someone wants to change about who is on an incident."""

    TAKE = "take"
    LET_GO = "let_go"
    HAND_OVER = "hand_over"


class Refusal(StrEnum):
    """Why a step changes nothing."""

    ALREADY_YOURS = "already_yours"
    ALREADY_ASKED = "already_asked"
    """The person to ask already is on it, or was asked already."""
    TOO_LATE = "too_late"
    """Someone else is on it, and the click was made before that was shown."""
    NO_ONE = "no_one"
    """No one is on it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A step that someone takes. ``number`` is the turn that their button was drawn for; ``to`` is whom they ask."""

    step: Step
    by: Person
    number: int
    to: Person | None = None


def take_turn(on_it: OnIt | None, number: int, turn: Turn, now: datetime) -> OnIt | Refusal | None:
    """Decide who is on an incident after a step.

    Args:
        on_it: who is on it now.
        number: how often that has changed so far.
        turn: the step.
        now: the time.
    """
    is_current = turn.number == number
    is_own = on_it is not None and on_it.person.id == turn.by.id
    match turn.step:
        case Step.TAKE:
            return _take(on_it, turn, now, is_current=is_current, is_own=is_own)
        case Step.LET_GO:
            if on_it is None:
                return Refusal.NO_ONE
            return None if is_own or is_current else Refusal.TOO_LATE
        case Step.HAND_OVER:
            return _hand_over(on_it, turn, now, is_allowed=is_own or is_current)


def _take(on_it: OnIt | None, turn: Turn, now: datetime, *, is_current: bool, is_own: bool) -> OnIt | Refusal:
    if on_it is not None and is_own and not on_it.is_asked:
        return replace(on_it, said_at=now, reminded_at=None) if on_it.reminded_at else Refusal.ALREADY_YOURS
    if on_it is not None and not (is_own or is_current):
        return Refusal.TOO_LATE
    return OnIt(turn.by, now)


def _hand_over(on_it: OnIt | None, turn: Turn, now: datetime, *, is_allowed: bool) -> OnIt | Refusal:
    if not is_allowed:
        return Refusal.TOO_LATE if on_it else Refusal.NO_ONE
    if turn.to is None:
        return Refusal.NO_ONE
    if on_it is not None and on_it.person.id == turn.to.id:
        return Refusal.ALREADY_ASKED
    return OnIt(turn.to, now, asked_by=None if turn.to.id == turn.by.id else turn.by)
