"""An incident in a channel: its message, updated while it lasts, and the replies in its thread."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bot.core.blocks import phrases
from bot.core.blocks.elements import (
    Block,
    actions,
    button,
    checks,
    context,
    details_button,
    link_line,
    press_select,
    quoted,
    resync_button,
    section,
    sentence,
    sync_buttons,
)
from bot.core.blocks.names import ID_SHOWN, Name, short_name
from bot.core.blocks.runs import row_line
from bot.core.blocks.states import last_success
from bot.core.blocks.taking import on_it_words, take_button, taken_buttons, unanswered_words, was_on_it
from bot.core.blocks.text import (
    channel,
    clip,
    code,
    counted,
    date,
    duration,
    mention_group,
    mention_owner,
    one_line,
    person_name,
    shown,
    vendor_line,
)
from bot.core.blocks.tickets import ticket_buttons, ticket_line
from bot.core.commands.presses import Action, Press
from bot.core.incidents.incidents import Incident, Trouble
from bot.core.incidents.reactions import Bulletin, Snooze, Word
from bot.core.models import Message, Status
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.panels import Panel, RowRun

CHECKS_SHOWN: Final = 3
STATUS_CHARS: Final = 24

SNOOZES: Final = {
    "1h": "for 1 hour",
    "4h": "for 4 hours",
    "tomorrow": "until tomorrow 9:00",
    "recovered": "until it recovers",
}
"""The choices of the Snooze menu, by the keys in the values that Slack sends back."""


def incident_message(
    panel: Panel, runs: Mapping[str, RowRun], nicknames: Nicknames = NO_NICKNAMES, *, ticket: str = ""
) -> Message:
    """Show an incident in one channel; ``ticket`` is the template of the address at which one is opened.

    It mentions whom the subscription asks for, and the integration's owner.
    """
    incident = panel.incident
    if incident is None:
        return sentence("I no longer have this incident on record.")
    name = short_name(incident.integration.id, incident.integration.type, nicknames)
    if not incident.is_open:
        return _over(incident, name)
    emoji, words = _head(incident)
    run = runs.get(incident.integration.id)
    run_line = row_line(run, panel.as_of) if run else ""
    on_it, ticket_link = on_it_words(incident.on_it), ticket_line(incident)
    lines = [f"{emoji} {name.mrkdwn} {words}", _now(incident), _since(incident), on_it, ticket_link, run_line]
    nickname = nicknames.of(incident.integration.id)
    whom = "".join(f"{one} " for one in (mention_group(panel.mention), mention_owner(nickname.owner)) if one)
    blocks = [
        section(f"{whom}{chr(10).join(line for line in lines if line)}"),
        *quoted(incident.failure.error_message or "", phrases.ERROR_IN_INCIDENT),
        *_advice(incident, nickname.link),
        context(_about(incident, panel.snooze, panel.escalated_at)),
        *_buttons(panel, incident, name, ticket),
    ]
    taken = f"{on_it_words(incident.on_it)}. " if incident.on_it else ""
    return Message(f"{whom}{emoji} {name.text} {words}. {taken}{_in_short(incident)}", tuple(blocks))


def bulletin_message(bulletin: Bulletin, now: datetime, nicknames: Nicknames = NO_NICKNAMES) -> Message:
    """Return a reply in the thread of an incident."""
    incident = bulletin.incident
    name = short_name(incident.integration.id, incident.integration.type, nicknames)
    words = phrases.TROUBLES[incident.trouble]
    match bulletin.word:
        case Word.RECOVERED | Word.GONE:
            headline, quote = _summary(incident, name), ""
        case Word.SNOOZE_ENDED:
            headline, quote = f"⏰ Snooze ended: {name.mrkdwn} {_by_now(incident, now)}", ""
        case Word.UNANSWERED:
            headline, quote = f"🙋 {name.mrkdwn} {_by_now(incident, now)}. {unanswered_words(incident.on_it)}", ""
        case Word.ESCALATED:
            headline, quote = escalated_line(incident, bulletin.whom, name, now), ""
        case Word.CHANGED:
            how = "" if incident.trouble in (Trouble.STALE, Trouble.EMPTY) else " now with a different error"
            headline = f"{words.emoji} {name.mrkdwn} {words.now}{how}"
            quote = incident.failure.error_message or ""
    text = headline.replace("*", "")
    return Message(
        f"{text}. {_in_short(incident) if quote else ''}".strip(),
        (section(headline), *quoted(quote, phrases.ERROR_IN_INCIDENT)),
        broadcast=bulletin.broadcast,
    )


def escalated_line(incident: Incident, whom: str, name: Name, now: datetime) -> str:
    """Say that no one is on an incident, to whom it's escalated."""
    to = f"told {channel(whom)}" if whom.startswith(("C", "G")) else mention_owner(whom)
    asked = on_it_words(incident.on_it)
    no_one = f". {asked}" if asked else ", and no one is on it"
    return f"⏫ {to}: {name.mrkdwn} {_by_now(incident, now)}{no_one}"


def escalated_message(
    panel: Panel, incident: Incident, channel_id: str, now: datetime, nicknames: Nicknames = NO_NICKNAMES
) -> Message:
    """Tell another channel of an incident that no one is on; ``channel_id`` is where its message is."""
    name = short_name(incident.integration.id, incident.integration.type, nicknames)
    asked = on_it_words(incident.on_it)
    no_one = f". {asked}" if asked else ", and no one is on it"
    headline = f"⏫ {name.mrkdwn} {_by_now(incident, now)}{no_one}. Its message is in {channel(channel_id)}."
    blocks = (
        section(headline),
        *quoted(incident.failure.error_message or "", phrases.ERROR_IN_INCIDENT),
        *actions(take_button(incident, name, panel.id), details_button(incident.integration, name)),
    )
    return Message(headline.replace("*", ""), blocks)


def _over(incident: Incident, name: Name) -> Message:
    headline = _ending(incident, name)
    closed_at = incident.closed_at or incident.seen_at
    was = phrases.TROUBLES[incident.trouble].now.replace("is ", "was ", 1)
    error = clip(one_line(incident.failure.error_message or ""), phrases.ERROR_IN_TEXT)
    about = f"It {was} from {date(incident.opened_at)} to {date(closed_at)}{_count(incident)}"
    blocks = (
        section(headline),
        *quoted(error, phrases.ERROR_IN_INCIDENT),
        context(
            " · ".join(one for one in (about, was_on_it(incident), code(incident.integration.id, ID_SHOWN)) if one)
        ),
    )
    return Message(f"{headline.replace('*', '')}.", blocks)


def _ending(incident: Incident, name: Name) -> str:
    closed_at = incident.closed_at or incident.seen_at
    lasted = duration((closed_at - incident.opened_at).total_seconds())
    if incident.gone:
        return f"❔ {name.mrkdwn} was removed from FloKit {lasted} into the incident"
    if incident.flapping:
        return f"✅ {name.mrkdwn} is stable again ({lasted} after the first failure)"
    return f"✅ {name.mrkdwn} recovered after {lasted}{phrases.repaired_by(incident)}"


def _summary(incident: Incident, name: Name) -> str:
    """Say in one line how long an incident lasted, what ended it, and who was on it."""
    what = "" if incident.gone or incident.repaired_by else _what_fixed(incident)
    return " · ".join(part for part in (f"{_ending(incident, name)}{what}", was_on_it(incident)) if part)


def _what_fixed(incident: Incident) -> str:
    """Say what ended an incident that no resync from Slack ended."""
    at = incident.integration.last_synced_at
    synced = f"FloKit's own sync succeeded{f', {date(at)}' if at else ''}"
    match incident.trouble:
        case Trouble.DISCONNECTED:
            return f": it was reconnected in FloKit, and {synced}"
        case Trouble.EMPTY:
            return f": events are coming in again{f', {date(at)}' if at else ''}"
    return f": {synced}"


def _since(incident: Incident) -> str:
    state = phrases.TROUBLES[incident.trouble].state.capitalize()
    return f"{state} since {date(incident.opened_at)} · {last_success(incident.failure)}"


def _head(incident: Incident) -> tuple[str, str]:
    """Return the emoji and the label for the state of an open incident."""
    if incident.flapping:
        return "🔁", f"is flapping: {counted(incident.opens, 'failure')} in a short time"
    if incident.quiet_since:
        return "🟡", "looks healthy again; waiting for a successful sync to confirm"
    words = phrases.TROUBLES[incident.trouble]
    return words.emoji, words.now


def _now(incident: Incident) -> str:
    """Describe what has changed since the trouble began; "" if nothing has."""
    if incident.flapping:
        now = f"Right now it {phrases.TROUBLES[incident.trouble].now}"
        fine = f"Fine since {date(incident.quiet_since)}" if incident.quiet_since else now
        return f"{fine}. I'll keep updating this message until it's stable"
    if incident.quiet_since:
        status = vendor_line(incident.integration.status, STATUS_CHARS)
        return f"FloKit shows it as {status}; a successful sync will confirm it"
    if incident.trouble is Trouble.EMPTY and incident.shortfall:
        return phrases.few_events(incident.shortfall)
    return "⏳ A sync is running" if incident.integration.status == Status.SYNCING else ""


def _by_now(incident: Incident, now: datetime) -> str:
    _, words = _head(incident)
    if incident.flapping or incident.quiet_since:
        return words
    lasted = duration((now - incident.opened_at).total_seconds())
    return f"{words.replace('is ', 'has been ', 1)} for {lasted}"


def _count(incident: Incident) -> str:
    return f" · failed {counted(incident.repeats + 1, 'time')}" if incident.repeats else ""


def _about(incident: Incident, snooze: Snooze | None, escalated_at: datetime | None) -> str:
    parts = [f"Last change {date(incident.seen_at)}{_count(incident)}", code(incident.integration.id, ID_SHOWN)]
    if escalated_at:
        parts.append(f"⏫ escalated {date(escalated_at)}")
    if snooze:
        by = f"{person_name(snooze.by)} {phrases.until(snooze)}"
        parts.append(f"💤 snoozed by {by}: a different error will still be posted")
    return " · ".join(parts)


def _advice(incident: Incident, link: str) -> list[Block]:
    if incident.trouble is Trouble.EMPTY:
        return [section("\n".join((phrases.EMPTY_READINGS, *link_line(link))))]
    if incident.trouble is Trouble.DISCONNECTED:
        return [section("\n".join((phrases.RECONNECT_IT, *link_line(link))))]
    return [checks(incident.integration.type, CHECKS_SHOWN, link=link)]


def _in_short(incident: Incident) -> str:
    """Return the error and the ID, for a notification."""
    error = shown(incident.failure.error_message or "", phrases.ERROR_IN_TEXT)
    if incident.trouble is Trouble.EMPTY and incident.shortfall:
        error = f"{phrases.few_events(incident.shortfall)}."
    return f"{error} ({shown(incident.integration.id, ID_SHOWN)})".strip()


def _buttons(panel: Panel, incident: Incident, name: Name, ticket: str) -> list[Block]:
    integration = incident.integration
    if panel.snooze:
        quiet = button("End snooze", Press(Action.END_SNOOZE, panel_id=panel.id))
    else:
        choices = {text: Press(Action.SNOOZE, panel_id=panel.id, choice=choice) for choice, text in SNOOZES.items()}
        quiet = press_select("Snooze …", choices)
    take = take_button(incident, name, panel.id) if incident.on_it is None else None
    resync = resync_button(integration, name, panel.id)
    first = sync_buttons(integration, resync, details_button(integration, name), take, quiet)
    return [*first, *taken_buttons(incident, name, panel.id), *ticket_buttons(incident, name, ticket, panel.id)]
