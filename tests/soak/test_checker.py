"""The soak's checker: a run that keeps all guarantees passes, and each broken guarantee is found by name."""

from dataclasses import replace

import pytest

from soak import checker
from soak.checker import PROMISES, Reason, busiest_minute, check, compared, reason_of
from soak.evidence import (
    Absence,
    Asked,
    Board,
    Call,
    Click,
    DueDigest,
    Evidence,
    Exit,
    Lookup,
    Post,
    Rules,
    Sample,
    Sent,
    Several,
    Size,
    Slow,
    Snoozed,
    Span,
    Telling,
    Turn,
    Wishes,
)

ROOT = "100.000000"
CLICK = Click("U1", "C1", "int_a", at=100.5, thread_ts=ROOT, acks=(True,))
POST = Post("run_1", "int_a", at=101.0, status=200, is_usable=True)
REPORTED = Telling("C1", ROOT, 106.2, "run_1", "int_a", "succeeded", 106.0, mentions=frozenset({"U1"}))
UNSURE = replace(REPORTED, is_unsure=True)
BEFORE = Turn("int_a", 50.0, "connected")
SUCCESS = Turn("int_a", 105.0, "connected", "succeeded")
FAILURE = Turn("int_a", 105.0, "error", "failed")
TYPED = replace(CLICK, thread_ts=None)
TYPED_REPORTED = replace(REPORTED, thread_ts="101.000000")
LATER = replace(REPORTED, outcome="not_confirmed", finished_at=141.0, at=141.2)


DIGEST = ("C1", "FloKit digest")
WISHES = Wishes(
    "C1",
    {"int_a": True},
    ("*Adjust (int_a)*\nfailing; digest daily at 09:00",),
    is_answered=True,
    wording={"int_a": "digest daily at 09:00"},
)
SNOOZED = Snoozed("C1", ROOT, asked=1, ended=1, due=1)
DUE = DueDigest("C1", 60.0)
LOADED = Slow(1900.0, "SELECT 1", alone_ms=0.2)
LOCKED = Slow(1900.0, "UPDATE runs SET x", waited_ms=1850.0)


SEVERAL = Several("U1", "C1", 100.5, (True,), 1, messages=(ROOT,), outbox_id="msg_3", total=1)
SEVERAL = replace(SEVERAL, outcomes={"run_1": "succeeded"})


def story(**changes):
    """One click, one POST, one reported success; ``changes`` replace parts of it."""
    evidence = Evidence(
        rules=Rules(grace_s=3, deadline_s=40, requests_per_minute=100),
        clicks=[CLICK],
        tellings=[REPORTED],
        outbox_ids=["msg_1", "msg_2"],
        posts=[POST],
        requests=[100.9, 101.0, 103.0, 105.5],
        turns=[BEFORE, SUCCESS],
        calls=[Call("chat.postMessage", "", 106.2), Call("chat.update", "ratelimited", 106.3)],
        exits=[Exit("replica-1", 110.0, 0, "SIGTERM"), Exit("replica-2", 110.0, -9, "SIGKILL")],
        log=[{"event": "sync_ended", "level": "info", "logger": "bot.workers.follower"}],
        snoozed=[SNOOZED],
        digests=[(*DIGEST, 60.0)],
        due_digests=[DUE],
        wishes=[WISHES],
        sizes=[Size("timers", 3, 3)],
    )
    return replace(evidence, **changes)


SENT = Sent("T1", "chat.postMessage", 106.2, frozenset({"T1"}), "run_1")
LOOKED = Lookup("T1", 101.0, "run_1")
GONE = Absence("T2", 100.0, told_at=101.0, ended_at=140.0)
DEAD = Sent("", "chat.update", 103.0, frozenset(), error="account_inactive")


def crowd(**changes):
    """The same click in one of several workspaces; another one uninstalled the app for a while."""
    rules = Rules(grace_s=3, deadline_s=40, requests_per_minute=100, workspaces=3)
    parts = {"sent": [SENT, DEAD], "lookups": [LOOKED], "absences": [GONE], "asked": [Asked("T1", "sync int_a", True)]}
    return story(rules=rules, **{**parts, **changes})


def ending(outcome, *turns, **changes):
    """The same click with another reported outcome, and other ends of syncs in FloKit's record."""
    reported = replace(REPORTED, outcome=outcome)
    return story(tellings=[reported], turns=[BEFORE, *turns], **changes)


def broken(evidence):
    """Return the names of the broken guarantees."""
    return {violation.promise for violation in check(evidence)}


KEPT = {
    "a success": story(),
    "several syncs": story(several=[SEVERAL]),
    "several syncs that were refused": story(several=[replace(SEVERAL, messages=(), is_refused=True)]),
    "several syncs that nobody acked": story(several=[replace(SEVERAL, messages=(), acks=(False,))]),
    "several syncs whose refusal was lost with the database": story(
        several=[replace(SEVERAL, messages=(), total=0, outcomes={})], spans=[Span("database away", 99.0, 101.0)]
    ),
    "several syncs whose message Slack let nobody look for": story(
        several=[replace(SEVERAL, messages=(ROOT, "101.0"))],
        log=[{"event": "message_not_looked_for", "outbox_id": "msg_3", "level": "info"}],
    ),
    "a success in one of several workspaces": crowd(),
    "what a frozen replica sends after an uninstall": crowd(
        sent=[SENT, replace(SENT, team="T2", marks=frozenset({"T2"}), run_id="", at=110.0)]
    ),
    "what is sent after an uninstall, and after the clock was moved": crowd(
        sent=[SENT, replace(DEAD, at=4000.0)],
        absences=[replace(GONE, ended_at=None)],
        spans=[Span("clock moved", 102.0, 3990.0)],
    ),
    "what is sent once the app is installed again": crowd(
        sent=[SENT, replace(SENT, team="T2", marks=frozenset(), run_id="", at=141.0)]
    ),
    "a post in doubt that Slack let nobody look for": story(
        outbox_ids=["msg_1", "msg_1"], log=[{"event": "message_not_looked_for", "outbox_id": "msg_1", "level": "info"}]
    ),
    "an outcome in doubt that Slack let nobody look for": story(
        tellings=[REPORTED, replace(REPORTED, at=107.0)],
        log=[{"event": "message_not_looked_for", "run_id": REPORTED.run_id, "outbox_id": "msg_1", "level": "info"}],
    ),
    "a command, reported below its own root": story(clicks=[TYPED], tellings=[TYPED_REPORTED]),
    "a command, reported in direct messages": story(clicks=[TYPED], tellings=[replace(TYPED_REPORTED, channel="D01")]),
    "a click that nobody acked": story(clicks=[CLICK, replace(CLICK, user="U2", acks=(False,))]),
    "a click that was refused": story(clicks=[CLICK, replace(CLICK, user="U2", refusals=("nothing was started",))]),
    "a press whose refusal was lost with the database": story(
        clicks=[CLICK, replace(CLICK, user="U2", at=120.0)], spans=[Span("database away", 119.0, 121.0)]
    ),
    "a late result": story(
        tellings=[LATER, replace(REPORTED, finished_at=150.0, at=150.2)], turns=[BEFORE, replace(SUCCESS, at=149.0)]
    ),
    "a run reported in two threads": story(
        clicks=[CLICK, replace(CLICK, user="U2", thread_ts="90.0")],
        tellings=[
            replace(REPORTED, mentions=frozenset({"U1", "U2"})),
            replace(REPORTED, thread_ts="90.0", mentions=frozenset({"U1", "U2"})),
        ],
    ),
    "a failure": ending("failed", FAILURE),
    "the same failure": ending("failed_again", replace(FAILURE, at=60.0)),
    "a disconnection": ending("disconnected", Turn("int_a", 104.0, "disconnected", "disconnected")),
    "a disconnection before the POST, in a process that was killed": ending(
        "disconnected",
        Turn("int_a", 104.0, "disconnected", "disconnected"),
        posts=[],
        spans=[Span("ended", 101.2, 101.2)],
    ),
    "a success without a POST, in a process that was killed, reported as perhaps FloKit's own": story(
        posts=[], spans=[Span("ended", 101.2, 101.2)], tellings=[UNSURE]
    ),
    "a disconnection seen by a check as old as a longer lease allows": replace(
        ending("disconnected", Turn("int_a", 100.0, "disconnected"), Turn("int_a", 100.5, "connected")),
        rules=Rules(grace_s=3, deadline_s=40, requests_per_minute=100, look_s=9.0),
    ),
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
                "reason": "it was taken up 5 times and never finished",
            }
        ]
    ),
    "what was posted without a request": story(
        snoozed=[SNOOZED, Snoozed("C1", ROOT, 2, 1)],
        digests=[(*DIGEST, 0.0), (*DIGEST, 60.0), ("C2", DIGEST[1], 60.0)],
        wishes=[WISHES, Wishes("C1", {}, (), is_answered=True)],
        slow=[LOADED, LOCKED, Slow(300.0, "COMMIT;"), Slow(300.0, "INSERT INTO runs VALUES ($1)")],
        sizes=[Size("timers", 3, 2)],
    ),
    "incidents in messages that the bot can't know of": story(
        boards=[
            Board("C1", ROOT, "is failing", is_lost=True),
            Board("C1", "90.0", "is failing", outbox_id="msg_1"),
        ],
        outbox_ids=["msg_1", "msg_1"],
        log=[{"event": "message_not_looked_for", "outbox_id": "msg_1", "level": "info"}],
    ),
    "memory that settles": story(samples=[Sample("r", 1, at, 90 + min(at, 30)) for at in range(0, 100, 2)]),
}

BROKEN = {
    "every accepted click gets its outcome": {
        "nothing reported": story(tellings=[]),
        "reported in another thread": story(tellings=[replace(REPORTED, thread_ts="99.0")]),
        "reported in another channel": story(tellings=[replace(REPORTED, channel="C2")]),
        "reported about another integration": story(tellings=[replace(REPORTED, integration_id="int_b")]),
        "someone else is notified": story(tellings=[replace(REPORTED, mentions=frozenset({"U2"}))]),
        "a command is reported in an existing thread": story(clicks=[TYPED]),
        "one press of two is refused, the other untold": story(
            clicks=[replace(CLICK, acks=(True, True), refusals=("nothing was started",))], tellings=[]
        ),
        "two commands share a thread": story(
            clicks=[TYPED, replace(TYPED, user="U2")],
            tellings=[replace(TYPED_REPORTED, mentions=frozenset({"U1", "U2"}))],
        ),
        "a command isn't reported, the database was away": story(
            clicks=[TYPED], tellings=[], spans=[Span("database away", 100.0, 101.0)]
        ),
    },
    "nothing is posted twice": {
        "two outcomes": story(tellings=[REPORTED, replace(REPORTED, at=107.0)]),
        "two late results": story(tellings=[LATER, *2 * [replace(REPORTED, finished_at=150.0, at=150.2)]]),
        "not confirmed after a result": story(tellings=[REPORTED, LATER]),
        "two outcomes, where another run's was not looked for": story(
            tellings=[REPORTED, replace(REPORTED, at=107.0)],
            log=[{"event": "message_not_looked_for", "run_id": "run_other", "outbox_id": "msg_9", "level": "info"}],
        ),
        "one message twice": story(outbox_ids=["msg_1", "msg_1"]),
    },
    "all threads of a run show the same outcome": {
        "two outcomes of one run": story(
            tellings=[REPORTED, replace(REPORTED, thread_ts="90.0", outcome="failed")], turns=[BEFORE, FAILURE, SUCCESS]
        ),
        "an edited outcome": story(tellings=[replace(REPORTED, versions=2)]),
    },
    "a refused click starts nothing": {
        "refused, and reported anyway": story(clicks=[replace(CLICK, refusals=("nothing was started",))]),
    },
    "every outcome is true": {
        "an unknown word": ending("fine", SUCCESS),
        "a success that never was": ending("succeeded", FAILURE),
        "a success before the POST": ending("succeeded", replace(SUCCESS, at=99.0)),
        "a success after it was reported": ending("succeeded", replace(SUCCESS, at=107.5)),
        "a success of another integration": ending("succeeded", replace(SUCCESS, integration_id="int_b")),
        "a success without a POST": story(posts=[]),
        "an unproven end taken for a success": ending("succeeded", replace(SUCCESS, ending="unproven")),
        "a failure that never was": ending("failed", SUCCESS),
        "an old failure reported as a new one": ending("failed", replace(FAILURE, at=60.0)),
        "still failing, but it succeeded since": ending(
            "failed_again", replace(FAILURE, at=60.0), replace(SUCCESS, at=101.5)
        ),
        "still failing, but it never failed": ending("failed_again", SUCCESS),
        "disconnected, but no longer": ending(
            "disconnected", Turn("int_a", 100.0, "disconnected"), Turn("int_a", 100.5, "connected")
        ),
        "disconnected, but it is not": ending("disconnected", SUCCESS),
        "disconnected, without a POST, and nothing had ended": ending(
            "disconnected", Turn("int_a", 104.0, "disconnected", "disconnected"), posts=[]
        ),
        "disconnected, without a POST, and a process ended before the click": ending(
            "disconnected",
            Turn("int_a", 104.0, "disconnected", "disconnected"),
            posts=[],
            spans=[Span("ended", 100.2, 100.2)],
        ),
        "disconnected, without a POST, and a process ended after it was reported": ending(
            "disconnected",
            Turn("int_a", 104.0, "disconnected", "disconnected"),
            posts=[],
            spans=[Span("ended", 108.0, 108.0)],
        ),
        "disconnected, without a POST, and only the clock was moved": ending(
            "disconnected",
            Turn("int_a", 104.0, "disconnected", "disconnected"),
            posts=[],
            spans=[Span("clock moved", 101.0, 102.0)],
        ),
        "disconnected after a kill, but it is not": ending(
            "disconnected", SUCCESS, posts=[], spans=[Span("ended", 101.2, 101.2)]
        ),
        "a success after a kill without a POST": story(posts=[], spans=[Span("ended", 101.2, 101.2)]),
        "a success after a kill without a POST and before the click, even if reported as perhaps FloKit's own": story(
            posts=[], spans=[Span("ended", 101.2, 101.2)], tellings=[UNSURE], turns=[BEFORE, replace(SUCCESS, at=99.0)]
        ),
        "a success without a POST and a kill, even if reported as perhaps FloKit's own": story(
            posts=[], tellings=[UNSURE]
        ),
        "a failure after a kill without a POST": ending(
            "failed", FAILURE, posts=[], spans=[Span("ended", 101.2, 101.2)]
        ),
        "gone, but it is there": ending("gone", SUCCESS),
        "gone long ago, and back since": ending("gone", Turn("int_a", 80.0, None), Turn("int_a", 90.0, "connected")),
        "unproven, but there was a success": ending("finished_unproven", replace(SUCCESS, at=102.0)),
        "unproven, but it is failing": ending("finished_unproven", replace(FAILURE, at=101.5)),
        "access lost, but nobody refused the key": ending("access_lost"),
        "not confirmed before the deadline": ending("not_confirmed"),
    },
    "a sync is requested again only when in doubt": {
        "a second POST after a reply": story(posts=[POST, replace(POST, at=103.0)]),
        "too many POSTs": story(posts=[replace(POST, at=101.0 + n, status=None, is_usable=False) for n in range(4)]),
        "a kill long before": story(posts=[POST, replace(POST, at=105.0)], spans=[Span("ended", 90.0, 90.0)]),
    },
    "an integration has one run at a time": {
        "a second run meanwhile": story(
            posts=[POST, replace(POST, run_id="run_2", at=103.0)],
            tellings=[REPORTED, replace(REPORTED, run_id="run_2", finished_at=107.0, at=107.1)],
        ),
    },
    "the request budget holds": {"too many requests": story(requests=[100.0 + n / 2 for n in range(101)])},
    "Slack refuses none of the bot's calls": {
        "blocks that Slack refuses": story(calls=[Call("chat.postMessage", "invalid_blocks", 106.0)]),
        "a warning": story(warnings=["text is missing"]),
    },
    "no error is logged": {
        "an error of ours": story(log=[{"event": "work_failed", "level": "error", "logger": "bot.workers.worker"}]),
        "a traceback of any task": story(log=[{"event": "Task exception", "level": "error", "exception": []}]),
        "what is no log line": story(log=[{"event": "Traceback (most recent call last):", "level": "raw"}]),
        "a request given up for another reason": story(
            log=[
                {"event": "request_given_up", "level": "error", "logger": "bot.handlers.responder", "reason": "a fault"}
            ]
        ),
    },
    "no process exits unexpectedly": {
        "a crash": story(exits=[Exit("replica-1", 110.0, 1, "")]),
        "a stop with another code": story(exits=[Exit("replica-1", 110.0, 1, "SIGTERM")]),
        "a stop that took too long": story(exits=[Exit("replica-1", 110.0, -9, "SIGTERM")]),
    },
    "memory is flat": {
        "a leak": story(samples=[Sample("r", 1, at, 90 + at) for at in range(0, 100, 2)]),
    },
    "no incident is left open": {
        "an incident that nobody ended": story(boards=[Board("C1", ROOT, "is failing")]),
        "one that was posted once, and not looked for": story(
            boards=[Board("C1", ROOT, "is failing", outbox_id="msg_1")],
            outbox_ids=["msg_1"],
            log=[{"event": "message_not_looked_for", "outbox_id": "msg_1", "level": "info"}],
        ),
        "one beside another that is lost": story(
            boards=[Board("C1", "90.0", "is failing", is_lost=True), Board("C1", ROOT, "is failing")]
        ),
    },
    "a snooze ends once": {
        "two ends of one snooze": story(snoozed=[Snoozed("C1", ROOT, 1, 2)]),
        "a snooze that ran out and never ended": story(snoozed=[replace(SNOOZED, ended=0)]),
        "two ends of a snooze that ran out": story(snoozed=[replace(SNOOZED, asked=2, ended=2)]),
    },
    "a digest is posted once": {
        "twice within a minute": story(digests=[(*DIGEST, 60.0), (*DIGEST, 61.0)]),
        "a digest that was due twice": story(digests=[(*DIGEST, 60.0), (*DIGEST, 130.0)]),
        "a digest that was due and wasn't posted": story(digests=[(*DIGEST, 0.0), ("C2", DIGEST[1], 60.0)]),
    },
    "subscriptions are as last confirmed": {
        "one is missing": story(wishes=[replace(WISHES, listed=())]),
        "one too many": story(wishes=[replace(WISHES, listed=(*WISHES.listed, "*all integrations*"))]),
        "one is left after all were removed": story(wishes=[replace(WISHES, wanted={}, wording={})]),
        "the digest is missing": story(wishes=[replace(WISHES, listed=("*Adjust (int_a)*\nfailing",))]),
        "another digest": story(wishes=[replace(WISHES, wanted={"int_a": False}, wording={})]),
        "the digest at another time": story(wishes=[replace(WISHES, wording={"int_a": "digest daily at 10:00"})]),
        "no list": story(wishes=[replace(WISHES, is_answered=False)]),
    },
    "after the storm, everything asked for arrives": {
        "no answer": story(missing=["C1: no answer to “unsubscribe all” within 60 s"]),
    },
    "each check compares something": {
        "no subscription": story(wishes=[Wishes("C1", {}, (), is_answered=True)]),
        "no list": story(wishes=[]),
        "no snooze": story(snoozed=[Snoozed("C1", ROOT, 55, 0)]),
        "no digest": story(due_digests=[]),
        "no table": story(sizes=[]),
        "no uninstall that the bot heard of": crowd(absences=[replace(GONE, told_at=None)]),
        "no message that names its workspace": crowd(sent=[replace(SENT, marks=frozenset())]),
        "no workspace after the storm": crowd(asked=[]),
    },
    "nothing crosses over between workspaces": {
        "a name of another one": crowd(sent=[SENT, replace(SENT, marks=frozenset({"T1", "T2"}))]),
        "an outcome in another one": crowd(sent=[SENT, replace(SENT, team="T2", marks=frozenset())]),
        "a sync with another one's key": crowd(lookups=[replace(LOOKED, team="T2")]),
        "a sync in two": crowd(lookups=[LOOKED, replace(LOOKED, team="T2")]),
    },
    "nothing is sent after an uninstall": {
        "a message": crowd(sent=[SENT, replace(SENT, team="T2", marks=frozenset(), run_id="", at=130.0)]),
        "a request to FloKit": crowd(lookups=[Lookup("T2", 130.0)]),
        "a call with its token": crowd(sent=[SENT, replace(DEAD, at=130.0)]),
        "a call with a token that nobody revoked": crowd(sent=[SENT, DEAD], absences=[]),
    },
    "after the storm, every workspace is served": {"one isn't": crowd(asked=[Asked("T1", "sync int_a", False)])},
    "the soak itself has no faults": {"a step that failed": story(faults=["collecting snoozes: KeyError 'C1'"])},
    "no transactions deadlock": {"one that did": story(deadlocks=1)},
    "no statement takes over 100 ms alone": {
        "a slow plan": story(slow=[Slow(2000.0, "SELECT count(*) FROM runs", alone_ms=101.0, plan="Seq Scan runs")]),
        "a slow plan that waited, too": story(
            slow=[Slow(2000.0, "UPDATE runs SET x", alone_ms=101.0, waited_ms=1990.0)]
        ),
        "a read that could not be run again": story(slow=[Slow(2000.0, "SELECT count(*) FROM runs")]),
    },
    "several syncs are one message that ends right": {
        "no message": story(several=[replace(SEVERAL, messages=())]),
        "two messages": story(several=[replace(SEVERAL, messages=(ROOT, "101.0"))]),
        "no end": story(several=[replace(SEVERAL, total=0, outcomes={})]),
        "one is missing": story(several=[replace(SEVERAL, count=2)]),
        "another outcome than in the thread": story(several=[replace(SEVERAL, outcomes={"run_1": "failed"})]),
    },
    "no table grows while nothing happens": {"one row more": story(sizes=[Size("timers", 3, 4)])},
}


@pytest.mark.parametrize("evidence", KEPT.values(), ids=KEPT)
def test_evidence_that_keeps_all_guarantees_passes(evidence):
    """Allowed events aren't taken for a broken guarantee."""
    assert check(evidence) == []


@pytest.mark.parametrize(
    ("promise", "evidence"),
    [pytest.param(promise, story_, id=name) for promise, stories in BROKEN.items() for name, story_ in stories.items()],
)
def test_a_broken_guarantee_is_found(promise, evidence):
    """Each way to break a guarantee is found under that guarantee's name."""
    assert promise in broken(evidence)


def test_every_guarantee_can_be_broken():
    """There's a case for each guarantee that the checker knows."""
    assert set(BROKEN) == set(PROMISES)


def test_a_check_that_fails_is_reported_and_the_others_continue(monkeypatch):
    """A check that raises is a violation of its own; what the others find is still reported."""

    def fails(_evidence):
        raise KeyError("C8SHARED15")

    monkeypatch.setitem(checker.PROMISES, "a snooze ends once", fails)
    found = {violation.promise: violation.proof for violation in check(story(deadlocks=1))}
    assert set(found) == {"a snooze ends once", "no transactions deadlock"}
    assert "KeyError: 'C8SHARED15'" in found["a snooze ends once"]


def test_what_was_compared_is_counted():
    """Lists that weren't answered, and snoozes whose end is unknown, aren't counted."""
    unknown = Snoozed("C2", ROOT, 55, 0)
    counted = compared(story(wishes=[WISHES, replace(WISHES, is_answered=False)], snoozed=[SNOOZED, unknown]))
    assert counted == {"channels": 1, "lists": 1, "subscriptions": 1, "snoozes": 1, "digests": 1, "tables": 1}


@pytest.mark.parametrize(
    ("slow", "reason"),
    [
        (LOADED, Reason.MACHINE),
        (LOCKED, Reason.LOCK),
        (replace(LOCKED, waited_ms=1700.0), Reason.UNKNOWN),
        (replace(LOADED, alone_ms=150.0), Reason.PLAN),
        (Slow(300.0, "COMMIT;"), Reason.NO_QUERY),
    ],
    ids=lambda value: value if isinstance(value, str) else value.text,
)
def test_a_slow_statement_has_a_reason(slow, reason):
    """Its plan if it's slow alone, a lock if the rest of its time is short, otherwise the machine."""
    assert reason_of(slow) is reason


def test_the_busiest_minute_is_a_sliding_one():
    """Requests are counted in any 60 seconds, not from one full minute to the next."""
    assert busiest_minute([0.0, 50.0, 55.0, 100.0, 109.0, 200.0]) == 4
    assert busiest_minute([]) == 0
