"""The Slack scopes that the bot uses, each with its reason; used by the manifests and ``flokit-bot check``."""

from __future__ import annotations

from typing import Final

BOT_SCOPES: Final = {
    "app_mentions:read": "receive mentions, which work in threads where slash commands don't",
    "channels:history": "check whether a message was already posted, after a crash or a lost reply",
    "channels:join": "read a public channel where it posted without an invitation, if that check is needed",
    "channels:read": "get notified when a public channel is archived or deleted, or when it's removed or invited",
    "chat:write": "post and update its own messages",
    "chat:write.public": "answer commands in public channels without being invited first",
    "commands": "the slash command",
    "groups:history": "the same check as channels:history, in private channels",
    "groups:read": "the same as channels:read, in private channels that it was invited to",
    "im:history": "receive DMs, and do the same check there",
    "im:write": "send a DM if it can't post where someone asked",
    "usergroups:read": "look up who is in the user groups that a policy names",
    "users:read": "look up a person's time zone, and whether they're a member, a guest or from another workspace",
}

_TWICE: Final = "after a crash or a lost reply while I post, that message may appear twice"

OPTIONAL_SCOPES: Final = {
    "channels:history": _TWICE,
    "channels:join": _TWICE,
    "groups:history": _TWICE,
    "im:history": "I don't receive direct messages, only commands there",
}
"""Optional scopes, and what is lost without them; Slack reviews apps that read messages more closely."""

DISTRIBUTED_SCOPES: Final = {scope: why for scope, why in BOT_SCOPES.items() if scope not in OPTIONAL_SCOPES}
"""The fewest scopes, for an app that many workspaces install: it reads no messages."""
