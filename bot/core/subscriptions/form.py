"""The form behind ``/flokit subscribe``: what was filled in, as the words that could have been typed instead.

Any values get an answer: a browser, an old form or a stranger may send whatever they like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from bot.core.commands.presses import fits_in_a_button
from bot.core.incidents.incidents import Incident
from bot.core.subscriptions.subscriptions import ALL, News, Style
from bot.core.subscriptions.words import Unclear, parse_subscribe

CALLBACK_ID: Final = "flokit_subscribe"
WHAT, NEWS, DAYS, TIME, STYLE, MENTION, PREVIEW = "what", "news", "days", "time", "style", "mention", "preview"
"""The ``block_id`` of each input."""

NO_DIGEST: Final = "none"
NOBODY: Final = "nobody"
DAYS_OFFERED: Final = {NO_DIGEST: "no digest", "weekdays": "Monday to Friday", "daily": "every day"}
LOOKED_BACK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that says something: the words after ``subscribe``, and what it carries: see ``write_metadata``."""

    words: str
    channel_id: str
    asked_id: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A form that cannot be taken: a sentence for the input of each ``block_id``."""

    errors: Mapping[str, str] = field(default_factory=dict)


def action_id(block_id: str) -> str:
    """Name the element in an input's block."""
    return f"subscribe_{block_id}"


def read_form(values: object, private_metadata: object) -> Filled | Wrong:
    """Read what was filled in.

    Args:
        values: ``view.state.values``: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload
        private_metadata: what the form carried.
    """
    channel_id, asked_id = read_metadata(private_metadata)
    if not (channel_id and asked_id):
        return Wrong({WHAT: "This form is from a different version of the bot. Open it again."})
    news = [one for one in _chosen(values, NEWS) if one in set(News)]
    days = next(iter(_chosen(values, DAYS)), NO_DIGEST)
    if not news and days not in ("weekdays", "daily"):
        return Wrong({NEWS: "Choose at least one kind of notification, or a digest below."})
    words = [_target(next(iter(_chosen(values, WHAT)), ALL)), ", ".join(news) if news else "digest only"]
    if days in ("weekdays", "daily"):
        words.append(f"digest {_time(values)} {days}")
    if Style.BROADCAST in _chosen(values, STYLE):
        words.append(Style.BROADCAST)
    if "here" in _chosen(values, MENTION):
        words.append("mention @here")
    typed = " ".join(words)
    wish = parse_subscribe(typed)
    return Wrong({WHAT: wish.sentence}) if isinstance(wish, Unclear) else Filled(typed, channel_id, asked_id)


def write_metadata(channel_id: str, asked_id: str) -> str:
    """Write what the form carries: the channel it is about, and the request that opened it, which proves that."""
    return json.dumps({"channel": channel_id, "asked": asked_id})


def read_metadata(private_metadata: object) -> tuple[str, str]:
    """Read which channel a form says that it is about, and which request opened it; "" for what can't be read."""
    try:
        read = json.loads(private_metadata) if isinstance(private_metadata, str) else None
    except (ValueError, RecursionError):
        return "", ""
    fields = read if isinstance(read, dict) else {}
    channel_id, asked_id = fields.get("channel"), fields.get("asked")
    return (
        channel_id if isinstance(channel_id, str) and re.fullmatch(r"[A-Z0-9]{2,30}", channel_id) else "",
        asked_id if isinstance(asked_id, str) and fits_in_a_button(asked_id) else "",
    )


def would_have_told(values: object, incidents: Iterable[Incident], now: datetime) -> list[Incident]:
    """Find the incidents of the last days that the choices in a form would have told, the newest first.

    ``values`` is None for a form that is just opened: everything is chosen.
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


def _target(value: str) -> str:
    name = re.sub(r'["\s]+', " ", value).strip()
    return ALL if name == ALL else f'"{name}"'


def _time(values: object) -> str:
    state = _state(values, TIME)
    picked = state.get("selected_time")
    return picked if isinstance(picked, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", picked) else "09:00"


def _chosen(values: object, block_id: str) -> list[str]:
    """Read what is chosen in a menu, in radio buttons or in checkboxes."""
    state = _state(values, block_id)
    options = state.get("selected_options")
    options = options if isinstance(options, list) else [state.get("selected_option")]
    chosen = [option.get("value") for option in options if isinstance(option, Mapping)]
    return [value for value in chosen if isinstance(value, str)]


def _state(values: object, block_id: str) -> Mapping[str, Any]:
    block = values.get(block_id) if isinstance(values, Mapping) else None
    state = block.get(action_id(block_id)) if isinstance(block, Mapping) else None
    return state if isinstance(state, Mapping) else {}
