"""The Slack scopes that the bot uses, each with its reason: the manifests and ``flokit-bot check`` hold to this."""

from __future__ import annotations

from typing import Final

BOT_SCOPES: Final = {
    "app_mentions:read": "hear mentions, which work in threads where slash commands don't",
    "channels:history": "look whether a message was posted already, after a crash or a lost reply",
    "channels:join": "read a public channel where it posted uninvited, when that look is needed",
    "channels:read": "hear that a public channel was archived or deleted, that it was removed or invited",
    "chat:write": "post and edit its own messages",
    "chat:write.public": "answer a command in a public channel without being invited first",
    "commands": "the slash command",
    "groups:history": "the same look as channels:history, in private channels",
    "groups:read": "the same as channels:read, in private channels that it was invited to",
    "im:history": "hear direct messages, and the same look there",
    "im:write": "open a DM when it can't post where it was asked",
    "usergroups:read": "know who is in the user groups that a policy names",
    "users:read": "know a person's time zone, and whether they're a member, a guest or from another workspace",
}

_TWICE: Final = "after a crash or a lost reply while I post, that message may appear twice"

OPTIONAL_SCOPES: Final = {
    "channels:history": _TWICE,
    "channels:join": _TWICE,
    "groups:history": _TWICE,
    "im:history": "I don't hear direct messages, only commands there",
}
"""What can be left out, and what that means: Slack reviews apps that read messages more closely."""
