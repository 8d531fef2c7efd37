"""The preview of several syncs, and the message that follows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core import blocks
from bot.core.blocks import limits
from bot.core.blocks.elements import json_chars
from bot.core.bulks import MOST, Bulk, LeftOut, Member, Obstacle, Place, Plan, starts_at
from bot.core.models import Integration, Outcome, Person, Phase, Status, SyncRun, SyncStats
from bot.core.nicknames import Nickname, nicknames_of
from bot.core.panels import Panel, PanelKind, RowRun
from tests.core.hostile import NOW, assert_slack_takes

ANA = Person("U1", "ana")
LONG = "The account's key was refused, because it isn't valid any more or lacks a permission. " * 4


def integration(number, status="error"):
    """Return one of many integrations."""
    return Integration(f"int_{number:04}", "stripe", status, NOW - timedelta(hours=9), LONG)


def ended(number, outcome, **changes):
    """Return a run that took 42 seconds."""
    seen = replace(integration(number), stats=SyncStats(events_total=1214))
    run = SyncRun(
        f"run_{number}",
        "T1",
        f"int_{number:04}",
        "stripe",
        NOW,
        ANA,
        phase=Phase.DONE,
        attempts=1,
        accepted_at=NOW,
        baseline=replace(seen, stats=SyncStats(events_total=1000)),
        last_seen=seen,
        last_seen_at=NOW,
        outcome=outcome,
        ended_at=NOW + timedelta(seconds=42),
    )
    return replace(run, **changes)


def message_of(*runs, left_out=(), nicknames=None, **marks):
    """Return the message that follows runs."""
    crowd = tuple(integration(number) for number in range(len(runs)))
    members = tuple(Member(one.id, run.id) for one, run in zip(crowd, runs, strict=True))
    panel = Panel("pnl_1", PanelKind.BULK, crowd, NOW, bulk=Bulk(ANA, NOW, members, left_out, **marks))
    known = {run.integration_id: RowRun(run) for run in runs}
    named = [nicknames] if nicknames else []
    message = blocks.panel_message(panel, known, NOW + timedelta(minutes=2), *named, outbox_id="msg_1")
    assert_slack_takes(message)
    return message


def said(message):
    """Return everything that can be read in a message."""
    return str([message.text, message.blocks])


def running(number, **changes):
    """Return a run that has no outcome yet."""
    return replace(ended(number, None), **{"ended_at": None, "phase": Phase.WATCHING} | changes)


def syncing(number):
    """Return a run that has been syncing for two minutes."""
    return running(number, last_seen=integration(number, Status.SYNCING), syncing_since=NOW)


def test_each_sync_has_a_line():
    waiting = running(2, phase=Phase.BASELINE, is_patient=True, last_seen=None, accepted_at=None, attempts=0)
    message = message_of(ended(0, Outcome.SUCCEEDED), syncing(1), waiting, ended(3, Outcome.FAILED))
    assert message.text.startswith("2 of 4 done: 1 synced, 1 syncing, 1 queued, 1 failed.")
    words = said(message)
    assert "synced in 42 s — 214 new events" in words
    assert "syncing for 2 min" in words
    assert "queued" in words
    assert "failed — The account" in words
    assert message.metadata is None
    assert "flokit_retry_failed" not in words


@pytest.mark.parametrize(
    ("outcomes", "lead", "button"),
    [
        ([Outcome.SUCCEEDED] * 3, "3 of 3 synced.", ""),
        ([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.FAILED_AGAIN], "1 of 3 synced; 2 failed.", "the 2 that failed"),
        ([Outcome.FINISHED_UNPROVEN, Outcome.FAILED], "0 of 2 synced; 1 unclear, 1 failed.", "the 2 that didn't sync"),
        ([Outcome.DISCONNECTED, Outcome.GONE, Outcome.ACCESS_LOST], "0 of 3 synced; 1 disconnected, ", ""),
        ([Outcome.NOT_CONFIRMED], "0 of 1 synced; 1 without a result.", "the 1 that didn't sync"),
    ],
)
def test_the_end_counts_and_offers_a_retry_where_that_may_help(outcomes, lead, button):
    message = message_of(*(ended(number, outcome) for number, outcome in enumerate(outcomes)))
    assert message.text.startswith(lead)
    assert ("flokit_retry_failed" in said(message)) is bool(button)
    assert button in said(message)
    payload = message.metadata["event_payload"]
    assert [one["outcome"] for one in payload["syncs"]] == outcomes
    assert (payload["total"], payload["succeeded"]) == (len(outcomes), outcomes.count(Outcome.SUCCEEDED))


def test_what_was_retried_or_repaired_since_is_not_offered_again():
    failed = [ended(number, Outcome.FAILED) for number in range(3)]
    message = message_of(*failed, retried=("int_0000",), repaired=("int_0001",))
    assert "Retry the 1 that failed" in said(message)
    assert "(retried)" in said(message)
    assert "(synced since)" in said(message)
    assert "flokit_retry_failed" not in said(message_of(*failed, retried=("int_0000", "int_0001", "int_0002")))


def test_a_refused_request_is_no_sync():
    refused = ended(0, Outcome.NOT_CONFIRMED, attempts=0, accepted_at=None, reason="FloKit refused it with HTTP 422.")
    message = message_of(refused)
    assert message.text.startswith("0 of 1 synced; 1 not started.")
    assert "not started — FloKit refused it with HTTP 422." in said(message)


@pytest.mark.parametrize("count", [2, 10, 50, MOST])
@pytest.mark.parametrize("outcome", [None, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.NOT_CONFIRMED])
def test_any_number_fits(count, outcome):
    """Errors are cut first; what still doesn't fit is counted, so that no sync is missing from the message."""
    runs = [ended(number, outcome) if outcome else syncing(number) for number in range(count)]
    left_out = tuple(LeftOut(f"int_{number:04}", Obstacle.COOLDOWN, NOW) for number in range(count))
    message = message_of(*runs, left_out=left_out)
    assert json_chars(message.blocks) <= limits.BLOCKS_BUDGET_CHARS
    lines = sum(block["text"]["text"].count("*Stripe*") for block in message.blocks if block["type"] == "section")
    hidden = [part for part in said(message).replace("\\n", "\n").split("\n") if part.startswith("and ")]
    assert lines + (int(hidden[0].split()[1]) if hidden else 0) == count
    assert lines >= min(count, 50)


def test_names_of_people_are_used():
    named = nicknames_of([Nickname("int_0000", "Billing")])
    assert "*Billing*: synced in" in said(message_of(ended(0, Outcome.SUCCEEDED), nicknames=named))


# --- the preview ------------------------------------------------------------------------------------------------


def preview_of(count, left_out=(), **plan):
    """Return the preview of some integrations."""
    crowd = tuple(integration(number) for number in range(count))
    about = Plan(ANA, Place("C1"), NOW, left_out, total=count + 5, **plan)
    message = blocks.panel_message(Panel("pnl_1", PanelKind.PREVIEW, crowd, NOW, query="failing", plan=about), {}, NOW)
    assert_slack_takes(message)
    assert message.only_for_one
    return message


def test_a_preview_says_what_is_left_out_and_why():
    left_out = (
        LeftOut("int_0001", Obstacle.DISCONNECTED),
        LeftOut("int_0002", Obstacle.COOLDOWN, NOW),
        LeftOut("int_0003", Obstacle.QUOTA, NOW),
        LeftOut("int_0004", Obstacle.REFUSED, rule="the crew only", sentence="You can't sync this.", ask=("U2",)),
    )
    words = said(preview_of(6, left_out, running=("int_0005",), unknown=("strpe",), beyond=4))
    assert "*10 of 11 integrations* matching “failing”" in words
    assert "To sync: Stripe …0000." in words
    assert "Already syncing, so this joins: Stripe …0005." in words
    assert "Stripe …0001 is disconnected: a sync won't help." in words.replace("\\\\", "")
    assert "Stripe …0002 just synced successfully. You can sync it again" in words
    assert "Stripe …0003: this would exceed your hourly sync limit." in words
    assert "Stripe …0004: you can't sync this. Rule: “the crew only”. Ask <@U2>." in words.replace("\\\\", "")
    assert "I found no integration for “strpe”." in words
    assert "4 more match" in words
    assert "Sync 2 integrations" in words


def test_a_preview_of_nothing_to_start_has_no_button():
    message = preview_of(1, (LeftOut("int_0000", Obstacle.DISCONNECTED),))
    assert "flokit_sync_several" not in said(message)
    assert message.text.endswith("There's nothing to start.")


def test_a_preview_that_was_started_has_no_button():
    message = preview_of(2, started=("int_0000", "int_0001"))
    assert "flokit_sync_several" not in said(message)
    assert "Started 2 syncs" in said(message)


@pytest.mark.parametrize("count", [1, 20, MOST])
def test_any_preview_fits(count):
    left_out = tuple(
        LeftOut(f"int_{number:04}", Obstacle.REFUSED, rule=f"rule {number} {LONG}", sentence=LONG, ask=("U2",) * 9)
        for number in range(count // 2)
    )
    assert json_chars(preview_of(count, left_out).blocks) <= limits.BLOCKS_BUDGET_CHARS


def test_the_status_offers_all_that_fail_if_a_sync_can_help_two():
    def offers(*statuses, **runs):
        crowd = tuple(integration(number, status) for number, status in enumerate(statuses))
        return "flokit_resync_all_failing" in said(
            blocks.panel_message(Panel("pnl_1", PanelKind.STATUS, crowd, NOW), runs, NOW)
        )

    assert offers("error", "error", "connected")
    assert not offers("error", "disconnected", "disconnected")
    assert not offers("error", "error", int_0000=RowRun(syncing(0)))


def test_they_start_in_the_order_shown():
    starts = [(starts_at(place, NOW) - NOW).total_seconds() for place in range(8)]
    assert starts == [0, 0, 0, 0, 0, 2, 4, 6]
