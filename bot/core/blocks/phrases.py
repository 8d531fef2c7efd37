"""Sentences that several parts of the bot say."""

from __future__ import annotations


def went_wrong(error_id: str, then: str = "") -> str:
    """Say that something failed unexpectedly. ``then`` says what that means for the person; the ID is in the log."""
    return f"Something went wrong on my end (error ID {error_id}). {then}".rstrip()
