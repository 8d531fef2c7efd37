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
    """Give the instant so many seconds after the click."""
    return T0 + timedelta(seconds=seconds)


def shown(
    status: str, *, error: str | None = None, synced: float | None = -3600, vendor_at: datetime | None = None
) -> Seen:
    """FloKit shows this; ``synced`` is ``last_synced_at`` in seconds after the click."""
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
    """Open a run at the click."""
    person = Person("U1", "Ada")
    return open_run("run_1", "T1", "int_1", "stripe", person, T0, patience=patience, typical_s=typical_s).run


def confirming(baseline: Seen = OLD_ERROR, patience: Patience = PATIENCE) -> SyncRun:
    """Read the baseline and send the POST at the click; no reply yet."""
    return attempt(decide(opened(patience), baseline, T0).run, T0)


def watching(
    baseline: Seen = OLD_ERROR, accepted: TriggerAccepted = ACCEPTED, patience: Patience = PATIENCE
) -> SyncRun:
    """Have the POST accepted at the click."""
    return decide(confirming(baseline, patience), accepted, T0).run


def late(baseline: Seen = OLD_ERROR) -> SyncRun:
    """Reach the deadline without being able to look."""
    return decide(watching(baseline), UNREACHABLE, at(1800)).run


def play(run: SyncRun, *steps: tuple[float, Observation]) -> Decision:
    """Decide one observation after the other; all but the last must leave the outcome as it is."""
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
def test_each_outcome_is_told_when_the_table_says(
    baseline: Seen, steps: list[tuple[float, Observation]], outcome: Outcome
) -> None:
    """A look that proves an outcome ends the run with it and tells everything."""
    decision = play(watching(baseline), *steps)
    assert decision.run.outcome is outcome
    assert set(decision.tell) == EVERYTHING
    assert decision.run.ended_at == at(steps[-1][0])
    assert (decision.next_look_at is None) == (outcome is not Outcome.NOT_CONFIRMED)


@pytest.mark.parametrize(
    ("baseline", "steps"),
    [
        pytest.param(OLD_ERROR, [(2, OLD_ERROR), (59.9, OLD_ERROR)], id="trap 2: the old error is no news"),
        pytest.param(OLD_ERROR, [(0.4, NEW_ERROR), (59.9, NEW_ERROR)], id="other words alone are weak evidence"),
        pytest.param(NUMBERED, [(0.4, RENUMBERED), (59.9, RENUMBERED)], id="another request ID is no news"),
        pytest.param(UNKNOWN, [(0.4, OLD_ERROR), (59.9, OLD_ERROR)], id="an unknown state may have been an error"),
        pytest.param(
            OLD_ERROR, [(30, shown("error", error=OLD, synced=20))], id="the old error, though a success moved"
        ),
        pytest.param(shown("error", error=None), [(59, shown("error", error=None))], id="the old error has no text"),
        pytest.param(DISCONNECTED, [(2, DISCONNECTED), (59.9, DISCONNECTED)], id="disconnected is old news too"),
        pytest.param(CONNECTED, [(2, CONNECTED), (1799, CONNECTED)], id="trap 3: an unmoved success is no failure"),
        pytest.param(OLD_ERROR, [(2, CONNECTED), (1799, CONNECTED)], id="connected, never seen syncing"),
        pytest.param(CONNECTED, [(2, SYNCING), (10, CONNECTED), (69.9, CONNECTED)], id="idle within the grace time"),
        pytest.param(
            CONNECTED, [(2, SYNCING), (10, CONNECTED), (60, SYNCING), (65, CONNECTED), (124, CONNECTED)], id="idle anew"
        ),
        pytest.param(CONNECTED, [(2, SYNCING), (1799, shown("syncing", synced=30))], id="still syncing"),
        pytest.param(SYNCED, [(40, shown("connected", synced=10))], id="last_synced_at went backwards"),
        pytest.param(SYNCED, [(40, shown("connected", synced=None))], id="trap 8: last_synced_at vanished"),
        pytest.param(CONNECTED, [(2, UNKNOWN), (1799, shown("pausing", synced=30))], id="an unknown status"),
        pytest.param(CONNECTED, [(2, shown("unknown", synced=None))], id="a status that is missing"),
        pytest.param(CONNECTED, [(2, UNREACHABLE), (1799, UNREACHABLE)], id="could not look"),
    ],
)
def test_a_look_without_proof_ends_nothing(baseline: Seen, steps: list[tuple[float, Observation]]) -> None:
    """What proves nothing leaves a watched run watched, with a next look."""
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
def test_with_a_sync_under_way_only_a_success_after_the_post_counts(
    synced: float, status: str, outcome: Outcome | None
) -> None:
    """Trap 4: an overlap succeeds with a success not older than the vendor's time of the POST, syncing no more."""
    run = watching(shown("syncing", vendor_at=T0), replace(ACCEPTED, vendor_at=T0))
    assert decide(run, shown(status, synced=synced), at(30)).run.outcome is outcome


@pytest.mark.parametrize("offset_s", [-7200, -3, 0, 3, 7200])
@pytest.mark.parametrize("reply", [ACCEPTED, LOST])
def test_the_posts_time_is_the_vendors(offset_s: float, reply: Observation) -> None:
    """Trap 5: with a vendor's clock that is off, the POST's time is read from it or estimated by the offset."""
    run = confirming(shown("syncing", synced=-9000, vendor_at=at(offset_s)))
    if isinstance(reply, TriggerAccepted):
        reply = replace(reply, vendor_at=at(offset_s))
    run = decide(run, reply, at(5)).run
    assert run.posted_vendor_at == at(offset_s)
    assert decide(run, shown("connected", synced=offset_s - 1), at(30)).run.outcome is None
    assert decide(run, shown("connected", synced=offset_s + 1), at(30)).run.outcome is Outcome.SUCCEEDED


def test_the_replys_own_date_is_the_posts_time() -> None:
    """The ``Date`` of the acceptance wins over the estimate made before the POST."""
    run = watching(shown("syncing", vendor_at=T0), replace(ACCEPTED, vendor_at=at(20)))
    assert decide(run, shown("connected", synced=10), at(30)).run.outcome is None


def test_a_success_in_the_second_of_the_post_counts() -> None:
    """The vendor's times are whole seconds: a success in the second of an estimated POST is not older than it."""
    run = decide(opened(), shown("syncing", vendor_at=T0), T0).run
    run = decide(attempt(run, at(10.9)), LOST, at(11)).run
    assert decide(run, shown("connected", synced=9), at(30)).run.outcome is None
    assert decide(run, shown("connected", synced=10), at(30)).run.outcome is Outcome.SUCCEEDED


def test_without_an_overlap_the_posts_time_is_not_compared() -> None:
    """Newer than the baseline is proof enough where no other sync was under way."""
    run = watching(shown("error", error=OLD, vendor_at=T0), replace(ACCEPTED, vendor_at=at(10)))
    assert decide(run, shown("connected", synced=8), at(30)).run.outcome is Outcome.SUCCEEDED


def test_the_offset_of_the_clocks_is_kept_when_a_reply_has_no_date() -> None:
    """A reply without ``Date`` leaves the newest known clock offset as it is."""
    run = decide(watching(shown("error", error=OLD, vendor_at=at(90))), OLD_ERROR, at(5)).run
    assert run.clock_offset_s == 90


def test_a_wrong_clock_hides_no_success_of_a_run_that_did_not_overlap() -> None:
    """Without an overlap only the baseline is compared: a vendor's clock hours behind still proves success."""
    run = watching(shown("connected", synced=-9000, vendor_at=at(-7200)), replace(ACCEPTED, vendor_at=at(-7200)))
    assert decide(run, shown("connected", synced=-7190), at(10)).run.outcome is Outcome.SUCCEEDED


def test_an_overlap_is_remembered_for_the_telling() -> None:
    """A run whose baseline was ``syncing`` says that it overlapped."""
    assert watching(SYNCING).overlapped
    assert not watching(OLD_ERROR).overlapped


# --- Times that can't be read, or go backwards


UNREADABLE = Seen(Integration("int_1", "stripe", "connected", unreadable_time="9999-99-99"))
UNREADABLE_ERROR = Seen(Integration("int_1", "stripe", "error", None, OLD, unreadable_time="9999-99-99"))


def test_a_time_that_cannot_be_read_proves_no_success() -> None:
    """A sync that was seen, and ends with a time that can't be read, is finished without proof."""
    run = play(watching(CONNECTED), (2, SYNCING), (10, UNREADABLE), (69, UNREADABLE)).run
    assert run.outcome is None
    assert decide(run, UNREADABLE, at(70)).run.outcome is Outcome.FINISHED_UNPROVEN


@pytest.mark.parametrize("baseline", [UNREADABLE, UNREADABLE_ERROR])
def test_a_baseline_that_cannot_be_read_is_replaced_by_the_posts_time(baseline: Seen) -> None:
    """With nothing to compare with, a success is one that is not older than the vendor's time of the POST."""
    run = watching(replace(baseline, vendor_at=T0), replace(ACCEPTED, vendor_at=at(0.7)))
    assert decide(run, shown("connected", synced=-1), at(30)).run.outcome is None
    assert decide(run, shown("connected", synced=0), at(30)).run.outcome is Outcome.SUCCEEDED
    assert decide(watching(baseline), SYNCED, at(31)).run.outcome is None


def test_a_time_that_becomes_readable_is_no_news_of_an_error() -> None:
    """A success that can be read now, where it could not before, does not make the old error another one."""
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
def test_the_same_success_given_more_or_less_exactly_is_no_news(
    before: tuple[float, int], after: tuple[float, int], outcome: Outcome | None
) -> None:
    """A difference that rounding explains proves no success; one that it doesn't explain proves it."""
    first, then = (
        Seen(replace(CONNECTED.integration, last_synced_at=at(synced), synced_within_s=within_s))
        for synced, within_s in (before, after)
    )
    assert decide(watching(first), then, at(30)).run.outcome is outcome


def test_a_time_that_went_back_proves_nothing_until_it_is_newer_than_before() -> None:
    """A restored database, and then successes that are older than the baseline, prove no success."""
    run = play(watching(SYNCED), (2, SYNCING), (9, shown("connected", synced=-500)), (20, shown("connected", synced=9)))
    assert run.run.outcome is None
    assert decide(run.run, shown("connected", synced=9), at(69)).run.outcome is Outcome.FINISHED_UNPROVEN
    assert decide(run.run, shown("connected", synced=31), at(40)).run.outcome is Outcome.SUCCEEDED


# --- BASELINE and TRIGGER


def test_a_click_is_acted_on_and_told_at_once() -> None:
    """A new run waits for its baseline, now, and its progress and row are told."""
    decision = open_run("r", "T", "i", "stripe", Person("U"), T0, patience=PATIENCE)
    assert decision.run.phase is Phase.BASELINE
    assert decision.next_look_at == T0
    assert set(decision.tell) == {Telling.PROGRESS, Telling.ROW}
    assert decision.run.is_active


def test_a_look_that_names_no_type_leaves_the_known_one() -> None:
    """The type that the click knew is told on, when FloKit's first answer lacks it."""
    assert decide(opened(), Seen(Integration("int_1", status="connected")), T0).run.integration_type == "stripe"


@pytest.mark.parametrize("baseline", [CONNECTED, OLD_ERROR, SYNCING, DISCONNECTED, UNKNOWN])
def test_any_first_look_leads_to_the_post(baseline: Seen) -> None:
    """The first look is the baseline, whatever it shows, and the POST is due at once."""
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
    """A 404, 401 or 403 ends an open run in whatever phase it is."""
    runs = [opened(), decide(opened(), OLD_ERROR, T0).run, confirming(), watching()]
    run = next(run for run in runs if run.phase is phase)
    decision = decide(run, observation, at(3))
    assert (decision.run.outcome, decision.run.reason, decision.run.phase) == (outcome, reason, Phase.DONE)
    assert decision.next_look_at is None
    assert set(decision.tell) == EVERYTHING


def test_without_a_baseline_the_deadline_ends_the_run_for_good() -> None:
    """A run that never sent a POST is not confirmed at the deadline, with nothing to watch for later."""
    waiting = decide(opened(), UNREACHABLE, at(3))
    assert (waiting.run.phase, waiting.tell) == (Phase.BASELINE, (Telling.PROGRESS,))
    ended = decide(waiting.run, UNREACHABLE, at(1800))
    assert (ended.run.outcome, ended.run.phase) == (Outcome.NOT_CONFIRMED, Phase.DONE)


def test_a_baseline_that_comes_too_late_sends_no_post() -> None:
    """A first look at or after the deadline ends the run instead of triggering a sync nobody waits for."""
    for run in (opened(), decide(opened(), OLD_ERROR, T0).run):
        ended = decide(run, CONNECTED, at(1800)).run
        assert (ended.outcome, ended.phase) == (Outcome.NOT_CONFIRMED, Phase.DONE)


def test_a_further_look_before_the_post_renews_the_baseline() -> None:
    """A look while the POST is due, as after a restart, becomes the baseline."""
    run = decide(opened(), OLD_ERROR, T0).run
    decision = decide(run, SYNCED, at(40))
    assert decision.run.phase is Phase.TRIGGER
    assert decision.run.baseline == SYNCED.integration


def test_an_outage_before_the_post_makes_the_baseline_stale() -> None:
    """When FloKit could not be looked at while the POST was due, the baseline is read anew before it is sent."""
    run = decide(opened(), OLD_ERROR, T0).run
    run = decide(run, UNREACHABLE, at(5)).run
    assert run.phase is Phase.BASELINE
    with pytest.raises(IllegalObservation):
        attempt(run, at(900))


def test_an_attempt_is_noted_before_the_post() -> None:
    """``attempt`` counts the POST, notes when, and estimates the vendor's time of it."""
    run = attempt(decide(opened(), shown("connected", vendor_at=at(100)), T0).run, at(1))
    assert (run.phase, run.attempts, run.attempted_at, run.posted_vendor_at) == (Phase.CONFIRMING, 1, at(1), at(101))


def test_only_a_run_that_waits_for_a_post_is_triggered() -> None:
    """An attempt in any other phase is refused loudly."""
    done = decide(watching(), Missing(), at(1)).run
    for run in (opened(), confirming(), watching(), late(), done):
        with pytest.raises(IllegalObservation):
            attempt(run, at(1))


@pytest.mark.parametrize("reply", [ACCEPTED, TriggerRefused(409), TriggerNotSent("429"), LOST])
def test_a_reply_that_nobody_waits_for_is_illegal(reply: Observation) -> None:
    """A reply to a POST is illegal in each phase but CONFIRMING, and no news for a run that is done."""
    for run in (opened(), decide(opened(), OLD_ERROR, T0).run, watching(), late()):
        with pytest.raises(IllegalObservation):
            decide(run, reply, at(1))
    done = decide(watching(), Missing(), at(1)).run
    assert decide(done, reply, at(2)) == Decision(done, None)


# --- CONFIRMING


def test_an_accepted_post_proves_nothing() -> None:
    """Trap 1: acceptance starts the watch, keeps the sync id, and is no outcome."""
    decision = decide(confirming(), TriggerAccepted("sync_9", at(0)), at(1))
    assert (decision.run.phase, decision.run.sync_id, decision.run.accepted_at) == (Phase.WATCHING, "sync_9", at(1))
    assert decision.run.outcome is None
    assert set(decision.tell) == {Telling.PROGRESS, Telling.ROW}


def test_a_refused_post_ends_the_run_with_flokits_words() -> None:
    """A refusal for good means that nothing was started: not confirmed, done, with the reason."""
    for reply, reason in ((TriggerRefused(422, "No."), "No."), (TriggerRefused(409), "HTTP 409")):
        run = decide(confirming(), reply, at(1)).run
        assert (run.outcome, run.phase, run.reason, run.attempts) == (Outcome.NOT_CONFIRMED, Phase.DONE, reason, 0)
        assert keep_watching(run, at(2)) == Decision(run, None)


def test_what_flokit_said_is_kept_apart() -> None:
    """A run has our sentence and FloKit's words in two fields, and both go when a POST is accepted."""
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
    """When an earlier POST may have arrived, a refused one may be refused because of it: signs are looked for."""
    run = play(confirming(), (1, LOST), (60, OLD_ERROR)).run
    run = decide(attempt(run, at(60)), TriggerRefused(409), at(61)).run
    assert (run.outcome, run.phase) == (None, Phase.CONFIRMING)
    assert decide(run, SYNCED, at(90)).run.outcome is Outcome.SUCCEEDED


def test_a_post_that_was_not_sent_leads_to_a_new_baseline() -> None:
    """What changed before the POST was really sent is never taken for its result."""
    decision = decide(confirming(OLD_ERROR), TriggerNotSent("HTTP 429", retry_after_s=20), at(1))
    run = decision.run
    assert (run.phase, run.attempts, run.attempted_at, run.posted_vendor_at) == (Phase.BASELINE, 0, None, None)
    assert decision.next_look_at == at(21)
    run = decide(run, NEW_ERROR, at(21)).run
    run = decide(attempt(run, at(21)), ACCEPTED, at(21)).run
    assert decide(run, NEW_ERROR, at(23)).run.outcome is None


def test_a_post_that_is_never_sent_ends_not_confirmed_and_done() -> None:
    """At the deadline a run whose POST could not be sent ends without a late watch."""
    run = decide(confirming(), TriggerNotSent("HTTP 429"), at(1800)).run
    assert (run.outcome, run.phase) == (Outcome.NOT_CONFIRMED, Phase.DONE)


def test_a_sync_seen_before_a_new_baseline_is_not_this_runs() -> None:
    """An earlier sync seen under way makes no news of an error that the new baseline already shows."""
    run = play(confirming(SYNCING), (1, SYNCING), (2, TriggerNotSent("HTTP 429")), (5, OLD_ERROR)).run
    run = decide(attempt(run, at(5)), ACCEPTED, at(5)).run
    assert decide(run, OLD_ERROR, at(7)).run.outcome is None


def test_a_post_that_is_refused_for_now_backs_off() -> None:
    """Each 429 to the POST lengthens the wait for the next one up to the longest interval."""
    decision = Decision(opened(), T0)
    waits_s = []
    for _ in range(15):
        now = decision.next_look_at or T0
        run = attempt(decide(decision.run, OLD_ERROR, now).run, now)
        decision = decide(run, TriggerNotSent("HTTP 429"), now)
        waits_s.append(((decision.next_look_at or now) - now).total_seconds())
    assert min(waits_s[-3:]) >= PATIENCE.max_interval_s * (1 - JITTER)


@pytest.mark.parametrize("replies", [[LOST], [], [UNREACHABLE], [LOST, UNREACHABLE]])
def test_a_lost_reply_is_followed_by_looking(replies: list[Observation]) -> None:
    """With the reply lost, by timeout or crash, ``syncing`` is the sign of a started sync and begins the watch."""
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
def test_a_hidden_sync_is_judged_though_the_reply_was_lost(baseline: Seen, look: Seen, outcome: Outcome) -> None:
    """With the reply lost, proof ends the run as it would have with the reply."""
    assert decide(decide(confirming(baseline), LOST, at(1)).run, look, at(9)).run.outcome is outcome


def test_other_words_after_a_lost_reply_count_after_the_grace_time() -> None:
    """With the reply lost, an error in other words is a failure once nothing better came within the grace time."""
    run = play(confirming(), (1, LOST), (9, NEW_ERROR), (59, NEW_ERROR)).run
    assert (run.phase, run.outcome) == (Phase.CONFIRMING, None)
    assert decide(run, NEW_ERROR, at(60)).run.outcome is Outcome.FAILED


@pytest.mark.parametrize("look", [OLD_ERROR, CONNECTED, UNKNOWN])
def test_a_lost_post_is_repeated_only_after_the_grace_time(look: Seen) -> None:
    """Without a sign the POST is due again at the end of the grace time, on the first baseline, and not before."""
    run = play(confirming(look), (1, LOST), (59.9, look)).run
    assert run.phase is Phase.CONFIRMING
    decision = decide(run, look, at(60))
    assert (decision.run.phase, decision.next_look_at) == (Phase.TRIGGER, at(60))
    assert decision.run.baseline == look.integration


def test_a_lost_post_is_never_finished() -> None:
    """An earlier sync's end, idle for the grace time, makes a lost POST due again and is no end of this run."""
    run = play(confirming(SYNCING), (1, LOST), (10, CONNECTED), (20, SYNCING), (30, CONNECTED), (90, CONNECTED)).run
    assert (run.phase, run.outcome) == (Phase.TRIGGER, None)


def test_looks_are_fast_again_after_a_lost_reply() -> None:
    """However long the baseline had to be waited for, signs of a started sync are looked for at a fast pace."""
    next_look_at = decide(replace(confirming(), looks=50), LOST, at(1)).next_look_at
    assert next_look_at is not None
    assert next_look_at < at(4)


def test_acceptance_ends_an_outage() -> None:
    """FloKit's acceptance shows that it can be reached."""
    run = play(confirming(), (1, UNREACHABLE), (2, ACCEPTED)).run
    assert (run.unreachable_since, run.unreachable_reason) == (None, "")


def test_an_outage_repeats_no_post() -> None:
    """Being unable to look is no missing sign: the POST is not due again until a look shows none."""
    run = play(confirming(), (1, LOST), (60, UNREACHABLE), (500, UNREACHABLE)).run
    assert run.phase is Phase.CONFIRMING


def test_posts_with_lost_replies_are_limited() -> None:
    """After MAX_ATTEMPTS lost replies the run only watches, and is not confirmed at the deadline."""
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
    """Without acceptance or sign, the old error proves neither failure nor a repeated failure."""
    run = replace(decide(confirming(), LOST, at(1)).run, attempts=MAX_ATTEMPTS)
    assert decide(run, OLD_ERROR, at(1799)).run.outcome is None


def test_a_sign_at_the_deadline_does_not_put_it_off() -> None:
    """A sync first seen at the deadline, its POST's reply lost, is not confirmed and watched slowly like any other."""
    run = decide(decide(confirming(), LOST, at(1)).run, SYNCING, at(1800)).run
    assert (run.outcome, run.phase) == (Outcome.NOT_CONFIRMED, Phase.LATE)
    assert play(run, (1900, CONNECTED), (2200, CONNECTED)).run.outcome is Outcome.FINISHED_UNPROVEN


def test_a_sync_already_under_way_is_no_sign() -> None:
    """``syncing`` that was there before a lost POST neither proves its arrival nor lets it be repeated."""
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
def test_a_look_just_before_a_repeated_post_can_make_it_needless(
    look: Observation, phase: Phase, outcome: Outcome | None
) -> None:
    """A result or a sign that arrives while the second POST is due is taken, instead of posting again."""
    run = play(confirming(), (1, LOST), (60, OLD_ERROR)).run
    assert run.phase is Phase.TRIGGER
    run = decide(run, look, at(60)).run
    assert (run.phase, run.outcome, run.attempts) == (phase, outcome, 1)


def test_a_repeated_post_that_was_not_sent_still_waits_for_the_first() -> None:
    """When a lost POST may have arrived, one that was not sent leaves its baseline and its signs in force."""
    run = play(confirming(), (1, LOST), (60, OLD_ERROR)).run
    run = decide(attempt(run, at(60)), TriggerNotSent("HTTP 429"), at(61)).run
    assert (run.phase, run.attempts, run.baseline) == (Phase.CONFIRMING, 1, OLD_ERROR.integration)
    assert decide(run, SYNCING, at(70)).run.phase is Phase.WATCHING


def test_idleness_before_a_post_does_not_count_after_it() -> None:
    """A repeated POST gets its own grace time: the idle time before it never makes it finished_unproven."""
    run = play(confirming(SYNCING), (1, LOST), (10, CONNECTED), (60, CONNECTED)).run
    run = decide(attempt(run, at(60)), ACCEPTED, at(60)).run
    assert decide(run, CONNECTED, at(70)).run.outcome is None
    assert play(run, (70, CONNECTED), (130, CONNECTED)).run.outcome is Outcome.FINISHED_UNPROVEN


# --- WATCHING without sight


def test_an_outage_is_told_once_and_remembered() -> None:
    """The first unreachable look tells progress, further ones stay silent, and sight ends it."""
    first = decide(watching(), UNREACHABLE, at(5))
    assert first.tell == (Telling.PROGRESS,)
    assert (first.run.unreachable_since, first.run.unreachable_reason) == (at(5), "HTTP 503")
    second = decide(first.run, Unreachable("timeout"), at(50))
    assert second.tell == ()
    assert (second.run.unreachable_since, second.run.unreachable_reason) == (at(5), "timeout")
    seen = decide(second.run, SYNCING, at(70)).run
    assert (seen.unreachable_since, seen.unreachable_reason) == (None, "")
    assert decide(seen, UNREACHABLE, at(80)).tell == (Telling.PROGRESS,)


def test_a_sync_is_under_way_since_it_was_first_seen() -> None:
    """Further looks that show ``syncing`` leave its beginning where it was."""
    assert play(watching(), (5, SYNCING), (9, SYNCING)).run.syncing_since == at(5)


def test_an_outage_keeps_the_last_knowledge() -> None:
    """An unreachable look leaves what was last seen, and when, as it was."""
    run = play(watching(), (5, SYNCING), (9, UNREACHABLE)).run
    assert (run.last_seen, run.last_seen_at) == (SYNCING.integration, at(5))


# --- DONE, LATE, keep watching


@pytest.mark.parametrize("observation", [SYNCED, NEW_ERROR, DISCONNECTED, Missing(), DENIED, UNREACHABLE])
@pytest.mark.parametrize("ending", [SYNCED, NEW_ERROR, DISCONNECTED, Missing(), DENIED])
def test_a_done_run_stays_as_it_is(ending: Observation, observation: Observation) -> None:
    """Nothing that is seen later changes a run that is done, nor tells anything."""
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
def test_a_late_result_is_told(look: Observation, outcome: Outcome) -> None:
    """After not_confirmed a proof still ends the run, tells again, and moves the end."""
    decision = decide(late(), look, at(4000))
    assert (decision.run.outcome, decision.run.phase, decision.run.ended_at) == (outcome, Phase.DONE, at(4000))
    assert set(decision.tell) == EVERYTHING
    assert decision.next_look_at is None


def assert_slow(decision: Decision, now_s: float) -> None:
    """The next look is one of the slow watch."""
    slow_s = LATE_INTERVALS * 30
    assert decision.next_look_at is not None
    assert at(now_s + slow_s * (1 - JITTER)) <= decision.next_look_at <= at(now_s + slow_s)


@pytest.mark.parametrize("observation", [CONNECTED, SYNCING, UNKNOWN, UNREACHABLE, DENIED])
def test_the_late_watch_is_slow_silent_and_ends(observation: Observation) -> None:
    """Without a result the late watch looks slowly and in silence, until ten more deadlines are over."""
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


def test_not_confirmed_goes_on_looking_slowly() -> None:
    """The decision that tells not_confirmed names the next, slow look."""
    assert_slow(decide(watching(), UNREACHABLE, at(1800)), 1800)


def test_keep_watching_brings_back_the_normal_pace_for_one_deadline() -> None:
    """Keep watching looks at once and at the normal pace, tells progress, and ends in the slow pace."""
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
    """A watch that had slowed down is fast again when somebody asks for it."""
    kept = keep_watching(replace(late(), looks=50), at(2000)).run
    next_look_at = decide(kept, SYNCING, at(2000)).next_look_at
    assert next_look_at is not None
    assert next_look_at < at(2005)


def test_an_outage_in_the_late_watch_is_silent() -> None:
    """After not_confirmed was told, being unable to look is told no more."""
    run = decide(watching(CONNECTED), CONNECTED, at(1800)).run
    assert decide(run, UNREACHABLE, at(2100)).tell == ()


def test_keep_watching_posts_the_result() -> None:
    """A proof while kept watching ends the run and is told."""
    run = keep_watching(late(), at(2000)).run
    decision = decide(run, SYNCED, at(2100))
    assert (decision.run.outcome, decision.run.phase) == (Outcome.SUCCEEDED, Phase.DONE)
    assert Telling.OUTCOME in decision.tell


def test_keep_watching_takes_up_a_late_watch_that_is_over() -> None:
    """A not confirmed run whose late watch ended is watched again, for one deadline."""
    over = decide(late(), UNREACHABLE, at(11 * 1800)).run
    kept = keep_watching(over, at(30_000))
    assert (kept.run.phase, kept.run.keep_until, kept.run.late_until) == (Phase.LATE, at(31_800), at(31_800))
    ended = decide(kept.run, UNREACHABLE, at(31_800))
    assert (ended.run.phase, ended.next_look_at) == (Phase.DONE, None)


def test_keep_watching_leaves_other_runs_alone() -> None:
    """A run that has its result is left done, and an open one keeps its next look."""
    done = decide(watching(), SYNCED, at(31)).run
    assert keep_watching(done, at(40)) == Decision(done, None)
    for run in (opened(), confirming(), watching()):
        decision = keep_watching(run, at(40))
        assert decision.run == run
        assert decision.next_look_at is not None


@pytest.mark.parametrize("observation", [DENIED, UNREACHABLE, SYNCING])
def test_keep_watching_backs_off(observation: Observation) -> None:
    """Whatever a kept watch meets, a lost key too, its looks come at growing intervals."""
    run, now = keep_watching(late(), at(2000)).run, at(2000)
    for _ in range(12):
        decision = decide(run, observation, now)
        assert decision.next_look_at is not None
        run, interval_s, now = decision.run, (decision.next_look_at - now).total_seconds(), decision.next_look_at
    assert interval_s >= PATIENCE.max_interval_s * (1 - JITTER)


def test_the_row_is_put_right_when_the_sync_is_first_seen() -> None:
    """The first look that shows ``syncing`` changes the row, each further one only the progress reply."""
    first = decide(watching(), SYNCING, at(2))
    assert set(first.tell) == {Telling.PROGRESS, Telling.ROW}
    assert decide(first.run, SYNCING, at(5)).tell == (Telling.PROGRESS,)


# --- When to look next


def test_looks_back_off_to_the_cap_within_the_jitter() -> None:
    """Each wait is the last one times BACKOFF, at most the longest interval, give or take the jitter."""
    run = watching(CONNECTED, patience=replace(PATIENCE, grace_s=1e6, deadline_s=1e7))
    now, expected_s = T0, 2.0
    for _ in range(30):
        decision = decide(run, CONNECTED, now)
        assert decision.next_look_at is not None
        expected_s = min(30.0, expected_s * BACKOFF)
        wait_s = (decision.next_look_at - now).total_seconds()
        assert expected_s * (1 - JITTER) <= wait_s <= expected_s * (1 + JITTER) + 1e-6
        run, now = decision.run, decision.next_look_at


def test_runs_of_one_instant_spread_their_looks() -> None:
    """Runs that start together look at different instants, and the same run always at the same."""
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
    """A look falls on the end of the grace time and on the deadline, not one interval later."""
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
def test_retry_after_is_honoured_up_to_the_deadline(retry_after_s: float, now: float, expected: float | None) -> None:
    """FloKit's Retry-After holds back the next look, past the end of the grace time too, but not past the deadline."""
    for run in (watching(), confirming()):
        decision = decide(run, Unreachable("HTTP 429", retry_after_s), at(now))
        plain = decide(run, Unreachable("HTTP 429"), at(now))
        assert decision.next_look_at == (plain.next_look_at if expected is None else at(expected))


def test_retry_after_never_brings_a_look_forward() -> None:
    """A Retry-After shorter than the backoff leaves the backoff as it is."""
    run = replace(watching(CONNECTED), looks=50)
    assert decide(run, Unreachable("x", 1), at(100)).next_look_at == decide(run, Unreachable("x"), at(100)).next_look_at


def test_looks_are_drawn_near_the_usual_end() -> None:
    """With a known duration looks are rare before its end, close around it, and rare again when it is long past."""
    run = replace(watching(CONNECTED), expected=Expected(200.0, 0.2), looks=50)
    assert wait_s(run, 20) >= PATIENCE.max_interval_s * (1 - JITTER)
    assert wait_s(run, 200) <= 10
    assert wait_s(run, 1200) >= 20


def test_the_first_look_does_not_wait_for_the_usual_end() -> None:
    """Whatever history says, a started sync is looked at soon: it may fail at once."""
    run = replace(watching(CONNECTED), expected=Expected(600.0, 0.2))
    next_look_at = decide(replace(confirming(CONNECTED), expected=run.expected), ACCEPTED, T0).next_look_at
    assert next_look_at is not None
    assert next_look_at <= at(PATIENCE.first_look_s)


def test_the_plan_holds_only_while_a_sync_is_seen_under_way() -> None:
    """What shows no running sync is looked at as if nothing was known: its end may have come."""
    run = replace(watching(OLD_ERROR), expected=Expected(600.0, 0.2), looks=1)
    planned, unplanned = decide(run, SYNCING, at(5)).next_look_at, decide(run, OLD_ERROR, at(5)).next_look_at
    assert planned is not None
    assert unplanned is not None
    assert unplanned < planned


def wait_s(run: SyncRun, now: float) -> float:
    """Give the wait after a look at ``now`` that shows a sync under way."""
    next_look_at = decide(run, SYNCING, at(now)).next_look_at
    assert next_look_at is not None
    return (next_look_at - at(now)).total_seconds()


def test_a_fraction_of_a_second_does_not_put_off_the_end() -> None:
    """A look at the deadline's instant ends the run, whatever fractions the times and settings have."""
    for micros in range(0, 1_000_000, 7919):
        for deadline_s in (0.1, 1.1, 2.3, 1.0 / 3, 77.7):
            requested_at = T0 + timedelta(microseconds=micros)
            run = replace(opened(Patience(deadline_s=deadline_s)), requested_at=requested_at)
            look_at = requested_at + timedelta(seconds=deadline_s)
            assert decide(run, UNREACHABLE, look_at).run.outcome is Outcome.NOT_CONFIRMED


@pytest.mark.parametrize("grace_s", [1.0 / 3, 2.0 / 3, 0.1, 1.1234567])
def test_a_fraction_of_a_second_does_not_put_off_the_grace_time(grace_s: float) -> None:
    """A look at the end of the grace time finds it over, whatever fraction the setting has."""
    run = watching(patience=replace(PATIENCE, grace_s=grace_s))
    assert decide(run, OLD_ERROR, T0 + timedelta(seconds=grace_s)).run.outcome is Outcome.FAILED_AGAIN


def looks_a_minute(many: int, within_s: float) -> float:
    """Follow as many syncs that never end, begun at random times, and count the looks once all are under way."""
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
def test_twenty_runs_are_looked_at_about_as_often_as_one(within_s: float) -> None:
    """Runs of a workspace fall into step, whenever they began: one look serves them all."""
    assert looks_a_minute(20, within_s) <= 1.2 * looks_a_minute(1, within_s)


# --- Lists hint, pages prove


def listed(look: Seen) -> Listed:
    """Show in a list what a page would show."""
    return Listed(look.integration)


@pytest.mark.parametrize("look", [SYNCED, NEW_ERROR, OLD_ERROR, DISCONNECTED, SYNCING, CONNECTED, UNKNOWN])
@pytest.mark.parametrize("baseline", [OLD_ERROR, CONNECTED, SYNCING])
def test_a_list_proves_nothing(baseline: Seen, look: Seen) -> None:
    """Whatever a list shows at whatever time, the run goes on as it was, with a next look."""
    for run in (watching(baseline), decide(confirming(baseline), LOST, at(1)).run, late(baseline)):
        for seconds in (2, 61, 1799, 1801):
            decision = decide(run, listed(look), at(seconds))
            assert (decision.run.outcome, decision.run.phase) == (run.outcome, run.phase)
            assert decision.run.syncing_since is None
            assert decision.run.last_seen == run.last_seen
            assert Telling.OUTCOME not in decision.tell
            assert decision.next_look_at is not None


def test_a_list_shows_that_flokit_is_back() -> None:
    """After an outage a list is enough to say that FloKit can be reached."""
    run = play(watching(), (5, UNREACHABLE), (9, listed(OLD_ERROR))).run
    assert (run.unreachable_since, run.unreachable_reason) == (None, "")


@pytest.mark.parametrize("look", [SYNCED, NEW_ERROR, DISCONNECTED, SYNCING, CONNECTED, UNKNOWN])
def test_what_is_new_in_a_list_needs_proof(look: Seen) -> None:
    """A list that shows something else than before leads to a look at the page; once, while it stays the same."""
    run = watching(OLD_ERROR)
    assert not needs_proof(run, OLD_ERROR.integration, at(2))
    assert needs_proof(run, look.integration, at(2))
    seen = decide(run, replace(OLD_ERROR, hinted=look.integration), at(2)).run
    assert not needs_proof(seen, look.integration, at(4))


@pytest.mark.parametrize(
    ("error", "synced"), [(f"{OLD[:30]}…", -3600), (f"{OLD} (request req_8fK2)", -3600), (OLD, -3601)]
)
def test_a_list_that_is_less_exact_needs_proof_once(error: str, synced: float) -> None:
    """A list that cuts errors, or rounds times, is asked about once at the most."""
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
def test_a_list_that_never_moves_needs_proof_when_something_is_due(run: SyncRun, due_s: float) -> None:
    """At the ends of a run's waits, and past its usual end, the page is read although the list shows nothing new."""
    assert run.last_seen is not None
    run = replace(run, last_seen_at=at(due_s - 1))
    assert not needs_proof(run, run.last_seen, at(due_s - 0.1))
    assert needs_proof(run, run.last_seen, at(due_s))
    assert not needs_proof(replace(run, last_seen_at=at(due_s)), run.last_seen, at(due_s))


def test_a_page_that_contradicts_its_list_is_read_again_now_and_then() -> None:
    """A list that goes on hinting at an end keeps its page being read, at every fourth list."""
    run = decide(watching(CONNECTED), SYNCING, at(2)).run
    looks = []
    for n in range(13):
        now = at(3 + n)
        looks.append(needs_proof(run, SYNCED.integration, now))
        observation = replace(SYNCING, hinted=SYNCED.integration) if looks[-1] else Listed(SYNCED.integration)
        run = decide(run, observation, now).run
    assert looks == [True, False, False, False] * 3 + [True]


def test_the_page_that_was_not_read_for_longest_is_the_probe() -> None:
    """Every tenth list one page of a batch is read as well, of the run that waits for longest."""
    runs = [replace(watching(SYNCING), id=f"run_{n}", listed=PROBE_EVERY - 1 + n) for n in range(3)]
    assert probe_of(runs) is runs[2]
    assert probe_of([*runs, replace(runs[0], listed=PROBE_EVERY - 2)]) is None


def test_twenty_runs_cost_at_most_a_quarter_more_calls_than_one() -> None:
    """The pages that are read beside the lists, while syncs go on, are few."""

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
