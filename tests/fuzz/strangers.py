"""What strangers send to the bot's port, and what it may cost: drawn by Hypothesis, measured on the real process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
from hypothesis import strategies as st

from bot.core.forms import naming
from bot.ops.web import MAX_BODY_BYTES
from tests.fuzz import surfaces
from tests.scenarios.conftest import World

MOST_LOOP_S = 0.05
MOST_BYTES = 1024 * 1024
"""How long one request may block the loop, in addition to a busy machine's delays, and how much memory it may take."""

REFUSED = {400, 401, 404, 405, 408, 411, 413, 415, 417, 431, 503}
REFUSES_ALL = """
rules:
  - name: Nobody may do anything
    refuse: [look, sync, subscribe, administer]
"""
SECRET_WORDS = "words-of-the-vendor-that-nobody-may-read"

# --- what they send ------------------------------------------------------------------------------------------------

now_texts = st.builds(lambda off: str(int(time.time()) + off), st.integers(-400, 400))
timestamps = now_texts | st.sampled_from(
    [
        "",
        "0",
        "-1",
        "nan",
        "1e9",
        "9" * 5000,
        "9" * 20,
        f"+{int(time.time())}",
        " 1",
        "\u0661\u0667\u0660",
        "²",
        "\xff",
        "1.5",
    ]
)
signatures = st.sampled_from(
    ["", "v0=", "v0=" + "0" * 64, "v0=" + "A" * 64, "v1=" + "0" * 64, "v0=" + "é" * 64, "0" * 8000, "\xff" * 67]
) | st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda digits: f"v0={digits}")
charsets = st.sampled_from(
    [
        *("utf-8", "punycode", "idna", "utf-7", "unicode_escape", "raw_unicode_escape", "zip", "bz2", "hex", "rot13"),
        *("utf-16", "base64", "uu", "quopri", "undefined", "mbcs", "no-such", "\x00", ""),
    ]
)
content_types = st.builds(
    "{}; charset={}".format,
    st.sampled_from(["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "x"]),
    charsets,
)
lures = st.sampled_from(
    [
        b"payload=" + quote('{"type":"block_actions","response_url":"RESPONSE_URL","actions":[{}]}').encode(),
        b"command=%2Fflokit&text=status&trigger_id=1&user_id=UANA&channel_id=C0DATA&response_url=RESPONSE_URL",
        b'{"type":"event_callback","event_id":"E","event":{"type":"app_mention","user":"UANA","channel":"C0DATA"}}',
        b'{"type":"url_verification","challenge":"x"}',
        b"ssl_check=1&token=x",
        b"[" * 200_000,
        b"%" * 300_000,
        b"a=1&" * 150_000,
        b"a" * (MAX_BODY_BYTES - 20) + b"-zzzz",
        b"\x1f\x8b\x08\x00" + b"\x00" * 100_000,
        b"a" * (MAX_BODY_BYTES + 1),
        b"9" * 500_000,
    ]
)
paths = st.sampled_from(
    [
        *(["/slack/events"] * 6),
        *(["/webhooks/flokit"] * 2),
        *("/webhooks/flokit/x", "/webhooks/flokit/%00%ff", "/", "/livez", "/readyz", "/metrics", "/slack/events/../x"),
        *("/slack/events?payload=1", "/" + "a" * 8000, "/slack%2Fevents", "//slack/events"),
    ]
)
methods = st.sampled_from([*(["POST"] * 8), "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "X"])
extra_headers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("X-Slack-Request-Timestamp", "X-Slack-Signature", "Content-Type", "Content-Encoding", "Expect"),
                *("X-Slack-Bolt-Lazy-Only", "X-Slack-Bolt-Lazy-Function-Name", "X-Slack-Retry-Num", "Authorization"),
                *("X-Webhook-Secret", "X-Webhook-Id", "X-FloKit-Signature", "Upgrade", "X-Forwarded-For", "Origin"),
                *("Cookie", "Range"),
            ]
        ),
        timestamps | signatures | st.sampled_from(["gzip", "br", "100-continue", "1", "websocket", "x" * 7000]),
    ),
    max_size=6,
)
requests = st.tuples(
    methods,
    paths,
    timestamps,
    signatures,
    content_types,
    extra_headers,
    lures | st.binary(max_size=2000),
    st.booleans(),
)


def _latin(text):
    """Encode a header's value as it may come: anything but line ends."""
    return text.encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")


class Siege:
    """The bot over HTTP with a policy that refuses everything, and strangers at its port."""

    def __init__(self, world, http):
        self._world, self._http = world, http
        self.sent = 0
        self.slowest_s = 0.0
        self._calls = 0
        self._rows = {}
        self._memory = 0

    async def begin(self):
        """Record the state before anyone sends anything."""
        await self._try("POST", "/slack/events", [], b"x")
        self._usual_s = await self.usual_probe_s()
        self._calls = len(self._world.slack.calls) + len(self._world.flokit.requests)
        self._rows, self._memory = self._count_rows(), self._peak_bytes()

    async def send(self, drawn):
        """Send one request while probing; if a probe is slow, try again: other processes may have caused it."""
        lag_s = await self._attack(drawn)
        for _ in range(2):
            if lag_s > MOST_LOOP_S:
                lag_s = min(lag_s, await self._attack(drawn))
        self.slowest_s = max(self.slowest_s, lag_s)
        self.sent += 1

    async def _attack(self, drawn):
        """Send one request, and return how long the slowest probe took in the meantime."""
        method, path, timestamp, signature, content_type, extra, body, chunked = drawn
        body = body.replace(b"RESPONSE_URL", self._world.slack.api_url.encode())
        headers = [
            (b"X-Slack-Request-Timestamp", _latin(timestamp)),
            (b"X-Slack-Signature", _latin(signature)),
            (b"Content-Type", _latin(content_type)),
            *((name.encode(), _latin(value)) for name, value in extra),
        ]

        async def parts():
            yield body

        attack = asyncio.create_task(self._try(method, path, headers, parts() if chunked else body))
        lag_s = 0.0
        while not attack.done():
            lag_s = max(lag_s, await self.probe())
        status = await attack
        known = path in {"/livez", "/readyz", "/metrics"}
        assert status is None or status in REFUSED or known, (status, drawn)
        return lag_s

    async def _try(self, method, path, headers, content):
        try:
            return (await self._http.request(method, path, headers=headers, content=content)).status_code
        except httpx.TransportError:
            return None  # disconnected

    async def probe(self):
        """Return how long the loop took to answer the simplest question."""
        began_at = time.perf_counter()
        assert (await self._http.get("/livez")).status_code == 200
        return time.perf_counter() - began_at

    async def usual_probe_s(self):
        """Return how long the slowest of some probes takes when nothing else is sent: the speed of this machine."""
        return max([await self.probe() for _ in range(50)])

    async def check(self):
        """Check that nothing was called, stored or logged as an error, that memory is low, and the loop was free."""
        world = self._world
        assert world.bot.pid is not None, world.bot.log[-3000:]
        assert len(world.slack.calls) + len(world.flokit.requests) == self._calls
        assert self._count_rows() == self._rows
        assert not [entry for entry in world.log if entry.get("level") in {"error", "critical", "raw"}]
        grown = self._peak_bytes() - self._memory
        assert grown <= MOST_BYTES * 16, (grown, self.sent)  # in total, including what Python keeps for later
        usual_s = max(self._usual_s, await self.usual_probe_s())
        assert self.slowest_s <= MOST_LOOP_S + 10 * usual_s, (self.slowest_s, usual_s)
        assert len(world.bot.log) < 50_000

    def _count_rows(self):
        """Return the number of rows that a request could create."""
        with closing(sqlite3.connect(f"file:{self._world.folder / 'flokit.db'}?mode=ro", uri=True)) as database:
            tables = ("inbox", "outbox", "runs", "audit", "subscriptions", "threads")
            there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return {
                name: database.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608 - the names are ours
                for name in tables
                if name in there
            }

    def _peak_bytes(self):
        """Return the process's peak memory."""
        status = Path(f"/proc/{self._world.bot.pid}/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])


# --- what a member makes up ----------------------------------------------------------------------------------------

ids = st.sampled_from(
    ["int_1", "stripe", "sub_1", "pan_1", "run_1", "C0DATA", "D0ANA", "1h", "*", "all", "../int_1", ""]
)
invented_values = st.dictionaries(
    st.sampled_from(["i", "p", "r", "m", "a", "c", "q", "s", "n", "o"]), ids | st.integers(-1, 3) | surfaces.leaves
).map(lambda fields: json.dumps({"v": 1, **fields}))
presses = st.builds(
    lambda action, value, channel, option, place: {
        "type": "block_actions",
        "user": {"id": "UANA", "username": "ana", "team_id": "T0SANDBOX"},
        "team": {"id": "T0SANDBOX"},
        **({"channel": {"id": channel}} if channel else {}),
        "container": {"type": place, "message_ts": "1.0", "channel_id": channel, "view_id": "V1"},
        "actions": [
            {"action_id": action, "block_id": "b", "type": "button", "value": value}
            | ({"selected_option": {"value": value}} if option else {})
        ],
    },
    surfaces.st.sampled_from(list(surfaces.Action)),
    invented_values,
    st.sampled_from(["C0DATA", "D0ANA", "C0OTHER", ""]),
    st.booleans(),
    st.sampled_from(["message", "view"]),
)
forms = st.builds(
    lambda channel, what, news, via: {
        "type": via,
        "user": {"id": "UANA", "username": "ana", "team_id": "T0SANDBOX"},
        "team": {"id": "T0SANDBOX"},
        "actions": [{"action_id": surfaces.action_id("what"), "block_id": "what", "type": "static_select"}],
        "view": {
            "id": "V1",
            "type": "modal",
            "callback_id": surfaces.CALLBACK_ID,
            "private_metadata": json.dumps({"channel": channel}),
            "state": {
                "values": {
                    "what": {surfaces.action_id("what"): {"selected_option": {"value": what}}},
                    "news": {surfaces.action_id("news"): {"selected_options": [{"value": news}]}},
                }
            },
        },
    },
    st.sampled_from(["C0DATA", "D0ANA", "D0BEN", "G0SECRET", "C0OTHER"]),
    ids,
    st.sampled_from(["failing", "stale", "recovered", "disconnected"]),
    st.sampled_from(["view_submission", "block_actions"]),
)
names = st.builds(
    lambda metadata, values: {
        "type": "view_submission",
        "user": {"id": "UANA", "username": "ana", "team_id": "T0SANDBOX"},
        "team": {"id": "T0SANDBOX"},
        "view": {
            "id": "V1",
            "type": "modal",
            "callback_id": naming.FORM.callback_id,
            "private_metadata": json.dumps(metadata),
            "state": {"values": {part: {naming.action_id(part): {"value": one}} for part, one in values.items()}},
        },
    },
    st.fixed_dictionaries({"about": ids, "asked": ids | st.from_regex(r"t[0-9]{1,2}", fullmatch=True), "p": ids}),
    st.dictionaries(
        st.sampled_from(["name", "group", "link"]), st.sampled_from(["Pixel", "S0615G0KT", "https://a.example"])
    ),
)
invented = presses | forms | names


class Member:
    """A member who isn't allowed to do anything, and sends payloads that none of our buttons would."""

    def __init__(self, world, http):
        self._world, self._bot = world, surfaces.BotOverHttp(world, http)
        self.sent = 0

    async def begin(self):
        """Begin."""

    async def send(self, payload):
        """Send a made-up interaction, signed as Slack signs what its clients send."""
        self.sent += 1
        payload = {**payload, "trigger_id": f"t{self.sent}", "response_url": f"{self._world.slack.url}/response/x"}
        body = urlencode({"payload": json.dumps(payload)}).encode()
        await self._bot.send_slack((body, "application/x-www-form-urlencoded"))

    async def check(self):
        """Check that nothing was started, subscribed or shown that this person isn't allowed to."""
        world = self._world
        await world.settle()
        self._bot.check()
        assert not [request for request in world.flokit.requests if request.method == "POST"]
        with closing(sqlite3.connect(f"file:{world.folder / 'flokit.db'}?mode=ro", uri=True)) as database:
            for table in ("runs", "subscriptions", "nicknames"):
                assert not database.execute(f"SELECT * FROM {table}").fetchall(), table  # noqa: S608
        assert SECRET_WORDS not in str([(call.args, call.method) for call in world.slack.calls])
        assert SECRET_WORDS not in str(world.slack.ephemerals("UANA"))


@asynccontextmanager
async def besieged_bot(folder, make):
    """Run the bot with a policy that refuses everything to everyone."""
    policy = folder / "policy.yaml"
    policy.write_text(REFUSES_ALL)
    world = World(
        folder,
        mode="http",
        FLOKIT_WEBHOOK_SECRET=surfaces.WEBHOOK_SECRET,
        POLICY_FILE=str(policy),
        WATCH_INTERVAL_S="86400",
    )
    world.flokit.add("int_1", "stripe", status="error", error_message=SECRET_WORDS)
    await world.start_services()
    try:
        await world.start_bot()
        async with httpx.AsyncClient(base_url=world.url, timeout=20, trust_env=False) as http:
            besieger = make(world, http)
            await besieger.begin()
            yield besieger
            await besieger.check()
    finally:
        await world.close()
