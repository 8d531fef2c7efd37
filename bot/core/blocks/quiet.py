"""What was held while it was quiet in a channel, and maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.core.blocks import limits, phrases
from bot.core.blocks.elements import Block, actions, button, context, json_chars, section, sentence
from bot.core.blocks.names import short_name
from bot.core.blocks.text import counted, date, duration, person_name, shown
from bot.core.commands.presses import Action, Press
from bot.core.incidents.incidents import Incident
from bot.core.incidents.quiet import Maintenance
from bot.core.models import Message, Person
from bot.core.nicknames import NO_NICKNAMES, Nicknames

LISTED: Final = 20
LIST_CHARS: Final = limits.BLOCKS_BUDGET_CHARS - 1000
NAME_CHARS: Final = 120
ERROR_CHARS: Final = 120


def summary_message(held: Sequence[Incident], now: datetime, nicknames: Nicknames = NO_NICKNAMES) -> Message:
    """Tell a channel at once what happened while it was quiet there, what isn't over first."""
    groups: dict[str, list[Incident]] = {}
    for incident in held:
        groups.setdefault(incident.integration.id, []).append(incident)
    still = sum(any(one.is_open for one in group) for group in groups.values())
    lead = f"🌙 While it was quiet here: {counted(len(held), 'incident')} of {counted(len(groups), 'integration')}"
    ended = f"all of them are over, since {date(max(one.closed_at or now for one in held))}" if held else ""
    state = f"{still:,} still {'needs' if still == 1 else 'need'} attention" if still else ended
    ordered = sorted(groups.values(), key=lambda group: (not any(one.is_open for one in group), group[0].opened_at))
    rows = [section(_line(group, now, nicknames)) for group in ordered[:LISTED]]
    while json_chars(rows) > LIST_CHARS:
        rows.pop()
    more = phrases.and_more(len(groups) - len(rows))
    hint = [context("What still needs attention has a message of its own.")] if still else []
    return Message(f"{lead}; {state}.", (section(f"*{lead}*; {state}."), *rows, *map(context, more), *hint))


def _line(group: Sequence[Incident], now: datetime, nicknames: Nicknames) -> str:
    """Describe the incidents of one integration, the newest first."""
    last = max(group, key=lambda one: (one.is_open, one.opened_at))
    name = short_name(last.integration.id, last.integration.type, nicknames)
    words = phrases.TROUBLES[last.trouble]
    lasted = duration(max(0.0, ((last.closed_at or now) - last.opened_at).total_seconds()))
    times = f" · {counted(len(group), 'incident')}" if len(group) > 1 else ""
    error = shown(last.failure.error_message or "", ERROR_CHARS)
    quote = f"\n{error}" if error else ""
    if last.is_open:
        state = words.now.replace("is ", "has been ", 1)
        return f"{words.emoji} {name.mrkdwn} {state} since {date(last.opened_at)}, for {lasted}{times}{quote}"
    if last.gone:
        return f"❔ {name.mrkdwn} was removed from FloKit {date(last.closed_at or now)}{times}"
    was = words.now.replace("is ", "was ", 1)
    begin, end = date(last.opened_at), date(last.closed_at or now)
    return f"✅ {name.mrkdwn} {was} from {begin} to {end} ({lasted}){phrases.repaired_by(last)}{times}{quote}"


def maintenance_message(maintenance: Maintenance, name: str, now: datetime) -> Message:
    """Say in the channel that an integration is worked on, and what that means."""
    begins = "" if maintenance.begins_at <= now else f" from {date(maintenance.begins_at)}"
    lead = f"🛠️ {person_name(maintenance.by)} set maintenance of {shown(name, NAME_CHARS)}{begins}"
    lead = f"{lead} until {date(maintenance.until)}."
    hint = "Until then, I don't post about its incidents; a summary follows. Syncs work as usual."
    return Message(f"{lead} {hint}", (section(lead), context(hint), *actions(end_button(maintenance, name))))


def maintenance_ended_message(by: Person, names: Sequence[str]) -> Message:
    """Say in the channel that maintenance is over."""
    what = ", ".join(shown(name, NAME_CHARS) for name in names[:LISTED])
    return sentence(f"✅ {person_name(by)} ended the maintenance of {what}. What was held is posted now.")


def maintenances_message(rows: Sequence[tuple[Maintenance, str]], now: datetime, *, command: str) -> Message:
    """List the maintenance windows, each with a button that ends it."""
    example = phrases.typed(command, "maintenance warehouse until 06:00")
    if not rows:
        return sentence(f"Nothing is in maintenance. To hold incidents back while you work on one: {example}")
    lead = f"{counted(len(rows), 'maintenance window')}:"
    drawn: list[Block] = []
    for maintenance, name in rows[:LISTED]:
        drawn.append(section(maintenance_line(maintenance, name, now), end_button(maintenance, name)))
    more = phrases.and_more(len(rows) - len(drawn))
    return Message(lead, (section(lead), *drawn, *map(context, more)))


def maintenance_line(maintenance: Maintenance, name: str, now: datetime) -> str:
    """Describe a maintenance window in a line."""
    begins = "" if maintenance.begins_at <= now else f"from {date(maintenance.begins_at)} "
    return f"🛠️ *{shown(name, NAME_CHARS)}* {begins}until {date(maintenance.until)}, by {person_name(maintenance.by)}"


def end_button(maintenance: Maintenance, name: str = "") -> Block:
    """The button that ends a maintenance window."""
    return button("End maintenance", Press(Action.END_MAINTENANCE, choice=maintenance.id), about=name)
