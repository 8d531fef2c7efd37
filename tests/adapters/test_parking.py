"""Work of workspaces that uninstalled the app: it's parked, and resumes when the app is installed again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.core.errors import ClaimLost
from bot.core.models import Message
from bot.store import codec, parking
from bot.store.gauges import read_gauges
from bot.store.installations import Installations
from bot.store.outbox_rows import Address, OutboxKind, add_row
from bot.store.parking import park, resume
from bot.store.tables import installations, outbox, runs, timers
from bot.store.timers import TimerKind, Timers
from bot.workers.installations import InstallationKeeper
from tests.adapters.conftest import TEAM, start
from tests.adapters.test_installations import ACME, BOTH, NEW, OLD, ORG


@pytest.fixture
def some_timers(store):
    """The timers of the store's database."""
    return Timers(store._database, owner="a", lease_s=10)


async def fill(store, make, some_timers, team):
    """Add a request, a run, messages and timers, due now and later."""
    now = make.clock.now
    opened = await start(store, make, make.press(team_id=team, message_ts="1.0"))
    await store.inbox.add(make.press(team_id=team))
    await some_timers.put(TimerKind.WATCH, team, team, now)
    await some_timers.put(TimerKind.DIGEST, team, f"sub_{team}", now + timedelta(hours=5))
    async with store._database.begin() as connection:
        note = codec.dump(Message("hello"))
        await add_row(connection, OutboxKind.NOTE, Address(team, "C0DATA"), now, data=note)
    return opened.run.id


async def due(store, some_timers, now):
    """Claim all due work; return its workspaces by kind."""
    found = {
        "requests": [one.request.origin.team_id for one in await store.inbox.claim(now, 99)],
        "runs": [one.run.team_id for one in await store.runs.claim(now, 99)],
        "messages": [one.team_id for one in await store.outbox.claim(now, 99)],
        "timers": [one.team_id for one in await some_timers.claim(now, 99)],
    }
    return {kind: sorted(teams) for kind, teams in found.items()}


async def times(store, team):
    """Return when each piece of work is due."""
    async with store._database.read() as connection:
        return [
            sorted((await connection.execute(select(table.c.id, table.c.due_at).where(table.c.team_id == team))).all())
            for table in (runs, outbox, timers)
        ]


async def test_parked_work_is_not_due_and_returns_unchanged(store, make, clock, some_timers, monkeypatch):
    """Runs, messages and timers keep their times, in any number of batches; requests count as answered."""
    monkeypatch.setattr(parking, "BATCH", 1)
    for team in (TEAM, "T2"):
        await fill(store, make, some_timers, team)
    before = await times(store, TEAM)
    assert await park(store._database, TEAM) == 6
    assert await park(store._database, TEAM) == 0
    assert {team for teams in (await due(store, some_timers, clock.now)).values() for team in teams} == {"T2"}
    assert await resume(store._database, TEAM, clock.now) == 5
    assert await times(store, TEAM) == before
    assert await due(store, some_timers, clock.now) == {
        "requests": [],
        "runs": [TEAM],
        "messages": [TEAM, TEAM],
        "timers": [TEAM],
    }


async def test_parked_work_wakes_no_worker_and_raises_no_gauge(store, make, clock, some_timers):
    """No process wakes for it, and it doesn't count as waiting."""
    await fill(store, make, some_timers, TEAM)
    await park(store._database, TEAM)
    for next_at in (store.inbox.next_at, store.runs.next_at, store.outbox.next_at, some_timers.next_at):
        assert await next_at() is None
    readings = await read_gauges(store._database, clock.now)
    assert (readings.outbox, readings.inbox, readings.runs) == ({}, 0, {})


async def test_uninstalling_parks_and_installing_again_resumes(store, make, clock, some_timers):
    """In the same transaction that saves the uninstallation."""
    vault = Installations(store._database, OLD)
    installed = replace(ACME, team_id=TEAM)
    await vault.save(installed, clock.now)
    await fill(store, make, some_timers, TEAM)
    before = await times(store, TEAM)
    assert await vault.revoke(TEAM, before=clock.advance(1))
    assert not [team for teams in (await due(store, some_timers, clock.now)).values() for team in teams]
    await vault.save(installed, clock.advance(1))
    assert await times(store, TEAM) == before


async def test_old_answers_are_dropped(store, make, clock, some_timers):
    """An answer that's too old to be useful isn't posted, but the progress of a sync is."""
    await fill(store, make, some_timers, TEAM)
    await park(store._database, TEAM)
    await resume(store._database, TEAM, clock.advance(86400))
    assert [item.kind for item in await store.outbox.claim(clock.now, 99)] == [OutboxKind.PROGRESS]


async def test_the_holder_of_parked_work_writes_nothing_more(store, make, clock, some_timers):
    """Claims from before the uninstallation are lost."""
    await fill(store, make, some_timers, TEAM)
    [request], [run] = await store.inbox.claim(clock.now, 9), await store.runs.claim(clock.now, 9)
    [message, *_], [timer] = await store.outbox.claim(clock.now, 9), await some_timers.claim(clock.now, 9)
    await park(store._database, TEAM)
    for late in (
        store.inbox.finish(request.request.id),
        store.runs.save(run, make.ended(run.run), clock.now),
        store.outbox.mark_posted(message, "C0DATA", "1.1", clock.now),
        some_timers.finish(timer, None),
    ):
        with pytest.raises(ClaimLost):
            await late


async def test_nothing_is_parked_where_the_app_is_installed(store, make, clock, some_timers):
    """A process that saw it uninstalled may act too late."""
    await fill(store, make, some_timers, TEAM)
    async with store._database.begin() as connection:
        await connection.execute(installations.insert(), {"id": TEAM, "team_id": TEAM, "installed_at": clock.now})
    assert await park(store._database, TEAM) == 0


async def test_work_of_a_lost_installation_is_parked_although_it_is_installed(store, make, clock, some_timers):
    """Its token can't be decrypted; installing again brings everything back."""
    vault = Installations(store._database, OLD)
    installed = replace(ACME, team_id=TEAM)
    await vault.save(installed, clock.now)
    await fill(store, make, some_timers, TEAM)
    before = await times(store, TEAM)
    assert await park(store._database, TEAM, is_lost=True) == 6
    assert not [team for teams in (await due(store, some_timers, clock.now)).values() for team in teams]
    await Installations(store._database, NEW).save(installed, clock.advance(1))
    assert await times(store, TEAM) == before


@pytest.fixture
def die_while_resuming(monkeypatch):
    """Have the process end after it saved an installation, before it resumes the work that was parked."""

    async def resume(*_):
        raise ProcessDied

    def begin():
        monkeypatch.setattr("bot.store.installations.installed.parking.resume", resume)
        return monkeypatch

    return begin


class ProcessDied(BaseException):
    """The process is gone."""


def keeper(vault, clock):
    """Return what works in the background of each process."""
    return InstallationKeeper(vault, None, keep=timedelta(days=30), clock=clock, changed=str)


@pytest.mark.parametrize("org", [False, True])
async def test_work_left_parked_by_a_crash_is_resumed(store, make, clock, some_timers, die_while_resuming, org):
    """The installation is saved, but the process died before it resumed the work: another one does so in its turn."""
    vault = Installations(store._database, OLD)
    installed = replace(ORG, enterprise_id="E1") if org else replace(ACME, team_id=TEAM)
    await vault.save(installed, clock.now)
    if org:
        await vault.grant(TEAM, "E1", clock.now)
    await fill(store, make, some_timers, TEAM)
    before = await times(store, TEAM)
    await vault.revoke("" if org else TEAM, "E1" if org else None, before=clock.advance(1))
    await park(store._database, TEAM)
    with pytest.raises(ProcessDied):  # noqa: PT012 - the patch must be undone
        try:
            patch = die_while_resuming()
            await vault.save(installed, clock.advance(1))
        finally:
            patch.undo()
    assert await times(store, TEAM) != before
    await keeper(vault, clock).turn()
    assert await times(store, TEAM) == before


async def test_only_work_that_can_be_done_is_resumed(store, make, clock, some_timers, monkeypatch):
    """Not that of a workspace that is gone, nor as long as its master key is; and the pages go on past those."""
    monkeypatch.setattr(parking, "BATCH", 1)
    vault = Installations(store._database, OLD)
    teams = ("T1", "T2", "T3")
    for team in teams:
        await vault.save(replace(ACME, team_id=team), clock.now)
        await fill(store, make, some_timers, team)
    await vault.revoke("T1", before=clock.now)
    for team in teams[1:]:
        await park(store._database, team, is_lost=True)
    async with store._database.begin() as connection:  # whoever can write to the database damaged this one
        damaged = installations.update().where(installations.c.id == "T2").values(bot_token=b"\x01" + b"damaged" * 9)
        await connection.execute(damaged)
    lost = Installations(store._database, NEW)
    assert await lost.resume_left_behind(clock.now) == 0
    found = Installations(store._database, BOTH)
    assert await found.resume_left_behind(clock.now) == 1
    assert {team for teams in (await due(store, some_timers, clock.now)).values() for team in teams} == {"T3"}
    assert await found.resume_left_behind(clock.now) == 0
