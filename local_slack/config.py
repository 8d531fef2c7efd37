"""A local Slack's configuration: the app under test, the workspace, its people and its channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

HOME_ZONE: Final = "Europe/Berlin"
"""The time zone of users who don't name one."""


@dataclass(frozen=True, slots=True)
class OAuth:
    """How an app is given to others: its credentials for OAuth, and where Slack sends people back to.

    Attributes:
        redirect_urls: the app's Redirect URLs, with https, or http on this machine; ``redirect_uri`` is one of them or
            below one. ``LocalSlack.oauth.redirect_urls`` changes them later.
        optional_scopes: the scopes that the person who installs the app can leave out.
        rotates_tokens: whether bot tokens expire after twelve hours and come with a refresh token.
        is_org_ready: whether a whole organization can install it.
    """

    client_id: str = "1111111111.2222222222"
    client_secret: str = "local-client-secret"  # noqa: S105 - made up
    redirect_urls: tuple[str, ...] = ()
    optional_scopes: frozenset[str] = frozenset()
    rotates_tokens: bool = False
    is_org_ready: bool = False


@dataclass(frozen=True, slots=True)
class App:
    """The app under test, as its manifest describes it, and the made-up credentials that it connects with.

    Attributes:
        name: the bot's display name.
        scopes: the bot token's scopes; with ``oauth``, those that may be asked for. A method that needs another one
            answers ``missing_scope``.
        events: the bot events that the app subscribes to, such as ``app_mention`` or ``message.im``. It gets no others.
        command: the slash command that ``LocalSlack.command`` sends unless the call names one.
        home_tab: whether App Home has a Home tab.
        oauth: how people install it; None: it's installed from the start, with ``bot_token``.
        is_distributed: whether it's distributed outside the Marketplace: it can read little history, once a minute.
    """

    name: str = "Test app"
    scopes: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    command: str = ""
    home_tab: bool = False
    oauth: OAuth | None = None
    is_distributed: bool = False
    id: str = "A0LOCAL"
    bot_id: str = "B0LOCAL"
    bot_user_id: str = "U0LOCAL"
    bot_token: str = "xoxb-local"  # noqa: S105 - made up
    app_token: str = "xapp-local"  # noqa: S105
    signing_secret: str = "local-signing-secret"  # noqa: S105


@dataclass(frozen=True, slots=True)
class User:
    """A person or a bot user.

    In an Enterprise organization, people belong to several workspaces, and payloads name the organization or another
    of its workspaces: https://docs.slack.dev/enterprise/developing-for-enterprise-orgs

    Attributes:
        zone: the IANA name of their time zone.
        team_id: their home workspace; empty means this one.
        org_id: their organization, if they're in one.
        org_teams: the workspaces of the organization that they belong to.
        named_team: the team that payloads name where they describe the person, if it isn't ``team_id``.
        acts_in: the team that payloads name for the request; empty means this workspace.
        is_admin: whether they're an admin of this workspace.
        is_deactivated: whether their account was deactivated; they can still be looked up.
    """

    id: str
    name: str
    is_bot: bool = False
    zone: str = HOME_ZONE
    is_guest: bool = False
    team_id: str = ""
    org_id: str = ""
    org_teams: tuple[str, ...] = ()
    named_team: str = ""
    acts_in: str = ""
    is_admin: bool = False
    is_deactivated: bool = False

    @property
    def said_team(self) -> str:
        """The team that payloads name where they describe the person."""
        return self.named_team or self.team_id


class ChannelKind(StrEnum):
    """Slack's four kinds of conversation."""

    PUBLIC = "public"
    PRIVATE = "private"
    IM = "im"
    MPIM = "mpim"


@dataclass(slots=True)
class Channel:
    """A conversation; ``members`` are user IDs, and the bot's is among them if it was invited."""

    id: str
    name: str
    kind: ChannelKind = ChannelKind.PUBLIC
    members: set[str] = field(default_factory=set)
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class Org:
    """An Enterprise organization, which has several workspaces."""

    id: str = "E0LOCAL"
    name: str = "Local organization"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace in which the app is installed. Each person also has a direct message with the bot.

    Attributes:
        bot_token, bot_id, bot_user_id: this workspace's, for tests with several; empty means the app's.
        org: the organization that it's part of. Its people are in the organization, too.
    """

    id: str = "T0LOCAL"
    name: str = "Local"
    domain: str = "local"
    users: tuple[User, ...] = (User("U0ANA", "ana"), User("U0BEN", "ben"))
    channels: tuple[Channel, ...] = (Channel("C0GENERAL", "general", members={"U0ANA", "U0BEN"}),)
    bot_token: str = ""
    bot_id: str = ""
    bot_user_id: str = ""
    org: Org | None = None
