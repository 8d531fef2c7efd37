"""When an integration's trouble is reported: how incidents open, change and close."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bot.core.incidents.incidents import (
    Change,
    Rules,
    RunNews,
    Sighting,
    Suspicion,
    Trouble,
    Watched,
    observe,
    same_failure,
    trouble_of,
)
from bot.core.models import Integration, Person
from bot.core.volumes.volume import Shortfall

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LAST = NOON - timedelta(hours=1)
RULES = Rules(confirm_s=5, flapping_opens=3, flapping_window_s=3600)
ANA = Person("UANA", "ana")

FINE = Integration("int_1", "stripe", "connected", LAST)
FAILING = replace(FINE, status="error", error_message="The secret is wrong")
OTHER_FAILURE = replace(FAILING, error_message="The account was closed")
DISCONNECTED = replace(FINE, status="disconnected")
SYNCING = replace(FINE, status="syncing")
STALE = replace(FINE, last_synced_at=NOON - timedelta(days=3))


def after(seconds):
    """Return the time some seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def succeeded(seconds):
    """Return the integration with a successful sync some seconds after noon."""
    return replace(FINE, last_synced_at=after(seconds))


class Story:
    """Observe an integration again and again, and collect the verdicts."""

    def __init__(self, rules=RULES, first_seen_at=NOON):
        self.rules = rules
        self.watched = Watched("int_1", first_seen_at)
        self.verdicts = []

    def see(self, seconds, integration, run=None):
        """Observe the integration at a time, and return the verdict."""
        sighting = Sighting(after(seconds), integration, run)
        verdict = observe(self.watched, sighting, self.rules, team_id="T1", incident_id=f"inc_{len(self.verdicts)}")
        self.watched = verdict.watched
        self.verdicts.append(verdict)
        return verdict

    @property
    def changes(self):
        """The changes that were reported so far."""
        return [verdict.change for verdict in self.verdicts if verdict.change]


@pytest.fixture
def story():
    """A story that begins at noon with a healthy integration."""
    story = Story()
    story.see(0, FINE)
    return story


@pytest.fixture
def failing(story):
    """A story in which an incident opened 10 s after noon."""
    story.see(10, FAILING)
    story.see(20, FAILING)
    return story


# --- opening ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "trouble"),
    [(FAILING, Trouble.FAILING), (DISCONNECTED, Trouble.DISCONNECTED), (STALE, Trouble.STALE)],
)
def test_two_sightings_open_an_incident(story, seen, trouble):
    """It's dated to the first one."""
    assert story.see(10, seen).change is None
    verdict = story.see(15, seen)
    assert verdict.change is Change.OPENED
    assert (verdict.incident.trouble, verdict.incident.opened_at) == (trouble, after(10))


def test_the_first_sighting_asks_for_a_second_one(story):
    """Trouble that was seen once is checked again as soon as a second sighting can confirm it."""
    assert story.see(10, FAILING).look_again_at == after(15)
    assert story.see(12, FAILING).look_again_at == after(15)


def test_two_sightings_too_close_together_open_nothing(story):
    story.see(10, FAILING)
    assert story.see(14, FAILING).change is None


def test_a_healthy_sighting_in_between_starts_over(story):
    story.see(10, FAILING)
    story.see(20, FINE)
    assert story.see(30, FAILING).change is None
    assert story.watched.suspicion == Suspicion(Trouble.FAILING, after(30), after(30))


def test_a_different_kind_of_trouble_starts_over(story):
    """Failing once and disconnected once confirms neither."""
    story.see(10, FAILING)
    assert story.see(20, DISCONNECTED).change is None


def test_a_sync_in_between_clears_no_suspicion(story):
    """An integration that is syncing between two failures is neither in trouble nor proven healthy."""
    story.see(10, FAILING)
    story.see(12, SYNCING)
    assert story.see(20, FAILING).change is Change.OPENED


def test_what_was_never_seen_healthy_opens_an_incident():
    story = Story()
    story.see(0, FAILING)
    assert story.see(10, FAILING).change is Change.OPENED


# --- syncs that are followed in a thread -----------------------------------------------------------------------


def test_a_followed_sync_belongs_to_its_thread(story):
    """Trouble while a sync is being followed never opens an incident."""
    run = RunNews("run_1", ANA)
    for seconds in (10, 20, 30):
        assert story.see(seconds, FAILING, run) == replace(story.verdicts[-1], change=None, look_again_at=None)
    assert story.changes == []


def test_a_failure_known_from_a_resync_continues_in_its_thread(story):
    run = RunNews("run_1", ANA, ended_at=after(30), failed_as=FAILING)
    story.see(40, FAILING, run)
    assert story.see(50, FAILING, run).incident.continues_run_id == "run_1"


@pytest.mark.parametrize(
    "run",
    [
        RunNews("run_1", ANA, ended_at=after(30), failed_as=OTHER_FAILURE),
        RunNews("run_1", ANA, ended_at=after(30), succeeded=True),
        RunNews("run_1", ANA, ended_at=after(-30), failed_as=FAILING),
    ],
    ids=["another failure", "a success", "fine since"],
)
def test_a_failure_that_no_thread_reported_opens_its_own_incident(story, run):
    """A thread doesn't count if it reported a different error, or if the integration was healthy since."""
    story.see(40, FAILING, run)
    assert story.see(50, FAILING, run).incident.continues_run_id == ""


# --- while it is open ------------------------------------------------------------------------------------------


def test_the_same_failure_is_reported_once(failing):
    for seconds in range(30, 300, 10):
        assert failing.see(seconds, FAILING).change is None


def test_numbers_and_ids_in_the_error_do_not_make_it_a_change(failing):
    """An error text that differs in numbers only is the same failure."""
    one = replace(FAILING, error_message="Request req_1a failed at 12:01")
    other = replace(FAILING, error_message="Request req_2b failed at 12:05")
    assert same_failure(one, other)
    assert not same_failure(FAILING, OTHER_FAILURE)


@pytest.mark.parametrize("seen", [OTHER_FAILURE, DISCONNECTED])
def test_another_failure_is_a_change(failing, seen):
    """A different error text, or a disconnect, is reported."""
    verdict = failing.see(30, seen)
    assert (verdict.change, verdict.incident.failure) == (Change.CHANGED, seen)


def test_another_failure_after_a_sync_is_a_change(failing):
    """A sync in between doesn't hide that the error is a different one."""
    failing.see(30, SYNCING)
    assert failing.see(40, OTHER_FAILURE).change is Change.CHANGED


TEXTS = [f"The {thing} is broken" for thing in ("secret", "account", "quota", "certificate", "region")]
IN_TURN = {
    "two texts": [FAILING, OTHER_FAILURE],
    "three texts": [replace(FAILING, error_message=text) for text in TEXTS[:3]],
    "failing and disconnected": [FAILING, DISCONNECTED],
    "all of it": [FAILING, DISCONNECTED, OTHER_FAILURE, SYNCING, FINE],
    "after syncs": [FAILING, SYNCING, OTHER_FAILURE, SYNCING],
}


@pytest.mark.parametrize("states", IN_TURN.values(), ids=IN_TURN)
def test_alternating_failures_are_reported_once_within_ten_minutes(failing, states):
    """The message itself shows each of them."""
    for number in range(1, 60):
        verdict = failing.see(20 + 10 * number, states[number % len(states)])
        assert verdict.watched.incident.integration == states[number % len(states)]
    assert failing.changes.count(Change.CHANGED) == 1


@pytest.mark.parametrize("count", [2, 3, 5])
def test_failures_that_return_are_never_reported_again(failing, count):
    """Each is reported once, ten minutes apart."""
    states = [FAILING, *(replace(FAILING, error_message=text) for text in TEXTS[1:count])]
    for number in range(1, 1000):
        failing.see(20 + 30 * number, states[number % count])
    reported = [one for one in failing.verdicts if one.change is Change.CHANGED]
    assert {one.incident.failure for one in reported} == set(states[1:])
    times = [one.incident.seen_at for one in reported]
    assert all(later - earlier >= timedelta(minutes=10) for earlier, later in pairwise(times))
    assert len(reported) == count - 1


def test_a_failure_that_returned_is_a_repeat(failing):
    """A text that was reported earlier increases the counter."""
    failing.see(30, OTHER_FAILURE)
    verdict = failing.see(40, FAILING)
    assert (verdict.change, verdict.incident.repeats) == (Change.REPEATED, 1)


def test_a_different_failure_that_lasts_is_reported_after_ten_minutes(failing):
    """The message shows it immediately."""
    failing.see(30, OTHER_FAILURE)
    assert failing.see(60, DISCONNECTED).change is Change.EDITED
    assert failing.see(90, DISCONNECTED).change is None
    assert failing.see(629, DISCONNECTED).change is None
    assert failing.see(631, DISCONNECTED).change is Change.CHANGED
    assert failing.see(700, DISCONNECTED).change is None


def test_a_failure_that_is_not_reported_yet_is_shown_after_a_sync(failing):
    """Otherwise the message would keep showing the sync."""
    failing.see(30, OTHER_FAILURE)
    failing.see(60, DISCONNECTED)
    failing.see(70, SYNCING)
    assert failing.see(80, DISCONNECTED).change is Change.REPEATED


def test_the_rolling_message_of_a_flapping_integration_is_as_quiet():
    """While an integration flaps, alternating errors are reported as a change once in ten minutes."""
    story, states = Story(), [FAILING, OTHER_FAILURE]
    story.see(0, FINE)
    for number in range(1, 40):
        story.see(100 * number, states[number % 2])
        story.see(100 * number + 10, states[number % 2])
        story.see(100 * number + 50, succeeded(100 * number + 40))
    opened = [one for one in story.verdicts if one.change is Change.OPENED]
    assert len(opened) == RULES.flapping_opens
    assert story.changes.count(Change.CHANGED) <= 1


def test_an_incident_of_an_older_version_counts_its_last_failure_as_reported(failing):
    """Older versions stored no list of reported failures, so the one that was last shown counts as reported."""
    failing.watched = replace(failing.watched, incident=replace(failing.watched.incident, told=()))
    assert failing.see(30, FAILING).change is None
    assert failing.see(40, OTHER_FAILURE).change is Change.CHANGED
    assert failing.see(50, FAILING).change is Change.REPEATED


def test_long_texts_are_remembered_by_their_beginning(failing):
    """However long an error is, it's recognized when it returns."""
    long = replace(FAILING, error_message="The upload was refused: " + "row after row " * 5000)
    failing.see(30, long)
    failing.see(40, FAILING)
    assert failing.see(50, long).change is Change.REPEATED
    assert all(len(one.text) <= 501 for one in failing.watched.incident.told)


def test_failing_again_increases_a_counter(failing):
    """The same failure after a sync is a repeat: it only changes a number in the message."""
    assert failing.see(30, SYNCING).change is Change.SYNCING
    verdict = failing.see(40, FAILING)
    assert (verdict.change, verdict.incident.repeats) == (Change.REPEATED, 1)


def test_connected_without_a_success_proves_nothing(failing):
    """An integration that no longer fails, but has no newer success, is shown as quiet, and its incident stays open."""
    verdict = failing.see(30, FINE)
    assert (verdict.change, verdict.incident.is_open) == (Change.QUIET, True)
    assert failing.see(40, FINE).change is None


def test_a_newer_success_proves_recovery(failing):
    """A success newer than the failure closes the incident, even if no one started it here."""
    verdict = failing.see(60, succeeded(50))
    assert (verdict.change, verdict.incident.closed_at) == (Change.RECOVERED, after(60))
    assert verdict.incident.repaired_by is None
    assert verdict.watched.incident is None


@pytest.mark.parametrize("seen_at", [LAST + timedelta(milliseconds=250), LAST + timedelta(milliseconds=999)])
def test_a_success_with_a_more_precise_time_proves_no_recovery(failing, seen_at):
    """The success from before the failure doesn't become newer when its time gains milliseconds."""
    assert failing.see(30, replace(FINE, last_synced_at=seen_at)).change is Change.QUIET


def test_a_success_whose_time_becomes_readable_proves_recovery_only_if_it_is_new(story):
    """If the time of the success before the failure can't be read, only a success since the incident began counts."""
    unreadable = replace(FAILING, last_synced_at=None, unreadable_time="yesterday")
    story.see(10, unreadable)
    story.see(20, unreadable)
    assert story.see(30, FINE).change is Change.QUIET
    assert story.see(60, succeeded(50)).change is Change.RECOVERED


def test_a_success_while_the_next_sync_runs_proves_recovery(failing):
    """A newer success counts even if another sync is already running."""
    assert failing.see(60, replace(succeeded(50), status="syncing")).change is Change.RECOVERED


def test_a_success_between_two_failures_proves_nothing_later(failing):
    """Once another failure followed a success, that success no longer proves recovery when the error disappears."""
    assert failing.see(60, replace(FAILING, last_synced_at=after(50))).change is Change.REPEATED
    assert failing.see(70, succeeded(50)).change is Change.QUIET


@pytest.mark.parametrize(
    ("run", "person"),
    [
        (RunNews("run_1", ANA), ANA),
        (RunNews("run_1", ANA, ended_at=after(55), succeeded=True), ANA),
        (RunNews("run_1", ANA, ended_at=after(5), succeeded=True), None),
        (RunNews("run_1", ANA, ended_at=after(55), failed_as=FAILING), None),
    ],
)
def test_a_recovery_names_the_resync_that_caused_it(failing, run, person):
    """It's the resync that is being followed, or one that succeeded since the incident opened."""
    assert failing.see(60, succeeded(50), run).incident.repaired_by == person


def test_a_stale_integration_recovers_with_a_success(story):
    story.see(10, STALE)
    story.see(20, STALE)
    assert story.see(30, succeeded(25)).change is Change.RECOVERED


def test_no_longer_failing_but_stale_is_quiet(story):
    """A failure that disappears without a success doesn't turn into a different incident."""
    failing_long = replace(FAILING, last_synced_at=STALE.last_synced_at)
    story.see(10, failing_long)
    story.see(20, failing_long)
    verdict = story.see(30, STALE)
    assert (verdict.change, verdict.incident.trouble) == (Change.QUIET, Trouble.FAILING)


def test_the_incident_of_a_removed_integration_ends(failing):
    """It's closed as removed."""
    verdict = failing.see(60, None)
    assert (verdict.change, verdict.incident.gone, verdict.watched.incident) == (Change.GONE, True, None)


# --- unknown states and unreadable times --------------------------------------------------------------------


PAUSED = replace(FINE, status="paused")


def test_an_unknown_state_is_neither_trouble_nor_health(failing):
    """An undocumented status doesn't change an incident, not even with a newer success."""
    assert failing.see(60, PAUSED).change is None
    assert failing.see(70, replace(succeeded(65), status="paused")).change is None
    assert failing.see(80, FAILING).change is None
    assert failing.watched.incident.is_open


def test_an_unknown_state_clears_no_suspicion(story):
    """Trouble, then an unknown state, then the same trouble opens an incident."""
    story.see(10, FAILING)
    story.see(12, PAUSED)
    assert story.see(20, FAILING).change is Change.OPENED


def test_an_unreadable_time_is_not_stale(story):
    """A success whose time can't be read may be recent."""
    unreadable = replace(FINE, last_synced_at=None, unreadable_time="9999-99-99")
    assert trouble_of(unreadable, after(10**8), NOON) is None


# --- flapping --------------------------------------------------------------------------------------------------


def fail_and_recover(story, seconds):
    """Make the integration fail at a time, and recover a minute later."""
    last = story.watched.seen.last_synced_at
    story.see(seconds, replace(FAILING, last_synced_at=last))
    story.see(seconds + 10, replace(FAILING, last_synced_at=last))
    return story.see(seconds + 60, succeeded(seconds + 50))


def test_the_third_incident_within_an_hour_stays_one_message(story):
    """The third incident within the window isn't closed when the integration is healthy again."""
    assert fail_and_recover(story, 100).change is Change.RECOVERED
    assert fail_and_recover(story, 300).change is Change.RECOVERED
    verdict = fail_and_recover(story, 500)
    assert (verdict.change, verdict.incident.flapping, verdict.incident.opens) == (Change.CALM, True, 3)
    verdict = fail_and_recover(story, 700)
    assert verdict.incident.opens == 4
    assert story.changes.count(Change.OPENED) == 3


def test_a_flapping_incident_ends_after_a_calm_window(story):
    """An integration that stays healthy for the whole window has recovered."""
    for seconds in (100, 300, 500):
        fail_and_recover(story, seconds)
    assert story.see(560 + 3599, succeeded(4000)).change is None
    assert story.see(560 + 3600, succeeded(4000)).change is Change.RECOVERED


def test_three_incidents_in_a_day_are_three(story):
    """Incidents further apart than the window don't count as flapping."""
    for seconds in (100, 4000, 8000):
        assert fail_and_recover(story, seconds).change is Change.RECOVERED


# --- when checks arrive out of order ---------------------------------------------------------------------------


def test_an_older_check_changes_nothing(failing):
    """A check that began before the newest one proves nothing."""
    assert failing.see(15, succeeded(14)).change is None
    assert failing.watched.incident is not None


def test_an_older_check_dates_a_suspicion(story):
    """Trouble began when it was first seen, even if that check arrives later."""
    story.see(20, FAILING)
    story.see(16, FAILING)
    assert story.see(21, FAILING).incident.opened_at == after(16)


def test_an_older_healthy_check_separates_two_sightings(story):
    """If a check between two sightings of trouble was healthy, the second sighting counts as the first."""
    story.see(10, FAILING)
    story.see(13, FAILING)
    story.see(12, FINE)
    assert story.see(16, FAILING).change is None


# --- stale -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "hours", "expected"),
    [
        ("stripe", 23, None),
        ("stripe", 25, Trouble.STALE),
        ("app_store_connect", 80, None),
        ("app_store_connect", 97, Trouble.STALE),
        ("unheard_of", 25, Trouble.STALE),
    ],
)
def test_an_integration_is_stale_after_the_limit_of_its_type(type_, hours, expected):
    """Without a success for longer than its type allows, an integration is stale."""
    one = Integration("int_1", type_, "connected", NOON - timedelta(hours=hours))
    assert trouble_of(one, NOON, NOON) is expected


def test_a_running_sync_delays_the_stale_incident():
    """The sync may bring the missing success; if it never ends, the integration becomes stale anyway."""
    one = replace(SYNCING, last_synced_at=NOON - timedelta(hours=25))
    assert trouble_of(one, NOON, NOON) is None
    assert trouble_of(one, NOON + timedelta(hours=24), NOON) is Trouble.STALE


def test_never_synced_counts_from_the_first_sighting():
    """An integration that never synced is stale once it has been known for longer than its type allows."""
    new = replace(FINE, last_synced_at=None)
    assert trouble_of(new, NOON, NOON - timedelta(hours=23)) is None
    assert trouble_of(new, NOON, NOON - timedelta(hours=25)) is Trouble.STALE


# --- green, but empty ------------------------------------------------------------------------------------------

LOW = Shortfall(NOON, 2, 86_400, 1_150, 8)


def count(story, seconds, integration, shortfall):
    """Observe an integration whose events were counted, too."""
    sighting = Sighting(after(seconds), integration, is_counted=True, shortfall=shortfall)
    verdict = observe(story.watched, sighting, story.rules, team_id="T1", incident_id="inc_empty")
    story.watched = verdict.watched
    story.verdicts.append(verdict)
    return verdict


@pytest.fixture
def empty(story):
    """A story in which it was counted that far fewer events came."""
    count(story, 10, FINE, LOW)
    opened = story.see(20, FINE)
    assert (opened.change, opened.incident.trouble) == (Change.OPENED, Trouble.EMPTY)
    assert opened.incident.shortfall == LOW
    return story


def test_it_stays_empty_until_events_come(empty):
    """Syncs that succeed prove nothing, and aren't counted as failures."""
    assert empty.see(30, succeeded(29)).change is None
    assert empty.see(40, SYNCING).change is Change.SYNCING
    assert empty.see(50, succeeded(49)).change is None
    more = count(empty, 60, succeeded(49), replace(LOW, got=3))
    assert (more.change, more.incident.repeats) == (Change.COUNTED, 0)
    over = count(empty, 70, succeeded(49), None)
    assert over.change is Change.RECOVERED
    assert over.watched.incident is None


def test_one_that_fails_meanwhile_is_one_incident(empty):
    """When it works again, it's still empty."""
    assert empty.see(30, FAILING).change is Change.CHANGED
    assert empty.see(40, FINE).change is Change.QUIET
    again = empty.see(50, succeeded(49))
    assert (again.change, again.incident.trouble) == (Change.REPEATED, Trouble.EMPTY)
    assert count(empty, 60, succeeded(49), None).change is Change.RECOVERED


def test_one_that_is_no_longer_synced_is_stale(empty):
    """That's the newer trouble, and its end needs a success."""
    week = 7 * 86_400
    stale = empty.see(week, FINE)
    assert (stale.change, stale.incident.trouble) == (Change.CHANGED, Trouble.STALE)
    assert empty.see(week + 60, succeeded(week + 30)).incident.trouble is Trouble.EMPTY


def test_a_suspicion_of_emptiness_can_be_wrong(story):
    count(story, 10, FINE, LOW)
    assert count(story, 12, FINE, None).watched.suspicion is None
    assert story.changes == []


def test_one_that_is_gone_is_not_empty_when_it_is_back(empty):
    assert empty.see(30, None).change is Change.GONE
    assert empty.watched.shortfall is None
