"""Token rotation: bot tokens expire after twelve hours, and refresh tokens work once."""

from __future__ import annotations

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth.installation_store import Bot
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import App, LocalSlack, OAuth, Workspace

pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
"""slack_sdk sends the app's credentials with a class that aiohttp has deprecated."""

OAUTH = OAuth(redirect_urls=("https://app.example/back",), rotates_tokens=True)
CLIENT = {"client_id": OAUTH.client_id, "client_secret": OAUTH.client_secret}
TWELVE_HOURS_S = 43_200


@pytest.fixture
async def slack(clock):
    """Run a local Slack whose app rotates its tokens."""
    app = App(scopes=frozenset({"chat:write"}), events=frozenset({"tokens_revoked", "app_uninstalled"}), oauth=OAUTH)
    slack = LocalSlack(app, Workspace("T0ALPHA", "Alpha Corp"), clock=clock)
    await slack.start()
    yield slack
    await slack.stop()


@pytest.fixture
def installed(slack):
    """Return the app's tokens from its installation."""
    return slack.oauth.grant(slack, "U0ANA")


def client_of(slack, token=None):
    return AsyncWebClient(token, base_url=slack.api_url)


async def refreshed(slack, token):
    """Use a refresh token, and return the answer."""
    return (await client_of(slack).oauth_v2_access(**CLIENT, grant_type="refresh_token", refresh_token=token)).data


async def refusal(call):
    """Return the code with which a call is refused."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return refused.value.response["error"]


async def test_a_token_expires(slack, clock, installed):
    """The answer says when, and afterwards the token is refused as expired."""
    assert (installed["access_token"][:12], installed["refresh_token"][:7]) == ("xoxe.xoxb-1-", "xoxe-1-")
    assert installed["expires_in"] == TWELVE_HOURS_S
    client = client_of(slack, installed["access_token"])
    clock.now += TWELVE_HOURS_S - 1
    assert (await client.auth_test())["ok"]
    clock.now += 1
    assert await refusal(client.auth_test()) == "token_expired"


async def test_a_refresh_makes_a_new_pair(slack, installed):
    """The new token is for the same installation; the old one works until it expires."""
    answer = await refreshed(slack, installed["refresh_token"])
    assert {**answer, "access_token": "", "refresh_token": ""} == {
        "ok": True,
        "app_id": "A0LOCAL",
        "scope": "chat:write",
        "token_type": "bot",
        "access_token": "",
        "refresh_token": "",
        "expires_in": TWELVE_HOURS_S,
        "bot_user_id": "U0LOCAL",
        "team": {"id": "T0ALPHA", "name": "Alpha Corp"},
        "enterprise": None,
        "is_enterprise_install": False,
    }
    for token in (installed["access_token"], answer["access_token"]):
        assert (await client_of(slack, token).auth_test())["team_id"] == "T0ALPHA"
    assert slack.installation.tokens.bot == answer["access_token"]


async def test_a_refresh_token_works_once(slack, installed):
    """A second use, an invented token, and one of an uninstalled app are refused."""
    answer = await refreshed(slack, installed["refresh_token"])
    assert await refusal(refreshed(slack, installed["refresh_token"])) == "invalid_refresh_token"
    assert await refusal(refreshed(slack, "xoxe-1-guess")) == "invalid_refresh_token"
    slack.oauth.uninstall(slack, told=())
    assert await refusal(refreshed(slack, answer["refresh_token"])) == "invalid_refresh_token"


async def test_at_most_two_tokens_are_valid(slack, installed):
    """Refreshing again and again invalidates the oldest token."""
    second = await refreshed(slack, installed["refresh_token"])
    third = await refreshed(slack, second["refresh_token"])
    assert await refusal(client_of(slack, installed["access_token"]).auth_test()) == "token_revoked"
    for answer in (second, third):
        assert (await client_of(slack, answer["access_token"]).auth_test())["ok"]


async def test_an_expired_token_is_refreshed(slack, clock, installed):
    """A refresh token doesn't expire with its access token."""
    clock.now += 10 * TWELVE_HOURS_S
    answer = await refreshed(slack, installed["refresh_token"])
    assert (await client_of(slack, answer["access_token"]).auth_test())["ok"]


async def test_a_revoked_token_leaves_the_installation(slack, installed):
    """With rotation, ``auth.revoke`` ends one token and nothing else, and no event is sent."""
    client = client_of(slack, installed["access_token"])
    assert (await client.auth_revoke())["revoked"]
    assert await refusal(client.auth_test()) == "token_revoked"
    assert await refusal(client.auth_revoke()) == "token_revoked"
    answer = await refreshed(slack, installed["refresh_token"])
    assert (await client_of(slack, answer["access_token"]).auth_test())["ok"]
    assert slack.installation.is_installed
    assert slack.envelopes == []


async def test_a_refresh_token_is_revoked(slack, installed):
    """``auth.revoke`` accepts refresh tokens, too."""
    assert (await client_of(slack, installed["refresh_token"]).auth_revoke())["revoked"]
    assert await refusal(refreshed(slack, installed["refresh_token"])) == "invalid_refresh_token"
    assert (await client_of(slack, installed["access_token"]).auth_test())["ok"]


@pytest.mark.parametrize(
    ("token", "code"), [("", "not_authed"), ("xapp-local", "not_allowed_token_type"), ("xoxb-guess", "invalid_auth")]
)
async def test_only_tokens_of_installations_are_revoked(slack, token, code):
    """Other tokens are refused."""
    assert await refusal(client_of(slack, token).auth_revoke()) == code


async def test_slacks_own_rotator_rotates(slack, installed):
    """slack_sdk's rotator, as Bolt uses it, gets a new pair."""
    bot = Bot(
        bot_token=installed["access_token"],
        bot_id="B0LOCAL",
        bot_user_id="U0LOCAL",
        bot_refresh_token=installed["refresh_token"],
        bot_token_expires_in=60,
        installed_at=1.0,
    )
    rotator = AsyncTokenRotator(**CLIENT, client=client_of(slack))
    rotated = await rotator.perform_bot_token_rotation(bot=bot)
    assert rotated.bot_refresh_token not in {None, installed["refresh_token"]}
    assert (await client_of(slack, rotated.bot_token).auth_test())["ok"]


# --- an app that starts to rotate ------------------------------------------------------------------------------


@pytest.fixture
async def old(clock):
    """Run a local Slack with an app that doesn't rotate its tokens yet."""
    app = App(scopes=frozenset({"chat:write"}), oauth=OAuth(redirect_urls=OAUTH.redirect_urls))
    slack = LocalSlack(app, Workspace("T0ALPHA", "Alpha Corp"), clock=clock)
    await slack.start()
    yield slack
    await slack.stop()


async def test_a_long_lived_token_is_exchanged(old):
    """It works until the first refresh, and can't be exchanged twice."""
    token = old.oauth.grant(old, "U0ANA")["access_token"]
    client = client_of(old)
    assert await refusal(client.oauth_v2_exchange(**CLIENT, token=token)) == "token_rotation_not_enabled"
    old.oauth.rotate_tokens()
    answer = (await client.oauth_v2_exchange(**CLIENT, token=token)).data
    assert set(answer) == {
        "ok",
        "access_token",
        "app_id",
        "bot_user_id",
        "enterprise",
        "expires_in",
        "refresh_token",
        "scope",
        "team",
        "token_type",
    }
    assert await refusal(client.oauth_v2_exchange(**CLIENT, token=token)) == "token_already_exchanged"
    assert (await client_of(old, token).auth_test())["ok"]
    await refreshed(old, answer["refresh_token"])
    assert await refusal(client_of(old, token).auth_test()) == "token_expired"


async def test_invalid_tokens_cannot_be_exchanged(old):
    """An expiring token, an invented one, and one of an uninstalled app are refused, each with its code."""
    legacy = old.oauth.grant(old, "U0ANA")["access_token"]
    old.oauth.rotate_tokens()
    assert old.oauth.rotates_tokens
    expiring = old.oauth.grant(old, "U0BEN")["access_token"]
    client = client_of(old)
    for token in (expiring, "xoxb-guess"):
        assert await refusal(client.oauth_v2_exchange(**CLIENT, token=token)) == "invalid_token"
    wrong = {**CLIENT, "client_secret": "guess"}
    assert await refusal(client.oauth_v2_exchange(**wrong, token=legacy)) == "bad_client_secret"
    old.oauth.uninstall(old, told=())
    assert await refusal(client.oauth_v2_exchange(**CLIENT, token=legacy)) == "authorization_not_found"
