"""The follower's batches: one look serves the runs of a workspace, and what befalls one of them befalls it alone."""

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
from bot.workers.follower import Follower

ERROR = "The account 12 was closed by its owner"


class CountingFlokit:
    """Shows integrations that sync, in a list that may lag, and counts how often it is asked for what."""

    def __init__(self):
        self.asked, self.hidden, self.error = [], set(), None
        self.status = {}
        self.listed = {}
        """What the list shows instead of what is so."""

    def show(self, id_):
        """Show one."""
        return Integration(id_, "stripe", self.status.get(id_, Status.SYNCING), error_message=ERROR)

    async def fetch_integrations(self, **_):
        """List all that are not hidden."""
        self.asked.append("list")
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        shown = (f"int_{n}" for n in range(9) if f"int_{n}" not in self.hidden)
        return Listing(tuple(self.listed.get(id_) or self.show(id_) for id_ in shown))

    async def fetch_integration(self, integration_id, **_):
        """Show one by name."""
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
        self.follower = Follower(store, self.flokit, clock=make.clock)

    async def begin(self, many):
        """Begin runs, and follow them until they are watched."""
        for n in range(many):
            await self.click(self.store, self.make, self.make.press(message_ts=f"{n + 1}.0"), integration=f"int_{n}")
        for batch in await self.follower.claim(self.make.clock.now, 50):
            await self.follower.follow(batch)
        self.flokit.asked.clear()

    async def claim_all(self, in_s=5):
        """Wait until all are due, and claim them."""
        [batch] = await self.follower.claim(self.make.clock.advance(in_s), 50)
        return batch

    async def runs(self, batch):
        """Read the runs of a batch as they are saved."""
        return [await self.store.runs.load(claim.run.id) for claim in batch]


@pytest.fixture
def follow(store, make, click):
    """Make a follower."""
    return Follow(store, make, click)


async def test_one_listing_serves_all(follow):
    """Five watched runs cost one call, and each has found its own integration."""
    await follow.begin(5)
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert follow.flokit.asked == ["list"]
    runs = await follow.runs(batch)
    assert [run.hinted.id for run in runs] == [run.integration_id for run in runs]
    assert [(run.listed, run.outcome) for run in runs] == [(1, None)] * 5


async def test_a_hint_of_an_end_is_proved_at_once(follow):
    """What the list shows of one is looked up on its own page, in the same step."""
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
async def test_a_list_alone_ends_nothing(follow, hint):
    """A run whose page still shows it syncing goes on whatever the list shows; its page is read now and then."""
    await follow.begin(3)
    follow.flokit.listed["int_1"] = replace(follow.flokit.show("int_1"), **hint)
    for expected in (["list", "int_1"], ["list"], ["list"], ["list"], ["list", "int_1"]):
        batch = await follow.claim_all(30)
        await follow.follower.follow(batch)
        assert follow.flokit.asked == expected
        assert {run.outcome for run in await follow.runs(batch)} == {None}
        follow.flokit.asked.clear()


async def test_a_cut_text_in_a_list_is_no_hint(follow):
    """A list that cuts errors and puts new numbers into them shows nothing new."""
    await follow.begin(3)
    follow.flokit.listed["int_1"] = replace(follow.flokit.show("int_1"), error_message="The account 99 was clo…")
    await follow.follower.follow(await follow.claim_all())
    assert follow.flokit.asked == ["list"]


async def test_a_list_that_never_moves_hides_no_end(follow):
    """When one page shows what the list hides, all pages are read, and the ends are found."""
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


async def test_a_list_that_fails_alone_hides_no_end(follow):
    """When FloKit shows pages but no list, the pages are read."""
    await follow.begin(3)
    follow.flokit.error = FlokitBadReply("FloKit sent a list of integrations that can't be read.")
    follow.flokit.status["int_1"] = Status.DISCONNECTED
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert {run.integration_id: run.outcome for run in await follow.runs(batch)}["int_1"] is Outcome.DISCONNECTED
    assert {run.unreachable_since for run in await follow.runs(batch)} == {None}


async def test_a_refused_list_is_no_lost_access(follow):
    """A key that may not list but may show integrations is not lost; one that may do neither is."""
    await follow.begin(3)
    follow.flokit.error = FlokitDenied("FloKit refused the API key (403).", http_status=403)
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert {run.outcome for run in await follow.runs(batch)} == {None}


async def test_without_list_and_pages_flokit_is_unreachable(follow):
    """When neither works, one list and one page are asked for, and all wait."""
    await follow.begin(4)
    follow.flokit.error = FlokitBadReply("FloKit answered with HTTP 500.")
    follow.flokit.broken = frozenset(f"int_{n}" for n in range(4))
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert len(follow.flokit.asked) == 2
    assert None not in {run.unreachable_since for run in await follow.runs(batch)}


async def test_a_run_alone_is_looked_at_by_its_name(follow):
    """A batch of one needs no list."""
    await follow.begin(1)
    await follow.follower.follow(await follow.claim_all())
    assert follow.flokit.asked == ["int_0"]


async def test_looks_before_a_post_are_never_shared(follow, make, click):
    """New runs are batches of one beside the batch of those that are watched, and begin with a look of their own."""
    await follow.begin(2)
    make.clock.advance(5)
    for n in (3, 4):
        await click(follow.store, make, make.press(message_ts=f"{n + 1}.0"), integration=f"int_{n}")
    batches = await follow.follower.claim(make.clock.now, 50)
    assert sorted(len(batch) for batch in batches) == [1, 1, 2]
    await asyncio.gather(*map(follow.follower.follow, batches))
    assert sorted(follow.flokit.asked) == ["int_3", "int_4", "list", "sync int_3", "sync int_4"]


async def test_one_that_is_not_in_the_list_is_asked_for_by_name(follow):
    """Only its own page tells that an integration is gone."""
    await follow.begin(3)
    follow.flokit.hidden |= {"int_1", "int_2"}
    follow.flokit.gone = frozenset({"int_1"})
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert sorted(follow.flokit.asked) == ["int_1", "int_2", "list"]
    assert [run.integration_id for run in await follow.runs(batch) if run.outcome is Outcome.GONE] == ["int_1"]


async def test_without_budget_nobody_asks_twice(follow):
    """A listing that may not be made is tried once, and all wait as long as the budget says."""
    await follow.begin(4)
    follow.flokit.error = FlokitBudgetSpent("spent", retry_after_s=7.0)
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert follow.flokit.asked == ["list"]
    assert await follow.follower.claim(follow.make.clock.advance(6.9), 50) == []
    assert len(await follow.claim_all()) == 4


async def test_a_run_that_was_taken_over_is_lost_alone(follow, make):
    """The others of its batch are saved, and the loss is told."""
    await follow.begin(3)
    batch = await follow.claim_all()
    await follow.store.runs.save(batch[1], make.watching(batch[1].run, in_s=600), make.clock.now)
    with pytest.raises(ExceptionGroup) as raised:
        await follow.follower.follow(batch)
    assert [type(error) for error in raised.value.exceptions] == [ClaimLost]
    looks = [run.looks - claim.run.looks for run, claim in zip(await follow.runs(batch), batch, strict=True)]
    assert looks == [1, 1, 1]  # the second one is the other's


async def test_a_404_for_the_post_alone_is_no_removal(follow, make):
    """An integration whose page FloKit shows isn't gone, although its POST was answered with 404."""
    follow.flokit.without_sync = frozenset({"int_0"})
    await follow.click(follow.store, make, make.press(), integration="int_0")
    [batch] = await follow.follower.claim(make.clock.now, 50)
    await follow.follower.follow(batch)
    [run] = await follow.runs(batch)
    assert (run.outcome, run.attempts) == (Outcome.NOT_CONFIRMED, 0)
    assert "has no sync for it" in run.reason


class Baffling(str):
    """A status that no rule can be applied to."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other):
        raise ArithmeticError(other)


async def test_a_fault_of_ours_stays_with_its_run(follow):
    """One that cannot be decided is logged under the id that its thread shows, and goes on; the others know nothing."""
    await follow.begin(3)
    follow.flokit.status["int_1"] = Baffling("x")
    batch = await follow.claim_all()
    with capture_logs() as logs:
        await follow.follower.follow(batch)
    [failed] = [line for line in logs if line["event"] == "run_failed"]
    runs = await follow.runs(batch)
    assert {run.integration_id: run.fault_id for run in runs} == {"int_0": "", "int_1": failed["error_id"], "int_2": ""}
    assert [run.phase for run in runs] == [Phase.WATCHING] * 3


async def test_a_fault_after_the_attempt_was_saved_is_told_at_once(follow, make, monkeypatch):
    """A fault of the bot between the saved attempt and its reply is in the thread, and the run is looked at soon."""

    async def baffle(*_, **__):
        raise ArithmeticError("a fault of the bot")

    monkeypatch.setattr(follow.flokit, "trigger_sync", baffle)
    await follow.click(follow.store, make, make.press(), integration="int_0")
    [batch] = await follow.follower.claim(make.clock.now, 50)
    with capture_logs() as logs:
        await follow.follower.follow(batch)
    [run] = await follow.runs(batch)
    [failed] = [line for line in logs if line["event"] == "run_failed"]
    assert (run.fault_id, run.phase, run.attempts) == (failed["error_id"], Phase.CONFIRMING, 1)
    assert await follow.claim_all(in_s=5)  # its lease would have ended after ten


async def test_without_a_database_nothing_is_decided(follow, monkeypatch):
    """What cannot be saved is left to whoever finds it when its lease ends."""
    await follow.begin(2)
    batch = await follow.claim_all()

    async def away(_saves):
        raise StoreUnavailable("away")

    monkeypatch.setattr(follow.store.runs._saves, "_write", away)
    with pytest.raises(ExceptionGroup) as raised:
        await follow.follower.follow(batch)
    assert [type(error) for error in raised.value.exceptions] == [StoreUnavailable] * 2
    monkeypatch.undo()
    assert len(await follow.follower.claim(follow.make.clock.advance(10), 50)) == 1
