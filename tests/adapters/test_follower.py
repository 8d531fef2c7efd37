"""The follower's batches: one check serves the runs of a workspace, and a problem with one affects only that one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from bot.core.errors import (
    ClaimLost,
    FlokitBadReply,
    FlokitBudgetSpent,
    FlokitDenied,
    FlokitMissing,
    StoreUnavailable,
)
from bot.core.models import Integration, Outcome, Phase, Status, TriggerAccepted
from bot.core.runs.outcome import PROBE_EVERY
from bot.flokit import Detail, Listing
from bot.observability.context import Context
from bot.workers.follower import Follower, claim_batches

ERROR = "The account 12 was closed by its owner"


class CountingFlokit:
    """Returns integrations that sync, in a list that can lag, and counts the requests."""

    def __init__(self):
        self.asked, self.hidden, self.error = [], set(), None
        self.status = {}
        self.listed = {}
        """What the list shows instead of the current state."""

    def show(self, id_):
        """Set the state of one integration."""
        return Integration(id_, "stripe", self.status.get(id_, Status.SYNCING), error_message=ERROR)

    async def fetch_integrations(self, **_):
        """List all integrations that aren't hidden."""
        self.asked.append("list")
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        shown = (f"int_{n}" for n in range(9) if f"int_{n}" not in self.hidden)
        return Listing(tuple(self.listed.get(id_) or self.show(id_) for id_ in shown))

    async def fetch_integration(self, integration_id, **_):
        """Return one integration."""
        self.asked.append(integration_id)
        if integration_id in self.gone:
            raise FlokitMissing("FloKit has no such integration.")
        if integration_id in self.broken:
            raise FlokitBadReply("FloKit answered with HTTP 500.")
        return Detail(self.show(integration_id))

    gone: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()

    without_sync: frozenset[str] = frozenset()

    async def trigger_sync(self, integration_id, **_):
        """Accept a sync."""
        self.asked.append(f"sync {integration_id}")
        if integration_id in self.without_sync:
            raise FlokitMissing("FloKit has no such integration.")
        return TriggerAccepted("sync_1")


class Follow:
    """A follower, and runs for it."""

    def __init__(self, store, make, click):
        self.store, self.make, self.click = store, make, click
        self.flokit = CountingFlokit()
        self.follower = Follower(store, self.flokit, Context("T1", "UFLOKIT", make.clock))

    async def begin(self, many):
        """Begin runs, and follow them until they're being watched."""
        for n in range(many):
            await self.click(self.store, self.make, self.make.press(message_ts=f"{n + 1}.0"), integration=f"int_{n}")
        for batch in await claim_batches(self.follower._store, self.make.clock.now, 50):
            await self.follower.follow(batch)
        self.flokit.asked.clear()

    async def claim_all(self, in_s=5):
        """Wait until all runs are due, and claim them."""
        [batch] = await claim_batches(self.follower._store, self.make.clock.advance(in_s), 50)
        return batch

    async def runs(self, batch):
        """Return the runs of a batch as they're saved."""
        return [await self.store.runs.load(claim.run.team_id, claim.run.id) for claim in batch]


@pytest.fixture
def follow(store, make, click):
    """A follower."""
    return Follow(store, make, click)


async def test_one_list_request_serves_all_runs(follow):
    """Five watched runs cost one request, and each gets its own integration."""
    await follow.begin(5)
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert follow.flokit.asked == ["list"]
    runs = await follow.runs(batch)
    assert [run.hinted.id for run in runs] == [run.integration_id for run in runs]
    assert [(run.listed, run.outcome) for run in runs] == [(1, None)] * 5


async def test_an_end_in_a_list_is_confirmed_immediately(follow):
    """The integration is fetched by itself in the same step."""
    await follow.begin(5)
    follow.flokit.status["int_3"] = Status.DISCONNECTED
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert follow.flokit.asked == ["list", "int_3"]
    assert [run.integration_id for run in await follow.runs(batch) if run.outcome] == ["int_3"]


HINTS = {
    "another time": {"last_synced_at": datetime(2030, 1, 1, tzinfo=UTC), "status": "connected"},
    "another state": {"status": "error"},
    "disconnected": {"status": "disconnected"},
}


@pytest.mark.parametrize("hint", HINTS.values(), ids=HINTS)
async def test_a_list_alone_ends_no_run(follow, hint):
    """A run whose integration is still syncing continues, whatever the list shows."""
    await follow.begin(3)
    follow.flokit.listed["int_1"] = replace(follow.flokit.show("int_1"), **hint)
    for expected in (["list", "int_1"], ["list"], ["list"], ["list"], ["list", "int_1"]):
        batch = await follow.claim_all(30)
        await follow.follower.follow(batch)
        assert follow.flokit.asked == expected
        assert {run.outcome for run in await follow.runs(batch)} == {None}
        follow.flokit.asked.clear()


async def test_a_truncated_error_in_a_list_is_not_a_change(follow):
    """Nor are changing numbers in it."""
    await follow.begin(3)
    follow.flokit.listed["int_1"] = replace(follow.flokit.show("int_1"), error_message="The account 99 was clo…")
    await follow.follower.follow(await follow.claim_all())
    assert follow.flokit.asked == ["list"]


async def test_a_frozen_list_cannot_hide_an_end(follow):
    """When one integration shows what the list hides, all are fetched by themselves."""
    await follow.begin(4)
    for n in range(4):
        follow.flokit.listed[f"int_{n}"] = follow.flokit.show(f"int_{n}")
        follow.flokit.status[f"int_{n}"] = Status.DISCONNECTED
    for _ in range(PROBE_EVERY - 1):
        await follow.follower.follow(await follow.claim_all(30))
    assert set(follow.flokit.asked) == {"list"}
    batch = await follow.claim_all(30)
    await follow.follower.follow(batch)
    assert [run.outcome for run in await follow.runs(batch)] == [Outcome.DISCONNECTED] * 4


async def test_a_failing_list_cannot_hide_an_end(follow):
    """If FloKit returns integrations but no list, they're fetched by themselves."""
    await follow.begin(3)
    follow.flokit.error = FlokitBadReply("FloKit sent a list of integrations that can't be read.")
    follow.flokit.status["int_1"] = Status.DISCONNECTED
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert {run.integration_id: run.outcome for run in await follow.runs(batch)}["int_1"] is Outcome.DISCONNECTED
    assert {run.unreachable_since for run in await follow.runs(batch)} == {None}


async def test_access_is_lost_only_if_single_integrations_are_refused_too(follow):
    """A key that can't list integrations may still be allowed to read each one."""
    await follow.begin(3)
    follow.flokit.error = FlokitDenied("FloKit refused the API key (403).", http_status=403)
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert {run.outcome for run in await follow.runs(batch)} == {None}


async def test_without_list_and_pages_flokit_is_unreachable(follow):
    """If neither works, one list and one integration are requested, and all runs wait."""
    await follow.begin(4)
    follow.flokit.error = FlokitBadReply("FloKit answered with HTTP 500.")
    follow.flokit.broken = frozenset(f"int_{n}" for n in range(4))
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert len(follow.flokit.asked) == 2
    assert None not in {run.unreachable_since for run in await follow.runs(batch)}


async def test_a_single_run_needs_no_list(follow):
    await follow.begin(1)
    await follow.follower.follow(await follow.claim_all())
    assert follow.flokit.asked == ["int_0"]


async def test_fetches_before_a_post_are_never_shared(follow, make, click):
    """A new run fetches its own baseline, beside the batch of runs being watched."""
    await follow.begin(2)
    make.clock.advance(5)
    for n in (3, 4):
        await click(follow.store, make, make.press(message_ts=f"{n + 1}.0"), integration=f"int_{n}")
    batches = await claim_batches(follow.follower._store, make.clock.now, 50)
    assert sorted(len(batch) for batch in batches) == [1, 1, 2]
    await asyncio.gather(*map(follow.follower.follow, batches))
    assert sorted(follow.flokit.asked) == ["int_3", "int_4", "list", "sync int_3", "sync int_4"]


async def test_an_integration_missing_from_a_list_is_fetched_by_itself(follow):
    """Only that shows that it's gone."""
    await follow.begin(3)
    follow.flokit.hidden |= {"int_1", "int_2"}
    follow.flokit.gone = frozenset({"int_1"})
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert sorted(follow.flokit.asked) == ["int_1", "int_2", "list"]
    assert [run.integration_id for run in await follow.runs(batch) if run.outcome is Outcome.GONE] == ["int_1"]


async def test_without_budget_a_list_is_tried_once(follow):
    """All runs wait as long as the budget says."""
    await follow.begin(4)
    follow.flokit.error = FlokitBudgetSpent("spent", retry_after_s=7.0)
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert follow.flokit.asked == ["list"]
    assert await claim_batches(follow.follower._store, follow.make.clock.advance(6.9), 50) == []
    assert len(await follow.claim_all()) == 4


async def test_a_lost_claim_affects_only_its_run(follow, make):
    """The other runs of the batch are saved, and the loss is reported."""
    await follow.begin(3)
    batch = await follow.claim_all()
    await follow.store.runs.save(batch[1], make.watching(batch[1].run, in_s=600), make.clock.now)
    with pytest.raises(ExceptionGroup) as raised:
        await follow.follower.follow(batch)
    assert [type(error) for error in raised.value.exceptions] == [ClaimLost]
    looks = [run.looks - claim.run.looks for run, claim in zip(await follow.runs(batch), batch, strict=True)]
    assert looks == [1, 1, 1]  # the second one is the other's


async def test_a_404_for_the_post_alone_does_not_mean_removed(follow, make):
    """FloKit still returns the integration itself."""
    follow.flokit.without_sync = frozenset({"int_0"})
    await follow.click(follow.store, make, make.press(), integration="int_0")
    [batch] = await claim_batches(follow.follower._store, make.clock.now, 50)
    await follow.follower.follow(batch)
    [run] = await follow.runs(batch)
    assert (run.outcome, run.attempts) == (Outcome.NOT_CONFIRMED, 0)
    assert "has no sync for it" in run.reason


class Baffling(str):
    """A status that no rule can handle."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other):
        raise ArithmeticError(other)


async def test_a_bug_affects_only_its_run(follow):
    """It's logged with the ID that the run's thread shows, and the run continues."""
    await follow.begin(3)
    follow.flokit.status["int_1"] = Baffling("x")
    batch = await follow.claim_all()
    with capture_logs() as logs:
        await follow.follower.follow(batch)
    [failed] = [line for line in logs if line["event"] == "run_failed"]
    runs = await follow.runs(batch)
    assert {run.integration_id: run.fault_id for run in runs} == {"int_0": "", "int_1": failed["error_id"], "int_2": ""}
    assert [run.phase for run in runs] == [Phase.WATCHING] * 3


async def test_a_fault_between_the_saved_attempt_and_its_reply_is_posted_at_once(follow, make, monkeypatch):
    """The run is checked again soon."""

    async def baffle(*_, **__):
        raise ArithmeticError("a fault of the bot")

    monkeypatch.setattr(follow.flokit, "trigger_sync", baffle)
    await follow.click(follow.store, make, make.press(), integration="int_0")
    [batch] = await claim_batches(follow.follower._store, make.clock.now, 50)
    with capture_logs() as logs:
        await follow.follower.follow(batch)
    [run] = await follow.runs(batch)
    [failed] = [line for line in logs if line["event"] == "run_failed"]
    assert (run.fault_id, run.phase, run.attempts) == (failed["error_id"], Phase.CONFIRMING, 1)
    assert await follow.claim_all(in_s=5)  # its lease would have ended after ten


async def test_without_a_database_nothing_is_decided(follow, monkeypatch):
    """What can't be saved is left to the process that claims it next."""
    await follow.begin(2)
    batch = await follow.claim_all()

    async def away(_saves):
        raise StoreUnavailable("away")

    monkeypatch.setattr(follow.store.runs._saves, "_write", away)
    with pytest.raises(ExceptionGroup) as raised:
        await follow.follower.follow(batch)
    assert [type(error) for error in raised.value.exceptions] == [StoreUnavailable] * 2
    monkeypatch.undo()
    assert len(await claim_batches(follow.follower._store, follow.make.clock.advance(10), 50)) == 1
