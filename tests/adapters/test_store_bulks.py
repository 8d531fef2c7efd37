"""Several syncs of one click in the store: started once, joined, paced, and shown by one message; on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from bot.core.bulks import AT_ONCE, EVERY, Obstacle
from bot.core.models import Outcome, Phase
from bot.core.runs.limits import Limits
from bot.store.database import Database
from bot.store.erasure import ERASED
from bot.store.outbox_rows import EDIT_EVERY_S, OutboxKind
from bot.store.retention import Retention
from bot.store.tables import audit, bulks, outbox, runs, threads
from tests.adapters.conftest import TEAM, wanted_bulk


async def rows(store, table, *where):
    """Return a table."""
    async with store._database.begin() as connection:
        return (await connection.execute(select(table).where(*where))).all()


async def begin(store, make, **wanted):
    """Start several syncs; return what was started."""
    return await store.bulks.start(wanted_bulk(make, **wanted), make.clock.now)


async def test_each_is_a_run_with_a_thread_below_one_message(store, make):
    started = await begin(store, make, ids=("int_1", "int_2", "int_3"))
    assert [one.integration_id for one in started.members] == ["int_1", "int_2", "int_3"]
    assert {row.id for row in await rows(store, runs)} == {one.run_id for one in started.members}
    [message] = await rows(store, outbox)
    assert message.kind == OutboxKind.BULK
    assert {row.panel_id for row in await rows(store, threads)} == {message.panel_id}
    assert Counter(row.action for row in await rows(store, audit)) == {"sync_several": 1, "sync": 3}
    panel, shown = await store.panels.load_view(message.panel_id)
    assert panel.bulk.members == started.members
    assert {id_: row_run.run.id for id_, row_run in shown.items()} == {
        one.integration_id: one.run_id for one in started.members
    }


async def test_a_button_starts_each_once(store, make):
    """A second click starts nothing; another button joins."""
    first = await begin(store, make)
    assert (await begin(store, make)).was_started
    more = await begin(store, make, ids=("int_2", "int_3"))
    assert [one.integration_id for one in more.members] == ["int_3"]
    other = await begin(store, make, source_id="pnl_other")
    assert [(one.run_id, one.joined) for one in other.members] == [(one.run_id, True) for one in first.members]
    assert len(await rows(store, runs)) == 3
    assert await store.bulks.started(TEAM, "pnl_other") == ["int_1", "int_2"]
    assert await store.bulks.started("T2", "pnl_other") == []


async def test_two_replicas_start_one(open_store, make, patient_sqlite):
    """Two clicks on the same button at the same moment, and single clicks beside them."""
    stores = [open_store(name) for name in ("a", "b", "c", "d")]
    started = await asyncio.gather(*(begin(store, make, ids=("int_1", "int_2", "int_3")) for store in stores))
    assert sorted(len(one.members) for one in started) == [0, 0, 0, 3]
    assert len(await rows(stores[0], runs)) == 3
    assert len(await rows(stores[0], outbox)) == 1


async def test_bulks_and_clicks_at_once_are_one_run_each(open_store, make, click, patient_sqlite):
    """Whoever comes first opens a run; all others join it, in any order."""
    stores = [open_store(name) for name in ("a", "b", "c", "d")]
    ids = ("int_1", "int_2", "int_3")
    await asyncio.gather(
        *(
            begin(store, make, ids=ids[::-1] if place % 2 else ids, source_id=f"pnl_{place}")
            for place, store in enumerate(stores)
        ),
        *(click(store, make, integration=id_) for store, id_ in zip(stores, ids, strict=False)),
    )
    assert Counter(row.integration_id for row in await rows(stores[0], runs)) == dict.fromkeys(ids, 1)
    assert len(await rows(stores[0], threads)) == 4 * 3 + 3


async def test_they_start_one_after_the_other(store, make, clock):
    """The first few start at once; the others wait, and leave the budget to clicks."""
    ids = [f"int_{number:02}" for number in range(AT_ONCE + 3)]
    await begin(store, make, ids=ids)
    due = {row.integration_id: row.due_at - clock.now for row in await rows(store, runs)}
    assert [due[id_] for id_ in ids] == [timedelta()] * AT_ONCE + [EVERY, 2 * EVERY, 3 * EVERY]
    claimed = await store.runs.claim(clock.now, 99)
    assert len(claimed) == AT_ONCE
    assert all(claim.run.is_patient for claim in claimed)


async def test_a_click_on_one_that_waits_starts_it_now(store, make, clock, click):
    ids = [f"int_{number:02}" for number in range(AT_ONCE + 3)]
    await begin(store, make, ids=ids)
    await store.runs.claim(clock.now, 99)
    assert (await click(store, make, integration=ids[-1])).joined
    [claim] = await store.runs.claim(clock.now, 99)
    assert claim.run.integration_id == ids[-1]
    assert not claim.run.is_patient
    assert claim.run.bulk_id


async def test_the_message_is_edited_at_intervals(store, make, clock):
    """What one of them does is shown, at most every few seconds; outcomes are replies that wait for the message."""
    await begin(store, make)
    [item] = await store.outbox.claim(clock.now, 9)
    await store.outbox.mark_posted(item, "C0DATA", "5.000001", clock.now)
    for claim in await store.runs.claim(clock.now, 9):
        await store.runs.save(claim, make.watching(claim.run, in_s=0, tell=("progress",)), clock.now)
    assert await store.outbox.claim(clock.now, 9) == []
    clock.advance(EDIT_EVERY_S)
    [edit] = await store.outbox.claim(clock.now, 9)
    assert (edit.kind, edit.ts) == (OutboxKind.BULK, "5.000001")
    await store.outbox.mark_shown(edit, clock.now)
    for claim in await store.runs.claim(clock.now, 9):
        await store.runs.save(claim, make.ended(claim.run), clock.now)
    replies = await store.outbox.claim(clock.now, 9)
    assert [one.kind for one in replies] == [OutboxKind.OUTCOME] * 2
    assert {one.thread_ts for one in replies} == {"5.000001"}


async def test_limits_hold_some_back(store, make, clock, click):
    """A cooldown after a success, and a quota for the whole click; joining is never limited."""
    limits = Limits(cooldown_s=600, quota_per_hour=3)
    opened = await click(store, make, make.press("UBEN"), "int_1")
    [claim] = await store.runs.claim(clock.now, 1)
    await store.runs.save(claim, make.ended(opened.run), clock.now)
    await click(store, make, make.press("UBEN"), "int_2")
    ids = ("int_1", "int_2", "int_3", "int_4", "int_5", "int_6")
    met = await store.bulks.would_meet(make.origin(), ids, limits, clock.now)
    started = await begin(store, make, ids=ids, limits=limits)
    assert met.running == {"int_2"}
    assert [(one.integration_id, one.joined) for one in started.members] == [
        ("int_2", True),
        ("int_3", False),
        ("int_4", False),
        ("int_5", False),
    ]
    assert {one.integration_id: one.why for one in started.left_out} == {
        "int_1": Obstacle.COOLDOWN,
        "int_6": Obstacle.QUOTA,
    }
    assert set(met.held) == {"int_1", "int_6"}
    held = await begin(store, make, ids=("int_1",), limits=limits, source_id="pnl_held")
    assert (held.members, held.was_started) == ((), False)
    assert await rows(store, bulks, bulks.c.source_id == "pnl_held") == []


async def test_a_later_success_repairs_what_failed(store, make, clock, click):
    """The message knows of it, so that a retry leaves it out."""
    started = await begin(store, make)
    [message] = await rows(store, outbox)
    clock.advance(1)
    for claim in await store.runs.claim(clock.now, 9):
        await store.runs.save(claim, make.ended(claim.run, Outcome.FAILED), clock.now)
    clock.advance(1)
    again = await click(store, make, integration="int_1")
    [claim] = await store.runs.claim(clock.now, 9)
    clock.advance(1)
    await store.runs.save(claim, make.ended(again.run), clock.now)
    panel, shown = await store.panels.load_view(message.panel_id)
    assert panel.bulk.repaired == ("int_1",)
    assert [shown[one.integration_id].run.id for one in started.members] == [one.run_id for one in started.members]
    assert panel.bulk.can_retry((id_, one.run.outcome) for id_, one in shown.items()) == ("int_2",)


async def test_a_new_run_ends_the_late_watch_of_an_earlier_one(store, make, clock, click):
    opened = await click(store, make)
    [claim] = await store.runs.claim(clock.now, 1)
    await store.runs.save(claim, make.ended(opened.run, Outcome.NOT_CONFIRMED), clock.now)
    await begin(store, make)
    late = await store.runs.load(TEAM, opened.run.id)
    assert late.phase is Phase.DONE


async def test_what_was_started_is_purged_and_erased(store, make, clock, database_url):
    await begin(store, make)
    assert bulks in ERASED
    database = Database(database_url)
    await Retention(database).purge(clock.now)
    assert len(await rows(store, bulks)) == 2
    await Retention(database).purge(clock.advance(1))
    assert await rows(store, bulks) == []
    await database.close()


async def test_a_retry_has_a_rule_of_its_own(store, make):
    """The audit names the rule that allowed each sync."""
    wanted = replace(wanted_bulk(make), rules={"int_1": "the crew may", "int_2": "everyone may"})
    await store.bulks.start(wanted, make.clock.now)
    found = {row.integration_id: row.rule for row in await rows(store, audit, audit.c.action == "sync")}
    assert found == {"int_1": "the crew may", "int_2": "everyone may"}
