"""The soak's checker: a story in which all promises are kept passes, and each broken promise is found by name."""

from dataclasses import replace

import pytest

from soak.checker import PROMISES, busiest_minute, check
from soak.evidence import (
    Board,
    Call,
    Click,
    Evidence,
    Exit,
    Post,
    Rules,
    Sample,
    Size,
    Snoozed,
    Span,
    Telling,
    Turn,
    Wishes,
)

ROOT = "100.000000"
CLICK = Click("U1", "C1", "int_a", at=100.5, thread_ts=ROOT, acks=(True,))
POST = Post("run_1", "int_a", at=101.0, status=200, is_usable=True)
TOLD = Telling("C1", ROOT, 106.2, "run_1", "int_a", "succeeded", 106.0, mentions=frozenset({"U1"}))
BEFORE = Turn("int_a", 50.0, "connected")
SUCCESS = Turn("int_a", 105.0, "connected", "succeeded")
FAILURE = Turn("int_a", 105.0, "error", "failed")
TYPED = replace(CLICK, thread_ts=None)
TYPED_TOLD = replace(TOLD, thread_ts="101.000000")
LATER = replace(TOLD, outcome="not_confirmed", finished_at=141.0, at=141.2)


DIGEST = ("C1", "FloKit digest")
WISHES = Wishes("C1", {"int_a": True}, ("*Adjust (int_a)*\nfailing; digest daily at 09:00",), is_answered=True)


def story(**changes):
    """One click, one POST, one success that is told; ``changes`` replace parts of it."""
    evidence = Evidence(
        Rules(grace_s=3, deadline_s=40, requests_per_minute=100),
        clicks=[CLICK],
        tellings=[TOLD],
        outbox_ids=["msg_1", "msg_2"],
        posts=[POST],
        requests=[100.9, 101.0, 103.0, 105.5],
        turns=[BEFORE, SUCCESS],
        calls=[Call("chat.postMessage", "", 106.2), Call("chat.update", "ratelimited", 106.3)],
        exits=[Exit("replica-1", 110.0, 0, "SIGTERM"), Exit("replica-2", 110.0, -9, "SIGKILL")],
        log=[{"event": "sync_ended", "level": "info", "logger": "bot.workers.follower"}],
    )
    return replace(evidence, **changes)


def ending(outcome, *turns, **changes):
    """The same story, in which another outcome is told and FloKit's record is another."""
    told = replace(TOLD, outcome=outcome)
    return story(tellings=[told], turns=[BEFORE, *turns], **changes)


def broken(evidence):
    """Name the promises that are broken."""
    return {violation.promise for violation in check(evidence)}


KEPT = {
    "a success": story(),
    "a post in doubt that Slack let nobody look for": story(
        outbox_ids=["msg_1", "msg_1"], log=[{"event": "message_not_looked_for", "outbox_id": "msg_1", "level": "info"}]
    ),
    "a command, told under a root of its own": story(clicks=[TYPED], tellings=[TYPED_TOLD]),
    "a command, told in direct messages": story(clicks=[TYPED], tellings=[replace(TYPED_TOLD, channel="D01")]),
    "a click that nobody acked": story(clicks=[CLICK, replace(CLICK, user="U2", acks=(False,))]),
    "a click that was refused": story(clicks=[CLICK, replace(CLICK, user="U2", refusals=("nothing was started",))]),
    "a press whose refusal was lost with the database": story(
        clicks=[CLICK, replace(CLICK, user="U2", at=120.0)], spans=[Span("database away", 119.0, 121.0)]
    ),
    "a late result": story(
        tellings=[LATER, replace(TOLD, finished_at=150.0, at=150.2)], turns=[BEFORE, replace(SUCCESS, at=149.0)]
    ),
    "a run told in two threads": story(
        clicks=[CLICK, replace(CLICK, user="U2", thread_ts="90.0")],
        tellings=[
            replace(TOLD, mentions=frozenset({"U1", "U2"})),
            replace(TOLD, thread_ts="90.0", mentions=frozenset({"U1", "U2"})),
        ],
    ),
    "a failure": ending("failed", FAILURE),
    "the same failure": ending("failed_again", replace(FAILURE, at=60.0)),
    "a disconnection": ending("disconnected", Turn("int_a", 104.0, "disconnected", "disconnected")),
    "a removal": ending("gone", Turn("int_a", 104.0, None, "vanish")),
    "an end without proof": ending("finished_unproven", Turn("int_a", 103.0, "connected", "unproven")),
    "a key that was refused": ending("access_lost", denials=[105.8]),
    "the deadline": ending("not_confirmed", clicks=[replace(CLICK, at=66.0)]),
    "a POST that was refused": ending("not_confirmed", posts=[replace(POST, status=409, is_usable=False)]),
    "a POST again after one without a reply": story(posts=[replace(POST, status=None, is_usable=False), POST]),
    "a POST again after a kill": story(posts=[POST, replace(POST, at=105.0)], spans=[Span("ended", 101.2, 101.2)]),
    "a request given up after too many kills": story(
        log=[
            {
                "event": "request_given_up",
                "level": "error",
                "logger": "bot.handlers.responder",
                "reason": "the process ended each time while this was being answered",
            }
        ]
    ),
    "what was told without asking": story(
        snoozed=[Snoozed("C1", ROOT, 2, 1)],
        digests=[(*DIGEST, 60.0), (*DIGEST, 120.0), ("C2", DIGEST[1], 60.0)],
        wishes=[WISHES],
        slow=[(200.0, "SELECT 1"), (1900.0, "UPDATE runs SET x"), (1900.0, "SELECT id FROM runs FOR UPDATE")],
        sizes=[Size("timers", 3, 2)],
    ),
    "memory that settles": story(samples=[Sample("r", 1, at, 90 + min(at, 30)) for at in range(0, 100, 2)]),
}

BROKEN = {
    "every accepted click is told its outcome": {
        "nothing told": story(tellings=[]),
        "told in another thread": story(tellings=[replace(TOLD, thread_ts="99.0")]),
        "told in another channel": story(tellings=[replace(TOLD, channel="C2")]),
        "told about another integration": story(tellings=[replace(TOLD, integration_id="int_b")]),
        "somebody else is told": story(tellings=[replace(TOLD, mentions=frozenset({"U2"}))]),
        "a command is told in a thread that was there before": story(clicks=[TYPED]),
        "one press of two is refused, the other untold": story(
            clicks=[replace(CLICK, acks=(True, True), refusals=("nothing was started",))], tellings=[]
        ),
        "two commands share a thread": story(
            clicks=[TYPED, replace(TYPED, user="U2")],
            tellings=[replace(TYPED_TOLD, mentions=frozenset({"U1", "U2"}))],
        ),
        "a command is not told, the database was away": story(
            clicks=[TYPED], tellings=[], spans=[Span("database away", 100.0, 101.0)]
        ),
    },
    "nothing is told twice": {
        "two outcomes": story(tellings=[TOLD, replace(TOLD, at=107.0)]),
        "two late results": story(tellings=[LATER, *2 * [replace(TOLD, finished_at=150.0, at=150.2)]]),
        "not confirmed after a result": story(tellings=[TOLD, LATER]),
        "one message twice": story(outbox_ids=["msg_1", "msg_1"]),
    },
    "all threads are told the same": {
        "two outcomes of one run": story(
            tellings=[TOLD, replace(TOLD, thread_ts="90.0", outcome="failed")], turns=[BEFORE, FAILURE, SUCCESS]
        ),
        "an edited outcome": story(tellings=[replace(TOLD, versions=2)]),
    },
    "who was refused started nothing": {
        "refused, and told all the same": story(clicks=[replace(CLICK, refusals=("nothing was started",))]),
    },
    "every outcome is true": {
        "an unknown word": ending("fine", SUCCESS),
        "a success that never was": ending("succeeded", FAILURE),
        "a success before the POST": ending("succeeded", replace(SUCCESS, at=99.0)),
        "a success after it was told": ending("succeeded", replace(SUCCESS, at=107.5)),
        "a success of another integration": ending("succeeded", replace(SUCCESS, integration_id="int_b")),
        "a success without a POST": story(posts=[]),
        "an unproven end taken for a success": ending("succeeded", replace(SUCCESS, ending="unproven")),
        "a failure that never was": ending("failed", SUCCESS),
        "an old failure told as a new one": ending("failed", replace(FAILURE, at=60.0)),
        "still failing, but it succeeded since": ending(
            "failed_again", replace(FAILURE, at=60.0), replace(SUCCESS, at=101.5)
        ),
        "still failing, but it never failed": ending("failed_again", SUCCESS),
        "disconnected, but it is not": ending("disconnected", SUCCESS),
        "gone, but it is there": ending("gone", SUCCESS),
        "gone long ago, and back since": ending("gone", Turn("int_a", 80.0, None), Turn("int_a", 90.0, "connected")),
        "unproven, but there was a success": ending("finished_unproven", replace(SUCCESS, at=102.0)),
        "unproven, but it is failing": ending("finished_unproven", replace(FAILURE, at=101.5)),
        "access lost, but nobody refused the key": ending("access_lost"),
        "not confirmed before the deadline": ending("not_confirmed"),
    },
    "nothing is posted again without a doubt": {
        "a second POST after a reply": story(posts=[POST, replace(POST, at=103.0)]),
        "too many POSTs": story(posts=[replace(POST, at=101.0 + n, status=None, is_usable=False) for n in range(4)]),
        "a kill long before": story(posts=[POST, replace(POST, at=105.0)], spans=[Span("ended", 90.0, 90.0)]),
    },
    "one run at a time for an integration": {
        "a second run meanwhile": story(
            posts=[POST, replace(POST, run_id="run_2", at=103.0)],
            tellings=[TOLD, replace(TOLD, run_id="run_2", finished_at=107.0, at=107.1)],
        ),
    },
    "the budget holds": {"too many requests": story(requests=[100.0 + n / 2 for n in range(101)])},
    "Slack refuses nothing of ours": {
        "blocks that Slack refuses": story(calls=[Call("chat.postMessage", "invalid_blocks", 106.0)]),
        "a warning": story(warnings=["text is missing"]),
    },
    "no error is logged": {
        "an error of ours": story(log=[{"event": "work_failed", "level": "error", "logger": "bot.workers.worker"}]),
        "somebody's traceback": story(log=[{"event": "Task exception", "level": "error", "exception": []}]),
        "what is no log line": story(log=[{"event": "Traceback (most recent call last):", "level": "raw"}]),
        "a request given up for another reason": story(
            log=[
                {"event": "request_given_up", "level": "error", "logger": "bot.handlers.responder", "reason": "a fault"}
            ]
        ),
    },
    "no process ends by itself": {
        "a crash": story(exits=[Exit("replica-1", 110.0, 1, "")]),
        "a stop with another code": story(exits=[Exit("replica-1", 110.0, 1, "SIGTERM")]),
        "a stop that took too long": story(exits=[Exit("replica-1", 110.0, -9, "SIGTERM")]),
    },
    "memory is flat": {
        "a leak": story(samples=[Sample("r", 1, at, 90 + at) for at in range(0, 100, 2)]),
    },
    "no incident is left open": {"an incident that nobody ended": story(boards=[Board("C1", ROOT, "is failing")])},
    "a snooze ends once": {"two ends of one snooze": story(snoozed=[Snoozed("C1", ROOT, 1, 2)])},
    "a digest comes once": {"twice within a minute": story(digests=[(*DIGEST, 60.0), (*DIGEST, 61.0)])},
    "subscriptions are as last confirmed": {
        "one is missing": story(wishes=[replace(WISHES, listed=())]),
        "one too many": story(wishes=[replace(WISHES, listed=(*WISHES.listed, "*all integrations*"))]),
        "the digest is missing": story(wishes=[replace(WISHES, listed=("*Adjust (int_a)*\nfailing",))]),
        "another digest": story(wishes=[replace(WISHES, wanted={"int_a": False})]),
        "no list": story(wishes=[replace(WISHES, is_answered=False)]),
    },
    "no transactions deadlock": {"one that did": story(deadlocks=1)},
    "no read takes long": {"one that did": story(slow=[(2000.0, "SELECT count(*) FROM runs")])},
    "no table grows while nothing happens": {"one row more": story(sizes=[Size("timers", 3, 4)])},
}


@pytest.mark.parametrize("evidence", KEPT.values(), ids=KEPT)
def test_a_story_that_keeps_all_promises_passes(evidence):
    """What may happen is not taken for a broken promise."""
    assert check(evidence) == []


@pytest.mark.parametrize(
    ("promise", "evidence"),
    [pytest.param(promise, story_, id=name) for promise, stories in BROKEN.items() for name, story_ in stories.items()],
)
def test_a_broken_promise_is_found(promise, evidence):
    """Each way to break a promise is found under that promise's name."""
    assert promise in broken(evidence)


def test_every_promise_can_be_broken():
    """There is no promise that the checker could not find broken."""
    assert set(BROKEN) == set(PROMISES)


def test_the_busiest_minute_is_a_sliding_one():
    """Requests are counted in any 60 seconds, not from one full minute to the next."""
    assert busiest_minute([0.0, 50.0, 55.0, 100.0, 109.0, 200.0]) == 4
    assert busiest_minute([]) == 0
