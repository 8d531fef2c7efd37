"""The Web API methods about people: ``auth.test``, ``users.info``, ``bots.info``, ``usergroups.users.list``."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from local_slack.arguments import Arguments
from local_slack.config import ChannelKind
from local_slack.install import Installation
from local_slack.refusal import RefusalError
from local_slack.workspace import Json

ZONE_LABELS: Final = {
    "CET": "Central European Time",
    "CEST": "Central European Summer Time",
    "EST": "Eastern Standard Time",
    "EDT": "Eastern Daylight Time",
    "IST": "India Standard Time",
}
"""Slack's labels for the predefined time zones; others use their abbreviation."""


def api_test(_app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/api.test: returns the arguments, or the requested error."""
    if args.has("error"):
        raise RefusalError(args.text("error"), args=args.values)
    return {"args": args.values}


def auth_test(app: Installation, _args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/auth.test."""
    bot = app.workspace.app
    return {
        "url": f"{app.url}/",
        "team": app.workspace.name,
        "team_id": app.workspace.id,
        "user": bot.name.lower(),
        "user_id": bot.bot_user_id,
        "bot_id": bot.bot_id,
        "app_id": bot.id,
        "is_enterprise_install": False,
        **({"enterprise_id": app.workspace.org.id} if app.workspace.org is not None else {}),
    }


def user_info(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/users.info."""
    user = app.workspace.users.get(args.text("user"))
    if user is None:
        raise RefusalError("user_not_found")
    there = datetime.fromtimestamp(app.workspace.now(), ZoneInfo(user.zone))
    offset, letters = there.utcoffset(), there.tzname() or user.zone
    described: Json = {
        "id": user.id,
        "team_id": user.team_id,
        "name": user.name,
        "real_name": user.name.title(),
        "deleted": user.is_deactivated,
        "is_bot": user.is_bot,
        "is_admin": user.is_admin,
        "is_restricted": user.is_guest,
        "is_ultra_restricted": False,
        "is_stranger": app.workspace.id not in (user.team_id, *user.org_teams) and not _shares_a_channel(app, user.id),
        "tz": user.zone,
        "tz_label": ZONE_LABELS.get(letters, letters),
        "tz_offset": int(offset.total_seconds()) if offset else 0,
        "profile": {"display_name": user.name, "real_name": user.name.title()},
    }
    if user.org_id:
        described["enterprise_user"] = {
            "id": user.id,
            "enterprise_id": user.org_id,
            "enterprise_name": user.org_id.title(),
            "is_admin": False,  # of the organization
            "is_owner": False,
            "teams": list(user.org_teams),
        }
    return {"user": described}


def _shares_a_channel(app: Installation, user_id: str) -> bool:
    """Whether someone from another workspace is in a channel that the bot can see."""
    channels = [one for one in app.workspace.channels.values() if one.kind is not ChannelKind.IM]
    return any(app.workspace.shows_to_bot(one) and user_id in one.members for one in channels)


def bot_info(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/bots.info."""
    bot = app.workspace.app
    if args.text("bot") != bot.bot_id:
        raise RefusalError("bot_not_found")
    return {"bot": {"id": bot.bot_id, "app_id": bot.id, "user_id": bot.bot_user_id, "name": bot.name, "deleted": False}}


def usergroup_users(app: Installation, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/usergroups.users.list."""
    users = app.workspace.usergroups.get(args.text("usergroup"))
    if users is None:
        raise RefusalError("no_such_subteam")
    return {"users": list(users)}
