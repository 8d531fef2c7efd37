"""Incidents whose message was deleted, refused, or being written when the bot stopped."""

from __future__ import annotations

import pytest

from local_slack import LostRoots
from local_slack.faults import Fault
from tests.scenarios.conftest import words
from tests.scenarios.watching import fail, incident, incidents, repair


async def test_an_incident_continues_after_a_restart(board):
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
    """An incident being posted during a crash is in the channel once."""
    fail(board)
    await board.killed_at(lambda: incidents(board))
    await board.start_bot()
    repair(board)
    await incident(board, "recovered after")
    await board.settle()
    assert len(incidents(board)) == 1


async def test_a_message_that_cannot_be_edited_gets_a_reply_instead(board):
    fail(board)
    message = await incident(board, "is failing")
    board.slack.faults.add(Fault("chat.update", "error", code="cant_update_message"))
    repair(board)
    await board.reply(message["ts"], "It was failing from")
    await board.settle()


async def test_an_edit_refused_for_an_unknown_reason_becomes_a_reply(board):
    fail(board)
    message = await incident(board, "is failing")
    board.expected_refusals.add("a_new_error")
    board.slack.faults.add(Fault("chat.update", "error", times=3, code="a_new_error"))
    repair(board)
    await board.reply(message["ts"], "It was failing from", timeout_s=30)
    await board.settle()


@pytest.mark.parametrize("lost", LostRoots)
async def test_a_deleted_message_is_posted_again_once(board, lost):
    """The recovery is one new message in the channel, not two."""
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
async def test_a_failure_after_its_message_was_deleted_is_posted_once(board, lost, style):
    """The recovery is a reply to it."""
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
    again = await incident(board, "The account was closed", channel)
    await board.settle()
    assert [one["ts"] for one in board.slack.messages(channel)[before:]] == [again["ts"]]
    repair(board)
    await board.reply(again["ts"], "recovered after", channel=channel)
    await board.settle()
    assert [one["ts"] for one in board.slack.messages(channel)[before:]] == [again["ts"]]
