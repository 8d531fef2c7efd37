"""An incident in a channel: its one message, edited for as long as it lasts, and the few replies in its thread."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bot.core.advice import RECONNECT, display_name
from bot.core.blocks.elements import (
    Block,
    actions,
    button,
    checks,
    context,
    details_button,
    press_select,
    quoted,
    resync_button,
    section,
)
from bot.core.blocks.names import ID_SHOWN, Name
from bot.core.blocks.runs import row_line
from bot.core.blocks.states import last_success
from bot.core.blocks.text import (
    clip,
    code,
    counted,
    date,
    duration,
    escape,
    mention_group,
    one_line,
    person_name,
    vendor_line,
)
from bot.core.commands.presses import Action, Press
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.incidents.reactions import Bulletin, Snooze, Word
from bot.core.models import Message, Status
from bot.core.panels import Panel, RowRun

ERROR_CHARS: Final = 500
ERROR_IN_TEXT_CHARS: Final = 150
CHECKS_SHOWN: Final = 3
STATUS_CHARS: Final = 24

SNOOZES: Final = {
    "1h": "for 1 hour",
    "4h": "for 4 hours",
    "tomorrow": "until tomorrow 9:00",
    "recovered": "until it recovers",
}
"""The choices of the Snooze menu; the keys stand in its values."""

_SIGNS: Final = {
    Trouble.FAILING: ("❌", "is failing"),
    Trouble.DISCONNECTED: ("🔌", "is disconnected"),
    Trouble.STALE: ("🕰️", "is connected, but stale"),
}

_SINCE: Final = {Trouble.FAILING: "Failing", Trouble.DISCONNECTED: "Disconnected", Trouble.STALE: "Stale"}


def trouble_words(trouble: Trouble) -> tuple[str, str]:
    """Return the emoji of a trouble, and what an integration is that has it."""
    return _SIGNS[trouble]


def incident_message(panel: Panel, runs: Mapping[str, RowRun]) -> Message:
    """Show how an incident stands in one channel."""
    incident = panel.incident
    if incident is None:
        text = "I no longer have this incident on record."
        return Message(text, (section(text),))
    name = Name(display_name(incident.integration.type))
    if not incident.is_open:
        return _over(incident, name)
    emoji, words = _head(incident)
    run = runs.get(incident.integration.id)
    run_line = row_line(run, panel.as_of) if run else ""
    lines = [f"{emoji} {name.mrkdwn} {words}", _now(incident), _since(incident), run_line]
    whom = f"{mention_group(panel.mention)} " if panel.mention else ""
    blocks = [
        section(f"{whom}{chr(10).join(line for line in lines if line)}"),
        *quoted(incident.failure.error_message or "", ERROR_CHARS),
        *_advice(incident),
        context(_about(incident, panel.snooze)),
        *_buttons(panel, incident, name),
    ]
    return Message(f"{whom}{emoji} {name.text} {words}. {_in_short(incident)}", tuple(blocks))


def bulletin_message(bulletin: Bulletin, now: datetime) -> Message:
    """Say one thing in the thread of an incident."""
    incident = bulletin.incident
    name = Name(display_name(incident.integration.type))
    emoji, words = _SIGNS[incident.trouble]
    match bulletin.word:
        case Word.RECOVERED | Word.GONE:
            headline, quote = _ending(incident, name), ""
        case Word.SNOOZE_ENDED:
            headline, quote = f"⏰ Snooze ended: {name.mrkdwn} {_by_now(incident, now)}", ""
        case Word.CHANGED:
            headline = f"{emoji} {name.mrkdwn} {words} now with a different error"
            quote = incident.failure.error_message or ""
    text = headline.replace("*", "")
    return Message(
        f"{text}. {_in_short(incident) if quote else ''}".strip(),
        (section(headline), *quoted(quote, ERROR_CHARS)),
        broadcast=bulletin.broadcast,
    )


def _over(incident: Incident, name: Name) -> Message:
    headline = _ending(incident, name)
    closed_at = incident.closed_at or incident.seen_at
    _, words = _SIGNS[incident.trouble]
    was = f"It {words.replace('is ', 'was ', 1)} from {date(incident.opened_at)} to {date(closed_at)}"
    error = clip(one_line(incident.failure.error_message or ""), ERROR_IN_TEXT_CHARS)
    blocks = (
        section(headline),
        *quoted(error, ERROR_CHARS),
        context(f"{was}{_count(incident)} · {code(incident.integration.id, ID_SHOWN)}"),
    )
    return Message(f"{headline.replace('*', '')}.", blocks)


def _ending(incident: Incident, name: Name) -> str:
    closed_at = incident.closed_at or incident.seen_at
    lasted = duration((closed_at - incident.opened_at).total_seconds())
    if incident.gone:
        return f"❔ {name.mrkdwn} was removed from FloKit {lasted} into the incident"
    if incident.flapping:
        return f"✅ {name.mrkdwn} is stable again ({lasted} after the first failure)"
    by = f", resync by {person_name(incident.repaired_by)}" if incident.repaired_by else ""
    return f"✅ {name.mrkdwn} recovered after {lasted}{by}"


def _since(incident: Incident) -> str:
    return f"{_SINCE[incident.trouble]} since {date(incident.opened_at)} · {last_success(incident.failure)}"


def _head(incident: Incident) -> tuple[str, str]:
    """Return the emoji and the words for how an open incident stands."""
    if incident.flapping:
        return "🔁", f"is flapping: {counted(incident.opens, 'failure')} in a short time"
    if incident.quiet_since:
        return "🟡", "looks healthy again; waiting for a successful sync to confirm"
    return _SIGNS[incident.trouble]


def _now(incident: Incident) -> str:
    """Say what is so at this moment; "" while the trouble simply lasts."""
    if incident.flapping:
        _, words = _SIGNS[incident.trouble]
        fine = f"Fine since {date(incident.quiet_since)}" if incident.quiet_since else f"Right now it {words}"
        return f"{fine}. I'll keep updating this message until it's stable"
    if incident.quiet_since:
        status = vendor_line(incident.integration.status, STATUS_CHARS)
        return f"FloKit shows it as {status}; a successful sync will confirm it"
    return "⏳ A sync is running" if incident.integration.status == Status.SYNCING else ""


def _by_now(incident: Incident, now: datetime) -> str:
    _, words = _head(incident)
    if incident.flapping or incident.quiet_since:
        return words
    lasted = duration((now - incident.opened_at).total_seconds())
    return f"{words.replace('is ', 'has been ', 1)} for {lasted}"


def _count(incident: Incident) -> str:
    return f" · failed {counted(incident.repeats + 1, 'time')}" if incident.repeats else ""


def _about(incident: Incident, snooze: Snooze | None) -> str:
    parts = [f"Last change {date(incident.seen_at)}{_count(incident)}", code(incident.integration.id, ID_SHOWN)]
    if snooze:
        until = f"until {date(snooze.until)}" if snooze.until else "until it recovers"
        parts.append(f"💤 snoozed by {person_name(snooze.by)} {until}: a different error will still be posted")
    return " · ".join(parts)


def _advice(incident: Incident) -> list[Block]:
    if incident.trouble is Trouble.DISCONNECTED:
        return [section(f"Reconnect it in {RECONNECT}; a resync alone won't fix it.")]
    return [checks(incident.integration.type, CHECKS_SHOWN)]


def _in_short(incident: Incident) -> str:
    """Say in a notification what a reader would look for first."""
    error = escape(clip(one_line(incident.failure.error_message or ""), ERROR_IN_TEXT_CHARS))
    return " ".join(part for part in (error, f"({escape(clip(one_line(incident.integration.id), ID_SHOWN))})") if part)


def _buttons(panel: Panel, incident: Incident, name: Name) -> list[Block]:
    integration = incident.integration
    if panel.snooze:
        quiet = button("End snooze", Press(Action.END_SNOOZE, panel_id=panel.id))
    else:
        choices = {text: Press(Action.SNOOZE, panel_id=panel.id, choice=choice) for choice, text in SNOOZES.items()}
        quiet = press_select("Snooze …", choices)
    return actions(resync_button(integration, name, panel.id), details_button(integration, name), quiet)
