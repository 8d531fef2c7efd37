"""Parses Slack's payloads as requests. Anything may be missing; unreadable payloads become None, never an exception.

Shapes: https://docs.slack.dev/interactivity/implementing-slash-commands and
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from bot.core.characters import encodable
from bot.core.commands.presses import Press
from bot.core.installations import AccessNews
from bot.core.json_values import object_in
from bot.core.models import Person
from bot.core.requests import ChannelNews, Origin, Request, RequestKind
from bot.core.subscriptions.form import Filled
from bot.core.typed import clip_typed

_KINDS: Final = {
    "block_actions": "button",
    "view_submission": "view",
    "view_closed": "view",
    "event_callback": "event",
}
"""Our name for a payload's ``type``; a slash command has none."""

ID_CHARS: Final = 255
"""Slack's IDs, names and timestamps are never longer; longer ones are ignored."""

URL_CHARS: Final = 2000
LISTED_MOST: Final = 1000
LATEST_S: Final = 32503680000
"""The year 3000, in Unix seconds."""

SLACKBOT: Final = "USLACKBOT"
"""Slackbot's user ID in every workspace; it has no ``bot_id``."""


def kind_of(body: object) -> str:
    """Return the kind of a request, one of five."""
    if not isinstance(body, Mapping):
        return "other"
    type_ = body.get("type")
    if type_ is None and isinstance(body.get("command"), str):
        return "command"
    return _KINDS.get(type_, "other") if isinstance(type_, str) else "other"


def storable(value: Any) -> Any:
    """Copy a JSON value without NUL and lone surrogates, which can't be stored.

    Raises:
        RecursionError: it's nested too deeply.
    """
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {storable(key): storable(one) for key, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, list) else value


def parse_command_payload(body: Mapping[str, Any], team_id: str, now: datetime) -> Request | None:
    """Parse a slash command."""
    trigger_id, user_id, channel_id = _text(body, "trigger_id"), _text(body, "user_id"), _text(body, "channel_id")
    if not (trigger_id and user_id and channel_id):
        return None
    person = Person(user_id, _text(body, "user_name"))
    origin = Origin(
        team_id,
        person,
        channel_id,
        response_url=_text(body, "response_url", most=URL_CHARS) or None,
        is_elsewhere=_is_elsewhere(body, team_id),
    )
    return Request(trigger_id, RequestKind.COMMAND, origin, now, text=clip_typed(_text(body, "text", most=None)))


def parse_press_payload(body: Mapping[str, Any], team_id: str, now: datetime, press: Press | None) -> Request | None:
    """Parse a click on a button; ``press`` is its parsed value."""
    user, channel, container = object_in(body, "user"), object_in(body, "channel"), object_in(body, "container")
    message = object_in(body, "message")
    trigger_id, user_id = _text(body, "trigger_id"), _text(user, "id")
    channel_id = _text(channel, "id") or _text(container, "channel_id")
    if not (trigger_id and user_id and (channel_id or container.get("type") == "view")):
        return None
    person = Person(user_id, _text(user, "username") or _text(user, "name"))
    message_ts = _text(container, "message_ts") or _text(message, "ts") or None
    origin = Origin(
        team_id,
        person,
        channel_id,
        thread_ts=_text(message, "thread_ts") or _text(container, "thread_ts") or None,
        message_ts=message_ts,
        ephemeral=container.get("is_ephemeral") is True or message_ts is None,
        response_url=_text(body, "response_url", most=URL_CHARS) or None,
        is_elsewhere=_is_elsewhere(body, team_id),
    )
    return Request(trigger_id, RequestKind.PRESS, origin, now, press=press)


def parse_message_event(body: Mapping[str, Any], team_id: str, now: datetime) -> Request | None:
    """Parse a mention or a direct message from a person; bots' messages, edits and joins are ignored.

    In a channel, the answer goes into the mention's thread, to keep the channel quiet; in a direct message, it goes
    where it was asked.
    """
    event = object_in(body, "event")
    event_id, user_id, channel_id = _text(body, "event_id"), _text(event, "user"), _text(event, "channel")
    if not (event_id and user_id and channel_id):
        return None
    if (
        event.get("bot_id")
        or user_id == SLACKBOT
        or event.get("subtype") not in (None, "thread_broadcast", "file_share")
    ):
        return None
    thread_ts = _text(event, "thread_ts") or None
    if event.get("type") == "app_mention" and event.get("channel_type") != "im":
        thread_ts = thread_ts or _text(event, "ts") or None
    elsewhere = _is_elsewhere(body, team_id)
    origin = Origin(team_id, Person(user_id), channel_id, thread_ts=thread_ts, is_elsewhere=elsewhere)
    return Request(event_id, RequestKind.MENTION, origin, now, text=clip_typed(_text(event, "text", most=None)))


def view_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a view, with its ``values`` next to its other members."""
    view = object_in(body, "view")
    return {**view, "values": object_in(view, "state").get("values")}


def origin_of_view(body: Mapping[str, Any], team_id: str) -> Origin | None:
    """Return who uses a form. It has no channel: where it was opened is stored, not read from its metadata."""
    user = object_in(body, "user")
    person = Person(_text(user, "id"), _text(user, "username") or _text(user, "name"))
    return Origin(team_id, person, "", is_elsewhere=_is_elsewhere(body, team_id)) if person.id else None


def parse_submission(body: Mapping[str, Any], team_id: str, now: datetime, form: Filled) -> Request | None:
    """Parse the submission of a form that was opened in a channel."""
    origin, view = origin_of_view(body, team_id), object_in(body, "view")
    request_id = _text(body, "trigger_id") or _text(view, "id")
    if not (request_id and origin):
        return None
    return Request(
        request_id,
        RequestKind.FORM,
        replace(origin, channel_id=form.channel_id),
        now,
        wish=form.wish,
        asked_id=form.asked_id,
    )


def parse_checked_submission(
    body: Mapping[str, Any], team_id: str, now: datetime, kind: RequestKind = RequestKind.FORM
) -> Request | None:
    """Parse who submits a form that's checked while it's open; what it says isn't in the request."""
    origin, view = origin_of_view(body, team_id), object_in(body, "view")
    request_id = _text(body, "trigger_id") or _text(view, "id")
    return Request(request_id, kind, origin, now) if request_id and origin else None


def parse_home_event(body: Mapping[str, Any], team_id: str, now: datetime) -> Request | None:
    """Parse the opening of the App Home; its other tab is a direct message."""
    event = object_in(body, "event")
    event_id, user_id = _text(body, "event_id"), _text(event, "user")
    if not (event_id and user_id) or event.get("tab") != "home":
        return None
    origin = Origin(team_id, Person(user_id), "", is_elsewhere=_is_elsewhere(body, team_id))
    return Request(event_id, RequestKind.HOME, origin, now)


def parse_channel_event(body: Mapping[str, Any], team_id: str, now: datetime, news: ChannelNews) -> Request | None:
    """Parse an event about a channel, which is an ID in some events and an object in others."""
    event = object_in(body, "event")
    event_id, channel_id = _text(body, "event_id"), _text(event, "channel") or _text(object_in(event, "channel"), "id")
    if not (event_id and channel_id):
        return None
    origin = Origin(team_id, Person(_text(event, "user")), channel_id)
    return Request(event_id, RequestKind.CHANNEL, origin, now, text=news)


def parse_move_event(body: Mapping[str, Any], team_id: str, now: datetime) -> Request | None:
    """Parse a change of a channel's ID."""
    event = event_of(body)
    event_id = _text(body, "event_id")
    old_id, new_id = _text(event, "old_channel_id"), _text(event, "new_channel_id")
    if not (event_id and old_id.isalnum() and new_id.isalnum()) or old_id == new_id:
        return None
    origin = Origin(team_id, Person(""), old_id)
    return Request(event_id, RequestKind.CHANNEL, origin, now, text=f"{ChannelNews.MOVED} {new_id}")


_ACCESS_NEWS: Final[dict[str, Literal["uninstalled", "revoked", "team_revoked", "team_granted"]]] = {
    "app_uninstalled": "uninstalled",
    "tokens_revoked": "revoked",
    "team_access_revoked": "team_revoked",
    "team_access_granted": "team_granted",
}


def parse_access_news(body: Mapping[str, Any]) -> AccessNews | None:
    """Parse an event about the installation; None if it's about something else.

    https://docs.slack.dev/reference/events/tokens_revoked, https://docs.slack.dev/reference/events/app_uninstalled and
    https://docs.slack.dev/reference/events/team_access_revoked
    """
    event, at = event_of(body), body.get("event_time")
    kind = _ACCESS_NEWS.get(_text(event, "type")) if body.get("type") == "event_callback" else None
    if kind is None or not isinstance(at, int | float) or not 0 < at < LATEST_S:
        return None
    return AccessNews(
        kind,
        datetime.fromtimestamp(at, UTC),
        frozenset(_texts(object_in(event, "tokens"), "bot")),
        _texts(event, "team_ids"),
    )


def first_action(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the element that was used; Slack sends one at a time."""
    actions = body.get("actions")
    first = actions[0] if isinstance(actions, list) and actions else None
    return first if isinstance(first, Mapping) else {}


def value_of(action: Mapping[str, Any]) -> object:
    """Return the value of a button or of the chosen option."""
    return object_in(action, "selected_option").get("value") or action.get("value")


def event_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the event in its envelope."""
    return object_in(body, "event")


def _is_elsewhere(body: Mapping[str, Any], team_id: str) -> bool:
    """Whether a payload names only workspaces other than ours.

    The person's workspace doesn't count: in an Enterprise organization, payloads name the organization or another of
    its workspaces even for our members. The request's workspace isn't conclusive either.
    """
    return team_id not in (_workspaces(body) or (team_id,))


def _workspaces(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the workspaces in which something happened.

    https://docs.slack.dev/apis/events-api#authorizations, https://docs.slack.dev/enterprise/developing-for-enterprise-orgs
    """
    listed = body.get("authorizations")
    installations = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    named = (
        *(_text(one, "team_id") for one in installations),
        _text(object_in(body, "view"), "app_installed_team_id"),
        _text(object_in(body, "team"), "id"),
        _text(body, "team_id"),
    )
    return tuple(name for name in named if name)


def _texts(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = value.get(key)
    listed = found[:LISTED_MOST] if isinstance(found, list) else []
    return tuple(one for one in listed if isinstance(one, str) and 0 < len(one) <= ID_CHARS)


def _text(value: Mapping[str, Any], key: str, *, most: int | None = ID_CHARS) -> str:
    found = value.get(key)
    return storable(found) if isinstance(found, str) and (most is None or len(found) <= most) else ""
