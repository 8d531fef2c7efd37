"""The app as installed in the workspace: its tokens, its scopes, and what it may see and touch."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from local_slack.config import Channel, ChannelKind
from local_slack.refusal import RefusalError
from local_slack.view_store import Views
from local_slack.workspace import Clock, WorkspaceState

SCOPE_FAMILY: Final[Mapping[ChannelKind, str]] = {
    ChannelKind.PUBLIC: "channels",
    ChannelKind.PRIVATE: "groups",
    ChannelKind.IM: "im",
    ChannelKind.MPIM: "mpim",
}
"""How Slack's scopes call the kinds of conversation: ``channels:history``, ``groups:read`` …"""

TRIGGER_LIFETIME_S: Final = 3.0
"""https://docs.slack.dev/interactivity/handling-user-interaction#modal_responses"""


class LostRoots(StrEnum):
    """What becomes of a reply to a message that was deleted, or that never was."""

    AS_SLACK = "as_slack"
    """It stays in the thread where the root had replies; otherwise it is posted in the channel itself."""
    CHANNEL = "channel"
    """It is posted in the channel itself, whatever the root had."""
    UNLISTED = "unlisted"
    """The same, and the replies that are left are listed without a tombstone."""
    REFUSED = "refused"
    """``thread_not_found``, where the root left no trace."""


class TokenKind(StrEnum):
    """What a token may be used for."""

    BOT = "bot"
    APP = "app"


@dataclass(slots=True)
class Tokens:
    """The credentials of the installation."""

    bot: str
    app: str
    signing_secret: str
    bot_revoked: bool = False

    def check(self, token: str, wanted: TokenKind) -> None:
        """Accept a token that exists and is of the wanted kind.

        Raises:
            RefusalError: ``not_authed``, ``invalid_auth``, ``token_revoked`` or ``not_allowed_token_type``.
        """
        if not token:
            raise RefusalError("not_authed")
        if token not in {self.bot, self.app}:
            raise RefusalError("invalid_auth")
        if token == self.bot and self.bot_revoked:
            raise RefusalError("token_revoked")
        if token != (self.bot if wanted is TokenKind.BOT else self.app):
            raise RefusalError("not_allowed_token_type")


TRIGGER_REMEMBERED_S: Final = 600.0
"""How long an old trigger is still told from an unknown one."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Whose click or command a ``trigger_id`` stands for, and from inside which view it came, if from one."""

    user_id: str
    view_id: str
    at: float


class Triggers:
    """The ``trigger_id`` of each click and command: opens one view, for three seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued: dict[str, Trigger] = {}
        self._used: set[str] = set()

    def issue(self, user_id: str, view_id: str = "") -> str:
        """Return a new trigger id."""
        trigger_id = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**11)}.{secrets.token_hex(16)}"
        now = self._clock()
        for old in [known for known, trigger in self._issued.items() if now - trigger.at > TRIGGER_REMEMBERED_S]:
            del self._issued[old]
            self._used.discard(old)
        self._issued[trigger_id] = Trigger(user_id, view_id, now)
        return trigger_id

    def exchange(self, trigger_id: str) -> Trigger:
        """Use up a trigger id, and return what it stands for.

        Raises:
            RefusalError: it is unknown, used or too old.
        """
        if trigger_id not in self._issued:
            raise RefusalError("invalid_trigger_id")
        if trigger_id in self._used:
            raise RefusalError("exchanged_trigger_id")
        trigger = self._issued[trigger_id]
        if self._clock() - trigger.at > TRIGGER_LIFETIME_S:
            raise RefusalError("expired_trigger_id")
        self._used.add(trigger_id)
        return trigger


@dataclass(slots=True)
class Installation:
    """What every Web API method works on."""

    workspace: WorkspaceState
    tokens: Tokens
    scopes: frozenset[str]
    triggers: Triggers
    views: Views
    home_tab: bool
    events: frozenset[str]
    url: str = ""
    lost_roots: LostRoots = LostRoots.AS_SLACK
    is_distributed: bool = False
    """Others install it from outside the Marketplace: it may read history once a minute, and little of it."""
    warnings: list[str] = field(default_factory=list)
    """What Slack lets pass and a careful bot does not do."""

    def hears(self, event: str, scope: str = "") -> bool:
        """Tell whether the app is sent an event: it subscribes to it, and has the scope that it needs, if any."""
        return event in self.events and (not scope or scope in self.scopes)

    def require_any(self, *scopes: str) -> None:
        """Refuse unless one of the scopes was granted.

        Raises:
            RefusalError: ``missing_scope``, with what is needed and what was granted, as Slack tells it.
        """
        if not self.scopes.intersection(scopes):
            provided = ",".join(sorted(self.scopes))
            raise RefusalError("missing_scope", needed=",".join(scopes), provided=provided)

    def require_for(self, channel: Channel, right: str) -> None:
        """Refuse unless ``right`` (``read``, ``history``) was granted for that kind of conversation."""
        self.require_any(f"{SCOPE_FAMILY[channel.kind]}:{right}")

    def visible_channel(self, channel_id: str) -> Channel:
        """Return a conversation that the bot can see.

        Raises:
            RefusalError: ``channel_not_found``, also for a private one without the bot: Slack does not tell them apart.
        """
        channel = self.workspace.channels.get(channel_id)
        if channel is None or not self.workspace.shows_to_bot(channel):
            raise RefusalError("channel_not_found")
        return channel

    def joined_channel(self, channel_id: str) -> Channel:
        """Return a conversation that the bot is in.

        Raises:
            RefusalError: ``channel_not_found`` or ``not_in_channel``.
        """
        channel = self.visible_channel(channel_id)
        if not self.workspace.has_bot(channel):
            raise RefusalError("not_in_channel")
        return channel

    def postable_channel(self, channel_id: str) -> Channel:
        """Return the conversation to post in; a person's id stands for their direct message.

        Raises:
            RefusalError: ``cannot_dm_bot``, ``channel_not_found``, ``not_in_channel`` or ``is_archived``.
        """
        person = self.workspace.users.get(channel_id)
        if person is not None:
            if person.is_bot:
                raise RefusalError("cannot_dm_bot")
            return self.workspace.open_im(channel_id)
        channel = self.visible_channel(channel_id)
        if not self.workspace.has_bot(channel) and "chat:write.public" not in self.scopes:
            raise RefusalError("not_in_channel")
        if channel.is_archived:
            raise RefusalError("is_archived")
        return channel
