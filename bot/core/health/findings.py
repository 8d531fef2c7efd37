"""Findings: one line each of what was looked at, and what to do when it is not right."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How a finding is shown."""

    FINE = "✓"
    WRONG = "✗"
    UNKNOWN = "?"
    """It could not be found out, which is no fault by itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, and what to do when it is not right. It may hold untrusted text."""

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
    """What Slack says of a channel to the bot."""

    is_member: bool
    is_private: bool = False
    is_archived: bool = False
    is_direct: bool = False


def fine(text: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(Mark.FINE, text)


def wrong(text: str) -> Finding:
    """Say what is not as it should be, and what to do."""
    return Finding(Mark.WRONG, text)


def unknown(text: str) -> Finding:
    """Say what could not be found out."""
    return Finding(Mark.UNKNOWN, text)
