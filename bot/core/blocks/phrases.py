"""Phrases shared by several messages, and how much of FloKit's error texts each message shows."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple, Protocol

from bot.core.advice import API_KEYS, RECONNECT
from bot.core.blocks.text import code, counted, date, duration, person_name, vendor_line
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.incidents.reactions import Snooze
from bot.core.subscriptions.digest_time import next_digest_at
from bot.core.subscriptions.subscriptions import Subscription
from bot.core.subscriptions.text import PAUSED
from bot.core.volumes.volume import CELL, Shortfall

ERROR_IN_LINE: Final = 150
ERROR_IN_TEXT: Final = 200
"""In a message's ``text``, which notifications show."""
ERROR_IN_ROW: Final = 300
ERROR_IN_INCIDENT: Final = 500
ERROR_IN_OUTCOME: Final = 1000
ERROR_IN_DETAILS: Final = 1500

COMMAND_CHARS: Final = 80
REASON_CHARS: Final = 100

RECONNECT_IT: Final = f"Reconnect it in {RECONNECT}; a resync alone won't fix it."
SET_A_NEW_KEY: Final = f"was rotated or lacks permissions. Ask whoever connected FloKit to set a new one ({API_KEYS})."
JOINED_RUNNING: Final = "A sync was already running when you clicked"
MAY_BE_ITS_OWN: Final = "FloKit never confirmed my request, so this may have been a sync of its own."
"""Its answer to the request was lost, and it doesn't show who started a sync."""


class _Words(NamedTuple):
    emoji: str
    state: str
    past: str
    now: str


TROUBLES: Final = {
    Trouble.FAILING: _Words("❌", "failing", "failed", "is failing"),
    Trouble.DISCONNECTED: _Words("🔌", "disconnected", "was disconnected", "is disconnected"),
    Trouble.STALE: _Words("🕰️", "stale", "was stale", "is connected, but stale"),
    Trouble.EMPTY: _Words("📭", "empty", "was empty", "is connected, but empty"),
}


EMPTY_READINGS: Final = (
    "Its syncs succeed, so either the source had none, or FloKit asks it for the wrong data. Compare FloKit → Data → "
    "Events with the source, and check in FloKit → Data → Identity that its user IDs match yours."
)


def few_events(shortfall: Shortfall) -> str:
    """Say how few events came, and how many were to be expected."""
    got = counted(shortfall.got, "event") if shortfall.got else "no events"
    within = _hours(shortfall.within_s)
    if not shortfall.cells:
        return f"FloKit counts {got} in the last {within}; you expect {shortfall.least:,} a day"
    stretch = _hours(shortfall.cells * CELL.total_seconds())
    return f"FloKit counts {got} in the last {within}; until then, any {stretch} brought at least {shortfall.least:,}"


def _hours(seconds: float) -> str:
    """Return a time in hours, or in days if it's several."""
    return f"{seconds / 3600:.0f} h" if seconds < 3 * 86_400 else duration(seconds)


class _Known(Protocol):
    """Data from FloKit, and how old it is."""

    @property
    def as_of(self) -> datetime: ...
    @property
    def stale_reason(self) -> str: ...


def stale_words(known: _Known) -> str:
    """Say that older data is shown, and why; "" if the data is current."""
    if not known.stale_reason:
        return ""
    reason = vendor_line(known.stale_reason.rstrip("."), REASON_CHARS)
    return f"FloKit can't be reached ({reason}); showing data from {date(known.as_of)}"


def typed(command: str, words: str = "") -> str:
    """Return a command to type, as code; without ``words``, only the slash command."""
    return code(f"{command} {words}".strip(), COMMAND_CHARS)


def and_more(hidden: int, how: str = "") -> list[str]:
    """Say how many items aren't shown and how to see them, as one line; no line if all are shown."""
    return [f"and {hidden:,} more{how and f': {how}'}"] if hidden > 0 else []


def need_attention(count: int, total: int, thing: str, matching: str = "") -> str:
    """Return "1 of 5 integrations needs attention", with ``matching`` after the noun."""
    return f"{count:,} of {counted(total, thing)}{matching} {'needs' if count == 1 else 'need'} attention"


def closest(matches: list[str]) -> str:
    """List the closest matches as a sentence to append; "" without any."""
    return f" Closest matches: {' · '.join(matches)}." if matches else ""


def went_wrong(error_id: str, then: str = "", *, while_: str = "") -> str:
    """Report an unexpected error. ``then`` says what that means for the person; the ID is in the log."""
    return f"Something went wrong on my end{while_ and f' while {while_}'} (error ID {error_id}). {then}".rstrip()


def lower_first(text: str) -> str:
    """Lowercase the first letter, to use a sentence within another."""
    return text[:1].lower() + text[1:]


def until(snooze: Snooze) -> str:
    """Say how long a snooze lasts."""
    return f"until {date(snooze.until)}" if snooze.until else "until it recovers"


def repaired_by(incident: Incident) -> str:
    """Name the person whose resync ended an incident, as the end of a sentence; "" if it wasn't a resync."""
    return f", resync by {person_name(incident.repaired_by)}" if incident.repaired_by else ""


def what_comes(subscription: Subscription, now: datetime) -> list[str]:
    """Say that a subscription is paused or when its next digest is due, as one line; no line if neither."""
    if subscription.paused:
        return [f"⏸️ paused: {PAUSED[subscription.paused]}"]
    return [f"next digest {date(next_digest_at(subscription.digest, now))}"] if subscription.digest else []
