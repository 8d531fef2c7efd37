"""The progress and the outcome of a run, as a person reads them in a thread."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.core.advice import things_to_check
from bot.core.blocks import outcome_message, progress_message
from bot.core.blocks.text import date
from bot.core.commands.presses import Action, Press, parse_press
from bot.core.models import Integration, Message, Outcome, Person, Phase, SyncRun, SyncStats, Usual

START = datetime(2024, 3, 15, 14, 0, tzinfo=UTC)
END = START + timedelta(seconds=80)
ERROR = "Webhook signature verification failed — check your signing secret"
FAILING = Integration("int_1", "stripe", "error", START - timedelta(hours=9), ERROR, SyncStats(events_total=1000))
SYNCING = replace(FAILING, status="syncing", error_message=None)
CONNECTED = replace(SYNCING, status="connected")

RUN = SyncRun("run_1", "T1", "int_1", "stripe", START, Person("U1", "ana"), baseline=FAILING)
ASKED = replace(RUN, phase=Phase.CONFIRMING, attempts=1, attempted_at=START)
ACCEPTED = replace(ASKED, phase=Phase.WATCHING, accepted_at=START)
SEEN_SYNCING = replace(ACCEPTED, last_seen=SYNCING, syncing_since=START)
LATE = replace(
    ACCEPTED, phase=Phase.LATE, outcome=Outcome.NOT_CONFIRMED, ended_at=END, late_until=END + timedelta(hours=5)
)


def progress(run: SyncRun, **more: Any) -> Message:
    """Return the progress message of a run, 80 s after the click."""
    return progress_message(run, (), END, outbox_id="out_1", **more)


def outcome(run: SyncRun, *joined_by: Person) -> Message:
    """Return the outcome message of a run."""
    return outcome_message(run, joined_by, END, outbox_id="out_1")


def ended(how: Outcome, run: SyncRun = ACCEPTED, **more: Any) -> SyncRun:
    """End a run with this outcome, 80 s after the click."""
    return replace(run, **{"phase": Phase.DONE, "outcome": how, "ended_at": END, "last_seen": FAILING, **more})


def section(message: Message) -> str:
    """Return the first paragraph of a message."""
    block: Any = message.blocks[0]
    return str(block["text"]["text"])


def presses(message: Message) -> list[Any]:
    """Return the parsed values of a message's buttons."""
    found: list[Any] = [block["elements"] for block in message.blocks if block["type"] == "actions"]
    return [parse_press(button["action_id"], button["value"]) for buttons in found for button in buttons]


# --- progress --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (RUN, "reading the current state before starting"),
        (replace(RUN, phase=Phase.TRIGGER), "starting"),
        (ASKED, "starting"),
        (
            replace(ASKED, reason="timed out"),
            "FloKit didn't respond when I asked it to start; checking for signs of a sync before I try again",
        ),
        (replace(ASKED, phase=Phase.TRIGGER), "no sign of a sync; asking FloKit to start it again"),
        (ACCEPTED, "queued — FloKit still shows the error, and no sync yet"),
        (replace(ACCEPTED, last_seen=CONNECTED), "queued for 1 min 20 s — FloKit accepted the sync"),
        (SEEN_SYNCING, "syncing for 1 min 20 s"),
        (replace(SEEN_SYNCING, typical_s=127), "syncing for 1 min 20 s (usually about 2 min)"),
        (replace(SEEN_SYNCING, typical_s=13), "syncing for 1 min 20 s (usually about 15 s)"),
        (
            replace(SEEN_SYNCING, last_seen=CONNECTED, idle_since=END),
            "FloKit shows it as connected again; waiting for FloKit to show a new successful sync",
        ),
        (
            replace(SEEN_SYNCING, unreachable_since=START),
            f"haven't been able to reach FloKit since {date(START)}; still trying",
        ),
        (LATE, "no result after 1 min 20 s — still checking occasionally"),
        (replace(LATE, keep_until=END), f"no result after 1 min 20 s — still watching, until {date(END)}"),
        (replace(LATE, phase=Phase.DONE), "no result; I've stopped checking"),
        (ended(Outcome.SUCCEEDED), "finished after 1 min 20 s — see the result below"),
        (ended(Outcome.NOT_CONFIRMED, RUN), "not started — see the result below"),
        (ended(Outcome.SUCCEEDED, LATE), "a late result arrived after 1 min 20 s — see below"),
    ],
)
def test_progress_says_what_is_known(run, words):
    """Each state of a run has its words, with the elapsed time where it helps."""
    assert progress(run).text == f"Stripe: {words}."


def test_progress_names_people_without_notifying_them():
    """Who started and who joined."""
    message = progress_message(RUN, (Person("U2", "ben"), Person("U3")), END, outbox_id="out_1")
    context: Any = message.blocks[1]
    assert context["elements"][0]["text"] == f"Sync started by ana, joined by ben, <@U3>, {date(START)} · `int_1`"


def test_progress_says_that_a_thread_joined_a_run():
    context: Any = progress(RUN, joined_here=True).blocks[1]
    assert context["elements"][0]["text"].startswith("This thread joined a sync that was already running · ")


def test_progress_mentions_a_sync_that_was_already_running():
    context: Any = progress(replace(RUN, baseline=SYNCING)).blocks[1]
    assert context["elements"][0]["text"].endswith(" · a sync was already running when you clicked")


def test_progress_carries_its_outbox_id():
    """In its metadata, so that it can be found again."""
    assert progress(RUN).metadata == {
        "event_type": "flokit_sync_progress",
        "event_payload": {"outbox_id": "out_1", "run_id": "run_1"},
    }


# --- outcome ---------------------------------------------------------------------------------------------------

DETAILS = Press(Action.DETAILS, "int_1")
TRY_AGAIN = Press(Action.TRY_AGAIN, integration_id="int_1", run_id="run_1")
KEEP_WATCHING = Press(Action.KEEP_WATCHING, run_id="run_1")


@pytest.mark.parametrize(
    ("run", "headline", "offers"),
    [
        (ended(Outcome.SUCCEEDED, last_seen=replace(CONNECTED, stats=None)), "✅ *Stripe synced in 1 min 20 s*", []),
        (ended(Outcome.FAILED), "❌ *Stripe failed after 1 min 20 s*", [TRY_AGAIN]),
        (ended(Outcome.FAILED_AGAIN), "❌ *Stripe is still failing, with the same error*", [TRY_AGAIN]),
        (ended(Outcome.DISCONNECTED), "🔌 *Stripe is disconnected*", [DETAILS, TRY_AGAIN]),
        (
            ended(Outcome.FINISHED_UNPROVEN),
            "❔ *Stripe finished, but FloKit shows no new successful sync*",
            [TRY_AGAIN],
        ),
        (ended(Outcome.GONE), "❔ *Stripe is no longer in FloKit*", []),
        (ended(Outcome.ACCESS_LOST), "🔑 *FloKit refuses my key for Stripe*", []),
        (LATE, "❔ *Stripe: no result after 1 min 20 s*", [KEEP_WATCHING, TRY_AGAIN]),
        (ended(Outcome.NOT_CONFIRMED, RUN), "❔ *Nothing was started for Stripe*", [TRY_AGAIN]),
    ],
)
def test_an_outcome_has_its_words_and_its_next_step(run, headline, offers):
    """The first line says what happened and mentions the people; the buttons are what can help."""
    message = outcome(run)
    assert section(message).split("\n")[0] == f"{headline} <@U1>"
    assert presses(message) == offers


@pytest.mark.parametrize("how", Outcome)
def test_each_outcome_has_its_own_sentence(how):
    others = {outcome(ended(other)).text for other in Outcome if other is not how}
    assert outcome(ended(how)).text not in others


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [
        (1000, 2204, " — 1,204 new events"),
        (1000, 1001, " — 1 new event"),
        (1000, 1000, " — no new events"),
        (1000, 900, ""),
        (None, 900, ""),
        (1000, None, ""),
    ],
)
def test_new_events_are_counted_when_both_totals_are_known(before, after, added):
    """They aren't if the total shrank."""
    run = ended(
        Outcome.SUCCEEDED,
        baseline=replace(FAILING, stats=SyncStats(events_total=before)),
        last_seen=replace(CONNECTED, stats=SyncStats(events_total=after)),
    )
    assert section(outcome(run)) == f"✅ *Stripe synced in 1 min 20 s{added}* <@U1>"


def test_a_success_says_how_many_events_are_usual():
    """In the time since the success before."""
    before, after = END - timedelta(hours=6), END
    run = ended(
        Outcome.SUCCEEDED,
        baseline=replace(FAILING, last_synced_at=before, stats=SyncStats(events_total=1000)),
        last_seen=replace(CONNECTED, last_synced_at=after, stats=SyncStats(events_total=1214)),
        usual_events=(Usual(21_600, 150, 400), Usual(86_400, 600, 1600)),
    )
    assert " — 214 new events; usually 150 to 400* " in section(outcome(run))
    never = replace(run, baseline=replace(run.baseline, last_synced_at=None))
    assert " — 214 new events* " in section(outcome(never))
    same = replace(run, usual_events=(Usual(21_600, 150, 150),))
    assert "; usually about 150* " in section(outcome(same))


def test_a_success_with_an_overlap_says_so():
    """Another sync may have caused it."""
    message = outcome(ended(Outcome.SUCCEEDED, baseline=SYNCING, last_seen=CONNECTED))
    assert section(message).endswith("\nA sync was already running when you clicked; this is its result.")


def test_joiners_are_notified_once():
    """The outcome mentions everyone who asked for it, once each."""
    message = outcome(ended(Outcome.SUCCEEDED), Person("U2", "ben"), Person("U1"), Person("U2"))
    assert section(message).endswith(" <@U1>, <@U2>")
    assert message.text.endswith(" <@U1>, <@U2>")


@pytest.mark.parametrize("how", [Outcome.FAILED, Outcome.FAILED_AGAIN, Outcome.DISCONNECTED])
def test_a_failure_shows_the_error_and_what_to_check(how):
    """FloKit's error word for word, and the things to check for the type."""
    message = outcome(ended(how))
    blocks: list[Any] = list(message.blocks)
    assert blocks[1]["elements"][0]["elements"][0]["text"] == ERROR
    assert all(check in blocks[2]["text"]["text"] for check in things_to_check("stripe"))
    assert ERROR in message.text


def test_an_error_without_text_has_no_empty_block():
    message = outcome(ended(Outcome.FAILED, last_seen=replace(FAILING, error_message=" ")))
    assert [block["type"] for block in message.blocks] == ["section", "section", "context", "actions"]


@pytest.mark.parametrize(
    ("run", "known"),
    [
        (RUN, "Nothing was started."),
        (ASKED, "FloKit hasn't confirmed that a sync started."),
        (ACCEPTED, "The sync started, but I don't know whether it worked."),
    ],
)
def test_lost_access_says_what_is_known_and_who_can_help(run, known):
    """Lost access is never reported as a failure; the message says where to create keys."""
    text = outcome(ended(Outcome.ACCESS_LOST, run, reason="Invalid or missing API key")).text
    assert known in text
    assert "FloKit → Settings → API Keys" in text
    assert "Invalid or missing API key" in text
    assert "fail" not in text


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            {"reason": "FloKit refused the request (402)."},
            "❔ Nothing was started for Stripe. FloKit refused the request (402). <@",
        ),
        ({"reason": "Sync <paused>"}, "Stripe. Sync &lt;paused&gt;. <@"),
        ({"unreachable_since": START, "unreachable_reason": "HTTP 503"}, f"unreachable since {date(START)}. HTTP 503"),
        ({}, "I couldn't reach FloKit in time."),
    ],
)
def test_what_was_not_started_says_why(more, why):
    assert why in outcome(ended(Outcome.NOT_CONFIRMED, RUN, **more)).text


OURS = "FloKit refused the request (409)."
THEIRS = "A sync is <running> already"
REASON = {"reason": OURS, "reason_words": THEIRS}
UNREACHABLE = {"unreachable_since": START, "unreachable_reason": OURS, "unreachable_words": THEIRS}


def quotes(message):
    """Return the texts that a message shows as quotes."""
    return [quote["elements"][0]["elements"][0]["text"] for quote in message.blocks if quote["type"] == "rich_text"]


@pytest.mark.parametrize(
    "run",
    [
        ended(Outcome.NOT_CONFIRMED, RUN, **REASON),
        ended(Outcome.NOT_CONFIRMED, RUN, **UNREACHABLE),
        ended(Outcome.ACCESS_LOST, RUN, **REASON),
        replace(LATE, **REASON),
        replace(LATE, **UNREACHABLE),
    ],
)
def test_only_what_flokit_said_is_quoted(run):
    """The bot's own sentence is part of its text; FloKit's words alone are a quote."""
    message = outcome(run)
    assert quotes(message) == [THEIRS]
    assert OURS in message.blocks[0]["text"]["text"]
    assert OURS in message.text
    assert "&lt;running&gt;" in message.text


def test_nothing_is_quoted_when_flokit_said_nothing():
    """Without a text from FloKit, there is no quote."""
    message = outcome(ended(Outcome.NOT_CONFIRMED, RUN, unreachable_since=START, unreachable_reason=OURS))
    assert quotes(message) == []


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (LATE, "I haven't seen it fail, either."),
        (
            replace(LATE, accepted_at=None),
            "FloKit didn't respond when I asked it to start, and I see no sign that a sync began.",
        ),
        (
            replace(LATE, unreachable_since=START),
            f"FloKit has been unreachable since {date(START)}, so I couldn't check.",
        ),
    ],
)
def test_no_result_is_not_a_failure(run, why):
    """The outcome says what was and wasn't seen, and until when the bot keeps checking."""
    text = outcome(run).text
    assert why in text
    assert f"I'll keep checking until {date(END + timedelta(hours=5))} and post any late result here." in text


@pytest.mark.parametrize("outcome_", [Outcome.SUCCEEDED, Outcome.FAILED])
def test_a_result_says_if_flokit_never_confirmed_the_request(outcome_):
    """Its answer was lost, or the process died before it asked: FloKit may have started this sync by itself."""
    unsure = ended(outcome_, replace(ACCEPTED, accepted_at=None))
    assert "this may have been a sync of its own" in outcome(unsure).text
    assert "this may have been a sync of its own" in section(outcome(unsure))
    assert "its own" not in outcome(ended(outcome_, ACCEPTED)).text


BEFORE = FAILING.last_synced_at
EARLIER, LATER = START - timedelta(days=1), START - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (BEFORE, BEFORE, f"and its last successful sync is still {date(BEFORE)}."),
        (None, None, "and it has never synced successfully."),
        (BEFORE, None, f"and it no longer shows the successful sync of {date(BEFORE)}."),
        (BEFORE, EARLIER, f"moved back from {date(BEFORE)} to {date(EARLIER)}, so it proves nothing."),
        (BEFORE, LATER, f"and its last successful sync, {date(LATER)}, is from before this one was started."),
        (None, LATER, f"and its last successful sync is {date(LATER)}, which doesn't prove this one."),
    ],
)
def test_an_unproven_end_says_what_the_last_success_is(before, after, words):
    """Only the baseline's time is called "still" the same; a time that vanished or moved back is reported."""
    seen = replace(CONNECTED, last_synced_at=after)
    run = replace(ended(Outcome.FINISHED_UNPROVEN), baseline=replace(FAILING, last_synced_at=before), last_seen=seen)
    assert words in outcome(run).text


def test_an_end_with_an_unreadable_time_says_so():
    """It isn't reported as "never synced"."""
    seen = replace(CONNECTED, last_synced_at=None, unreadable_time="9999-99-99")
    text = outcome(replace(ended(Outcome.FINISHED_UNPROVEN), last_seen=seen)).text
    assert "Stripe finished, but I can't tell whether it worked." in text
    assert "the time of the last successful sync in a format I can't read" in text
    assert "never" not in text
    assert "in a format I can't read" in outcome(replace(LATE, last_seen=seen)).text


def test_a_late_result_says_that_it_is_late():
    """It begins with that."""
    assert section(outcome(ended(Outcome.SUCCEEDED, LATE))).startswith("✅ *Late result: Stripe synced in 1 min 20 s")


def test_the_metadata_is_as_documented():
    """It has only texts: an unknown sync_id is empty, times are ISO 8601 in UTC."""
    assert outcome(ended(Outcome.FAILED)).metadata == {
        "event_type": "flokit_sync_outcome",
        "event_payload": {
            "outbox_id": "out_1",
            "run_id": "run_1",
            "integration_id": "int_1",
            "integration_type": "stripe",
            "sync_id": "",
            "outcome": "failed",
            "started_at": "2024-03-15T14:00:00Z",
            "finished_at": "2024-03-15T14:01:20Z",
        },
    }
