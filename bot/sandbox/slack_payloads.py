"""What Slack sends to an app: the payloads of commands, clicks and events.

Sources: https://docs.slack.dev/interactivity/implementing-slash-commands,
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload and
https://docs.slack.dev/apis/events-api.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.sandbox.slack_elements import interactive_elements, options_of
from bot.sandbox.workspace import APP_ID, BOT_USER_ID, TEAM_DOMAIN, TEAM_ID, Channel, ChannelKind, Json, User

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERIFICATION_TOKEN: Final = "sandbox-verification-token"  # noqa: S105 - Slack's deprecated token; nothing checks it

CHANNEL_ALIASES: Final = {ChannelKind.IM: "directmessage", ChannelKind.PRIVATE: "privategroup"}
"""Slack hides the names of private conversations from slash commands."""


@dataclass(frozen=True, slots=True)
class Use:
    """Which element a person used, and how."""

    block: Json
    element: Json
    chosen: str | None
    """The value of the option or button, or the id picked; None when a button was meant without it."""
    raw_value: str | None = None
    """Overrides a button's value, as a tampering client would."""


@dataclass(frozen=True, slots=True)
class Click:
    """Who used an element of which message."""

    user: User
    channel: Channel
    message: Json
    ephemeral: bool
    use: Use


def interaction(kind: str, user: User) -> Json:
    """Return what all interaction payloads have in common."""
    return {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID},
        "api_app_id": APP_ID,
        "token": VERIFICATION_TOKEN,
        "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def command_payload(user: User, channel: Channel, command: str, text: str, response_url: str, trigger_id: str) -> Json:
    """Return the form of a slash command."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "team_domain": TEAM_DOMAIN,
        "channel_id": channel.id,
        "channel_name": CHANNEL_ALIASES.get(channel.kind, channel.name),
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def click_payload(click: Click, response_url: str, trigger_id: str, action_ts: str) -> Json:
    """Return a ``block_actions`` payload. An ephemeral message is not sent along, and metadata never is.

    Slack promises neither, so a bot that needs one of them must fail here.
    """
    message, channel = click.message, click.channel
    container: Json = {
        "type": "message",
        "message_ts": message["ts"],
        "channel_id": channel.id,
        "is_ephemeral": click.ephemeral,
    }
    if "thread_ts" in message:
        container["thread_ts"] = message["thread_ts"]
    payload: Json = {
        **interaction("block_actions", click.user),
        "container": container,
        "trigger_id": trigger_id,
        "channel": {"id": channel.id, "name": CHANNEL_ALIASES.get(channel.kind, channel.name)},
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [action_of(click.use, action_ts)],
    }
    if not click.ephemeral:
        payload["message"] = {name: value for name, value in message.items() if name != "metadata"}
    return payload


def event_payload(event: Json, event_time: int) -> Json:
    """Return the envelope of the Events API around an event."""
    authorization = {
        "enterprise_id": None,
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": event_time,
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
        "event_context": f"4-{secrets.token_hex(12)}",
    }


def message_events(message: Json, channel: Channel, scopes: frozenset[str]) -> Iterator[Json]:
    """Yield the events that a person's message sets off, of those the bot subscribes to and has the scopes for."""
    if not channel.bot_is_member:
        return
    shared: Json = {name: message[name] for name in ("user", "text", "ts", "thread_ts", "team") if name in message}
    event: Json = {**shared, "channel": channel.id, "event_ts": message["ts"]}
    if channel.kind is ChannelKind.IM and "im:history" in scopes:
        yield {"type": "message", "channel_type": "im", **event}
    elif f"<@{BOT_USER_ID}>" in message["text"] and "app_mentions:read" in scopes:
        yield {"type": "app_mention", **event}


def find_element(shown: Json, action_id: str, block_id: str | None, value: str | None) -> tuple[Json, Json]:
    """Return the block and the element that a click means.

    Raises:
        LookupError: nothing in the message or view fits.
    """
    for block in shown.get("blocks", []):
        for element in interactive_elements(block):
            if element["action_id"] == action_id and block_id in {None, block["block_id"]} and _takes(element, value):
                return block, element
    where = shown.get("ts") or shown["id"]
    raise LookupError(f"no element with action_id {action_id!r} and value {value!r} in {where}")


_CHOOSING: Final = frozenset({"overflow", "static_select", "radio_buttons"})
_PICKING: Final[Mapping[str, str]] = {
    "users_select": "selected_user",
    "channels_select": "selected_channel",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "plain_text_input": "value",
    "number_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
}
"""Under which name an action carries what was picked."""


def _takes(element: Json, value: str | None) -> bool:
    """Tell whether a click with that value can come from the element; a button may be meant without its value."""
    if element["type"] == "button":
        return value is None or value == element.get("value")
    if element["type"] in _CHOOSING:
        return any(option["value"] == value for option in options_of(element))
    return element["type"] in _PICKING and value is not None


def action_of(use: Use, action_ts: str) -> Json:
    """Return the member of ``actions`` that tells what was used."""
    element = use.element
    kind = element["type"]
    identity = {"action_id": element["action_id"], "block_id": use.block["block_id"]}
    action: Json = {**identity, "type": kind, "action_ts": action_ts}
    if kind in _CHOOSING:
        chosen = next(option for option in options_of(element) if option["value"] == use.chosen)
        return {**action, "selected_option": chosen}
    if kind in _PICKING:
        return {**action, _PICKING[kind]: use.chosen}
    action["text"] = element["text"]
    value = element.get("value") if use.raw_value is None else use.raw_value
    return action if value is None else {**action, "value": value}
