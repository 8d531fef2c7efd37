"""Who has installed the app, and which FloKit a workspace is connected to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

KNOWN_FOR_S: Final = 60.0
"""How long a process uses what it has read about a workspace: an uninstall or a new key reaches it within this time."""

HINT_LENGTH: Final = 4
"""How many characters of a key may be shown."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The app in one workspace, or in a whole Enterprise organization. ``repr`` shows no token.

    ``team_id`` is "" if the app was installed org-wide; ``enterprise_id`` is then set. ``installed_by`` is a person's
    ID. ``generation`` grows whenever the tokens change, so a copy with a lower one is out of date.
    ``refresh_token`` and ``token_expires_at`` are set only if the app uses token rotation.
    """

    team_id: str
    team_name: str
    enterprise_id: str | None
    is_enterprise: bool
    app_id: str
    bot_id: str
    bot_user_id: str
    bot_token: str = field(repr=False)
    scopes: tuple[str, ...]
    installed_by: str
    installed_at: datetime
    generation: int = 1
    refresh_token: str | None = field(default=None, repr=False)
    token_expires_at: datetime | None = None

    @property
    def id(self) -> str:
        """The team's ID, or the organization's if the app was installed org-wide."""
        return self.team_id or self.enterprise_id or ""


@dataclass(frozen=True, slots=True)
class Connection:
    """A workspace's FloKit keys. ``repr`` doesn't show them.

    ``sync_api_key`` starts syncs; if it's None, ``api_key`` does that, too. ``connected_by`` is a person's ID.
    """

    api_key: str = field(repr=False)
    sync_api_key: str | None = field(repr=False)
    connected_by: str
    connected_at: datetime

    @property
    def hint(self) -> str:
        """The last characters of ``api_key``; "" if the key is so short that they would give it away."""
        return self.api_key[-HINT_LENGTH:] if len(self.api_key) >= 3 * HINT_LENGTH else ""


@dataclass(frozen=True, slots=True)
class InstallationRecord:
    """What's known of an installation without opening its secrets, for those who run the bot.

    ``has_token`` is False for a workspace that an org-wide installation covers. ``key_id`` names the master key that
    its secrets need; None if it has none. ``uninstalled_at`` is None while it's installed; ``connected_at`` is None
    while no FloKit is connected.
    """

    id: str
    team_id: str
    team_name: str
    enterprise_id: str | None
    is_enterprise: bool
    has_token: bool
    scopes: tuple[str, ...]
    installed_by: str
    installed_at: datetime
    generation: int
    key_id: str | None
    uninstalled_at: datetime | None
    key_hint: str | None
    connected_by: str | None
    connected_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccessNews:
    """What an event says about where the app is installed; ``team_ids`` is empty for the event's own workspace."""

    kind: Literal["uninstalled", "revoked", "team_revoked", "team_granted"]
    at: datetime
    bot_user_ids: frozenset[str] = frozenset()
    team_ids: tuple[str, ...] = ()
