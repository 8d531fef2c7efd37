"""A channel gets another ID: everything stored about it moves, once, whatever the new ID has already."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.core.errors import ClaimLost
from bot.core.incidents.incidents import Rules
from bot.core.incidents.reactions import Snooze
from bot.core.models import Integration, Message, Person
from bot.core.requests import ChannelNews, Request, RequestKind
from bot.core.subscriptions.subscriptions import ALL, PauseReason, Subscription
from bot.handlers.channels import Channels
from bot.handlers.feature import Services
from bot.lookups.nicknames import Naming
from bot.observability.context import Context
from bot.store import codec
from bot.store.database import Database
from bot.store.incidents import Incidents, SeenTogether
from bot.store.nicknames import NicknameRows
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.subscriptions import SWEPT_AFTER, Subscriptions
from bot.store.tables import alerts, inbox, outbox, subscriptions, threads
from bot.store.timers import TimerKind, Timers
from tests.adapters.conftest import TEAM

OLD, NEW = "G0OLD", "C0NEW"
ANA = Person("UANA", "ana")


class Bench:
    """A workspace's data, on the test's clock."""

    def __init__(self, database, store, clock, make):
        self.database, self.store, self.clock, self.make = database, store, clock, make
        self.subscriptions = Subscriptions(database, TEAM)
        self.incidents = Incidents(database, TEAM, rules=Rules(confirm_s=0))
        self.timers = Timers(database, owner="replica-0", lease_s=10)

    async def rows(self, table):
        """Return a table."""
        async with self.database.begin() as connection:
            return (await connection.execute(select(table))).all()

    async def request(self, **changes):
        """Save that the channel moved."""
        request = replace(self.make.command(channel=OLD), kind=RequestKind.CHANNEL, **changes)
        await self.store.inbox.add(request)
        return request

    async def move(self, old=OLD, new=NEW):
        """Move a channel to its new ID."""
        return await self.subscriptions.move(await self.request(), old, new, self.clock.now)

    async def sweep(self):
        """Run the moves' timers that are due."""
        for claim in await self.timers.claim(self.clock.now, 20):
            if claim.kind is TimerKind.MOVE:
                await self.subscriptions.sweep(claim, self.clock.now)
                await self.subscriptions.end_sweep(claim)

    async def subscribe(self, channel=OLD, target=ALL, digest_at=None):
        """Subscribe a channel."""
        request = self.make.command("subscribe", channel=channel)
        await self.store.inbox.add(request)
        subscription = Subscription(f"sub_{channel}_{target}", TEAM, channel, ANA, self.clock.now, target=target)
        address = Address(TEAM, channel, user_id="UANA")
        await self.subscriptions.add(request, subscription, Message("done"), address, digest_at, self.clock.now)
        return subscription

    async def fail(self, error="it broke"):
        """Open or change an incident in every subscribed channel."""
        seen = Integration("int_1", "stripe", "error", self.clock.now - timedelta(hours=1), error_message=error)
        await self.incidents.observe(SeenTogether((seen,), self.clock.now, whole=True), self.clock.now)
        self.clock.advance(1)

    async def post_all(self):
        """Post everything that's due."""
        for number, item in enumerate(await self.store.outbox.claim(self.clock.now, 50)):
            ts = item.ts or f"{self.clock.timestamp():.0f}.{number:06}"
            await self.store.outbox.mark_posted(item, item.channel_id, ts, self.clock.now)


@pytest_asyncio.fixture
async def bench(database_url, store, clock, make):
    """The parts put together on one database."""
    database = Database(database_url)
    yield Bench(database, store, clock, make)
    await database.close()


async def test_everything_moves_with_the_channel(bench, click):
    """Subscriptions, incidents, threads, messages and unanswered requests."""
    await bench.subscribe(digest_at=bench.clock.now + timedelta(hours=1))
    await bench.fail()
    await bench.post_all()
    [alert] = await bench.rows(alerts)
    await click(bench.store, bench.make, bench.make.press(channel=OLD, message_ts=alert.root_ts), panel_id=alert.id)
    snooze = Snooze(ANA, bench.clock.now + timedelta(hours=1))
    request = bench.make.command("snooze", channel=OLD)
    await bench.store.inbox.add(request)
    assert await bench.incidents.snooze(request, alert.id, snooze, bench.clock.now)
    await bench.store.inbox.add(bench.make.command("status", channel=OLD))
    assert await bench.move() == NEW

    for table in (subscriptions, alerts, threads, outbox):
        assert {row.channel_id for row in await bench.rows(table)} == {NEW}, table.name
    [subscription] = await bench.subscriptions.of_channel(NEW)
    assert subscription.channel_id == NEW
    [thread] = await bench.rows(threads)
    assert thread.place == f"{NEW}:{alert.root_ts}"
    [asked] = [row for row in await bench.rows(inbox) if row.due_at]
    assert codec.load(Request, asked.data).origin.channel_id == NEW
    claims = await bench.timers.claim(bench.clock.now + timedelta(hours=2), 20)
    assert {TimerKind.DIGEST, TimerKind.SNOOZE} <= {claim.kind for claim in claims}


async def test_a_repeated_move_changes_nothing(bench):
    """Nor do later sweeps, which end."""
    await bench.subscribe()
    await bench.fail()
    await bench.move()

    async def kept():
        return [await bench.subscriptions.of_channel(NEW), await bench.rows(alerts), await bench.rows(threads)]

    before = await kept()
    await bench.move()
    for after in SWEPT_AFTER:
        bench.clock.advance(after.total_seconds())
        await bench.sweep()
    assert await kept() == before
    await bench.timers.claim(bench.clock.now + timedelta(days=1), 20)
    assert not [claim for claim in await bench.timers.claim(bench.clock.now, 20) if claim.kind is TimerKind.MOVE]


async def test_equal_subscriptions_of_both_ids_are_merged(bench):
    """And alerts of the same incident."""
    await bench.subscribe(OLD)
    await bench.subscribe(OLD, "stripe")
    await bench.fail()
    await bench.post_all()
    bench.clock.advance(60)
    newer = await bench.subscribe(NEW)
    [posted] = [alert for alert in await bench.rows(alerts) if alert.channel_id == OLD]
    await bench.move()
    there = await bench.subscriptions.of_channel(NEW)
    assert sorted((one.target, one.id) for one in there) == [(ALL, newer.id), ("stripe", f"sub_{OLD}_stripe")]
    [alert] = await bench.rows(alerts)
    assert (alert.id, alert.channel_id) == (posted.id, NEW)
    await bench.fail("another error")
    assert len([row for row in await bench.rows(outbox) if row.kind == OutboxKind.NEWS]) == 1


@pytest.mark.parametrize("posted_in", [OLD, NEW])
async def test_two_threads_of_one_run_are_merged(bench, click, posted_in):
    """The one with a posted message stays."""
    root = "100.000001"
    await click(bench.store, bench.make, bench.make.press(channel=posted_in, message_ts=root))
    await bench.post_all()
    other = NEW if posted_in == OLD else OLD
    await click(bench.store, bench.make, bench.make.press(user="UBEN", channel=other, message_ts=root))
    await bench.move()
    [thread] = await bench.rows(threads)
    assert (thread.channel_id, thread.user_id) == (NEW, "UANA")


async def test_a_claimed_message_is_sent_to_the_new_id(bench):
    """The claim on it is lost, so a refusal there drops nothing."""
    await bench.subscribe()
    await bench.fail()
    held = await bench.store.outbox.claim(bench.clock.now, 50)
    await bench.move()
    for item in held:
        with pytest.raises(ClaimLost):
            await bench.store.outbox.give_up(item)
    again = await bench.store.outbox.claim(bench.clock.now, 50)
    assert {item.id for item in again} == {item.id for item in held}
    assert {item.channel_id for item in again} == {NEW}
    assert all(item.in_doubt for item in again)


async def test_what_is_written_late_under_the_old_id_is_moved(bench):
    """A request in progress subscribes the old ID; a little later, the new one is subscribed."""
    await bench.move()
    late = await bench.subscribe()
    bench.clock.advance(SWEPT_AFTER[0].total_seconds())
    await bench.sweep()
    assert [one.id for one in await bench.subscriptions.of_channel(NEW)] == [late.id]


async def test_moves_that_arrive_in_the_wrong_order(bench):
    """Of two moves in a row, the second may be reported first: the channel is found where it is now."""
    await bench.subscribe()
    await bench.move(NEW, "C0NEWEST")
    assert await bench.move(OLD, NEW) == "C0NEWEST"
    assert len(await bench.subscriptions.of_channel("C0NEWEST")) == 1


async def test_there_and_back_again(bench):
    """A channel that gets its first ID back stays there."""
    await bench.subscribe()
    await bench.move(OLD, NEW)
    await bench.move(NEW, OLD)
    for after in SWEPT_AFTER:
        bench.clock.advance(after.total_seconds())
        await bench.sweep()
    assert len(await bench.subscriptions.of_channel(OLD)) == 1


async def test_a_move_has_one_effect(bench):
    """A second replica that handles the same event writes nothing."""
    request = await bench.request(text=f"{ChannelNews.MOVED} {NEW}")
    await bench.subscriptions.move(request, OLD, NEW, bench.clock.now)
    with pytest.raises(ClaimLost):
        await bench.subscriptions.move(request, OLD, NEW, bench.clock.now)


async def test_other_workspaces_are_not_affected(bench, click):
    other = bench.make.press(channel=OLD, message_ts="100.000001")
    await click(bench.store, bench.make, replace(other, origin=replace(other.origin, team_id="T0OTHER")))
    await bench.move()
    assert {row.channel_id for row in await bench.rows(threads)} == {OLD}


async def test_a_sweep_of_a_process_that_died_is_continued_soon(bench):
    """It's due again when its lease ends, not half a minute later."""

    class Died(Exception):
        """The process dies here."""

    class Dying(Subscriptions):
        async def resume(self, *_args):
            raise Died

    def channels_with(subscriptions):
        context = Context(TEAM, "UBOT", lambda: bench.clock.now)
        naming = Naming(NicknameRows(bench.database, TEAM).all, lambda: bench.clock.now)
        return Channels(Services(context, None, None, naming, *[None] * 5), subscriptions, None, None)

    async def sweep_claim():
        claims = await bench.timers.claim(bench.clock.now, 20)
        [claim] = [one for one in claims if one.kind is TimerKind.MOVE]
        return claim

    await bench.subscribe()
    await bench.subscriptions.pause(OLD, PauseReason.REMOVED, lambda _: Message("paused"), bench.clock.now)
    await bench.move()
    with pytest.raises(Died):
        await channels_with(Dying(bench.database, TEAM)).sweep_move(await sweep_claim())
    bench.clock.advance(10)
    await channels_with(bench.subscriptions).sweep_move(await sweep_claim())
    [subscription] = await bench.subscriptions.of_channel(NEW)
    assert subscription.paused is None


async def test_a_sweep_is_ended_only_by_its_holder(bench):
    """A process that sweeps too slowly loses the timer to the replica that took it over."""
    await bench.subscribe()
    await bench.move()
    [slow] = [one for one in await bench.timers.claim(bench.clock.now, 20) if one.kind is TimerKind.MOVE]
    bench.clock.advance(10)
    await bench.timers.claim(bench.clock.now, 20)
    with pytest.raises(ClaimLost):
        await bench.subscriptions.end_sweep(slow)
