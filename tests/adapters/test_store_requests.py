"""Requests in the store: saved once, answered once, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from bot.core.errors import ClaimLost
from bot.core.models import Message
from bot.store.bell import Work
from bot.store.outbox_rows import Address
from bot.store.tables import inbox, outbox
from bot.store.tables import panels as panels_table

HERE = Address("T0SANDBOX", "C0DATA", user_id="UANA")
MESSAGE = Message("hello")


async def count(store, table):
    """Return the number of a table's rows."""
    async with store._database.begin() as connection:
        return len((await connection.execute(select(table.c.id))).all())


async def test_a_request_is_saved_once(store, make):
    """A second delivery is recognized, also by another process."""
    request = make.command()
    assert await store.inbox.add(request)
    assert not await store.inbox.add(request)


async def test_a_claimed_request_is_what_was_saved(store, make, clock):
    request = make.command("sync “stripe” \N{PILE OF POO}", response_url="https://hooks.slack.com/x")
    await store.inbox.add(request)
    (claim,) = await store.inbox.claim(clock.now, 5)
    assert claim.request == request
    assert claim.attempts == 1


async def test_a_saved_press_keeps_its_button(store, make, clock):
    request = make.press()
    await store.inbox.add(request)
    (claim,) = await store.inbox.claim(clock.now, 5)
    assert claim.request == request


async def test_two_claimers_never_share_a_request(open_store, make, clock):
    """Even if many claim at the same time."""
    stores = [open_store(name) for name in "abc"]
    for _ in range(6):
        await stores[0].inbox.add(make.command())
    claims = await asyncio.gather(*(store.inbox.claim(clock.now, 3) for store in stores for _ in range(2)))
    taken = [claim.request.id for some in claims for claim in some]
    assert len(taken) == len(set(taken)) == 6


async def test_claims_keep_to_the_limit(store, make, clock):
    """The requests that have waited longest come first."""
    requests = []
    for _ in range(8):
        requests.append(make.command())
        await store.inbox.add(requests[-1])
        clock.advance(1)
    assert {claim.request.id for claim in await store.inbox.claim(clock.now, 3)} == {r.id for r in requests[:3]}


async def test_an_expired_lease_is_taken_over(open_store, make, clock):
    """The attempt is counted."""
    await open_store("a").inbox.add(make.command())
    await open_store("a").inbox.claim(clock.now, 5)
    other = open_store("b")
    assert await other.inbox.claim(clock.advance(9.9), 5) == []
    (claim,) = await other.inbox.claim(clock.advance(0.1), 5)
    assert claim.attempts == 2


async def test_a_renewed_lease_is_not_taken_over(open_store, make, clock):
    """No process renews what another one has taken over."""
    request = make.command()
    holder, other = open_store("a"), open_store("b")
    await holder.inbox.add(request)
    await holder.inbox.claim(clock.now, 5)
    await holder.inbox.renew(request.id, clock.advance(6))
    assert await other.inbox.claim(clock.advance(6), 5) == []
    assert await other.inbox.claim(clock.advance(4), 5)
    await holder.inbox.renew(request.id, clock.advance(6))
    assert await holder.inbox.claim(clock.advance(4), 5)


async def test_claims_before_a_renewal_do_not_count(open_store, make, clock):
    """Whatever ended them: it isn't the request's fault, because it's still being answered."""
    request = make.command()
    store = open_store("a")
    await store.inbox.add(request)
    for _ in range(3):
        (claim,) = await store.inbox.claim(clock.advance(10), 5)
    assert claim.attempts == 3
    await store.inbox.renew(request.id, clock.now)
    (claim,) = await store.inbox.claim(clock.advance(10), 5)
    assert claim.attempts == 2


async def test_a_process_does_not_release_what_another_took_over(open_store, make, clock):
    request = make.command()
    first, other = open_store("a"), open_store("b")
    await first.inbox.add(request)
    await first.inbox.claim(clock.now, 5)
    await other.inbox.claim(clock.advance(10), 5)
    await first.inbox.retry(request.id, clock.now)
    assert await first.inbox.claim(clock.now, 5) == []


async def test_a_finished_request_is_not_claimed_again(store, make, clock):
    """A late redelivery is still recognized."""
    request = make.command()
    await store.inbox.add(request)
    await store.inbox.claim(clock.now, 5)
    await store.inbox.finish(request.id)
    assert await store.inbox.claim(clock.advance(3600), 5) == []
    assert not await store.inbox.add(request)
    assert await store.inbox.next_at() is None


async def test_a_retried_request_waits(store, make, clock):
    """Until the given time."""
    request = make.command()
    await store.inbox.add(request)
    await store.inbox.claim(clock.now, 5)
    due_at = clock.now.replace(second=30)
    await store.inbox.retry(request.id, due_at)
    assert await store.inbox.next_at() == due_at
    assert await store.inbox.claim(clock.advance(29), 5) == []
    assert len(await store.inbox.claim(clock.advance(1), 5)) == 1


async def test_a_finished_request_cannot_be_retried(store, make, clock):
    """Another process finished it in the meantime."""
    request = make.command()
    await store.inbox.add(request)
    await store.inbox.finish(request.id)
    await store.inbox.retry(request.id, clock.now)
    assert await store.inbox.claim(clock.now, 5) == []


async def test_a_frozen_process_answers_nothing(open_store, make, clock):
    """Of two processes that hold one request, only one answers it."""
    frozen, other = open_store("a"), open_store("b")
    request = make.command()
    await frozen.inbox.add(request)
    await frozen.inbox.claim(clock.now, 1)
    await other.inbox.claim(clock.advance(11), 1)
    await other.outbox.add_note(request, MESSAGE, HERE, clock.now)
    with pytest.raises(ClaimLost):
        await frozen.outbox.add_note(request, MESSAGE, HERE, clock.now)
    with pytest.raises(ClaimLost):
        await frozen.panels.add(request, make.panel(), HERE, clock.now)
    assert await count(other, outbox) == 1
    assert await count(other, panels_table) == 0


async def test_a_frozen_process_starts_nothing(open_store, make, clock, click):
    """Another process did the typed sync in the meantime."""
    frozen, other = open_store("a"), open_store("b")
    request = make.command("sync stripe")
    await frozen.inbox.add(request)
    await frozen.inbox.claim(clock.now, 1)
    await other.inbox.claim(clock.advance(11), 1)
    assert await click(other, make, request, root=make.panel())
    before = await count(other, outbox)
    with pytest.raises(ClaimLost):
        await click(frozen, make, request, root=make.panel())
    assert await count(other, outbox) == before


async def test_one_of_two_concurrent_answers_is_saved(open_store, make, clock):
    stores = [open_store(name) for name in "ab"]
    request = make.command()
    await stores[0].inbox.add(request)
    results = await asyncio.gather(
        *(store.outbox.add_note(request, MESSAGE, HERE, clock.now) for store in stores for _ in range(3)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["ClaimLost"] * 5 + ["NoneType"]
    assert await count(stores[0], outbox) == 1


async def test_a_saved_request_wakes_the_loop(store, make, clock):
    """A redelivery doesn't."""
    request = make.command()
    await store.inbox.add(request)
    bell = store._database.bells[Work.REQUESTS]
    assert bell.is_rung
    await bell.wait(0, clock)
    await store.inbox.add(request)
    assert not bell.is_rung


async def test_the_next_request_counts_leases(store, make, clock):
    """A leased request can be claimed when its lease expires."""
    assert await store.inbox.next_at() is None
    await store.inbox.add(make.command())
    assert await store.inbox.next_at() == clock.now
    await store.inbox.claim(clock.now, 1)
    assert (await store.inbox.next_at() - clock.now).total_seconds() == 10


async def test_an_answered_request_holds_no_text(store, make, clock):
    request = make.command("a secret")
    await store.inbox.add(request)
    await store.outbox.add_note(request, MESSAGE, HERE, clock.now)
    async with store._database.begin() as connection:
        assert (await connection.execute(select(inbox.c.data))).scalar() is None
