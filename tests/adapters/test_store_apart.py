"""Two workspaces with the same people, channels, integrations and timestamps: neither sees a trace of the other."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import time, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, exists, select, text, update

from bot.core.access.audit import AuditFilter
from bot.core.incidents.incidents import Rules
from bot.core.incidents.reactions import Snooze
from bot.core.models import Integration, Message, Person
from bot.core.nicknames import Nickname
from bot.core.panels import Panel, PanelKind, refreshed
from bot.core.requests import ChannelNews, RequestKind
from bot.core.subscriptions.digest_time import next_digest_at
from bot.core.subscriptions.removal import Removal
from bot.core.subscriptions.subscriptions import DigestTime, PauseReason, Subscription
from bot.core.volumes.expectations import NOTHING
from bot.core.volumes.volume import Reading
from bot.store.audit import Audit
from bot.store.database import Database
from bot.store.homes import Homes
from bot.store.incidents import Incidents, SeenTogether
from bot.store.locks import in_order, of_team
from bot.store.nicknames import Change, NicknameRows
from bot.store.outbox_rows import Address
from bot.store.snapshots import Snapshots
from bot.store.store import Store
from bot.store.subscriptions import Subscriptions
from bot.store.tables import incidents, metadata, outbox, participants, runs, subscriptions, threads
from bot.store.timers import TimerKind, Timers
from bot.store.volumes import Volumes
from tests.adapters.conftest import START, Make, VirtualClock, start, wanted_bulk
from tests.teams import FOR_ALL, NAMES_IT_IF_TOLD, STORE, judge

TEAMS = ("T1", "T2")
PEOPLE, CHANNELS, INTEGRATIONS = ("U1", "U2"), ("C1", "C2"), ("int_1", "int_2")
MORNING = DigestTime(time(13), frozenset(range(7)), "UTC")
ONE_BY_ONE_S = 3

OURS = re.compile(r"\b(run|msg|thr|pnl|inc|sub|req)_[0-9a-zT-]+")


def described(value):
    """Return a value's repr without its workspace, and without IDs that are random or counted."""
    return re.sub(r"\bT[12]\b", "T", re.sub(r", id=\d+\)", ")", OURS.sub(r"\1", repr(value))))


class Side:
    """One workspace, as the listeners, handlers and workers use the store for it."""

    def __init__(self, database, store, timers, clock, team):
        self.database, self.store, self.timers, self.clock, self.team = database, store, timers, clock, team
        self.incidents = Incidents(database, team, rules=Rules(confirm_s=0))
        self.subscriptions = Subscriptions(database, team)
        self.homes = Homes(database, team)
        self.nicknames = NicknameRows(database, team)
        self.volumes = Volumes(database, team)
        self.snapshots = Snapshots(database, team)
        self.audit = Audit(database, team)
        self.make = Make(clock)
        self.asked = self.posted = 0
        self.panel = None

    def ask(self, user="U1", channel="C1", **changes):
        """Return a person's request, with an ID of its own, whichever workspace it comes from."""
        self.asked += 1
        made = self.make.press(user, channel, team_id=self.team, **changes)
        return replace(made, id=f"req_{self.team}-{self.asked}")

    async def asks(self, user="U1", channel="C1", **changes):
        """Save such a request."""
        request = self.ask(user, channel, **changes)
        await self.store.inbox.add(request)
        return request

    async def click(self, user, channel, integration):
        """Resync below a message; each workspace has one at the same timestamp."""
        request = self.ask(user, channel, message_ts="100.000001")
        opened = await start(self.store, self.make, request, integration)
        return opened.joined, opened.told_here, await self.store.runs.channels_of(self.team, opened.run.id)

    async def start_both(self, user, channel, _integration):
        """Sync both integrations with one click; the buttons have the same ID in both workspaces."""
        request = replace(self.ask(user, channel), origin=self.make.origin(user, channel, team_id=self.team))
        wanted = wanted_bulk(self.make, INTEGRATIONS, request, f"pnl_of_{channel}")
        wanted = replace(wanted, panel=replace(wanted.panel, id=f"pnl_{self.team}-b{self.asked}"))
        started = await self.store.bulks.start(wanted, self.clock.now)
        return started.was_started, [one.joined for one in started.members]

    async def show(self, user, channel, integration):
        """Ask for the status, and refresh the answer."""
        panel = self.make.panel(integration)
        self.panel = replace(panel, id=f"pnl_{self.team}-{self.asked}")
        address = Address(self.team, channel, user_id=user)
        await self.store.panels.add(await self.asks(user, channel), self.panel, address, self.clock.now)
        fresh = self.make.integration("int_2")
        change = lambda shown: refreshed(shown, (fresh,), self.clock.now)  # noqa: E731
        await self.store.panels.redraw(await self.asks(user, channel), self.panel.id, change, self.clock.now)

    async def open_home(self, user, _channel, _integration):
        """Open App Home."""
        await self.homes.open(await self.asks(user), self.clock.now)

    async def subscribe(self, user, channel, integration):
        """Subscribe a channel, with a digest."""
        made = Subscription(
            f"sub_{self.team}-{self.asked}", self.team, channel, Person(user), self.clock.now, integration
        )
        made = replace(made, digest=MORNING)
        digest_at, answer = next_digest_at(MORNING, self.clock.now), Message("done")
        address = Address(self.team, channel, user_id=user)
        await self.subscriptions.add(await self.asks(user), made, answer, address, digest_at, self.clock.now)

    async def unsubscribe(self, user, channel, _integration):
        """End all subscriptions of a channel."""
        there = await self.subscriptions.of_channel(channel)
        address = Address(self.team, channel, user_id=user)
        request = await self.asks(user)
        removal = Removal(Person(user), self.clock.now, tuple(there), tuple(one.target for one in there))
        panel = Panel(f"pnl_{request.id}", PanelKind.UNSUBSCRIBED, (), self.clock.now, removal=removal)
        await self.subscriptions.remove(request, there, [], panel, address, self.clock.now)

    async def fail(self, _user, _channel, integration):
        """Let an integration fail."""
        since = self.clock.now - timedelta(hours=1)
        await self.see(Integration(integration, "stripe", "error", since, error_message=f"broke at {since}"))

    async def recover(self, _user, _channel, integration):
        """Let it recover."""
        await self.see(Integration(integration, "stripe", "connected", self.clock.now))

    async def see(self, integration):
        """Read one integration, and save what was seen."""
        await self.snapshots.save((integration,), self.clock.now)
        await self.incidents.observe(SeenTogether((integration,), self.clock.now, whole=False), self.clock.now)

    async def snooze(self, user, _channel, _integration):
        """Snooze all alerts of open incidents for a while."""
        snooze = Snooze(Person(user), self.clock.now + timedelta(seconds=20))
        for alert in await self.alerts():
            await self.incidents.snooze(await self.asks(user), alert, snooze, self.clock.now)
        return await self.incidents.snoozed_by(user)

    async def alerts(self):
        """Return the messages of incidents, in an order that doesn't depend on their IDs."""
        alerts = metadata.tables["alerts"].c
        query = select(alerts.id).join(incidents, incidents.c.id == alerts.incident_id)
        ordered = query.where(alerts.team_id == self.team).order_by(incidents.c.opened_at, alerts.channel_id)
        async with self.database.read() as connection:
            return await connection.scalars(ordered)

    async def name(self, user, channel, integration):
        """Name an integration after a channel, or forget that; both workspaces have the same names."""
        request = await self.asks(user, channel)
        address = Address(self.team, channel, user_id=user)

        def decide(now):
            name = "" if now.of(integration).name == channel else channel
            taken = now.called(channel) not in ("", integration)
            return Change(None if taken else Nickname(integration, name, user), Message("done"), address)

        panel_id = self.panel.id if self.panel else ""
        changed = await self.nicknames.change(
            decide, self.clock.now, cause=request.cause, request_id=request.id, panel_id=panel_id
        )
        return changed.after, await self.nicknames.all()

    async def count(self, user, channel, integration):
        """Count the events of an integration."""
        now = self.clock.now
        volume = await self.volumes.add(integration, Reading(now, now, len(user), 5), NOTHING)
        return volume, await self.volumes.counted()

    async def pause(self, _user, channel, _integration):
        """Pause the channel's subscriptions, because it was archived."""
        tell = lambda _: Message("paused")  # noqa: E731
        return await self.subscriptions.pause(channel, PauseReason.ARCHIVED, tell, self.clock.now)

    async def resume(self, _user, channel, _integration):
        """Resume them."""
        digest_at = next_digest_at(MORNING, self.clock.now)
        return await self.subscriptions.resume(channel, lambda _: Message("on"), lambda _: digest_at, self.clock.now)

    async def move(self, user, channel, _integration):
        """Give a channel the other one's ID."""
        there = CHANNELS[channel == CHANNELS[0]]
        request = replace(self.ask(user, channel), kind=RequestKind.CHANNEL, text=f"{ChannelNews.MOVED} {there}")
        await self.store.inbox.add(request)
        return await self.subscriptions.move(request, channel, there, self.clock.now)

    # --- work -------------------------------------------------------------------------------------------------

    async def answer(self, claim):
        """Finish a request."""
        await self.store.inbox.finish(claim.request.id)

    async def send(self, item):
        """Post or edit a message; each workspace has its own timestamps."""
        shows = None
        if item.panel_id:
            panel, followed = await self.store.panels.load_view(item.panel_id)
            shows = panel, sorted(followed.items())  # runs of the same moment are read in any order
        if item.ts:
            await self.store.outbox.mark_shown(item, self.clock.now)
        else:
            self.posted += 1
            ts = f"200.{self.posted:06}"
            await self.store.outbox.mark_posted(item, item.channel_id or f"D{item.user_id}", ts, self.clock.now)
        return shows

    async def follow(self, claim):
        """Check a run once; the second time, end it."""
        run = claim.run
        decision = self.make.ended(run) if run.looks else self.make.watching(run, in_s=4, along_s=2)
        await self.store.runs.save(claim, decision, self.clock.now)

    async def act(self, claim):
        """Do what a timer asks for."""
        now = self.clock.now
        if claim.kind is TimerKind.MOVE:
            return await self.subscriptions.sweep(claim, now)
        if claim.kind is TimerKind.SNOOZE:
            return await self.incidents.end_snooze(claim, now)
        if claim.kind is TimerKind.RAISE:
            return await self.subscriptions.raise_more(claim, now)
        if claim.kind is TimerKind.HOME:
            opened_at = await self.homes.opened_at(claim.subject, now)
            await self.timers.finish(claim, None)
            return opened_at
        subject = claim.kind is TimerKind.DIGEST and await self.subscriptions.load(claim.subject)
        if subject and not subject.paused:
            next_at = next_digest_at(MORNING, now)
            return await self.subscriptions.add_digest(claim, subject, Message("digest"), next_at, now)
        await self.timers.finish(claim, None)
        return subject

    async def view(self):
        """Return everything that can be read about a workspace."""
        shown = self.panel and self.panel.id
        rows = []
        async with self.database.read() as connection:
            for table in (outbox, threads, subscriptions, metadata.tables["alerts"], metadata.tables["timers"]):
                kept = [column for column in table.c if column.name not in VARYING]
                found = await connection.execute(select(*kept).where(table.c.team_id == self.team))
                rows += sorted(described((table.name, *row)) for row in found)
        return [
            *rows,
            *sorted(described(run) for run in await self.store.runs.past(self.team, None, "", 99)),
            *sorted(described(run) for run in await self.store.runs.past(self.team, ("int_1",), "stripe", 99)),
            *sorted(described(run) for run in await self.store.runs.active(self.team)),
            *sorted(described(run) for run in await self.store.runs.ended_since(self.team, START)),
            described(await self.subscriptions.all()),
            *sorted(described(one) for one in await self.incidents.since(START)),
            described(await self.snapshots.load()),
            *sorted(described(one) for one in (await self.audit.page(AuditFilter(), number=0, size=99)).entries),
            sorted(await self.audit.people_called("u1")),
            sorted(map(described, (await self.audit.names())[0])),
            described(shown and await self.store.panels.load_view(shown)),
            described(shown and await self.store.panels.home_of(self.team, shown)),
        ]


VARYING = frozenset(
    {"id", "version", "claims", "owner", "lease_owner", "lease_until", "target"}
    | {"run_id", "thread_id", "panel_id", "alert_id", "incident_id"}
)
"""Columns that contain IDs, or count from a random number."""

DEEDS = (
    "click",
    "start_both",
    "show",
    "open_home",
    "subscribe",
    "unsubscribe",
    "fail",
    "recover",
    "snooze",
    "name",
    "count",
    "pause",
    "resume",
    "move",
)


class World:
    """A database with some of the workspaces, and one process that works for all of them."""

    def __init__(self, url, teams):
        self.database, self.clock = Database(url), VirtualClock()
        self.store = Store(self.database, owner="a")
        self.timers = Timers(self.database, owner="a", lease_s=10)
        self.sides = {team: Side(self.database, self.store, self.timers, self.clock, team) for team in teams}
        self.seen = {team: [] for team in teams}

    async def play(self, script):
        """Play a script, and return what each workspace sees of it."""
        try:
            await self.act(script)
            return {team: [*self.seen[team], *await side.view()] for team, side in self.sides.items()}
        finally:
            await self.database.close()

    async def act(self, script):
        """Empty the database, and take the steps of a script that belong to its workspaces."""
        async with self.database.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                await connection.execute(text(f"DELETE FROM {table.name}"))  # noqa: S608 - ours
        for team, deed, *about in script:
            self.clock.advance(ONE_BY_ONE_S)
            if deed == "work":
                await self.work()
            elif team in self.sides:
                self.seen[team].append(described(await getattr(self.sides[team], deed)(*about)))
        for _ in range(3):
            self.clock.advance(60)
            await self.work()

    async def work(self):
        """Claim all due work of all workspaces, and do each piece in its workspace."""
        now = self.clock.now
        for claim in await self.store.inbox.claim(now, 999):
            await self.sides[claim.request.origin.team_id].answer(claim)
        await self.do("act", await self.timers.claim(now, 999))
        runs_due = await self.store.runs.claim(now, 999)
        await self.do("follow", runs_due)
        while items := await self.store.outbox.claim(now, 999):
            await self.do("send", items)

    async def do(self, how, pieces):
        """Do pieces in an order that doesn't depend on random IDs, and record what each workspace saw."""
        for piece in sorted(pieces, key=lambda one: (getattr(one, "created_at", START), described(one))):
            team = piece.run.team_id if how == "follow" else piece.team_id
            self.seen[team].append((how, described(await getattr(self.sides[team], how)(piece))))


def script():
    """Draw what happens in both workspaces, and in which order."""
    deed = st.tuples(
        st.sampled_from(TEAMS),
        st.sampled_from((*DEEDS, "work", "work")),
        st.sampled_from(PEOPLE),
        st.sampled_from(CHANNELS),
        st.sampled_from(INTEGRATIONS),
    )
    return st.lists(deed, min_size=5, max_size=18)


async def see(url, steps):
    """Play a script for both workspaces together, and for each alone."""
    together = await World(url, TEAMS).play(steps)
    return {team: (together[team], (await World(url, [team]).play(steps))[team]) for team in TEAMS}


@pytest.mark.timeout(300)
def test_each_workspace_sees_what_it_would_see_alone(database_url):
    """Two workspaces that share all IDs do anything, in any order: each reads and gets the same as when alone."""
    phases = (Phase.explicit, Phase.generate)  # No reuse and no shrinking of scripts: that takes minutes.

    @settings(max_examples=6, deadline=None, phases=phases, suppress_health_check=list(HealthCheck))
    @given(script())
    def hold(steps):
        for together, alone in asyncio.run(see(database_url, steps)).values():
            assert together == alone

    hold()


TWINS = [
    *((team, "subscribe", "U1", "C1", "int_1") for team in TEAMS),
    *((team, "open_home", "U1", "C1", "int_1") for team in TEAMS),
    *((team, "fail", "U1", "C1", "int_1") for team in TEAMS),
    ("T1", "work"),
    *((team, "click", "U1", "C1", "int_1") for team in TEAMS),
    ("T1", "work"),
    *((team, "start_both", "U1", "C1", "int_1") for team in TEAMS),
    ("T1", "show", "U1", "C1", "int_1"),
    *((team, "name", "U1", "C1", "int_1") for team in TEAMS),
    *((team, "count", "U1", "C1", "int_1") for team in TEAMS),
    ("T2", "name", "U1", "C1", "int_1"),
    ("T1", "move", "U1", "C1", "int_1"),
    ("T2", "move", "U1", "C2", "int_1"),
    ("T2", "snooze", "U1", "C1", "int_1"),
    ("T1", "work"),
]


async def test_twins_see_nothing_of_each_other(database_url):
    """They do the same at the same moments: App Homes, channel moves, and threads at the same timestamp."""
    for together, alone in (await see(database_url, TWINS)).values():
        assert together == alone


async def test_an_id_of_another_workspace_leads_nowhere(store, make, clock):
    """A button carried over from another workspace finds neither its message nor its run."""
    panel, request = make.panel(), make.command()
    await store.inbox.add(request)
    await store.panels.add(request, panel, Address(request.origin.team_id, "C0DATA"), clock.now)
    opened = await start(store, make)
    assert await store.panels.load("T2", panel.id) is None
    assert await store.panels.home_of("T2", panel.id) is None
    assert await store.runs.load("T2", opened.run.id) is None
    assert await store.runs.channels_of("T2", opened.run.id) == ()
    assert await store.inbox.load_asked("T2", request.id) is None
    foreign = replace(make.command(), origin=make.origin(team_id="T2"))
    await store.inbox.add(foreign)
    await store.panels.redraw(foreign, panel.id, lambda shown: replace(shown, page=7), clock.now)
    assert (await store.panels.load(request.origin.team_id, panel.id)).page == 0


# --- each statement that forgets the workspace is found ---------------------------------------------------------

OF_T1 = runs.c.team_id == "T1"
CARELESS = {
    "nothing": select(runs),
    "an ID of FloKit's": select(runs.c.id).where(runs.c.integration_id == "int_1"),
    "an ID of Slack's": select(threads.c.id).where(threads.c.channel_id == "C1", threads.c.thread_ts == "1.1"),
    "the workspace in one branch": select(runs.c.id).where(OF_T1 | (runs.c.integration_id == "int_1")),
    "another workspace": select(runs.c.id).where(runs.c.team_id != "T1"),
    "no workspace": update(runs).where(~OF_T1).values(due_at=None),
    "all of them at once": select(runs.c.id).join(incidents, incidents.c.team_id == runs.c.team_id),
    "what shares a timestamp": select(outbox.c.id)
    .join(threads, threads.c.thread_ts == outbox.c.thread_ts)
    .where(threads.c.run_id == "run_1"),
    "people by name": select(participants.c.user_id).where(participants.c.user_name == "ana"),
    "an outer join": select(outbox.c.id).outerjoin(
        threads, (outbox.c.team_id == "T1") & (threads.c.run_id == outbox.c.run_id)
    ),
    "a subquery": update(runs).where(in_order(runs, runs.c.due_at.is_not(None))).values(due_at=None),
    "an EXISTS": select(runs.c.id).where(OF_T1, exists().where(outbox.c.channel_id == runs.c.integration_id)),
    "a DELETE": delete(subscriptions).where(subscriptions.c.channel_id == "C1"),
}
CAREFUL = {
    "its own": select(runs).where(OF_T1, runs.c.integration_id == "int_1"),
    "its own, along another index": select(runs).where(of_team(runs, "T1"), runs.c.requested_at > START),
    "an ID that nobody else has": select(threads.c.id).where(threads.c.run_id == "run_1"),
    "IDs": select(outbox.c.id).where(outbox.c.panel_id.in_(["pnl_1"]) | (outbox.c.run_id == "run_1")),
    "what it holds": update(runs).where(in_order(runs, runs.c.lease_owner == "me")).values(lease_owner=None),
    "through its run": select(participants.c.user_id).join(runs, runs.c.id == participants.c.run_id).where(OF_T1),
    "the same workspace": select(outbox.c.id)
    .join(threads, (threads.c.thread_ts == outbox.c.thread_ts) & (threads.c.team_id == outbox.c.team_id))
    .where(threads.c.run_id == "run_1"),
    "an EXISTS of its rows": select(runs.c.id).where(OF_T1, exists().where(outbox.c.run_id == runs.c.id)),
    "who installed the app": select(metadata.tables["installations"]),
}


@pytest.mark.parametrize("statement", CARELESS.values(), ids=CARELESS)
def test_a_statement_that_forgets_the_workspace_is_refused(statement):
    assert judge(statement)


@pytest.mark.parametrize("statement", CAREFUL.values(), ids=CAREFUL)
def test_a_statement_that_names_it_is_fine(statement):
    assert judge(statement) == []


def test_every_exception_names_a_function_and_a_reason():
    """Each function exists."""
    for where, reason in FOR_ALL.items():
        file, _, function = where.partition(":")
        assert f"def {function}(" in (STORE / file).read_text()
        assert reason
    assert set(FOR_ALL) >= NAMES_IT_IF_TOLD
