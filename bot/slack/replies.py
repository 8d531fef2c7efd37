"""What Slack's replies say, as values. Slack may leave out any field, or send another type: that's read, too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from bot.core.errors import SlackError, SlackOther, SlackRateLimited, SlackUnavailable
from bot.core.health.findings import Conversation
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
    at: datetime | None = None
    """Slack's clock at the answer, whole seconds."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What Slack says about a person; each field that it leaves out is empty or False.

    https://docs.slack.dev/reference/objects/user-object
    """

    zone: str = ""
    """An IANA name."""
    is_guest: bool = False
    is_stranger: bool = False
    """From another workspace, with which ours shares no channel."""
    is_deactivated: bool = False
    team_ids: frozenset[str] = frozenset()
    """Their workspaces: several in an Enterprise organization."""


def identity_of(reply: Reply) -> Identity:
    """Read ``auth.test``."""
    scopes = _header(reply.headers, "x-oauth-scopes").split(",")
    return Identity(
        team_id=reply.get("team_id") or "",
        team=reply.get("team") or "",
        bot_user_id=reply.get("user_id") or "",
        bot_id=reply.get("bot_id") or "",
        scopes=frozenset(scope.strip() for scope in scopes if scope.strip()),
        at=_date_of(reply.headers),
    )


def conversation_of(reply: Reply) -> Conversation:
    """Read ``conversations.info``."""
    channel = _map(reply, "channel")
    return Conversation(
        is_member=channel.get("is_member") is True,
        is_private=channel.get("is_private") is True,
        is_archived=channel.get("is_archived") is True,
        is_direct=channel.get("is_im") is True,
    )


def profile_of(reply: Reply) -> Profile:
    """Read ``users.info``.

    Raises:
        SlackOther: it describes nobody.
    """
    user = _map(reply, "user")
    if not user:
        raise SlackOther("Slack's answer describes nobody", code="no_profile")
    zone, listed = user.get("tz"), _map(user, "enterprise_user").get("teams")
    teams = [user.get("team_id"), *(listed if isinstance(listed, list) else [])]
    return Profile(
        zone if isinstance(zone, str) else "",
        is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        is_stranger=bool(user.get("is_stranger")),
        is_deactivated=bool(user.get("deleted")),
        team_ids=frozenset(team for team in teams if isinstance(team, str) and team),
    )


def group_of(reply: Reply) -> frozenset[str]:
    """Read the user IDs of ``usergroups.users.list``.

    Raises:
        SlackUnavailable: there is no list.
    """
    users = reply.get("users")
    if not isinstance(users, list):
        raise SlackUnavailable("Slack listed a user group without its people")
    return frozenset(str(user) for user in users)


def socket_url_of(reply: Reply) -> str:
    """Read the address of ``apps.connections.open``.

    Raises:
        SlackUnavailable: there is none.
    """
    url = reply.get("url")
    if not isinstance(url, str) or not url.startswith(("wss://", "ws://")):
        raise SlackUnavailable("Slack opened a socket without saying where")
    return url


def direct_of(reply: Reply) -> str:
    """Read the channel of ``conversations.open``.

    Raises:
        SlackUnavailable: there is none.
    """
    channel_id = _map(reply, "channel").get("id")
    if not channel_id:
        raise SlackUnavailable("Slack opened a direct message without naming it")
    return str(channel_id)


def ts_of(reply: Reply) -> str:
    """Read the ts of a message.

    Raises:
        SlackUnavailable: there is none.
    """
    ts = reply.get("ts")
    if not isinstance(ts, str) or not ts:
        raise SlackUnavailable("Slack took a message without naming its ts")
    return ts


def is_in_channel(reply: Reply) -> bool:
    """Tell whether Slack says that it put a reply into the channel itself; an answer without the message says nothing.

    Slack accepts a reply to a deleted root: only the missing ``thread_ts`` of what it posted shows that.
    """
    message = _map(reply, "message")
    return bool(message) and message.get("thread_ts") in (None, "", reply.get("ts"))


def messages_of(reply: Reply) -> list[dict[str, Any]]:
    """Read the messages of ``conversations.history`` or ``conversations.replies``."""
    listed = reply.get("messages")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def has_root(replies: Sequence[Mapping[str, Any]], thread_ts: str) -> bool:
    """Tell whether a thread still has its root: Slack lists that first, or a tombstone, or only what is left."""
    return bool(replies) and replies[0].get("ts") == thread_ts and replies[0].get("subtype") != "tombstone"


def ts_of_ours(messages: Sequence[Mapping[str, Any]], outbox_id: str) -> str | None:
    """Return the ts of the message whose metadata has this outbox ID."""
    for message in messages:
        if _map(_map(message, "metadata"), "event_payload").get("outbox_id") == outbox_id:
            return ts_of(message)
    return None


def first_problem(error: SlackError) -> str:
    """Read the first of the ``errors`` that blocks.validate lists: what, and where."""
    data = getattr(getattr(error.__cause__, "response", None), "data", None)
    errors = data.get("errors") if isinstance(data, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return " at ".join(str(first[name]) for name in ("message", "pointer") if first.get(name))


def check_response(status: int, headers: Any, text: str) -> None:
    """Check what a ``response_url`` answered: "ok", or JSON whose ``ok`` is true.

    Raises:
        SlackError: the message wasn't taken, or Slack doesn't say that it was.
    """
    if status == 429:
        raise SlackRateLimited("Slack asks to slow down", retry_after_s=retry_after_s(headers))
    if status >= 500:
        raise SlackUnavailable(f"Slack answered HTTP {status}")
    taken = text.strip() == "ok" or _ok_of(text)
    if status >= 400 or taken is False:
        raise SlackOther("Slack refused the answer", code=text[:80])
    if not taken:
        raise SlackUnavailable("Slack took the answer without saying so")  # a proxy's page, or half a reply


def _ok_of(text: str) -> bool | None:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    ok = answer.get("ok") if isinstance(answer, dict) else None
    return ok if isinstance(ok, bool) else None


def _map(reply: Reply, key: str) -> dict[str, Any]:
    found = reply.get(key)
    return found if isinstance(found, dict) else {}


def _header(headers: Any, wanted: str) -> str:
    return next((str(value) for name, value in headers.items() if name.lower() == wanted), "")


def _date_of(headers: Any) -> datetime | None:
    try:
        at = parsedate_to_datetime(_header(headers, "date"))
    except ValueError:
        return None
    return at if at.tzinfo else None
