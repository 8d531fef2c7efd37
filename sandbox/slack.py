"""The local Slack of the sandbox and the tests: the FloKit app, installed in a small workspace."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

from local_slack import App, Channel, ChannelKind, LocalSlack, Org, User, Workspace
from local_slack.workspace import Clock

FLOKIT_APP: Final = App(
    name="FloKit",
    scopes=frozenset(
        {
            "app_mentions:read",
            "channels:history",
            "channels:join",
            "channels:read",
            "chat:write",
            "chat:write.public",
            "commands",
            "groups:history",
            "groups:read",
            "im:history",
            "im:write",
            "usergroups:read",
            "users:read",
        }
    ),
    events=frozenset(
        {
            "app_home_opened",
            "app_mention",
            "channel_archive",
            "channel_deleted",
            "channel_id_changed",
            "channel_left",
            "channel_unarchive",
            "group_archive",
            "group_deleted",
            "group_left",
            "group_unarchive",
            "member_joined_channel",
            "message.im",
        }
    ),
    command="/flokit",
    home_tab=True,
    id="AFLOKIT",
    bot_id="BFLOKIT",
    bot_user_id="UFLOKIT",
    bot_token="xoxb-sandbox",  # noqa: S106 - made up
    app_token="xapp-sandbox",  # noqa: S106
    signing_secret="sandbox-signing-secret",  # noqa: S106
)
"""The app as in the manifests."""

BOT_USER_ID: Final = FLOKIT_APP.bot_user_id

_PEOPLE: Final = {"UANA", "UBEN", "UCLEO", "UDORA"}

WORKSPACE: Final = Workspace(
    "T0SANDBOX",
    "Sandbox",
    "flokit-sandbox",
    users=(
        User("UANA", "ana"),
        User("UBEN", "ben", zone="America/New_York"),
        User("UCLEO", "cleo", zone="Asia/Kolkata"),
        User("UDORA", "dora", is_guest=True),
    ),
    channels=(
        Channel("C0DATA", "data-syncs", members={*_PEOPLE, BOT_USER_ID}),
        Channel("C0GENERAL", "general", members=_PEOPLE),
        Channel("G0FINANCE", "finance", ChannelKind.PRIVATE, _PEOPLE),
        Channel("D0ANABEN", "ana, ben", ChannelKind.IM, {"UANA", "UBEN"}),
    ),
)

BETA: Final = Workspace(
    "T0BETA",
    "Beta Corp",
    "beta-corp",
    users=(
        User("UMIA", "mia", zone="Europe/London"),
        User("UNOAH", "noah", zone="America/Los_Angeles"),
        User("UOLGA", "olga", is_guest=True),
    ),
    channels=(
        Channel("C0GROWTH", "growth", members={"UMIA", "UNOAH", "UOLGA"}),
        Channel("C0LAUNCH", "launch", members={"UMIA", "UNOAH"}),
    ),
    bot_id="BFLOKITBETA",
    bot_user_id="UFLOKITBETA",
)
"""A workspace of other people, who install the app themselves."""

GAMMA: Final = Org("E0GAMMA", "Gamma Group")
_GAMMA_PEOPLE: Final = (User("UIDA", "ida", zone="Europe/Helsinki"), User("ULEV", "lev", zone="Asia/Tokyo"))


def _of_gamma(id_: str, name: str, channel: Channel) -> Workspace:
    return Workspace(
        id_,
        name,
        name.lower().replace(" ", "-"),
        users=_GAMMA_PEOPLE,
        channels=(channel,),
        bot_id="BFLOKITGAMMA",
        bot_user_id="UFLOKITGAMMA",
        org=GAMMA,
    )


GAMMA_WORKSPACES: Final = (
    _of_gamma("T0GAMMAEU", "Gamma Europe", Channel("C0EUROPE", "europe", members={"UIDA", "ULEV"})),
    _of_gamma("T0GAMMAASIA", "Gamma Asia", Channel("C0ASIA", "asia", members={"UIDA", "ULEV"})),
)
"""The workspaces of an Enterprise organization, which installs the app once for all of them."""


def flokit_slack(
    clock: Clock = time.time,
    *,
    most_records: int | None = None,
    most_messages: int | None = None,
    **changes: Any,
) -> LocalSlack:
    """Return a local Slack with the FloKit app; ``changes`` replace fields of ``FLOKIT_APP``."""
    app = replace(FLOKIT_APP, **changes)
    return LocalSlack(app, WORKSPACE, clock=clock, most_records=most_records, most_messages=most_messages)
