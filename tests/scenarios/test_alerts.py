"""The channel as a live board: a failure is one message, which turns green in place; nobody is told twice."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio

from local_slack import LostRoots
from local_slack.faults import Fault
from sandbox.local_flokit.faults import Fault as FlokitFault
from sandbox.local_flokit.sources import Plan
from tests.scenarios.conftest import running_world, words

ERROR = "The signing secret is wrong"
ANSWERED_WITHIN_S = 1.5
"""Less than any patience of ours with FloKit or the database: whoever waits for one of them takes longer."""

WATCHFUL = {"WATCH_INTERVAL_S": "0.3", "WATCH_CONFIRM_S": "0.2"}


def just_now():
    """Return the time now, for a success. FloKit tells whole seconds of it."""
    return datetime.now(UTC)


@pytest_asyncio.fixture
async def board(tmp_path):
    """A world with a healthy Stripe and Adjust, watched all the time; the channel C0DATA is subscribed to all."""
    async with running_world(tmp_path, **WATCHFUL) as world:
        fine = just_now() - timedelta(minutes=5)
        world.flokit.add("int_stripe", "stripe", status="connected", last_synced_at=fine)
        world.flokit.add("int_adjust", "adjust", status="connected", last_synced_at=fine)
        await world.start_bot()
        await world.status("subscribe all")
        yield world


def incidents(world, channel="C0DATA"):
    """Return the messages of incidents in a channel."""
    signs = ("flokit_snooze", "flokit_end_snooze", "recovered after")
    return [one for one in world.slack.messages(channel) if any(sign in words(one) for sign in signs)]


async def incident(world, part, channel="C0DATA"):
    """Wait for the one message of an incident that says ``part``."""
    return await world.slack.wait_for(
        lambda: next((one for one in incidents(world, channel) if part in words(one)), None), 10, f"an incident: {part}"
    )


def fail(world, integration_id="int_stripe", error=ERROR):
    """Let an integration fail."""
    world.flokit.set(integration_id, status="error", error_message=error)


def repair(world, integration_id="int_stripe"):
    """Let an integration have a new success."""
    world.flokit.set(integration_id, status="connected", error_message=None, last_synced_at=just_now())


async def test_failure_is_one_message_that_turns_green(board):
    """What fails by itself and recovers by itself is one message, edited, with one reply."""
    fail(board)
    message = await incident(board, "is failing")
    assert ERROR in words(message)
    repair(board)
    done = await incident(board, "recovered after")
    assert done["ts"] == message["ts"]
    await board.reply(message["ts"], "recovered after")
    await board.settle()
    assert len(board.slack.messages("C0DATA", message["ts"])) == 1
    assert len(incidents(board)) == 1


async def test_resync_from_the_incident_stands_in_its_thread(board):
    """A Resync pressed on an incident tells its outcome in the same thread, and the message says by whom."""
    fail(board)
    message = await incident(board, "is failing")
    board.flokit.plan("int_stripe", Plan(0.1, 0.6, "succeeded"))
    await board.press(message, "flokit_resync", "int_stripe")
    await incident(board, "resync started by <@UANA>")
    [outcome] = await board.outcomes(message["ts"])
    assert outcome["outcome"] == "succeeded"
    done = await incident(board, "recovered after")
    assert done["ts"] == message["ts"]
    assert "resync by ana" in words(done)
    await board.settle()
    assert "recovered after" not in "".join(map(words, board.slack.messages("C0DATA", message["ts"])))
    assert len(incidents(board)) == 1


async def test_recovery_after_a_resync_that_failed_is_told(board):
    """After a resync from the incident that failed, what recovers by itself is told all the same."""
    fail(board)
    message = await incident(board, "is failing")
    board.flokit.plan("int_stripe", Plan(0.1, 0.5, "failed", error_message=ERROR))
    await board.press(message, "flokit_resync", "int_stripe")
    await board.outcomes(message["ts"])
    repair(board)
    await board.reply(message["ts"], "recovered after")


async def test_resync_that_fails_in_another_way_is_told_once(board):
    """What a resync's outcome says of another failure is not said a second time in the same thread."""
    fail(board)
    message = await incident(board, "is failing")
    board.flokit.plan("int_stripe", Plan(0.1, 0.5, "failed", error_message="The account was closed"))
    await board.press(message, "flokit_resync", "int_stripe")
    await board.outcomes(message["ts"])
    await incident(board, "The account was closed")
    await board.settle()
    assert "with a different error" not in "".join(map(words, board.slack.messages("C0DATA", message["ts"])))


async def test_another_failure_is_told_in_the_thread(board):
    """What fails in another way while an incident is open is one reply in ten minutes; the message shows each error."""
    fail(board)
    message = await incident(board, ERROR)
    fail(board, error="The account was closed")
    await incident(board, "The account was closed")
    await board.reply(message["ts"], "with a different error")
    board.flokit.set("int_stripe", status="disconnected", error_message=None)
    await incident(board, "is disconnected")
    await board.settle()
    assert len(board.slack.messages("C0DATA", message["ts"])) == 1
    await board.move_clock(minutes=11)
    await board.reply(message["ts"], "is disconnected now")
    assert len(incidents(board)) == 1


async def test_recovery_is_told_to_whoever_was_told_of_the_failure(board):
    """What a channel was told of has an end there, although it became a trouble that the channel did not ask for."""
    other = board.channel("C0OTHER")
    await board.status("subscribe all failing, recovered", channel=other)
    fail(board)
    message = await incident(board, "is failing", other)
    board.flokit.set("int_stripe", status="disconnected", error_message=None)
    await incident(board, "is disconnected", other)
    repair(board)
    await board.reply(message["ts"], "recovered after", channel=other)
    await board.settle()
    assert len(board.slack.messages(other, message["ts"])) == 1


async def test_failure_that_a_resync_told_is_not_told_again(board):
    """A resync that fails is told in its thread; nothing else is posted there, and the recovery is a reply to it."""
    board.flokit.plan("int_stripe", Plan(0.1, 0.5, "failed", error_message=ERROR))
    root = await board.resync("int_stripe")
    [outcome] = await board.outcomes(root)
    assert outcome["outcome"] == "failed"
    other = board.channel("C0OTHER")
    await board.status("subscribe all", channel=other)
    await incident(board, "is failing", other)
    assert incidents(board) == []
    repair(board)
    await board.reply(root, "recovered after")
    await incident(board, "recovered after", other)
    assert incidents(board) == []


async def test_channels_are_told_what_each_asked_for(board):
    """A channel that asked for another integration, or other news, is told nothing of this one."""
    stale, adjust = board.channel("C0STALE"), board.channel("C0ADJUST")
    await board.status("subscribe all stale", channel=stale)
    await board.status("subscribe adjust failing", channel=adjust)
    fail(board)
    await incident(board, "is failing")
    fail(board, "int_adjust")
    await incident(board, "is failing", adjust)
    await board.settle()
    assert len(incidents(board)) == 2
    assert len(incidents(board, adjust)) == 1
    assert incidents(board, stale) == []


async def snooze(world, message, choice, channel="C0DATA"):
    """Choose from the Snooze menu of an incident."""
    shown = world.slack.message(channel, message["ts"])
    value = next(
        option["value"]
        for block in shown["blocks"]
        for element in block.get("elements", [])
        if element.get("action_id") == "flokit_snooze"
        for option in element["options"]
        if choice in option["value"]
    )
    ack = await world.slack.click("UANA", channel, message["ts"], "flokit_snooze", value=value)
    assert ack.ok, world.bot.log


async def test_snooze_ends_by_itself_and_says_so_once(board):
    """A snooze of an hour is over after an hour: one reply says that it still fails."""
    fail(board)
    message = await incident(board, "is failing")
    await snooze(board, message, "1h")
    await incident(board, "snoozed by ana")
    await board.move_clock(minutes=61)
    await board.reply(message["ts"], "Snooze ended")
    await board.slack.wait_for(lambda: "snoozed by" not in words(incidents(board)[0]), 10, "no snooze")
    await board.settle()
    assert len(board.slack.messages("C0DATA", message["ts"])) == 1


async def test_snoozed_incident_that_recovers_stays_quiet(board):
    """A recovery of a snoozed incident is seen in its message, and nothing is said."""
    fail(board)
    message = await incident(board, "is failing")
    await snooze(board, message, "recovered")
    await incident(board, "snoozed by ana")
    repair(board)
    await incident(board, "recovered after")
    await board.settle()
    assert board.slack.messages("C0DATA", message["ts"]) == []


async def test_another_failure_breaks_a_snooze(board):
    """What fails in another way is told, although the first failure is snoozed."""
    fail(board)
    message = await incident(board, "is failing")
    await snooze(board, message, "4h")
    await incident(board, "snoozed by ana")
    fail(board, error="The account was closed")
    await board.reply(message["ts"], "with a different error")
    await board.slack.wait_for(lambda: "snoozed by" not in words(incidents(board)[0]), 10, "no snooze")


async def test_unsubscribing_from_what_is_not_subscribed_names_what_is(board):
    """A target that means an integration without a subscription is answered by those that there are."""
    answer = words(await board.note("unsubscribe stripe"))
    assert "This channel has no subscription to every Stripe integration. It has: all integrations." in answer
    assert "Closest matches: Stripe" in words(await board.note("unsubscribe stripes"))


async def test_a_snooze_that_ends_after_an_unsubscribe_says_nothing(board):
    """Whoever does not want to hear of it any more is not told that a snooze has ended; the message shows it."""
    fail(board)
    message = await incident(board, "is failing")
    await snooze(board, message, "1h")
    await incident(board, "snoozed by ana")
    await board.status("unsubscribe all")
    await board.move_clock(minutes=61)
    await board.slack.wait_for(lambda: "snoozed by" not in words(incidents(board)[0]), 10, "no snooze")
    await board.settle()
    assert board.slack.messages("C0DATA", message["ts"]) == []


@pytest.mark.parametrize(("asked", "mention"), [("@here", "<!here>"), ("<!subteam^S0CREW>", "<!subteam^S0CREW>")])
async def test_a_mention_is_made_once_in_an_incident(board, asked, mention):
    """Whom a subscription asks for is mentioned in the first message of an incident, and in nothing that follows."""
    other = board.channel("C0OTHER")
    await board.status(f"subscribe all mention {asked}", channel=other)
    fail(board)
    message = await incident(board, "is failing", other)
    fail(board, error="The account was closed")
    await board.reply(message["ts"], "with a different error", channel=other)
    board.slack.faults.add(Fault("chat.update", "error", times=2, code="cant_update_message"))
    repair(board)
    await board.reply(message["ts"], "recovered after", channel=other)
    await board.slack.wait_for(
        lambda: "It was failing from" in "".join(map(words, board.slack.messages(other, message["ts"]))), 10, "it anew"
    )
    await board.settle()
    posts = [call.args for call in board.slack.calls if call.method == "chat.postMessage" and not call.error]
    pinging = [post for post in posts if mention in post["text"] and "failing" in post["text"]]
    assert [post["channel"] for post in pinging] == [other]
    assert mention in words(message)
    assert not [post for post in posts if post["channel"] == "C0DATA" and mention in str(post)]


async def test_broadcast_shows_another_failure_in_the_channel(board):
    """Where a subscription asks for it, the reply of another failure stands in the channel, too; a recovery never."""
    loud = board.channel("C0LOUD")
    await board.status("subscribe all broadcast", channel=loud)
    fail(board)
    message = await incident(board, "is failing", loud)
    quiet = await incident(board, "is failing")
    fail(board, error="The account was closed")
    reply = await board.reply(message["ts"], "with a different error", channel=loud)
    assert reply["subtype"] == "thread_broadcast"
    reply = await board.reply(quiet["ts"], "with a different error")
    assert "subtype" not in reply
    repair(board)
    reply = await board.reply(message["ts"], "recovered after", channel=loud)
    assert "subtype" not in reply


@pytest.mark.parametrize("turns", [("error", "error"), ("error", "disconnected")], ids="-".join)
async def test_failures_in_turn_make_no_noise(board, turns):
    """Failures that take turns at sixteen looks show a loud channel the first one and one more."""
    loud = board.channel("C0LOUD")
    await board.status("subscribe all broadcast", channel=loud)
    texts = (ERROR, "The account was closed")
    for number in range(16):
        text = texts[number % 2]
        board.flokit.set("int_stripe", status=turns[number % 2], error_message=text)
        await incident(board, text, loud)
    await board.settle()
    [message] = incidents(board, loud)
    replies = board.slack.messages(loud, message["ts"])
    assert [one.get("subtype") for one in replies] == ["thread_broadcast"]


async def test_a_click_looks_before_the_background_when_the_budget_is_short(board):
    """While so much of the minute's budget is spent that the background must wait, whoever asks sees what is so now."""
    await board.settle()
    with closing(sqlite3.connect(board.folder / "flokit.db")) as database, database:
        spent = "UPDATE budget SET free_at = (SELECT max(free_at) FROM budget) WHERE slot < 80"
        assert database.execute(spent).rowcount == 80
    looks = len(board.flokit.requests)
    await board.slack.wait_for(
        lambda: any("budget of 100 requests" in str(entry.get("error")) for entry in board.log), 10, "it to wait"
    )
    assert len(board.flokit.requests) <= looks + 1  # one may have been under way
    fail(board)
    assert ERROR in words(await board.status())


@pytest.mark.parametrize("hanging", ["flokit", "database"])
async def test_a_webhook_is_answered_whatever_hangs(tmp_path, hanging):
    """The sender has its answer while FloKit, or the database, says nothing at all; the look comes afterwards."""
    secret = "a-secret-of-the-sender"
    settings = {"WATCH_INTERVAL_S": "600", "WATCH_CONFIRM_S": "0.2", "FLOKIT_WEBHOOK_SECRET": secret}
    async with running_world(tmp_path, **settings) as world:
        world.flokit.add("int_stripe", "stripe", status="connected", last_synced_at=just_now())
        await world.start_bot()
        await world.status("subscribe all")
        await world.settle()
        hung = Hung(world, hanging)
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S), httpx.AsyncClient() as http:
                proof = {"Authorization": f"Bearer {secret}"}
                answer = await http.post(
                    f"{world.url}/webhooks/flokit", json={"type": "integration.error"}, headers=proof
                )
            assert answer.status_code == 202
        finally:
            hung.end()
        fail(world)
        await incident(world, "is failing")


class Hung:
    """FloKit, or the database, at a standstill until it is ended."""

    def __init__(self, world, what):
        self._world, self._database = world, None
        if what == "flokit":
            world.flokit.faults.add(FlokitFault("hang", times=None))
        else:
            self._database = sqlite3.connect(world.folder / "flokit.db", isolation_level=None)
            self._database.execute("BEGIN IMMEDIATE")

    def end(self):
        """Let it go on."""
        if self._database:
            self._database.close()
        else:
            self._world.flokit.faults.clear()


async def test_stale_is_told(board):
    """An integration without a success for too long is an incident although FloKit calls it connected."""
    await board.move_clock(hours=25)
    message = await incident(board, "is connected, but stale")
    board.flokit.set("int_stripe", last_synced_at=board.clock.now())
    board.flokit.set("int_adjust", last_synced_at=board.clock.now())
    await board.slack.wait_for(
        lambda: all("recovered after" in words(one) for one in incidents(board)), 10, "both recovered"
    )
    assert message["ts"] in {one["ts"] for one in incidents(board)}


async def test_flapping_rolls_in_one_message(board):
    """What fails again and again within an hour is told as a message of its own only so many times."""
    for number in range(1, 6):
        fail(board)
        await board.slack.wait_for(
            lambda number=number: (
                len(incidents(board)) >= min(number, 3)
                and "flokit_snooze" in words(incidents(board)[-1])
                and "Fine since" not in words(incidents(board)[-1])
            ),
            10,
            f"failure {number}",
        )
        newer = just_now() + timedelta(seconds=number)  # FloKit tells whole seconds, and this goes faster
        board.flokit.set("int_stripe", status="connected", error_message=None, last_synced_at=newer)
        await board.slack.wait_for(
            lambda: any(sign in words(incidents(board)[-1]) for sign in ("recovered after", "Fine since")),
            10,
            "it fine",
        )
    await board.settle()
    assert len(incidents(board)) == 3
    assert "5 failures in a short time" in words(incidents(board)[-1])


async def test_restart_in_the_middle_of_an_incident(board):
    """An incident that opened before a crash is the same one afterwards."""
    fail(board)
    message = await incident(board, "is failing")
    await board.bot.kill()
    repair(board)
    await board.start_bot()
    done = await incident(board, "recovered after")
    assert done["ts"] == message["ts"]
    assert len(incidents(board)) == 1


async def test_killed_while_it_posts_an_incident(board):
    """An incident whose post was under way in a crash stands in the channel once."""
    fail(board)
    await board.killed_at(lambda: incidents(board))
    await board.start_bot()
    repair(board)
    await incident(board, "recovered after")
    await board.settle()
    assert len(incidents(board)) == 1


async def test_message_that_cannot_be_edited_is_posted_anew_in_its_thread(board):
    """When Slack takes no edit of an incident's message any more, a reply in its thread shows how things stand."""
    fail(board)
    message = await incident(board, "is failing")
    board.slack.faults.add(Fault("chat.update", "error", code="cant_update_message"))
    repair(board)
    await board.reply(message["ts"], "It was failing from")
    await board.settle()


async def test_edit_that_is_refused_without_a_known_reason_is_posted_anew(board):
    """An edit that Slack goes on refusing, for whatever reason, becomes a reply in the thread."""
    fail(board)
    message = await incident(board, "is failing")
    board.expected_refusals.add("a_new_error")
    board.slack.faults.add(Fault("chat.update", "error", times=3, code="a_new_error"))
    repair(board)
    await board.reply(message["ts"], "It was failing from", timeout_s=30)
    await board.settle()


@pytest.mark.parametrize("lost", LostRoots)
async def test_message_that_was_deleted_is_posted_anew_once(board, lost):
    """When somebody deletes an incident's message, the recovery is one new message in the channel, not two."""
    board.slack.lost_roots = lost
    fail(board)
    message = await incident(board, "is failing")
    await board.settle()
    board.expected_refusals.add("thread_not_found")
    board.slack.delete_message("C0DATA", message["ts"])
    repair(board)
    await incident(board, "recovered after")
    await board.settle()
    assert sum("recovered after" in words(one) for one in board.slack.messages("C0DATA")) == 1


@pytest.mark.parametrize("style", ["", "broadcast"])
@pytest.mark.parametrize("lost", LostRoots)
async def test_failure_below_a_deleted_message_is_told_once(board, lost, style):
    """After an incident's message is deleted, another failure is one message, and the recovery goes below it."""
    board.slack.lost_roots = lost
    channel = board.channel("C0LOST")
    await board.status(f"subscribe all {style}", channel=channel)
    before = len(board.slack.messages(channel))
    fail(board)
    message = await incident(board, "is failing", channel)
    await board.settle()
    board.expected_refusals.add("thread_not_found")
    board.slack.delete_message(channel, message["ts"])
    fail(board, error="The account was closed")
    anew = await incident(board, "The account was closed", channel)
    await board.settle()
    assert [one["ts"] for one in board.slack.messages(channel)[before:]] == [anew["ts"]]
    repair(board)
    await board.reply(anew["ts"], "recovered after", channel=channel)
    await board.settle()
    assert [one["ts"] for one in board.slack.messages(channel)[before:]] == [anew["ts"]]


async def test_storm_of_webhooks(tmp_path):
    """Five hundred webhooks make the bot look at most once a second, and tell one incident."""
    secret = "a-secret-of-the-sender"
    settings = {"WATCH_INTERVAL_S": "600", "WATCH_CONFIRM_S": "0.5", "FLOKIT_WEBHOOK_SECRET": secret}
    async with running_world(tmp_path, **settings) as world:
        world.flokit.add("int_stripe", "stripe", status="connected", last_synced_at=just_now())
        await world.start_bot()
        await world.status("subscribe all")
        await world.slack.wait_for(lambda: world.flokit.requests, 10, "the first look")
        fail(world)
        began, before = time.monotonic(), len(world.flokit.requests)
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret}"}) as http:
            for batch in range(10):
                answers = await asyncio.gather(
                    *(
                        http.post(f"{world.url}/webhooks/flokit", json={"type": "integration.error", "n": [batch, n]})
                        for n in range(50)
                    )
                )
                assert {answer.status_code for answer in answers} == {202}
        await incident(world, "is failing")
        await world.settle()
        looks = len(world.flokit.requests) - before
        assert looks <= time.monotonic() - began + 3  # one to begin with, and one to confirm
        assert len(incidents(world)) == 1


async def test_archived_channel_rests_and_goes_on(board):
    """An archived channel is told nothing, whoever subscribed it is told so once, and it goes on afterwards."""
    other = board.channel("C0OTHER")
    await board.status("subscribe all", channel=other, user="UBEN")
    board.slack.archive(other, "UCLEO")
    root = await board.direct_root("UBEN")
    assert "the channel is archived" in words(root)
    fail(board)
    await incident(board, "is failing")
    await board.settle()
    assert incidents(board, other) == []
    board.slack.unarchive(other, "UCLEO")
    await incident(board, "is failing", other)
    assert len(board.slack.messages(root["channel"])) == 1


async def test_what_an_archived_channel_missed_is_shown_once_it_opens(board):
    """An incident that ends while its channel is archived is shown as over as soon as the channel opens again."""
    other = board.channel("C0OTHER")
    await board.status("subscribe all", channel=other, user="UBEN")
    fail(board)
    message = await incident(board, "is failing", other)
    board.slack.archive(other, "UCLEO")
    await board.direct_root("UBEN")
    repair(board)
    await board.slack.wait_for(lambda: refused(board, other), what="an edit that is refused")
    board.slack.unarchive(other, "UCLEO")
    assert (await incident(board, "recovered after", other))["ts"] == message["ts"]
    assert len(refused(board, other)) == 1


def refused(board, channel):
    """Return the edits that Slack refused in a channel."""
    return [
        call
        for call in board.slack.calls
        if call.method == "chat.update" and call.error and call.args["channel"] == channel
    ]


async def test_removed_from_a_private_channel(board):
    """A channel that the bot was removed from rests even when no event told so, and goes on when it is invited."""
    board.slack.add_channel("G0SECRET", "secret", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0SECRET", user="UBEN")
    board.slack.remove_bot("G0SECRET", "UANA")
    root = await board.direct_root("UBEN")
    assert "I can no longer post there" in words(root)
    fail(board)
    await incident(board, "is failing")
    board.slack.invite_bot("G0SECRET", "UANA")
    await incident(board, "is failing", "G0SECRET")


async def test_a_channel_that_is_shared_goes_on(board):
    """A channel that gets another id keeps its subscription, its incident's message, and the sync that runs there."""
    board.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0PARTNERS")
    fail(board)
    message = await incident(board, "is failing", "G0PARTNERS")
    board.flokit.plan("int_stripe", Plan(0.2, 3, "succeeded"))
    await board.press(message, "flokit_resync", "int_stripe", channel="G0PARTNERS")
    await board.reply(message["ts"], "Sync started by ana", channel="G0PARTNERS")
    board.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
    [outcome] = await board.outcomes(message["ts"], channel="C0PARTNERS")
    assert outcome["outcome"] == "succeeded"
    done = await incident(board, "recovered after", "C0PARTNERS")
    assert done["ts"] == message["ts"]
    repair(board)
    fail(board, error="The account was closed")
    await incident(board, "The account was closed", "C0PARTNERS")


async def test_what_is_asked_under_a_channels_old_id_is_answered_in_its_thread(board):
    """A mention that names a channel's old id, after the new one was heard of, is answered in the channel."""
    board.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0PARTNERS", user="UBEN")
    root = board.slack.workspace.post("G0PARTNERS", {"user": "UBEN", "text": "<@UFLOKIT> status"})["ts"]
    board.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
    await board.settle()
    event = {"type": "app_mention", "user": "UBEN", "channel": "G0PARTNERS", "ts": root, "text": "<@UFLOKIT> status"}
    assert (await board.slack.event(event)).ok
    await board.slack.wait_for(lambda: board.slack.messages("C0PARTNERS", root), what="the answer")


async def test_a_channel_whose_new_id_is_heard_of_late_goes_on(board):
    """What was refused under the old id before the event came goes on afterwards, also after a crash."""
    board.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0PARTNERS", user="UBEN")
    board.slack.installation.events -= {"channel_id_changed"}
    board.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
    fail(board)
    await board.direct_root("UBEN")
    event = {"type": "channel_id_changed", "old_channel_id": "G0PARTNERS", "new_channel_id": "C0PARTNERS"}
    assert (await board.slack.event(event)).ok
    await board.restart()
    await incident(board, "is failing", "C0PARTNERS")
    await board.settle()
    assert len(incidents(board, "C0PARTNERS")) == 1


async def test_an_incident_that_ends_before_the_new_id_is_heard_of(board):
    """An edit that was refused under the old id is made under the new one, although the incident is over."""
    board.slack.add_channel("G0PARTNERS", "partners", "private", members=("UANA", "UBEN"), bot_is_member=True)
    await board.status("subscribe all", channel="G0PARTNERS", user="UBEN")
    fail(board)
    message = await incident(board, "is failing", "G0PARTNERS")
    board.slack.installation.events -= {"channel_id_changed"}
    board.slack.change_channel_id("G0PARTNERS", "C0PARTNERS")
    repair(board)
    await board.slack.wait_for(lambda: refused(board, "G0PARTNERS"), what="an edit that is refused")
    await board.settle()
    event = {"type": "channel_id_changed", "old_channel_id": "G0PARTNERS", "new_channel_id": "C0PARTNERS"}
    assert (await board.slack.event(event)).ok
    assert (await incident(board, "recovered after", "C0PARTNERS"))["ts"] == message["ts"]
