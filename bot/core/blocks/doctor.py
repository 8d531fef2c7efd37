"""The doctor's findings, those that need attention first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.core.blocks import limits
from bot.core.blocks.elements import context, json_chars, section
from bot.core.blocks.phrases import need_attention
from bot.core.blocks.text import counted, date, shown
from bot.core.health.findings import Finding, Mark
from bot.core.models import Message

LINE_CHARS: Final = (260, 60)
"""How much of each finding is shown: the first if all fit that way, else the second."""
SHOWN: Final = 30
LINES_PER_SECTION: Final = 6

_TITLES: Final = {Mark.WRONG: "Needs attention", Mark.UNKNOWN: "Unknown", Mark.FINE: "Fine"}


def doctor_message(findings: Sequence[Finding], now: datetime) -> Message:
    """Show the findings, with fixes."""
    wrong = [one for one in findings if one.mark is Mark.WRONG]
    lead = f"Nothing needs attention ({counted(len(findings), 'check')})."
    if wrong:
        lead = f"{need_attention(len(wrong), len(findings), 'check')}."
    footer = context(f"As of {date(now)}, as seen by this process")
    for chars in LINE_CHARS:
        parts = [block for mark in _TITLES for block in _part(mark, findings, chars)]
        if json_chars(parts) < limits.BLOCKS_BUDGET_CHARS - 800:
            break
    return Message(lead, (section(f"*Doctor*: {lead}"), *parts, footer), only_for_one=True)


def _part(mark: Mark, findings: Sequence[Finding], chars: int) -> list[dict[str, object]]:
    lines = [f"{mark} {shown(one.text, chars)}" for one in findings[:SHOWN] if one.mark is mark]
    if not lines:
        return []
    parts = [lines[start : start + LINES_PER_SECTION] for start in range(0, len(lines), LINES_PER_SECTION)]
    first = [f"*{_TITLES[mark]}*", *parts[0]]
    return [section("\n".join(part)) for part in (first, *parts[1:])]
