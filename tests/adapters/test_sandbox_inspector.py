"""The sandbox's inspector: what passed between the bot and the stand-ins, fit to be shown."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import httpx
import pytest
import pytest_asyncio

from local_slack import Fault
from sandbox import inspector as inspecting
from sandbox.inspector import BLOT, Inspector, blotted, clipped
from sandbox.local_flokit import READ_KEY, LocalFlokit
from sandbox.local_flokit.faults import Fault as FlokitFault
from sandbox.page import add_page
from sandbox.slack import flokit_slack


@pytest_asyncio.fixture
async def slack():
    """Run a stand-in for Slack."""
    slack = flokit_slack()
    yield slack
    await slack.stop()


@pytest_asyncio.fixture
async def flokit():
    """Run a local FloKit."""
    flokit = LocalFlokit()
    flokit.demo()
    await flokit.start()
    yield flokit
    await flokit.stop()


@pytest_asyncio.fixture
async def inspector(slack, flokit, tmp_path):
    """An inspector of both, shown on a page."""
    inspector = Inspector(slack, flokit)
    add_page(slack.server, slack, tmp_path, inspector=inspector)
    await slack.start()
    return inspector


async def call(slack, method, **arguments):
    """Call the Web API as a bot."""
    headers = {"Authorization": "Bearer xoxb-sandbox"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{slack.api_url}{method}", json=arguments) as reply,
    ):
        return await reply.text()


async def ask(flokit, path="/v1/integrations", **headers):
    """Ask the local FloKit as a bot."""
    headers = {"Authorization": f"Bearer {READ_KEY}", **headers}
    async with httpx.AsyncClient(base_url=flokit.url, headers=headers) as http:
        return await http.get(path)


async def test_a_call_is_an_entry(slack, inspector):
    """A call of the Web API has what was sent, what came back, and how long it took."""
    await call(slack, "chat.postMessage", channel="C0DATA", text="hello")
    [entry] = inspector.entries()
    assert (entry["kind"], entry["title"], entry["ok"], entry["status"]) == ("web_api", "chat.postMessage", True, 200)
    assert entry["request"]["text"] == "hello"
    assert entry["response"]["message"]["text"] == "hello"
    assert entry["took_ms"] >= 0
    assert entry["error"] == ""


async def test_a_refusal_says_why(slack, inspector):
    """Slack's code stands with the places it complains about."""
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


async def test_a_call_without_an_answer_is_told_as_such(slack, inspector):
    """While it hangs it is neither well nor refused; a dropped one has no status."""
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
    """A reply that is no JSON is shown by its status and its text."""
    slack.faults.add(Fault("api.test", "http_500"))
    await call(slack, "api.test")
    [entry] = inspector.entries()
    assert (entry["ok"], entry["status"], entry["error"]) == (False, 500, "HTTP 500")


async def test_an_envelope_is_an_entry(slack, inspector):
    """A delivery has the payload, and how it was taken."""
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
    """What is posted to a response URL is shown; the URL's secret part is not."""
    await slack.command("UANA", "C0DATA")
    url = slack.envelopes[0].payload["response_url"]
    async with aiohttp.ClientSession() as session:
        await session.post(url, json={"text": "late"})
    response, command = inspector.entries()
    assert (response["kind"], response["request"], response["ok"]) == ("response_url", {"text": "late"}, True)
    assert command["request"]["response_url"] == f"{slack.url}/response/{BLOT}"


async def test_a_request_to_flokit_is_an_entry(flokit, inspector):
    """A request has its reply; one that fails says what FloKit said, or the status."""
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
    """Neither tokens nor keys nor tickets stand in any entry, wherever they were sent."""
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


def test_tokens_are_known_by_their_look():
    """Somebody else's token is blotted out as well."""
    assert blotted(["xoxp-1-abc", {"a": "Bearer xapp-1-A-b"}, 7], ()) == [BLOT, {"a": f"Bearer {BLOT}"}, 7]


def test_large_bodies_are_clipped():
    """A body that is too large to be shown becomes the beginning of its text."""
    short = {"text": "x" * 10}
    assert clipped(short) == short
    long = clipped({"text": "x" * inspecting.BODY_CHARS})
    assert len(long["clipped"]) == inspecting.BODY_CHARS
    assert long["chars"] > inspecting.BODY_CHARS


async def test_the_newest_entries_are_kept(slack, inspector, monkeypatch):
    """The oldest go when there are too many."""
    monkeypatch.setattr(inspecting, "KEPT", 3)
    for number in range(5):
        await call(slack, "api.test", number=number)
    assert [entry["request"]["number"] for entry in inspector.entries()] == [4, 3, 2]
    assert len(inspector.entries(2)) == 2


async def test_the_page_is_told_each_entry_twice(slack, inspector):
    """An entry comes when the call comes, and again under its id when it is answered."""
    await call(slack, "api.test")
    async with aiohttp.ClientSession(slack.url) as session, session.ws_connect("/page/live") as socket:
        state = await socket.receive_json(timeout=5)
        assert [entry["title"] for entry in state["log"]] == ["api.test"]
        await call(slack, "auth.test")
        first, second = [await socket.receive_json(timeout=5) for _ in range(2)]
    assert first["type"] == second["type"] == "log"
    assert first["entry"]["id"] == second["entry"]["id"] > state["log"][0]["id"]
    assert (first["entry"]["ok"], second["entry"]["ok"]) == (None, True)
