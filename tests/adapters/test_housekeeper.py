"""What a process does beside its work."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from bot.store.database import Database
from bot.store.replicas import ALIVE_S, Replicas
from bot.workers.housekeeper import Housekeeper


class Retention:
    """Has so many batches to delete, and notes what it was asked."""

    def __init__(self, *batches):
        self.batches = list(batches)
        self.asked, self.forgot = [], []

    async def purge(self, before):
        """Delete a batch."""
        self.asked.append(before)
        return self.batches.pop(0) if self.batches else 0

    async def forget_response_urls(self, now):
        """Note when response_urls were emptied."""
        self.forgot.append(now)
        return 0


@pytest_asyncio.fixture
async def replicas(database_url):
    """Give three processes on one database."""
    databases = [Database(database_url) for _ in range(3)]
    yield [Replicas(database, f"host:{index}") for index, database in enumerate(databases)]
    for database in databases:
        await database.close()


@pytest.fixture
def keep_house(replicas, clock):
    """Make the first one's housekeeper."""
    return lambda connections=None, retention=None: Housekeeper(
        replicas[0],
        retention or Retention(),
        keep=timedelta(days=90),
        clock=clock,
        connections=lambda: connections,
    )


async def test_those_that_are_alive_are_counted(replicas, clock):
    """A process counts from its first beat until it leaves, or was not seen for a while."""
    counts = [await one.note(clock.now) for one in replicas]
    assert counts == [1, 2, 3]
    await replicas[1].leave()
    assert await replicas[0].note(clock.now) == 2
    clock.advance(ALIVE_S + 1)
    assert await replicas[0].note(clock.now) == 1


async def test_more_sockets_than_replicas_are_warned_about_once(keep_house):
    """Slack says how many sockets are open: one that is none of ours takes clicks away."""
    house = keep_house(connections=2)
    with capture_logs() as logs:
        await house.beat()
        await house.beat()
    assert logs == [{"event": "unexpected_socket_count", "log_level": "warning", "connections": 2, "replicas": 1}]


@pytest.mark.parametrize("connections", [None, 0, 1, 2])
async def test_the_sockets_of_the_replicas_are_none_to_warn_about(keep_house, replicas, clock, connections):
    """As many sockets as there are replicas, or fewer, are as it should be."""
    await replicas[1].note(clock.now)
    with capture_logs() as logs:
        await keep_house(connections).beat()
    assert logs == []


async def test_a_file_that_two_work_on_is_warned_about_once(keep_house, replicas, clock):
    """A SQLite file is for one process; on a server several are welcome."""
    house = keep_house()
    with capture_logs() as logs:
        for _ in range(8):
            await replicas[1].note(clock.now)
            await house.beat()
            clock.advance(10)
    warned = [{"event": "file_shared", "log_level": "warning", "replicas": 2}]
    assert logs == (warned if replicas[0].is_for_one else [])


async def test_one_that_was_killed_is_no_other(keep_house, replicas, clock):
    """Who starts anew after a kill counts its own ghost for a while, and warns of nobody."""
    await replicas[1].note(clock.now)
    house = keep_house()
    with capture_logs() as logs:
        for _ in range(8):
            await house.beat()
            clock.advance(10)
    assert logs == []


async def test_what_is_old_is_deleted_to_the_end_and_then_hourly(keep_house, clock):
    """The first beat deletes batch after batch; the next time is an hour later."""
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


async def test_response_urls_are_emptied_every_minute(keep_house, clock):
    """Each minute the response_urls that ended are emptied."""
    retention = Retention()
    house = keep_house(retention=retention)
    for _ in range(13):
        await house.beat()
        clock.advance(10)
    assert len(retention.forgot) == 3
