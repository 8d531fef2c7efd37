"""Cooldown and quota: checked in the transaction that opens the run, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bot.core.access.audit import AuditFilter, Ruling
from bot.core.models import Outcome
from bot.core.runs.limits import Held, Limit, Limits
from bot.store.audit import Audit
from bot.store.runs import Opened
from tests.adapters.conftest import TEAM, start

COOLDOWN = Limits(cooldown_s=60)
TWO = Limits(quota_per_hour=2)


async def end(store, make, opened, outcome=Outcome.SUCCEEDED):
    """End a run at the clock's time."""
    [claim] = [one for one in await store.runs.claim(make.clock.now, 10) if one.run.id == opened.run.id]
    await store.runs.save(claim, make.ended(opened.run, outcome), make.clock.now)


async def test_a_sync_within_the_cooldown_is_blocked(store, make, clock, click):
    """Nothing is opened or written, and the request still waits for its answer."""
    await end(store, make, await click(store, make))
    clock.advance(10)
    request = make.press("UBEN", response_url="https://hooks.example/1")
    held = await click(store, make, request, limits=COOLDOWN)
    assert (held, await store.runs.active(TEAM)) == (Held(Limit.COOLDOWN, clock.now + timedelta(seconds=50)), [])
    assert request.id in [claim.request.id for claim in await store.inbox.claim(clock.now, 10)]
    page = await Audit(store._database, TEAM).page(AuditFilter(), number=0, size=1)
    assert page.entries[0].decision is Ruling.ALLOWED

    clock.advance(50)
    assert isinstance(await click(store, make, limits=COOLDOWN), Opened)


async def test_a_failure_has_no_cooldown(store, make, click):
    await end(store, make, await click(store, make), Outcome.FAILED)
    assert isinstance(await click(store, make, limits=COOLDOWN), Opened)


async def test_joining_is_never_limited(store, make, click):
    """Even if the quota is used up; it doesn't count."""
    await click(store, make, make.press("UBEN"), integration="int_9")
    assert (await click(store, make, integration="int_9", limits=TWO)).joined  # at the moment of its start
    for integration in ("int_1", "int_2"):
        await click(store, make, integration=integration, limits=TWO)
    assert (await click(store, make, integration="int_3", limits=TWO)).by is Limit.QUOTA
    assert (await click(store, make, integration="int_9", limits=TWO)).joined
    assert isinstance(await click(store, make, make.press("UBEN"), integration="int_4", limits=TWO), Opened)


async def test_an_override_starts_and_is_audited(store, make, click):
    await end(store, make, await click(store, make))
    opened = await click(store, make, limits=COOLDOWN, override=True, action="sync_anyway")
    page = await Audit(store._database, TEAM).page(AuditFilter(), number=0, size=1)
    [entry] = page.entries
    assert (entry.decision, entry.rule, entry.run_id) == (Ruling.OVERRIDDEN, "cooldown", opened.run.id)


async def test_two_replicas_cannot_exceed_a_quota_together(open_store, make):
    """Of ten concurrent starts by one person through two stores, two are opened."""
    stores = [open_store("a"), open_store("b")]
    results = await asyncio.gather(
        *(start(stores[index % 2], make, integration=f"int_{index}", limits=TWO) for index in range(10))
    )
    assert len([one for one in results if isinstance(one, Opened)]) == 2
    assert len([one for one in results if isinstance(one, Held)]) == 8
