"""Runs in the store: one active run per integration, fenced claims, an outcome in every thread; on both databases."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.core.commands.presses import Action, Press
from bot.core.errors import ClaimLost
from bot.core.models import Decision, Outcome, Person, Phase, Status, SyncRun
from bot.core.requests import RequestKind
from bot.store import codec
from bot.store.outbox_rows import Address, OutboxKind
from bot.store.runs import Kept, Opened
from bot.store.tables import audit, outbox, participants, runs, threads
from tests.adapters.conftest import TEAM


async def rows(store, table, *where):
    """Return a table."""
    async with store._database.begin() as connection:
        return (await connection.execute(select(table).where(*where))).all()


async def kinds(store, run_id):
    """Count a run's messages by kind."""
    return Counter(row.kind for row in await rows(store, outbox, outbox.c.run_id == run_id))


def keep_press(make, run_id):
    """Click Keep watching."""
    request = make.press()
    return replace(request, kind=RequestKind.PRESS, press=Press(Action.KEEP_WATCHING, run_id=run_id))


# --- opening and joining ---------------------------------------------------------------------------------------


async def test_a_click_opens_a_run(store, make, clock, click):
    """It's due immediately, with its starter and its thread."""
    opened = await click(store, make)
    assert not opened.joined
    assert opened.told_here
    assert opened.run.requested_by == Person("UANA", "uana")
    assert await store.runs.next_at() == clock.now
    (thread,) = await rows(store, threads)
    assert (thread.channel_id, thread.thread_ts) == ("C0DATA", "100.000001")
    assert await kinds(store, opened.run.id) == {OutboxKind.PROGRESS: 1}


async def test_a_second_click_in_the_thread_joins_silently(store, make, click):
    """Nothing more is posted there."""
    first = await click(store, make)
    second = await click(store, make, make.press("UBEN"))
    assert second.joined
    assert not second.told_here
    assert second.run == first.run
    assert await kinds(store, first.run.id) == {OutboxKind.PROGRESS: 1}
    assert {row.user_id for row in await rows(store, participants)} == {"UANA", "UBEN"}


async def test_a_click_in_another_thread_joins_the_run(store, make, click):
    """That thread gets the outcome, too."""
    first = await click(store, make)
    second = await click(store, make, make.press("UBEN", message_ts="200.000002"))
    assert second.joined
    assert second.told_here
    assert await kinds(store, first.run.id) == {OutboxKind.PROGRESS: 2}
    assert [row.joined for row in await rows(store, threads)] == [False, True]


async def test_the_same_person_is_one_participant(store, make, click):
    """Someone who clicks twice is named once, as the starter."""
    first = await click(store, make)
    await click(store, make)
    assert len(await rows(store, participants)) == 1
    (item,) = await store.outbox.claim(make.clock.now, 5)
    view = await store.outbox.load_progress(item)
    assert view.joined_by == ()
    assert view.run == first.run


async def test_joiners_are_named_in_order(store, make, clock, click):
    await click(store, make)
    for user in ("UCLEO", "UBEN"):
        clock.advance(1)
        await click(store, make, make.press(user))
    (item,) = await store.outbox.claim(clock.now, 5)
    assert [person.id for person in (await store.outbox.load_progress(item)).joined_by] == ["UCLEO", "UBEN"]


async def test_every_click_is_audited(store, make, click):
    """With who did what, and the result."""
    first = await click(store, make)
    await click(store, make, make.press("UBEN"), action="try_again")
    entries = [(row.user_id, row.action, row.result, row.run_id) for row in await rows(store, audit)]
    assert entries == [
        ("UANA", "resync", "started", first.run.id),
        ("UBEN", "try_again", "joined", first.run.id),
    ]


async def test_a_redelivered_click_is_ignored(store, make, click):
    """The same trigger_id twice is one click: no join, no audit entry."""
    request = make.press()
    await click(store, make, request)
    assert not await store.inbox.add(request)
    with pytest.raises(ClaimLost):
        await click(store, make, request)
    assert len(await rows(store, audit)) == 1


async def test_concurrent_redeliveries_are_one_click(open_store, make, click):
    """One trigger_id reaches several processes at the same time."""
    stores = [open_store(name) for name in "abcd"]
    request = make.press()
    opened = await asyncio.gather(*(click(store, make, request) for store in stores), return_exceptions=True)
    assert Counter(type(one) for one in opened) == {Opened: 1, ClaimLost: 3}
    assert len(await rows(stores[0], audit)) == 1


@pytest.mark.usefixtures("patient_sqlite")
async def test_twenty_clicks_at_once_start_one_run(open_store, make, click):
    """Through several processes; every thread gets its outcome once."""
    stores = [open_store(f"owner{n}") for n in range(4)]
    requests = [make.press(f"U{n}", message_ts=f"{100 + n % 10}.000001") for n in range(20)]
    opened = await asyncio.gather(*(click(stores[n % 4], make, request) for n, request in enumerate(requests)))
    assert Counter(one.joined for one in opened) == {False: 1, True: 19}
    (run_id,) = {one.run.id for one in opened}
    assert await kinds(stores[0], run_id) == {OutboxKind.PROGRESS: 10}
    assert sum(one.told_here for one in opened) == 10
    assert len(await rows(stores[0], participants)) == 20
    assert len(await rows(stores[0], audit)) == 20


async def test_runs_of_other_integrations_and_teams_are_not_joined(store, make, click):
    first = await click(store, make)
    other = await click(store, make, integration="int_2")
    press = make.press()
    foreign = await click(store, make, replace(press, origin=replace(press.origin, team_id="T2")))
    assert len({first.run.id, other.run.id, foreign.run.id}) == 3


async def test_a_canceled_click_leaves_all_or_nothing(store, make, click):
    """Wherever it's canceled; and the store still works."""
    for steps in range(1, 60, 3):
        task = asyncio.create_task(click(store, make, integration=f"int_{steps}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    opened = await click(store, make, integration="int_last")
    assert opened
    saved = {row.id for row in await rows(store, runs)}
    assert {row.run_id for row in await rows(store, audit)} == saved
    assert {row.run_id for row in await rows(store, threads)} == saved
    assert {row.run_id for row in await rows(store, outbox)} == saved


# --- threads that get one outcome ------------------------------------------------------------------------------


async def test_a_click_on_an_ephemeral_message_is_followed_in_dms(store, make, click):
    """It gets a root there."""
    root = make.panel()
    opened = await click(store, make, make.press(ephemeral=True), root=root)
    panel = next(row for row in await rows(store, outbox) if row.kind == OutboxKind.PANEL)
    assert (panel.channel_id, panel.user_id, panel.ephemeral) == (None, "UANA", False)
    again = await click(store, make, make.press(ephemeral=True), root=make.panel())
    assert again.joined
    assert not again.told_here
    assert await kinds(store, opened.run.id) == {OutboxKind.PROGRESS: 1}


async def test_a_click_on_a_posted_root_adds_no_second_thread(store, make, clock, click):
    """It's the root of a ``/flokit sync``."""
    opened = await click(store, make, make.command("sync stripe"), root=make.panel())
    (root,) = await store.outbox.claim(clock.now, 5)
    await store.outbox.mark_posted(root, "C0DATA", "300.000003", clock.now)
    second = await click(store, make, make.press("UBEN", message_ts="300.000003"))
    third = await click(store, make, make.press("UCLEO", message_ts="301.0", thread_ts="300.000003"))
    assert not second.told_here
    assert not third.told_here
    assert await kinds(store, opened.run.id) == {OutboxKind.PROGRESS: 1}


async def test_a_click_on_a_root_that_is_not_recorded_yet_adds_no_second_thread(store, make, clock, click):
    """Slack shows the message before the bot has saved its ``ts``."""
    opened = await click(store, make, make.command("sync stripe"), root=make.panel())
    (root,) = await store.outbox.claim(clock.now, 5)
    await click(store, make, make.press("UBEN", message_ts="300.000003"))
    await store.outbox.mark_posted(root, "C0DATA", "300.000003", clock.now)
    (claim,) = await store.runs.claim(clock.now, 5)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert (await kinds(store, opened.run.id))[OutboxKind.OUTCOME] == 1


# --- claims ----------------------------------------------------------------------------------------------------


async def test_claimers_never_share_a_run(open_store, make, clock, click):
    """Even if many processes claim at the same time; no claim exceeds its limit."""
    stores = [open_store(name) for name in "abcd"]
    for n in range(30):
        await click(stores[0], make, integration=f"int_{n}")
    claims = await asyncio.gather(*(store.runs.claim(clock.now, 5) for store in stores for _ in range(2)))
    assert max(len(some) for some in claims) <= 5
    taken = [claim.run.id for some in claims for claim in some]
    assert len(taken) == len(set(taken))


async def watched(store, make, click, *plans, team_id=TEAM):
    """Have runs watched; each plan says in how many seconds it's due, and in how many it can be taken along."""
    run_ids = []
    for n, (due_s, along_s) in enumerate(plans):
        press = make.press(message_ts=f"{n + 1}.0")
        press = replace(press, origin=replace(press.origin, team_id=team_id))
        opened = await click(store, make, press, integration=f"int_{n}")
        (claim,) = [one for one in await store.runs.claim(make.clock.now, 50) if one.run.id == opened.run.id]
        await store.runs.save(claim, make.watching(claim.run, in_s=due_s, along_s=along_s), make.clock.now)
        run_ids.append(opened.run.id)
    return run_ids


async def claimed(store, now, limit=5):
    """Claim, and return which runs."""
    return [claim.run.id for claim in await store.runs.claim(now, limit)]


async def test_a_claim_takes_along_runs_of_its_workspace(store, make, clock, click):
    """Those whose time is near, in spite of the limit; no others."""
    due, near, too_early, alone = await watched(store, make, click, (10, 5), (19, 10), (21, 11), (12, None))
    await watched(store, make, click, (19, 10), team_id="TOTHER")
    assert await claimed(store, clock.advance(10), limit=1) == [due, near]
    assert await claimed(store, clock.advance(2)) == [alone, too_early]


async def test_without_a_due_run_none_is_taken_along(store, make, clock, click):
    await watched(store, make, click, (10, 2), (12, 2))
    assert await claimed(store, clock.advance(9)) == []
    assert await store.runs.next_at() == clock.now + timedelta(seconds=1)


async def test_a_click_takes_no_run_along(store, make, clock, click):
    """The check before a POST is for one integration."""
    await watched(store, make, click, (20, 2))
    opened = await click(store, make, make.press(message_ts="9.0"), integration="int_9")
    assert await claimed(store, clock.advance(5)) == [opened.run.id]


async def test_claimed_and_finished_runs_are_not_taken_along(open_store, make, clock, click):
    store, other = open_store("a"), open_store("b")
    held, ended, due = await watched(store, make, click, (1, 1), (2, None), (4, 4))
    assert await claimed(other, clock.advance(1)) == [held]
    (claim,) = await store.runs.claim(clock.advance(1), 5)
    assert claim.run.id == ended
    await store.runs.save(claim, replace(make.ended(claim.run), along_at=clock.now), clock.now)
    assert await claimed(store, clock.advance(2)) == [due]


async def save_all(store, decisions, now):
    """Save decisions at the same time, and return which were refused."""
    ends = await asyncio.gather(
        *(store.runs.save(claim, decision, now) for claim, decision in decisions), return_exceptions=True
    )
    return [type(end) for end in ends if isinstance(end, BaseException)]


async def test_a_lost_claim_affects_only_its_run(open_store, make, clock, click):
    """The other decisions that are saved with it are kept."""
    store, other = open_store("a"), open_store("b")
    run_ids = await watched(store, make, click, (4, 1), (4, 1), (4, 1))
    claims = sorted(await store.runs.claim(clock.advance(4), 5), key=lambda claim: run_ids.index(claim.run.id))
    await other.runs.save(claims[1], make.watching(claims[1].run), clock.now)
    decisions = [(claim, make.ended(claim.run)) for claim in claims]
    assert await save_all(store, decisions, clock.now) == [ClaimLost]
    assert [(await kinds(store, run_id))[OutboxKind.OUTCOME] for run_id in run_ids] == [1, 0, 1]


async def test_a_refused_decision_does_not_affect_the_others(store, make, clock, click):
    run_ids = await watched(store, make, click, (4, 1), (4, 1))
    broken, fine = await store.runs.claim(clock.advance(4), 5)
    decisions = [(broken, replace(make.ended(broken.run), next_look_at="soon")), (fine, make.ended(fine.run))]
    assert len(await save_all(store, decisions, clock.now)) == 1
    assert [(await kinds(store, run_id))[OutboxKind.OUTCOME] for run_id in run_ids] == [0, 1]


async def test_fifty_decisions_at_once_are_all_saved(store, make, clock, click):
    """They take several transactions."""
    run_ids = await watched(store, make, click, *[(4, 1)] * 50)
    claims = await store.runs.claim(clock.advance(4), 1)
    assert await save_all(store, [(claim, make.ended(claim.run)) for claim in claims], clock.now) == []
    assert [await kinds(store, run_id) for run_id in run_ids] == [{OutboxKind.OUTCOME: 1}] * 50


async def test_an_expired_claim_is_taken_over(open_store, make, clock, click):
    """Another process continues, and the earlier holder writes nothing more."""
    frozen, other = open_store("a"), open_store("b")
    await click(frozen, make)
    (old,) = await frozen.runs.claim(clock.now, 5)
    assert await other.runs.claim(clock.advance(9.9), 5) == []
    (new,) = await other.runs.claim(clock.advance(0.1), 5)
    before = [*await rows(other, runs), *await rows(other, outbox)]
    with pytest.raises(ClaimLost):
        await frozen.runs.save(old, make.ended(old.run), clock.now)
    assert [*await rows(other, runs), *await rows(other, outbox)] == before
    await other.runs.save(new, make.ended(new.run), clock.now)
    assert await kinds(other, new.run.id) == {OutboxKind.OUTCOME: 1}


async def test_a_kept_claim_continues(open_store, make, clock, click):
    """``keep_claim`` renews the lease, and only the newest version of the claim can save."""
    store, other = open_store("a"), open_store("b")
    await click(store, make)
    (first,) = await store.runs.claim(clock.now, 5)
    clock.advance(8)
    second = await store.runs.save(first, Decision(first.run, clock.now), clock.now, keep_claim=True)
    assert second.lease_until == clock.now + timedelta(seconds=10)
    assert await other.runs.claim(clock.advance(9), 5) == []
    with pytest.raises(ClaimLost):
        await store.runs.save(first, make.watching(first.run), clock.now)
    await store.runs.save(second, make.watching(second.run), clock.now)


async def test_a_saved_run_waits_for_its_next_check(store, make, clock, click):
    """It isn't claimed meanwhile, and is due when the decision said; after its end, never."""
    await click(store, make)
    (claim,) = await store.runs.claim(clock.now, 5)
    await store.runs.save(claim, make.watching(claim.run, in_s=7), clock.now)
    assert await store.runs.next_at() == clock.now + timedelta(seconds=7)
    assert await store.runs.claim(clock.advance(6.9), 5) == []
    (claim,) = await store.runs.claim(clock.advance(0.1), 5)
    assert claim.run.phase is Phase.WATCHING
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert await store.runs.next_at() is None


async def test_leases_count_in_the_next_time(store, make, clock, click):
    """A claimed run can be claimed when its lease expires."""
    await click(store, make)
    await store.runs.claim(clock.advance(3), 5)
    assert await store.runs.next_at() == clock.now + timedelta(seconds=10)


async def test_release_gives_back_only_its_own(open_store, make, clock, click):
    """A stopping process releases everything that it holds, and nothing that others hold."""
    store, other = open_store("a"), open_store("b")
    await click(store, make, integration="int_1")
    await click(store, make, make.press(message_ts="2.0"), integration="int_2")
    await store.inbox.add(make.command())
    (mine,) = await store.runs.claim(clock.now, 1)
    (theirs,) = await other.runs.claim(clock.now, 1)
    await store.inbox.claim(clock.now, 5)
    messages = await store.outbox.claim(clock.now, 5)
    await store.release()
    assert [claim.run.id for claim in await other.runs.claim(clock.now, 5)] == [mine.run.id]
    assert len(await other.inbox.claim(clock.now, 5)) == 1
    assert {item.id for item in await other.outbox.claim(clock.now, 5)} == {item.id for item in messages}
    assert theirs.run.id != mine.run.id


async def test_every_field_of_a_run_is_saved(store, make, clock, click):
    await click(store, make)
    (claim,) = await store.runs.claim(clock.now, 5)
    seen = replace(make.integration(), status=Status.SYNCING, last_synced_at=clock.now)
    changed = replace(
        claim.run,
        phase=Phase.WATCHING,
        baseline=make.integration(),
        clock_offset_s=-0.25,
        attempts=2,
        attempted_at=clock.now,
        accepted_at=clock.now + timedelta(microseconds=1),
        posted_vendor_at=clock.now,
        sync_id="s-1",
        looks=7,
        last_seen=seen,
        last_seen_at=clock.now,
        syncing_since=clock.now,
        typical_s=12.5,
        reason="né \N{BOMB} \x00",
        reason_words="Prüfung",
    )
    await store.runs.save(claim, Decision(changed, clock.now), clock.now)
    (again,) = await store.runs.claim(clock.now, 5)
    assert again.run == changed


def test_a_run_of_version_0_1_can_be_read(clock):
    """Before FloKit's words had their own fields, they were in the run's reason."""
    run = SyncRun("run_1", TEAM, "int_1", "stripe", clock.now, Person("UANA"), reason="FloKit refused it (409): busy")
    stored = json.loads(codec.dump(run))
    del stored["reason_words"], stored["unreachable_words"]
    assert codec.load(SyncRun, json.dumps(stored)) == run


# --- what a decision posts -------------------------------------------------------------------------------------


async def test_an_outcome_is_queued_for_every_thread(store, make, clock, click):
    """In the transaction that ends the run."""
    first = await click(store, make)
    await click(store, make, make.press("UBEN", message_ts="200.000002"))
    for item in await store.outbox.claim(clock.now, 5):
        await store.outbox.mark_posted(item, item.channel_id, f"9.{item.thread_ts[:3]}", clock.now)
    (claim,) = await store.runs.claim(clock.now, 5)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert await kinds(store, first.run.id) == {OutboxKind.PROGRESS: 2, OutboxKind.OUTCOME: 2}
    outcomes = [item for item in await store.outbox.claim(clock.now, 9) if item.kind is OutboxKind.OUTCOME]
    assert {item.thread_ts for item in outcomes} == {"100.000001", "200.000002"}
    view = await store.outbox.load_outcome(outcomes[0])
    assert view.run.outcome is Outcome.SUCCEEDED
    assert [person.id for person in view.joined_by] == ["UBEN"]


async def test_unposted_progress_is_dropped_at_the_end(store, make, clock, click):
    """A run that ends before its progress was tried needs only its outcome."""
    opened = await click(store, make)
    (claim,) = await store.runs.claim(clock.now, 5)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert await kinds(store, opened.run.id) == {OutboxKind.OUTCOME: 1}


async def test_a_row_is_updated(store, make, clock, click):
    """The panel that was clicked is due again with each decision that changes its row."""
    panel = make.panel()
    request = make.command()
    await store.inbox.add(request)
    await store.panels.add(request, panel, replace(ADDRESS, user_id="UANA"), clock.now)
    (item,) = await store.outbox.claim(clock.now, 5)
    await store.outbox.mark_posted(item, "C0DATA", "100.000001", clock.now)
    opened = await click(store, make, panel_id=panel.id)
    due = {item.kind for item in await store.outbox.claim(clock.now, 5)}
    assert due == {OutboxKind.PANEL, OutboxKind.PROGRESS}
    _, overlay = await store.panels.load_view(panel.id)
    assert overlay["int_1"].run.id == opened.run.id


async def test_a_join_at_the_end_of_a_run_gets_the_outcome_or_a_new_run(open_store, make, clock, click):
    stores = [open_store(name) for name in "abc"]
    for n in range(12):
        integration = f"int_{n}"
        first = await click(stores[0], make, integration=integration)
        (claim,) = await stores[0].runs.claim(clock.now, 5)
        joiner, *_ = await asyncio.gather(
            click(stores[1], make, make.press("UBEN", message_ts="200.000002"), integration=integration),
            stores[0].runs.save(claim, make.ended(claim.run), clock.now),
            stores[2].outbox.claim(clock.now, 5),
        )
        queued = await rows(stores[0], outbox, outbox.c.run_id == first.run.id, outbox.c.kind == OutboxKind.OUTCOME)
        if joiner.joined:
            assert {row.thread_ts for row in queued} == {"100.000001", "200.000002"}
        else:
            assert joiner.run.id != first.run.id
            assert {row.thread_ts for row in queued} == {"100.000001"}
            (claim,) = await stores[0].runs.claim(clock.now, 5)
            await stores[0].runs.save(claim, make.ended(claim.run), clock.now)


async def test_an_outcome_becomes_due_although_its_root_is_being_recorded(open_store, make, clock, click):
    stores = [open_store(name) for name in "ab"]
    for n in range(15):
        opened = await click(stores[0], make, make.command(), integration=f"int_{n}", root=make.panel())
        (claim,) = await stores[0].runs.claim(clock.now, 5)
        due = await stores[1].outbox.claim(clock.now, 50)
        (root,) = [item for item in due if item.kind is OutboxKind.PANEL and item.ts is None]
        await asyncio.gather(
            stores[0].runs.save(claim, make.ended(claim.run), clock.now),
            stores[1].outbox.mark_posted(root, "C0DATA", f"30{n}.000003", clock.now),
        )
        queued = await rows(stores[0], outbox, outbox.c.run_id == opened.run.id, outbox.c.kind == OutboxKind.OUTCOME)
        assert [(row.thread_ts, row.due_at) for row in queued] == [(f"30{n}.000003", clock.now)]


# --- late results ----------------------------------------------------------------------------------------------


async def unconfirmed(store, make, click):
    """Bring a run to its deadline without a result."""
    await click(store, make)
    (claim,) = await store.runs.claim(make.clock.now, 5)
    await store.runs.save(claim, make.ended(claim.run, Outcome.NOT_CONFIRMED), make.clock.now)
    return claim.run


async def test_an_unconfirmed_run_is_checked_later(store, make, clock, click):
    """A run that's not_confirmed stays due, and its late result is a message of its own."""
    run = await unconfirmed(store, make, click)
    (claim,) = await store.runs.claim(clock.advance(300), 5)
    assert claim.run.phase is Phase.LATE
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert (await kinds(store, run.id))[OutboxKind.OUTCOME] == 2


async def test_a_newer_run_ends_the_late_watch(store, make, clock, click):
    """After a new click, no result is posted for the older run."""
    old = await unconfirmed(store, make, click)
    new = await click(store, make)
    assert not new.joined
    assert [claim.run.id for claim in await store.runs.claim(clock.advance(600), 5)] == [new.run.id]
    (row,) = await rows(store, runs, runs.c.id == old.id)
    assert (row.phase, row.outcome) == (Phase.DONE, Outcome.NOT_CONFIRMED)


async def test_a_superseded_late_check_writes_nothing(store, make, clock, click):
    """If a newer run starts during a late check, the check's claim is lost."""
    await unconfirmed(store, make, click)
    (claim,) = await store.runs.claim(clock.advance(300), 5)
    await click(store, make)
    with pytest.raises(ClaimLost):
        await store.runs.save(claim, make.ended(claim.run), clock.now)


async def test_keep_watching_makes_the_run_due(store, make, clock, click):
    """It's due at once, for one more deadline, and the press is audited."""
    run = await unconfirmed(store, make, click)
    request = keep_press(make, run.id)
    await store.inbox.add(request)
    assert await store.runs.keep_watching(request, run.id, clock.now) is Kept.WATCHED
    (claim,) = await store.runs.claim(clock.now, 5)
    assert claim.run.keep_until == clock.now + timedelta(seconds=run.patience.deadline_s)
    assert [row.action for row in await rows(store, audit)] == ["resync", "outcome", "keep_watching"]


async def test_keep_watching_has_one_effect(store, make, clock, click):
    """A press that another process handled in the meantime changes nothing."""
    run = await unconfirmed(store, make, click)
    request = keep_press(make, run.id)
    await store.inbox.add(request)
    assert await store.runs.keep_watching(request, run.id, clock.now) is Kept.WATCHED
    await store.runs.save((await store.runs.claim(clock.now, 5))[0], make.ended(run, Outcome.NOT_CONFIRMED), clock.now)
    with pytest.raises(ClaimLost):
        await store.runs.keep_watching(request, run.id, clock.now)
    assert [row.action for row in await rows(store, audit)] == ["resync", "outcome", "keep_watching"]


async def test_keep_watching_does_not_change_other_runs(store, make, clock, click):
    """An unknown run, another workspace's, and one that a newer run replaced."""
    run = await unconfirmed(store, make, click)
    assert await store.runs.keep_watching(keep_press(make, "run_x"), "run_x", clock.now) is Kept.UNKNOWN
    foreign = keep_press(make, run.id)
    foreign = replace(foreign, origin=replace(foreign.origin, team_id="T2"))
    assert await store.runs.keep_watching(foreign, run.id, clock.now) is Kept.UNKNOWN
    await click(store, make)
    assert await store.runs.keep_watching(keep_press(make, run.id), run.id, clock.now) is Kept.NEWER


async def test_keep_watching_is_not_undone_by_a_check_in_progress(store, make, clock, click):
    run = await unconfirmed(store, make, click)
    (claim,) = await store.runs.claim(clock.advance(300), 5)
    request = keep_press(make, run.id)
    await store.inbox.add(request)
    await store.runs.keep_watching(request, run.id, clock.now)
    with pytest.raises(ClaimLost):
        await store.runs.save(claim, make.watching(claim.run), clock.now)


# --- history ---------------------------------------------------------------------------------------------------


async def test_the_usual_duration_is_the_median_of_successes(store, make, clock, click):
    """A new run knows how long this integration's syncs usually take; failures and other integrations don't count."""
    for seconds, outcome in [(10, Outcome.SUCCEEDED), (30, Outcome.SUCCEEDED), (20, Outcome.SUCCEEDED), (99, "failed")]:
        await click(store, make)
        (claim,) = await store.runs.claim(clock.now, 5)
        clock.advance(seconds)
        await store.runs.save(claim, make.ended(claim.run, Outcome(outcome)), clock.now)
    assert (await click(store, make)).run.typical_s == 20
    assert (await click(store, make, integration="int_2")).run.typical_s is None


async def test_a_panel_shows_only_newer_runs(store, make, clock, click):
    """A run that ended before a panel was rendered doesn't override its row; one that ended later does."""
    await click(store, make)
    (claim,) = await store.runs.claim(clock.now, 5)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    clock.advance(60)
    panel, request = make.panel(), make.command()
    await store.inbox.add(request)
    await store.panels.add(request, panel, ADDRESS, clock.now)
    assert (await store.panels.load_view(panel.id))[1] == {}
    clock.advance(1)
    newer = await click(store, make)
    (claim,) = await store.runs.claim(clock.now, 5)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    shown = (await store.panels.load_view(panel.id))[1]
    assert shown["int_1"].run.id == newer.run.id


async def test_an_unknown_panel_is_none(store):
    """It's not an exception."""
    assert await store.panels.load(TEAM, "pnl_x") is None
    assert await store.panels.load_view("pnl_x") is None


ADDRESS = Address("T0SANDBOX", "C0DATA", user_id="UANA")
