"""The sandbox's fault panel: its state on the live feed, and each of its controls."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import httpx
import pytest
import pytest_asyncio
from aiohttp import web

from local_slack import LocalSlack
from sandbox.clock import WorldClock
from sandbox.control import ControlPanel
from sandbox.inspector import Inspector
from sandbox.keeper import BotKeeper
from sandbox.local_flokit import READ_KEY, LocalFlokit
from sandbox.local_flokit.sources import STRIPE_ERROR
from sandbox.local_flokit.unrest import MOST_BROKEN, Unrest
from sandbox.local_flokit.webhooks import SIGNATURE_HEADER, Webhooks
from sandbox.page import add_page
from sandbox.slack import flokit_slack

STRIPE = "int_01hx4j7stripe"
REVENUECAT = "int_01hx4j7revenuecat"
SECRET = "a-secret-of-the-test"


class MortalProcess:
    """A process that runs until it's killed."""

    def __init__(self):
        self.pid = None
        self.starts = 0
        self._ended = asyncio.Event()

    async def start(self):
        """Run under a new pid."""
        self.starts += 1
        self.pid = 1000 + self.starts
        self._ended.clear()

    async def wait(self):
        """Wait until it ends."""
        await self._ended.wait()
        return -9

    async def kill(self):
        """End immediately."""
        self.pid = None
        self._ended.set()

    async def stop(self):
        """Stop gracefully."""
        await self.kill()


class Listener:
    """Stands in for the bot's webhook route."""

    def __init__(self):
        self.url = ""
        self.status = 202
        self.taken = []

    async def take(self, request):
        """Keep a delivery, and answer as the test wants."""
        self.taken.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, text="as ordered")


@dataclass
class World:
    """What the panel's controls act on."""

    slack: LocalSlack
    flokit: LocalFlokit
    process: MortalProcess
    keeper: BotKeeper
    clock: WorldClock
    listener: Listener
    session: aiohttp.ClientSession

    async def act(self, action, **asked):
        """Use a control; return the status and the answer."""
        async with self.session.post("/page/control", json={"action": action, **asked}) as reply:
            return reply.status, await reply.json()

    async def done(self, action, **asked):
        """Use a control that must work."""
        assert await self.act(action, **asked) == (200, {"ok": True, "error": ""})

    async def ask_flokit(self):
        """Request from the local FloKit as the bot does; None if the connection was closed."""
        headers = {"Authorization": f"Bearer {READ_KEY}"}
        async with httpx.AsyncClient(base_url=self.flokit.url, timeout=0.3, headers=headers) as http:
            try:
                return await http.get("/v1/integrations")
            except httpx.TransportError:
                return None

    @asynccontextmanager
    async def feed(self):
        """Open the live feed; yield the first control state, and a function that waits for one that matches."""
        async with self.session.ws_connect("/page/live") as socket:
            first = (await socket.receive_json(timeout=5))["control"]

            async def until(fits):
                while True:
                    message = await socket.receive_json(timeout=5)
                    if message["type"] == "control" and fits(message["control"]):
                        return message["control"]

            yield first, until


@asynccontextmanager
async def running(tmp_path, *, child=True):
    """Run both stand-ins with a page and a fault panel."""
    clock, listener, process = WorldClock(tmp_path / "clock"), Listener(), MortalProcess()
    slack, flokit = flokit_slack(clock=clock.time), LocalFlokit(clock=clock.now)
    flokit.demo()
    keeper = BotKeeper(process, restart_pause_s=0)
    more = {"clock": clock, "webhooks": Webhooks(lambda: listener.url, SECRET)} if child else {}
    panel = ControlPanel(slack, flokit, keeper if child else None, **more)
    slack.server.router.add_post("/hooks", listener.take)
    panels, traffic = {"T0SANDBOX": panel}, Inspector(slack, {"T0SANDBOX": flokit})
    add_page(slack.server, slack, tmp_path, panels=panels, inspector=traffic)
    await flokit.start()
    await slack.start()
    keeping = asyncio.create_task(keeper.run())
    async with aiohttp.ClientSession(slack.url) as session:
        yield World(slack, flokit, process, keeper, clock, listener, session)
    keeping.cancel()
    await slack.stop()
    await flokit.stop()


@pytest_asyncio.fixture
async def world(tmp_path):
    """Both stand-ins, a page, and a child process."""
    async with running(tmp_path) as started:
        yield started


def shown(control, integration_id=STRIPE):
    """Return what the panel shows about an integration."""
    return next((one for one in control["integrations"] if one["id"] == integration_id), None)


async def test_the_first_state_is_complete(world):
    """It has the bot, every integration with its plan, and the faults of FloKit and Slack."""
    async with world.feed() as (control, _):
        assert control["weather"] == {"flokit": "fine", "slack": "fine"}
        assert control["bot"]["connected"] is False
        assert len(control["integrations"]) == len(world.flokit.sources())
        stripe = shown(control)
        assert (stripe["type"], stripe["status"], stripe["error_message"]) == ("stripe", "error", STRIPE_ERROR)
        assert {one["name"] for one in control["integrations"]} >= {"Stripe", "RevenueCat"}
        assert stripe["plan"] == {
            "ending": "failed_same",
            "start_lag_s": 1.0,
            "duration_s": 3.0,
            "error_message": STRIPE_ERROR,
        }


@pytest.mark.parametrize(
    ("status", "asked", "message"),
    [
        ("error", "Key revoked", "Key revoked"),
        ("error", None, STRIPE_ERROR),
        ("disconnected", None, None),
        ("connected", None, None),
    ],
)
async def test_an_integrations_status_can_be_set(world, status, asked, message):
    """It fails with the given message or FloKit's own, disconnects, or is healthy again."""
    async with world.feed() as (_, until):
        await world.done("integration", id=REVENUECAT, status=status, error_message=asked)
        await world.done("flokit_weather", weather="slow")
        control = await until(lambda control: control["weather"]["flokit"] == "slow")
        integration = shown(control, REVENUECAT)
        assert (integration["status"], integration["error_message"]) == (status, message)


async def test_a_stuck_integration_stays_stuck_until_its_status_is_set(world):
    """Another sync doesn't end it."""
    await world.done("stuck", id=STRIPE)
    world.flokit.begin_sync(STRIPE)
    assert world.flokit.source(STRIPE).status == "syncing"
    await world.done("integration", id=STRIPE, status="connected")
    assert world.flokit.source(STRIPE).status == "connected"


async def test_a_running_sync_can_be_finished(world):
    """It ends as planned, however long it would have taken; if nothing is running, there's nothing to finish."""
    await world.done("plan", id=REVENUECAT, ending="failed", start_lag_s=300, duration_s=300, error_message="No.")
    world.flokit.begin_sync(REVENUECAT)
    await world.done("finish", id=REVENUECAT)
    source = world.flokit.source(REVENUECAT)
    assert (source.status, source.error_message) == ("error", "No.")
    status, reply = await world.act("finish", id=REVENUECAT)
    assert (status, reply["error"]) == (400, "No sync is running.")


async def test_a_reset_brings_back_the_demo(world):
    """A vanished integration is back, and all faults are gone."""
    await world.done("vanish", id=STRIPE)
    await world.done("flokit_weather", weather="down")
    await world.done("slack_weather", weather="http_500")
    assert world.flokit.source(STRIPE) is None
    async with world.feed() as (control, until):
        assert shown(control) is None
        await world.done("reset")
        again = await until(shown)
        assert again["weather"] == {"flokit": "fine", "slack": "fine"}
        assert (await world.ask_flokit()).status_code == 200


async def test_the_next_syncs_follow_the_plan(world):
    """The page sees them begin and end without polling."""
    await world.done("plan", id=STRIPE, ending="failed", start_lag_s=0, duration_s=0.7, error_message="No luck")
    async with world.feed() as (control, until):
        assert shown(control)["plan"]["ending"] == "failed"
        world.flokit.begin_sync(STRIPE)
        await until(lambda control: shown(control)["status"] == "syncing")
        ended = await until(lambda control: shown(control)["status"] == "error")
        assert shown(ended)["error_message"] == "No luck"


@pytest.mark.parametrize(
    ("weather", "status"),
    [("fine", 200), ("http_500", 500), ("ratelimited", 429), ("garbage", 200), ("down", None), ("hang", None)],
)
async def test_a_flokit_fault_affects_every_request(world, weather, status):
    """Until it's changed."""
    await world.done("flokit_weather", weather=weather)
    for _ in range(2):
        reply = await world.ask_flokit()
        assert (reply and reply.status_code) == status
    await world.done("flokit_weather", weather="fine")
    assert (await world.ask_flokit()).json()["integrations"]


@pytest.mark.parametrize(("weather", "status"), [("fine", 200), ("ratelimited", 429), ("http_500", 500)])
async def test_a_slack_fault_affects_every_call(world, weather, status):
    """Until it's changed."""
    await world.done("slack_weather", weather=weather)
    for _ in range(2):
        async with world.session.post("/api/auth.test") as reply:
            assert reply.status == status
    await world.done("slack_weather", weather="fine")
    async with world.session.post("/api/auth.test") as reply:
        assert reply.status == 200


async def test_a_repaired_integration_has_a_new_success(world):
    """It's connected without an error, and newer than any success before."""
    before = datetime.now(UTC)
    await world.done("repair", id=STRIPE)
    source = world.flokit.source(STRIPE)
    assert (source.status, source.error_message) == ("connected", None)
    assert source.last_synced_at >= before


async def test_random_failures_start_and_stop_with_a_click(world):
    """The second click repairs what they broke, and nothing else."""
    before = {source.id: source.status for source in world.flokit.sources()}
    async with world.feed() as (control, until):
        assert not control["unrest"]
        await world.done("unrest", seconds=600)
        raging = await until(lambda control: control["unrest"])
        assert {one["id"]: one["status"] for one in raging["integrations"]} != before
        await world.done("unrest", seconds=600)
        calm = await until(lambda control: not control["unrest"])
    assert {one["id"]: one["status"] for one in calm["integrations"]} == before


@pytest.mark.parametrize("how", ["time", "reset"])
async def test_random_failures_stop_after_their_time(world, how):
    """Everything is as healthy as before; a reset does the same."""
    async with world.feed() as (_, until):
        await world.done("unrest", seconds=0.2 if how == "time" else 600)
        await until(lambda control: control["unrest"])
        if how == "reset":
            await world.done("reset")
        calm = await until(lambda control: not control["unrest"])
    assert sum(one["status"] == "error" for one in calm["integrations"]) == 2


def test_random_failures_are_repeatable_and_bounded():
    """The same seed breaks the same integrations, never too many at once; earlier failures stay."""
    seen = []
    for _ in range(2):
        flokit = LocalFlokit(clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        flokit.demo()
        unrest, seen_here = Unrest(flokit, seed=11), []
        for _ in range(60):
            unrest.change()
            failing = {source.id for source in flokit.sources() if source.status == "error"}
            assert 0 <= len(failing) - 2 <= MOST_BROKEN
            assert flokit.source(STRIPE).error_message == STRIPE_ERROR
            seen_here.append(failing)
        seen.append(seen_here)
    assert seen[0] == seen[1]
    assert len({frozenset(failing) for failing in seen[0]}) > 5


def test_random_failures_leave_what_others_repaired():
    """What someone else repaired or removed isn't repaired again."""
    flokit = LocalFlokit()
    flokit.add("int_a", "stripe")
    unrest = Unrest(flokit)
    unrest.change()
    assert flokit.source("int_a").status == "error"
    flokit.set("int_a", status="disconnected", error_message=None)
    unrest.change()
    assert flokit.source("int_a").status == "disconnected"
    flokit.remove("int_a")
    unrest.change()
    assert not flokit.sources()


async def test_a_webhook_is_signed_and_names_a_failing_integration(world):
    """The HMAC covers its bytes, and each has its own ID."""
    world.listener.url = f"{world.slack.url}/hooks"
    await world.done("webhook")
    await world.done("webhook")
    (headers, body), (_, again) = world.listener.taken
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE_HEADER] == f"sha256={signature}"
    event = json.loads(body)
    assert (event["type"], event["data"]["integration_id"]) == ("integration.error", STRIPE)
    assert json.loads(again)["id"] != event["id"]


async def test_a_webhook_that_is_not_accepted_is_reported(world):
    """The bot refuses it, is down, or doesn't listen."""
    assert (await world.act("webhook"))[1]["error"] == "The bot isn't listening."
    world.listener.url, world.listener.status = f"{world.slack.url}/hooks", 401
    assert (await world.act("webhook"))[1]["error"] == "The bot returned HTTP 401: as ordered"
    world.listener.url = "http://127.0.0.1:1/hooks"
    assert "can't be reached" in (await world.act("webhook"))[1]["error"]


@pytest.mark.parametrize(("step", "hours"), [("hour", 1), ("six_hours", 6), ("day", 24)])
async def test_one_click_moves_the_clock(world, step, hours):
    """For Slack and FloKit alike; the panel shows by how much."""
    async with world.feed() as (control, until):
        assert control["clock_moved_s"] == 0
        await world.done("move_clock", step=step)
        assert (await until(lambda control: control["clock_moved_s"]))["clock_moved_s"] == hours * 3600
    reply = await world.ask_flokit()
    later = datetime.now(UTC) + timedelta(hours=hours, minutes=-1)
    assert parsedate_to_datetime(reply.headers["Date"]) > later
    assert float(await world.slack.say("UANA", "C0DATA", "hello")) > later.timestamp()


async def test_the_clock_moves_to_tomorrow_morning(world):
    """Whatever the time is, the click leads to 08:59 UTC of the next day."""
    for _ in range(2):
        today = world.clock.now()
        await world.done("move_clock", step="morning")
        now = world.clock.now()
        assert (now.hour, now.minute) == (8, 59)
        assert now.date() == (today + timedelta(days=1)).date()


async def test_a_killed_bot_restarts(world):
    """The panel counts its restart and shows its new pid."""
    async with world.feed() as (_, until):
        await world.done("kill_bot")
        control = await until(lambda control: control["bot"]["restarts"] == 1 and control["bot"]["running"])
        assert control["bot"]["pid"] == world.process.pid == 1002


async def test_a_bot_is_restarted_without_the_pause_of_a_crash():
    """It's back long before a crashed one would be; the next crash has its pause again."""
    process = MortalProcess()
    keeper = BotKeeper(process, restart_pause_s=3600)
    keeping = asyncio.create_task(keeper.run())
    async with asyncio.timeout(5):
        while keeper.pid is None:
            await asyncio.sleep(0)
        await keeper.restart()
        while keeper.pid is None:
            await asyncio.sleep(0)
    assert (process.starts, keeper.restarts) == (2, 1)
    await keeper.kill()
    for _ in range(100):
        await asyncio.sleep(0)
    assert process.starts == 2
    keeping.cancel()


async def test_a_stopped_bot_cannot_be_killed(world):
    world.process.pid = None
    assert (await world.act("kill_bot"))[1] == {"ok": False, "error": "The bot isn't running."}


async def test_without_a_child_process_there_is_nothing_to_kill(tmp_path):
    """The panel says so."""
    async with running(tmp_path, child=False) as world, world.feed() as (control, _):
        assert control["bot"] == {"running": False, "connected": False, "pid": None, "restarts": 0}
        status, reply = await world.act("kill_bot")
        assert (status, reply["ok"]) == (400, False)
        assert "isn't a child process" in reply["error"]


async def test_one_click_drops_the_bots_socket(world):
    async with world.session.post("/api/apps.connections.open", headers={"Authorization": "Bearer xapp-sandbox"}) as r:
        url = (await r.json())["url"]
    async with world.feed() as (_, until), world.session.ws_connect(url) as socket:
        await until(lambda control: control["bot"]["connected"])
        assert (await socket.receive_json())["type"] == "hello"
        await world.done("drop_socket")
        assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        await until(lambda control: not control["bot"]["connected"])
    assert (await world.act("drop_socket"))[1]["error"] == "The bot has no open socket."


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"action": "explode"},
        {"action": "integration", "status": "error"},
        {"action": "integration", "id": "int_nothing", "status": "error"},
        {"action": "integration", "id": STRIPE, "status": "syncing"},
        {"action": "integration", "id": STRIPE, "status": "error", "error_message": 7},
        {"action": "stuck", "id": "int_nothing"},
        {"action": "vanish", "id": "int_nothing"},
        {"action": "repair", "id": "int_nothing"},
        {"action": "unrest"},
        {"action": "unrest", "seconds": 3601},
        {"action": "webhook"},
        {"action": "move_clock"},
        {"action": "move_clock", "step": "back"},
        {"action": "plan", "id": STRIPE, "ending": "magic", "start_lag_s": 0, "duration_s": 1},
        {"action": "plan", "id": STRIPE, "ending": "failed", "start_lag_s": -1, "duration_s": 1},
        {"action": "plan", "id": STRIPE, "ending": "failed", "start_lag_s": 0, "duration_s": "long"},
        {"action": "plan", "id": STRIPE, "ending": "failed", "start_lag_s": 0, "duration_s": True},
        {"action": "flokit_weather", "weather": "snow"},
        {"action": "slack_weather", "weather": "down"},
    ],
)
async def test_unknown_controls_are_a_400(world, asked):
    """They change nothing, and the answer says why."""
    before = world.flokit.sources()
    async with world.session.post("/page/control", json=asked) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]
    assert world.flokit.sources() == before


async def test_other_sites_cannot_use_the_panel(world):
    """Only this machine's own page can."""
    headers = {"Origin": "https://evil.test"}
    async with world.session.post("/page/control", json={"action": "reset"}, headers=headers) as reply:
        assert reply.status == 403


async def test_a_page_without_a_panel_says_so(tmp_path):
    slack = flokit_slack()
    add_page(slack.server, slack, tmp_path)
    await slack.start()
    async with (
        aiohttp.ClientSession(slack.url) as session,
        session.post("/page/control", json={"action": "reset"}) as reply,
    ):
        assert (await reply.json())["error"] == "Fault injection isn't available here."
    await slack.stop()
