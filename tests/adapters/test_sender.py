"""The sender with a real store and a Slack on a real socket: what must be shown is shown, once, or another way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.core.commands.presses import Action
from bot.core.errors import ClaimLost
from bot.core.models import Message, Outcome
from bot.core.panels import PanelKind
from bot.slack.client import SlackClient
from bot.slack.scopes import BOT_SCOPES
from bot.store.outbox_rows import EDIT_EVERY_S, Address, OutboxKind, show_held_back
from bot.store.tables import outbox
from bot.workers.remedies import AUTH_RETRY_S
from bot.workers.sender import Sender
from local_slack import Fault, LostRoots
from sandbox.slack import flokit_slack

POST = "chat.postMessage"
HERE = Address("T0SANDBOX", "C0DATA", user_id="UANA")


class CrashError(BaseException):
    """The process ends here."""


class Bench:
    """A sender on a store and a Slack, with the time in the test's hands."""

    def __init__(self, store, slack, client, clock, make):
        self.store, self.slack, self.client, self.clock, self.make = store, slack, client, clock, make
        self.closed = []
        self.sender = Sender(
            store,
            client,
            clock=clock,
            bot_user_id="UFLOKIT",
            on_closed=self.note_closed,
            on_refused=self.note_refused,
        )

    async def note_closed(self, channel_id, reason):
        """Take note of a channel in which a subscription can no longer be served."""
        self.closed.append((channel_id, reason))

    async def note_refused(self, _channel_id):
        """No channel got another id."""
        return False

    async def send_due(self):
        """Send what is due now, in the store's order, and tell how many pieces that were."""
        items = await self.store.outbox.claim(self.clock.now, 20)
        for item in items:
            await self.sender.send(item)
        return len(items)

    async def send_all(self, seconds=0.0):
        """Let time pass, then send until nothing is due."""
        self.clock.advance(seconds)
        for _ in range(20):
            if not await self.send_due():
                return
        raise AssertionError("messages are due without end")

    async def end(self, outcome=Outcome.SUCCEEDED):
        """End the run that is due."""
        (claim,) = await self.store.runs.claim(self.clock.now, 5)
        await self.store.runs.save(claim, self.make.ended(claim.run, outcome), self.clock.now)

    async def look(self, in_s=0.0):
        """Go on with the run that is due."""
        (claim,) = await self.store.runs.claim(self.clock.now, 5)
        await self.store.runs.save(claim, self.make.watching(claim.run, in_s=in_s), self.clock.now)

    async def crash(self, item, method, before=None):
        """Send a piece, and end the process where it would record what was done."""

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
        """Count a method's calls."""
        return len([call for call in self.slack.calls if call.method == method])

    def outcomes(self, channel, thread_ts=None):
        """Return the outcomes that stand in a channel or thread."""
        return [
            message
            for message in self.slack.messages(channel, thread_ts)
            if (message.get("metadata") or {}).get("event_type") == "flokit_sync_outcome"
        ]

    async def rows(self):
        """Read the outbox."""
        async with self.store._database.begin() as connection:
            return (await connection.execute(select(outbox))).all()


@pytest_asyncio.fixture
async def bench(sqlite_store, clock, make):
    """Put the parts together; Slack lives in the test's time and limits no rates."""
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


# --- the usual way ---------------------------------------------------------------------------------------------


async def test_progress_is_one_reply_edited_in_place(bench, click, root):
    """Progress is posted once and then edited, at its pace; the outcome is a second reply below it."""
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


async def test_outcome_alone_when_it_came_first(bench, click, root):
    """A run that ends before its progress was posted has one reply: the outcome."""
    await start_at(bench, click, root)
    await bench.end()
    await bench.send_all()
    assert len(bench.slack.messages("C0DATA", root)) == 1
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_progress_claimed_before_the_end_is_not_posted_after_it(bench, click, root):
    """Progress that was in hand when the run ended is left out, and the outcome is told."""
    await start_at(bench, click, root)
    (progress,) = await bench.store.outbox.claim(bench.clock.now, 5)
    await bench.end()
    await bench.sender.send(progress)
    await bench.send_all()
    assert len(bench.slack.messages("C0DATA", root)) == 1
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_late_result_is_a_message_of_its_own(bench, click, root):
    """After "not confirmed" a late result is posted below it."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end(Outcome.NOT_CONFIRMED)
    await bench.send_all(EDIT_EVERY_S)
    bench.clock.advance(300)
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    told = [one["metadata"]["event_payload"]["outcome"] for one in bench.outcomes("C0DATA", root)]
    assert told == ["not_confirmed", "succeeded"]


async def test_row_of_the_clicked_panel_follows(bench, click):
    """The panel that was clicked is redrawn when its run starts and when it ends."""
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
    """Let the lease run out, and have another attempt made."""
    assert await bench.send_due() == 0
    bench.clock.advance(10)
    await bench.send_all()


async def test_crash_after_the_outcome_was_posted(bench, click, root):
    """An outcome that was posted but not recorded is found by its metadata and not posted again."""
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
    """An outcome whose sender vanished before the call is posted after the lease."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    await bench.store.outbox.claim(bench.clock.now, 1)
    await finish_after_crash(bench)
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_crash_after_the_progress_was_posted(bench, click, root):
    """Progress that was posted but not recorded is found, and edited from then on."""
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
    """The root of a typed sync is found in the channel, and its follow-up stands below it."""
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
    """A message without metadata of its own is recognised, too."""
    await note(bench)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(item, "mark_posted")
    await finish_after_crash(bench)
    assert len(bench.slack.messages("C0DATA")) == 1


async def test_crash_after_a_direct_message_was_posted(bench):
    """A direct message is looked for in the person's conversation."""
    await note(bench, Address("T0SANDBOX", user_id="UANA"))
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(item, "mark_posted")
    await finish_after_crash(bench)
    assert len(bench.slack.messages("D0ANA")) == 1


async def test_cancelled_in_the_call(bench, click, root):
    """A sender that is cancelled while Slack answers slowly leaves a doubt, and nothing is told twice."""
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


async def test_lost_reply_is_looked_for(bench, click, root):
    """A post that was done before the connection broke is found when it is tried again."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    await bench.send_all()
    await bench.send_all(1)
    assert len(bench.outcomes("C0DATA", root)) == 1
    assert bench.calls() == 2


async def test_look_that_is_allowed_soon_is_waited_for(bench, click, root):
    """When Slack allows the look for a doubtful post in a few seconds, the post is looked for, not repeated."""
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
async def test_what_cannot_be_looked_for_is_posted(bench, click, root, code):
    """When Slack doesn't let us look for a doubtful post, it goes out at once: twice rather than not at all."""
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
async def test_looks_that_never_work_silence_nothing(bench, click, root, kind):
    """When no look is ever answered, the message goes out all the same, after a few."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "drop"))
    bench.slack.faults.add(Fault("conversations.replies", kind, times=None))
    for _ in range(20):
        await bench.send_all(5)
    assert len(bench.outcomes("C0DATA", root)) == 1


async def test_progress_is_not_repeated_while_no_look_works(bench, click, root):
    """Progress that may be there waits until that can be checked: nobody misses it, but two of it confuse."""
    await start_at(bench, click, root)
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    bench.slack.faults.add(Fault("conversations.replies", "http_500", times=12))
    for _ in range(20):
        await bench.send_all(5)
    assert len(bench.slack.messages("C0DATA", root)) == bench.calls() == 1


async def test_message_repeated_without_a_check_is_logged(bench, click, root):
    """The log says which message may stand twice because no check worked."""
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


async def test_replies_that_are_lost_on_and_on_do_not_fill_the_channel(bench, click, root):
    """While every reply of Slack's is lost and no look allowed, an outcome is not posted at each try."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.end()
    bench.slack.faults.add(Fault(POST, "done_then_drop", times=None))
    bench.slack.faults.add(Fault("conversations.replies", "ratelimited", times=None, retry_after_s=60))
    for _ in range(60):
        await bench.send_all(10)
    assert 1 <= len(bench.outcomes("C0DATA", root)) <= 7


async def test_message_in_a_busy_thread_is_found(bench, click, root):
    """A thread's hundreds of older and newer messages don't hide a post: only the first ones since are asked for."""
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


async def test_edit_is_repeated_after_a_crash(bench, click, root):
    """An edit whose record was lost is made again: that harms nobody."""
    await start_at(bench, click, root)
    await bench.send_all()
    await bench.look()
    bench.clock.advance(EDIT_EVERY_S)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    await bench.crash(item, "mark_shown")
    await finish_after_crash(bench)
    assert len(bench.slack.messages("C0DATA", root)) == 1


async def test_taken_over_post_is_not_recorded_twice(bench, click, root):
    """A sender whose lease ended while it posted is refused, and whoever took over finds the post."""
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


async def test_process_that_stood_still_takes_its_late_post_back(bench, click, root):
    """A post that goes out although another process took over and posted, too, is deleted again."""
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


async def test_post_whose_turn_comes_after_the_lease_is_left_to_others(bench, click, root):
    """A sender that waits for its turn until its lease is over posts nothing."""
    await start_at(bench, click, root)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    whole = bench.client.post

    async def late_post(*args, **options):
        bench.clock.advance(10)
        return await whole(*args, **options)

    bench.client.post = late_post
    await bench.sender.send(item)
    assert bench.slack.messages("C0DATA", root) == []


@pytest.mark.parametrize(("left_s", "posts"), [(0.0, 0), (0.5, 0), (0.61, 1)])
async def test_nothing_is_posted_at_the_end_of_a_lease(bench, left_s, posts):
    """A post is begun only when it can end, its turn included, before somebody else may begin it."""
    await note(bench)
    (item,) = await bench.store.outbox.claim(bench.clock.now, 1)
    bench.clock.advance(10 - left_s)
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
async def test_status_where_the_bot_is_not_a_member(bench, channel):
    """Where the bot cannot post, the status goes to whoever asked, with how to invite it."""
    request = await typed(bench, channel)
    address = Address("T0SANDBOX", channel, user_id="UANA", response_url=request.origin.response_url)
    await bench.store.panels.add(request, bench.make.panel(), address, bench.clock.now)
    await bench.send_all()
    (shown,) = bench.slack.ephemerals("UANA")
    assert "/invite" in shown["text"]
    assert bench.slack.messages(channel) == []
    assert bench.calls() == 1


async def test_private_status_can_be_redrawn(bench):
    """A status that only one person sees is replaced in place by the response_url of a press on it."""
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


async def test_private_status_that_cannot_change_any_more_is_left(bench):
    """When the uses of a response_url are spent, the shown status stays as it is: nothing is posted elsewhere."""
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


async def test_private_note_is_sent_directly_when_refused(bench):
    """An answer for one person whose response_url is refused comes as a direct message."""
    request = await typed(bench, "C0GENERAL")
    url = request.origin.response_url
    for _ in range(5):
        await bench.client.respond(url, Message("used"))
    address = Address("T0SANDBOX", "C0GENERAL", user_id="UANA", response_url=url, ephemeral=True)
    await note(bench, address)
    for _ in range(4):
        await bench.send_all(30)
    assert [message["text"] for message in bench.slack.messages("D0ANA")] == ["hello"]


async def test_sync_in_a_closed_channel_is_followed_up_directly(bench, click):
    """``/flokit sync`` where the bot cannot post: a hint there, and root, progress and outcome as direct messages."""
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


async def test_sync_in_a_closed_channel_without_response_url(bench, click):
    """When the response_url fails, too, the root still goes to the person."""
    request = await typed(bench, "G0FINANCE")
    bench.slack.faults.add(Fault("response_url", "http_500", times=9))
    await click(bench.store, bench.make, request, root=bench.make.panel(kind=PanelKind.SYNC))
    await bench.end()
    await bench.send_all()
    (message,) = bench.slack.messages("D0ANA")
    assert len(bench.outcomes("D0ANA", message["ts"])) == 1


async def test_archived_channel(bench, click, root):
    """When the channel is archived meanwhile, the outcome goes to the person, once."""
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


async def test_an_edit_in_hand_when_the_channel_opens_is_made(bench, click, root):
    """An edit that the channel refused just before it opened again is made once more, whoever had it in hand."""
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


async def test_removed_bot(bench, click, root):
    """When the bot is removed from the channel before its first reply, the outcome goes to the person."""
    await start_at(bench, click, root)
    bench.slack.workspace.channels["C0DATA"].members.discard("UFLOKIT")
    await bench.send_all()
    await bench.end()
    await bench.send_all()
    assert len(bench.outcomes("D0ANA")) == 1
    assert bench.calls() == 3


@pytest.mark.parametrize("lost", LostRoots)
async def test_deleted_root(bench, click, root, lost):
    """When the clicked message is deleted, the outcome stands in the channel, and progress nowhere."""
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
async def test_late_result_of_a_lost_thread(bench, click, root, lost):
    """Below a root that was deleted, a story goes on in the thread of the outcome that stands in the channel."""
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
async def test_root_deleted_above_the_progress(bench, click, root, lost):
    """When the root is deleted above its progress, there is one outcome: in the thread, or in the channel."""
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
async def test_lost_reply_below_a_deleted_root(bench, click, root, lost, had_replies):
    """An outcome whose answer was lost is found wherever Slack put it, and not posted again."""
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


async def test_stray_progress_that_cannot_be_taken_back(bench, click, root):
    """Progress that stays in the channel is edited there, and the outcome stands below it."""
    await start_at(bench, click, root)
    bench.slack.delete_message("C0DATA", root)
    bench.slack.faults.add(Fault("chat.delete", "error", code="cant_delete_message"))
    await bench.send_all()
    await bench.end()
    await bench.send_all(EDIT_EVERY_S)
    (progress,) = bench.slack.messages("C0DATA")
    assert len(bench.outcomes("C0DATA", progress["ts"])) == 1


async def test_status_in_a_deleted_thread(bench, click):
    """A status that was asked for in a thread whose root is gone stands in the channel, and is redrawn there."""
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


async def test_deleted_progress(bench, click, root):
    """When the progress reply is deleted, its edits stop and the outcome is told all the same."""
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


async def test_unreachable_person_ends_the_attempts(bench):
    """What can be shown nowhere is given up after a few attempts, not tried for ever."""
    await note(bench, Address("T0SANDBOX", user_id="UNOBODY"))
    for _ in range(6):
        await bench.send_all(30)
    assert await bench.store.outbox.next_at() is None


# --- bad weather -----------------------------------------------------------------------------------------------


async def test_refused_blocks(bench):
    """When Slack refuses the blocks, the plain sentence still goes out, once."""
    broken = Message("the sentence", ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 4000}},))
    await note(bench, message=broken)
    await bench.send_all()
    (message,) = bench.slack.messages("C0DATA")
    assert message["text"] == "the sentence"
    assert "blocks" not in message


async def test_refused_blocks_stay_a_broadcast(bench, root):
    """A reply that was to be shown in the channel, too, still is when Slack refuses its blocks."""
    broken = Message(
        "the sentence", ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 4000}},), broadcast=True
    )
    await note(bench, Address("T0SANDBOX", "C0DATA", root), broken)
    await bench.send_all()
    (reply,) = [one for one in bench.slack.messages("C0DATA", root) if one["ts"] != root]
    assert (reply["text"], reply.get("subtype")) == ("the sentence", "thread_broadcast")


async def test_refused_blocks_then_a_lost_reply(bench):
    """A plain sentence whose reply was lost is looked for, too."""
    broken = Message("the sentence", ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 4000}},))
    await note(bench, message=broken)
    bench.slack.faults.add(Fault(POST, "error", code="invalid_blocks"))
    bench.slack.faults.add(Fault(POST, "done_then_drop"))
    await bench.send_all()
    await bench.send_all(1)
    assert len(bench.slack.messages("C0DATA")) <= 1
    await bench.send_all(10)
    assert [message["text"] for message in bench.slack.messages("C0DATA")] == ["the sentence"]


async def test_revoked_token(bench, click, root):
    """While Slack refuses the token everything waits, readiness tells, and nothing is lost."""
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


async def test_revoked_token_clears_no_doubt(bench, click, root):
    """A post that may have gone out just before the token was revoked is looked for once the token is back."""
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


async def test_rate_limit_is_honoured(bench):
    """After a 429 the message waits as long as Slack asked, and then goes out once."""
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
async def test_outage(bench, click, root, kind):
    """While Slack does not answer the outcome waits, ever longer; on return it is told, and old progress is not."""
    await start_at(bench, click, root)
    bench.slack.faults.add(Fault("*", kind, times=2))
    await bench.send_all()
    await bench.end()
    for _ in range(4):
        await bench.send_all(10)
    assert len(bench.outcomes("C0DATA", root)) == 1
    assert len(bench.slack.messages("C0DATA", root)) == 1


async def test_unknown_refusal_is_not_repeated_for_ever(bench):
    """A code that nobody knows is tried three times, then the person is told directly."""
    bench.slack.faults.add(Fault(POST, "error", times=3, code="a_code_of_next_year"))
    await note(bench)
    for _ in range(5):
        await bench.send_all(10)
    assert [message["text"] for message in bench.slack.messages("D0ANA")] == ["hello"]
    assert bench.calls() == 4


async def test_crowd_in_one_channel(bench, click, root):
    """Many replies to one channel at once are paced through the outbox: each is posted once, none is lost."""
    bench.client._posts.clear()
    for n in range(12):
        await click(bench.store, bench.make, bench.make.press(message_ts=root), integration=f"int_{n}")
    for _ in range(40):
        items = await bench.store.outbox.claim(bench.clock.now, 16)
        await asyncio.gather(*(bench.sender.send(item) for item in items))
        bench.clock.advance(0.5)
    assert len(bench.slack.messages("C0DATA", root)) == 12


def test_clock_of_the_bench_is_aware(clock):
    """The bench's time is an aware datetime, as the bot's is."""
    assert isinstance(clock.now, datetime)
    assert clock.now.tzinfo is not None
