"""Input from outside, and what must always hold: values from Hypothesis, each tried on the real code."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx
from aiohttp import web
from hypothesis import strategies as st

from bot.core import blocks, errors, person_settings
from bot.core.commands.maintenance import parse_maintenance
from bot.core.commands.naming import parse_forgetting, parse_naming
from bot.core.commands.presses import Action, parse_press
from bot.core.commands.text import parse_command, parse_mention
from bot.core.forms import naming, ticket
from bot.core.subscriptions.form import CALLBACK_ID, action_id, read_form
from bot.core.subscriptions.words import parse_subscribe, parse_unsubscribe
from bot.flokit import Endpoint, FlokitClient
from bot.settings.policy_text import parse_policy
from bot.slack.client import SlackClient
from tests.core.hostile import ATTACKS
from tests.scenarios.conftest import World

WEBHOOK_SECRET = "a-webhook-secret-of-the-fuzzer"

# --- values ----------------------------------------------------------------------------------------------------

texts = st.sampled_from([*ATTACKS, "status", "sync stripe", "subscribe all digest 25:99", "int_1"]) | st.text()
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))
slack_keys = st.sampled_from(
    [
        "type",
        "token",
        "team_id",
        "team",
        "user",
        "user_id",
        "channel",
        "channel_id",
        "channel_type",
        "trigger_id",
        "response_url",
        "command",
        "text",
        "api_app_id",
        "event",
        "event_id",
        "actions",
        "action_id",
        "block_id",
        "value",
        "selected_option",
        "container",
        "message",
        "message_ts",
        "ts",
        "thread_ts",
        "old_channel_id",
        "new_channel_id",
        "view",
        "id",
        "state",
        "values",
        "private_metadata",
        "callback_id",
        "hash",
        "is_ephemeral",
        "username",
        "name",
        "tab",
        "bot_id",
        "subtype",
        "challenge",
        "enterprise",
        "is_enterprise_install",
        "authorizations",
    ]
)
slack_words = st.sampled_from(
    [
        "block_actions",
        "view_submission",
        "view_closed",
        "event_callback",
        "url_verification",
        "shortcut",
        "message_action",
        "message",
        "app_mention",
        "app_home_opened",
        "channel_archive",
        "channel_id_changed",
        "member_joined_channel",
        "im",
        "home",
        "button",
        "/flokit",
        "T0SANDBOX",
        "UANA",
        "C0DATA",
        "D0ANA",
        CALLBACK_ID,
        naming.FORM.callback_id,
        ticket.FORM.callback_id,
        person_settings.FORM.callback_id,
        action_id(""),
        naming.action_id(""),
        person_settings.action_id(""),
        *Action,
    ]
)
slack_trees = st.recursive(
    slack_words | leaves, lambda inner: st.dictionaries(slack_keys, inner, max_size=8) | st.lists(inner, max_size=3)
)
kinds = {
    "command": {"command": "/flokit", "trigger_id": "t", "user_id": "UANA", "channel_id": "C0DATA", "team_id": "T1"},
    "press": {
        "type": "block_actions",
        "trigger_id": "t",
        "user": {"id": "UANA"},
        "team": {"id": "T1"},
        "channel": {"id": "C0DATA"},
        "container": {"message_ts": "1.0"},
        "actions": [{"action_id": "flokit_resync", "block_id": "b", "value": "{}", "type": "button"}],
    },
    "view": {
        "type": "view_submission",
        "trigger_id": "t",
        "user": {"id": "UANA"},
        "team": {"id": "T1"},
        "view": {"callback_id": CALLBACK_ID, "id": "V1", "type": "modal", "state": {"values": {}}},
    },
    "event": {
        "type": "event_callback",
        "event_id": "Ev",
        "team_id": "T1",
        "event": {"type": "message", "channel_type": "im", "user": "UANA", "channel": "D0ANA", "ts": "1.0", "text": ""},
    },
}


@st.composite
def payloads(draw):
    """Draw what Slack might send, with some members replaced, taken out or added: its kind and the payload."""
    kind = draw(st.sampled_from(sorted(kinds)))
    payload = json.loads(json.dumps(kinds[kind]))
    inner = [payload, *(value for value in payload.values() if isinstance(value, dict)), *payload.get("actions", [])]
    for place in inner:
        for key, value in draw(st.dictionaries(slack_keys, slack_trees, max_size=2)).items():
            place[key] = value
        if place and draw(st.booleans()) and draw(st.booleans()):
            del place[draw(st.sampled_from(sorted(place)))]
    return kind, payload


def _encoded(kind, payload):
    """Encode a payload as Slack does: a form, a form with JSON, or JSON."""
    if kind == "command":
        fields = {key: value if isinstance(value, str) else json.dumps(value) for key, value in payload.items()}
        return urlencode(fields, errors="replace").encode(), "application/x-www-form-urlencoded"
    text = json.dumps(payload)
    if kind == "event":
        return text.encode(), "application/json"
    return urlencode({"payload": text}).encode(), "application/x-www-form-urlencoded"


bodies = payloads().map(lambda drawn: _encoded(*drawn)) | st.tuples(
    st.binary(max_size=3000) | trees.map(lambda tree: json.dumps(tree).encode()),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", "", "multipart/form-data"]),
)
BOMB = gzip.compress(b" " * 20_000_000)
"""A reply that's a thousand times as large when it's unpacked."""

replies = st.tuples(
    st.sampled_from([200, 201, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 429, 500, 503]),
    st.binary(max_size=500)
    | st.sampled_from([BOMB, gzip.compress(BOMB)])
    | trees.map(lambda tree: json.dumps(tree).encode())
    | st.fixed_dictionaries(
        {},
        optional={
            "ok": st.booleans() | trees,
            "error": trees,
            "ts": trees,
            "user": trees,
            "channel": trees,
            "messages": st.lists(trees) | trees,
            "response_metadata": trees,
            "integrations": st.lists(
                st.dictionaries(
                    st.sampled_from(["id", "type", "status", "last_synced_at", "error_message", "sync_stats"]), trees
                )
            )
            | trees,
            "integration": st.dictionaries(
                st.sampled_from(["id", "type", "status", "last_synced_at", "error_message", "sync_stats"]), trees
            ),
            "sync_id": trees,
        },
    ).map(lambda tree: json.dumps(tree).encode()),
    st.dictionaries(
        st.sampled_from(["Retry-After", "Date", "X-OAuth-Scopes"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(str.strip),
    )
    | st.sampled_from([{"Location": "http://TRAP/api/x"}, {"Location": "//TRAP"}, {"Location": "/elsewhere"}])
    | st.sampled_from(["gzip", "gzip, gzip", "deflate", "br", "zstd", "x-no-such", "identity", "gzip,gzip,gzip"]).map(
        lambda coding: {"Content-Encoding": coding}
    ),
    st.sampled_from(["application/json", "text/plain", "text/html", "application/gzip"]),
)

# --- what's tested ---------------------------------------------------------------------------------------------


def _is_bolts(entry):
    """Return whether Bolt itself raised on a shape that Slack never sends, before any of our listeners ran."""
    frames = (entry.get("exception") or [{}])[0].get("frames") or [{}]
    return entry["event"] == "listener_failed" and "slack_bolt" in frames[-1].get("filename", "")


class BotOverHttp:
    """The real bot as a process, over HTTP, with the two stand-ins."""

    def __init__(self, world, http):
        self._world, self._http = world, http
        self._secret = world.slack.installation.tokens.signing_secret.encode()
        self._number = 0

    async def send_slack(self, drawn):
        """Send a signed body: the bot answers, never with a 500."""
        body, content_type = drawn
        self._number += 1
        body = body.replace(b"trigger_id=t", b"trigger_id=t%d" % self._number)
        timestamp = str(int(time.time()))
        digest = hmac.new(self._secret, b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}
        answer = await self._http.post(
            "/slack/events", content=body, headers=headers | ({"Content-Type": content_type} if content_type else {})
        )
        assert answer.status_code < 500, (answer.status_code, answer.text, body)
        assert "Traceback" not in answer.text

    async def send_webhook(self, body):
        """Deliver a body with the secret; it must be accepted."""
        answer = await self._http.post("/webhooks/flokit", content=body, headers={"X-Webhook-Secret": WEBHOOK_SECRET})
        assert answer.status_code in {200, 202, 413}, (answer.status_code, answer.text)

    def check(self):
        """Check that the process is running, and that its log has no error."""
        assert self._world.bot.pid is not None, self._world.bot.log[-3000:]
        wrong = [
            entry for entry in self._world.log if entry.get("level") in {"error", "critical"} and not _is_bolts(entry)
        ]
        assert not wrong, wrong[:3]


@asynccontextmanager
async def running_bot(folder):
    """Run the bot between a local Slack and a local FloKit."""
    world = World(folder, mode="http", FLOKIT_WEBHOOK_SECRET=WEBHOOK_SECRET)
    await world.start_services()
    try:
        await world.start_bot()
        async with httpx.AsyncClient(base_url=world.url, timeout=20) as http:
            bot = BotOverHttp(world, http)
            yield bot
            bot.check()
    finally:
        await world.close()


class Replies:
    """Both clients, between servers whose replies are drawn."""

    def __init__(self, slack):
        self._slack = slack
        self.web = slack.web
        self.reply = (200, b"", {}, "application/json")
        self.strayed = []

    async def serve(self, request):
        """Answer as Slack with a drawn reply; a redirect must never be followed, least of all with the token."""
        if not request.host.startswith("127.0.0.1:") or request.path == "/elsewhere":
            self.strayed.append(str(request.url))
        status, body, headers, content_type = self.reply
        headers = {name: value.replace("TRAP", f"localhost:{request.url.port}") for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=headers, content_type=content_type)

    async def read_as_flokit(self, drawn):
        """Read a reply as FloKit's: any reply is a value or a FlokitError."""
        status, body, headers, content_type = drawn

        def reply(request):
            assert request.url.host == "flokit.invalid"
            assert request.url.path.startswith("/v1/integrations")
            return httpx.Response(status, content=body, headers={**headers, "Content-Type": content_type})

        client = FlokitClient(Endpoint("https://flokit.invalid", "k", "k", transport=httpx.MockTransport(reply)))
        calls = (
            lambda: client.fetch_integrations(patience_s=0.0),
            lambda: client.fetch_integration("int_1", patience_s=0.0),
            lambda: client.trigger_sync("int_1", idempotency_key="run_1"),
        )
        for call in calls:
            try:
                await call()
            except errors.FlokitError:
                pass
        await client.aclose()

    async def read_as_slack(self, drawn):
        """Read a reply as Slack's: any reply is a value or a SlackError."""
        self.reply = drawn
        hello = blocks.plain_message("hello")
        calls = (
            self._slack.fetch_identity,
            lambda: self._slack.fetch_profile("U1"),
            lambda: self._slack.fetch_group("S1"),
            lambda: self._slack.open_direct("U1"),
            lambda: self._slack.update("C1", "1.0", hello),
            lambda: self._slack.find("C1", "1.0", "msg_1", since_s=0.0),
            lambda: self._slack.respond(self._slack.web.base_url + "response", hello),
        )
        for call in calls:
            try:
                await call()
            except errors.SlackError:
                pass
        assert not self.strayed


@asynccontextmanager
async def replying(token="xoxb-fuzz"):
    """Serve drawn replies as Slack."""
    app = web.Application()
    runner = web.AppRunner(app)
    served = {}

    async def serve(request):
        return await served["replies"].serve(request)

    app.router.add_route("*", "/{rest:.*}", serve)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ticks = iter(range(10**9))
    api_url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    client = SlackClient(token, api_url=api_url, clock=lambda: 60.0 * next(ticks))
    served["replies"] = Replies(client)
    try:
        yield served["replies"]
    finally:
        await client.aclose()
        await runner.cleanup()


def read_press(drawn):
    """Parse an action ID and a value: the result is a press or a sentence."""
    action, value = drawn
    parse_press(action, value)


def read_view(drawn):
    """Parse a form's values and metadata: the result is what was filled in, or what's wrong."""
    values, metadata = drawn
    read_form(values, metadata)
    naming.read_form(values, metadata)
    ticket.read_form(values, metadata)
    person_settings.read_form(values)


def read_policy(text):
    """Parse a policy file: the result is a policy, or a SettingsError with one line for each mistake."""
    problems = [""]
    try:
        parse_policy(text)
    except errors.SettingsError as error:
        problems = error.problems
    assert problems
    assert all("\n" not in problem for problem in problems), problems


def read_words(text):
    """Parse what someone typed."""
    parse_command(text)
    parse_mention(text, "UFLOKIT")
    parse_subscribe(text)
    parse_unsubscribe(text)
    parse_naming(text)
    parse_forgetting(text)
    parse_maintenance(text, datetime(2026, 10, 24, 22, 0, tzinfo=UTC), ZoneInfo("Europe/Berlin"))


typed = texts | st.lists(
    st.sampled_from(
        [
            "status",
            "name",
            "forget",
            "show",
            "sync",
            "subscribe",
            "unsubscribe",
            "all",
            "failing",
            "stale",
            "digest",
            "09:00",
            "25:61",
            "weekdays",
            *(
                "hours",
                "08:00-18:00",
                "quiet",
                "always",
                "between",
                "night",
                "maintenance",
                "until",
                "for",
                "3h",
                "9999999w",
            ),
            *("monday", "2026-10-25", "02:30", "end", "test", "sample"),
            "zone",
            "Europe/Berlin",
            "mention",
            "@here",
            "<!here>",
            "only",
            "in",
            "<#C1|x>",
            "without",
            "recovered",
            "broadcast",
            "int_1",
            "stripe",
            ",",
            ";",
            "'",
            '"',
            "why",
            "audit",
            "history",
            "doctor",
        ]
    )
    | texts,
    max_size=8,
).map(" ".join)
actions = st.sampled_from([*Action, "flokit_", ""]) | leaves
press_values = (
    st.dictionaries(st.sampled_from(["v", "i", "p", "r", "m", "a", "c", "q", "s"]), leaves).map(json.dumps)
    | trees.map(json.dumps)
    | leaves
    | st.binary(max_size=20).map(lambda raw: base64.b64encode(raw).decode())
)
view_values = st.dictionaries(
    st.sampled_from(
        ["what", "news", "digest", "time", "mention", "channel", "name", "owner", "group", "link", "zone", "dms"]
    )
    | texts,
    st.dictionaries(
        texts
        | st.sampled_from(["what", "news"]).map(action_id)
        | st.sampled_from(["name", "owner", "group", "link"]).map(naming.action_id)
        | st.sampled_from(["zone", "dms"]).map(person_settings.action_id),
        slack_trees,
        max_size=3,
    )
    | trees,
)

EXAMPLE = (Path(__file__).parents[2] / "manifests" / "policy.example.yaml").read_text()


@st.composite
def policies(draw):
    """Draw the example policy with pieces cut out, inserted and repeated, or any tree or text."""
    text = EXAMPLE
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(text))), draw(st.integers(0, 30))
        piece = draw(
            texts | st.sampled_from(["&a", "*a", "{", "[", "- ", ": ", "\t", "!!python/object:os.system", "1e999"])
        )
        text = text[:start] + piece[:200] + text[start + length :]
    return text


policy_files = policies() | texts | trees.map(json.dumps)
