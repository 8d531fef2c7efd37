"""What Slack sends to an app: the payloads of commands, clicks and events.

Sources: https://docs.slack.dev/interactivity/implementing-slash-commands,
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload and
https://docs.slack.dev/apis/events-api.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from local_slack.config import Channel, ChannelKind, User
from local_slack.install import Installation
from local_slack.use import Use
from local_slack.workspace import Json, WorkspaceState

VERIFICATION_TOKEN: Final = "sandbox-verification-token"  # noqa: S105 - Slack's deprecated token; nothing checks it

CHANNEL_ALIASES: Final = {ChannelKind.IM: "directmessage", ChannelKind.PRIVATE: "privategroup"}
"""Slack hides the names of private conversations from slash commands."""


@dataclass(frozen=True, slots=True)
class Click:
    """Who used an element of which message."""

    user: User
    channel: Channel
    message: Json
    ephemeral: bool
    used: Use


def interaction(workspace: WorkspaceState, kind: str, user: User) -> Json:
    """Return what all interaction payloads have in common."""
    return {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.said_team},
        "api_app_id": workspace.app.id,
        "token": VERIFICATION_TOKEN,
        "team": {"id": user.acts_in, "domain": workspace.domain},
        "enterprise": {"id": user.org_id, "name": user.org_id.title()} if user.org_id else None,
        "is_enterprise_install": False,
    }


def command_payload(
    workspace: WorkspaceState, user: User, channel: Channel, command: str, text: str, response_url: str, trigger_id: str
) -> Json:
    """Return the form of a slash command."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": user.acts_in,
        "team_domain": workspace.domain,
        "channel_id": channel.id,
        "channel_name": CHANNEL_ALIASES.get(channel.kind, channel.name),
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": workspace.app.id,
        "is_enterprise_install": "false",
        **({"enterprise_id": user.org_id, "enterprise_name": user.org_id.title()} if user.org_id else {}),
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def click_payload(workspace: WorkspaceState, click: Click, response_url: str, trigger_id: str, action_ts: str) -> Json:
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
        **interaction(workspace, "block_actions", click.user),
        "container": container,
        "trigger_id": trigger_id,
        "channel": {"id": channel.id, "name": CHANNEL_ALIASES.get(channel.kind, channel.name)},
        "state": {"values": click.used.values},
        "response_url": response_url,
        "actions": [click.used.action_at(action_ts)],
    }
    if not click.ephemeral:
        payload["message"] = {name: value for name, value in message.items() if name != "metadata"}
    return payload


def event_payload(workspace: WorkspaceState, event: Json, event_time: int) -> Json:
    """Return the envelope of the Events API around an event."""
    authorization = {
        "enterprise_id": None,
        "team_id": workspace.id,
        "user_id": workspace.app.bot_user_id,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": workspace.id,
        "api_app_id": workspace.app.id,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": event_time,
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
        "event_context": f"4-{secrets.token_hex(12)}",
    }


def message_events(message: Json, channel: Channel, app: Installation) -> Iterator[Json]:
    """Yield the events that a person's message sets off, of those that the app hears."""
    if not app.workspace.has_bot(channel):
        return
    shared: Json = {
        name: message[name] for name in ("user", "text", "ts", "thread_ts", "team", "user_team") if name in message
    }
    event: Json = {**shared, "channel": channel.id, "event_ts": message["ts"]}
    if channel.kind is ChannelKind.IM and app.hears("message.im", "im:history"):
        yield {"type": "message", "channel_type": "im", **event}
    elif f"<@{app.workspace.app.bot_user_id}>" in message["text"] and app.hears("app_mention", "app_mentions:read"):
        yield {"type": "app_mention", **event}
