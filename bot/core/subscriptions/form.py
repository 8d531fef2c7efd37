"""The values of the form behind ``/flokit subscribe``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final

from bot.core.commands.presses import fits_in_a_button
from bot.core.forms.form import WrongForm, state_of, typed_in
from bot.core.incidents.incidents import Incident
from bot.core.json_values import parse_object
from bot.core.requests import Request
from bot.core.subscriptions.digest_time import DAILY, WEEKDAYS
from bot.core.subscriptions.subscriptions import ALL, ESCALATE_TO, HERE, DigestTime, Escalation, Hours, News, Style
from bot.core.subscriptions.words import DEFAULT_AT, Unclear, Wish, parse_subscribe

CALLBACK_ID: Final = "flokit_subscribe"
WHAT, NEWS, DAYS, TIME, STYLE, MENTION, PREVIEW = "what", "news", "days", "time", "style", "mention", "preview"
HOURS, FROM, TO, ALWAYS = "hours", "from", "to", "always"
"""The ``block_id`` of each input."""

ESCALATE, PERSON, GROUP = "escalate", "escalate_person", "escalate_group"
"""After how long an incident that no one is on is escalated, and to whom."""

NEVER: Final = "never"
ESCALATIONS: Final = {
    NEVER: "never",
    "900": "after 15 minutes",
    "1800": "after 30 minutes",
    "3600": "after 1 hour",
    "14400": "after 4 hours",
}
NO_DIGEST: Final = "none"
ANY_TIME: Final = "any"
HOURS_OFFERED: Final = {ANY_TIME: "at any time", "weekdays": "Monday to Friday", "daily": "every day"}
FROM_AT: Final = time(8)
TO_AT: Final = time(18)
NOBODY: Final = "nobody"
_DAYS: Final = {"weekdays": WEEKDAYS, "daily": DAILY}
DAYS_OFFERED: Final = {NO_DIGEST: "no digest", "weekdays": "Monday to Friday", "daily": "every day"}
LOOKED_BACK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Filled:
    """A valid form: its choices, and its metadata (see ``write_metadata``)."""

    wish: Wish
    channel_id: str
    asked_id: str


INPUT_PATTERN: Final = re.compile(r"^subscribe_")
"""Matches the ``action_id`` of every input."""


def action_id(block_id: str) -> str:
    """Return the ``action_id`` of an input block's element."""
    return f"subscribe_{block_id}"


def read_form(values: object, private_metadata: object) -> Filled | WrongForm:
    """Read a submitted form."""
    channel_id, asked_id = read_metadata(private_metadata)
    target = next(iter(_chosen(values, WHAT)), ALL)
    if not (channel_id and asked_id and fits_in_a_button(target)):
        return WrongForm({WHAT: "This form is from a different version of the bot. Open it again."})
    news = frozenset(News(one) for one in _chosen(values, NEWS) if one in set(News))
    days = _DAYS.get(next(iter(_chosen(values, DAYS)), ""))
    if not (news or days):
        return WrongForm({NEWS: "Choose at least one kind of notification, or a digest below."})
    escalate = _escalation(values)
    if isinstance(escalate, WrongForm):
        return escalate
    wish = Wish(
        target,
        news,
        DigestTime(_time(values, TIME, DEFAULT_AT), days, zone="") if days else None,
        Style.BROADCAST if Style.BROADCAST in _chosen(values, STYLE) else Style.THREAD,
        HERE if HERE in _chosen(values, MENTION) else "",
        _hours(values),
        frozenset({News.FAILING} & news) if News.FAILING in _chosen(values, ALWAYS) else frozenset(),
        escalate,
    )
    return Filled(wish, channel_id, asked_id)


def wish_of(request: Request, *, command: str = "/flokit") -> Wish | Unclear:
    """Return the choices of a submitted form; version 0.1 saved them as the equivalent command text."""
    return request.wish or parse_subscribe(request.text.removeprefix("subscribe "), command=command)


def write_metadata(channel_id: str, asked_id: str) -> str:
    """Return a form's ``private_metadata``: its channel, and the request that opened it, as proof.

    It's JSON: ``{"channel": "C0DATA", "asked": "<the request's ID>"}``.
    """
    return json.dumps({"channel": channel_id, "asked": asked_id})


def read_metadata(private_metadata: object) -> tuple[str, str]:
    """Return the channel and the request from a form's metadata; "" if invalid."""
    fields = parse_object(private_metadata)
    channel_id, asked_id = fields.get("channel"), fields.get("asked")
    return (
        channel_id if isinstance(channel_id, str) and re.fullmatch(r"[A-Z0-9]{2,30}", channel_id) else "",
        asked_id if isinstance(asked_id, str) and fits_in_a_button(asked_id) else "",
    )


def would_have_told(values: object, incidents: Iterable[Incident], now: datetime) -> list[Incident]:
    """Return the incidents of the last days that a form's choices would have posted, the newest first.

    ``values`` is None for a form that was just opened, with everything selected.
    """
    target = next(iter(_chosen(values, WHAT)), ALL)
    news = set(_chosen(values, NEWS)) if values is not None else set(News)
    about = [
        one
        for one in incidents
        if target in (ALL, one.integration.type, one.integration.id)
        and one.trouble in news
        and (one.closed_at is None or one.closed_at > now - LOOKED_BACK)
    ]
    return sorted(about, key=lambda one: one.opened_at, reverse=True)


def _hours(values: object) -> Hours | None:
    days = _DAYS.get(next(iter(_chosen(values, HOURS)), ""))
    return Hours(_time(values, FROM, FROM_AT), _time(values, TO, TO_AT), days, zone="") if days else None


def _escalation(values: object) -> Escalation | WrongForm | None:
    after = next(iter(_chosen(values, ESCALATE)), NEVER)
    person = typed_in(values, PERSON, action_id(PERSON), "selected_user")
    group = typed_in(values, GROUP, action_id(GROUP)).lstrip("@#")
    if after == NEVER or after not in ESCALATIONS:
        if group or person:
            return WrongForm({ESCALATE: "After how long? Or choose no one below."})
        return None
    if group and person:
        return WrongForm({GROUP: "Choose a person above, or a user group or a channel here, not both."})
    whom = group or person
    if not whom:
        return WrongForm({PERSON: "Whom should I tell? Choose a person, or a user group or a channel below."})
    if not ESCALATE_TO.fullmatch(whom):
        return WrongForm({GROUP: "Type the ID of a user group, such as S0615G0KT, or of a channel, such as C024BE7LR."})
    return Escalation(int(after), whom)


def _time(values: object, block_id: str, otherwise: time) -> time:
    picked = _state(values, block_id).get("selected_time")
    if isinstance(picked, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", picked):
        return time.fromisoformat(picked)
    return otherwise


def _chosen(values: object, block_id: str) -> list[str]:
    """Return the values chosen in a menu, radio buttons or checkboxes."""
    state = _state(values, block_id)
    options = state.get("selected_options")
    options = options if isinstance(options, list) else [state.get("selected_option")]
    chosen = [option.get("value") for option in options if isinstance(option, Mapping)]
    return [value for value in chosen if isinstance(value, str)]


def _state(values: object, block_id: str) -> Mapping[str, Any]:
    return state_of(values, block_id, action_id(block_id))
