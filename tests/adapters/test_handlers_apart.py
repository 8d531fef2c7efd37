"""Two installed workspaces with the same IDs: whatever people do, neither sees anything of the other.

Everything that tells them apart names its workspace: FloKit's words, people's names, keys, tokens, rules of the policy.
So a trace of one in the other shows, in whatever it's told, saved or called.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from slack_bolt.request.async_request import AsyncBoltRequest
from sqlalchemy import select

from bot.app import Bot
from bot.core.access import policy_form
from bot.core.access.audit import AuditFilter
from bot.core.forms import keys
from bot.core.installations import Installation
from bot.flokit import client as flokit_client
from bot.serving import make_bolt, make_workers
from bot.settings.encryption_keys import new_encryption_key
from bot.settings.settings import load_settings
from bot.slack import client as slack_client
from bot.store.audit import Audit
from bot.store.policies import Policies
from bot.store.tables import metadata
from tests.adapters.conftest import VirtualClock

ALPHA, BRAVO = "TALPHA", "TBRAVO"
MARKS = {ALPHA: "alpha", BRAVO: "bravo"}
USERS, CHANNELS = ("U1", "U2"), ("C1", "C2")
OURS = re.compile(r"\b(run|pnl|sub|inc|msg|thr)_[0-9a-zA-Z]{6,}")
WEBHOOK = re.compile(r"/webhooks/flokit/([\w-]+)")
COMMANDS = (
    "status",
    "show int_1",
    "sync int_1",
    "sync stripe",
    "history",
    "audit",
    "subscribe all",
    "subscribe int_1 failing",
    "unsubscribe all",
    "subscriptions",
    "why sync int_1",
    "connect",
    "disconnect",
    "policy",
    "help",
)


class Outside:
    """Slack and FloKit for both workspaces: they note what they are sent, and that it's sent for whom it should be."""

    def __init__(self):
        self.acting = ""
        """The workspace whose work is being done."""
        self.tokens, self.keys = {}, {}
        """Those that are good now, by workspace."""
        self.away = set()
        self.told, self.wrong = {team: [] for team in MARKS}, []
        self.ts, self.statuses, self.syncs = Counter(), {team: {} for team in MARKS}, Counter()

    @web.middleware
    async def watch(self, request, handler):
        """Note what these stand-ins can't answer."""
        try:
            return await handler(request)
        except Exception as error:
            self.wrong.append(f"{request.method} {request.path}: {error!r}")
            raise

    async def slack(self, request):
        """Answer a call of Slack's API."""
        method, token = request.match_info["method"], request.headers.get("Authorization", "").removeprefix("Bearer ")
        posted = await request.json() if request.content_type == "application/json" else await request.post()
        sent = {**request.query, **posted}
        if token != self.tokens.get(self.acting):
            self.wrong.append(f"{method} with {token} for {self.acting}")
        self.told[self.acting].append(json.dumps(sent, ensure_ascii=False))
        return web.json_response({"ok": True, **self.answer(method, sent)})

    def answer(self, method, sent):
        """Return what Slack answers; timestamps are the same in both workspaces."""
        if method == "chat.postMessage":
            self.ts[self.acting] += 1
            ts, thread = f"{self.ts[self.acting]}.000001", sent.get("thread_ts")
            return {"ts": ts, "channel": sent["channel"], "message": {"ts": ts, "thread_ts": thread}}
        if method == "conversations.open":
            return {"channel": {"id": f"D{sent['users']}"}}
        if method == "users.info":
            name = f"{sent['user']}-{MARKS[self.acting]}"
            return {
                "user": {
                    "id": sent["user"],
                    "name": name,
                    "tz": "UTC",
                    "team_id": self.acting,
                    "is_admin": sent["user"] == "U1",
                }
            }
        return {"view": {"id": "V1", "hash": "1"}, "channel": sent.get("channel"), "ts": sent.get("ts")}

    async def respond(self, request):
        """Take what is sent to a response URL, which names its workspace."""
        if request.match_info["team"] != self.acting:
            self.wrong.append(f"an answer for {request.match_info['team']} while working for {self.acting}")
        self.told[request.match_info["team"]].append(await request.text())
        return web.json_response({"ok": True})

    async def flokit(self, request):
        """Answer as the FloKit of whoever has the key."""
        key = request.headers["Authorization"].removeprefix("Bearer ")
        if key not in self.keys.get(self.acting, ()):
            self.wrong.append(f"FloKit with {key} for {self.acting}")
        team = next(team for team in MARKS if MARKS[team] in key)
        if team in self.away:
            return web.json_response({"message": f"The FloKit of {MARKS[team]} is away"}, status=503)
        if request.method == "POST":
            self.syncs[team] += 1
            return web.json_response({"status": "ok", "sync_id": "sync_1"})
        listed = [self.integration(team, id_) for id_ in ("int_1", "int_2")]
        id_ = request.match_info.get("id")
        found = {"integration": next(one for one in listed if one["id"] == id_)} if id_ else {"integrations": listed}
        return web.json_response(found)

    def integration(self, team, id_):
        """Return one of the integrations, which have the same IDs everywhere."""
        status = self.statuses[team].get(id_, "connected")
        error = f"The secret of {MARKS[team]} is wrong" if status == "error" else None
        synced = "2026-03-01T11:00:00Z"
        return {"id": id_, "type": "stripe", "status": status, "last_synced_at": synced, "error_message": error}


class World:
    """One process of the bot, and what people do in both workspaces."""

    def __init__(self, url, outside, path):
        self.url, self.outside, self.clock, self.asked = url, outside, VirtualClock(), Counter()
        self.bot = Bot(
            load_settings(
                database_url=f"sqlite+aiosqlite:///{path}",
                slack_api_url=f"{url}/api/",
                flokit_api_url=url,
                slack_client_id="1.2",
                slack_client_secret="a-secret",
                slack_app_token="xapp-1",
                public_url="http://127.0.0.1:3000",
                encryption_keys=new_encryption_key(),
            ),
            clock=self.clock,
        )
        self.many, self.database = self.bot._many, self.bot._database
        self.bolt = make_bolt(self.bot._base, self.many, self.bot._slack)
        self.workers = tuple(make_workers(self.bot._base, self.many))

    async def close(self):
        """Close all connections."""
        await self.many.aclose()
        await self.bot._slack.aclose()
        await self.database.close()

    # --- what people do -----------------------------------------------------------------------------------------

    def next_id(self, team):
        """Return the ID of a request; Slack's are different in each workspace."""
        self.asked[team] += 1
        return f"{self.asked[team]}.{team}"

    async def deliver(self, team, body):
        """Deliver one of Slack's payloads, and note what the ack says."""
        self.outside.acting = team
        response = await self.bolt.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
        assert response.status == 200, (body, response.status)
        self.outside.told[team].append(str(response.body))

    def by(self, team, user, channel=""):
        """Return what payloads of interactions say of a person."""
        return {
            "team": {"id": team},
            "user": {"id": user, "username": f"{user}-{MARKS[team]}", "team_id": team},
            "trigger_id": self.next_id(team),
            "response_url": f"{self.url}/respond/{team}",
            **({"channel": {"id": channel}} if channel else {}),
        }

    async def event(self, team, **event):
        """Deliver an event."""
        envelope = {"type": "event_callback", "team_id": team, "event_id": self.next_id(team), "event": event}
        await self.deliver(team, {**envelope, "event_time": int(self.clock.timestamp())})

    async def command(self, team, user, channel, number):
        """Type a command."""
        await self.deliver(
            team,
            {
                "command": "/flokit",
                "text": COMMANDS[number % len(COMMANDS)],
                "trigger_id": self.next_id(team),
                "user_id": user,
                "user_name": f"{user}-{MARKS[team]}",
                "channel_id": channel,
                "team_id": team,
                "response_url": f"{self.url}/respond/{team}",
            },
        )

    async def click(self, team, user, channel, number, *, seen_by=None):
        """Press a button or choose from a menu that the workspace was shown."""
        shown = list(dict.fromkeys(pressable(self.outside.told[seen_by or team])))
        if not shown:
            return
        action_id, value = shown[-1 - number % len(shown)]
        await self.deliver(
            team,
            {
                "type": "block_actions",
                **self.by(team, user, channel),
                "container": {"type": "message", "message_ts": "1.000001", "channel_id": channel},
                "message": {"ts": "1.000001"},
                "actions": [{"type": "button", "block_id": "b", "action_id": action_id, "value": value}],
            },
        )

    async def forge(self, team, user, channel, number):
        """Press a button whose IDs are the other workspace's."""
        await self.click(team, user, channel, number, seen_by=other(team))

    async def submit(self, team, user, callback_id, values, metadata=""):
        """Submit a form."""
        state = {block: {block: {"type": "plain_text_input", "value": text}} for block, text in values.items()}
        view = {"id": "V1", "callback_id": callback_id, "private_metadata": metadata, "state": {"values": state}}
        view |= {"type": "modal", "app_installed_team_id": team}
        await self.deliver(team, {"type": "view_submission", **self.by(team, user), "view": view})

    async def connect(self, team, user, _channel, number):
        """Connect FloKit with a key of the workspace's own."""
        key = f"flo_{number}_{MARKS[team]}"
        self.outside.keys.setdefault(team, set()).add(key)
        await self.submit(team, user, keys.FORM.callback_id, {keys.KEY: key})

    async def policy(self, team, user, _channel, number):
        """Save a policy with a rule that names the workspace."""
        verb = ("sync", "look", "subscribe")[number % 3]
        current = await Policies(self.database, team).current()
        text = f"rules:\n- name: rule of {MARKS[team]}\n  refuse: {verb}\n  users: U2\n"
        metadata = policy_form.write_metadata(current.number if current else 0)
        await self.submit(team, user, policy_form.FORM.callback_id, {policy_form.FIRST: text}, metadata)

    async def home(self, team, user, _channel, _number):
        """Open App Home."""
        await self.event(team, type="app_home_opened", tab="home", user=user)

    async def close_channel(self, team, _user, channel, number):
        """Archive a channel, or open it again."""
        kind = ("channel_archive", "channel_unarchive")[number % 2]
        await self.event(team, type=kind, channel=channel, user="U1")

    async def uninstall(self, team, _user, _channel, _number):
        """Uninstall the app: from then on, nothing may be called for the workspace."""
        await self.event(team, type="app_uninstalled")
        self.outside.tokens.pop(team, None)
        self.outside.keys.pop(team, None)

    async def install(self, team, user, _channel, _number):
        """Install the app, perhaps again."""
        token = f"xoxb-{self.next_id(team)}"
        bot = f"UBOT{team}"
        one = Installation(team, f"{MARKS[team]} Corp", None, False, "A1", "B1", bot, token, (), user, self.clock.now)
        self.outside.acting = team
        await self.many.install(one)
        self.outside.tokens[team] = token

    async def fail(self, team, _user, _channel, number):
        """Let one of its integrations fail."""
        self.outside.statuses[team][f"int_{1 + number % 2}"] = "error"

    async def recover(self, team, _user, _channel, number):
        """Let it recover."""
        self.outside.statuses[team][f"int_{1 + number % 2}"] = "connected"

    async def outage(self, team, _user, _channel, number):
        """Let its FloKit be away, or come back."""
        (self.outside.away.add if number % 2 else self.outside.away.discard)(team)

    async def hook(self, team, _user, _channel, _number):
        """Call the addresses for webhooks that were told there."""
        self.outside.acting = team
        for token in {token for text in self.outside.told[team] for token in WEBHOOK.findall(text)}:
            assert await self.many._installations.connections.team_of_webhook(token) in {team, None}
            await self.many.hint(token)

    # --- work ---------------------------------------------------------------------------------------------------

    async def work(self, most):
        """Do so much of the work that is due, of both workspaces in turn, as the claims give it out."""
        for worker in self.workers:
            for piece in await worker._claim(self.clock.now, most):
                self.outside.acting = worker._team_of(piece)
                await worker._work(piece)

    async def play(self, script):
        """Install both, and take the steps."""
        for team in MARKS:
            await self.install(team, "U1", "", 0)
            await self.connect(team, "U1", "", 1)
        for deed, team, user, channel, number in script:
            self.clock.advance(1 + number)
            if deed == "work":
                await self.work(1 + number)
            else:
                await getattr(self, deed)(team, user, channel, number)
        for _ in range(4):
            self.clock.advance(70)
            await self.work(99)

    # --- what may be seen ---------------------------------------------------------------------------------------

    async def check(self):
        """Check that nothing of one workspace is told, called or saved in the other."""
        assert self.outside.wrong == []
        for team in MARKS:
            strange, found = MARKS[other(team)], []
            found += [text for text in self.outside.told[team] if strange in text.lower()]
            found += [row for row in await self.rows(team) if strange in row.lower()]
            assert found == []
            audited = (await Audit(self.database, team).page(AuditFilter(), number=0, size=99)).entries
            assert {entry.team_id for entry in audited} <= {team}
            assert await self.owners(self.outside.told[team]) <= {team}

    async def rows(self, team):
        """Return all that is saved of a workspace."""
        found = []
        async with self.database.read() as connection:
            for table in metadata.sorted_tables:
                if "team_id" in table.c:
                    rows = await connection.execute(select(table).where(table.c.team_id == team))
                    found += [f"{table.name}: {row!r}" for row in rows]
        return found

    async def owners(self, texts):
        """Return the workspaces whose IDs are in texts, such as those in buttons."""
        ids, owners = {match[0] for text in texts for match in OURS.finditer(text)}, set()
        async with self.database.read() as connection:
            for table in metadata.sorted_tables:
                if {"id", "team_id"} <= set(table.c.keys()):
                    owners |= set(await connection.scalars(select(table.c.team_id).where(table.c.id.in_(ids))))
        return owners


def other(team):
    """Return the other workspace."""
    return BRAVO if team == ALPHA else ALPHA


def pressable(texts):
    """Yield the action and the value of each button and each choice in what was sent, which has JSON in JSON."""
    for text in texts:
        for element in objects_in(text):
            action_id = element.get("action_id", "")
            for one in (element, *element.get("options", [])):
                if action_id.startswith("flokit_") and "value" in one:
                    yield action_id, one["value"]


def objects_in(value):
    """Yield every object in a value, also in strings that are JSON."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        value = json.loads(value)
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects_in(inner)


@asynccontextmanager
async def running(template, folder):
    """Run the stand-ins and the bot on a new database."""
    outside = Outside()
    app = web.Application(middlewares=[outside.watch])
    app.router.add_route("*", "/api/{method}", outside.slack)
    app.router.add_post("/respond/{team}", outside.respond)
    for path in ("/v1/integrations", "/v1/integrations/{id}", "/v1/integrations/{id}/sync"):
        app.router.add_route("*", path, outside.flokit)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    path = folder / "flokit.db"
    shutil.copy(template, path)
    world = World(f"http://127.0.0.1:{runner.addresses[0][1]}", outside, path)
    try:
        yield world
    finally:
        await world.close()
        await runner.cleanup()
        for left in folder.glob("flokit.db*"):
            left.unlink()


@pytest.fixture
def fast(monkeypatch, tmp_path):
    """Wait for nobody's turn: the tests' clock isn't the one that paces the calls."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flokit_client, "PERSON_ATTEMPTS", 1)
    monkeypatch.setattr(slack_client, "POSTS_BURST", 1e9)
    monkeypatch.setattr(slack_client, "UPDATES_BURST", 1e9)


WEIGHTS = {
    "work": 6,
    "command": 6,
    "click": 5,
    "forge": 2,
    "home": 2,
    "fail": 2,
    "recover": 1,
    "outage": 1,
    "connect": 1,
    "policy": 2,
    "close_channel": 1,
    "hook": 1,
    "uninstall": 1,
    "install": 1,
}
STEPS = st.tuples(
    st.sampled_from([deed for deed, weight in WEIGHTS.items() for _ in range(weight)]),
    st.sampled_from(tuple(MARKS)),
    st.sampled_from(USERS),
    st.sampled_from(CHANNELS),
    st.integers(0, 30),
)


async def hold(template, folder, script):
    """Play a script, and check what each workspace got."""
    async with running(template, folder) as world:
        await world.play(script)
        await world.check()


def test_neither_workspace_sees_anything_of_the_other(sqlite_template, fast, tmp_path):
    """Commands, clicks, forms, policies, keys, uninstalls and the work that follows, in any order, in both."""
    phases = (Phase.explicit, Phase.generate)  # no shrinking: that takes minutes

    @settings(max_examples=5, deadline=None, phases=phases, suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, min_size=60, max_size=100))
    def always(script):
        asyncio.run(hold(sqlite_template, tmp_path, script))

    always()
