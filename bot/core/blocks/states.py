"""The states of an integration in words, with an emoji beside them, and the order in which people need them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bot.core.advice import display_name, is_stale
from bot.core.blocks.text import listed, vendor_line
from bot.core.models import Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bot.core.models import Integration

UNKNOWN_STATUS_CHARS: Final = 24


@dataclass(frozen=True, slots=True)
class State:
    """How an integration is, as people read it. States of lower ``rank`` are shown first."""

    emoji: str
    words: str
    rank: int
    needs_attention: bool = False

    @property
    def label(self) -> str:
        """The state in words, with the emoji before them."""
        return f"{self.emoji} {self.words}"


_STATES: Final[dict[str, State]] = {
    Status.ERROR: State("❌", "failing", 0, needs_attention=True),
    Status.SYNCING: State("⏳", "syncing", 1),
    Status.DISCONNECTED: State("🔌", "disconnected", 2, needs_attention=True),
    Status.CONNECTED: State("✅", "connected", 3),
}


def state_of(status: str) -> State:
    """Return how a status is shown; a word that FloKit added since is shown as it is, escaped."""
    known = _STATES.get(status)
    return known or State("❔", vendor_line(status, UNKNOWN_STATUS_CHARS) or "unknown", 4)


def state_now(integration: Integration, now: datetime) -> State:
    """Return how an integration is shown, which includes being stale although it is connected."""
    state = state_of(integration.status)
    if integration.status == Status.CONNECTED and is_stale(integration, now):
        return replace(state, words=f"{state.words}, but stale")
    return state


def by_urgency(integration: Integration) -> tuple[int, str, str]:
    """Sort key: failing, syncing, disconnected, connected, unknown; then by name and id."""
    return state_of(integration.status).rank, display_name(integration.type), integration.id


def tally(integrations: Iterable[Integration]) -> str:
    """Count the states: "4 connected, 1 syncing"."""
    counts: dict[str, int] = {}
    for integration in sorted(integrations, key=by_urgency):
        words = state_of(integration.status).words
        counts[words] = counts.get(words, 0) + 1
    return listed(list(counts.items()), lambda item: f"{item[1]:,} {item[0]}")
