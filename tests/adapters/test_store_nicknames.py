"""The names of a workspace's integrations: each name once, and separate from those of other workspaces."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from bot.core.access.audit import AuditFilter, Deed, of_origin
from bot.core.errors import ClaimLost, StoreUnavailable
from bot.core.models import Message
from bot.core.nicknames import NO_NICKNAMES, Edit, Nickname, nicknames_of
from bot.lookups.nicknames import KNOWN_FOR, Naming
from bot.store.audit import Audit
from bot.store.database import Database
from bot.store.nicknames import Change, NicknameRows
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.store import Store
from tests.adapters.conftest import TEAM

BETA = "T0BETA"


class Desk:
    """One replica, from which people name integrations."""

    def __init__(self, url, make):
        self.database = Database(url)
        self.store = Store(self.database, owner="me")
        self.make = make

    async def name(self, integration_id, edit, user="UANA", team=TEAM, **options):
        """Change what people added to an integration, unless its name is taken."""
        origin = replace(self.make.origin(user), team_id=team)
        entry = replace(of_origin(origin, Deed.NAME, self.make.clock.now), integration_id=integration_id)

        def decide(known):
            after = edit.apply(known.of(integration_id))
            if after.name and known.called(after.name) not in ("", integration_id):
                return Change(None, Message("taken"), Address(team, user_id=user))
            return Change(after, Message("done"), Address(team, user_id=user), entry)

        cause = self.make.command().cause
        return await self.of(team).change(decide, self.make.clock.now, cause=cause, **options)

    def of(self, team=TEAM):
        """Return the names of a workspace."""
        return NicknameRows(self.database, team)


@pytest_asyncio.fixture
async def desk(database_url, make):
    """One replica."""
    opened = Desk(database_url, make)
    yield opened
    await opened.database.close()


@pytest_asyncio.fixture
async def other(database_url, make, patient_sqlite):
    """Another replica on the same database."""
    opened = Desk(database_url, make)
    yield opened
    await opened.database.close()


async def test_nothing_has_a_name_at_first(desk):
    assert await desk.of().all() == NO_NICKNAMES


async def test_a_name_is_kept_until_it_is_changed(desk):
    """The parts that an edit doesn't mention stay."""
    await desk.name("int_1", Edit(name="AppsFlyer Android", owner="UBEN", link="https://wiki.example.com/a"))
    await desk.name("int_1", Edit(name="Android"))
    kept = Nickname("int_1", "Android", "UBEN", "https://wiki.example.com/a")
    assert await desk.of().all() == nicknames_of([kept])


async def test_nothing_is_kept_of_a_blank(desk):
    """An integration whose last part is removed has no row, and its name is free."""
    await desk.name("int_1", Edit(name="Android"))
    await desk.name("int_1", Edit(name=""))
    assert await desk.of().all() == NO_NICKNAMES
    assert (await desk.name("int_2", Edit(name="Android"))).after


async def test_one_of_many_takes_a_name(desk, other):
    """However it's spelled, and on whichever replica."""
    spelled = ["Android", "ANDROID", "android", "an-droid", "And roid", "Android."]
    changes = await asyncio.gather(
        *((desk if number % 2 else other).name(f"int_{number}", Edit(name=name)) for number, name in enumerate(spelled))
    )
    assert len([one for one in changes if one.after]) == 1
    assert len((await desk.of().all()).by_id) == 1


async def test_workspaces_with_the_same_integrations_have_separate_names(desk):
    await desk.name("int_1", Edit(name="Android"))
    await desk.name("int_1", Edit(name="Android"), team=BETA)
    await desk.name("int_1", Edit(name=""))
    assert await desk.of().all() == NO_NICKNAMES
    assert (await desk.of(BETA).all()).of("int_1").name == "Android"


async def test_a_change_answers_its_request_once(desk, make, clock):
    """The answer, the audit entry and the change are one transaction: if another replica answered, there's none."""
    request = make.command("name int_1 Android")
    await desk.store.inbox.add(request)
    await desk.name("int_1", Edit(name="Android"), request_id=request.id)
    with pytest.raises(ClaimLost):
        await desk.name("int_1", Edit(name="iOS"), request_id=request.id)
    assert (await desk.of().all()).of("int_1").name == "Android"
    assert [one.kind for one in await desk.store.outbox.claim(clock.now, 9)] == [OutboxKind.NOTE]
    entries = (await Audit(desk.database, TEAM).page(AuditFilter(), number=0, size=9)).entries
    assert [(one.action, one.integration_id) for one in entries] == [(Deed.NAME, "int_1")]


async def test_the_message_where_it_was_named_is_redrawn(desk, make, clock):
    """But not a message of another workspace, whose ID someone made up."""
    panel, request = make.panel("int_1"), make.command()
    await desk.store.inbox.add(request)
    await desk.store.panels.add(request, panel, Address(TEAM, "C0DATA"), clock.now)
    item = (await desk.store.outbox.claim(clock.now, 1))[0]
    await desk.store.outbox.mark_posted(item, "C0DATA", "1.1", clock.now)
    await desk.name("int_1", Edit(name="Android"), team=BETA, panel_id=panel.id)
    clock.advance(10)
    assert [one.kind for one in await desk.store.outbox.claim(clock.now, 9)] == [OutboxKind.NOTE]
    await desk.name("int_1", Edit(name="Android"), panel_id=panel.id)
    clock.advance(10)
    assert panel.id in [one.panel_id for one in await desk.store.outbox.claim(clock.now, 9)]


# --- the copy in memory -----------------------------------------------------------------------------------------


class Shelf:
    """Names as a store has them, and how often they're read."""

    def __init__(self):
        self.now, self.reads, self.is_away = nicknames_of([Nickname("int_1", "Android")]), 0, False

    async def read(self):
        """Return them."""
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable("away")
        return self.now


async def test_the_names_are_read_once_in_a_while(clock):
    shelf = Shelf()
    naming = Naming(shelf.read, lambda: clock.now)
    assert await asyncio.gather(*(naming.current() for _ in range(9))) == [shelf.now] * 9
    clock.advance(KNOWN_FOR.total_seconds() - 1)
    await naming.current()
    assert shelf.reads == 1


async def test_a_change_of_another_replica_is_shown_after_a_while(clock):
    shelf = Shelf()
    naming = Naming(shelf.read, lambda: clock.now)
    await naming.current()
    shelf.now = NO_NICKNAMES
    clock.advance(KNOWN_FOR.total_seconds())
    assert await naming.current() == NO_NICKNAMES
    assert timedelta(minutes=1) > KNOWN_FOR


async def test_a_change_of_this_process_is_shown_at_once(clock):
    """Even if it was made while they were being read."""
    shelf, saved = Shelf(), asyncio.Event()

    async def read_slowly():
        before = await shelf.read()
        await saved.wait()
        return before

    naming = Naming(read_slowly, lambda: clock.now)
    reading = asyncio.create_task(naming.current())
    while not shelf.reads:
        await asyncio.sleep(0)
    shelf.now = NO_NICKNAMES
    naming.changed()
    saved.set()
    await reading
    assert await naming.current() == NO_NICKNAMES


async def test_the_last_known_names_are_shown_while_the_database_is_away(clock):
    shelf = Shelf()
    naming = Naming(shelf.read, lambda: clock.now)
    known = await naming.current()
    shelf.is_away = True
    clock.advance(60)
    assert await naming.current() == known
    shelf.is_away, shelf.now = False, NO_NICKNAMES
    assert await naming.current() == NO_NICKNAMES
