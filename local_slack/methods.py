"""The Web API's methods as a table: required scopes and arguments, rate limit, and implementation.

Scopes and rate tiers are those of https://docs.slack.dev/reference/methods; a test compares them with Slack's
machine-readable reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from local_slack import chat, conversations, people, views
from local_slack.arguments import Arguments
from local_slack.install import Installation, TokenKind
from local_slack.refusal import RefusalError
from local_slack.validation import validate_blocks_call
from local_slack.workspace import Json

Run = Callable[["Installation", "Arguments"], Json]

_READ: Final = frozenset({"channels:read", "groups:read", "im:read", "mpim:read"})
_HISTORY: Final = frozenset({"channels:history", "groups:history", "im:history", "mpim:history"})
_OPEN: Final = frozenset({"channels:manage", "groups:write", "im:write", "mpim:write"})
_CHAT: Final = frozenset({"chat:write"})


@dataclass(frozen=True, slots=True)
class Method:
    """One method; it needs any one of ``scopes``, or none if empty."""

    run: Run
    scopes: frozenset[str] = frozenset()
    tier: str = ""
    required: tuple[str, ...] = ()
    takes_json: bool = True
    token: TokenKind | None = TokenKind.BOT

    def check(self, app: Installation, args: Arguments) -> None:
        """Refuse a call without the scope or without the arguments.

        Raises:
            RefusalError: ``missing_scope`` or ``invalid_arguments``.
        """
        if self.scopes:
            app.require_any(*sorted(self.scopes))
        missing = [name for name in self.required if not args.has(name)]
        if missing:
            messages = [f"[ERROR] missing required field: {name}" for name in missing]
            raise RefusalError.with_messages("invalid_arguments", messages)


def _blocks_validate(_app: Installation, args: Arguments) -> Json:
    return validate_blocks_call(args.values)


METHODS: Final[Mapping[str, Method]] = {
    "api.test": Method(people.api_test, token=None),
    "auth.test": Method(people.auth_test),
    "users.info": Method(people.user_info, frozenset({"users:read"}), "t4", ("user",), takes_json=False),
    "bots.info": Method(people.bot_info, frozenset({"users:read"}), "t3", takes_json=False),
    "usergroups.users.list": Method(
        people.usergroup_users,
        frozenset({"usergroups:read"}),
        "t2",
        ("usergroup",),
        takes_json=False,
    ),
    "chat.postMessage": Method(chat.post_message, _CHAT, required=("channel",)),
    "chat.postEphemeral": Method(chat.post_ephemeral, _CHAT, "t4", ("channel", "user")),
    "chat.update": Method(chat.update, _CHAT, "t3", ("channel", "ts")),
    "chat.delete": Method(chat.delete, _CHAT, "t3", ("channel", "ts")),
    "chat.getPermalink": Method(chat.get_permalink, required=("channel", "message_ts"), takes_json=False),
    "reactions.add": Method(chat.add_reaction, frozenset({"reactions:write"}), "t3", ("channel", "name", "timestamp")),
    "assistant.threads.setStatus": Method(chat.set_status, _CHAT, required=("channel_id", "thread_ts", "status")),
    "conversations.open": Method(conversations.open_conversation, _OPEN, "t3"),
    "conversations.info": Method(conversations.info, _READ, "t3", ("channel",), takes_json=False),
    "conversations.join": Method(conversations.join, frozenset({"channels:join"}), "t3", ("channel",)),
    "conversations.history": Method(conversations.history, _HISTORY, "t3", ("channel",)),
    "conversations.replies": Method(conversations.replies, _HISTORY, "t3", ("channel", "ts"), takes_json=False),
    "views.open": Method(views.open_view, tier="t4", required=("trigger_id", "view")),
    "views.push": Method(views.push_view, tier="t4", required=("trigger_id", "view")),
    "views.publish": Method(views.publish_view, tier="t4", required=("user_id", "view")),
    "views.update": Method(views.update_view, tier="t4", required=("view",)),
    "blocks.validate": Method(_blocks_validate, token=None),
}
"""All methods except ``apps.connections.open``, which is part of Socket Mode."""
