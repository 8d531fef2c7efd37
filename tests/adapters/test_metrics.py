"""What's counted in the database and in the process; and a scrape never hangs."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import httpx
import pytest
from slack_bolt.request.async_request import AsyncBoltRequest
from sqlalchemy import text

from bot.core.errors import ClaimLost, FlokitError, SlackError, StoreUnavailable
from bot.core.models import Message
from bot.flokit import Endpoint, FlokitClient
from bot.listeners.observed import ObservedApp
from bot.listeners.payloads import kind_of
from bot.observability.context import Runtime
from bot.observability.pulse import feel_pulse
from bot.observability.telemetry import Telemetry
from bot.ops.health import STUCK_AFTER_S, Health, Running
from bot.ops.metrics import Metrics, Scraper
from bot.ops.web import WebServer
from bot.slack.client import SlackClient
from bot.store import schema
from bot.store.bell import Bell
from bot.store.database import Database
from bot.store.gauges import Readings, read_gauges
from bot.store.outbox_rows import answer_address
from bot.store.replicas import Replicas
from bot.workers.worker import Worker
from tests.adapters.conftest import finding

NOTHING = {"outbox": {}, "outbox_oldest_s": 0, "inbox": 0, "inbox_oldest_s": 0, "runs": {}, "runs_oldest_s": 0}


class Notebook(Telemetry):
    """Records what's reported to it."""

    def __init__(self):
        super().__init__()
        self.flokit, self.slack, self.slack_calls, self.lost, self.faults, self.lags = [], [], [], [], [], []
        self.rang = asyncio.Event()

    def called_slack(self, method, result, seconds):
        """Note a call of Slack."""
        self.slack_calls.append((method, result))

    def claim_lost(self, worker):
        """Note a lost claim."""
        self.lost.append(worker)
        self.rang.set()

    def fault(self, part):
        """Note a fault."""
        self.faults.append(part)
        self.rang.set()

    def loop_lagged(self, seconds):
        """Note a lag."""
        self.lags.append(seconds)
        self.rang.set()

    def called_flokit(self, operation, result, seconds, *, priority):
        """Note a call of FloKit."""
        self.flokit.append((operation, result, priority))

    def answered_slack(self, kind, result, seconds):
        """Note a request of Slack's."""
        self.slack.append((kind, result))


def at(now, **later):
    """Return a moment after now."""
    return now + timedelta(**later)


async def ask(client, call):
    """Make a call, whatever its result."""
    with contextlib.suppress(FlokitError):
        await call(client)


def scraper(metrics, **changes):
    """Return a scraper of a healthy bot, except for these changes."""

    async def waiting():
        return Readings(**NOTHING, incidents=0, subscriptions=0, replicas=1, budget_left=100)

    async def problems():
        return {"database": ""}

    async def socket():
        return None

    fine = {"read_waiting": waiting, "read_problems": problems, "read_socket": socket, "within_s": 5}
    return Scraper(metrics, **(fine | changes))


async def hangs():
    """Never answer."""
    await asyncio.Event().wait()


async def is_away():
    """Fail as an unreachable database does."""
    raise StoreUnavailable("away")


async def has_no_tables():
    """Fail as a database without tables does."""
    raise LookupError("no such table")


@pytest.mark.parametrize("read", [hangs, is_away, has_no_tables])
async def test_a_scrape_works_without_the_database(read):
    """If it hangs, is down or has other tables, only its gauges are missing."""
    text = (await scraper(Metrics(), read_waiting=read, within_s=0.05).text()).decode()
    assert "flokit_bot_database_up 0.0" in text
    assert "flokit_bot_outbox_depth" not in text
    assert "flokit_bot_build_info" in text


async def test_a_scrape_says_what_is_not_ready():
    """Each part of readiness is 1 or 0."""

    async def problems():
        return {"database": "", "slack": "deaf"}

    text = (await scraper(Metrics(), read_problems=problems).text()).decode()
    assert 'flokit_bot_ready{part="database"} 1.0' in text
    assert 'flokit_bot_ready{part="slack"} 0.0' in text


def flokit_that_answers(status, body, telemetry):
    """Return a client of a FloKit that always sends the same reply."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=body))
    return FlokitClient(Endpoint("https://flokit.test", "k", "k", transport=transport), telemetry=telemetry)


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "ok"), (401, "denied"), (404, "missing"), (429, "rate_limited"), (500, "bad_reply"), (418, "refused")],
)
async def test_calls_of_flokit_are_reported_by_result(status, result):
    """A list is one call, with its result and its priority."""
    notebook = Notebook()
    client = flokit_that_answers(status, {"integrations": []}, notebook)
    await ask(client, lambda flokit: flokit.fetch_integrations(patience_s=0))
    await client.aclose()
    assert notebook.flokit == [("list", result, "click")]


async def test_a_200_without_the_expected_data_counts_as_a_bad_reply():
    notebook = Notebook()
    client = flokit_that_answers(200, {"integration": {"id": "int_2"}}, notebook)
    await ask(client, lambda flokit: flokit.fetch_integrations(patience_s=0))
    await ask(client, lambda flokit: flokit.fetch_integration("int_1", patience_s=0))
    await client.aclose()
    assert notebook.flokit == [("list", "bad_reply", "click"), ("show", "bad_reply", "click")]


@pytest.mark.parametrize(("channel", "result"), [("C0DATA", "ok"), ("C0NOWHERE", "no_access")])
async def test_calls_of_slack_are_reported_by_method_and_result(local_slack, channel, result):
    """The result is one of a few words."""
    notebook = Notebook()
    client = SlackClient("xoxb-sandbox", api_url=local_slack.api_url, telemetry=notebook)
    with contextlib.suppress(SlackError):
        await client.post(channel, Message("hello"))
    with contextlib.suppress(SlackError):
        await client.respond(f"{local_slack.api_url}nowhere", Message("hello"))
    await client.aclose()
    (posted, answered) = notebook.slack_calls
    assert posted == ("chat.postMessage", result)
    assert answered[0] == "response_url"
    assert answered[1] != "ok"


@pytest.mark.parametrize(
    ("error", "lost", "faults"), [(ClaimLost("gone"), ["test"], []), (RuntimeError("broken"), [], ["worker"])]
)
async def test_lost_claims_and_faults_of_a_worker_are_reported(clock, error, lost, faults):
    """They're counted as well as logged, and a worker that works isn't stuck."""
    notebook, pieces = Notebook(), [1]

    async def claim(_now, _limit):
        return [pieces.pop()] if pieces else []

    async def work(_piece):
        raise error

    async def next_due_at():
        return None

    worker = Worker(
        "test",
        Runtime(clock, telemetry=notebook),
        claim=claim,
        work=work,
        next_due_at=next_due_at,
        bell=Bell(),
        slots=1,
    )
    task = asyncio.create_task(worker.run())
    await notebook.rang.wait()
    assert worker.still_for_s < STUCK_AFTER_S
    worker.stop()
    await task
    assert (notebook.lost, notebook.faults) == (lost, faults)


async def test_the_pulse_measures_how_late_the_event_loop_is():
    notebook = Notebook()
    task = asyncio.create_task(feel_pulse(notebook, every_s=0.001))
    await asyncio.sleep(0)
    held_until = asyncio.get_running_loop().time() + 0.1
    while asyncio.get_running_loop().time() < held_until:
        pass
    await notebook.rang.wait()
    task.cancel()
    assert notebook.lags[0] > 0.09


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"command": "/flokit", "text": ""}, "command"),
        ({"type": "block_actions"}, "button"),
        ({"type": "view_submission"}, "view"),
        ({"type": "event_callback"}, "event"),
        ({"type": "evil"}, "other"),
        ({"type": ["evil"]}, "other"),
        ({}, "other"),
        ([], "other"),
    ],
)
def test_a_request_from_slack_has_one_of_five_kinds(body, kind):
    assert kind_of(body) == kind


async def test_every_request_is_reported_with_its_answer(clock):
    """As acked or refused, with its time."""
    notebook = Notebook()
    app = ObservedApp(Runtime(clock, telemetry=notebook), finding(), signing_secret="s", process_before_response=True)

    @app.command("/flokit")
    async def on_command(ack):
        await ack()

    body = {"command": "/flokit", "team_id": "T1", "user_id": "U1", "channel_id": "C1", "text": ""}
    await app.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
    await app.async_dispatch(AsyncBoltRequest(body="command=/flokit", mode="http"))
    assert notebook.slack == [("command", "acked"), ("command", "refused")]


# --- what waits in the database ----------------------------------------------------------------------------------


async def test_an_empty_database_shows_zeros(store, clock):
    """And the whole budget."""
    assert await read_gauges(store._database, clock()) == Readings(
        **NOTHING, incidents=0, subscriptions=0, replicas=0, budget_left=100
    )


async def test_waiting_work_is_counted_with_its_age(store, make, click, clock):
    """Messages by kind, requests, and runs by phase."""
    await click(store, make)
    clock.advance(5)
    asked = make.command()
    await store.inbox.add(asked)
    await Replicas(store._database, "a").note(clock())
    readings = await read_gauges(store._database, at(clock(), seconds=7))
    assert readings.outbox == {"progress": 1}
    assert (readings.outbox_oldest_s, readings.inbox, readings.inbox_oldest_s) == (12, 1, 7)
    assert (readings.runs, readings.runs_oldest_s, readings.replicas) == ({"baseline": 1}, 12, 1)


async def test_a_posted_message_no_longer_waits(store, make, clock):
    asked = make.command()
    await store.inbox.add(asked)
    await store.outbox.add_note(asked, Message("hello"), answer_address(asked), clock())
    (item,) = await store.outbox.claim(clock(), 5)
    await store.outbox.mark_posted(item, "C0DATA", "1.000001", clock())
    readings = await read_gauges(store._database, at(clock(), seconds=60))
    assert (readings.outbox, readings.outbox_oldest_s, readings.inbox) == ({}, 0, 0)


# --- health ------------------------------------------------------------------------------------------------------


class Still:
    """A worker that hasn't run for this long."""

    def __init__(self, still_for_s):
        self.name, self.still_for_s = "follower", still_for_s


def working(workers):
    """The parts of a running bot."""
    return Running(bolt=None, sender=None, workers=workers)


@pytest.mark.parametrize(("still_for_s", "is_stuck"), [(2.0, False), (STUCK_AFTER_S + 1, True)])
def test_a_worker_that_has_not_run_for_a_minute_is_stuck(still_for_s, is_stuck, tmp_path):
    """It's named, with how long."""
    health = Health(Database(f"sqlite+aiosqlite:///{tmp_path}/x.db"), working([Still(still_for_s)]))
    assert health.stuck() == ({"follower": "hasn't run for 61 s"} if is_stuck else {})


@pytest.mark.parametrize(("still_for_s", "status"), [(2.0, 200), (STUCK_AFTER_S + 1, 503)])
async def test_the_probe_fails_when_a_worker_is_stuck(still_for_s, status, tmp_path):
    """/livez answers 503 and names the worker."""
    health = Health(Database(f"sqlite+aiosqlite:///{tmp_path}/x.db"), working([Still(still_for_s)]))
    server = WebServer(health, host="127.0.0.1", port=0, scraper=scraper(Metrics()))
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer, metrics = await http.get("/livez"), await http.get("/metrics")
    await server.stop()
    assert (answer.status_code, "follower" in answer.text) == (status, status == 503)
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_migrated_tables_make_the_bot_unready(store):
    """They're no longer at this version's revision."""
    health = Health(store._database)
    assert (await health.findings())["migrations"] == ""
    async with store._database.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    problem = (await health.problems())["migrations"]
    assert problem == f"the tables are at revision 9999, but this version needs {schema.HEAD}"


async def test_an_unreachable_database_is_one_problem(tmp_path):
    """Readiness names the database, and not the migrations."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'x.db'}")
    problems = await Health(database).problems()
    await database.close()
    assert set(problems) == {"database", "slack"}
