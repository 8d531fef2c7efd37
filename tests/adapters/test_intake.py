"""The intake on both databases: requests of one moment are saved together, each for itself."""

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


async def test_requests_of_one_moment_are_all_saved(store, make):
    """Fifty that come at once are fifty to answer."""
    requests = [make.command() for _ in range(50)]
    assert await asyncio.gather(*(store.inbox.add(one) for one in requests)) == [True] * 50
    claimed = await store.inbox.claim(make.clock.now, 100)
    assert {claim.request for claim in claimed} == set(requests)


async def test_a_delivery_that_comes_twice_at_once_counts_once(store, make):
    """One of them is new, the other is a repetition."""
    request = make.command()
    assert sorted(await asyncio.gather(store.inbox.add(request), store.inbox.add(request))) == [False, True]


async def test_a_request_that_cannot_be_saved_takes_no_other_with_it(store, make):
    """What the database refuses is refused alone."""
    broken = replace(make.command(), id=None)
    fine = make.command()
    told = await asyncio.gather(store.inbox.add(broken), store.inbox.add(fine), return_exceptions=True)
    assert isinstance(told[0], Exception)
    assert told[1] is True


async def test_one_that_gives_up_waiting_leaves_the_others_alone(store, make):
    """A cancelled listener does not cancel the transaction that it shares."""
    gives_up, stays = (asyncio.create_task(store.inbox.add(make.command())) for _ in range(2))
    await asyncio.sleep(0)
    gives_up.cancel()
    assert await stays is True


async def test_a_closed_file_saves_nothing_and_says_so(tmp_path, make):
    """A folder that is gone is no database."""
    store = Store(Database(f"sqlite+aiosqlite:///{tmp_path / 'gone' / 'flokit.db'}"), owner="here")
    try:
        with pytest.raises(StoreUnavailable):
            await store.inbox.add(make.command())
    finally:
        await store.close()


async def test_a_file_that_another_process_locks_refuses_in_time(sqlite_url, sqlite_store, make):
    """Whoever comes while another process writes hears so while Slack still waits, and so do those behind."""
    with contextlib.closing(sqlite3.connect(Database(sqlite_url).file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        first = asyncio.create_task(sqlite_store.inbox.add(make.command()))
        for _ in range(3):  # until it is being written
            await asyncio.sleep(0)
        told = await asyncio.gather(first, sqlite_store.inbox.add(make.command()), return_exceptions=True)
    assert [type(one) for one in told] == [StoreUnavailable, StoreUnavailable]
    assert time.monotonic() - began < 1.9


async def test_a_file_that_was_deleted_takes_no_more_requests(sqlite_url, sqlite_store, make):
    """What is written to a deleted file is lost with the process: nobody is told that it is saved."""
    await sqlite_store.inbox.add(make.command())
    Database(sqlite_url).file.unlink()
    with pytest.raises(StoreUnavailable, match="deleted"):
        await sqlite_store.inbox.add(make.command())


async def test_a_file_that_was_replaced_takes_no_more_requests(sqlite_url, sqlite_store, make):
    """A copy that was moved into its place is another file: what is open is the old one, which no start will read."""
    await sqlite_store.inbox.add(make.command())
    file = Database(sqlite_url).file
    copy = shutil.copy(file, file.with_name("copy.db"))
    shutil.move(copy, file)
    with pytest.raises(StoreUnavailable, match="replaced"):
        await sqlite_store.inbox.add(make.command())
