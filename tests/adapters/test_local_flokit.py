"""The local FloKit: it answers as documented, computes syncs from the clock, and fails when the test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.local_flokit import READ_KEY, WRITE_KEY, LocalFlokit
from sandbox.local_flokit.faults import Fault
from sandbox.local_flokit.sources import STRIPE_ERROR, Plan

SAMPLES = Path(__file__).parent.parent / "samples" / "flokit"
NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
MORNING = datetime(2024, 3, 15, 6, tzinfo=UTC)


class Clock:
    """The local clock, which only the test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Caller:
    """Sends requests to a local FloKit over HTTP, as any client would."""

    def __init__(self, flokit: LocalFlokit) -> None:
        self.http = httpx.AsyncClient(base_url=flokit.url)

    async def ask(self, method: str, path: str, *, key: str = WRITE_KEY, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {key}", **sent})

    async def sync(self, id_: str = "int_a", **headers: str) -> str:
        return str((await self.ask("POST", f"/v1/integrations/{id_}/sync", **headers)).json()["sync_id"])

    async def look(self, id_: str = "int_a") -> tuple[str, str | None, str | None]:
        """Return status, last_synced_at and error_message."""
        shown = (await self.ask("GET", f"/v1/integrations/{id_}")).json()["integration"]
        return shown["status"], shown["last_synced_at"], shown["error_message"]


@asynccontextmanager
async def running(clock: Clock | None = None) -> AsyncIterator[tuple[LocalFlokit, Caller]]:
    """Run a local FloKit with one failing integration, and a caller."""
    flokit = LocalFlokit(clock=clock or Clock())
    flokit.add("int_a", "stripe", status="error", error_message="old error", last_synced_at=MORNING)
    await flokit.start()
    caller = Caller(flokit)
    try:
        yield flokit, caller
    finally:
        await caller.http.aclose()
        await flokit.stop()


def shape(value: Any) -> Any:
    """Return the keys of nested objects, without the values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) else None


# --- as documented -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/integrations", "integrations"),
        ("GET", "/v1/integrations/int_a", "integration"),
        ("POST", "/v1/integrations/int_a/sync", "sync"),
    ],
)
async def test_replies_have_the_documented_shape(method: str, path: str, name: str) -> None:
    """Each reply has exactly the keys of the documented one."""
    async with running() as (_, caller):
        reply = await caller.ask(method, path)

    assert shape(reply.json()) == shape(json.loads((SAMPLES / f"{name}.json").read_text()))


@pytest.mark.parametrize(
    ("key", "status", "name"), [("flo_rotated", 401, "unauthorized"), (READ_KEY, 403, "forbidden")]
)
async def test_refusals_are_the_documented_ones(key: str, status: int, name: str) -> None:
    """An unknown key, and a read-only key for a sync, get the documented errors, and nothing begins."""
    async with running() as (flokit, caller):
        flokit.plan("int_a", Plan(start_lag_s=0))
        reply = await caller.ask("POST", "/v1/integrations/int_a/sync", key=key)

        assert (reply.status_code, reply.json()) == (status, json.loads((SAMPLES / f"{name}.json").read_text()))
        assert (await caller.look())[0] == "error"


async def test_a_read_only_key_can_read() -> None:
    async with running() as (_, caller):
        assert (await caller.ask("GET", "/v1/integrations", key=READ_KEY)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/integrations/int_b"),
        ("POST", "/v1/integrations/int_b/sync"),
        ("DELETE", "/v1/integrations/int_a"),
        ("GET", "/v2"),
    ],
)
async def test_unknown_paths_are_404_without_json(method: str, path: str) -> None:
    """No JSON is documented for them."""
    async with running() as (_, caller):
        reply = await caller.ask(method, path)

    assert (reply.status_code, reply.text) == (404, "404 page not found")


async def test_the_101st_request_of_a_minute_is_a_429() -> None:
    """It says when to retry."""
    clock = Clock()
    async with running(clock) as (_, caller):
        for _ in range(100):
            assert (await caller.ask("GET", "/v1/integrations")).status_code == 200
        clock.advance(20)
        refused = await caller.ask("GET", "/v1/integrations")
        clock.advance(40)
        served = await caller.ask("GET", "/v1/integrations")

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "40")
    assert served.status_code == 200


async def test_flokits_clock_can_differ() -> None:
    """It's in the Date header and in last_synced_at."""
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.clock_skew_s = 90
        flokit.plan("int_a", Plan(start_lag_s=0, duration_s=5))
        await caller.sync()
        clock.advance(10)
        reply = await caller.ask("GET", "/v1/integrations/int_a")

    assert reply.headers["Date"] == "Fri, 15 Mar 2024 12:01:40 GMT"
    assert reply.json()["integration"]["last_synced_at"] == "2024-03-15T12:01:35Z"


# --- what a sync does --------------------------------------------------------------------------------------------

OLD = ("error", "2024-03-15T06:00:00Z", "old error")
SYNCING = ("syncing", "2024-03-15T06:00:00Z", None)


@pytest.mark.parametrize(
    ("plan", "shown"),
    [
        (Plan(1, 3, "succeeded"), [OLD, SYNCING, ("connected", "2024-03-15T12:00:04Z", None)]),
        (Plan(1, 3, "hidden"), [OLD, OLD, ("connected", "2024-03-15T12:00:04Z", None)]),
        (Plan(1, 3, "unproven"), [OLD, SYNCING, ("connected", "2024-03-15T06:00:00Z", None)]),
        (Plan(1, 3, "failed", "new error"), [OLD, SYNCING, ("error", "2024-03-15T06:00:00Z", "new error")]),
        (Plan(1, 3, "failed_same"), [OLD, SYNCING, OLD]),
        (Plan(1, 0, "failed_same"), [OLD, OLD, OLD]),
        (Plan(1, 3, "disconnected"), [OLD, SYNCING, ("disconnected", "2024-03-15T06:00:00Z", None)]),
        (Plan(1, 3, "stuck"), [OLD, SYNCING, SYNCING]),
        (Plan(1, 3, "ignored"), [OLD, OLD, OLD]),
    ],
    ids=lambda value: f"{value.ending}-{value.duration_s}" if isinstance(value, Plan) else "",
)
async def test_plans(plan: Plan, shown: list[tuple[str, str, str | None]]) -> None:
    """A sync shows the old state, then syncing, then its ending, each for as long as planned."""
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.plan("int_a", plan)
        await caller.sync()
        seen = [await caller.look()]
        clock.advance(2)
        seen.append(await caller.look())
        clock.advance(2)
        seen.append(await caller.look())

    assert seen == shown


async def test_an_integration_can_vanish() -> None:
    """Once its sync has ended, it's a 404 and missing from the list."""
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.plan("int_a", Plan(0, 3, "vanish"))
        await caller.sync()
        assert (await caller.look())[0] == "syncing"
        clock.advance(3)

        assert (await caller.ask("GET", "/v1/integrations/int_a")).status_code == 404
        assert (await caller.ask("GET", "/v1/integrations")).json() == {"integrations": []}


async def test_new_events_are_counted() -> None:
    """A successful sync adds its events to both counts."""
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.set("int_a", events_total=100, events_last_24h=None)
        flokit.plan("int_a", Plan(0, 1, new_events=7))
        await caller.sync()
        clock.advance(1)
        stats = (await caller.ask("GET", "/v1/integrations/int_a")).json()["integration"]["sync_stats"]

    assert (stats["events_total"], stats["events_last_24h"]) == (107, 7)


async def test_a_second_sync_follows_the_first() -> None:
    """It's accepted under its own ID, and follows without a gap."""
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.plan("int_a", Plan(0, 10))
        first = await caller.sync()
        clock.advance(4)
        second = await caller.sync()
        clock.advance(8)
        between = await caller.look()
        clock.advance(8)
        after = await caller.look()

    assert first != second
    assert between == ("syncing", "2024-03-15T12:00:10Z", None)
    assert after == ("connected", "2024-03-15T12:00:20Z", None)


async def test_nothing_follows_a_stuck_sync() -> None:
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.plan("int_a", Plan(0, 1, "stuck"))
        await caller.sync()
        flokit.plan("int_a", Plan(0, 1))
        await caller.sync()
        clock.advance(3600)

        assert await caller.look() == SYNCING


async def test_a_sync_of_a_disconnected_integration_does_nothing() -> None:
    """It's accepted."""
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.set("int_a", status="disconnected", error_message=None)
        assert await caller.sync()
        clock.advance(60)

        assert (await caller.look())[0] == "disconnected"


async def test_an_idempotency_key_counts_for_24_hours() -> None:
    """The same key returns the same sync; after that, a new one."""
    clock = Clock()
    async with running(clock) as (_, caller):
        first = await caller.sync(Idempotency_Key="run-1")
        other = await caller.sync(Idempotency_Key="run-2")
        clock.advance(23 * 3600)
        again = await caller.sync(Idempotency_Key="run-1")
        before = await caller.look()
        clock.advance(2 * 3600)
        later = await caller.sync(Idempotency_Key="run-1")

    assert first == again
    assert len({first, other, later}) == 3
    assert before[0] == "connected"


async def test_a_scheduled_sync_looks_like_any_other() -> None:
    """It begins without a request."""
    async with running() as (flokit, caller):
        flokit.plan("int_a", Plan(start_lag_s=0))
        flokit.begin_sync("int_a")

        assert await caller.look() == SYNCING
        assert flokit.posts("int_a") == []


async def test_setting_a_status_ends_a_sync() -> None:
    """Setting anything else doesn't."""
    async with running() as (flokit, caller):
        flokit.plan("int_a", Plan(0, 1, "stuck"))
        await caller.sync()
        flokit.set("int_a", last_synced_at=NOON)
        assert await caller.look() == ("syncing", "2024-03-15T12:00:00Z", None)
        flokit.set("int_a", status="connected", error_message=None)

        assert (await caller.look())[0] == "connected"


async def test_a_removed_integration_is_a_404() -> None:
    async with running() as (flokit, caller):
        flokit.remove("int_a")

        assert (await caller.ask("GET", "/v1/integrations/int_a")).status_code == 404


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (Fault("http_500"), 500, "<html>Internal Server Error</html>"),
        (Fault("http_status", status=409, body="busy"), 409, "busy"),
        (Fault("garbage"), 200, "<html>Not JSON</html>"),
        (Fault("garbage", body="[]"), 200, "[]"),
    ],
)
async def test_a_fault_answers_once(fault: Fault, status: int, text: str) -> None:
    """Then FloKit answers again."""
    async with running() as (flokit, caller):
        flokit.faults.add(fault)
        reply = await caller.ask("GET", "/v1/integrations")

        assert (reply.status_code, reply.text) == (status, text)
        assert (await caller.ask("GET", "/v1/integrations")).json()["integrations"]


@pytest.mark.parametrize(("retry_after", "header"), [("7", "7"), (None, None)])
async def test_a_planned_429_has_the_given_retry_after(retry_after: str | None, header: str | None) -> None:
    """It may have none."""
    async with running() as (flokit, caller):
        flokit.faults.add(Fault("ratelimited", retry_after=retry_after))
        reply = await caller.ask("GET", "/v1/integrations")

    assert (reply.status_code, reply.headers.get("Retry-After")) == (429, header)


@pytest.mark.parametrize(
    ("kind", "done"),
    [("http_500", False), ("ratelimited", False), ("drop", False), ("done_then_drop", True), ("truncated", True)],
)
async def test_which_faults_begin_a_sync(kind: Any, done: bool) -> None:
    """Some faults prevent a sync; others only lose its reply."""
    async with running() as (flokit, caller):
        flokit.plan("int_a", Plan(0, 1, "stuck"))
        flokit.faults.add(Fault(kind))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, ValueError, KeyError)):
            await caller.sync()

        assert ((await caller.look())[0] == "syncing") is done


async def test_faults_hit_what_they_are_meant_for() -> None:
    """A fault waits for its method and path, and occurs as often as planned."""
    async with running() as (flokit, caller):
        flokit.faults.add(Fault("http_500", method="POST", path_contains="int_a", times=2))
        statuses = [
            (await caller.ask(method, path)).status_code
            for method, path in [
                ("GET", "/v1/integrations/int_a"),
                ("POST", "/v1/integrations/int_b/sync"),
                ("POST", "/v1/integrations/int_a/sync"),
                ("POST", "/v1/integrations/int_a/sync"),
                ("POST", "/v1/integrations/int_a/sync"),
            ]
        ]

    assert statuses == [200, 404, 500, 500, 200]


async def test_a_fault_without_a_count_lasts_until_it_is_cleared() -> None:
    async with running() as (flokit, caller):
        flokit.faults.add(Fault("http_500", times=None))
        broken = [(await caller.ask("GET", "/v1/integrations")).status_code for _ in range(3)]
        flokit.faults.clear()

        assert broken == [500, 500, 500]
        assert (await caller.ask("GET", "/v1/integrations")).status_code == 200


async def test_while_down_there_are_no_replies() -> None:
    """Afterwards everything is as it was."""
    async with running() as (flokit, caller):
        flokit.down = True
        with pytest.raises(httpx.TransportError):
            await caller.ask("GET", "/v1/integrations")
        flokit.down = False

        assert await caller.look() == OLD
        assert [request.status for request in flokit.requests] == [None, 200]


async def test_a_hanging_request_does_not_delay_stopping() -> None:
    """It's recorded when it arrives, and cut off."""
    async with running() as (flokit, caller):
        flokit.faults.add(Fault("hang"))
        hanging = asyncio.create_task(caller.ask("GET", "/v1/integrations"))
        await flokit.wait_for(lambda: len(flokit.requests) == 1)
        await flokit.stop()

        with pytest.raises(httpx.TransportError):
            await hanging


# --- who asked what ----------------------------------------------------------------------------------------------


async def test_requests_are_recorded() -> None:
    """With their key, time and status."""
    async with running() as (flokit, caller):
        await caller.sync(Idempotency_Key="run-1")

        (post,) = flokit.posts("int_a")
        assert flokit.requests == [post]
        assert (post.method, post.path, post.at) == ("POST", "/v1/integrations/int_a/sync", NOON)
        assert (post.key, post.status, post.idempotency_key) == (WRITE_KEY, 200, "run-1")


async def test_waiting_in_vain_raises_timeout_error() -> None:
    async with running() as (flokit, _):
        with pytest.raises(TimeoutError):
            await flokit.wait_for(lambda: False, timeout_s=0.01)


async def test_subscribers_are_called_after_each_request_and_change() -> None:
    """Until they leave."""
    calls: list[int] = []
    async with running() as (flokit, caller):
        leave = flokit.subscribe(lambda: calls.append(len(flokit.requests)))
        await caller.look()
        flokit.set("int_a", status="connected")
        leave()
        await caller.look()

    assert calls == [1, 1]


async def test_demo_has_something_of_everything() -> None:
    """It has every status but syncing, and two integrations of one type."""
    flokit = LocalFlokit(clock=Clock())
    flokit.demo()

    shown = [(source.type, source.status) for source in flokit.sources()]
    assert shown == [
        ("revenuecat", "connected"),
        ("stripe", "error"),
        ("appsflyer", "connected"),
        ("appsflyer", "connected"),
        ("app_store_connect", "connected"),
        ("warehouse", "disconnected"),
        ("google_play", "error"),
    ]
    assert flokit.sources()[1].error_message == STRIPE_ERROR


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", ""])
async def test_addresses_that_others_can_reach_are_refused(host: str) -> None:
    """Before anything listens."""
    with pytest.raises(ValueError, match="only listens on this machine"):
        await LocalFlokit().start(host)


async def test_a_stuck_integration_syncs_forever() -> None:
    """Only a new status ends it, not time or another sync."""
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.get_stuck("int_a")
        await caller.sync()
        clock.advance(24 * 3600)
        assert (await caller.look())[0] == "syncing"
        flokit.set("int_a", status="connected")
        assert (await caller.look())[0] == "connected"


async def test_a_record_has_the_reply_that_was_sent() -> None:
    """Subscribers get each request when it arrives, and again with its reply and the time that it took."""
    async with running() as (flokit, caller):
        with_reply: list[bool] = []
        flokit.on_record(lambda request: with_reply.append(request.took_s is not None))
        reply = await caller.ask("GET", "/v1/integrations?page=1")
        [noted] = flokit.requests
    assert with_reply == [False, True]
    assert noted.response == reply.json()
    assert noted.query == {"page": "1"}


async def test_the_record_of_an_integration_is_kept() -> None:
    """It has the end of each sync, with its own time, and each change."""
    clock = Clock()
    async with running(clock) as (flokit, caller):
        flokit.plan("int_a", Plan(start_lag_s=1, duration_s=2, ending="failed", error_message="new error"))
        await caller.sync()
        flokit.plan("int_a", Plan(start_lag_s=0, duration_s=4, ending="vanish"))
        await caller.sync()
        clock.advance(3600)
        flokit.sources()
        flokit.add("int_a", "stripe")
        flokit.remove("int_a")
    shown = [(turn.at, turn.source.status if turn.source else None, turn.ending) for turn in flokit.turns]
    later = NOON + timedelta(hours=1)
    assert shown == [
        (NOON, "error", None),
        (NOON + timedelta(seconds=3), "error", "failed"),
        (NOON + timedelta(seconds=7), None, "vanish"),
        (later, "connected", None),
        (later, None, None),
    ]
