"""Slack's payloads → requests. Anything may be missing: what cannot be read becomes None, never an exception.

Shapes: https://docs.slack.dev/interactivity/implementing-slash-commands and
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from bot.core.commands.presses import Press
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
"""What the ``type`` of a payload is called here; a slash command has none."""

ID_CHARS: Final = 255
"""No ID, name or timestamp of Slack's is longer. One that is names nothing."""

URL_CHARS: Final = 2000

SLACKBOT: Final = "USLACKBOT"
"""Slack's own voice, in every workspace: a bot without a ``bot_id``."""


def kind_of(body: object) -> str:
    """Name what a request is, in one of five words."""
    if not isinstance(body, Mapping):
        return "other"
    type_ = body.get("type")
    if type_ is None and isinstance(body.get("command"), str):
        return "command"
    return _KINDS.get(type_, "other") if isinstance(type_, str) else "other"


def storable(value: Any) -> Any:
    """Copy what JSON carries without what a database can't store: NUL, and one half of a surrogate pair.

    Raises:
        RecursionError: it is nested too deeply to be anything that Slack sends.
    """
    if isinstance(value, str):
        return value if value.isprintable() else value.encode(errors="replace").decode().replace("\0", "")
    if isinstance(value, Mapping):
        return {storable(key): storable(one) for key, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, list) else value


def parse_command_payload(body: Mapping[str, Any], team_id: str, now: datetime) -> Request | None:
    """Read a slash command."""
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
    """Read a click on a button; ``press`` is what its value means."""
    user, channel, container = _map(body, "user"), _map(body, "channel"), _map(body, "container")
    message = _map(body, "message")
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
    """Read a mention or a direct message from a person; messages of bots, edits and joins are not for us.

    In a channel the answer goes into the thread of the mention, so that a question makes no noise; in a direct
    message it goes where it was asked.
    """
    event = _map(body, "event")
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
    """Read a view, with its ``values`` beside its other members."""
    view = _map(body, "view")
    return {**view, "values": _map(view, "state").get("values")}


def origin_of_view(body: Mapping[str, Any], team_id: str) -> Origin | None:
    """Read who uses a form. It is in no channel: where it was opened is remembered, not read from what it carries."""
    user = _map(body, "user")
    person = Person(_text(user, "id"), _text(user, "username") or _text(user, "name"))
    return Origin(team_id, person, "", is_elsewhere=_is_elsewhere(body, team_id)) if person.id else None


def parse_submission(body: Mapping[str, Any], team_id: str, now: datetime, form: Filled) -> Request | None:
    """Read that a form was sent, which was opened in a channel."""
    origin, view = origin_of_view(body, team_id), _map(body, "view")
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


def parse_home_event(body: Mapping[str, Any], team_id: str, now: datetime) -> Request | None:
    """Read that somebody opened the App Home; its other tab is a direct message."""
    event = _map(body, "event")
    event_id, user_id = _text(body, "event_id"), _text(event, "user")
    if not (event_id and user_id) or event.get("tab") != "home":
        return None
    origin = Origin(team_id, Person(user_id), "", is_elsewhere=_is_elsewhere(body, team_id))
    return Request(event_id, RequestKind.HOME, origin, now)


def parse_channel_event(body: Mapping[str, Any], team_id: str, now: datetime, news: ChannelNews) -> Request | None:
    """Read what happened to a channel; some events name it by its id, some by an object."""
    event = _map(body, "event")
    event_id, channel_id = _text(body, "event_id"), _text(event, "channel") or _text(_map(event, "channel"), "id")
    if not (event_id and channel_id):
        return None
    origin = Origin(team_id, Person(_text(event, "user")), channel_id)
    return Request(event_id, RequestKind.CHANNEL, origin, now, text=news)


def parse_move_event(body: Mapping[str, Any], team_id: str, now: datetime) -> Request | None:
    """Read that a channel has another id."""
    event = event_of(body)
    event_id = _text(body, "event_id")
    old_id, new_id = _text(event, "old_channel_id"), _text(event, "new_channel_id")
    if not (event_id and old_id.isalnum() and new_id.isalnum()) or old_id == new_id:
        return None
    origin = Origin(team_id, Person(""), old_id)
    return Request(event_id, RequestKind.CHANNEL, origin, now, text=f"{ChannelNews.MOVED} {new_id}")


def first_action(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read which element was used; Slack sends one at a time."""
    actions = body.get("actions")
    first = actions[0] if isinstance(actions, list) and actions else None
    return first if isinstance(first, Mapping) else {}


def value_of(action: Mapping[str, Any]) -> object:
    """Read the value of a button, or of the option that was chosen from a menu."""
    return _map(action, "selected_option").get("value") or action.get("value")


def event_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read the event in its envelope."""
    return _map(body, "event")


def _is_elsewhere(body: Mapping[str, Any], team_id: str) -> bool:
    """Tell whether a payload names workspaces, and ours is none of them.

    Which workspace a person belongs to does not count here: in an Enterprise organization payloads name the
    organization, or another workspace of it, for members of ours. The workspace of the request is only a doubt, too.
    """
    return team_id not in (_workspaces(body) or (team_id,))


def _workspaces(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Read in which workspaces something happened.

    https://docs.slack.dev/apis/events-api#authorizations, https://docs.slack.dev/enterprise/developing-for-enterprise-orgs
    """
    listed = body.get("authorizations")
    installations = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    named = (
        *(_text(one, "team_id") for one in installations),
        _text(_map(body, "view"), "app_installed_team_id"),
        _text(_map(body, "team"), "id"),
        _text(body, "team_id"),
    )
    return tuple(name for name in named if name)


def _map(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _text(value: Mapping[str, Any], key: str, *, most: int | None = ID_CHARS) -> str:
    found = value.get(key)
    return storable(found) if isinstance(found, str) and (most is None or len(found) <= most) else ""
