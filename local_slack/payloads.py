"""The payloads of commands, clicks and events.

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
"""Slash commands don't include the names of private conversations."""


@dataclass(frozen=True, slots=True)
class Click:
    """A person's action on an element of a message."""

    user: User
    channel: Channel
    message: Json
    ephemeral: bool
    used: Use


def interaction(workspace: WorkspaceState, kind: str, user: User) -> Json:
    """Return the members common to all interaction payloads."""
    return {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.said_team},
        "api_app_id": workspace.app.id,
        "token": VERIFICATION_TOKEN,
        "team": {"id": user.acts_in, "domain": workspace.domain},
        "enterprise": workspace.org_of(user),
        "is_enterprise_install": workspace.is_org_install,
    }


def command_payload(
    workspace: WorkspaceState, user: User, channel: Channel, command: str, text: str, response_url: str, trigger_id: str
) -> Json:
    """Return the form of a slash command."""
    org = workspace.org_of(user)
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
        "is_enterprise_install": "true" if workspace.is_org_install else "false",
        **({"enterprise_id": org["id"], "enterprise_name": org["name"]} if org else {}),
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def click_payload(workspace: WorkspaceState, click: Click, response_url: str, trigger_id: str, action_ts: str) -> Json:
    """Return a ``block_actions`` payload, without metadata and, if the message is ephemeral, without the message.

    Slack guarantees neither, so an app that depends on them fails here.
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


def event_payload(workspace: WorkspaceState, event: Json) -> Json:
    """Return an event as the Events API sends it.

    ``authorizations`` as in https://docs.slack.dev/enterprise/developing-for-enterprise-orgs#events.
    """
    authorization = {
        "enterprise_id": None if workspace.org is None else workspace.org.id,
        "team_id": workspace.id,
        "user_id": workspace.app.bot_user_id,
        "is_bot": True,
        "is_enterprise_install": workspace.is_org_install,
    }
    return {
        **event_wrapper(workspace, event),
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
        "event_context": f"4-{secrets.token_hex(12)}",
    }


def event_wrapper(workspace: WorkspaceState, event: Json) -> Json:
    """Return what's around every event, also around those without ``authorizations``."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": workspace.id,
        **({"enterprise_id": workspace.org.id} if workspace.org is not None else {}),
        "api_app_id": workspace.app.id,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": int(workspace.now()),
    }


def message_events(message: Json, channel: Channel, app: Installation) -> Iterator[Json]:
    """Yield the events that a person's message causes and the app receives."""
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
