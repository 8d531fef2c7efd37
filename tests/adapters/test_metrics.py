"""What is counted in the database and along the way, and that a scrape never hangs."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import httpx
import pytest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.core.errors import ClaimLost, FlokitError, SlackError, StoreUnavailable
from bot.core.models import Message
from bot.flokit import FlokitClient
from bot.listeners.observed import ObservedApp
from bot.listeners.payloads import kind_of
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

NOTHING = {"outbox": {}, "outbox_oldest_s": 0, "inbox": 0, "inbox_oldest_s": 0, "runs": {}, "runs_oldest_s": 0}


class Notebook(Telemetry):
    """Remembers the calls that were reported."""

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
    """Make a call, whatever comes of it."""
    with contextlib.suppress(FlokitError):
        await call(client)


def scraper(metrics, **changes):
    """Return a scraper for which everything is fine, but for the changes."""

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
    """Be away."""
    raise StoreUnavailable("away")


async def has_no_tables():
    """Ask a database that nobody migrated."""
    raise LookupError("no such table")


@pytest.mark.parametrize("read", [hangs, is_away, has_no_tables])
async def test_a_scrape_comes_without_the_database(read):
    """A database that hangs, is away or has other tables costs its gauges, not the answer."""
    text = (await scraper(Metrics(), read_waiting=read, within_s=0.05).text()).decode()
    assert "flokit_bot_database_up 0.0" in text
    assert "flokit_bot_outbox_depth" not in text
    assert "flokit_bot_build_info" in text


async def test_a_scrape_says_what_is_not_ready():
    """Each part that readiness depends on is 1 or 0."""

    async def problems():
        return {"database": "", "slack": "deaf"}

    text = (await scraper(Metrics(), read_problems=problems).text()).decode()
    assert 'flokit_bot_ready{part="database"} 1.0' in text
    assert 'flokit_bot_ready{part="slack"} 0.0' in text


def flokit_that_answers(status, body, telemetry):
    """Return a client of a FloKit that always answers the same."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=body))
    return FlokitClient(
        api_url="https://flokit.test", look_key="k", sync_key="k", transport=transport, telemetry=telemetry
    )


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "ok"), (401, "denied"), (404, "missing"), (429, "rate_limited"), (500, "bad_reply"), (418, "refused")],
)
async def test_calls_of_flokit_are_reported_by_result(status, result):
    """A list is one call, with how it went and for whom it was."""
    notebook = Notebook()
    client = flokit_that_answers(status, {"integrations": []}, notebook)
    await ask(client, lambda flokit: flokit.fetch_integrations(patience_s=0))
    await client.aclose()
    assert notebook.flokit == [("list", result, "click")]


async def test_an_answer_that_says_nothing_is_no_good_answer():
    """A 200 in which there is no list, or not the integration that was asked for, is a bad reply."""
    notebook = Notebook()
    client = flokit_that_answers(200, {"integration": {"id": "int_2"}}, notebook)
    await ask(client, lambda flokit: flokit.fetch_integrations(patience_s=0))
    await ask(client, lambda flokit: flokit.fetch_integration("int_1", patience_s=0))
    await client.aclose()
    assert notebook.flokit == [("list", "bad_reply", "click"), ("show", "bad_reply", "click")]


@pytest.mark.parametrize(("channel", "result"), [("C0DATA", "ok"), ("C0NOWHERE", "no_access")])
async def test_calls_of_slack_are_reported_by_method_and_result(local_slack, channel, result):
    """A post is one call, with what came of it in one of a few words."""
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
    """What a worker only logs is counted as well; and while it works, it is not still."""
    notebook, pieces = Notebook(), [1]

    async def claim(_now, _limit):
        return [pieces.pop()] if pieces else []

    async def work(_piece):
        raise error

    async def next_due_at():
        return None

    worker = Worker(
        "test", claim=claim, work=work, next_due_at=next_due_at, bell=Bell(), clock=clock, slots=1, telemetry=notebook
    )
    task = asyncio.create_task(worker.run())
    await notebook.rang.wait()
    assert worker.still_for_s < STUCK_AFTER_S
    worker.stop()
    await task
    assert (notebook.lost, notebook.faults) == (lost, faults)


async def test_the_pulse_tells_how_late_the_loop_is():
    """A loop that is held up for a tenth of a second is that late."""
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
def test_a_request_of_slacks_has_one_of_five_kinds(body, kind):
    """Whatever comes, the label is one of five words."""
    assert kind_of(body) == kind


async def test_every_request_is_reported_with_its_answer():
    """An ack and a refusal are told apart, and both are timed."""

    async def authorize(**_):
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-x", bot_id="B1", bot_user_id="U1")

    notebook = Notebook()
    app = ObservedApp(notebook, authorize=authorize, signing_secret="s", process_before_response=True)

    @app.command("/flokit")
    async def on_command(ack):
        await ack()

    body = {"command": "/flokit", "team_id": "T1", "user_id": "U1", "channel_id": "C1", "text": ""}
    await app.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
    await app.async_dispatch(AsyncBoltRequest(body="command=/flokit", mode="http"))
    assert notebook.slack == [("command", "acked"), ("command", "refused")]


# --- what waits in the database ----------------------------------------------------------------------------------


async def test_nothing_waits_in_an_empty_database(store, clock):
    """A new database shows zeros, and the whole budget."""
    assert await read_gauges(store._database, clock()) == Readings(
        **NOTHING, incidents=0, subscriptions=0, replicas=0, budget_left=100
    )


async def test_what_waits_is_counted_with_its_age(store, make, click, clock):
    """Messages by kind, requests and runs by phase, each with the age of the oldest."""
    await click(store, make)
    clock.advance(5)
    asked = make.command()
    await store.inbox.add(asked)
    await Replicas(store._database, "a").note(clock())
    readings = await read_gauges(store._database, at(clock(), seconds=7))
    assert readings.outbox == {"progress": 1}
    assert (readings.outbox_oldest_s, readings.inbox, readings.inbox_oldest_s) == (12, 1, 7)
    assert (readings.runs, readings.runs_oldest_s, readings.replicas) == ({"baseline": 1}, 12, 1)


async def test_what_is_shown_waits_no_more(store, make, clock):
    """A message that Slack shows is neither counted nor old."""
    asked = make.command()
    await store.inbox.add(asked)
    await store.outbox.add_note(asked, Message("hello"), answer_address(asked), clock())
    (item,) = await store.outbox.claim(clock(), 5)
    await store.outbox.mark_posted(item, "C0DATA", "1.000001", clock())
    readings = await read_gauges(store._database, at(clock(), seconds=60))
    assert (readings.outbox, readings.outbox_oldest_s, readings.inbox) == ({}, 0, 0)


# --- health ------------------------------------------------------------------------------------------------------


class Still:
    """A worker that has not turned for so long."""

    def __init__(self, still_for_s):
        self.name, self.still_for_s = "follower", still_for_s


def working(workers):
    """The parts of a bot at work."""
    return Running(bolt=None, sender=None, workers=workers)


@pytest.mark.parametrize(("still_for_s", "is_stuck"), [(2.0, False), (STUCK_AFTER_S + 1, True)])
def test_a_worker_that_stopped_turning_is_stuck(still_for_s, is_stuck, tmp_path):
    """A worker that has not turned for a minute is named, with how long."""
    health = Health(Database(f"sqlite+aiosqlite:///{tmp_path}/x.db"), working([Still(still_for_s)]))
    assert health.stuck() == ({"follower": "hasn't run for 61 s"} if is_stuck else {})


@pytest.mark.parametrize(("still_for_s", "status"), [(2.0, 200), (STUCK_AFTER_S + 1, 503)])
async def test_the_probe_fails_when_a_worker_is_stuck(still_for_s, status, tmp_path):
    """/livez answers 503, and names the worker."""
    health = Health(Database(f"sqlite+aiosqlite:///{tmp_path}/x.db"), working([Still(still_for_s)]))
    server = WebServer(health, host="127.0.0.1", port=0, scraper=scraper(Metrics()))
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer, metrics = await http.get("/livez"), await http.get("/metrics")
    await server.stop()
    assert (answer.status_code, "follower" in answer.text) == (status, status == 503)
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_tables_that_somebody_migrated_are_not_ready(store):
    """Readiness tells when the tables are not at this version's revision any more."""
    health = Health(store._database)
    assert (await health.findings())["migrations"] == ""
    async with store._database.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    problem = (await health.problems())["migrations"]
    assert problem == f"the tables are at revision 9999, this version needs {schema.HEAD}"


async def test_an_unreachable_database_is_one_problem(tmp_path):
    """Readiness names the database when it cannot be reached, and says nothing of migrations then."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'x.db'}")
    problems = await Health(database).problems()
    await database.close()
    assert set(problems) == {"database", "slack"}
