"""Many people at the same time: nothing is lost, done twice or kept forever; on both databases."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
import pytest_asyncio
from alembic import command
from sqlalchemy import func, select, text

from bot.core.errors import ClaimLost
from bot.core.incidents.incidents import Rules
from bot.core.incidents.reactions import Snooze
from bot.core.models import Integration, Message, Person
from bot.core.panels import Panel, PanelKind, gone_stale, refreshed
from bot.core.requests import Origin, Request, RequestKind
from bot.core.subscriptions.digest_time import next_digest_at
from bot.core.subscriptions.removal import Removal
from bot.core.subscriptions.subscriptions import DigestTime, Hours, Subscription
from bot.store import codec, schema
from bot.store.database import Database
from bot.store.held import Quiet
from bot.store.homes import LOOKED_AT_FOR, Homes
from bot.store.incidents import Incidents, SeenTogether
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.retention import Retention
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.tables import alerts, homes, outbox, runs, subscriptions, timers
from bot.store.timers import TimerKind, Timers
from tests.adapters.conftest import TEAM

ANA = Person("UANA", "ana")
BEN = Person("UBEN", "ben")
HELLO = Message("hello")
HERE = Address(TEAM, "C0DATA", user_id="UANA")
MORNING = DigestTime(time(9), frozenset(range(7)), "UTC")


class Replica:
    """One process."""

    def __init__(self, url, name, clock):
        self.database, self.clock = Database(url), clock
        self.store = Store(self.database, owner=name)
        self.timers = Timers(self.database, owner=name, lease_s=10)
        self.incidents = Incidents(self.database, TEAM, rules=Rules(confirm_s=5))
        self.subscriptions = Subscriptions(self.database, TEAM)
        self.homes = Homes(self.database, TEAM)
        self.asked = 0

    async def request(self, person=ANA):
        """Save a person's request."""
        self.asked += 1
        origin = Origin(TEAM, person, "C0DATA", message_ts="100.000001")
        request = Request(f"{id(self)}-{self.asked}", RequestKind.PRESS, origin, self.clock.now)
        await self.store.inbox.add(request)
        return request

    async def subscribe(self, person, id_, digest=MORNING):
        """Subscribe the channel to everything."""
        made = Subscription(id_, TEAM, "C0DATA", person, self.clock.now, digest=digest)
        digest_at = next_digest_at(digest, self.clock.now) if digest else None
        request = await self.request(person)
        await self.subscriptions.add(request, made, HELLO, HERE, digest_at, self.clock.now)
        return made

    async def fail(self):
        """Let an integration fail, confirmed, and return the channel's alert."""
        failing = Integration("int_1", "stripe", "error", self.clock.now - timedelta(hours=1), "it broke")
        for _ in range(2):
            await self.incidents.observe(SeenTogether((failing,), self.clock.now, whole=False), self.clock.now)
            self.clock.advance(5)
        return await self.read(select(alerts.c.id).where(alerts.c.team_id == TEAM, alerts.c.channel_id == "C0DATA"))

    async def read(self, query):
        """Return one value."""
        async with self.database.read() as connection:
            return await connection.scalar(query)

    async def count(self, table, *conditions):
        """Return the number of rows."""
        return await self.read(select(func.count()).select_from(table).where(*conditions))

    async def due(self, kind):
        """Claim what's due of one kind."""
        return [claim for claim in await self.timers.claim(self.clock.now, 50) if claim.kind is kind]


@pytest_asyncio.fixture
async def replicas(database_url, clock):
    """Two processes on one database."""
    made = [Replica(database_url, name, clock) for name in ("one", "other")]
    yield made
    for replica in made:
        await replica.database.close()


@pytest.fixture
def one(replicas):
    """The first of them."""
    return replicas[0]


# --- subscriptions ---------------------------------------------------------------------------------------------


async def test_two_people_who_subscribe_at_once_make_one_subscription(replicas, one, clock):
    """Through two replicas, to the same target; there's one digest."""
    for number in range(5):
        await asyncio.gather(
            *(
                replica.subscribe(person, f"sub_{number}_{person.id}")
                for replica, person in zip(replicas, (ANA, BEN), strict=True)
            )
        )
        assert await one.count(subscriptions) == 1
    [subscription] = await one.subscriptions.of_channel("C0DATA")
    clock.advance(86400)
    claims = await one.due(TimerKind.DIGEST)
    sent = [claim for claim in claims if await one.subscriptions.load(claim.subject)]
    assert [claim.subject for claim in sent] == [subscription.id]


async def test_the_database_enforces_one_subscription_per_target(one, clock):
    """A second one replaces the first."""
    await one.subscribe(ANA, "sub_a")
    made = Subscription("sub_b", TEAM, "C0DATA", BEN, clock.now)
    async with one.database.begin() as connection:
        await one.subscriptions._put(connection, made, [])
    assert await one.subscriptions.of_channel("C0DATA") == [made]


async def test_a_digest_of_a_replaced_subscription_is_not_sent(one, clock):
    """The new subscription sends its own."""
    made = await one.subscribe(ANA, "sub_a")
    clock.advance(86400)
    [claim] = await one.due(TimerKind.DIGEST)
    await one.subscribe(BEN, "sub_b")
    before = await one.count(outbox)
    with pytest.raises(ClaimLost):
        await one.subscriptions.add_digest(claim, made, HELLO, clock.now + timedelta(days=1), clock.now)
    assert await one.count(outbox) == before


NIGHT = Hours(time(8), time(18), frozenset(range(7)), "UTC")


async def night(one, clock):
    """Subscribe a channel by day, let it become night, and let an integration fail and its channel not be told."""
    made = Subscription("sub_hours", TEAM, "C0DATA", ANA, clock.now, hours=NIGHT)
    clock.advance((datetime.combine(clock.now.date(), time(20), tzinfo=UTC) - clock.now).total_seconds() % 86400)
    await one.subscriptions.add(await one.request(), made, HELLO, HERE, None, clock.now)
    assert await one.fail() is None
    assert await one.count(alerts) == 0
    [there] = await Quiet(one.database, TEAM).held()
    assert (there.channel_id, there.count, there.until.hour) == ("C0DATA", 1, 8)
    clock.advance(12 * 3600)


def told(messages):
    """Return how to summarize: what is told is noted."""

    def summarize(them):
        messages.append([one.integration.id for one in them])
        return HELLO

    return summarize


async def test_what_was_held_is_told_once_among_all_replicas(replicas, one, clock):
    """In one transaction with the message of what is still open; who lost the claim tells nothing."""
    await night(one, clock)
    before, said = await one.count(outbox), []
    [claim] = await one.due(TimerKind.HELD)
    assert await replicas[1].due(TimerKind.HELD) == []
    await replicas[1].subscriptions.tell_held(claim, told(said), clock.now)
    with pytest.raises(ClaimLost):
        await one.subscriptions.tell_held(claim, told(said), clock.now)
    assert said == [["int_1"]]
    assert await one.count(outbox) == before + 2
    assert await one.count(alerts) == 1
    assert await Quiet(one.database, TEAM).held() == []


async def test_what_is_held_is_told_after_a_crash(replicas, one, clock):
    """The timer comes back when the lease of who died has ended."""
    await night(one, clock)
    assert await one.due(TimerKind.HELD)
    clock.advance(11)
    [claim] = await replicas[1].due(TimerKind.HELD)
    said = []
    assert await replicas[1].subscriptions.tell_held(claim, told(said), clock.now) == 1


async def test_hours_that_change_are_followed_at_once(one, clock):
    """Without them, the channel is told now; without a subscription, never."""
    await night(one, clock)
    clock.advance(-3600)
    assert await one.due(TimerKind.HELD) == []
    await one.subscribe(BEN, "sub_b", digest=None)
    [claim] = await one.due(TimerKind.HELD)
    said = []
    assert await one.subscriptions.tell_held(claim, told(said), clock.now) == 1


async def test_nothing_is_told_to_a_channel_that_is_not_subscribed_anymore(one, clock):
    await night(one, clock)
    there = await one.subscriptions.of_channel("C0DATA")
    await one.subscriptions.remove(await one.request(), there, [], removed(there[0], clock), HERE, clock.now)
    [claim] = await one.due(TimerKind.HELD)
    assert await one.subscriptions.tell_held(claim, told([]), clock.now) == 0
    assert await Quiet(one.database, TEAM).held() == []


async def test_what_is_held_moves_with_its_channel(one, clock):
    await night(one, clock)
    await one.subscriptions.move(await one.request(), "C0DATA", "C0NEW", clock.now)
    [there] = await Quiet(one.database, TEAM).held()
    assert there.channel_id == "C0NEW"
    claims = {claim.subject: claim for claim in await one.due(TimerKind.HELD)}
    assert list(claims) == ["C0NEW"]
    assert await one.subscriptions.tell_held(claims["C0NEW"], told([]), clock.now) == 1


def removed(subscription, clock, **more):
    """Return the message that says what Ben removed."""
    removal = Removal(BEN, clock.now, (subscription,), ("all integrations",), **more)
    return Panel("pnl_removed", PanelKind.UNSUBSCRIBED, (), clock.now, removal=removal)


async def undo(one, clock):
    """Undo what that message says; return why that's impossible, and what was restored."""
    restored = []

    def tell(them):
        restored.extend(them)
        return HELLO

    return await one.subscriptions.undo(await one.request(), "pnl_removed", tell, HERE, clock.now), restored


async def test_what_was_removed_is_restored_once(one, clock):
    """With its ID, its owner and its digest, for a day."""
    made = await one.subscribe(ANA, "sub_a", digest=MORNING)
    await one.subscriptions.remove(await one.request(), [made], [], removed(made, clock), HERE, clock.now)
    assert await one.subscriptions.of_channel("C0DATA") == []
    assert await undo(one, clock) == ("", [made])
    assert await one.subscriptions.of_channel("C0DATA") == [made]
    clock.advance(7 * 86400)
    assert [claim.subject for claim in await one.due(TimerKind.DIGEST)] == ["sub_a"]
    problem, restored = await undo(one, clock)
    assert "already undone" in problem
    assert restored == []


async def test_a_removal_is_undone_for_a_day(one, clock):
    made = await one.subscribe(ANA, "sub_a")
    await one.subscriptions.remove(await one.request(), [made], [], removed(made, clock), HERE, clock.now)
    clock.advance(25 * 3600)
    assert "too late" in (await undo(one, clock))[0]
    assert await one.subscriptions.of_channel("C0DATA") == []


async def test_a_newer_subscription_stays_when_a_removal_is_undone(one, clock):
    made = await one.subscribe(ANA, "sub_a")
    await one.subscriptions.remove(await one.request(), [made], [], removed(made, clock), HERE, clock.now)
    later = await one.subscribe(BEN, "sub_b")
    assert await undo(one, clock) == ("", [])
    assert await one.subscriptions.of_channel("C0DATA") == [later]


async def test_a_removed_digest_is_restored(one, clock):
    made = await one.subscribe(ANA, "sub_a", digest=MORNING)
    kept, panel = replace(made, digest=None), removed(made, clock, digest_only=True)
    await one.subscriptions.remove(await one.request(), [made], [kept], panel, HERE, clock.now)
    assert await one.subscriptions.of_channel("C0DATA") == [kept]
    assert await undo(one, clock) == ("", [made])
    assert await one.subscriptions.of_channel("C0DATA") == [made]


async def test_removing_a_digest_restores_no_subscription(one, clock):
    """Someone else replaced the subscription in the meantime."""
    earlier = await one.subscribe(ANA, "sub_a")
    later = await one.subscribe(BEN, "sub_b")
    kept = replace(earlier, digest=None)
    await one.subscriptions.remove(await one.request(), [earlier], [kept], removed(earlier, clock), HERE, clock.now)
    assert await one.subscriptions.of_channel("C0DATA") == [later]


async def test_an_incident_that_opens_during_a_subscription_is_posted_once(postgres_url, clock):
    """One of the two transactions always sees the other."""
    for number in range(4):
        replicas = [Replica(postgres_url, name, clock) for name in ("one", "other")]
        failing = Integration(f"int_{number}", "stripe", "error", clock.now - timedelta(hours=1), "it broke")
        look = SeenTogether((failing,), clock.now, whole=False)
        await replicas[0].incidents.observe(look, clock.now)
        clock.advance(5)
        await asyncio.gather(
            replicas[0].incidents.observe(replace(look, at=clock.now), clock.now),
            replicas[1].subscribe(ANA, f"sub_{number}"),
        )
        assert await replicas[0].count(alerts) == number + 1
        for replica in replicas:
            await replica.database.close()


@pytest.mark.parametrize("newest", ["sub_1", "sub_2"])
async def test_earlier_duplicates_are_merged(empty_url, clock, newest):
    """The newest subscription stays, with its digest."""
    database = Database(empty_url)
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(schema._config(sync), "0006"))
        for id_ in ("sub_1", "sub_2"):
            at = clock.now + timedelta(seconds=id_ == newest)
            made = Subscription(id_, TEAM, "C0DATA", ANA, at, digest=MORNING)
            columns = {"id": id_, "team": TEAM, "data": codec.dump(made), "at": at.timestamp()}
            if not database.is_sqlite:
                columns["at"] = at
            await connection.execute(
                text(
                    "INSERT INTO subscriptions (id, team_id, channel_id, data, created_at) "
                    "VALUES (:id, :team, 'C0DATA', :data, :at)"
                ),
                columns,
            )
            await connection.execute(
                text(
                    "INSERT INTO timers (id, team_id, kind, subject, due_at, version) "
                    "VALUES ('digest:' || :id, :team, 'digest', :id, :at, 0)"
                ),
                {name: columns[name] for name in ("id", "team", "at")},
            )
    await schema.upgrade(database)
    kept = await Subscriptions(database, TEAM).all()
    assert [subscription.id for subscription in kept] == [newest]
    async with database.read() as connection:
        assert await connection.scalars(select(timers.c.id)) == [f"digest:{newest}"]
        assert await connection.scalars(select(subscriptions.c.target)) == ["all"]
    await database.close()


# --- history and durations -------------------------------------------------------------------------------------


async def test_a_rare_type_has_a_history_and_typical_durations(store, make, clock, click):
    """However many newer runs of other types there are."""
    for number in range(3):
        await finished(store, make, clock, click, f"rare_{number}", "rare")
    for number in range(60):
        await finished(store, make, clock, click, f"int_{number}", "stripe")
    past = await store.runs.past(TEAM, ("rare_9",), "rare", 5)
    assert [run.integration_id for run in past] == ["rare_2", "rare_1", "rare_0"]
    opened = await click(store, make, make.press(), integration=Integration("rare_new", "rare", "error"))
    assert opened.run.expected is not None


async def finished(store, make, clock, click, id_, type_):
    """Return a sync that succeeds after half a minute."""
    clock.advance(60)
    opened = await click(store, make, make.press(), integration=Integration(id_, type_, "error"))
    started_at = opened.run.requested_at
    [claim] = await store.runs.claim(clock.now, 1)
    clock.advance(30)
    decision = make.ended(claim.run)
    await store.runs.save(claim, replace(decision, run=replace(decision.run, accepted_at=started_at)), clock.now)


async def test_the_history_of_several_integrations_is_the_newest_of_all(store, make, clock, click):
    """The newest runs of all matching integrations are shown."""
    for id_ in ("int_1", "int_2", "int_1", "int_3"):
        await finished(store, make, clock, click, id_, "stripe")
    past = await store.runs.past(TEAM, ("int_1", "int_2"), "", 2)
    assert [run.integration_id for run in past] == ["int_1", "int_2"]


async def test_runs_of_earlier_versions_get_their_type(empty_url, clock):
    """It's in their data."""
    database = Database(empty_url)
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(schema._config(sync), "0006"))
        at = clock.now.timestamp() if database.is_sqlite else clock.now
        await connection.execute(
            text(
                "INSERT INTO runs (id, team_id, integration_id, phase, requested_at, data, version) "
                "VALUES ('run_1', 'T', 'i', 'done', :at, :data, 0)"
            ),
            {"at": at, "data": json.dumps({"id": "run_1", "integration_type": "näh \N{PILE OF POO}"})},
        )
    await schema.upgrade(database)
    async with database.read() as connection:
        assert await connection.scalar(select(runs.c.integration_type)) == "näh \N{PILE OF POO}"
    await database.close()


# --- App Homes and timers --------------------------------------------------------------------------------------


async def test_homes_opened_long_ago_are_not_updated(one, clock):
    """Three hundred of them cost no timer when something changes."""
    for number in range(300):
        async with one.database.begin() as connection:
            opened = {"team_id": TEAM, "user_id": f"U{number:03}", "opened_at": clock.now - timedelta(days=30)}
            await connection.execute(homes.insert().values(**opened))
    await one.homes.open(await one.request(), clock.now)
    assert len(await one.due(TimerKind.HOME)) == 1
    await one.fail()
    assert await one.count(timers, timers.c.kind == TimerKind.HOME) == 1


async def test_a_reopened_home_is_updated(one, clock):
    """From then on, it's kept up to date."""
    await one.homes.open(await one.request(), clock.now)
    [claim] = await one.due(TimerKind.HOME)
    await one.timers.finish(claim, None)
    clock.advance(LOOKED_AT_FOR.total_seconds() + 1)
    await one.fail()
    assert await one.due(TimerKind.HOME) == []
    await one.homes.open(await one.request(), clock.now)
    [claim] = await one.due(TimerKind.HOME)
    await one.timers.finish(claim, None)
    assert await one.homes.opened_at("UANA", clock.now) == clock.now
    await one.incidents.observe(SeenTogether((), clock.now, whole=True), clock.now)
    clock.advance(2)
    assert len(await one.due(TimerKind.HOME)) == 1


async def test_finished_timers_are_deleted(one, clock):
    """The table doesn't grow with ended snoozes and updated App Homes."""
    await one.subscribe(ANA, "sub_a", digest=None)
    alert_id = await one.fail()
    for _ in range(3):
        until = Snooze(ANA, clock.now + timedelta(hours=1))
        await one.incidents.snooze(await one.request(), alert_id, until, clock.now)
        clock.advance(3601)
        for ending in await one.due(TimerKind.SNOOZE):
            await one.incidents.end_snooze(ending, clock.now)
    await one.homes.open(await one.request(), clock.now)
    for drawing in await one.due(TimerKind.HOME):
        await one.timers.finish(drawing, None)
    assert await one.count(timers, timers.c.kind != TimerKind.WATCH) == 0


async def test_a_claim_of_a_deleted_timer_does_not_match_a_new_one(one, clock):
    """A snooze that was dropped while a frozen process held its end, and made again, isn't ended with it."""
    await one.timers.put(TimerKind.SNOOZE, TEAM, "pnl_1", clock.now)
    [frozen] = await one.due(TimerKind.SNOOZE)
    await one.timers.finish(frozen, None)
    await one.timers.put(TimerKind.SNOOZE, TEAM, "pnl_1", clock.now)
    await one.due(TimerKind.SNOOZE)
    with pytest.raises(ClaimLost):
        await one.timers.finish(frozen, None)


async def test_homes_not_opened_for_long_are_deleted(one, clock):
    """After the retention time."""
    await one.homes.open(await one.request(), clock.now)
    clock.advance(91 * 86400)
    await Retention(one.database).purge(clock.now - timedelta(days=90))
    assert await one.count(homes) == 0


async def test_a_snooze_of_what_is_over_leaves_the_request_to_be_answered(one, clock):
    """The incident ended in the meantime."""
    await one.subscribe(ANA, "sub_a")
    alert_id = await one.fail()
    await one.incidents.observe(SeenTogether((), clock.now, whole=True), clock.now)
    request = await one.request()
    assert not await one.incidents.snooze(request, alert_id, Snooze(ANA), clock.now)
    await one.store.outbox.add_note(request, Message("It is over."), HERE, clock.now)


# --- messages with buttons -------------------------------------------------------------------------------------


async def test_a_slow_refresh_keeps_the_page_that_was_turned_to(store, make, clock):
    """Both changes are kept."""
    panel = await posted(store, make, clock)
    refresh, turn = make.press(), make.press("UBEN")
    for request in (refresh, turn):
        await store.inbox.add(request)
    await store.panels.redraw(turn, panel.id, lambda shown: replace(shown, page=1), clock.now)
    newer = (make.integration("int_9"),)
    await store.panels.redraw(refresh, panel.id, lambda shown: refreshed(shown, newer, clock.now), clock.now)
    shown = await store.panels.load(TEAM, panel.id)
    assert (shown.page, shown.integrations) == (1, newer)


async def test_an_older_reading_changes_nothing(store, make, clock):
    """A slow request neither replaces newer data nor marks it as stale."""
    panel = await posted(store, make, clock)
    earlier = clock.now
    newer = (make.integration("int_9"),)
    for change in (
        lambda shown: refreshed(shown, newer, clock.advance(10)),
        lambda shown: refreshed(shown, (), earlier),
        lambda shown: gone_stale(shown, "no answer", earlier),
    ):
        press = make.press()
        await store.inbox.add(press)
        await store.panels.redraw(press, panel.id, change, clock.now)
    shown = await store.panels.load(TEAM, panel.id)
    assert (shown.integrations, shown.stale_reason) == (newer, "")


async def posted(store, make, clock):
    """Show a panel."""
    request, panel = make.command(), make.panel("int_1", "int_2")
    await store.inbox.add(request)
    await store.panels.add(request, panel, HERE, clock.now)
    (item,) = await store.outbox.claim(clock.now, 5)
    await store.outbox.mark_posted(item, "C0DATA", "1.0", clock.now)
    return panel


async def test_giving_up_a_version_keeps_a_newer_one(store, make, clock):
    """The newer one is tried."""
    panel = await posted(store, make, clock)
    for page in (1, 2):
        press = make.press()
        await store.inbox.add(press)
        await store.panels.redraw(press, panel.id, lambda shown, page=page: replace(shown, page=page), clock.now)
        if page == 1:
            (held,) = await store.outbox.claim(clock.now, 5)
    await store.outbox.give_up(held)
    (item,) = await store.outbox.claim(clock.now, 5)
    assert (item.kind, item.version) == (OutboxKind.PANEL, held.version + 1)
    await store.outbox.give_up(item)
    assert await store.outbox.claim(clock.now + timedelta(days=1), 5) == []


# --- claims and reads ------------------------------------------------------------------------------------------


async def test_no_claim_exceeds_its_limit(postgres_url, clock):
    """However PostgreSQL plans it, with rows that others are claiming."""
    replicas = [Replica(postgres_url, f"replica-{number}", clock) for number in range(4)]
    for number in range(60):
        await replicas[0].timers.put(TimerKind.WATCH, TEAM, f"T{number}", clock.now)
    async with replicas[0].database.begin() as connection:
        for plan in ("enable_hashjoin", "enable_mergejoin", "enable_material", "enable_hashagg", "enable_memoize"):
            await connection.execute(text(f"ALTER DATABASE {await current(connection)} SET {plan} = off"))
    for replica in replicas:
        await replica.database.close()
    taken = await asyncio.gather(*(replica.timers.claim(clock.now, 2) for replica in replicas * 4))
    assert max(map(len, taken)) == 2
    for replica in replicas:
        await replica.database.close()


async def current(connection):
    """Return the database's name."""
    return await connection.scalar(select(func.current_database()))


async def test_reads_and_writes_do_not_wait_for_each_other(sqlite_url, clock):
    """On SQLite, a history is read during a write, and a click is saved during a read."""
    replica = Replica(sqlite_url, "one", clock)
    async with asyncio.timeout(5), replica.database.begin() as writing:
        await writing.execute(homes.insert().values(team_id=TEAM, user_id="U1", opened_at=clock.now))
        assert await replica.store.runs.past(TEAM, None, "", 5) == []
    async with asyncio.timeout(5), replica.database.read() as reading:
        await reading.execute(select(homes))
        await replica.request()
        await replica.homes.open(await replica.request(), clock.now)
    await replica.database.close()
