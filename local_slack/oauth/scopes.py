"""Scopes in words, for the page on which people allow them.

What each one is for: https://docs.slack.dev/reference/scopes. The words are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "app_mentions:read": "See messages that mention it in channels it's in",
    "assistant:write": "Act as an AI app",
    "channels:history": "Read messages in public channels it's in",
    "channels:join": "Join public channels",
    "channels:manage": "Create and manage public channels",
    "channels:read": "See basic information about public channels",
    "chat:write": "Post messages as itself",
    "chat:write.public": "Post messages in public channels it isn't in",
    "commands": "Add slash commands and shortcuts",
    "groups:history": "Read messages in private channels it's in",
    "groups:read": "See basic information about private channels it's in",
    "groups:write": "Manage private channels it's in, and create new ones",
    "im:history": "Read direct messages people send it",
    "im:read": "See basic information about its direct messages",
    "im:write": "Start direct messages with people",
    "mpim:history": "Read messages in group direct messages it's in",
    "mpim:read": "See basic information about its group direct messages",
    "mpim:write": "Start group direct messages with people",
    "reactions:write": "Add and edit emoji reactions",
    "team:read": "See the workspace's name, domain and icon",
    "usergroups:read": "See user groups and who is in them",
    "users:read": "See people in the workspace",
}


def in_words(scope: str) -> str:
    """Return a sentence that says what a scope allows, or the scope itself if there is none."""
    return WORDS.get(scope, scope)
