"""The follower's batches: one look serves the runs of a workspace, and what befalls one of them befalls it alone."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from bot.core.errors import ClaimLost, FlokitBudgetSpent, FlokitMissing, StoreUnavailable
from bot.core.models import Integration, Outcome, Phase, Status, TriggerAccepted
from bot.flokit import Detail, Listing
from bot.follower import Follower


class CountingFlokit:
    """Shows integrations that sync, and counts how often it is asked for what."""

    def __init__(self):
        self.asked, self.hidden, self.error = [], set(), None
        self.status = {}

    def show(self, id_):
        """Show one."""
        return Integration(id_, "stripe", self.status.get(id_, Status.SYNCING))

    async def fetch_integrations(self, **_):
        """List all that are not hidden."""
        self.asked.append("list")
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return Listing(tuple(self.show(f"int_{n}") for n in range(9) if f"int_{n}" not in self.hidden))

    async def fetch_integration(self, integration_id, **_):
        """Show one by name."""
        self.asked.append(integration_id)
        if integration_id in self.hidden:
            raise FlokitMissing("FloKit has no such integration.")
        return Detail(self.show(integration_id))

    async def trigger_sync(self, integration_id, **_):
        """Accept a sync."""
        self.asked.append(f"sync {integration_id}")
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

    async def claim_all(self):
        """Wait until all are due, and claim them."""
        [batch] = await self.follower.claim(self.make.clock.advance(5), 50)
        return batch

    async def runs(self, batch):
        """Read the runs of a batch as they are saved."""
        return [await self.store.load_run(claim.run.id) for claim in batch]


@pytest.fixture
def follow(store, make, click):
    """Make a follower."""
    return Follow(store, make, click)


async def test_one_listing_serves_all(follow):
    """Five watched runs cost one call, and each has seen its own integration."""
    await follow.begin(5)
    follow.flokit.status["int_3"] = Status.DISCONNECTED
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert follow.flokit.asked == ["list"]
    runs = await follow.runs(batch)
    assert [run.last_seen.id for run in runs] == [run.integration_id for run in runs]
    assert {run.integration_id for run in runs if run.outcome is Outcome.DISCONNECTED} == {"int_3"}


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
    follow.flokit.hidden.add("int_1")
    batch = await follow.claim_all()
    await follow.follower.follow(batch)
    assert follow.flokit.asked == ["list", "int_1"]
    assert {run.integration_id for run in await follow.runs(batch) if run.outcome is Outcome.GONE} == {"int_1"}


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
    await follow.store.save(batch[1], make.watching(batch[1].run, in_s=600), make.clock.now)
    with pytest.raises(ExceptionGroup) as raised:
        await follow.follower.follow(batch)
    assert [type(error) for error in raised.value.exceptions] == [ClaimLost]
    looks = [run.looks - claim.run.looks for run, claim in zip(await follow.runs(batch), batch, strict=True)]
    assert looks == [1, 1, 1]  # the second one is the other's


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


async def test_without_a_database_nothing_is_decided(follow, monkeypatch):
    """What cannot be saved is left to whoever finds it when its lease ends."""
    await follow.begin(2)
    batch = await follow.claim_all()

    async def away(_saves):
        raise StoreUnavailable("away")

    monkeypatch.setattr(follow.store._saves, "_write", away)
    with pytest.raises(ExceptionGroup) as raised:
        await follow.follower.follow(batch)
    assert [type(error) for error in raised.value.exceptions] == [StoreUnavailable] * 2
    monkeypatch.undo()
    assert len(await follow.follower.claim(follow.make.clock.advance(10), 50)) == 1
