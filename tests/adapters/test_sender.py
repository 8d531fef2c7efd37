"""The sender with a real store and a Slack on a real socket: each message is shown exactly once, somewhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.core.commands.presses import Action
from bot.core.errors import ClaimLost, StoreUnavailable
from bot.core.models import Message, Outcome
from bot.core.panels import PanelKind
from bot.observability.context import Context
from bot.slack.client import UPDATES_FOR_PEOPLE, SlackClient
from bot.slack.scopes import BOT_SCOPES
from bot.store.outbox_rows import EDIT_EVERY_S, Address, OutboxKind, show_held_back
from bot.store.tables import outbox
from bot.workers import sender
from bot.workers.remedies import AUTH_RETRY_S
from bot.workers.sender import Sender
from local_slack import Fault, LostRoots
from sandbox.slack import flokit_slack
from tests.adapters.conftest import unnamed, wanted_bulk

POST = "chat.postMessage"
HERE = Address("T0SANDBOX", "C0DATA", user_id="UANA")


class CrashError(BaseException):
    """The process dies at this point."""


class Bench:
    """A sender, a store and a Slack, all on the test's clock."""

    def __init__(self, store, slack, client, clock, make):
        self.store, self.slack, self.client, self.clock, self.make = store, slack, client, clock, make
        self.closed = []
        self.sender = Sender(
            store,
            client,
            Context("T0SANDBOX", "UFLOKIT", clock),
            unnamed(clock),
            on_closed=self.note_closed,
            on_refused=self.note_refused,
        )

    async def note_closed(self, channel_id, reason):
        """Record a channel whose subscriptions must be paused."""
        self.closed.append((channel_id, reason))

    async def note_refused(self, _channel_id):
        """Do nothing: no channel got another ID."""
        return False

    async def send_due(self):
        """Send what's due now, in the store's order, and return how many messages that was."""
        items = await self.store.outbox.claim(self.clock.now, 20)
        for item in items:
            await self.sender.send(item)
        return len(items)

    async def send_all(self, seconds=0.0):
        """Move the clock, then send until nothing is due."""
        self.clock.advance(seconds)
        for _ in range(20):
            if not await self.send_due():
                return
        raise AssertionError("messages are due without end")

    async def end(self, outcome=Outcome.SUCCEEDED):
        """End the run that's due."""
        (claim,) = await self.store.runs.claim(self.clock.now, 5)
        await self.store.runs.save(claim, self.make.ended(claim.run, outcome), self.clock.now)

    async def look(self, in_s=0.0):
        """Continue with the run that's due."""
        (claim,) = await self.store.runs.claim(self.clock.now, 5)
        await self.store.runs.save(claim, self.make.watching(claim.run, in_s=in_s), self.clock.now)

    async def crash(self, item, method, before=None):
        """Send a message, and end the process before it records the result."""

        async def crashed(*_, **__):
            if before:
                before()
            raise CrashError

        whole = getattr(self.store.outbox, method)
        setattr(self.store.outbox, method, crashed)
        with pytest.raises(CrashError):
            await self.sender.send(item)
        setattr(self.store.outbox, method, whole)

    def calls(self, method=POST):
        """Count calls of a method."""
        return len([call for call in self.slack.calls if call.method == method])

    def outcomes(self, channel, thread_ts=None):
        """Return the outcomes in a channel or thread."""
        return [
            message
            for message in self.slack.messages(channel, thread_ts)
            if (message.get("metadata") or {}).get("event_type") == "flokit_sync_outcome"
        ]

    async def rows(self):
        """Return the outbox."""
        async with self.store._database.begin() as connection:
            return (await connection.execute(select(outbox))).all()


@pytest_asyncio.fixture
async def bench(sqlite_store, clock, make):
    """The parts put together; Slack uses the test's clock and has no rate limits."""
    slack = flokit_slack(clock=clock.timestamp, scopes=frozenset(BOT_SCOPES) - {"chat:write.public"})
    slack.rates.enforced = False
    await slack.start()
    client = SlackClient("xoxb-sandbox", api_url=slack.api_url, timeout_s=0.4, clock=clock.timestamp)
    yield Bench(sqlite_store, slack, client, clock, make)
    await client.aclose()
    await slack.stop()


@pytest_asyncio.fixture
async def root(bench):
    """Post the message that people click on, and return its ts."""
    return bench.slack.workspace.post("C0DATA", {"user": "UFLOKIT", "text": "status"})["ts"]


async def note(bench, address=HERE, message=None):
    """Answer a command."""
    request = bench.make.command()
    await bench.store.inbox.add(request)
    await bench.store.outbox.add_note(request, message or Message("hello"), address, bench.clock.now)


async def start_at(bench, click, root):
    """Click below a root."""
    return await click(bench.store, bench.make, bench.make.press(message_ts=root))


# --- the normal case -------------------------------------------------------------------------------------------


async def test_progress_is_one_reply_that_is_updated(bench, click, root):
    """At its interval; the outcome is a second reply below it."""
    await start_at(bench, click, root)
    await bench.send_all()
    for _ in range(3):
        await bench.look()
        await bench.send_all(EDIT_EVERY_S)
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    progress, outcome = bench.slack.messages("C0DATA", root)
    assert len(bench.slack.history("C0DATA", progress["ts"])) == 5
    assert outcome["metadata"]["event_payload"]["outcome"] == "succeeded"
    assert bench.calls() == 2
    assert bench.slack.warnings == []


async def test_nothing_is_sent_twice(bench, click, root):
    """Once everything is shown, time alone sends nothing."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    before = len(bench.slack.calls)
    await bench.send_all(3600)
    assert len(bench.slack.calls) == before


async def test_a_run_that_ends_early_has_no_progress_reply(bench, click, root):
    """It ends before its progress was posted, and has one reply: the outcome."""
    await start_at(bench, click, root)
    await bench.end()
    await bench.send_all()
    assert len(bench.slack.messages("C0DATA", root)) == 1
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_progress_claimed_before_the_end_is_not_posted_after_it(bench, click, root):
    """Only the outcome is posted."""
    await start_at(bench, click, root)
    (progress,) = await bench.store.outbox.claim(bench.clock.now, 5)
    await bench.end()
    await bench.sender.send(progress)
    await bench.send_all()
    assert len(bench.slack.messages("C0DATA", root)) == 1
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_a_late_result_is_a_separate_message(bench, click, root):
    """It's posted below "not confirmed"."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end(Outcome.NOT_CONFIRMED)
    await bench.send_all(EDIT_EVERY_S)
    bench.clock.advance(300)
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    outcomes = [one["metadata"]["event_payload"]["outcome"] for one in bench.outcomes("C0DATA", root)]
    assert outcomes == ["not_confirmed", "succeeded"]


async def test_the_clicked_panels_row_is_updated(bench, click):
    """When its run starts and when it ends."""
    request, panel = bench.make.command(), bench.make.panel()
    await bench.store.inbox.add(request)
    await bench.store.panels.add(request, panel, HERE, bench.clock.now)
    await bench.send_all()
    (message,) = bench.slack.messages("C0DATA")
    await click(bench.store, bench.make, bench.make.press(message_ts=message["ts"]), panel_id=panel.id)
    await bench.send_all()
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    assert len(bench.slack.history("C0DATA", message["ts"])) == 3


# --- a crash between the call and its record -------------------------------------------------------------------


async def finish_after_crash(bench):
    """Let the lease expire, and have the message sent again."""
    assert await bench.send_due() == 0
    bench.clock.advance(10)
    await bench.send_all()


async def test_crash_after_the_outcome_was_posted(bench, click, root):
    """It wasn't recorded, so it's found by its metadata and not posted again."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    (outcome,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(outcome, "mark_posted")
    await finish_after_crash(bench)
    assert len(bench.outcomes("C0DATA", root)) == 1
    assert bench.calls("conversations.replies") == 1
    (row,) = [row for row in await bench.rows() if row.kind == OutboxKind.OUTCOME]
    assert row.ts == bench.outcomes("C0DATA", root)[0]["ts"]


async def test_crash_before_the_outcome_was_posted(bench, click, root):
    """It's posted after the lease."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    await bench.store.outbox.claim(bench.clock.now, 1)
    await finish_after_crash(bench)
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_crash_after_the_progress_was_posted(bench, click, root):
    """It wasn't recorded; it's found, and updated from then on."""
    await start_at(bench, click, root)
    (progress,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(progress, "mark_posted")
    await bench.end()
    await finish_after_crash(bench)
    await bench.send_all(EDIT_EVERY_S)
    texts = [message["text"] for message in bench.slack.messages("C0DATA", root)]
    assert len(texts) == 2
    assert "see the result below" in texts[0]
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_crash_after_the_root_was_posted(bench, click):
    """The root of a typed sync is found in the channel, and the follow-up is posted below it."""
    request = bench.make.command("sync stripe")
    await bench.store.inbox.add(request)
    await click(bench.store, bench.make, request, root=bench.make.panel(kind=PanelKind.SYNC))
    (panel,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(panel, "mark_posted")
    await bench.end()
    await finish_after_crash(bench)
    (message,) = bench.slack.messages("C0DATA")
    assert len(bench.outcomes("C0DATA", message["ts"])) == 1


async def test_crash_after_a_note_was_posted(bench):
    """A message without its own metadata is recognized, too."""
    await note(bench)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(item, "mark_posted")
    await finish_after_crash(bench)
    assert len(bench.slack.messages("C0DATA")) == 1


async def test_crash_after_a_direct_message_was_posted(bench):
    """It's searched for in the person's DMs."""
    await note(bench, Address("T0SANDBOX", user_id="UANA"))
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(item, "mark_posted")
    await finish_after_crash(bench)
    assert len(bench.slack.messages("D0ANA")) == 1


async def test_a_sender_canceled_during_a_call_posts_nothing_twice(bench, click, root):
    """Slack answered slowly, so it's in doubt whether the message was posted."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "slow", delay_s=0.05))
    (outcome,) = await bench.store.outbox.claim(bench.clock.now, 1)
    calls = bench.calls()
    task = asyncio.create_task(bench.sender.send(outcome))
    await bench.slack.wait_for(lambda: bench.calls() > calls)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bench.slack.wait_for(lambda: bench.outcomes("C0DATA", root), what="the outcome that was under way")
    await finish_after_crash(bench)
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_a_post_with_a_lost_reply_is_found(bench, click, root):
    """The connection broke after Slack had posted it."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    await bench.send_all()
    await bench.send_all(1)
    assert len(bench.outcomes("C0DATA", root)) == 1
    assert bench.calls() == 2


async def test_a_check_that_slack_allows_soon_is_waited_for(bench, click, root):
    """The doubtful post is found, not repeated."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    bench.slack.faults.add(Fault("conversations.replies", "ratelimited", retry_after_s=3))
    await bench.send_all()
    await bench.send_all(1)
    await bench.send_all(3)
    assert len(bench.outcomes("C0DATA", root)) == 1


@pytest.mark.parametrize("code", ["ratelimited", "missing_scope", "channel_not_found", "a_code_of_next_year"])
async def test_a_message_that_cannot_be_checked_for_is_posted(bench, click, root, code):
    """Twice is better than not at all."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "drop"))
    kind = "ratelimited" if code == "ratelimited" else "error"
    bench.slack.faults.add(Fault("conversations.replies", kind, times=None, retry_after_s=60, code=code))
    await bench.send_all()
    await bench.send_all(1)
    assert len(bench.outcomes("C0DATA", root)) == 1


@pytest.mark.parametrize("kind", ["http_500", "garbage", "hang", "drop"])
async def test_a_message_is_sent_if_checking_for_duplicates_keeps_failing(bench, click, root, kind):
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "drop"))
    bench.slack.faults.add(Fault("conversations.replies", kind, times=None))
    for _ in range(20):
        await bench.send_all(5)
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_progress_is_not_repeated_without_a_check(bench, click, root):
    """Nobody misses it, but two of it would confuse."""
    await start_at(bench, click, root)
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    bench.slack.faults.add(Fault("conversations.replies", "http_500", times=12))
    for _ in range(20):
        await bench.send_all(5)
    assert len(bench.slack.messages("C0DATA", root)) == bench.calls() == 1


async def test_a_message_repeated_without_a_check_is_logged(bench, click, root):
    """The log says which message may have been posted twice."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "drop"))
    bench.slack.faults.add(Fault("conversations.replies", "http_500", times=None))
    with capture_logs() as lines:
        for _ in range(20):
            await bench.send_all(5)
    assert len(bench.outcomes("C0DATA", root)) == 1
    [line] = [line for line in lines if line["event"] == "message_not_looked_for"]
    assert line["kind"] == OutboxKind.OUTCOME


async def test_lost_replies_do_not_fill_the_channel(bench, click, root):
    """While every reply is lost and no check allowed, an outcome isn't posted at each attempt."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "done_then_drop", times=None))
    bench.slack.faults.add(Fault("conversations.replies", "ratelimited", times=None, retry_after_s=60))
    for _ in range(60):
        await bench.send_all(10)
    assert 1 <= len(bench.outcomes("C0DATA", root)) <= 7


async def test_a_message_in_a_busy_thread_is_found(bench, click, root):
    """Only the first messages since the post was due are requested."""
    talk = {"user": "UANA", "text": "…", "thread_ts": root}
    for _ in range(200):
        bench.slack.workspace.post("C0DATA", talk)
    bench.clock.advance(3600)
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    await bench.send_all()
    for _ in range(200):
        bench.slack.workspace.post("C0DATA", talk)
    await bench.send_all(1)
    assert len(bench.outcomes("C0DATA", root)) == 1
    (look,) = [call for call in bench.slack.calls if call.method == "conversations.replies"]
    assert look.args["limit"] == "15"
    assert "cursor" not in look.args


async def test_an_update_is_repeated_after_a_crash(bench, click, root):
    """That does no harm."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.look()
    bench.clock.advance(EDIT_EVERY_S)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(item, "mark_shown")
    await finish_after_crash(bench)
    assert len(bench.slack.messages("C0DATA", root)) == 1


async def test_a_post_that_was_taken_over_is_not_recorded_twice(bench, click, root):
    """A sender whose lease expired can't record its post, and the process that took over finds it."""
    await start_at(bench, click, root)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    whole = bench.client.post

    async def slow_post(*args, **options):
        ts = await whole(*args, **options)
        bench.clock.advance(10)
        (taken,) = await bench.store.outbox.claim(bench.clock.now, 1)
        await bench.sender.send(taken)
        return ts

    bench.client.post = slow_post
    with pytest.raises(ClaimLost):
        await bench.sender.send(item)
    assert len(bench.slack.messages("C0DATA", root)) == 1


async def test_a_frozen_process_deletes_its_late_post(bench, click, root):
    """Another process had taken over and posted, too."""
    await start_at(bench, click, root)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    whole = bench.client.post

    async def frozen_post(*args, in_time, **options):
        assert in_time()
        bench.clock.advance(10)
        bench.client.post = whole
        (taken,) = await bench.store.outbox.claim(bench.clock.now, 1)
        await bench.sender.send(taken)
        return await whole(*args, **options)

    bench.client.post = frozen_post
    with pytest.raises(ClaimLost):
        await bench.sender.send(item)
    (reply,) = bench.slack.messages("C0DATA", root)
    assert await bench.store.outbox.load_ts(item.id) == reply["ts"]


async def test_a_post_whose_turn_comes_after_the_lease_is_left_to_others(bench, click, root):
    """A sender that waits for its turn until its lease has expired posts nothing."""
    await start_at(bench, click, root)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    whole = bench.client.post

    async def late_post(*args, **options):
        bench.clock.advance(10)
        return await whole(*args, **options)

    bench.client.post = late_post
    await bench.sender.send(item)
    assert bench.slack.messages("C0DATA", root) == []


@pytest.mark.parametrize("left_s", [0.0, 0.5, 0.61])
async def test_a_lease_that_is_about_to_end_is_renewed_for_the_post(bench, left_s):
    """Otherwise a machine so slow that the lease is almost over when a post begins would never post."""
    await note(bench)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    bench.clock.advance(10 - left_s)
    await bench.sender.send(item)
    assert bench.calls() == 1
    assert await bench.store.outbox.claim(bench.clock.now + timedelta(seconds=60), 1) == []


async def test_a_slow_check_for_a_doubtful_post_does_not_prevent_it(bench, click, root):
    """Even if each check takes almost as long as the lease, the outcome is posted."""
    await start_at(bench, click, root)
    await bench.end()
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    bench.clock.advance(10)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    assert item.in_doubt
    whole = bench.client.find

    async def slow_find(*args, **options):
        bench.clock.advance(9.5)
        return await whole(*args, **options)

    bench.client.find = slow_find
    await bench.sender.send(item)
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_a_message_in_progress_keeps_its_lease(bench, monkeypatch):
    """If a post takes longer than a lease, no other process claims it, even if the database fails for a moment."""
    monkeypatch.setattr(sender, "RENEWED_AT", 0.0001)
    await note(bench)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    post, renew, renewed, errors = bench.client.post, bench.store.outbox.renew, asyncio.Event(), [StoreUnavailable("x")]

    async def counted_renew(*args):
        if errors:
            raise errors.pop()
        kept = await renew(*args)
        renewed.set()
        return kept

    async def slow_post(*args, **options):
        for _ in range(3):
            bench.clock.advance(9)
            for _ in range(2):  # the first renewal may have begun before the clock moved
                renewed.clear()
                await asyncio.wait_for(renewed.wait(), 10)
            assert await bench.store.outbox.claim(bench.clock.now, 1) == []
        return await post(*args, **options | {"in_time": lambda: True})

    bench.store.outbox.renew, bench.client.post = counted_renew, slow_post
    await bench.sender.send(item)
    assert bench.calls() == 1


async def test_a_message_that_was_shown_is_no_longer_held(bench):
    """A renewal that comes too late changes nothing, so a newer version can be shown at once."""
    await note(bench)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.sender.send(item)
    with pytest.raises(ClaimLost):
        await bench.store.outbox.renew(item, bench.clock.now)


async def test_nothing_is_posted_under_a_lease_that_was_taken_over(bench):
    """The process that claimed it in the meantime posts it."""
    await note(bench)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    bench.clock.advance(10)
    (taken,) = await bench.store.outbox.claim(bench.clock.now, 1)
    with pytest.raises(ClaimLost):
        await bench.sender.send(item)
    assert bench.calls() == 0
    await bench.sender.send(taken)
    assert bench.calls() == 1


@pytest.mark.parametrize(("left_s", "posts"), [(0.0, 0), (0.5, 0), (0.61, 1)])
async def test_nothing_is_posted_at_the_end_of_a_lease(bench, left_s, posts):
    """A post begins only if it can end before another process may claim the message."""
    await note(bench)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    whole = bench.store.outbox.renew

    async def slow_renew(*args):
        renewed = await whole(*args)
        bench.clock.advance(10 - left_s)
        return renewed

    bench.store.outbox.renew = slow_renew
    bench.clock.advance(10)
    await bench.sender.send(item)
    assert bench.calls() == posts


# --- closed conversations --------------------------------------------------------------------------------------


async def typed(bench, channel, text="sync stripe"):
    """Type a command in a channel; return the request with a response_url that works."""
    await bench.slack.command("UANA", channel)
    url = bench.slack.envelopes[-1].payload["response_url"]
    request = bench.make.command(text, channel=channel, response_url=url)
    await bench.store.inbox.add(request)
    return request


@pytest.mark.parametrize("channel", ["C0GENERAL", "G0FINANCE", "D0ANABEN"])
async def test_status_without_membership_is_private(bench, channel):
    """It says how to invite the bot."""
    request = await typed(bench, channel)
    address = Address("T0SANDBOX", channel, user_id="UANA", response_url=request.origin.response_url)
    await bench.store.panels.add(request, bench.make.panel(), address, bench.clock.now)
    await bench.send_all()
    (shown,) = bench.slack.ephemerals("UANA")
    assert "/invite" in shown["text"]
    assert bench.slack.messages(channel) == []
    assert bench.calls() == 1


async def test_a_private_status_can_be_updated(bench):
    """It's replaced by the response_url of a press on it."""
    request = await typed(bench, "C0GENERAL")
    panel = bench.make.panel()
    address = Address("T0SANDBOX", "C0GENERAL", user_id="UANA", response_url=request.origin.response_url)
    await bench.store.panels.add(request, panel, address, bench.clock.now)
    await bench.send_all()
    (shown,) = bench.slack.ephemerals("UANA")
    await bench.slack.click("UANA", "C0GENERAL", shown["ts"], Action.REFRESH, ephemeral=True)
    url = bench.slack.envelopes[-1].payload["response_url"]
    press = bench.make.press(channel="C0GENERAL", ephemeral=True, response_url=url)
    await bench.store.inbox.add(press)
    await bench.store.panels.redraw(
        press, panel.id, lambda shown: replace(shown, stale_reason="no answer"), bench.clock.now
    )
    await bench.send_all()
    (again,) = bench.slack.ephemerals("UANA")
    assert again["ts"] == shown["ts"]
    assert again["blocks"] != shown["blocks"]


async def test_a_private_status_without_response_url_stays_as_it_is(bench):
    """Its uses are spent; nothing is posted elsewhere."""
    request = await typed(bench, "C0GENERAL")
    panel = bench.make.panel()
    url = request.origin.response_url
    address = Address("T0SANDBOX", "C0GENERAL", user_id="UANA", response_url=url, ephemeral=True)
    await bench.store.panels.add(request, panel, address, bench.clock.now)
    await bench.send_all()
    for _ in range(4):
        await bench.client.respond(url, Message("used"))
    shown = len(bench.slack.ephemerals("UANA"))
    press = bench.make.press()
    await bench.store.inbox.add(press)
    await bench.store.panels.redraw(press, panel.id, lambda shown: shown, bench.clock.now)
    await bench.send_all()
    for _ in range(6):
        await bench.send_all(30)
    assert len(bench.slack.ephemerals("UANA")) == shown
    assert bench.slack.messages("D0ANA") == []


async def test_a_refused_private_answer_is_sent_as_a_dm(bench):
    request = await typed(bench, "C0GENERAL")
    url = request.origin.response_url
    for _ in range(5):
        await bench.client.respond(url, Message("used"))
    address = Address("T0SANDBOX", "C0GENERAL", user_id="UANA", response_url=url, ephemeral=True)
    await note(bench, address)
    for _ in range(4):
        await bench.send_all(30)
    assert [message["text"] for message in bench.slack.messages("D0ANA")] == ["hello"]


async def test_a_sync_in_a_closed_channel_is_followed_in_dms(bench, click):
    """The person gets a hint in the channel, and root, progress and outcome as DMs."""
    request = await typed(bench, "G0FINANCE")
    await click(bench.store, bench.make, request, root=bench.make.panel(kind=PanelKind.SYNC))
    await bench.send_all()
    (hint,) = bench.slack.ephemerals("UANA")
    assert "DM you the outcome" in hint["text"]
    (message,) = bench.slack.messages("D0ANA")
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    assert len(bench.slack.messages("D0ANA", message["ts"])) == 2
    assert len(bench.outcomes("D0ANA", message["ts"])) == 1


async def test_a_sync_in_a_closed_channel_works_without_response_url(bench, click):
    """If the response_url fails, too, the root is still sent to the person."""
    request = await typed(bench, "G0FINANCE")
    bench.slack.faults.add(Fault("response_url", "http_500", times=9))
    await click(bench.store, bench.make, request, root=bench.make.panel(kind=PanelKind.SYNC))
    await bench.end()
    await bench.send_all()
    (message,) = bench.slack.messages("D0ANA")
    assert len(bench.outcomes("D0ANA", message["ts"])) == 1


async def test_an_outcome_for_an_archived_channel_is_sent_as_a_dm(bench, click, root):
    await start_at(bench, click, root)
    await bench.send_all()
    bench.slack.archive("C0DATA")
    with capture_logs() as lines:
        await bench.look()
        await bench.send_all(EDIT_EVERY_S)
        await bench.end()
        await bench.send_all(EDIT_EVERY_S)
    assert {"message_not_updated"} < {line["event"] for line in lines}
    assert not [line for line in lines if line["log_level"] == "error"]
    assert len(bench.outcomes("D0ANA")) == 1
    before = len(bench.slack.calls)
    await bench.send_all(3600)
    assert len(bench.slack.calls) == before


async def test_an_update_refused_just_before_a_channel_opens_is_repeated(bench, click, root):
    """Whichever process was sending it."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.clock.advance(EDIT_EVERY_S)
    [item] = [one for one in await bench.store.outbox.claim(bench.clock.now, 20) if one.ts]
    async with bench.store._database.begin() as connection:
        await show_held_back(connection, "T0SANDBOX", "C0DATA", bench.clock.now)
    with pytest.raises(ClaimLost):
        await bench.store.outbox.hold_back(item)
    await bench.send_all()
    [row] = [row for row in await bench.rows() if row.id == item.id]
    assert row.sent_version == row.version


async def test_an_outcome_is_sent_as_a_dm_if_the_bot_was_removed(bench, click, root):
    """Before its first reply."""
    await start_at(bench, click, root)
    bench.slack.workspace.channels["C0DATA"].members.discard("UFLOKIT")
    await bench.send_all()
    await bench.end()
    await bench.send_all()
    assert len(bench.outcomes("D0ANA")) == 1
    assert bench.calls() == 3


@pytest.mark.parametrize("lost", LostRoots)
async def test_the_outcome_is_in_the_channel_if_the_root_was_deleted(bench, click, root, lost):
    """Progress is nowhere."""
    bench.slack.lost_roots = lost
    await start_at(bench, click, root)
    bench.slack.delete_message("C0DATA", root)
    await bench.send_all()
    await bench.look()
    await bench.send_all(EDIT_EVERY_S)
    assert bench.calls() == 1
    await bench.end()
    await bench.send_all()
    assert len(bench.outcomes("C0DATA")) == 1
    assert len(bench.slack.messages("C0DATA")) == 1


@pytest.mark.parametrize("lost", LostRoots)
async def test_the_late_result_of_a_lost_thread_is_below_its_outcome(bench, click, root, lost):
    """The outcome is in the channel, and the late result in its thread."""
    bench.slack.lost_roots = lost
    await start_at(bench, click, root)
    bench.slack.delete_message("C0DATA", root)
    await bench.end(Outcome.NOT_CONFIRMED)
    await bench.send_all()
    bench.clock.advance(300)
    await bench.end()
    await bench.send_all()
    (first,) = bench.slack.messages("C0DATA")
    assert len(bench.outcomes("C0DATA", first["ts"])) == 1


@pytest.mark.parametrize("lost", [LostRoots.AS_SLACK, LostRoots.CHANNEL])
async def test_progress_below_a_deleted_root_leaves_one_outcome(bench, click, root, lost):
    """It's in the thread or in the channel."""
    bench.slack.lost_roots = lost
    await start_at(bench, click, root)
    await bench.send_all()
    bench.slack.delete_message("C0DATA", root)
    await bench.end()
    await bench.send_all()
    found = bench.outcomes("C0DATA"), bench.outcomes("C0DATA", root)
    assert sorted(map(len, found)) == [0, 1]


@pytest.mark.parametrize("lost", [LostRoots.AS_SLACK, LostRoots.CHANNEL, LostRoots.UNLISTED])
@pytest.mark.parametrize("had_replies", [False, True])
async def test_a_lost_reply_below_a_deleted_root_is_found(bench, click, root, lost, had_replies):
    """The outcome isn't posted again, wherever Slack put it."""
    bench.slack.lost_roots = lost
    await start_at(bench, click, root)
    if had_replies:
        await bench.send_all()
    bench.slack.delete_message("C0DATA", root)
    await bench.end()
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    await bench.send_all()
    await bench.send_all(1)
    assert len(bench.outcomes("C0DATA")) + len(bench.outcomes("C0DATA", root)) == 1
    await bench.send_all(EDIT_EVERY_S)
    assert await bench.store.outbox.next_at() is None


async def test_stray_progress_that_cannot_be_deleted_is_updated(bench, click, root):
    """The outcome is posted below it."""
    await start_at(bench, click, root)
    bench.slack.delete_message("C0DATA", root)
    bench.slack.faults.add(Fault("chat.delete", "error", code="cant_delete_message"))
    await bench.send_all()
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    (progress,) = bench.slack.messages("C0DATA")
    assert len(bench.outcomes("C0DATA", progress["ts"])) == 1


async def test_the_status_for_a_deleted_thread_is_posted_in_the_channel(bench, click):
    """It's updated there, too."""
    root = bench.slack.workspace.post("C0DATA", {"user": "UANA", "text": "gone soon"})["ts"]
    request = bench.make.command()
    await bench.store.inbox.add(request)
    panel = bench.make.panel()
    await bench.store.panels.add(request, panel, replace(HERE, thread_ts=root), bench.clock.now)
    bench.slack.delete_message("C0DATA", root)
    await bench.send_all()
    (message,) = bench.slack.messages("C0DATA")
    await click(bench.store, bench.make, bench.make.press(message_ts=message["ts"]), panel_id=panel.id)
    await bench.send_all()
    assert len(bench.slack.history("C0DATA", message["ts"])) > 1


async def test_the_outcome_is_posted_although_the_progress_was_deleted(bench, click, root):
    """The progress is no longer updated."""
    await start_at(bench, click, root)
    await bench.send_all()
    (progress,) = bench.slack.messages("C0DATA", root)
    bench.slack.delete_message("C0DATA", progress["ts"])
    for _ in range(3):
        await bench.look()
        await bench.send_all(EDIT_EVERY_S)
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    assert len(bench.slack.messages("C0DATA", root)) == 1
    assert len(bench.outcomes("C0DATA", root)) == 1
    assert bench.calls("chat.update") == 1


async def test_a_message_that_cannot_be_shown_anywhere_is_given_up(bench):
    """After a few attempts."""
    await note(bench, Address("T0SANDBOX", user_id="UNOBODY"))
    for _ in range(6):
        await bench.send_all(30)
    assert await bench.store.outbox.next_at() is None


# --- refusals, limits and outages ------------------------------------------------------------------------------


async def test_a_message_with_refused_blocks_is_sent_as_text(bench):
    """Once."""
    broken = Message("the sentence", ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 4000}},))
    await note(bench, message=broken)
    await bench.send_all()
    (message,) = bench.slack.messages("C0DATA")
    assert message["text"] == "the sentence"
    assert "blocks" not in message


async def test_a_broadcast_with_refused_blocks_stays_a_broadcast(bench, root):
    broken = Message(
        "the sentence", ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 4000}},), broadcast=True
    )
    await note(bench, Address("T0SANDBOX", "C0DATA", root), broken)
    await bench.send_all()
    (reply,) = [one for one in bench.slack.messages("C0DATA", root) if one["ts"] != root]
    assert (reply["text"], reply.get("subtype")) == ("the sentence", "thread_broadcast")


async def test_a_lost_reply_after_refused_blocks_is_checked_for(bench):
    """The plain text is searched for."""
    broken = Message("the sentence", ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 4000}},))
    await note(bench, message=broken)
    bench.slack.faults.add(Fault(POST, "error", code="invalid_blocks"))
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    await bench.send_all()
    await bench.send_all(1)
    assert len(bench.slack.messages("C0DATA")) <= 1
    await bench.send_all(10)
    assert [message["text"] for message in bench.slack.messages("C0DATA")] == ["the sentence"]


async def test_while_the_token_is_refused_everything_waits(bench, click, root):
    """Readiness reports it, and nothing is lost."""
    await start_at(bench, click, root)
    await bench.send_all()
    bench.slack.revoke_token()
    await bench.end()
    calls = len(bench.slack.calls)
    for _ in range(3):
        await bench.send_all(AUTH_RETRY_S)
    assert len(bench.slack.calls) - calls <= 6
    assert bench.sender.auth_lost == "token_revoked"
    bench.slack.installation.tokens.bot_revoked = False
    await bench.send_all(AUTH_RETRY_S)
    assert bench.sender.auth_lost == ""
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_a_revoked_token_clears_no_doubt(bench, click, root):
    """A post that may have been made just before is searched for once the token is accepted again."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    await bench.send_all()
    bench.slack.revoke_token()
    await bench.send_all(1)
    bench.slack.installation.tokens.bot_revoked = False
    await bench.send_all(AUTH_RETRY_S)
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_a_rate_limit_is_respected(bench):
    """After a 429, the message waits as long as Slack asked, and is posted once."""
    bench.slack.faults.add(Fault(POST, "ratelimited", retry_after_s=20))
    await note(bench)
    await bench.send_all()
    assert await bench.store.outbox.next_at() == bench.clock.now + timedelta(seconds=20)
    await bench.send_all(19)
    assert bench.calls() == 1
    await bench.send_all(1)
    assert len(bench.slack.messages("C0DATA")) == 1
    assert bench.calls("conversations.history") == 0


@pytest.mark.parametrize("kind", ["http_500", "garbage", "hang", "drop"])
async def test_an_outcome_waits_during_an_outage(bench, click, root, kind):
    """It's posted afterwards; old progress isn't."""
    await start_at(bench, click, root)
    bench.slack.faults.add(Fault("*", kind, times=2))
    await bench.send_all()
    await bench.end()
    for _ in range(4):
        await bench.send_all(10)
    assert len(bench.outcomes("C0DATA", root)) == 1
    assert len(bench.slack.messages("C0DATA", root)) == 1


async def test_an_unknown_refusal_is_tried_three_times(bench):
    """Then the person gets a DM."""
    bench.slack.faults.add(Fault(POST, "error", times=3, code="a_code_of_next_year"))
    await note(bench)
    for _ in range(5):
        await bench.send_all(10)
    assert [message["text"] for message in bench.slack.messages("D0ANA")] == ["hello"]
    assert bench.calls() == 4


async def test_many_replies_in_one_channel_are_paced(bench, click, root):
    """Each is posted once, and none is lost."""
    bench.client._posts.clear()
    for n in range(12):
        await click(bench.store, bench.make, bench.make.press(message_ts=root), integration=f"int_{n}")
    for _ in range(40):
        items = await bench.store.outbox.claim(bench.clock.now, 16)
        await asyncio.gather(*(bench.sender.send(item) for item in items))
        bench.clock.advance(0.5)
    assert len(bench.slack.messages("C0DATA", root)) == 12


def test_the_clock_of_these_tests_is_aware(clock):
    assert isinstance(clock.now, datetime)
    assert clock.now.tzinfo is not None


async def test_the_end_of_several_syncs_is_shown_although_edits_are_scarce(bench):
    """Their progress leaves edits to other messages; the last edit, with its metadata, doesn't."""
    await bench.store.bulks.start(wanted_bulk(bench.make), bench.clock.now)
    await bench.send_all()
    [root] = bench.slack.messages("C0DATA")
    assert root["metadata"]["event_type"] == sender.MESSAGE_EVENT

    async def send_while_edits_are_scarce():
        bench.clock.advance(EDIT_EVERY_S)
        while not bench.client._updates.take(leave=UPDATES_FOR_PEOPLE):
            pass  # only those for people are left
        for _ in range(3):
            await bench.send_due()

    for claim in await bench.store.runs.claim(bench.clock.now, 9):
        await bench.store.runs.save(claim, bench.make.watching(claim.run, in_s=0), bench.clock.now)
    await send_while_edits_are_scarce()
    assert bench.calls("chat.update") == 0
    for claim in await bench.store.runs.claim(bench.clock.now, 9):
        await bench.store.runs.save(claim, bench.make.ended(claim.run), bench.clock.now)
    bench.clock.advance(10)
    await send_while_edits_are_scarce()
    ended = bench.slack.message("C0DATA", root["ts"])
    assert ended["text"].startswith("2 of 2 synced.")
    assert ended["metadata"]["event_type"] == "flokit_bulk_outcome"
    assert ended["metadata"]["event_payload"]["outbox_id"] == root["metadata"]["event_payload"]["outbox_id"]
    assert len(bench.outcomes("C0DATA", root["ts"])) == 2
