"""What several of the local Slack's tests share."""

from __future__ import annotations

import pytest
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.oauth.installation_store import FileInstallationStore
from slack_sdk.oauth.state_store import FileOAuthStateStore


class StoppedClock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that only the test moves."""
    return StoppedClock()


def bolt_flow(slack, client, app, scopes, folder):
    """Return Bolt's own OAuth flow for an app, with its stores in a folder."""
    settings = AsyncOAuthSettings(
        client_id=app.oauth.client_id,
        client_secret=app.oauth.client_secret,
        scopes=scopes,
        authorization_url=slack.oauth.authorize_url,
        installation_store=FileInstallationStore(base_dir=str(folder / "installations")),
        state_store=FileOAuthStateStore(expiration_seconds=600, base_dir=str(folder / "states")),
    )
    return AsyncOAuthFlow(client=client, settings=settings)
