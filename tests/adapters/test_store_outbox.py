"""The outbox: what is due, in which order, once; on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.core.errors import ClaimLost
from bot.core.models import Message, Telling
from bot.store.outbox_rows import EDIT_EVERY_S, Address, OutboxKind
from bot.store.tables import outbox

HERE = Address("T0SANDBOX", "C0DATA", user_id="UANA")
DIRECT = Address("T0SANDBOX", user_id="UANA")


async def note(store, make, text="hello", address=HERE):
    """Answer a command with a message."""
    request = make.command()
    await store.inbox.add(request)
    await store.outbox.add_note(request, Message(text), address, make.clock.now)


async def claim_one(store, clock, limit=5):
    """Claim the message that's due."""
    (item,) = await store.outbox.claim(clock.now, limit)
    return item


async def claim_run(store, clock):
    """Claim the run that's due."""
    (claim,) = await store.runs.claim(clock.now, 5)
    return claim


async def started(store, make, click):
    """Start a sync whose progress is posted."""
    await click(store, make)
    item = await claim_one(store, make.clock)
    await store.outbox.mark_posted(item, "C0DATA", "500.000005", make.clock.now)
    return item


# --- claims ----------------------------------------------------------------------------------------------------


async def test_a_claimed_answer_is_what_was_added(store, make, clock):
    address = replace(HERE, thread_ts="1.0", response_url="https://hooks.slack.com/r", ephemeral=True)
    await note(store, make, "né \N{BOMB}", address)
    item = await claim_one(store, clock)
    assert (item.kind, item.channel_id, item.thread_ts, item.user_id) == (OutboxKind.NOTE, "C0DATA", "1.0", "UANA")
    assert (item.response_url, item.ephemeral, item.ts) == ("https://hooks.slack.com/r", True, None)
    assert (item.in_doubt, item.is_shown, item.created_at) == (False, False, clock.now)


async def test_claimers_never_share_a_message(open_store, make, clock):
    """Even if many processes claim at the same time."""
    stores = [open_store(name) for name in "abc"]
    for n in range(12):
        await note(stores[0], make, str(n))
    claims = await asyncio.gather(*(store.outbox.claim(clock.now, 3) for store in stores for _ in range(2)))
    assert max(len(some) for some in claims) <= 3
    taken = [item.id for some in claims for item in some]
    assert len(taken) == len(set(taken))


async def test_a_late_sender_loses_its_claim(open_store, make, clock):
    """After a takeover, the earlier holder's writes are refused and change nothing."""
    frozen, other = open_store("a"), open_store("b")
    await note(frozen, make)
    old = await claim_one(frozen, clock)
    clock.advance(10)
    new = await claim_one(other, clock)
    writes = [
        frozen.outbox.mark_posted(old, "C0DATA", "1.0", clock.now),
        frozen.outbox.mark_shown(old, clock.now),
        frozen.outbox.postpone(old, clock.now, in_doubt=False),
        frozen.outbox.readdress(old, DIRECT, clock.now),
        frozen.outbox.give_up(old),
    ]
    for write in writes:
        with pytest.raises(ClaimLost):
            await write
    await other.outbox.mark_posted(new, "C0DATA", "2.0", clock.now)
    assert await other.outbox.claim(clock.advance(100), 5) == []


async def test_a_late_sender_of_a_root_records_nothing(open_store, make, clock, click):
    """A root that was taken over is recorded by its new holder, not by the frozen process."""
    frozen, other = open_store("a"), open_store("b")
    await click(frozen, make, make.command(), root=make.panel())
    old = await claim_one(frozen, clock)
    clock.advance(10)
    new = await claim_one(other, clock)
    with pytest.raises(ClaimLost):
        await frozen.outbox.mark_posted(old, "C0DATA", "1.0", clock.now)
    assert await other.outbox.claim(clock.now, 5) == []
    await other.outbox.mark_posted(new, "C0DATA", "2.0", clock.now)
    assert (await claim_one(other, clock)).thread_ts == "2.0"


# --- doubt -----------------------------------------------------------------------------------------------------


async def test_the_first_attempt_is_not_in_doubt(store, make, clock):
    """A message that was never tried, or was certainly refused, needs no check."""
    await note(store, make)
    item = await claim_one(store, clock)
    assert not item.in_doubt
    await store.outbox.postpone(item, clock.now, in_doubt=False)
    assert not (await claim_one(store, clock)).in_doubt


async def test_an_expired_lease_leaves_a_doubt(store, make, clock):
    """A message whose holder vanished may have been posted."""
    await note(store, make)
    await claim_one(store, clock)
    clock.advance(10)
    assert (await claim_one(store, clock)).in_doubt


async def test_a_released_message_is_in_doubt(store, make, clock):
    """It may have been posted when the process stopped."""
    await note(store, make)
    await claim_one(store, clock)
    await store.release()
    assert (await claim_one(store, clock)).in_doubt


async def test_doubt_outlives_a_clear_refusal(store, make, clock):
    """A rate limit during the check doesn't prove that the message isn't there."""
    await note(store, make)
    await store.outbox.postpone(await claim_one(store, clock), clock.now, in_doubt=True)
    item = await claim_one(store, clock)
    assert item.in_doubt
    await store.outbox.postpone(item, clock.now, in_doubt=False)
    assert (await claim_one(store, clock)).in_doubt


async def test_a_posted_message_is_never_in_doubt(store, make, clock, click):
    """An update without a clear answer is simply repeated."""
    await started(store, make, click)
    claim = await claim_run(store, clock)
    clock.advance(5)
    await store.runs.save(claim, make.watching(claim.run), clock.now)
    await store.outbox.postpone(await claim_one(store, clock), clock.now, in_doubt=True)
    item = await claim_one(store, clock)
    assert not item.in_doubt
    assert item.is_shown


async def test_a_readdressed_message_is_not_in_doubt(store, make, clock):
    """What one address refused is posted at the next one, immediately and without a check."""
    await note(store, make, address=replace(HERE, thread_ts="1.0"))
    await store.outbox.readdress(await claim_one(store, clock), DIRECT, clock.now)
    item = await claim_one(store, clock)
    assert (item.channel_id, item.thread_ts, item.user_id) == (None, None, "UANA")
    assert (item.in_doubt, item.failures) == (False, 0)


async def test_a_readdressed_message_is_not_ephemeral(store, make, clock):
    """A private answer that's sent as a DM instead is an ordinary message there."""
    address = replace(HERE, response_url="https://hooks.slack.com/r", ephemeral=True)
    await note(store, make, address=address)
    await store.outbox.readdress(await claim_one(store, clock), DIRECT, clock.now)
    assert not (await claim_one(store, clock)).ephemeral


async def test_failures_are_counted(store, make, clock):
    """For the backoff; a success resets them."""
    await note(store, make)
    for failures in range(3):
        item = await claim_one(store, clock)
        assert item.failures == failures
        await store.outbox.postpone(item, clock.now, in_doubt=False)


async def test_a_postponed_message_waits(store, make, clock):
    """Until the given time."""
    await note(store, make)
    due_at = clock.now + timedelta(seconds=30)
    await store.outbox.postpone(await claim_one(store, clock), due_at, in_doubt=False)
    assert await store.outbox.next_at() == due_at
    assert await store.outbox.claim(clock.advance(29), 5) == []
    assert len(await store.outbox.claim(clock.advance(1), 5)) == 1


async def test_a_dropped_message_is_not_tried_again(store, make, clock):
    await note(store, make)
    await store.outbox.give_up(await claim_one(store, clock))
    assert await store.outbox.claim(clock.advance(3600), 5) == []
    assert await store.outbox.next_at() is None


# --- order -----------------------------------------------------------------------------------------------------


async def test_an_outcome_waits_for_the_progress_post_in_flight(store, make, clock, click):
    """It's never posted above the progress reply of its thread."""
    await click(store, make)
    progress = await claim_one(store, clock)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert await store.outbox.claim(clock.now, 5) == []
    await store.outbox.mark_posted(progress, "C0DATA", "1.0", clock.now)
    assert (await claim_one(store, clock)).kind is OutboxKind.OUTCOME


async def test_an_outcome_waits_for_a_progress_post_in_doubt(store, make, clock, click):
    """A progress reply that may be there is checked for first."""
    await click(store, make)
    progress = await claim_one(store, clock)
    await store.outbox.postpone(progress, clock.now + timedelta(seconds=1), in_doubt=True)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert await store.outbox.claim(clock.now, 5) == []
    clock.advance(1)
    progress = await claim_one(store, clock)
    assert progress.in_doubt
    await store.outbox.give_up(progress)
    assert (await claim_one(store, clock)).kind is OutboxKind.OUTCOME


async def test_a_waiting_outcome_is_not_due(store, make, clock, click):
    """The next message is the postponed progress reply, so no loop spins."""
    await click(store, make)
    progress = await claim_one(store, clock)
    due_at = clock.now + timedelta(seconds=60)
    await store.outbox.postpone(progress, due_at, in_doubt=True)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert await store.outbox.claim(clock.now, 5) == []
    assert await store.outbox.next_at() == due_at


async def test_an_outcome_does_not_wait_for_an_update(store, make, clock, click):
    await started(store, make, click)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert (await claim_one(store, clock)).kind is OutboxKind.OUTCOME


async def test_a_dropped_progress_reply_does_not_hold_back_the_outcome(store, make, clock, click):
    """If the progress reply couldn't be posted, the outcome still is."""
    await click(store, make)
    await store.outbox.give_up(await claim_one(store, clock))
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert (await claim_one(store, clock)).kind is OutboxKind.OUTCOME


async def test_outcomes_come_first(store, make, clock, click):
    """Then answers, then progress."""
    await started(store, make, click)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    await click(store, make, make.press(message_ts="2.0"), integration="int_2")
    await note(store, make)
    clock.advance(5)
    kinds = [item.kind for _ in range(4) for item in await store.outbox.claim(clock.now, 1)]
    assert kinds == [OutboxKind.OUTCOME, OutboxKind.NOTE, OutboxKind.PROGRESS, OutboxKind.PROGRESS]


async def test_claims_are_sorted(store, make, clock, click):
    """Within one claim, the most important messages come first."""
    await started(store, make, click)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    await note(store, make)
    clock.advance(5)
    kinds = [item.kind for item in await store.outbox.claim(clock.now, 9)]
    assert kinds == [OutboxKind.OUTCOME, OutboxKind.NOTE, OutboxKind.PROGRESS]


# --- roots -----------------------------------------------------------------------------------------------------


async def test_replies_wait_for_their_root(store, make, clock, click):
    """Progress and outcome of a typed sync are due once their root is posted, and go below it."""
    await click(store, make, make.command(), root=make.panel())
    root = await claim_one(store, clock)
    assert root.kind is OutboxKind.PANEL
    assert await store.outbox.is_root(root)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.ended(claim.run), clock.now)
    assert await store.outbox.claim(clock.now, 5) == []
    await store.outbox.mark_posted(root, "D0ANA", "7.0", clock.now)
    assert not await store.outbox.is_root(root)
    items = [item for item in await store.outbox.claim(clock.now, 5) if item.kind is not OutboxKind.PANEL]
    assert [(item.kind, item.channel_id, item.thread_ts) for item in items] == [(OutboxKind.OUTCOME, "D0ANA", "7.0")]


async def test_a_root_in_a_thread_keeps_replies_in_that_thread(store, make, clock, click):
    """Never below a reply."""
    await click(store, make, make.command(thread_ts="1.0"), root=make.panel())
    items = await store.outbox.claim(clock.now, 5)
    assert {(item.kind, item.thread_ts) for item in items} == {(OutboxKind.PANEL, "1.0"), (OutboxKind.PROGRESS, "1.0")}


async def test_replies_without_a_thread_are_not_due(store, make, clock, click):
    await click(store, make, make.command(), root=make.panel())
    root = await claim_one(store, clock)
    await store.outbox.postpone(root, clock.now + timedelta(seconds=5), in_doubt=False)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.watching(claim.run, tell=(Telling.PROGRESS,)), clock.now)
    assert await store.outbox.next_at() == clock.now + timedelta(seconds=5)


# --- edits -----------------------------------------------------------------------------------------------------


async def test_updates_coalesce(store, make, clock, click):
    """There's one row, and its newest version is shown."""
    await started(store, make, click)
    for _ in range(5):
        claim = await claim_run(store, clock)
        await store.runs.save(claim, make.watching(claim.run, in_s=0), clock.now)
    clock.advance(EDIT_EVERY_S)
    item = await claim_one(store, clock)
    assert item.ts == "500.000005"
    assert (await store.outbox.load_progress(item)).run.looks == 5
    await store.outbox.mark_shown(item, clock.now)
    assert await store.outbox.claim(clock.advance(3600), 5) == []


async def test_updates_of_a_message_are_paced(store, make, clock, click):
    """A progress reply is updated at most every two seconds."""
    await started(store, make, click)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.watching(claim.run), clock.now)
    assert await store.outbox.next_at() == clock.now + timedelta(seconds=EDIT_EVERY_S)
    assert await store.outbox.claim(clock.advance(EDIT_EVERY_S - 0.1), 5) == []
    assert len(await store.outbox.claim(clock.advance(0.1), 5)) == 1


async def test_a_change_during_an_update_is_shown_next(store, make, clock, click):
    """After the interval."""
    await click(store, make)
    item = await claim_one(store, clock)
    claim = await claim_run(store, clock)
    await store.runs.save(claim, make.watching(claim.run), clock.now)
    await store.outbox.mark_posted(item, "C0DATA", "1.0", clock.now)
    assert await store.outbox.next_at() == clock.now + timedelta(seconds=EDIT_EVERY_S)
    clock.advance(EDIT_EVERY_S)
    again = await claim_one(store, clock)
    assert again.version > item.version
    assert again.ts == "1.0"


async def test_panel_updates_are_due_immediately(store, make, clock):
    """A person waits for them."""
    request, press, panel = make.command(), make.press(), make.panel()
    await store.inbox.add(request)
    await store.inbox.add(press)
    await store.panels.add(request, panel, HERE, clock.now)
    await store.outbox.mark_posted(await claim_one(store, clock), "C0DATA", "1.0", clock.now)
    await store.panels.redraw(press, panel.id, lambda shown: replace(shown, page=1), clock.now)
    item = await claim_one(store, clock)
    assert (await store.panels.load_view(item.panel_id))[0].page == 1
    saved = await store.panels.load(HERE.team_id, panel.id)
    assert replace(saved, cause=panel.cause) == replace(panel, page=1)
    assert saved.cause.request_id == press.id


# --- response URLs ---------------------------------------------------------------------------------------------


async def test_an_expired_response_url_is_not_used(store, make, clock):
    await note(store, make, address=replace(HERE, response_url="https://hooks.slack.com/r"))
    clock.advance(29 * 60)
    assert (await claim_one(store, clock)).response_url is None


async def test_a_press_renews_the_response_url(store, make, clock):
    """A private message can only be changed with the response_url of a press on it."""
    request, panel = make.command(), make.panel()
    address = replace(HERE, response_url="https://hooks.slack.com/old", ephemeral=True)
    await store.inbox.add(request)
    await store.panels.add(request, panel, address, clock.now)
    await store.outbox.mark_shown(await claim_one(store, clock), clock.now, ephemeral=True)
    clock.advance(3600)
    press = make.press(ephemeral=True, response_url="https://hooks.slack.com/new")
    await store.inbox.add(press)
    await store.panels.redraw(press, panel.id, lambda shown: shown, clock.now)
    item = await claim_one(store, clock)
    assert item.response_url == "https://hooks.slack.com/new"
    assert item.is_shown


async def test_the_progress_of_a_deleted_run_has_nothing_to_show(store, make, clock, click):
    await click(store, make)
    item = await claim_one(store, clock)
    assert await store.outbox.load_progress(replace(item, run_id="run_x")) is None


async def test_each_thread_has_one_progress_reply_and_one_outcome(open_store, make, clock, click):
    """Even with concurrent clicks and decisions."""
    stores = [open_store(name) for name in "abc"]
    await click(stores[0], make)
    claim = await claim_run(stores[0], clock)
    await asyncio.gather(
        *(click(stores[n % 3], make, make.press(f"U{n}", message_ts=f"{n % 4}.0")) for n in range(9)),
        stores[0].runs.save(claim, make.watching(claim.run, in_s=0), clock.now),
    )
    claim = await claim_run(stores[1], clock)
    await stores[1].runs.save(claim, make.ended(claim.run), clock.now)
    async with stores[0]._database.begin() as connection:
        rows = (await connection.execute(select(outbox.c.thread_ts, outbox.c.kind))).all()
    assert len(rows) == len(set(rows)) == 5
