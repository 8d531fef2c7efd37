"""The inbox on both databases: requests that arrive at the same time are saved together, but fail separately."""

import asyncio
import contextlib
import shutil
import sqlite3
import time
from dataclasses import replace

import pytest

from bot.core.errors import StoreUnavailable
from bot.store.database import Database
from bot.store.store import Store


async def test_fifty_requests_at_once_are_all_saved(store, make):
    requests = [make.command() for _ in range(50)]
    assert await asyncio.gather(*(store.inbox.add(one) for one in requests)) == [True] * 50
    claimed = await store.inbox.claim(make.clock.now, 100)
    assert {claim.request for claim in claimed} == set(requests)


async def test_a_delivery_that_arrives_twice_at_once_counts_once(store, make):
    """One of them is new; the other is a repeat."""
    request = make.command()
    assert sorted(await asyncio.gather(store.inbox.add(request), store.inbox.add(request))) == [False, True]


async def test_a_refused_request_does_not_affect_the_others(store, make):
    broken = replace(make.command(), id=None)
    fine = make.command()
    results = await asyncio.gather(store.inbox.add(broken), store.inbox.add(fine), return_exceptions=True)
    assert isinstance(results[0], Exception)
    assert results[1] is True


async def test_a_canceled_request_does_not_affect_the_others(store, make):
    """It shares their transaction."""
    gives_up, stays = (asyncio.create_task(store.inbox.add(make.command())) for _ in range(2))
    await asyncio.sleep(0)
    gives_up.cancel()
    assert await stays is True


async def test_a_deleted_folder_refuses_requests(tmp_path, make):
    store = Store(Database(f"sqlite+aiosqlite:///{tmp_path / 'gone' / 'flokit.db'}"), owner="here")
    try:
        with pytest.raises(StoreUnavailable):
            await store.inbox.add(make.command())
    finally:
        await store.close()


async def test_a_locked_file_refuses_requests_in_time(sqlite_url, sqlite_store, make):
    """Slack is still waiting; requests that are queued behind it are refused in time, too."""
    with contextlib.closing(sqlite3.connect(Database(sqlite_url).file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        first = asyncio.create_task(sqlite_store.inbox.add(make.command()))
        for _ in range(3):  # until it is being written
            await asyncio.sleep(0)
        results = await asyncio.gather(first, sqlite_store.inbox.add(make.command()), return_exceptions=True)
    assert [type(one) for one in results] == [StoreUnavailable, StoreUnavailable]
    assert time.monotonic() - began < 1.9


async def test_a_deleted_file_refuses_requests(sqlite_url, sqlite_store, make):
    """They'd be lost when the process stops."""
    await sqlite_store.inbox.add(make.command())
    Database(sqlite_url).file.unlink()
    with pytest.raises(StoreUnavailable, match="deleted"):
        await sqlite_store.inbox.add(make.command())


async def test_a_replaced_file_refuses_requests(sqlite_url, sqlite_store, make):
    """The open file is the old one, which no restart will read."""
    await sqlite_store.inbox.add(make.command())
    file = Database(sqlite_url).file
    copy = shutil.copy(file, file.with_name("copy.db"))
    shutil.move(copy, file)
    with pytest.raises(StoreUnavailable, match="replaced"):
        await sqlite_store.inbox.add(make.command())
