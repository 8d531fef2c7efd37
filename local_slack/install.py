"""The app's installation in the workspace: its tokens, its scopes, and what it can access."""

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
"""The kinds of conversation in Slack's scopes: ``channels:history``, ``groups:read`` …"""

TRIGGER_LIFETIME_S: Final = 3.0
"""https://docs.slack.dev/interactivity/handling-user-interaction#modal_responses"""


class LostRoots(StrEnum):
    """What happens to a reply to a message that was deleted or never existed."""

    AS_SLACK = "as_slack"
    """It stays in the thread if the root had replies; otherwise, it's posted in the channel."""
    CHANNEL = "channel"
    """It's always posted in the channel."""
    UNLISTED = "unlisted"
    """The same, and the remaining replies are listed without a tombstone."""
    REFUSED = "refused"
    """``thread_not_found``, if the root left no tombstone."""


class TokenKind(StrEnum):
    """What a token can be used for."""

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
        """Check that a token exists and is of the wanted kind.

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
"""How long an expired trigger is remembered, to tell it from an unknown one."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """The person behind a ``trigger_id``, and the view it came from, if any."""

    user_id: str
    view_id: str
    at: float


class Triggers:
    """The ``trigger_id`` of each click and command: opens one view, within three seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued: dict[str, Trigger] = {}
        self._used: set[str] = set()

    def issue(self, user_id: str, view_id: str = "") -> str:
        """Return a new trigger ID."""
        trigger_id = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**11)}.{secrets.token_hex(16)}"
        now = self._clock()
        for old in [known for known, trigger in self._issued.items() if now - trigger.at > TRIGGER_REMEMBERED_S]:
            del self._issued[old]
            self._used.discard(old)
        self._issued[trigger_id] = Trigger(user_id, view_id, now)
        return trigger_id

    def knows(self, trigger_id: str) -> bool:
        """Whether a trigger ID was issued here."""
        return trigger_id in self._issued

    def exchange(self, trigger_id: str) -> Trigger:
        """Use up a trigger ID and return its trigger.

        Raises:
            RefusalError: it's unknown, used or expired.
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
    """The state that Web API methods work on."""

    workspace: WorkspaceState
    tokens: Tokens
    scopes: frozenset[str]
    triggers: Triggers
    views: Views
    home_tab: bool
    events: frozenset[str]
    url: str = ""
    lost_roots: LostRoots = LostRoots.AS_SLACK
    is_installed: bool = True
    is_distributed: bool = False
    """Whether the app is distributed outside the Marketplace: it can read little history, once a minute."""
    warnings: list[str] = field(default_factory=list)
    """What Slack accepts but advises against."""

    def hears(self, event: str, scope: str = "") -> bool:
        """Whether the app gets an event: it subscribes to it and has the required scope, if any."""
        return self.is_installed and event in self.events and (not scope or scope in self.scopes)

    def expect_installed(self) -> None:
        """Check that people have the app here.

        Raises:
            LookupError: it isn't installed.
        """
        if not self.is_installed:
            raise LookupError(f"The app isn't installed in {self.workspace.name}.")

    def require_any(self, *scopes: str) -> None:
        """Refuse unless one of the scopes was granted.

        Raises:
            RefusalError: ``missing_scope``, with the needed and the granted scopes, as from Slack.
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
            RefusalError: ``channel_not_found``, also for a private one without the bot, as in Slack.
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
        """Return the conversation to post in; a user ID stands for their direct message.

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
