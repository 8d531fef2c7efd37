"""The labels and emoji for the states of an integration, and their order by urgency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from bot.core.advice import display_name, is_stale
from bot.core.blocks.text import counted, date, listed, vendor_line
from bot.core.models import UNKNOWN, Integration, Status

UNKNOWN_STATUS_CHARS: Final = 24


@dataclass(frozen=True, slots=True)
class State:
    """A state as shown to people. Those of lower ``rank`` are shown first."""

    emoji: str
    words: str
    rank: int
    needs_attention: bool = False
    is_known: bool = True
    """Whether FloKit documents the status."""

    @property
    def label(self) -> str:
        """The emoji and the label."""
        return f"{self.emoji} {self.words}"


_STATES: Final[dict[str, State]] = {
    Status.ERROR: State("❌", "failing", 0, needs_attention=True),
    Status.SYNCING: State("⏳", "syncing", 1),
    Status.DISCONNECTED: State("🔌", "disconnected", 2, needs_attention=True),
    Status.CONNECTED: State("✅", "connected", 4),
}


UNKNOWN_STATE: Final = "in a state I don't know"


def state_of(status: str) -> State:
    """Return how a status is shown; an undocumented one is quoted and escaped, and never counts as healthy."""
    if known := _STATES.get(status):
        return known
    word = vendor_line(status, UNKNOWN_STATUS_CHARS)
    said = f" (“{word}”)" if word and status != UNKNOWN else ""
    return State("❔", f"{UNKNOWN_STATE}{said}", 3, is_known=False)


def in_unknown_state(unknown: int, of: int, matching: str = "") -> str:
    """Say how many are in an unknown state, as the beginning of a sentence."""
    return f"{unknown:,} of {counted(of, 'integration')}{matching} {'is' if unknown == 1 else 'are'} {UNKNOWN_STATE}"


def last_success(integration: Integration) -> str:
    """Say when an integration last synced, as part of a sentence."""
    if integration.last_synced_at:
        return f"last successful sync {date(integration.last_synced_at)}"
    return "last successful sync at a time I can't read" if integration.unreadable_time else "never synced"


def count_unknown(integrations: Iterable[Integration]) -> int:
    """Count the integrations in an unknown state."""
    return sum(not state_of(one.status).is_known for one in integrations)


def state_now(integration: Integration, now: datetime) -> State:
    """Return how an integration is shown, which may be stale even if it's connected."""
    state = state_of(integration.status)
    if integration.status == Status.CONNECTED and is_stale(integration, now):
        return replace(state, words=f"{state.words}, but stale")
    return state


def by_urgency(integration: Integration) -> tuple[int, str, str]:
    """Sort key: failing, syncing, disconnected, unknown, connected; then by name and ID."""
    return state_of(integration.status).rank, display_name(integration.type), integration.id


def tally(integrations: Iterable[Integration]) -> str:
    """Count the states: "4 connected, 1 syncing"."""
    counts: dict[str, int] = {}
    for integration in sorted(integrations, key=by_urgency):
        state = state_of(integration.status)
        words = state.words if state.is_known else UNKNOWN_STATE
        counts[words] = counts.get(words, 0) + 1
    return listed(list(counts.items()), lambda item: f"{item[1]:,} {item[0]}")
