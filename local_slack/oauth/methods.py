"""The Web API's methods about installations.

Sources: https://docs.slack.dev/reference/methods/oauth.v2.access, oauth.v2.exchange, auth.revoke, auth.teams.list and
apps.uninstall. That ``auth.test`` names an organization as the team of its token was seen
(https://github.com/lobu-ai/lobu/pull/3047).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from local_slack import people
from local_slack.arguments import Arguments
from local_slack.conversations import next_page
from local_slack.install import Installation
from local_slack.methods import Method
from local_slack.oauth.grants import Grants
from local_slack.oauth.removal import Removal
from local_slack.oauth.server import OAuthServer
from local_slack.refusal import RefusalError
from local_slack.workspace import Json

TEAMS_DEFAULT: Final = 100
MOST_TEAMS: Final = 1000


def oauth_methods(server: OAuthServer, grants: Grants, removal: Removal) -> Mapping[str, Method]:
    """Return the methods by name."""

    def access(_app: Installation, args: Arguments) -> Json:
        return server.access(args)

    def exchange(_app: Installation, args: Arguments) -> Json:
        return server.exchange(args)

    def revoke(app: Installation, args: Arguments) -> Json:
        if not args.token:
            raise RefusalError("not_authed")
        if args.token == app.tokens.app:
            raise RefusalError("not_allowed_token_type")
        if args.flag("test"):
            grants.check(args.token)
            return {"revoked": False}
        removal.revoke(args.token)
        return {"revoked": True}

    def uninstall(_app: Installation, args: Arguments) -> Json:
        server.check_client(args)
        removal.uninstall(grants.check(args.token))
        return {}

    def test(app: Installation, args: Arguments) -> Json:
        org = grants.check(args.token).org
        told = people.auth_test(app, args)
        if org is None:
            return told
        whole = {"team": org.name, "team_id": org.id, "enterprise_id": org.id, "is_enterprise_install": True}
        return {**told, **whole}

    def teams(_app: Installation, args: Arguments) -> Json:
        grant = grants.check(args.token)
        if grant.org is None:
            raise RefusalError("invalid_auth")
        limit = args.text("limit")
        if limit and not (limit.isdecimal() and 1 <= int(limit) <= MOST_TEAMS):
            raise RefusalError("invalid_limit")
        known = [{"id": one.workspace.id, "name": one.workspace.name} for one in grant.workspaces]
        page, cursor = next_page(known, args.text("cursor"), int(limit or TEAMS_DEFAULT))
        return {"teams": page, "response_metadata": {"next_cursor": cursor}}

    return {
        "oauth.v2.access": Method(access, token=None),
        "oauth.v2.exchange": Method(
            exchange, tier="t3", required=("client_id", "client_secret"), takes_json=False, token=None
        ),
        "auth.test": Method(test),
        "auth.revoke": Method(revoke, tier="t3", takes_json=False, token=None),
        "auth.teams.list": Method(teams, tier="t2", takes_json=False),
        "apps.uninstall": Method(uninstall, tier="t1", required=("client_id", "client_secret"), takes_json=False),
    }
