"""Invariants of every sync run: reported outcomes are true if FloKit's data is."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import IllegalObservation
from bot.core.models import (
    Decision,
    Denied,
    Integration,
    Listed,
    Look,
    Missing,
    Observation,
    Outcome,
    Patience,
    Person,
    Phase,
    Seen,
    Status,
    SyncRun,
    Telling,
    TriggerAccepted,
    TriggerLost,
    TriggerNotSent,
    TriggerRefused,
    TriggerReply,
    Unreachable,
)
from bot.core.runs.outcome import (
    ALONG_SHARE,
    JITTER,
    LATE_INTERVALS,
    MAX_ATTEMPTS,
    attempt,
    decide,
    keep_watching,
    needs_proof,
)

T0 = datetime(2024, 3, 15, 13, 0, 0, 250_000, tzinfo=UTC)
PATIENCE = Patience(first_look_s=2, max_interval_s=30, grace_s=60, deadline_s=400)


def at(seconds: float) -> datetime:
    """Return the time some seconds after the click."""
    return T0 + timedelta(seconds=seconds)


# --- Histories

LOOKS: tuple[Look, ...] = (
    *(
        Seen(Integration("int_1", "stripe", status, synced_at, error), vendor_at)
        for status, errors in {
            Status.CONNECTED: (None,),
            Status.ERROR: ("old", "new", None),
            Status.SYNCING: (None,),
            Status.DISCONNECTED: (None,),
            "pausing": (None,),
        }.items()
        for error in errors
        for synced_at in (None, at(-3600), at(0), at(130))
        for vendor_at in (None, at(-7200), at(0), at(130))
    ),
    Missing(),
    Denied(401, "Invalid or missing API key"),
    Denied(403),
    *(Unreachable("HTTP 503", retry_after_s) for retry_after_s in (None, 0.0, 5.0, 90.0, float("inf"))),
)
REPLIES: tuple[TriggerReply, ...] = (
    *(TriggerAccepted("sync_1", vendor_at) for vendor_at in (None, at(-7200), at(0), at(130))),
    TriggerRefused(409, "conflict"),
    *(TriggerNotSent("HTTP 429", retry_after_s) for retry_after_s in (None, 90.0)),
    TriggerLost("timeout"),
    Missing(),
    Denied(403),
)
DUE = None
"""Look when the decision said so; a number of seconds instead is a look out of turn, as after a webhook."""

Step: TypeAlias = tuple[float | None, Look, TriggerReply | None]
"""When to look, what is seen, and the reply if a POST is due then (None: the process died before one came)."""

a_look = st.one_of(st.sampled_from(LOOKS[:-8]), st.sampled_from(LOOKS))
an_unreachable = st.sampled_from([look for look in LOOKS if isinstance(look, Unreachable)])
a_reply = st.one_of(
    st.sampled_from(REPLIES[:4]), st.none(), st.just(TriggerLost("timeout")), st.sampled_from(REPLIES[4:])
)
a_delay = st.sampled_from([DUE, DUE, DUE, 0.0, 1.0, 45.0, 61.0, 410.0])
histories = st.lists(st.tuples(a_delay, a_look, a_reply), max_size=25)


@dataclass(frozen=True)
class Event:
    """One decision in a history, and what led to it."""

    before: SyncRun
    observation: Observation
    now: datetime
    decision: Decision


def opened(patience: Patience = PATIENCE, requested_at: datetime = T0) -> SyncRun:
    """Open a run at the click."""
    return SyncRun("run_1", "T1", "int_1", "stripe", requested_at, Person("U1"), patience)


def drive(steps: list[Step], run: SyncRun | None = None) -> list[Event]:
    """Act as the follower does: check when a check is due, or earlier, and send the POST when it's due."""
    run = run or opened()
    events: list[Event] = []
    now = due_at = run.requested_at

    def observe(before: SyncRun, observation: Observation) -> SyncRun:
        nonlocal due_at
        decision = decide(before, observation, now)
        events.append(Event(before, observation, now, decision))
        due_at = decision.next_look_at or now
        return decision.run

    for delay_s, look, reply in steps:
        now = max(now, due_at) if delay_s is DUE else now + timedelta(seconds=delay_s)
        run = observe(run, look)
        if run.phase is Phase.TRIGGER and delay_s != 1.0:  # Occasionally the process dies before the POST.
            run = attempt(run, now)
            if reply is not None:
                run = observe(run, reply)
    return events


def last_run(steps: list[Step]) -> SyncRun:
    """Return the run at the end of a history."""
    events = drive(steps)
    return events[-1].decision.run if events else opened()


fast = settings(derandomize=True, deadline=None, max_examples=80, database=None)


@fast
@given(histories)
def test_only_a_late_result_replaces_an_outcome(steps: list[Step]) -> None:
    """An outcome never changes, except not_confirmed, which a late result may replace."""
    for event in drive(steps):
        before, after = event.before, event.decision.run
        if before.outcome not in (None, Outcome.NOT_CONFIRMED):
            assert after == before
        if before.phase is Phase.DONE:
            assert event.decision == Decision(before, None)
        if before.outcome is Outcome.NOT_CONFIRMED:
            assert after.outcome is not None


@fast
@given(histories)
def test_an_outcome_is_posted_exactly_when_it_changes(steps: list[Step]) -> None:
    for event in drive(steps):
        changed = event.before.outcome is not event.decision.run.outcome
        assert (Telling.OUTCOME in event.decision.tell) == changed
        assert len(set(event.decision.tell)) == len(event.decision.tell)


@fast
@given(histories)
def test_at_most_one_outcome_is_posted(steps: list[Step]) -> None:
    """Two only if the first was not_confirmed."""
    posted = [event.decision.run.outcome for event in drive(steps) if Telling.OUTCOME in event.decision.tell]
    assert len(posted) <= 2
    assert posted[:-1] in ([], [Outcome.NOT_CONFIRMED])
    assert posted[1:] != [Outcome.NOT_CONFIRMED]


@fast
@given(histories)
def test_only_a_run_that_is_done_is_checked_no_more(steps: list[Step]) -> None:
    """A run has a next check unless it's done, and the check lies ahead unless a POST is due."""
    for event in drive(steps):
        run, next_look_at = event.decision.run, event.decision.next_look_at
        assert (next_look_at is None) == (run.phase is Phase.DONE)
        if run.phase is Phase.TRIGGER:
            assert next_look_at == event.now
        elif next_look_at is not None:
            assert next_look_at > event.now


@fast
@given(histories)
def test_a_wait_is_never_longer_than_the_longest_interval(steps: list[Step]) -> None:
    """Unless FloKit asked for it, no wait exceeds the longest interval and its jitter, nor the slow pace when late."""
    for event in drive(steps):
        run, next_look_at = event.decision.run, event.decision.next_look_at
        if next_look_at is None or getattr(event.observation, "retry_after_s", None):
            continue
        longest_s = 30.0 * LATE_INTERVALS if run.phase is Phase.LATE else 30.0 * (1 + JITTER) + 1e-3
        assert (next_look_at - event.now).total_seconds() <= longest_s


@fast
@given(histories)
def test_a_check_for_others_serves_a_run_only_if_it_may(steps: list[Step]) -> None:
    """A run can share a check after half of its wait and after Retry-After; not before its POST nor past its turn."""
    for event in drive(steps):
        run, next_look_at, along_at = event.decision.run, event.decision.next_look_at, event.decision.along_at
        if along_at is None:
            assert next_look_at is None or not run.is_watched
            continue
        assert run.is_watched
        assert next_look_at is not None
        assert event.now + (next_look_at - event.now) * ALONG_SHARE <= along_at <= next_look_at
        asked_s = min(PATIENCE.deadline_s, getattr(event.observation, "retry_after_s", None) or 0.0)
        assert along_at >= min(next_look_at, event.now + timedelta(seconds=asked_s))


@fast
@given(histories)
def test_posts_are_limited(steps: list[Step]) -> None:
    """At most MAX_ATTEMPTS POSTs of a run can reach FloKit."""
    for event in drive(steps):
        never_arrived = isinstance(event.observation, TriggerNotSent | TriggerRefused)
        taken_back = never_arrived and event.before.phase is Phase.CONFIRMING
        assert event.decision.run.attempts == event.before.attempts - taken_back
        limit = MAX_ATTEMPTS - (event.decision.run.phase is Phase.TRIGGER)
        assert 0 <= event.decision.run.attempts <= limit


@fast
@given(histories)
def test_a_success_needs_proof(steps: list[Step]) -> None:
    """Proof is ``connected`` and a ``last_synced_at`` newer than before the POST."""
    for event in drive(steps):
        if event.decision.run.outcome is not Outcome.SUCCEEDED or event.before.phase is Phase.DONE:
            continue
        assert isinstance(event.observation, Seen)
        seen, baseline = event.observation.integration, event.decision.run.baseline
        assert seen.status == Status.CONNECTED
        assert baseline is not None
        assert seen.last_synced_at is not None
        assert baseline.last_synced_at is None or seen.last_synced_at > baseline.last_synced_at


@fast
@given(histories)
def test_an_old_error_is_never_new(steps: list[Step]) -> None:
    """The baseline's error, with no sync seen since, is never failed, and isn't any result within the grace time."""
    seen_syncing = False
    for event in drive(steps):
        before, run, look = event.before, event.decision.run, event.observation
        if not isinstance(look, Seen):
            continue
        if run.phase is Phase.TRIGGER and run.attempts == 0:
            seen_syncing = False  # a new baseline
            continue
        seen_syncing = seen_syncing or look.integration.status == Status.SYNCING
        posted = run.outcome if Telling.OUTCOME in event.decision.tell else None
        if run.baseline != look.integration or look.integration.status != Status.ERROR or seen_syncing:
            continue
        assert posted in (None, Outcome.FAILED_AGAIN, Outcome.NOT_CONFIRMED)
        if before.accepted_at is None or event.now < before.accepted_at + timedelta(seconds=60):
            assert posted in (None, Outcome.NOT_CONFIRMED)
        if posted is Outcome.NOT_CONFIRMED:
            assert event.now >= at(PATIENCE.deadline_s)


@fast
@given(st.lists(st.tuples(a_delay, an_unreachable, a_reply), max_size=40), a_look, a_reply)
def test_an_outage_is_never_a_result(steps: list[Step], baseline: Look, reply: TriggerReply | None) -> None:
    """If FloKit can't be read after the POST, the run ends not_confirmed at the deadline and no earlier."""
    if not isinstance(baseline, Seen) or isinstance(reply, Missing | Denied | TriggerRefused):
        return
    for event in drive([(0.0, baseline, reply), *((when, look, None) for when, look, _ in steps)]):
        if Telling.OUTCOME in event.decision.tell:
            assert event.decision.run.outcome is Outcome.NOT_CONFIRMED
            assert event.now >= at(PATIENCE.deadline_s)


@fast
@given(histories, a_look)
def test_the_same_check_twice_counts_as_one(steps: list[Step], look: Look) -> None:
    """A poll and a webhook's check that see the same at one instant prove what one of them proves."""
    now = at(2000 if len(steps) % 2 else 70)
    once = decide(last_run(steps), look, now).run
    twice = decide(once, look, now).run
    assert (twice.outcome, twice.phase, twice.baseline) == (once.outcome, once.phase, once.baseline)


@settings(fast, max_examples=200)
@given(histories, a_look, a_look, st.sampled_from([0, 20, 61, 130, 250, 399, 400, 900]))
def test_the_order_of_two_fetches_does_not_matter(steps: list[Step], one: Look, other: Look, seconds: float) -> None:
    """Two at the same instant; one of them shows nothing new."""
    run, now = last_run(steps), at(seconds)
    if run.phase is Phase.BASELINE or (run.phase is Phase.TRIGGER and run.attempts == 0):
        return  # the later one is the baseline
    if any(isinstance(look, Seen) and look.integration.status == Status.SYNCING for look in (one, other)):
        return  # order is what syncing means
    found = {decide(run, look, now).run.outcome for look in (one, other)}
    if run.outcome not in found:
        return  # both prove something: the first one counts
    forth = decide(decide(run, one, now).run, other, now).run
    back = decide(decide(run, other, now).run, one, now).run
    assert forth.outcome is back.outcome


@fast
@given(histories, st.one_of(a_look, st.sampled_from(REPLIES)), st.sampled_from([-5.0, 0.0, 70.0, 500.0, 9000.0]))
def test_a_decision_is_pure_and_total(steps: list[Step], observation: Observation, seconds: float) -> None:
    """Any observation, even if clocks go back, gives one decision, or is illegal, and changes none of its arguments."""
    run = last_run(steps)
    before = copy.deepcopy(run)
    awaits_reply = run.phase in (Phase.CONFIRMING, Phase.DONE)
    try:
        decision = decide(run, observation, at(seconds))
    except IllegalObservation:
        assert not awaits_reply
        assert isinstance(observation, TriggerAccepted | TriggerRefused | TriggerNotSent | TriggerLost)
    else:
        assert decision == decide(run, observation, at(seconds))
    assert run == before


@fast
@given(
    st.lists(st.tuples(a_look, a_reply), min_size=1, max_size=12),
    st.sampled_from([0.3, 2.3, 77.7, 100.1, 400.0]),
    st.sampled_from([0.1, 1 / 3, 7.0, 60.0, 1000.0]),
    st.integers(0, 999_999),
)
def test_a_run_that_is_checked_when_due_ends_by_the_deadline(
    pairs: list[tuple[Look, TriggerReply | None]], deadline_s: float, grace_s: float, micros: int
) -> None:
    """Checked when its decisions say, every run has an outcome by its deadline, and is done after the late watch."""
    patience = Patience(first_look_s=0.5, max_interval_s=20, grace_s=grace_s, deadline_s=deadline_s)
    requested_at = T0.replace(microsecond=micros)
    steps: list[Step] = [(DUE, look, reply) for look, reply in pairs] * 40
    deadline_at = requested_at + timedelta(seconds=deadline_s)
    events = drive(steps[:400], opened(patience, requested_at))
    late = [event for event in events if event.now >= deadline_at]
    assert late or events[-1].decision.run.phase is Phase.DONE
    assert all(event.decision.run.outcome for event in late)
    assert all(
        event.now <= deadline_at + timedelta(seconds=10 * deadline_s + 1e-3) for event in late if event.decision.tell
    )


@fast
@given(histories, st.sampled_from([0.0, 500.0, 5000.0]))
def test_keep_watching_never_changes_an_outcome(steps: list[Step], seconds: float) -> None:
    run = last_run(steps)
    decision = keep_watching(run, at(seconds))
    assert decision.run.outcome is run.outcome
    assert Telling.OUTCOME not in decision.tell
    assert (decision.next_look_at is None) == (decision.run.phase is Phase.DONE)


# --- A FloKit that tells the truth


@dataclass
class Sync:
    """One sync inside FloKit: invisible for ``lag_s``, then shown as syncing unless hidden, then ended."""

    posted_s: float
    lag_s: float
    duration_s: float
    ending: str
    hidden: bool

    @property
    def starts_s(self) -> float:
        """When it becomes visible, in seconds after the click."""
        return self.posted_s + self.lag_s

    @property
    def ends_s(self) -> float:
        """When its result becomes visible, in seconds after the click."""
        return self.starts_s + self.duration_s


HANGS = "hangs"
ENDINGS = ("success", "success", "old error", "new error", "disconnected", "unproven", HANGS)


class TruthfulFlokit:
    """A FloKit with one integration, its own clock, and a script of its syncs; all times in seconds after the click."""

    def __init__(self, rng: random.Random, *, reliable: bool) -> None:
        self.offset_s = rng.choice([0.0, 0.0, -7200.4, 5.7, 3600.0])
        self.at_first = rng.choice(["success", "old error", "old error", "disconnected"])
        self.lag_s = rng.choice([0.0, 1.0, 8.0, 25.0])
        self.duration_s = rng.choice([0.5, 5.0, 30.0, 120.0])
        self.ending = rng.choice(ENDINGS)
        self.hidden = self.ending != HANGS and self.lag_s + self.duration_s < 50 and rng.random() < 0.3
        """Only short syncs: one that's hidden for longer than the grace time would leave nothing to decide by."""
        self.replies = [rng.choice(["accepted", "accepted", "lost", "vanished", "429"]) for _ in range(3)]
        self.outages = [(s, s + rng.choice([10, 100, 600])) for s in rng.sample(range(500), rng.choice([0, 0, 1, 2]))]
        self.removed_s = rng.choice([1e9] * 9 + [rng.uniform(0, 300)])
        self.locked_s = rng.choice([1e9] * 9 + [rng.uniform(0, 300)])
        self.syncs: list[Sync] = []
        self.overlap: Sync | None = None
        if reliable:
            self.replies, self.outages, self.removed_s, self.locked_s = [], [], 1e9, 1e9
        elif rng.random() < 0.3:
            left_s = rng.choice([0.2, 3.0, 40.0, 200.0])
            self.overlap = Sync(-100, 0, 100 + left_s, rng.choice(["success", "new error", "unproven"]), hidden=False)
            self.syncs.append(self.overlap)
        self.list_lag_s = rng.choice([None, 0.0, 7.0, 1e6])
        """How many seconds its list lags behind its pages; None: the list is never read."""
        self.queues = rng.random() < 0.5
        """Whether a POST during a sync starts another one after it; otherwise it counts as the running one."""

    def vendor_time(self, seconds: float) -> datetime:
        """Return FloKit's time in whole seconds."""
        return at(seconds + self.offset_s).replace(microsecond=0)

    def ended_by(self, seconds: float, ending: str | None = None) -> list[Sync]:
        """Return the syncs whose result was visible by then."""
        ended = [sync for sync in self.syncs if sync.ending != HANGS and sync.ends_s <= seconds]
        return [sync for sync in ended if ending in (None, sync.ending)]

    def shows(self, seconds: float) -> Integration:
        """Return the integration as its page shows it now."""
        ended = self.ended_by(seconds)
        state = max(ended, key=lambda sync: sync.ends_s).ending if ended else self.at_first
        successes = [sync.ends_s for sync in ended if sync.ending == "success"]
        synced_at = self.vendor_time(max(successes, default=-3600))
        for sync in self.syncs:
            over = sync.ending != HANGS and sync.ends_s <= seconds
            if sync.starts_s <= seconds and not over and not sync.hidden:
                return Integration("int_1", "stripe", Status.SYNCING, synced_at)
        match state:
            case "old error" | "new error":
                return Integration("int_1", "stripe", Status.ERROR, synced_at, state)
            case "disconnected":
                return Integration("int_1", "stripe", Status.DISCONNECTED, synced_at)
        return Integration("int_1", "stripe", Status.CONNECTED, synced_at)

    def lists(self, seconds: float) -> Integration:
        """Return the integration as the list shows it: late, with its error cut and its time rounded."""
        shown = self.shows(seconds - (self.list_lag_s or 0.0))
        rounded = shown.last_synced_at.replace(second=0) if shown.last_synced_at else None
        return replace(
            shown, last_synced_at=rounded, error_message=f"{shown.error_message[:5]}…" if shown.error_message else None
        )

    def look(self, seconds: float) -> Look:
        """Answer a check."""
        if any(start <= seconds < end for start, end in self.outages):
            return Unreachable("HTTP 503", 40.0 if int(seconds) % 3 == 0 else None)
        if seconds >= self.removed_s:
            return Missing()
        if seconds >= self.locked_s:
            return Denied(401)
        return Seen(self.shows(seconds), self.vendor_time(seconds))

    def post(self, seconds: float) -> TriggerReply | None:
        """Answer a POST, and begin a sync if it arrived."""
        reply = self.replies.pop(0) if self.replies else "accepted"
        if reply == "429" or any(start <= seconds < end for start, end in self.outages):
            return TriggerNotSent("HTTP 429", 20.0)
        if seconds >= self.removed_s:
            return Missing()
        if seconds >= self.locked_s:
            return Denied(401)
        if reply != "vanished":
            busy = [sync for sync in self.syncs if sync.ending == HANGS or sync.ends_s > seconds]
            if not busy or self.queues:
                lag_s = max([self.lag_s, *(sync.ends_s - seconds for sync in busy)])
                self.syncs.append(Sync(seconds, lag_s, self.duration_s, self.ending, self.hidden and not busy))
        return TriggerAccepted("sync_1", self.vendor_time(seconds)) if reply == "accepted" else TriggerLost("timeout")


@dataclass(frozen=True)
class Posted:
    """An outcome, and the instant of the check that proved it."""

    seconds: float
    run: SyncRun


def follow(flokit: TruthfulFlokit, rng: random.Random) -> list[Posted]:
    """Follow one run to its end in virtual time, occasionally with webhooks and restarts."""
    now = 0.0
    run = opened(replace(PATIENCE, deadline_s=500))
    posted: list[Posted] = []
    for _ in range(300):
        observation: Observation | None = flokit.look(now)
        if isinstance(observation, Seen) and run.is_watched and flokit.list_lag_s is not None:
            hint = flokit.lists(now)
            needed = needs_proof(run, hint, at(now))
            observation = replace(observation, hinted=hint) if needed else Listed(hint)
        while observation is not None:
            decision = decide(run, observation, at(now))
            run = decision.run
            if Telling.OUTCOME in decision.tell:
                posted.append(Posted(now, run))
            observation = None
            if run.phase is Phase.TRIGGER and rng.random() > 0.05:
                now += 0.01
                run = attempt(run, at(now))
                observation = flokit.post(now)
                if isinstance(observation, TriggerLost) and rng.random() < 0.3:
                    observation = None  # the process died
                now += 0.2
        if decision.next_look_at is None or len(posted) == 2 or now > 3000:
            return posted
        due_s = (decision.next_look_at - T0).total_seconds()
        early = rng.random() < 0.15 and due_s > now
        now = rng.uniform(now, due_s) if early else max(now, due_s) + rng.choice([0.0, 0.0, 0.3])
    raise AssertionError("the run never ends")


def is_true(flokit: TruthfulFlokit, posted: Posted) -> bool:
    """Return whether an outcome is true of what happened inside FloKit."""
    now, run = posted.seconds, posted.run
    shown = flokit.shows(now)
    posted_s = [sync.posted_s for sync in flokit.syncs if sync is not flokit.overlap]
    ours = [sync for sync in flokit.ended_by(now) if sync is not flokit.overlap]
    counted = [sync for sync in flokit.ended_by(now) if sync in ours or (run.overlapped and sync.ends_s > 0)]
    match run.outcome:
        case Outcome.SUCCEEDED:
            after = (run.attempted_at - T0).total_seconds() - 1.5 if run.attempted_at and run.overlapped else 0.0
            proofs = [sync for sync in counted if sync.ending == "success" and sync.ends_s >= after]
            return shown.status == Status.CONNECTED and bool(proofs)
        case Outcome.FAILED:
            return shown.status == Status.ERROR and any("error" in sync.ending for sync in counted)
        case Outcome.FAILED_AGAIN:
            return shown.status == Status.ERROR and bool(ours) and ours[-1].ending == shown.error_message
        case Outcome.DISCONNECTED:
            return shown.status == Status.DISCONNECTED
        case Outcome.FINISHED_UNPROVEN:
            return shown.status == Status.CONNECTED and any(sync.ending != HANGS for sync in counted)
        case Outcome.GONE:
            return now >= flokit.removed_s
        case Outcome.ACCESS_LOST:
            return now >= flokit.locked_s
        case Outcome.NOT_CONFIRMED:
            return now >= 500 and (not isinstance(flokit.look(now), Missing | Denied) or not posted_s)
    return False


@pytest.mark.parametrize("block", range(4))
def test_reported_outcomes_are_true(block: int) -> None:
    """Through lost replies, outages, overlaps, restarts and wrong clocks, each reported outcome is true of FloKit."""
    for seed in range(block * 500, (block + 1) * 500):
        rng = random.Random(seed)
        flokit = TruthfulFlokit(rng, reliable=False)
        posted = follow(flokit, rng)
        assert posted, seed
        for outcome in posted:
            assert is_true(flokit, outcome), (seed, outcome, vars(flokit))


def test_the_outcome_is_exact_when_flokit_answers() -> None:
    expected = {
        "success": {Outcome.SUCCEEDED},
        "new error": {Outcome.FAILED},
        "disconnected": {Outcome.DISCONNECTED},
        HANGS: {Outcome.NOT_CONFIRMED},
    }
    for seed in range(1000):
        rng = random.Random(seed)
        flokit = TruthfulFlokit(rng, reliable=True)
        posted = follow(flokit, rng)
        from_error = flokit.at_first == "old error"
        allowed = expected | {
            "old error": {Outcome.FAILED, Outcome.FAILED_AGAIN} if from_error else {Outcome.FAILED},
            "unproven": {Outcome.FINISHED_UNPROVEN, Outcome.NOT_CONFIRMED},
        }
        assert posted[0].run.outcome in allowed[flokit.ending], (seed, posted, vars(flokit))


def test_the_scripts_reach_every_outcome() -> None:
    """The random scripts are worth their time: together they lead to each outcome, and to late results."""
    outcomes, late_results = set(), 0
    for seed in range(500):
        rng = random.Random(seed)
        posted = follow(TruthfulFlokit(rng, reliable=False), rng)
        outcomes |= {outcome.run.outcome for outcome in posted}
        late_results += len(posted) == 2
    assert outcomes == set(Outcome)
    assert late_results > 3
