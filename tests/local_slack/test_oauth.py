"""Installing an app by OAuth, seen through Slack's own SDK, Slack's page and a person's browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import App, Channel, LocalSlack, OAuth, User, Workspace
from local_slack.oauth.server import AuthorizeError

pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
"""slack_sdk sends the app's credentials with a class that aiohttp has deprecated."""

REFERENCE = json.loads((Path(__file__).parents[1] / "samples" / "slack" / "methods.json").read_text())

CALLBACK = "https://app.example/slack/oauth_redirect"
SETTINGS = OAuth(redirect_urls=(CALLBACK, "https://app.example/other"), optional_scopes=frozenset({"users:read"}))
APP = App(
    name="Test app",
    command="/test",
    scopes=frozenset({"channels:history", "chat:write", "commands", "users:read"}),
    events=frozenset({"app_home_opened", "app_uninstalled", "message.im", "tokens_revoked"}),
    home_tab=True,
    oauth=SETTINGS,
)
ROOM = Channel("C0ROOM", "room", members={"U0ANA", "U0LOCAL"})
ALPHA = Workspace("T0ALPHA", "Alpha Corp", "alpha", channels=(ROOM,))
BETA = Workspace(
    "T0BETA", "Beta Corp", "beta", users=(User("U0ANA", "annabel"), User("U0BEN", "ben")), channels=(ROOM,)
)
CLIENT = {"client_id": SETTINGS.client_id, "client_secret": SETTINGS.client_secret}


@pytest.fixture
async def slack(clock):
    """Run a local Slack with two workspaces; the app is installed in neither."""
    slack = LocalSlack(APP, ALPHA, clock=clock)
    slack.add_workspace(BETA)
    await slack.start()
    yield slack
    await slack.stop()


@pytest.fixture
def beta(slack):
    return slack.workspaces["T0BETA"]


@pytest.fixture
def client(slack):
    """Return Slack's own client, without a token."""
    return client_of(slack)


def client_of(slack, token=None):
    return AsyncWebClient(token, base_url=slack.api_url)


def link(slack, **changes):
    """Return an app's link to Slack's page; a parameter that is None is left out."""
    query = {
        "client_id": SETTINGS.client_id,
        "scope": "chat:write,commands",
        "state": "s1",
        "redirect_uri": CALLBACK,
        **changes,
    }
    return (
        f"{slack.oauth.authorize_url}?{urlencode({name: value for name, value in query.items() if value is not None})}"
    )


def allowed(slack, team="T0BETA", user="U0ANA", **changes):
    """Allow the app, and return the code that it gets."""
    back = slack.oauth.server.allow(slack.oauth.server.read_link(link(slack, **changes)), team, user)
    return parse_qs(urlsplit(back).query)["code"][0]


async def http(method, url, **options):
    """Make one request, and return its status, headers and text."""
    headers = options.pop("headers", {})
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, url, allow_redirects=False, **options) as response,
    ):
        return response.status, response.headers, await response.text()


async def refusal(call):
    """Return the code with which a call is refused."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return refused.value.response["error"]


# --- the exchange ----------------------------------------------------------------------------------------------


async def test_nothing_is_installed_at_first(slack, beta):
    """Before someone installs the app, there's no token, no bot user and no command."""
    assert (slack.installation.tokens.bot, beta.installation.tokens.bot) == ("", "")
    assert "U0LOCAL" not in beta.workspace.users
    assert beta.workspace.channels["C0ROOM"].members == {"U0ANA"}
    assert await refusal(client_of(slack, "xoxb-local").auth_test()) == "invalid_auth"
    with pytest.raises(LookupError, match="isn't installed in Beta Corp"):
        await beta.command("U0ANA", "C0ROOM")
    with pytest.raises(LookupError, match="isn't installed in Beta Corp"):
        beta.views.open_home("U0ANA")


async def test_a_code_becomes_a_token(slack, beta, client):
    """The answer is Slack's, and the token is for the workspace that was chosen."""
    answer = await client.oauth_v2_access(**CLIENT, code=allowed(slack), redirect_uri=CALLBACK)
    token = answer["access_token"]
    assert answer.data == {
        "ok": True,
        "app_id": "A0LOCAL",
        "authed_user": {"id": "U0ANA"},
        "scope": "chat:write,commands",
        "token_type": "bot",
        "access_token": token,
        "bot_user_id": "U0LOCAL",
        "team": {"id": "T0BETA", "name": "Beta Corp"},
        "enterprise": None,
        "is_enterprise_install": False,
    }
    assert token.startswith("xoxb-")
    me = await client_of(slack, token).auth_test()
    assert (me["team_id"], me["team"], me["bot_id"]) == ("T0BETA", "Beta Corp", "B0LOCAL")
    assert me.headers["X-OAuth-Scopes"] == "chat:write,commands"
    assert beta.workspace.users["U0LOCAL"].is_bot
    assert not slack.installation.is_installed


async def test_granted_scopes_count(slack, client):
    """A method whose scope wasn't granted is refused, even if the app has that scope elsewhere."""
    token = (await client.oauth_v2_access(**CLIENT, code=allowed(slack), redirect_uri=CALLBACK))["access_token"]
    slack.oauth.grant(slack, "U0ANA")
    assert await refusal(client_of(slack, token).users_info(user="U0ANA")) == "missing_scope"
    everything = client_of(slack, slack.installation.tokens.bot)
    assert (await everything.users_info(user="U0ANA"))["user"]["name"] == "ana"


@pytest.mark.parametrize("scheme", ["Basic", "form"])
async def test_the_app_says_who_it_is(slack, scheme):
    """The app's credentials are in the form, or better in HTTP Basic authentication."""
    form, headers = {"code": allowed(slack), "redirect_uri": CALLBACK}, {}
    if scheme == "Basic":
        pair = f"{SETTINGS.client_id}:{SETTINGS.client_secret}"
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    else:
        form |= CLIENT
    _status, _headers, answer = await http("POST", f"{slack.api_url}oauth.v2.access", data=form, headers=headers)
    assert json.loads(answer)["ok"], answer


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": "1.2"}, "invalid_client_id"),
        ({"client_id": ""}, "invalid_client_id"),
        ({"client_secret": "guess"}, "bad_client_secret"),
        ({"code": "1.2.3"}, "invalid_code"),
        ({"redirect_uri": "https://app.example/other"}, "bad_redirect_uri"),
        ({"redirect_uri": ""}, "bad_redirect_uri"),
        ({"grant_type": "password"}, "invalid_grant_type"),
    ],
)
async def test_wrong_exchanges_are_refused(slack, beta, client, changes, code):
    """Each mistake has Slack's code, and afterwards the code can still be exchanged correctly."""
    right = {**CLIENT, "code": allowed(slack), "redirect_uri": CALLBACK}
    assert await refusal(client.api_call("oauth.v2.access", data={**right, **changes})) == code
    assert not beta.installation.is_installed
    await client.oauth_v2_access(**right)


async def test_malformed_credentials_are_no_credentials(slack):
    """A header that isn't Base64 identifies no app."""
    headers = {"Authorization": "Basic !"}
    form = {"code": allowed(slack), "redirect_uri": CALLBACK}
    _status, _headers, answer = await http("POST", f"{slack.api_url}oauth.v2.access", data=form, headers=headers)
    assert json.loads(answer)["error"] == "invalid_client_id"


async def test_a_code_works_once(slack, client):
    """A code that was exchanged can't be used again."""
    code = allowed(slack)
    await client.oauth_v2_access(**CLIENT, code=code, redirect_uri=CALLBACK)
    assert await refusal(client.oauth_v2_access(**CLIENT, code=code, redirect_uri=CALLBACK)) == "code_already_used"


async def test_a_code_is_valid_for_ten_minutes(slack, client, clock):
    """After that, it's refused like an unknown one."""
    code, late = allowed(slack), allowed(slack)
    clock.now += 599
    await client.oauth_v2_access(**CLIENT, code=code, redirect_uri=CALLBACK)
    clock.now += 2
    assert await refusal(client.oauth_v2_access(**CLIENT, code=late, redirect_uri=CALLBACK)) == "invalid_code"


async def test_the_first_redirect_url_is_the_default(slack, client):
    """Without ``redirect_uri``, people go to the app's first Redirect URL, and the exchange needs none, either."""
    request = slack.oauth.server.read_link(link(slack, redirect_uri=None))
    assert request.redirect_uri == CALLBACK
    await client.oauth_v2_access(**CLIENT, code=allowed(slack, redirect_uri=None))


async def test_installing_again_adds_scopes_to_the_same_token(slack, beta, client):
    """Another person who installs the app with other scopes adds them; the token is the same."""
    first = await client.oauth_v2_access(**CLIENT, code=allowed(slack), redirect_uri=CALLBACK)
    code = allowed(slack, user="U0BEN", scope="users:read")
    second = await client.oauth_v2_access(**CLIENT, code=code, redirect_uri=CALLBACK)
    assert second["access_token"] == first["access_token"]
    assert (second["scope"], second["authed_user"]) == ("chat:write,commands,users:read", {"id": "U0BEN"})
    assert (await client_of(slack, first["access_token"]).users_info(user="U0BEN"))["ok"]


async def test_each_workspace_has_its_token(slack, beta):
    """Two installations with the same IDs for everything don't see each other."""
    ours, theirs = (client_of(slack, slack.oauth.grant(one, "U0ANA")["access_token"]) for one in (slack, beta))
    for one in (slack, beta):
        one.invite_bot("C0ROOM")
    await ours.chat_postMessage(channel="C0ROOM", text="ours")
    assert (await theirs.conversations_history(channel="C0ROOM"))["messages"] == []
    assert (await theirs.users_info(user="U0ANA"))["user"]["name"] == "annabel"


@pytest.mark.parametrize(
    "name", ["apps.uninstall", "auth.revoke", "auth.teams.list", "auth.test", "oauth.v2.access", "oauth.v2.exchange"]
)
async def test_methods_are_as_in_the_reference(slack, name):
    """Rate tiers and required arguments are those of Slack's reference; none needs a scope."""
    listed, method = REFERENCE[name], slack._web_api._methods[name]
    assert method.scopes == set(listed["scopes"]) == set()
    assert (method.tier or "t5") == listed["tier"]
    assert set(method.required) == set(listed["required"]) - {"token"}
    assert method.takes_json == listed["json"]


# --- the page --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "1.2"}, "Invalid client_id parameter"),
        ({"client_id": None}, "Invalid client_id parameter"),
        ({"scope": ""}, "No scopes requested"),
        ({"scope": "chat:write,admin"}, "Invalid permissions requested: admin"),
        ({"user_scope": "search:read"}, "no user tokens"),
        ({"redirect_uri": "https://evil.example/slack/oauth_redirect"}, "did not match any configured URIs"),
        ({"redirect_uri": "http://app.example/slack/oauth_redirect"}, "did not match any configured URIs"),
        ({"redirect_uri": "https://app.example:8443/slack/oauth_redirect"}, "did not match any configured URIs"),
        ({"redirect_uri": "https://app.example/slack/oauth_redirecting"}, "did not match any configured URIs"),
        ({"redirect_uri": f"{CALLBACK}#here"}, "did not match any configured URIs"),
        ({"redirect_uri": "https://app.example/"}, "did not match any configured URIs"),
    ],
)
async def test_a_wrong_link_is_explained(slack, changes, words):
    """Slack's page says what's wrong, and redirects no one."""
    for method in ("GET", "POST"):
        status, _headers, page = await http(method, link(slack, **changes))
        assert status == 400
        assert words in page
    with pytest.raises(AuthorizeError, match=words.split()[-1]):
        slack.oauth.server.read_link(link(slack, **changes))


@pytest.mark.parametrize("uri", [f"{CALLBACK}/below", "https://app.example/other", "https://app.example/other/a/b"])
async def test_a_redirect_uri_may_be_below_a_redirect_url(slack, uri):
    """A Redirect URL includes everything below it."""
    assert slack.oauth.server.read_link(link(slack, redirect_uri=uri)).redirect_uri == uri


async def test_only_this_machine_may_use_plain_http(slack):
    """Redirect URLs use https, except those of this machine, for a bot under test."""
    for url, is_taken in [("http://127.0.0.1:3000/back", True), ("http://app.example/back", False)]:
        slack.oauth.redirect_urls = (url,)
        if is_taken:
            assert slack.oauth.server.read_link(link(slack, redirect_uri=url)).redirect_uri == url
        else:
            with pytest.raises(AuthorizeError):
                slack.oauth.server.read_link(link(slack, redirect_uri=url))


async def test_the_page_explains_the_scopes(slack):
    """Each scope has its description, and the people of every workspace can be chosen."""
    _status, _headers, page = await http("GET", link(slack, scope="chat:write,users:read"))
    assert "Test app wants access to a workspace" in page
    assert "Post messages as itself" in page
    assert 'name="optional" value="users:read" checked' in page
    assert 'value="T0ALPHA U0ANA"' in page
    assert "Beta Corp, as annabel" in page


async def test_an_app_can_ask_for_a_workspace(slack):
    """With ``team``, only that workspace is offered; one that doesn't exist is ignored."""
    for team, others in (("T0BETA", False), ("T0NOWHERE", True)):
        _status, _headers, page = await http("GET", link(slack, team=team))
        assert "T0BETA U0ANA" in page
        assert ("T0ALPHA U0ANA" in page) is others


async def pressed(slack, **form):
    """Send the page's form, and return the query with which the person goes back to the app."""
    status, headers, page = await http("POST", link(slack, scope="chat:write,users:read"), data=form)
    assert status == 302, page
    url = urlsplit(headers["Location"])
    assert url._replace(query="").geturl() == CALLBACK
    return {name: value for name, [value] in parse_qs(url.query, keep_blank_values=True).items()}


async def test_cancel_is_access_denied(slack):
    """The person returns to the app with an error and the state."""
    assert await pressed(slack, press="cancel") == {"error": "access_denied", "state": "s1"}


async def test_optional_scopes_may_be_unticked(slack, client):
    """What a person unticks isn't granted."""
    for ticked, scope in (({}, "chat:write"), ({"optional": "users:read"}, "chat:write,users:read")):
        back = await pressed(slack, press="allow", **{"as": "T0BETA U0ANA"}, **ticked)
        assert back["state"] == "s1"
        answer = await client.oauth_v2_access(**CLIENT, code=back["code"], redirect_uri=CALLBACK)
        assert answer["scope"] == scope


@pytest.mark.parametrize("chosen", ["", "T0BETA U0NOBODY", "T0NOWHERE U0ANA"])
async def test_a_person_of_the_workspace_allows_it(slack, chosen):
    """A person can't install an app in a workspace that they aren't in."""
    status, _headers, page = await http("POST", link(slack), data={"press": "allow", "as": chosen})
    assert status == 400
    assert "Choose a workspace and a person." in page


async def test_a_link_of_another_page_leads_to_the_page(slack):
    """The app's own page may link here, but no other page may submit the form."""
    foreign = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}
    status, headers, _page = await http("GET", link(slack), headers=foreign)
    assert status == 200
    assert "form-action 'self' http: https:" in headers["Content-Security-Policy"]
    assert (await http("POST", link(slack), headers=foreign, data={"press": "allow"}))[0] == 403


def test_an_app_without_oauth_has_none():
    """Using OAuth with an app that's installed from the start raises an error that says what to do."""
    with pytest.raises(LookupError, match="give it App"):
        LocalSlack(App()).oauth  # noqa: B018


# --- uninstalling ----------------------------------------------------------------------------------------------


@pytest.fixture
def token(slack, beta):
    """Return the token of the app, which is installed in both workspaces."""
    slack.oauth.grant(slack, "U0ANA")
    return slack.oauth.grant(beta, "U0BEN")["access_token"]


def deliveries(slack):
    """Return the deliveries of events, without what differs between attempts."""
    return [envelope.payload for envelope in slack.envelopes if envelope.kind == "events_api"]


async def test_an_uninstalled_app_gets_two_events(slack, beta, token):
    """Both name the workspace; one has the bot user, the other the person who installed it."""
    slack.event_retry_delays_s = ()
    slack.oauth.uninstall(beta)
    revoked, uninstalled = await slack.wait_for(lambda: len(deliveries(slack)) == 2 and deliveries(slack))
    assert (revoked["team_id"], revoked["event"]["type"]) == ("T0BETA", "tokens_revoked")
    assert revoked["event"]["tokens"] == {"oauth": [], "bot": ["U0LOCAL"]}
    assert "authorizations" not in revoked
    assert (uninstalled["team_id"], uninstalled["event"]["type"]) == ("T0BETA", "app_uninstalled")
    [authorization] = uninstalled["authorizations"]
    assert (authorization["user_id"], authorization["is_bot"]) == ("U0BEN", False)


async def test_an_uninstalled_app_is_gone(slack, beta, token):
    """Its token, memberships, App Homes and events are gone; those of the other workspace aren't."""
    client = client_of(slack, token)
    beta.invite_bot("C0ROOM")
    await client.views_publish(user_id="U0ANA", view={"type": "home", "blocks": [{"type": "divider"}]})
    slack.oauth.uninstall(beta, told=())
    assert await refusal(client.auth_test()) == "account_inactive"
    assert beta.workspace.channels["C0ROOM"].members == {"U0ANA"}
    assert beta.views.home("U0ANA") is None
    await beta.say("U0ANA", "D00ANA", "anybody?")
    with pytest.raises(LookupError, match="isn't installed"):
        await beta.command("U0ANA", "C0ROOM")
    with pytest.raises(LookupError, match="isn't installed"):
        slack.oauth.uninstall(beta)
    assert deliveries(slack) == []
    assert (await client_of(slack, slack.installation.tokens.bot).auth_test())["team_id"] == "T0ALPHA"


async def test_installing_again_makes_a_new_token(slack, beta, token):
    """After an uninstallation, the scopes start empty, and the old token is unknown."""
    slack.oauth.uninstall(beta, told=())
    new = slack.oauth.grant(beta, "U0ANA", frozenset({"commands"}))
    assert new["scope"] == "commands"
    assert await refusal(client_of(slack, token).auth_test()) == "invalid_auth"
    assert (await client_of(slack, new["access_token"]).auth_test())["ok"]


async def test_events_of_an_old_installation_can_be_delivered_late(slack, beta, token):
    """As Slack does, with the time at which they happened."""
    slack.event_retry_delays_s = ()
    await beta.event({"type": "app_uninstalled"}, event_time=1_600_000_000)
    assert deliveries(slack)[0]["event_time"] == 1_600_000_000


async def test_an_app_uninstalls_itself(slack, beta, token):
    """``apps.uninstall`` needs the token and the app's own credentials."""
    client = client_of(slack, token)
    wrong = {**CLIENT, "client_secret": "guess"}
    slack.rates.enforced = False
    assert await refusal(client.apps_uninstall(**wrong)) == "bad_client_secret"
    assert (await client.apps_uninstall(**CLIENT))["ok"]
    assert not beta.installation.is_installed
    assert await refusal(client.auth_test()) == "account_inactive"
    await slack.wait_for(lambda: len(deliveries(slack)) >= 2)


async def test_a_revoked_token_ends_the_installation(slack, beta, token):
    """``auth.revoke`` can be tested without effect; otherwise it revokes the app's only token, which uninstalls it."""
    client = client_of(slack, token)
    assert (await client.auth_revoke(test=True))["revoked"] is False
    assert (await client.auth_test())["ok"]
    assert (await client.auth_revoke())["revoked"] is True
    assert await refusal(client.auth_test()) == "account_inactive"
    events = await slack.wait_for(lambda: len(deliveries(slack)) >= 2 and deliveries(slack))
    assert {event["event"]["type"] for event in events} == {"tokens_revoked", "app_uninstalled"}


async def test_a_token_can_be_revoked_for_a_test(slack, beta, token):
    """With events, as by ``auth.revoke``, or without; a new installation has a valid token."""
    slack.oauth.revoke(beta)
    await slack.wait_for(lambda: len(deliveries(slack)) >= 2)
    again = slack.oauth.grant(beta, "U0ANA")["access_token"]
    beta.revoke_token()
    assert await refusal(client_of(slack, again).auth_test()) == "token_revoked"
    assert beta.installation.is_installed
    slack.oauth.uninstall(beta, told=())
    assert (await client_of(slack, slack.oauth.grant(beta, "U0ANA")["access_token"]).auth_test())["ok"]


async def test_only_subscribed_events_are_sent(clock):
    """An app that doesn't subscribe gets no event."""
    slack = LocalSlack(App(scopes=APP.scopes, events=frozenset({"tokens_revoked"}), oauth=SETTINGS), ALPHA)
    await slack.start()
    try:
        slack.event_retry_delays_s = ()
        slack.oauth.grant(slack, "U0ANA")
        slack.oauth.uninstall(slack, told=("app_uninstalled", "tokens_revoked"))
        await slack.wait_for(lambda: deliveries(slack))
        assert [event["event"]["type"] for event in deliveries(slack)] == ["tokens_revoked"]
    finally:
        await slack.stop()
