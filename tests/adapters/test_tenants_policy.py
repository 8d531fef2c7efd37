"""A workspace is built with its policy: a new one applies at once where it was saved, and elsewhere within a minute."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import pytest_asyncio

from bot import tenants
from bot.core.access.audit import Deed, of_origin
from bot.core.access.policy import Policy, Refused, Subject, Verb, decide_access
from bot.core.access.policy_form import PolicyVersion
from bot.core.installations import Connection, Installation
from bot.core.models import Message, Person
from bot.core.requests import Origin
from bot.flokit import Endpoint
from bot.flokit.http import FlokitHttp
from bot.handlers.doctor import Live
from bot.observability.context import Runtime
from bot.settings.encryption_keys import new_encryption_key
from bot.settings.settings import load_settings
from bot.slack.client import SlackClient
from bot.store.database import Database
from bot.store.installations import Installations
from bot.store.outbox_rows import Address
from bot.store.policies import Policies
from bot.store.sealing import MasterKeys
from bot.store.store import Store
from bot.store.timers import Timers
from bot.tenants import KNOWN_FOR_S, UNREADABLE, InstalledWorkspaces, Shared
from bot.workspace import Base

NO_SYNC = "rules: [{name: Nobody syncs, refuse: sync}]"


class Replica:
    """One process's workspaces; only what they're built from is real."""

    def __init__(self, url, clock):
        self.database, self.clock = Database(url), clock
        settings = load_settings()
        store, timers = Store(self.database, owner="me"), Timers(self.database, owner="me", lease_s=10)
        live = Live(socket=lambda: None, webhook_at=lambda: None)
        base = Base(settings, self.database, store, timers, live, Runtime(clock))
        self.installations = Installations(self.database, MasterKeys.parse(settings.master_keys))
        self.client = SlackClient("")
        self.http = FlokitHttp(Endpoint(settings.flokit_api_url, "", "", network=settings.network))
        self.workspaces = InstalledWorkspaces(base, self.installations, Shared(self.client, self.http, 5.0))

    async def built(self, team_id="T1"):
        """Return the objects that a workspace consists of now."""
        return await self.workspaces.of(team_id)

    async def save(self, number, text, team_id="T1"):
        """Save a policy, as its form does."""
        await self.store_only(number, text, team_id)
        (await self.built(team_id)).door.changed()

    async def store_only(self, number, text, team_id="T1"):
        """Save a policy without notifying this process."""
        person, now = Person("UANA", "ana"), self.clock.now
        version = PolicyVersion(number, text, person, now)
        entry = of_origin(Origin(team_id, person, ""), Deed.POLICY, now)
        policies = Policies(self.database, team_id)
        assert await policies.save(version, entry, Message("saved"), Address(team_id, user_id="UANA"), now) is None

    async def close(self):
        """Close all connections."""
        await self.workspaces.aclose()
        await self.client.aclose()
        await self.database.close()


@pytest.fixture
def later(monkeypatch):
    """Move the clock that measures the age of cached data."""
    now = [1000.0]
    monkeypatch.setattr(tenants, "_now_s", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


async def stop():
    """Do nothing: there is no task."""


def built_of(_base, tenant):
    """Build of a workspace what the tests look at."""
    return SimpleNamespace(policy=tenant.policy, door=tenant.door, watcher=SimpleNamespace(stop=stop))


@pytest_asyncio.fixture
async def replicas(sqlite_url, clock, later, monkeypatch, tmp_path, patient_sqlite):
    """Two processes on one database, with two workspaces installed."""
    settings = {
        "SLACK_CLIENT_ID": "1.2",
        "SLACK_CLIENT_SECRET": "a-secret",
        "SLACK_SIGNING_SECRET": "another",
        "PUBLIC_URL": "http://127.0.0.1:3000",
        "ENCRYPTION_KEYS": new_encryption_key(),
        "DATABASE_URL": sqlite_url,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tenants, "build_workspace", built_of)
    both = [Replica(sqlite_url, clock) for _ in range(2)]
    for team_id in ("T1", "T2"):
        installation = Installation(
            team_id, team_id, None, False, "A1", "B1", "UBOT", f"xoxb-{team_id}", (), "UANA", clock.now
        )
        await both[0].installations.save(installation, clock.now)
        flokit = Connection(f"flo_of_{team_id}", None, "UANA", clock.now)
        await both[0].installations.connections.save(team_id, flokit, clock.now)
    yield both
    for one in both:
        await one.close()


def may_sync(workspace):
    """Return whether a member may sync."""
    decided = decide_access(workspace.policy, Subject("UBEN", kind="members"), Verb.SYNC)
    return not isinstance(decided, Refused)


async def test_a_new_policy_applies_at_once_here_and_within_a_minute_elsewhere(replicas, later):
    here, elsewhere = replicas
    assert (await here.built()).policy == (await elsewhere.built()).policy == Policy()
    await here.save(1, NO_SYNC)
    assert not may_sync(await here.built())
    assert may_sync(await elsewhere.built())
    later(KNOWN_FOR_S)
    assert not may_sync(await elsewhere.built())


async def test_another_workspace_with_the_same_people_keeps_its_policy(replicas, later):
    here, _ = replicas
    await here.save(1, NO_SYNC)
    later(KNOWN_FOR_S)
    assert may_sync(await here.built("T2"))


async def test_a_workspace_is_rebuilt_only_if_its_policy_changed(replicas, later):
    here, _ = replicas
    await here.save(1, NO_SYNC)
    before = await here.built()
    later(KNOWN_FOR_S)
    assert await here.built() is before
    await here.save(2, "rules: []")
    assert may_sync(await here.built())


async def test_an_unreadable_policy_allows_nothing(replicas):
    """It may come from a newer version of the bot, for example."""
    here, _ = replicas
    await here.save(1, "rulez: []")
    policy = (await here.built()).policy
    assert policy is UNREADABLE
    for verb in Verb:
        assert isinstance(decide_access(policy, Subject("UANA", kind="members"), verb), Refused)


async def test_a_policy_that_is_saved_while_the_workspace_is_read_counts_next(replicas, later, monkeypatch):
    """What was read a moment before isn't taken for the policy of the next minute."""
    here, _ = replicas
    await here.built()
    later(KNOWN_FOR_S)
    current = Policies.current

    async def slow(policies):
        monkeypatch.setattr(Policies, "current", current)
        read = await current(policies)
        await here.store_only(1, NO_SYNC)
        here.workspaces.forget("T1")
        return read

    monkeypatch.setattr(Policies, "current", slow)
    assert may_sync(await here.built())
    assert not may_sync(await here.built())
