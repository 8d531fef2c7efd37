"""What a process does besides its work."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from bot.store.database import Database
from bot.store.replicas import ALIVE_S, Replicas
from bot.workers.housekeeper import Housekeeper


class Retention:
    """Has this many batches to delete, and records the calls."""

    def __init__(self, *batches):
        self.batches = list(batches)
        self.asked, self.forgot = [], []

    async def purge(self, before):
        """Delete a batch."""
        self.asked.append(before)
        return self.batches.pop(0) if self.batches else 0

    async def forget_response_urls(self, now):
        """Record when response_urls were deleted."""
        self.forgot.append(now)
        return 0


@pytest_asyncio.fixture
async def replicas(database_url):
    """Three processes on one database."""
    databases = [Database(database_url) for _ in range(3)]
    yield [Replicas(database, f"host:{index}") for index, database in enumerate(databases)]
    for database in databases:
        await database.close()


@pytest.fixture
def keep_house(replicas, clock):
    """A function that creates the first one's housekeeper."""
    return lambda connections=None, retention=None: Housekeeper(
        replicas[0],
        retention or Retention(),
        keep=timedelta(days=90),
        clock=clock,
        connections=lambda: connections,
    )


async def test_running_processes_are_counted(replicas, clock):
    """A process counts from its first heartbeat until it leaves or hasn't been seen for a while."""
    counts = [await one.note(clock.now) for one in replicas]
    assert counts == [1, 2, 3]
    await replicas[1].leave()
    assert await replicas[0].note(clock.now) == 2
    clock.advance(ALIVE_S + 1)
    assert await replicas[0].note(clock.now) == 1


async def test_more_sockets_than_replicas_are_warned_about_once(keep_house):
    """Slack says how many sockets are open; one that isn't ours takes clicks away from us."""
    house = keep_house(connections=2)
    with capture_logs() as logs:
        await house.beat()
        await house.beat()
    assert logs == [{"event": "unexpected_socket_count", "log_level": "warning", "connections": 2, "replicas": 1}]


@pytest.mark.parametrize("connections", [None, 0, 1, 2])
async def test_as_many_sockets_as_replicas_cause_no_warning(keep_house, replicas, clock, connections):
    await replicas[1].note(clock.now)
    with capture_logs() as logs:
        await keep_house(connections).beat()
    assert logs == []


async def test_a_shared_sqlite_file_is_warned_about_once(keep_house, replicas, clock):
    """On a server, several processes are fine."""
    house = keep_house()
    with capture_logs() as logs:
        for _ in range(8):
            await replicas[1].note(clock.now)
            await house.beat()
            clock.advance(10)
    warned = [{"event": "file_shared", "log_level": "warning", "replicas": 2}]
    assert logs == (warned if replicas[0].is_for_one else [])


async def test_a_killed_replica_does_not_count_as_another(keep_house, replicas, clock):
    """After a restart, the bot sees its own old entry for a while, and mustn't warn about it."""
    await replicas[1].note(clock.now)
    house = keep_house()
    with capture_logs() as logs:
        for _ in range(8):
            await house.beat()
            clock.advance(10)
    assert logs == []


async def test_old_data_is_deleted_at_once_and_then_hourly(keep_house, clock):
    """The first heartbeat deletes all batches."""
    retention = Retention(7, 3)
    house = keep_house(retention=retention)
    with capture_logs() as logs:
        await house.beat()
    assert logs == [{"event": "purged", "log_level": "info", "rows": 10}]
    assert set(retention.asked) == {clock.now - timedelta(days=90)}
    clock.advance(3599)
    await house.beat()
    assert len(retention.asked) == 3
    clock.advance(1)
    await house.beat()
    assert len(retention.asked) == 4


async def test_expired_response_urls_are_deleted_every_minute(keep_house, clock):
    retention = Retention()
    house = keep_house(retention=retention)
    for _ in range(13):
        await house.beat()
        clock.advance(10)
    assert len(retention.forgot) == 3
