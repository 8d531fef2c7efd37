"""The form that ``/flokit subscribe`` opens, with a preview of what would have been posted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from bot.core.advice import display_name
from bot.core.blocks import limits
from bot.core.blocks.elements import Block, context, plain, section
from bot.core.blocks.names import name_of, title_of
from bot.core.blocks.phrases import TROUBLES
from bot.core.blocks.text import clip, counted, date, duration, escape, listed
from bot.core.commands.presses import fits_in_a_button
from bot.core.incidents.incidents import Incident
from bot.core.models import Integration
from bot.core.nicknames import NO_NICKNAMES, Nicknames
from bot.core.subscriptions.form import (
    ALWAYS,
    ANY_TIME,
    CALLBACK_ID,
    DAYS,
    DAYS_OFFERED,
    ESCALATE,
    ESCALATIONS,
    FROM,
    FROM_AT,
    GROUP,
    HOURS,
    HOURS_OFFERED,
    MENTION,
    NEVER,
    NEWS,
    NO_DIGEST,
    NOBODY,
    PERSON,
    PREVIEW,
    STYLE,
    TIME,
    TO,
    TO_AT,
    WHAT,
    action_id,
    read_metadata,
)
from bot.core.subscriptions.subscriptions import ALL, News, Style

PREVIEWED: Final = 4

_NEWS: Final[dict[str, str]] = {
    News.FAILING: "failing: FloKit shows an error",
    News.STALE: "stale: connected, but not synced for too long",
    News.DISCONNECTED: "disconnected: needs to be reconnected in FloKit",
    News.EMPTY: "empty: connected and synced, but far fewer events than usual",
    News.RECOVERED: "recovered: a reply when it works again",
}
_ALWAYS: Final[dict[str, str]] = {News.FAILING: "post failures at once; the rest comes as one summary afterwards"}
_STYLES: Final[dict[str, str]] = {
    Style.THREAD: "only in the incident's thread",
    Style.BROADCAST: "in the channel, too, if the error changes",
}
_KEPT: Final = ("type", "callback_id", "private_metadata", "title", "submit", "close")
"""The members of a received view that Slack accepts back unchanged."""

_MENTIONS: Final = {NOBODY: "no one", "here": "@here, once per incident"}


def subscribe_form(
    metadata: str,
    zone: str,
    integrations: Sequence[Integration],
    told: Sequence[Incident],
    now: datetime,
    nicknames: Nicknames = NO_NICKNAMES,
) -> dict[str, object]:
    """Return the form as it opens: everything is preselected, so that one click is enough.

    Args:
        metadata: its ``private_metadata``: see ``write_metadata``.
        zone: the person's time zone, which the digest's time is in.
        integrations: the choices.
        told: the incidents of the last 7 days that the preselected choices would have posted.
        now: the time.
        nicknames: what the integrations are called.
    """
    what, channel_id = _targets(integrations, nicknames), read_metadata(metadata)[0]
    blocks = [
        section(f"What should I post in <#{channel_id}>?"),
        _input(WHAT, "Integrations", _menu(what, ALL), dispatch=True),
        _input(NEWS, "Notify about", {"type": "checkboxes", **_options(_NEWS, *_NEWS)}, dispatch=True, optional=True),
        _input(DAYS, "Digest", _menu(DAYS_OFFERED, NO_DIGEST)),
        _input(TIME, f"Digest time ({zone})", {"type": "timepicker", "initial_time": "09:00"}),
        _input(STYLE, "Updates during an incident", {"type": "radio_buttons", **_option(_STYLES, Style.THREAD)}),
        _input(MENTION, "Mention", _menu(_MENTIONS, NOBODY)),
        _input(HOURS, "When", _menu(HOURS_OFFERED, ANY_TIME)),
        _input(FROM, f"From ({zone})", {"type": "timepicker", "initial_time": f"{FROM_AT:%H:%M}"}),
        _input(TO, "To", {"type": "timepicker", "initial_time": f"{TO_AT:%H:%M}"}),
        _input(ALWAYS, "Outside these hours", {"type": "checkboxes", **_offered(_ALWAYS)}, optional=True),
        _input(ESCALATE, "Escalate if no one is on it", _menu(ESCALATIONS, NEVER)),
        _input(PERSON, "Escalate to", {"type": "users_select", "placeholder": plain("A person")}, optional=True),
        {
            **_input(
                GROUP, "Or to a user group or a channel", {"type": "plain_text_input", "max_length": 40}, optional=True
            ),
            "hint": plain("Its ID, such as S0615G0KT or C024BE7LR; copy it from its profile or its details in Slack."),
        },
        preview_block(told, now, nicknames),
    ]
    return {
        "type": "modal",
        "callback_id": CALLBACK_ID,
        "private_metadata": metadata,
        "title": plain("Subscribe"),
        "submit": plain("Subscribe"),
        "close": plain("Cancel"),
        "blocks": blocks,
    }


def preview_block(told: Sequence[Incident], now: datetime, nicknames: Nicknames = NO_NICKNAMES) -> Block:
    """Say what the choices would have posted in the last 7 days."""
    if told:
        words = f"In the last 7 days you'd have been notified of {counted(len(told), 'incident')}: "
        text = words + listed(list(told), lambda one: _incident(one, now, nicknames), most=PREVIEWED) + "."
    else:
        text = (
            "Nothing in the last 7 days would have triggered a notification. (I check in the background only while a "
            "channel is subscribed.)"
        )
    return {**context(text), "block_id": PREVIEW}


def with_preview(
    view: Mapping[str, object], told: Sequence[Incident], now: datetime, nicknames: Nicknames = NO_NICKNAMES
) -> dict[str, object]:
    """Return an open form with a new preview; the person's input is kept."""
    blocks = view.get("blocks")
    kept = [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    return {
        **{key: view[key] for key in _KEPT if key in view},
        "blocks": [
            preview_block(told, now, nicknames) if block.get("block_id") == PREVIEW else block for block in kept
        ],
    }


def _incident(incident: Incident, now: datetime, nicknames: Nicknames) -> str:
    lasted = duration(((incident.closed_at or now) - incident.opened_at).total_seconds())
    name = escape(title_of(incident.integration.id, incident.integration.type, nicknames))
    return f"{name} {TROUBLES[incident.trouble].now.removeprefix('is ')} {date(incident.opened_at)} for {lasted}"


def _targets(integrations: Sequence[Integration], nicknames: Nicknames) -> dict[str, str]:
    types = dict.fromkeys(one.type for one in integrations if fits_in_a_button(one.type))
    choices = {ALL: "all integrations"} | {type_: f"every {display_name(type_)}" for type_ in types}
    for one in integrations:
        if fits_in_a_button(one.id):
            choices.setdefault(one.id, f"{name_of(one, integrations, nicknames).plain} ({one.id})")
    return dict(list(choices.items())[: limits.SELECT_OPTIONS])


def _input(block_id: str, label: str, element: Block, *, dispatch: bool = False, optional: bool = False) -> Block:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": {**element, "action_id": action_id(block_id)},
        **({"dispatch_action": True} if dispatch else {}),
        **({"optional": True} if optional else {}),
    }


def _menu(choices: Mapping[str, str], chosen: str) -> Block:
    return {"type": "static_select", **_option(choices, chosen)}


def _option(choices: Mapping[str, str], chosen: str) -> Block:
    options = _all(choices)
    return {"options": list(options.values()), "initial_option": options[chosen]}


def _options(choices: Mapping[str, str], *chosen: str) -> Block:
    options = _all(choices)
    return {"options": list(options.values()), "initial_options": [options[one] for one in chosen]}


def _offered(choices: Mapping[str, str]) -> Block:
    return {"options": list(_all(choices).values())}


def _all(choices: Mapping[str, str]) -> dict[str, Block]:
    return {value: {"text": plain(clip(text, limits.OPTION_TEXT)), "value": value} for value, text in choices.items()}
