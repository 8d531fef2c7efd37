"""What people type after ``audit``: an integration or a person, and how far back. Any text gets an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.core.typed import WRAPPING, plain

_SPAN: Final = re.compile(r"(\d+)(h|d|w)")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_ESCAPED_PERSON: Final = re.compile(r"<@([A-Z0-9]{2,30})(?:\|[^>]*)?>")
_PERSON_ID: Final = re.compile(r"@?([UW][A-Z0-9]{7,29})")

MOST_UNITS: Final = 9999
"""A longer span means as far back: nothing is kept for 9999 weeks, and a date cannot go back much further."""

ME: Final = "me"


@dataclass(frozen=True, slots=True)
class AuditWish:
    """Which part of the audit somebody wants to see: at most one of the first three is set."""

    person_id: str = ""
    person_name: str = ""
    """What stood after the @, where Slack did not put an id there; `ME` is whoever asks."""
    target: str = ""
    """An integration, in the words of the person."""
    within: timedelta | None = None


def parse_span(text: str) -> timedelta | None:
    """Read ``7d``, ``24h`` or ``2w``; None for anything else."""
    found = _SPAN.fullmatch(text.casefold())
    if not found:
        return None
    units = int(found[1]) if len(found[1]) <= len(str(MOST_UNITS)) else MOST_UNITS
    return units * _UNITS[found[2]]


def parse_audit(words: str) -> AuditWish:
    """Read what stands after ``audit``.

    With ``should_escape`` in its manifest, Slack writes a person as ``<@U123|name>``; without, ``@name`` comes as
    it was typed: https://docs.slack.dev/interactivity/implementing-slash-commands
    """
    within, rest = None, []
    for word in plain(words).split():
        span = parse_span(word.strip(WRAPPING))
        if span is not None:
            within = span
        else:
            rest.append(word)
    text = " ".join(rest)
    if escaped := _ESCAPED_PERSON.fullmatch(text):
        return AuditWish(person_id=escaped[1], within=within)
    text = text.strip(WRAPPING)
    if bare := _PERSON_ID.fullmatch(text):
        return AuditWish(person_id=bare[1], within=within)
    if text.startswith("@") and text != "@":
        return AuditWish(person_name=text[1:], within=within)
    return AuditWish(person_name=ME, within=within) if text.casefold() == ME else AuditWish(target=text, within=within)
