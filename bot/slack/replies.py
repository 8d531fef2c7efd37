"""Parses Slack's replies. Slack may omit any field or send another type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from bot.core.errors import SlackError, SlackOther, SlackRateLimited, SlackUnavailable
from bot.core.health.findings import Conversation
from bot.core.json_values import object_in, parse_object
from bot.slack.calls import retry_after_s

Reply: TypeAlias = Any
"""The SDK's response, or its ``data``: both have ``get``."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in its workspace: the answer of ``auth.test``."""

    team_id: str
    team: str
    bot_user_id: str
    bot_id: str
    scopes: frozenset[str]
    url: str = ""
    """The workspace's address, such as ``https://acme.slack.com/``."""
    at: datetime | None = None
    """Slack's clock at the reply, in whole seconds."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A person's profile; missing fields are empty or False.

    https://docs.slack.dev/reference/objects/user-object
    """

    zone: str = ""
    """An IANA name."""
    is_guest: bool = False
    is_stranger: bool = False
    """From another workspace, with which ours shares no channel."""
    is_deactivated: bool = False
    is_admin: bool = False
    """An owner or admin of the workspace, or of its organization."""
    team_ids: frozenset[str] = frozenset()
    """Their workspaces: several in an Enterprise organization."""


def identity_of(reply: Reply) -> Identity:
    """Parse ``auth.test``."""
    scopes = _header(reply.headers, "x-oauth-scopes").split(",")
    return Identity(
        team_id=reply.get("team_id") or "",
        team=reply.get("team") or "",
        bot_user_id=reply.get("user_id") or "",
        bot_id=reply.get("bot_id") or "",
        scopes=frozenset(scope.strip() for scope in scopes if scope.strip()),
        url=str(reply.get("url") or ""),
        at=_date_of(reply.headers),
    )


def conversation_of(reply: Reply) -> Conversation:
    """Parse ``conversations.info``."""
    channel = object_in(reply, "channel")
    return Conversation(
        is_member=channel.get("is_member") is True,
        is_private=channel.get("is_private") is True,
        is_archived=channel.get("is_archived") is True,
        is_direct=channel.get("is_im") is True,
    )


def profile_of(reply: Reply) -> Profile:
    """Parse ``users.info``.

    Raises:
        SlackOther: there is no user in it.
    """
    user = object_in(reply, "user")
    if not user:
        raise SlackOther("Slack's answer describes nobody", code="no_profile")
    zone, enterprise_user = user.get("tz"), object_in(user, "enterprise_user")
    listed = enterprise_user.get("teams")
    teams = [user.get("team_id"), *(listed if isinstance(listed, list) else [])]
    return Profile(
        zone if isinstance(zone, str) else "",
        is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        is_stranger=bool(user.get("is_stranger")),
        is_deactivated=bool(user.get("deleted")),
        is_admin=any(one.get(role) is True for one in (user, enterprise_user) for role in ("is_admin", "is_owner")),
        team_ids=frozenset(team for team in teams if isinstance(team, str) and team),
    )


def group_of(reply: Reply) -> frozenset[str]:
    """Return the user IDs of ``usergroups.users.list``.

    Raises:
        SlackUnavailable: there is no list.
    """
    users = reply.get("users")
    if not isinstance(users, list):
        raise SlackUnavailable("Slack listed a user group without its members")
    return frozenset(str(user) for user in users)


def socket_url_of(reply: Reply) -> str:
    """Return the address of ``apps.connections.open``.

    Raises:
        SlackUnavailable: there is none.
    """
    url = reply.get("url")
    if not isinstance(url, str) or not url.startswith(("wss://", "ws://")):
        raise SlackUnavailable("Slack opened a socket without returning its address")
    return url


def direct_of(reply: Reply) -> str:
    """Return the channel of ``conversations.open``.

    Raises:
        SlackUnavailable: there is none.
    """
    channel_id = object_in(reply, "channel").get("id")
    if not channel_id:
        raise SlackUnavailable("Slack opened a direct message without returning its ID")
    return str(channel_id)


def ts_of(reply: Reply) -> str:
    """Return the ts of a message.

    Raises:
        SlackUnavailable: there is none.
    """
    ts = reply.get("ts")
    if not isinstance(ts, str) or not ts:
        raise SlackUnavailable("Slack accepted a message without returning its ts")
    return ts


def is_in_channel(reply: Reply) -> bool:
    """Whether Slack posted a reply in the channel instead; unknown, so False, if it didn't return the message.

    Slack accepts a reply to a deleted root: only the posted message's missing ``thread_ts`` shows that.
    """
    message = object_in(reply, "message")
    return bool(message) and message.get("thread_ts") in (None, "", reply.get("ts"))


def messages_of(reply: Reply) -> list[dict[str, Any]]:
    """Return the messages of ``conversations.history`` or ``conversations.replies``."""
    listed = reply.get("messages")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def has_root(replies: Sequence[Mapping[str, Any]], thread_ts: str) -> bool:
    """Whether a thread still has its root: Slack lists it first, or a tombstone, or only the remaining replies."""
    return bool(replies) and replies[0].get("ts") == thread_ts and replies[0].get("subtype") != "tombstone"


def ts_of_ours(messages: Sequence[Mapping[str, Any]], outbox_id: str) -> str | None:
    """Return the ts of the message whose metadata has this outbox ID."""
    for message in messages:
        if object_in(object_in(message, "metadata"), "event_payload").get("outbox_id") == outbox_id:
            return ts_of(message)
    return None


def first_problem(error: SlackError) -> str:
    """Return the first of blocks.validate's ``errors``: the problem and its place."""
    data = getattr(getattr(error.__cause__, "response", None), "data", None)
    errors = data.get("errors") if isinstance(data, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return " at ".join(str(first[name]) for name in ("message", "pointer") if first.get(name))


def check_response(status: int, headers: Any, text: str) -> None:
    """Check the reply of a ``response_url``: "ok", or JSON with a true ``ok``.

    Raises:
        SlackError: the message wasn't accepted, or Slack doesn't say so.
    """
    if status == 429:
        raise SlackRateLimited("Slack asks to slow down", retry_after_s=retry_after_s(headers))
    if status >= 500:
        raise SlackUnavailable(f"Slack answered HTTP {status}")
    taken = text.strip() == "ok" or parse_object(text).get("ok")
    if status >= 400 or taken is False:
        raise SlackOther("Slack refused the answer", code=text[:80])
    if taken is not True:
        raise SlackUnavailable(
            "Slack accepted the answer without confirming it"
        )  # a proxy's page, or a truncated reply


def _header(headers: Any, wanted: str) -> str:
    return next((str(value) for name, value in headers.items() if name.lower() == wanted), "")


def _date_of(headers: Any) -> datetime | None:
    try:
        at = parsedate_to_datetime(_header(headers, "date"))
    except ValueError:
        return None
    return at if at.tzinfo else None
