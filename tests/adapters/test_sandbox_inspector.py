"""The sandbox's inspector: what passed between the bot and the stand-ins, safe to show."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import httpx
import pytest
import pytest_asyncio

from local_slack import Fault, OAuth, Workspace
from sandbox import inspector as inspecting
from sandbox.inspector import BLOT, Inspector, blotted, clipped
from sandbox.local_flokit import READ_KEY, LocalFlokit
from sandbox.local_flokit.faults import Fault as FlokitFault
from sandbox.page import add_page
from sandbox.slack import flokit_slack


@pytest_asyncio.fixture
async def slack():
    """A local Slack."""
    slack = flokit_slack()
    yield slack
    await slack.stop()


@pytest_asyncio.fixture
async def flokit():
    """A local FloKit."""
    flokit = LocalFlokit()
    flokit.demo()
    await flokit.start()
    yield flokit
    await flokit.stop()


@pytest_asyncio.fixture
async def inspector(slack, flokit, tmp_path):
    """An inspector of both, shown on a page."""
    inspector = Inspector(slack, {"T0SANDBOX": flokit})
    add_page(slack.server, slack, tmp_path, inspector=inspector)
    await slack.start()
    return inspector


async def call(slack, method, **arguments):
    """Call the Web API as a bot does."""
    headers = {"Authorization": "Bearer xoxb-sandbox"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{slack.api_url}{method}", json=arguments) as reply,
    ):
        return await reply.text()


async def ask(flokit, path="/v1/integrations", **headers):
    """Send a request to the local FloKit as a bot does."""
    headers = {"Authorization": f"Bearer {READ_KEY}", **headers}
    async with httpx.AsyncClient(base_url=flokit.url, headers=headers) as http:
        return await http.get(path)


async def test_a_call_is_an_entry(slack, inspector):
    """It has the request, the response, and the time that it took."""
    await call(slack, "chat.postMessage", channel="C0DATA", text="hello")
    [entry] = inspector.entries()
    assert (entry["kind"], entry["title"], entry["ok"], entry["status"]) == ("web_api", "chat.postMessage", True, 200)
    assert entry["request"]["text"] == "hello"
    assert entry["response"]["message"]["text"] == "hello"
    assert entry["took_ms"] >= 0
    assert entry["error"] == ""


async def test_a_refusal_says_why(slack, inspector):
    """It has Slack's code and the places that Slack complains about."""
    await call(slack, "chat.postMessage", channel="C0DATA", text="x", blocks=[{"type": "header"}])
    await call(slack, "blocks.validate", blocks=[{"type": "header"}])
    slack.installation.scopes = frozenset()
    await call(slack, "chat.postMessage", channel="C0DATA", text="x")
    scope, validated, posted = inspector.entries()
    pointed = "[ERROR] missing required field: text [json-pointer:/blocks/0]"
    assert posted["error"] == f"invalid_blocks: {pointed}"
    assert validated["error"] == "invalid_blocks: /0: missing required field: text"
    assert scope["error"] == "missing_scope: needed: chat:write"
    assert posted["ok"] is False


async def test_a_call_without_a_response_is_shown_as_such(slack, inspector):
    """While it hangs it's neither ok nor refused; a dropped one has no status."""
    slack.faults.add(Fault("api.test", "hang"))
    hanging = asyncio.create_task(call(slack, "api.test"))
    [entry] = await slack.wait_for(inspector.entries)
    assert (entry["ok"], entry["status"], entry["took_ms"]) == (None, None, None)
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    slack.faults.add(Fault("api.test", "drop"))
    with pytest.raises(aiohttp.ClientError):
        await call(slack, "api.test")
    dropped = inspector.entries()[0]
    assert (dropped["ok"], dropped["status"], dropped["error"]) == (False, None, "no answer")


async def test_an_outage_shows_its_status(slack, inspector):
    """A response that isn't JSON is shown by its status and text."""
    slack.faults.add(Fault("api.test", "http_500"))
    await call(slack, "api.test")
    [entry] = inspector.entries()
    assert (entry["ok"], entry["status"], entry["error"]) == (False, 500, "HTTP 500")


async def test_an_envelope_is_an_entry(slack, inspector):
    """It has the payload, and whether it was acked."""
    await slack.command("UANA", "C0DATA", "status")
    slack.event_retry_delays_s = (0.0,)
    await slack.event({"type": "app_home_opened", "user": "UANA"})
    await slack.wait_for(lambda: len(inspector.entries()) == 3 and inspector.entries()[0]["ok"] is False)
    again, event, command = inspector.entries()
    assert (command["kind"], command["title"]) == ("envelope", "slash_commands /flokit")
    assert (command["ok"], command["error"]) == (False, "dispatch_failed")
    assert command["request"]["text"] == "status"
    assert event["title"] == "events_api app_home_opened"
    assert again["title"] == "events_api app_home_opened (attempt 2)"


async def test_a_response_url_is_an_entry(slack, inspector):
    """It shows what was posted, but not the URL's secret part."""
    await slack.command("UANA", "C0DATA")
    url = slack.envelopes[0].payload["response_url"]
    async with aiohttp.ClientSession() as session:
        await session.post(url, json={"text": "late"})
    response, command = inspector.entries()
    assert (response["kind"], response["request"], response["ok"]) == ("response_url", {"text": "late"}, True)
    assert command["request"]["response_url"] == f"{slack.url}/response/{BLOT}"


async def test_a_request_to_flokit_is_an_entry(flokit, inspector):
    """It has the reply; a failure has FloKit's error or the status."""
    await ask(flokit)
    await ask(flokit, "/v1/nothing")
    await ask(flokit, Authorization="Bearer wrong")
    flokit.faults.add(FlokitFault("drop"))
    with pytest.raises(httpx.TransportError):
        await ask(flokit)
    dropped, unauthorized, missing, listed = inspector.entries()
    assert (listed["kind"], listed["title"], listed["status"]) == ("flokit", "GET /v1/integrations", 200)
    assert len(listed["response"]["integrations"]) == len(flokit.sources())
    assert listed["ok"] is True
    assert listed["took_ms"] >= 0
    assert (missing["error"], missing["response"]) == ("HTTP 404", "404 page not found")
    assert unauthorized["error"] == "Invalid or missing API key"
    assert (dropped["ok"], dropped["error"]) == (False, "no answer")


async def test_no_secret_is_shown(slack, flokit, inspector):
    """No token, key or ticket is in any entry, wherever it was sent."""
    async with aiohttp.ClientSession() as session:
        await session.post(f"{slack.api_url}auth.test", data={"token": "xoxb-sandbox"})
        await session.post(f"{slack.api_url}apps.connections.open", headers={"Authorization": "Bearer xapp-sandbox"})
    await call(slack, "api.test", note=f"my key is {READ_KEY}", nested={"token": "abc-secret"})
    await ask(flokit)
    await slack.command("UANA", "C0DATA")
    text = json.dumps(inspector.entries(), ensure_ascii=False)
    tokens = slack.installation.tokens
    for secret in (tokens.bot, tokens.app, tokens.signing_secret, *flokit.keys, "abc-secret", "verification-token"):
        assert secret not in text
    assert f"ticket={BLOT}" in text


CLIENT = OAuth(client_secret="secret-of-the-client", redirect_urls=("https://a.example/back",), rotates_tokens=True)


async def test_no_secret_of_an_installation_is_shown(flokit, tmp_path):
    """Neither a code, the client's secret, an access token nor a refresh token, in requests and in answers."""
    slack = flokit_slack(oauth=CLIENT)
    inspector = Inspector(slack, {"T0SANDBOX": flokit})
    await slack.start()
    server = slack.oauth.server
    link = f"{slack.oauth.authorize_url}?client_id={CLIENT.client_id}&scope=commands&state=the-state"
    code = server.allow(server.read_link(link), "T0SANDBOX", "UANA").partition("code=")[2].partition("&")[0]
    client = {"client_id": CLIENT.client_id, "client_secret": CLIENT.client_secret}
    async with aiohttp.ClientSession(slack.api_url) as session:
        first = await (await session.post("oauth.v2.access", data={**client, "code": code})).json()
        refresh = {**client, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = await (await session.post("oauth.v2.access", data=refresh)).json()
        await session.post("auth.test", headers={"Authorization": f"Bearer {second['access_token']}"})
    text = json.dumps(inspector.entries(), ensure_ascii=False)
    await slack.stop()
    assert first["ok"] is second["ok"] is True
    for answer in (first, second):
        assert answer["access_token"].rpartition("-")[2] not in text
        assert answer["refresh_token"].rpartition("-")[2] not in text
    for secret in (code, CLIENT.client_secret, "the-state"):
        assert secret not in text
    assert CLIENT.client_id in text


def test_a_code_and_a_state_are_recognized():
    """A code by its form, anywhere; a state by its name."""
    code = f"12.34.{'0af1' * 16}"
    assert blotted({"code": code, "url": f"/back?code={code}", "state": "s"}, ()) == {
        "code": BLOT,
        "url": f"/back?code={BLOT}",
        "state": BLOT,
    }


def test_a_typed_key_is_not_shown():
    """Nor is a mistyped key, a key of another FloKit, or the address of webhooks, which is as secret as a password."""
    typed = {"key": {"key": {"type": "plain_text_input", "value": "mine!"}}, "sync_key": {"sync_key": {"value": None}}}
    typed_text = "add https://a.example/webhooks/flokit/AbC-d_9: flo_live_123"
    assert blotted({"values": typed, "text": typed_text}, ()) == {
        "values": {
            "key": {"key": {"type": "plain_text_input", "value": BLOT}},
            "sync_key": {"sync_key": {"value": None}},
        },
        "text": f"add https://a.example/webhooks/flokit/{BLOT}: {BLOT}",
    }


async def test_each_entry_belongs_to_a_workspace(slack, flokit, tmp_path):
    """A workspace sees its own entries, and those of no workspace, such as opening a socket."""
    beta = slack.add_workspace(Workspace("T0BETA", bot_token="xoxb-beta"))
    inspector = Inspector(slack, {"T0SANDBOX": flokit})
    await slack.start()
    await call(slack, "auth.test")
    await beta.command("U0ANA", "C0GENERAL")
    await ask(flokit)
    async with aiohttp.ClientSession(slack.api_url) as session:
        await session.post("apps.connections.open", headers={"Authorization": "Bearer xapp-sandbox"})

    def titles(team_id):
        return [entry["title"] for entry in inspector.entries(team_id=team_id)]

    assert titles("T0SANDBOX") == ["apps.connections.open", "GET /v1/integrations", "auth.test"]
    assert titles("T0BETA") == ["apps.connections.open", "slash_commands /flokit"]
    assert len(titles("")) == 4


def test_tokens_are_recognized_by_their_form():
    """Another app's token is redacted, too."""
    assert blotted(["xoxp-1-abc", {"a": "Bearer xapp-1-A-b"}, 7], ()) == [BLOT, {"a": f"Bearer {BLOT}"}, 7]


def test_large_bodies_are_clipped():
    """Only the beginning of a body that's too large is shown."""
    short = {"text": "x" * 10}
    assert clipped(short) == short
    long = clipped({"text": "x" * inspecting.BODY_CHARS})
    assert len(long["clipped"]) == inspecting.BODY_CHARS
    assert long["chars"] > inspecting.BODY_CHARS


async def test_the_newest_entries_are_kept(slack, inspector, monkeypatch):
    monkeypatch.setattr(inspecting, "KEPT", 3)
    for number in range(5):
        await call(slack, "api.test", number=number)
    assert [entry["request"]["number"] for entry in inspector.entries()] == [4, 3, 2]
    assert len(inspector.entries(2)) == 2


async def test_the_page_gets_each_entry_twice(slack, inspector):
    """When the call arrives, and again under the same ID when it's answered."""
    await call(slack, "api.test")
    async with aiohttp.ClientSession(slack.url) as session, session.ws_connect("/page/live") as socket:
        state = await socket.receive_json(timeout=5)
        assert [entry["title"] for entry in state["log"]] == ["api.test"]
        await call(slack, "auth.test")
        first, second = [await socket.receive_json(timeout=5) for _ in range(2)]
    assert first["type"] == second["type"] == "log"
    assert first["entry"]["id"] == second["entry"]["id"] > state["log"][0]["id"]
    assert (first["entry"]["ok"], second["entry"]["ok"]) == (None, True)
