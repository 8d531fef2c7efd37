"""An app that an Enterprise organization installs: one token, several workspaces, access granted and revoked."""

from __future__ import annotations

from urllib.parse import urlencode

import aiohttp
import pytest
from slack_bolt.request.internals import extract_enterprise_id, extract_is_enterprise_install, extract_team_id
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import App, Channel, LocalSlack, OAuth, Org, User, Workspace

pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
"""slack_sdk sends the app's credentials with a class that aiohttp has deprecated."""

CALLBACK = "https://app.example/back"
OAUTH = OAuth(redirect_urls=(CALLBACK,), is_org_ready=True)
CLIENT = {"client_id": OAUTH.client_id, "client_secret": OAUTH.client_secret}
APP = App(
    command="/test",
    scopes=frozenset({"channels:join", "channels:read", "chat:write", "commands", "usergroups:read", "users:read"}),
    events=frozenset(
        {"app_uninstalled", "channel_archive", "team_access_granted", "team_access_revoked", "tokens_revoked"}
    ),
    home_tab=True,
    oauth=OAUTH,
)
ORG = Org("E0FIBER", "Fiber Arts")
PEOPLE = (User("U0ANA", "ana"), User("U0BEN", "ben"))
KNITTING = Workspace("T0KNIT", "Knitting", "knit", PEOPLE, (Channel("C0KNIT", "yarn", members={"U0ANA"}),), org=ORG)
CROCHET = Workspace(
    "T0CROCHET", "Crochet", "crochet", PEOPLE, (Channel("C0HOOK", "hooks", members={"U0ANA"}),), org=ORG
)
OTHERS = Workspace("T0ELSE", "Elsewhere", "else", PEOPLE, (Channel("C0KNIT", "tin", members={"U0ANA"}),))
VIEW = {"type": "modal", "title": {"type": "plain_text", "text": "Form"}, "blocks": [{"type": "divider"}]}


@pytest.fixture
async def slack():
    """Run a local Slack with two workspaces of an organization, and one outside of it."""
    slack = LocalSlack(APP, KNITTING)
    slack.add_workspace(CROCHET)
    slack.add_workspace(OTHERS)
    slack.event_retry_delays_s = ()
    slack.rates.enforced = False
    await slack.start()
    yield slack
    await slack.stop()


@pytest.fixture
def crochet(slack):
    return slack.workspaces["T0CROCHET"]


@pytest.fixture
def client(slack):
    """Return a client with the organization's token."""
    return client_of(slack, slack.oauth.grant(ORG, "U0ANA")["access_token"])


def client_of(slack, token=None):
    return AsyncWebClient(token, base_url=slack.api_url)


def sent(slack, kind="events_api"):
    return [envelope.payload for envelope in slack.envelopes if envelope.kind == kind]


def names(payload):
    """Return how a payload names its installation: the organization, the workspace, and whether it's org-wide."""
    return payload.get("enterprise_id"), payload.get("team_id"), payload.get("is_enterprise_install")


async def refusal(call):
    """Return the code with which a call is refused."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return refused.value.response["error"]


# --- installing ------------------------------------------------------------------------------------------------


async def test_an_organization_installs_it(slack):
    """The page offers the whole organization; the answer has no team, and no workspace has the app yet."""
    query = {"client_id": OAUTH.client_id, "scope": "chat:write"}
    url = f"{slack.oauth.authorize_url}?{urlencode(query)}"
    async with aiohttp.ClientSession() as session, session.get(url) as page:
        assert '<option value="E0FIBER U0ANA">All of Fiber Arts, as ana</option>' in await page.text()
    form = {"as": "E0FIBER U0ANA", "press": "allow"}
    async with aiohttp.ClientSession() as session, session.post(url, data=form, allow_redirects=False) as back:
        code = back.headers["Location"].partition("code=")[2].partition("&")[0]
    answer = await client_of(slack).oauth_v2_access(**CLIENT, code=code)
    assert (answer["team"], answer["enterprise"]) == (None, {"id": "E0FIBER", "name": "Fiber Arts"})
    assert answer["is_enterprise_install"] is True
    me = await client_of(slack, answer["access_token"]).auth_test()
    assert (me["team_id"], me["enterprise_id"], me["is_enterprise_install"]) == ("E0FIBER", "E0FIBER", True)
    assert me.headers["X-OAuth-Scopes"] == "chat:write"
    assert not any(one.installation.is_installed for one in slack.workspaces)


async def test_its_admins_add_the_app_to_workspaces_on_a_page(slack, crochet):
    """The page offers those that lack it, and links to the app in the others; the app hears of each."""
    url = slack.oauth.access_url(ORG)
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as page:
            assert page.status == 400
        slack.oauth.grant(ORG, "U0ANA")
        async with session.get(url) as page:
            assert '<input type="checkbox" name="team" value="T0KNIT"> Knitting' in await page.text()
        async with session.post(url, data=[("team", "T0CROCHET"), ("team", "T0ELSE")]) as page:
            text = await page.text()
        assert '<a href="/app_redirect?app=A0LOCAL&amp;team=T0CROCHET">Crochet</a>' in text
        assert 'value="T0KNIT"' in text
        assert 'value="T0CROCHET"' not in text
        assert [one.installation.is_installed for one in slack.workspaces] == [False, True, False]
        async with session.get(url.replace("A0LOCAL", "A0OTHER")) as page:
            assert page.status == 400
        async with session.post(url, data={"team": "T0KNIT"}, headers={"Origin": "https://evil.example"}) as page:
            assert page.status == 403
    granted = [one["event"] for one in sent(slack) if one["event"]["type"] == "team_access_granted"]
    assert [one["team_ids"] for one in granted] == [["T0CROCHET"]]
    assert slack.oauth.installer(crochet) == "U0ANA"


async def test_only_an_app_that_is_ready_is_offered_to_organizations():
    """Without ``is_org_ready``, an organization can't be chosen."""
    slack = LocalSlack(App(scopes=APP.scopes, oauth=OAuth(redirect_urls=(CALLBACK,))), KNITTING)
    with pytest.raises(LookupError, match="isn't in E0FIBER"):
        slack.oauth.grant(ORG, "U0ANA")


async def test_a_workspace_of_an_organization_installs_it_alone(slack):
    """The answer names both, and the token is the workspace's."""
    answer = slack.oauth.grant(slack, "U0ANA")
    assert (answer["team"]["id"], answer["enterprise"]["id"]) == ("T0KNIT", "E0FIBER")
    assert answer["is_enterprise_install"] is False
    me = await client_of(slack, answer["access_token"]).auth_test()
    assert (me["team_id"], me["enterprise_id"], me["is_enterprise_install"]) == ("T0KNIT", "E0FIBER", False)


async def test_an_organizations_installation_replaces_a_workspaces(slack, crochet):
    """A workspace that had the app is covered from the start, with the organization's scopes."""
    slack.oauth.grant(crochet, "U0BEN", frozenset({"commands"}))
    answer = slack.oauth.grant(ORG, "U0ANA")
    client = client_of(slack, answer["access_token"])
    assert [team["id"] for team in (await client.auth_teams_list())["teams"]] == ["T0CROCHET"]
    assert crochet.installation.scopes == APP.scopes
    assert crochet.installation.tokens.bot == answer["access_token"]
    link = slack.oauth.server.read_link(f"{slack.oauth.authorize_url}?client_id={OAUTH.client_id}&scope=chat:write")
    code = slack.oauth.server.allow(link, "T0CROCHET", "U0BEN").partition("code=")[2].partition("&")[0]
    refused = await refusal(client_of(slack).oauth_v2_access(**CLIENT, code=code))
    assert refused == "cannot_install_an_org_installed_app"


def test_workspaces_of_an_organization_are_consistent(slack):
    """They share the bot user, and no channels."""
    with pytest.raises(ValueError, match="one bot user"):
        slack.add_workspace(Workspace("T0NEW", channels=(), org=ORG, bot_user_id="U0OTHER"))
    with pytest.raises(ValueError, match="other channel IDs"):
        slack.add_workspace(Workspace("T0NEW", channels=(Channel("C0HOOK", "x"),), org=ORG))


# --- access to workspaces --------------------------------------------------------------------------------------


async def test_access_is_granted_and_revoked(slack, crochet, client):
    """The app gets events about the workspaces that it gains and loses, and can reach exactly those."""
    assert await refusal(client.chat_postMessage(channel="C0HOOK", text="x")) == "team_access_not_granted"
    slack.oauth.grant_access(crochet)
    crochet.invite_bot("C0HOOK")
    assert (await client.chat_postMessage(channel="C0HOOK", text="x"))["ok"]
    assert await refusal(client.chat_postMessage(channel="C0KNIT", text="x")) == "team_access_not_granted"
    slack.oauth.revoke_access(crochet)
    assert await refusal(client.chat_postMessage(channel="C0HOOK", text="x")) == "team_access_not_granted"
    assert crochet.workspace.channels["C0HOOK"].members == {"U0ANA"}
    granted, revoked = await slack.wait_for(lambda: len(sent(slack)) == 2 and sent(slack))
    assert (granted["event"]["type"], granted["event"]["team_ids"]) == ("team_access_granted", ["T0CROCHET"])
    assert (revoked["event"]["type"], revoked["event"]["team_ids"]) == ("team_access_revoked", ["T0CROCHET"])
    assert names(granted) == ("E0FIBER", None, None)
    assert names(granted["authorizations"][0]) == ("E0FIBER", None, False)


@pytest.mark.parametrize("change", ["grant_access", "revoke_access"])
async def test_access_cannot_be_granted_or_revoked_twice(slack, crochet, client, change):
    """Granting or revoking it twice is a mistake in the test."""
    if change == "grant_access":
        slack.oauth.grant_access(crochet)
    with pytest.raises(LookupError, match="Crochet"):
        getattr(slack.oauth, change)(crochet)
    with pytest.raises(LookupError, match="in no organization"):
        getattr(slack.oauth, change)(slack.workspaces["T0ELSE"])


async def test_teams_are_listed_in_pages(slack, crochet, client):
    """``auth.teams.list`` needs the organization's token, and a valid limit."""
    for one in (slack, crochet):
        slack.oauth.grant_access(one)
    first = await client.auth_teams_list(limit=1)
    assert first["teams"] == [{"id": "T0KNIT", "name": "Knitting"}]
    second = await client.auth_teams_list(limit=1, cursor=first["response_metadata"]["next_cursor"])
    assert second["teams"] == [{"id": "T0CROCHET", "name": "Crochet"}]
    assert second["response_metadata"]["next_cursor"] == ""
    assert await refusal(client.auth_teams_list(limit=0)) == "invalid_limit"
    alone = client_of(slack, slack.oauth.grant(slack.workspaces["T0ELSE"], "U0ANA")["access_token"])
    assert await refusal(alone.auth_teams_list()) == "invalid_auth"


# --- one token for several workspaces --------------------------------------------------------------------------


async def test_a_call_is_for_the_workspace_that_it_names(slack, crochet, client):
    """A channel, a trigger, a view or ``team_id`` identifies it; some methods require ``team_id``."""
    for one in (slack, crochet):
        slack.oauth.grant_access(one)
    crochet.workspace.usergroups["S1"] = ["U0BEN"]
    assert (await client.conversations_info(channel="C0HOOK"))["channel"]["context_team_id"] == "T0CROCHET"
    view = (await client.views_open(trigger_id=crochet.installation.triggers.issue("U0ANA"), view=VIEW))["view"]
    assert view["team_id"] == "T0CROCHET"
    assert (await client.views_update(view_id=view["id"], view=VIEW))["view"]["team_id"] == "T0CROCHET"
    assert await refusal(client.usergroups_users_list(usergroup="S1")) == "missing_argument"
    assert (await client.usergroups_users_list(usergroup="S1", team_id="T0CROCHET"))["users"] == ["U0BEN"]
    assert await refusal(client.usergroups_users_list(usergroup="S1", team_id="T0ELSE")) == "team_access_not_granted"
    assert (await client.users_info(user="U0BEN"))["user"]["enterprise_user"]["enterprise_id"] == "E0FIBER"
    assert await refusal(client.chat_postMessage(channel="C0NOWHERE", text="x")) == "channel_not_found"
    assert slack.calls[-1].team_id == "T0KNIT"


async def test_nothing_is_reached_without_access(client):
    """Until it's added to a workspace, the token can't be used for any."""
    assert (await client.auth_test())["ok"]
    assert await refusal(client.users_info(user="U0ANA")) == "team_access_not_granted"


async def test_payloads_name_the_organization(slack, crochet, client):
    """Commands, events and views say that the installation is org-wide, in the fields that Bolt reads."""
    slack.oauth.grant_access(crochet)
    await crochet.command("U0ANA", "C0HOOK")
    [command] = sent(slack, "slash_commands")
    assert names(command) == ("E0FIBER", "T0CROCHET", "true")
    crochet.archive("C0HOOK")
    archived = await slack.wait_for(
        lambda: next((one for one in sent(slack) if one["event"]["type"] == "channel_archive"), None)
    )
    assert names(archived) == ("E0FIBER", "T0CROCHET", None)
    assert names(archived["authorizations"][0]) == ("E0FIBER", "T0CROCHET", True)
    form = {**VIEW, "submit": {"type": "plain_text", "text": "Go"}}
    view = (await client.views_open(trigger_id=crochet.installation.triggers.issue("U0ANA"), view=form))["view"]
    await crochet.views.submit("U0ANA", view["id"])
    [submitted] = sent(slack, "interactive")
    assert submitted["team"] is None
    for payload in (command, archived, submitted):
        assert extract_enterprise_id(payload) == "E0FIBER"
        assert extract_team_id(payload) == "T0CROCHET"
        assert extract_is_enterprise_install(payload) is True


# --- uninstalling ----------------------------------------------------------------------------------------------


async def test_an_organization_uninstalls_the_app(slack, crochet, client):
    """The events name only the organization, and no workspace has the app any longer."""
    for one in (slack, crochet):
        slack.oauth.grant_access(one)
    await slack.wait_for(lambda: len(sent(slack)) == 2)
    slack.oauth.uninstall(ORG)
    revoked, uninstalled = await slack.wait_for(lambda: len(sent(slack)) == 4 and sent(slack)[2:])
    assert names(revoked) == names(uninstalled) == ("E0FIBER", None, None)
    assert await refusal(client.auth_test()) == "account_inactive"
    assert not any(one.installation.is_installed for one in slack.workspaces)


async def test_a_workspace_uninstalls_its_own_installation(slack, crochet):
    """Its own installation ends, with events that name both; the organization's continues, even there."""
    own = slack.oauth.grant(crochet, "U0BEN")["access_token"]
    org = slack.oauth.grant(ORG, "U0ANA")["access_token"]
    slack.oauth.uninstall(crochet)
    revoked, uninstalled = await slack.wait_for(lambda: len(sent(slack)) == 2 and sent(slack))
    assert names(revoked) == names(uninstalled) == ("E0FIBER", "T0CROCHET", None)
    assert await refusal(client_of(slack, own).auth_test()) == "account_inactive"
    assert (await client_of(slack, org).conversations_info(channel="C0HOOK"))["ok"]


async def test_a_workspaces_own_installation_outlives_the_organizations(slack, crochet):
    """If a workspace installed the app separately, that remains when the organization's installation ends."""
    own = slack.oauth.grant(crochet, "U0BEN", frozenset({"commands"}))["access_token"]
    slack.oauth.grant(ORG, "U0ANA")
    slack.oauth.uninstall(ORG, told=())
    assert (crochet.installation.tokens.bot, crochet.installation.scopes) == (own, frozenset({"commands"}))
    assert not crochet.workspace.is_org_install
    assert (await client_of(slack, own).auth_test())["team_id"] == "T0CROCHET"
