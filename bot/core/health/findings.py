"""Findings: one line for each thing that was checked, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How a finding is shown."""

    FINE = "✓"
    WRONG = "✗"
    UNKNOWN = "?"
    """It couldn't be checked, which isn't necessarily a problem."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was checked, and how to fix it. It may hold untrusted text."""

    mark: Mark
    text: str

    @property
    def is_fine(self) -> bool:
        """Whether nothing needs to be done."""
        return self.mark is not Mark.WRONG

    def __str__(self) -> str:
        return f"{self.mark} {self.text}"


@dataclass(frozen=True, slots=True)
class Conversation:
    """What Slack says about a channel."""

    is_member: bool
    is_private: bool = False
    is_archived: bool = False
    is_direct: bool = False


def fine(text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Mark.FINE, text)


def wrong(text: str) -> Finding:
    """Return a finding that says what is wrong and how to fix it."""
    return Finding(Mark.WRONG, text)


def unknown(text: str) -> Finding:
    """Return a finding that says what couldn't be checked."""
    return Finding(Mark.UNKNOWN, text)
