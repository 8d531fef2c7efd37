"""The versions of a workspace's policy: one after another, each by one person, and separate from other workspaces'."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio

from bot.core.access.audit import AuditFilter, Deed, of_origin
from bot.core.access.policy_form import PolicyVersion
from bot.core.errors import StoreInDoubt
from bot.core.models import Message, Person
from bot.store.audit import Audit
from bot.store.database import Database
from bot.store.outbox_rows import Address
from bot.store.policies import KEPT, Policies
from bot.store.store import Store
from tests.adapters.conftest import TEAM

BETA = "T0BETA"


class Desk:
    """One replica, from which people save policies."""

    def __init__(self, url, make):
        self.database = Database(url)
        self.make = make

    async def save(self, number, text, user="UANA", team=TEAM):
        """Save a version of the policy."""
        now = self.make.clock.now
        origin = replace(self.make.origin(user, channel=""), team_id=team)
        version = PolicyVersion(number, text, origin.person, now)
        entry = of_origin(origin, Deed.POLICY, now, result=f"version {number}")
        return await self.of(team).save(version, entry, Message("saved"), Address(team, user_id=user), now)

    def of(self, team=TEAM):
        """Return the policy of a workspace."""
        return Policies(self.database, team)

    async def audited(self, team=TEAM):
        """Return the audit log, oldest first."""
        page = await Audit(self.database, team).page(AuditFilter(), number=0, size=100)
        return [(one.person.id, one.action, one.result) for one in reversed(page.entries)]


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


async def test_there_is_no_policy_at_first(desk):
    assert await desk.of().current() is None
    assert await desk.of().all() == []


async def test_the_newest_version_applies(desk, clock):
    """Each version keeps who saved it, and when."""
    assert await desk.save(1, "rules: []") is None
    first_at, second_at = clock.now, clock.advance(60)
    assert await desk.save(2, "ask: [UANA]", user="UBEN") is None
    second = PolicyVersion(2, "ask: [UANA]", Person("UBEN", "uben"), second_at)
    assert await desk.of().current() == second
    assert await desk.of().all() == [second, PolicyVersion(1, "rules: []", Person("UANA", "uana"), first_at)]


async def test_saving_is_audited_and_confirmed_in_one_transaction(desk, clock):
    await desk.save(1, "rules: []")
    assert await desk.audited() == [("UANA", "policy", "version 1")]
    [note] = await Store(desk.database, owner="a").outbox.claim(clock.now, 10)
    assert (note.team_id, note.user_id, note.channel_id) == (TEAM, "UANA", None)


async def test_only_a_limited_number_of_versions_is_kept(desk):
    """Each new version removes the oldest one."""
    for number in range(1, KEPT + 4):
        await desk.save(number, f"# {number}")
    assert [one.number for one in await desk.of().all()] == list(range(KEPT + 3, 3, -1))


async def test_the_second_of_two_people_overwrites_nothing(desk):
    """The second person learns who was faster, and nothing is audited or confirmed."""
    await desk.save(1, "rules: []")
    before = await desk.save(1, "ask: [UBEN]", user="UBEN")
    assert (before.number, before.text, before.saved_by.id) == (1, "rules: []", "UANA")
    assert [one.text for one in await desk.of().all()] == ["rules: []"]
    assert await desk.audited() == [("UANA", "policy", "version 1")]


async def test_the_same_text_is_not_a_new_version(desk):
    await desk.save(1, "rules: []")
    before = await desk.save(2, "rules: []")
    assert before.number == 1
    assert len(await desk.of().all()) == 1


async def test_one_of_many_concurrent_saves_succeeds(desk, other):
    """Twenty people press Save at once: one version is saved, and the others learn of it."""
    results = await asyncio.gather(
        *((desk, other)[number % 2].save(1, f"# {number}", user=f"U{number}") for number in range(20))
    )
    [saved] = [number for number, before in enumerate(results) if before is None]
    assert {before.text for before in results if before} == {f"# {saved}"}
    assert [one.text for one in await desk.of().all()] == [f"# {saved}"]
    assert await desk.audited() == [(f"U{saved}", "policy", "version 1")]


async def test_every_replica_reads_a_saved_policy(desk, other):
    await desk.save(1, "rules: []")
    assert (await other.of().current()).text == "rules: []"


async def test_workspaces_with_the_same_people_have_separate_policies(desk):
    """A version of one never applies in the other, and isn't counted, kept or deleted with the other's."""
    await desk.save(1, "# acme")
    await desk.save(1, "# beta", team=BETA)
    for number in range(2, KEPT + 3):
        await desk.save(number, f"# acme {number}")
    assert [one.text for one in await desk.of(BETA).all()] == ["# beta"]
    assert (await desk.of().current()).text == f"# acme {KEPT + 2}"
    assert await desk.audited(BETA) == [("UANA", "policy", "version 1")]


async def test_a_commit_whose_reply_is_lost_can_be_repeated(desk, monkeypatch):
    """The person doesn't know whether it's saved; trying again says that it is."""
    await desk.save(1, "rules: []")
    with monkeypatch.context() as broken:
        broken.setattr(Policies, "save", _in_doubt(Policies.save))
        with pytest.raises(StoreInDoubt):
            await desk.save(2, "ask: [UANA]")
    before = await desk.save(2, "ask: [UANA]")
    assert (before.number, before.text) == (2, "ask: [UANA]")


def _in_doubt(save):
    async def lose(*args):
        await save(*args)
        raise StoreInDoubt("the connection broke during the commit")

    return lose
