"""Incidents in the store: evaluated once among replicas, posted once in each channel, kept while they matter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.core.incidents.incidents import Change, Rules, turned
from bot.core.incidents.reactions import Bulletin, Snooze, Word
from bot.core.incidents.taking import OnIt
from bot.core.models import Integration, Message, Person
from bot.core.panels import Panel
from bot.core.requests import Origin, Request, RequestKind
from bot.core.subscriptions.subscriptions import Escalation, Hours, News, PauseReason, Style, Subscription
from bot.store import codec
from bot.store.alerts import RAISED_TOGETHER
from bot.store.database import Database
from bot.store.homes import TOGETHER_S, Homes
from bot.store.incidents import TOGETHER, IncidentChange, Incidents, SeenTogether, Standing
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.retention import Retention
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.tables import alerts, audit, incidents, metadata, outbox, panels, sightings
from bot.store.timers import TimerKind, Timers
from bot.store.unattended import Unattended
from tests.adapters.conftest import TEAM

RULES = Rules(confirm_s=5)
ANA = Person("UANA", "ana")
HELLO = Message("hello")


class Replica:
    """One process: its store, its incidents and its subscriptions, on the test's clock."""

    def __init__(self, database_url, clock, name):
        self.database = Database(database_url)
        self.clock = clock
        self.timers = Timers(self.database, owner=name, lease_s=10)
        self.incidents = Incidents(self.database, TEAM, rules=RULES)
        self.subscriptions = Subscriptions(self.database, TEAM)

    async def see(self, *integrations, whole=True):
        """Evaluate a reading at this moment, and return what changed."""
        look = SeenTogether(integrations, self.clock.now, whole)
        verdicts = await self.incidents.observe(look, self.clock.now)
        return [verdict.change for verdict in verdicts if verdict.change]

    async def open(self, *integrations):
        """See the same state twice, far enough apart."""
        await self.see(*integrations)
        self.clock.advance(5)
        return await self.see(*integrations)

    async def open_ones(self):
        """Return the open incidents, oldest first."""
        return (await self.incidents.standing(self.clock.now)).incidents

    async def rows(self, table, *conditions):
        """Return a table."""
        async with self.database.begin() as connection:
            return (await connection.execute(select(table).where(*conditions))).all()

    async def messages(self, kind, channel="C0DATA"):
        """Return the outbox rows of one kind in a channel."""
        return await self.rows(outbox, outbox.c.kind == kind, outbox.c.channel_id == channel)


@pytest_asyncio.fixture
async def replicas(database_url, clock):
    """Two processes on one database."""
    made = [Replica(database_url, clock, f"replica-{number}") for number in range(2)]
    yield made
    for replica in made:
        await replica.database.close()


@pytest.fixture
def one(replicas):
    """The first of the two processes."""
    return replicas[0]


@pytest.fixture
def seen(clock):
    """Return integrations as FloKit shows them."""
    last = clock.now - timedelta(minutes=5)
    fine = Integration("int_1", "stripe", "connected", last)
    return {
        "fine": fine,
        "failing": replace(fine, status="error", error_message="no"),
        "other": replace(fine, status="error", error_message="the account was closed"),
    }


async def subscribe(replica, store, make, channel="C0DATA", **wishes):
    """Subscribe a channel, as a saved request does."""
    request = make.command("subscribe all", channel=channel)
    await store.inbox.add(request)
    subscription = Subscription(f"sub_{channel}", TEAM, channel, ANA, replica.clock.now, **wishes)
    address = Address(TEAM, channel, user_id="UANA")
    await replica.subscriptions.add(request, subscription, HELLO, address, None, replica.clock.now)
    return subscription


async def test_alternating_failures_are_posted_once_per_channel(one, store, make, seen, clock):
    """However many channels are notified."""
    channels = [f"C0{number:03}" for number in range(30)]
    for channel in channels:
        await subscribe(one, store, make, channel, style=Style.BROADCAST)
    await subscribe(one, store, make, "C0OFF", news=frozenset({News.DISCONNECTED}))
    await one.open(seen["failing"])
    off = replace(seen["failing"], status="disconnected")
    for state in [seen["other"], seen["failing"], off, seen["other"], off, seen["failing"]] * 3:
        clock.advance(20)
        await one.see(state)
    for channel in channels:
        assert len(await one.messages(OutboxKind.NEWS, channel)) == 1
    assert len(await one.messages(OutboxKind.PANEL, "C0OFF")) == 1
    assert await one.messages(OutboxKind.NEWS, "C0OFF") == []


async def test_many_integrations_do_not_block_a_click(one, seen, make, clock):
    """A click is saved between their incidents, not after all of them."""
    many = [replace(seen["failing"], id=f"int_{number:03}") for number in range(10 * TOGETHER)]
    await one.see(*many)
    clock.advance(5)
    store, saved = Store(one.database, owner="replica-0", lease_s=10), 0
    weighing = asyncio.create_task(one.see(*many))
    while not weighing.done():
        await store.inbox.add(make.command("status"))
        saved += 1
    assert len(await weighing) == len(many)
    assert saved > 1
    assert len(await one.open_ones()) == len(many)


async def test_a_removed_integration_is_noticed_among_many(one, seen, clock):
    """Wherever in the alphabet it was."""
    many = [replace(seen["failing"], id=f"int_{number:03}") for number in range(2 * TOGETHER)]
    await one.open(*many)
    clock.advance(60)
    assert await one.see(*many[1:-1]) == [Change.GONE, Change.GONE]
    assert len(await one.open_ones()) == len(many) - 2


async def test_replicas_that_see_the_same_open_one_incident(replicas, store, make, seen, clock):
    """There's one incident, one alert and one message, even at the same moment."""
    await subscribe(replicas[0], store, make)
    for _ in range(3):
        await asyncio.gather(*(replica.see(seen["failing"]) for replica in replicas * 4))
        clock.advance(5)
    [incident] = await replicas[0].open_ones()
    assert incident.failure == seen["failing"]
    assert len(await replicas[0].rows(alerts)) == 1
    assert len(await replicas[0].messages(OutboxKind.PANEL)) == 1


async def test_an_incident_is_read_as_it_was_saved(one, seen, clock):
    assert await one.open(seen["failing"]) == [Change.OPENED]
    assert await one.see(seen["failing"]) == []
    clock.advance(60)
    recovered = replace(seen["fine"], last_synced_at=clock.now)
    assert await one.see(recovered) == [Change.RECOVERED]
    assert await one.open_ones() == ()
    [incident] = await one.incidents.since(clock.now - timedelta(hours=1))
    assert (incident.closed_at, incident.integration) == (clock.now, recovered)


async def test_only_a_whole_list_shows_what_is_gone(one, seen, clock):
    """An integration that wasn't requested isn't gone."""
    await one.open(seen["failing"], Integration("int_2", "adjust", "connected", clock.now))
    clock.advance(10)
    assert await one.see(seen["failing"], whole=False) == []
    assert len(await one.rows(sightings)) == 2
    clock.advance(10)
    assert await one.see(Integration("int_2", "adjust", "connected", clock.now)) == [Change.GONE]
    assert len(await one.rows(sightings)) == 1


async def test_a_suspicion_schedules_a_second_check(one, store, make, seen, clock):
    """If anyone is subscribed."""
    await one.see(seen["failing"])
    assert await one.timers.next_at() is None
    await subscribe(one, store, make)
    [claim] = await one.timers.claim(clock.now, 5)
    await one.timers.finish(claim, None)
    clock.advance(1)
    await one.see(seen["failing"])
    assert await one.timers.next_at() == clock.now + timedelta(seconds=4)


async def test_an_unchanged_reading_writes_nothing(one, seen, clock):
    await one.see(seen["fine"])
    before = await one.rows(sightings)
    clock.advance(60)
    await one.see(seen["fine"])
    assert await one.rows(sightings) == before


async def test_homes_are_updated_if_a_state_changes(one, store, make, seen, clock):
    """With or without an incident, and not otherwise."""
    homes = Homes(one.database, TEAM)
    await one.see(seen["fine"])
    assert await one.timers.next_at() is None
    request = make.command("home")
    await store.inbox.add(request)
    await homes.open(request, clock.now)
    [drawing] = await one.timers.claim(clock.now, 5)
    await one.timers.finish(drawing, None)
    clock.advance(1)
    await one.see(seen["fine"])
    assert await one.timers.next_at() is None
    clock.advance(1)
    assert await one.see(replace(seen["fine"], status="syncing")) == []
    assert await one.timers.next_at() == clock.now + timedelta(seconds=TOGETHER_S)


async def test_a_change_seen_after_the_list_was_read_replaces_its_row(one, seen, clock):
    """However late the list is processed."""
    other = replace(seen["fine"], id="int_2")
    await one.see(seen["fine"], other)
    listed_at = clock.now
    clock.advance(1)
    assert await one.incidents.standing(listed_at) == Standing((), {})
    await one.open(seen["failing"], other)
    standing = await one.incidents.standing(listed_at)
    assert standing == Standing(await one.open_ones(), {"int_1": seen["failing"]})
    late = SeenTogether((replace(other, status="syncing"),), listed_at - timedelta(seconds=1), whole=False)
    await one.incidents.observe(late, clock.now)
    assert await one.incidents.standing(listed_at) == standing
    assert (await one.incidents.standing(clock.now)).changed == {}


async def test_a_new_subscriber_sees_open_incidents(one, store, make, seen):
    """Immediately, and once."""
    await one.open(seen["failing"])
    assert await one.rows(alerts) == []
    await subscribe(one, store, make)
    assert len(await one.messages(OutboxKind.PANEL)) == 1
    await subscribe(one, store, make)
    assert len(await one.messages(OutboxKind.PANEL)) == 1


async def test_replies_wait_for_the_message_and_keep_their_order(one, store, make, seen, clock):
    """Replies to a message that isn't posted yet wait for it; then the first comes first."""
    await subscribe(one, store, make)
    await one.open(seen["failing"])
    clock.advance(1)
    assert await one.see(seen["other"]) == [Change.CHANGED]
    clock.advance(1)
    assert await one.see(replace(seen["fine"], last_synced_at=clock.now)) == [Change.RECOVERED]
    items = {item.kind: item for item in await store.outbox.claim(clock.now, 10)}
    assert OutboxKind.NEWS not in items
    await store.outbox.mark_posted(items[OutboxKind.PANEL], "C0DATA", "1.1", clock.now)
    said = []
    while items := await store.outbox.claim(clock.now, 10):
        for item in items:
            if item.kind is OutboxKind.NEWS:
                assert (item.channel_id, item.thread_ts) == ("C0DATA", "1.1")
                said.append(codec.load(Bulletin, item.data).word)
            await store.outbox.mark_posted(item, "C0DATA", f"1.{len(said) + 1}", clock.now)
    assert said == [Word.CHANGED, Word.RECOVERED]


async def test_thousands_of_incidents_are_shown_in_batches(one, replicas, store, make, seen, clock):
    """In short transactions, each once, even if a process ends in between."""
    many = [replace(seen["failing"], id=f"int_{number:03}") for number in range(2 * RAISED_TOGETHER + 1)]
    await one.open(*many)
    await subscribe(one, store, make)
    raised = [len(await one.messages(OutboxKind.PANEL))]
    for replica in [*replicas, *replicas]:
        for claim in await replica.timers.claim(clock.now, 5):
            if claim.kind is TimerKind.RAISE:
                await replica.subscriptions.raise_more(claim, clock.now)
                raised.append(len(await one.messages(OutboxKind.PANEL)))
    assert raised == [RAISED_TOGETHER, 2 * RAISED_TOGETHER, len(many)]
    assert len({row.incident_id for row in await one.rows(alerts)}) == len(many)


def press(make, clock, number=1):
    """Return a request that hasn't been answered yet."""
    return Request(f"press-{number}", RequestKind.PRESS, Origin(TEAM, ANA, "C0DATA"), clock.now)


async def test_a_snooze_ends_once(one, replicas, store, make, seen, clock):
    """One replica ends it, with one reply."""
    await subscribe(one, store, make)
    await one.open(seen["failing"])
    [alert] = await one.rows(alerts)
    request = press(make, clock)
    await store.inbox.add(request)
    until = clock.now + timedelta(hours=1)
    assert await one.incidents.snooze(request, alert.id, Snooze(ANA, until), clock.now)
    assert [panel.snooze.until for panel in await one.incidents.snoozed_by("UANA")] == [until]
    clock.advance(3600)
    claims = [claim for replica in replicas for claim in await replica.timers.claim(clock.now, 5)]
    [ending] = [claim for claim in claims if claim.kind is TimerKind.SNOOZE]
    await one.incidents.end_snooze(ending, clock.now)
    assert await one.incidents.snoozed_by("UANA") == []
    assert len(await one.messages(OutboxKind.NEWS)) == 1


async def test_snoozes_are_audited(one, store, make, seen, clock):
    """Who snoozed what, and for how long; the automatic end names no one."""
    await subscribe(one, store, make)
    await one.open(seen["failing"])
    [alert] = await one.rows(alerts)
    request = press(make, clock)
    await store.inbox.add(request)
    await one.incidents.snooze(request, alert.id, Snooze(ANA, clock.now + timedelta(hours=1)), clock.now)
    clock.advance(3600)
    [ending] = [claim for claim in await one.timers.claim(clock.now, 5) if claim.kind is TimerKind.SNOOZE]
    await one.incidents.end_snooze(ending, clock.now)
    acts = [(row.action, row.user_id, row.channel_id, row.integration_id, row.result) for row in await one.rows(audit)]
    failing = seen["failing"].id
    assert acts[1:] == [
        ("snooze", "UANA", "C0DATA", failing, "until 2026-03-01 13:00 UTC"),
        ("end_snooze", "", "C0DATA", failing, "its time was over"),
    ]


async def test_an_incident_that_is_over_cannot_be_snoozed(one, store, make, seen, clock):
    """Nothing changes, and the answer says so."""
    await subscribe(one, store, make)
    await one.open(seen["failing"])
    [alert] = await one.rows(alerts)
    clock.advance(60)
    await one.see(replace(seen["fine"], last_synced_at=clock.now))
    request = press(make, clock)
    await store.inbox.add(request)
    assert not await one.incidents.snooze(request, alert.id, Snooze(ANA), clock.now)


def taken_by(person, seen=None):
    """Return what a click on "I'm on it" decides: the first one counts."""

    def decide(incident):
        if seen is not None:
            seen.append(incident.on_it)
        if incident.on_it:
            return IncidentChange(None)
        return IncidentChange(replace(incident, on_it=OnIt(person, incident.opened_at), turns=incident.turns + 1))

    return decide


async def test_two_people_who_take_an_incident_at_once_have_one_winner(replicas, store, make, seen, clock):
    """In whichever process; every channel's message shows it."""
    one = replicas[0]
    for channel in ("C0DATA", "C0OPS"):
        await subscribe(one, store, make, channel)
    await one.open(seen["failing"])
    [incident] = await one.open_ones()
    people = [Person(f"U{number}", str(number)) for number in range(6)]
    requests = [press(make, clock, number) for number in range(len(people))]
    for request in requests:
        await store.inbox.add(request)
    decided = await asyncio.gather(
        *(
            replicas[number % 2].incidents.change(request, incident.id, taken_by(person), clock.now)
            for number, (request, person) in enumerate(zip(requests, people, strict=True))
        )
    )
    assert decided == [True] * len(people)
    [after] = await one.open_ones()
    assert after.turns == 1
    shown = [codec.load(Panel, row.data).incident for row in await one.rows(panels)]
    assert shown == [after, after]


async def test_a_check_keeps_who_is_on_an_incident(replicas, store, make, seen, clock):
    """Even if it sees something new at the same moment; a channel that subscribes later shows it, too."""
    one, other = replicas
    await subscribe(one, store, make)
    await one.open(seen["failing"])
    [incident] = await one.open_ones()
    for number, state in enumerate(("other", "failing") * 4):
        clock.advance(20)
        request = press(make, clock, number)
        await store.inbox.add(request)
        before = (await one.open_ones())[0]

        def decide(now_open, before=before):
            return IncidentChange(replace(now_open, on_it=OnIt(ANA, clock.now), turns=before.turns + 1))

        await asyncio.gather(other.see(seen[state]), one.incidents.change(request, incident.id, decide, clock.now))
        [after] = await one.open_ones()
        assert (after.on_it, after.turns) == (OnIt(ANA, clock.now), before.turns + 1)
        assert after.failure == seen[state]
    await subscribe(one, store, make, "C0LATE")
    assert {codec.load(Panel, row.data).incident.on_it for row in await one.rows(panels)} == {after.on_it}


async def test_a_reminder_is_sent_once_and_then_no_one_is_on_it(replicas, store, make, seen, clock):
    """By one of two replicas; channels that snoozed it or don't want such news only get their message updated."""
    one, other = replicas
    await subscribe(one, store, make)
    await subscribe(one, store, make, "C0QUIET")
    await one.open(seen["failing"])
    [incident] = await one.open_ones()
    [quiet] = await one.rows(alerts, alerts.c.channel_id == "C0QUIET")
    request = press(make, clock, 1)
    await store.inbox.add(request)
    assert await one.incidents.snooze(request, quiet.id, Snooze(ANA), clock.now)
    request = press(make, clock, 2)
    await store.inbox.add(request)
    on_it = OnIt(ANA, clock.now)
    assert await one.incidents.change(
        request, incident.id, lambda now_open: IncidentChange(replace(now_open, on_it=on_it, turns=1)), clock.now
    )
    attention = one.incidents.attention
    asked = []
    for seconds in (attention.remind_s, attention.answer_s):
        clock.advance(seconds)
        claims = [
            (replica, claim)
            for replica in (one, other)
            for claim in await replica.timers.claim(clock.now, 9)
            if claim.kind is TimerKind.ON_IT
        ]
        [(replica, claim)] = claims
        unattended = Unattended(replica.database, TEAM, replica.incidents)
        await unattended.follow(claim, lambda now_open: asked.append(now_open) or HELLO, clock.now)
    assert len(asked) == 1
    [row] = await one.rows(outbox, outbox.c.user_id == "UANA", outbox.c.channel_id.is_(None))
    assert row.kind == OutboxKind.NOTE
    [after] = await one.open_ones()
    assert (after.on_it, after.turns) == (None, 2)
    assert {codec.load(Panel, row.data).incident for row in await one.rows(panels)} == {after}
    [said] = await one.messages(OutboxKind.NEWS)
    assert codec.load(Bulletin, said.data).word is Word.UNANSWERED
    assert await one.messages(OutboxKind.NEWS, "C0QUIET") == []
    assert [claim for claim in await one.timers.claim(clock.advance(10**6), 9) if claim.kind is TimerKind.ON_IT] == []


ESCALATION = Escalation(1800, "S0ONCALL")


async def escalated(replicas, clock):
    """Let both processes look for what's due at the same moment; return when each would look next."""
    nexts = []
    for replica in replicas:
        unattended = Unattended(replica.database, TEAM, replica.incidents)
        wanted = await replica.subscriptions.all()
        nexts.append(unattended.escalate(wanted, lambda _panel, _incident, _channel: HELLO, clock.now))
    return await asyncio.gather(*nexts)


async def take(one, store, make, clock, on_it, number):
    """Change who is on the only open incident."""
    [incident] = await one.open_ones()
    request = press(make, clock, number)
    await store.inbox.add(request)
    await one.incidents.change(
        request, incident.id, lambda now_open: IncidentChange(turned(now_open, on_it, clock.now)), clock.now
    )


async def said(one, channel="C0DATA"):
    """Return whom escalations mention in a channel."""
    bulletins = [codec.load(Bulletin, row.data) for row in await one.messages(OutboxKind.NEWS, channel)]
    return [bulletin.whom for bulletin in bulletins if bulletin.word is Word.ESCALATED]


async def test_an_incident_that_no_one_is_on_is_escalated_once(replicas, store, make, seen, clock):
    """By one of two replicas, and only in the channel that asked for it."""
    one = replicas[0]
    await subscribe(one, store, make, escalate=ESCALATION)
    await subscribe(one, store, make, "C0OTHER")
    await one.open(seen["failing"])
    [incident] = await one.open_ones()
    assert await escalated(replicas, clock) == [incident.opened_at + timedelta(minutes=30)] * 2
    assert await said(one) == []
    clock.advance(1800)
    for _ in range(3):
        assert await escalated(replicas, clock) == [None, None]
        clock.advance(3600)
    assert await said(one) == ["S0ONCALL"]
    assert await said(one, "C0OTHER") == []
    assert [row.result for row in await one.rows(audit, audit.c.action == "escalate")] == ["to S0ONCALL"]


async def test_an_escalation_to_a_channel_is_posted_there(one, store, make, seen, clock):
    await subscribe(one, store, make, escalate=Escalation(60, "C0ONCALL"))
    await one.open(seen["failing"])
    clock.advance(60)
    await escalated([one, one], clock)
    assert len(await one.messages(OutboxKind.NOTE, "C0ONCALL")) == 1
    assert await said(one) == ["C0ONCALL"]


async def test_nothing_is_escalated_while_someone_is_on_it_or_it_is_snoozed(one, store, make, seen, clock):
    """After someone let go it takes as long again; who was only asked isn't on it."""
    await subscribe(one, store, make, escalate=ESCALATION)
    await one.open(seen["failing"])
    [alert] = await one.rows(alerts)
    await take(one, store, make, clock, OnIt(ANA, clock.now), 1)
    clock.advance(3600)
    assert await escalated([one], clock) == [None]
    await take(one, store, make, clock, OnIt(Person("UBEN"), clock.now, asked_by=ANA), 2)
    assert await escalated([one], clock) == [clock.now + timedelta(minutes=30)]
    request = press(make, clock, 3)
    await store.inbox.add(request)
    assert await one.incidents.snooze(request, alert.id, Snooze(ANA), clock.now)
    clock.advance(3600)
    assert await escalated([one], clock) == [None]
    assert await said(one) == []
    request = press(make, clock, 4)
    await store.inbox.add(request)
    assert await one.incidents.snooze(request, alert.id, None, clock.now)
    await escalated([one], clock)
    assert await said(one) == ["S0ONCALL"]


async def test_nothing_is_escalated_in_quiet_hours(one, store, make, seen, clock):
    """It is once they are over."""
    begins = (clock.now + timedelta(minutes=10)).time()
    quiet = Hours(begins, (clock.now + timedelta(hours=2)).time(), frozenset(range(7)), "UTC", is_quiet=True)
    await subscribe(one, store, make, escalate=ESCALATION, hours=quiet)
    await one.open(seen["failing"])
    clock.advance(3600)
    await escalated([one], clock)
    assert await said(one) == []
    clock.advance(7200)
    await escalated([one], clock)
    assert await said(one) == ["S0ONCALL"]


async def test_an_incident_that_is_over_cannot_be_taken(one, store, make, seen, clock):
    """Nor one of another workspace; nothing is decided."""
    await subscribe(one, store, make)
    await one.open(seen["failing"])
    [incident] = await one.open_ones()
    clock.advance(60)
    await one.see(replace(seen["fine"], last_synced_at=clock.now))
    request = press(make, clock)
    await store.inbox.add(request)
    asked = []
    for incident_id in (incident.id, "inc_of_nobody"):
        assert not await one.incidents.change(request, incident_id, taken_by(ANA, asked), clock.now)
    assert asked == []


async def test_a_click_counts_for_the_channel_of_its_message(one, store, make, seen, clock):
    """A message of another incident says nothing about this one: then every channel counts."""
    for channel in ("C0DATA", "C0OPS"):
        await subscribe(one, store, make, channel)
    await one.open(seen["failing"])
    [incident] = await one.open_ones()
    data, _ops = sorted(await one.rows(alerts), key=lambda row: row.channel_id)
    assert await one.incidents.find(incident.id, data.id) == (incident, ("C0DATA",))
    for alert_id in ("", "pnl_of_another"):
        assert await one.incidents.find(incident.id, alert_id) == (incident, ("C0DATA", "C0OPS"))
    assert await one.incidents.find("inc_of_nobody") == (None, ())


async def test_a_closed_channel_is_paused_and_resumed(one, store, make, seen, clock):
    """Its subscribers are notified once; afterwards, a missed incident is shown."""
    await subscribe(one, store, make)
    await one.open(seen["failing"])
    assert await one.subscriptions.pause("C0DATA", PauseReason.ARCHIVED, lambda _: HELLO, clock.now) == 1
    assert await one.subscriptions.pause("C0DATA", PauseReason.ARCHIVED, lambda _: HELLO, clock.now) == 0
    assert len(await one.rows(outbox, outbox.c.user_id == "UANA", outbox.c.channel_id.is_(None))) == 1
    assert await one.messages(OutboxKind.PANEL) == []
    assert await one.subscriptions.resume("C0DATA", lambda _: HELLO, lambda _: None, clock.now) == 1
    assert len(await one.messages(OutboxKind.PANEL)) == 1
    [subscription] = await one.subscriptions.of_channel("C0DATA")
    assert subscription.paused is None


async def test_closed_incidents_are_deleted_after_their_time(one, store, make, seen, clock):
    """With their alerts and messages; open ones stay, however old."""
    await subscribe(one, store, make)
    await one.open(seen["failing"])
    for _ in range(3):
        for item in await store.outbox.claim(clock.now, 10):
            await store.outbox.mark_posted(item, "C0DATA", f"1.{item.id}", clock.now)
    clock.advance(200 * 86400)
    while await Retention(one.database).purge(clock.now - timedelta(days=90)):
        pass
    assert len(await one.rows(incidents)) == len(await one.rows(alerts)) == len(await one.rows(panels)) == 1
    await one.see(replace(seen["fine"], last_synced_at=clock.now))
    for _ in range(3):
        for item in await store.outbox.claim(clock.now, 10):
            await store.outbox.mark_posted(item, "C0DATA", item.ts or f"1.{item.id}", clock.now)
    clock.advance(91 * 86400)
    while await Retention(one.database).purge(clock.now - timedelta(days=90)):
        pass
    kept = {table.name for table in metadata.sorted_tables if await one.rows(table)}
    assert kept == {"subscriptions", "sightings", "timers"}
