"""The rules of ``bot/core/runs/outcome.py`` as tables: each outcome, each trap, each line of its state table."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.errors import IllegalObservation
from bot.core.models import (
    Decision,
    Denied,
    Expected,
    Integration,
    Listed,
    Missing,
    Observation,
    Outcome,
    Patience,
    Person,
    Phase,
    Seen,
    SyncRun,
    Telling,
    TriggerAccepted,
    TriggerLost,
    TriggerNotSent,
    TriggerRefused,
    Unreachable,
)
from bot.core.runs.outcome import (
    BACKOFF,
    JITTER,
    LATE_DEADLINES,
    LATE_INTERVALS,
    MAX_ATTEMPTS,
    PROBE_EVERY,
    attempt,
    decide,
    keep_watching,
    needs_proof,
    open_run,
    probe_of,
)

T0 = datetime(2024, 3, 15, 13, 0, tzinfo=UTC)
PATIENCE = Patience(first_look_s=2, max_interval_s=30, grace_s=60, deadline_s=1800)
OLD = "Webhook signature verification failed — check your signing secret"
NEW = "API key expired"
EVERYTHING = {Telling.OUTCOME, Telling.PROGRESS, Telling.ROW}


def at(seconds: float) -> datetime:
    """Return the time some seconds after the click."""
    return T0 + timedelta(seconds=seconds)


def shown(
    status: str, *, error: str | None = None, synced: float | None = -3600, vendor_at: datetime | None = None
) -> Seen:
    """FloKit shows this state; ``synced`` is ``last_synced_at`` in seconds after the click."""
    synced_at = None if synced is None else at(synced)
    return Seen(Integration("int_1", "stripe", status, synced_at, error), vendor_at)


CONNECTED = shown("connected")
SYNCED = shown("connected", synced=30)
SYNCING = shown("syncing")
OLD_ERROR = shown("error", error=OLD)
NEW_ERROR = shown("error", error=NEW)
NUMBERED = shown("error", error=f"{OLD} (request req_AbCdEfGhIjKlMn)")
RENUMBERED = shown("error", error=f"{OLD} (request req_8fK2aB3cD4eF5g)")
DISCONNECTED = shown("disconnected")
UNKNOWN = shown("pausing")
UNREACHABLE = Unreachable("HTTP 503")
DENIED = Denied(401, "Invalid or missing API key")
LOST = TriggerLost("timeout")
ACCEPTED = TriggerAccepted("sync_1")


def opened(patience: Patience = PATIENCE, *, typical_s: float | None = None) -> SyncRun:
    """Return a run that was just opened by the click."""
    person = Person("U1", "Ada")
    return SyncRun("run_1", "T1", "int_1", "stripe", T0, person, patience, typical_s=typical_s)


def confirming(baseline: Seen = OLD_ERROR, patience: Patience = PATIENCE) -> SyncRun:
    """Return a run that read its baseline and sent its POST at the click, without a reply yet."""
    return attempt(decide(opened(patience), baseline, T0).run, T0)


def watching(
    baseline: Seen = OLD_ERROR, accepted: TriggerAccepted = ACCEPTED, patience: Patience = PATIENCE
) -> SyncRun:
    """Return a run whose POST was accepted at the click."""
    return decide(confirming(baseline, patience), accepted, T0).run


def late(baseline: Seen = OLD_ERROR) -> SyncRun:
    """Return a run that reached its deadline while FloKit was unreachable."""
    return decide(watching(baseline), UNREACHABLE, at(1800)).run


def play(run: SyncRun, *steps: tuple[float, Observation]) -> Decision:
    """Apply one observation after the other; all but the last must leave the outcome unchanged."""
    *before, (seconds, last) = steps
    for when, observation in before:
        decision = decide(run, observation, at(when))
        assert decision.run.outcome is run.outcome
        run = decision.run
    return decide(run, last, at(seconds))


@pytest.mark.parametrize(
    ("baseline", "steps", "outcome"),
    [
        # succeeded
        (OLD_ERROR, [(31, SYNCED)], Outcome.SUCCEEDED),
        (OLD_ERROR, [(2, NEW_ERROR), (31, SYNCED)], Outcome.SUCCEEDED),
        (CONNECTED, [(31, SYNCED)], Outcome.SUCCEEDED),
        (DISCONNECTED, [(31, SYNCED)], Outcome.SUCCEEDED),
        (UNKNOWN, [(31, SYNCED)], Outcome.SUCCEEDED),
        (OLD_ERROR, [(2, OLD_ERROR), (5, SYNCING), (31, SYNCED)], Outcome.SUCCEEDED),
        (shown("error", error=OLD, synced=None), [(31, SYNCED)], Outcome.SUCCEEDED),
        # failed
        (OLD_ERROR, [(2, NEW_ERROR), (60, NEW_ERROR)], Outcome.FAILED),
        (OLD_ERROR, [(2, SYNCING), (4, NEW_ERROR)], Outcome.FAILED),
        (OLD_ERROR, [(2, SYNCING), (4, OLD_ERROR)], Outcome.FAILED),
        (CONNECTED, [(2, OLD_ERROR)], Outcome.FAILED),
        (DISCONNECTED, [(2, OLD_ERROR)], Outcome.FAILED),
        (UNKNOWN, [(2, OLD_ERROR), (60, OLD_ERROR)], Outcome.FAILED),
        (UNKNOWN, [(2, SYNCING), (4, OLD_ERROR)], Outcome.FAILED),
        (OLD_ERROR, [(60, shown("error", error=OLD, synced=30))], Outcome.FAILED),
        # failed_again
        (OLD_ERROR, [(2, OLD_ERROR), (60, OLD_ERROR)], Outcome.FAILED_AGAIN),
        (NUMBERED, [(2, RENUMBERED), (60, NUMBERED)], Outcome.FAILED_AGAIN),
        (OLD_ERROR, [(2, NEW_ERROR), (60, OLD_ERROR)], Outcome.FAILED_AGAIN),
        (OLD_ERROR, [(60, shown("error", error=None))], Outcome.FAILED_AGAIN),
        (OLD_ERROR, [(2, UNREACHABLE), (600, OLD_ERROR)], Outcome.FAILED_AGAIN),
        (shown("error", error=None), [(60, shown("error", error=None))], Outcome.FAILED_AGAIN),
        # disconnected
        (OLD_ERROR, [(2, DISCONNECTED)], Outcome.DISCONNECTED),
        (CONNECTED, [(2, SYNCING), (4, DISCONNECTED)], Outcome.DISCONNECTED),
        (DISCONNECTED, [(2, DISCONNECTED), (60, DISCONNECTED)], Outcome.DISCONNECTED),
        # finished_unproven
        (OLD_ERROR, [(2, SYNCING), (10, CONNECTED), (70, CONNECTED)], Outcome.FINISHED_UNPROVEN),
        (CONNECTED, [(2, SYNCING), (10, CONNECTED), (70, CONNECTED)], Outcome.FINISHED_UNPROVEN),
        (SYNCING, [(2, CONNECTED), (62, CONNECTED)], Outcome.FINISHED_UNPROVEN),
        # gone, access_lost
        (OLD_ERROR, [(2, Missing())], Outcome.GONE),
        (OLD_ERROR, [(2, DENIED)], Outcome.ACCESS_LOST),
        (OLD_ERROR, [(2, Denied(403))], Outcome.ACCESS_LOST),
        # not_confirmed
        (OLD_ERROR, [(1800, UNREACHABLE)], Outcome.NOT_CONFIRMED),
        (CONNECTED, [(1800, CONNECTED)], Outcome.NOT_CONFIRMED),
        (CONNECTED, [(1800, SYNCING)], Outcome.NOT_CONFIRMED),
        (OLD_ERROR, [(1800, UNKNOWN)], Outcome.NOT_CONFIRMED),
        (OLD_ERROR, [(1000, CONNECTED), (1800, CONNECTED)], Outcome.NOT_CONFIRMED),
    ],
)
def test_each_outcome_follows_the_table(
    baseline: Seen, steps: list[tuple[float, Observation]], outcome: Outcome
) -> None:
    """A check that proves an outcome ends the run and updates everything."""
    decision = play(watching(baseline), *steps)
    assert decision.run.outcome is outcome
    assert set(decision.tell) == EVERYTHING
    assert decision.run.ended_at == at(steps[-1][0])
    assert (decision.next_look_at is None) == (outcome is not Outcome.NOT_CONFIRMED)


@pytest.mark.parametrize(
    ("baseline", "steps"),
    [
        pytest.param(OLD_ERROR, [(2, OLD_ERROR), (59.9, OLD_ERROR)], id="trap 2: the old error isn't news"),
        pytest.param(OLD_ERROR, [(0.4, NEW_ERROR), (59.9, NEW_ERROR)], id="a different error alone is weak evidence"),
        pytest.param(NUMBERED, [(0.4, RENUMBERED), (59.9, RENUMBERED)], id="another request ID isn't news"),
        pytest.param(UNKNOWN, [(0.4, OLD_ERROR), (59.9, OLD_ERROR)], id="an unknown state may have been an error"),
        pytest.param(
            OLD_ERROR, [(30, shown("error", error=OLD, synced=20))], id="the old error, although a success moved"
        ),
        pytest.param(shown("error", error=None), [(59, shown("error", error=None))], id="the old error has no text"),
        pytest.param(DISCONNECTED, [(2, DISCONNECTED), (59.9, DISCONNECTED)], id="disconnected is old news too"),
        pytest.param(CONNECTED, [(2, CONNECTED), (1799, CONNECTED)], id="trap 3: an unchanged success isn't a failure"),
        pytest.param(OLD_ERROR, [(2, CONNECTED), (1799, CONNECTED)], id="connected, never seen syncing"),
        pytest.param(CONNECTED, [(2, SYNCING), (10, CONNECTED), (69.9, CONNECTED)], id="idle within the grace time"),
        pytest.param(
            CONNECTED,
            [(2, SYNCING), (10, CONNECTED), (60, SYNCING), (65, CONNECTED), (124, CONNECTED)],
            id="idle twice",
        ),
        pytest.param(CONNECTED, [(2, SYNCING), (1799, shown("syncing", synced=30))], id="still syncing"),
        pytest.param(SYNCED, [(40, shown("connected", synced=10))], id="last_synced_at went backwards"),
        pytest.param(SYNCED, [(40, shown("connected", synced=None))], id="trap 8: last_synced_at vanished"),
        pytest.param(CONNECTED, [(2, UNKNOWN), (1799, shown("pausing", synced=30))], id="an unknown status"),
        pytest.param(CONNECTED, [(2, shown("unknown", synced=None))], id="a missing status"),
        pytest.param(CONNECTED, [(2, UNREACHABLE), (1799, UNREACHABLE)], id="unreachable"),
    ],
)
def test_a_check_without_proof_ends_nothing(baseline: Seen, steps: list[tuple[float, Observation]]) -> None:
    """What proves nothing keeps a run in its phase, with a next check."""
    decision = play(watching(baseline), *steps)
    assert decision.run.outcome is None
    assert decision.run.phase is Phase.WATCHING
    assert decision.next_look_at is not None
    assert Telling.OUTCOME not in decision.tell


# --- The traps of overlap and clocks


@pytest.mark.parametrize(
    ("synced", "status", "outcome"),
    [
        (-1, "connected", None),
        (-0.5, "connected", None),
        (0, "connected", Outcome.SUCCEEDED),
        (20, "connected", Outcome.SUCCEEDED),
        (20, "syncing", None),
    ],
)
def test_with_a_running_sync_only_a_success_after_the_post_counts(
    synced: float, status: str, outcome: Outcome | None
) -> None:
    """Trap 4: after an overlap, only a success at or after the time of the POST counts, once nothing is syncing."""
    run = watching(shown("syncing", vendor_at=T0), replace(ACCEPTED, vendor_at=T0))
    assert decide(run, shown(status, synced=synced), at(30)).run.outcome is outcome


@pytest.mark.parametrize("offset_s", [-7200, -3, 0, 3, 7200])
@pytest.mark.parametrize("reply", [ACCEPTED, LOST])
def test_the_time_of_the_post_is_by_flokits_clock(offset_s: float, reply: Observation) -> None:
    """Trap 5: if FloKit's clock is off, the time of the POST is read from its reply, or estimated from the offset."""
    run = confirming(shown("syncing", synced=-9000, vendor_at=at(offset_s)))
    if isinstance(reply, TriggerAccepted):
        reply = replace(reply, vendor_at=at(offset_s))
    run = decide(run, reply, at(5)).run
    assert run.posted_vendor_at == at(offset_s)
    assert decide(run, shown("connected", synced=offset_s - 1), at(30)).run.outcome is None
    assert decide(run, shown("connected", synced=offset_s + 1), at(30)).run.outcome is Outcome.SUCCEEDED


def test_the_date_of_the_reply_is_the_time_of_the_post() -> None:
    """The ``Date`` of the acceptance replaces the estimate from before the POST."""
    run = watching(shown("syncing", vendor_at=T0), replace(ACCEPTED, vendor_at=at(20)))
    assert decide(run, shown("connected", synced=10), at(30)).run.outcome is None


def test_a_success_in_the_second_of_the_post_counts() -> None:
    """FloKit's times are whole seconds, so a success in the second of an estimated POST isn't older than it."""
    run = decide(opened(), shown("syncing", vendor_at=T0), T0).run
    run = decide(attempt(run, at(10.9)), LOST, at(11)).run
    assert decide(run, shown("connected", synced=9), at(30)).run.outcome is None
    assert decide(run, shown("connected", synced=10), at(30)).run.outcome is Outcome.SUCCEEDED


def test_without_an_overlap_the_time_of_the_post_does_not_matter() -> None:
    """A success newer than the baseline is proof if no other sync was running."""
    run = watching(shown("error", error=OLD, vendor_at=T0), replace(ACCEPTED, vendor_at=at(10)))
    assert decide(run, shown("connected", synced=8), at(30)).run.outcome is Outcome.SUCCEEDED


def test_the_offset_of_the_clocks_is_kept_when_a_reply_has_no_date() -> None:
    """A reply without ``Date`` doesn't change the known offset."""
    run = decide(watching(shown("error", error=OLD, vendor_at=at(90))), OLD_ERROR, at(5)).run
    assert run.clock_offset_s == 90


def test_a_wrong_clock_hides_no_success_without_an_overlap() -> None:
    """Only the baseline is compared, so a success counts even if FloKit's clock is hours behind."""
    run = watching(shown("connected", synced=-9000, vendor_at=at(-7200)), replace(ACCEPTED, vendor_at=at(-7200)))
    assert decide(run, shown("connected", synced=-7190), at(10)).run.outcome is Outcome.SUCCEEDED


def test_an_overlap_is_remembered_for_the_outcome() -> None:
    """A run whose baseline was ``syncing`` reports that it overlapped."""
    assert watching(SYNCING).overlapped
    assert not watching(OLD_ERROR).overlapped


# --- Times that can't be read, or that go backwards


UNREADABLE = Seen(Integration("int_1", "stripe", "connected", unreadable_time="9999-99-99"))
UNREADABLE_ERROR = Seen(Integration("int_1", "stripe", "error", None, OLD, unreadable_time="9999-99-99"))


def test_an_unreadable_time_proves_no_success() -> None:
    """A sync that was seen, and then ended with an unreadable time, is finished_unproven."""
    run = play(watching(CONNECTED), (2, SYNCING), (10, UNREADABLE), (69, UNREADABLE)).run
    assert run.outcome is None
    assert decide(run, UNREADABLE, at(70)).run.outcome is Outcome.FINISHED_UNPROVEN


@pytest.mark.parametrize("baseline", [UNREADABLE, UNREADABLE_ERROR])
def test_an_unreadable_baseline_is_replaced_by_the_time_of_the_post(baseline: Seen) -> None:
    """With nothing to compare, only a success at or after FloKit's time of the POST counts."""
    run = watching(replace(baseline, vendor_at=T0), replace(ACCEPTED, vendor_at=at(0.7)))
    assert decide(run, shown("connected", synced=-1), at(30)).run.outcome is None
    assert decide(run, shown("connected", synced=0), at(30)).run.outcome is Outcome.SUCCEEDED
    assert decide(watching(baseline), SYNCED, at(31)).run.outcome is None


def test_a_time_that_becomes_readable_does_not_make_the_error_new() -> None:
    run = watching(UNREADABLE_ERROR)
    assert decide(run, shown("error", error=OLD, synced=-9), at(60)).run.outcome is Outcome.FAILED_AGAIN


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ((0, 0), (0.123, 0), None),
        ((0.999, 0), (1, 0), None),
        ((0.123, 0), (0.123456, 0), None),
        ((0, 60), (59.9, 0), None),
        ((31, 0), (60, 60), None),
        ((0, 86_400), (43_200, 0), None),
        ((0, 0), (1, 0), Outcome.SUCCEEDED),
        ((0, 0), (1.2, 0), Outcome.SUCCEEDED),
        ((0.123, 0), (0.124, 0), Outcome.SUCCEEDED),
        ((0, 60), (60, 60), Outcome.SUCCEEDED),
        ((0, 60), (3609, 0), Outcome.SUCCEEDED),
    ],
)
def test_the_same_success_with_another_precision_proves_nothing(
    before: tuple[float, int], after: tuple[float, int], outcome: Outcome | None
) -> None:
    """A difference that rounding can't explain does."""
    first, then = (
        Seen(replace(CONNECTED.integration, last_synced_at=at(synced), synced_within_s=within_s))
        for synced, within_s in (before, after)
    )
    assert decide(watching(first), then, at(30)).run.outcome is outcome


def test_a_time_that_went_back_proves_nothing_until_it_is_newer_than_before() -> None:
    """If a database was restored, successes older than the baseline prove nothing."""
    run = play(watching(SYNCED), (2, SYNCING), (9, shown("connected", synced=-500)), (20, shown("connected", synced=9)))
    assert run.run.outcome is None
    assert decide(run.run, shown("connected", synced=9), at(69)).run.outcome is Outcome.FINISHED_UNPROVEN
    assert decide(run.run, shown("connected", synced=31), at(40)).run.outcome is Outcome.SUCCEEDED


# --- BASELINE and TRIGGER


def test_a_click_shows_progress_immediately() -> None:
    """The new run waits for its baseline."""
    decision = open_run(SyncRun("r", "T", "i", "stripe", T0, Person("U"), PATIENCE))
    assert decision.run.phase is Phase.BASELINE
    assert decision.next_look_at == T0
    assert set(decision.tell) == {Telling.PROGRESS, Telling.ROW}
    assert decision.run.is_active


def test_a_check_without_a_type_keeps_the_known_one() -> None:
    """The type known from the click is kept if FloKit's first answer has none."""
    assert decide(opened(), Seen(Integration("int_1", status="connected")), T0).run.integration_type == "stripe"


@pytest.mark.parametrize("baseline", [CONNECTED, OLD_ERROR, SYNCING, DISCONNECTED, UNKNOWN])
def test_any_first_check_leads_to_the_post(baseline: Seen) -> None:
    """The first check is the baseline, whatever it shows, and the POST is due immediately."""
    decision = decide(opened(), baseline, at(1))
    assert decision.run.phase is Phase.TRIGGER
    assert decision.run.baseline == baseline.integration
    assert decision.next_look_at == at(1)
    assert decision.run.attempts == 0


@pytest.mark.parametrize("phase", [Phase.BASELINE, Phase.TRIGGER, Phase.CONFIRMING, Phase.WATCHING])
@pytest.mark.parametrize(
    ("observation", "outcome", "reason"),
    [
        (Missing(), Outcome.GONE, ""),
        (DENIED, Outcome.ACCESS_LOST, "Invalid or missing API key"),
        (Denied(403, "x"), Outcome.ACCESS_LOST, "x"),
    ],
)
def test_gone_and_denied_end_a_run_in_each_open_phase(
    phase: Phase, observation: Observation, outcome: Outcome, reason: str
) -> None:
    """A 404, 401 or 403 ends an open run, whatever its phase."""
    runs = [opened(), decide(opened(), OLD_ERROR, T0).run, confirming(), watching()]
    run = next(run for run in runs if run.phase is phase)
    decision = decide(run, observation, at(3))
    assert (decision.run.outcome, decision.run.reason, decision.run.phase) == (outcome, reason, Phase.DONE)
    assert decision.next_look_at is None
    assert set(decision.tell) == EVERYTHING


def test_without_a_baseline_the_deadline_ends_the_run_permanently() -> None:
    """A run that never sent a POST is not_confirmed at the deadline, and there is no late watch."""
    waiting = decide(opened(), UNREACHABLE, at(3))
    assert (waiting.run.phase, waiting.tell) == (Phase.BASELINE, (Telling.PROGRESS,))
    ended = decide(waiting.run, UNREACHABLE, at(1800))
    assert (ended.run.outcome, ended.run.phase) == (Outcome.NOT_CONFIRMED, Phase.DONE)


def test_a_baseline_that_comes_too_late_sends_no_post() -> None:
    """A first check at or after the deadline ends the run instead of triggering a sync."""
    for run in (opened(), decide(opened(), OLD_ERROR, T0).run):
        ended = decide(run, CONNECTED, at(1800)).run
        assert (ended.outcome, ended.phase) == (Outcome.NOT_CONFIRMED, Phase.DONE)


def test_another_check_before_the_post_replaces_the_baseline() -> None:
    """A check while the POST is due, such as after a restart, becomes the baseline."""
    run = decide(opened(), OLD_ERROR, T0).run
    decision = decide(run, SYNCED, at(40))
    assert decision.run.phase is Phase.TRIGGER
    assert decision.run.baseline == SYNCED.integration


def test_an_outage_before_the_post_makes_the_baseline_stale() -> None:
    """If FloKit was unreachable while the POST was due, the baseline is read again before the POST is sent."""
    run = decide(opened(), OLD_ERROR, T0).run
    run = decide(run, UNREACHABLE, at(5)).run
    assert run.phase is Phase.BASELINE
    with pytest.raises(IllegalObservation):
        attempt(run, at(900))


def test_an_attempt_is_recorded_before_the_post() -> None:
    """``attempt`` counts the POST, stores its time, and estimates FloKit's time."""
    run = attempt(decide(opened(), shown("connected", vendor_at=at(100)), T0).run, at(1))
    assert (run.phase, run.attempts, run.attempted_at, run.posted_vendor_at) == (Phase.CONFIRMING, 1, at(1), at(101))


def test_only_a_run_that_waits_for_its_post_is_triggered() -> None:
    """An attempt in any other phase raises."""
    done = decide(watching(), Missing(), at(1)).run
    for run in (opened(), confirming(), watching(), late(), done):
        with pytest.raises(IllegalObservation):
            attempt(run, at(1))


@pytest.mark.parametrize("reply", [ACCEPTED, TriggerRefused(409), TriggerNotSent("429"), LOST])
def test_a_reply_that_no_run_waits_for_is_illegal(reply: Observation) -> None:
    """A reply to a POST raises in each phase but CONFIRMING, and changes nothing if the run is done."""
    for run in (opened(), decide(opened(), OLD_ERROR, T0).run, watching(), late()):
        with pytest.raises(IllegalObservation):
            decide(run, reply, at(1))
    done = decide(watching(), Missing(), at(1)).run
    assert decide(done, reply, at(2)) == Decision(done, None)


# --- CONFIRMING


def test_an_accepted_post_proves_nothing() -> None:
    """Trap 1: acceptance starts the watch and stores the sync ID, but isn't an outcome."""
    decision = decide(confirming(), TriggerAccepted("sync_9", at(0)), at(1))
    assert (decision.run.phase, decision.run.sync_id, decision.run.accepted_at) == (Phase.WATCHING, "sync_9", at(1))
    assert decision.run.outcome is None
    assert set(decision.tell) == {Telling.PROGRESS, Telling.ROW}


def test_a_refused_post_ends_the_run_with_flokits_reason() -> None:
    """A permanent refusal means that nothing was started: the run is not_confirmed and done."""
    for reply, reason in ((TriggerRefused(422, "No."), "No."), (TriggerRefused(409), "HTTP 409")):
        run = decide(confirming(), reply, at(1)).run
        assert (run.outcome, run.phase, run.reason, run.attempts) == (Outcome.NOT_CONFIRMED, Phase.DONE, reason, 0)
        assert keep_watching(run, at(2)) == Decision(run, None)


def test_what_flokit_said_is_kept_apart() -> None:
    """A run keeps our sentence and FloKit's words in two fields, and clears both when a POST is accepted."""
    refused = decide(confirming(), TriggerRefused(409, "Refused (409).", "busy"), at(1)).run
    assert (refused.reason, refused.reason_words) == ("Refused (409).", "busy")
    denied = decide(watching(), Denied(403, "Refused (403).", "read-only"), at(1)).run
    assert (denied.reason, denied.reason_words) == ("Refused (403).", "read-only")
    lost = decide(confirming(), TriggerLost("HTTP 500.", "oops"), at(1)).run
    assert (lost.reason, lost.reason_words) == ("HTTP 500.", "oops")
    started = decide(lost, SYNCING, at(5)).run
    assert (started.reason, started.reason_words) == ("", "")
    away = decide(watching(), Unreachable("HTTP 503.", vendor_words="maintenance"), at(5)).run
    assert (away.unreachable_reason, away.unreachable_words) == ("HTTP 503.", "maintenance")
    assert decide(away, SYNCING, at(70)).run.unreachable_words == ""


def test_a_refusal_after_a_lost_post_ends_nothing() -> None:
    """An earlier POST may have arrived and be the reason for the refusal, so the run keeps checking for signs of it."""
    run = play(confirming(), (1, LOST), (60, OLD_ERROR)).run
    run = decide(attempt(run, at(60)), TriggerRefused(409), at(61)).run
    assert (run.outcome, run.phase) == (None, Phase.CONFIRMING)
    assert decide(run, SYNCED, at(90)).run.outcome is Outcome.SUCCEEDED


def test_a_post_that_was_not_sent_leads_to_a_new_baseline() -> None:
    """What changed before the POST was really sent is never taken as its result."""
    decision = decide(confirming(OLD_ERROR), TriggerNotSent("HTTP 429", retry_after_s=20), at(1))
    run = decision.run
    assert (run.phase, run.attempts, run.attempted_at, run.posted_vendor_at) == (Phase.BASELINE, 0, None, None)
    assert decision.next_look_at == at(21)
    run = decide(run, NEW_ERROR, at(21)).run
    run = decide(attempt(run, at(21)), ACCEPTED, at(21)).run
    assert decide(run, NEW_ERROR, at(23)).run.outcome is None


def test_a_post_that_is_never_sent_ends_not_confirmed_and_done() -> None:
    """At the deadline, a run whose POST was never sent ends without a late watch."""
    run = decide(confirming(), TriggerNotSent("HTTP 429"), at(1800)).run
    assert (run.outcome, run.phase) == (Outcome.NOT_CONFIRMED, Phase.DONE)


def test_a_sync_seen_before_a_new_baseline_does_not_belong_to_the_run() -> None:
    """An error that the new baseline already shows isn't new because a sync was seen running before."""
    run = play(confirming(SYNCING), (1, SYNCING), (2, TriggerNotSent("HTTP 429")), (5, OLD_ERROR)).run
    run = decide(attempt(run, at(5)), ACCEPTED, at(5)).run
    assert decide(run, OLD_ERROR, at(7)).run.outcome is None


def test_a_post_that_is_refused_for_now_backs_off() -> None:
    """Each 429 to the POST lengthens the wait for the next attempt, up to the longest interval."""
    decision = Decision(opened(), T0)
    waits_s = []
    for _ in range(15):
        now = decision.next_look_at or T0
        run = attempt(decide(decision.run, OLD_ERROR, now).run, now)
        decision = decide(run, TriggerNotSent("HTTP 429"), now)
        waits_s.append(((decision.next_look_at or now) - now).total_seconds())
    assert min(waits_s[-3:]) >= PATIENCE.max_interval_s * (1 - JITTER)


@pytest.mark.parametrize("replies", [[LOST], [], [UNREACHABLE], [LOST, UNREACHABLE]])
def test_a_lost_reply_is_followed_by_checks(replies: list[Observation]) -> None:
    """If the reply is lost, by timeout or crash, ``syncing`` is the sign that a sync started, and the watch begins."""
    run = confirming()
    for reply in replies:
        run = decide(run, reply, at(1)).run
        assert (run.phase, run.outcome) == (Phase.CONFIRMING, None)
    decision = decide(run, SYNCING, at(4))
    assert (decision.run.phase, decision.run.accepted_at) == (Phase.WATCHING, at(4))
    assert decision.run.attempts == 1
    assert set(decision.tell) == {Telling.PROGRESS, Telling.ROW}


@pytest.mark.parametrize(
    ("baseline", "look", "outcome"),
    [
        (OLD_ERROR, SYNCED, Outcome.SUCCEEDED),
        (CONNECTED, OLD_ERROR, Outcome.FAILED),
        (CONNECTED, DISCONNECTED, Outcome.DISCONNECTED),
    ],
)
def test_a_sync_that_was_not_seen_has_an_outcome_despite_a_lost_reply(
    baseline: Seen, look: Seen, outcome: Outcome
) -> None:
    """Proof ends the run exactly as it would have with the reply."""
    assert decide(decide(confirming(baseline), LOST, at(1)).run, look, at(9)).run.outcome is outcome


def test_a_different_error_after_a_lost_reply_counts_after_the_grace_time() -> None:
    """It's a failure once the grace time has passed without anything better."""
    run = play(confirming(), (1, LOST), (9, NEW_ERROR), (59, NEW_ERROR)).run
    assert (run.phase, run.outcome) == (Phase.CONFIRMING, None)
    assert decide(run, NEW_ERROR, at(60)).run.outcome is Outcome.FAILED


@pytest.mark.parametrize("look", [OLD_ERROR, CONNECTED, UNKNOWN])
def test_a_lost_post_is_repeated_only_after_the_grace_time(look: Seen) -> None:
    """Without a sign of a sync, the POST is due again at the end of the grace time, on the same baseline."""
    run = play(confirming(look), (1, LOST), (59.9, look)).run
    assert run.phase is Phase.CONFIRMING
    decision = decide(run, look, at(60))
    assert (decision.run.phase, decision.next_look_at) == (Phase.TRIGGER, at(60))
    assert decision.run.baseline == look.integration


def test_a_lost_post_never_counts_as_finished() -> None:
    """If an earlier sync ends and FloKit is idle for the grace time, the POST is due again, and the run doesn't end."""
    run = play(confirming(SYNCING), (1, LOST), (10, CONNECTED), (20, SYNCING), (30, CONNECTED), (90, CONNECTED)).run
    assert (run.phase, run.outcome) == (Phase.TRIGGER, None)


def test_checks_are_frequent_again_after_a_lost_reply() -> None:
    """However long it took to get the baseline."""
    next_look_at = decide(replace(confirming(), looks=50), LOST, at(1)).next_look_at
    assert next_look_at is not None
    assert next_look_at < at(4)


def test_acceptance_ends_an_outage() -> None:
    """An accepted POST shows that FloKit is reachable."""
    run = play(confirming(), (1, UNREACHABLE), (2, ACCEPTED)).run
    assert (run.unreachable_since, run.unreachable_reason) == (None, "")


def test_no_post_is_repeated_during_an_outage() -> None:
    """An unreachable FloKit isn't a missing sign: the POST is due again only after a check that shows none."""
    run = play(confirming(), (1, LOST), (60, UNREACHABLE), (500, UNREACHABLE)).run
    assert run.phase is Phase.CONFIRMING


def test_posts_with_lost_replies_are_limited() -> None:
    """After MAX_ATTEMPTS lost replies, the run only watches, and is not_confirmed at the deadline."""
    run, now = confirming(), 0.0
    for _ in range(MAX_ATTEMPTS - 1):
        run = play(run, (now, LOST), (now + 60, OLD_ERROR)).run
        now += 60
        run = attempt(run, at(now))
    run = play(run, (now, LOST), (now + 60, OLD_ERROR), (now + 600, OLD_ERROR)).run
    assert (run.phase, run.attempts) == (Phase.CONFIRMING, MAX_ATTEMPTS)
    run = decide(run, OLD_ERROR, at(1800)).run
    assert (run.outcome, run.phase) == (Outcome.NOT_CONFIRMED, Phase.LATE)


def test_an_old_error_after_a_lost_reply_is_never_a_result() -> None:
    """Without an accepted POST or a sign of a sync, the old error is neither failed nor failed_again."""
    run = replace(decide(confirming(), LOST, at(1)).run, attempts=MAX_ATTEMPTS)
    assert decide(run, OLD_ERROR, at(1799)).run.outcome is None


def test_a_sign_at_the_deadline_does_not_delay_it() -> None:
    """A sync that is first seen at the deadline, after a lost reply, gets a late watch like any other."""
    run = decide(decide(confirming(), LOST, at(1)).run, SYNCING, at(1800)).run
    assert (run.outcome, run.phase) == (Outcome.NOT_CONFIRMED, Phase.LATE)
    assert play(run, (1900, CONNECTED), (2200, CONNECTED)).run.outcome is Outcome.FINISHED_UNPROVEN


def test_a_sync_that_was_already_running_is_not_a_sign() -> None:
    """It neither proves that a lost POST arrived nor allows a repeated one."""
    run = play(confirming(SYNCING), (1, LOST), (4, SYNCING), (100, SYNCING)).run
    assert (run.phase, run.accepted_at) == (Phase.CONFIRMING, None)


@pytest.mark.parametrize(
    ("look", "phase", "outcome"),
    [
        (SYNCED, Phase.DONE, Outcome.SUCCEEDED),
        (NEW_ERROR, Phase.DONE, Outcome.FAILED),
        (SYNCING, Phase.WATCHING, None),
        (OLD_ERROR, Phase.TRIGGER, None),
        (UNREACHABLE, Phase.CONFIRMING, None),
    ],
)
def test_a_check_just_before_a_repeated_post_can_make_it_unnecessary(
    look: Observation, phase: Phase, outcome: Outcome | None
) -> None:
    """If a result or a sign arrives while the second POST is due, it counts, and no POST is sent."""
    run = play(confirming(), (1, LOST), (60, OLD_ERROR)).run
    assert run.phase is Phase.TRIGGER
    run = decide(run, look, at(60)).run
    assert (run.phase, run.outcome, run.attempts) == (phase, outcome, 1)


def test_a_repeated_post_that_was_not_sent_still_waits_for_the_first() -> None:
    """If an earlier POST may have arrived, its baseline and its signs stay valid."""
    run = play(confirming(), (1, LOST), (60, OLD_ERROR)).run
    run = decide(attempt(run, at(60)), TriggerNotSent("HTTP 429"), at(61)).run
    assert (run.phase, run.attempts, run.baseline) == (Phase.CONFIRMING, 1, OLD_ERROR.integration)
    assert decide(run, SYNCING, at(70)).run.phase is Phase.WATCHING


def test_idleness_before_a_post_does_not_count_after_it() -> None:
    """A repeated POST has its own grace time; idle time before it never makes the run finished_unproven."""
    run = play(confirming(SYNCING), (1, LOST), (10, CONNECTED), (60, CONNECTED)).run
    run = decide(attempt(run, at(60)), ACCEPTED, at(60)).run
    assert decide(run, CONNECTED, at(70)).run.outcome is None
    assert play(run, (70, CONNECTED), (130, CONNECTED)).run.outcome is Outcome.FINISHED_UNPROVEN


# --- WATCHING while FloKit is unreachable


def test_an_outage_is_reported_once_and_remembered() -> None:
    first = decide(watching(), UNREACHABLE, at(5))
    assert first.tell == (Telling.PROGRESS,)
    assert (first.run.unreachable_since, first.run.unreachable_reason) == (at(5), "HTTP 503")
    second = decide(first.run, Unreachable("timeout"), at(50))
    assert second.tell == ()
    assert (second.run.unreachable_since, second.run.unreachable_reason) == (at(5), "timeout")
    seen = decide(second.run, SYNCING, at(70)).run
    assert (seen.unreachable_since, seen.unreachable_reason) == (None, "")
    assert decide(seen, UNREACHABLE, at(80)).tell == (Telling.PROGRESS,)


def test_a_sync_runs_since_it_was_first_seen() -> None:
    """Later checks don't move its beginning."""
    assert play(watching(), (5, SYNCING), (9, SYNCING)).run.syncing_since == at(5)


def test_an_outage_keeps_the_last_known_state() -> None:
    """A check that couldn't reach FloKit doesn't change what was last seen, and when."""
    run = play(watching(), (5, SYNCING), (9, UNREACHABLE)).run
    assert (run.last_seen, run.last_seen_at) == (SYNCING.integration, at(5))


# --- DONE, LATE, keep watching


@pytest.mark.parametrize("observation", [SYNCED, NEW_ERROR, DISCONNECTED, Missing(), DENIED, UNREACHABLE])
@pytest.mark.parametrize("ending", [SYNCED, NEW_ERROR, DISCONNECTED, Missing(), DENIED])
def test_a_done_run_does_not_change(ending: Observation, observation: Observation) -> None:
    """Later observations neither change a finished run nor post anything."""
    done = decide(watching(), ending, at(60)).run
    assert decide(done, observation, at(70)) == Decision(done, None)


@pytest.mark.parametrize(
    ("look", "outcome"),
    [
        (SYNCED, Outcome.SUCCEEDED),
        (NEW_ERROR, Outcome.FAILED),
        (OLD_ERROR, Outcome.FAILED_AGAIN),
        (DISCONNECTED, Outcome.DISCONNECTED),
        (Missing(), Outcome.GONE),
    ],
)
def test_a_late_result_is_posted_after_not_confirmed(look: Observation, outcome: Outcome) -> None:
    """It also moves the run's end."""
    decision = decide(late(), look, at(4000))
    assert (decision.run.outcome, decision.run.phase, decision.run.ended_at) == (outcome, Phase.DONE, at(4000))
    assert set(decision.tell) == EVERYTHING
    assert decision.next_look_at is None


def assert_slow(decision: Decision, now_s: float) -> None:
    """The next check belongs to the late watch."""
    slow_s = LATE_INTERVALS * 30
    assert decision.next_look_at is not None
    assert at(now_s + slow_s * (1 - JITTER)) <= decision.next_look_at <= at(now_s + slow_s)


@pytest.mark.parametrize("observation", [CONNECTED, SYNCING, UNKNOWN, UNREACHABLE, DENIED])
def test_the_late_watch_is_slow_silent_and_ends(observation: Observation) -> None:
    """Without a result, the late watch checks slowly and silently, until ten more deadlines have passed."""
    run = late()
    assert run.late_until == at(1800 + LATE_DEADLINES * 1800)
    decision = decide(run, observation, at(2000))
    assert (decision.run.outcome, decision.run.phase, decision.tell) == (Outcome.NOT_CONFIRMED, Phase.LATE, ())
    assert_slow(decision, 2000)
    near = decide(decision.run, observation, at(11 * 1800 - 1))
    assert near.next_look_at == at(11 * 1800)
    ended = decide(near.run, observation, at(11 * 1800))
    assert (ended.run.outcome, ended.run.phase, ended.next_look_at) == (Outcome.NOT_CONFIRMED, Phase.DONE, None)
    assert Telling.OUTCOME not in ended.tell


def test_a_run_that_is_not_confirmed_is_still_checked_slowly() -> None:
    """The decision for not_confirmed schedules the next, slow check."""
    assert_slow(decide(watching(), UNREACHABLE, at(1800)), 1800)


def test_keep_watching_restores_the_normal_pace_for_one_deadline() -> None:
    """It checks at once and at the normal pace, reports progress, and then continues slowly."""
    kept = keep_watching(late(), at(2000))
    assert (kept.next_look_at, kept.tell, kept.run.keep_until) == (at(2000), (Telling.PROGRESS,), at(3800))
    assert kept.run.late_until == late().late_until
    look = decide(kept.run, SYNCING, at(2000))
    assert look.tell == (Telling.PROGRESS,)
    assert look.next_look_at is not None
    assert look.next_look_at < at(2010)
    assert decide(look.run, SYNCING, at(3799)).next_look_at == at(3800)
    over = decide(look.run, SYNCING, at(3800))
    assert (over.run.keep_until, over.tell) == (None, (Telling.PROGRESS,))
    assert_slow(over, 3800)
    assert decide(over.run, SYNCING, at(4000)).tell == ()


def test_keep_watching_starts_fast() -> None:
    """Keep watching speeds up a slow watch again."""
    kept = keep_watching(replace(late(), looks=50), at(2000)).run
    next_look_at = decide(kept, SYNCING, at(2000)).next_look_at
    assert next_look_at is not None
    assert next_look_at < at(2005)


def test_an_outage_in_the_late_watch_is_silent() -> None:
    """Once not_confirmed was posted, later outages aren't."""
    run = decide(watching(CONNECTED), CONNECTED, at(1800)).run
    assert decide(run, UNREACHABLE, at(2100)).tell == ()


def test_keep_watching_posts_the_result() -> None:
    """Proof after Keep watching ends the run and is posted."""
    run = keep_watching(late(), at(2000)).run
    decision = decide(run, SYNCED, at(2100))
    assert (decision.run.outcome, decision.run.phase) == (Outcome.SUCCEEDED, Phase.DONE)
    assert Telling.OUTCOME in decision.tell


def test_keep_watching_resumes_a_late_watch_that_is_over() -> None:
    """A run that is not_confirmed, and whose late watch ended, is watched again for one deadline."""
    over = decide(late(), UNREACHABLE, at(11 * 1800)).run
    kept = keep_watching(over, at(30_000))
    assert (kept.run.phase, kept.run.keep_until, kept.run.late_until) == (Phase.LATE, at(31_800), at(31_800))
    ended = decide(kept.run, UNREACHABLE, at(31_800))
    assert (ended.run.phase, ended.next_look_at) == (Phase.DONE, None)


def test_keep_watching_does_not_change_other_runs() -> None:
    """A run with a result stays done, and an open one keeps the time of its next check."""
    done = decide(watching(), SYNCED, at(31)).run
    assert keep_watching(done, at(40)) == Decision(done, None)
    for run in (opened(), confirming(), watching()):
        decision = keep_watching(run, at(40))
        assert decision.run == run
        assert decision.next_look_at is not None


@pytest.mark.parametrize("observation", [DENIED, UNREACHABLE, SYNCING])
def test_keep_watching_backs_off(observation: Observation) -> None:
    """Whatever such a watch meets, even an invalid key, its checks come at growing intervals."""
    run, now = keep_watching(late(), at(2000)).run, at(2000)
    for _ in range(12):
        decision = decide(run, observation, now)
        assert decision.next_look_at is not None
        run, interval_s, now = decision.run, (decision.next_look_at - now).total_seconds(), decision.next_look_at
    assert interval_s >= PATIENCE.max_interval_s * (1 - JITTER)


def test_the_row_is_updated_when_the_sync_is_first_seen() -> None:
    """The first check that shows ``syncing`` updates the row, each further one only the progress reply."""
    first = decide(watching(), SYNCING, at(2))
    assert set(first.tell) == {Telling.PROGRESS, Telling.ROW}
    assert decide(first.run, SYNCING, at(5)).tell == (Telling.PROGRESS,)


# --- When the next check is due


def test_checks_back_off_to_the_cap_within_the_jitter() -> None:
    run = watching(CONNECTED, patience=replace(PATIENCE, grace_s=1e6, deadline_s=1e7))
    now, expected_s = T0, 2.0
    for _ in range(30):
        decision = decide(run, CONNECTED, now)
        assert decision.next_look_at is not None
        expected_s = min(30.0, expected_s * BACKOFF)
        wait_s = (decision.next_look_at - now).total_seconds()
        assert expected_s * (1 - JITTER) <= wait_s <= expected_s * (1 + JITTER) + 1e-6
        run, now = decision.run, decision.next_look_at


def test_runs_that_start_together_spread_their_checks() -> None:
    """The same run always gets the same times."""
    runs = [replace(watching(), id=f"run_{n}") for n in range(50)]
    looks = [decide(run, SYNCING, at(5)).next_look_at for run in runs]
    assert len(set(looks)) > 40
    assert looks == [decide(run, SYNCING, at(5)).next_look_at for run in runs]


@pytest.mark.parametrize(
    ("run", "now", "instant"),
    [
        (replace(watching(), looks=50), 50, 60),
        (replace(confirming(), looks=50), 50, 60),
        (replace(play(watching(CONNECTED), (2, SYNCING), (100, CONNECTED)).run, looks=50), 150, 160),
        (replace(watching(), looks=50), 1790, 1800),
        (replace(opened(), looks=50), 1790, 1800),
    ],
)
def test_the_end_of_a_wait_is_not_overshot(run: SyncRun, now: float, instant: float) -> None:
    """A check is due exactly at the end of the grace time and at the deadline, not one interval later."""
    assert decide(run, Unreachable("x"), at(now)).next_look_at == at(instant)


@pytest.mark.parametrize(
    ("retry_after_s", "now", "expected"),
    [
        (100, 5, 105),
        (0, 5, None),
        (-5, 5, None),
        (45, 50, 95),
        (100, 1790, 1800),
        (1e9, 5, 1800),
        (float("inf"), 5, 1800),
        (float("nan"), 5, 1800),
    ],
)
def test_retry_after_is_honored_up_to_the_deadline(retry_after_s: float, now: float, expected: float | None) -> None:
    """FloKit's Retry-After delays the next check, even past the end of the grace time, but not past the deadline."""
    for run in (watching(), confirming()):
        decision = decide(run, Unreachable("HTTP 429", retry_after_s), at(now))
        plain = decide(run, Unreachable("HTTP 429"), at(now))
        assert decision.next_look_at == (plain.next_look_at if expected is None else at(expected))


def test_retry_after_never_makes_a_check_earlier() -> None:
    """A Retry-After shorter than the backoff doesn't change the wait."""
    run = replace(watching(CONNECTED), looks=50)
    assert decide(run, Unreachable("x", 1), at(100)).next_look_at == decide(run, Unreachable("x"), at(100)).next_look_at


def test_checks_are_scheduled_near_the_usual_end() -> None:
    """They're rare before it, and rare again long after it."""
    run = replace(watching(CONNECTED), expected=Expected(200.0, 0.2), looks=50)
    assert wait_s(run, 20) >= PATIENCE.max_interval_s * (1 - JITTER)
    assert wait_s(run, 200) <= 10
    assert wait_s(run, 1200) >= 20


def test_the_first_check_does_not_wait_for_the_usual_end() -> None:
    """A started sync is checked soon whatever its history, because it may fail immediately."""
    run = replace(watching(CONNECTED), expected=Expected(600.0, 0.2))
    next_look_at = decide(replace(confirming(CONNECTED), expected=run.expected), ACCEPTED, T0).next_look_at
    assert next_look_at is not None
    assert next_look_at <= at(PATIENCE.first_look_s)


def test_the_schedule_applies_only_while_a_sync_is_running() -> None:
    """Without a running sync, its end may have come already."""
    run = replace(watching(OLD_ERROR), expected=Expected(600.0, 0.2), looks=1)
    planned, unplanned = decide(run, SYNCING, at(5)).next_look_at, decide(run, OLD_ERROR, at(5)).next_look_at
    assert planned is not None
    assert unplanned is not None
    assert unplanned < planned


def wait_s(run: SyncRun, now: float) -> float:
    """Return the wait after a check at ``now`` that shows a running sync."""
    next_look_at = decide(run, SYNCING, at(now)).next_look_at
    assert next_look_at is not None
    return (next_look_at - at(now)).total_seconds()


def test_a_fraction_of_a_second_does_not_delay_the_end() -> None:
    """A check at the instant of the deadline ends the run, whatever fractions the times and settings have."""
    for micros in range(0, 1_000_000, 7919):
        for deadline_s in (0.1, 1.1, 2.3, 1.0 / 3, 77.7):
            requested_at = T0 + timedelta(microseconds=micros)
            run = replace(opened(Patience(deadline_s=deadline_s)), requested_at=requested_at)
            look_at = requested_at + timedelta(seconds=deadline_s)
            assert decide(run, UNREACHABLE, look_at).run.outcome is Outcome.NOT_CONFIRMED


@pytest.mark.parametrize("grace_s", [1.0 / 3, 2.0 / 3, 0.1, 1.1234567])
def test_a_fraction_of_a_second_does_not_extend_the_grace_time(grace_s: float) -> None:
    """A check at the end of the grace time ends it, whatever fraction the setting has."""
    run = watching(patience=replace(PATIENCE, grace_s=grace_s))
    assert decide(run, OLD_ERROR, T0 + timedelta(seconds=grace_s)).run.outcome is Outcome.FAILED_AGAIN


def looks_a_minute(many: int, within_s: float) -> float:
    """Follow this many syncs that never end and began at random times; count the checks once all are running."""
    rng = random.Random(many)
    patience = replace(PATIENCE, deadline_s=3600)
    decisions = []
    for n in range(many):
        decision = decide(watching(CONNECTED, patience=patience), SYNCING, at(rng.uniform(0, within_s)))
        decisions.append(replace(decision, run=replace(decision.run, id=f"run_{n}")))
    looks, now = 0, T0
    while now < at(within_s + 1300):
        now = min(decision.next_look_at for decision in decisions if decision.next_look_at)
        looks += at(within_s + 100) <= now
        for n, decision in enumerate(decisions):
            if decision.along_at and decision.along_at <= now:
                decisions[n] = decide(decision.run, SYNCING, now)
    return looks / 20


@pytest.mark.parametrize("within_s", [1, 30, 300])
def test_twenty_runs_need_about_as_many_checks_as_one(within_s: float) -> None:
    """The checks of a workspace's runs align, whenever the runs began, so that one check serves them all."""
    assert looks_a_minute(20, within_s) <= 1.2 * looks_a_minute(1, within_s)


# --- A list hints, a page proves


def listed(look: Seen) -> Listed:
    """Return the observation of a list that shows the same as this page."""
    return Listed(look.integration)


@pytest.mark.parametrize("look", [SYNCED, NEW_ERROR, OLD_ERROR, DISCONNECTED, SYNCING, CONNECTED, UNKNOWN])
@pytest.mark.parametrize("baseline", [OLD_ERROR, CONNECTED, SYNCING])
def test_a_list_proves_nothing(baseline: Seen, look: Seen) -> None:
    """Whatever a list shows, and whenever, the run continues as it was, with a next check."""
    for run in (watching(baseline), decide(confirming(baseline), LOST, at(1)).run, late(baseline)):
        for seconds in (2, 61, 1799, 1801):
            decision = decide(run, listed(look), at(seconds))
            assert (decision.run.outcome, decision.run.phase) == (run.outcome, run.phase)
            assert decision.run.syncing_since is None
            assert decision.run.last_seen == run.last_seen
            assert Telling.OUTCOME not in decision.tell
            assert decision.next_look_at is not None


def test_a_list_shows_that_flokit_is_reachable_again() -> None:
    """After an outage, a list is enough to know."""
    run = play(watching(), (5, UNREACHABLE), (9, listed(OLD_ERROR))).run
    assert (run.unreachable_since, run.unreachable_reason) == (None, "")


@pytest.mark.parametrize("look", [SYNCED, NEW_ERROR, DISCONNECTED, SYNCING, CONNECTED, UNKNOWN])
def test_what_is_new_in_a_list_needs_proof(look: Seen) -> None:
    """If a list shows anything new, the page is read; once, as long as the list stays the same."""
    run = watching(OLD_ERROR)
    assert not needs_proof(run, OLD_ERROR.integration, at(2))
    assert needs_proof(run, look.integration, at(2))
    seen = decide(run, replace(OLD_ERROR, hinted=look.integration), at(2)).run
    assert not needs_proof(seen, look.integration, at(4))


@pytest.mark.parametrize(
    ("error", "synced"), [(f"{OLD[:30]}…", -3600), (f"{OLD} (request req_8fK2)", -3600), (OLD, -3601)]
)
def test_a_less_precise_list_needs_proof_once(error: str, synced: float) -> None:
    """If a list cuts errors or rounds times, its page is read once at most."""
    hint = shown("error", error=error, synced=synced).integration
    run = watching(OLD_ERROR)
    looks = 0
    for seconds in range(2, 50, 2):
        needs = needs_proof(run, hint, at(seconds))
        looks += needs
        observation = replace(OLD_ERROR, hinted=hint) if needs else Listed(hint)
        run = decide(run, observation, at(seconds)).run
    assert looks <= 1


@pytest.mark.parametrize(
    ("run", "due_s"),
    [
        (watching(OLD_ERROR), 60),
        (watching(CONNECTED), 1800),
        (decide(confirming(OLD_ERROR), LOST, at(1)).run, 60),
        (replace(watching(SYNCING), expected=Expected(100, 0.2)), 150),
        (keep_watching(late(OLD_ERROR), at(2000)).run, 3800),
        (late(OLD_ERROR), 11 * 1800),
    ],
    ids=["grace time", "deadline", "lost POST", "usual end", "kept watch", "late watch"],
)
def test_a_list_that_never_changes_needs_proof_when_something_is_due(run: SyncRun, due_s: float) -> None:
    """At the end of a run's waits, and past its usual end, the page is read although the list shows nothing new."""
    assert run.last_seen is not None
    run = replace(run, last_seen_at=at(due_s - 1))
    assert not needs_proof(run, run.last_seen, at(due_s - 0.1))
    assert needs_proof(run, run.last_seen, at(due_s))
    assert not needs_proof(replace(run, last_seen_at=at(due_s)), run.last_seen, at(due_s))


def test_a_page_that_contradicts_its_list_is_read_again_occasionally() -> None:
    """While a list keeps hinting at an end, its page is read after every fourth list."""
    run = decide(watching(CONNECTED), SYNCING, at(2)).run
    looks = []
    for n in range(13):
        now = at(3 + n)
        looks.append(needs_proof(run, SYNCED.integration, now))
        observation = replace(SYNCING, hinted=SYNCED.integration) if looks[-1] else Listed(SYNCED.integration)
        run = decide(run, observation, now).run
    assert looks == [True, False, False, False] * 3 + [True]


def test_the_page_that_was_read_longest_ago_is_the_probe() -> None:
    """After every tenth list, one page of the batch is read as well: that of the run that has waited longest."""
    runs = [replace(watching(SYNCING), id=f"run_{n}", listed=PROBE_EVERY - 1 + n) for n in range(3)]
    assert probe_of(runs) is runs[2]
    assert probe_of([*runs, replace(runs[0], listed=PROBE_EVERY - 2)]) is None


def test_twenty_runs_cost_at_most_a_quarter_more_calls_than_one() -> None:
    """While syncs are running, few pages are read in addition to the lists."""

    def calls(many: int) -> int:
        runs = [
            replace(decide(watching(CONNECTED), replace(SYNCING, hinted=SYNCING.integration), at(2)).run, id=f"run_{n}")
            for n in range(many)
        ]
        made = 0
        for seconds in range(30, 1790, 30):
            probe = probe_of(runs) if many > 1 else None
            made += 1
            for n, run in enumerate(runs):
                is_read = run is probe or (many > 1 and needs_proof(run, SYNCING.integration, at(seconds)))
                made += is_read
                is_page = is_read or many == 1
                runs[n] = decide(run, SYNCING if is_page else listed(SYNCING), at(seconds)).run
        return made

    assert calls(20) <= 1.25 * calls(1)
