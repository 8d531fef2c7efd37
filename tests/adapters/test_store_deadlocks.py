"""Concurrent transactions on PostgreSQL never deadlock; each statement takes a few milliseconds here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import time, timedelta

import pytest
from sqlalchemy import event, select

from bot.core.errors import ClaimLost, StoreUnavailable
from bot.core.incidents.incidents import Rules
from bot.core.incidents.reactions import Snooze
from bot.core.incidents.taking import OnIt
from bot.core.models import Integration, Message, Person, Telling
from bot.core.requests import Origin, Request, RequestKind
from bot.core.subscriptions.digest_time import next_digest_at
from bot.core.subscriptions.subscriptions import DigestTime, PauseReason, Subscription
from bot.store.database import Database
from bot.store.failures import sqlstate_of
from bot.store.homes import Homes
from bot.store.incidents import IncidentChange, Incidents, SeenTogether
from bot.store.outbox_rows import Address
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.tables import alerts
from bot.store.timers import TimerKind, Timers
from bot.store.transactions import Transaction
from tests.adapters.conftest import TEAM, wanted_bulk

pytestmark = pytest.mark.postgres

ROUNDS = 16
STATEMENT_S = 0.003
ANA = Person("UANA", "ana")
HELLO = Message("hello")
MORNING = DigestTime(at=time(9), weekdays=frozenset(range(7)), zone="UTC")


class Replica:
    """One process whose statements each take a few milliseconds, as over a network."""

    def __init__(self, url, name):
        self.database = Database(url)
        event.listen(self.database.engine, "connect", impatient)
        self.store = Store(self.database, owner=name)
        self.timers = Timers(self.database, owner=name, lease_s=10)
        self.incidents = Incidents(self.database, TEAM, rules=Rules(confirm_s=5))
        self.subscriptions = Subscriptions(self.database, TEAM)
        self.homes = Homes(self.database, TEAM)


def impatient(connection, _record):
    """Have PostgreSQL detect deadlocks soon."""
    cursor = connection.cursor()
    cursor.execute("SET deadlock_timeout = '50ms'")
    cursor.close()
    connection.commit()


def slowed(deadlocks):
    """Let every statement take its time, and record what PostgreSQL ends as a deadlock."""
    run = Transaction.execute

    async def execute(transaction, statement, parameters=None):
        await asyncio.sleep(STATEMENT_S)
        try:
            return await run(transaction, statement, parameters)
        except Exception as error:
            if sqlstate_of(error) == "40P01":
                deadlocks.append(str(statement))
            raise

    return execute


@pytest.fixture
async def world(postgres_url, make, clock, monkeypatch):
    """Two replicas, and a channel that was notified of an incident."""
    world = World(postgres_url, make, clock)
    monkeypatch.setattr(Transaction, "execute", slowed(world.deadlocks))
    try:
        await world.prepare()
        yield world
    finally:
        for replica in (world.one, world.other):
            await replica.database.close()


class World:
    """What the tests in this file start with, and what they do repeatedly."""

    def __init__(self, url, make, clock):
        self.make, self.clock, self.deadlocks = make, clock, []
        self.one, self.other = (Replica(url, name) for name in ("one", "other"))
        self.times = 0

    async def asked(self, kind=RequestKind.PRESS, channel="C0DATA", user="UANA"):
        """Save a person's request."""
        self.times += 1
        origin = Origin(TEAM, replace(ANA, id=user), channel, message_ts="100.000001")
        request = Request(f"asked-{self.times}", kind, origin, self.clock.now)
        await self.one.store.inbox.add(request)
        return request

    async def prepare(self):
        """Subscribe, open App Home, and let an integration fail."""
        await self.subscribe()
        await self.one.homes.open(await self.asked(), self.clock.now)
        for _ in range(2):
            await self.see(self.one, "it broke")
            self.clock.advance(5)
        async with self.one.database.begin() as connection:
            self.alert_id = await connection.scalar(select(alerts.c.id))
        for item in await self.one.store.outbox.claim(self.clock.now, 50):
            await self.one.store.outbox.mark_posted(item, "C0DATA", f"1.{item.id[-6:]}", self.clock.now)

    async def subscribe(self, id_="sub_1", digest=None):
        """Subscribe the channel to everything."""
        subscription = Subscription(id_, TEAM, "C0DATA", ANA, self.clock.now, digest=digest)
        due_at = next_digest_at(digest, self.clock.now) if digest else None
        address = Address(TEAM, "C0DATA", user_id="UANA")
        await self.one.subscriptions.add(await self.asked(), subscription, HELLO, address, due_at, self.clock.now)
        return subscription

    async def see(self, replica, words):
        """Evaluate a reading of the integration."""
        failing = Integration("int_1", "stripe", "error", self.clock.now - timedelta(hours=1), words)
        await replica.incidents.observe(SeenTogether((failing,), self.clock.now, whole=False), self.clock.now)

    async def at_once(self, number, *works):
        """Do things at the same time, the last one a little later each time; a lost claim is fine."""

        async def later(work, statements):
            await asyncio.sleep(statements * STATEMENT_S)
            await work

        *first, last = works
        done = await asyncio.gather(*first, later(last, number), return_exceptions=True)
        wrong = [
            one for one in done if isinstance(one, Exception) and not isinstance(one, ClaimLost | StoreUnavailable)
        ]
        if wrong:
            raise ExceptionGroup("what was done at once", wrong)


async def test_a_saved_run_and_a_reading_of_its_integration(world, make, clock, click):
    """Both update the same messages and App Homes."""
    await click(world.one.store, make)
    [claim] = await world.one.store.runs.claim(clock.now, 1)
    for number in range(ROUNDS):
        clock.advance(10)
        decision = make.watching(claim.run, in_s=0, tell=(Telling.PROGRESS, Telling.ROW))
        await world.at_once(
            number,
            world.see(world.other, ("the account was closed", "the password is wrong")[number % 2]),
            world.one.store.runs.save(claim, decision, clock.now),
        )
        claim = ((await world.one.store.runs.claim(clock.advance(20), 1)) or [claim])[0]
    assert world.deadlocks == []


async def test_a_snooze_and_the_end_of_an_earlier_one(world, clock):
    for number in range(ROUNDS):
        until = Snooze(ANA, clock.now + timedelta(seconds=1))
        await world.one.incidents.snooze(await world.asked(), world.alert_id, until, clock.now)
        clock.advance(2)
        claims = await world.other.timers.claim(clock.now, 20)
        [ending] = [claim for claim in claims if claim.kind is TimerKind.SNOOZE]
        again = Snooze(ANA, clock.now + timedelta(hours=1))
        await world.at_once(
            number,
            world.one.incidents.snooze(await world.asked(), world.alert_id, again, clock.now),
            world.other.incidents.end_snooze(ending, clock.now),
        )
        clock.advance(20)
    assert world.deadlocks == []


async def test_a_digest_and_the_archiving_of_its_channel(world, clock):
    for number in range(ROUNDS):
        subscription = await world.subscribe(f"sub_digest_{number}", MORNING)
        clock.advance(86400)
        claims = await world.other.timers.claim(clock.now, 20)
        [due] = [claim for claim in claims if claim.kind is TimerKind.DIGEST]
        next_at = clock.now + timedelta(days=1)
        await world.at_once(
            number,
            world.other.subscriptions.add_digest(due, subscription, HELLO, next_at, clock.now),
            world.one.subscriptions.pause("C0DATA", PauseReason.ARCHIVED, lambda _: HELLO, clock.now),
        )
        await world.one.subscriptions.resume("C0DATA", lambda _: HELLO, lambda _: None, clock.now)
    assert world.deadlocks == []


async def test_a_snooze_and_a_change_of_its_incident(world, clock):
    for number in range(ROUNDS):
        clock.advance(10)
        until = Snooze(ANA, clock.now + timedelta(hours=1))
        await world.at_once(
            number,
            world.see(world.other, ("the account was closed", "the password is wrong")[number % 2]),
            world.one.incidents.snooze(await world.asked(), world.alert_id, until, clock.now),
        )
    assert world.deadlocks == []


async def test_who_is_on_an_incident_and_a_change_of_it(world, clock):
    """Also while it's snoozed, and while a channel subscribes."""
    [incident] = (await world.one.incidents.standing(clock.now)).incidents

    def take(now_open):
        return IncidentChange(replace(now_open, on_it=OnIt(ANA, clock.now), turns=now_open.turns + 1))

    for number in range(ROUNDS):
        clock.advance(10)
        until = Snooze(ANA, clock.now + timedelta(hours=1))
        await world.at_once(
            number,
            world.see(world.other, ("the account was closed", "the password is wrong")[number % 2]),
            world.one.incidents.snooze(await world.asked(), world.alert_id, until, clock.now),
            world.other.incidents.change(await world.asked(), incident.id, take, clock.now),
            world.one.incidents.change(await world.asked(), incident.id, take, clock.now),
        )
    assert world.deadlocks == []


async def test_several_syncs_and_clicks_on_them(world, make, clock, click):
    """Two buttons that start the same syncs in another order, clicks on one of them, and a run that is being saved."""
    ids = ("int_1", "int_2", "int_3")
    for number in range(ROUNDS):
        clock.advance(100)
        await world.at_once(
            number,
            world.one.store.bulks.start(wanted_bulk(make, ids, source_id=f"pnl_a{number}"), clock.now),
            click(world.other.store, make, make.press("UBEN", message_ts=f"{number}.1"), ids[number % 3]),
            world.other.store.bulks.start(wanted_bulk(make, ids[::-1], source_id=f"pnl_b{number}"), clock.now),
        )
        claims = await world.one.store.runs.claim(clock.advance(20), 9)
        await world.at_once(
            number,
            *(world.one.store.runs.save(claim, make.ended(claim.run), clock.now) for claim in claims),
            world.other.store.bulks.start(wanted_bulk(make, ids, source_id=f"pnl_c{number}"), clock.now),
        )
    assert world.deadlocks == []
