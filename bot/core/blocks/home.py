"""The App Home: an overview for one person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from bot.core.blocks import phrases
from bot.core.blocks.elements import (
    Block,
    button,
    context,
    details_button,
    header,
    quoted,
    resync_button,
    section,
    sync_buttons,
)
from bot.core.blocks.home_tab import home_tab
from bot.core.blocks.names import Name, name_of, short_name
from bot.core.blocks.person_settings import settings_part
from bot.core.blocks.quiet import end_button, maintenance_line
from bot.core.blocks.runs import who
from bot.core.blocks.states import by_urgency, count_unknown, in_unknown_state, last_success, state_now, state_of, tally
from bot.core.blocks.taking import let_go_button, on_it_words, take_button
from bot.core.blocks.text import code, counted, date, escape, shown
from bot.core.commands.presses import Action, Press
from bot.core.incidents.incidents import Incident
from bot.core.incidents.quiet import Maintenance
from bot.core.models import Integration, SyncRun
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.panels import Panel
from bot.core.person_settings import UNCHANGED, PersonSettings
from bot.core.subscriptions.subscriptions import ALL, Subscription
from bot.core.subscriptions.text import describe_wish

_T = TypeVar("_T")

ROWS_SHOWN: Final = 15
OTHERS_SHOWN: Final = 8
"""The most running syncs, incidents, snoozes and subscriptions each: at most 80 blocks in all."""

TARGET_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Home:
    """What one person's App Home shows. ``snoozed`` are the messages of incidents that they snoozed."""

    integrations: tuple[Integration, ...]
    as_of: datetime
    stale_reason: str = ""
    runs: tuple[SyncRun, ...] = ()
    incidents: tuple[Incident, ...] = ()
    snoozed: tuple[Panel, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    nicknames: Nicknames = NO_NICKNAMES
    settings: PersonSettings = UNCHANGED
    maintenances: tuple[Maintenance, ...] = ()
    held: tuple[tuple[str, int, datetime | None], ...] = ()
    """How many incidents the person's channels are told about later, and when that's looked at: by channel."""
    viewer: str = ""
    """The ID of whose App Home it is."""


def home_view(home: Home, now: datetime, *, command: str, edits_policy: bool = False) -> dict[str, object]:
    """Return an App Home; ``edits_policy`` as in `home_tab`."""
    refresh = button("Refresh", Press(Action.REFRESH_HOME, choice="home"))
    blocks = [
        header("FloKit"),
        section(f"*{_lead(home)}*", refresh),
        context(_as_of(home)),
        *_part("Running syncs", home.runs, lambda run: [section(_run(run, home))]),
        *_part("Open incidents", home.incidents, lambda incident: [_incident(incident, home)]),
        *_part("Snoozed by you", home.snoozed, lambda panel: _snoozed(panel, home)),
        *_part("Maintenance", home.maintenances, lambda one: [section(_maintenance(one, home, now), end_button(one))]),
        *_part("Held while it's quiet", home.held, lambda one: [section(_held(*one))]),
        *_integrations(home, now, command),
        *_subscriptions(home, now, command),
        *settings_part(home.settings),
    ]
    return home_tab(blocks, edits_policy=edits_policy)


def _part(title: str, things: Sequence[_T], show: Callable[[_T], list[Block]]) -> list[Block]:
    if not things:
        return []
    rows = [block for thing in things[:OTHERS_SHOWN] for block in show(thing)]
    return [header(title), *rows, *map(context, phrases.and_more(len(things) - OTHERS_SHOWN))]


def _lead(home: Home) -> str:
    if not home.integrations:
        return "No integrations in FloKit yet." if not home.stale_reason else "FloKit can't be reached."
    troubled = [one for one in home.integrations if state_of(one.status).needs_attention]
    if not troubled and (unknown := count_unknown(home.integrations)):
        return f"{in_unknown_state(unknown, len(home.integrations))}: {tally(home.integrations)}."
    if not troubled:
        return f"Nothing needs attention: {tally(home.integrations)}."
    lead = phrases.need_attention(len(troubled), len(home.integrations), "integration")
    return f"{lead}: {tally(home.integrations)}."


def _as_of(home: Home) -> str:
    stale = phrases.stale_words(home)
    return f"⚠️ {stale}" if stale else f"As of {date(home.as_of)}"


def _run(run: SyncRun, home: Home) -> str:
    name = short_name(run.integration_id, run.integration_type, home.nicknames)
    return f"⏳ {name.mrkdwn}: sync {who(run, ())}, {date(run.requested_at)}"


def _incident(incident: Incident, home: Home) -> Block:
    words = phrases.TROUBLES[incident.trouble]
    name = _name(incident, home)
    since = f"since {date(incident.opened_at)}"
    state = words.now.replace("is ", "has been ", 1)
    text = f"{words.emoji} {name.mrkdwn} {state} {since} · {code(incident.integration.id, TARGET_CHARS)}"
    on_it = incident.on_it
    is_own = on_it is not None and on_it.person.id == home.viewer and not on_it.is_asked
    accessory = let_go_button(incident, name) if is_own else take_button(incident, name)
    return section("\n".join(line for line in (text, on_it_words(on_it)) if line), accessory)


def _name(incident: Incident, home: Home) -> Name:
    return short_name(incident.integration.id, incident.integration.type, home.nicknames)


def _snoozed(panel: Panel, home: Home) -> list[Block]:
    if panel.incident is None or panel.snooze is None:
        return []
    name = _name(panel.incident, home)
    end = button("End snooze", Press(Action.END_SNOOZE, panel_id=panel.id), about=name.plain)
    return [section(f"💤 {name.mrkdwn} {phrases.until(panel.snooze)}", end)]


def _maintenance(maintenance: Maintenance, home: Home, now: datetime) -> str:
    return maintenance_line(maintenance, _target(maintenance.target, home), now)


def _target(target: str, home: Home) -> str:
    return "all integrations" if target == ALL else home.nicknames.of(target).name or target


def _held(channel_id: str, count: int, until: datetime | None) -> str:
    when = f" until {date(until)}" if until else ""
    return f"🌙 <#{channel_id}>: {counted(count, 'incident')} held{when}"


def _integrations(home: Home, now: datetime, command: str) -> list[Block]:
    if not home.integrations:
        return []
    urgent = sorted(home.integrations, key=by_urgency)
    rows = [block for one in urgent[:ROWS_SHOWN] for block in _row(one, home, now)]
    more = phrases.and_more(len(urgent) - ROWS_SHOWN, phrases.typed(command, "status"))
    return [header("Integrations"), *rows, *map(context, more)]


def _row(integration: Integration, home: Home, now: datetime) -> list[Block]:
    name = name_of(integration, home.integrations, home.nicknames)
    text = f"{name.mrkdwn}\n{state_now(integration, now).label} · {last_success(integration)}"
    if not state_of(integration.status).needs_attention:
        return [section(text, details_button(integration, name))]
    buttons = sync_buttons(integration, resync_button(integration, name), details_button(integration, name))
    return [section(text), *quoted(integration.error_message or "", phrases.ERROR_IN_LINE), *buttons]


def _subscriptions(home: Home, now: datetime, command: str) -> list[Block]:
    if not home.subscriptions:
        hint = f"To notify a channel of failures, run {phrases.typed(command, 'subscribe all')} there."
        return [header("Your subscriptions"), context(hint)]
    return _part("Your subscriptions", home.subscriptions, lambda one: _subscription(one, home, now))


def _subscription(subscription: Subscription, home: Home, now: datetime) -> list[Block]:
    target = _target(subscription.target, home)
    lines = [
        f"<#{subscription.channel_id}>: {shown(target, TARGET_CHARS)}",
        escape(describe_wish(subscription)),
        *phrases.what_comes(subscription, now),
    ]
    end = button("Unsubscribe", Press(Action.UNSUBSCRIBE, subscription_id=subscription.id), about=target)
    return [section("\n".join(lines), end)]
