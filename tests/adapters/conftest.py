"""What the adapter tests share: a clock moved by the test, both databases, values to save, and a local Slack."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import pytest_asyncio

from bot.core.access.audit import Deed
from bot.core.bulks import Bulk, Place
from bot.core.commands.presses import Action, Press
from bot.core.models import Decision, Integration, Outcome, Patience, Person, Phase, Telling
from bot.core.nicknames import NO_NICKNAMES
from bot.core.panels import Panel, PanelKind
from bot.core.requests import Origin, Request, RequestKind
from bot.core.runs.limits import NO_LIMITS
from bot.listeners.observed import Addressee
from bot.lookups.nicknames import Naming
from bot.slack.replies import Identity
from bot.store import embedded
from bot.store.bulks import StartBulk
from bot.store.database import Database
from bot.store.runs import StartSync
from bot.store.store import Store
from sandbox.slack import flokit_slack

TEAM = "T0SANDBOX"
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EVERYTHING = (Telling.OUTCOME, Telling.PROGRESS, Telling.ROW)


def finding(reception=None):
    """Make every request from Slack belong to one workspace."""
    addressee = Addressee(Identity("T1", "Test", "UBOT", "B1", frozenset()), "xoxb-x", reception)

    async def find(_context, _body):
        return addressee

    return find


class VirtualClock:
    """A clock that only the test moves."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now

    def timestamp(self):
        """Return Unix seconds, as the local Slack needs them."""
        return self.now.timestamp()

    def advance(self, seconds):
        """Move the clock forward, and return the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now


class Make:
    """Creates values as the listeners and the core do; each request is new."""

    def __init__(self, clock):
        self.clock = clock
        self._ids = count(1)

    def origin(self, user="UANA", channel="C0DATA", **changes):
        """Return who asks, and where."""
        return replace(Origin(TEAM, Person(user, user.lower()), channel), **changes)

    def press(self, user="UANA", channel="C0DATA", message_ts="100.000001", **changes):
        """Click Resync under a message."""
        origin = self.origin(user, channel, message_ts=message_ts, **changes)
        press = Press(Action.RESYNC, integration_id="int_1")
        return Request(f"trg_{next(self._ids)}", RequestKind.PRESS, origin, self.clock.now, press=press)

    def command(self, text="status", user="UANA", channel="C0DATA", **changes):
        """Type a slash command."""
        origin = self.origin(user, channel, **changes)
        return Request(f"trg_{next(self._ids)}", RequestKind.COMMAND, origin, self.clock.now, text=text)

    def integration(self, id_="int_1"):
        """Return an integration with this ID."""
        return Integration(id_, "stripe", "error", error_message="it broke")

    def panel(self, *ids, kind=PanelKind.STATUS):
        """Return a panel that shows integrations."""
        shown = tuple(self.integration(id_) for id_ in ids or ("int_1",))
        return Panel(f"pnl_{next(self._ids)}", kind, shown, self.clock.now)

    def ended(self, run, outcome=Outcome.SUCCEEDED):
        """Return the decision that ends a run."""
        phase = Phase.LATE if outcome is Outcome.NOT_CONFIRMED else Phase.DONE
        next_look_at = self.clock.now + timedelta(seconds=300) if phase is Phase.LATE else None
        changed = replace(
            run, phase=phase, outcome=outcome, ended_at=self.clock.now, accepted_at=run.requested_at, attempts=1
        )
        return Decision(changed, next_look_at, EVERYTHING)

    def watching(self, run, in_s=5.0, tell=(Telling.PROGRESS, Telling.ROW), along_s=None):
        """Return the decision to check again, with other runs after ``along_s``."""
        watched = replace(run, phase=Phase.WATCHING, looks=run.looks + 1)
        along_at = None if along_s is None else self.clock.now + timedelta(seconds=along_s)
        return Decision(watched, self.clock.now + timedelta(seconds=in_s), tell, along_at)


def unnamed(clock):
    """Return the names of a workspace in which nobody has named anything."""

    async def read():
        return NO_NICKNAMES

    return Naming(read, clock)


async def start(store, make, request=None, integration="int_1", **options):
    """Click on a sync: the click is saved, then handled."""
    request = request or make.press()
    await store.inbox.add(request)
    options = {"action": "resync"} | options
    if isinstance(integration, str):
        integration = make.integration(integration)
    return await store.runs.start_sync(StartSync(request, integration, patience=Patience(), **options), make.clock.now)


def wanted_bulk(make, ids=("int_1", "int_2"), request=None, source_id="pnl_source", limits=NO_LIMITS):
    """Return the wish to sync several integrations, as a preview's button makes it."""
    request = request or make.press(message_ts="900.000001", ephemeral=True)
    shown = make.panel(*ids, kind=PanelKind.BULK)
    bulk = Bulk(request.origin.person, make.clock.now)
    place = Place(request.origin.channel_id)
    return StartBulk(
        request, source_id, shown.integrations, {}, shown, bulk, place, Deed.SYNC, patience=Patience(), limits=limits
    )


@pytest.fixture
def clock():
    """A clock that only the test moves."""
    return VirtualClock()


@pytest.fixture
def make(clock):
    """Values at the clock's time."""
    return Make(clock)


@pytest.fixture
def click():
    """Return ``start``."""
    return start


# --- stores ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_stores(url):
    """Yield a function that opens more stores on one database, each as another process would; close them all."""
    opened = []

    def open_store(owner="a", *, lease_s=10.0, kind=Store):
        store = kind(Database(url), owner=owner, lease_s=lease_s)
        opened.append(store)
        return store

    try:
        yield open_store
    finally:
        for store in opened:
            await store.close()


@pytest_asyncio.fixture
async def databases(database_url):
    """Open the test's database as two replicas do."""
    opened = Database(database_url), Database(database_url)
    yield opened
    for one in opened:
        await one.close()


@pytest.fixture
def patient_sqlite(monkeypatch):
    """Let the writers of one SQLite file wait as long as a busy machine needs; in production there's only one."""
    monkeypatch.setattr(embedded, "BUSY_TIMEOUT_MS", 30_000)


@pytest_asyncio.fixture
async def open_store(database_url):
    """Open stores on the test's database."""
    async with open_stores(database_url) as opener:
        yield opener


@pytest.fixture
def store(open_store):
    """The first store."""
    return open_store()


@pytest_asyncio.fixture
async def sqlite_store(sqlite_url):
    """A store on SQLite, for tests that don't depend on the database."""
    async with open_stores(sqlite_url) as opener:
        yield opener()


# --- Slack -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def local_slack():
    """A Slack on a local port, with the channels C0DATA … and the sandbox's people."""
    slack = flokit_slack()
    await slack.start()
    try:
        yield slack
    finally:
        await slack.stop()
