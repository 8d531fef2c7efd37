"""The open incidents: since when, who is on each, and what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.blocks import phrases
from bot.core.blocks.elements import Block, context, section, sentence
from bot.core.blocks.history import OUTCOMES
from bot.core.blocks.names import ID_SHOWN, short_name
from bot.core.blocks.runs import nothing_started
from bot.core.blocks.taking import on_it_words, take_button
from bot.core.blocks.text import code, counted, date, duration, person_name, shown
from bot.core.blocks.tickets import ticket_line
from bot.core.incidents.incidents import Incident
from bot.core.models import Message, SyncRun
from bot.core.nicknames import NO_NICKNAMES, Nicknames

SHOWN: Final = 8
RUNS_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Tried:
    """An open incident, and the syncs of its integration that were started here since then, newest first."""

    incident: Incident
    runs: tuple[SyncRun, ...] = ()


def incidents_message(
    tried: Sequence[Tried],
    now: datetime,
    nicknames: Nicknames = NO_NICKNAMES,
    *,
    query: str = "",
    hidden: int = 0,
    command: str = "/flokit",
) -> Message:
    """List open incidents, oldest first.

    Args:
        tried: the first ones, at most `SHOWN`.
        now: the time.
        nicknames: what the integrations are called.
        query: the filter (untrusted).
        hidden: how many more there are.
        command: the slash command.
    """
    asked = phrases.typed(command, f"incidents {query}")
    if not tried:
        return sentence(f"{asked}: no open incidents{' that match' if query else ''}.", only_for_one=True)
    total = len(tried) + hidden
    untaken = sum(not one.incident.was_taken for one in tried)
    lead = f"{counted(total, 'open incident')}, oldest first" if total > 1 else "1 open incident"
    open_ = f"{lead}; no one is on {'it' if total == 1 else f'{untaken:,} of them'}" if untaken else lead
    more = phrases.and_more(hidden, f"filter them, such as {phrases.typed(command, 'incidents stripe')}")
    first = short_name(tried[0].incident.integration.id, tried[0].incident.integration.type, nicknames)
    text = f"{open_}. {'Oldest: ' if total > 1 else ''}{first.text} {_state(tried[0].incident, now)}."
    rows = [_row(one, now, nicknames) for one in tried]
    return Message(text, (section(f"*{open_}*"), *rows, *map(context, more)), only_for_one=True)


def _row(tried: Tried, now: datetime, nicknames: Nicknames) -> Block:
    incident = tried.incident
    name = short_name(incident.integration.id, incident.integration.type, nicknames)
    emoji = phrases.TROUBLES[incident.trouble].emoji
    error = shown(incident.failure.error_message or "", phrases.ERROR_IN_LINE)
    lines = (
        f"{emoji} {name.mrkdwn} {_state(incident, now)} · {code(incident.integration.id, ID_SHOWN)}",
        error,
        on_it_words(incident.on_it) or "No one is on it",
        ticket_line(incident),
        _tried(tried.runs),
    )
    return section("\n".join(line for line in lines if line), take_button(incident, name))


def _state(incident: Incident, now: datetime) -> str:
    state = phrases.TROUBLES[incident.trouble].now.replace("is ", "has been ", 1)
    quiet = ", and looks healthy again" if incident.quiet_since else ""
    lasted = duration((now - incident.opened_at).total_seconds())
    return f"{state} since {date(incident.opened_at)} ({lasted}){quiet}"


def _tried(runs: Sequence[SyncRun]) -> str:
    if not runs:
        return "No resync from Slack so far"
    said = "; ".join(_run(run) for run in runs[:RUNS_SHOWN])
    earlier = f"; and {len(runs) - RUNS_SHOWN:,} earlier" if len(runs) > RUNS_SHOWN else ""
    return f"Tried: {said}{earlier}"


def _run(run: SyncRun) -> str:
    if run.outcome is None:
        came = "is running"
    else:
        came = "was never started" if nothing_started(run) else OUTCOMES[run.outcome][1]
    return f"the resync by {person_name(run.requested_by)}, {date(run.requested_at)}, {came}"
