"""What could be noisy is posted once: mentions, alternating failures, many webhooks at once."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import timedelta

import httpx
import pytest

from local_slack.faults import Fault
from sandbox.local_flokit.faults import Fault as FlokitFault
from tests.scenarios.conftest import running_world, words
from tests.scenarios.watching import ERROR, fail, incident, incidents, just_now, repair

ANSWERED_WITHIN_S = 1.5
"""Less than the timeouts for FloKit and the database: an answer that waits for either takes longer."""


@pytest.mark.parametrize(("asked", "mention"), [("@here", "<!here>"), ("<!subteam^S0CREW>", "<!subteam^S0CREW>")])
async def test_a_mention_is_made_once_in_an_incident(board, asked, mention):
    """A subscription's mention is in the first message of an incident, and in nothing that follows."""
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
        lambda: "It was failing from" in "".join(map(words, board.slack.messages(other, message["ts"]))), 10, "it again"
    )
    await board.settle()
    posts = [call.args for call in board.slack.calls if call.method == "chat.postMessage" and not call.error]
    pinging = [post for post in posts if mention in post["text"] and "failing" in post["text"]]
    assert [post["channel"] for post in pinging] == [other]
    assert mention in words(message)
    assert not [post for post in posts if post["channel"] == "C0DATA" and mention in str(post)]


async def test_a_broadcast_shows_another_failure_in_the_channel(board):
    """If a subscription asks for it, a reply about another failure is shown in the channel; a recovery never is."""
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
async def test_alternating_failures_make_no_noise(board, turns):
    """If two failures alternate over sixteen checks, a channel with all updates gets the first one and one more."""
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


async def test_a_click_takes_precedence_over_the_background(board):
    """The background waits once it has used its share of the minute's budget; people still see fresh data."""
    await board.settle()
    with closing(sqlite3.connect(board.folder / "flokit.db")) as database, database:
        spent = "UPDATE budget SET free_at = (SELECT max(free_at) FROM budget) WHERE slot < 80"
        assert database.execute(spent).rowcount == 80
    looks = len(board.flokit.requests)
    await board.slack.wait_for(
        lambda: any("budget of 100 FloKit requests" in str(entry.get("error")) for entry in board.log), 10, "it to wait"
    )
    assert len(board.flokit.requests) <= looks + 1  # one may have been running
    fail(board)
    assert ERROR in words(await board.status())


@pytest.mark.parametrize("hanging", ["flokit", "database"])
async def test_a_webhook_is_answered_whatever_hangs(tmp_path, hanging):
    """The sender gets its answer although FloKit or the database hangs; the check follows later."""
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
    """Freeze FloKit or the database until the block ends."""

    def __init__(self, world, what):
        self._world, self._database = world, None
        if what == "flokit":
            world.flokit.faults.add(FlokitFault("hang", times=None))
        else:
            self._database = sqlite3.connect(world.folder / "flokit.db", isolation_level=None)
            self._database.execute("BEGIN IMMEDIATE")

    def end(self):
        """End the freeze."""
        if self._database:
            self._database.close()
        else:
            self._world.flokit.faults.clear()


async def test_flapping_becomes_one_message(board):
    """What fails again and again within an hour gets only a limited number of messages."""
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
        newer = just_now() + timedelta(seconds=number)  # FloKit's times are whole seconds, and this test is faster
        board.flokit.set("int_stripe", status="connected", error_message=None, last_synced_at=newer)
        await board.slack.wait_for(
            lambda: any(sign in words(incidents(board)[-1]) for sign in ("recovered after", "Fine since")),
            10,
            "it fine",
        )
    await board.settle()
    assert len(incidents(board)) == 3
    assert "5 failures in a short time" in words(incidents(board)[-1])


async def test_many_webhooks_at_once_cause_few_checks(tmp_path):
    """Five hundred webhooks cause at most one check a second, and one incident."""
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
        assert looks <= time.monotonic() - began + 3  # one to start with, and one to confirm
        assert len(incidents(world)) == 1
